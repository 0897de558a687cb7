// Memory that the workers of one host share, as a Node-API addon without TensorFlow, so that the communicator thread
// can load it as well. Anonymous (memfd): nothing of it has a name in a file system, and the kernel takes it back when
// the last process that mapped it is gone, however it died.

#include "allocator.h"
#include "arithmetic.h"
#include "bfloat16.h"
#include "checksum.h"

#include <cerrno>
#include <cstring>

#include <node_api.h>

#ifdef __linux__
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#endif

namespace {

napi_value Fail(napi_env env, const char* what) {
  napi_throw_error(env, nullptr, what);
  return nullptr;
}

struct Arguments {
  size_t count = 5;
  napi_value values[5];
  Arguments(napi_env env, napi_callback_info info) { napi_get_cb_info(env, info, &count, values, nullptr, nullptr); }
  int64_t Integer(napi_env env, size_t i) const {
    int64_t value = -1;
    if (i < count) napi_get_value_int64(env, values[i], &value);
    return value;
  }
};

napi_value Number(napi_env env, int64_t value) {
  napi_value result;
  napi_create_int64(env, value, &result);
  return result;
}

struct Floats {
  float* data = nullptr;
  size_t length = 0;
  Floats(napi_env env, napi_value value) {
    napi_typedarray_type type;
    void* memory = nullptr;
    bool is = false;
    if (napi_is_typedarray(env, value, &is) != napi_ok || !is) return;
    if (napi_get_typedarray_info(env, value, &type, &length, &memory, nullptr, nullptr) != napi_ok) return;
    if (type == napi_float32_array) data = static_cast<float*>(memory);
  }
};

// add(out, left, right) and addBfloat16(out, left, right): out = left + right, elementwise in float32, rounded to
// bfloat16 or not.
template <void (*kAdd)(float*, const float*, const float*, int64_t)>
napi_value AddWith(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 3) return Fail(env, "add: expected three Float32Arrays");
  Floats out(env, arguments.values[0]), left(env, arguments.values[1]), right(env, arguments.values[2]);
  if (out.length == 0 && left.length == 0 && right.length == 0) return nullptr;
  if (!out.data || !left.data || !right.data || left.length != out.length || right.length != out.length)
    return Fail(env, "add: expected three Float32Arrays of one length");
  kAdd(out.data, left.data, right.data, static_cast<int64_t>(out.length));
  return nullptr;
}

struct Words {
  uint16_t* data = nullptr;
  size_t length = 0;
  Words(napi_env env, napi_value value) {
    napi_typedarray_type type;
    void* memory = nullptr;
    bool is = false;
    if (napi_is_typedarray(env, value, &is) != napi_ok || !is) return;
    if (napi_get_typedarray_info(env, value, &type, &length, &memory, nullptr, nullptr) != napi_ok) return;
    if (type == napi_uint16_array) data = static_cast<uint16_t*>(memory);
  }
};

// roundBfloat16(Float32Array), in place.
napi_value Round(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 1) return Fail(env, "roundBfloat16: expected a Float32Array");
  Floats values(env, arguments.values[0]);
  if (values.length > 0 && !values.data) return Fail(env, "roundBfloat16: expected a Float32Array");
  if (values.length > 0) lockstep::RoundBfloat16(values.data, static_cast<int64_t>(values.length));
  return nullptr;
}

// packBfloat16(Uint16Array, Float32Array) and unpackBfloat16(Float32Array, Uint16Array): into the first, of the second.
template <bool kPack>
napi_value Convert(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 2) return Fail(env, "bfloat16: expected two arrays");
  Floats values(env, arguments.values[kPack ? 1 : 0]);
  Words words(env, arguments.values[kPack ? 0 : 1]);
  if (values.length == 0 && words.length == 0) return nullptr;
  if (!values.data || !words.data || values.length != words.length)
    return Fail(env, "bfloat16: expected a Float32Array and a Uint16Array of one length");
  const int64_t count = static_cast<int64_t>(values.length);
  if (kPack)
    lockstep::PackBfloat16(words.data, values.data, count);
  else
    lockstep::UnpackBfloat16(values.data, words.data, count);
  return nullptr;
}

