// Layer normalization over the last axis (Ba, Kiros & Hinton 2016): y = (x - mean) / sqrt(variance + epsilon) * gamma +
// beta with the mean and the biased variance of each row. Forward and backward passes over ranges of rows; they start
// no threads.
//
// A row is summed in 16 lanes, which are added in order at the end, so the bits are the same on every CPU.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "vectors.h"

namespace lockstep {

// Rows whose gradients of gamma and beta are summed in order, before these sums are added. Fixed, so that results do
// not depend on the thread count.
constexpr int64_t kLayerNormBlock = 64;

LOCKSTEP_INLINE float SumLanes(Vector lanes) {
  float sum = 0;
  for (int i = 0; i < kLanes; i++) sum += lanes[i];
  return sum;
}

struct RowMoments {
  float mean, inverse_deviation;
};

LOCKSTEP_INLINE RowMoments MomentsOf(const float* row, int64_t columns, float epsilon) {
  Vector sum = {}, squares = {};
  for (int64_t c = 0; c < columns; c += kLanes) sum += LoadLanes(row, c, columns);
  const float mean = SumLanes(sum) / static_cast<float>(columns);
  for (int64_t c = 0; c < columns; c += kLanes) {
    const Vector centred = LoadLanes(row, c, columns, mean) - Splat(mean);
    squares += centred * centred;
  }
  const float variance = SumLanes(squares) / static_cast<float>(columns);
  return {mean, 1.0f / std::sqrt(variance + epsilon)};
}

// Rows [from, to) of x and y [rows, columns]. `gamma` and `beta` may be null: 1 and 0.
LOCKSTEP_MULTIVERSIONED void LayerNormForward(const float* x, const float* gamma, const float* beta, int64_t columns,
                                              float epsilon, int64_t from, int64_t to, float* y) {
  for (int64_t r = from; r < to; r++) {
    const float* row = x + r * columns;
    const RowMoments moments = MomentsOf(row, columns, epsilon);
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vector value = (LoadLanes(row, c, columns) - Splat(moments.mean)) * Splat(moments.inverse_deviation);
      if (gamma) value = value * LoadLanes(gamma, c, columns);
      if (beta) value = value + LoadLanes(beta, c, columns);
      StoreLanes(y + r * columns, c, columns, value);
    }
  }
}

// Rows [from, to) of dx, and the sums over them of dy * xhat and of dy, which are written to `d_gamma` and `d_beta`.
LOCKSTEP_MULTIVERSIONED void LayerNormBackward(const float* dy, const float* x, const float* gamma, int64_t columns,
                                               float epsilon, int64_t from, int64_t to, float* dx, float* d_gamma,
                                               float* d_beta) {
  std::memset(d_gamma, 0, static_cast<size_t>(columns) * sizeof(float));
  std::memset(d_beta, 0, static_cast<size_t>(columns) * sizeof(float));
  for (int64_t r = from; r < to; r++) {
    const float *row = x + r * columns, *gradient = dy + r * columns;
    const RowMoments moments = MomentsOf(row, columns, epsilon);
    Vector sum = {}, sum_normalized = {};
    for (int64_t c = 0; c < columns; c += kLanes) {
      const Vector normalized =
          (LoadLanes(row, c, columns, moments.mean) - Splat(moments.mean)) * Splat(moments.inverse_deviation);
      const Vector d = LoadLanes(gradient, c, columns);
      StoreLanes(d_gamma, c, columns, LoadLanes(d_gamma, c, columns) + d * normalized);
      StoreLanes(d_beta, c, columns, LoadLanes(d_beta, c, columns) + d);
      const Vector scaled = gamma ? d * LoadLanes(gamma, c, columns) : d;
      sum += scaled;
      sum_normalized += scaled * normalized;
    }
    const float mean = SumLanes(sum) / static_cast<float>(columns);
    const float mean_normalized = SumLanes(sum_normalized) / static_cast<float>(columns);
    for (int64_t c = 0; c < columns; c += kLanes) {
      const Vector normalized = (LoadLanes(row, c, columns) - Splat(moments.mean)) * Splat(moments.inverse_deviation);
      const Vector d = LoadLanes(gradient, c, columns);
      const Vector scaled = gamma ? d * LoadLanes(gamma, c, columns) : d;
      const Vector centred = (scaled - Splat(mean)) - normalized * Splat(mean_normalized);
      StoreLanes(dx + r * columns, c, columns, centred * Splat(moments.inverse_deviation));
    }
  }
}

}  // namespace lockstep
