/* SPDX-License-Identifier: MIT */
/* require "engine.parquet": Parquet files as JSON records, and records as Parquet files. */
#include "store/parquet.h"
#include "bind/bind.h"

#include <string.h>

#define PARQUET_NAME "lathe.parquet"
#define ROWS_NAME    "lathe.parquet_rows"
#define COLUMNS_MAX  1000

static int parquet_gc(lua_State *L) {
  struct parquet **p = luaL_checkudata(L, 1, PARQUET_NAME);
  parquet_close(*p);
  *p = NULL;
  return 0;
}

static struct parquet *check(lua_State *L, int arg) {
  struct parquet **p = luaL_checkudata(L, arg, PARQUET_NAME);
  if (!*p) luaL_error(L, "this Parquet file is closed");
  return *p;
}

/* The option `columns`: a list of names, which the table at `arg` keeps alive. */
static size_t columns_of(lua_State *L, int arg, const char **out) {
  size_t count = 0;
  if (!lua_istable(L, arg) || lua_getfield(L, arg, "columns") == LUA_TNIL) return 0;
  luaL_argcheck(L, lua_istable(L, -1), arg, "columns must be a list of names");
  lua_Integer n = luaL_len(L, -1);
  luaL_argcheck(L, n >= 1 && n <= COLUMNS_MAX, arg, "columns: from 1 to 1000 names");
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_argcheck(L, lua_geti(L, -1, i) == LUA_TSTRING, arg, "columns must be a list of names");
    out[count++] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  return count; /* the list stays on the stack */
}

/* An option that is one of two words: whether it is the first. */
static bool option_is(lua_State *L, int arg, const char *key, const char *yes, const char *no,
                      const char *fallback) {
  const char *s = bind_opt_string(L, arg, key, fallback);
  if (!strcmp(s, yes)) return true;
  if (strcmp(s, no)) luaL_error(L, "option '%s': '%s' is neither '%s' nor '%s'", key, s, yes, no);
  return false;
}

/*** Opens a Parquet file; its rows are read as JSON records, in bounded memory.
-- Times become ISO 8601 strings, decimals of more than 15 digits strings, bytes that are no text base64,
-- NaN and infinities null. Lists, structs and maps become arrays and objects.
-- @function engine.parquet.open
-- @param path string: which file
-- @param options table: optional { columns = { "text", "metadata.source" }, binary = "base64"|"text" (what
--   byte arrays without annotation are), nulls = "keep"|"drop", max_record = bytes (64 MiB) }
-- @return parquet: #p rows, p:lines(), p:schema(), p:facts(), p:close()
-- @error not_found, format (not Parquet, damaged), unsupported (encrypted, a codec), limit, misuse (no such
--   column)
-- @example for line, row in require("engine.parquet").open("train.parquet"):lines() do print(row, line) end */
static int l_open(lua_State *L) {
  static const char *const known[] = {"columns", "binary", "nulls", "max_record", NULL};
  const char *path = luaL_checkstring(L, 1);
  const char *columns[COLUMNS_MAX];
  struct parquet_options o = {0};
  struct err err;
  lua_settop(L, 2);
  bind_options(L, 2, known);
  o.binary_is_text = option_is(L, 2, "binary", "text", "base64", "base64");
  o.drop_nulls = option_is(L, 2, "nulls", "drop", "keep", "keep");
  o.max_record = (size_t)bind_opt_integer(L, 2, "max_record", 64 << 20, 1, (lua_Integer)1 << 32);
  o.column_count = columns_of(L, 2, columns);
  if (o.column_count) o.columns = columns;
  struct parquet **p = bind_new(L, sizeof *p, PARQUET_NAME);
  if (parquet_open(p, path, &o, &err)) return bind_fail(L, &err);
  return 1;
}

/* ---- rows ---- */

/* Pushes the next row: line, number; false, number for a record too long; nil at the end. Gives how many
 * values that are, or −1 with err filled. */
static int push_row(lua_State *L, struct err *err) {
  luaL_checkudata(L, 1, ROWS_NAME);
  lua_getiuservalue(L, 1, 1);
  struct parquet_line line;
  int got = parquet_next(check(L, -1), &line, err);
  if (got < 0) return -1;
  if (got == 0) return lua_pushnil(L), 1;
  if (line.text)
    lua_pushlstring(L, line.text, line.n);
  else
    lua_pushboolean(L, 0);
  lua_pushinteger(L, (lua_Integer)line.number);
  return 2;
}

/* The iterator. A read error raises: a loop over half a file must not look like a whole one. */
static int rows_call(lua_State *L) {
  struct err err;
  int n = push_row(L, &err);
  return n < 0 ? luaL_error(L, "%s", err.message) : n;
}

/* rows:next(): as the call, but a read error is nil, message, code. */
static int rows_next(lua_State *L) {
  struct err err;
  int n = push_row(L, &err);
  return n < 0 ? bind_fail(L, &err) : n;
}

/* p:lines(): iterates over the rows as lines of JSON, from the first. */
static int parquet_lines(lua_State *L) {
  struct parquet *p = check(L, 1);
  parquet_rewind(p);
  bind_new(L, 1, ROWS_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* What a function of C writes as JSON, as a Lua value. */
static int push_json(lua_State *L, struct buf *b) {
  struct err err;
  if (buf_check(b, "what a Parquet file says", &err)) return bind_fail(L, &err);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "engine.json");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "decode");
  bind_push_buf(L, b);
  int below = lua_gettop(L) - 2;
  lua_call(L, 1, LUA_MULTRET);
  return lua_gettop(L) - below;
}

static int parquet_schema_(lua_State *L) {
  struct parquet *p = check(L, 1);
  lua_settop(L, 1);
  struct buf *b = bind_buf(L);
  parquet_schema(p, b);
  return push_json(L, b);
}

static int parquet_facts_(lua_State *L) {
  struct parquet *p = check(L, 1);
  lua_settop(L, 1);
  struct buf *b = bind_buf(L);
  parquet_facts(p, b);
  return push_json(L, b);
}

static int parquet_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)parquet_rows(check(L, 1)));
  return 1;
}

static int parquet_tostring(lua_State *L) {
  struct parquet **p = luaL_checkudata(L, 1, PARQUET_NAME);
  if (*p)
    lua_pushfstring(L, "Parquet file of %I rows", (LUAI_UACINT)parquet_rows(*p));
  else
    lua_pushliteral(L, "Parquet file (closed)");
  return 1;
}

int luaopen_engine_parquet(lua_State *L);
int luaopen_engine_parquet(lua_State *L) {
  static const luaL_Reg methods[] = {{"lines", parquet_lines},
                                     {"schema", parquet_schema_},
                                     {"facts", parquet_facts_},
                                     {"close", parquet_gc},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", parquet_gc},
                                  {"__close", parquet_gc},
                                  {"__len", parquet_len},
                                  {"__tostring", parquet_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg rows_methods[] = {{"next", rows_next}, {NULL, NULL}};
  static const luaL_Reg rows_meta[] = {{"__call", rows_call}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  bind_metatable(L, PARQUET_NAME, methods, meta);
  bind_metatable(L, ROWS_NAME, rows_methods, rows_meta);
  luaL_newlib(L, functions);
  return 1;
}
