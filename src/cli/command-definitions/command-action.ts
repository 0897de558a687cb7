/** Connects a command's definition to its implementation, which is imported when the command is called. */

import type { Command } from 'commander';
import { inQuietChild } from '../../launcher/quiet-child.js';

/** Receives the command that was called; the command resolves with the exit status. */
export type RunCommand = (command: () => Promise<number>) => void;

/** An action of commander: arguments, options, command. */
type Action = (...args: [...rest: unknown[], options: object, command: Command]) => void;
/** Imports the implementation, a function of the arguments and the options. */
type Load = () => Promise<(...args: never[]) => number | Promise<number>>;

async function callLoaded(load: Load, args: readonly unknown[]): Promise<number> {
  const command = (await load()) as (...args: unknown[]) => number | Promise<number>;
  return command(...args);
}

/** Returns an action that imports a command and calls it. */
export function calls(run: RunCommand, load: Load): Action {
  return (...args) => {
    run(() => callLoaded(load, args.slice(0, -1)));
  };
}

/** Like `calls`, in a child process with a quiet stderr, for a command that loads TensorFlow. It must have the option `launchedOption()`. */
export function callsQuietly(run: RunCommand, load: Load): Action {
  return (...args) => {
    const [options] = args.slice(-2) as [{ readonly launched?: true }];
    run(() => inQuietChild(options.launched === true, () => callLoaded(load, args.slice(0, -1))));
  };
}
