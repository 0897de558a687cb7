// The Node-API addon of src/shared/memory/native-memory.ts: arithmetic over typed arrays and memory shared by the
// processes of a host. It does not depend on TensorFlow, so that the communicator thread can load it as well.

#include "addon.h"
#include "allocator.h"

namespace {

napi_value Init(napi_env env, napi_value exports) {
  lockstep::KeepFreedMemory();
  lockstep::ExportArrayFunctions(env, exports);
  lockstep::ExportSharedMemory(env, exports);
  lockstep::ExportSignals(env, exports);
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
