/* SPDX-License-Identifier: MIT */
/* require "engine.tokenizer": text ↔ token ids, and training of vocabularies.
 *
 * A tokenizer userdata owns one struct tokenizer and one work (word cache): a Lua state is one
 * thread. Training keeps its state in a userdata of its own while the texts are asked for, since
 * the iterator may raise. */
#include <string.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "base/mem.h"
#include "bind/bind.h"
#include "bind/tokenizer.h"
#include "tokenizer/tokenizer.h"

#define TOKENIZER_NAME "lathe.tokenizer"
#define TRAIN_NAME     "lathe.tokenizer.train"
#define TOKENS_NAME    "lathe.tokens"
#define STREAM_NAME    "lathe.tokenizer.stream"

struct box {
  struct tokenizer *t;
  struct tokenizer_work *work;
  struct tokenizer_team *team; /* NULL: no batch was asked for yet */
  struct tokens ids;           /* of the text at hand, kept for the next */
};

static struct box *check_box(lua_State *L) {
  struct box *b = luaL_checkudata(L, 1, TOKENIZER_NAME);
  if (!b->t) luaL_error(L, "the tokenizer is closed");
  return b;
}

const struct tokenizer *bind_check_tokenizer(lua_State *L, int arg, struct tokenizer_work **work) {
  struct box *b = luaL_checkudata(L, arg, TOKENIZER_NAME);
  if (!b->t) luaL_argerror(L, arg, "the tokenizer is closed");
  *work = b->work;
  return b->t;
}

static int box_close(lua_State *L) {
  struct box *b = luaL_checkudata(L, 1, TOKENIZER_NAME);
  tokenizer_team_free(b->team);
  tokenizer_work_free(b->work);
  tokens_clear(&b->ids);
  tokenizer_free(b->t);
  *b = (struct box){0};
  return 0;
}

static int tokens_gc(lua_State *L) {
  tokens_clear(lua_touserdata(L, 1));
  return 0;
}

static struct tokens *new_tokens(lua_State *L) {
  return bind_new(L, sizeof(struct tokens), TOKENS_NAME);
}

/*** Loads a tokenizer from a tokenizer.json or from the folder that holds one.
-- BPE, byte-level or of SentencePiece's kind; other kinds are refused by name.
-- @function engine.tokenizer.load
-- @param path string: a tokenizer.json, or a folder with one
-- @return tokenizer: with encode, decode, count, id, token, save …
-- @error the file is missing, malformed, or of a kind that is not supported
-- @example tok = require("engine.tokenizer").load "models/gpt2" */
static int l_load(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct box *b = bind_new(L, sizeof *b, TOKENIZER_NAME);
  struct err err;
  if (tokenizer_load_file(&b->t, path, &err)) return bind_fail(L, &err);
  if (tokenizer_work_new(&b->work, b->t, &err)) return bind_fail(L, &err);
  return 1;
}

/*** Makes a tokenizer of the text of a tokenizer.json.
-- @function engine.tokenizer.parse
-- @param json string: the bytes of a tokenizer.json
-- @return tokenizer
-- @error the text is malformed, or of a kind that is not supported */
static int l_parse(lua_State *L) {
  size_t n;
  const char *json = luaL_checklstring(L, 1, &n);
  struct box *b = bind_new(L, sizeof *b, TOKENIZER_NAME);
  struct err err;
  if (tokenizer_load(&b->t, json, n, &err)) return bind_fail(L, &err);
  if (tokenizer_work_new(&b->work, b->t, &err)) return bind_fail(L, &err);
  return 1;
}

static void image_key(lua_State *L, int arg, uint64_t key[2]) {
  size_t n;
  const char *s = luaL_checklstring(L, arg, &n);
  hash_xxh3_128(s, n, 0, key);
}

/*** Maps a tokenizer that was saved with save_image: milliseconds, whatever its size.
-- @function engine.tokenizer.image
-- @param path string: the file
-- @param key string: what save_image was given; usually a hash of what the tokenizer was made from
-- @return tokenizer
-- @error not_found, format (another key, another version of Lathe, damaged: make it again), io
-- @example require("engine.tokenizer").image("/tmp/t.image", "key") */
static int l_image(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  uint64_t key[2];
  struct err err;
  image_key(L, 2, key);
  struct box *b = bind_new(L, sizeof *b, TOKENIZER_NAME);
  if (tokenizer_image_load(&b->t, path, key, &err)) return bind_fail(L, &err);
  if (tokenizer_work_new(&b->work, b->t, &err)) return bind_fail(L, &err);
  return 1;
}

