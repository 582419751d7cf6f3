/* SPDX-License-Identifier: MIT */
/* require "engine.tokens": packed token ids, token caches, and windows of them. */
#include "bind/bind.h"
#include "bind/tensor.h"
#include "json/json.h"
#include "tokenizer/token_file.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

#define WRITER_NAME  "lathe.token_writer"
#define FILE_NAME    "lathe.token_file"
#define WINDOWS_NAME "lathe.token_windows"

#define BLANKS " \t\n\v\f\r"

static const char *const RESTS[] = {"keep", "pad", "drop", NULL};

/* The ids of a packed string (little-endian, 4 bytes each), in memory of the collector's. */
static uint32_t *check_ids(lua_State *L, int arg, size_t *n) {
  size_t bytes;
  const char *s = luaL_checklstring(L, arg, &bytes);
  luaL_argcheck(L, bytes % 4 == 0, arg, "packed ids expected: 4 bytes each");
  *n = bytes / 4;
  uint32_t *ids = lua_newuserdatauv(L, bytes + 1, 0);
  for (size_t i = 0; i < *n; i++) {
    const unsigned char *b = (const unsigned char *)s + 4 * i;
    ids[i] = (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
  }
  return ids;
}

static void push_packed(lua_State *L, const uint32_t *v, size_t n) {
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n * 4);
  for (size_t i = 0; i < n; i++)
    for (int k = 0; k < 4; k++) out[4 * i + (size_t)k] = (char)(v[i] >> 8 * k);
  luaL_pushresultsize(&b, n * 4);
}

/* The packed ids at index 1, written down. */
static int push_written(lua_State *L, const char *before, char between, const char *behind) {
  size_t n;
  uint32_t *ids = check_ids(L, 1, &n);
  struct buf *out = bind_buf(L);
  buf_adds(out, before);
  for (size_t i = 0; i < n; i++) {
    if (i) buf_addc(out, between);
    json_put_int(out, (int32_t)ids[i]);
  }
  buf_adds(out, behind);
  bind_push_buf(L, out);
  return 1;
}

/*** Packed ids as numbers with a space between them.
-- @function engine.tokens.text
-- @param ids string: 4 bytes an id, signed
-- @return string: "1 2 3"
-- @example require("engine.tokens").text(tok:encode_packed "Hello") */
static int l_text(lua_State *L) {
  return push_written(L, "", ' ', "");
}

/*** Packed ids as a JSON list.
-- @function engine.tokens.json
-- @param ids string: 4 bytes an id, signed (a target may be -1)
-- @return string: "[1,2,3]"
-- @example require("engine.tokens").json(tok:encode_packed "Hello") */
static int l_json(lua_State *L) {
  return push_written(L, "[", ',', "]");
}

/*** A JSON list of integers as packed ids; the opposite of json.
-- @function engine.tokens.parse
-- @param text string: "[1,2,3]"
-- @return string: 4 bytes an id
-- @error format: not a list of 32-bit integers
-- @example #require("engine.tokens").parse "[1,2,3]" // 4 */
static int l_parse(lua_State *L) {
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  struct json *j = NULL;
  struct err err;
  struct buf *out = bind_buf(L);
  int rc = json_parse(&j, text, n, NULL, &err);
  if (!rc && json_kind(j, JSON_ROOT) != JSON_ARRAY)
    rc = err_set(&err, ERR_FORMAT, "a list of token ids expected");
  struct json_iter it = {0};
  if (!rc) it = json_iter(j, JSON_ROOT);
  while (!rc && json_each(&it)) {
    int64_t v = 0;
    if (!json_int(j, it.value, &v) || v < INT32_MIN || v > INT32_MAX)
      rc = err_set(&err, ERR_FORMAT, "a list of token ids expected");
    buf_add_u32le(out, (uint32_t)v);
  }
  json_free(j);
  if (!rc) rc = buf_check(out, "token ids", &err);
  if (rc) return bind_fail(L, &err);
  bind_push_buf(L, out);
  return 1;
}

/* Ids that were written down, appended; *beyond: how many are not below size. The place of what is none,
 * or n. */
static size_t read_ids(const char *s, size_t n, lua_Integer size, struct buf *out,
                       lua_Integer *beyond) {
  for (size_t i = 0; i < n;) {
    size_t from = i;
    uint32_t id = 0;
    for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
      if (id <= TOKENIZER_MAX_ID) id = id * 10 + (uint32_t)(s[i] - '0');
    if (id > TOKENIZER_MAX_ID || (i == from && !(s[i] && strchr(BLANKS ",[]", s[i])))) return from;
    if (i == from) {
      i++; /* what is between them */
    } else {
      *beyond += id >= size;
      buf_add_u32le(out, id);
    }
  }
  return n;
}

