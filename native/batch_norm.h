// BatchNorm (Ioffe & Szegedy, "Batch Normalization", ICML 2015) fused with the ReLU or ReLU6 and the 2x2 max-pool that
// may follow it, forward and backward, in as few passes over memory as possible. Reduces nothing across workers:
// callers combine the float64 sums and derive the affine parameters.
//
// Tensors are row-major with channels last: x is [rows, C], or [N, H, W, C] with even H and W when pooled; C is a
// multiple of kLanes. Each channel stays in one lane, and sums run over blocks of kBlockRows rows, in float32 inside a
// block and in float64 across blocks, so the bits do not depend on the vector width or on the number of threads.
//
// Every function computes one range of the work, [first, last), and touches nothing outside its range, so threads may
// run disjoint ranges concurrently. A range counts channels (multiples of kLanes) where the function sums over rows;
// otherwise it counts rows, or rows of pooled pixels when pooled.

#pragma once

#include <cstdint>
#include <vector>

#include "vectors.h"

namespace lockstep {

constexpr int64_t kBlockRows = 64;

// The normalization of 16 channels: z = (x - mean) * scale + shift.
struct Affine {
  Vector mean, scale, shift;
};
// Loads channels c to c + 15 of `parameters`, which is [3, C]: means, scales, shifts.
LOCKSTEP_INLINE Affine LoadAffine(const float* parameters, int64_t channels, int64_t c) {
  return {Load(parameters + c), Load(parameters + channels + c), Load(parameters + 2 * channels + c)};
}

// The input gradient of 16 channels: dx = dz_factor * dz + (centred_factor * (x - mean) + constant).
struct GradientCoefficients {
  Vector dz_factor, centred_factor, constant;
};
// Loads channels c to c + 15 of `coefficients`, which is [3, C].
LOCKSTEP_INLINE GradientCoefficients LoadCoefficients(const float* coefficients, int64_t channels, int64_t c) {
  return {Load(coefficients + c), Load(coefficients + channels + c), Load(coefficients + 2 * channels + c)};
}
LOCKSTEP_INLINE Vector InputGradientOf(const GradientCoefficients& k, Vector dz, Vector centred) {
  return k.dz_factor * dz + (k.centred_factor * centred + k.constant);
}

// A 2x2 window of normalized pixels and its maximum. Fields instead of arrays, because the compiler keeps a small array
// of vectors in memory.
struct Window {
  Vector x0, x1, x2, x3;              // x - mean, in row-major order
  Vector max;                         // largest z
  Vector centred;                     // x - mean of the largest z
  Mask exceeds1, exceeds2, exceeds3;  // z1, z2, z3 exceed all z before them; on ties the first wins, as in PyTorch
};
// `x` points at the first channel of the top left pixel; `row` is the number of floats per row of the image.
LOCKSTEP_INLINE Window LoadWindow(const float* x, int64_t channels, int64_t row, const Affine& p) {
  Window w;
  w.x0 = Load(x) - p.mean;
  w.x1 = Load(x + channels) - p.mean;
  w.x2 = Load(x + row) - p.mean;
  w.x3 = Load(x + row + channels) - p.mean;
  const Vector z1 = w.x1 * p.scale + p.shift;
  const Vector z2 = w.x2 * p.scale + p.shift;
  const Vector z3 = w.x3 * p.scale + p.shift;
  w.max = w.x0 * p.scale + p.shift;
  w.exceeds1 = z1 > w.max;
  w.max = Select(w.exceeds1, z1, w.max);
  w.centred = Select(w.exceeds1, w.x1, w.x0);
  w.exceeds2 = z2 > w.max;
  w.max = Select(w.exceeds2, z2, w.max);
  w.centred = Select(w.exceeds2, w.x2, w.centred);
  w.exceeds3 = z3 > w.max;
  w.max = Select(w.exceeds3, z3, w.max);
  w.centred = Select(w.exceeds3, w.x3, w.centred);
  return w;
}

struct BatchNormShape {
  int64_t rows, channels;         // x as a matrix
  int64_t images, height, width;  // x as images, when pooled
  bool relu, pool;
  bool capped;  // values above 6 become 6: with `relu`, this is ReLU6
  // Work items of a range, and the floats of x that each covers.
  int64_t items() const { return pool ? images * height / 2 : rows; }
  int64_t floats_per_item() const { return pool ? 2 * width * channels : channels; }
};

// The mean and the sum of squared deviations (m2) of each channel of [first, last), in float64. `mean` and `m2` are
// [C].
//
// The loop over blocks of rows is outermost: a block stays in the first-level cache while its channels are summed.
LOCKSTEP_MULTIVERSIONED void BatchNormMoments(const float* x, int64_t rows, int64_t channels, int64_t first,
                                              int64_t last, double* mean, double* m2) {
  std::vector<float> centres(channels);
  std::vector<double> sums(channels), squares(channels);
  // Deviations are taken from the mean of the first block, which is close to the mean, to avoid cancellation in the
  // squares.
  const int64_t sample = rows < kBlockRows ? rows : kBlockRows;
  for (int64_t c = first; c < last; c += kLanes) {
    Vector sum = {};
    for (int64_t r = 0; r < sample; r++) sum += Load(x + r * channels + c);
    Store(centres.data() + c, sample > 0 ? sum / Splat(static_cast<float>(sample)) : sum);
  }
  for (int64_t start = 0; start < rows; start += kBlockRows) {
    const int64_t end = start + kBlockRows < rows ? start + kBlockRows : rows;
    for (int64_t c = first; c < last; c += kLanes) {
      const Vector centre = Load(centres.data() + c);
      Vector sum = {}, square = {};
      for (int64_t r = start; r < end; r++) {
        const Vector d = Load(x + r * channels + c) - centre;
        sum += d;
        square += d * d;
      }
      AddInDouble(sums.data() + c, sum);
      AddInDouble(squares.data() + c, square);
    }
  }
  const double n = rows > 0 ? static_cast<double>(rows) : 1.0;
  for (int64_t c = first; c < last; c++) {
    mean[c] = centres[c] + sums[c] / n;
    const double deviation = squares[c] - sums[c] * sums[c] / n;
    m2[c] = deviation > 0 ? deviation : 0;
  }
}

// Applies the activation that `s` requests.
LOCKSTEP_INLINE Vector Activate(Vector z, const BatchNormShape& s) {
  const Vector zero = {};
  const Vector six = Splat(6);
  if (s.relu) z = Select(z > zero, z, zero);
  if (s.capped) z = Select(z < six, z, six);
  return z;
}
// Propagates dz back through the activation, whose input was `z`.
LOCKSTEP_INLINE Vector ActivationGradient(Vector dz, Vector z, const BatchNormShape& s) {
  const Vector zero = {};
  if (s.relu) dz = Select(z > zero, dz, zero);
  if (s.capped) dz = Select(z < Splat(6), dz, zero);
  return dz;
}

// y = z, followed by the activation and the pool as `s` requests. `y` has the shape of x, or [N, H / 2, W / 2, C] when
// pooled.
LOCKSTEP_MULTIVERSIONED void BatchNormForward(const float* x, const float* parameters, const BatchNormShape& s,
                                              int64_t first, int64_t last, float* y) {
  if (!s.pool) {
    for (int64_t r = first; r < last; r++) {
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Affine p = LoadAffine(parameters, s.channels, c);
        const Vector z = (Load(x + r * s.channels + c) - p.mean) * p.scale + p.shift;
        Store(y + r * s.channels + c, Activate(z, s));
      }
    }
    return;
  }
  const int64_t row = s.width * s.channels;
  for (int64_t pooled_row = first; pooled_row < last; pooled_row++) {
    for (int64_t column = 0; column < s.width / 2; column++) {
      const float* corner = x + pooled_row * 2 * row + column * 2 * s.channels;
      float* out = y + (pooled_row * (s.width / 2) + column) * s.channels;
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Affine p = LoadAffine(parameters, s.channels, c);
        Vector max = (Load(corner + c) - p.mean) * p.scale + p.shift;
        const int64_t offsets[3] = {s.channels, row, row + s.channels};
        for (int k = 0; k < 3; k++) {
          const Vector z = (Load(corner + offsets[k] + c) - p.mean) * p.scale + p.shift;
          max = Select(z > max, z, max);
        }
        Store(out + c, Activate(max, s));
      }
    }
  }
}

