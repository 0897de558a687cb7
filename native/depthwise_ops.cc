// TensorFlow CPU ops LockstepDepthwise, LockstepDepthwiseInputGradient and LockstepDepthwiseFilterGradient. They check
// arguments and split rows or images among threads; the arithmetic and the layouts are in depthwise.h.
//
// The input `geometry` is int32 [8]: height and width of x, height and width of y, strides, and the padding above and
// to the left.

#include "depthwise.h"

#include <vector>

#include "op.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

struct Geometry {
  DepthwiseShape shape = {};
  int64_t kernel = 0;

  // `x` and `y` may be null where the op has no such input.
  bool Read(TF_OpKernelContext* context, const Input& geometry, const Input* x, const Input* y, int64_t images,
            int64_t channels, int64_t taps) {
    if (!Require(context, geometry.count() == 8, "Lockstep depthwise convolution: expected a geometry [8], got ",
                 geometry))
      return false;
    const int32_t* values = reinterpret_cast<const int32_t*>(geometry.data());
    shape = {images, values[0], values[1], channels, values[2], values[3], values[4], values[5], values[6], values[7]};
    kernel = taps == 9 ? 3 : taps == 25 ? 5 : 0;
    const bool padded = shape.top >= 0 && shape.left >= 0 && shape.top < kernel && shape.left < kernel;
    const int64_t in = images * shape.height * shape.width * channels;
    const int64_t out = images * shape.out_height * shape.out_width * channels;
    return Require(context, kernel > 0 && padded && shape.stride_rows > 0 && shape.stride_columns > 0 && channels > 0,
                   "Lockstep depthwise convolution: expected a filter [3, 3, C] or [5, 5, C] and its geometry, got ",
                   taps, " taps") &&
           Require(context, (!x || x->count() == in) && (!y || y->count() == out),
                   "Lockstep depthwise convolution: expected ", in, " pixels of x and ", out, " of y in all channels");
  }
};

// The number of channels and of taps of a filter [K, K, C].
bool ReadFilter(TF_OpKernelContext* context, const Input& filter, int64_t* channels, int64_t* taps) {
  if (!Require(context, filter.rank() >= 3 && filter.count() > 0,
               "Lockstep depthwise convolution: expected a filter [K, K, C], got ", filter))
    return false;
  *channels = filter.dim(2);
  *taps = filter.dim(0) * filter.dim(1);
  return Require(context, filter.count() == *channels * *taps && filter.dim(0) == filter.dim(1),
                 "Lockstep depthwise convolution: expected one output per channel and a square filter, got ", filter);
}

int64_t GrainOf(int64_t floats_per_item) { return kGrainFloats / (9 * floats_per_item + 1) + 1; }

// x, filter, geometry -> y.
void ComputeForward(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), filter(context, 1, s), geometry(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  int64_t channels, taps;
  if (!ReadFilter(context, filter, &channels, &taps)) return;
  Geometry g;
  if (!g.Read(context, geometry, &x, nullptr, x.rank() > 0 ? x.dim(0) : 0, channels, taps)) return;
  const DepthwiseShape& shape = g.shape;
  Output y(context, TF_FLOAT, {shape.images, shape.out_height, shape.out_width, channels}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ThreadPool::Get().ParallelFor(shape.images * shape.out_height, GrainOf(shape.out_width * channels),
                                [&](int64_t from, int64_t to) {
                                  (g.kernel == 3 ? DepthwiseForward3 : DepthwiseForward5)(
                                      x.data(), filter.data(), shape, from, to, static_cast<float*>(y.data()));
                                });
}

// dy, filter, geometry -> dx.
void ComputeInputGradient(void*, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), filter(context, 1, s), geometry(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  int64_t channels, taps;
  if (!ReadFilter(context, filter, &channels, &taps)) return;
  Geometry g;
  if (!g.Read(context, geometry, nullptr, &dy, dy.rank() > 0 ? dy.dim(0) : 0, channels, taps)) return;
  const DepthwiseShape& shape = g.shape;
  Output dx(context, TF_FLOAT, {shape.images, shape.height, shape.width, channels}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ThreadPool::Get().ParallelFor(shape.images * shape.height, GrainOf(shape.width * channels),
                                [&](int64_t from, int64_t to) {
                                  (g.kernel == 3 ? DepthwiseInput3 : DepthwiseInput5)(
                                      dy.data(), filter.data(), shape, from, to, static_cast<float*>(dx.data()));
                                });
}

// x, dy, geometry, taps [K, K] (its shape alone) -> the gradient of the filter [K, K, C].
void ComputeFilterGradient(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), dy(context, 1, s), geometry(context, 2, s), size(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t channels = x.rank() > 0 ? x.dim(x.rank() - 1) : 0, images = x.rank() > 0 ? x.dim(0) : 0;
  Geometry g;
  if (!g.Read(context, geometry, &x, &dy, images, channels, size.count())) return;
  const int64_t count = g.kernel * g.kernel * channels;
  Output gradient(context, TF_FLOAT, {g.kernel, g.kernel, channels}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  std::vector<float> partial(static_cast<size_t>(images * count));
  ThreadPool::Get().ParallelFor(images, 1, [&](int64_t from, int64_t to) {
    for (int64_t image = from; image < to; image++)
      (g.kernel == 3 ? DepthwiseGradient3 : DepthwiseGradient5)(x.data(), dy.data(), g.shape, image,
                                                                partial.data() + image * count);
  });
  float* out = static_cast<float*>(gradient.data());
  std::fill(out, out + count, 0.0f);
  for (int64_t image = 0; image < images; image++)
    for (int64_t i = 0; i < count; i++) out[i] += partial[static_cast<size_t>(image * count + i)];
}

const bool registered = [] {
  Register("LockstepDepthwise", {"x: float", "filter: float", "geometry: int32"}, "y: float", {}, ComputeForward);
  Register("LockstepDepthwiseInputGradient", {"dy: float", "filter: float", "geometry: int32"}, "dx: float", {},
           ComputeInputGradient);
  Register("LockstepDepthwiseFilterGradient", {"x: float", "dy: float", "geometry: int32", "taps: float"},
           "gradient: float", {}, ComputeFilterGradient);
  return true;
}();

}  // namespace
