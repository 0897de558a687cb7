// TensorFlow CPU ops that work in place or on memory outside of TensorFlow: LockstepAdam and LockstepStore. They check
// arguments and split the work among threads; the arithmetic is in elementwise.h.

#include "allocator.h"
#include "elementwise.h"
#include "op.h"
#include "pinned_buffer.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

// x -> an empty tensor; copies x to the pinned buffer, and its hash to the buffer's hash address if there is one.
void ComputeStore(void* kernel, TF_OpKernelContext* context) {
  const PinnedBuffer& to = *static_cast<PinnedBuffer*>(kernel);
  Status s;
  Input x(context, 0, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, x.count() == to.count, "LockstepStore: expected x with ", to.count, " elements, got ", x))
    return;
  // One thread computes a hash, because it depends on the order of the values.
  const int64_t grain = to.hash_data() ? to.count + 1 : 8 * kGrainFloats;
  ThreadPool::Get().ParallelFor(to.count, grain, [&](int64_t from, int64_t end) {
    Copy(to.data() + from, x.data() + from, end - from, to.hash_data());
  });
  SetEmptyOutput(context);
}

// p, m, v, scalars [6] -> the new value of one parameter, [count].
//
// p, m and v are the state of all parameters; elements [offset, offset + count) are updated in place, so the caller
// must own the three tensors exclusively. The pinned buffer holds the parameter's gradient.
void ComputeAdam(void* kernel, TF_OpKernelContext* context) {
  const PinnedBuffer& gradient = *static_cast<PinnedBuffer*>(kernel);
  Status s;
  Input p(context, 0, s), m(context, 1, s), v(context, 2, s), scalars(context, 3, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t size = p.count();
  if (!Require(context,
               m.count() == size && v.count() == size && scalars.count() == 6 && gradient.offset >= 0 &&
                   gradient.count >= 0 && gradient.count <= size - gradient.offset,
               "LockstepAdam: expected p, m and v of one length that contains elements ", gradient.offset, " to ",
               gradient.offset + gradient.count, ", and 6 scalars, got ", p, ", ", m, ", ", v, " and ", scalars))
    return;
  Output out(context, TF_FLOAT, {gradient.count}, 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t grain = gradient.hash_data() ? gradient.count + 1 : kGrainFloats;
  ThreadPool::Get().ParallelFor(gradient.count, grain, [&](int64_t from, int64_t end) {
    const int64_t first = gradient.offset + from;
    Adam(p.data() + first, m.data() + first, v.data() + first, gradient.data() + from, scalars.data(), end - from,
         static_cast<float*>(out.data()) + from, gradient.hash_data());
  });
}

const bool memory_kept = KeepFreedMemory();

const bool registered = [] {
  const Attributes pinned = {PinnedBuffer::AttributeSpecifications(), CreatePinnedBuffer, DeletePinnedBuffer};
  Register("LockstepStore", {"x: float"}, "done: float", pinned, ComputeStore);
  Register("LockstepAdam", {"p: float", "m: float", "v: float", "scalars: float"}, "out: float", pinned, ComputeAdam);
  return true;
}();

}  // namespace
