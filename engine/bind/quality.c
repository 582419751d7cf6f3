/* SPDX-License-Identifier: MIT */
/* require "engine.quality": measures of texts for filters and scores, the line rules of C4. */
#include "bind/bind.h"
#include "text/quality.h"

#include <string.h>

#define METER_NAME "lathe.quality_meter"

struct meter {
  struct quality_work *work;
};

static int meter_gc(lua_State *L) {
  struct meter *m = luaL_checkudata(L, 1, METER_NAME);
  quality_work_free(m->work);
  m->work = NULL;
  return 0;
}

static const char *list_string(lua_State *L, int arg, lua_Integer i) {
  if (lua_geti(L, arg, i) != LUA_TSTRING)
    luaL_argerror(L, arg, lua_pushfstring(L, "entry %I is no string", i));
  const char *s = lua_tostring(L, -1);
  lua_pop(L, 1); /* the list keeps it */
  return s;
}

/*** A meter of texts: keeps its memory from one text to the next.
-- @function engine.quality.meter
-- @param stop_words table: list of words that are counted (each once), or nil
-- @return meter: meter:measure(text, { repetition, diversity = booleans, short_line = 30 }) gives a
-- table of measures by name, see engine.quality.names
-- @error no_memory
-- @example require("engine.quality").meter({ "the", "of" }):measure("the end of it").words --> 4 */
static int l_meter(lua_State *L) {
  struct err err;
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1);
  luaL_argcheck(L, n < 1 << 20, 1, "too many stop words");
  struct meter *m = bind_new(L, sizeof *m, METER_NAME);
  const char **words = lua_newuserdatauv(L, (size_t)(n ? n : 1) * sizeof *words, 0);
  for (lua_Integer i = 1; i <= n; i++) words[i - 1] = list_string(L, 1, i);
  if (quality_work_new(&m->work, words, (size_t)n, &err)) return bind_fail(L, &err);
  lua_pushvalue(L, 2);
  return 1;
}

static int meter_measure(lua_State *L) {
  static const char *const known[] = {"repetition", "diversity", "short_line", NULL};
  struct meter *m = luaL_checkudata(L, 1, METER_NAME);
  size_t n;
  const char *s = luaL_checklstring(L, 2, &n);
  struct quality q;
  struct err err;
  double values[QUALITY_VALUES];
  bind_options(L, 3, known);
  unsigned parts = bind_opt_boolean(L, 3, "repetition", false) ? QUALITY_REPETITION : 0u;
  if (bind_opt_boolean(L, 3, "diversity", false)) parts |= QUALITY_DIVERSITY;
  lua_Integer short_line = bind_opt_integer(L, 3, "short_line", 30, 0, LUA_MAXINTEGER);
  luaL_argcheck(L, m->work, 1, "the meter is closed");
  if (quality_measure(m->work, s, n, parts, (size_t)short_line, &q, &err))
    return bind_fail(L, &err);
  quality_values(&q, values);
  lua_createtable(L, 0, QUALITY_VALUES);
  for (int i = 0; i < QUALITY_VALUES; i++) {
    if (values[i] == (double)(lua_Integer)values[i])
      lua_pushinteger(L, (lua_Integer)values[i]);
    else
      lua_pushnumber(L, values[i]);
    lua_setfield(L, -2, quality_names[i]);
  }
  return 1;
}

/*** The names of the measures, in order.
-- @function engine.quality.names
-- @return table: list of strings
-- @example require("engine.quality").names()[3] --> words */
static int l_names(lua_State *L) {
  lua_createtable(L, QUALITY_VALUES, 0);
  for (int i = 0; i < QUALITY_VALUES; i++) {
    lua_pushstring(L, quality_names[i]);
    lua_seti(L, -2, i + 1);
  }
  return 1;
}

/*** Sentences of a text.
-- @function engine.quality.sentences
-- @param text string: UTF-8
-- @return integer: how many
-- @example require("engine.quality").sentences("Mr. Fox ran. He fell!") --> 2 */
static int l_sentences(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)quality_sentences(s, n));
  return 1;
}

