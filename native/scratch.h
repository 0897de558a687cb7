// Memory for what a kernel computes on the way.

#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

namespace lockstep {

// Memory on a cache line's boundary. Each thread keeps what it needed last.
class Scratch {
 public:
  float* Take(int64_t floats) {
    if (floats > size_) {
      memory_.reset(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>((floats + 15) / 16 * 64))));
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
