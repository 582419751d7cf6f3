/* SPDX-License-Identifier: MIT */
/* require "engine.model": a language model: make or load it, train it, ask it. What the numbers
 * mean is said in model/model.h.
 *
 * Tokens are given as a table of ids (from 0, as tokenizers give them) or as a string of packed
 * little-endian int32. A batch is
 *
 *   { tokens = ids, targets = ids (−1: no loss), lengths = { 17, 40, … } }    lengths: of its
 * sequences, one sequence when left out
 */
#include "bind/bind.h"
#include "bind/tensor.h"
#include "model/files.h"
#include "model/model.h"

#include <string.h>

#include "base/mem.h"

#define MODEL_TYPE "lathe.model"

struct handle {
  struct model *m; /* NULL: closed */
  size_t bytes;    /* told to the collector */
};

static struct model *check(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, MODEL_TYPE);
  if (!h->m) luaL_error(L, "the model is closed");
  return h->m;
}

static void account(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, MODEL_TYPE);
  size_t now = model_bytes(h->m);
  bind_outside(L, (ptrdiff_t)now - (ptrdiff_t)h->bytes);
  h->bytes = now;
}

static int truth(lua_State *L, int rc, const struct err *err) {
  if (rc) return bind_fail(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- ids ---- */

struct ids {
  const int32_t *v; /* in a userdata that stays on the stack */
  size_t n;
};

static int32_t one_id(lua_State *L, const char *what, lua_Integer at) {
  int whole;
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || v < -1 || v > INT32_MAX) luaL_error(L, "%s: entry %I is not a token id", what, at);
  lua_pop(L, 1);
  return (int32_t)v;
}

/* The value on the top of the stack becomes a userdata in its place. Tables are read raw, here and
 * below: a metamethod could close the model or claim a length that is none. */
static struct ids take_ids(lua_State *L, const char *what) {
  struct ids out = {0};
  if (lua_type(L, -1) == LUA_TSTRING) {
    size_t bytes;
    const char *s = lua_tolstring(L, -1, &bytes);
    if (bytes % sizeof(int32_t)) luaL_error(L, "%s: not a string of packed int32", what);
    out.n = bytes / sizeof(int32_t);
    out.v = memcpy(lua_newuserdatauv(L, bytes + 1, 0), s, bytes);
  } else if (lua_type(L, -1) == LUA_TTABLE) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    int table = lua_gettop(L);
    int32_t *v = lua_newuserdatauv(L, (size_t)n * sizeof *v + 1, 0);
    for (lua_Integer i = 1; i <= n; i++) lua_rawgeti(L, table, i), v[i - 1] = one_id(L, what, i);
    out = (struct ids){v, (size_t)n};
  } else {
    luaL_error(L, "%s: a table of ids or packed int32 expected, got %s", what,
               luaL_typename(L, -1));
  }
  lua_remove(L, -2);
  return out;
}

static struct ids field_ids(lua_State *L, int table, const char *key) {
  lua_pushstring(L, key);
  lua_rawget(L, table);
  return take_ids(L, key);
}

/* Cumulated lengths; `rows` is the whole when lengths is absent. Leaves a userdata on the stack. */
static const int32_t *take_starts(lua_State *L, int table, size_t rows, size_t *sequences) {
  lua_pushliteral(L, "lengths");
  int type = lua_rawget(L, table);
  if (type != LUA_TNIL) luaL_argexpected(L, type == LUA_TTABLE, table, "table of lengths");
  lua_Integer n = type == LUA_TNIL ? 1 : (lua_Integer)lua_rawlen(L, -1);
  int lengths = lua_gettop(L);
  int32_t *starts = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *starts, 0);
  size_t sum = 0;
  starts[0] = 0;
  for (lua_Integer i = 1; i <= n; i++) {
    size_t len = rows;
    if (type != LUA_TNIL) lua_rawgeti(L, lengths, i), len = (size_t)one_id(L, "lengths", i);
    if (len > rows || (sum += len) > rows)
      luaL_error(L, "lengths: they add up to more than the %d tokens", (int)rows);
    starts[i] = (int32_t)sum;
  }
  *sequences = (size_t)n;
  return starts;
}

static struct model_batch take_batch(lua_State *L, int arg, bool targets) {
  static const char *const known[] = {"tokens", "targets", "lengths", NULL};
  luaL_checktype(L, arg, LUA_TTABLE);
  bind_options(L, arg, known);
  luaL_checkstack(L, 8, NULL);
  struct model_batch b = {0};
  struct ids tokens = field_ids(L, arg, "tokens");
  b.tokens = tokens.v;
  b.rows = tokens.n;
  if (targets) {
    struct ids t = field_ids(L, arg, "targets");
    if (t.n != b.rows) luaL_error(L, "targets: %d of them for %d tokens", (int)t.n, (int)b.rows);
    b.targets = t.v;
  }
  b.starts = take_starts(L, arg, b.rows, &b.sequences);
  return b;
}

