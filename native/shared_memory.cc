// Memory shared by the workers of one host, for the addon: creating and mapping it, and waiting for another process's
// write. The memory is anonymous (memfd): it has no name in a file system, and the kernel frees it when the last
// process that maps it ends, even if that process is killed.

#include "addon.h"

#ifndef __linux__

void lockstep::ExportSharedMemory(napi_env, napi_value) {}

#else

#include <cerrno>
#include <climits>
#include <cstring>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace lockstep {
namespace {

// A 32-bit word of an ArrayBuffer that processes share, used as a futex. Futex calls on it are not FUTEX_PRIVATE, since
// the waiters are in other processes. `address` is null if the word is not inside the buffer or not aligned to 4 bytes.
struct SharedWord {
  int32_t* address = nullptr;
  SharedWord(napi_env env, napi_value buffer, int64_t offset) {
    void* data = nullptr;
    size_t bytes = 0;
    if (napi_get_arraybuffer_info(env, buffer, &data, &bytes) != napi_ok || offset < 0 || offset % 4 != 0) return;
    if (static_cast<uint64_t>(offset) + 4 <= bytes)
      address = reinterpret_cast<int32_t*>(static_cast<char*>(data) + offset);
  }
};

// publish(ArrayBuffer, offset, value): stores the value (sequentially consistent, so a process that reads it also sees
// every earlier write of this one) and wakes all processes that wait for the word.
napi_value Publish(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 3)
    return Throw(env, "publish: expected an ArrayBuffer, an offset and a value, got fewer arguments");
  SharedWord word(env, arguments.values[0], arguments.Integer(env, 1));
  if (!word.address) return Throw(env, "publish: expected an aligned offset inside an ArrayBuffer, got another one");
  __atomic_store_n(word.address, static_cast<int32_t>(arguments.Integer(env, 2)), __ATOMIC_SEQ_CST);
  syscall(SYS_futex, word.address, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
  return nullptr;
}

int64_t NowMicroseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000 + now.tv_nsec / 1000;
}

// await(ArrayBuffer, offset, value, spin, timeout): blocks the thread until the word has the value and returns true, or
// returns false after `timeout` microseconds. It polls for the first `spin` microseconds, then sleeps.
napi_value Await(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  if (arguments.count < 5)
    return Throw(env, "await: expected an ArrayBuffer, an offset, a value and two times, got fewer arguments");
  SharedWord word(env, arguments.values[0], arguments.Integer(env, 1));
  if (!word.address) return Throw(env, "await: expected an aligned offset inside an ArrayBuffer, got another one");
  const int32_t wanted = static_cast<int32_t>(arguments.Integer(env, 2));
  const int64_t start = NowMicroseconds();
  const int64_t spin_until = start + arguments.Integer(env, 3), give_up = start + arguments.Integer(env, 4);
  bool found = false;
  // Reading the clock costs more than a poll, so it happens every 64 polls, and after every sleep.
  for (int polls_until_clock = 63;; --polls_until_clock) {
    const int32_t value = __atomic_load_n(word.address, __ATOMIC_SEQ_CST);
    found = value == wanted;
    if (found) break;
    if (polls_until_clock > 0) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
      continue;
    }
    polls_until_clock = 64;
    const int64_t now = NowMicroseconds();
    if (now < spin_until) continue;
    if (now >= give_up) break;
    const int64_t left = give_up - now;
    const timespec timeout{static_cast<time_t>(left / 1000000), static_cast<long>(left % 1000000) * 1000};
    syscall(SYS_futex, word.address, FUTEX_WAIT, value, &timeout, nullptr, 0);
    polls_until_clock = 1;
  }
  napi_value result;
  napi_get_boolean(env, found, &result);
  return result;
}

std::string SystemError(const char* function, int code) {
  return std::string(function) + ": " + std::strerror(code) + " (errno " + std::to_string(code) + ")";
}

// No process can change the size of sealed memory, which would kill another one that reads it with SIGBUS.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

// create(bytes): a descriptor of sealed memory of `bytes` zero bytes. Only pages that are touched use physical memory.
napi_value Create(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  const int fd = memfd_create("lockstep", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0) return Throw(env, SystemError("create: memfd_create failed", errno));
  if (ftruncate(fd, arguments.Integer(env, 0)) != 0 || fcntl(fd, F_ADD_SEALS, kSeals) != 0) {
    const int code = errno;
    close(fd);
    return Throw(env, SystemError("create: sizing and sealing the memory failed", code));
  }
  return NumberValue(env, fd);
}

struct Mapping {
  size_t bytes;
};

void Unmap(napi_env, void* data, void* hint) {
  Mapping* mapping = static_cast<Mapping*>(hint);
  munmap(data, mapping->bytes);
  delete mapping;
}

// map(descriptor, offset, bytes): an ArrayBuffer over [offset, offset + bytes) of the memory; `offset` is a multiple of
// the page size. Garbage collection of the ArrayBuffer unmaps it. Refuses memory that is not sealed.
napi_value Map(napi_env env, napi_callback_info info) {
  Arguments arguments(env, info);
  const int fd = static_cast<int>(arguments.Integer(env, 0));
  const int64_t offset = arguments.Integer(env, 1), bytes = arguments.Integer(env, 2);
  struct stat about;
  if (fstat(fd, &about) != 0) return Throw(env, SystemError("map: fstat failed", errno));
  if (offset < 0 || bytes <= 0 || offset > about.st_size || bytes > about.st_size - offset)
    return Throw(env, "map: expected a range inside the memory, got " + std::to_string(bytes) + " bytes at " +
                          std::to_string(offset) + ", outside its " + std::to_string(about.st_size) + " bytes");
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
    return Throw(env, "map: expected memory sealed against shrinking, got memory that is not");
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
  if (data == MAP_FAILED) return Throw(env, SystemError("map: mmap failed", errno));
  Mapping* mapping = new Mapping{static_cast<size_t>(bytes)};
  napi_value result;
  if (napi_create_external_arraybuffer(env, data, mapping->bytes, Unmap, mapping, &result) != napi_ok) {
    Unmap(env, data, mapping);
    return Throw(env, "map: expected a runtime with external ArrayBuffers, got one without them");
  }
  return result;
}

}  // namespace

void ExportSharedMemory(napi_env env, napi_value exports) {
  ExportFunction(env, exports, "create", Create);
  ExportFunction(env, exports, "map", Map);
  ExportFunction(env, exports, "publish", Publish);
  ExportFunction(env, exports, "await", Await);
}

}  // namespace lockstep

#endif
