/* SPDX-License-Identifier: MIT */
/* OpenBLAS, loaded when first needed.
 *
 * It picks its kernels while it is being loaded, and the packaged 0.3.21 does not know processors
 * newer than itself: it would run Haswell kernels at half the speed. So it is told the core type
 * that CPUID shows. An OPENBLAS_CORETYPE in the environment is often somebody else's default and is
 * overridden; whoever wants one core type on unlike machines (for equal bits) sets LATHE_BLAS_CORE.
 * It is kept to one thread: our own pool calls it on fixed tiles, which keeps the bits independent
 * of the number of threads.
 * The environment is changed, so the first device should be opened before other threads run.
 *
 * The result is kept behind pthread_once and never changes or goes away afterwards.
 */
#include "base/cpu.h"
#include "tensor/cpu/cpu.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIBRARY "libopenblas.so.0"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct blas loaded;
static struct err failure;

/* POSIX promises that a symbol fits in a function pointer, C does not. */
static void symbol(void *library, const char *name, void *function_pointer) {
  void *p = dlsym(library, name);
  memcpy(function_pointer, &p, sizeof p);
}

static void tell_core_type(void) {
  struct cpu cpu;
  cpu_detect(&cpu);
  const char *wanted = getenv("LATHE_BLAS_CORE");
  if (!wanted || !*wanted) wanted = cpu_openblas_coretype(&cpu);
  if (wanted) setenv("OPENBLAS_CORETYPE", wanted, 1);
  snprintf(loaded.asked, sizeof loaded.asked, "%s", wanted ? wanted : "");
  setenv("OPENBLAS_NUM_THREADS", "1", 1);
}

static void load(void) {
  tell_core_type();
  void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    err_set(&failure, ERR_NOTFOUND,
            "cannot load OpenBLAS, which does the matrix products: %s; install the package "
            "libopenblas0-pthread",
            dlerror());
    return;
  }
  void (*set_threads)(int) = NULL;
  symbol(library, "cblas_sgemm", &loaded.sgemm);
  symbol(library, "openblas_get_config", &loaded.config);
  symbol(library, "openblas_get_corename", &loaded.core);
  symbol(library, "openblas_set_num_threads", &set_threads);
  if (set_threads) set_threads(1);
  if (!loaded.sgemm)
    err_set(&failure, ERR_NOTFOUND,
            LIBRARY " has no cblas_sgemm; install the package libopenblas0-pthread");
}

const struct blas *blas_load(struct err *err) {
  pthread_once(&once, load);
  if (loaded.sgemm) return &loaded;
  err_set(err, failure.code, "%s", failure.message);
  return NULL;
}

int device_cpu_blas(struct blas_info *out, struct err *err) {
  memset(out, 0, sizeof *out);
  const struct blas *blas = blas_load(err);
  if (!blas) return ERR_NOTFOUND;
  snprintf(out->config, sizeof out->config, "%s", blas->config ? blas->config() : "OpenBLAS");
  snprintf(out->core, sizeof out->core, "%s", blas->core ? blas->core() : "unknown");
  snprintf(out->asked, sizeof out->asked, "%s", blas->asked);
  return 0;
}
