/* SPDX-License-Identifier: MIT */
/* require "engine.gguf": the files of llama.cpp. See format/gguf.h. */
#include "bind/bind.h"
#include "bind/safetensors.h"
#include "format/gguf.h"

#include <string.h>

#define FILE_NAME   "gguf"
#define WRITER_NAME "lathe.gguf_writer"

struct handle {
  struct gguf *g;
};
struct writer {
  struct gguf_writer *w;
};

static struct gguf *check_file(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, FILE_NAME);
  if (!h->g) luaL_argerror(L, 1, "this file is closed");
  return h->g;
}

static int file_gc(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, FILE_NAME);
  gguf_close(h->g);
  h->g = NULL;
  return 0;
}

/*** Opens a GGUF file; maps it, copies nothing.
-- @function engine.gguf.open
-- @param path string: the file
-- @return gguf: g:get(key), g:keys(), g:tensors(), g:read(name, dtype)
-- @error not_found, format (hostile or damaged), unsupported (another version or type)
-- @example require("engine.gguf").open("model.gguf"):get("general.architecture") */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct handle *h = bind_new(L, sizeof *h, FILE_NAME);
  if (gguf_open(&h->g, path, &err)) return bind_fail(L, &err);
  return 1;
}

/*** The keys of the metadata, in the order of the file.
-- @function gguf:keys
-- @return table: list of names */
static int file_keys(lua_State *L) {
  struct gguf *g = check_file(L);
  size_t n = gguf_keys(g);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushstring(L, gguf_key(g, i)->key);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Pushes the next item, or nothing and returns false. */
static bool push_item(lua_State *L, const struct gguf_value *v, const void **at) {
  int64_t i;
  double d;
  const char *s;
  size_t n;
  if (gguf_next_integer(v, at, &i)) {
    if (v->item == GGUF_BOOL)
      lua_pushboolean(L, i != 0);
    else
      lua_pushinteger(L, i);
  } else if (gguf_next_float(v, at, &d)) {
    lua_pushnumber(L, d);
  } else if (gguf_next_string(v, at, &s, &n)) {
    lua_pushlstring(L, s, n);
  } else {
    return false;
  }
  return true;
}

/*** A value of the metadata.
-- @function gguf:get
-- @param key string: such as "llama.block_count"
-- @return integer|number|boolean|string|table|nil: arrays as lists; nil when there is no such key
-- @return string: its type: "u32", "string", "[string]" … */
static int file_get(lua_State *L) {
  const struct gguf_value *v = gguf_find(check_file(L), luaL_checkstring(L, 2));
  if (!v) return 0;
  const void *at = v->data;
  if (v->type != GGUF_ARRAY) {
    if (!push_item(L, v, &at)) lua_pushnil(L);
    lua_pushstring(L, gguf_type_name(v->type));
    return 2;
  }
  lua_createtable(L, v->count < 1 << 20 ? (int)v->count : 1 << 20, 0);
  for (lua_Integer i = 1; (uint64_t)i <= v->count && push_item(L, v, &at); i++)
    lua_rawseti(L, -2, i);
  lua_pushfstring(L, "[%s]", gguf_type_name(v->item));
  return 2;
}

/*** All tensors, in the order of the file.
-- @function gguf:tensors
-- @return table: list of { name, type = ggml's number, dtype (nil when not decoded), shape, bytes }
*/
static int file_tensors(lua_State *L) {
  struct gguf *g = check_file(L);
  size_t n = gguf_tensors(g);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    const struct gguf_tensor_info *t = gguf_tensor_at(g, i);
    lua_createtable(L, 0, 5);
    lua_pushstring(L, t->name), lua_setfield(L, -2, "name");
    lua_pushinteger(L, t->type), lua_setfield(L, -2, "type");
    if (t->dtype != DTYPE_COUNT)
      lua_pushstring(L, dtype_info(t->dtype)->name), lua_setfield(L, -2, "dtype");
    lua_pushinteger(L, (lua_Integer)t->bytes), lua_setfield(L, -2, "bytes");
    lua_createtable(L, t->rank, 0);
    for (int k = 0; k < t->rank; k++)
      lua_pushinteger(L, (lua_Integer)t->shape[k]), lua_rawseti(L, -2, k + 1);
    lua_setfield(L, -2, "shape");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** The bytes of a tensor, as stored or decoded to f32.
-- @function gguf:read
-- @param name string: its name
-- @param dtype string: optional, only "f32"
-- @return string: the bytes
-- @return string: their type
-- @error unsupported (a type that is not decoded) */
static int file_read_(lua_State *L) {
  const char *name = luaL_checkstring(L, 2), *to = luaL_optstring(L, 3, NULL);
  const struct gguf_tensor_info *t = gguf_tensor_find(check_file(L), name);
  struct err err;
  if (!t) return luaL_error(L, "the file has no tensor '%s'", name);
  luaL_argcheck(L, !to || !strcmp(to, "f32"), 3, "only f32");
  if (!to) {
    lua_pushlstring(L, t->data, (size_t)t->bytes);
    lua_pushstring(L, t->dtype == DTYPE_COUNT ? NULL : dtype_info(t->dtype)->name);
    return 2;
  }
  struct buf *b = bind_buf(L);
  if (gguf_decode(t, b, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  lua_pushliteral(L, "f32");
  return 2;
}

static int file_tostring(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, FILE_NAME);
  if (!h->g) return lua_pushliteral(L, "gguf: closed"), 1;
  lua_pushfstring(L, "gguf: %d keys, %d tensors", (int)gguf_keys(h->g), (int)gguf_tensors(h->g));
  return 1;
}

/* ---- writing ---- */

static struct gguf_writer *check_writer(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER_NAME);
  if (!w->w) luaL_argerror(L, 1, "this writer is closed");
  return w->w;
}

static int writer_gc(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER_NAME);
  gguf_discard(w->w);
  w->w = NULL;
  return 0;
}

/*** Begins a GGUF file: keys, then the list of tensors, then their bytes in that order.
-- @function engine.gguf.create
-- @param path string: the file; it exists once w:commit() returns true
-- @return writer: w:set(key, type, value), w:tensor(name, dtype, shape), w:write(bytes, dtype),
w:copy(file, name, heads), w:commit()
-- @error io
-- @example local w = require("engine.gguf").create("x.gguf"); w:set("general.name", "string", "x");
w:commit() */
static int l_create(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct writer *w = bind_new(L, sizeof *w, WRITER_NAME);
  if (gguf_create(&w->w, path, &err)) return bind_fail(L, &err);
  return 1;
}

static int self_or_fail(lua_State *L, int rc, const struct err *err) {
  if (rc) return bind_fail(L, err);
  lua_settop(L, 1);
  return 1;
}

static enum gguf_type type_named(lua_State *L, const char *name, size_t n) {
  for (int t = 0; t < GGUF_TYPES; t++)
    if (strlen(gguf_type_name(t)) == n && !memcmp(gguf_type_name(t), name, n) && t != GGUF_ARRAY)
      return (enum gguf_type)t;
  luaL_error(L, "'%s' is not a type of GGUF values (u32, f32, bool, string, [string] …)",
             lua_tostring(L, 3));
  return GGUF_TYPES;
}

static int add_item(lua_State *L, struct gguf_writer *w, enum gguf_type type, struct err *err) {
  size_t n;
  if (type == GGUF_STRING) {
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "the array holds something else than strings");
    const char *s = lua_tolstring(L, -1, &n);
    return gguf_add_string(w, s, n, err);
  }
  if (type == GGUF_F32 || type == GGUF_F64) return gguf_add_float(w, luaL_checknumber(L, -1), err);
  if (type == GGUF_BOOL) return gguf_add_integer(w, lua_toboolean(L, -1), err);
  return gguf_add_integer(w, luaL_checkinteger(L, -1), err);
}