/* ---- making ---- */

static const char *const config_keys[] = {"vocab_size",
                                          "hidden_size",
                                          "intermediate_size",
                                          "num_hidden_layers",
                                          "num_attention_heads",
                                          "num_key_value_heads",
                                          "head_dim",
                                          "max_position_embeddings",
                                          "rope_theta",
                                          "rms_norm_eps",
                                          "tie_word_embeddings",
                                          NULL};

static struct model_config take_config(lua_State *L, int arg) {
  struct model_config c = {0};
  luaL_checktype(L, arg, LUA_TTABLE);
  bind_options(L, arg, config_keys);
  size_t *fields[] = {&c.vocab, &c.hidden,   &c.ffn,      &c.layers,
                      &c.heads, &c.kv_heads, &c.head_dim, &c.max_positions};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    *fields[i] = (size_t)bind_opt_integer(L, arg, config_keys[i], 0, 0, 1 << 30);
  c.rope_theta = bind_opt_number(L, arg, "rope_theta", 0);
  c.norm_eps = bind_opt_number(L, arg, "rms_norm_eps", 0);
  c.tied = bind_opt_boolean(L, arg, "tie_word_embeddings", false);
  return c;
}

static enum dtype take_dtype(lua_State *L, int arg) {
  const char *name = bind_opt_string(L, arg, "dtype", "f32");
  enum dtype t = dtype_by_name(name);
  if (t != DTYPE_F32 && t != DTYPE_BF16)
    luaL_error(L, "option 'dtype': f32 or bf16, not '%s'", name);
  return t;
}

/*** A new model with random weights.
-- @function engine.model.new
-- @param config table: the fields of config.json: vocab_size, hidden_size, intermediate_size,
num_hidden_layers,
-- num_attention_heads, num_key_value_heads, head_dim, max_position_embeddings, rope_theta,
rms_norm_eps, tie_word_embeddings
-- @param options table: optional; seed integer (default 0), dtype "f32" or "bf16" (bf16: frozen
matrices only),
-- random boolean (false leaves the weights zero)
-- @return model: m:accumulate, m:step, m:generate …
-- @error format (a field makes no sense), nomem
-- @example require("engine.model").new({ vocab_size = 64, hidden_size = 32, intermediate_size = 64,
--   num_hidden_layers = 1, num_attention_heads = 2 }, { seed = 1 }) */
static int l_new(lua_State *L) {
  static const char *const known[] = {"seed", "dtype", "random", NULL};
  struct model_config c = take_config(L, 1);
  struct err err;
  bind_options(L, 2, known);
  uint64_t seed = (uint64_t)bind_opt_integer(L, 2, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
  bool random = bind_opt_boolean(L, 2, "random", true);
  enum dtype dtype = take_dtype(L, 2);
  struct pool *pool = bind_pool(L);
  lua_settop(L, 0);
  struct handle *h = bind_new(L, sizeof *h, MODEL_TYPE);
  if (model_new(&h->m, &c, dtype, random, seed, pool, &err)) return bind_fail(L, &err);
  account(L);
  return 1;
}

/*** Gives back the model's memory; further calls raise an error.
-- @function model:close */
static int m_close(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, MODEL_TYPE);
  model_free(h->m);
  h->m = NULL;
  bind_outside(L, -(ptrdiff_t)h->bytes);
  h->bytes = 0;
  return 0;
}

static void push_count(lua_State *L, size_t n) {
  if (n >= 1000000000)
    lua_pushfstring(L, "%d.%d G", (int)(n / 1000000000), (int)(n / 100000000 % 10));
  else if (n >= 1000000)
    lua_pushfstring(L, "%d.%d M", (int)(n / 1000000), (int)(n / 100000 % 10));
  else if (n >= 1000)
    lua_pushfstring(L, "%d.%d k", (int)(n / 1000), (int)(n / 100 % 10));
  else
    lua_pushfstring(L, "%d", (int)n);
}

static int m_tostring(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, MODEL_TYPE);
  if (!h->m) return lua_pushliteral(L, "model: closed"), 1;
  const struct model_config *c = model_config(h->m);
  const struct model_lora *lora = model_lora(h->m);
  int n = 0;
  push_count(L, model_parameters(h->m));
  lua_pushfstring(L, "model: llama, %s parameters, %d layers of %d, %d heads, vocabulary %d",
                  lua_tostring(L, -1), (int)c->layers, (int)c->hidden, (int)c->heads,
                  (int)c->vocab);
  if (!lora) return 1;
  for (int p = 0; p < PROJ_COUNT; p++) n += lora->target[p];
  lua_pushfstring(L, "%s, LoRA r=%d on %d projections", lua_tostring(L, -1), (int)lora->rank, n);
  return 1;
}

