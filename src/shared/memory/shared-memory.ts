/**
 * One worker's memory that the other workers of its host can read, and the view of another's. Sparse: 64 GB that cost
 * nothing until touched. Its first page holds a random token, by which a reader knows that the descriptor it opened is
 * really that worker's, and not that of a process with the same id on another host or in another container.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, openSync } from 'node:fs';
import type { NativeMemory } from './native-memory.js';

/** Offsets of mappings are multiples of this (64 KB is the largest page of the usual kernels). */
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

  /** This process's own memory and what others open it by. Undefined where the system has no such memory. */
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

  /** The memory of another worker, if it is on this host and may be opened. */
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
      // Another host, another container, another user: frames carry the payload then.
    }
    if (opened !== undefined) closeSync(opened);
    return undefined;
  }

  /** The memory behind a descriptor of this process, for its other thread; that thread must not close it. */
  static over(native: NativeMemory | undefined, descriptor: number | undefined): SharedMemory | undefined {
    return native && descriptor !== undefined ? new SharedMemory(native, descriptor) : undefined;
  }

  /** @throws Error when it can't be mapped. */
  map(offset: number, bytes: number): ArrayBuffer {
    if (!this.#native.map) throw new Error('this system shares no memory');
    return this.#native.map(this.#descriptor, offset, bytes);
  }

  /** What is mapped stays readable. */
  close(): void {
    closeSync(this.#descriptor);
  }
}
