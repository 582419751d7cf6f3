/* SPDX-License-Identifier: MIT */
/* Training: a micro-batch forward and backward, the optimiser's step, the state between steps.
 *
 * Gradients are those of the *sum* of losses; model_step divides by the number of supervised tokens
 * of all micro-batches since the last step. So a step over two micro-batches is a step over their
 * union, whatever their lengths.
 *
 * State, little-endian:
 *
 *   "LTMS" u32 version=1 │ u64 steps │ u64 tensors │ tensor: u32 name length, name, u64 count, w,
 * m, v (f32)
 */
#include "model/internal.h"

#include <math.h>
#include <string.h>

#include "base/cancel.h"
#include "base/reader.h"

#define STATE_MAGIC   0x534D544Cu
#define STATE_VERSION 1u

static int loss(struct run *r, const struct model_batch *b, bool backward, float *row_loss,
                struct model_loss *out) {
  struct model *m = r->m;
  struct loss_chunk op = {.rows = r->rows,
                          .d = m->config.hidden,
                          .vocab = m->config.vocab,
                          .hidden = r->xf,
                          .head_type = m->head.type,
                          .head = m->head.w,
                          .targets = b->targets,
                          .grad_scale = 1,
                          .dhidden = backward ? r->dxn : NULL,
                          .dhead = backward ? m->head.grad : NULL,
                          .row_loss = row_loss};
  struct work w = run_work(r);
  if (!r->rc) r->rc = m->dev.loss_chunk(&m->dev, &op, &w, r->err);
  if (!r->rc) *out = (struct model_loss){op.loss, op.supervised, op.correct};
  return r->rc;
}

int model_accumulate(struct model *m, const struct model_batch *b, struct model_loss *out,
                     struct err *err) {
  struct run r;
  int rc = model_batch_check(m, b, true, err);
  rc = rc ? rc : model_train_prepare(m, err);
  rc = rc ? rc : model_pass(&r, m, b, true, NULL, NULL, err);
  if (rc) return rc;
  run_forward(&r);
  loss(&r, b, true, NULL, out);
  run_backward(&r);
  rc = r.rc ? r.rc : cancel_check(err);
  if (rc) return rc;
  m->step_rows += b->rows;
  m->step_tokens += out->supervised;
  return 0;
}

int model_loss(struct model *m, const struct model_batch *b, float *row_loss,
               struct model_loss *out, struct err *err) {
  struct run r;
  int rc = model_batch_check(m, b, true, err);
  rc = rc ? rc : model_pass(&r, m, b, false, NULL, NULL, err);
  if (rc) return rc;
  run_forward(&r);
  return loss(&r, b, false, row_loss, out);
}

/* ---- step ---- */

static int clear_gradients(struct model *m, struct err *err) {
  int rc = 0;
  for (int k = 0; k < ARENA_COUNT && !rc; k++) {
    struct fill op = {.n = m->arena[k].n, .y = m->arena[k].grad};
    if (op.y) rc = m->dev.fill(&m->dev, &op, err);
  }
  m->step_rows = m->step_tokens = 0;
  return rc;
}

int model_drop(struct model *m, struct err *err) {
  return clear_gradients(m, err);
}

static int gradient_norm(struct model *m, double *norm, struct err *err) {
  double sum = 0;
  int rc = 0;
  for (int k = 0; k < ARENA_COUNT && !rc; k++) {
    struct reduce op = {.kind = REDUCE_SUM_SQUARES, .n = m->arena[k].n, .x = m->arena[k].grad};
    if (!op.x) continue;
    rc = model_region(m, &m->work, m->dev.reduce_work(&m->dev, &op), "scratch memory", err);
    struct work w = {m->work.data, m->work.bytes};
    rc = rc ? rc : m->dev.reduce(&m->dev, &op, &w, err);
    sum += op.result;
  }
  *norm = sqrt(sum) / (double)m->step_tokens;
  return rc;
}

static int update(struct model *m, const struct param *p, const struct model_optimiser *o,
                  double scale, struct err *err) {
  struct arena *a = &m->arena[p->arena];
  if (!a->grad) return 0;
  struct adamw op = {.n = p->shape[0] * p->shape[1],
                     .p = (float *)a->w + p->at,
                     .m = a->m + p->at,
                     .v = a->v + p->at,
                     .g = a->grad + p->at,
                     .lr = (float)o->lr,
                     .beta1 = (float)o->beta1,
                     .beta2 = (float)o->beta2,
                     .eps = (float)o->eps,
                     .decay = p->rank == 1 ? 0.0f : (float)o->decay,
                     .grad_scale = (float)scale,
                     .step = m->steps + 1};
  return m->dev.adamw(&m->dev, &op, err);
}

int model_step(struct model *m, const struct model_optimiser *o, double *norm, struct err *err) {
  if (!m->step_tokens)
    return err_set(err, ERR_MISUSE, "step: no supervised token was accumulated since the last one");
  int rc = gradient_norm(m, norm, err);
  if (rc) return rc;
  if (!isfinite(*norm))
    return err_set(err, ERR_MISMATCH,
                   "training diverged: the gradient norm at step %llu is not a finite number; "
                   "lower the learning rate or clip gradients",
                   (unsigned long long)m->steps + 1);
  double scale = 1.0 / (double)m->step_tokens;
  if (o->clip > 0 && *norm > o->clip) scale *= o->clip / *norm;
  m->torn = true; /* cancelled in what follows, some weights are of this step and some are not */
  for (size_t i = 0; i < m->param_count && !rc; i++) rc = update(m, &m->params[i], o, scale, err);
  if (rc) return rc;
  m->steps++;
  rc = clear_gradients(m, err);
  m->torn = rc != 0;
  return rc;
}

