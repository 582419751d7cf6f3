/* SPDX-License-Identifier: MIT */
/* require "engine.hash": SHA-256 and xxh3, and deterministic random numbers derived from text. The
 * smallest binding, and the pattern for the others. */
#include "base/hash.h"
#include "base/rng.h"
#include "bind/bind.h"

#define RNG_NAME "lathe.rng"

/*** SHA-256 of a string, as 64 lower-case hexadecimal digits.
-- @function engine.hash.sha256
-- @param bytes string: what to hash
-- @return string: 64 hexadecimal digits
-- @example require("engine.hash").sha256("abc") */
static int l_sha256(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  unsigned char digest[SHA256_BYTES];
  char hex[SHA256_HEX];
  struct err err;
  if (sha256(s, n, digest, &err)) return bind_fail(L, &err);
  hash_hex(digest, sizeof digest, hex);
  lua_pushlstring(L, hex, SHA256_HEX - 1);
  return 1;
}

/*** xxh3 of a string (64 bits), as 16 hexadecimal digits: fast, not for secrets.
-- @function engine.hash.xxh3
-- @param bytes string: what to hash
-- @param seed integer: optional, default 0
-- @return string: 16 hexadecimal digits
-- @example require("engine.hash").xxh3("abc") */
static int l_xxh3(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  uint64_t h = hash_xxh3(s, n, (uint64_t)luaL_optinteger(L, 2, 0));
  unsigned char big_endian[8];
  char hex[17];
  for (int i = 0; i < 8; i++) big_endian[i] = (unsigned char)(h >> (56 - 8 * i));
  hash_hex(big_endian, 8, hex);
  lua_pushlstring(L, hex, 16);
  return 1;
}

/*** A random number generator whose numbers depend only on its seeds.
-- @function engine.hash.rng
-- @param ... integer|string: seeds; all of them matter, in order
-- @return rng: with r:integer(low, high), r:number() in [0,1), r:normal(), r:shuffle(list)
-- @example require("engine.hash").rng(42, "stage", "id"):integer(1, 6) */
static int l_rng(lua_State *L) {
  uint64_t seed = 0;
  int n = lua_gettop(L);
  for (int i = 1; i <= n; i++) {
    size_t len;
    if (lua_isinteger(L, i)) {
      seed = rng_at(seed, (uint64_t)lua_tointeger(L, i), 1);
    } else {
      const char *s = luaL_checklstring(L, i, &len);
      seed = rng_at(seed, hash_xxh3(s, len, 0), 2);
    }
  }
  rng_seed(bind_new(L, sizeof(struct rng), RNG_NAME), seed);
  return 1;
}

static int rng_integer_(lua_State *L) {
  struct rng *r = luaL_checkudata(L, 1, RNG_NAME);
  lua_Integer low = luaL_checkinteger(L, 2), high = luaL_checkinteger(L, 3);
  luaL_argcheck(L, low <= high, 3, "the range is empty");
  uint64_t span = (uint64_t)high - (uint64_t)low + 1;
  uint64_t v = span ? rng_below(r, span) : rng_u64(r);
  lua_pushinteger(L, (lua_Integer)((uint64_t)low + v));
  return 1;
}

static int rng_number_(lua_State *L) {
  lua_pushnumber(L, rng_double(luaL_checkudata(L, 1, RNG_NAME)));
  return 1;
}

static int rng_normal_(lua_State *L) {
  lua_pushnumber(L, rng_normal(luaL_checkudata(L, 1, RNG_NAME)));
  return 1;
}

static int rng_shuffle_(lua_State *L) {
  struct rng *r = luaL_checkudata(L, 1, RNG_NAME);
  luaL_checktype(L, 2, LUA_TTABLE);
  for (lua_Integer i = luaL_len(L, 2); i > 1; i--) {
    lua_Integer j = (lua_Integer)rng_below(r, (uint64_t)i) + 1;
    lua_geti(L, 2, i);
    lua_geti(L, 2, j);
    lua_seti(L, 2, i);
    lua_seti(L, 2, j);
  }
  lua_settop(L, 2);
  return 1;
}

static int rng_tostring(lua_State *L) {
  luaL_checkudata(L, 1, RNG_NAME);
  lua_pushliteral(L, "random number generator");
  return 1;
}

int luaopen_engine_hash(lua_State *L);
int luaopen_engine_hash(lua_State *L) {
  static const luaL_Reg methods[] = {{"integer", rng_integer_},
                                     {"number", rng_number_},
                                     {"normal", rng_normal_},
                                     {"shuffle", rng_shuffle_},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__tostring", rng_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"sha256", l_sha256}, {"xxh3", l_xxh3}, {"rng", l_rng}, {NULL, NULL}};
  bind_metatable(L, RNG_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
