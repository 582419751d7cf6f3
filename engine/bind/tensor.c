/* SPDX-License-Identifier: MIT */
/* require "engine.tensor": counted views of numbers, to look at and to try things with.
 *
 * t[i] is a row (a view that shares the storage), or a number where one dimension is left; indices
 * count from 1. t.shape, t.dtype and t.rank are values, everything else a method. The collector is
 * told of a storage's bytes by the userdata that made it. */
#include "bind/tensor.h"
#include "tensor/math.h"
#include "tensor/show.h"

#include <string.h>

#define TENSOR_NAME "lathe.tensor"
#define DEPTH_MOST  TENSOR_RANK

struct bound {
  struct tensor t; /* first: bind_tensor_check gives its address */
  size_t accounted;
};

struct tensor *bind_tensor_new(lua_State *L) {
  struct bound *b = bind_new(L, sizeof *b, TENSOR_NAME);
  return &b->t;
}

void bind_tensor_made(lua_State *L) {
  struct bound *b = lua_touserdata(L, -1);
  b->accounted = tensor_outside(&b->t);
  bind_outside(L, (ptrdiff_t)b->accounted);
}

struct tensor *bind_tensor_check(lua_State *L, int arg) {
  struct bound *b = luaL_checkudata(L, arg, TENSOR_NAME);
  luaL_argcheck(L, b->t.storage, arg, "the tensor is closed");
  return &b->t;
}

static int tensor_close_(lua_State *L) {
  struct bound *b = luaL_checkudata(L, 1, TENSOR_NAME);
  tensor_clear(&b->t);
  if (b->accounted) bind_outside(L, -(ptrdiff_t)b->accounted);
  b->accounted = 0;
  return 0;
}

/* The result on the top of the stack, or what failed; misuse raises. */
static int finish(lua_State *L, int rc, const struct err *err, bool made) {
  if (rc == ERR_MISUSE) return luaL_error(L, "%s", err->message);
  if (rc) return bind_fail(L, err);
  if (made) bind_tensor_made(L);
  return 1;
}

static enum dtype check_dtype(lua_State *L, const char *name) {
  enum dtype dtype = dtype_by_name(name);
  if (dtype == DTYPE_COUNT)
    luaL_error(L, "unknown dtype '%s' (f32, bf16, f16, i32, i64, u8)", name);
  return dtype;
}

/* Reads a list of dimensions at idx; returns the rank. */
static int read_shape(lua_State *L, int idx, size_t shape[TENSOR_RANK]) {
  luaL_argcheck(L, lua_istable(L, idx), 1, "shape must be a list of integers");
  lua_Integer rank = luaL_len(L, idx);
  luaL_argcheck(L, rank <= TENSOR_RANK, 1, "a tensor has at most 4 dimensions");
  for (int i = 0; i < rank; i++) {
    int fits;
    lua_geti(L, idx, i + 1);
    lua_Integer n = lua_tointegerx(L, -1, &fits);
    luaL_argcheck(L, fits && n >= 0, 1, "shape must be a list of integers");
    shape[i] = (size_t)n;
    lua_pop(L, 1);
  }
  return (int)rank;
}

/* The shape of nested lists at the top of the stack: the lengths down the first elements. */
static int infer_shape(lua_State *L, size_t shape[TENSOR_RANK]) {
  int rank = 0, top = lua_gettop(L);
  lua_pushvalue(L, -1);
  while (lua_istable(L, -1)) {
    if (rank == TENSOR_RANK) luaL_error(L, "a tensor has at most %d dimensions", TENSOR_RANK);
    shape[rank++] = (size_t)luaL_len(L, -1);
    lua_geti(L, -1, 1);
  }
  lua_settop(L, top);
  return rank;
}

static void set_number(lua_State *L, struct tensor *t, size_t i, int idx) {
  struct err err;
  if (lua_type(L, idx) != LUA_TNUMBER)
    luaL_error(L, "data: a number expected, got %s", luaL_typename(L, idx));
  int rc = lua_isinteger(L, idx) ? tensor_set_integer(t, i, lua_tointeger(L, idx), &err)
                                 : tensor_set(t, i, lua_tonumber(L, idx), &err);
  if (rc) luaL_error(L, "%s", err.message);
}

/* Copies nested or flat lists at the top of the stack from element *at on. */
static void read_data(lua_State *L, struct tensor *t, size_t *at, int depth) {
  lua_Integer n = luaL_len(L, -1);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_geti(L, -1, i);
    if (lua_istable(L, -1)) {
      if (depth >= DEPTH_MOST) luaL_error(L, "data: lists are nested too deep");
      luaL_checkstack(L, 4, NULL);
      read_data(L, t, at, depth + 1);
    } else {
      if (*at >= tensor_count(t)) luaL_error(L, "data: more than %d numbers", (int)tensor_count(t));
      set_number(L, t, (*at)++, -1);
    }
    lua_pop(L, 1);
  }
}

