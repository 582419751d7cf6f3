/* SPDX-License-Identifier: MIT */
/* require "engine.dedup": exact and near duplicates within a ceiling of memory; runs of words that
 * records share with others. */
#include "bind/bind.h"
#include "dedup/dedup.h"
#include "dedup/minhash.h"
#include "dedup/overlap.h"

#include <stdio.h>
#include <string.h>

#define DEDUP_NAME "lathe.dedup"
#define FIELDS_MAX 64

static struct dedup *check_dedup(lua_State *L) {
  struct dedup **d = luaL_checkudata(L, 1, DEDUP_NAME);
  if (!*d) luaL_error(L, "this dedup is closed");
  return *d;
}

static int dedup_gc(lua_State *L) {
  struct dedup **d = luaL_checkudata(L, 1, DEDUP_NAME);
  dedup_free(*d);
  *d = NULL;
  return 0;
}

/*** Begins looking for duplicates among records that are added one after the other.
-- d:add(text) adds one (nil: no text); d:add_lines(path, field or list of them) one for every line of a JSONL file and
-- returns how many; d:finish() ends and returns { records, kept, exact, near, clusters, absent, shingles,
-- candidates, checked, spilled }; then d:verdict(i) (from 1) gives "keep", or "exact" or "near", the
-- number of the record that is kept, the similarity to it and the cluster's name (nil: alone); d:id(i) is
-- the record's id. d:banding() gives bands and rows. d:close() removes its files.
-- Of a cluster the record with the smallest metadata.path and position stays, whatever the order of adding.
-- @function engine.dedup.new
-- @param options table: optional { near = similarity, 0 for exact ones only (0.8), ngram = words (5),
-- bands, rows (chosen for near: 14 and 8 from 0.8 on), verify = compare candidates (true), normalise =
-- compare simplified words for exact ones (false), distinct_numbers = numbers are words as they are
-- written, not all the same one (false), memory = bytes (256 MiB), scratch = folder for what exceeds it
-- ("/tmp"), scope = a member of lines such as "metadata.document": only records with the same value are
-- compared }
-- @return dedup: the object
-- @error misuse, no_memory
-- @example local d = require("engine.dedup").new(); d:add "a b"; d:add "a b"; d:finish(); print(d:verdict(2)) --> exact 1 1.0 … */
static int l_new(lua_State *L) {
  static const char *const known[] = {
      "near",   "ngram",   "bands", "rows", "verify", "normalise", "distinct_numbers",
      "memory", "scratch", "scope", NULL};
  struct dedup_options o;
  struct err err;
  dedup_defaults(&o);
  bind_options(L, 1, known);
  o.near = bind_opt_number(L, 1, "near", o.near);
  o.ngram = (unsigned)bind_opt_integer(L, 1, "ngram", o.ngram, 1, 32);
  o.bands = (unsigned)bind_opt_integer(L, 1, "bands", 0, 1, 254);
  o.rows = (unsigned)bind_opt_integer(L, 1, "rows", 0, 1, 1024);
  o.unverified = !bind_opt_boolean(L, 1, "verify", true);
  o.normalise = bind_opt_boolean(L, 1, "normalise", false);
  o.distinct_numbers = bind_opt_boolean(L, 1, "distinct_numbers", false);
  o.memory = (size_t)bind_opt_integer(L, 1, "memory", (lua_Integer)o.memory, 0, LUA_MAXINTEGER);
  o.scratch = bind_opt_string(L, 1, "scratch", o.scratch);
  o.scope = bind_opt_string(L, 1, "scope", NULL);
  o.pool = bind_pool(L);
  struct dedup **d = bind_new(L, sizeof *d, DEDUP_NAME);
  if (dedup_new(d, &o, &err)) return bind_fail(L, &err);
  return 1;
}

