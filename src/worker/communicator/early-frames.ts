/**
 * Keeps the hello frames of generations that this worker has not joined yet. They come from peers that received the plan earlier
 * than this worker.
 */

import type { GenerationIdentity } from '../../shared/collectives/generation-identity.js';
import { readHeader, type Frame } from '../../shared/protocol/frame.js';
import { helloBytes } from './hello.js';

/** More than the workers of a generation. */
const maxFrames = 4_096;

export class EarlyFrames {
  #frames: Frame[] = [];

  /**
   * Keeps the frame and returns true if it is a hello of the run for a generation after the given one.
   * @throws ProtocolError when the frame has no valid header
   */
  keep(frame: Frame, latest: Pick<GenerationIdentity, 'runTag'> & { generation: number }): boolean {
    if (frame.length !== 1 || frame[0]?.length !== helloBytes || this.#frames.length >= maxFrames)
      return false;
    const { phase, generation, runTag } = readHeader(frame);
    if (runTag !== latest.runTag || phase !== 'hello' || generation <= latest.generation) return false;
    this.#frames.push(frame);
    return true;
  }

  takeAll(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }
}
