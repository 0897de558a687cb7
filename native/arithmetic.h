// The arithmetic of Lockstep's own ops, without TensorFlow: BatchNorm with the ReLU and the 2x2 max-pool that follow
// it, in as few passes over memory as they can have, and Adam.
//
// The same bits everywhere: each channel's arithmetic is the same at any vector width (lanes are channels), products
// and sums are never contracted (-ffp-contract=off; -fno-math-errno makes the square root one instruction), and sums go
// in blocks of a fixed number of rows, in float32 inside a block and in float64 between blocks.
//
// A tensor here is [rows, C] with channels last; for the pool [N, H, W, C] with even H and W.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_EACH_CPU __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_CPU
#endif

namespace lockstep {

constexpr int kLanes = 16;
constexpr int64_t kBlockRows = 64;

typedef float Vector __attribute__((vector_size(64)));
typedef int32_t Mask __attribute__((vector_size(64)));
typedef double Wide __attribute__((vector_size(128)));

// Loads and stores go through functions that are inlined, so that no vector crosses a call.
#define INLINE static inline __attribute__((always_inline))

INLINE Vector Load(const float* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
INLINE void Store(float* to, Vector value) { __builtin_memcpy(to, &value, sizeof value); }
INLINE Vector Splat(float value) { return Vector{} + value; }
INLINE Vector Select(Mask mask, Vector yes, Vector no) { return mask ? yes : no; }
INLINE void AddTo(double* sums, Vector block) {
  for (int i = 0; i < kLanes; i++) sums[i] += block[i];
}

// What a BatchNorm applies to one group of channels: z = (x - mean) * scale + shift.
struct Channel {
  Vector mean, scale, shift;
};
INLINE Channel LoadChannel(const float* parameters, int64_t channels, int64_t c) {
  return {Load(parameters + c), Load(parameters + channels + c), Load(parameters + 2 * channels + c)};
}

// A 2x2 window before the pool. Written out: loops over small arrays of vectors would go through memory.
struct Window {
  Vector x0, x1, x2, x3;        // x - mean, in row-major order
  Vector best;                  // largest z
  Vector centred;               // x - mean where it is
  Mask later1, later2, later3;  // whether z1, z2, z3 beat all before them: ties go to the first, as in PyTorch
};
INLINE Window LoadWindow(const float* x, int64_t channels, int64_t row, const Channel& p) {
  Window w;
  w.x0 = Load(x) - p.mean;
  w.x1 = Load(x + channels) - p.mean;
  w.x2 = Load(x + row) - p.mean;
  w.x3 = Load(x + row + channels) - p.mean;
  const Vector z1 = w.x1 * p.scale + p.shift;
  const Vector z2 = w.x2 * p.scale + p.shift;
  const Vector z3 = w.x3 * p.scale + p.shift;
  w.best = w.x0 * p.scale + p.shift;
  w.later1 = z1 > w.best;
  w.best = Select(w.later1, z1, w.best);
  w.centred = Select(w.later1, w.x1, w.x0);
  w.later2 = z2 > w.best;
  w.best = Select(w.later2, z2, w.best);
  w.centred = Select(w.later2, w.x2, w.centred);
  w.later3 = z3 > w.best;
  w.best = Select(w.later3, z3, w.best);
  w.centred = Select(w.later3, w.x3, w.centred);
  return w;
}

struct Shape {
  int64_t rows, channels;         // of x
  int64_t images, height, width;  // for the pool
  bool relu, pool;
  int64_t units() const { return pool ? images * height / 2 : rows; }
  int64_t unit_floats() const { return pool ? 2 * width * channels : channels; }
};

// What follows takes a part of the work, [from, to), which other parts don't touch, so that threads can share it:
// channels (multiples of kLanes) where something is summed over rows, else rows, or lines of windows with the pool.

// Blocks of rows outside, channels inside: a block stays in the first-level cache while its channels are summed.
FOR_EACH_CPU void Moments(const float* x, int64_t rows, int64_t channels, int64_t from, int64_t to, double* mean,
                          double* m2) {
  std::vector<float> centres(channels);
  std::vector<double> sums(channels), squares(channels);
  // Around a value close to the mean, so that the squares don't cancel.
  const int64_t first = rows < kBlockRows ? rows : kBlockRows;
  for (int64_t c = from; c < to; c += kLanes) {
    Vector sum = {};
    for (int64_t r = 0; r < first; r++) sum += Load(x + r * channels + c);
    Store(centres.data() + c, first > 0 ? sum / Splat(static_cast<float>(first)) : sum);
  }
  for (int64_t start = 0; start < rows; start += kBlockRows) {
    const int64_t end = start + kBlockRows < rows ? start + kBlockRows : rows;
    for (int64_t c = from; c < to; c += kLanes) {
      const Vector centre = Load(centres.data() + c);
      Vector sum = {}, square = {};
      for (int64_t r = start; r < end; r++) {
        const Vector d = Load(x + r * channels + c) - centre;
        sum += d;
        square += d * d;
      }
      AddTo(sums.data() + c, sum);
      AddTo(squares.data() + c, square);
    }
  }
  const double n = rows > 0 ? static_cast<double>(rows) : 1.0;
  for (int64_t c = from; c < to; c++) {
    mean[c] = centres[c] + sums[c] / n;
    const double deviation = squares[c] - sums[c] * sums[c] / n;
    m2[c] = deviation > 0 ? deviation : 0;
  }
}

FOR_EACH_CPU void Forward(const float* x, const float* parameters, const Shape& s, int64_t first, int64_t last,
                          float* y) {
  const Vector zero = {};
  if (!s.pool) {
    for (int64_t r = first; r < last; r++) {
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Channel p = LoadChannel(parameters, s.channels, c);
        const Vector z = (Load(x + r * s.channels + c) - p.mean) * p.scale + p.shift;
        Store(y + r * s.channels + c, s.relu ? Select(z > zero, z, zero) : z);
      }
    }
    return;
  }
  const int64_t row = s.width * s.channels;
  for (int64_t line = first; line < last; line++) {
    for (int64_t column = 0; column < s.width / 2; column++) {
      const float* from = x + line * 2 * row + column * 2 * s.channels;
      float* to = y + (line * (s.width / 2) + column) * s.channels;
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Channel p = LoadChannel(parameters, s.channels, c);
        Vector best = (Load(from + c) - p.mean) * p.scale + p.shift;
        const int64_t offsets[3] = {s.channels, row, row + s.channels};
        for (int k = 0; k < 3; k++) {
          const Vector z = (Load(from + offsets[k] + c) - p.mean) * p.scale + p.shift;
          best = Select(z > best, z, best);
        }
        Store(to + c, s.relu ? Select(best > zero, best, zero) : best);
      }
    }
  }
}