/*** Ids that were written down, as packed ids: "1 2 3", "1, 2, 3" or "[1,2,3]".
-- @function engine.tokens.numbers
-- @param text string: digits, and blanks, commas and brackets between them
-- @param size integer: optional, of a vocabulary
-- @return string: 4 bytes an id; nil, what is no id, "format"
-- @return integer: how many are not below size
-- @example require("engine.tokens").numbers "[15496, 995]" */
static int l_numbers(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_Integer size = luaL_optinteger(L, 2, LUA_MAXINTEGER), beyond = 0;
  struct buf *out = bind_buf(L);
  struct err err;
  size_t bad = read_ids(s, n, size, out, &beyond), end = bad;
  if (bad < n) {
    while (end < n && end - bad < 40 && !(s[end] && strchr(BLANKS, s[end]))) end++;
    lua_pushnil(L);
    lua_pushlstring(L, s + bad, end - bad);
    lua_pushliteral(L, "format");
    return 3;
  }
  if (buf_check(out, "token ids", &err)) return bind_fail(L, &err);
  bind_push_buf(L, out);
  lua_pushinteger(L, beyond);
  return 2;
}

/*** How many windows so many tokens in a row give.
-- @function engine.tokens.windows_of
-- @param count integer: tokens
-- @param size integer: of a window
-- @param stride integer: from one window to the next, at most size
-- @param rest string: "keep", "pad" or "drop" the last one that is shorter
-- @return integer
-- @example require("engine.tokens").windows_of(100, 32, 32, "drop") */
static int l_windows_of(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1), size = luaL_checkinteger(L, 2),
              stride = luaL_checkinteger(L, 3);
  int rest = luaL_checkoption(L, 4, "keep", RESTS);
  luaL_argcheck(L, size >= 1, 2, "at least 1");
  luaL_argcheck(L, stride >= 1 && stride <= size, 3, "1 to size");
  lua_pushinteger(L, n < 2 ? 0
                           : (lua_Integer)token_windows_of((uint64_t)n, (size_t)size,
                                                           (size_t)stride, (enum token_rest)rest));
  return 1;
}

/*** Place i of 1 … n in a shuffled order that takes no memory.
-- @function engine.tokens.shuffled
-- @param i integer: from 1
-- @param n integer
-- @param seed integer: of the order
-- @return integer: 1 … n, each once
-- @example require("engine.tokens").shuffled(1, 10, 42) */
static int l_shuffled(lua_State *L) {
  lua_Integer i = luaL_checkinteger(L, 1), n = luaL_checkinteger(L, 2),
              seed = luaL_checkinteger(L, 3);
  luaL_argcheck(L, n >= 1 && i >= 1 && i <= n, 1, "1 to n");
  lua_pushinteger(L, (lua_Integer)token_shuffled((uint64_t)i - 1, (uint64_t)n, (uint64_t)seed) + 1);
  return 1;
}

/* ---- writing ---- */

static struct token_writer *check_writer(lua_State *L) {
  struct token_writer **w = luaL_checkudata(L, 1, WRITER_NAME);
  if (!*w) luaL_error(L, "this token writer is closed");
  return *w;
}

static int writer_gc(lua_State *L) {
  struct token_writer **w = luaL_checkudata(L, 1, WRITER_NAME);
  token_writer_close(*w);
  *w = NULL;
  return 0;
}

static void check_key(lua_State *L, int arg, uint64_t key[2]) {
  size_t n = 0;
  const char *s = luaL_optlstring(L, arg, "", &n);
  luaL_argcheck(L, n == 0 || n == 16, arg, "a key of 16 bytes expected");
  memset(key, 0, 16);
  if (n) memcpy(key, s, 16);
}

