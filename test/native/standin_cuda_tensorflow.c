// Stands in for libtensorflow_cc.so.2 of TensorFlow's CUDA wheel, for tests without a GPU. It looks for the driver and opens the CUDA
// libraries by name, as TensorFlow does, and then calls the first device a GPU. All ops are computed by a real TensorFlow for the
// CPU, on which this library depends. CUDA_STANDIN_LOG names a file for CUDA_VISIBLE_DEVICES and the paths of the libraries.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef const char *(*DeviceType)(const void *list, int index, void *status);

// In the order in which TensorFlow opens them.
static const char *const kLibraries[] = {"libcudart.so.12",   "libcublas.so.12",   "libcublasLt.so.12", "libcufft.so.11",
                                         "libcusolver.so.11", "libcusparse.so.12", "libcudnn.so.9"};

static int g_usable;

static void note(const char *name, const char *value) {
  const char *file = getenv("CUDA_STANDIN_LOG");
  FILE *log = file ? fopen(file, "a") : NULL;
  if (!log) return;
  fprintf(log, "%d %s %s\n", (int)getpid(), name, value);
  fclose(log);
}

// Opens a library by its name alone, so that the loader searches LD_LIBRARY_PATH and then this library's RUNPATH.
static void *open_by_name(const char *name) {
  void *handle = dlopen(name, RTLD_NOW);
  struct link_map *map = NULL;
  if (handle && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) note(name, map->l_name);
  return handle;
}

static void look_for_gpu(void) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  note("CUDA_VISIBLE_DEVICES", visible ? visible : "unset");
  if (visible && (strcmp(visible, "") == 0 || strcmp(visible, "-1") == 0)) return;
  void *driver = open_by_name("libcuda.so.1");
  int (*init)(unsigned) = driver ? (int (*)(unsigned))dlsym(driver, "cuInit") : NULL;
  if (!init || init(0) != 0) return;
  for (size_t i = 0; i < sizeof kLibraries / sizeof *kLibraries; i++)
    if (!open_by_name(kLibraries[i])) return;
  g_usable = 1;
}

const char *TF_DeviceListType(const void *list, int index, void *status) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, look_for_gpu);
  DeviceType real = (DeviceType)dlsym(RTLD_NEXT, "TF_DeviceListType");
  const char *type = real(list, index, status);
  return g_usable && strcmp(type, "CPU") == 0 ? "GPU" : type;
}
