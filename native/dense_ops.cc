// TensorFlow CPU ops for dense layers: LockstepDense, LockstepDenseInputGradient and LockstepDenseReluGradient. They
// check arguments, choose the kernels for the CPU and split the rows among threads; the arithmetic is in dense_layer.h.
// On a CPU without the instructions, an op fails with TF_UNIMPLEMENTED when its kernel is created.
//
// Layouts: x [..., C], matrix [C, K], y [..., K].

#include "dense_layer.h"

#include "kernel_choice.h"
#include "op.h"
#include "registration.h"
#include "scratch.h"
#include "thread_pool.h"

#ifdef LOCKSTEP_DENSE_LAYER

namespace {

using namespace lockstep;

struct Kernels {
  decltype(&dense_avx512::PackDensePanels) pack;
  decltype(&dense_avx512::DenseRows) rows;
  decltype(&dense_avx512::DenseReluGradient) relu_gradient;
};

// The fastest kernels that this CPU can run; null if it lacks the instructions.
const Kernels* FindKernels() {
  static const Kernels wide = {dense_avx512::PackDensePanels, dense_avx512::DenseRows, dense_avx512::DenseReluGradient};
  static const Kernels narrow = {dense_avx2::PackDensePanels, dense_avx2::DenseRows, dense_avx2::DenseReluGradient};
  return Fastest(wide, narrow);
}

// The kernels, and the attribute `relu`.
struct Options {
  int32_t relu = 0;
  const Kernels* kernels = nullptr;
};
void FindOrFail(TF_OpKernelConstruction* construction, Status& s, Options* options) {
  options->kernels = FindKernels();
  RequireKernels(construction, s, options->kernels, "Lockstep dense layers");
}
void* CreateForward(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Status s;
  TF_OpKernelConstruction_GetAttrInt32(construction, "relu", &options->relu, s.status);
  FindOrFail(construction, s, options);
  return options;
}
void* CreateGradient(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Status s;
  FindOrFail(construction, s, options);
  return options;
}
void DeleteOptions(void* kernel) { delete static_cast<Options*>(kernel); }

// Rows of a [rows, inner] times a matrix [inner, columns], for the panels of the matrix.
struct Product {
  int64_t rows, inner, columns;
  int64_t grain() const { return kGrainFloats / (kDenseRows * (inner + columns)) + 1; }
  int64_t blocks() const { return (rows + kDenseRows - 1) / kDenseRows; }
};

// Reads a product of `a` [..., inner] with `matrix`, stored as [inner, columns] or, if `transposed`, [columns, inner].
bool ReadProduct(TF_OpKernelContext* context, const char* op, const Input& a, const Input& matrix, bool transposed,
                 Product* p) {
  if (!Require(context,
               a.rank() >= 1 && matrix.rank() == 2 && a.dim(a.rank() - 1) == matrix.dim(transposed ? 1 : 0) &&
                   a.dim(a.rank() - 1) > 0 && matrix.count() > 0,
               op, ": expected rows and a matrix that can be multiplied, got ", a, " and ", matrix))
    return false;
  p->inner = a.dim(a.rank() - 1);
  p->columns = matrix.dim(transposed ? 0 : 1);
  p->rows = a.count() / p->inner;
  return true;
}

std::vector<int64_t> WithColumns(const Input& a, int64_t columns) {
  std::vector<int64_t> dims = a.dims();
  dims.back() = columns;
  return dims;
}

const float* Panels(const Kernels& kernels, const float* matrix, const Product& p, bool transposed) {
  thread_local Scratch scratch;
  float* panels = scratch.Reserve(DensePanelFloats(p.inner, p.columns));
  kernels.pack(matrix, p.inner, p.columns, transposed, panels);
  return panels;
}

// x, matrix, bias -> y; an empty bias stands for a layer without it.
void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input x(context, 0, s), matrix(context, 1, s), bias(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Product p;
  if (!ReadProduct(context, "LockstepDense", x, matrix, false, &p)) return;
  if (!Require(context, bias.count() == 0 || bias.count() == p.columns, "LockstepDense: expected a bias with ",
               p.columns, " values or none, got ", bias))
    return;
  Output y(context, TF_FLOAT, WithColumns(x, p.columns), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const float* panels = Panels(*options.kernels, matrix.data(), p, false);
  const DenseTail tail = {bias.count() > 0 ? bias.data() : nullptr, nullptr, options.relu != 0,
                          static_cast<float*>(y.data())};
  ThreadPool::Get().ParallelFor(p.blocks(), p.grain(), [&](int64_t from, int64_t to) {
    options.kernels->rows(x.data(), panels, p.inner, p.columns, tail, from * kDenseRows,
                          std::min(to * kDenseRows, p.rows));
  });
}

// dy, matrix, addend -> dx = dy * matrix^T + addend; the addend has the shape of dx, or is empty.
void ComputeInputGradient(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input dy(context, 0, s), matrix(context, 1, s), addend(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Product p;
  if (!ReadProduct(context, "LockstepDenseInputGradient", dy, matrix, true, &p)) return;
  if (!Require(context, addend.count() == 0 || addend.count() == p.rows * p.columns,
               "LockstepDenseInputGradient: expected an addend with ", p.rows * p.columns, " values or none, got ",
               addend))
    return;
  Output dx(context, TF_FLOAT, WithColumns(dy, p.columns), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const float* panels = Panels(*options.kernels, matrix.data(), p, true);
  const DenseTail tail = {nullptr, addend.count() > 0 ? addend.data() : nullptr, false, static_cast<float*>(dx.data())};
  ThreadPool::Get().ParallelFor(p.blocks(), p.grain(), [&](int64_t from, int64_t to) {
    options.kernels->rows(dy.data(), panels, p.inner, p.columns, tail, from * kDenseRows,
                          std::min(to * kDenseRows, p.rows));
  });
}

// dy, y, matrix -> dz, the gradient before the ReLU; dx = dz * matrix^T; the sums of dz over all axes but the last.
void ComputeReluGradient(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  Input dy(context, 0, s), y(context, 1, s), matrix(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Product p;
  if (!ReadProduct(context, "LockstepDenseReluGradient", dy, matrix, true, &p)) return;
  if (!Require(context, y.count() == dy.count(), "LockstepDenseReluGradient: expected y of the size of dy ", dy,
               ", got ", y))
    return;
  Output dz(context, TF_FLOAT, dy.dims(), 4, s, 0), dx(context, TF_FLOAT, WithColumns(dy, p.columns), 4, s, 1);
  Output sums(context, TF_FLOAT, {p.inner}, 4, s, 2);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const float* panels = Panels(*options.kernels, matrix.data(), p, true);
  thread_local Scratch scratch;
  float* partial = scratch.Reserve(p.blocks() * p.inner);
  float* masked = static_cast<float*>(dz.data());
  const DenseTail tail = {nullptr, nullptr, false, static_cast<float*>(dx.data())};
  ThreadPool::Get().ParallelFor(p.blocks(), p.grain(), [&](int64_t from, int64_t to) {
    for (int64_t block = from; block < to; block++) {
      const int64_t first = block * kDenseRows, last = std::min(first + kDenseRows, p.rows);
      options.kernels->relu_gradient(dy.data(), y.data(), p.inner, first, last, masked, partial + block * p.inner);
      options.kernels->rows(masked, panels, p.inner, p.columns, tail, first, last);
    }
  });
  float* total = static_cast<float*>(sums.data());
  std::fill(total, total + p.inner, 0.0f);
  for (int64_t block = 0; block < p.blocks(); block++)
    for (int64_t c = 0; c < p.inner; c++) total[c] += partial[block * p.inner + c];
}

const bool registered = [] {
  const Attributes forward = {{"relu: int = 0"}, CreateForward, DeleteOptions};
  const Attributes gradient = {{}, CreateGradient, DeleteOptions};
  Register("LockstepDense", {"x: float", "matrix: float", "bias: float"}, "y: float", forward, ComputeForward);
  Register("LockstepDenseInputGradient", {"dy: float", "matrix: float", "addend: float"}, "dx: float", gradient,
           ComputeInputGradient);
  Register("LockstepDenseReluGradient", {"dy: float", "y: float", "matrix: float"},
           std::vector<const char*>{"dz: float", "dx: float", "sums: float"}, gradient, ComputeReluGradient);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_DENSE_LAYER
