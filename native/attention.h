// Scaled dot-product attention (Vaswani et al. 2017), softmax(scale * Q K^T) V per sample and head, forward and
// backward, compiled for AVX2 and AVX-512 with the same bits. Chooses nothing at run time; the caller must check that
// the CPU supports the instructions (attention_ops.cc). The arithmetic is in simd_attention.h.
//
// Scores are never stored: the backward pass computes them again, for a block of queries at a time.

#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "scratch.h"
#include "sum_lanes.h"

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define LOCKSTEP_ATTENTION 1
#include <immintrin.h>
#endif

#ifdef LOCKSTEP_ATTENTION

#ifndef INLINE_SIMD
#define INLINE_SIMD static inline __attribute__((always_inline))
#endif

namespace lockstep {

// Queries whose scores are held at a time. Gradients of keys and values are summed per block, so it is fixed.
constexpr int64_t kAttentionRows = 96;

// Sizes and options of one attention.
struct Attention {
  int64_t samples, heads, queries, keys, key_size, value_size;
  float scale;
  // Query t attends to the keys up to t only.
  bool causal;
};

// Arguments of both passes. A null pointer means that there is none.
struct AttentionInputs {
  const float* query;  // [samples, queries, heads, key_size]
  const float* key;    // [samples, keys, heads, key_size]
  const float* value;  // [samples, keys, heads, value_size]
  // [samples, mask_rows, keys], where mask_rows is 1 or `queries`: a query ignores a key with 0. The result of a query
  // that ignores all keys is 0.
  const float* mask;
  int64_t mask_rows;
  const float* dropout;  // [samples, heads, queries, keys]: factors of the probabilities
};

// Results of the backward pass, with the shapes of query, key and value.
struct AttentionGradients {
  float *query, *key, *value;
};

#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")
namespace attention_avx512 {
#include "simd_avx512.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm512_fmadd_ps(a, b, sum); }
#include "simd_exp.h"
#include "simd_softmax.h"
#include "simd_products.h"
#include "simd_attention.h"
}  // namespace attention_avx512
#pragma GCC pop_options

#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace attention_avx2 {
#include "simd_avx2.h"
constexpr int64_t kPack = 1;
INLINE_SIMD Vector MultiplyAdd(Vector a, Vector b, Vector sum) { return _mm256_fmadd_ps(a, b, sum); }
#include "simd_exp.h"
#include "simd_softmax.h"
#include "simd_products.h"
#include "simd_attention.h"
}  // namespace attention_avx2
#pragma GCC pop_options

}  // namespace lockstep

#endif  // LOCKSTEP_ATTENTION
