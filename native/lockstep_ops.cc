// Lockstep's own TensorFlow ops for BatchNorm, Dropout and Adam on the CPU.

#include "allocator.h"
#include "arithmetic.h"
#include "dropout.h"
#include "op.h"
#include "parallel.h"
#include "place.h"

namespace {

using namespace lockstep;

// Less than this, in floats, isn't worth another thread's waking.
constexpr int64_t kGrainFloats = 1 << 15;
// Calls work(from, to) for parts of the rows, or of the lines of windows.
template <class Work>
void ShareRows(const Shape& shape, const Work& work) {
  Threads::Get().Share(shape.units(), kGrainFloats / shape.unit_floats() + 1, work);
}
// The same for parts of the channels.
template <class Work>
void ShareChannels(const Shape& shape, const Work& work) {
  const int64_t grain = kGrainFloats / (shape.rows * kLanes + 1) + 1;
  Threads::Get().Share(shape.channels / kLanes, grain,
                       [&](int64_t from, int64_t to) { work(from * kLanes, to * kLanes); });
}

// 1: ReLU, 2: pool.
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

bool ReadShape(TF_OpKernelContext* context, const Input& x, const Mode& mode, Shape* shape) {
  const int rank = x.rank();
  if (!Require(context, rank == 2 || rank == 4, "Lockstep: x must be [rows, C] or [N, H, W, C]")) return false;
  shape->channels = x.dim(rank - 1);
  if (!Require(context, shape->channels > 0 && shape->channels % kLanes == 0, "Lockstep: C must be a multiple of 16"))
    return false;
  shape->rows = x.count() / shape->channels;
  shape->images = x.dim(0);
  shape->height = rank == 4 ? x.dim(1) : 1;
  shape->width = rank == 4 ? x.dim(2) : 1;
  shape->relu = (mode.bits & 1) != 0;
  shape->pool = (mode.bits & 2) != 0;
  return Require(context, !shape->pool || (shape->height % 2 == 0 && shape->width % 2 == 0),
                 "Lockstep: the pool needs an even height and width");
}

// Two float64 vectors as [2, C, 2] int32 words, since tfjs has no name for float64.
void WriteWide(TF_OpKernelContext* context, const std::vector<double>& values, int64_t channels) {
  Status s;
  Output out(context, TF_INT32, {2, channels, 2}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  std::memcpy(out.data(), values.data(), values.size() * sizeof(double));
}

void ComputeMoments(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Shape shape;
  if (!ReadShape(context, x, Mode{}, &shape)) return;
  std::vector<double> out(2 * shape.channels);
  ShareChannels(shape, [&](int64_t from, int64_t to) {
    Moments(x.data(), shape.rows, shape.channels, from, to, out.data(), out.data() + shape.channels);
  });
  WriteWide(context, out, shape.channels);
}

void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), parameters(context, 1, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Shape shape;
  if (!ReadShape(context, x, *static_cast<Mode*>(kernel), &shape)) return;
  if (!Require(context, parameters.count() == 3 * shape.channels, "Lockstep: parameters must be [3, C]")) return;
  std::vector<int64_t> dims;
  for (int i = 0; i < x.rank(); i++) dims.push_back(x.dim(i));
  if (shape.pool) {
    dims[1] /= 2;
    dims[2] /= 2;
  }
  Output y(context, TF_FLOAT, dims, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ShareRows(shape, [&](int64_t from, int64_t to) {
    Forward(x.data(), parameters.data(), shape, from, to, static_cast<float*>(y.data()));
  });
}

bool ReadGradientInputs(TF_OpKernelContext* context, const Mode& mode, const Input& dy, const Input& x,
                        const Input& parameters, Shape* shape) {
  return ReadShape(context, x, mode, shape) &&
         Require(context, parameters.count() == 3 * shape->channels, "Lockstep: parameters must be [3, C]") &&
         Require(context, dy.count() == (shape->pool ? x.count() / 4 : x.count()), "Lockstep: dy doesn't fit x");
}

void ComputeSums(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), x(context, 1, s), parameters(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Shape shape;
  if (!ReadGradientInputs(context, *static_cast<Mode*>(kernel), dy, x, parameters, &shape)) return;
  std::vector<double> out(2 * shape.channels);
  ShareChannels(shape, [&](int64_t from, int64_t to) {
    Sums(dy.data(), x.data(), parameters.data(), shape, from, to, out.data(), out.data() + shape.channels);
  });
  WriteWide(context, out, shape.channels);
}

void ComputeInputGradient(void* kernel, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), x(context, 1, s), parameters(context, 2, s), coefficients(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Shape shape;
  if (!ReadGradientInputs(context, *static_cast<Mode*>(kernel), dy, x, parameters, &shape)) return;
  if (!Require(context, coefficients.count() == 3 * shape.channels, "Lockstep: coefficients must be [3, C]")) return;
  std::vector<int64_t> dims;
  for (int i = 0; i < x.rank(); i++) dims.push_back(x.dim(i));
  Output dx(context, TF_FLOAT, dims, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ShareRows(shape, [&](int64_t from, int64_t to) {
    InputGradient(dy.data(), x.data(), parameters.data(), coefficients.data(), shape, from, to,
                  static_cast<float*>(dx.data()));
  });
}

// Copies x to `address`. The output only makes it an op like others.
void ComputeStore(void* kernel, TF_OpKernelContext* context) {
  const Place& to = *static_cast<Place*>(kernel);
  Status s;
  Input x(context, 0, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, x.count() == to.count, "Lockstep: x doesn't fit its place")) return;
  // A hash goes over its values in order.
  const int64_t grain = to.hash_data() ? to.count + 1 : 8 * kGrainFloats;
  Threads::Get().Share(to.count, grain, [&](int64_t from, int64_t end) {
    Copy(to.data() + from, x.data() + from, end - from, to.hash_data());
  });
  Output done(context, TF_FLOAT, {0}, 4, s);
  if (!s.ok()) TF_OpKernelContext_Failure(context, s.status);
}

// One parameter's part, `count` elements from `offset` on, of the three state vectors, which are updated in place: the
// caller owns them alone and never shares their buffers. The gradient's part is at `address`. Gives the parameter's new
// value.
void ComputeAdam(void* kernel, TF_OpKernelContext* context) {
  const Place& at = *static_cast<Place*>(kernel);
  Status s;
  Input p(context, 0, s), m(context, 1, s), v(context, 2, s), scalars(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t size = p.count();
  if (!Require(context,
               m.count() == size && v.count() == size && scalars.count() == 6 && at.offset >= 0 && at.count >= 0 &&
                   at.count <= size - at.offset,
               "Lockstep: Adam needs three vectors of one length, a part of them, and six scalars"))
    return;
  Output out(context, TF_FLOAT, {at.count}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t grain = at.hash_data() ? at.count + 1 : kGrainFloats;
  Threads::Get().Share(at.count, grain, [&](int64_t from, int64_t end) {
    const int64_t first = at.offset + from;
    Adam(p.data() + first, m.data() + first, v.data() + first, at.data() + from, scalars.data(), end - from,
         static_cast<float*>(out.data()) + from, at.hash_data());
  });
}

// x where it is kept, scaled, else 0. `counter` is [key, key, first block, word 2, word 3] as int32, `rate`
// [rate, scale]; each row begins at a block of its own.
void ComputeDropout(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), counter(context, 1, s), rate(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, x.rank() >= 1 && counter.count() == 5 && rate.count() == 2,
               "Lockstep: Dropout needs rows, five words, a rate and a scale"))
    return;
  std::vector<int64_t> dims;
  for (int i = 0; i < x.rank(); i++) dims.push_back(x.dim(i));
  Output y(context, TF_FLOAT, dims, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t rows = x.dim(0), columns = rows > 0 ? x.count() / rows : 0;
  const uint32_t* words = reinterpret_cast<const uint32_t*>(counter.data());
  Threads::Get().Share(rows, kGrainFloats / (8 * columns + 1) + 1, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++)
      Dropout(x.data() + row * columns, words, static_cast<uint32_t>(row * ((columns + 3) / 4)), rate.data()[0],
              rate.data()[1], columns, static_cast<float*>(y.data()) + row * columns);
  });
}

const bool memory_kept = lockstep::KeepFreedMemory();

const bool registered = [] {
  const Attributes none, mode = {{"mode: int = 0"}, CreateMode, DeleteMode};
  const Attributes place = {Place::Names(), CreatePlace, DeletePlace};
  Register("LockstepMoments", {"x: float"}, "y: int32", none, ComputeMoments);
  Register("LockstepBatchNorm", {"x: float", "parameters: float"}, "y: float", mode, ComputeForward);
  Register("LockstepBatchNormSums", {"dy: float", "x: float", "parameters: float"}, "y: int32", mode, ComputeSums);
  Register("LockstepBatchNormGradient", {"dy: float", "x: float", "parameters: float", "coefficients: float"},
           "dx: float", mode, ComputeInputGradient);
  Register("LockstepDropout", {"x: float", "counter: int32", "rate: float"}, "y: float", none, ComputeDropout);
  Register("LockstepStore", {"x: float"}, "done: float", place, ComputeStore);
  Register("LockstepAdam", {"p: float", "m: float", "v: float", "scalars: float"}, "out: float", place, ComputeAdam);
  return true;
}();

}  // namespace