/*** Makes a tensor.
-- @function engine.tensor.new
-- @param options table: shape (list of up to 4 integers; taken from nested data when absent), dtype
--   ("f32", "bf16", "f16", "i32", "i64", "u8"; default "f32"), data (nested or flat lists of
numbers,
--   or a string of little-endian bytes; zeros when absent). A plain list of numbers or lists is
data.
-- @return tensor: with t.shape, t.dtype, t.rank, t[i], #t, t:slice, t:totable, t:bytes, t:to,
t:reshape
-- @error memory, limit (the shape is too large)
-- @example require("engine.tensor").new { shape = { 2, 2 }, data = { 1, 2, 3, 4 } } */
static int l_new(lua_State *L) {
  static const char *const known[] = {"shape", "dtype", "data", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  if (luaL_len(L, 1) > 0) { /* tensor.new{1, 2, 3} */
    lua_newtable(L);
    lua_pushvalue(L, 1);
    lua_setfield(L, -2, "data");
    lua_replace(L, 1);
  }
  bind_options(L, 1, known);
  enum dtype dtype = check_dtype(L, bind_opt_string(L, 1, "dtype", "f32"));
  size_t shape[TENSOR_RANK] = {0};
  lua_getfield(L, 1, "data");
  int data = lua_type(L, -1), rank;
  luaL_argcheck(L, data == LUA_TNIL || data == LUA_TTABLE || data == LUA_TSTRING, 1,
                "data must be a list or a string");
  if (lua_getfield(L, 1, "shape") != LUA_TNIL) {
    rank = read_shape(L, -1, shape);
    lua_pop(L, 1);
  } else {
    lua_pop(L, 1);
    luaL_argcheck(L, data == LUA_TTABLE, 1, "shape is missing");
    rank = infer_shape(L, shape);
  }
  struct err err;
  struct tensor *t = bind_tensor_new(L);
  int rc = tensor_init(t, dtype, rank, shape, &err);
  if (rc) return finish(L, rc, &err, false);
  bind_tensor_made(L);
  if (data == LUA_TSTRING) {
    size_t n;
    const char *bytes = lua_tolstring(L, 2, &n);
    if (n != tensor_bytes(t))
      return luaL_error(L, "data: %d bytes expected, got %d", (int)tensor_bytes(t), (int)n);
    if (n) memcpy(t->data, bytes, n);
  } else if (data == LUA_TTABLE) {
    size_t at = 0;
    lua_pushvalue(L, 2);
    read_data(L, t, &at, 1);
    lua_pop(L, 1);
    if (at != tensor_count(t))
      return luaL_error(L, "data: %d numbers expected, got %d", (int)tensor_count(t), (int)at);
  }
  return 1;
}

static void push_element(lua_State *L, const struct tensor *t, size_t i) {
  if (dtype_info(t->dtype)->is_float)
    lua_pushnumber(L, tensor_get(t, i));
  else
    lua_pushinteger(L, tensor_get_integer(t, i));
}

static size_t check_index(lua_State *L, const struct tensor *t) {
  int fits;
  lua_Integer i = lua_tointegerx(L, 2, &fits);
  size_t n = t->rank ? t->shape[0] : 0;
  if (!fits || i < 1 || (lua_Unsigned)i > n)
    luaL_error(L, "index %s is outside of 1 to %d", luaL_tolstring(L, 2, NULL), (int)n);
  return (size_t)i - 1;
}

static int push_shape(lua_State *L, const struct tensor *t) {
  lua_createtable(L, t->rank, 0);
  for (int i = 0; i < t->rank; i++) {
    lua_pushinteger(L, (lua_Integer)t->shape[i]);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

static int tensor_index(lua_State *L) {
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *key = lua_tostring(L, 2);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
    const struct tensor *t = bind_tensor_check(L, 1);
    if (!strcmp(key, "shape")) return push_shape(L, t);
    if (!strcmp(key, "dtype"))
      lua_pushstring(L, dtype_info(t->dtype)->name);
    else if (!strcmp(key, "rank"))
      lua_pushinteger(L, t->rank);
    else
      lua_pushnil(L);
    return 1;
  }
  const struct tensor *t = bind_tensor_check(L, 1);
  /* nil behind the end, so that ipairs works */
  if (lua_isinteger(L, 2) && t->rank && lua_tointeger(L, 2) == (lua_Integer)t->shape[0] + 1) {
    lua_pushnil(L);
    return 1;
  }
  size_t i = check_index(L, t);
  if (t->rank == 1) {
    push_element(L, t, i);
    return 1;
  }
  struct err err;
  struct tensor *row = bind_tensor_new(L);
  return finish(L, tensor_row(row, t, i, &err), &err, false);
}

static int tensor_newindex(lua_State *L) {
  struct tensor *t = bind_tensor_check(L, 1);
  if (t->rank != 1) return luaL_error(L, "only elements of one dimension can be set: t[i][j] = v");
  set_number(L, t, check_index(L, t), 3);
  return 0;
}

/* Rows from … to (both included, from 1) as a view of the same storage: t:slice(2, 3). */
static int tensor_slice_(lua_State *L) {
  const struct tensor *t = bind_tensor_check(L, 1);
  lua_Integer from = luaL_checkinteger(L, 2);
  lua_Integer to = luaL_optinteger(L, 3, t->rank ? (lua_Integer)t->shape[0] : 0);
  luaL_argcheck(L, from >= 1 && to >= from - 1, 2, "rows count from 1");
  struct err err;
  struct tensor *out = bind_tensor_new(L);
  return finish(L, tensor_slice(out, t, (size_t)from - 1, (size_t)to, &err), &err, false);
}

static void push_nested(lua_State *L, const struct tensor *t, int depth, size_t at) {
  if (depth == t->rank) {
    push_element(L, t, at);
    return;
  }
  size_t step = 1;
  for (int i = depth + 1; i < t->rank; i++) step *= t->shape[i];
  luaL_checkstack(L, 4, NULL);
  lua_createtable(L, t->shape[depth] < 1 << 20 ? (int)t->shape[depth] : 0, 0);
  for (size_t i = 0; i < t->shape[depth]; i++) {
    push_nested(L, t, depth + 1, at + i * step);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
}

static int tensor_totable(lua_State *L) {
  push_nested(L, bind_tensor_check(L, 1), 0, 0);
  return 1;
}

static int tensor_bytes_(lua_State *L) {
  const struct tensor *t = bind_tensor_check(L, 1);
  lua_pushlstring(L, t->data, tensor_bytes(t));
  return 1;
}

static int tensor_to(lua_State *L) {
  const struct tensor *t = bind_tensor_check(L, 1);
  enum dtype dtype = check_dtype(L, luaL_checkstring(L, 2));
  struct err err;
  struct tensor *out = bind_tensor_new(L);
  return finish(L, tensor_convert(out, t, dtype, &err), &err, true);
}

static int tensor_reshape_(lua_State *L) {
  const struct tensor *t = bind_tensor_check(L, 1);
  size_t shape[TENSOR_RANK] = {0};
  int rank = read_shape(L, 2, shape);
  struct err err;
  struct tensor *out = bind_tensor_new(L);
  return finish(L, tensor_reshape(out, t, rank, shape, &err), &err, false);
}

static int tensor_len(lua_State *L) {
  const struct tensor *t = bind_tensor_check(L, 1);
  lua_pushinteger(L, t->rank ? (lua_Integer)t->shape[0] : 0);
  return 1;
}

static int tensor_tostring(lua_State *L) {
  const struct bound *b = luaL_checkudata(L, 1, TENSOR_NAME);
  if (!b->t.storage) {
    lua_pushliteral(L, "closed tensor");
    return 1;
  }
  struct err err;
  struct buf *text = bind_buf(L);
  tensor_show(&b->t, text);
  if (buf_check(text, "a tensor's text", &err)) return luaL_error(L, "%s", err.message);
  bind_push_buf(L, text);
  return 1;
}

/* ---- whole-tensor operations: on the processor, with the pool of this state ---- */

/*** Matrix product of two tensors of rank 2 (the left one may be a single row), as f32.
-- @function engine.tensor.matmul
-- @param a tensor: the left factor
-- @param b tensor: the right factor, of any float type
-- @param options table: optional; transpose_a, transpose_b (booleans)
-- @return tensor: f32
-- @error memory, cancelled, not_found (OpenBLAS is not installed)
-- @example local T = require("engine.tensor"); print(T.matmul(T.new{{1, 2}}, T.new{{3}, {4}})) */
static int l_matmul(lua_State *L) {
  static const char *const known[] = {"transpose_a", "transpose_b", NULL};
  const struct tensor *a = bind_tensor_check(L, 1), *b = bind_tensor_check(L, 2);
  bind_options(L, 3, known);
  bool ta = bind_opt_boolean(L, 3, "transpose_a", false);
  bool tb = bind_opt_boolean(L, 3, "transpose_b", false);
  struct tensor *out = bind_tensor_new(L);
  struct device d;
  struct err err;
  int rc = device_cpu(&d, bind_pool(L), &err);
  if (!rc) rc = tensor_matmul(&d, out, a, ta, b, tb, &err);
  device_close(&d);
  return finish(L, rc, &err, true);
}

/*** Sum a + alpha·b of two tensors of one shape, as f32.
-- @function engine.tensor.add
-- @param a tensor: first
-- @param b tensor: second
-- @param alpha number: optional factor of b, default 1
-- @return tensor: f32
-- @error memory, cancelled, not_found (OpenBLAS is not installed)
-- @example local T = require("engine.tensor"); print(T.add(T.new{1, 2}, T.new{3, 4})) */
static int l_add(lua_State *L) {
  const struct tensor *a = bind_tensor_check(L, 1), *b = bind_tensor_check(L, 2);
  double alpha = luaL_optnumber(L, 3, 1);
  struct tensor *out = bind_tensor_new(L);
  struct device d;
  struct err err;
  int rc = device_cpu(&d, bind_pool(L), &err);
  if (!rc) rc = tensor_add(&d, out, a, b, alpha, &err);
  device_close(&d);
  return finish(L, rc, &err, true);
}

/*** LoRA product: x·Wᵀ + scale·(x·Aᵀ)·Bᵀ, as f32.
-- @function engine.tensor.lora
-- @param x tensor: activations [rows, in]
-- @param w tensor: the frozen weight [out, in], of any float type
-- @param a tensor: A [rank, in]
-- @param b tensor: B [out, rank]
-- @param scale number: alpha / rank
-- @return tensor: f32 [rows, out]
-- @error memory, cancelled, not_found (OpenBLAS is not installed)
-- @example local T = require("engine.tensor"); local x, w = T.new{{1, 2}}, T.new{{1, 0}, {0, 1}}
--   print(T.lora(x, w, T.new{{1, 1}}, T.new{{1}, {0}}, 2)) */
static int l_lora(lua_State *L) {
  const struct tensor *x = bind_tensor_check(L, 1), *w = bind_tensor_check(L, 2);
  const struct tensor *a = bind_tensor_check(L, 3), *b = bind_tensor_check(L, 4);
  double scale = luaL_optnumber(L, 5, 1);
  struct tensor *out = bind_tensor_new(L);
  struct device d;
  struct err err;
  int rc = device_cpu(&d, bind_pool(L), &err);
  if (!rc) rc = tensor_lora(&d, out, x, w, a, b, scale, &err);
  device_close(&d);
  return finish(L, rc, &err, true);
}

/*** What multiplies matrices here, for `lathe doctor`.
-- @function engine.tensor.blas
-- @return table: config (version and build), core (kernels in use), asked (the core type asked for)
-- @error not_found (OpenBLAS is not installed; the message names the package)
-- @example print(require("engine.tensor").blas().core) */
static int l_blas(lua_State *L) {
  struct blas_info info;
  struct err err;
  if (device_cpu_blas(&info, &err)) return bind_fail(L, &err);
  lua_createtable(L, 0, 3);
  lua_pushstring(L, info.config);
  lua_setfield(L, -2, "config");
  lua_pushstring(L, info.core);
  lua_setfield(L, -2, "core");
  lua_pushstring(L, info.asked);
  lua_setfield(L, -2, "asked");
  return 1;
}

int luaopen_engine_tensor(lua_State *L);
int luaopen_engine_tensor(lua_State *L) {
  static const luaL_Reg methods[] = {{"slice", tensor_slice_},
                                     {"totable", tensor_totable},
                                     {"bytes", tensor_bytes_},
                                     {"to", tensor_to},
                                     {"reshape", tensor_reshape_},
                                     {"close", tensor_close_},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", tensor_close_},
                                  {"__close", tensor_close_},
                                  {"__len", tensor_len},
                                  {"__add", l_add},
                                  {"__tostring", tensor_tostring},
                                  {"__newindex", tensor_newindex},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new},   {"matmul", l_matmul}, {"add", l_add},
                                       {"lora", l_lora}, {"blas", l_blas},     {NULL, NULL}};
  bind_metatable(L, TENSOR_NAME, methods, meta);
  luaL_getmetatable(L, TENSOR_NAME);
  if (lua_getfield(L, -1, "__index") == LUA_TTABLE) { /* the methods */
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__methods");
    lua_pushcclosure(L, tensor_index, 1);
    lua_setfield(L, -2, "__index");
  } else {
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  return 1;
}
