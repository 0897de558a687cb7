// Portable vectors of 16 floats (GCC and Clang vector extensions) and function multiversioning for the kernels that add
// and scale. Contains no arithmetic of any kernel.
//
// A vector is 64 bytes at every instruction set: the compiler splits it into as many registers as the CPU needs. Lanes
// never interact, and the files are compiled with -ffp-contract=off, so a kernel has the same bits on every CPU.

#pragma once

#include <cstdint>

// LOCKSTEP_MULTIVERSIONED compiles a function once per instruction set; the loader picks the version that the CPU
// supports. Such a function is not inline, so only one source of a library may include its header. A build for a single
// instruction set (test/native) defines the macro as empty.
#ifndef LOCKSTEP_MULTIVERSIONED
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_MULTIVERSIONED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LOCKSTEP_MULTIVERSIONED
#endif
#endif

// Vectors pass between functions that are always inlined, so that none crosses a call, where its ABI would depend on
// the instruction set.
#define LOCKSTEP_INLINE static inline __attribute__((always_inline))

namespace lockstep {

constexpr int kLanes = 16;

typedef float Vector __attribute__((vector_size(64)));
typedef int32_t Mask __attribute__((vector_size(64)));

// Loads and stores need no alignment.
LOCKSTEP_INLINE Vector Load(const float* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
LOCKSTEP_INLINE void Store(float* to, Vector value) { __builtin_memcpy(to, &value, sizeof value); }
LOCKSTEP_INLINE Vector Splat(float value) { return Vector{} + value; }
LOCKSTEP_INLINE Vector Select(Mask mask, Vector yes, Vector no) { return mask ? yes : no; }

// The lanes of elements [c, c + kLanes) of a row with `columns` elements; `missing` in lanes beyond its end.
LOCKSTEP_INLINE Vector LoadLanes(const float* row, int64_t c, int64_t columns, float missing = 0) {
  if (c + kLanes <= columns) return Load(row + c);
  float part[kLanes];
  for (int i = 0; i < kLanes; i++) part[i] = c + i < columns ? row[c + i] : missing;
  return Load(part);
}
LOCKSTEP_INLINE void StoreLanes(float* row, int64_t c, int64_t columns, Vector value) {
  if (c + kLanes <= columns) return Store(row + c, value);
  for (int64_t i = c; i < columns; i++) row[i] = value[i - c];
}

// Adds the 16 lanes of `block` to sums[0..15] in float64.
LOCKSTEP_INLINE void AddInDouble(double* sums, Vector block) {
  for (int i = 0; i < kLanes; i++) sums[i] += block[i];
}

}  // namespace lockstep
