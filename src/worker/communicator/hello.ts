/** The hello frame, by which a worker greets each peer of a generation: a header and one byte. */

import type { GenerationIdentity } from '../../shared/collectives/generation-identity.js';
import { headerBytes, writeHeader, type Frame } from '../../shared/protocol/frame.js';

export const helloBytes = headerBytes + 1;

/** @param readsMemory whether the sender can read the receiver's memory */
export function helloFrame(sender: number, identity: GenerationIdentity, readsMemory: boolean): Buffer[] {
  const hello = Buffer.alloc(helloBytes);
  hello[headerBytes] = readsMemory ? 1 : 0;
  const { runTag, generation } = identity;
  writeHeader([hello], {
    phase: 'hello',
    sender,
    runTag,
    generation,
    collective: 0,
    sequence: 0,
    step: 0,
    encoding: 'plain',
  });
  return [hello];
}

/** True if the sender of a hello can read this worker's memory. */
export const readsMemory = (hello: Frame): boolean => hello[0]?.[headerBytes] === 1;
