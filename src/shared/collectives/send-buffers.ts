/**
 * Reusable memory for outgoing frames. ZeroMQ sends without copying, so the memory of a frame may be overwritten only once the
 * receiver is known to have the frame. Owns that rule.
 *
 * A worker can start round s + 2 of a collective only after it has finished round s + 1, for which it needed a contribution of every
 * other worker; and a worker contributes to s + 1 only after it has finished s, that is, after it has received every frame of s.
 * Two buffers per frame, used alternately, are therefore enough, and no acknowledgement is needed.
 */

export class SendBuffers {
  readonly #buffers = new Map<string, Buffer>();

  /** A buffer of `bytes` bytes for this round, with undefined contents. `key` names the frame inside the collective. */
  buffer(key: string, sequence: number, bytes: number): Buffer {
    const alternating = `${key}/${sequence % 2}`;
    const held = this.#buffers.get(alternating);
    if (held?.length === bytes) return held;
    const made = Buffer.from(new ArrayBuffer(bytes));
    this.#buffers.set(alternating, made);
    return made;
  }
}