// Sums of dz and dz * (x - mean), where dz is dy brought back through the pool and the ReLU. The sums start at zero.
FOR_EACH_CPU void Sums(const float* dy, const float* x, const float* parameters, const Shape& s, int64_t first,
                       int64_t last, double* dz_sums, double* product_sums) {
  const Vector zero = {};
  const int64_t row = s.width * s.channels;
  const int64_t half = s.width / 2;
  const int64_t rows = s.pool ? s.rows / 4 : s.rows;
  for (int64_t start = 0; start < rows; start += kBlockRows) {
    const int64_t end = start + kBlockRows < rows ? start + kBlockRows : rows;
    for (int64_t c = first; c < last; c += kLanes) {
      const Channel p = LoadChannel(parameters, s.channels, c);
      Vector sum = {}, product = {};
      for (int64_t r = start; r < end; r++) {
        Vector dz = Load(dy + r * s.channels + c);
        if (s.pool) {
          const float* from = x + (r / half) * 2 * row + (r % half) * 2 * s.channels + c;
          const Window w = LoadWindow(from, s.channels, row, p);
          if (s.relu) dz = Select(w.best > zero, dz, zero);
          product += dz * w.centred;
        } else {
          const Vector d = Load(x + r * s.channels + c) - p.mean;
          if (s.relu) dz = Select(d * p.scale + p.shift > zero, dz, zero);
          product += dz * d;
        }
        sum += dz;
      }
      AddTo(dz_sums + c, sum);
      AddTo(product_sums + c, product);
    }
  }
}

