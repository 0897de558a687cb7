// TensorFlow CPU ops for BatchNorm with the ReLU or ReLU6 and 2x2 max-pool that may follow it: LockstepMoments,
// LockstepBatchNorm, LockstepBatchNormSums and LockstepBatchNormGradient. They check arguments and split the work among
// threads; the arithmetic and the layouts are in batch_norm.h.
//
// Attribute `mode` is a set of bits: 1 for the ReLU, 2 for the pool, 4 for a cap at 6. float64 results are [2, C, 2]
// int32 words, because tfjs has no float64 tensors.

#include "batch_norm.h"
#include "op.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

// Calls work(first, last) concurrently for ranges of rows, or of rows of pooled pixels.
template <class Work>
void ForEachRowRange(const BatchNormShape& shape, const Work& work) {
  ThreadPool::Get().ParallelFor(shape.items(), kGrainFloats / shape.floats_per_item() + 1, work);
}
// Calls work(first, last) concurrently for ranges of channels, in multiples of kLanes.
template <class Work>
void ForEachChannelRange(const BatchNormShape& shape, const Work& work) {
  const int64_t grain = kGrainFloats / (shape.rows * kLanes + 1) + 1;
  ThreadPool::Get().ParallelFor(shape.channels / kLanes, grain,
                                [&](int64_t from, int64_t to) { work(from * kLanes, to * kLanes); });
}

enum ModeBits : int32_t { kRelu = 1, kPool = 2, kCapped = 4 };

struct Mode {
  int32_t bits = 0;
};
void* CreateMode(TF_OpKernelConstruction* construction) {
  Mode* mode = new Mode;
  Status s;
  TF_OpKernelConstruction_GetAttrInt32(construction, "mode", &mode->bits, s.status);
  if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
  return mode;
}
void DeleteMode(void* kernel) { delete static_cast<Mode*>(kernel); }

bool ReadShape(TF_OpKernelContext* context, const Input& x, const Mode& mode, BatchNormShape* shape) {
  const int rank = x.rank();
  if (!Require(context, rank == 2 || rank == 4, "Lockstep BatchNorm: expected x [rows, C] or [N, H, W, C], got ", x))
    return false;
  shape->channels = x.dim(rank - 1);
  if (!Require(context, shape->channels > 0 && shape->channels % kLanes == 0,
               "Lockstep BatchNorm: expected x with channels in a multiple of ", kLanes, ", got ", x))
    return false;
  shape->rows = x.count() / shape->channels;
  shape->images = x.dim(0);
  shape->height = rank == 4 ? x.dim(1) : 1;
  shape->width = rank == 4 ? x.dim(2) : 1;
  shape->relu = (mode.bits & kRelu) != 0;
  shape->pool = (mode.bits & kPool) != 0;
  shape->capped = (mode.bits & kCapped) != 0;
  return Require(context, !shape->pool || (shape->height % 2 == 0 && shape->width % 2 == 0),
                 "Lockstep BatchNorm: expected x with even height and width for the pool, got ", x);
}

bool RequireThreePerChannel(TF_OpKernelContext* context, const Input& values, const char* name,
                            const BatchNormShape& shape) {
  return Require(context, values.count() == 3 * shape.channels, "Lockstep BatchNorm: expected ", name, " [3, ",
                 shape.channels, "], got ", values);
}

// Sets the output to two float64 vectors of `channels` values, as int32 words.
void SetDoubleOutput(TF_OpKernelContext* context, const std::vector<double>& values, int64_t channels) {
  Status s;
  Output out(context, TF_INT32, {2, channels, 2}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  std::memcpy(out.data(), values.data(), values.size() * sizeof(double));
}

// x -> mean and sum of squared deviations of each channel.
void ComputeMoments(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  BatchNormShape shape;
  if (!ReadShape(context, x, Mode{}, &shape)) return;
  std::vector<double> out(2 * shape.channels);
  ForEachChannelRange(shape, [&](int64_t from, int64_t to) {
    BatchNormMoments(x.data(), shape.rows, shape.channels, from, to, out.data(), out.data() + shape.channels);
  });
  SetDoubleOutput(context, out, shape.channels);
}

// x, parameters [3, C] -> y.
void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), parameters(context, 1, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  BatchNormShape shape;
  if (!ReadShape(context, x, *static_cast<Mode*>(kernel), &shape)) return;
  if (!RequireThreePerChannel(context, parameters, "parameters", shape)) return;
  std::vector<int64_t> dims = x.dims();
  if (shape.pool) {
    dims[1] /= 2;
    dims[2] /= 2;
  }
  Output y(context, TF_FLOAT, dims, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ForEachRowRange(shape, [&](int64_t from, int64_t to) {
    BatchNormForward(x.data(), parameters.data(), shape, from, to, static_cast<float*>(y.data()));
  });
}

bool ReadGradientInputs(TF_OpKernelContext* context, const Mode& mode, const Input& dy, const Input& x,
                        const Input& parameters, BatchNormShape* shape) {
  return ReadShape(context, x, mode, shape) && RequireThreePerChannel(context, parameters, "parameters", *shape) &&
         Require(context, dy.count() == (shape->pool ? x.count() / 4 : x.count()),
                 "Lockstep BatchNorm: expected dy of the output's size for x ", x, ", got ", dy);
}

// dy, x, parameters -> sums of dz and of dz * (x - mean) of each channel.
void ComputeSums(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), x(context, 1, s), parameters(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  BatchNormShape shape;
  if (!ReadGradientInputs(context, *static_cast<Mode*>(kernel), dy, x, parameters, &shape)) return;
  std::vector<double> out(2 * shape.channels);
  ForEachChannelRange(shape, [&](int64_t from, int64_t to) {
    BatchNormGradientSums(dy.data(), x.data(), parameters.data(), shape, from, to, out.data(),
                          out.data() + shape.channels);
  });
  SetDoubleOutput(context, out, shape.channels);
}

// dy, x, parameters, coefficients [3, C] -> dx.
void ComputeInputGradient(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), x(context, 1, s), parameters(context, 2, s), coefficients(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  BatchNormShape shape;
  if (!ReadGradientInputs(context, *static_cast<Mode*>(kernel), dy, x, parameters, &shape)) return;
  if (!RequireThreePerChannel(context, coefficients, "coefficients", shape)) return;
  Output dx(context, TF_FLOAT, x.dims(), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ForEachRowRange(shape, [&](int64_t from, int64_t to) {
    BatchNormInputGradient(dy.data(), x.data(), parameters.data(), coefficients.data(), shape, from, to,
                           static_cast<float*>(dx.data()));
  });
}

const bool registered = [] {
  const Attributes none, mode = {{"mode: int = 0"}, CreateMode, DeleteMode};
  Register("LockstepMoments", {"x: float"}, "y: int32", none, ComputeMoments);
  Register("LockstepBatchNorm", {"x: float", "parameters: float"}, "y: float", mode, ComputeForward);
  Register("LockstepBatchNormSums", {"dy: float", "x: float", "parameters: float"}, "y: int32", mode, ComputeSums);
  Register("LockstepBatchNormGradient", {"dy: float", "x: float", "parameters: float", "coefficients: float"},
           "dx: float", mode, ComputeInputGradient);
  return true;
}();

}  // namespace
