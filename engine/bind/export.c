/* SPDX-License-Identifier: MIT */
/* require "engine.export": records from JSONL files to JSONL, JSON, CSV, text and Parquet files. */
#include "store/export.h"
#include "bind/bind.h"
#include "store/compress.h"

#include <string.h>

#define EXPORT_NAME "lathe.export"
#define STRINGS_MAX 2000

static int export_gc(lua_State *L) {
  struct export **e = luaL_checkudata(L, 1, EXPORT_NAME);
  export_free(*e);
  *e = NULL;
  return 0;
}

static struct export *check(lua_State *L) {
  struct export **e = luaL_checkudata(L, 1, EXPORT_NAME);
  if (!*e) luaL_error(L, "this exporter is closed");
  return *e;
}

/* Keeps the value on top (popped) for as long as the exporter at index `self` lives. */
static void anchor(lua_State *L, int self) {
  lua_getiuservalue(L, self, 1);
  lua_insert(L, -2);
  lua_seti(L, -2, luaL_len(L, -2) + 1);
  lua_pop(L, 1);
}

/* The strings of the list options[key]; the list is anchored by the caller's table. */
static size_t strings_of(lua_State *L, int arg, const char *key, const char **out) {
  size_t count = 0;
  if (lua_getfield(L, arg, key) == LUA_TNIL) return lua_pop(L, 1), 0;
  luaL_argcheck(L, lua_istable(L, -1), arg, "a list of strings was expected");
  lua_Integer n = luaL_len(L, -1);
  luaL_argcheck(L, n <= STRINGS_MAX, arg, "too many strings");
  for (lua_Integer i = 1; i <= n; i++) {
    luaL_argcheck(L, lua_geti(L, -1, i) == LUA_TSTRING, arg, "a list of strings was expected");
    out[count++] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return count;
}

static int force_types(lua_State *L, struct export *e, int arg, struct err *err) {
  if (lua_getfield(L, arg, "types") == LUA_TNIL) return lua_pop(L, 1), 0;
  luaL_argcheck(L, lua_istable(L, -1), arg, "types must be a list of names and types");
  lua_Integer n = luaL_len(L, -1);
  int rc = 0;
  for (lua_Integer i = 1; !rc && i < n; i += 2) {
    enum schema_type type;
    lua_geti(L, -1, i);
    lua_geti(L, -2, i + 1);
    const char *column = luaL_checkstring(L, -2), *name = luaL_checkstring(L, -1);
    if (!schema_type_named(name, &type))
      rc =
          err_set(err, ERR_MISUSE,
                  "column '%s': '%s' is no type (string, int64, double, bool, json)", column, name);
    else
      rc = export_force(e, column, type, err);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return rc;
}

/*** Begins an export: JSONL files in, one or more data set files out.
-- @function engine.export.new
-- @param options table: { route = { "metadata.split" }, fields = { "text", "content" } (pairs: path, name),
--   drop_metadata = false, types = { "id", "int64" } (pairs),
--   tallies = { "source" } (paths whose values are counted) }, each optional
-- @return exporter: e:feed(path, "observe"|"put", piece) → "done", "more" (after `piece` bytes), "route" or
--   "missing" and the route's values as a JSON array, "misfit" (what was guessed is wrong); e:target(path, options) → number; e:share(number); e:settle(); e:schema() → JSON;
--   e:finish() → list of { target, path, bytes, records, sha256 }; e:commit(); e:close()
-- @error misuse (a type that does not exist) */
static int l_new(lua_State *L) {
  static const char *const known[] = {"route", "fields", "drop_metadata", "types", "tallies", NULL};
  const char *route[64], *fields[STRINGS_MAX], *tallies[STRINGS_MAX];
  struct export_options o = {0};
  struct err err;
  lua_settop(L, 1);
  luaL_checktype(L, 1, LUA_TTABLE);
  bind_options(L, 1, known);
  luaL_argcheck(L, lua_getfield(L, 1, "route") == LUA_TNIL || luaL_len(L, -1) <= 64, 1,
                "route: at most 64 fields");
  lua_settop(L, 1);
  struct export **e = bind_new(L, sizeof *e, EXPORT_NAME);
  lua_newtable(L);
  lua_setiuservalue(L, 2, 1);
  o.route_count = strings_of(L, 1, "route", route);
  o.field_count = strings_of(L, 1, "fields", fields);
  o.tally_count = strings_of(L, 1, "tallies", tallies);
  o.drop_metadata = bind_opt_boolean(L, 1, "drop_metadata", false);
  /* the arrays must outlive this call */
  const char **kept =
      lua_newuserdatauv(L, (o.route_count + o.field_count + o.tally_count + 1) * sizeof *kept, 0);
  memcpy(kept, route, o.route_count * sizeof *kept);
  memcpy(kept + o.route_count, fields, o.field_count * sizeof *kept);
  memcpy(kept + o.route_count + o.field_count, tallies, o.tally_count * sizeof *kept);
  anchor(L, 2);
  lua_pushvalue(L, 1);
  anchor(L, 2);
  o.route = kept;
  o.fields = o.field_count ? kept + o.route_count : NULL;
  o.tallies = kept + o.route_count + o.field_count;
  if (export_new(e, &o, &err) || force_types(L, *e, 1, &err)) return bind_fail(L, &err);
  lua_settop(L, 2);
  return 1;
}

static int export_feed_(lua_State *L) {
  static const char *const passes[] = {"observe", "put", NULL};
  static const char *const states[] = {"done", "more", "route", "misfit", "missing"};
  struct export *e = check(L);
  const char *path = luaL_checkstring(L, 2);
  int pass = luaL_checkoption(L, 3, "put", passes);
  struct err err;
  size_t n;
  lua_Integer piece = luaL_optinteger(L, 4, (lua_Integer)32 << 20);
  luaL_argcheck(L, piece > 0, 4, "a number of bytes");
  enum export_state state = export_feed(e, path, (enum export_pass)pass, (uint64_t)piece, &err);
  if (state == EXPORT_FAILED) return bind_fail(L, &err);
  lua_pushstring(L, states[state]);
  const char *route = export_route(e, &n);
  lua_pushlstring(L, route, n);
  lua_pushinteger(L, (lua_Integer)export_line(e));
  return 3;
}

static int choice(lua_State *L, int arg, const char *key, const char *fallback,
                  const char *const *names) {
  const char *s = bind_opt_string(L, arg, key, fallback);
  for (int i = 0; names[i]; i++)
    if (!strcmp(names[i], s)) return i;
  return luaL_error(L, "option '%s': '%s' is not known", key, s);
}

/* e:target(path, { format, codec, level, shard, delimiter, header, formula_safe, field, separator,
 * compression, group_bytes }) → number */
static int export_target_(lua_State *L) {
  static const char *const known[] = {
      "format", "codec",     "level",       "shard",       "delimiter", "header", "formula_safe",
      "field",  "separator", "compression", "group_bytes", "sync",      NULL};
  static const char *const formats[] = {"jsonl", "json", "csv", "txt", "parquet", NULL};
  static const char *const codecs[] = {"none", "gzip", "zstd", NULL};
  static const int parquet_codecs[] = {0, 2, 6};
  struct export *e = check(L);
  const char *path = luaL_checkstring(L, 2);
  struct writer_options o = {0};
  struct err err;
  size_t number;
  lua_settop(L, 3);
  bind_options(L, 3, known);
  o.format = (enum writer_format)choice(L, 3, "format", "jsonl", formats);
  o.codec = (enum sink_codec)choice(L, 3, "codec", "none", codecs);
  o.level = (int)bind_opt_integer(L, 3, "level", 0, 0, 22);
  o.shard = (uint64_t)bind_opt_integer(L, 3, "shard", 0, 0, LUA_MAXINTEGER);
  const char *delimiter = bind_opt_string(L, 3, "delimiter", ",");
  luaL_argcheck(L, strlen(delimiter) == 1, 3, "delimiter must be one character");
  o.delimiter = *delimiter;
  o.no_header = !bind_opt_boolean(L, 3, "header", true);
  o.formula_safe = bind_opt_boolean(L, 3, "formula_safe", false);
  o.parquet_codec =
      parquet_codecs[choice(L, 3, "compression", codec_has_zstd() ? "zstd" : "gzip", codecs)];
  o.group_bytes = (uint64_t)bind_opt_integer(L, 3, "group_bytes", 0, 0, (lua_Integer)256 << 20);
  o.field = bind_opt_string(L, 3, "field", "text");
  o.field_n = strlen(o.field);
  o.no_sync = !bind_opt_boolean(L, 3, "sync", true);
  o.separator = "\n", o.separator_n = 1;
  if (lua_istable(L, 3) && lua_getfield(L, 3, "separator") == LUA_TSTRING)
    o.separator = lua_tolstring(L, -1, &o.separator_n);
  lua_settop(L, 3);
  anchor(L, 1);
  if (export_target(e, path, &o, &number, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)number + 1);
  return 1;
}

static int export_share_(lua_State *L) {
  struct err err;
  if (export_share(check(L), (size_t)luaL_checkinteger(L, 2) - 1, &err)) return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* e:settle(guessed) ends the first pass, or what of it was done: then also forgets the place in the file. */
static int export_settle_(lua_State *L) {
  struct export *e = check(L);
  export_rewind(e);
  export_settle(e, lua_toboolean(L, 2));
  return 0;
}

static int export_schema_(lua_State *L) {
  struct export *e = check(L);
  struct buf *b = bind_buf(L);
  schema_show(&export_schema(e)->root, b);
  bind_push_buf(L, b);
  return 1;
}

/* e:finish() → list of { target, path, bytes, records, sha256 } */
static int export_finish_(lua_State *L) {
  struct export *e = check(L);
  struct err err;
  lua_Integer n = 0;
  if (export_finish(e, &err)) return bind_fail(L, &err);
  lua_newtable(L);
  for (size_t t = 0; t < export_targets(e); t++) {
    struct writer *w = export_writer(e, t);
    for (size_t i = 0; i < writer_files(w); i++) {
      struct writer_file f = writer_file(w, i);
      char hex[SHA256_HEX];
      hash_hex(f.sha256, SHA256_BYTES, hex);
      lua_createtable(L, 0, 5);
      lua_pushinteger(L, (lua_Integer)t + 1);
      lua_setfield(L, -2, "target");
      lua_pushstring(L, f.path);
      lua_setfield(L, -2, "path");
      lua_pushinteger(L, (lua_Integer)f.bytes);
      lua_setfield(L, -2, "bytes");
      lua_pushinteger(L, (lua_Integer)f.records);
      lua_setfield(L, -2, "records");
      lua_pushstring(L, hex);
      lua_setfield(L, -2, "sha256");
      lua_seti(L, -2, ++n);
    }
  }
  return 1;
}

static int export_commit_(lua_State *L) {
  struct err err;
  if (export_commit(check(L), &err)) return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/* e:lacking(i): how many records lacked the i-th of the chosen fields; how many records there were. */
static int export_lacking_(lua_State *L) {
  struct export *e = check(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 1 && i <= STRINGS_MAX / 2, 2, "no such field");
  lua_pushinteger(L, (lua_Integer)export_lacking(e, (size_t)i - 1));
  lua_pushinteger(L, (lua_Integer)export_records(e));
  return 2;
}

/* e:tally(i): what was counted of the i-th tally: JSON {"values":[[value,count],…],"more","none"}. */
static int export_tally_(lua_State *L) {
  struct export *e = check(L);
  lua_Integer i = luaL_checkinteger(L, 2);
  luaL_argcheck(L, i >= 1 && i <= (lua_Integer)export_tallies(e), 2, "no such tally");
  struct buf *b = bind_buf(L);
  export_tally(e, (size_t)i - 1, b);
  bind_push_buf(L, b);
  return 1;
}

int luaopen_engine_export(lua_State *L);
int luaopen_engine_export(lua_State *L) {
  static const luaL_Reg methods[] = {{"feed", export_feed_},
                                     {"target", export_target_},
                                     {"share", export_share_},
                                     {"settle", export_settle_},
                                     {"schema", export_schema_},
                                     {"finish", export_finish_},
                                     {"commit", export_commit_},
                                     {"tally", export_tally_},
                                     {"lacking", export_lacking_},
                                     {"close", export_gc},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", export_gc}, {"__close", export_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"new", l_new}, {NULL, NULL}};
  bind_metatable(L, EXPORT_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
