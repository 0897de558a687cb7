// Threads that share the work of Lockstep's own ops: as many as TensorFlow has (TF_NUM_INTRAOP_THREADS, which the
// worker sets before it loads the library). What is shared are independent parts (rows, groups of channels), so the
// bits are those of one thread.

#pragma once

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <thread>

namespace lockstep {

class Threads {
 public:
  // Never destroyed: its threads wait for work until the process ends.
  static Threads& Get() {
    static Threads* threads = new Threads;
    return *threads;
  }

  // Calls work(begin, end) for parts of [0, units) that hold at least `grain` of them; returns when all are done.
  template <class Work>
  void Share(int64_t units, int64_t grain, const Work& work) {
    const int64_t parts = std::min<int64_t>(count_, units / std::max<int64_t>(grain, 1));
    std::unique_lock<std::mutex> alone(in_use_, std::defer_lock);
    if (parts < 2 || !alone.try_lock()) return work(0, units);
    const auto part = [&](int64_t i) { work(units * i / parts, units * (i + 1) / parts); };
    typedef decltype(part) Part;
    run_ = [](const void* with, int64_t i) { (*static_cast<const Part*>(with))(i); };
    with_ = &part;
    parts_ = parts;
    unfinished_.store(count_ - 1, std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    part(0);
    for (int spins = 0; unfinished_.load(std::memory_order_acquire) > 0; spins++)
      if (spins > kSpins) std::this_thread::yield();
  }

 private:
  // Some 20 microseconds: ops of one layer follow each other about as closely, and sleeping longer costs a wake-up.
  static constexpr int kSpins = 20000;

  Threads() {
    const char* given = std::getenv("TF_NUM_INTRAOP_THREADS");
    count_ = std::max(1, std::min(given ? std::atoi(given) : 1, 64));
    for (int64_t i = 1; i < count_; i++) std::thread([this, i] { Serve(i); }).detach();
  }

  void Serve(int64_t i) {
    uint64_t seen = 0;
    for (;;) {
      for (int spins = 0; spins < kSpins && round_.load(std::memory_order_acquire) == seen; spins++) {
      }
      if (round_.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load(std::memory_order_acquire) != seen; });
      }
      seen++;
      if (i < parts_) run_(with_, i);
      unfinished_.fetch_sub(1, std::memory_order_release);
    }
  }

  int64_t count_ = 1;
  std::mutex in_use_, mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> round_{0};
  std::atomic<int64_t> unfinished_{0};
  void (*run_)(const void*, int64_t) = nullptr;
  const void* with_ = nullptr;
  int64_t parts_ = 0;
};

}  // namespace lockstep
