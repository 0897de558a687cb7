// TensorFlow CPU ops for recorded layers: LockstepBatchProduct, LockstepSoftmax and LockstepSoftmaxGradient. They check
// arguments, choose the kernels for the CPU and split the work among threads; the arithmetic is in batch_product.h. On
// a CPU without the instructions, an op fails with TF_UNIMPLEMENTED when its kernel is created.

#include "batch_product.h"

#include "kernel_choice.h"
#include "op.h"
#include "registration.h"
#include "thread_pool.h"

#ifdef LOCKSTEP_BATCH_PRODUCT

namespace {

using namespace lockstep;

struct Kernels {
  decltype(&batch_product_avx512::BatchProductBlocks) product;
  decltype(&batch_product_avx512::SoftmaxRows) softmax;
  decltype(&batch_product_avx512::SoftmaxGradientRows) softmax_gradient;
};

// The fastest kernels that this CPU can run; null if it lacks the instructions.
const Kernels* FindKernels() {
  static const Kernels wide = {batch_product_avx512::BatchProductBlocks, batch_product_avx512::SoftmaxRows,
                               batch_product_avx512::SoftmaxGradientRows};
  static const Kernels narrow = {batch_product_avx2::BatchProductBlocks, batch_product_avx2::SoftmaxRows,
                                 batch_product_avx2::SoftmaxGradientRows};
  return Fastest(wide, narrow);
}

// The kernels, and the attributes of a product.
struct Options {
  int32_t transpose_a = 0, transpose_b = 0;
  const Kernels* kernels = nullptr;
};
void FindOrFail(TF_OpKernelConstruction* construction, Status& s, Options* options) {
  options->kernels = FindKernels();
  RequireKernels(construction, s, options->kernels, "Lockstep batch products");
}
void* CreateProduct(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Status s;
  TF_OpKernelConstruction_GetAttrInt32(construction, "transpose_a", &options->transpose_a, s.status);
  if (s.ok()) TF_OpKernelConstruction_GetAttrInt32(construction, "transpose_b", &options->transpose_b, s.status);
  FindOrFail(construction, s, options);
  return options;
}
void* CreateSoftmax(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Status s;
  FindOrFail(construction, s, options);
  return options;
}
void DeleteOptions(void* kernel) { delete static_cast<Options*>(kernel); }

// a, b -> their products. Both have the same axes before the last two.
void ComputeProduct(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input a(context, 0, s), b(context, 1, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int rank = a.rank();
  if (!Require(context, rank >= 2 && b.rank() == rank,
               "LockstepBatchProduct: expected two batches of matrices of the same rank, got ", a, " and ", b))
    return;
  BatchProduct p = {1, 0, 0, 0, options.transpose_a != 0, options.transpose_b != 0};
  std::vector<int64_t> dims = a.dims();
  bool same = true;
  for (int i = 0; i < rank - 2; i++) {
    same = same && a.dim(i) == b.dim(i);
    p.batch *= a.dim(i);
  }
  p.rows = a.dim(p.transpose_a ? rank - 1 : rank - 2);
  p.inner = a.dim(p.transpose_a ? rank - 2 : rank - 1);
  p.columns = b.dim(p.transpose_b ? rank - 2 : rank - 1);
  if (!Require(context, same && b.dim(p.transpose_b ? rank - 1 : rank - 2) == p.inner,
               "LockstepBatchProduct: expected matrices that can be multiplied, got ", a, " and ", b))
    return;
  dims[static_cast<size_t>(rank - 2)] = p.rows;
  dims[static_cast<size_t>(rank - 1)] = p.columns;
  Output out(context, TF_FLOAT, dims, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (p.rows == 0 || p.columns == 0) return;
  const int64_t blocks = p.batch * ((p.rows + kProductRows - 1) / kProductRows);
  const int64_t grain = kGrainFloats / (std::min(p.rows, kProductRows) * (p.inner + p.columns)) + 1;
  ThreadPool::Get().ParallelFor(blocks, grain, [&](int64_t from, int64_t to) {
    options.kernels->product(p, a.data(), b.data(), from, to, static_cast<float*>(out.data()));
  });
}

// x -> its softmax over the last axis.
void ComputeSoftmax(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input x(context, 0, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, x.rank() >= 1 && x.dim(x.rank() - 1) > 0, "LockstepSoftmax: expected x [..., C], got ", x))
    return;
  Output y(context, TF_FLOAT, x.dims(), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t columns = x.dim(x.rank() - 1);
  ThreadPool::Get().ParallelFor(x.count() / columns, kGrainFloats / columns + 1, [&](int64_t from, int64_t to) {
    options.kernels->softmax(x.data(), columns, from, to, static_cast<float*>(y.data()));
  });
}

// y, dy -> the gradient of the softmax with the result y.
void ComputeSoftmaxGradient(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input y(context, 0, s), dy(context, 1, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, y.rank() >= 1 && y.dim(y.rank() - 1) > 0 && dy.dims() == y.dims(),
               "LockstepSoftmaxGradient: expected y [..., C] and dy of its shape, got ", y, " and ", dy))
    return;
  Output dx(context, TF_FLOAT, y.dims(), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t columns = y.dim(y.rank() - 1);
  ThreadPool::Get().ParallelFor(y.count() / columns, kGrainFloats / columns + 1, [&](int64_t from, int64_t to) {
    options.kernels->softmax_gradient(y.data(), dy.data(), columns, from, to, static_cast<float*>(dx.data()));
  });
}

const bool registered = [] {
  const Attributes product = {{"transpose_a: int = 0", "transpose_b: int = 0"}, CreateProduct, DeleteOptions};
  const Attributes softmax = {{}, CreateSoftmax, DeleteOptions};
  Register("LockstepBatchProduct", {"a: float", "b: float"}, "product: float", product, ComputeProduct);
  Register("LockstepSoftmax", {"x: float"}, "y: float", softmax, ComputeSoftmax);
  Register("LockstepSoftmaxGradient", {"y: float", "dy: float"}, "dx: float", softmax, ComputeSoftmaxGradient);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_BATCH_PRODUCT
