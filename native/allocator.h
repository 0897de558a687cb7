// What is freed is allocated again soon: activations many times a step, frames that ZeroMQ receives with every bucket.
// By default glibc gives large blocks back to the system and pays a page fault for each 4 KB when they return, which
// takes longer than the work on them (docs/performance.md).

#pragma once

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace lockstep {

// For the whole process. Without effect where the allocator isn't glibc's.
inline bool KeepFreedMemory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 256 << 20);
#endif
  return true;
}

}  // namespace lockstep