/*** Saves the tokenizer as it lies in memory, for engine.tokenizer.image: a cache for this program on this
machine; tok:save writes the file that others read.
-- @function tokenizer:save_image
-- @param path string: the file, replaced atomically
-- @param key string: what engine.tokenizer.image must be given
-- @return boolean: true
-- @error io
-- @example tok:save_image("/tmp/t.image", "key") */
static int l_save_image(lua_State *L) {
  struct box *b = check_box(L);
  const char *path = luaL_checkstring(L, 2);
  uint64_t key[2];
  struct err err;
  image_key(L, 3, key);
  if (tokenizer_image_save(b->t, path, key, &err)) return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static const char *const encode_options[] = {"special", "offsets", "plain", NULL};

static int common_flags(lua_State *L, int arg) {
  return (bind_opt_boolean(L, arg, "special", false) ? TOKENIZER_SPECIAL : 0) |
         (bind_opt_boolean(L, arg, "plain", false) ? TOKENIZER_PLAIN : 0);
}

static int encode_flags(lua_State *L, int arg) {
  bind_options(L, arg, encode_options);
  return common_flags(L, arg) | (bind_opt_boolean(L, arg, "offsets", false) ? TOKENIZER_SPANS : 0);
}

static void push_ids(lua_State *L, const struct tokens *ts) {
  lua_createtable(L, (int)ts->count, 0);
  for (size_t i = 0; i < ts->count; i++) {
    lua_pushinteger(L, ts->ids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_spans(lua_State *L, const struct tokens *ts) {
  lua_createtable(L, (int)ts->count, 0);
  for (size_t i = 0; i < ts->count; i++) {
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, (lua_Integer)ts->spans[i].start);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)ts->spans[i].end);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/*** The token ids of a text.
-- @function tokenizer:encode
-- @param text string: UTF-8; other bytes are kept as they are
-- @param options table: special=true adds what the post-processor adds (BOS …); offsets=true gives
--   offsets; plain=true takes special tokens inside the text for text
-- @return table: ids, from 0
-- @return table: with offsets=true, {start, stop} for each id: the bytes [start, stop) from 0
-- @example tok:encode("Hello world") */
static int l_encode(lua_State *L) {
  struct box *b = check_box(L);
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  int flags = encode_flags(L, 3);
  struct tokens *ts = new_tokens(L);
  struct err err;
  if (tokenizer_encode(b->t, b->work, text, n, flags, ts, &err)) return bind_fail(L, &err);
  push_ids(L, ts);
  if (flags & TOKENIZER_SPANS) push_spans(L, ts);
  tokens_clear(ts);
  return flags & TOKENIZER_SPANS ? 2 : 1;
}

#define KEEP_IDS ((size_t)1 << 18) /* more are not kept for the next text */

/* n values as little-endian 32-bit integers. */
static void push_packed(lua_State *L, const uint32_t *values, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  lua_pushlstring(L, n ? (const char *)values : "", n * sizeof *values);
#else
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (size_t i = 0; i < n; i++) {
    uint32_t v = __builtin_bswap32(values[i]);
    luaL_addlstring(&b, (const char *)&v, sizeof v);
  }
  luaL_pushresult(&b);
#endif
}

/* start, end of each token; a text is shorter than 4 GiB. The spans' own memory is reused: an entry
 * is read before the half as long one is written at or before its place. */
static void push_packed_spans(lua_State *L, struct tokens *ts) {
  uint32_t *flat = (uint32_t *)(void *)ts->spans;
  for (size_t i = 0; i < ts->count; i++) {
    struct token_span s = ts->spans[i];
    flat[2 * i] = (uint32_t)s.start;
    flat[2 * i + 1] = (uint32_t)s.end;
  }
  push_packed(L, flat, 2 * ts->count);
}

/*** The token ids of a text as a string of little-endian 32-bit integers: for data sets.
-- @function tokenizer:encode_packed
-- @param text string
-- @param options table: as in encode
-- @return string: 4 bytes an id
-- @return string: with offsets=true, 8 bytes an id: start and stop
-- @example #tok:encode_packed("Hello world") // 4 */
static int l_encode_packed(lua_State *L) {
  struct box *b = check_box(L);
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  int flags = encode_flags(L, 3);
  struct err err;
  if (flags & TOKENIZER_SPANS) {
    struct tokens *ts = new_tokens(L);
    if (tokenizer_encode(b->t, b->work, text, n, flags, ts, &err)) return bind_fail(L, &err);
    push_packed(L, ts->ids, ts->count);
    push_packed_spans(L, ts);
    tokens_clear(ts);
    return 2;
  }
  tokens_reset(&b->ids);
  if (tokenizer_encode(b->t, b->work, text, n, flags, &b->ids, &err)) return bind_fail(L, &err);
  push_packed(L, b->ids.ids, b->ids.count);
  if (b->ids.cap > KEEP_IDS) tokens_clear(&b->ids);
  return 1;
}

/*** At most so many tokens of a text, and where the text was cut for it: never inside a character or an
added token, so there may be fewer. The ids are those of the whole text.
-- @function tokenizer:truncate
-- @param text string
-- @param max integer: the most tokens, those that special=true adds included
-- @param options table: as in encode; side="right" is what is cut off, "left" cuts off the beginning
-- @return table: ids
-- @return integer: bytes before the cut; text:sub(1, cut) (with side="left": text:sub(cut + 1)) is what is left
-- @return table: with offsets=true, {start, stop} for each id, bytes of the whole text
-- @error misuse: special=true alone adds more tokens than max
-- @example local ids, cut = tok:truncate(text, 512) */
static int l_truncate(lua_State *L) {
  static const char *const known[] = {"special", "offsets", "plain", "side", NULL};
  struct box *b = check_box(L);
  size_t n;
  uint64_t at;
  const char *text = luaL_checklstring(L, 2, &n);
  lua_Integer max = luaL_checkinteger(L, 3);
  luaL_argcheck(L, max >= 0, 3, "a number of tokens, not negative");
  bind_options(L, 4, known);
  const char *side = bind_opt_string(L, 4, "side", "right");
  bool left = strcmp(side, "left") == 0, offsets = bind_opt_boolean(L, 4, "offsets", false);
  luaL_argcheck(L, left || strcmp(side, "right") == 0, 4, "side is \"right\" or \"left\"");
  int flags = common_flags(L, 4) | (left ? TOKENIZER_LEFT : 0);
  struct tokens *ts = new_tokens(L);
  struct err err;
  if (tokenizer_truncate(b->t, b->work, text, n, flags, (size_t)max, ts, &at, &err))
    return bind_fail(L, &err);
  push_ids(L, ts);
  lua_pushinteger(L, (lua_Integer)at);
  if (offsets) push_spans(L, ts);
  tokens_clear(ts);
  return offsets ? 3 : 2;
}

/*** The number of tokens of a text.
-- @function tokenizer:count
-- @param text string
-- @param options table: as in encode
-- @return integer */
static int l_count(lua_State *L) {
  struct box *b = check_box(L);
  size_t n, count;
  const char *text = luaL_checklstring(L, 2, &n);
  int flags = encode_flags(L, 3) & ~TOKENIZER_SPANS;
  struct err err;
  if (tokenizer_count(b->t, b->work, text, n, flags, &count, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)count);
  return 1;
}

/* ---- many texts ---- */

static int batch_flags(lua_State *L, int arg) {
  static const char *const known[] = {"special", "plain", "threads", "packed", NULL};
  bind_options(L, arg, known);
  return common_flags(L, arg);
}

/* The team with as many threads as asked for; kept with the tokenizer. */
static struct tokenizer_team *batch_team(lua_State *L, struct box *b, int arg, struct err *err) {
  lua_Integer threads = bind_opt_integer(L, arg, "threads", (lua_Integer)cpu_count(), 1, 1024);
  if (b->team && tokenizer_team_threads(b->team) == (unsigned)threads) return b->team;
  tokenizer_team_free(b->team);
  b->team = NULL;
  if (tokenizer_team_new(&b->team, b->t, (unsigned)threads, err)) return NULL;
  return b->team;
}

/* The list's texts, and room for as many numbers (NULL: none), in a userdata that is left on the stack
 * with a list of its own of the strings: what a finalizer does to the given one is no matter. */
static struct tokenizer_text *batch_texts(lua_State *L, int list, size_t count, size_t **numbers) {
  size_t each = sizeof(struct tokenizer_text) + (numbers ? sizeof **numbers : 0);
  struct tokenizer_text *texts = lua_newuserdatauv(L, (count + 1) * each, 1);
  lua_createtable(L, count > INT32_MAX ? INT32_MAX : (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    if (lua_geti(L, list, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_error(L, "text %I is a %s", (lua_Integer)i + 1, luaL_typename(L, -1));
    texts[i].s = lua_tolstring(L, -1, &texts[i].n);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setiuservalue(L, -2, 1);
  if (numbers) *numbers = (size_t *)(void *)(texts + count + 1);
  return texts;
}

static void push_range(lua_State *L, const uint32_t *ids, size_t n, bool packed) {
  if (packed) {
    push_packed(L, ids, n);
    return;
  }
  lua_createtable(L, n > INT32_MAX ? INT32_MAX : (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushinteger(L, ids[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

/* What a batch makes in Lua while threads encode: ids into the list at index 1. An error of Lua's must
 * not leave the call in which threads are at work. */
struct giving {
  lua_State *L;
  const struct tokens *ids;
  size_t text;
  int list;
  bool packed;
};

static int l_give(lua_State *L) {
  const struct giving *g = lua_touserdata(L, 2);
  push_range(L, g->ids->ids, g->ids->count, g->packed);
  lua_rawseti(L, 1, (lua_Integer)g->text + 1);
  return 0;
}

static int give(void *arg, size_t text, const struct tokens *ids, struct err *err) {
  struct giving *g = arg;
  g->ids = ids;
  g->text = text;
  lua_pushcfunction(g->L, l_give);
  lua_pushvalue(g->L, g->list);
  lua_pushlightuserdata(g->L, g);
  if (lua_pcall(g->L, 2, 0, 0) == LUA_OK) return 0;
  const char *message = lua_tostring(g->L, -1);
  err_set(err, ERR_NOMEM, "%s", message ? message : "the ids of a text");
  lua_pop(g->L, 1);
  return ERR_NOMEM;
}

/*** The token ids of many texts at once, over threads. The same as encode of one after the other.
-- @function tokenizer:encode_batch
-- @param texts table: a list of strings
-- @param options table: special, plain as in encode; threads = how many to use (default: all); packed = ids
-- as strings of 32-bit numbers, as encode_packed gives them
-- @return table: for each text the list of its ids
-- @example tok:encode_batch { "one text", "another" } */
static int l_encode_batch(lua_State *L) {
  struct box *b = check_box(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3); /* options that are not given are not what is pushed next */
  int flags = batch_flags(L, 3);
  bool packed = bind_opt_boolean(L, 3, "packed", false);
  size_t count = (size_t)luaL_len(L, 2);
  struct tokenizer_text *texts = batch_texts(L, 2, count, NULL);
  struct err err;
  struct tokenizer_team *team = batch_team(L, b, 3, &err);
  if (!team) return bind_fail(L, &err);
  luaL_checkstack(L, 8, "ids");
  lua_createtable(L, (int)count, 0);
  struct giving g = {.L = L, .list = lua_gettop(L), .packed = packed};
  if (tokenizer_encode_each(team, texts, count, flags, give, &g, &err)) return bind_fail(L, &err);
  return 1;
}

/*** The numbers of tokens of many texts at once, over threads.
-- @function tokenizer:count_batch
-- @param texts table: a list of strings
-- @param options table: special, plain as in encode; threads = how many to use (default: all)
-- @return table: for each text its number of tokens
-- @example tok:count_batch { "one text", "another" } */
static int l_count_batch(lua_State *L) {
  struct box *b = check_box(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 3); /* options that are not given are not what is pushed next */
  int flags = batch_flags(L, 3);
  size_t count = (size_t)luaL_len(L, 2), *counts;
  struct tokenizer_text *texts = batch_texts(L, 2, count, &counts);
  struct err err;
  struct tokenizer_team *team = batch_team(L, b, 3, &err);
  if (!team || tokenizer_count_batch(team, texts, count, flags, counts, &err))
    return bind_fail(L, &err);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_pushinteger(L, (lua_Integer)counts[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** The last place where a long text may be cut without any effect on the ids: for texts that come
piece by piece. Encode text:sub(1, stop) without special tokens, keep text:sub(next) for later.
-- @function tokenizer:cut
-- @param text string: the beginning of a text; more may follow
-- @return integer|nil: stop, the bytes before the cut; nil: hold more of the text, or all of it
-- @return integer: next, where the rest begins (counted from 1, as string.sub does)
-- @example local stop, next = tok:cut(text) */
static int l_cut(lua_State *L) {
  struct box *b = check_box(L);
  size_t n, end, next;
  const char *s = luaL_checklstring(L, 2, &n);
  if (!tokenizer_cut(b->t, s, n, &end, &next)) return lua_pushnil(L), 1;
  lua_pushinteger(L, (lua_Integer)end);
  lua_pushinteger(L, (lua_Integer)next + 1);
  return 2;
}

static void push_id(lua_State *L, struct tokens *ts, lua_Integer id) {
  if (id < 0 || id > TOKENIZER_MAX_ID) luaL_error(L, "%I is not a token id", id);
  if (ts->count == ts->cap) {
    size_t cap = ts->cap ? ts->cap * 2 : 256;
    uint32_t *ids = mem_rearray(ts->ids, cap, sizeof *ids);
    if (!ids) luaL_error(L, "out of memory");
    ts->ids = ids;
    ts->cap = cap;
  }
  ts->ids[ts->count++] = (uint32_t)id;
}

/* A list of ids, one id, or a packed string. */
static struct tokens *check_ids(lua_State *L, int arg) {
  struct tokens *ts = new_tokens(L);
  if (lua_type(L, arg) == LUA_TSTRING) {
    size_t n;
    const unsigned char *s = (const unsigned char *)lua_tolstring(L, arg, &n);
    luaL_argcheck(L, n % 4 == 0, arg, "packed ids have 4 bytes each");
    for (size_t i = 0; i < n; i += 4)
      push_id(L, ts,
              (lua_Integer)(s[i] | (uint32_t)s[i + 1] << 8 | (uint32_t)s[i + 2] << 16 |
                            (uint32_t)s[i + 3] << 24));
    return ts;
  }
  if (lua_isinteger(L, arg)) {
    push_id(L, ts, lua_tointeger(L, arg));
    return ts;
  }
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Integer count = luaL_len(L, arg);
  for (lua_Integer i = 1; i <= count; i++) {
    int whole;
    lua_geti(L, arg, i);
    lua_Integer id = lua_tointegerx(L, -1, &whole);
    if (!whole) luaL_error(L, "element %I is not a whole number", i);
    lua_pop(L, 1);
    push_id(L, ts, id);
  }
  return ts;
}

/*** The text of token ids. Bytes that are not UTF-8 become U+FFFD; ids without a token are left
out.
-- @function tokenizer:decode
-- @param ids table|integer|string: a list, one id, or what encode_packed gave
-- @param options table: skip_special=true leaves special tokens out
-- @return string
-- @example tok:decode(tok:encode "Hello world") */
static int l_decode(lua_State *L) {
  static const char *const known[] = {"skip_special", NULL};
  struct box *b = check_box(L);
  bind_options(L, 3, known);
  int flags = bind_opt_boolean(L, 3, "skip_special", false) ? TOKENIZER_SKIP_SPECIAL : 0;
  struct tokens *ts = check_ids(L, 2);
  struct buf *out = bind_buf(L);
  struct err err;
  if (tokenizer_decode(b->t, ts->ids, ts->count, flags, out, &err)) return bind_fail(L, &err);
  bind_push_buf(L, out);
  tokens_clear(ts);
  return 1;
}

struct stream {
  struct tokenizer_stream s;
  int flags;
};

static int stream_close(lua_State *L) {
  struct stream *s = luaL_checkudata(L, 1, STREAM_NAME);
  tokenizer_stream_clear(&s->s);
  return 0;
}

/* The function that tokenizer:stream returns; upvalues: tokenizer, stream. */
static int l_stream_step(lua_State *L) {
  struct box *b = lua_touserdata(L, lua_upvalueindex(1));
  struct stream *s = lua_touserdata(L, lua_upvalueindex(2));
  if (!b->t) return luaL_error(L, "the tokenizer is closed");
  bool ends = lua_isnoneornil(L, 1);
  struct tokens *ts = ends ? NULL : check_ids(L, 1);
  struct buf *out = bind_buf(L);
  struct err err;
  int rc = ends ? tokenizer_stream_end(&s->s, out, &err) : 0;
  for (size_t i = 0; !rc && ts && i < ts->count; i++)
    rc = tokenizer_stream_add(b->t, &s->s, ts->ids[i], s->flags, out, &err);
  if (rc) return bind_fail(L, &err);
  bind_push_buf(L, out);
  if (ts) tokens_clear(ts);
  return 1;
}

/*** Decodes token by token without ever giving half a character.
-- @function tokenizer:stream
-- @param options table: skip_special=true leaves special tokens out
-- @return function: f(id) gives the text that is certain by now (perhaps ""), f() what was held;
-- several ids may be given at once, as to decode
-- @example local piece = tok:stream(); io.write(piece(id)) */
static int l_stream(lua_State *L) {
  static const char *const known[] = {"skip_special", NULL};
  check_box(L);
  bind_options(L, 2, known);
  int flags = bind_opt_boolean(L, 2, "skip_special", false) ? TOKENIZER_SKIP_SPECIAL : 0;
  lua_pushvalue(L, 1);
  struct stream *s = bind_new(L, sizeof *s, STREAM_NAME);
  s->flags = flags;
  lua_pushcclosure(L, l_stream_step, 2);
  return 1;
}

/*** The id of a token's string, nil when there is none.
-- @function tokenizer:id
-- @param token string: as in the file ("Ġthe", "<|endoftext|>")
-- @return integer|nil */
static int l_id(lua_State *L) {
  struct box *b = check_box(L);
  size_t n;
  const char *s = luaL_checklstring(L, 2, &n);
  uint32_t id = tokenizer_id(b->t, s, n);
  if (id == TOKENIZER_NONE)
    lua_pushnil(L);
  else
    lua_pushinteger(L, id);
  return 1;
}

/*** The string of a token as the file has it, nil when the id has none.
-- @function tokenizer:token
-- @param id integer
-- @return string|nil */
static int l_token(lua_State *L) {
  struct box *b = check_box(L);
  lua_Integer id = luaL_checkinteger(L, 2);
  size_t n = 0;
  const char *s = id < 0 || id > TOKENIZER_MAX_ID ? NULL : tokenizer_token(b->t, (uint32_t)id, &n);
  if (s)
    lua_pushlstring(L, s, n);
  else
    lua_pushnil(L);
  return 1;
}

static void set_bool(lua_State *L, const char *name, bool v) {
  lua_pushboolean(L, v);
  lua_setfield(L, -2, name);
}

/*** The added tokens, in order of their ids.
-- @function tokenizer:added
-- @return table: {id, content, special, single_word, lstrip, rstrip, normalized} each */
static int l_added(lua_State *L) {
  struct box *b = check_box(L);
  size_t count = tokenizer_added_count(b->t);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    struct tokenizer_added a;
    tokenizer_added_at(b->t, i, &a);
    lua_createtable(L, 0, 7);
    lua_pushinteger(L, a.id);
    lua_setfield(L, -2, "id");
    lua_pushlstring(L, a.content, a.n);
    lua_setfield(L, -2, "content");
    set_bool(L, "special", a.special);
    set_bool(L, "single_word", a.single_word);
    set_bool(L, "lstrip", a.lstrip);
    set_bool(L, "rstrip", a.rstrip);
    set_bool(L, "normalized", a.normalized);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** What the tokens of a text are, one row each; for looking, in the REPL.
-- @function tokenizer:explain
-- @param text string
-- @param options table: as in encode
-- @return table: {id, token, start, stop} each; text:sub(start + 1, stop) is what it stands for */
static int l_explain(lua_State *L) {
  struct box *b = check_box(L);
  size_t n;
  const char *text = luaL_checklstring(L, 2, &n);
  int flags = encode_flags(L, 3) | TOKENIZER_SPANS;
  struct tokens *ts = new_tokens(L);
  struct err err;
  if (tokenizer_encode(b->t, b->work, text, n, flags, ts, &err)) return bind_fail(L, &err);
  lua_createtable(L, (int)ts->count, 0);
  for (size_t i = 0; i < ts->count; i++) {
    size_t len = 0;
    const char *token = tokenizer_token(b->t, ts->ids[i], &len);
    lua_createtable(L, 4, 0);
    lua_pushinteger(L, ts->ids[i]);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, token ? token : "", len);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, (lua_Integer)ts->spans[i].start);
    lua_rawseti(L, -2, 3);
    lua_pushinteger(L, (lua_Integer)ts->spans[i].end);
    lua_rawseti(L, -2, 4);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  tokens_clear(ts);
  return 1;
}

/* Calls lathe.token_view's function with this call's arguments: how tokens look is Lua's matter. */
static int view(lua_State *L, const char *name, int results) {
  int n = lua_gettop(L);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lathe.token_view");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, name);
  lua_insert(L, 1);
  lua_settop(L, n + 1);
  lua_call(L, n, results);
  return results;
}

/*** Prints the tokens of a text with their ids, in colour on a terminal.
-- @function tokenizer:show
-- @param text string
-- @param options table: special, plain as in encode
-- @example tok:show "Hello world" */
static int l_show(lua_State *L) {
  check_box(L);
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  return view(L, "show", 0);
}

static int l_describe(lua_State *L) {
  luaL_checkudata(L, 1, TOKENIZER_NAME);
  lua_settop(L, 2);
  return view(L, "describe", 1);
}

static void push_parsed(lua_State *L, const char *s, size_t n) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "engine.json");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "decode");
  lua_remove(L, -2);
  lua_pushlstring(L, s, n);
  lua_call(L, 1, 1);
}

/*** What the file says around the model: normalizer, pre_tokenizer, post_processor, decoder,
truncation, padding. Truncation and padding are never done unasked: tokenizer:truncate cuts.
-- @function tokenizer:settings
-- @return table: by these names the sections of the tokenizer.json, as json.decode gives them
-- @example tok:settings().truncation */
static int l_settings(lua_State *L) {
  static const char *const names[] = {"normalizer", "pre_tokenizer", "post_processor",
                                      "decoder",    "truncation",    "padding"};
  struct box *b = check_box(L);
  lua_createtable(L, 0, 6);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    size_t n;
    const char *s = tokenizer_section(b->t, names[i], &n);
    if (!s) continue;
    push_parsed(L, s, n);
    lua_setfield(L, -2, names[i]);
  }
  return 1;
}

/*** Writes a complete tokenizer.json, which Hugging Face tokenizers and transformers load.
-- @function tokenizer:save
-- @param path string: the file
-- @return boolean: true
-- @error the file cannot be written */
static int l_save(lua_State *L) {
  struct box *b = check_box(L);
  struct err err;
  if (tokenizer_save(b->t, luaL_checkstring(L, 2), &err)) return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/*** The bytes of a tokenizer.json.
-- @function tokenizer:json
-- @return string */
static int l_json(lua_State *L) {
  struct box *b = check_box(L);
  struct buf *out = bind_buf(L);
  struct err err;
  if (tokenizer_write(b->t, out, &err)) return bind_fail(L, &err);
  bind_push_buf(L, out);
  return 1;
}

/*** How many merges the model has.
-- @function tokenizer:merge_count
-- @return integer */
static int l_merge_count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tokenizer_merge_count(check_box(L)->t));
  return 1;
}

/*** The merges in order of rank, as strings "left right": for exporters.
-- @function tokenizer:merges
-- @return table: of strings */
static int l_merges(lua_State *L) {
  struct box *b = check_box(L);
  size_t count = tokenizer_merge_count(b->t);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    uint32_t left, right;
    size_t ln, rn;
    tokenizer_merge_at(b->t, i, &left, &right);
    const char *l = tokenizer_token(b->t, left, &ln), *r = tokenizer_token(b->t, right, &rn);
    luaL_Buffer s;
    luaL_buffinit(L, &s);
    luaL_addlstring(&s, l, ln);
    luaL_addchar(&s, ' ');
    luaL_addlstring(&s, r, rn);
    luaL_pushresult(&s);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

static int l_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)tokenizer_size(check_box(L)->t));
  return 1;
}

static int l_tostring(lua_State *L) {
  struct box *b = luaL_checkudata(L, 1, TOKENIZER_NAME);
  char text[128];
  if (!b->t) {
    lua_pushliteral(L, "tokenizer: closed");
    return 1;
  }
  tokenizer_describe(b->t, text, sizeof text);
  lua_pushfstring(L, "tokenizer: %s", text);
  return 1;
}

/* ---- training ---- */

struct training {
  struct tokenizer_train *tr;
  const char **special;
};

static int training_close(lua_State *L) {
  struct training *tr = lua_touserdata(L, 1);
  tokenizer_train_free(tr->tr);
  mem_free(tr->special);
  *tr = (struct training){0};
  return 0;
}

/* The strings stay in the table, which stays in the options: valid as long as the call. */
static size_t check_special(lua_State *L, struct training *tr) {
  if (lua_getfield(L, 1, "special") == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  if (lua_type(L, -1) != LUA_TTABLE)
    luaL_error(L, "option 'special': a list of strings expected, got %s", luaL_typename(L, -1));
  lua_Integer count = luaL_len(L, -1);
  tr->special = mem_array((size_t)count, sizeof *tr->special);
  if (!tr->special) luaL_error(L, "out of memory");
  for (lua_Integer i = 0; i < count; i++) {
    if (lua_geti(L, -1, i + 1) != LUA_TSTRING)
      luaL_error(L, "option 'special': element %I is not a string", i + 1);
    tr->special[i] = lua_tostring(L, -1);
    if (strlen(tr->special[i]) != lua_rawlen(L, -1))
      luaL_error(L, "option 'special': element %I holds a zero byte", i + 1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return (size_t)count;
}

/* The text at the top of the stack; pops it. */
static int add_text(lua_State *L, struct training *tr, struct err *err) {
  size_t n;
  if (lua_type(L, -1) != LUA_TSTRING)
    luaL_error(L, "option 'texts': a string expected, got %s", luaL_typename(L, -1));
  const char *s = lua_tolstring(L, -1, &n);
  int rc = tokenizer_train_add(tr->tr, s, n, err);
  lua_pop(L, 1);
  return rc;
}

static int add_texts(lua_State *L, struct training *tr, struct err *err) {
  int rc = 0;
  int type = lua_getfield(L, 1, "texts");
  if (type == LUA_TTABLE) {
    lua_Integer count = luaL_len(L, -1);
    for (lua_Integer i = 1; i <= count && !rc; i++) {
      lua_geti(L, -1, i);
      rc = add_text(L, tr, err);
    }
    return rc;
  }
  if (type != LUA_TFUNCTION)
    luaL_error(L, "option 'texts': a list or an iterator function expected, got %s",
               luaL_typename(L, -1));
  while (!rc) {
    lua_pushvalue(L, -1);
    lua_call(L, 0, 1);
    if (lua_isnil(L, -1)) break;
    rc = add_text(L, tr, err);
  }
  return rc;
}

static void push_facts(lua_State *L, const struct tokenizer_train_facts *f) {
  const struct {
    const char *name;
    uint64_t value;
  } facts[] = {{"bytes", f->bytes},         {"texts", f->texts},
               {"words", f->words},         {"distinct", f->distinct},
               {"forgotten", f->forgotten}, {"forgotten_words", f->forgotten_words},
               {"runs", f->runs},           {"merges", f->merges}};
  lua_createtable(L, 0, 8);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    lua_pushinteger(L, (lua_Integer)facts[i].value);
    lua_setfield(L, -2, facts[i].name);
  }
}

/* Calls the function at TRAIN_PROGRESS of the stack; what it raises is dropped, since C code that
 * holds memory stands between. */
#define TRAIN_PROGRESS 2
static void tell_progress(void *arg, size_t merges, size_t of) {
  lua_State *L = arg;
  lua_pushvalue(L, TRAIN_PROGRESS);
  lua_pushinteger(L, (lua_Integer)merges);
  lua_pushinteger(L, (lua_Integer)of);
  if (lua_pcall(L, 2, 0, 0)) lua_pop(L, 1);
}

static struct tokenizer_train_options train_options(lua_State *L) {
  struct tokenizer_train_options o = {
      .vocab_size = (size_t)bind_opt_integer(L, 1, "vocab_size", 4096, 1, TOKENIZER_MAX_ID),
      .min_frequency = (uint64_t)bind_opt_integer(L, 1, "min_frequency", 0, 0, INT64_MAX),
      .max_token_length = (size_t)bind_opt_integer(L, 1, "max_token_length", 0, 0, INT64_MAX),
      .pattern = bind_opt_string(L, 1, "pattern", NULL),
      .normalizer = bind_opt_string(L, 1, "normalizer", NULL),
      .bos = bind_opt_string(L, 1, "bos", NULL),
      .eos = bind_opt_string(L, 1, "eos", NULL),
      .memory = (size_t)bind_opt_integer(L, 1, "memory", 0, 0, INT64_MAX),
      .table_memory = (size_t)bind_opt_integer(L, 1, "table_memory", 0, 0, INT64_MAX),
      .scratch = bind_opt_string(L, 1, "scratch", NULL),
      .pool = bind_pool(L),
      .arg = L};
  int type = lua_getfield(L, 1, "progress");
  if (type != LUA_TNIL && type != LUA_TFUNCTION)
    luaL_error(L, "option 'progress': a function expected, got %s", luaL_typename(L, -1));
  if (type == LUA_TFUNCTION) o.progress = tell_progress;
  lua_replace(L, TRAIN_PROGRESS);
  return o;
}

/*** Trains a byte-level BPE vocabulary, equal to Hugging Face's BpeTrainer. Neither the order of the
-- texts nor the number of threads matters.
-- @function engine.tokenizer.train
-- @param options table: texts = list or iterator function of strings; vocab_size = 4096, everything
--   included; special = list of special tokens, which get the first ids; pattern = "gpt2", "cl100k",
--   "llama3", "qwen2", "o200k" or a regular expression whose matches are words; normalizer = "nfc" or
--   none; min_frequency = 0: pairs that are rarer are not merged; max_token_length; bos, eos: special
--   tokens that encoding puts before and after; memory = 0: bytes; beyond it words go to files in the
--   folder `scratch`; table_memory: bytes for counting alone, when less; progress(merges, of): called
--   while merging
-- @return tokenizer
-- @return table: bytes, texts, words, distinct, forgotten, forgotten_words, runs, merges
-- @error no memory, interrupted, a disk that is full
-- @example require("engine.tokenizer").train { texts = { "to be or not to be" }, vocab_size = 260 }
*/
static int l_train(lua_State *L) {
  static const char *const known[] = {
      "texts",        "vocab_size", "special", "min_frequency", "max_token_length", "pattern",
      "normalizer",   "bos",        "eos",     "memory",        "scratch",          "progress",
      "table_memory", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  bind_options(L, 1, known);
  lua_settop(L, TRAIN_PROGRESS);
  struct tokenizer_train_options o = train_options(L);
  struct training *tr = bind_new(L, sizeof *tr, TRAIN_NAME);
  int place = lua_gettop(L);
  o.special_count = check_special(L, tr);
  o.special = tr->special;
  struct tokenizer_train_facts facts;
  struct err err;
  if (tokenizer_train_new(&tr->tr, &o, &err)) return bind_fail(L, &err);
  if (add_texts(L, tr, &err)) return bind_fail(L, &err);
  struct box *b = bind_new(L, sizeof *b, TOKENIZER_NAME);
  int rc = tokenizer_train_finish(tr->tr, &b->t, &facts, &err);
  if (!rc) rc = tokenizer_work_new(&b->work, b->t, &err);
  lua_pushcfunction(L, training_close);
  lua_pushvalue(L, place);
  lua_call(L, 1, 0);
  if (rc) return bind_fail(L, &err);
  push_facts(L, &facts);
  return 2;
}

int luaopen_engine_tokenizer(lua_State *L);
int luaopen_engine_tokenizer(lua_State *L) {
  static const luaL_Reg methods[] = {{"encode", l_encode},
                                     {"encode_packed", l_encode_packed},
                                     {"count", l_count},
                                     {"truncate", l_truncate},
                                     {"cut", l_cut},
                                     {"encode_batch", l_encode_batch},
                                     {"count_batch", l_count_batch},
                                     {"settings", l_settings},
                                     {"show", l_show},
                                     {"decode", l_decode},
                                     {"stream", l_stream},
                                     {"id", l_id},
                                     {"token", l_token},
                                     {"added", l_added},
                                     {"explain", l_explain},
                                     {"merge_count", l_merge_count},
                                     {"merges", l_merges},
                                     {"save", l_save},
                                     {"save_image", l_save_image},
                                     {"json", l_json},
                                     {"close", box_close},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", box_close},    {"__close", box_close},
                                  {"__len", l_len},       {"__tostring", l_tostring},
                                  {"__show", l_describe}, {NULL, NULL}};
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg train_meta[] = {
      {"__gc", training_close}, {"__close", training_close}, {NULL, NULL}};
  static const luaL_Reg tokens_meta[] = {{"__gc", tokens_gc}, {"__close", tokens_gc}, {NULL, NULL}};
  static const luaL_Reg stream_meta[] = {
      {"__gc", stream_close}, {"__close", stream_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"load", l_load}, {"parse", l_parse}, {"image", l_image}, {"train", l_train}, {NULL, NULL}};
  bind_metatable(L, TOKENIZER_NAME, methods, meta);
  bind_metatable(L, TRAIN_NAME, none, train_meta);
  bind_metatable(L, TOKENS_NAME, none, tokens_meta);
  bind_metatable(L, STREAM_NAME, none, stream_meta);
  luaL_newlib(L, functions);
  return 1;
}
