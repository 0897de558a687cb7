// Conversions between float32 and bfloat16 (the upper 16 bits of a float32), rounded to nearest with ties to even. They
// use integer arithmetic only: the instructions that some CPUs have for it flush subnormal numbers to zero, so the bits
// would depend on the CPU.

#pragma once

#include "vectors.h"

namespace lockstep {

// Rounds the bits of a float32 to those of the nearest bfloat16, still 32 bits wide. NaN stays NaN, made quiet.
LOCKSTEP_INLINE uint32_t RoundBits(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  const uint32_t quiet = (bits | 0x400000u) & 0xffff0000u;
  return (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
}
LOCKSTEP_INLINE uint32_t BitsOf(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
LOCKSTEP_INLINE float FloatOf(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// Rounds `count` values to bfloat16 in place.
LOCKSTEP_MULTIVERSIONED void RoundBfloat16(float* values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = FloatOf(RoundBits(BitsOf(values[i])));
}

// out = left + right, rounded to float32 and then to bfloat16. `out` may be `left` or `right`.
LOCKSTEP_MULTIVERSIONED void AddBfloat16(float* out, const float* left, const float* right, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = FloatOf(RoundBits(BitsOf(left[i] + right[i])));
}

// Converts `count` values, which must be bfloat16 numbers already, to two bytes each.
LOCKSTEP_MULTIVERSIONED void PackBfloat16(uint16_t* out, const float* values, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = static_cast<uint16_t>(BitsOf(values[i]) >> 16);
}

// The inverse of PackBfloat16.
LOCKSTEP_MULTIVERSIONED void UnpackBfloat16(float* out, const uint16_t* packed, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = FloatOf(static_cast<uint32_t>(packed[i]) << 16);
}

}  // namespace lockstep
