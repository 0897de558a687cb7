/**
 * Vectors whose addresses native code receives. TensorFlow caches one kernel per address (native/pinned_buffer.h), and the kernel
 * writes there without holding a reference. A pinned vector must therefore keep its memory and its place for as long as any op may
 * receive its address: it is allocated once, for the life of a generation or of a training state, and used again in every step.
 * While an op runs, no other code may access the vector.
 */

declare const pinned: unique symbol;

/** A float32 vector with a lasting place in memory. Only the functions of this file make one. */
export type PinnedVector = Float32Array & { readonly [pinned]: true };

/**
 * Makes a vector over `memory`, which the caller keeps for as long as the vector is used.
 * @param offset of the first element, in bytes
 */
export function pinnedVector(memory: ArrayBufferLike, offset: number, length: number): PinnedVector {
  return new Float32Array(memory, offset, length) as PinnedVector;
}

/** Returns the elements [start, end) of a pinned vector, in the same memory. */
export function pinnedSlice(vector: PinnedVector, start: number, end: number): PinnedVector {
  return vector.subarray(start, end) as PinnedVector;
}

/** Allocates a vector of zeros in memory that the threads of the process can share. @throws RangeError if there is not enough memory */
export function allocatePinned(length: number): PinnedVector {
  return pinnedVector(new SharedArrayBuffer(4 * length), 0, length);
}
