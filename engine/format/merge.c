/* SPDX-License-Identifier: MIT */
/* Merging adapters; see merge.h. */
#include "format/merge.h"

#include "base/cancel.h"
#include "base/mem.h"

#include <string.h>

#define LANES 8 /* a loop of fixed length, which the compiler turns into vector code */

static int check_shapes(const struct safetensors_tensor *w, const struct safetensors_tensor *a,
                        const struct safetensors_tensor *b, struct err *err) {
  const struct safetensors_tensor *all[] = {w, a, b};
  for (int i = 0; i < 3; i++)
    if (all[i]->rank != 2 || all[i]->dtype == DTYPE_COUNT || !dtype_info(all[i]->dtype)->is_float)
      return err_set(err, ERR_MISMATCH, "tensor '%s' is not a matrix of floats", all[i]->name);
  if (a->shape[1] != w->shape[1] || b->shape[0] != w->shape[0] || a->shape[0] != b->shape[1])
    return err_set(
        err, ERR_MISMATCH,
        "adapter [%llu, %llu]·[%llu, %llu] does not fit '%s' [%llu, %llu]: another base?",
        (unsigned long long)b->shape[0], (unsigned long long)b->shape[1],
        (unsigned long long)a->shape[0], (unsigned long long)a->shape[1], w->name,
        (unsigned long long)w->shape[0], (unsigned long long)w->shape[1]);
  return 0;
}

/* y += v · x */
static void add_scaled(float *y, const float *x, float v, size_t n) {
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (size_t k = 0; k < LANES; k++) y[i + k] += v * x[i + k];
  for (; i < n; i++) y[i] += v * x[i];
}

static void merge_row(float *row, float *delta, const float *a, const float *b, size_t rank,
                      size_t in, float scale) {
  memset(delta, 0, in * sizeof *delta);
  for (size_t r = 0; r < rank; r++) add_scaled(delta, a + r * in, b[r], in);
  add_scaled(row, delta, scale, in);
}

int merge_lora(struct safetensors_writer *w, const struct safetensors_tensor *base,
               const struct safetensors_tensor *a, const struct safetensors_tensor *b, double scale,
               struct err *err) {
  int rc = check_shapes(base, a, b, err);
  if (rc) return rc;
  size_t out = (size_t)base->shape[0], in = (size_t)base->shape[1], rank = (size_t)a->shape[0];
  size_t row_bytes = in * dtype_info(base->dtype)->bytes;
  float *fa = mem_array((size_t)a->count + 1, sizeof *fa);
  float *fb = mem_array((size_t)b->count + 1, sizeof *fb);
  float *row = mem_array(2 * in + 1, sizeof *row);
  void *stored = mem_alloc(row_bytes);
  if (!fa || !fb || !row || !stored) {
    rc = err_nomem(err, (a->count + b->count + 2 * in) * sizeof *fa, "merging an adapter");
    goto done;
  }
  if ((rc = safetensors_read(a, DTYPE_F32, fa, err))) goto done;
  if ((rc = safetensors_read(b, DTYPE_F32, fb, err))) goto done;
  for (size_t o = 0; o < out && !rc; o++) {
    memcpy(stored, (const char *)base->data + o * row_bytes, row_bytes); /* may be unaligned */
    dtype_to_f32(base->dtype, stored, row, in);
    merge_row(row, row + in, fa, fb + o * rank, rank, in, (float)scale);
    rc = safetensors_write_as(w, DTYPE_F32, row, in, err);
    if (!rc) rc = cancel_check(err);
  }
done:
  mem_free(fa);
  mem_free(fb);
  mem_free(row);
  mem_free(stored);
  return rc;
}
