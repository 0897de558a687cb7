/**
 * Gives back the memory of received frames soon. Each is memory of ZeroMQ's that lives until V8 collects the Buffer over it. V8
 * sees little garbage and much memory behind it, and would answer with full collections. Frames die young, so a collection
 * of the young generation after every few megabytes frees them all, in 0.2 ms.
 */

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Two all-reduces of the recipe's gradient between two workers. */
const bytesBetween = 16 * 2 ** 20;

type Collect = (options: { type: 'minor' }) => void;

/** What to call with each frame that has been used. One for a thread. */
export function receivedMemory(): (frame: readonly Buffer[]) => void {
  let collect: Collect | undefined;
  let bytes = 0;
  return (frame) => {
    for (const part of frame) bytes += part.length;
    if (bytes < bytesBetween) return;
    bytes = 0;
    collect ??= exposedCollector();
    collect({ type: 'minor' });
  };
}

/** V8's own function, which a context made after this flag has. */
function exposedCollector(): Collect {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as Collect;
}
