/* SPDX-License-Identifier: MIT */
/* require "engine.regex": regular expressions of the usual kind, where Lua's own patterns do not do. */
#include "text/regex.h"
#include "bind/bind.h"

#define REGEX_NAME "lathe.regex"

static int regex_gc(lua_State *L) {
  struct regex **r = luaL_checkudata(L, 1, REGEX_NAME);
  regex_free(*r);
  *r = NULL;
  return 0;
}

/* r:find(text, from): first and last byte of the first match, counted from 1; nil when there is none;
 * nil, message, code. */
static int l_find(lua_State *L) {
  struct regex **r = luaL_checkudata(L, 1, REGEX_NAME);
  size_t n, start, end;
  const char *text = luaL_checklstring(L, 2, &n);
  lua_Integer from = luaL_optinteger(L, 3, 1);
  struct err err;
  luaL_argcheck(L, from >= 1, 3, "counted from 1");
  if (!*r) return luaL_error(L, "this expression is closed");
  if ((size_t)(from - 1) > n) return lua_pushnil(L), 1;
  int got = regex_find(*r, text, n, (size_t)(from - 1), &start, &end, &err);
  if (got < 0) return bind_fail(L, &err);
  if (got == 0) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)start + 1);
  lua_pushinteger(L, (lua_Integer)end);
  return 2;
}

/*** Compiles a regular expression (PCRE2, over UTF-8).
-- r:find(text, from) gives the first and last byte of the first match, counted from 1, or nil. Too much
-- backtracking is an error: nil, message, "limit".
-- @function engine.regex.new
-- @param pattern string: such as "^[a-z]+-[0-9]{4}$"
-- @return regex
-- @error format: a mistake in the pattern, with its place
-- @example print(require("engine.regex").new("[0-9]{3,}"):find("in 1999")) --> 4  7 */
static int l_new(lua_State *L) {
  size_t n;
  const char *pattern = luaL_checklstring(L, 1, &n);
  struct err err;
  struct regex **r = bind_new(L, sizeof *r, REGEX_NAME);
  if (regex_new(r, pattern, n, &err)) return bind_fail(L, &err);
  return 1;
}

int luaopen_engine_regex(lua_State *L);
int luaopen_engine_regex(lua_State *L) {
  static const luaL_Reg methods[] = {{"find", l_find}, {"close", regex_gc}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", regex_gc}, {"__close", regex_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};
  bind_metatable(L, REGEX_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
