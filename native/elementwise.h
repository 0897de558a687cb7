// Kernels over plain vectors of floats: Adam's update, a copy, a sum and a check for finite values, the first two
// optionally with the ledger's hash of the result. They do not start threads; callers split the range.
//
// Elements are independent, every operation is rounded once (-ffp-contract=off), and IEEE 754 defines the square root,
// so the bits are the same at any vector width.

#pragma once

#include <cmath>
#include <cstring>

#include "ledger_hash.h"

namespace lockstep {

// Adam (Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015) in the order of operations of PyTorch's
// _single_tensor_adam (torch/optim/adam.py).
//
// p, m and v (parameters and moments, `count` elements each) are updated in place from the gradient g; the new
// parameters are also written to `out`. None of them may overlap. With `hash` not null, hash[0..1] receives the hash of
// the new parameters, computed per block while it is in the first-level cache.
LOCKSTEP_MULTIVERSIONED void Adam(float* __restrict p, float* __restrict m, float* __restrict v,
                                  const float* __restrict g, const float* scalars, int64_t count, float* __restrict out,
                                  uint32_t* hash) {
  const float one_minus_beta1 = scalars[0];
  const float beta2 = scalars[1];
  const float one_minus_beta2 = scalars[2];
  const float correction = scalars[3];  // sqrt(1 - beta2^t)
  const float epsilon = scalars[4];
  const float step = scalars[5];  // -learning rate / (1 - beta1^t)
  HashState state;
  InitHash(&state);
  for (int64_t start = 0; start < count; start += kHashBlock) {
    const int64_t end = start + kHashBlock < count ? start + kHashBlock : count;
    for (int64_t i = start; i < end; i++) {
      m[i] = m[i] + one_minus_beta1 * (g[i] - m[i]);
      v[i] = v[i] * beta2 + one_minus_beta2 * g[i] * g[i];
      p[i] = p[i] + step * m[i] / (std::sqrt(v[i]) / correction + epsilon);
      out[i] = p[i];
    }
    if (hash) UpdateHash(&state, out + start, end - start);
  }
  if (hash) FinishHash(state, count, hash);
}

// Copies `count` floats between buffers that do not overlap. With `hash` not null, hash[0..1] receives their hash.
LOCKSTEP_MULTIVERSIONED void Copy(float* __restrict to, const float* __restrict from, int64_t count, uint32_t* hash) {
  if (!hash) {
    // An empty buffer may have no address, which memcpy does not permit.
    if (count > 0) std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  HashState state;
  InitHash(&state);
  for (int64_t start = 0; start < count; start += kHashBlock) {
    const int64_t size = start + kHashBlock < count ? kHashBlock : count - start;
    std::memcpy(to + start, from + start, static_cast<size_t>(size) * sizeof(float));
    UpdateHash(&state, from + start, size);
  }
  FinishHash(state, count, hash);
}

// out = left + right. `out` may be `left` or `right`.
LOCKSTEP_MULTIVERSIONED void Add(float* out, const float* left, const float* right, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = left[i] + right[i];
}

// Returns true if every value is finite. The exponent of infinities and NaN is all ones; adding one to it overflows
// into the sign, and no other exponent does so.
LOCKSTEP_MULTIVERSIONED bool AllFinite(const float* values, int64_t count) {
  uint32_t found = 0;
  for (int64_t i = 0; i < count; i++) {
    uint32_t word;
    std::memcpy(&word, values + i, sizeof word);
    found |= (word & 0x7f800000u) + 0x00800000u;
  }
  return (found >> 31) == 0;
}

}  // namespace lockstep
