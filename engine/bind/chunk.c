/* SPDX-License-Identifier: MIT */
/* require "engine.chunk": texts cut into chunks. A chunker is made once from its options and then
 * called with texts; it keeps its regular expressions and its memory.
 */
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/tokenizer.h"
#include "text/chunk.h"

#include <string.h>

#define CHUNKER_NAME "lathe.chunker"
#define CHUNKS_NAME  "lathe.chunks"

struct chunker {
  struct chunk_options o;
  struct chunk_separator list[CHUNK_SEPARATORS_MAX];
  size_t owned; /* of the list: strings and expressions to be freed */
  struct chunk_work work;
  struct chunks out;
  struct tokens tokens;
  const struct tokenizer *tokenizer; /* lives by the user value */
  struct tokenizer_work *words;
};

static int chunker_gc(lua_State *L) {
  struct chunker *c = luaL_checkudata(L, 1, CHUNKER_NAME);
  for (size_t i = 0; i < c->owned; i++) {
    mem_free((char *)(uintptr_t)c->list[i].s);
    chunk_regex_free(c->list[i].regex);
  }
  c->owned = c->o.separator_count = 0;
  c->o.separators = NULL;
  chunk_work_clear(&c->work);
  chunks_clear(&c->out);
  tokens_clear(&c->tokens);
  return 0;
}

static int chunks_gc(lua_State *L) {
  chunks_clear(luaL_checkudata(L, 1, CHUNKS_NAME));
  return 0;
}

static int choice(lua_State *L, const char *key, const char *fallback, const char *const names[]) {
  const char *s = bind_opt_string(L, 1, key, fallback);
  for (int i = 0; names[i]; i++)
    if (!strcmp(names[i], s)) return i;
  return luaL_argerror(L, 1, lua_pushfstring(L, "option '%s': '%s' is none of its values", key, s));
}

static void read_keep(lua_State *L, struct chunk_options *o) {
  int type = lua_getfield(L, 1, "keep_separator");
  const char *s = type == LUA_TSTRING ? lua_tostring(L, -1) : "";
  o->keep = o->method == CHUNK_CHARACTER ? CHUNK_DROP : CHUNK_KEEP_START;
  if (type == LUA_TBOOLEAN)
    o->keep = lua_toboolean(L, -1) ? CHUNK_KEEP_START : CHUNK_DROP;
  else if (!strcmp(s, "end"))
    o->keep = CHUNK_KEEP_END;
  else if (!strcmp(s, "start"))
    o->keep = CHUNK_KEEP_START;
  else if (type != LUA_TNIL)
    luaL_argerror(L, 1, "option 'keep_separator': true, false, 'start' or 'end' expected");
  lua_pop(L, 1);
}

