/**
 * TensorFlow's library writes to stderr while it loads, before any log level is in force. A command that loads it therefore
 * runs in a child process, whose stderr is forwarded without those lines.
 */

import { exitStatus } from '../shared/exit-status.js';
import { Child, onLauncherGone } from './child-process.js';

/**
 * @param launched true in the child process, which runs `command` itself
 * @returns the exit status of `command`
 */
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
