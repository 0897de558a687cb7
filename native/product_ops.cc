// Lockstep's own TensorFlow ops that multiply, on the CPU, with channels in multiples of 16; made only where the CPU
// has the instructions. 3x3 convolutions (winograd.h): x [N, H, W, C], filter [3, 3, C, K], y [N, H, W, K]. The
// gradient of a dense layer's matrix [C, K] from x [N, C] and dy [N, K], written where it leaves from.

#include "op.h"
#include "parallel.h"
#include "place.h"
#include "simd.h"

#ifdef LOCKSTEP_SIMD

namespace {

using namespace lockstep;

// The functions of simd.h for this CPU and a precision.
struct Kernels {
  decltype(&float32_avx512::WinogradFilter) filter;
  decltype(&float32_avx512::WinogradForward) forward;
  decltype(&float32_avx512::WinogradFilterGradientPart) filter_gradient_part;
  decltype(&float32_avx512::WinogradFilterGradient) filter_gradient;
  decltype(&float32_avx512::DensePack) dense_pack;
  decltype(&float32_avx512::DenseGradient) dense_gradient;
  int64_t pack;
};
#define KERNELS(of)                                                                                      \
  {                                                                                                      \
    of::WinogradFilter, of::WinogradForward, of::WinogradFilterGradientPart, of::WinogradFilterGradient, \
        of::DensePack, of::DenseGradient, of::kPack                                                      \
  }

enum Precision : int32_t { kFloat32 = 0, kBfloat16 = 1 };

// Null where the CPU lacks the instructions.
const Kernels* FindKernels(int32_t precision) {
  static const Kernels wide = KERNELS(float32_avx512), narrow = KERNELS(float32_avx2);
  static const Kernels compact = KERNELS(bfloat16_avx512);
  __builtin_cpu_init();
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (precision == kBfloat16) return avx512 && __builtin_cpu_supports("avx512bf16") ? &compact : nullptr;
  if (avx512) return &wide;
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &narrow : nullptr;
}

// Of the attribute; null, and the construction fails, where the CPU lacks the instructions.
const Kernels* KernelsOf(TF_OpKernelConstruction* construction) {
  Status s;
  int32_t precision = kFloat32;
  TF_OpKernelConstruction_GetAttrInt32(construction, "precision", &precision, s.status);
  const Kernels* found = s.ok() ? FindKernels(precision) : nullptr;
  if (s.ok() && found == nullptr)
    TF_SetStatus(s.status, TF_UNIMPLEMENTED, "Lockstep: this CPU lacks the instructions for its products");
  if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
  return found;
}
void* CreateKernels(TF_OpKernelConstruction* construction) { return const_cast<Kernels*>(KernelsOf(construction)); }

bool ReadShape(TF_OpKernelContext* context, const Input& x, int64_t outputs, ConvShape* s) {
  if (!Require(context, x.rank() == 4, "Lockstep: a convolution's input must be [N, H, W, C]")) return false;
  *s = {x.dim(0), x.dim(1), x.dim(2), x.dim(3), outputs};
  return Require(context, s->valid(), "Lockstep: a convolution needs images, and channels in multiples of 16");
}

bool RequireFilter(TF_OpKernelContext* context, const Input& filter, const char* what) {
  return Require(context, filter.rank() == 4 && filter.dim(0) == 3 && filter.dim(1) == 3, what);
}

// Filled with zeros once: the pixels outside of an image.
const float* Zeros(const ConvShape& s) {
  thread_local std::vector<float> zeros;
  const size_t size = static_cast<size_t>(std::max(s.inputs, s.outputs));
  if (zeros.size() < size) zeros.resize(size);
  return zeros.data();
}

// y of x under `filter`, as it is or already turned.
void Convolve(TF_OpKernelContext* context, const Kernels& kernels, const float* x, const float* filter,
              const ConvShape& s) {
  Status status;
  Output y(context, TF_FLOAT, {s.images, s.height, s.width, s.outputs}, 4, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  thread_local Scratch scratch;
  float* transformed = scratch.Take(s.filter_floats());
  kernels.filter(filter, s.inputs, s.outputs, transformed);
  const float* zeros = Zeros(s);
  Threads::Get().Share(s.blocks(), 1, [&](int64_t from, int64_t to) {
    kernels.forward(x, transformed, zeros, s, from, to, static_cast<float*>(y.data()));
  });
}

void ComputeForward(void* kernels, TF_OpKernelContext* context) {
  Status status;
  Input x(context, 0, status), filter(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!RequireFilter(context, filter, "Lockstep: the filter must be [3, 3, C, K]")) return;
  if (!ReadShape(context, x, filter.dim(3), &s)) return;
  if (!Require(context, filter.dim(2) == s.inputs, "Lockstep: the filter doesn't fit the input")) return;
  Convolve(context, *static_cast<const Kernels*>(kernels), x.data(), filter.data(), s);
}

// The filter turned by 180 degrees, its inputs and outputs exchanged.
void Turn(const float* filter, int64_t inputs, int64_t outputs, float* turned) {
  const int64_t plane = inputs * outputs;
  for (int64_t tap = 0; tap < 9; tap++)
    for (int64_t c = 0; c < inputs; c++)
      for (int64_t k = 0; k < outputs; k++)
        turned[(8 - tap) * plane + k * inputs + c] = filter[tap * plane + c * outputs + k];
}

void ComputeInputGradient(void* kernels, TF_OpKernelContext* context) {
  Status status;
  Input dy(context, 0, status), filter(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!RequireFilter(context, filter, "Lockstep: the filter must be [3, 3, C, K]")) return;
  if (!ReadShape(context, dy, filter.dim(2), &s)) return;
  if (!Require(context, filter.dim(3) == s.inputs, "Lockstep: the filter doesn't fit the gradient")) return;
  thread_local Scratch scratch;
  float* turned = scratch.Take(filter.count());
  Turn(filter.data(), s.outputs, s.inputs, turned);
  Convolve(context, *static_cast<const Kernels*>(kernels), dy.data(), turned, s);
}

void ComputeFilterGradient(void* found, TF_OpKernelContext* context) {
  const Kernels& kernels = *static_cast<const Kernels*>(found);
  Status status;
  Input x(context, 0, status), dy(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  ConvShape s;
  if (!Require(context, dy.rank() == 4, "Lockstep: a convolution's gradient must be [N, H, W, K]")) return;
  if (!ReadShape(context, x, dy.dim(3), &s)) return;
  if (!Require(context, dy.dim(0) == s.images && dy.dim(1) == s.height && dy.dim(2) == s.width,
               "Lockstep: the gradient doesn't fit the input"))
    return;
  Output filter(context, TF_FLOAT, {3, 3, s.inputs, s.outputs}, 4, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  thread_local Scratch scratch;
  float* parts = scratch.Take(s.parts() * s.filter_floats());
  const float* zeros = Zeros(s);
  Threads::Get().Share(s.parts(), 1, [&](int64_t from, int64_t to) {
    for (int64_t part = from; part < to; part++)
      kernels.filter_gradient_part(x.data(), dy.data(), zeros, s, part, parts + part * s.filter_floats());
  });
  kernels.filter_gradient(parts, s, static_cast<float*>(filter.data()));
}

struct DenseGradientKernel {
  const Kernels* kernels;
  Place place;
};
void* CreateDenseGradient(TF_OpKernelConstruction* construction) {
  return new DenseGradientKernel{KernelsOf(construction), Place::Of(construction)};
}
void DeleteDenseGradient(void* kernel) { delete static_cast<DenseGradientKernel*>(kernel); }

// The output only makes it an op like others.
void ComputeDenseGradient(void* kernel, TF_OpKernelContext* context) {
  const auto& [found, place] = *static_cast<DenseGradientKernel*>(kernel);
  const Kernels& kernels = *found;
  Status status;
  Input x(context, 0, status), dy(context, 1, status);
  if (!status.ok()) return TF_OpKernelContext_Failure(context, status.status);
  if (!Require(context, x.rank() == 2 && dy.rank() == 2 && x.dim(0) == dy.dim(0),
               "Lockstep: x and dy must be [N, C] and [N, K]"))
    return;
  const int64_t rows = x.dim(0), inputs = x.dim(1), outputs = dy.dim(1);
  if (!Require(context, inputs % kGroup == 0 && outputs % kGroup == 0 && inputs * outputs == place.count,
               "Lockstep: a dense gradient needs channels in multiples of 16, and a place of its size"))
    return;
  const float* factors = x.data();
  const float* gradients = dy.data();
  thread_local Scratch scratch;
  if (kernels.pack > 1) {
    const int64_t words = (rows + kernels.pack - 1) / kernels.pack;
    float* packed = scratch.Take(words * (inputs + outputs));
    kernels.dense_pack(x.data(), rows, inputs, packed);
    kernels.dense_pack(dy.data(), rows, outputs, packed + words * inputs);
    factors = packed;
    gradients = packed + words * inputs;
  }
  Threads::Get().Share(inputs / kGroup, 1, [&](int64_t from, int64_t to) {
    kernels.dense_gradient(factors, gradients, rows, inputs, outputs, from * kGroup, to * kGroup, place.data());
  });
  Output done(context, TF_FLOAT, {0}, 4, status);
  if (!status.ok()) TF_OpKernelContext_Failure(context, status.status);
}

const bool registered = [] {
  const Attributes precision = {{"precision: int = 0"}, CreateKernels, DeleteNothing};
  Register("LockstepConv", {"x: float", "filter: float"}, "y: float", precision, ComputeForward);
  Register("LockstepConvInputGradient", {"dy: float", "filter: float"}, "dx: float", precision, ComputeInputGradient);
  Register("LockstepConvFilterGradient", {"x: float", "dy: float"}, "gradient: float", precision,
           ComputeFilterGradient);
  Attributes placed = {Place::Names(), CreateDenseGradient, DeleteDenseGradient};
  placed.names.push_back("precision: int = 0");
  Register("LockstepDenseGradient", {"x: float", "dy: float"}, "done: float", placed, ComputeDenseGradient);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_SIMD
