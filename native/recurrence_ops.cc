// TensorFlow CPU ops for recurrent layers: LockstepRecurrence and LockstepRecurrenceGradient. They check arguments,
// choose the kernels for the CPU and split the samples among threads; the arithmetic and the layouts are in
// recurrence.h.
//
// Attributes are the fields of Recurrence that are options. An empty tensor stands for an input that the layer does not
// have. On a CPU without the instructions, an op fails with TF_UNIMPLEMENTED when its kernel is created.

#include "recurrence.h"

#include <algorithm>

#include "kernel_choice.h"
#include "op.h"
#include "registration.h"
#include "thread_pool.h"

#ifdef LOCKSTEP_RECURRENCE

namespace {

using namespace lockstep;

struct Kernels {
  decltype(&recurrence_avx512::RecurrenceForward) forward;
  decltype(&recurrence_avx512::RecurrenceBackward) backward;
};

// The fastest kernels that this CPU can run; null if it lacks the instructions.
const Kernels* FindKernels() {
  static const Kernels wide = {recurrence_avx512::RecurrenceForward, recurrence_avx512::RecurrenceBackward};
  static const Kernels narrow = {recurrence_avx2::RecurrenceForward, recurrence_avx2::RecurrenceBackward};
  return Fastest(wide, narrow);
}

// The options from the attributes, and the kernels.
struct Options {
  Recurrence shape = {};
  const Kernels* kernels = nullptr;
};
void* CreateOptions(TF_OpKernelConstruction* construction) {
  Options* options = new Options;
  Recurrence& shape = options->shape;
  const std::pair<const char*, int32_t*> fields[] = {{"kind", &shape.kind},
                                                     {"activation", &shape.activation},
                                                     {"recurrent_activation", &shape.recurrent_activation},
                                                     {"backwards", &shape.backwards}};
  Status s;
  for (const auto& [name, field] : fields)
    if (s.ok()) TF_OpKernelConstruction_GetAttrInt32(construction, name, field, s.status);
  options->kernels = FindKernels();
  RequireKernels(construction, s, options->kernels, "Lockstep recurrences");
  return options;
}
void DeleteOptions(void* kernel) { delete static_cast<Options*>(kernel); }

// Sizes and data of an input that may be empty.
bool ReadOptional(TF_OpKernelContext* context, const Input& input, const char* name, int64_t count,
                  const float** data) {
  *data = input.count() > 0 ? input.data() : nullptr;
  return Require(context, input.count() == 0 || input.count() == count, "Lockstep recurrence: expected ", name,
                 " with ", count, " values or none, got ", input);
}

// The inputs that both ops have: projected, recurrent kernel, bias, mask, dropout and initial states, in this order.
struct CommonInputs {
  Input projected, kernel, bias, mask, dropout, initial;
  CommonInputs(TF_OpKernelContext* context, Status& s)
      : projected(context, 0, s),
        kernel(context, 1, s),
        bias(context, 2, s),
        mask(context, 3, s),
        dropout(context, 4, s),
        initial(context, 5, s) {}

  bool Read(TF_OpKernelContext* context, Recurrence* shape, RecurrenceInputs* in) const {
    if (!Require(context, kernel.rank() == 2 && kernel.dim(0) > 0 && kernel.dim(1) == shape->gates() * kernel.dim(0),
                 "Lockstep recurrence: expected a recurrent kernel [units, ", shape->gates(), " * units], got ",
                 kernel))
      return false;
    shape->units = kernel.dim(0);
    const int64_t columns = shape->gates() * shape->units;
    if (!Require(context, projected.rank() == 3 && projected.dim(1) > 0 && projected.dim(2) == columns,
                 "Lockstep recurrence: expected projected inputs [samples, steps, ", columns, "], got ", projected))
      return false;
    shape->samples = projected.dim(0);
    shape->steps = projected.dim(1);
    in->projected = projected.data();
    in->recurrent_kernel = kernel.data();
    return ReadOptional(context, bias, "a bias", columns, &in->bias) &&
           ReadOptional(context, mask, "a mask", shape->samples * shape->steps, &in->mask) &&
           ReadOptional(context, dropout, "dropout", shape->samples * shape->units, &in->dropout) &&
           ReadOptional(context, initial, "initial states", shape->states() * shape->samples * shape->units,
                        &in->initial);
  }
};

// A thread should have at least this many samples, since each packs the weights for itself.
constexpr int64_t kGrainSamples = 8;

// The common inputs -> the record [parts, samples, steps, units].
void ComputeForward(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  const CommonInputs inputs(context, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Recurrence shape = options.shape;
  RecurrenceInputs in = {};
  if (!inputs.Read(context, &shape, &in)) return;
  Output record(context, TF_FLOAT, {shape.parts(), shape.samples, shape.steps, shape.units}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  ThreadPool::Get().ParallelFor(shape.samples, kGrainSamples, [&](int64_t from, int64_t to) {
    options.kernels->forward(shape, in, from, to, static_cast<float*>(record.data()));
  });
}

// The common inputs, the record, the gradients of the hidden states and of the last states -> the gradient of
// `projected`, followed by that of the initial states.
void ComputeBackward(void* kernel, TF_OpKernelContext* context) {
  const Options& options = *static_cast<Options*>(kernel);
  Status s;
  const CommonInputs inputs(context, s);
  Input record(context, 6, s), hidden(context, 7, s), last(context, 8, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  Recurrence shape = options.shape;
  RecurrenceInputs in = {};
  if (!inputs.Read(context, &shape, &in)) return;
  const int64_t cells = shape.samples * shape.units;
  if (!Require(context, record.count() == shape.parts() * shape.part(),
               "LockstepRecurrenceGradient: expected a record [", shape.parts(), ", ", shape.samples, ", ", shape.steps,
               ", ", shape.units, "], got ", record))
    return;
  // Gradients of the hidden state alone, or of all states.
  RecurrenceGradients dy = {};
  dy.last_states =
      last.count() == 0 || last.count() == cells ? last.count() / std::max<int64_t>(cells, 1) : shape.states();
  if (!ReadOptional(context, hidden, "gradients of the hidden states", shape.part(), &dy.hidden) ||
      !ReadOptional(context, last, "gradients of the last states", dy.last_states * cells, &dy.last))
    return;
  const int64_t projected = shape.gates() * shape.part();
  Output out(context, TF_FLOAT, {projected + shape.states() * cells}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  float* to = static_cast<float*>(out.data());
  ThreadPool::Get().ParallelFor(shape.samples, kGrainSamples, [&](int64_t first, int64_t end) {
    options.kernels->backward(shape, in, record.data(), dy, first, end, to, to + projected);
  });
}

const bool registered = [] {
  const Attributes options = {
      {"kind: int = 0", "activation: int = 1", "recurrent_activation: int = 2", "backwards: int = 0"},
      CreateOptions,
      DeleteOptions};
  std::vector<const char*> inputs = {"projected: float", "kernel: float",  "bias: float",
                                     "mask: float",      "dropout: float", "initial: float"};
  Register("LockstepRecurrence", inputs, "record: float", options, ComputeForward);
  inputs.insert(inputs.end(), {"record: float", "hidden: float", "last: float"});
  Register("LockstepRecurrenceGradient", inputs, "gradients: float", options, ComputeBackward);
  return true;
}();

}  // namespace

#endif  // LOCKSTEP_RECURRENCE