// dx = a * dz + b * (x - mean) + d, with coefficients [a, b, d] of each channel.
FOR_EACH_CPU void InputGradient(const float* dy, const float* x, const float* parameters, const float* coefficients,
                                const Shape& s, int64_t first, int64_t last, float* dx) {
  const Vector zero = {};
  if (!s.pool) {
    for (int64_t r = first; r < last; r++) {
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Channel p = LoadChannel(parameters, s.channels, c);
        const Channel k = LoadChannel(coefficients, s.channels, c);
        const Vector d = Load(x + r * s.channels + c) - p.mean;
        Vector dz = Load(dy + r * s.channels + c);
        if (s.relu) dz = Select(d * p.scale + p.shift > zero, dz, zero);
        Store(dx + r * s.channels + c, k.mean * dz + (k.scale * d + k.shift));
      }
    }
    return;
  }
  const int64_t row = s.width * s.channels;
  for (int64_t line = first; line < last; line++) {
    for (int64_t column = 0; column < s.width / 2; column++) {
      const int64_t at = line * 2 * row + column * 2 * s.channels;
      const float* from = dy + (line * (s.width / 2) + column) * s.channels;
      for (int64_t c = 0; c < s.channels; c += kLanes) {
        const Channel p = LoadChannel(parameters, s.channels, c);
        const Channel k = LoadChannel(coefficients, s.channels, c);
        const Window w = LoadWindow(x + at + c, s.channels, row, p);
        Vector dz = Load(from + c);
        if (s.relu) dz = Select(w.best > zero, dz, zero);
        const Vector dz3 = Select(w.later3, dz, zero);
        dz = Select(w.later3, zero, dz);
        const Vector dz2 = Select(w.later2, dz, zero);
        dz = Select(w.later2, zero, dz);
        const Vector dz1 = Select(w.later1, dz, zero);
        const Vector dz0 = Select(w.later1, zero, dz);
        float* to = dx + at + c;
        Store(to, k.mean * dz0 + (k.scale * w.x0 + k.shift));
        Store(to + s.channels, k.mean * dz1 + (k.scale * w.x1 + k.shift));
        Store(to + row, k.mean * dz2 + (k.scale * w.x2 + k.shift));
        Store(to + row + s.channels, k.mean * dz3 + (k.scale * w.x3 + k.shift));
      }
    }
  }
}

