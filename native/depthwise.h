// Depthwise convolution with a square filter of 3 or 5 pixels and one output channel per input channel: forward, and
// the gradients of the input and of the filter. Functions compute ranges of rows or of images; they start no threads.
//
// Layouts: x [N, H, W, C], filter [K, K, C], y [N, OH, OW, C]. A channel is one lane, and every sum runs over the taps
// of the filter in order, so the bits are the same on every CPU.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "vectors.h"

namespace lockstep {

struct DepthwiseShape {
  int64_t images, height, width, channels, out_height, out_width;
  int64_t stride_rows, stride_columns, top, left;  // `top` and `left` are pixels of padding
};

// Taps [first, last) of a filter of `size` that lie inside an axis of `length` pixels, for the tap 0 at `origin`.
struct TapRange {
  int64_t first, last;
};
LOCKSTEP_INLINE TapRange TapsInside(int64_t origin, int64_t size, int64_t length) {
  return {std::max<int64_t>(0, -origin), std::min(size, length - origin)};
}

// Rows [from, to) of y, counted over all images. Each group of lanes keeps its filter in registers along a row.
template <int K>
LOCKSTEP_INLINE void DepthwiseRows(const float* x, const float* filter, const DepthwiseShape& s, int64_t from,
                                   int64_t to, float* y) {
  for (int64_t row = from; row < to; row++) {
    const int64_t image = row / s.out_height, origin = row % s.out_height * s.stride_rows - s.top;
    const TapRange rows = TapsInside(origin, K, s.height);
    const float* plane = x + image * s.height * s.width * s.channels;
    for (int64_t c = 0; c < s.channels; c += kLanes) {
      Vector taps[K * K];
      for (int i = 0; i < K * K; i++) taps[i] = LoadLanes(filter + i * s.channels, c, s.channels);
      for (int64_t column = 0; column < s.out_width; column++) {
        const int64_t start = column * s.stride_columns - s.left;
        const TapRange columns = TapsInside(start, K, s.width);
        Vector sum = {};
        if (rows.first == 0 && rows.last == K && columns.first == 0 && columns.last == K) {
          for (int i = 0; i < K; i++)
            for (int j = 0; j < K; j++)
              sum +=
                  LoadLanes(plane + ((origin + i) * s.width + start + j) * s.channels, c, s.channels) * taps[i * K + j];
        } else {
          for (int64_t i = rows.first; i < rows.last; i++)
            for (int64_t j = columns.first; j < columns.last; j++)
              sum +=
                  LoadLanes(plane + ((origin + i) * s.width + start + j) * s.channels, c, s.channels) * taps[i * K + j];
        }
        StoreLanes(y + (row * s.out_width + column) * s.channels, c, s.channels, sum);
      }
    }
  }
}

// Rows [from, to) of dx, counted over all images.
template <int K>
LOCKSTEP_INLINE void DepthwiseInputRows(const float* dy, const float* filter, const DepthwiseShape& s, int64_t from,
                                        int64_t to, float* dx) {
  for (int64_t row = from; row < to; row++) {
    const int64_t image = row / s.height, r = row % s.height;
    const float* plane = dy + image * s.out_height * s.out_width * s.channels;
    for (int64_t c = 0; c < s.channels; c += kLanes) {
      Vector taps[K * K];
      for (int i = 0; i < K * K; i++) taps[i] = LoadLanes(filter + i * s.channels, c, s.channels);
      for (int64_t column = 0; column < s.width; column++) {
        Vector sum = {};
        for (int i = 0; i < K; i++) {
          const int64_t below = r + s.top - i, out_row = below / s.stride_rows;
          if (below < 0 || below % s.stride_rows != 0 || out_row >= s.out_height) continue;
          for (int j = 0; j < K; j++) {
            const int64_t after = column + s.left - j, out_column = after / s.stride_columns;
            if (after < 0 || after % s.stride_columns != 0 || out_column >= s.out_width) continue;
            sum +=
                LoadLanes(plane + (out_row * s.out_width + out_column) * s.channels, c, s.channels) * taps[i * K + j];
          }
        }
        StoreLanes(dx + (row * s.width + column) * s.channels, c, s.channels, sum);
      }
    }
  }
}

// The gradient of the filter over one image, [K, K, C]: per tap the sum over rows of y, each summed first.
template <int K>
LOCKSTEP_INLINE void DepthwiseImageGradient(const float* x, const float* dy, const DepthwiseShape& s, int64_t image,
                                            float* gradient) {
  const float* plane = x + image * s.height * s.width * s.channels;
  for (int64_t c = 0; c < s.channels; c += kLanes) {
    Vector totals[K * K] = {};
    for (int64_t row = 0; row < s.out_height; row++) {
      const int64_t origin = row * s.stride_rows - s.top;
      const TapRange rows = TapsInside(origin, K, s.height);
      Vector sums[K * K] = {};
      for (int64_t column = 0; column < s.out_width; column++) {
        const int64_t start = column * s.stride_columns - s.left;
        const TapRange columns = TapsInside(start, K, s.width);
        const Vector d =
            LoadLanes(dy + ((image * s.out_height + row) * s.out_width + column) * s.channels, c, s.channels);
        for (int i = 0; i < K; i++) {
          if (i < rows.first || i >= rows.last) continue;
          for (int j = 0; j < K; j++) {
            if (j < columns.first || j >= columns.last) continue;
            sums[i * K + j] += d * LoadLanes(plane + ((origin + i) * s.width + start + j) * s.channels, c, s.channels);
          }
        }
      }
      for (int i = 0; i < K * K; i++) totals[i] += sums[i];
    }
    for (int i = 0; i < K * K; i++) StoreLanes(gradient + i * s.channels, c, s.channels, totals[i]);
  }
}

#define LOCKSTEP_DEPTHWISE(K)                                                                                    \
  LOCKSTEP_MULTIVERSIONED void DepthwiseForward##K(const float* x, const float* filter, const DepthwiseShape& s, \
                                                   int64_t from, int64_t to, float* y) {                         \
    DepthwiseRows<K>(x, filter, s, from, to, y);                                                                 \
  }                                                                                                              \
  LOCKSTEP_MULTIVERSIONED void DepthwiseInput##K(const float* dy, const float* filter, const DepthwiseShape& s,  \
                                                 int64_t from, int64_t to, float* dx) {                          \
    DepthwiseInputRows<K>(dy, filter, s, from, to, dx);                                                          \
  }                                                                                                              \
  LOCKSTEP_MULTIVERSIONED void DepthwiseGradient##K(const float* x, const float* dy, const DepthwiseShape& s,    \
                                                    int64_t image, float* gradient) {                            \
    DepthwiseImageGradient<K>(x, dy, s, image, gradient);                                                        \
  }
LOCKSTEP_DEPTHWISE(3)
LOCKSTEP_DEPTHWISE(5)
#undef LOCKSTEP_DEPTHWISE

}  // namespace lockstep