static int set_array(lua_State *L, struct gguf_writer *w, const char *key, enum gguf_type type,
                     struct err *err) {
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 4);
  int rc = gguf_begin_array(w, key, type, (uint64_t)n, err);
  for (lua_Integer i = 1; i <= n && !rc; i++) {
    lua_rawgeti(L, 4, i);
    rc = add_item(L, w, type, err);
    lua_pop(L, 1);
  }
  return rc;
}

/*** Sets a key of the metadata.
-- @function gguf_writer:set
-- @param key string: such as "llama.block_count"
-- @param type string: u8 … u64, i8 … i64, f32, f64, bool, string, or an array of one: "[string]"
-- @param value any: a value of that type, or a list
-- @return writer: itself
-- @error misuse (out of range, set twice) */
static int writer_set(lua_State *L) {
  struct gguf_writer *w = check_writer(L);
  const char *key = luaL_checkstring(L, 2), *s;
  size_t n, len;
  struct err err;
  const char *name = luaL_checklstring(L, 3, &n);
  luaL_checkany(L, 4);
  if (n > 2 && name[0] == '[' && name[n - 1] == ']') {
    enum gguf_type item = type_named(L, name + 1, n - 2);
    return self_or_fail(L, set_array(L, w, key, item, &err), &err);
  }
  enum gguf_type type = type_named(L, name, n);
  switch (type) {
  case GGUF_STRING:
    s = luaL_checklstring(L, 4, &len);
    return self_or_fail(L, gguf_set_string(w, key, s, len, &err), &err);
  case GGUF_F32:
  case GGUF_F64:
    return self_or_fail(L, gguf_set_float(w, key, type, luaL_checknumber(L, 4), &err), &err);
  case GGUF_BOOL:
    luaL_checktype(L, 4, LUA_TBOOLEAN);
    return self_or_fail(L, gguf_set_integer(w, key, type, lua_toboolean(L, 4), &err), &err);
  default:
    return self_or_fail(L, gguf_set_integer(w, key, type, luaL_checkinteger(L, 4), &err), &err);
  }
}

