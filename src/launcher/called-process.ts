/**
 * A command that the API (`src/api/runs`) has started as a child process, with the hidden option `--called`. The error that ends it is
 * sent over the IPC channel, so that the API can throw it with its code.
 */

import { toWireError, type WireError } from '../shared/errors.js';

/** Passed by the API in addition to the command's own arguments. */
export const calledOption = '--called';

/** Removes the option from the arguments of this process, since no command declares it. Returns true if it was there. */
export function takeCalled(argv: string[]): boolean {
  const at = argv.indexOf(calledOption);
  if (at >= 0) argv.splice(at, 1);
  return at >= 0;
}

/** The message of a called process that ends with an error. */
export interface CallFailed {
  readonly kind: 'callFailed';
  readonly error: WireError;
}

/** Sends the error to the calling process. Resolves when it is sent, or if that process has ended. */
export async function reportFailure(error: unknown): Promise<void> {
  const message: CallFailed = { kind: 'callFailed', error: toWireError(error) };
  if (process.send === undefined || !process.connected) return;
  await new Promise<void>((resolve) => process.send?.(message, undefined, {}, () => resolve()));
}
