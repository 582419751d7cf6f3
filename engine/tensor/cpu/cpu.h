/* SPDX-License-Identifier: MIT */
/* Private to tensor/cpu: the device's state, OpenBLAS, and how work is cut.
 *
 * Every operation is a struct of arguments and a task: `pool_run(pool, tasks, task, &job)`. How
 * many elements a task takes (TASK_ELEMENTS) depends on nothing but the shape.
 */
#ifndef LATHE_TENSOR_CPU_H
#define LATHE_TENSOR_CPU_H

#include "tensor/device.h"

enum { BLAS_PLAIN = 111, BLAS_TRANS = 112, BLAS_ROW_MAJOR = 101 }; /* values of cblas.h */
typedef void blas_sgemm(int order, int trans_a, int trans_b, int m, int n, int k, float alpha,
                        const float *a, int lda, const float *b, int ldb, float beta, float *c,
                        int ldc);

struct blas {
  blas_sgemm *sgemm;
  char *(*config)(void);
  char *(*core)(void);
  char asked[32];
};
/* Loads OpenBLAS once in the process; a constant afterwards. */
const struct blas *blas_load(struct err *err);

struct cpu_device {
  struct pool *pool; /* borrowed */
  const struct blas *blas;
};
static inline struct cpu_device *cpu_of(const struct device *d) {
  return d->impl;
}

#define TASK_ELEMENTS 16384

static inline size_t size_min(size_t a, size_t b) {
  return a < b ? a : b;
}
static inline size_t ceil_div(size_t a, size_t b) {
  return (a + b - 1) / b;
}
static inline size_t align64(size_t bytes) {
  return (bytes + 63) & ~(size_t)63;
}
/* Rows that one task takes when a row has d elements. */
static inline size_t rows_per_task(size_t d) {
  return d >= TASK_ELEMENTS ? 1 : d ? TASK_ELEMENTS / d : TASK_ELEMENTS;
}

/* pool_run with the error filled. */
int cpu_run(const struct device *d, size_t tasks, pool_task *task, void *arg, struct err *err);
/* 0, or ERR_MISUSE when w holds fewer than `need` bytes. */
int cpu_work(const struct work *w, size_t need, const char *what, struct err *err);
/* 0, or ERR_UNSUPPORTED when the type has no floats in it. */
int cpu_float_type(enum dtype type, const char *what, struct err *err);

/* Column sums in fixed order: out[j] += Σ_p partial[p, j]. */
int cpu_add_partials(const struct device *d, const float *partial, size_t parts, size_t n,
                     float *out, struct err *err);
/* Rows of one partial sum: at most 64 partial sums whatever the number of rows. */
static inline size_t partial_rows(size_t rows) {
  size_t per = ceil_div(rows, 64);
  return per < 16 ? 16 : per;
}

/* The files of ops/ are compiled once for every kernel set (see the Makefile): KERNEL_SET is base,
 * avx2 or avx512, and each file's one public function puts its operations into the table. The order
 * of every sum is in the source and nothing is contracted into fused multiply-adds, so that all
 * sets give the same bits. */
#ifndef KERNEL_SET
#define KERNEL_SET base
#endif
#define CPU_OPS_NAME(what, set) cpu_##what##_ops_##set
#define CPU_OPS_IN(what, set)   CPU_OPS_NAME(what, set)
#define CPU_OPS(what)           CPU_OPS_IN(what, KERNEL_SET)

#define CPU_OPS_OF(set)                                                                            \
  void cpu_matmul_ops_##set(struct device *d);                                                     \
  void cpu_norm_ops_##set(struct device *d);                                                       \
  void cpu_rope_ops_##set(struct device *d);                                                       \
  void cpu_attention_ops_##set(struct device *d);                                                  \
  void cpu_glu_ops_##set(struct device *d);                                                        \
  void cpu_embed_ops_##set(struct device *d);                                                      \
  void cpu_loss_ops_##set(struct device *d);                                                       \
  void cpu_optim_ops_##set(struct device *d);                                                      \
  void cpu_elem_ops_##set(struct device *d)
CPU_OPS_OF(base);
CPU_OPS_OF(avx2);
CPU_OPS_OF(avx512);

#endif