/* ---- facts ---- */

/*** The model's description, by the names of config.json.
-- @function model:config
-- @return table: vocab_size, hidden_size … */
static int m_config(lua_State *L) {
  const struct model_config *c = model_config(check(L));
  const size_t values[] = {c->vocab, c->hidden,   c->ffn,      c->layers,
                           c->heads, c->kv_heads, c->head_dim, c->max_positions};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    lua_pushinteger(L, (lua_Integer)values[i]);
    lua_setfield(L, -2, config_keys[i]);
  }
  lua_pushnumber(L, c->rope_theta);
  lua_setfield(L, -2, "rope_theta");
  lua_pushnumber(L, c->norm_eps);
  lua_setfield(L, -2, "rms_norm_eps");
  lua_pushboolean(L, c->tied);
  lua_setfield(L, -2, "tie_word_embeddings");
  return 1;
}

/*** How many weights there are, without adapters.
-- @function model:parameters
-- @return integer: weights
-- @return integer: of these or of the adapters, those that training changes */
static int m_parameters(lua_State *L) {
  struct model *m = check(L);
  lua_pushinteger(L, (lua_Integer)model_parameters(m));
  lua_pushinteger(L, (lua_Integer)model_trainable(m));
  return 2;
}

/*** Optimiser steps done.
-- @function model:steps
-- @return integer: steps */
static int m_steps(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)model_steps(check(L)));
  return 1;
}

/*** What computes, e.g. "cpu: …, 2 threads".
-- @function model:device
-- @return string: its name */
static int m_device(lua_State *L) {
  lua_pushstring(L, model_device(check(L)));
  return 1;
}

/*** All tensors of the model, in their order on disk.
-- @function model:tensors
-- @return table: list of { name, shape = {rows, columns}, dtype, adapter = boolean, trainable =
boolean } */
static int m_tensors(lua_State *L) {
  struct model *m = check(L);
  size_t n = model_tensors(m);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    struct model_tensor t;
    model_tensor_at(m, i, &t);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, t.name);
    lua_setfield(L, -2, "name");
    lua_createtable(L, t.rank, 0);
    for (int k = 0; k < t.rank; k++)
      lua_pushinteger(L, (lua_Integer)t.shape[k]), lua_seti(L, -2, k + 1);
    lua_setfield(L, -2, "shape");
    lua_pushstring(L, dtype_info(t.dtype)->name);
    lua_setfield(L, -2, "dtype");
    lua_pushboolean(L, t.adapter);
    lua_setfield(L, -2, "adapter");
    lua_pushboolean(L, t.trainable);
    lua_setfield(L, -2, "trainable");
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static size_t named(lua_State *L, struct model *m) {
  const char *name = luaL_checkstring(L, 2);
  ptrdiff_t i = model_tensor_find(m, name);
  if (i < 0) luaL_error(L, "the model has no tensor '%s'", name);
  return (size_t)i;
}

typedef int reader(struct model *m, size_t i, struct tensor *out, struct err *err);

static int push_tensor_bytes(lua_State *L, reader *read) {
  struct model *m = check(L);
  size_t i = named(L, m);
  struct tensor t = {0};
  struct err err;
  struct buf *b = bind_buf(L);
  if (read(m, i, &t, &err)) return bind_fail(L, &err);
  enum dtype dtype = t.dtype;
  buf_add(b, t.data, tensor_bytes(&t));
  tensor_clear(&t);
  bind_push_buf(L, b);
  lua_pushstring(L, dtype_info(dtype)->name);
  return 2;
}

/*** The bytes of one tensor, row by row.
-- @function model:read
-- @param name string: as m:tensors() lists it
-- @return string: its elements, little-endian
-- @return string: their type, "f32" or "bf16"
-- @example m:read "model.norm.weight" */
static int m_read(lua_State *L) {
  return push_tensor_bytes(L, model_tensor_read);
}

/*** The gradient accumulated for one tensor since the last step (f32; zeros where there is none).
-- @function model:gradient
-- @param name string: as m:tensors() lists it
-- @return string: its elements, little-endian
-- @return string: "f32" */
static int m_gradient(lua_State *L) {
  return push_tensor_bytes(L, model_tensor_gradient);
}