/*** Declares a tensor.
-- @function gguf_writer:tensor
-- @param name string: at most 63 bytes
-- @param dtype string: "f32", "f16", "bf16", "q8_0"
-- @param shape table: slowest dimension first
-- @return writer: itself
-- @error misuse (rows that are not whole blocks …) */
static int writer_tensor(lua_State *L) {
  struct gguf_writer *w = check_writer(L);
  uint64_t shape[GGUF_RANK];
  struct err err;
  const char *name = luaL_checkstring(L, 2);
  enum dtype type = dtype_by_name(luaL_checkstring(L, 3));
  luaL_argcheck(L, type != DTYPE_COUNT, 3, "not the name of an element type");
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_Integer rank = luaL_len(L, 4);
  luaL_argcheck(L, rank >= 1 && rank <= GGUF_RANK, 4, "1 to 4 dimensions");
  for (lua_Integer i = 0; i < rank; i++) {
    lua_rawgeti(L, 4, i + 1);
    lua_Integer n = luaL_checkinteger(L, -1);
    luaL_argcheck(L, n > 0, 4, "a dimension is at least 1");
    shape[i] = (uint64_t)n;
  }
  return self_or_fail(L, gguf_tensor(w, name, type, (int)rank, shape, &err), &err);
}

/*** Writes rows of the tensor at hand, converted to its type.
-- @function gguf_writer:write
-- @param bytes string: elements, row by row, little-endian
-- @param dtype string: their type: "f32", "bf16", "f16"
-- @param rows integer: how many rows they are
-- @return writer: itself
-- @error io, mismatch, cancelled */
static int writer_write(lua_State *L) {
  struct gguf_writer *w = check_writer(L);
  size_t n;
  struct err err;
  const char *bytes = luaL_checklstring(L, 2, &n);
  enum dtype from = dtype_by_name(luaL_checkstring(L, 3));
  luaL_argcheck(L, from != DTYPE_COUNT, 3, "not the name of an element type");
  lua_Integer rows = luaL_checkinteger(L, 4);
  luaL_argcheck(L, rows > 0, 4, "at least one row");
  if (gguf_row_bytes(w, from) != n / (size_t)rows || n % (size_t)rows)
    return luaL_argerror(L, 2, "not that many rows of the tensor");
  return self_or_fail(L, gguf_write(w, from, bytes, (uint64_t)rows, &err), &err);
}

/*** Writes a whole tensor from an open safetensors file, converted to the type at hand.
-- @function gguf_writer:copy
-- @param file safetensors: where from
-- @param name string: which tensor
-- @param heads integer: optional; rows are reordered within each head from the half-split to the
interleaved rotary layout
-- @return writer: itself
-- @error io, mismatch, cancelled */
static int writer_copy(lua_State *L) {
  struct gguf_writer *w = check_writer(L);
  struct safetensors *file = bind_check_safetensors(L, 2);
  const char *name = luaL_checkstring(L, 3);
  lua_Integer heads = luaL_optinteger(L, 4, 0);
  struct err err;
  luaL_argcheck(L, heads >= 0, 4, "at least one head");
  const struct safetensors_tensor *t = safetensors_find(file, name);
  if (!t) return luaL_error(L, "the file has no tensor '%s'", name);
  if (t->dtype == DTYPE_COUNT)
    return luaL_error(L, "tensor '%s': %s is not converted", name, t->type);
  size_t row = gguf_row_bytes(w, t->dtype);
  if (row == 0 || t->bytes % row) {
    err_set(&err, ERR_MISMATCH, "tensor '%s' has another shape than was declared", name);
    return bind_fail(L, &err);
  }
  int rc = heads ? gguf_write_rotary(w, t->dtype, t->data, t->bytes / row, (uint64_t)heads, &err)
                 : gguf_write(w, t->dtype, t->data, t->bytes / row, &err);
  return self_or_fail(L, rc, &err);
}

/*** Ends the file; until then nothing is at its path.
-- @function gguf_writer:commit
-- @return boolean: true
-- @error io, mismatch (tensors are missing) */
static int writer_commit(lua_State *L) {
  struct err err;
  if (gguf_commit(check_writer(L), &err)) return bind_fail(L, &err);
  writer_gc(L);
  lua_pushboolean(L, 1);
  return 1;
}

int luaopen_engine_gguf(lua_State *L);
int luaopen_engine_gguf(lua_State *L) {
  static const luaL_Reg methods[] = {{"keys", file_keys},       {"get", file_get},
                                     {"tensors", file_tensors}, {"read", file_read_},
                                     {"close", file_gc},        {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", file_gc}, {"__close", file_gc}, {"__tostring", file_tostring}, {NULL, NULL}};
  static const luaL_Reg writer_methods[] = {
      {"set", writer_set},   {"tensor", writer_tensor}, {"write", writer_write},
      {"copy", writer_copy}, {"commit", writer_commit}, {"close", writer_gc},
      {NULL, NULL}};
  static const luaL_Reg writer_meta[] = {{"__gc", writer_gc}, {"__close", writer_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {"create", l_create}, {NULL, NULL}};
  bind_metatable(L, FILE_NAME, methods, meta);
  bind_metatable(L, WRITER_NAME, writer_methods, writer_meta);
  luaL_newlib(L, functions);
  return 1;
}
