// The thread pool that Lockstep's TensorFlow ops share, with as many threads as TensorFlow has per op. It only runs
// independent ranges of work (rows, groups of channels) concurrently, so results do not depend on the thread count.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace lockstep {

// Elementwise work on fewer floats than this takes less time than waking a thread.
constexpr int64_t kGrainFloats = 1 << 15;

class ThreadPool {
 public:
  // The pool of the process. Its size is TF_NUM_INTRAOP_THREADS, which the worker sets before it loads the library. It
  // is never destroyed: its threads wait for work until the process ends.
  static ThreadPool& Get() {
    static ThreadPool* pool = new ThreadPool;
    return *pool;
  }

  // Calls work(begin, end) for disjoint ranges of at least `grain` items that together cover [0, items), and returns
  // when all calls have returned. `work` must be safe to call concurrently. While another thread uses the pool, the
  // caller does all work itself.
  template <class Work>
  void ParallelFor(int64_t items, int64_t grain, const Work& work) {
    const int64_t ranges = std::min<int64_t>(size_, items / std::max<int64_t>(grain, 1));
    std::unique_lock<std::mutex> exclusive(in_use_, std::defer_lock);
    if (ranges < 2 || !exclusive.try_lock()) return work(0, items);
    const auto run_range = [&](int64_t i) { work(items * i / ranges, items * (i + 1) / ranges); };
    typedef decltype(run_range) RunRange;
    call_ = [](const void* closure, int64_t i) { (*static_cast<const RunRange*>(closure))(i); };
    closure_ = &run_range;
    ranges_ = ranges;
    unfinished_.store(size_ - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    run_range(0);
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; spins++)
      if (spins > kSpins) std::this_thread::yield();
  }

 private:
  // About 20 microseconds, the usual gap between the ops of one layer. A thread that sleeps earlier has to be woken.
  static constexpr int kSpins = 20000;

  ThreadPool() {
    const char* threads = std::getenv("TF_NUM_INTRAOP_THREADS");
    size_ = std::max(1, std::min(threads ? std::atoi(threads) : 1, 64));
    for (int64_t i = 1; i < size_; i++) std::thread([this, i] { RunWorker(i); }).detach();
  }

  // Every worker takes part in every round, so that the caller can reuse call_, closure_ and ranges_ after it.
  void RunWorker(int64_t i) {
    uint64_t seen = 0;
    for (;;) {
      for (int spins = 0; spins < kSpins && round_.load(std::memory_order_acquire) == seen; spins++) {
      }
      if (round_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
      }
      seen++;
      if (i < ranges_) call_(closure_, i);
      unfinished_.fetch_sub(1, std::memory_order_release);
    }
  }

  int64_t size_ = 1;  // threads, including the caller of ParallelFor
  std::mutex in_use_, mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};
  std::atomic<int64_t> unfinished_{0};
  void (*call_)(const void*, int64_t) = nullptr;
  const void* closure_ = nullptr;
  int64_t ranges_ = 0;
};

}  // namespace lockstep
