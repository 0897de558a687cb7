// Signals of a process that computes with TensorFlow, for the addon.
//
// oneDNN's product kernels for float32 (jit_avx_gemm_f32 and jit_avx512_common_gemm_f32) let the stack pointer point
// into a workspace on the heap. If a thread receives a signal while it runs such a kernel, the system writes the
// signal's frame, several kilobytes, below the workspace and so over other memory of the heap. The process then
// crashes, or continues with damaged values. So no thread that computes may receive signals.

#include "addon.h"

#if !defined(_WIN32)

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace lockstep {
namespace {

// All signals that another process, the terminal or a timer sends. The remaining ones are sent by the system to the
// thread that has caused them.
sigset_t SignalsFromOutside() {
  sigset_t signals;
  sigfillset(&signals);
  for (int caused : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) sigdelset(&signals, caused);
  return signals;
}

void* ReceiveSignals(void*) {
  const sigset_t signals = SignalsFromOutside();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  for (;;) pause();
}

// shieldFromSignals(): from now on the calling thread, and every thread that it starts, receives no signals from
// outside. A thread that does nothing else receives them, and Node's handlers run as before. Throws an Error if that
// thread cannot be started; nothing has changed then.
napi_value ShieldFromSignals(napi_env env, napi_callback_info) {
  static bool started = false;
  if (!started) {
    pthread_t thread;
    if (pthread_create(&thread, nullptr, ReceiveSignals, nullptr) != 0)
      return Throw(env, "shieldFromSignals: the thread that receives signals could not be started");
    pthread_detach(thread);
    started = true;
  }
  const sigset_t signals = SignalsFromOutside();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return nullptr;
}

}  // namespace

void ExportSignals(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "shieldFromSignals", ShieldFromSignals);
}

}  // namespace lockstep

#else

namespace lockstep {
void ExportSignals(napi_env, napi_value) {}
}  // namespace lockstep

#endif
