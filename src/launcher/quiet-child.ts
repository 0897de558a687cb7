/**
 * TensorFlow's library writes to stderr while it loads, before any log level is in force. A command that a person started
 * and that loads it runs once more in a child of its own, whose stderr is passed on without that.
 */

import { Child, onLauncherGone } from './child-process.js';
import { exitStatus } from '../cli/exit.js';

/** Resolves with the exit status of `command`. `launched`: this is the child. */
export async function inQuietChild(launched: boolean, command: () => Promise<number>): Promise<number> {
  if (launched) {
    onLauncherGone(() => process.exit(exitStatus.failed));
    return command();
  }
  const [name = '', ...rest] = process.argv.slice(2);
  const child = new Child([name, '--launched', ...rest], { stdout: 'inherit' });
  const { how } = await child.ended;
  if (child.status === null) process.stderr.write(`lockstep ${name} ${how}.\n`);
  return child.status ?? exitStatus.failed;
}
