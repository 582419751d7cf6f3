/* SPDX-License-Identifier: MIT */
/* require "engine.safetensors": model weights in files. See format/safetensors.h. */
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/safetensors.h"
#include "format/merge.h"

#include <string.h>

#define FILE_NAME   "safetensors"
#define WRITER_NAME "lathe.safetensors_writer"

struct handle {
  struct safetensors *s;
};

struct writer {
  struct safetensors_writer *w;
};

struct safetensors *bind_check_safetensors(lua_State *L, int arg) {
  struct handle *h = luaL_checkudata(L, arg, FILE_NAME);
  if (!h->s) luaL_argerror(L, arg, "this file is closed");
  return h->s;
}

static int file_gc(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, FILE_NAME);
  safetensors_close(h->s);
  h->s = NULL;
  return 0;
}

/*** Opens a safetensors file, an index of several, or a model folder; maps it, copies nothing.
-- @function engine.safetensors.open
-- @param path string: FILE.safetensors, model.safetensors.index.json, or the folder of either
-- @return safetensors: f:names(), f:info(name), f:read(name, dtype), #f
-- @error not_found, format (holes, overlaps, shapes that do not fit …), mismatch (index and files)
-- @example require("engine.safetensors").open("models/small"):names() */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct handle *h = bind_new(L, sizeof *h, FILE_NAME);
  if (safetensors_open(&h->s, path, &err)) return bind_fail(L, &err);
  return 1;
}

/*** The names of all tensors, in the order of the file.
-- @function safetensors:names
-- @return table: list of names */
static int file_names(lua_State *L) {
  struct safetensors *s = bind_check_safetensors(L, 1);
  size_t n = safetensors_count(s);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushstring(L, safetensors_at(s, i)->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** What is known of a tensor, or nil when there is none of that name.
-- @function safetensors:info
-- @param name string: its name
-- @return table|nil: { name, type = "F32", dtype = "f32" (nil when not computed with), shape, bytes
} */
static int file_info_(lua_State *L) {
  const struct safetensors_tensor *t =
      safetensors_find(bind_check_safetensors(L, 1), luaL_checkstring(L, 2));
  if (!t) return 0;
  lua_createtable(L, 0, 5);
  lua_pushstring(L, t->name), lua_setfield(L, -2, "name");
  lua_pushstring(L, t->type), lua_setfield(L, -2, "type");
  if (t->dtype != DTYPE_COUNT)
    lua_pushstring(L, dtype_info(t->dtype)->name), lua_setfield(L, -2, "dtype");
  lua_pushinteger(L, (lua_Integer)t->bytes), lua_setfield(L, -2, "bytes");
  lua_createtable(L, t->rank, 0);
  for (int i = 0; i < t->rank; i++)
    lua_pushinteger(L, (lua_Integer)t->shape[i]), lua_rawseti(L, -2, i + 1);
  lua_setfield(L, -2, "shape");
  return 1;
}

static const struct safetensors_tensor *need(lua_State *L, int file, int name) {
  const struct safetensors_tensor *t =
      safetensors_find(bind_check_safetensors(L, file), luaL_checkstring(L, name));
  if (!t) luaL_error(L, "the file has no tensor '%s'", lua_tostring(L, name));
  return t;
}

static enum dtype take_dtype(lua_State *L, int arg, enum dtype fallback) {
  if (lua_isnoneornil(L, arg)) return fallback;
  enum dtype t = dtype_by_name(luaL_checkstring(L, arg));
  luaL_argcheck(L, t != DTYPE_COUNT, arg, "not the name of an element type");
  return t;
}

/*** The elements of a tensor as bytes, row by row, little-endian.
-- @function safetensors:read
-- @param name string: its name
-- @param dtype string: optional; converted to "f32", "bf16" or "f16" (default: as stored)
-- @return string: the bytes
-- @return string: their type
-- @error unsupported (no such conversion) */
static int file_read_(lua_State *L) {
  const struct safetensors_tensor *t = need(L, 1, 2);
  enum dtype to = take_dtype(L, 3, t->dtype);
  struct err err;
  struct buf *b = bind_buf(L);
  if (to == DTYPE_COUNT) { /* a type we do not compute with: its bytes */
    lua_pushlstring(L, t->data, (size_t)t->bytes);
    lua_pushstring(L, t->type);
    return 2;
  }
  size_t bytes = dtype_bytes(to, (size_t)t->count);
  if (buf_reserve(b, bytes)) return luaL_error(L, "out of memory");
  if (safetensors_read(t, to, b->data, &err)) return bind_fail(L, &err);
  b->len = bytes;
  bind_push_buf(L, b);
  lua_pushstring(L, dtype_info(to)->name);
  return 2;
}

/*** A value of the file's __metadata__, or nil.
-- @function safetensors:metadata
-- @param key string: such as "format"
-- @return string|nil: the value */
static int file_metadata(lua_State *L) {
  const char *value = safetensors_metadata(bind_check_safetensors(L, 1), luaL_checkstring(L, 2));
  if (!value) return 0;
  lua_pushstring(L, value);
  return 1;
}

static int file_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)safetensors_count(bind_check_safetensors(L, 1)));
  return 1;
}

