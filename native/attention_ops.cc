// TensorFlow CPU ops for attention: LockstepAttention and LockstepAttentionGradient. They check arguments, choose the
// kernels for the CPU and split the heads among threads; the arithmetic and the layouts are in attention.h.
//
// An empty mask or dropout stands for none. On a CPU without the instructions, an op fails with TF_UNIMPLEMENTED when
// its kernel is created.

#include "attention.h"

#include "kernel_choice.h"
#include "op.h"
#include "registration.h"
#include "thread_pool.h"

#ifdef LOCKSTEP_ATTENTION

namespace {

using namespace lockstep;

struct Kernels {
  decltype(&attention_avx512::AttentionForward) forward;
  decltype(&attention_avx512::AttentionBackward) backward;
};

// The fastest kernels that this CPU can run; null if it lacks the instructions.
const Kernels* FindKernels() {
  static const Kernels wide = {attention_avx512::AttentionForward, attention_avx512::AttentionBackward};
  static const Kernels narrow = {attention_avx2::AttentionForward, attention_avx2::AttentionBackward};
  return Fastest(wide, narrow);
}

// The options from the attributes, and the kernels.
struct Options {
  int32_t causal = 0;
  const Kernels* kernels = nullptr;
};
void* CreateOptions(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Status s;
  TF_OpKernelConstruction_GetAttrInt32(construction, "causal", &options->causal, s.status);
  options->kernels = FindKernels();
  RequireKernels(construction, s, options->kernels, "Lockstep attention");
  return options;
}
void DeleteOptions(void* kernel) { delete static_cast<Options*>(kernel); }

// The inputs that both ops have: query, key, value, mask, dropout and the scale, in this order.
struct CommonInputs {
  Input query, key, value, mask, dropout, scale;
  CommonInputs(TF_OpKernelContext* context, Status& s)
      : query(context, 0, s),
        key(context, 1, s),
        value(context, 2, s),
        mask(context, 3, s),
        dropout(context, 4, s),
        scale(context, 5, s) {}

  bool Read(TF_OpKernelContext* context, Attention* shape, AttentionInputs* in) const {
    for (const Input* x : {&query, &key, &value})
      if (!Require(context, x->rank() == 4 && x->dim(2) > 0 && x->dim(3) > 0,
                   "Lockstep attention: expected query, key and value [samples, steps, heads, size], got ", *x))
        return false;
    shape->samples = query.dim(0);
    shape->queries = query.dim(1);
    shape->heads = query.dim(2);
    shape->key_size = query.dim(3);
    shape->keys = key.dim(1);
    shape->value_size = value.dim(3);
    if (!Require(context,
                 shape->queries > 0 && shape->keys > 0 && key.dim(0) == shape->samples && key.dim(2) == shape->heads &&
                     key.dim(3) == shape->key_size && value.dim(0) == shape->samples && value.dim(1) == shape->keys &&
                     value.dim(2) == shape->heads,
                 "Lockstep attention: expected a key and a value that match the query ", query, ", got ", key, " and ",
                 value))
      return false;
    const int64_t row = shape->samples * shape->keys, all = row * shape->queries;
    if (!Require(context, mask.count() == 0 || mask.count() == row || mask.count() == all,
                 "Lockstep attention: expected a mask with ", row, " or ", all, " values or none, got ", mask) ||
        !Require(context, dropout.count() == 0 || dropout.count() == all * shape->heads,
                 "Lockstep attention: expected dropout with ", all * shape->heads, " values or none, got ", dropout) ||
        !Require(context, scale.count() == 1, "Lockstep attention: expected one scale, got ", scale))
      return false;
    shape->scale = scale.data()[0];
    in->query = query.data();
    in->key = key.data();
    in->value = value.data();
    in->mask = mask.count() > 0 ? mask.data() : nullptr;
    in->mask_rows = mask.count() == row ? 1 : shape->queries;
    in->dropout = dropout.count() > 0 ? dropout.data() : nullptr;
    return true;
  }
};

// A thread should have at least this many heads.
int64_t GrainHeads(const Attention& shape) {
  return kGrainFloats / (shape.queries * shape.keys * (shape.key_size + shape.value_size)) + 1;
}

// The common inputs -> y [samples, queries, heads, value size].
void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  const CommonInputs inputs(context, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Attention shape = {};
  AttentionInputs in = {};
  if (!inputs.Read(context, &shape, &in)) return;
  shape.causal = options.causal != 0;
  Output y(context, TF_FLOAT, {shape.samples, shape.queries, shape.heads, shape.value_size}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ThreadPool::Get().ParallelFor(shape.samples * shape.heads, GrainHeads(shape), [&](int64_t from, int64_t to) {
    options.kernels->forward(shape, in, from, to, static_cast<float*>(y.data()));
  });
}

// The common inputs and dy -> the gradients of query, key and value.
void ComputeBackward(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  const CommonInputs inputs(context, s);
  Input dy(context, 6, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Attention shape = {};
  AttentionInputs in = {};
  if (!inputs.Read(context, &shape, &in)) return;
  shape.causal = options.causal != 0;
  if (!Require(context, dy.count() == shape.samples * shape.queries * shape.heads * shape.value_size,
               "LockstepAttentionGradient: expected dy [", shape.samples, ", ", shape.queries, ", ", shape.heads, ", ",
               shape.value_size, "], got ", dy))
    return;
  Output query(context, TF_FLOAT, inputs.query.dims(), 4, s, 0), key(context, TF_FLOAT, inputs.key.dims(), 4, s, 1);
  Output value(context, TF_FLOAT, inputs.value.dims(), 4, s, 2);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const AttentionGradients gradients = {static_cast<float*>(query.data()), static_cast<float*>(key.data()),
                                        static_cast<float*>(value.data())};
  ThreadPool::Get().ParallelFor(shape.samples * shape.heads, GrainHeads(shape), [&](int64_t from, int64_t end) {
    options.kernels->backward(shape, in, dy.data(), from, end, gradients);
  });
}

const bool registered = [] {
  const Attributes options = {{"causal: int = 0"}, CreateOptions, DeleteOptions};
  std::vector<const char*> inputs = {"query: float", "key: float",     "value: float",
                                     "mask: float",  "dropout: float", "scale: float"};
  Register("LockstepAttention", inputs, "y: float", options, ComputeForward);
  inputs.push_back("dy: float");
  Register("LockstepAttentionGradient", inputs,
           std::vector<const char*>{"d_query: float", "d_key: float", "d_value: float"}, options, ComputeBackward);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_ATTENTION
