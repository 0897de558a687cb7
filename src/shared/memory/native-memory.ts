/**
 * The addon of native/shared_memory.cc: sums at memory speed, and memory that the processes of one host share. Everything
 * works without it, slower; no result depends on it.
 */

import { createRequire } from 'node:module';
import type { HashFloats } from '../ledger/hash.js';

export interface NativeMemory {
  /** out = left + right in float32; all of one length. `out` may be one of the others. */
  add(out: Float32Array, left: Float32Array, right: Float32Array): void;
  /** out = left + right, rounded to bfloat16. */
  addBfloat16(out: Float32Array, left: Float32Array, right: Float32Array): void;
  /** In place. */
  roundBfloat16(values: Float32Array): void;
  /** Values that are bfloat16 already, to two bytes each and back; of one length. */
  packBfloat16(out: Uint16Array, values: Float32Array): void;
  unpackBfloat16(out: Float32Array, packed: Uint16Array): void;
  /** CRC-32, as zlib's. Only on CPUs that have an instruction for it. */
  checksum?(bytes: Uint8Array, before?: number): number;
  /** Where the elements are, for native code. Keep `of` alive as long as that is used. */
  address(of: Float32Array | Uint8Array): number;
  /** The ledger's hash (ledger/hash.ts). */
  readonly hash: HashFloats;
  /** A descriptor of sparse, sealed memory without a name. Linux only. */
  create?(bytes: number): number;
  /** @throws Error when the part isn't inside the memory, or the memory could shrink. */
  map?(descriptor: number, offset: number, bytes: number): ArrayBuffer;
  /** Writes an int32 that other processes wait for; whatever was written before is visible to them with it. Linux only. */
  publish?(memory: ArrayBuffer, offset: number, value: number): void;
  /** Blocks the thread until that int32 has this value: true; or so many microseconds have passed: false. */
  await?(memory: ArrayBuffer, offset: number, value: number, spinUs: number, timeoutUs: number): boolean;
}

/** Undefined where the addon doesn't load; then sockets and JavaScript do its work. */
export function loadNativeMemory(file: string | undefined): NativeMemory | undefined {
  if (file === undefined) return undefined;
  try {
    return createRequire(import.meta.url)(file) as NativeMemory;
  } catch {
    return undefined;
  }
}