static int file_tostring(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, FILE_NAME);
  uint64_t bytes = 0;
  if (!h->s) return lua_pushliteral(L, "safetensors: closed"), 1;
  size_t n = safetensors_count(h->s);
  for (size_t i = 0; i < n; i++) bytes += safetensors_at(h->s, i)->bytes;
  lua_pushfstring(L, "safetensors: %d tensors, %I bytes", (int)n, (LUAI_UACINT)bytes);
  return 1;
}

/* ---- writing ---- */

static struct safetensors_writer *check_writer(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER_NAME);
  if (!w->w) luaL_argerror(L, 1, "this writer is closed");
  return w->w;
}

static int writer_gc(lua_State *L) {
  struct writer *w = luaL_checkudata(L, 1, WRITER_NAME);
  safetensors_discard(w->w);
  w->w = NULL;
  return 0;
}

/* Fills one spec from the table on top of the stack; its strings live in the table, its shape in
 * `shape`. */
static void take_spec(lua_State *L, struct safetensors_spec *spec, uint64_t *shape) {
  int t = lua_gettop(L);
  luaL_checktype(L, t, LUA_TTABLE);
  if (lua_getfield(L, t, "name") != LUA_TSTRING) luaL_error(L, "a tensor needs a name");
  spec->name = lua_tostring(L, -1);
  lua_getfield(L, t, "dtype");
  spec->dtype = lua_isstring(L, -1) ? dtype_by_name(lua_tostring(L, -1)) : DTYPE_COUNT;
  if (spec->dtype == DTYPE_COUNT) luaL_error(L, "tensor '%s': unknown dtype", spec->name);
  if (lua_getfield(L, t, "shape") != LUA_TTABLE || luaL_len(L, -1) > SAFETENSORS_RANK)
    luaL_error(L, "tensor '%s': a shape of at most 8 numbers is needed", spec->name);
  spec->rank = (int)luaL_len(L, -1);
  spec->shape = shape;
  for (int i = 0; i < spec->rank; i++) {
    lua_rawgeti(L, -1, i + 1);
    lua_Integer n = lua_tointeger(L, -1);
    if (!lua_isinteger(L, -1) || n < 0) luaL_error(L, "tensor '%s': bad shape", spec->name);
    shape[i] = (uint64_t)n;
    lua_pop(L, 1);
  }
  lua_settop(L, t - 1);
}

static const char **take_metadata(lua_State *L, int arg) {
  size_t n = 0, i = 0;
  if (lua_isnoneornil(L, arg)) return NULL;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) n++;
  const char **pairs = lua_newuserdatauv(L, (2 * n + 1) * sizeof *pairs, 0);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, arg, "metadata is a table of strings");
    const char *key = lua_tostring(L, -2), *value = lua_tostring(L, -1);
    size_t at = i; /* sorted by key, so that the bytes are fixed */
    for (; at > 0 && strcmp(pairs[at - 2], key) > 0; at -= 2)
      pairs[at] = pairs[at - 2], pairs[at + 1] = pairs[at - 1];
    pairs[at] = key, pairs[at + 1] = value;
    i += 2;
  }
  pairs[i] = NULL;
  return pairs;
}

/*** Begins a safetensors file; the tensors' bytes follow in the order of the list.
-- @function engine.safetensors.create
-- @param path string: the file; it exists once w:commit() returns true
-- @param tensors table: list of { name = …, dtype = "f32"|"bf16"|"f16"|"i32"|"i64"|"u8", shape =
{…} }
-- @param metadata table: optional, of strings (default { format = "pt" })
-- @return writer: w:write(bytes, dtype), w:copy(file, name), w:merge(…), w:commit()
-- @error io, misuse (two tensors of one name)
-- @example local w = require("engine.safetensors").create("x.safetensors",
--   { { name = "a", dtype = "f32", shape = { 2 } } }); w:write(("<ff"):pack(1, 2)); w:commit() */
static int l_create(lua_State *L) {
  static const char *const pt[] = {"format", "pt", NULL};
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3);
  lua_Integer n = luaL_len(L, 2);
  struct safetensors_spec *specs = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *specs, 0);
  uint64_t *shapes = lua_newuserdatauv(L, (size_t)(n + 1) * SAFETENSORS_RANK * sizeof *shapes, 0);
  for (lua_Integer i = 0; i < n; i++) {
    lua_rawgeti(L, 2, i + 1);
    take_spec(L, &specs[i], shapes + i * SAFETENSORS_RANK);
  }
  const char *const *metadata = take_metadata(L, 3);
  struct writer *w = bind_new(L, sizeof *w, WRITER_NAME);
  if (safetensors_create(&w->w, path, specs, (size_t)n, metadata ? metadata : pt, &err))
    return bind_fail(L, &err);
  return 1;
}