static int dedup_add_(lua_State *L) {
  struct dedup *d = check_dedup(L);
  struct err err;
  size_t n = 0;
  const char *s = lua_isnil(L, 2) ? NULL : luaL_checklstring(L, 2, &n);
  if (dedup_add(d, s, n, &err)) return bind_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

/* A list of names as a NULL-terminated array; NULL for nil. The table keeps the strings. */
static const char *const *check_fields(lua_State *L, int arg, const char *out[FIELDS_MAX + 1]) {
  if (lua_isnoneornil(L, arg)) return NULL;
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_Unsigned n = lua_rawlen(L, arg);
  luaL_argcheck(L, n > 0 && n <= FIELDS_MAX, arg, "1 to 64 names expected");
  for (lua_Unsigned i = 0; i < n; i++) {
    if (lua_rawgeti(L, arg, (lua_Integer)i + 1) != LUA_TSTRING)
      luaL_argerror(L, arg, "names of fields expected");
    out[i] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  out[n] = NULL;
  return out;
}

static int dedup_add_lines_(lua_State *L) {
  struct dedup *d = check_dedup(L);
  const char *path = luaL_checkstring(L, 2), *names[FIELDS_MAX + 1] = {"text", NULL};
  struct err err;
  uint64_t n;
  if (lua_istable(L, 3))
    check_fields(L, 3, names);
  else
    names[0] = luaL_optstring(L, 3, "text");
  if (dedup_add_lines(d, path, names, &n, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)n);
  return 1;
}

static int dedup_finish_(lua_State *L) {
  struct dedup *d = check_dedup(L);
  struct dedup_facts f;
  struct err err;
  if (dedup_finish(d, &f, &err)) return bind_fail(L, &err);
  const struct {
    const char *name;
    uint64_t value;
  } facts[] = {{"records", f.records}, {"kept", f.kept},         {"exact", f.exact},
               {"near", f.near},       {"clusters", f.clusters}, {"absent", f.absent},
               {"checked", f.checked}, {"shingles", f.shingles}, {"candidates", f.candidates},
               {"spilled", f.spilled}};
  lua_createtable(L, 0, 10);
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
    lua_pushinteger(L, (lua_Integer)facts[i].value);
    lua_setfield(L, -2, facts[i].name);
  }
  return 1;
}

static const char *hex16(uint64_t v, char *out) {
  snprintf(out, 17, "%016llx", (unsigned long long)v);
  return out;
}

static int dedup_verdict_(lua_State *L) {
  static const char *const kinds[] = {"keep", "exact", "near"};
  struct dedup *d = check_dedup(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  if (!dedup_finished(d)) return luaL_error(L, "dedup: verdicts are there after finish()");
  luaL_argcheck(L, i >= 1 && (lua_Unsigned)i <= dedup_count(d), 2, "no such record");
  struct dedup_verdict v = dedup_verdict(d, (uint64_t)i - 1);
  lua_pushstring(L, kinds[v.kind]);
  lua_pushinteger(L, (lua_Integer)v.of + 1);
  if (v.similarity > 0.0)
    lua_pushnumber(L, v.similarity);
  else
    lua_pushnil(L); /* not compared */
  if (v.cluster)
    lua_pushfstring(L, "%s", hex16(v.cluster, (char[17]){0}));
  else
    lua_pushnil(L);
  return 4;
}

static int dedup_id_(lua_State *L) {
  struct dedup *d = check_dedup(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  if (!dedup_finished(d)) return luaL_error(L, "dedup: ids are there after finish()");
  luaL_argcheck(L, i >= 1 && (lua_Unsigned)i <= dedup_count(d), 2, "no such record");
  lua_pushstring(L, dedup_id(d, (uint64_t)i - 1));
  return 1;
}

static int dedup_banding_(lua_State *L) {
  unsigned bands, rows;
  dedup_banding(check_dedup(L), &bands, &rows);
  lua_pushinteger(L, (lua_Integer)bands);
  lua_pushinteger(L, (lua_Integer)rows);
  return 2;
}

static int dedup_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)dedup_count(check_dedup(L)));
  return 1;
}

static int dedup_tostring(lua_State *L) {
  struct dedup **d = luaL_checkudata(L, 1, DEDUP_NAME);
  if (*d)
    lua_pushfstring(L, "dedup: %I records", (lua_Integer)dedup_count(*d));
  else
    lua_pushliteral(L, "dedup (closed)");
  return 1;
}

/*** The MinHash signature of a set of 32-bit hashes.
-- @function engine.dedup.minhash
-- @param hashes string: packed, 4 bytes each
-- @param count integer: permutations, up to 1024 (128)
-- @return string: packed minima, 4 bytes each; of two sets as many are equal, in expectation, as their
-- Jaccard similarity says
-- @example require("engine.dedup").minhash(string.pack("<I4I4", 1, 2), 128) */
static int l_minhash(lua_State *L) {
  size_t n;
  const char *s = luaL_checklstring(L, 1, &n);
  lua_Integer count = luaL_optinteger(L, 2, 128);
  uint32_t least[MINHASH_MAX];
  luaL_argcheck(L, n % 4 == 0, 1, "packed hashes expected: 4 bytes each");
  luaL_argcheck(L, count >= 1 && count <= MINHASH_MAX, 2, "1 to 1024");
  struct minhash *m = lua_touserdata(L, lua_upvalueindex(1)); /* of the last count */
  if (m->count != (unsigned)count) minhash_init(m, (unsigned)count);
  minhash_least(m, (const uint32_t *)(const void *)s, n / 4, least);
  lua_pushlstring(L, (const char *)least, (size_t)count * 4);
  return 1;
}

/* ---- runs of words in common ---- */

#define OVERLAP_NAME "lathe.overlap"

