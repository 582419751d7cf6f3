/* SPDX-License-Identifier: MIT */
/* require "engine.text": encodings, cleaning with a map back to the original, chunkers, counting.
 */
#include "base/mem.h"
#include "base/utf8.h"
#include "bind/bind.h"
#include "bind/tokenizer.h"
#include "text/chunk.h"
#include "text/clean.h"
#include "text/encoding.h"
#include "text/width.h"

#include <string.h>

#define MAP_NAME    "lathe.run_map"
#define CHUNKS_NAME "lathe.chunks"
#define TOKENS_NAME "lathe.chunk_tokens"

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

/*** Cleans a text: line ends, control and zero-width characters, ligatures, form C, blanks.
-- @function engine.text.clean
-- @param text string: UTF-8
-- @param options table: optional { line_ends, control, zero_width, bidi, ligatures, nfc, spaces,
-- trailing, dehyphenate, trim = booleans (all but bidi and dehyphenate true), blank_lines = the
-- most in a row (2; -1 any) }
-- @return string: the cleaned text
-- @return run_map: where each byte came from: map:origin(from, to), map:output(at), map:encode(),
-- map:runs()
-- @error no_memory, cancelled
-- @example require("engine.text").clean("two  \r\nlines") */
static int l_clean(lua_State *L) {
  static const char *const known[] = {"line_ends", "control",     "zero_width",  "bidi",
                                      "ligatures", "nfc",         "spaces",      "trailing",
                                      "trim",      "dehyphenate", "blank_lines", NULL};
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct clean_options o;
  struct err err;
  clean_defaults(&o);
  bind_options(L, 2, known);
  bool *const rules[] = {&o.line_ends, &o.control, &o.zero_width, &o.bidi, &o.ligatures,
                         &o.nfc,       &o.spaces,  &o.trailing,   &o.trim, &o.dehyphenate};
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
    *rules[i] = bind_opt_boolean(L, 2, known[i], *rules[i]);
  o.blank_lines = (int)bind_opt_integer(L, 2, "blank_lines", o.blank_lines, -1, 1 << 30);
  struct run_map *m = bind_new(L, sizeof *m, MAP_NAME);
  struct buf *b = bind_buf(L);
  if (clean_text(s, n, &o, b, m, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  lua_pushvalue(L, -3);
  return 2;
}

/* ---- chunks ---- */

static int chunks_gc(lua_State *L) {
  struct chunks *c = luaL_checkudata(L, 1, CHUNKS_NAME);
  chunks_clear(c);
  return 0;
}

/* The result of a chunker: a flat list start1, end1, start2, end2 … (offsets from 0). */
static int push_chunks(lua_State *L, const struct chunks *c) {
  lua_createtable(L, c->n < (1u << 20) ? (int)(2 * c->n) : 1 << 20, 0);
  for (size_t i = 0; i < c->n; i++) {
    lua_pushinteger(L, (lua_Integer)c->v[i].start);
    lua_seti(L, -2, (lua_Integer)(2 * i + 1));
    lua_pushinteger(L, (lua_Integer)c->v[i].end);
    lua_seti(L, -2, (lua_Integer)(2 * i + 2));
  }
  return 1;
}

/* Separators: nil, a language's name or a list of strings (kept alive by the table). */
static void read_separators(lua_State *L, int arg, struct chunk_options *o,
                            struct chunk_separator list[CHUNK_SEPARATORS_MAX]) {
  if (lua_isnoneornil(L, arg)) return;
  int type = lua_getfield(L, arg, "separators");
  if (type == LUA_TSTRING) {
    o->separator_count = chunk_language(lua_tostring(L, -1), &o->separators);
    if (!o->separator_count)
      luaL_argerror(
          L, arg,
          lua_pushfstring(L, "no separators are known for the language '%s'", lua_tostring(L, -1)));
  } else if (type == LUA_TTABLE) {
    lua_Integer n = luaL_len(L, -1);
    if (n < 1 || n > CHUNK_SEPARATORS_MAX) luaL_argerror(L, arg, "1 to 64 separators expected");
    for (lua_Integer i = 1; i <= n; i++) {
      if (lua_geti(L, -1, i) != LUA_TSTRING) luaL_argerror(L, arg, "separators must be strings");
      list[i - 1].s = lua_tolstring(L, -1, &list[i - 1].n);
      lua_pop(L, 1);
    }
    o->separators = list;
    o->separator_count = (size_t)n;
  } else if (type != LUA_TNIL) {
    luaL_argerror(L, arg, "option 'separators': a list of strings or a language's name expected");
  }
  lua_pop(L, 1);
}

/*** Cuts a text into overlapping chunks of at most `size` characters, as LangChain's
-- RecursiveCharacterTextSplitter does; text:sub(start + 1, end) is the chunk.
-- @function engine.text.chunk_characters
-- @param text string: UTF-8
-- @param options table: optional { size = 2000, overlap = 200, separators = list or language
-- ("markdown", "python", …), recursive = true, keep_separator = true, strip = true, style =
-- "python"|"javascript" }
-- @return table: start1, end1, start2, end2 … as byte offsets from 0
-- @error misuse (sizes), no_memory, cancelled
-- @example require("engine.text").chunk_characters("one two three", { size = 8, overlap = 0 }) */
static int l_chunk_characters(lua_State *L) {
  static const char *const known[] = {"size",           "overlap", "separators", "recursive",
                                      "keep_separator", "strip",   "style",      NULL};
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  struct chunk_options o;
  struct chunk_separator list[CHUNK_SEPARATORS_MAX];
  struct err err;
  chunk_defaults(&o);
  bind_options(L, 2, known);
  o.size = (size_t)bind_opt_integer(L, 2, "size", (lua_Integer)o.size, 1, LUA_MAXINTEGER);
  lua_Integer overlap = (lua_Integer)(o.overlap < o.size ? o.overlap : o.size / 10);
  o.overlap = (size_t)bind_opt_integer(L, 2, "overlap", overlap, 0, (lua_Integer)o.size);
  o.recursive = bind_opt_boolean(L, 2, "recursive", o.recursive);
  o.keep = bind_opt_boolean(L, 2, "keep_separator", o.recursive);
  o.strip = bind_opt_boolean(L, 2, "strip", o.strip);
  const char *style = bind_opt_string(L, 2, "style", "python");
  if (!strcmp(style, "javascript"))
    o.style = CHUNK_JAVASCRIPT;
  else if (strcmp(style, "python") != 0)
    luaL_argerror(L, 2, "option 'style': 'python' or 'javascript' expected");
  read_separators(L, 2, &o, list);
  struct chunks *c = bind_new(L, sizeof *c, CHUNKS_NAME);
  if (chunk_characters(s, n, &o, c, &err)) return bind_fail(L, &err);
  return push_chunks(L, c);
}

static size_t offset_at(lua_State *L, int arg, lua_Integer i) {
  int whole;
  lua_geti(L, arg, i);
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || v < 0) luaL_argerror(L, arg, lua_pushfstring(L, "entry %I is no offset", i));
  lua_pop(L, 1);
  return (size_t)v;
}

/* Offsets of a list, into a buffer that the collector owns. */
static struct chunk_token *listed_offsets(lua_State *L, size_t *count) {
  luaL_checktype(L, 2, LUA_TTABLE);
  *count = (size_t)luaL_len(L, 2) / 2;
  struct buf *b = bind_buf(L);
  if (buf_reserve(b, *count * sizeof(struct chunk_token))) luaL_error(L, "out of memory");
  struct chunk_token *tokens = (struct chunk_token *)(void *)b->data;
  for (size_t i = 0; i < *count; i++) {
    tokens[i].start = offset_at(L, 2, (lua_Integer)(2 * i + 1));
    tokens[i].end = offset_at(L, 2, (lua_Integer)(2 * i + 2));
  }
  return tokens;
}

static int tokens_gc(lua_State *L) {
  tokens_clear(luaL_checkudata(L, 1, TOKENS_NAME));
  return 0;
}

/*** Cuts a text into windows of `size` tokens.
-- @function engine.text.chunk_tokens
-- @param text string: UTF-8
-- @param tokens tokenizer|table: what to count with; or the tokens' byte offsets start1, end1,
start2,
-- end2 …, from 0
-- @param options table: optional { size = 512, overlap = 64 }
-- @return table: start1, end1 … of the chunks; a border inside a character moves to its beginning
-- @error misuse (sizes, offsets), no_memory, cancelled
-- @example require("engine.text").chunk_tokens("abcd", { 0, 1, 1, 3, 3, 4 }, { size = 2, overlap =
-- 0 }) */
static int l_chunk_tokens(lua_State *L) {
  static const char *const known[] = {"size", "overlap", NULL};
  size_t n, count;
  const char *s = luaL_checklstring(L, 1, &n);
  struct err err;
  struct chunk_token *tokens;
  lua_settop(L, 3);
  bind_options(L, 3, known);
  lua_Integer size = bind_opt_integer(L, 3, "size", 512, 1, LUA_MAXINTEGER);
  lua_Integer overlap =
      bind_opt_integer(L, 3, "overlap", size > 64 ? 64 : size / 8, 0, LUA_MAXINTEGER);
  if (lua_isuserdata(L, 2)) {
    struct tokenizer_work *work;
    const struct tokenizer *t = bind_check_tokenizer(L, 2, &work);
    struct tokens *ts = bind_new(L, sizeof *ts, TOKENS_NAME);
    if (tokenizer_encode(t, work, s, n, TOKENIZER_SPANS | TOKENIZER_PLAIN, ts, &err))
      return bind_fail(L, &err);
    _Static_assert(sizeof(struct token_span) == sizeof(struct chunk_token), "both are two offsets");
    tokens = (struct chunk_token *)(void *)ts->spans;
    count = ts->count;
  } else {
    tokens = listed_offsets(L, &count);
  }
  struct chunks *c = bind_new(L, sizeof *c, CHUNKS_NAME);
  if (chunk_tokens(s, n, tokens, count, (size_t)size, (size_t)overlap, c, &err))
    return bind_fail(L, &err);
  return push_chunks(L, c);
}

int luaopen_engine_text(lua_State *L);
int luaopen_engine_text(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg chunks_meta[] = {{"__gc", chunks_gc}, {"__close", chunks_gc}, {NULL, NULL}};
  static const luaL_Reg tokens_meta[] = {{"__gc", tokens_gc}, {"__close", tokens_gc}, {NULL, NULL}};
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
                                       {"run_map", l_run_map},
                                       {"chunk_characters", l_chunk_characters},
                                       {"chunk_tokens", l_chunk_tokens},
                                       {NULL, NULL}};
  bind_metatable(L, CHUNKS_NAME, none, chunks_meta);
  bind_metatable(L, TOKENS_NAME, none, tokens_meta);
  bind_metatable(L, MAP_NAME, map_methods, map_meta);
  luaL_newlib(L, functions);
  return 1;
}