/*** Replaces the elements of one tensor.
-- @function model:write
-- @param name string: as m:tensors() lists it
-- @param bytes string: all its elements, row by row, little-endian
-- @param dtype string: optional; the type of the bytes: "f32" (default), "bf16", "f16"
-- @return boolean: true
-- @error mismatch (another number of elements) */
static int m_write(lua_State *L) {
  struct model *m = check(L);
  size_t i = named(L, m), n;
  const char *bytes = luaL_checklstring(L, 3, &n), *type = luaL_optstring(L, 4, "f32");
  enum dtype dtype = dtype_by_name(type);
  struct model_tensor info;
  struct tensor t = {0};
  struct err err;
  model_tensor_at(m, i, &info);
  luaL_argcheck(L, dtype != DTYPE_COUNT, 4, "not the name of an element type");
  size_t want = dtype_bytes(dtype, info.shape[0] * info.shape[1]);
  if (want != n) {
    err_set(&err, ERR_MISMATCH, "%s: %zu bytes given, %zu expected", info.name, n, want);
    return bind_fail(L, &err);
  }
  int rc = tensor_init(&t, dtype, info.rank, info.shape, &err);
  if (!rc) {
    memcpy(t.data, bytes, n);
    rc = model_tensor_write(m, i, &t, &err);
  }
  tensor_clear(&t);
  return truth(L, rc, &err);
}

/*** A copy of one tensor, in its stored type.
-- @function model:tensor
-- @param name string: as m:tensors() lists it
-- @return tensor: see engine.tensor
-- @example m:tensor "model.norm.weight" */
static int m_tensor(lua_State *L) {
  struct model *m = check(L);
  size_t i = named(L, m);
  struct err err;
  struct tensor *t = bind_tensor_new(L);
  if (model_tensor_read(m, i, t, &err)) return bind_fail(L, &err);
  bind_tensor_made(L);
  return 1;
}

/*** Replaces one tensor; any float type is converted.
-- @function model:set_tensor
-- @param name string: as m:tensors() lists it
-- @param tensor tensor: of the same shape
-- @return boolean: true
-- @error mismatch (another shape) */
static int m_set_tensor(lua_State *L) {
  struct model *m = check(L);
  size_t i = named(L, m);
  struct err err;
  return truth(L, model_tensor_write(m, i, bind_tensor_check(L, 3), &err), &err);
}

/* ---- adapters ---- */

static void target(lua_State *L, struct model_lora *lora, const char *name) {
  if (!strcmp(name, "all-linear")) {
    for (int p = 0; p < PROJ_COUNT; p++) lora->target[p] = true;
    return;
  }
  size_t n = strlen(name);
  for (int p = 0; p < PROJ_COUNT; p++) {
    const char *full = model_projection_names[p];
    if (strcmp(full, name) && !(n + 5 == strlen(full) && !strncmp(full, name, n))) continue;
    lora->target[p] = true;
    return;
  }
  luaL_error(
      L,
      "LoRA target '%s' is not one of all-linear, q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj",
      name);
}

static void take_targets(lua_State *L, int arg, struct model_lora *lora) {
  int type = lua_getfield(L, arg, "targets");
  if (type == LUA_TNIL) {
    target(L, lora, "all-linear");
  } else if (type == LUA_TSTRING) {
    target(L, lora, lua_tostring(L, -1));
  } else if (type == LUA_TTABLE) {
    for (lua_Integer i = 1, n = luaL_len(L, -1); i <= n; i++) {
      if (lua_geti(L, -1, i) != LUA_TSTRING) luaL_error(L, "option 'targets': names expected");
      target(L, lora, lua_tostring(L, -1));
      lua_pop(L, 1);
    }
  } else {
    luaL_error(L, "option 'targets': a name or a list of names expected");
  }
  lua_pop(L, 1);
}

