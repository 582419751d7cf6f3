/* SPDX-License-Identifier: MIT */
/* require "engine.values": the values of a long JSON text, one at a time. */
#include "json/values.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "file/file.h"

#define VALUES_NAME "lathe.values"
#define BLOCK       ((size_t)256 << 10)

struct reader_of_values {
  struct json_values *values;
  struct stream *stream; /* NULL: the whole text is in the uservalue, a string */
  char *block;
  const char *at; /* what is left of the block */
  size_t left;
  bool ended;
};

static int values_gc(lua_State *L) {
  struct reader_of_values *r = luaL_checkudata(L, 1, VALUES_NAME);
  json_values_free(r->values);
  stream_close(r->stream);
  mem_free(r->block);
  r->values = NULL, r->stream = NULL, r->block = NULL;
  return 0;
}

/* The next block: 1, 0 at the end, −1. */
static int fill(struct reader_of_values *r, struct err *err) {
  if (!r->stream) return 0;
  if (cancel_check(err)) return -1;
  long long got = stream_read(r->stream, r->block, BLOCK, err);
  if (got <= 0) return got < 0 ? -1 : 0;
  r->at = r->block, r->left = (size_t)got;
  return 1;
}

static int next_value(struct reader_of_values *r, struct json_value *value, struct err *err) {
  while (!r->ended) {
    int got = json_values_next(r->values, &r->at, &r->left, value, err);
    if (got) return got;
    got = fill(r, err);
    if (got < 0) return -1;
    if (got == 0) {
      r->ended = true;
      return json_values_end(r->values, value, err);
    }
  }
  return 0;
}

/* values:next(): text, number, line, length; false, number, line, length when it is too long; nil at
 * the end; nil, message, code. */
static int l_next(lua_State *L) {
  struct reader_of_values *r = luaL_checkudata(L, 1, VALUES_NAME);
  struct json_value value;
  struct err err;
  if (!r->values) return luaL_error(L, "these values are closed");
  int got = next_value(r, &value, &err);
  if (got < 0) return bind_fail(L, &err);
  if (got == 0) return lua_pushnil(L), 1;
  if (value.too_long)
    lua_pushboolean(L, 0);
  else
    lua_pushlstring(L, value.text, value.len);
  lua_pushinteger(L, (lua_Integer)value.number);
  lua_pushinteger(L, (lua_Integer)value.line);
  lua_pushinteger(L, (lua_Integer)value.len);
  return 4;
}

static struct reader_of_values *new_reader(lua_State *L, int options) {
  static const char *const known[] = {"max_value", NULL};
  bind_options(L, options, known);
  lua_Integer max = bind_opt_integer(L, options, "max_value", (lua_Integer)LINES_MAX_DEFAULT, 1,
                                     (lua_Integer)1 << 40);
  struct reader_of_values *r = bind_new(L, sizeof *r, VALUES_NAME);
  struct err err;
  if (json_values_new(&r->values, (size_t)max, &err)) luaL_error(L, "%s", err.message);
  return r;
}

/*** Reads a long JSON text value by value: the elements of an array, or values one after the other.
-- values:next() gives text, number, line, length; false in place of the text when it is longer than
-- max_value; nil at the end; nil, message, code where the text is no JSON. Whether a value itself is
-- JSON is for engine.json to say. Memory: the longest value.
-- @function engine.values.open
-- @param path string: a plain, gzip or zstd file
-- @param options table: optional { max_value = bytes (64 MiB) }
-- @return values: also to be closed with <close>
-- @error not_found, io
-- @example local v = require("engine.values").open("data.json"); print(v:next()) */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct reader_of_values *r = new_reader(L, 2);
  struct err err;
  r->block = mem_alloc(BLOCK);
  if (!r->block) return err_nomem(&err, BLOCK, "a block of a file"), bind_fail(L, &err);
  if (stream_open(&r->stream, path, &err)) return bind_fail(L, &err);
  return 1;
}

/*** The same for a text in memory.
-- @function engine.values.of
-- @param text string: JSON
-- @param options table: optional { max_value = bytes (64 MiB) }
-- @return values
-- @example print(require("engine.values").of("[1, 2]"):next()) */
static int l_of(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  struct reader_of_values *r = new_reader(L, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  r->at = text, r->left = n;
  return 1;
}

int luaopen_engine_values(lua_State *L);
int luaopen_engine_values(lua_State *L) {
  static const luaL_Reg methods[] = {{"next", l_next}, {"close", values_gc}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", values_gc}, {"__close", values_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {"of", l_of}, {NULL, NULL}};
  bind_metatable(L, VALUES_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
