/*
 * A disk that fails, for tests of real processes: loaded with LD_PRELOAD, it makes calls on paths that begin with LOCKSTEP_FAILING_PATH
 * fail with EIO while the file LOCKSTEP_FAILING_WHILE exists. The first write to each open file then writes half of its bytes, as a disk
 * does that fails in the middle of a write. No line ends there, since whole lines leave no gap, and the end
 * of one of several similar lines is often in the middle.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define MAX_DESCRIPTORS 4096
static char torn[MAX_DESCRIPTORS];

static int fails(const char* path) {
  const char* prefix = getenv("LOCKSTEP_FAILING_PATH");
  const char* flag = getenv("LOCKSTEP_FAILING_WHILE");
  if (path == NULL || prefix == NULL || flag == NULL) return 0;
  return strncmp(path, prefix, strlen(prefix)) == 0 && access(flag, F_OK) == 0;
}

static int fails_at(int fd) {
  if (getenv("LOCKSTEP_FAILING_PATH") == NULL) return 0;
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return fails(path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FAIL   \
  do {         \
    errno = EIO; \
    return -1; \
  } while (0)

/* Returns the number of bytes to write: half of them at the first failure of a descriptor, 0 at the later ones. */
static size_t part(int fd, const char* data, size_t count) {
  if (fd < 0 || fd >= MAX_DESCRIPTORS || torn[fd] || count < 2) return 0;
  torn[fd] = 1;
  size_t some = count / 2;
  while (some > 0 && (data[some - 1] == '\n' || data[some] == '\n')) some--;
  return some;
}

ssize_t write(int fd, const void* data, size_t count) {
  if (!fails_at(fd)) return NEXT(write)(fd, data, count);
  const size_t some = part(fd, data, count);
  if (some == 0) FAIL;
  return NEXT(write)(fd, data, some);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  if (fails_at(fd)) FAIL;
  return NEXT(writev)(fd, parts, count);
}

#define PWRITE(name, offset_type)                                                  \
  ssize_t name(int fd, const void* data, size_t count, offset_type offset) {       \
    if (fails_at(fd)) FAIL;                                                        \
    return NEXT(name)(fd, data, count, offset);                                    \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name)             \
  int name(int fd) {           \
    if (fails_at(fd)) FAIL;    \
    return NEXT(name)(fd);     \
  }
SYNC(fsync)
SYNC(fdatasync)

#define OPEN(name)                                              \
  int name(const char* path, int flags, ...) {                  \
    va_list rest;                                               \
    va_start(rest, flags);                                      \
    const mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0; \
    va_end(rest);                                               \
    if (fails(path)) FAIL;                                      \
    const int fd = NEXT(name)(path, flags, mode);               \
    if (fd >= 0 && fd < MAX_DESCRIPTORS) torn[fd] = 0;          \
    return fd;                                                  \
  }
OPEN(open)
OPEN(open64)

int mkdir(const char* path, mode_t mode) {
  if (fails(path)) FAIL;
  return NEXT(mkdir)(path, mode);
}

int rename(const char* from, const char* to) {
  if (fails(from) || fails(to)) FAIL;
  return NEXT(rename)(from, to);
}

int unlink(const char* path) {
  if (fails(path)) FAIL;
  return NEXT(unlink)(path);
}

int utimensat(int folder, const char* path, const struct timespec times[2], int flags) {
  if (fails(path)) FAIL;
  return NEXT(utimensat)(folder, path, times, flags);
}
