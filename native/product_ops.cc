// TensorFlow CPU ops that multiply: LockstepConv, LockstepConvInputGradient and LockstepConvFilterGradient (3x3
// convolutions with stride 1 and same padding, winograd.h) and LockstepDenseGradient. They check arguments, choose the
// kernels for the CPU and split the work among threads; the arithmetic is in simd.h.
//
// Layouts: x [N, H, W, C], filter [3, 3, C, K], y [N, H, W, K]; for the dense gradient x [N, C], dy [N, K]. C and K are
// multiples of 16. Attribute `precision` is 0 for float32 and 1 for bfloat16 factors. On a CPU without the
// instructions, an op fails with TF_UNIMPLEMENTED when its kernel is created.

#include "kernel_choice.h"
#include "op.h"
#include "pinned_buffer.h"
#include "registration.h"
#include "simd.h"
#include "thread_pool.h"

#ifdef LOCKSTEP_SIMD

namespace {

using namespace lockstep;

// The entry points of simd.h for one instruction set and precision.
struct Kernels {
  decltype(&float32_avx512::WinogradTransformFilter) transform_filter;
  decltype(&float32_avx512::WinogradForward) forward;
  decltype(&float32_avx512::WinogradPartitionGradient) partition_gradient;
  decltype(&float32_avx512::WinogradFilterGradient) filter_gradient;
  decltype(&float32_avx512::DensePack) dense_pack;
  decltype(&float32_avx512::DenseGradient) dense_gradient;
  int64_t pack;
};
#define KERNELS(version)                                                                            \
  {                                                                                                 \
    version::WinogradTransformFilter, version::WinogradForward, version::WinogradPartitionGradient, \
        version::WinogradFilterGradient, version::DensePack, version::DenseGradient, version::kPack \
  }

enum Precision : int32_t { kFloat32 = 0, kBfloat16 = 1 };

// The fastest kernels that this CPU can run; null if it lacks the instructions.
const Kernels* FindKernels(int32_t precision) {
  static const Kernels float32_wide = KERNELS(float32_avx512), float32_narrow = KERNELS(float32_avx2);
  static const Kernels bfloat16_wide = KERNELS(bfloat16_avx512);
  if (precision == kBfloat16) return HasAvx512() && __builtin_cpu_supports("avx512bf16") ? &bfloat16_wide : nullptr;
  return Fastest(float32_wide, float32_narrow);
}

// The kernels for the op's precision. Returns null and fails the construction if there are none.
const Kernels* KernelsFromAttributes(TF_OpKernelConstruction* construction) {
  Status s;
  int32_t precision = kFloat32;
  TF_OpKernelConstruction_GetAttrInt32(construction, "precision", &precision, s.status);
  const Kernels* found = s.ok() ? FindKernels(precision) : nullptr;
  if (s.ok() && found == nullptr)
    TF_SetStatus(s.status, TF_UNIMPLEMENTED,
                 precision == kBfloat16
                     ? "Lockstep products in bfloat16: expected a CPU with AVX-512 BF16 (avx512f, avx512bw, avx512vl, "
                       "avx512dq, avx512bf16), got one without it"
                     : "Lockstep products: expected a CPU with AVX-512 or with AVX2 and FMA, got one without them");
  if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
  return found;
}
// The state of a convolution's kernel is a pointer to a static table, which is not deleted.
void* CreateKernels(TF_OpKernelConstruction* construction) {
  return const_cast<Kernels*>(KernelsFromAttributes(construction));
}

bool ReadShape(TF_OpKernelContext* context, const Input& x, int64_t outputs, ConvShape* s) {
  if (!Require(context, x.rank() == 4, "Lockstep convolution: expected an input [N, H, W, C], got ", x)) return false;
  *s = {x.dim(0), x.dim(1), x.dim(2), x.dim(3), outputs};
  return Require(context, s->valid(), "Lockstep convolution: expected pixels, and channels in multiples of ",
                 kChannelGroup, ", got an input ", x, " and ", outputs, " outputs");
}

bool RequireFilter(TF_OpKernelContext* context, const Input& filter) {
  return Require(context, filter.rank() == 4 && filter.dim(0) == 3 && filter.dim(1) == 3,
                 "Lockstep convolution: expected a filter [3, 3, C, K], got ", filter);
}

// Zeros in place of the pixels outside an image. They are written once, when the vector grows.
const float* Zeros(const ConvShape& s) {
  thread_local std::vector<float> zeros;
  const size_t size = static_cast<size_t>(std::max(s.inputs, s.outputs));
  if (zeros.size() < size) zeros.resize(size);
  return zeros.data();
}

// Sets the output to the convolution of x with `filter` [3, 3, inputs, outputs].
void Convolve(TF_OpKernelContext* context, const Kernels& kernels, const float* x, const float* filter,
              const ConvShape& s) {
  Status status;
  Output y(context, TF_FLOAT, {s.images, s.height, s.width, s.outputs}, 4, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  thread_local Scratch scratch;
  float* transformed = scratch.Reserve(s.filter_floats());
  kernels.transform_filter(filter, s.inputs, s.outputs, transformed);
  const float* zeros = Zeros(s);
  ThreadPool::Get().ParallelFor(s.blocks(), 1, [&](int64_t from, int64_t to) {
    kernels.forward(x, transformed, zeros, s, from, to, static_cast<float*>(y.data()));
  });
}

// x, filter -> y.
void ComputeForward(void* kernels, TF_OpKernelContext* context) {
  Status status;
  Input x(context, 0, status), filter(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!RequireFilter(context, filter)) return;
  if (!ReadShape(context, x, filter.dim(3), &s)) return;
  if (!Require(context, filter.dim(2) == s.inputs, "LockstepConv: expected a filter with ", s.inputs, " inputs, got ",
               filter))
    return;
  Convolve(context, *static_cast<const Kernels*>(kernels), x.data(), filter.data(), s);
}

// Rotates a filter [3, 3, inputs, outputs] by 180 degrees and exchanges its channels: [3, 3, outputs, inputs].
void RotateFilter(const float* filter, int64_t inputs, int64_t outputs, float* rotated) {
  const int64_t plane = inputs * outputs;
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t c = 0; c < inputs; c++)
      for (int64_t k = 0; k < outputs; k++)
        rotated[(8 - tap) * plane + k * inputs + c] = filter[tap * plane + c * outputs + k];
}

// dy, filter -> dx.
void ComputeInputGradient(void* kernels, TF_OpKernelContext* context) {
  Status status;
  Input dy(context, 0, status), filter(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!RequireFilter(context, filter)) return;
  if (!ReadShape(context, dy, filter.dim(2), &s)) return;
  if (!Require(context, filter.dim(3) == s.inputs, "LockstepConvInputGradient: expected a filter with ", s.inputs,
               " outputs, got ", filter))
    return;
  thread_local Scratch scratch;
  float* rotated = scratch.Reserve(filter.count());
  RotateFilter(filter.data(), s.outputs, s.inputs, rotated);
  Convolve(context, *static_cast<const Kernels*>(kernels), dy.data(), rotated, s);
}

// x, dy -> the gradient of the filter.
void ComputeFilterGradient(void* kernel, TF_OpKernelContext* context) {
  const Kernels& kernels = *static_cast<const Kernels*>(kernel);
  Status status;
  Input x(context, 0, status), dy(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!Require(context, dy.rank() == 4, "LockstepConvFilterGradient: expected dy [N, H, W, K], got ", dy)) return;
  if (!ReadShape(context, x, dy.dim(3), &s)) return;
  if (!Require(context, dy.dim(0) == s.images && dy.dim(1) == s.height && dy.dim(2) == s.width,
               "LockstepConvFilterGradient: expected dy with the images and pixels of x ", x, ", got ", dy))
    return;
  Output filter(context, TF_FLOAT, {3, 3, s.inputs, s.outputs}, 4, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  thread_local Scratch scratch;
  float* partitions = scratch.Reserve(s.partitions() * s.filter_floats());
  const float* zeros = Zeros(s);
  ThreadPool::Get().ParallelFor(s.partitions(), 1, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++)
      kernels.partition_gradient(x.data(), dy.data(), zeros, s, i, partitions + i * s.filter_floats());
  });
  kernels.filter_gradient(partitions, s, static_cast<float*>(filter.data()));
}