static int self_or_fail(lua_State *L, int rc, const struct err *err) {
  if (rc) return bind_fail(L, err);
  lua_settop(L, 1);
  return 1;
}

/*** Writes the next bytes, of one tensor or a part of it.
-- @function safetensors_writer:write
-- @param bytes string: elements, row by row, little-endian
-- @param dtype string: optional; the type of the bytes when it is not the tensor's: they are
converted
-- @return writer: itself
-- @error io, mismatch (more than the tensor has) */
static int writer_write(lua_State *L) {
  struct safetensors_writer *w = check_writer(L);
  size_t n;
  struct err err;
  const char *bytes = luaL_checklstring(L, 2, &n);
  if (lua_isnoneornil(L, 3)) return self_or_fail(L, safetensors_write(w, bytes, n, &err), &err);
  enum dtype from = take_dtype(L, 3, DTYPE_COUNT);
  const struct dtype_info *info = dtype_info(from);
  luaL_argcheck(L, info->block == 1 && n % info->bytes == 0, 2, "not a whole number of elements");
  return self_or_fail(L, safetensors_write_as(w, from, bytes, n / info->bytes, &err), &err);
}

/*** Copies a tensor from an open file into the tensor at hand, converting its type where they
differ.
-- @function safetensors_writer:copy
-- @param file safetensors: where from
-- @param name string: which tensor
-- @return writer: itself
-- @error io, mismatch, cancelled */
static int writer_copy(lua_State *L) {
  struct safetensors_writer *w = check_writer(L);
  const struct safetensors_tensor *t = need(L, 2, 3);
  struct err err;
  if (t->dtype == DTYPE_COUNT)
    return luaL_error(L, "tensor '%s': %s is not copied", t->name, t->type);
  return self_or_fail(L, safetensors_write_as(w, t->dtype, t->data, t->count, &err), &err);
}

/*** Writes base + scale · B·A into the tensor at hand.
-- @function safetensors_writer:merge
-- @param base safetensors: the file with the weight
-- @param name string: the weight's name
-- @param adapter safetensors: the file with the adapter
-- @param a string: name of A [rank, in]
-- @param b string: name of B [out, rank]
-- @param scale number: alpha / rank, or alpha / √rank
-- @return writer: itself
-- @error io, mismatch (shapes), cancelled */
static int writer_merge(lua_State *L) {
  struct safetensors_writer *w = check_writer(L);
  const struct safetensors_tensor *base = need(L, 2, 3), *a = need(L, 4, 5), *b = need(L, 4, 6);
  struct err err;
  return self_or_fail(L, merge_lora(w, base, a, b, luaL_checknumber(L, 7), &err), &err);
}

/*** Ends the file; until then nothing is at its path.
-- @function safetensors_writer:commit
-- @return boolean: true
-- @error io, mismatch (tensors are missing) */
static int writer_commit(lua_State *L) {
  struct err err;
  if (safetensors_commit(check_writer(L), &err)) return bind_fail(L, &err);
  writer_gc(L);
  lua_pushboolean(L, 1);
  return 1;
}

/*** The size that the file will have.
-- @function safetensors_writer:size
-- @return integer: bytes */
static int writer_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)safetensors_size(check_writer(L)));
  return 1;
}

int luaopen_engine_safetensors(lua_State *L);
int luaopen_engine_safetensors(lua_State *L) {
  static const luaL_Reg methods[] = {{"names", file_names}, {"info", file_info_},
                                     {"read", file_read_},  {"metadata", file_metadata},
                                     {"close", file_gc},    {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", file_gc},
                                  {"__close", file_gc},
                                  {"__len", file_len},
                                  {"__tostring", file_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg writer_methods[] = {{"write", writer_write},
                                            {"copy", writer_copy},
                                            {"merge", writer_merge},
                                            {"commit", writer_commit},
                                            {"size", writer_size},
                                            {"close", writer_gc},
                                            {NULL, NULL}};
  static const luaL_Reg writer_meta[] = {{"__gc", writer_gc}, {"__close", writer_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {"create", l_create}, {NULL, NULL}};
  bind_metatable(L, FILE_NAME, methods, meta);
  bind_metatable(L, WRITER_NAME, writer_methods, writer_meta);
  luaL_newlib(L, functions);
  return 1;
}
