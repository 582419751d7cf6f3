/* SPDX-License-Identifier: MIT */
/* Where weights lie, what they are called, and how they begin; see internal.h for the picture.
 *
 * model_new lists the tensors twice: the first walk only counts, the second names and places them.
 * Adapters are appended to the list later, in an arena of their own. Every tensor's random numbers
 * come from (seed, its name), so that neither order nor threads matter.
 */
#include "model/internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"

#define GAP 32 /* elements: groups begin at 64 bytes in bf16 too */

const char *const model_projection_names[PROJ_COUNT] = {
    "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

static const struct {
  const char *parent;
  enum site site;
} projections[PROJ_COUNT] = {{"self_attn", SITE_ATTENTION},
                             {"self_attn", SITE_ATTENTION},
                             {"self_attn", SITE_ATTENTION},
                             {"self_attn", SITE_O},
                             {"mlp", SITE_MLP},
                             {"mlp", SITE_MLP},
                             {"mlp", SITE_DOWN}};

static size_t projection_out(const struct model_config *c, int p) {
  switch (p) {
  case PROJ_Q:
    return model_q_dim(c);
  case PROJ_K:
  case PROJ_V:
    return model_kv_dim(c);
  case PROJ_GATE:
  case PROJ_UP:
    return c->ffn;
  default:
    return c->hidden;
  }
}

static size_t projection_in(const struct model_config *c, int p) {
  return p == PROJ_O ? model_q_dim(c) : p == PROJ_DOWN ? c->ffn : c->hidden;
}

/* ---- the list of tensors ---- */

struct lister {
  struct model *m;
  size_t count;
  bool placing; /* else counting only */
};

static void group(struct lister *l, enum arena_kind kind) {
  size_t *n = &l->m->arena[kind].n;
  if (l->placing) *n = (*n + GAP - 1) / GAP * GAP;
}

__attribute__((format(printf, 5, 6))) static void
list(struct lister *l, enum arena_kind kind, size_t rows, size_t cols, const char *format, ...) {
  if (l->placing) {
    struct param *p = &l->m->params[l->count];
    struct arena *a = &l->m->arena[kind];
    va_list args;
    va_start(args, format);
    vsnprintf(p->name, sizeof p->name, format, args);
    va_end(args);
    p->rank = cols ? 2 : 1;
    p->shape[0] = rows;
    p->shape[1] = cols ? cols : 1;
    p->arena = kind;
    p->at = a->n;
    a->n += rows * p->shape[1];
  }
  l->count++;
}

static void list_base(struct lister *l) {
  const struct model_config *c = &l->m->config;
  size_t h = c->hidden;
  list(l, ARENA_MATRICES, c->vocab, h, "model.embed_tokens.weight");
  for (size_t i = 0; i < c->layers; i++) {
    group(l, ARENA_VECTORS);
    list(l, ARENA_VECTORS, h, 0, "model.layers.%zu.input_layernorm.weight", i);
    for (int p = 0; p < PROJ_COUNT; p++) {
      if (p == PROJ_GATE) {
        group(l, ARENA_VECTORS);
        list(l, ARENA_VECTORS, h, 0, "model.layers.%zu.post_attention_layernorm.weight", i);
      }
      if (p == PROJ_Q || p == PROJ_O || p == PROJ_GATE || p == PROJ_DOWN) group(l, ARENA_MATRICES);
      list(l, ARENA_MATRICES, projection_out(c, p), projection_in(c, p),
           "model.layers.%zu.%s.%s.weight", i, projections[p].parent, model_projection_names[p]);
    }
  }
  group(l, ARENA_VECTORS);
  list(l, ARENA_VECTORS, h, 0, "model.norm.weight");
  group(l, ARENA_MATRICES);
  if (!c->tied) list(l, ARENA_MATRICES, c->vocab, h, "lm_head.weight");
}

static void list_lora_part(struct lister *l, size_t layer, int p, char which) {
  const struct model_config *c = &l->m->config;
  size_t r = l->m->lora.rank;
  list(l, ARENA_LORA, which == 'A' ? r : projection_out(c, p),
       which == 'A' ? projection_in(c, p) : r,
       "base_model.model.model.layers.%zu.%s.%s.lora_%c.weight", layer, projections[p].parent,
       model_projection_names[p], which);
}

static void list_lora_site(struct lister *l, size_t layer, int site) {
  group(l, ARENA_LORA);
  for (int which = 0; which < 2; which++)
    for (int p = 0; p < PROJ_COUNT; p++) {
      if ((int)projections[p].site != site || !l->m->lora.target[p]) continue;
      if (which) group(l, ARENA_LORA);
      list_lora_part(l, layer, p, which ? 'B' : 'A');
    }
}

static void list_lora(struct lister *l) {
  for (size_t i = 0; i < l->m->config.layers; i++)
    for (int site = 0; site < SITE_COUNT; site++) list_lora_site(l, i, site);
}

/* ---- memory ---- */

int model_region(struct model *m, struct region *g, size_t bytes, const char *what,
                 struct err *err) {
  if (g->bytes >= bytes) return 0;
  m->dev.free(&m->dev, g->data, g->bytes);
  *g = (struct region){0};
  g->data = m->dev.alloc(&m->dev, bytes);
  if (!g->data) return err_nomem(err, bytes, what);
  g->bytes = bytes;
  return 0;
}

static int zeros(struct model *m, void **out, enum dtype dtype, size_t n, const char *what,
                 struct err *err) {
  size_t bytes = dtype_bytes(dtype, n);
  *out = m->dev.alloc(&m->dev, bytes ? bytes : 1);
  if (!*out) return err_nomem(err, bytes, what);
  if (m->dev.unified) return memset(*out, 0, bytes), 0;
  struct fill op = {.n = bytes / sizeof(float), .y = *out};
  return m->dev.fill(&m->dev, &op, err);
}

bool model_arena_trained(const struct model *m, enum arena_kind kind) {
  return m->has_lora == (kind == ARENA_LORA) && m->arena[kind].dtype == DTYPE_F32;
}

int model_train_prepare(struct model *m, struct err *err) {
  if (!m->has_lora && m->arena[ARENA_MATRICES].dtype != DTYPE_F32)
    return err_set(err, ERR_MISUSE,
                   "model: weights stored as %s can only be trained through adapters",
                   dtype_info(m->arena[ARENA_MATRICES].dtype)->name);
  for (int k = 0; k < ARENA_COUNT; k++) {
    struct arena *a = &m->arena[k];
    if (!model_arena_trained(m, (enum arena_kind)k) || a->v) continue;
    int rc = zeros(m, (void **)&a->grad, DTYPE_F32, a->n, "gradients", err);
    rc = rc ? rc : zeros(m, (void **)&a->m, DTYPE_F32, a->n, "moments", err);
    rc = rc ? rc : zeros(m, (void **)&a->v, DTYPE_F32, a->n, "moments", err);
    if (rc) return model_train_release(m, (enum arena_kind)k), rc;
  }
  model_point(m);
  return 0;
}

void model_train_release(struct model *m, enum arena_kind kind) {
  struct arena *a = &m->arena[kind];
  size_t bytes = a->n * sizeof(float);
  m->dev.free(&m->dev, a->grad, bytes);
  m->dev.free(&m->dev, a->m, bytes);
  m->dev.free(&m->dev, a->v, bytes);
  a->grad = a->m = a->v = NULL;
}

static void arena_free(struct model *m, enum arena_kind kind) {
  struct arena *a = &m->arena[kind];
  model_train_release(m, kind);
  m->dev.free(&m->dev, a->w, dtype_bytes(a->dtype, a->n));
  a->w = NULL;
}

/* ---- pointers ---- */

static const char *element(const struct arena *a, size_t i) {
  return a->w ? (const char *)a->w + dtype_bytes(a->dtype, i) : NULL;
}

static struct matrix matrix_of(const struct model *m, size_t param, size_t rows) {
  const struct param *p = &m->params[param];
  const struct arena *a = &m->arena[p->arena];
  return (struct matrix){.out = rows,
                         .in = p->shape[1],
                         .type = a->dtype,
                         .w = element(a, p->at),
                         .grad = at(a->grad, p->at)};
}

static void point_layer(struct model *m, size_t i, size_t *next) {
  const struct model_config *c = &m->config;
  struct layer *l = &m->layers[i];
  struct arena *v = &m->arena[ARENA_VECTORS];
  size_t first = *next;
  l->norm1 = at(v->w, m->params[first].at);
  l->dnorm1 = at(v->grad, m->params[first].at);
  l->w[SITE_ATTENTION] = matrix_of(m, first + 1, model_q_dim(c) + 2 * model_kv_dim(c));
  l->w[SITE_O] = matrix_of(m, first + 4, c->hidden);
  l->norm2 = at(v->w, m->params[first + 5].at);
  l->dnorm2 = at(v->grad, m->params[first + 5].at);
  l->w[SITE_MLP] = matrix_of(m, first + 6, 2 * c->ffn);
  l->w[SITE_DOWN] = matrix_of(m, first + 8, c->hidden);
  *next = first + 9;
}

/* Parts of a site in the order of the list: all A, then all B. */
static void point_adapter(struct model *m, struct adapter *out, int site, size_t *next) {
  struct arena *arena = &m->arena[ARENA_LORA];
  size_t column = 0;
  *out = (struct adapter){.rank = m->lora.rank};
  for (int p = 0; p < PROJ_COUNT; p++) {
    if ((int)projections[p].site != site) continue;
    size_t width = projection_out(&m->config, p);
    if (m->lora.target[p]) {
      if (!out->parts) {
        const struct param *first = &m->params[*next];
        out->in = first->shape[1];
        out->a = at(arena->w, first->at);
        out->da = at(arena->grad, first->at);
      }
      out->part[out->parts].column = column;
      out->part[out->parts++].out = width;
    }
    column += width;
  }
  *next += out->parts;
  for (size_t j = 0; j < out->parts; j++, ++*next) {
    out->part[j].b = at(arena->w, m->params[*next].at);
    out->part[j].db = at(arena->grad, m->params[*next].at);
  }
}

void model_point(struct model *m) {
  size_t next = 1;
  m->embed = matrix_of(m, 0, m->config.vocab);
  for (size_t i = 0; i < m->config.layers; i++) point_layer(m, i, &next);
  struct arena *v = &m->arena[ARENA_VECTORS];
  m->norm = at(v->w, m->params[next].at);
  m->dnorm = at(v->grad, m->params[next].at);
  m->head = m->config.tied ? m->embed : matrix_of(m, next + 1, m->config.vocab);
  next = m->param_base;
  for (size_t i = 0; i < m->config.layers; i++)
    for (int s = 0; s < SITE_COUNT; s++) {
      if (m->has_lora)
        point_adapter(m, &m->layers[i].lora[s], s, &next);
      else
        m->layers[i].lora[s] = (struct adapter){0};
    }
}

/* ---- random beginnings ---- */

struct filling {
  struct model *m;
  size_t first;
  uint64_t seed;
};

static bool ends_with(const char *s, const char *end) {
  size_t n = strlen(s), k = strlen(end);
  return n >= k && !strcmp(s + n - k, end);
}

/* The values of one tensor in fp32 into out. */
static void begin_values(const struct model *m, const struct param *p, uint64_t seed, float *out) {
  struct rng rng;
  size_t n = p->shape[0] * p->shape[1];
  rng_seed(&rng, rng_at(seed, hash_xxh3(p->name, strlen(p->name), 0), 0));
  if (p->rank == 1) {
    for (size_t i = 0; i < n; i++) out[i] = 1.0f;
  } else if (p->arena == ARENA_LORA) {
    bool is_a = ends_with(p->name, "lora_A.weight");
    double bound = is_a ? 1.0 / sqrt((double)p->shape[1]) : 0.0;
    for (size_t i = 0; i < n; i++) out[i] = (float)((2.0 * rng_double(&rng) - 1.0) * bound);
  } else {
    bool residual = ends_with(p->name, "o_proj.weight") || ends_with(p->name, "down_proj.weight");
    double sd = 0.02 / (residual ? sqrt(2.0 * (double)m->config.layers) : 1.0);
    for (size_t i = 0; i < n; i++) out[i] = (float)(sd * rng_normal(&rng));
  }
}

static int begin_tensor(struct model *m, size_t i, uint64_t seed, struct err *err) {
  const struct param *p = &m->params[i];
  struct tensor t = {0};
  int rc = tensor_init(&t, DTYPE_F32, p->rank, p->shape, err);
  if (!rc) {
    begin_values(m, p, seed, t.data);
    rc = model_tensor_write(m, i, &t, err);
  }
  tensor_clear(&t);
  return rc;
}

static int begin_all(struct model *m, size_t first, bool random, uint64_t seed, struct err *err) {
  int rc = 0;
  for (size_t i = first; i < m->param_count && !rc; i++)
    if (random) rc = begin_tensor(m, i, seed, err);
  return rc;
}

/* ---- models ---- */

static int place(struct model *m, void (*walk)(struct lister *), size_t first, struct err *err) {
  struct lister l = {.m = m, .count = first};
  walk(&l);
  struct param *grown = mem_rearray(m->params, l.count, sizeof *grown);
  if (!grown) return err_nomem(err, l.count * sizeof *grown, "the list of weights");
  m->params = grown;
  m->param_count = l.count;
  l = (struct lister){.m = m, .count = first, .placing = true};
  walk(&l);
  return 0;
}

static int rope_begin(struct model *m, struct err *err) {
  size_t half = m->config.head_dim / 2;
  float host[512];
  rope_inv_freq(m->config.rope_theta, m->config.head_dim, host);
  m->inv_freq = m->dev.alloc(&m->dev, half * sizeof(float));
  if (!m->inv_freq) return err_nomem(err, half * sizeof(float), "rotary frequencies");
  return m->dev.copy_in(&m->dev, m->inv_freq, host, half * sizeof(float), err);
}

/* The layout of all weights; no memory for them yet. */
static int outline(struct model **out, const struct model_config *config, enum dtype storage,
                   struct pool *pool, struct err *err) {
  *out = NULL;
  if (storage != DTYPE_F32 && storage != DTYPE_BF16)
    return err_set(err, ERR_UNSUPPORTED, "model: weights are stored as f32 or bf16, not %s",
                   dtype_info(storage)->name);
  struct model *m = *out = mem_zero(sizeof *m);
  if (!m) return err_nomem(err, sizeof *m, "a model");
  m->config = *config;
  m->arena[ARENA_MATRICES].dtype = storage;
  int rc = model_config_check(&m->config, err);
  rc = rc ? rc : device_cpu(&m->dev, pool, err);
  rc = rc ? rc : place(m, list_base, 0, err);
  if (rc) return rc;
  m->param_base = m->param_count;
  m->layers = mem_zeros(m->config.layers, sizeof *m->layers);
  if (!m->layers) return err_nomem(err, m->config.layers * sizeof *m->layers, "layers");
  return 0;
}

int model_new(struct model **out, const struct model_config *config, enum dtype storage,
              bool random, uint64_t seed, struct pool *pool, struct err *err) {
  struct model *m;
  int rc = outline(&m, config, storage, pool, err);
  for (int k = 0; k < ARENA_LORA && !rc; k++)
    rc = zeros(m, &m->arena[k].w, m->arena[k].dtype, m->arena[k].n, "the weights", err);
  rc = rc ? rc : rope_begin(m, err);
  if (!rc) model_point(m);
  rc = rc ? rc : begin_all(m, 0, random, seed, err);
  if (rc) model_free(m);
  *out = rc ? NULL : m;
  return rc;
}

void model_free(struct model *m) {
  if (!m) return;
  if (m->dev.free) {
    for (int k = 0; k < ARENA_COUNT; k++) arena_free(m, (enum arena_kind)k);
    m->dev.free(&m->dev, m->inv_freq, m->config.head_dim / 2 * sizeof(float));
    m->dev.free(&m->dev, m->acts.data, m->acts.bytes);
    m->dev.free(&m->dev, m->work.data, m->work.bytes);
    device_close(&m->dev);
  }
  mem_free(m->layers);
  mem_free(m->params);
  mem_free(m);
}

static int lora_check(const struct model_lora *lora, struct err *err) {
  bool any = false;
  for (int p = 0; p < PROJ_COUNT; p++) any = any || lora->target[p];
  if (!any) return err_set(err, ERR_MISUSE, "LoRA: no projection is targeted");
  if (lora->rank < 1 || lora->rank > 4096)
    return err_set(err, ERR_MISUSE, "LoRA: rank %zu is not between 1 and 4096", lora->rank);
  if (!(lora->dropout >= 0 && lora->dropout < 1))
    return err_set(err, ERR_MISUSE, "LoRA: dropout %g is not in [0, 1)", lora->dropout);
  if (!(lora->alpha > 0)) return err_set(err, ERR_MISUSE, "LoRA: alpha must be above 0");
  return 0;
}

static int lora_outline(struct model *m, const struct model_lora *lora, struct err *err) {
  int rc = lora_check(lora, err);
  if (rc) return rc;
  m->lora = *lora;
  m->arena[ARENA_LORA].n = 0;
  return place(m, list_lora, m->param_base, err);
}

int model_lora_add(struct model *m, const struct model_lora *lora, struct err *err) {
  if (m->has_lora) return err_set(err, ERR_MISUSE, "model: it has adapters already");
  int rc = lora_outline(m, lora, err);
  if (rc) return rc;
  rc = zeros(m, &m->arena[ARENA_LORA].w, DTYPE_F32, m->arena[ARENA_LORA].n, "adapters", err);
  rc = rc ? rc : begin_all(m, m->param_base, true, lora->seed, err);
  if (rc) {
    arena_free(m, ARENA_LORA);
    m->param_count = m->param_base;
    return rc;
  }
  m->has_lora = m->lora_on = true;
  m->steps = m->step_rows = m->step_tokens = 0;
  model_train_release(m, ARENA_MATRICES);
  model_train_release(m, ARENA_VECTORS);
  model_point(m);
  return 0;
}

int model_plan(const struct model_plan *plan, struct model_memory *out, size_t *trainable,
               struct err *err) {
  struct model *m;
  int rc = outline(&m, &plan->config, plan->storage, NULL, err);
  if (!rc && plan->lora) rc = lora_outline(m, plan->lora, err);
  if (!rc) {
    m->has_lora = m->lora_on = plan->lora != NULL;
    m->keep = plan->keep;
    model_point(m);
    *trainable = model_trainable(m);
    rc = model_memory(m, plan->rows, plan->sequences, out, err);
  }
  model_free(m);
  return rc;
}

const struct model_lora *model_lora(const struct model *m) {
  return m->has_lora ? &m->lora : NULL;
}
void model_lora_enable(struct model *m, bool on) {
  m->lora_on = m->has_lora && on;
}

const struct model_config *model_config(const struct model *m) {
  return &m->config;
}
size_t model_parameters(const struct model *m) {
  return model_config_parameters(&m->config);
}
uint64_t model_steps(const struct model *m) {
  return m->steps;
}
const char *model_device(const struct model *m) {
  return m->dev.name;
}
void model_checkpointing(struct model *m, enum model_checkpointing how) {
  m->keep = how;
}

size_t model_trainable(const struct model *m) {
  size_t n = 0;
  for (size_t i = 0; i < m->param_count; i++)
    if (model_arena_trained(m, m->params[i].arena))
      n += m->params[i].shape[0] * m->params[i].shape[1];
  return n;
}

size_t model_bytes(const struct model *m) {
  size_t n = m->acts.bytes + m->work.bytes;
  for (int k = 0; k < ARENA_COUNT; k++) {
    const struct arena *a = &m->arena[k];
    if (a->w) n += dtype_bytes(a->dtype, a->n);
    if (a->v) n += 3 * a->n * sizeof(float);
  }
  return n;
}

/* ---- tensors by name ---- */

size_t model_tensors(const struct model *m) {
  return m->param_count;
}

void model_tensor_at(const struct model *m, size_t i, struct model_tensor *out) {
  const struct param *p = &m->params[i];
  *out = (struct model_tensor){.name = p->name,
                               .rank = p->rank,
                               .shape = {p->shape[0], p->shape[1]},
                               .dtype = m->arena[p->arena].dtype,
                               .adapter = p->arena == ARENA_LORA,
                               .trainable = model_arena_trained(m, p->arena)};
}

ptrdiff_t model_tensor_find(const struct model *m, const char *name) {
  for (size_t i = 0; i < m->param_count; i++)
    if (!strcmp(m->params[i].name, name)) return (ptrdiff_t)i;
  return -1;
}

int model_tensor_read(struct model *m, size_t i, struct tensor *out, struct err *err) {
  const struct param *p = &m->params[i];
  const struct arena *a = &m->arena[p->arena];
  int rc = tensor_init(out, a->dtype, p->rank, p->shape, err);
  if (rc) return rc;
  rc = m->dev.copy_out(&m->dev, out->data, element(a, p->at), tensor_bytes(out), err);
  if (rc) tensor_clear(out);
  return rc;
}

int model_tensor_gradient(struct model *m, size_t i, struct tensor *out, struct err *err) {
  const struct param *p = &m->params[i];
  const struct arena *a = &m->arena[p->arena];
  int rc = tensor_init(out, DTYPE_F32, p->rank, p->shape, err);
  if (rc || !a->grad) return rc;
  rc = m->dev.copy_out(&m->dev, out->data, a->grad + p->at, tensor_bytes(out), err);
  if (rc) tensor_clear(out);
  return rc;
}

static int shape_check(const struct param *p, const struct tensor *t, struct err *err) {
  if (t->rank == p->rank && t->shape[0] == p->shape[0] &&
      (p->rank == 1 || t->shape[1] == p->shape[1]))
    return 0;
  char is[96];
  return err_set(err, ERR_MISMATCH,
                 p->rank == 1 ? "%s: the file has %s, the model [%zu]"
                              : "%s: the file has %s, the model [%zu, %zu]",
                 p->name, tensor_describe(t, is), p->shape[0], p->shape[1]);
}

int model_tensor_write(struct model *m, size_t i, const struct tensor *from, struct err *err) {
  const struct param *p = &m->params[i];
  struct arena *a = &m->arena[p->arena];
  struct tensor same = {0};
  int rc = shape_check(p, from, err);
  if (rc) return rc;
  if (from->dtype == a->dtype)
    tensor_share(&same, from);
  else
    rc = tensor_convert(&same, from, a->dtype, err);
  if (rc) {
    err_prefix(err, "%s", p->name);
    return rc;
  }
  rc = m->dev.copy_in(&m->dev, (char *)a->w + dtype_bytes(a->dtype, p->at), same.data,
                      tensor_bytes(&same), err);
  tensor_clear(&same);
  return rc;
}

/* ---- merging ---- */

/* w [out, in] += scale · B [out, r] · A [r, in], in fp32; a bf16 weight is decoded and rounded
 * once. */
static int merge_part(struct model *m, const struct adapter *a, size_t j, void *w, enum dtype type,
                      float scale, struct err *err) {
  struct device *d = &m->dev;
  size_t n = a->part[j].out * a->in, bytes = n * sizeof(float);
  float *sum = type == DTYPE_F32 ? w : d->alloc(d, bytes);
  if (!sum) return err_nomem(err, bytes, "a merged weight");
  struct matmul op = {.m = a->part[j].out,
                      .n = a->in,
                      .k = a->rank,
                      .alpha = scale,
                      .beta = 1,
                      .a = a->part[j].b,
                      .lda = a->rank,
                      .b = a->a + j * a->rank * a->in,
                      .ldb = a->in,
                      .c = sum,
                      .ldc = a->in};
  struct convert in = {.n = n, .from_type = type, .to_type = DTYPE_F32, .from = w, .to = sum};
  struct convert back = {.n = n, .from_type = DTYPE_F32, .to_type = type, .from = sum, .to = w};
  int rc = model_region(m, &m->work, d->matmul_work(d, &op), "scratch memory", err);
  struct work work = {m->work.data, m->work.bytes};
  if (!rc && sum != w) rc = d->convert(d, &in, err);
  rc = rc ? rc : d->matmul(d, &op, &work, err);
  if (!rc && sum != w) rc = d->convert(d, &back, err);
  if (sum != w) d->free(d, sum, bytes);
  return rc;
}

int model_lora_merge(struct model *m, struct err *err) {
  if (!m->has_lora) return err_set(err, ERR_MISUSE, "model: there are no adapters to merge");
  double rank = (double)m->lora.rank;
  float scale = (float)(m->lora.alpha / (m->lora.rslora ? sqrt(rank) : rank));
  struct arena *base = &m->arena[ARENA_MATRICES];
  int rc = 0;
  for (size_t l = 0; l < m->config.layers; l++)
    for (int s = 0; s < SITE_COUNT; s++) {
      const struct adapter *a = &m->layers[l].lora[s];
      const char *w = m->layers[l].w[s].w;
      size_t from = (size_t)(w - (const char *)base->w);
      for (size_t j = 0; j < a->parts && !rc; j++)
        rc = merge_part(
            m, a, j, (char *)base->w + from + dtype_bytes(base->dtype, a->part[j].column * a->in),
            base->dtype, scale, err);
    }
  if (rc) return rc;
  arena_free(m, ARENA_LORA);
  m->arena[ARENA_LORA].n = 0;
  m->param_count = m->param_base;
  m->has_lora = m->lora_on = false;
  model_point(m);
  return 0;
}