// Adds, for each channel of [first, last), the sums of dz and of dz * (x - mean) to dz_sums and product_sums, both [C];
// dz is dy propagated back through the pool and the activation. `dy` has the shape of y.
LOCKSTEP_MULTIVERSIONED void BatchNormGradientSums(const float* dy, const float* x, const float* parameters,
                                                   const BatchNormShape& s, int64_t first, int64_t last,
                                                   double* dz_sums, double* product_sums) {
  const int64_t row = s.width * s.channels;
  const int64_t half = s.width / 2;
  const int64_t rows = s.pool ? s.rows / 4 : s.rows;
  for (int64_t start = 0; start < rows; start += kBlockRows) {
    const int64_t end = start + kBlockRows < rows ? start + kBlockRows : rows;
    for (int64_t c = first; c < last; c += kLanes) {
      const Affine p = LoadAffine(parameters, s.channels, c);
      Vector sum = {}, product = {};
      for (int64_t r = start; r < end; r++) {
        Vector dz = Load(dy + r * s.channels + c);
        if (s.pool) {
          const float* from = x + (r / half) * 2 * row + (r % half) * 2 * s.channels + c;
          const Window w = LoadWindow(from, s.channels, row, p);
          dz = ActivationGradient(dz, w.max, s);
          product += dz * w.centred;
        } else {
          const Vector d = Load(x + r * s.channels + c) - p.mean;
          dz = ActivationGradient(dz, d * p.scale + p.shift, s);
          product += dz * d;
        }
        sum += dz;
      }
      AddInDouble(dz_sums + c, sum);
      AddInDouble(product_sums + c, product);
    }
  }
}

