// The addon's functions over typed arrays: sums, a check for finite values, bfloat16 conversions, the ledger's hash,
// CRC-32 and addresses. They check types and lengths; the arithmetic is in elementwise.h, bfloat16.h, ledger_hash.h and
// checksum.h.

#include <cstring>

#include "addon.h"
#include "bfloat16.h"
#include "checksum.h"
#include "elementwise.h"

namespace lockstep {
namespace {

// add(out, left, right) and addBfloat16(out, left, right): out = left + right, elementwise; `out` may be an operand.
template <void (*kAdd)(float*, const float*, const float*, int64_t)>
napi_value AddWith(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Float32Array out(env, arguments, 0), left(env, arguments, 1), right(env, arguments, 2);
  if (!out.valid || !left.valid || !right.valid)
    return Throw(env, "add: expected three Float32Arrays, got other arguments");
  if (left.length != out.length || right.length != out.length)
    return Throw(env, "add: expected three Float32Arrays of one length, got lengths " + std::to_string(out.length) +
                          ", " + std::to_string(left.length) + " and " + std::to_string(right.length));
  if (out.length > 0) kAdd(out.data, left.data, right.data, static_cast<int64_t>(out.length));
  return nullptr;
}

// allFinite(values): whether a Float32Array contains neither infinities nor NaN.
napi_value IsFinite(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Float32Array values(env, arguments, 0);
  if (!values.valid) return Throw(env, "allFinite: expected a Float32Array, got another argument");
  napi_value result;
  napi_get_boolean(env, AllFinite(values.data, static_cast<int64_t>(values.length)), &result);
  return result;
}

// roundBfloat16(values): rounds a Float32Array to bfloat16 in place.
napi_value Round(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Float32Array values(env, arguments, 0);
  if (!values.valid) return Throw(env, "roundBfloat16: expected a Float32Array, got another argument");
  if (values.length > 0) RoundBfloat16(values.data, static_cast<int64_t>(values.length));
  return nullptr;
}

// packBfloat16(Uint16Array, Float32Array) and unpackBfloat16(Float32Array, Uint16Array): converts the second argument
// into the first.
template <bool kToBfloat16>
napi_value Convert(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Float32Array values(env, arguments, kToBfloat16 ? 1 : 0);
  Uint16Array packed(env, arguments, kToBfloat16 ? 0 : 1);
  const std::string name = kToBfloat16 ? "packBfloat16" : "unpackBfloat16";
  if (!values.valid || !packed.valid)
    return Throw(env, name + ": expected a Float32Array and a Uint16Array, got other arguments");
  if (values.length != packed.length)
    return Throw(env, name + ": expected two arrays of one length, got lengths " + std::to_string(values.length) +
                          " and " + std::to_string(packed.length));
  const int64_t count = static_cast<int64_t>(values.length);
  if (count == 0) return nullptr;
  if (kToBfloat16)
    PackBfloat16(packed.data, values.data, count);
  else
    UnpackBfloat16(values.data, packed.data, count);
  return nullptr;
}

// hash(values, target): writes the ledger's hash of a Float32Array to the first 8 bytes of a Uint8Array.
napi_value HashInto(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Float32Array values(env, arguments, 0);
  Uint8Array target(env, arguments, 1);
  if (!values.valid || !target.valid || target.length < 8)
    return Throw(env, "hash: expected a Float32Array and a Uint8Array of at least 8 bytes, got other arguments");
  uint32_t hash[2];
  Hash(values.data, static_cast<int64_t>(values.length), hash);
  std::memcpy(target.data, hash, sizeof hash);
  return nullptr;
}

#ifdef LOCKSTEP_HAS_CRC
// checksum(bytes, before = 0): the CRC-32 of a Uint8Array appended to bytes whose CRC-32 is `before`.
napi_value Checksum(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  Uint8Array bytes(env, arguments, 0);
  if (!bytes.valid) return Throw(env, "checksum: expected a Uint8Array, got another argument");
  const uint32_t before = arguments.count > 1 ? static_cast<uint32_t>(arguments.Integer(env, 1)) : 0;
  return NumberValue(env, Crc(bytes.data, bytes.length, before));
}
#endif

// address(array): the address of a typed array's first element, for ops that read or write it. The caller keeps the
// array alive.
napi_value Address(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  size_t length = 0;
  void* data = nullptr;
  bool is = false;
  if (arguments.count > 0 && napi_is_typedarray(env, arguments.values[0], &is) == napi_ok && is)
    napi_get_typedarray_info(env, arguments.values[0], nullptr, &length, &data, nullptr, nullptr);
  if (!data || length == 0) return Throw(env, "address: expected a typed array with elements, got another argument");
  return NumberValue(env, static_cast<int64_t>(reinterpret_cast<intptr_t>(data)));
}

}  // namespace

void ExportArrayFunctions(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "add", AddWith<Add>);
  ExportFunction(env, exports, "addBfloat16", AddWith<AddBfloat16>);
  ExportFunction(env, exports, "allFinite", IsFinite);
  ExportFunction(env, exports, "roundBfloat16", Round);
  ExportFunction(env, exports, "packBfloat16", Convert<true>);
  ExportFunction(env, exports, "unpackBfloat16", Convert<false>);
  ExportFunction(env, exports, "address", Address);
  ExportFunction(env, exports, "hash", HashInto);
#ifdef LOCKSTEP_HAS_CRC
  if (HasCrc()) ExportFunction(env, exports, "checksum", Checksum);
#endif
}

}  // namespace lockstep
