/*
 * Slows the writes of checkpoints, for tests: a library for LD_PRELOAD. After each write to a file whose path contains
 * SLOW_DISK_PATH, the writing thread sleeps for the time that a disk of SLOW_DISK_MB_PER_S would need.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(int file, ssize_t bytes) {
  const char *path = getenv("SLOW_DISK_PATH");
  const char *speed = getenv("SLOW_DISK_MB_PER_S");
  if (bytes <= 0 || path == NULL || speed == NULL) return;
  char link[64], target[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, target, sizeof target - 1);
  if (length <= 0) return;
  target[length] = 0;
  if (strstr(target, path) == NULL) return;
  double seconds = (double)bytes / (1e6 * atof(speed));
  struct timespec time = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
  nanosleep(&time, NULL);
}

ssize_t write(int file, const void *data, size_t size) {
  static ssize_t (*system_write)(int, const void *, size_t);
  if (system_write == NULL)
    system_write = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  ssize_t written = system_write(file, data, size);
  wait_for_disk(file, written);
  return written;
}