static struct model_lora take_lora(lua_State *L, int arg) {
  static const char *const known[] = {"rank",   "alpha", "targets", "dropout",
                                      "rslora", "seed",  NULL};
  bind_options(L, arg, known);
  struct model_lora lora = {.rank = (size_t)bind_opt_integer(L, arg, "rank", 16, 1, 4096)};
  lora.alpha = bind_opt_number(L, arg, "alpha", 2.0 * (double)lora.rank);
  lora.dropout = bind_opt_number(L, arg, "dropout", 0);
  lora.rslora = bind_opt_boolean(L, arg, "rslora", false);
  lora.seed = (uint64_t)bind_opt_integer(L, arg, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
  take_targets(L, arg, &lora);
  return lora;
}

/*** Freezes the weights and adds low-rank adapters, which training then changes.
-- @function model:lora
-- @param options table: rank integer (16), alpha number (2 × rank), targets "all-linear" or a list
of
-- q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, dropout number (0), rslora
boolean, seed integer
-- @return boolean: true
-- @error misuse (there are adapters already), nomem
-- @example m:lora { rank = 8, alpha = 16, targets = { "q_proj", "v_proj" }, seed = 42 } */
static int m_lora(lua_State *L) {
  struct model *m = check(L);
  struct err err;
  if (lua_isnoneornil(L, 2)) lua_settop(L, 1), lua_newtable(L);
  struct model_lora lora = take_lora(L, 2);
  if (model_lora_add(m, &lora, &err)) return bind_fail(L, &err);
  account(L);
  lua_pushboolean(L, 1);
  return 1;
}

/*** Lets the adapters take part, or not, to compare before and after.
-- @function model:adapters
-- @param on boolean: take part
-- @example m:adapters(false) */
static int m_adapters(lua_State *L) {
  model_lora_enable(check(L), lua_toboolean(L, 2));
  return 0;
}

/*** Adds the adapters to the weights and removes them.
-- @function model:merge
-- @return boolean: true
-- @error misuse (there are none) */
static int m_merge(lua_State *L) {
  struct err err;
  return truth(L, model_lora_merge(check(L), &err), &err);
}

/* ---- training ---- */

static enum model_checkpointing take_checkpointing(lua_State *L, const char *name) {
  static const char *const names[] = {"none", "selective", "full"};
  for (int i = 0; i < 3; i++)
    if (!strcmp(name, names[i])) return (enum model_checkpointing)i;
  return (enum model_checkpointing)luaL_error(
      L, "checkpointing '%s' is not one of none, selective, full", name);
}

/*** What layers keep for the backward pass: same bits, less memory, more time.
-- @function model:checkpointing
-- @param how string: "none" (keep all), "selective" (products only), "full" (inputs only) */
static int m_checkpointing(lua_State *L) {
  struct model *m = check(L);
  model_checkpointing(m, take_checkpointing(L, luaL_checkstring(L, 2)));
  return 0;
}

static int push_loss(lua_State *L, const struct model_loss *l) {
  lua_pushnumber(L, l->loss);
  lua_pushinteger(L, (lua_Integer)l->supervised);
  lua_pushinteger(L, (lua_Integer)l->correct);
  return 3;
}

/*** Forward and backward of one micro-batch; its gradients are added to those since the last step.
-- @function model:accumulate
-- @param batch table: tokens, targets (−1: no loss), lengths (of its sequences)
-- @return number: loss, summed over supervised tokens, in nats
-- @return integer: supervised tokens
-- @return integer: of these, those whose most likely token was right
-- @error cancelled, nomem, misuse (a token outside the vocabulary), limit (a sequence too long) */
static int m_accumulate(lua_State *L) {
  struct model *m = check(L);
  struct model_batch b = take_batch(L, 2, true);
  struct model_loss loss;
  struct err err;
  if (model_accumulate(m, &b, &loss, &err)) return bind_fail(L, &err);
  account(L);
  return push_loss(L, &loss);
}

/*** The loss of a batch; nothing is learned.
-- @function model:loss
-- @param batch table: tokens, targets (−1: no loss), lengths (of its sequences)
-- @return number: loss, summed over supervised tokens, in nats
-- @return integer: supervised tokens
-- @return integer: of these, those whose most likely token was right */
static int m_loss(lua_State *L) {
  struct model *m = check(L);
  struct model_batch b = take_batch(L, 2, true);
  struct model_loss loss;
  struct err err;
  if (model_loss(m, &b, NULL, &loss, &err)) return bind_fail(L, &err);
  account(L);
  return push_loss(L, &loss);
}

/*** One step of AdamW over what was accumulated: gradients are divided by the supervised tokens.
-- @function model:step
-- @param options table: lr number, beta1 (0.9), beta2 (0.95), eps (1e-8), decay (0), clip (0: none;
largest norm)
-- @return number: the gradient's norm before clipping
-- @error mismatch (the norm is not finite: training diverged), misuse (nothing accumulated)
-- @example m:step { lr = 1e-3, clip = 1.0 } */
static int m_step(lua_State *L) {
  static const char *const known[] = {"lr", "beta1", "beta2", "eps", "decay", "clip", NULL};
  struct model *m = check(L);
  struct err err;
  double norm;
  bind_options(L, 2, known);
  struct model_optimiser o = {.lr = bind_opt_number(L, 2, "lr", 1e-3),
                              .beta1 = bind_opt_number(L, 2, "beta1", 0.9),
                              .beta2 = bind_opt_number(L, 2, "beta2", 0.95),
                              .eps = bind_opt_number(L, 2, "eps", 1e-8),
                              .decay = bind_opt_number(L, 2, "decay", 0),
                              .clip = bind_opt_number(L, 2, "clip", 0)};
  if (model_step(m, &o, &norm, &err)) return bind_fail(L, &err);
  lua_pushnumber(L, norm);
  return 1;
}

/*** Forgets what was accumulated since the last step.
-- @function model:drop
-- @return boolean: true */
static int m_drop(lua_State *L) {
  struct err err;
  return truth(L, model_drop(check(L), &err), &err);
}

/*** Everything training changes, between two steps: weights, moments, counters.
-- @function model:state
-- @return string: bytes for a checkpoint */
static int m_state(lua_State *L) {
  struct model *m = check(L);
  struct err err;
  struct buf *b = bind_buf(L);
  if (model_state_write(m, b, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  return 1;
}

/*** Puts such a state back; training goes on bit for bit.
-- @function model:load_state
-- @param bytes string: from m:state()
-- @return boolean: true
-- @error mismatch (of another model; nothing is changed), format */
static int m_load_state(lua_State *L) {
  struct model *m = check(L);
  size_t n;
  const char *bytes = luaL_checklstring(L, 2, &n);
  struct err err;
  return truth(L, model_state_read(m, bytes, n, &err), &err);
}

static void push_memory(lua_State *L, const struct model_memory *need) {
  const struct {
    const char *name;
    size_t v;
  } all[] = {{"weights", need->weights},     {"gradients", need->gradients},
             {"moments", need->moments},     {"activations", need->activations},
             {"workspace", need->workspace}, {"total", need->total}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    lua_pushinteger(L, (lua_Integer)all[i].v);
    lua_setfield(L, -2, all[i].name);
  }
}

/*** What training with micro-batches of that many tokens will hold.
-- @function model:memory
-- @param options table: rows integer (tokens of a micro-batch), sequences integer (1)
-- @return table: bytes: weights, gradients, moments, activations, workspace, total
-- @example m:memory { rows = 2048 }.total */
static int m_memory(lua_State *L) {
  static const char *const known[] = {"rows", "sequences", NULL};
  struct model *m = check(L);
  struct model_memory need;
  struct err err;
  bind_options(L, 2, known);
  size_t rows = (size_t)bind_opt_integer(L, 2, "rows", 1024, 1, 1 << 26);
  size_t sequences = (size_t)bind_opt_integer(L, 2, "sequences", 1, 1, 1 << 26);
  if (model_memory(m, rows, sequences, &need, &err)) return bind_fail(L, &err);
  push_memory(L, &need);
  return 1;
}

/*** What training a model that does not exist yet would hold; nothing of its size is allocated.
-- @function engine.model.plan
-- @param config table: as for engine.model.new
-- @param options table: optional; rows integer (tokens of a micro-batch, 1024), sequences integer (1),
-- lora table (as for model:lora; nil: full training), checkpointing string ("none"), dtype "f32" or "bf16"
-- @return table: bytes: weights, gradients, moments, activations, workspace, total; and counts:
-- parameters, trainable
-- @error format (a field makes no sense), misuse (bad LoRA options)
-- @example require("engine.model").plan({ vocab_size = 64, hidden_size = 32, intermediate_size = 64,
--   num_hidden_layers = 1, num_attention_heads = 2 }, { rows = 512, lora = { rank = 4 } }).total */
static int l_plan(lua_State *L) {
  static const char *const known[] = {"rows", "sequences", "lora", "checkpointing", "dtype", NULL};
  struct model_memory need;
  struct model_lora lora;
  struct err err;
  size_t trainable;
  struct model_plan plan = {.config = take_config(L, 1)};
  if (lua_isnoneornil(L, 2)) lua_settop(L, 1), lua_newtable(L);
  bind_options(L, 2, known);
  plan.storage = take_dtype(L, 2);
  plan.keep = take_checkpointing(L, bind_opt_string(L, 2, "checkpointing", "none"));
  plan.rows = (size_t)bind_opt_integer(L, 2, "rows", 1024, 1, 1 << 26);
  plan.sequences = (size_t)bind_opt_integer(L, 2, "sequences", 1, 1, 1 << 26);
  if (lua_getfield(L, 2, "lora") != LUA_TNIL) {
    lora = take_lora(L, lua_gettop(L));
    plan.lora = &lora;
  }
  if (model_plan(&plan, &need, &trainable, &err)) return bind_fail(L, &err);
  push_memory(L, &need);
  struct model_config full = plan.config;
  if (model_config_check(&full, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)model_config_parameters(&full));
  lua_setfield(L, -2, "parameters");
  lua_pushinteger(L, (lua_Integer)trainable);
  lua_setfield(L, -2, "trainable");
  return 1;
}

/* ---- use ---- */

static struct model_sampling take_sampling(lua_State *L, int arg) {
  static const char *const known[] = {"temperature", "top_k", "top_p", "seed",
                                      "max_tokens",  "stop",  NULL};
  bind_options(L, arg, known);
  struct model_sampling s = {
      .temperature = bind_opt_number(L, arg, "temperature", 0),
      .top_k = (size_t)bind_opt_integer(L, arg, "top_k", 0, 0, 1 << 24),
      .top_p = bind_opt_number(L, arg, "top_p", 1),
      .seed = (uint64_t)bind_opt_integer(L, arg, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER),
      .max_tokens = (size_t)bind_opt_integer(L, arg, "max_tokens", 128, 1, 1 << 24)};
  if (s.temperature < 0) luaL_argerror(L, arg, "option 'temperature': below 0");
  if (!(s.top_p > 0 && s.top_p <= 1)) luaL_argerror(L, arg, "option 'top_p': not in (0, 1]");
  if (lua_isnoneornil(L, arg)) return s;
  if (lua_getfield(L, arg, "stop") == LUA_TNIL) return lua_pop(L, 1), s;
  if (lua_isinteger(L, -1)) {
    lua_createtable(L, 1, 0);
    lua_insert(L, -2);
    lua_seti(L, -2, 1);
  }
  struct ids stop = take_ids(L, "stop");
  s.stop = stop.v;
  s.stops = stop.n;
  return s;
}

struct answers { /* owned by the collector until they are Lua tables */
  struct model_answer *a;
  size_t n;
};

static int answers_gc(lua_State *L) {
  struct answers *a = lua_touserdata(L, 1);
  if (a->a) model_answers_clear(a->a, a->n);
  mem_free(a->a);
  a->a = NULL;
  return 0;
}

static struct answers *new_answers(lua_State *L, size_t n) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", answers_gc}, {NULL, NULL}};
  bind_metatable(L, "lathe.answers", none, meta);
  struct answers *a = bind_new(L, sizeof *a, "lathe.answers");
  a->a = mem_zeros(n, sizeof *a->a);
  if (!a->a) luaL_error(L, "out of memory");
  a->n = n;
  return a;
}

static void push_answer(lua_State *L, const struct model_answer *a) {
  lua_createtable(L, (int)a->count, 0);
  for (size_t i = 0; i < a->count; i++) {
    lua_pushinteger(L, a->tokens[i]);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
}

/*** Continues one prompt, a token at a time.
-- @function model:generate
-- @param ids table|string: the prompt's tokens
-- @param options table: optional; temperature (0: always the most likely), top_k, top_p, seed,
max_tokens (128),
-- stop (an id or list of ids that end the answer)
-- @return table: the answer's ids, without the stop id
-- @return boolean: true when it stopped by itself
-- @error limit (no room below max_position_embeddings), cancelled
-- @example m:generate(tok:encode "Once", { max_tokens = 20, temperature = 0.8, seed = 1 }) */
static int m_generate(lua_State *L) {
  struct model *m = check(L);
  struct err err;
  lua_settop(L, 3);
  struct model_sampling s = take_sampling(L, 3);
  lua_pushvalue(L, 2);
  struct ids ids = take_ids(L, "prompt");
  int32_t starts[2] = {0, (int32_t)ids.n};
  struct model_batch b = {.rows = ids.n, .sequences = 1, .tokens = ids.v, .starts = starts};
  struct answers *a = new_answers(L, 1);
  if (model_generate(m, &b, &s, a->a, &err)) return bind_fail(L, &err);
  push_answer(L, a->a);
  lua_pushboolean(L, a->a->stopped);
  return 2;
}

/*** Continues many prompts at once: several times faster than one by one.
-- @function model:generate_all
-- @param batch table: tokens and lengths of all prompts
-- @param options table: optional; as for model:generate
-- @return table: list of { ids = …, stopped = boolean }, one for each prompt */
static int m_generate_all(lua_State *L) {
  struct model *m = check(L);
  struct err err;
  lua_settop(L, 3);
  struct model_sampling s = take_sampling(L, 3);
  struct model_batch b = take_batch(L, 2, false);
  struct answers *a = new_answers(L, b.sequences);
  if (model_generate(m, &b, &s, a->a, &err)) return bind_fail(L, &err);
  account(L);
  lua_createtable(L, (int)a->n, 0);
  for (size_t i = 0; i < a->n; i++) {
    lua_createtable(L, 0, 2);
    push_answer(L, &a->a[i]);
    lua_setfield(L, -2, "ids");
    lua_pushboolean(L, a->a[i].stopped);
    lua_setfield(L, -2, "stopped");
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** The scores of every next token after every token of one sequence.
-- @function model:logits
-- @param ids table|string: the tokens
-- @return tensor: f32 [tokens, vocabulary]
-- @example m:logits({ 1, 2, 3 })[3] */
static int m_logits(lua_State *L) {
  struct model *m = check(L);
  struct err err;
  lua_settop(L, 2);
  struct ids ids = take_ids(L, "ids");
  int32_t starts[2] = {0, (int32_t)ids.n};
  struct model_batch b = {.rows = ids.n, .sequences = 1, .tokens = ids.v, .starts = starts};
  struct tensor *t = bind_tensor_new(L);
  if (model_logits(m, &b, t, &err)) return bind_fail(L, &err);
  bind_tensor_made(L);
  return 1;
}

/* ---- files ---- */

/*** A model from a Hugging Face folder: config.json and safetensors.
-- @function engine.model.load
-- @param folder string: where it lies
-- @param options table: optional; dtype "f32" or "bf16" (default: as the file, f16 as bf16)
-- @return model: as from engine.model.new
-- @error not_found, format, unsupported (names what is), mismatch (tensors missing or of another
shape)
-- @example require("engine.model").load "runs/demo/07-pretrain/base" */
static int l_load(lua_State *L) {
  static const char *const known[] = {"dtype", NULL};
  const char *folder = luaL_checkstring(L, 1);
  struct err err;
  bind_options(L, 2, known);
  const char *name = bind_opt_string(L, 2, "dtype", NULL);
  enum dtype dtype = name ? take_dtype(L, 2) : DTYPE_COUNT;
  struct pool *pool = bind_pool(L);
  lua_settop(L, 1);
  struct handle *h = bind_new(L, sizeof *h, MODEL_TYPE);
  if (model_load(&h->m, folder, dtype, pool, &err)) return bind_fail(L, &err);
  lua_replace(L, 1);
  account(L);
  return 1;
}

static enum model_part take_part(lua_State *L, int arg) {
  return bind_opt_boolean(L, arg, "adapter", false) ? MODEL_ADAPTERS : MODEL_WEIGHTS;
}

/*** Writes all weights, or all adapters, as one safetensors file.
-- @function model:save_weights
-- @param path string: the file
-- @param options table: optional; adapter boolean (the adapters instead of the weights), dtype
"f32", "bf16"
-- or "f16" (default: as held)
-- @return boolean: true
-- @error io, misuse (no adapters) */
static int m_save_weights(lua_State *L) {
  static const char *const known[] = {"adapter", "dtype", NULL};
  struct model *m = check(L);
  const char *path = luaL_checkstring(L, 2);
  struct err err;
  bind_options(L, 3, known);
  const char *name = bind_opt_string(L, 3, "dtype", NULL);
  enum dtype dtype = name ? dtype_by_name(name) : DTYPE_COUNT;
  if (name && dtype != DTYPE_F32 && dtype != DTYPE_BF16 && dtype != DTYPE_F16)
    luaL_error(L, "option 'dtype': f32, bf16 or f16, not '%s'", name);
  return truth(L, model_weights_write(m, path, take_part(L, 3), dtype, &err), &err);
}

/*** Reads all weights, or all adapters, from a safetensors file, an index or a folder.
-- @function model:load_weights
-- @param path string: the file or folder
-- @param options table: optional; adapter boolean (the adapters instead of the weights)
-- @return boolean: true
-- @error not_found, format, mismatch (tensors missing or of another shape) */
static int m_load_weights(lua_State *L) {
  static const char *const known[] = {"adapter", NULL};
  struct model *m = check(L);
  const char *path = luaL_checkstring(L, 2);
  struct err err;
  bind_options(L, 3, known);
  return truth(L, model_weights_read(m, path, take_part(L, 3), &err), &err);
}

int luaopen_engine_tensor(lua_State *L);
int luaopen_engine_model(lua_State *L);
int luaopen_engine_model(lua_State *L) {
  static const luaL_Reg methods[] = {{"close", m_close},
                                     {"config", m_config},
                                     {"parameters", m_parameters},
                                     {"steps", m_steps},
                                     {"device", m_device},
                                     {"tensors", m_tensors},
                                     {"read", m_read},
                                     {"write", m_write},
                                     {"gradient", m_gradient},
                                     {"tensor", m_tensor},
                                     {"set_tensor", m_set_tensor},
                                     {"save_weights", m_save_weights},
                                     {"load_weights", m_load_weights},
                                     {"lora", m_lora},
                                     {"adapters", m_adapters},
                                     {"merge", m_merge},
                                     {"checkpointing", m_checkpointing},
                                     {"accumulate", m_accumulate},
                                     {"loss", m_loss},
                                     {"step", m_step},
                                     {"drop", m_drop},
                                     {"state", m_state},
                                     {"load_state", m_load_state},
                                     {"memory", m_memory},
                                     {"generate", m_generate},
                                     {"generate_all", m_generate_all},
                                     {"logits", m_logits},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", m_close}, {"__close", m_close}, {"__tostring", m_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"new", l_new}, {"load", l_load}, {"plan", l_plan}, {NULL, NULL}};
  luaL_requiref(L, "engine.tensor", luaopen_engine_tensor, 0); /* its metatable */
  lua_pop(L, 1);
  bind_metatable(L, MODEL_TYPE, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