// dx = a * dz + (b * (x - mean) + d) for the rows of x that [first, last) covers; `coefficients` is [3, C]: a, b and d.
LOCKSTEP_MULTIVERSIONED void BatchNormInputGradient(const float* dy, const float* x, const float* parameters,
                                                    const float* coefficients, const BatchNormShape& s, int64_t first,
                                                    int64_t last, float* dx) {
  const Vector zero = {};
  if (!s.pool) {
    for (int64_t r = first; r < last; r++) {
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Affine p = LoadAffine(parameters, s.channels, c);
        const GradientCoefficients k = LoadCoefficients(coefficients, s.channels, c);
        const Vector d = Load(x + r * s.channels + c) - p.mean;
        Vector dz = Load(dy + r * s.channels + c);
        dz = ActivationGradient(dz, d * p.scale + p.shift, s);
        Store(dx + r * s.channels + c, InputGradientOf(k, dz, d));
      }
    }
    return;
  }
  const int64_t row = s.width * s.channels;
  for (int64_t pooled_row = first; pooled_row < last; pooled_row++) {
    for (int64_t column = 0; column < s.width / 2; column++) {
      const int64_t corner = pooled_row * 2 * row + column * 2 * s.channels;
      const float* dy_pixel = dy + (pooled_row * (s.width / 2) + column) * s.channels;
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Affine p = LoadAffine(parameters, s.channels, c);
        const GradientCoefficients k = LoadCoefficients(coefficients, s.channels, c);
        const Window w = LoadWindow(x + corner + c, s.channels, row, p);
        Vector dz = Load(dy_pixel + c);
        dz = ActivationGradient(dz, w.max, s);
        const Vector dz3 = Select(w.exceeds3, dz, zero);
        dz = Select(w.exceeds3, zero, dz);
        const Vector dz2 = Select(w.exceeds2, dz, zero);
        dz = Select(w.exceeds2, zero, dz);
        const Vector dz1 = Select(w.exceeds1, dz, zero);
        const Vector dz0 = Select(w.exceeds1, zero, dz);
        float* to = dx + corner + c;
        Store(to, InputGradientOf(k, dz0, w.x0));
        Store(to + s.channels, InputGradientOf(k, dz1, w.x1));
        Store(to + row, InputGradientOf(k, dz2, w.x2));
        Store(to + row + s.channels, InputGradientOf(k, dz3, w.x3));
      }
    }
  }
}

}  // namespace lockstep
