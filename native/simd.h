// The multiplying kernels (products, Winograd convolutions, dense gradients), compiled once per instruction set and
// precision: one namespace each, into which the simd_*.h headers are included. Chooses nothing at run time; the caller
// must check that the CPU supports the instructions (product_ops.cc).
//
// Every version sums in the same order and rounds each product only with its sum (fused multiply-add), so float32 has
// the same bits with AVX2 and with AVX-512.
//
// Each namespace defines: Vector of kWidth floats, with Load and Store (no alignment needed) and Splat; kTileRows and
// kOuterTileRows, the rows of a tile whose sums fit the registers; kPack, the factors per 32-bit lane; MultiplyAdd,
// which adds the kPack products of each lane to its sum; PackLanes, which puts the factors of kPack vectors into one;
// StoreFactors, which stores a vector as factors at element c of a row.

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
#define INLINE_LAMBDA __attribute__((always_inline))

namespace lockstep {

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace float32_avx512 {
#include "simd_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
INLINE_SIMD Vector PackLanes(Vector value, Vector) { return value; }
INLINE_SIMD void StoreFactors(float* row, int64_t c, Vector value) { Store(row + c, value); }
#include "simd_products.h"
#include "simd_winograd.h"
#include "simd_dense.h"
}  // namespace float32_avx512
#pragma GCC pop_options

// Factors are rounded to bfloat16 (to nearest, ties to even), those of a convolution after their transforms. Sums are
// in float32.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,avx2,fma")
namespace bfloat16_avx512 {
#include "simd_avx512.h"
constexpr int64_t kPack = 2;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) {
  return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}
// Interleaves two vectors; lane i holds first[i] in its lower half and second[i] in its upper half.
INLINE_SIMD Vector PackLanes(Vector first, Vector second) {
  const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return (Vector)_mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}
INLINE_SIMD void StoreFactors(float* row, int64_t c, Vector value) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(row + c / 2), (__m256i)_mm512_cvtneps_pbh(value));
}
#include "simd_products.h"
#include "simd_winograd.h"
#include "simd_dense.h"
}  // namespace bfloat16_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace float32_avx2 {
#include "simd_avx2.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
INLINE_SIMD Vector PackLanes(Vector value, Vector) { return value; }
INLINE_SIMD void StoreFactors(float* row, int64_t c, Vector value) { Store(row + c, value); }
#include "simd_products.h"
#include "simd_winograd.h"
#include "simd_dense.h"
}  // namespace float32_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_SIMD