/*** How many of some keywords occur in a text: whole words or phrases, whatever their case.
-- @function engine.quality.keywords
-- @param text string: UTF-8
-- @param words table: list of words and phrases in small letters
-- @return integer: how many of them occur
-- @example require("engine.quality").keywords("The Sea, the sea", { "sea", "shore" }) --> 1 */
static int l_keywords(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer count = luaL_len(L, 2);
  luaL_argcheck(L, count < 1 << 20, 2, "too many keywords");
  struct quality_keyword *v = lua_newuserdatauv(L, (size_t)(count ? count : 1) * sizeof *v, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    v[i - 1].text = list_string(L, 2, i);
    v[i - 1].n = strlen(v[i - 1].text);
  }
  lua_pushinteger(L, (lua_Integer)quality_keywords(s, n, v, (size_t)count));
  return 1;
}

/* The list of { text, reject = boolean } at field "phrases" of the table at 2; its memory is a
 * userdata on the stack, its strings stay in the list. */
static void read_phrases(lua_State *L, struct c4_options *o) {
  if (lua_getfield(L, 2, "phrases") == LUA_TNIL) return;
  luaL_argcheck(L, lua_istable(L, -1), 2, "option 'phrases': a list expected");
  int list = lua_gettop(L);
  lua_Integer n = luaL_len(L, list);
  luaL_argcheck(L, n < 1 << 20, 2, "option 'phrases': too many");
  struct quality_phrase *v = lua_newuserdatauv(L, (size_t)(n ? n : 1) * sizeof *v, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, list, i) != LUA_TTABLE || lua_geti(L, -1, 1) != LUA_TSTRING)
      luaL_argerror(L, 2,
                    "option 'phrases': each is { \"text\" } or { \"text\", reject = \"reason\" }");
    v[i - 1].text = lua_tolstring(L, -1, &v[i - 1].n);
    lua_getfield(L, -2, "reject");
    v[i - 1].reject = lua_toboolean(L, -1);
    lua_pop(L, 3);
  }
  o->phrases = v;
  o->phrase_count = (size_t)n;
}

static void push_c4(lua_State *L, const struct c4_facts *f) {
  const struct {
    const char *name;
    size_t value;
  } facts[] = {
      {"lines", f->lines},         {"kept", f->kept},           {"no_terminal", f->no_terminal},
      {"few_words", f->few_words}, {"long_word", f->long_word}, {"phrase", f->phrase},
      {"sentences", f->sentences}};
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    lua_pushinteger(L, (lua_Integer)facts[i].value);
    lua_setfield(L, -2, facts[i].name);
  }
  if (!f->rejected_by) return;
  lua_pushinteger(L, (lua_Integer)f->rejected_by);
  lua_setfield(L, -2, "rejected_by");
}

/*** The lines of a text that C4 keeps.
-- @function engine.quality.c4
-- @param text string: UTF-8
-- @param options table: { terminal, citations = booleans (true), min_words = 3, max_word_characters =
-- 1000, phrases = list of { "text in small letters" [, reject = true] } }
-- @return string: the lines that stay, without the blanks at their ends
-- @return table: counts { lines, kept, no_terminal, few_words, long_word, phrase, sentences } and,
-- where a phrase rejects the document, rejected_by = its number
-- @error no_memory
-- @example require("engine.quality").c4("A line with an end.\nand one without") */
static int l_c4(lua_State *L) {
  static const char *const known[] = {"terminal", "citations", "min_words", "max_word_characters",
                                      "phrases",  NULL};
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct c4_options o = {0};
  struct c4_facts facts;
  struct err err;
  lua_settop(L, 2);
  bind_options(L, 2, known);
  o.terminal = bind_opt_boolean(L, 2, "terminal", true);
  o.citations = bind_opt_boolean(L, 2, "citations", true);
  o.min_words = (size_t)bind_opt_integer(L, 2, "min_words", 3, 0, LUA_MAXINTEGER);
  o.max_word_characters =
      (size_t)bind_opt_integer(L, 2, "max_word_characters", 1000, 0, LUA_MAXINTEGER);
  if (lua_istable(L, 2)) read_phrases(L, &o);
  struct buf *b = bind_buf(L);
  if (quality_c4(s, n, &o, b, &facts, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  push_c4(L, &facts);
  return 2;
}

int luaopen_engine_quality(lua_State *L);
int luaopen_engine_quality(lua_State *L) {
  static const luaL_Reg methods[] = {{"measure", meter_measure}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", meter_gc}, {"__close", meter_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"meter", l_meter},         {"names", l_names},
                                       {"sentences", l_sentences}, {"c4", l_c4},
                                       {"keywords", l_keywords},   {NULL, NULL}};
  bind_metatable(L, METER_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
