// The choice between kernels that are compiled for several instruction sets, when an op's kernel is created.

#pragma once

#include <string>

#include "op.h"

namespace lockstep {

#if defined(__x86_64__) && defined(__GNUC__)

// Whether this CPU has the instructions that the namespaces *_avx512 and *_avx2 are compiled for.
inline bool HasAvx512() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
inline bool HasAvx2() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

// The fastest kernels that this CPU can run; null if it lacks the instructions.
template <typename Kernels>
const Kernels* Fastest(const Kernels& avx512, const Kernels& avx2) {
  if (HasAvx512()) return &avx512;
  return HasAvx2() ? &avx2 : nullptr;
}

// Fails the construction if an attribute could not be read, or if `kernels` is null. `ops` names the ops in the error.
inline void RequireKernels(TF_OpKernelConstruction* construction, Status& s, const void* kernels, const char* ops) {
  if (s.ok() && kernels == nullptr) {
    const std::string message =
        std::string(ops) + ": expected a CPU with AVX-512 or with AVX2 and FMA, got one without them";
    TF_SetStatus(s.status, TF_UNIMPLEMENTED, message.c_str());
  }
  if (!s.ok()) TF_OpKernelConstruction_Failure(construction, s.status);
}

#endif  // __x86_64__

}  // namespace lockstep