struct DenseGradientKernel {
  const Kernels* kernels;
  PinnedBuffer gradient;
};
void* CreateDenseGradient(TF_OpKernelConstruction* construction) {
  return new DenseGradientKernel{KernelsFromAttributes(construction), PinnedBuffer::FromAttributes(construction)};
}
void DeleteDenseGradient(void* kernel) { delete static_cast<DenseGradientKernel*>(kernel); }

// x, dy -> an empty tensor; writes the gradient of the matrix [C, K] to the pinned buffer.
void ComputeDenseGradient(void* kernel, TF_OpKernelContext* context) {
  const auto& [table, gradient] = *static_cast<DenseGradientKernel*>(kernel);
  const Kernels& kernels = *table;
  Status status;
  Input x(context, 0, status), dy(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  if (!Require(context, x.rank() == 2 && dy.rank() == 2 && x.dim(0) == dy.dim(0),
               "LockstepDenseGradient: expected x [N, C] and dy [N, K], got ", x, " and ", dy))
    return;
  const int64_t rows = x.dim(0), inputs = x.dim(1), outputs = dy.dim(1);
  if (!Require(context,
               inputs % kChannelGroup == 0 && outputs % kChannelGroup == 0 && inputs * outputs == gradient.count,
               "LockstepDenseGradient: expected channels in multiples of ", kChannelGroup, " for a buffer of ",
               gradient.count, " floats, got x ", x, " and dy ", dy))
    return;
  const float* factors = x.data();
  const float* gradients = dy.data();
  thread_local Scratch scratch;
  if (kernels.pack > 1) {
    const int64_t length = (rows + kernels.pack - 1) / kernels.pack;
    float* packed = scratch.Reserve(length * (inputs + outputs));
    kernels.dense_pack(x.data(), rows, inputs, packed);
    kernels.dense_pack(dy.data(), rows, outputs, packed + length * inputs);
    factors = packed;
    gradients = packed + length * inputs;
  }
  ThreadPool::Get().ParallelFor(inputs / kChannelGroup, 1, [&](int64_t from, int64_t to) {
    kernels.dense_gradient(factors, gradients, rows, inputs, outputs, from * kChannelGroup, to * kChannelGroup,
                           gradient.data());
  });
  SetEmptyOutput(context);
}

const bool registered = [] {
  const Attributes precision = {{"precision: int = 0"}, CreateKernels, nullptr};
  Register("LockstepConv", {"x: float", "filter: float"}, "y: float", precision, ComputeForward);
  Register("LockstepConvInputGradient", {"dy: float", "filter: float"}, "dx: float", precision, ComputeInputGradient);
  Register("LockstepConvFilterGradient", {"x: float", "dy: float"}, "gradient: float", precision,
           ComputeFilterGradient);
  Attributes pinned = {PinnedBuffer::AttributeSpecifications(), CreateDenseGradient, DeleteDenseGradient};
  pinned.specifications.push_back("precision: int = 0");
  Register("LockstepDenseGradient", {"x: float", "dy: float"}, "done: float", pinned, ComputeDenseGradient);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_SIMD