// The ledger's hash (src/shared/ledger/hash.ts has the same function in JavaScript and its reasons): four vectors of
// lanes, because one would wait for its own product at each step.
typedef uint32_t Words __attribute__((vector_size(64)));
constexpr int kChains = 4;
constexpr int kHashLanes = kChains * kLanes;
constexpr int64_t kHashBlock = 16 * kHashLanes;
struct HashState {
  Words lanes[kChains];
};
INLINE uint32_t Rotate(uint32_t x, int by) { return (x << by) | (x >> (32 - by)); }
INLINE Words LoadWords(const float* from) {
  Words words;
  __builtin_memcpy(&words, from, sizeof words);
  return words;
}
INLINE Words MixWords(Words state, Words words) {
  state = (state ^ words) * 0x85ebca6bu;
  return (state << 13) | (state >> 19);
}
INLINE void BeginHash(HashState* state) {
  for (int lane = 0; lane < kHashLanes; lane++)
    state->lanes[lane / kLanes][lane % kLanes] = 0x9e3779b9u * static_cast<uint32_t>(lane + 1);
}
// Only the last piece of a vector may have a length that is not a multiple of kHashLanes.
INLINE void UpdateHash(HashState* state, const float* values, int64_t count) {
  Words a = state->lanes[0], b = state->lanes[1], c = state->lanes[2], d = state->lanes[3];
  int64_t i = 0;
  for (; i + kHashLanes <= count; i += kHashLanes) {
    a = MixWords(a, LoadWords(values + i));
    b = MixWords(b, LoadWords(values + i + kLanes));
    c = MixWords(c, LoadWords(values + i + 2 * kLanes));
    d = MixWords(d, LoadWords(values + i + 3 * kLanes));
  }
  state->lanes[0] = a;
  state->lanes[1] = b;
  state->lanes[2] = c;
  state->lanes[3] = d;
  for (; i < count; i++) {
    uint32_t word;
    __builtin_memcpy(&word, values + i, sizeof word);
    const int lane = static_cast<int>(i % kHashLanes);
    Words& of = state->lanes[lane / kLanes];
    of[lane % kLanes] = Rotate((of[lane % kLanes] ^ word) * 0x85ebca6bu, 13);
  }
}
INLINE void FinishHash(const HashState& state, int64_t count, uint32_t* out) {
  uint32_t a = static_cast<uint32_t>(count), b = ~a;
  for (int lane = 0; lane < kHashLanes; lane++) {
    const uint32_t word = state.lanes[lane / kLanes][lane % kLanes];
    a = Rotate((a ^ word) * 0xc2b2ae35u, 15);
    b = Rotate((b ^ word) * 0x27d4eb2fu, 11);
  }
  out[0] = a ^ (b >> 16);
  out[1] = b ^ (a >> 15);
}
FOR_EACH_CPU void Hash(const float* values, int64_t count, uint32_t* out) {
  HashState state;
  BeginHash(&state);
  UpdateHash(&state, values, count);
  FinishHash(state, count, out);
}

// PyTorch's order of operations (torch/optim/adam.py, _single_tensor_adam).
// Vectors are independent of each other, and the square root is that of IEEE 754: the same bits at any width.
//
// The state is in place; the new parameters go into `out` as well.
//
// With `hash`, the ledger's hash of the new parameters: a block at a time, while it is in the first-level cache.
FOR_EACH_CPU void Adam(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict g,
                       const float* scalars, int64_t count, float* __restrict out, uint32_t* hash) {
  const float first = scalars[0];       // 1 - beta1
  const float keep = scalars[1];        // beta2
  const float second = scalars[2];      // 1 - beta2
  const float correction = scalars[3];  // sqrt(1 - beta2^t)
  const float epsilon = scalars[4];
  const float step = scalars[5];  // -lr / (1 - beta1^t)
  HashState state;
  BeginHash(&state);
  for (int64_t start = 0; start < count; start += kHashBlock) {
    const int64_t end = start + kHashBlock < count ? start + kHashBlock : count;
    for (int64_t i = start; i < end; i++) {
      m[i] = m[i] + first * (g[i] - m[i]);
      v[i] = v[i] * keep + second * g[i] * g[i];
      p[i] = p[i] + step * m[i] / (std::sqrt(v[i]) / correction + epsilon);
      out[i] = p[i];
    }
    if (hash) UpdateHash(&state, out + start, end - start);
  }
  if (hash) FinishHash(state, count, hash);
}

// Copies; with `hash`, the ledger's hash of what was copied as well.
FOR_EACH_CPU void Copy(float* __restrict to, const float* __restrict from, int64_t count, uint32_t* hash) {
  if (!hash) {
    std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  HashState state;
  BeginHash(&state);
  for (int64_t start = 0; start < count; start += kHashBlock) {
    const int64_t size = start + kHashBlock < count ? kHashBlock : count - start;
    std::memcpy(to + start, from + start, static_cast<size_t>(size) * sizeof(float));
    UpdateHash(&state, from + start, size);
  }
  FinishHash(state, count, hash);
}

// out = left + right, each sum rounded once: the same bits at any width. `out` may be `left` or `right`.
FOR_EACH_CPU void Add(float* out, const float* left, const float* right, int64_t count) {
  for (int64_t i = 0; i < count; i++) out[i] = left[i] + right[i];
}

}  // namespace lockstep
