/* SPDX-License-Identifier: MIT */
/* require "engine.partition": sides for groups of records, and what sides have in common. */
#include "bind/bind.h"
#include "dedup/groups.h"
#include "dedup/leak.h"

#include <string.h>

#define GROUPS_NAME "lathe.groups"
#define LEAK_NAME   "lathe.leak"
#define FIELDS_MAX  64

static const char *const SIDES[] = {"train", "validation", "test", NULL};
static const char *const METHODS[] = {"auto", "hash", "exact", NULL};

static struct groups *check_groups(lua_State *L, int arg) {
  struct groups **g = luaL_checkudata(L, arg, GROUPS_NAME);
  if (!*g) luaL_error(L, "these groups are closed");
  return *g;
}

static int groups_gc(lua_State *L) {
  struct groups **g = luaL_checkudata(L, 1, GROUPS_NAME);
  groups_free(*g);
  *g = NULL;
  return 0;
}

/* The list of strings in an option, NULL-terminated; NULL when it is absent. The table keeps them. */
static const char *const *opt_list(lua_State *L, int arg, const char *key,
                                   const char *out[FIELDS_MAX + 1]) {
  if (!lua_istable(L, arg) || lua_getfield(L, arg, key) == LUA_TNIL) return NULL;
  if (!lua_istable(L, -1)) luaL_error(L, "%s: a list of names expected", key);
  lua_Unsigned n = lua_rawlen(L, -1);
  if (n > FIELDS_MAX) luaL_error(L, "%s: at most %d names", key, FIELDS_MAX);
  for (lua_Unsigned i = 0; i < n; i++) {
    if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_error(L, "%s: a list of names expected", key);
    out[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  out[n] = NULL;
  return out;
}

static void set_count(lua_State *L, const char *name, uint64_t value) {
  lua_pushinteger(L, (lua_Integer)value);
  lua_setfield(L, -2, name);
}

static void push_sides(lua_State *L, const uint64_t of[GROUPS_SIDES]) {
  lua_createtable(L, 0, GROUPS_SIDES);
  for (int side = 0; side < GROUPS_SIDES; side++) set_count(L, SIDES[side], of[side]);
}

/*** Begins dividing records into train, validation and test, whole groups together.
-- g:decide(value, side) sends records whose `by` member prints as value to that side; g:add_lines(path)
-- takes the lines of a JSONL file and returns how many; g:finish(method, shares) with "auto", "hash" or
-- "exact" and { train, validation, test } ends and returns { method, records, groups, decided, lonely,
-- merged, unsettled, groups_of, records_of }; then g:side(i) (from 1) is a name, g:unsettled(i) whether
-- the record's group was merged from ones that lay apart. #g is the number of records.
-- @function engine.partition.new
-- @param options table: optional { fields = paths (the first names a record's group, the others tie
-- groups), stratify = path, by = path, seed = integer (0), memory = bytes (256 MiB), scratch = folder ("/tmp") }
-- @return groups: the object
-- @error misuse, no_memory
-- @example local g = require("engine.partition").new { fields = { "metadata.document" } } */
static int l_new(lua_State *L) {
  static const char *const known[] = {"fields", "stratify", "by", "seed",
                                      "memory", "scratch",  NULL};
  const char *names[FIELDS_MAX + 1];
  struct groups_options o = {0};
  struct err err;
  bind_options(L, 1, known);
  o.fields = opt_list(L, 1, "fields", names);
  o.stratify = bind_opt_string(L, 1, "stratify", NULL);
  o.by = bind_opt_string(L, 1, "by", NULL);
  o.seed = (uint64_t)bind_opt_integer(L, 1, "seed", 0, LUA_MININTEGER, LUA_MAXINTEGER);
  o.memory = (size_t)bind_opt_integer(L, 1, "memory", 256 << 20, 0, LUA_MAXINTEGER);
  o.scratch = bind_opt_string(L, 1, "scratch", "/tmp");
  struct groups **g = bind_new(L, sizeof *g, GROUPS_NAME);
  if (groups_new(g, &o, &err)) return bind_fail(L, &err);
  return 1;
}

static int groups_decide_(lua_State *L) {
  struct groups *g = check_groups(L, 1);
  const char *value = luaL_checkstring(L, 2);
  int side = luaL_checkoption(L, 3, NULL, SIDES);
  struct err err;
  if (groups_decide(g, value, side, &err)) return bind_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

static int groups_add_lines_(lua_State *L) {
  struct groups *g = check_groups(L, 1);
  struct err err;
  uint64_t n;
  if (groups_add_lines(g, luaL_checkstring(L, 2), &n, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int groups_finish_(lua_State *L) {
  struct groups *g = check_groups(L, 1);
  enum groups_method method = (enum groups_method)luaL_checkoption(L, 2, "auto", METHODS);
  double share[GROUPS_SIDES];
  struct groups_facts f;
  struct err err;
  luaL_checktype(L, 3, LUA_TTABLE);
  for (int side = 0; side < GROUPS_SIDES; side++) {
    lua_getfield(L, 3, SIDES[side]);
    share[side] = luaL_optnumber(L, -1, 0);
    lua_pop(L, 1);
  }
  if (groups_finish(g, method, share, &f, &err)) return bind_fail(L, &err);
  lua_createtable(L, 0, 9);
  lua_pushstring(L, METHODS[f.method]);
  lua_setfield(L, -2, "method");
  set_count(L, "records", f.records);
  set_count(L, "groups", f.groups);
  set_count(L, "decided", f.decided);
  set_count(L, "lonely", f.lonely);
  set_count(L, "merged", f.merged);
  set_count(L, "unsettled", f.unsettled);
  push_sides(L, f.groups_of);
  lua_setfield(L, -2, "groups_of");
  push_sides(L, f.records_of);
  lua_setfield(L, -2, "records_of");
  return 1;
}

static uint64_t check_record(lua_State *L, const struct groups *g) {
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 1 && (lua_Unsigned)i <= groups_count(g), 2, "no such record");
  return (uint64_t)i - 1;
}

static int groups_side_(lua_State *L) {
  struct groups *g = check_groups(L, 1);
  lua_pushstring(L, SIDES[groups_side(g, check_record(L, g))]);
  return 1;
}

static int groups_unsettled_(lua_State *L) {
  struct groups *g = check_groups(L, 1);
  lua_pushboolean(L, groups_unsettled(g, check_record(L, g)));
  return 1;
}

static int groups_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)groups_count(check_groups(L, 1)));
  return 1;
}

/* ---- leaks ---- */

static struct leak *check_leak(lua_State *L) {
  struct leak **l = luaL_checkudata(L, 1, LEAK_NAME);
  if (!*l) luaL_error(L, "this leakage report is closed");
  return *l;
}

static int leak_gc(lua_State *L) {
  struct leak **l = luaL_checkudata(L, 1, LEAK_NAME);
  leak_free(*l);
  *l = NULL;
  return 0;
}

/*** Begins looking for what the sides of divided records have in common.
-- l:add_lines(path) takes the files that the groups were made of, in the same order; l:finish() returns
-- { records = per side, every, found = { document, cluster, exact, near, ngram: each per pair such as
-- ["train-test"] = { shared, records } }, examples = list of { kind, first, second (records, from 1) } }.
-- @function engine.partition.leaks
-- @param groups groups: finished
-- @param options table: optional { near = similarity, 0: not looked for (0.8), ngram = words, 0: not looked
-- for (13), fields = paths (all strings), bytes = of all files, memory = bytes (256 MiB), scratch = folder ("/tmp") }
-- @return leaks: the object
-- @error misuse, no_memory
-- @example local l = require("engine.partition").leaks(g, { near = 0.8 }); l:add_lines "in.jsonl"; l:finish() */
static int l_leaks(lua_State *L) {
  static const char *const known[] = {"near",   "ngram",   "fields", "bytes",
                                      "memory", "scratch", NULL};
  const char *names[FIELDS_MAX + 1];
  struct leak_options o = {0};
  struct err err;
  check_groups(L, 1);
  bind_options(L, 2, known);
  o.near = bind_opt_number(L, 2, "near", 0.8);
  o.ngram = (unsigned)bind_opt_integer(L, 2, "ngram", 13, 0, 32);
  o.fields = opt_list(L, 2, "fields", names);
  o.bytes = (uint64_t)bind_opt_integer(L, 2, "bytes", 0, 0, LUA_MAXINTEGER);
  o.memory = (size_t)bind_opt_integer(L, 2, "memory", 256 << 20, 0, LUA_MAXINTEGER);
  o.scratch = bind_opt_string(L, 2, "scratch", "/tmp");
  o.pool = bind_pool(L);
  struct leak **l = bind_new(L, sizeof *l, LEAK_NAME);
  if (leak_new(l, &o, &err)) return bind_fail(L, &err);
  lua_pushvalue(L, 1); /* the groups stay as long as it does */
  lua_setiuservalue(L, -2, 1);
  return 1;
}

static int leak_add_lines_(lua_State *L) {
  struct leak *l = check_leak(L);
  const char *path = luaL_checkstring(L, 2);
  struct err err;
  lua_getiuservalue(L, 1, 1);
  if (leak_add_lines(l, check_groups(L, -1), path, &err)) return bind_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

static int leak_finish_(lua_State *L) {
  static const char *const kinds[] = {"document", "cluster", "exact", "near", "ngram"};
  static const char *const pairs[] = {"train-validation", "train-test", "validation-test"};
  struct leak *l = check_leak(L);
  struct leak_report r;
  struct err err;
  if (leak_finish(l, &r, &err)) return bind_fail(L, &err);
  lua_createtable(L, 0, 4);
  push_sides(L, r.records);
  lua_setfield(L, -2, "records");
  set_count(L, "every", r.every);
  lua_createtable(L, 0, LEAK_KINDS);
  for (int kind = 0; kind < LEAK_KINDS; kind++) {
    lua_createtable(L, 0, LEAK_PAIRS);
    for (int pair = 0; pair < LEAK_PAIRS; pair++) {
      lua_createtable(L, 0, 2);
      set_count(L, "shared", r.found[kind][pair].shared);
      set_count(L, "records", r.found[kind][pair].records);
      lua_setfield(L, -2, pairs[pair]);
    }
    lua_setfield(L, -2, kinds[kind]);
  }
  lua_setfield(L, -2, "found");
  lua_createtable(L, (int)r.example_n, 0);
  for (size_t i = 0; i < r.example_n; i++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, kinds[r.examples[i].kind]);
    lua_setfield(L, -2, "kind");
    set_count(L, "first", r.examples[i].first + 1);
    set_count(L, "second", r.examples[i].second + 1);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "examples");
  return 1;
}

int luaopen_engine_partition(lua_State *L);
int luaopen_engine_partition(lua_State *L) {
  static const luaL_Reg groups_methods[] = {{"decide", groups_decide_},
                                            {"add_lines", groups_add_lines_},
                                            {"finish", groups_finish_},
                                            {"side", groups_side_},
                                            {"unsettled", groups_unsettled_},
                                            {"close", groups_gc},
                                            {NULL, NULL}};
  static const luaL_Reg groups_meta[] = {
      {"__gc", groups_gc}, {"__close", groups_gc}, {"__len", groups_len}, {NULL, NULL}};
  static const luaL_Reg leak_methods[] = {
      {"add_lines", leak_add_lines_}, {"finish", leak_finish_}, {"close", leak_gc}, {NULL, NULL}};
  static const luaL_Reg leak_meta[] = {{"__gc", leak_gc}, {"__close", leak_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {"leaks", l_leaks}, {NULL, NULL}};
  bind_metatable(L, GROUPS_NAME, groups_methods, groups_meta);
  bind_metatable(L, LEAK_NAME, leak_methods, leak_meta);
  luaL_newlib(L, functions);
  return 1;
}
