/* SPDX-License-Identifier: MIT */
/* require "engine.text": encodings, cleaning with a map back to the original, counting.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "bind/bind.h"
#include "text/boilerplate.h"
#include "text/clean.h"
#include "text/pii.h"
#include "text/encoding.h"
#include "text/width.h"

#include <string.h>

#define MAP_NAME     "lathe.run_map"
#define PHRASES_NAME "lathe.clean_phrases"

static void push_encoding(lua_State *L, const struct encoding *e) {
  lua_createtable(L, 0, 4);
  lua_pushstring(L, e->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, encoding_how_name(e->how));
  lua_setfield(L, -2, "how");
  lua_pushnumber(L, e->confidence);
  lua_setfield(L, -2, "confidence");
  lua_pushinteger(L, (lua_Integer)e->bom);
  lua_setfield(L, -2, "bom");
}

/*** Which encoding a text is in.
-- @function engine.text.detect
-- @param bytes string: the text, or its beginning
-- @return table: { name, how = "bom"|"valid"|"mostly"|"guess"|"fallback", confidence = 0…1, bom =
-- bytes of the mark }
-- @error no_memory
-- @example require("engine.text").detect("Caf\xe9").name --> ISO-8859-1 */
static int l_detect(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct encoding e;
  struct err err;
  if (encoding_detect(s, n, &e, &err)) return bind_fail(L, &err);
  push_encoding(L, &e);
  return 1;
}

/*** A text as UTF-8; what has no meaning in its encoding becomes U+FFFD and is counted.
-- @function engine.text.to_utf8
-- @param bytes string: the text
-- @param encoding string: optional; detected when left out
-- @return string: the text in UTF-8
-- @return integer: how many U+FFFD were put in
-- @return table: what engine.text.detect says, when the encoding was left out
-- @error unsupported (no such encoding), no_memory
-- @example require("engine.text").to_utf8("Caf\xe9") */
static int l_to_utf8(lua_State *L) {
  size_t n, replaced;
  const char *s = luaL_checklstring(L, 1, &n), *name = luaL_optstring(L, 2, NULL);
  struct encoding e;
  struct err err;
  if (!name && encoding_detect(s, n, &e, &err)) return bind_fail(L, &err);
  struct buf *b = bind_buf(L);
  if (encoding_to_utf8(s, n, name ? name : e.name, b, &replaced, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  lua_pushinteger(L, (lua_Integer)replaced);
  if (name) return 2;
  push_encoding(L, &e);
  return 3;
}

/*** Characters (code points) of a text.
-- @function engine.text.count
-- @param text string: UTF-8
-- @return integer: how many
-- @example require("engine.text").count("Größe") --> 5 */
static int l_count(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)utf8_count(s, n));
  return 1;
}

/*** Columns that a text takes on a terminal: wide characters two, combining ones none.
-- @function engine.text.width
-- @param text string: UTF-8 without control characters
-- @return integer: how many
-- @example require("engine.text").width("日本") --> 4 */
static int l_width(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)text_width(s, n));
  return 1;
}

/*** Words of a text: runs of anything but white space.
-- @function engine.text.words
-- @param text string: UTF-8
-- @return integer: how many
-- @example require("engine.text").words("to be or not") --> 4 */
static int l_words(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_pushinteger(L, (lua_Integer)clean_words(s, n));
  return 1;
}

/*** Whether a text is well-formed UTF-8.
-- @function engine.text.valid
-- @param text string: any bytes
-- @return boolean: true when it is
-- @return integer|nil: else the offset of the first malformed byte, from 0 */
static int l_valid(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  size_t at = utf8_check(s, n);
  lua_pushboolean(L, at == n);
  if (at == n) return 1;
  lua_pushinteger(L, (lua_Integer)at);
  return 2;
}

