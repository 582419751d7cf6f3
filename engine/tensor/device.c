/* SPDX-License-Identifier: MIT */
/* What is the same for every device: weights, rotary frequencies, closing. See device.h. */
#include "tensor/device.h"
#include "base/checked.h"

#include <math.h>
#include <string.h>

void device_close(struct device *d) {
  if (d->close) d->close(d);
  memset(d, 0, sizeof *d);
}

static bool keeps_host_bytes(const struct device *d, const struct tensor *stored,
                             enum weight_mode mode) {
  return d->unified && (mode == WEIGHT_KEEP || stored->dtype == DTYPE_F32);
}

size_t weight_prepare_bytes(const struct device *d, const struct tensor *stored,
                            enum weight_mode mode) {
  if (keeps_host_bytes(d, stored, mode)) return 0;
  return mode == WEIGHT_KEEP ? tensor_bytes(stored) : dtype_bytes(DTYPE_F32, tensor_count(stored));
}

int weight_prepare(struct device *d, const struct tensor *stored, enum weight_mode mode,
                   struct weight *out, struct err *err) {
  memset(out, 0, sizeof *out);
  const struct dtype_info *info = dtype_info(stored->dtype);
  if (!info->is_float)
    return err_set(err, ERR_UNSUPPORTED, "a weight cannot be of type %s", info->name);
  struct weight w = {.dtype = stored->dtype,
                     .data = stored->data,
                     .rows = tensor_rows(stored),
                     .cols = tensor_cols(stored)};
  if (!keeps_host_bytes(d, stored, mode)) {
    w.owned_bytes = weight_prepare_bytes(d, stored, mode);
    w.owned = d->alloc(d, w.owned_bytes);
    if (!w.owned) return err_nomem(err, w.owned_bytes, "a weight");
    w.data = w.owned;
    int rc;
    if (mode == WEIGHT_KEEP) {
      rc = d->copy_in(d, w.owned, stored->data, w.owned_bytes, err);
    } else {
      w.dtype = DTYPE_F32;
      struct convert op = {.n = tensor_count(stored),
                           .from_type = stored->dtype,
                           .to_type = DTYPE_F32,
                           .from = stored->data,
                           .to = w.owned};
      rc = d->unified ? d->convert(d, &op, err)
                      : err_set(err, ERR_UNSUPPORTED, "this device decodes no weights");
    }
    if (rc) {
      d->free(d, w.owned, w.owned_bytes);
      return rc;
    }
  }
  *out = w;
  return 0;
}

void weight_clear(struct device *d, struct weight *w) {
  if (w->owned) d->free(d, w->owned, w->owned_bytes);
  memset(w, 0, sizeof *w);
}

void rope_inv_freq(double theta, size_t dim, float *inv_freq) {
  for (size_t i = 0; i < dim / 2; i++)
    inv_freq[i] = (float)pow(theta, -2.0 * (double)i / (double)dim);
}
