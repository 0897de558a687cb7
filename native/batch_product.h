// Products of many matrices at once, with or without transposition, and softmax over rows, compiled for AVX2 and
// AVX-512 with the same bits. Chooses nothing at run time; the caller must check that the CPU supports the instructions
// (batch_product_ops.cc). The arithmetic is in simd_batch_product.h and simd_softmax.h.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "scratch.h"
#include "sum_lanes.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_BATCH_PRODUCT 1
#include <immintrin.h>
#endif

#ifdef LOCKSTEP_BATCH_PRODUCT

#ifndef INLINE_SIMD
#define INLINE_SIMD static inline __attribute__((always_inline))
#endif

namespace lockstep {

// Products [rows, columns] = a [rows, inner] * b [inner, columns]. Stored transposed, a is [inner, rows] and b is
// [columns, inner].
struct BatchProduct {
  int64_t batch, rows, inner, columns;
  bool transpose_a, transpose_b;
};

// Rows of a product that one call computes. With a fixed size, b is packed as often for any number of threads.
constexpr int64_t kProductRows = 384;

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace batch_product_avx512 {
#include "simd_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
#include "simd_exp.h"
#include "simd_softmax.h"
#include "simd_products.h"
#include "simd_batch_product.h"
}  // namespace batch_product_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace batch_product_avx2 {
#include "simd_avx2.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
#include "simd_exp.h"
#include "simd_softmax.h"
#include "simd_products.h"
#include "simd_batch_product.h"
}  // namespace batch_product_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_BATCH_PRODUCT
