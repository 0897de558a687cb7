/** Frames that arrive when no generation of this worker can take them. */

import { runTagOf } from '../../shared/collectives/generation-identity.js';
import { StaleGenerationError } from '../../shared/errors.js';
import { readHeader, type Frame } from '../../shared/protocol/frame.js';

/** The error for a frame that arrives while no generation is joined. @throws ProtocolError if the frame has no valid header */
export function withoutGeneration(frame: Frame): StaleGenerationError {
  const { sender } = readHeader(frame);
  const message = `Frame from rank ${sender} refused: no generation has been joined.`;
  return new StaleGenerationError(message, { kind: 'stale-generation' });
}

/**
 * Returns true for a frame that was refused because its generation of the run has ended here. Such a frame is normal and is not reported:
 * a peer sends until the end of the generation has reached it as well.
 * @param ended the last generation that has ended
 */
export function isLate(error: unknown, frame: Frame, runId: string, ended: number): boolean {
  if (!(error instanceof StaleGenerationError)) return false;
  const { runTag, generation } = readHeader(frame);
  return generation <= ended && runTag === runTagOf(runId);
}
