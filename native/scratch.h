// Temporary memory of a kernel that is reused by its next call.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

namespace lockstep {

// A buffer of floats, aligned to 64 bytes, that grows and never shrinks. Not thread-safe: each thread has its own
// (thread_local).
class Scratch {
 public:
  // Memory for `floats` floats with undefined contents. It stays valid until the next call. Throws std::bad_alloc.
  float* Reserve(int64_t floats) {
    if (floats > size_) {
      memory_.reset();
      size_ = 0;
      memory_.reset(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>((floats + 15) / 16 * 64))));
      if (!memory_) throw std::bad_alloc();
      size_ = floats;
    }
    return memory_.get();
  }

 private:
  struct Free {
    void operator()(float* memory) const { std::free(memory); }
  };
  std::unique_ptr<float, Free> memory_;
  int64_t size_ = 0;
};

}  // namespace lockstep
