/**
 * Keeps the hello frames of generations that this worker has not joined yet. Such a frame comes from a peer that received the plan
 * before this worker.
 */

import { runTagOf } from '../../shared/collectives/generation-identity.js';
import { readHeader, type Frame } from '../../shared/protocol/frame.js';
import { helloBytes } from './hello.js';

/** Largest number of frames that are kept. It equals the largest number of workers in a plan. */
const maxFrames = 4_096;

export class EarlyFrames {
  #frames: Frame[] = [];

  /**
   * If the frame is a hello of the run for a later generation than `latest`, keeps it and returns true. Cheap for all other frames.
   * @throws ProtocolError when the frame has no valid header
   */
  keep(frame: Frame, runId: string, latest: number): boolean {
    if (frame.length !== 1 || frame[0]?.length !== helloBytes || this.#frames.length >= maxFrames)
      return false;
    const { phase, generation, runTag } = readHeader(frame);
    if (phase !== 'hello' || generation <= latest || runTag !== runTagOf(runId)) return false;
    this.#frames.push(frame);
    return true;
  }

  takeAll(): Frame[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }
}
