// The kernels that multiply, for each instruction set and precision: a namespace each, in which their headers are
// included. Sums go in the same order everywhere, and a product is fused into its sum: the same bits with AVX2 and
// AVX-512.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "scratch.h"
#include "winograd.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_SIMD 1
#include <immintrin.h>
#endif

#ifdef LOCKSTEP_SIMD

#define INLINE_SIMD static inline __attribute__((always_inline))

namespace lockstep {

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace float32_avx512 {
#include "vectors_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm512_fmadd_ps(a, b, sum); }
INLINE_SIMD Floats Pack(Floats value, Floats) { return value; }
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) { Write(row + c, value); }
#include "products.h"
#include "winograd_kernels.h"
#include "dense_kernels.h"
}  // namespace float32_avx512
#pragma GCC pop_options

// Factors rounded to bfloat16 (to nearest, ties to even), a convolution's after their transforms; sums in float32.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")
namespace bfloat16_avx512 {
#include "vectors_avx512.h"
constexpr int64_t kPack = 2;
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
// One word of each pair, `first` in its lower half.
INLINE_SIMD Floats Pack(Floats first, Floats second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Floats)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + c / 2), (__m256i)_mm512_cvtneps_pbh(value));
}
#include "products.h"
#include "winograd_kernels.h"
#include "dense_kernels.h"
}  // namespace bfloat16_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace float32_avx2 {
typedef __m256 Floats;
constexpr int64_t kWidth = 8;
constexpr int kRows = 6;  // with two vectors of outputs, 12 of the 16 registers
constexpr int kFilterRows = 4;
constexpr int64_t kPack = 1;
INLINE_SIMD Floats Read(const float* from) { return _mm256_loadu_ps(from); }
INLINE_SIMD void Write(float* to, Floats value) { _mm256_storeu_ps(to, value); }
INLINE_SIMD Floats All(float value) { return _mm256_set1_ps(value); }
INLINE_SIMD Floats MultiplyAdd(Floats a, Floats b, Floats sum) { return _mm256_fmadd_ps(a, b, sum); }
INLINE_SIMD Floats Pack(Floats value, Floats) { return value; }
INLINE_SIMD void WriteChannels(float* row, int64_t c, Floats value) { Write(row + c, value); }
#include "products.h"
#include "winograd_kernels.h"
#include "dense_kernels.h"
}  // namespace float32_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_SIMD
