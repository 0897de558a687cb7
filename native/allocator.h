// Settings of the C library's allocator for a process that allocates the same large blocks repeatedly: activations
// several times per step, and a ZeroMQ frame per gradient bucket. By default glibc returns large blocks to the system
// and pays a page fault per 4 KB when they are allocated again, which takes longer than the work on them
// (docs/performance.md).

#pragma once

#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace lockstep {

// Makes the allocator of the whole process keep freed memory. Has no effect with another C library. Always returns
// true, so that it can initialize a static variable.
inline bool KeepFreedMemory() {
#if defined(__GLIBC__)
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 256 << 20);
#endif
  return true;
}

}  // namespace lockstep
