/* SPDX-License-Identifier: MIT */
/* require "engine.select": which records of a stage's input are kept, to a budget. */
#include "base/hash.h"
#include "bind/bind.h"
#include "dedup/select.h"

#define SELECTION_NAME "lathe.selection"

struct held {
  struct selection *selection;
};

static int held_gc(lua_State *L) {
  struct held *h = luaL_checkudata(L, 1, SELECTION_NAME);
  selection_free(h->selection);
  h->selection = NULL;
  return 0;
}

static struct selection *check(lua_State *L) {
  struct held *h = luaL_checkudata(L, 1, SELECTION_NAME);
  luaL_argcheck(L, h->selection, 1, "the selection is closed");
  return h->selection;
}

/*** A selection: records are added one after the other, then the best that fit are chosen.
-- @function engine.select.new
-- @param memory integer: the most bytes it may take
-- @return selection: selection:add(group|nil, score, draw, tokens), selection:choose(groups|nil,
-- tokens|nil) gives a table of facts, selection:kept(i) for the i-th record added
-- @error no_memory
-- @example require("engine.select").new(1 << 20) */
static int l_new(lua_State *L) {
  lua_Integer memory = luaL_checkinteger(L, 1);
  struct err err;
  struct held *h = bind_new(L, sizeof *h, SELECTION_NAME);
  if (selection_new(&h->selection, memory > 0 ? (size_t)memory : 0, &err))
    return bind_fail(L, &err);
  return 1;
}

/* selection:add(group, score, draw, tokens): group is any string or nil; draw one that stands for
 * chance (its hash counts) → true */
static int l_add(lua_State *L) {
  struct selection *s = check(L);
  size_t group_size = 0, draw_size;
  const char *group = luaL_optlstring(L, 2, NULL, &group_size);
  lua_Number score = luaL_checknumber(L, 3);
  const char *draw = luaL_checklstring(L, 4, &draw_size);
  lua_Integer tokens = luaL_optinteger(L, 5, 0);
  struct err err;
  luaL_argcheck(L, tokens >= 0, 5, "a number from 0 expected");
  uint64_t hash = group ? hash_xxh3(group, group_size, 0) : 0;
  if (selection_add(s, group ? &hash : NULL, score, hash_xxh3(draw, draw_size, 0), (uint64_t)tokens,
                    &err))
    return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static uint64_t limit(lua_State *L, int arg) {
  if (lua_isnoneornil(L, arg)) return UINT64_MAX;
  lua_Integer v = luaL_checkinteger(L, arg);
  luaL_argcheck(L, v >= 0, arg, "a number from 0 expected");
  return (uint64_t)v;
}

static int l_choose(lua_State *L) {
  struct selection *s = check(L);
  uint64_t groups = limit(L, 2), tokens = limit(L, 3);
  struct selection_facts f;
  struct err err;
  if (selection_choose(s, groups, tokens, &f, &err)) return bind_fail(L, &err);
  const struct {
    const char *name;
    uint64_t value;
  } facts[] = {{"groups", f.groups},   {"kept_groups", f.kept_groups},
               {"records", f.records}, {"kept_records", f.kept_records},
               {"tokens", f.tokens},   {"kept_tokens", f.kept_tokens}};
  lua_createtable(L, 0, 6);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    lua_pushinteger(L, (lua_Integer)facts[i].value);
    lua_setfield(L, -2, facts[i].name);
  }
  return 1;
}

static int l_kept(lua_State *L) {
  struct selection *s = check(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  lua_pushboolean(L, i > 0 && selection_kept(s, (size_t)i - 1));
  return 1;
}

int luaopen_engine_select(lua_State *L);
int luaopen_engine_select(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"add", l_add}, {"choose", l_choose}, {"kept", l_kept}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", held_gc}, {"__close", held_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};
  bind_metatable(L, SELECTION_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
