// A dense layer on rows, act(x * W + bias), and the gradients of its input, compiled for AVX2 and AVX-512 with the same
// bits. The bias, the ReLU and a sum with another gradient are applied while a tile of the product is in registers.
// Chooses nothing at run time; the caller must check that the CPU supports the instructions (dense_ops.cc). The
// arithmetic is in simd_dense_layer.h.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_DENSE_LAYER 1
#include <immintrin.h>
#endif

#ifdef LOCKSTEP_DENSE_LAYER

#ifndef INLINE_SIMD
#define INLINE_SIMD static inline __attribute__((always_inline))
#endif

namespace lockstep {

// Columns of a panel of the matrix, the same for all instruction sets.
constexpr int64_t kDensePanel = 32;
// Rows that are multiplied with all panels before the next rows. Sums over rows have one term per block of this size,
// so it is fixed.
constexpr int64_t kDenseRows = 96;

// The number of floats of the panels of a matrix [inner, columns].
inline int64_t DensePanelFloats(int64_t inner, int64_t columns) {
  return (columns + kDensePanel - 1) / kDensePanel * kDensePanel * inner;
}

// The operations after a product, in order. A null pointer means that there is none.
struct DenseTail {
  const float* bias;    // [columns]
  const float* addend;  // the shape of `out`
  bool relu;
  float* out;
};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace dense_avx512 {
#include "simd_avx512.h"
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
// The second operand if one of them is NaN.
INLINE_SIMD Vector Maximum(Vector a, Vector b) { return _mm512_max_ps(a, b); }
#include "simd_dense_layer.h"
}  // namespace dense_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace dense_avx2 {
#include "simd_avx2.h"
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
INLINE_SIMD Vector Maximum(Vector a, Vector b) { return _mm256_max_ps(a, b); }
#include "simd_dense_layer.h"
}  // namespace dense_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_DENSE_LAYER
