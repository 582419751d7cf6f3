/* SPDX-License-Identifier: MIT */
/* require "engine.census": statistics of many texts. */
#include "text/census.h"

#include "bind/bind.h"

#define SPREAD_NAME "lathe.spread"
#define CENSUS_NAME "lathe.census"
#define TOP_MOST    1000

struct spread_object {
  struct spread *s;
};
struct census_object {
  struct census *c;
};

static struct spread *check_spread(lua_State *L) {
  struct spread_object *o = luaL_checkudata(L, 1, SPREAD_NAME);
  if (!o->s) luaL_error(L, "the spread is closed");
  return o->s;
}

static struct census *check_census(lua_State *L) {
  struct census_object *o = luaL_checkudata(L, 1, CENSUS_NAME);
  if (!o->c) luaL_error(L, "the census is closed");
  return o->c;
}

/*** How values are spread: counted exactly below 256, within 0.8 % above.
-- Methods: s:add(value, times), s:facts() → { count, least, greatest, mean }, s:percentile(share),
-- s:between(from, to).
-- @function engine.census.spread
-- @return spread
-- @example require("engine.census").spread() */
static int l_spread(lua_State *L) {
  struct spread_object *o = bind_new(L, sizeof *o, SPREAD_NAME);
  o->s = spread_new();
  return o->s ? 1 : luaL_error(L, "not enough memory");
}

static int s_add(lua_State *L) {
  struct spread *s = check_spread(L);
  lua_Integer value = luaL_checkinteger(L, 2), times = luaL_optinteger(L, 3, 1);
  luaL_argcheck(L, value >= 0, 2, "0 or more");
  luaL_argcheck(L, times >= 0, 3, "0 or more");
  spread_add(s, (uint64_t)value, (uint64_t)times);
  return 0;
}

static void set_integer(lua_State *L, const char *name, uint64_t v) {
  lua_pushinteger(L, (lua_Integer)v);
  lua_setfield(L, -2, name);
}

static int s_facts(lua_State *L) {
  struct spread_facts f = spread_facts(check_spread(L));
  lua_newtable(L);
  set_integer(L, "count", f.count);
  set_integer(L, "least", f.least);
  set_integer(L, "greatest", f.greatest);
  lua_pushnumber(L, f.count ? f.sum / (double)f.count : 0);
  lua_setfield(L, -2, "mean");
  lua_pushnumber(L, f.sum);
  lua_setfield(L, -2, "sum");
  return 1;
}

static int s_percentile(lua_State *L) {
  struct spread *s = check_spread(L);
  lua_Number share = luaL_checknumber(L, 2);
  luaL_argcheck(L, share >= 0 && share <= 1, 2, "from 0 to 1");
  lua_pushinteger(L, (lua_Integer)spread_percentile(s, share));
  return 1;
}

static int s_between(lua_State *L) {
  struct spread *s = check_spread(L);
  lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
  luaL_argcheck(L, from >= 0 && to >= from, 3, "an interval");
  lua_pushinteger(L, (lua_Integer)spread_between(s, (uint64_t)from, (uint64_t)to));
  return 1;
}

static int s_close(lua_State *L) {
  struct spread_object *o = luaL_checkudata(L, 1, SPREAD_NAME);
  spread_free(o->s);
  o->s = NULL;
  return 0;
}

static int s_tostring(lua_State *L) {
  struct spread_object *o = luaL_checkudata(L, 1, SPREAD_NAME);
  struct spread_facts f = o->s ? spread_facts(o->s) : (struct spread_facts){0};
  lua_pushfstring(L, "spread of %I values, %I to %I", (LUAI_UACINT)f.count, (LUAI_UACINT)f.least,
                  (LUAI_UACINT)f.greatest);
  return 1;
}

/*** Counts distinct words, openings (the first 10 characters) and texts.
-- Methods: c:add(text) → characters, words; c:count(kind) → distinct, total, whether distinct is exact;
-- c:top(kind, n) → list of { text, count }. kind: "words", "openings", "texts" (top: not of texts).
-- @function engine.census.open
-- @param options table: { memory = bytes, default 64 MiB }
-- @return census
-- @error no_memory
-- @example require("engine.census").open() */
static int l_open(lua_State *L) {
  static const char *const known[] = {"memory", NULL};
  struct err err;
  bind_options(L, 1, known);
  size_t memory = (size_t)bind_opt_integer(L, 1, "memory", 64 << 20, 1 << 20, (lua_Integer)1 << 45);
  struct census_object *o = bind_new(L, sizeof *o, CENSUS_NAME);
  if (census_new(&o->c, memory, &err)) return bind_fail(L, &err);
  return 1;
}

static int c_add(lua_State *L) {
  struct census *c = check_census(L);
  size_t n;
  const char *s = luaL_checklstring(L, 2, &n);
  struct census_text facts;
  struct err err;
  if (census_add(c, s, n, &facts, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)facts.characters);
  lua_pushinteger(L, (lua_Integer)facts.words);
  return 2;
}

static const char *const kinds[] = {"words", "openings", "texts", NULL};

static int c_count(lua_State *L) {
  struct census *c = check_census(L);
  struct census_count n = census_count(c, (enum census_kind)luaL_checkoption(L, 2, NULL, kinds));
  lua_pushinteger(L, (lua_Integer)n.distinct);
  lua_pushinteger(L, (lua_Integer)n.total);
  lua_pushboolean(L, n.complete);
  return 3;
}

static int c_top(lua_State *L) {
  struct census *c = check_census(L);
  int kind = luaL_checkoption(L, 2, NULL, kinds);
  lua_Integer want = luaL_optinteger(L, 3, 10);
  struct census_entry list[TOP_MOST];
  luaL_argcheck(L, kind != CENSUS_TEXTS, 2, "texts are not kept");
  luaL_argcheck(L, want >= 0 && want <= TOP_MOST, 3, "0 to 1000");
  size_t n = census_top(c, (enum census_kind)kind, list, (size_t)want);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, list[i].text, list[i].len);
    lua_setfield(L, -2, "text");
    set_integer(L, "count", list[i].count);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int c_close(lua_State *L) {
  struct census_object *o = luaL_checkudata(L, 1, CENSUS_NAME);
  census_free(o->c);
  o->c = NULL;
  return 0;
}

int luaopen_engine_census(lua_State *L);
int luaopen_engine_census(lua_State *L) {
  static const luaL_Reg spread_methods[] = {
      {"add", s_add},         {"facts", s_facts}, {"percentile", s_percentile},
      {"between", s_between}, {"close", s_close}, {NULL, NULL}};
  static const luaL_Reg spread_meta[] = {
      {"__gc", s_close}, {"__close", s_close}, {"__tostring", s_tostring}, {NULL, NULL}};
  static const luaL_Reg census_methods[] = {
      {"add", c_add}, {"count", c_count}, {"top", c_top}, {"close", c_close}, {NULL, NULL}};
  static const luaL_Reg census_meta[] = {{"__gc", c_close}, {"__close", c_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"spread", l_spread}, {"open", l_open}, {NULL, NULL}};
  bind_metatable(L, SPREAD_NAME, spread_methods, spread_meta);
  bind_metatable(L, CENSUS_NAME, census_methods, census_meta);
  luaL_newlib(L, functions);
  return 1;
}
