/* SPDX-License-Identifier: MIT */
/* Models on disk; see files.h. Tensors are copied one at a time between the mapped file and the
 * arenas, so that no second copy of a model is ever held. */
#include "model/files.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "file/file.h"
#include "format/safetensors.h"
#include "json/json.h"

#define CONFIG_MAX ((uint64_t)4 << 20)

/* ---- config.json ---- */

struct fields {
  const struct json *j;
  const char *where;
  struct err *err;
  int rc;
};

static json_id field(const struct fields *f, const char *name) {
  json_id v = json_get(f->j, JSON_ROOT, name);
  return v == JSON_NONE || json_kind(f->j, v) == JSON_NULL ? JSON_NONE : v;
}

static size_t whole(struct fields *f, const char *name, bool required) {
  json_id v = field(f, name);
  int64_t n = 0;
  if (f->rc || (v == JSON_NONE && !required)) return 0;
  if (v == JSON_NONE)
    f->rc = err_set(f->err, ERR_FORMAT, "%s: %s is missing", f->where, name);
  else if (json_kind(f->j, v) != JSON_INT || !json_int(f->j, v, &n) || n < 1 || n > INT32_MAX)
    f->rc = err_set(f->err, ERR_FORMAT, "%s: %s must be a whole number above 0", f->where, name);
  return f->rc ? 0 : (size_t)n;
}

static double number_in(struct fields *f, json_id object, const char *name, double fallback) {
  json_id v = json_get(f->j, object, name);
  double x = fallback;
  if (f->rc || v == JSON_NONE || json_kind(f->j, v) == JSON_NULL) return fallback;
  if (!json_double(f->j, v, &x) || !(x > 0) || x > 1e12)
    f->rc = err_set(f->err, ERR_FORMAT, "%s: %s must be a number above 0", f->where, name);
  return x;
}

static void refuse_true(struct fields *f, const char *name) {
  bool on = false;
  json_id v = field(f, name);
  if (!f->rc && v != JSON_NONE && json_bool(f->j, v, &on) && on)
    f->rc = err_set(f->err, ERR_UNSUPPORTED, "%s: %s is not supported yet", f->where, name);
}

static void refuse_unless(struct fields *f, json_id object, const char *name,
                          const char *const *known) {
  json_id v = json_get(f->j, object, name);
  size_t n = 0;
  if (f->rc || v == JSON_NONE || json_kind(f->j, v) == JSON_NULL) return;
  for (; *known; known++)
    if (json_is(f->j, v, *known)) return;
  const char *raw = json_raw(f->j, v, &n);
  f->rc = err_set(f->err, ERR_UNSUPPORTED, "%s: %s %.*s is not supported yet", f->where, name,
                  (int)(n < 80 ? n : 80), raw);
}

/* rope_theta stands at the top, or in the newer rope_parameters; any scaling is refused. */
static double rope(struct fields *f) {
  static const char *const plain[] = {"default", NULL};
  static const char *const objects[] = {"rope_scaling", "rope_parameters"};
  double theta = number_in(f, JSON_ROOT, "rope_theta", 0);
  for (int i = 0; i < 2; i++) {
    json_id v = field(f, objects[i]);
    if (v == JSON_NONE) continue;
    refuse_unless(f, v, "rope_type", plain);
    refuse_unless(f, v, "type", plain);
    theta = number_in(f, v, "rope_theta", theta);
  }
  return theta;
}

static void refuse_others(struct fields *f) {
  static const char *const types[] = {"llama", "mistral", NULL}, *const acts[] = {"silu", "swish",
                                                                                  NULL};
  refuse_unless(f, JSON_ROOT, "model_type", types);
  refuse_unless(f, JSON_ROOT, "hidden_act", acts);
  refuse_true(f, "attention_bias");
  refuse_true(f, "mlp_bias");
  if (!f->rc && field(f, "sliding_window") != JSON_NONE)
    f->rc = err_set(f->err, ERR_UNSUPPORTED, "%s: sliding_window is not supported yet", f->where);
}

