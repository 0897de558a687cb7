// TensorFlow CPU ops LockstepLayerNorm and LockstepLayerNormGradient. They check arguments and split the rows among
// threads; the arithmetic is in layer_norm.h. An empty gamma or beta stands for a layer without it.

#include "layer_norm.h"

#include <vector>

#include "op.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

struct LayerNormInputs {
  int64_t rows = 0, columns = 0;
  const float *gamma = nullptr, *beta = nullptr;
  float epsilon = 0;

  bool Read(TF_OpKernelContext* context, const Input& x, const Input& scale, const Input& offset, const Input& small) {
    if (!Require(context, x.rank() >= 1 && x.dim(x.rank() - 1) > 0, "Lockstep LayerNorm: expected x [..., C], got ", x))
      return false;
    columns = x.dim(x.rank() - 1);
    rows = x.count() / columns;
    gamma = scale.count() > 0 ? scale.data() : nullptr;
    beta = offset.count() > 0 ? offset.data() : nullptr;
    if (!Require(context, small.count() == 1, "Lockstep LayerNorm: expected one epsilon, got ", small)) return false;
    epsilon = small.data()[0];
    return Require(context, (!gamma || scale.count() == columns) && (!beta || offset.count() == columns),
                   "Lockstep LayerNorm: expected gamma and beta with ", columns, " values or none, got ", scale,
                   " and ", offset);
  }
};

// x, gamma, beta, epsilon -> y of the shape of x.
void ComputeForward(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), gamma(context, 1, s), beta(context, 2, s), epsilon(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  LayerNormInputs in;
  if (!in.Read(context, x, gamma, beta, epsilon)) return;
  Output y(context, TF_FLOAT, x.dims(), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ThreadPool::Get().ParallelFor(in.rows, kGrainFloats / in.columns + 1, [&](int64_t from, int64_t to) {
    LayerNormForward(x.data(), in.gamma, in.beta, in.columns, in.epsilon, from, to, static_cast<float*>(y.data()));
  });
}

// dy, x, gamma, epsilon -> dx and the gradients of gamma and beta.
void ComputeBackward(void*, TF_OpKernelContext* context) {
  Status s;
  Input dy(context, 0, s), x(context, 1, s), gamma(context, 2, s), epsilon(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  LayerNormInputs in;
  if (!in.Read(context, x, gamma, gamma, epsilon)) return;
  if (!Require(context, dy.count() == x.count(), "LockstepLayerNormGradient: expected dy of the size of x ", x,
               ", got ", dy))
    return;
  const int64_t columns = in.columns, blocks = (in.rows + kLayerNormBlock - 1) / kLayerNormBlock;
  Output out(context, TF_FLOAT, x.dims(), 4, s, 0);
  Output d_gamma(context, TF_FLOAT, {columns}, 4, s, 1), d_beta(context, TF_FLOAT, {columns}, 4, s, 2);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  float* dx = static_cast<float*>(out.data());
  std::vector<float> partial(static_cast<size_t>(blocks * 2 * columns));
  ThreadPool::Get().ParallelFor(blocks, kGrainFloats / (columns * kLayerNormBlock) + 1, [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; b++) {
      float* block = partial.data() + b * 2 * columns;
      const int64_t first = b * kLayerNormBlock, last = std::min(first + kLayerNormBlock, in.rows);
      LayerNormBackward(dy.data(), x.data(), in.gamma, columns, in.epsilon, first, last, dx, block, block + columns);
    }
  });
  float* const sums[] = {static_cast<float*>(d_gamma.data()), static_cast<float*>(d_beta.data())};
  for (int64_t i = 0; i < 2; i++) {
    std::fill(sums[i], sums[i] + columns, 0.0f);
    for (int64_t b = 0; b < blocks; b++)
      for (int64_t c = 0; c < columns; c++) sums[i][c] += partial[static_cast<size_t>((2 * b + i) * columns + c)];
  }
}

const bool registered = [] {
  Register("LockstepLayerNorm", {"x: float", "gamma: float", "beta: float", "epsilon: float"}, "y: float", {},
           ComputeForward);
  Register("LockstepLayerNormGradient", {"dy: float", "x: float", "gamma: float", "epsilon: float"},
           std::vector<const char*>{"dx: float", "d_gamma: float", "d_beta: float"}, {}, ComputeBackward);
  return true;
}();

}  // namespace