/*** Begins a token cache: w:add(ids) for each document (packed), then w:commit(); w:close() removes what
-- was not committed.
-- @function engine.tokens.writer
-- @param path string: the file
-- @param vocab integer: ids are below it (2 bytes each up to 65,536, else 4)
-- @param key string: optional, 16 bytes that tell what it was made from
-- @return writer
-- @error io, misuse
-- @example local w = require("engine.tokens").writer("x.tokens", #tok); w:add(tok:encode_packed "a b"); w:commit() */
static int l_writer(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer vocab = luaL_checkinteger(L, 2);
  uint64_t key[2];
  struct err err;
  check_key(L, 3, key);
  luaL_argcheck(L, vocab >= 1 && vocab <= INT32_MAX, 2, "1 or more");
  struct token_writer **w = bind_new(L, sizeof *w, WRITER_NAME);
  if (token_writer_open(w, path, (size_t)vocab, key, &err)) return bind_fail(L, &err);
  return 1;
}

static int writer_add(lua_State *L) {
  struct token_writer *w = check_writer(L);
  size_t n;
  uint32_t *ids = check_ids(L, 2, &n);
  struct err err;
  if (token_writer_add(w, ids, n, &err)) return bind_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

static int writer_commit(lua_State *L) {
  struct token_writer *w = check_writer(L);
  struct err err;
  if (token_writer_commit(w, &err)) return bind_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

/* ---- reading ---- */

static struct token_file *check_file(lua_State *L, int arg) {
  struct token_file **f = luaL_checkudata(L, arg, FILE_NAME);
  if (!*f) luaL_error(L, "this token cache is closed");
  return *f;
}

static int file_gc(lua_State *L) {
  struct token_file **f = luaL_checkudata(L, 1, FILE_NAME);
  token_file_close(*f);
  *f = NULL;
  return 0;
}

/*** Maps a token cache. #f is the number of tokens; f:documents(), f:key(); f:ids(from, n) gives packed ids
-- from token `from` (1 is the first) on; f:windows { size, stride, packed, rest } gives windows: #w,
-- w:get(i) → packed input, packed target (-1: none), real tokens, document (from 1);
-- w:batch { 3, 1, 2 } → tensors input and target of one row a window, and their real tokens as a list.
-- @function engine.tokens.open
-- @param path string: the file
-- @return file
-- @error io, not_found, format (not a cache, or damaged)
-- @example local w = require("engine.tokens").open("x.tokens"):windows { size = 128 } */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct token_file **f = bind_new(L, sizeof *f, FILE_NAME);
  if (token_file_open(f, path, &err)) return bind_fail(L, &err);
  return 1;
}

static int file_documents(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)token_file_documents(check_file(L, 1)));
  return 1;
}

static int file_key(lua_State *L) {
  lua_pushlstring(L, (const char *)token_file_key(check_file(L, 1)), 16);
  return 1;
}

static int file_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)token_file_count(check_file(L, 1)));
  return 1;
}

static int file_ids(lua_State *L) {
  struct token_file *f = check_file(L, 1);
  lua_Integer from = luaL_checkinteger(L, 2), n = luaL_checkinteger(L, 3);
  uint64_t count = token_file_count(f);
  luaL_argcheck(L,
                from >= 1 && n >= 0 && (lua_Unsigned)n <= count &&
                    (lua_Unsigned)from - 1 <= count - (lua_Unsigned)n,
                2, "outside of the tokens");
  uint32_t *ids = lua_newuserdatauv(L, (size_t)n * 4 + 1, 0);
  token_file_ids(f, (uint64_t)from - 1, (size_t)n, ids);
  push_packed(L, ids, (size_t)n);
  return 1;
}

/* ---- windows ---- */

static struct token_windows *check_windows(lua_State *L) {
  struct token_windows *w = luaL_checkudata(L, 1, WINDOWS_NAME);
  lua_getiuservalue(L, 1, 1);
  check_file(L, -1); /* open still */
  lua_pop(L, 1);
  return w;
}

static int windows_gc(lua_State *L) {
  token_windows_clear(luaL_checkudata(L, 1, WINDOWS_NAME));
  return 0;
}

static int file_windows(lua_State *L) {
  static const char *const known[] = {"size", "stride", "packed", "rest", NULL};
  struct token_file *f = check_file(L, 1);
  struct err err;
  bind_options(L, 2, known);
  lua_Integer size = bind_opt_integer(L, 2, "size", 0, 1, 1 << 30);
  lua_Integer stride = bind_opt_integer(L, 2, "stride", size, 1, 1 << 30);
  bool packed = bind_opt_boolean(L, 2, "packed", false);
  const char *rest = bind_opt_string(L, 2, "rest", "keep");
  int k = 0;
  while (RESTS[k] && strcmp(RESTS[k], rest) != 0) k++;
  if (!RESTS[k]) luaL_error(L, "rest: keep, pad or drop expected");
  struct token_windows *w = bind_new(L, sizeof *w, WINDOWS_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1); /* the file stays as long as its windows */
  if (token_windows_init(w, f, (size_t)size, (size_t)stride, packed, (enum token_rest)k, &err))
    return bind_fail(L, &err);
  return 1;
}