int model_config_parse(struct model_config *out, const char *text, size_t n, const char *where,
                       struct err *err) {
  struct json *j;
  *out = (struct model_config){0};
  if (json_parse(&j, text, n, NULL, err)) return err_prefix(err, "%s", where);
  struct fields f = {j, where, err, 0};
  if (json_kind(j, JSON_ROOT) != JSON_OBJECT)
    f.rc = err_set(err, ERR_FORMAT, "%s: not a JSON object", where);
  refuse_others(&f);
  out->vocab = whole(&f, "vocab_size", true);
  out->hidden = whole(&f, "hidden_size", true);
  out->ffn = whole(&f, "intermediate_size", true);
  out->layers = whole(&f, "num_hidden_layers", true);
  out->heads = whole(&f, "num_attention_heads", true);
  out->kv_heads = whole(&f, "num_key_value_heads", false);
  out->head_dim = whole(&f, "head_dim", false);
  out->max_positions = whole(&f, "max_position_embeddings", false);
  out->norm_eps = number_in(&f, JSON_ROOT, "rms_norm_eps", 1e-6);
  out->rope_theta = rope(&f);
  json_id tied = field(&f, "tie_word_embeddings");
  if (tied != JSON_NONE) json_bool(j, tied, &out->tied);
  json_free(j);
  if (f.rc) return f.rc;
  return model_config_check(out, err) ? err_prefix(err, "%s", where) : 0;
}

/* ---- reading ---- */

static int read_tensor(struct model *m, size_t i, const struct safetensors_tensor *s,
                       struct err *err) {
  struct tensor t = {0};
  size_t shape[TENSOR_RANK] = {1, 1, 1, 1};
  if (s->dtype == DTYPE_COUNT || !dtype_info(s->dtype)->is_float)
    return err_set(err, ERR_UNSUPPORTED, "%s: stored as %s, which cannot be computed with", s->name,
                   s->type);
  if (s->rank > TENSOR_RANK)
    return err_set(err, ERR_MISMATCH, "%s: %d dimensions", s->name, s->rank);
  for (int k = 0; k < s->rank; k++) shape[k] = (size_t)s->shape[k];
  int rc = tensor_init(&t, s->dtype, s->rank, shape, err);
  if (rc) return rc;
  memcpy(t.data, s->data, (size_t)s->bytes);
  rc = model_tensor_write(m, i, &t, err);
  tensor_clear(&t);
  return rc;
}

/* What may stand in a file without belonging to a weight of ours. */
static bool harmless(const struct model *m, const char *name) {
  const char *end = strrchr(name, '.');
  if (end && !strcmp(end, ".inv_freq")) return true;
  return model_config(m)->tied && !strcmp(name, "lm_head.weight");
}

static int no_strangers(const struct model *m, const struct safetensors *s, struct err *err) {
  for (size_t i = 0; i < safetensors_count(s); i++) {
    const char *name = safetensors_at(s, i)->name;
    if (model_tensor_find(m, name) < 0 && !harmless(m, name))
      return err_set(err, ERR_MISMATCH, "tensor %s belongs to no weight of this model", name);
  }
  return 0;
}

static int read_all(struct model *m, const struct safetensors *s, enum model_part part,
                    struct err *err) {
  int rc = no_strangers(m, s, err);
  for (size_t i = 0; i < model_tensors(m) && !rc; i++) {
    struct model_tensor info;
    model_tensor_at(m, i, &info);
    if (info.adapter != (part == MODEL_ADAPTERS)) continue;
    const struct safetensors_tensor *t = safetensors_find(s, info.name);
    rc = t ? read_tensor(m, i, t, err)
           : err_set(err, ERR_MISMATCH, "tensor %s is missing", info.name);
  }
  return rc;
}

int model_weights_read(struct model *m, const char *path, enum model_part part, struct err *err) {
  struct safetensors *s;
  int rc = safetensors_open(&s, path, err);
  if (rc) return rc;
  if (read_all(m, s, part, err)) rc = err_prefix(err, "%s", path);
  safetensors_close(s);
  return rc;
}