static struct overlap *check_overlap(lua_State *L) {
  struct overlap **o = luaL_checkudata(L, 1, OVERLAP_NAME);
  if (!*o) luaL_error(L, "this overlap is closed");
  return *o;
}

static int overlap_gc(lua_State *L) {
  struct overlap **o = luaL_checkudata(L, 1, OVERLAP_NAME);
  overlap_free(*o);
  *o = NULL;
  return 0;
}

/*** Begins an index of runs of words, to find records that share some with given rows.
-- o:add(row, line, fields) takes the strings of a JSON object (fields: a list of names; nil: all but id,
-- source and metadata) and returns how many runs they have; o:seal() ends; then o:match(line, fields)
-- gives nothing, or row, runs shared, runs of the record, the passage in common, and whether a row shorter
-- than a run is all of the record.
-- @function engine.dedup.overlap
-- @param options table: optional { ngram = words of a run (13), memory = bytes (256 MiB) }
-- @return overlap: the object
-- @error misuse, no_memory, limit (more runs than the memory holds)
-- @example local o = require("engine.dedup").overlap { ngram = 2 }; o:add(1, '{"q":"a b c"}'); o:seal(); print(o:match '{"text":"x B, c"}') --> 1 1 2 B, c false */
static int l_overlap(lua_State *L) {
  static const char *const known[] = {"ngram", "memory", NULL};
  struct err err;
  bind_options(L, 1, known);
  unsigned n = (unsigned)bind_opt_integer(L, 1, "ngram", 13, 1, 32);
  size_t memory = (size_t)bind_opt_integer(L, 1, "memory", 256 << 20, 0, LUA_MAXINTEGER);
  struct overlap **o = bind_new(L, sizeof *o, OVERLAP_NAME);
  if (overlap_new(o, n, memory, &err)) return bind_fail(L, &err);
  return 1;
}

static int overlap_add_(lua_State *L) {
  struct overlap *o = check_overlap(L);
  lua_Integer row = luaL_checkinteger(L, 2);
  const char *names[FIELDS_MAX + 1];
  size_t n;
  const char *line = luaL_checklstring(L, 3, &n);
  const char *const *fields = check_fields(L, 4, names);
  struct err err;
  uint64_t runs;
  luaL_argcheck(L, row >= 0 && row <= (lua_Integer)UINT32_MAX, 2, "a row's number expected");
  if (overlap_add(o, (uint32_t)row, line, n, fields, &runs, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)runs);
  return 1;
}

static int overlap_seal_(lua_State *L) {
  struct overlap *o = check_overlap(L);
  struct err err;
  if (overlap_seal(o, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)overlap_count(o));
  return 1;
}

static int overlap_match_(lua_State *L) {
  struct overlap *o = check_overlap(L);
  const char *names[FIELDS_MAX + 1];
  size_t n;
  const char *line = luaL_checklstring(L, 2, &n);
  const char *const *fields = check_fields(L, 3, names);
  struct overlap_hit hit;
  struct err err;
  struct buf *passage = bind_buf(L);
  if (overlap_match(o, line, n, fields, &hit, passage, &err)) return bind_fail(L, &err);
  if (!hit.shared) return 0;
  lua_pushinteger(L, (lua_Integer)hit.row);
  lua_pushinteger(L, (lua_Integer)hit.shared);
  lua_pushinteger(L, (lua_Integer)hit.runs);
  bind_push_buf(L, passage);
  lua_pushboolean(L, hit.whole);
  return 5;
}

int luaopen_engine_dedup(lua_State *L);
int luaopen_engine_dedup(lua_State *L) {
  static const luaL_Reg methods[] = {{"add", dedup_add_},       {"add_lines", dedup_add_lines_},
                                     {"finish", dedup_finish_}, {"verdict", dedup_verdict_},
                                     {"id", dedup_id_},         {"banding", dedup_banding_},
                                     {"close", dedup_gc},       {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", dedup_gc},
                                  {"__close", dedup_gc},
                                  {"__len", dedup_len},
                                  {"__tostring", dedup_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg overlap_methods[] = {{"add", overlap_add_},
                                             {"seal", overlap_seal_},
                                             {"match", overlap_match_},
                                             {"close", overlap_gc},
                                             {NULL, NULL}};
  static const luaL_Reg overlap_meta[] = {
      {"__gc", overlap_gc}, {"__close", overlap_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {"overlap", l_overlap}, {NULL, NULL}};
  bind_metatable(L, OVERLAP_NAME, overlap_methods, overlap_meta);
  bind_metatable(L, DEDUP_NAME, methods, meta);
  luaL_newlib(L, functions);
  memset(lua_newuserdatauv(L, sizeof(struct minhash), 0), 0, sizeof(struct minhash));
  lua_pushcclosure(L, l_minhash, 1);
  lua_setfield(L, -2, "minhash");
  return 1;
}
