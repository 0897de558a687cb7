/**
 * Interface of the addon native/addon.cc: sums at memory bandwidth, and memory shared by the processes of one host. Optional:
 * without it everything works more slowly, with the same bits.
 */

import { createRequire } from 'node:module';
import type { HashFloats } from '../ledger/hash.js';
import type { PinnedVector } from './pinned-vector.js';

export interface NativeMemory {
  /** out = left + right in float32; all have one length. `out` may be an operand. */
  add(out: Float32Array, left: Float32Array, right: Float32Array): void;
  /** out = left + right, rounded to bfloat16. */
  addBfloat16(out: Float32Array, left: Float32Array, right: Float32Array): void;
  /** Returns true if every value is finite, as arithmetic/finite.ts does in JavaScript. */
  allFinite(values: Float32Array): boolean;
  /** Rounds in place. */
  roundBfloat16(values: Float32Array): void;
  /** Packs values that are already bfloat16 to two bytes each, and unpacks them; both arrays have one length. */
  packBfloat16(out: Uint16Array, values: Float32Array): void;
  unpackBfloat16(out: Float32Array, packed: Uint16Array): void;
  /** CRC-32 as in zlib. Present on CPUs that have an instruction for it. */
  checksum?(bytes: Uint8Array, before?: number): number;
  /** The address of the elements, for native code; valid as long as `of` is alive (see PinnedVector). */
  address(of: PinnedVector | Uint8Array): number;
  /** The ledger's hash (ledger/hash.ts). */
  readonly hash: HashFloats;
  /**
   * From now on, neither this thread nor a thread that it starts receives signals from other processes; a thread of its own does, and
   * Node's handlers run as before. native/signals.cc explains why. Missing on Windows. @throws Error
   */
  shieldFromSignals?(): void;
  /** Creates sparse, sealed, anonymous memory; returns its file descriptor. Linux only. */
  create?(bytes: number): number;
  /** Maps a region. @throws Error when it exceeds the memory, or the memory is not sealed against shrinking */
  map?(descriptor: number, offset: number, bytes: number): ArrayBuffer;
  /** Stores an int32 with release semantics and wakes the processes that wait for it. Linux only. */
  publish?(memory: ArrayBuffer, offset: number, value: number): void;
  /** Blocks the thread until the int32 has this value (true) or the timeout has passed (false). */
  await?(memory: ArrayBuffer, offset: number, value: number, spinUs: number, timeoutUs: number): boolean;
}

/** Returns undefined if the addon cannot be loaded; sockets and JavaScript then replace it. */
export function loadNativeMemory(file: string | undefined): NativeMemory | undefined {
  if (file === undefined) return undefined;
  try {
    return createRequire(import.meta.url)(file) as NativeMemory;
  } catch {
    return undefined;
  }
}
