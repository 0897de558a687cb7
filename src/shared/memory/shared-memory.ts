/**
 * Memory of one worker that the other workers of its host can read and write. Sparse: 64 GiB are reserved, and pages are allocated when
 * first touched. The first page holds a random token, by which a reader verifies that the opened descriptor belongs to that worker,
 * and not to a process with the same id on another host or in another container.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import type { NativeMemory } from './native-memory.js';

/** Offsets of mappings are multiples of this: 64 KiB is the largest page size of common kernels. */
export const pageBytes = 65_536;
const reservedBytes = 64 * 2 ** 30;
const tokenBytes = 16;

export const addressPattern = /^(\d{1,10})\/(\d{1,10})\/([0-9a-f]{32})$/;

export class SharedMemory {
  readonly #native: NativeMemory;
  readonly #descriptor: number;

  private constructor(native: NativeMemory, descriptor: number) {
    this.#native = native;
    this.#descriptor = descriptor;
  }

  /** Creates this process's memory, and the address by which others open it. Undefined if the system does not support it. */
  static create(
    native: NativeMemory | undefined,
  ): { memory: SharedMemory; descriptor: number; address: string } | undefined {
    if (!native?.create) return undefined;
    try {
      const descriptor = native.create(reservedBytes);
      const memory = new SharedMemory(native, descriptor);
      const token = randomBytes(tokenBytes);
      Buffer.from(memory.map(0, pageBytes)).set(token);
      return { memory, descriptor, address: `${process.pid}/${descriptor}/${token.toString('hex')}` };
    } catch {
      return undefined;
    }
  }

  /** Opens another worker's memory. Undefined if it is on another host or cannot be opened. */
  static open(native: NativeMemory | undefined, address: string | null): SharedMemory | undefined {
    const [, pid, descriptor, token] = addressPattern.exec(address ?? '') ?? [];
    if (!native?.map || pid === undefined || descriptor === undefined || token === undefined)
      return undefined;
    let opened: number | undefined;
    try {
      opened = openSync(`/proc/${pid}/fd/${descriptor}`, 'r+');
      const memory = new SharedMemory(native, opened);
      const found = Buffer.from(memory.map(0, pageBytes)).subarray(0, tokenBytes).toString('hex');
      if (found === token) return memory;
    } catch {
      // Another host, container or user: payloads are then sent inline.
    }
    if (opened !== undefined) closeSync(opened);
    return undefined;
  }

  /** The memory behind a descriptor of this process, for its other thread, which must not close it. */
  static over(native: NativeMemory | undefined, descriptor: number | undefined): SharedMemory | undefined {
    return native && descriptor !== undefined ? new SharedMemory(native, descriptor) : undefined;
  }

  /** @throws Error when the region can't be mapped */
  map(offset: number, bytes: number): ArrayBuffer {
    if (!this.#native.map) throw new Error('this system has no shared memory');
    return this.#native.map(this.#descriptor, offset, bytes);
  }

  /** Closes the descriptor; mapped regions stay valid. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