// hash(Float32Array, Uint8Array of at least 8 bytes)
napi_value HashInto(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 2) return Fail(env, "hash: expected a Float32Array and a Uint8Array");
  Floats values(env, arguments.values[0]);
  napi_typedarray_type type;
  size_t length = 0;
  void* target = nullptr;
  bool is = false;
  if (napi_is_typedarray(env, arguments.values[1], &is) != napi_ok || !is)
    return Fail(env, "hash: expected a Uint8Array");
  napi_get_typedarray_info(env, arguments.values[1], &type, &length, &target, nullptr, nullptr);
  if (type != napi_uint8_array || length < 8 || (values.length > 0 && !values.data))
    return Fail(env, "hash: expected a Float32Array and a Uint8Array of 8 bytes");
  uint32_t hash[2];
  lockstep::Hash(values.data, static_cast<int64_t>(values.length), hash);
  std::memcpy(target, hash, sizeof hash);
  return nullptr;
}

#ifdef LOCKSTEP_HAS_CRC
// checksum(Uint8Array, CRC-32 of the bytes before it): CRC-32 of all.
napi_value Checksum(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  bool is = false;
  if (arguments.count < 1 || napi_is_typedarray(env, arguments.values[0], &is) != napi_ok || !is)
    return Fail(env, "checksum: expected a Uint8Array");
  napi_get_typedarray_info(env, arguments.values[0], &type, &length, &data, nullptr, nullptr);
  if (type != napi_uint8_array) return Fail(env, "checksum: expected a Uint8Array");
  const uint32_t before = arguments.count > 1 ? static_cast<uint32_t>(arguments.Integer(env, 1)) : 0;
  return Number(env, lockstep::Crc(static_cast<const uint8_t*>(data), length, before));
}
#endif

// address(typed array): where its elements are, for ops that read or write them. The caller keeps it alive.
napi_value Address(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  size_t length = 0;
  void* data = nullptr;
  bool is = false;
  if (arguments.count > 0 && napi_is_typedarray(env, arguments.values[0], &is) == napi_ok && is)
    napi_get_typedarray_info(env, arguments.values[0], nullptr, &length, &data, nullptr, nullptr);
  if (!data || length == 0) return Fail(env, "address: expected a typed array with elements");
  return Number(env, static_cast<int64_t>(reinterpret_cast<intptr_t>(data)));
}

#ifdef __linux__

// A word of memory that processes share, as a futex. Not FUTEX_PRIVATE: the waiters are in other processes.
struct Word {
  int32_t* at = nullptr;
  Word(napi_env env, napi_value buffer, int64_t offset) {
    void* data = nullptr;
    size_t bytes = 0;
    if (napi_get_arraybuffer_info(env, buffer, &data, &bytes) != napi_ok || offset < 0 || offset % 4 != 0) return;
    if (static_cast<uint64_t>(offset) + 4 <= bytes) at = reinterpret_cast<int32_t*>(static_cast<char*>(data) + offset);
  }
};

// publish(ArrayBuffer, offset, value): everything written before is visible to whoever sees the value; wakes who waits.
napi_value Publish(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 3) return Fail(env, "publish: expected an ArrayBuffer, an offset and a value");
  Word word(env, arguments.values[0], arguments.Integer(env, 1));
  if (!word.at) return Fail(env, "publish: expected a word inside an ArrayBuffer");
  __atomic_store_n(word.at, static_cast<int32_t>(arguments.Integer(env, 2)), __ATOMIC_SEQ_CST);
  syscall(SYS_futex, word.at, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  return nullptr;
}

int64_t NowMicroseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

