// Reading arguments and reporting errors in the functions of the Node-API addon (addon.cc). All of them must run on the
// thread of the JavaScript environment that called them.

#pragma once

#include <cstdint>
#include <string>

#include <node_api.h>

namespace lockstep {

// Throws a JavaScript Error. Returns null, so that a callback can return its result.
inline napi_value Throw(napi_env env, const std::string& message) {
  napi_throw_error(env, nullptr, message.c_str());
  return nullptr;
}

inline napi_value NumberValue(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

// Up to five arguments of a call; `count` is the number that were passed.
struct Arguments {
  size_t count = 5;
  napi_value values[5];
  Arguments(napi_env env, napi_callback_info info) { napi_get_cb_info(env, info, &count, values, nullptr, nullptr); }
  // An integer argument; -1 if it is missing or not a number.
  int64_t Integer(napi_env env, size_t i) const {
    int64_t value = -1;
    if (i < count) napi_get_value_int64(env, values[i], &value);
    return value;
  }
};

// The elements of a typed array. `valid` is false if the value is not a typed array of the given type; `data` may be
// null if `length` is 0. The memory is JavaScript's: use it during the call only.
template <class Element, napi_typedarray_type kType>
struct TypedArray {
  Element* data = nullptr;
  size_t length = 0;
  bool valid = false;
  TypedArray(napi_env env, const Arguments& arguments, size_t i) {
    bool is = false;
    if (i >= arguments.count || napi_is_typedarray(env, arguments.values[i], &is) != napi_ok || !is) return;
    napi_typedarray_type type;
    void* memory = nullptr;
    if (napi_get_typedarray_info(env, arguments.values[i], &type, &length, &memory, nullptr, nullptr) != napi_ok)
      return;
    valid = type == kType;
    data = valid ? static_cast<Element*>(memory) : nullptr;
  }
};
typedef TypedArray<float, napi_float32_array> Float32Array;
typedef TypedArray<uint16_t, napi_uint16_array> Uint16Array;
typedef TypedArray<uint8_t, napi_uint8_array> Uint8Array;

inline void ExportFunction(napi_env env, napi_value exports, const char* name, napi_callback function) {
  napi_value value;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
  napi_set_named_property(env, exports, name, value);
}

// Adds the functions over typed arrays (array_functions.cc).
void ExportArrayFunctions(napi_env env, napi_value exports);
// Adds the functions over memory shared by processes (shared_memory.cc); none on systems other than Linux.
void ExportSharedMemory(napi_env env, napi_value exports);
// Adds the function that keeps signals away from the threads that compute (signals.cc); none on Windows.
void ExportSignals(napi_env env, napi_value exports);

}  // namespace lockstep