static enum dtype storage_of(const char *folder, struct err *err, int *rc) {
  struct safetensors *s;
  enum dtype out = DTYPE_F32;
  if ((*rc = safetensors_open(&s, folder, err))) return out;
  const struct safetensors_tensor *t = safetensors_find(s, "model.embed_tokens.weight");
  if (t && (t->dtype == DTYPE_BF16 || t->dtype == DTYPE_F16)) out = DTYPE_BF16;
  safetensors_close(s);
  return out;
}

int model_load(struct model **out, const char *folder, enum dtype storage, struct pool *pool,
               struct err *err) {
  struct model_config config;
  struct buf text, path;
  int rc = 0;
  *out = NULL;
  buf_init(&text);
  buf_init(&path);
  buf_addf(&path, "%s/config.json", folder);
  rc = buf_check(&path, "a path", err);
  rc = rc ? rc : file_read(path.data, CONFIG_MAX, &text, err);
  rc = rc ? rc : model_config_parse(&config, text.data ? text.data : "", text.len, path.data, err);
  if (!rc && storage == DTYPE_COUNT) storage = storage_of(folder, err, &rc);
  rc = rc ? rc : model_new(out, &config, storage, false, 0, pool, err);
  rc = rc ? rc : model_weights_read(*out, folder, MODEL_WEIGHTS, err);
  if (rc) {
    model_free(*out);
    *out = NULL;
  }
  buf_clear(&text);
  buf_clear(&path);
  return rc;
}

/* ---- writing ---- */

struct list {
  struct safetensors_spec *specs;
  uint64_t (*shapes)[2];
  size_t *index;
  size_t count;
};

static void list_clear(struct list *l) {
  mem_free(l->specs);
  mem_free(l->shapes);
  mem_free(l->index);
}

static int list_part(struct model *m, enum model_part part, enum dtype dtype, struct list *l,
                     struct err *err) {
  size_t n = model_tensors(m);
  *l = (struct list){mem_zeros(n, sizeof *l->specs), mem_zeros(n, sizeof *l->shapes),
                     mem_zeros(n, sizeof *l->index), 0};
  if (!l->specs || !l->shapes || !l->index)
    return err_nomem(err, n * sizeof *l->specs, "a list of tensors");
  for (size_t i = 0; i < n; i++) {
    struct model_tensor info;
    model_tensor_at(m, i, &info);
    if (info.adapter != (part == MODEL_ADAPTERS)) continue;
    size_t k = l->count++;
    l->index[k] = i;
    l->shapes[k][0] = info.shape[0];
    l->shapes[k][1] = info.shape[1];
    l->specs[k] = (struct safetensors_spec){info.name, dtype == DTYPE_COUNT ? info.dtype : dtype,
                                            info.rank, l->shapes[k]};
  }
  return l->count ? 0 : err_set(err, ERR_MISUSE, "the model has no adapters to write");
}

static int write_tensor(struct model *m, size_t i, struct safetensors_writer *w, struct err *err) {
  struct tensor t;
  int rc = model_tensor_read(m, i, &t, err);
  if (rc) return rc;
  rc = safetensors_write_as(w, t.dtype, t.data, tensor_count(&t), err);
  tensor_clear(&t);
  return rc;
}

int model_weights_write(struct model *m, const char *path, enum model_part part, enum dtype dtype,
                        struct err *err) {
  static const char *const metadata[] = {"format", "pt", NULL};
  struct safetensors_writer *w = NULL;
  struct list l;
  int rc = list_part(m, part, dtype, &l, err);
  rc = rc ? rc : safetensors_create(&w, path, l.specs, l.count, metadata, err);
  for (size_t k = 0; k < l.count && !rc; k++) rc = write_tensor(m, l.index[k], w, err);
  rc = rc ? rc : safetensors_commit(w, err);
  safetensors_discard(w);
  list_clear(&l);
  return rc;
}
