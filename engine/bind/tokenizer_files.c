/* SPDX-License-Identifier: MIT */
/* require "engine.tokenizer_files": tokenizer files of other kinds as the text of a tokenizer.json.
 * See tokenizer/convert.h; lathe.tokenizers is what scripts use. */
#include <string.h>

#include "base/mem.h"
#include "bind/bind.h"
#include "tokenizer/convert.h"

#define SPECIAL_MAX 65536

/*** What kind of tokenizer a file holds, by its first bytes.
-- @function engine.tokenizer_files.kind
-- @param bytes string: the file, or its first kilobytes
-- @return string: "json", "tiktoken", "sentencepiece", "gguf"; nil when it is none
-- @example require("engine.tokenizer_files").kind "{}" */
static int l_kind(lua_State *L) {
  static const char *const names[] = {NULL, "json", "tiktoken", "sentencepiece", "gguf"};
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_pushstring(L, names[tokenizer_sniff(s, n)]);
  return 1;
}

/* The table option `special`, content → id, as a list that the collector owns. */
static void special_option(lua_State *L, int arg, struct tiktoken_options *o) {
  if (lua_isnoneornil(L, arg)) return;
  lua_getfield(L, arg, "special");
  if (lua_isnil(L, -1)) return;
  luaL_argcheck(L, lua_istable(L, -1), arg, "special: a table of content = id");
  int table = lua_gettop(L);
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) count++;
  luaL_argcheck(L, count <= SPECIAL_MAX, arg, "special: too many");
  struct tiktoken_special *list = lua_newuserdatauv(L, (count + 1) * sizeof *list, 0);
  o->has_special = true;
  o->special = list;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    lua_Integer id = lua_tointeger(L, -1);
    size_t n;
    luaL_argcheck(L,
                  lua_type(L, -2) == LUA_TSTRING && lua_isinteger(L, -1) && id >= 0 &&
                      id < UINT32_MAX && o->special_count < count,
                  arg, "special: a table of content = id");
    const char *s = lua_tolstring(L, -2, &n); /* the table keeps it */
    luaL_argcheck(L, strlen(s) == n, arg, "special: a zero byte");
    list[o->special_count++] = (struct tiktoken_special){s, (uint32_t)id};
  }
}

/*** A rank file of tiktoken as the text of a tokenizer.json.
-- @function engine.tokenizer_files.tiktoken
-- @param bytes string: lines of "base64 rank"
-- @param options table: optional { encoding = "cl100k_base" …, pattern = a regular expression in place of
the encoding's, special = { content = id } in place of the encoding's }; without encoding and pattern the
ranks must be those of a published file
-- @return string: the JSON
-- @error format (names the line), limit, misuse (the encoding is not known), cancelled
-- @example require("engine.tokenizer_files").tiktoken(bytes, { encoding = "llama3" }) */
static int l_tiktoken(lua_State *L) {
  static const char *const known[] = {"encoding", "pattern", "special", NULL};
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  struct err err;
  bind_options(L, 2, known);
  struct tiktoken_options o = {.encoding = bind_opt_string(L, 2, "encoding", NULL),
                               .pattern = bind_opt_string(L, 2, "pattern", NULL)};
  special_option(L, 2, &o);
  struct buf *json = bind_buf(L);
  if (tiktoken_convert(bytes, n, &o, json, &err)) return bind_fail(L, &err);
  bind_push_buf(L, json);
  return 1;
}

/*** A SentencePiece model of type BPE as the text of a tokenizer.json.
-- @function engine.tokenizer_files.sentencepiece
-- @param bytes string: a tokenizer.model
-- @param options table: optional { bos = whether encoding with special tokens begins with BOS (default true),
eos = whether it ends with EOS (default false), space = "always" or "first": a space goes before every stretch
between special tokens, or before a text that has none (default: as SentencePiece, so far as JSON can say it) }
-- @return string: the JSON
-- @error format, limit, unsupported (Unigram …), cancelled
-- @example require("engine.tokenizer_files").sentencepiece(bytes) */
static int l_sentencepiece(lua_State *L) {
  static const char *const known[] = {"bos", "eos", "space", NULL};
  static const char *const spaces[] = {"auto", "always", "first", NULL};
  size_t n;
  const char *bytes = luaL_checklstring(L, 1, &n);
  struct err err;
  bind_options(L, 2, known);
  struct sentencepiece_options o = {.no_bos = !bind_opt_boolean(L, 2, "bos", true),
                                    .eos = bind_opt_boolean(L, 2, "eos", false)};
  lua_pushstring(L, bind_opt_string(L, 2, "space", "auto"));
  o.space = (enum sentencepiece_space)luaL_checkoption(L, -1, NULL, spaces);
  struct buf *json = bind_buf(L);
  if (sentencepiece_convert(bytes, n, &o, json, &err)) return bind_fail(L, &err);
  bind_push_buf(L, json);
  return 1;
}

/*** The encodings whose pattern and special tokens are known.
-- @function engine.tokenizer_files.encodings
-- @return table: list of names */
static int l_encodings(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; tiktoken_encoding(i); i++) {
    lua_pushstring(L, tiktoken_encoding(i));
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

int luaopen_engine_tokenizer_files(lua_State *L);
int luaopen_engine_tokenizer_files(lua_State *L) {
  static const luaL_Reg functions[] = {{"kind", l_kind},
                                       {"tiktoken", l_tiktoken},
                                       {"sentencepiece", l_sentencepiece},
                                       {"encodings", l_encodings},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