/* Copies the list of separators; returns 0 or what chunk_regex_new says. */
static int read_separators(lua_State *L, struct chunker *c, bool regex, struct err *err) {
  int rc = 0;
  if (lua_getfield(L, 1, "separators") == LUA_TNIL) {
    static const struct chunk_separator paragraphs[] = {{"\n\n", 2, NULL}};
    if (c->o.method == CHUNK_CHARACTER) c->o.separators = paragraphs, c->o.separator_count = 1;
    lua_pop(L, 1);
    return 0;
  }
  if (!lua_istable(L, -1)) luaL_argerror(L, 1, "option 'separators': a list of strings expected");
  lua_Integer n = luaL_len(L, -1);
  if (n < 1 || n > CHUNK_SEPARATORS_MAX) luaL_argerror(L, 1, "1 to 64 separators expected");
  for (lua_Integer i = 1; i <= n && !rc; i++) {
    size_t size;
    if (lua_geti(L, -1, i) != LUA_TSTRING) luaL_argerror(L, 1, "separators must be strings");
    const char *s = lua_tolstring(L, -1, &size);
    struct chunk_separator *sep = &c->list[c->owned];
    *sep = (struct chunk_separator){mem_dup(s, size), size, NULL};
    if (!sep->s) return err_nomem(err, size, "a separator");
    c->owned++;
    if (regex && size) rc = chunk_regex_new(&sep->regex, s, size, err);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  c->o.separators = c->list;
  c->o.separator_count = c->owned;
  return rc;
}

static int count_tokens(void *context, const char *s, size_t n, size_t *count, struct err *err) {
  struct chunker *c = context;
  return tokenizer_count(c->tokenizer, c->words, s, n, TOKENIZER_PLAIN, count, err);
}

/* The tokenizer stays the chunker's user value. */
static void read_tokenizer(lua_State *L, struct chunker *c) {
  if (lua_getfield(L, 1, "tokenizer") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  c->tokenizer = bind_check_tokenizer(L, -1, &c->words);
  c->o.count = count_tokens;
  c->o.context = c;
  lua_setiuservalue(L, -2, 1);
}

/*** Makes a chunker: a function that cuts texts.
-- `python` and `js` give what LangChain's packages give; where they do not keep separators, chunks may be
-- no spans. `size` and `overlap` count `unit`s; by "windows" a text is cut after so many of them.
-- @function engine.chunk.new
-- @param options table: optional { method = "recursive"|"character"|"windows"|"sentence"|"markdown"|
-- "code", mode = "native"|"python"|"js", unit = "characters"|"bytes"|"tokens", size = 2000, overlap =
-- 200, separators = list, regex = false (mode python), keep_separator = true|false|"start"|"end", strip
-- = true, tokenizer (for tokens), language = "python" (code), levels = 6 (markdown) }
-- @return chunker: chunker(text, language, offsets) gives a list start1, end1, start2, end2 … (bytes,
-- from 0: text:sub(start + 1, end) is the chunk) and a table of those chunks that are no spans, by number.
-- `offsets`: start1, end1 … of the text's tokens, when the unit is tokens and no tokenizer was given
-- @error misuse, format (a regular expression), unsupported (one with groups), no_memory
-- @example require("engine.chunk").new { size = 8, overlap = 0 } "one two three" */
static int l_new(lua_State *L) {
  static const char *const known[] = {
      "method",         "mode",  "unit",      "size",     "overlap", "separators", "regex",
      "keep_separator", "strip", "tokenizer", "language", "levels",  NULL};
  static const char *const methods[] = {"recursive", "character", "windows", "sentence",
                                        "markdown",  "code",      NULL};
  static const char *const modes[] = {"native", "python", "js", NULL};
  static const char *const units[] = {"characters", "bytes", "utf16", "tokens", NULL};
  struct err err;
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  bind_options(L, 1, known);
  struct chunker *c = lua_newuserdatauv(L, sizeof *c, 2);
  memset(c, 0, sizeof *c);
  luaL_setmetatable(L, CHUNKER_NAME);
  struct chunk_options *o = &c->o;
  chunk_defaults(o);
  o->method = (enum chunk_method)choice(L, "method", "recursive", methods);
  o->mode = (enum chunk_mode)choice(L, "mode", "native", modes);
  o->unit = (enum chunk_unit)choice(L, "unit", "characters", units);
  if (o->mode == CHUNK_JAVASCRIPT && o->unit == CHUNK_CHARACTERS) o->unit = CHUNK_UTF16;
  o->size = (size_t)bind_opt_integer(L, 1, "size", (lua_Integer)o->size, 1, LUA_MAXINTEGER);
  lua_Integer overlap = (lua_Integer)(o->overlap < o->size ? o->overlap : o->size / 10);
  o->overlap = (size_t)bind_opt_integer(L, 1, "overlap", overlap, 0, LUA_MAXINTEGER);
  o->strip = bind_opt_boolean(L, 1, "strip", true);
  o->levels = (int)bind_opt_integer(L, 1, "levels", o->levels, 0, 6);
  read_keep(L, o);
  read_tokenizer(L, c);
  if (o->mode != CHUNK_NATIVE && o->unit == CHUNK_TOKENS && !o->count)
    return luaL_argerror(L, 1, "a tokenizer is needed to count tokens");
  if (lua_getfield(L, 1, "language") == LUA_TSTRING) o->language = lua_tostring(L, -1);
  lua_setiuservalue(L, -2, 2);
  if (read_separators(L, c, bind_opt_boolean(L, 1, "regex", false), &err))
    return bind_fail(L, &err);
  if (chunk_check(o, &err)) return bind_fail(L, &err);
  lua_pushvalue(L, 2);
  return 1;
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
static struct chunk_token *listed_offsets(lua_State *L, int arg, size_t *count) {
  luaL_checktype(L, arg, LUA_TTABLE);
  *count = (size_t)luaL_len(L, arg) / 2;
  struct buf *b = bind_buf(L);
  if (buf_reserve(b, *count * sizeof(struct chunk_token))) luaL_error(L, "out of memory");
  struct chunk_token *tokens = (struct chunk_token *)(void *)b->data;
  for (size_t i = 0; i < *count; i++) {
    tokens[i].start = offset_at(L, arg, (lua_Integer)(2 * i + 1));
    tokens[i].end = offset_at(L, arg, (lua_Integer)(2 * i + 2));
  }
  return tokens;
}

static int push_result(lua_State *L, const struct chunks *c) {
  lua_createtable(L, c->n < (1u << 20) ? (int)(2 * c->n) : 1 << 20, 0);
  for (size_t i = 0; i < c->n; i++) {
    lua_pushinteger(L, (lua_Integer)c->v[i].start);
    lua_rawseti(L, -2, (lua_Integer)(2 * i + 1));
    lua_pushinteger(L, (lua_Integer)c->v[i].end);
    lua_rawseti(L, -2, (lua_Integer)(2 * i + 2));
  }
  lua_newtable(L);
  for (size_t i = 0; c->text.len && i < c->n; i++) {
    if (c->v[i].text == CHUNK_SPAN) continue;
    lua_pushlstring(L, c->text.data + c->v[i].text, c->v[i].text_size);
    lua_rawseti(L, -2, (lua_Integer)(i + 1));
  }
  return 2;
}

/* chunker(text, language, offsets) */
static int chunker_call(lua_State *L) {
  size_t n, count = 0;
  struct chunker *c = luaL_checkudata(L, 1, CHUNKER_NAME);
  const char *s = luaL_checklstring(L, 2, &n);
  struct chunk_options o = c->o;
  const struct chunk_token *tokens = NULL;
  struct err err;
  lua_settop(L, 4);
  if (c->tokenizer) { /* it may have been closed meanwhile */
    lua_getiuservalue(L, 1, 1);
    c->tokenizer = bind_check_tokenizer(L, -1, &c->words);
  }
  o.language = luaL_optstring(L, 3, c->o.language);
  if (o.unit == CHUNK_TOKENS && o.mode == CHUNK_NATIVE) {
    if (!lua_isnil(L, 4)) {
      tokens = listed_offsets(L, 4, &count);
    } else if (c->tokenizer) {
      _Static_assert(sizeof(struct token_span) == sizeof(struct chunk_token),
                     "both are two offsets");
      tokens_reset(&c->tokens);
      if (tokenizer_encode(c->tokenizer, c->words, s, n, TOKENIZER_SPANS | TOKENIZER_PLAIN,
                           &c->tokens, &err))
        return bind_fail(L, &err);
      tokens = (const struct chunk_token *)(const void *)c->tokens.spans;
      count = c->tokens.count;
    } else {
      return luaL_argerror(L, 4, "a tokenizer or the tokens' offsets are needed");
    }
  }
  chunks_reset(&c->out);
  if (chunk_text(&o, &c->work, s, n, tokens, count, &c->out, &err)) return bind_fail(L, &err);
  return push_result(L, &c->out);
}

static int chunker_tostring(lua_State *L) {
  const struct chunker *c = luaL_checkudata(L, 1, CHUNKER_NAME);
  static const char *const names[] = {"recursive", "character", "windows",
                                      "sentence",  "markdown",  "code"};
  lua_pushfstring(L, "chunker: %s, %I/%I", names[c->o.method], (lua_Integer)c->o.size,
                  (lua_Integer)c->o.overlap);
  return 1;
}

static void push_path(lua_State *L, const char *s, const struct chunks *c, size_t heading) {
  size_t depth = 0;
  for (size_t h = heading; h != CHUNK_SPAN; h = c->headings[h].owner) depth++;
  lua_createtable(L, (int)depth, 0);
  for (size_t h = heading; h != CHUNK_SPAN; h = c->headings[h].owner, depth--) {
    lua_pushlstring(L, s + c->headings[h].start, c->headings[h].end - c->headings[h].start);
    lua_rawseti(L, -2, (lua_Integer)depth);
  }
}

/*** The headings under which each chunk of a Markdown text lies.
-- @function engine.chunk.headings
-- @param text string: UTF-8
-- @param spans table: start1, end1 … as a chunker gives them
-- @return table: for each chunk a list of headings from the outermost, or false where there is none
-- @error no_memory, cancelled
-- @example require("engine.chunk").headings("# A\n\ntext", { 0, 9 }) --> { { "A" } } */
static int l_headings(lua_State *L) {
  size_t n, count;
  const char *s = luaL_checklstring(L, 1, &n);
  struct err err;
  lua_settop(L, 2);
  const struct chunk_token *spans = listed_offsets(L, 2, &count);
  struct chunks *c = bind_new(L, sizeof *c, CHUNKS_NAME);
  for (size_t i = 0; i < count; i++)
    if (spans[i].start > spans[i].end || spans[i].end > n)
      return luaL_argerror(L, 2, "a span does not fit the text");
  if (chunk_headings(s, n, c, &err)) return bind_fail(L, &err);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    size_t h = chunk_heading_of(c, s, n, spans[i].start, spans[i].end);
    if (h == CHUNK_SPAN)
      lua_pushboolean(L, 0);
    else
      push_path(L, s, c, h);
    lua_rawseti(L, -2, (lua_Integer)(i + 1));
  }
  return 1;
}

int luaopen_engine_chunk(lua_State *L);
int luaopen_engine_chunk(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg chunker_meta[] = {{"__gc", chunker_gc},
                                          {"__close", chunker_gc},
                                          {"__call", chunker_call},
                                          {"__tostring", chunker_tostring},
                                          {NULL, NULL}};
  static const luaL_Reg chunks_meta[] = {{"__gc", chunks_gc}, {"__close", chunks_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {"headings", l_headings}, {NULL, NULL}};
  bind_metatable(L, CHUNKER_NAME, none, chunker_meta);
  bind_metatable(L, CHUNKS_NAME, none, chunks_meta);
  luaL_newlib(L, functions);
  return 1;
}
