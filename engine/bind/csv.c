/* SPDX-License-Identifier: MIT */
/* require "engine.csv": CSV and TSV files as JSON records. */
#include "store/csv.h"
#include "bind/bind.h"

#include <string.h>

#define CSV_NAME "lathe.csv"

static int csv_gc(lua_State *L) {
  struct csv **c = luaL_checkudata(L, 1, CSV_NAME);
  csv_close(*c);
  *c = NULL;
  return 0;
}

static struct csv *check(lua_State *L) {
  struct csv **c = luaL_checkudata(L, 1, CSV_NAME);
  if (!*c) luaL_error(L, "this CSV file is closed");
  return *c;
}

/*** Opens a CSV or TSV file, plain, gzip or zstd; its rows are read as JSON records, in bounded memory.
-- The first row names the fields. The delimiter (comma, semicolon, tab or bar) and the encoding are told by
-- the contents. Values are strings unless `typed`.
-- @function engine.csv.open
-- @param path string: which file
-- @param options table: optional { delimiter = ",", header = true, typed = false, ragged = "reject"|"pad",
--   encoding = name, max_record = bytes (64 MiB) }
-- @return csv: for line, number, reason in c:lines(): JSON and the line it begins in; false, number and why
--   for a row that was refused; c:facts(), c:close()
-- @error not_found, io, format (no text, no row, damaged gzip or zstd), unsupported (encoding)
-- @example for line, n in require("engine.csv").open("questions.csv"):lines() do print(n, line) end */
static int l_open(lua_State *L) {
  static const char *const known[] = {"delimiter", "header",     "typed", "ragged",
                                      "encoding",  "max_record", NULL};
  const char *path = luaL_checkstring(L, 1);
  struct csv_options o = {0};
  struct err err;
  bind_options(L, 2, known);
  const char *delimiter = bind_opt_string(L, 2, "delimiter", "");
  luaL_argcheck(L, strlen(delimiter) <= 1 && !strpbrk(delimiter, "\"\r\n"), 2,
                "delimiter must be one character, not a quote or a newline");
  o.delimiter = *delimiter;
  o.no_header = !bind_opt_boolean(L, 2, "header", true);
  o.typed = bind_opt_boolean(L, 2, "typed", false);
  const char *ragged = bind_opt_string(L, 2, "ragged", "reject");
  o.pad = !strcmp(ragged, "pad");
  if (!o.pad && strcmp(ragged, "reject"))
    luaL_error(L, "option 'ragged': '%s' is neither 'reject' nor 'pad'", ragged);
  o.encoding = bind_opt_string(L, 2, "encoding", NULL);
  o.max_record = (size_t)bind_opt_integer(L, 2, "max_record", 64 << 20, 1, (lua_Integer)1 << 32);
  struct csv **c = bind_new(L, sizeof *c, CSV_NAME);
  if (csv_open(c, path, &o, &err)) return bind_fail(L, &err);
  return 1;
}

static int push_record(lua_State *L, const struct csv_record *r) {
  if (r->text)
    lua_pushlstring(L, r->text, r->n);
  else
    lua_pushboolean(L, 0);
  lua_pushinteger(L, (lua_Integer)r->line);
  if (!r->reason) return 2;
  lua_pushstring(L, r->reason);
  return 3;
}

/* The iterator. A read error raises: a loop over half a file must not look like a whole one. */
static int csv_call(lua_State *L) {
  struct csv_record r;
  struct err err;
  int got = csv_next(check(L), &r, &err);
  if (got < 0) return luaL_error(L, "%s", err.message);
  return got ? push_record(L, &r) : (lua_pushnil(L), 1);
}

/* c:next(): as the iterator, but a read error is nil, message, code. */
static int csv_next_(lua_State *L) {
  struct csv_record r;
  struct err err;
  int got = csv_next(check(L), &r, &err);
  if (got < 0) return bind_fail(L, &err);
  return got ? push_record(L, &r) : (lua_pushnil(L), 1);
}

static int csv_lines(lua_State *L) {
  check(L);
  lua_settop(L, 1);
  return 1;
}

/* c:facts(): { delimiter, encoding, columns, replaced } */
static int csv_facts(lua_State *L) {
  struct csv *c = check(L);
  char delimiter = csv_delimiter(c);
  lua_settop(L, 1);
  lua_createtable(L, 0, 4);
  lua_pushlstring(L, &delimiter, 1);
  lua_setfield(L, -2, "delimiter");
  lua_pushstring(L, csv_encoding(c));
  lua_setfield(L, -2, "encoding");
  lua_pushinteger(L, (lua_Integer)csv_replaced(c));
  lua_setfield(L, -2, "replaced");
  lua_getglobal(L, "require");
  lua_pushliteral(L, "engine.json");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "decode");
  lua_remove(L, -2);
  lua_createtable(L, (int)csv_columns(c), 0);
  for (size_t i = 0; i < csv_columns(c); i++) {
    size_t n;
    const char *name = csv_column(c, i, &n);
    lua_pushvalue(L, -2);
    lua_pushlstring(L, name, n);
    lua_call(L, 1, 1);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, 2, "columns");
  lua_settop(L, 2);
  return 1;
}

static int csv_tostring(lua_State *L) {
  struct csv **c = luaL_checkudata(L, 1, CSV_NAME);
  if (*c)
    lua_pushfstring(L, "CSV file of %d columns", (int)csv_columns(*c));
  else
    lua_pushliteral(L, "CSV file (closed)");
  return 1;
}

int luaopen_engine_csv(lua_State *L);
int luaopen_engine_csv(lua_State *L) {
  static const luaL_Reg methods[] = {{"lines", csv_lines},
                                     {"next", csv_next_},
                                     {"facts", csv_facts},
                                     {"close", csv_gc},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__call", csv_call},
                                  {"__gc", csv_gc},
                                  {"__close", csv_gc},
                                  {"__tostring", csv_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  bind_metatable(L, CSV_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
