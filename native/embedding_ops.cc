// The TensorFlow CPU op LockstepEmbeddingGradient: the gradient of an embedding's table, written to a gradient bucket
// without a tensor of its own.

#include <algorithm>

#include "op.h"
#include "pinned_buffer.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

// ids int32 [n], dy [n, columns] -> an empty tensor; writes the gradient of the table [rows, columns] to the pinned
// buffer: row r is the sum of the rows of dy whose id is r, added in order to zero.
void ComputeEmbeddingGradient(void* kernel, TF_OpKernelContext* context) {
  const PinnedBuffer& gradient = *static_cast<PinnedBuffer*>(kernel);
  Status s;
  Input ids(context, 0, s), dy(context, 1, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context,
               ids.rank() == 1 && dy.rank() == 2 && ids.dim(0) == dy.dim(0) && dy.dim(1) > 0 &&
                   gradient.count % dy.dim(1) == 0,
               "LockstepEmbeddingGradient: expected ids [n] and dy [n, columns] for a buffer of ", gradient.count,
               " floats, got ", ids, " and ", dy))
    return;
  const int64_t columns = dy.dim(1), rows = gradient.count / columns;
  const int32_t* id = reinterpret_cast<const int32_t*>(ids.data());
  const int64_t count = ids.count();
  for (int64_t i = 0; i < count; i++)
    if (!Require(context, id[i] >= 0 && id[i] < rows, "LockstepEmbeddingGradient: expected ids below ", rows, ", got ",
                 id[i]))
      return;
  // Each thread fills a range of the rows and looks for their ids, so that the order of the sums is that of the ids.
  ThreadPool::Get().ParallelFor(rows, kGrainFloats / columns + 1, [&](int64_t from, int64_t to) {
    std::fill(gradient.data() + from * columns, gradient.data() + to * columns, 0.0f);
    for (int64_t i = 0; i < count; i++) {
      if (id[i] < from || id[i] >= to) continue;
      float* row = gradient.data() + id[i] * columns;
      const float* more = dy.data() + i * columns;
      for (int64_t c = 0; c < columns; c++) row[c] += more[c];
    }
  });
  SetEmptyOutput(context);
}

const bool registered = Register("LockstepEmbeddingGradient", {"ids: int32", "dy: float"}, "done: float",
                                 {PinnedBuffer::AttributeSpecifications(), CreatePinnedBuffer, DeletePinnedBuffer},
                                 ComputeEmbeddingGradient);

}  // namespace
