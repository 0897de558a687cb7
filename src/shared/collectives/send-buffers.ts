/**
 * Memory for outgoing frames. ZeroMQ sends without copying, so a frame's memory may be written again only when its
 * receiver is known to have it. Owns that rule.
 *
 * The rule: a worker can start use s + 2 of a collective only after it finished use s + 1, for which every other worker
 * had to contribute; a worker contributes to s + 1 only after it finished s, that is, after it received every frame of s.
 * So two buffers a frame, used in turn, are enough, and no acknowledgement is needed.
 */

export class SendBuffers {
  readonly #buffers = new Map<string, Buffer>();

  /** A frame of `bytes` bytes for this use, contents undefined. `key` names the frame inside the collective. */
  take(key: string, sequence: number, bytes: number): Buffer {
    const slot = `${key}/${sequence % 2}`;
    const held = this.#buffers.get(slot);
    if (held?.length === bytes) return held;
    const made = Buffer.from(new ArrayBuffer(bytes));
    this.#buffers.set(slot, made);
    return made;
  }
}
