/**
 * Reusable memory for outgoing frames. ZeroMQ sends a frame without copying it. The memory of a frame may be overwritten only when it is
 * certain that the receiver has the frame. This module ensures this.
 *
 * Suppose worker A starts round s + 2 of a collective. A has finished round s + 1, so every other worker has contributed to round s + 1.
 * Each of them did so only after it had finished round s, and a worker finishes round s only after it has received every frame of it. The
 * frames that A sent in round s have therefore arrived. Two buffers per frame, used alternately, are enough, and no acknowledgement is
 * needed.
 */

export class SendBuffers {
  readonly #buffers = new Map<string, Buffer>();

  /** A buffer of `bytes` bytes for this round, with undefined contents. `key` names the frame inside the collective. */
  buffer(key: string, sequence: number, bytes: number): Buffer {
    const alternating = `${key}/${sequence % 2}`;
    const held = this.#buffers.get(alternating);
    // A frame without zeros has another size in each round.
    if (held && held.length >= bytes) return held.subarray(0, bytes);
    const made = Buffer.from(new ArrayBuffer(bytes));
    this.#buffers.set(alternating, made);
    return made;
  }
}