static int windows_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check_windows(L)->count);
  return 1;
}

static uint64_t check_window(lua_State *L, int at, const struct token_windows *w) {
  lua_Integer i = luaL_checkinteger(L, at);
  if (i < 1 || (lua_Unsigned)i > w->count)
    luaL_error(L, "window %I is outside of 1 to %I", i, (lua_Integer)w->count);
  return (uint64_t)i - 1;
}

static int windows_get(lua_State *L) {
  struct token_windows *w = check_windows(L);
  uint64_t i = check_window(L, 2, w), document;
  uint32_t pad = (uint32_t)luaL_optinteger(L, 3, 0);
  uint32_t *input = lua_newuserdatauv(L, w->size * 8, 0);
  size_t n;
  token_window(w, i, pad, input, (int32_t *)(void *)(input + w->size), &n, &document);
  size_t shown = w->rest == TOKEN_KEEP ? n : w->size;
  push_packed(L, input, shown);
  push_packed(L, input + w->size, shown);
  lua_pushinteger(L, (lua_Integer)n);
  lua_pushinteger(L, (lua_Integer)document + 1);
  return 4;
}

/* w:batch(list, pad) */
static int windows_batch(lua_State *L) {
  struct token_windows *w = check_windows(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  uint32_t pad = (uint32_t)luaL_optinteger(L, 3, 0);
  size_t rows = (size_t)lua_rawlen(L, 2), shape[TENSOR_RANK] = {rows, w->size};
  struct err err;
  luaL_argcheck(L, rows > 0, 2, "a list of windows expected");
  struct tensor *input = bind_tensor_new(L);
  if (tensor_init(input, DTYPE_I32, 2, shape, &err)) return bind_fail(L, &err);
  bind_tensor_made(L);
  struct tensor *target = bind_tensor_new(L);
  if (tensor_init(target, DTYPE_I32, 2, shape, &err)) return bind_fail(L, &err);
  bind_tensor_made(L);
  lua_createtable(L, (int)rows, 0);
  for (size_t r = 0; r < rows; r++) {
    size_t n;
    uint64_t document;
    lua_rawgeti(L, 2, (lua_Integer)r + 1);
    uint64_t i = check_window(L, -1, w);
    lua_pop(L, 1);
    token_window(w, i, pad, (uint32_t *)input->data + r * w->size,
                 (int32_t *)target->data + r * w->size, &n, &document);
    lua_pushinteger(L, (lua_Integer)n);
    lua_rawseti(L, -2, (lua_Integer)r + 1);
  }
  return 3;
}

int luaopen_engine_tokens(lua_State *L);
int luaopen_engine_tokens(lua_State *L) {
  static const luaL_Reg writer_methods[] = {
      {"add", writer_add}, {"commit", writer_commit}, {"close", writer_gc}, {NULL, NULL}};
  static const luaL_Reg writer_meta[] = {{"__gc", writer_gc}, {"__close", writer_gc}, {NULL, NULL}};
  static const luaL_Reg file_methods[] = {
      {"documents", file_documents}, {"key", file_key},  {"ids", file_ids},
      {"windows", file_windows},     {"close", file_gc}, {NULL, NULL}};
  static const luaL_Reg file_meta[] = {
      {"__gc", file_gc}, {"__close", file_gc}, {"__len", file_len}, {NULL, NULL}};
  static const luaL_Reg windows_methods[] = {
      {"get", windows_get}, {"batch", windows_batch}, {NULL, NULL}};
  static const luaL_Reg windows_meta[] = {
      {"__gc", windows_gc}, {"__len", windows_len}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"json", l_json},
                                       {"numbers", l_numbers},
                                       {"text", l_text},
                                       {"parse", l_parse},
                                       {"windows_of", l_windows_of},
                                       {"shuffled", l_shuffled},
                                       {"writer", l_writer},
                                       {"open", l_open},
                                       {NULL, NULL}};
  bind_metatable(L, WRITER_NAME, writer_methods, writer_meta);
  bind_metatable(L, FILE_NAME, file_methods, file_meta);
  bind_metatable(L, WINDOWS_NAME, windows_methods, windows_meta);
  luaL_newlib(L, functions);
  return 1;
}
