/* SPDX-License-Identifier: MIT */
/* The processor as a device: memory is host memory, copies are memcpy, operations run on the pool
 * at once, so that sync has nothing to wait for. */
#include "base/cancel.h"
#include "base/cpu.h"
#include "base/mem.h"
#include "tensor/cpu/cpu.h"

#include <stdio.h>
#include <string.h>

static void *cpu_alloc(struct device *d, size_t bytes) {
  (void)d;
  return mem_aligned(bytes);
}

static void cpu_free(struct device *d, void *p, size_t bytes) {
  (void)d;
  if (p) mem_free_aligned(p, bytes);
}

static int cpu_copy(struct device *d, void *to, const void *from, size_t bytes, struct err *err) {
  (void)d;
  (void)err;
  if (bytes) memmove(to, from, bytes);
  return 0;
}

static int cpu_sync(struct device *d, struct err *err) {
  (void)d;
  (void)err;
  return 0;
}

static void cpu_close(struct device *d) {
  mem_free(d->impl);
}

int cpu_run(const struct device *d, size_t tasks, pool_task *task, void *arg, struct err *err) {
  return pool_run(cpu_of(d)->pool, tasks, task, arg) ? cancel_check(err) : 0;
}

int cpu_work(const struct work *w, size_t need, const char *what, struct err *err) {
  if (!need || (w && w->bytes >= need)) return 0;
  return err_set(err, ERR_MISUSE, "%s needs a workspace of %zu bytes and was given %zu", what, need,
                 w ? w->bytes : 0);
}

int cpu_float_type(enum dtype type, const char *what, struct err *err) {
  if (dtype_info(type)->is_float) return 0;
  return err_set(err, ERR_UNSUPPORTED, "%s cannot read type %s", what, dtype_info(type)->name);
}

struct partials {
  const float *partial;
  size_t parts, n;
  float *out;
};

static void add_columns(void *arg, size_t index) {
  const struct partials *j = arg;
  size_t from = index * TASK_ELEMENTS / 16, to = size_min(j->n, from + TASK_ELEMENTS / 16);
  for (size_t p = 0; p < j->parts; p++)
    for (size_t i = from; i < to; i++) j->out[i] += j->partial[p * j->n + i];
}

int cpu_add_partials(const struct device *d, const float *partial, size_t parts, size_t n,
                     float *out, struct err *err) {
  struct partials job = {partial, parts, n, out};
  return cpu_run(d, ceil_div(n, TASK_ELEMENTS / 16), add_columns, &job, err);
}

#define FILL(set)                                                                                  \
  static void fill_##set(struct device *d) {                                                       \
    cpu_matmul_ops_##set(d);                                                                       \
    cpu_norm_ops_##set(d);                                                                         \
    cpu_rope_ops_##set(d);                                                                         \
    cpu_attention_ops_##set(d);                                                                    \
    cpu_glu_ops_##set(d);                                                                          \
    cpu_embed_ops_##set(d);                                                                        \
    cpu_loss_ops_##set(d);                                                                         \
    cpu_optim_ops_##set(d);                                                                        \
    cpu_elem_ops_##set(d);                                                                         \
  }
FILL(base)
#if defined(__x86_64__)
FILL(avx2)
FILL(avx512)
#endif

int device_cpu_kernels(struct device *d, const char *set, struct err *err) {
  struct cpu cpu;
  cpu_detect(&cpu);
  void (*fill)(struct device *) = NULL;
  if (!strcmp(set, "base")) fill = fill_base;
#if defined(__x86_64__)
  if (!strcmp(set, "avx2") && cpu.avx2 && cpu.fma && cpu.f16c) fill = fill_avx2;
  if (!strcmp(set, "avx512") && cpu.avx512) fill = fill_avx512;
#endif
  if (!fill) return err_set(err, ERR_UNSUPPORTED, "this processor has no %s kernels", set);
  fill(d);
  return 0;
}

int device_cpu(struct device *d, struct pool *pool, struct err *err) {
  memset(d, 0, sizeof *d);
  const struct blas *blas = blas_load(err);
  if (!blas) return ERR_NOTFOUND;
  struct cpu_device *impl = mem_zero(sizeof *impl);
  if (!impl) return err_nomem(err, sizeof *impl, "a device");
  impl->pool = pool;
  impl->blas = blas;
  struct cpu cpu;
  cpu_detect(&cpu);
  d->impl = impl;
  d->threads = pool_threads(pool);
  d->unified = true;
  snprintf(d->name, sizeof d->name, "cpu: %.40s, %u thread%s", cpu.name, d->threads,
           d->threads == 1 ? "" : "s");
  d->alloc = cpu_alloc;
  d->free = cpu_free;
  d->copy_in = d->copy_out = d->copy = cpu_copy;
  d->sync = cpu_sync;
  d->close = cpu_close;
  return device_cpu_kernels(d,
                            cpu.avx512                        ? "avx512"
                            : cpu.avx2 && cpu.fma && cpu.f16c ? "avx2"
                                                              : "base",
                            err);
}