/*** A text in Unicode's form C (letters and their accents composed).
-- @function engine.text.nfc
-- @param text string: UTF-8
-- @return string: the same text in form C
-- @error no_memory, cancelled */
static int l_nfc(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct err err;
  struct buf *b = bind_buf(L);
  if (clean_nfc(s, n, b, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  return 1;
}

/*** Collects garbage and gives freed memory back to the system: for after a very large text.
-- @function engine.text.release */
static int l_release(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  mem_trim();
  return 0;
}

/* ---- cleaning ---- */

static int map_gc(lua_State *L) {
  struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  run_map_clear(m);
  return 0;
}

/* map:origin(from, to) → the bytes of the original that cleaned bytes [from, to) came from. */
static int map_origin(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
  luaL_argcheck(L, from >= 0 && from <= to && (size_t)to <= m->out_size, 3,
                "not a span of the cleaned text");
  size_t start = run_map_start(m, (size_t)from), end = run_map_end(m, (size_t)to);
  lua_pushinteger(L, (lua_Integer)(from == to && end > start ? end : start));
  lua_pushinteger(L, (lua_Integer)(end > start ? end : start));
  return 2;
}

/* map:output(at) → the cleaned offset of original byte `at`, or of the first kept byte after it. */
static int map_output(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  lua_Integer at = luaL_checkinteger(L, 2);
  luaL_argcheck(L, at >= 0, 2, "an offset from 0 expected");
  lua_pushinteger(L, (lua_Integer)run_map_output(m, (size_t)at));
  return 1;
}

/* map:encode() → "[[out,in,length],…]" */
static int map_encode(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  struct buf *b = bind_buf(L);
  run_map_write(m, b);
  bind_push_buf(L, b);
  return 1;
}

/* map:runs() → list of { out, in, length } */
static int map_runs(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  lua_createtable(L, m->n < 1000 ? (int)m->n : 1000, 0);
  for (size_t i = 0; i < m->n; i++) {
    const size_t fields[] = {m->v[i].out, m->v[i].in, m->v[i].len};
    lua_createtable(L, 3, 0);
    for (int k = 0; k < 3; k++) {
      lua_pushinteger(L, (lua_Integer)fields[k]);
      lua_seti(L, -2, k + 1);
    }
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int map_len(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  lua_pushinteger(L, (lua_Integer)m->n);
  return 1;
}

static int map_tostring(lua_State *L) {
  const struct run_map *m = luaL_checkudata(L, 1, MAP_NAME);
  lua_pushfstring(L, "run map: %d runs, %d bytes from %d", (int)m->n, (int)m->out_size,
                  (int)m->in_size);
  return 1;
}

static size_t run_field(lua_State *L, int k) {
  int whole;
  lua_geti(L, -1, k);
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || v < 0) luaL_error(L, "a run is three whole numbers: out, in, length");
  lua_pop(L, 1);
  return (size_t)v;
}

/*** A run map from its list of runs, as clean writes them beside each part.
-- @function engine.text.run_map
-- @param runs table: list of { out, in, length }
-- @param out_size integer: optional, the length of the cleaned text
-- @param in_size integer: optional, the length of the original
-- @return run_map: map:origin(from, to), map:runs(), map:encode(), #map
-- @example require("engine.text").run_map({ { 0, 10, 5 } }):origin(1, 3) --> 11, 13 */
static int l_run_map(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer out_size = luaL_optinteger(L, 2, 0), in_size = luaL_optinteger(L, 3, 0);
  struct run_map *m = bind_new(L, sizeof *m, MAP_NAME);
  struct err err;
  lua_Integer n = luaL_len(L, 1);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, 1, i) != LUA_TTABLE) luaL_error(L, "run %I is not a list", i);
    size_t out = run_field(L, 1), in = run_field(L, 2), len = run_field(L, 3);
    lua_pop(L, 1);
    if (out < m->out_size || in < m->in_size) luaL_error(L, "run %I is out of order", i);
    if (run_map_add(m, out, in, len, &err)) return bind_fail(L, &err);
    m->out_size = out + len;
    m->in_size = in + len;
  }
  if (out_size > (lua_Integer)m->out_size) m->out_size = (size_t)out_size;
  if (in_size > (lua_Integer)m->in_size) m->in_size = (size_t)in_size;
  return 1;
}

struct phrases {
  struct clean_phrases *phrases;
};

