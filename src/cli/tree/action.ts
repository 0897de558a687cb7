/** How an action of the tree reaches its command: the one way there is. */

import type { Command } from 'commander';
import { inQuietChild } from '../../launcher/quiet-child.js';

/** Takes the command that was called; it resolves with the exit status. */
export type RunCommand = (command: () => Promise<number>) => void;

/** Of commander: the arguments, the options, the command. */
type Action = (...args: [...rest: unknown[], options: object, command: Command]) => void;
/** Imports the command; it takes the arguments and the options. */
type Load = () => Promise<(...args: never[]) => number | Promise<number>>;

async function callLoaded(load: Load, args: readonly unknown[]): Promise<number> {
  const command = (await load()) as (...args: unknown[]) => number | Promise<number>;
  return command(...args);
}

/** For commander's `action`: imports a command when it is called, not before, and calls it. */
export function calls(run: RunCommand, load: Load): Action {
  return (...args) => {
    run(() => callLoaded(load, args.slice(0, -1)));
  };
}

/** The same for a command that loads TensorFlow: in a child whose stderr is quiet. Its options must have `launched()`. */
export function callsQuietly(run: RunCommand, load: Load): Action {
  return (...args) => {
    const [options] = args.slice(-2) as [{ readonly launched?: true }];
    run(() => inQuietChild(options.launched === true, () => callLoaded(load, args.slice(0, -1))));
  };
}
