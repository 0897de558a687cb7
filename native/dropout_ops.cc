// The TensorFlow CPU op LockstepDropout. It checks arguments and splits the rows among threads; the generator and the
// masks are in dropout.h.

#include "dropout.h"
#include "op.h"
#include "registration.h"
#include "thread_pool.h"

namespace {

using namespace lockstep;

// x, counter int32 [5], rate [2] -> y of the shape of x.
//
// `counter` is [key 0, key 1, counter words 0, 2 and 3], `rate` is [rate, scale]. The first axis of x counts rows; each
// row begins with a new block of the generator.
void ComputeDropout(void*, TF_OpKernelContext* context) {
  Status s;
  Input x(context, 0, s), counter(context, 1, s), rate(context, 2, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  if (!Require(context, x.rank() >= 1 && counter.count() == 5 && rate.count() == 2,
               "LockstepDropout: expected x of rank 1 or more, counter [5] and rate [2], got ", x, ", ", counter,
               " and ", rate))
    return;
  Output y(context, TF_FLOAT, x.dims(), 4, s);
  if (!s.ok()) return TF_OpKernelContext_Failure(context, s.status);
  const int64_t rows = x.dim(0), columns = rows > 0 ? x.count() / rows : 0;
  const uint32_t* words = reinterpret_cast<const uint32_t*>(counter.data());
  // An element of Dropout takes about as long as eight of an elementwise op.
  ThreadPool::Get().ParallelFor(rows, kGrainFloats / (8 * columns + 1) + 1, [&](int64_t from, int64_t to) {
    for (int64_t row = from; row < to; row++)
      Dropout(x.data() + row * columns, words, static_cast<uint32_t>(row * ((columns + 3) / 4)), rate.data()[0],
              rate.data()[1], columns, static_cast<float*>(y.data()) + row * columns);
  });
}

const bool registered =
    Register("LockstepDropout", {"x: float", "counter: int32", "rate: float"}, "y: float", {}, ComputeDropout);

}  // namespace