static int phrases_gc(lua_State *L) {
  struct phrases *p = luaL_checkudata(L, 1, PHRASES_NAME);
  clean_phrases_free(p->phrases);
  p->phrases = NULL;
  return 0;
}

/*** Phrases that mark a line as boilerplate, for the option `boilerplate` of engine.text.clean.
-- @function engine.text.phrases
-- @param phrases table: list of strings in small letters, of two characters or more
-- @param longest integer: optional, the characters of a line that may still go (200)
-- @return phrases
-- @error misuse (a phrase too short), no_memory
-- @example require("engine.text").phrases { "all rights reserved" } */
static int l_phrases(lua_State *L) {
  struct err err;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_Integer n = luaL_len(L, 1), longest = luaL_optinteger(L, 2, 200);
  luaL_argcheck(L, n < 65536, 1, "too many phrases");
  luaL_argcheck(L, longest > 0, 2, "a number from 1 expected");
  lua_settop(L, 1);
  struct phrases *p = bind_new(L, sizeof *p, PHRASES_NAME);
  const char **list = lua_newuserdatauv(L, (size_t)(n ? n : 1) * sizeof *list, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_geti(L, 1, i) != LUA_TSTRING)
      luaL_argerror(L, 1, lua_pushfstring(L, "entry %I is no string", i));
    list[i - 1] = lua_tostring(L, -1);
    lua_pop(L, 1); /* the list keeps it */
  }
  if (clean_phrases_new(&p->phrases, list, (size_t)n, (size_t)longest, &err))
    return bind_fail(L, &err);
  lua_pushvalue(L, 2);
  return 1;
}

static int pii_kind_of(lua_State *L, int arg, const char *name) {
  for (int k = 0; k < PII_KINDS; k++)
    if (!strcmp(name, clean_rule_names[CLEAN_PII + k])) return k;
  return luaL_argerror(L, arg,
                       lua_pushfstring(L,
                                       "'%s' is no kind of personal data, see "
                                       "engine.text.clean_rules()",
                                       name));
}

/* The lists at fields pii and masks of the table at `arg`. */
static void read_pii(lua_State *L, int arg, struct clean_options *o, const char *masks[PII_KINDS]) {
  if (lua_getfield(L, arg, "pii") == LUA_TTABLE) {
    lua_Integer n = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_geti(L, -1, i);
      o->pii |= UINT32_C(1) << pii_kind_of(L, arg, luaL_checkstring(L, -1));
      lua_pop(L, 1);
    }
  } else {
    luaL_argcheck(L, lua_isnil(L, -1), arg, "option 'pii': a list of names expected");
  }
  for (int k = 0; k < PII_KINDS; k++) masks[k] = pii_masks[k];
  if (lua_getfield(L, arg, "masks") == LUA_TTABLE) {
    o->masks = masks;
    for (int k = 0; k < PII_KINDS; k++) {
      if (lua_getfield(L, -1, clean_rule_names[CLEAN_PII + k]) == LUA_TSTRING)
        masks[k] = lua_tostring(L, -1); /* the table keeps it */
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 2);
}

static void read_boilerplate(lua_State *L, int arg, struct clean_options *o) {
  if (lua_getfield(L, arg, "boilerplate") != LUA_TNIL) {
    const struct phrases *p = luaL_testudata(L, -1, PHRASES_NAME);
    luaL_argcheck(L, p && p->phrases, arg, "option 'boilerplate': engine.text.phrases expected");
    o->boilerplate = p->phrases;
  }
  lua_pop(L, 1);
}

static void push_counts(lua_State *L, const struct clean_counts *counts) {
  lua_newtable(L);
  for (int k = 0; k < CLEAN_RULES; k++) {
    if (!counts->v[k]) continue;
    lua_pushinteger(L, (lua_Integer)counts->v[k]);
    lua_setfield(L, -2, clean_rule_names[k]);
  }
}

/*** The rules of engine.text.clean, in order; from "email" on they are kinds of personal data.
-- @function engine.text.clean_rules
-- @return table: list of names */
static int l_clean_rules(lua_State *L) {
  lua_createtable(L, CLEAN_RULES, 0);
  for (int k = 0; k < CLEAN_RULES; k++) {
    lua_pushstring(L, clean_rule_names[k]);
    lua_seti(L, -2, k + 1);
  }
  return 1;
}