/* ---- state ---- */

static int add_floats(struct model *m, const float *p, size_t n, struct buf *out, struct err *err) {
  size_t bytes = n * sizeof(float);
  if (buf_reserve(out, bytes)) return err_nomem(err, bytes, "the training state");
  int rc = m->dev.copy_out(&m->dev, out->data + out->len, p, bytes, err);
  if (!rc) out->len += bytes, out->data[out->len] = 0;
  return rc;
}

int model_state_write(struct model *m, struct buf *out, struct err *err) {
  size_t count = 0;
  if (m->torn)
    return err_set(err, ERR_MISUSE,
                   "the last step was interrupted halfway: there is no state to be kept");
  int rc = model_train_prepare(m, err);
  for (size_t i = 0; i < m->param_count; i++) count += m->arena[m->params[i].arena].grad != NULL;
  buf_add_u32le(out, STATE_MAGIC);
  buf_add_u32le(out, STATE_VERSION);
  buf_add_u64le(out, m->steps);
  buf_add_u64le(out, count);
  for (size_t i = 0; i < m->param_count && !rc; i++) {
    const struct param *p = &m->params[i];
    const struct arena *a = &m->arena[p->arena];
    size_t n = p->shape[0] * p->shape[1];
    if (!a->grad) continue;
    buf_add_u32le(out, (uint32_t)strlen(p->name));
    buf_adds(out, p->name);
    buf_add_u64le(out, n);
    rc = add_floats(m, (float *)a->w + p->at, n, out, err);
    rc = rc ? rc : add_floats(m, a->m + p->at, n, out, err);
    rc = rc ? rc : add_floats(m, a->v + p->at, n, out, err);
  }
  return rc ? rc : buf_check(out, "the training state", err);
}

static int read_tensor(struct model *m, struct reader *r, const struct param *p, bool apply,
                       struct err *err) {
  struct arena *a = &m->arena[p->arena];
  size_t n = p->shape[0] * p->shape[1], bytes = n * sizeof(float);
  uint32_t len = reader_u32(r);
  const char *name = reader_bytes(r, len);
  uint64_t count = reader_u64(r);
  if (r->bad) return reader_check(r, "training state", err);
  if (len != strlen(p->name) || memcmp(name, p->name, len) || count != n)
    return err_set(err, ERR_MISMATCH, "training state: it is of another model (expected %s)",
                   p->name);
  const void *w = reader_bytes(r, bytes), *m1 = reader_bytes(r, bytes), *v = reader_bytes(r, bytes);
  if (r->bad) return reader_check(r, "training state", err);
  if (!apply) return 0;
  int rc = m->dev.copy_in(&m->dev, (float *)a->w + p->at, w, bytes, err);
  rc = rc ? rc : m->dev.copy_in(&m->dev, a->m + p->at, m1, bytes, err);
  return rc ? rc : m->dev.copy_in(&m->dev, a->v + p->at, v, bytes, err);
}

/* Read twice: the first time only checks, so that a bad state changes nothing. */
static int read_state(struct model *m, const void *bytes, size_t n, bool apply, struct err *err) {
  struct reader r;
  size_t expected = 0;
  reader_init(&r, bytes, n);
  for (size_t i = 0; i < m->param_count; i++) expected += m->arena[m->params[i].arena].grad != NULL;
  uint32_t magic = reader_u32(&r), version = reader_u32(&r);
  uint64_t steps = reader_u64(&r), count = reader_u64(&r);
  if (r.bad || magic != STATE_MAGIC)
    return err_set(err, ERR_FORMAT, "training state: it does not begin as one");
  if (version != STATE_VERSION)
    return err_set(err, ERR_UNSUPPORTED, "training state: version %u; this program knows %u",
                   version, STATE_VERSION);
  if (count != expected)
    return err_set(err, ERR_MISMATCH, "training state: %llu tensors; this model trains %zu",
                   (unsigned long long)count, expected);
  int rc = 0;
  for (size_t i = 0; i < m->param_count && !rc; i++)
    if (m->arena[m->params[i].arena].grad) rc = read_tensor(m, &r, &m->params[i], apply, err);
  if (!rc && reader_left(&r)) rc = err_set(err, ERR_FORMAT, "training state: bytes after its end");
  if (!rc && apply) m->steps = steps;
  return rc;
}

int model_state_read(struct model *m, const void *bytes, size_t n, struct err *err) {
  int rc = model_train_prepare(m, err);
  rc = rc ? rc : read_state(m, bytes, n, false, err);
  rc = rc ? rc : read_state(m, bytes, n, true, err);
  if (!rc) m->torn = false;
  return rc ? rc : clear_gradients(m, err);
}

/* ---- memory ---- */

int model_memory(struct model *m, size_t rows, size_t sequences, struct model_memory *out,
                 struct err *err) {
  struct run plan;
  *out = (struct model_memory){0};
  if (!rows) return err_set(err, ERR_MISUSE, "a plan for no tokens");
  run_plan(&plan, m, rows, sequences, true);
  for (int k = 0; k < ARENA_COUNT; k++) {
    const struct arena *a = &m->arena[k];
    out->weights += dtype_bytes(a->dtype, a->n);
    if (!model_arena_trained(m, (enum arena_kind)k)) continue;
    out->gradients += a->n * sizeof(float);
    out->moments += 2 * a->n * sizeof(float);
  }
  out->activations = plan.used;
  out->workspace = plan.work_need;
  out->total = out->weights + out->gradients + out->moments + out->activations + out->workspace;
  return 0;
}
