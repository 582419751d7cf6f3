/* SPDX-License-Identifier: MIT */
/* require "engine.pass": an iterator over lines that writes those that pass a condition by itself and
 * gives only the others to Lua. */
#include "store/pass.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/file.h"

#include <string.h>

#define PASS_NAME "lathe.pass"
#define MAX_TESTS 8

struct passer {
  struct pass p;
  struct pass_test tests[MAX_TESTS];
  uint64_t passed;
};

static int pass_gc(lua_State *L) {
  struct passer *x = luaL_checkudata(L, 1, PASS_NAME);
  for (size_t i = 0; i < x->p.test_count; i++) mem_free(x->tests[i].values);
  json_free(x->p.tape);
  buf_clear(&x->p.scratch);
  x->p = (struct pass){0};
  return 0;
}

/* The value at the top of the stack, which the user value keeps alive. */
static void read_value(lua_State *L, struct pass_value *v) {
  *v = (struct pass_value){0};
  switch (lua_type(L, -1)) {
  case LUA_TBOOLEAN:
    v->kind = lua_toboolean(L, -1) ? JSON_TRUE : JSON_FALSE;
    break;
  case LUA_TSTRING:
    v->kind = JSON_STRING;
    v->s = lua_tolstring(L, -1, &v->n);
    break;
  case LUA_TNUMBER:
    v->kind = lua_isinteger(L, -1) ? JSON_INT : JSON_REAL;
    v->i = lua_tointeger(L, -1);
    v->d = lua_tonumber(L, -1);
    break;
  default:
    luaL_error(L, "a test compares with texts, numbers and booleans");
  }
}

/* { kind, value … } at the top of the stack. */
static void read_test(lua_State *L, struct passer *x) {
  static const char *const kinds[] = {"exists",     "min",      "max", "equals",
                                      "not_equals", "contains", NULL};
  struct pass_test *t = &x->tests[x->p.test_count];
  luaL_checktype(L, -1, LUA_TTABLE);
  lua_geti(L, -1, 1);
  t->kind = (enum pass_kind)luaL_checkoption(L, -1, NULL, kinds);
  lua_pop(L, 1);
  size_t n = (size_t)luaL_len(L, -1) - 1;
  if (n < 1 || n > 1 << 20) luaL_error(L, "a test needs something to compare with");
  t->values = mem_array(n, sizeof *t->values);
  if (!t->values) {
    luaL_error(L, "not enough memory");
    return;
  }
  x->p.test_count++;
  for (t->count = 0; t->count < n; t->count++) {
    lua_geti(L, -1, (lua_Integer)t->count + 2);
    read_value(L, &t->values[t->count]);
    lua_pop(L, 1);
  }
  t->flag = t->values[0].kind == JSON_TRUE;
}

/*** Makes an iterator that passes lines on by itself.
-- @function engine.pass.new
-- @param field string: such as metadata.score
-- @param tests table: a list of { kind, value … }: { "exists", true }, { "min", 0.5 }, { "max", 1 }, { "equals",
-- "en", "de" } (one of them), { "not_equals", "x" }, { "contains", "part" }; all must hold; none: every record passes
-- @return pass: pass(lines, writer) writes records that pass to the writer, and gives the next line that does
-- not: text (false when too long), number, offset, length; nil at the end. #pass is how many passed
-- @error raises misuse, and { code, message } for io, cancelled
-- @example for line in function() return pass(lines, writer) end do reject(line) end */
static int l_new(lua_State *L) {
  lua_settop(L, 2);
  luaL_checktype(L, 2, LUA_TTABLE);
  size_t n;
  const char *field = luaL_checklstring(L, 1, &n);
  lua_Integer count = luaL_len(L, 2);
  luaL_argcheck(L, count <= MAX_TESTS, 2, "at most 8 tests expected");
  struct passer *x = lua_newuserdatauv(L, sizeof *x, 2);
  memset(x, 0, sizeof *x);
  luaL_setmetatable(L, PASS_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  x->p.field = field, x->p.field_size = n, x->p.tests = x->tests;
  for (lua_Integer i = 1; i <= count; i++) {
    lua_geti(L, 2, i);
    read_test(L, x);
    lua_pop(L, 1);
  }
  return 1;
}

static int pass_call(lua_State *L) {
  struct passer *x = luaL_checkudata(L, 1, PASS_NAME);
  struct lines *lines = bind_check_lines(L, 2);
  struct file_replace *out = bind_check_writer(L, 3);
  struct line line;
  struct err err;
  if (!x->p.tests) return luaL_error(L, "this pass is closed");
  int got = pass_lines(&x->p, lines, out, &line, &x->passed, &err);
  if (got < 0) { /* as the runner raises: { code, message } */
    bind_fail(L, &err);
    lua_createtable(L, 0, 2);
    lua_insert(L, -3);
    lua_setfield(L, -3, "code");
    lua_setfield(L, -2, "message");
    return lua_error(L);
  }
  return got ? bind_push_line(L, &line) : 0;
}

static int pass_len(lua_State *L) {
  struct passer *x = luaL_checkudata(L, 1, PASS_NAME);
  lua_pushinteger(L, (lua_Integer)x->passed);
  return 1;
}

int luaopen_engine_pass(lua_State *L);
int luaopen_engine_pass(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", pass_gc},
                                  {"__close", pass_gc},
                                  {"__call", pass_call},
                                  {"__len", pass_len},
                                  {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};
  bind_metatable(L, PASS_NAME, none, meta);
  luaL_newlib(L, functions);
  return 1;
}