/*** Cleans a text: mojibake, line ends, control and zero-width characters, ligatures, form C, blanks;
-- on request case, boilerplate, repeated lines, personal data.
-- @function engine.text.clean
-- @param text string: UTF-8
-- @param options table: optional { line_ends, control, zero_width, bidi, ligatures, nfc, spaces,
-- trailing, dehyphenate, trim, mojibake, lower = booleans (all but bidi, dehyphenate and lower true),
-- blank_lines = the most in a row (2; -1 any), repeated_lines = the most of a line before only its
-- first stays (0: any), boilerplate = engine.text.phrases, pii = list of kinds to be masked,
-- masks = kind → text }
-- @return string: the cleaned text
-- @return run_map: where each byte came from: map:origin(from, to), map:output(at), map:encode(),
-- map:runs()
-- @return table: how often each rule did something, by name; those that did nothing are left out
-- @error no_memory, cancelled
-- @example require("engine.text").clean("two  \r\nlines") */
static int l_clean(lua_State *L) {
  static const char *const known[] = {
      "line_ends", "control",  "zero_width",  "bidi",           "ligatures",   "nfc",
      "spaces",    "trailing", "trim",        "dehyphenate",    "mojibake",    "lower",
      "pii",       "masks",    "blank_lines", "repeated_lines", "boilerplate", NULL};
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n), *masks[PII_KINDS];
  struct clean_options o;
  struct clean_counts counts;
  struct err err;
  clean_defaults(&o);
  bind_options(L, 2, known);
  bool *const rules[] = {&o.line_ends, &o.control,     &o.zero_width, &o.bidi,
                         &o.ligatures, &o.nfc,         &o.spaces,     &o.trailing,
                         &o.trim,      &o.dehyphenate, &o.mojibake,   &o.lower};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    *rules[i] = bind_opt_boolean(L, 2, known[i], *rules[i]);
  o.blank_lines = (int)bind_opt_integer(L, 2, "blank_lines", o.blank_lines, -1, 1 << 30);
  o.repeated_lines = (size_t)bind_opt_integer(L, 2, "repeated_lines", 0, 0, 1 << 30);
  if (lua_istable(L, 2)) {
    read_pii(L, 2, &o, masks);
    read_boilerplate(L, 2, &o);
  }
  struct run_map *m = bind_new(L, sizeof *m, MAP_NAME);
  struct buf *b = bind_buf(L);
  if (clean_text(s, n, &o, b, m, &counts, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  lua_pushvalue(L, -3);
  push_counts(L, &counts);
  return 3;
}

int luaopen_engine_text(lua_State *L);
int luaopen_engine_text(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg phrases_meta[] = {
      {"__gc", phrases_gc}, {"__close", phrases_gc}, {NULL, NULL}};
  static const luaL_Reg map_methods[] = {{"origin", map_origin},
                                         {"output", map_output},
                                         {"encode", map_encode},
                                         {"runs", map_runs},
                                         {NULL, NULL}};
  static const luaL_Reg map_meta[] = {{"__gc", map_gc},
                                      {"__close", map_gc},
                                      {"__len", map_len},
                                      {"__tostring", map_tostring},
                                      {NULL, NULL}};
  static const luaL_Reg functions[] = {{"detect", l_detect},
                                       {"to_utf8", l_to_utf8},
                                       {"count", l_count},
                                       {"width", l_width},
                                       {"words", l_words},
                                       {"valid", l_valid},
                                       {"nfc", l_nfc},
                                       {"release", l_release},
                                       {"clean", l_clean},
                                       {"clean_rules", l_clean_rules},
                                       {"phrases", l_phrases},
                                       {"run_map", l_run_map},
                                       {NULL, NULL}};
  bind_metatable(L, MAP_NAME, map_methods, map_meta);
  bind_metatable(L, PHRASES_NAME, none, phrases_meta);
  luaL_newlib(L, functions);
  return 1;
}