// await(ArrayBuffer, offset, value, microseconds of spinning, microseconds in all): whether the word has the value.
napi_value Await(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 5) return Fail(env, "await: expected an ArrayBuffer, an offset, a value and two times");
  Word word(env, arguments.values[0], arguments.Integer(env, 1));
  if (!word.at) return Fail(env, "await: expected a word inside an ArrayBuffer");
  const int32_t wanted = static_cast<int32_t>(arguments.Integer(env, 2));
  const int64_t start = NowMicroseconds();
  const int64_t spin_until = start + arguments.Integer(env, 3), give_up = start + arguments.Integer(env, 4);
  bool is = false;
  for (int round = 0;; ++round) {
    const int32_t found = __atomic_load_n(word.at, __ATOMIC_SEQ_CST);
    is = found == wanted;
    if (is) break;
    const int64_t now = (round & 63) == 63 ? NowMicroseconds() : 0;
    if (now == 0 || now < spin_until) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      continue;
    }
    if (now >= give_up) break;
    const int64_t left = give_up - now;
    const timespec timeout{static_cast<time_t>(left / 1000000), static_cast<long>(left % 1000000) * 1000};
    syscall(SYS_futex, word.at, FUTEX_WAIT, found, &timeout, nullptr, 0);
    // After a wake the next rounds look at the clock at once.
    round = 62;
  }
  napi_value result;
  napi_get_boolean(env, is, &result);
  return result;
}

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// create(bytes): a descriptor of `bytes` bytes of zeros, of which only what is touched takes memory.
napi_value Create(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  const int fd = memfd_create("lockstep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return Fail(env, std::strerror(errno));
  if (ftruncate(fd, arguments.Integer(env, 0)) != 0 || fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    const int reason = errno;
    close(fd);
    return Fail(env, std::strerror(reason));
  }
  return Number(env, fd);
}

struct Mapping {
  size_t bytes;
};

void Unmap(napi_env, void* data, void* hint) {
  Mapping* mapping = static_cast<Mapping*>(hint);
  munmap(data, mapping->bytes);
  delete mapping;
}

// map(descriptor, offset, bytes): an ArrayBuffer over that part. Refuses memory that could shrink under the reader,
// which would kill it with SIGBUS.
napi_value Map(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  const int fd = static_cast<int>(arguments.Integer(env, 0));
  const int64_t offset = arguments.Integer(env, 1), bytes = arguments.Integer(env, 2);
  struct stat about;
  if (fstat(fd, &about) != 0) return Fail(env, std::strerror(errno));
  if (offset < 0 || bytes <= 0 || offset > about.st_size || bytes > about.st_size - offset)
    return Fail(env, "map: outside of the memory");
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return Fail(env, "map: the memory is not sealed");
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (data == MAP_FAILED) return Fail(env, std::strerror(errno));
  Mapping* mapping = new Mapping{static_cast<size_t>(bytes)};
  napi_value result;
  if (napi_create_external_arraybuffer(env, data, mapping->bytes, Unmap, mapping, &result) != napi_ok) {
    Unmap(env, data, mapping);
    return Fail(env, "map: this runtime has no external ArrayBuffers");
  }
  return result;
}

#endif

napi_value Init(napi_env env, napi_value exports) {
  const auto add = [&](const char* name, napi_callback function) {
    napi_value value;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, function, nullptr, &value);
    napi_set_named_property(env, exports, name, value);
  };
  add("add", AddWith<lockstep::Add>);
  add("addBfloat16", AddWith<lockstep::AddBfloat16>);
  add("roundBfloat16", Round);
  add("packBfloat16", Convert<true>);
  add("unpackBfloat16", Convert<false>);
  add("address", Address);
  add("hash", HashInto);
  lockstep::KeepFreedMemory();
#ifdef LOCKSTEP_HAS_CRC
  if (lockstep::HasCrc()) add("checksum", Checksum);
#endif
#ifdef __linux__
  add("create", Create);
  add("map", Map);
  add("publish", Publish);
  add("await", Await);
#endif
  return exports;
}

}  // namespace

NAPI_MODULE(NODE_GYP_MODULE_NAME, Init)
