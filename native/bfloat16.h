// Float32 rounded to bfloat16, to the nearest and on a tie to even, by integer arithmetic: the instructions that some
// CPUs have for it flush subnormals to zero, and the bits would depend on the CPU.

#pragma once

#include "arithmetic.h"

namespace lockstep {

INLINE uint32_t RoundBits(uint32_t bits) {
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  const uint32_t quiet = (bits | 0x400000u) & 0xffff0000u;
  return (bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded;
}
INLINE uint32_t BitsOf(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return bits;
}
INLINE float FloatOf(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// values[i] rounded, in place.
FOR_EACH_CPU void RoundBfloat16(float* values, int64_t count) {
  for (int64_t i = 0; i < count; i++) values[i] = FloatOf(RoundBits(BitsOf(values[i])));
}

// out = left + right, rounded. `out` may be one of the others.
FOR_EACH_CPU void AddBfloat16(float* out, const float* left, const float* right, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = FloatOf(RoundBits(BitsOf(left[i] + right[i])));
}

// Values that are bfloat16 already, to two bytes each and back.
FOR_EACH_CPU void PackBfloat16(uint16_t* out, const float* values, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = static_cast<uint16_t>(BitsOf(values[i]) >> 16);
}
FOR_EACH_CPU void UnpackBfloat16(float* out, const uint16_t* packed, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = FloatOf(static_cast<uint32_t>(packed[i]) << 16);
}

}  // namespace lockstep
