/* SPDX-License-Identifier: MIT */
/* require "engine.file": files by line, whole, and written through the one atomic replace. */
#include "base/hash.h"
#include "bind/file.h"
#include "bind/bind.h"

#include <string.h>

#define LINES_NAME   "lathe.lines"
#define REPLACE_NAME "lathe.file_replace"
#define STREAM_NAME  "lathe.stream"

/*** The whole of a small file.
-- @function engine.file.read
-- @param path string: which file
-- @param limit integer: optional, the most bytes allowed (default 1 GiB)
-- @return string: its bytes
-- @error not_found, io, limit
-- @example require("engine.file").read("README.md") */
static int l_read(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer limit = luaL_optinteger(L, 2, (lua_Integer)1 << 30);
  struct err err;
  struct buf *b = bind_buf(L);
  if (file_read(path, (uint64_t)limit, b, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  return 1;
}

/*** Bytes [from, to) of a file.
-- @function engine.file.read_range
-- @param path string: which file
-- @param from integer: offset of the first byte, from 0
-- @param to integer: offset behind the last byte
-- @return string: the bytes
-- @error not_found, io, format (the file is shorter) */
static int l_read_range(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_Integer from = luaL_checkinteger(L, 2), to = luaL_checkinteger(L, 3);
  struct err err;
  struct buf *b = bind_buf(L);
  if (file_read_range(path, (uint64_t)from, (uint64_t)to, b, &err)) return bind_fail(L, &err);
  bind_push_buf(L, b);
  return 1;
}

static int truth(lua_State *L, int rc, const struct err *err) {
  if (rc) return bind_fail(L, err);
  lua_pushboolean(L, 1);
  return 1;
}

/*** Makes or replaces a file in one step: whatever happens it is the old one or the new one.
-- @function engine.file.write
-- @param path string: which file
-- @param bytes string: its new contents
-- @param sync boolean: optional; false skips fsync, for what a re-run makes again (default true)
-- @param private boolean: optional; true keeps others from reading it (default false)
-- @return boolean: true
-- @error io (the disk is full, no permission …) */
static int l_write(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1), *s = luaL_checklstring(L, 2, &n);
  int flags = lua_isboolean(L, 3) && !lua_toboolean(L, 3) ? FILE_NO_SYNC : 0;
  if (lua_toboolean(L, 4)) flags |= FILE_PRIVATE;
  struct err err;
  return truth(L, file_write(path, s, n, flags, &err), &err);
}

/*** Appends one block to a file with a single write; makes the file when it is missing.
-- @function engine.file.append
-- @param path string: which file
-- @param bytes string: what to append
-- @return boolean: true
-- @error io */
static int l_append(lua_State *L) {
  size_t n;
  const char *path = luaL_checkstring(L, 1), *s = luaL_checklstring(L, 2, &n);
  struct err err;
  return truth(L, file_append(path, s, n, &err), &err);
}

/*** What is known of a path.
-- @function engine.file.stat
-- @param path string: a file or folder
-- @return table|nil: { type = "file"|"folder"|"other", size, mtime_ns }, or nil when nothing is
there
-- @error io */
static int l_stat(lua_State *L) {
  struct file_info info;
  struct err err;
  if (file_stat(luaL_checkstring(L, 1), &info, &err)) return bind_fail(L, &err);
  if (!info.exists) return 0;
  lua_createtable(L, 0, 4);
  lua_pushstring(L, info.is_dir ? "folder" : info.is_file ? "file" : "other");
  lua_setfield(L, -2, "type");
  lua_pushboolean(L, info.is_link);
  lua_setfield(L, -2, "link");
  lua_pushinteger(L, (lua_Integer)info.size);
  lua_setfield(L, -2, "size");
  lua_pushinteger(L, info.mtime_ns);
  lua_setfield(L, -2, "mtime_ns");
  return 1;
}

/*** Makes a folder and those above it that are missing.
-- @function engine.file.mkdirs
-- @param path string: the folder
-- @return boolean: true
-- @error io */
static int l_mkdirs(lua_State *L) {
  struct err err;
  return truth(L, file_mkdirs(luaL_checkstring(L, 1), &err), &err);
}

/*** Removes a file or a folder with all that is in it; links are removed, not followed.
-- @function engine.file.remove_tree
-- @param path string: what to remove; missing is fine
-- @return boolean: true
-- @error io */
static int l_remove_tree(lua_State *L) {
  struct err err;
  return truth(L, file_remove_tree(luaL_checkstring(L, 1), &err), &err);
}

/*** Renames a file or folder and makes the new name durable.
-- @function engine.file.rename
-- @param from string: the old path
-- @param to string: the new path
-- @return boolean: true
-- @error io */
static int l_rename(lua_State *L) {
  struct err err;
  return truth(L, file_rename(luaL_checkstring(L, 1), luaL_checkstring(L, 2), &err), &err);
}

struct listing {
  lua_State *L;
  lua_Integer n;
};

static int push_entry(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, lua_touserdata(L, 2));
  lua_setfield(L, -2, "name");
  lua_pushboolean(L, lua_toboolean(L, 3));
  lua_setfield(L, -2, "is_dir");
  lua_seti(L, 1, lua_tointeger(L, 4));
  return 0;
}

/* Runs inside C that holds memory: nothing may raise, so each entry is pushed in protected mode. */
static int list_entry(void *arg, const char *name, bool is_dir, struct err *err) {
  struct listing *l = arg;
  lua_State *L = l->L;
  if (!lua_checkstack(L, 8)) return err_nomem(err, 0, "a folder's list");
  lua_pushcfunction(L, push_entry);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, (void *)(uintptr_t)name);
  lua_pushboolean(L, is_dir);
  lua_pushinteger(L, ++l->n);
  if (lua_pcall(L, 4, 0, 0) == LUA_OK) return 0;
  lua_pop(L, 1);
  return err_nomem(err, 0, "a folder's list");
}

/*** The entries of a folder, in byte order of their names.
-- @function engine.file.list
-- @param path string: the folder
-- @return table: list of { name, is_dir }
-- @error not_found, io */
static int l_list(lua_State *L) {
  struct err err;
  const char *path = luaL_checkstring(L, 1);
  lua_settop(L, 1);
  lua_newtable(L);
  struct listing l = {L, 0};
  if (file_list(path, list_entry, &l, &err)) return bind_fail(L, &err);
  lua_settop(L, 2);
  return 1;
}

/*** SHA-256 of a file's bytes, read as a stream.
-- @function engine.file.sha256
-- @param path string: which file
-- @return string: 64 hexadecimal digits
-- @error not_found, io */
static int l_sha256(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  unsigned char digest[SHA256_BYTES];
  char hex[SHA256_HEX];
  struct err err;
  if (file_sha256(path, digest, &err)) return bind_fail(L, &err);
  hash_hex(digest, sizeof digest, hex);
  lua_pushlstring(L, hex, SHA256_HEX - 1);
  return 1;
}

/*** A quick hash of a file's bytes: for caches, not for identity.
-- @function engine.file.quick_hash
-- @param path string: which file
-- @return string: 32 hexadecimal digits
-- @error not_found, io */
static int l_quick_hash(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  uint64_t words[2];
  char hex[33];
  struct err err;
  if (file_xxh3(path, words, &err)) return bind_fail(L, &err);
  hash_hex(words, sizeof words, hex);
  lua_pushlstring(L, hex, 32);
  return 1;
}

/* ---- streams ---- */

static int stream_gc(lua_State *L) {
  struct stream **s = luaL_checkudata(L, 1, STREAM_NAME);
  stream_close(*s);
  *s = NULL;
  return 0;
}

static int stream_fill(struct stream *s, struct buf *b, size_t n, bool some, struct err *err) {
  long long got = 1;
  int rc = buf_reserve(b, n) ? err_nomem(err, n, "bytes of a stream") : 0;
  while (!rc && b->len < n && got > 0) {
    got = stream_read(s, b->data + b->len, n - b->len, err);
    if (got < 0) return err->code;
    b->len += (size_t)got;
    if (some) break;
  }
  return rc;
}

/* stream:read(n): up to n bytes, fewer only at the end; nil alone when there are none.
 * stream:read(n, true): what there is now, waiting for the first byte only. */
static int l_stream_read(lua_State *L) {
  struct stream **s = luaL_checkudata(L, 1, STREAM_NAME);
  lua_Integer n = luaL_checkinteger(L, 2);
  luaL_argcheck(L, n > 0 && n <= (lua_Integer)1 << 30, 2, "from 1 byte to 1 GiB");
  if (!*s) return luaL_error(L, "this stream is closed");
  struct err err;
  bool some = lua_toboolean(L, 3);
  struct buf *b = bind_buf(L);
  if (stream_fill(*s, b, (size_t)n, some, &err)) return bind_fail(L, &err);
  if (!b->len) return lua_pushnil(L), 1;
  bind_push_buf(L, b);
  return 1;
}

/*** Opens the bytes of a plain, gzip or zstd file, to be read in order: s:read(n), s:close().
-- @function engine.file.stream
-- @param path string: which file; /dev/stdin too
-- @return stream: s:read(n) gives n bytes, fewer at the end, then nil; nil, message, code when it fails;
--   s:read(n, true) gives what there is without waiting for more
-- @error not_found, io, format (damaged gzip or zstd), cancelled
-- @example local s = require("engine.file").stream("book.txt.gz"); print(#s:read(1000)) */
static int l_stream(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stream **s = bind_new(L, sizeof *s, STREAM_NAME);
  struct err err;
  if (stream_open(s, path, &err)) return bind_fail(L, &err);
  return 1;
}

/* ---- lines ---- */

struct reader {
  struct lines *lines; /* NULL: closed */
  bool records;        /* blank lines are passed over */
};

static int lines_gc(lua_State *L) {
  struct reader *r = luaL_checkudata(L, 1, LINES_NAME);
  lines_close(r->lines);
  r->lines = NULL;
  return 0;
}

struct lines *bind_check_lines(lua_State *L, int arg) {
  struct reader *r = luaL_checkudata(L, arg, LINES_NAME);
  if (!r->lines) luaL_argerror(L, arg, "these lines are closed");
  return r->lines;
}

int bind_push_line(lua_State *L, const struct line *line) {
  if (line->too_long)
    lua_pushboolean(L, 0);
  else
    lua_pushlstring(L, line->text, line->len);
  lua_pushinteger(L, (lua_Integer)line->number);
  lua_pushinteger(L, (lua_Integer)line->offset);
  lua_pushinteger(L, (lua_Integer)line->len);
  return 4;
}

/* The iterator: text, number, offset; or nil at the end. A line too long: false, number, offset,
 * length. A read error raises: a loop over half a file must not look like a whole one. */
static int lines_call(lua_State *L) {
  struct reader *r = luaL_checkudata(L, 1, LINES_NAME);
  struct line line;
  struct err err;
  if (!r->lines) return luaL_error(L, "these lines are closed");
  int got =
      r->records ? lines_next_record(r->lines, &line, &err) : lines_next(r->lines, &line, &err);
  if (got < 0) return luaL_error(L, "%s", err.message);
  if (got == 0) return lua_pushnil(L), 1;
  return bind_push_line(L, &line);
}

/*** Iterates over the lines of a plain, gzip or zstd file.
-- Gives text, number, offset; a line longer than max_line gives false in place of its text.
-- @function engine.file.lines
-- @param path string: which file
-- @param options table: optional { max_line = bytes (64 MiB), from = offset, to = offset,
-- records = true: blank lines are passed over }
-- @return iterator: also to be closed with <close>
-- @error not_found, io, format (damaged gzip or zstd)
-- @example for text, number in require("engine.file").lines("data.jsonl") do print(number, #text)
end */
static int l_lines(lua_State *L) {
  static const char *const known[] = {"max_line", "from", "to", "records", NULL};
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  bind_options(L, 2, known);
  lua_Integer max =
      bind_opt_integer(L, 2, "max_line", (lua_Integer)LINES_MAX_DEFAULT, 1, (lua_Integer)1 << 40);
  lua_Integer from = bind_opt_integer(L, 2, "from", 0, 0, LUA_MAXINTEGER);
  lua_Integer to = bind_opt_integer(L, 2, "to", LUA_MAXINTEGER, from, LUA_MAXINTEGER);
  bool records = bind_opt_boolean(L, 2, "records", false);
  struct reader *r = bind_new(L, sizeof *r, LINES_NAME);
  r->records = records;
  if (lines_open_range(&r->lines, path, (uint64_t)from, (uint64_t)to, (size_t)max, &err))
    return bind_fail(L, &err);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, -3); /* fourth value of a generic for: closed when the loop ends */
  return 4;
}

/* ---- writers ---- */

static struct file_replace *writer(lua_State *L) {
  struct file_replace **w = luaL_checkudata(L, 1, REPLACE_NAME);
  if (!*w) luaL_error(L, "this writer is closed");
  return *w;
}

struct file_replace *bind_check_writer(lua_State *L, int arg) {
  struct file_replace **w = luaL_checkudata(L, arg, REPLACE_NAME);
  if (!*w) luaL_argerror(L, arg, "this writer is closed");
  return *w;
}

static int replace_gc(lua_State *L) {
  struct file_replace **w = luaL_checkudata(L, 1, REPLACE_NAME);
  file_replace_close(*w);
  *w = NULL;
  return 0;
}

static int replace_write(lua_State *L) {
  struct file_replace *w = writer(L);
  int n = lua_gettop(L);
  for (int i = 2; i <= n; i++) {
    size_t len;
    struct err err;
    const char *s = luaL_checklstring(L, i, &len);
    if (file_replace_write(w, s, len, &err)) return bind_fail(L, &err);
  }
  lua_settop(L, 1);
  return 1;
}

static int replace_append(lua_State *L) {
  struct err err;
  const char *path = luaL_checkstring(L, 2);
  if (file_replace_append(writer(L), path, &err)) return bind_fail(L, &err);
  lua_settop(L, 1);
  return 1;
}

static int replace_commit(lua_State *L) {
  struct err err;
  int rc = file_replace_commit(writer(L), &err);
  replace_gc(L);
  return truth(L, rc, &err);
}

static int replace_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)file_replace_size(writer(L)));
  return 1;
}

/*** Opens a file to be made or replaced in one step: w:write(…), then w:commit(); closed without
commit
-- nothing has happened.
-- @function engine.file.replace
-- @param path string: which file
-- @param sync boolean|string: optional; false skips fsync (default true); "before": another file follows
-- into the same folder, and this one counts only when that one is there
-- @return writer: w:write(bytes …), w:append(path) (all of another file), w:size(), w:commit(), w:close()
-- @error io */
static int l_replace(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  int flags = lua_isboolean(L, 2) && !lua_toboolean(L, 2) ? FILE_NO_SYNC : 0;
  if (lua_type(L, 2) == LUA_TSTRING) {
    luaL_argcheck(L, !strcmp(lua_tostring(L, 2), "before"), 2, "true, false or 'before' expected");
    flags = FILE_BEFORE;
  }
  struct err err;
  struct file_replace **w = bind_new(L, sizeof *w, REPLACE_NAME);
  if (file_replace_open(w, path, flags, &err)) return bind_fail(L, &err);
  return 1;
}

/* ---- locks and cuts ---- */

#define LOCK_NAME "lathe.file_lock"

static int lock_gc(lua_State *L) {
  int *fd = luaL_checkudata(L, 1, LOCK_NAME);
  if (*fd > 0) file_unlock(*fd - 1);
  *fd = 0;
  return 0;
}

/*** Locks a file (made when missing) against other processes until closed.
-- @function engine.file.lock
-- @param path string: which file
-- @return lock: lock:close()
-- @error transient (another process holds it), io */
static int l_lock(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  int fd;
  int *held = bind_new(L, sizeof *held, LOCK_NAME); /* descriptor + 1; 0 is closed */
  if (file_lock(path, &fd, &err)) return bind_fail(L, &err);
  *held = fd + 1;
  return 1;
}

static int add_boundary(void *arg, uint64_t offset, uint64_t line, struct err *err) {
  buf_add(arg, &offset, sizeof offset);
  buf_add(arg, &line, sizeof line);
  return buf_check(arg, "part boundaries", err);
}

/*** Cuts a file of lines into groups of at most so many records or bytes.
-- @function engine.file.cut
-- @param path string: a JSONL file
-- @param options table: { max_records, max_bytes, records = 0, bytes = 0 (of the group still open)
}
-- @return table: { boundaries = {offset, line, offset, line …}, records, bytes (of the open group),
total (records of the file: its lines that are not blank), lines, size }
-- @error not_found, io */
static int l_cut(lua_State *L) {
  static const char *const known[] = {"max_records", "max_bytes", "records", "bytes", NULL};
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct file_cut cut;
  uint64_t offset;
  lua_settop(L, 2);
  bind_options(L, 2, known);
  lua_Integer records = bind_opt_integer(L, 2, "max_records", LUA_MAXINTEGER, 1, LUA_MAXINTEGER);
  lua_Integer bytes = bind_opt_integer(L, 2, "max_bytes", LUA_MAXINTEGER, 1, LUA_MAXINTEGER);
  cut.records = (uint64_t)bind_opt_integer(L, 2, "records", 0, 0, LUA_MAXINTEGER);
  cut.bytes = (uint64_t)bind_opt_integer(L, 2, "bytes", 0, 0, LUA_MAXINTEGER);
  struct buf *list = bind_buf(L);
  if (file_cut(path, (uint64_t)records, (uint64_t)bytes, &cut, add_boundary, list, &err))
    return bind_fail(L, &err);
  lua_createtable(L, 0, 6);
  lua_createtable(L, (int)(list->len / sizeof offset), 0);
  for (size_t i = 0; i < list->len / sizeof offset; i++) {
    memcpy(&offset, list->data + i * sizeof offset, sizeof offset);
    lua_pushinteger(L, (lua_Integer)offset);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "boundaries");
  lua_pushinteger(L, (lua_Integer)cut.records);
  lua_setfield(L, -2, "records");
  lua_pushinteger(L, (lua_Integer)cut.bytes);
  lua_setfield(L, -2, "bytes");
  lua_pushinteger(L, (lua_Integer)cut.total);
  lua_setfield(L, -2, "total");
  lua_pushinteger(L, (lua_Integer)cut.lines);
  lua_setfield(L, -2, "lines");
  lua_pushinteger(L, (lua_Integer)cut.size);
  lua_setfield(L, -2, "size");
  return 1;
}

int luaopen_engine_file(lua_State *L);
int luaopen_engine_file(lua_State *L) {
  static const luaL_Reg line_methods[] = {{"close", lines_gc}, {NULL, NULL}};
  static const luaL_Reg line_meta[] = {
      {"__call", lines_call}, {"__gc", lines_gc}, {"__close", lines_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"write", replace_write},   {"append", replace_append},
                                     {"commit", replace_commit}, {"size", replace_size},
                                     {"close", replace_gc},      {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", replace_gc}, {"__close", replace_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"read", l_read},
                                       {"read_range", l_read_range},
                                       {"write", l_write},
                                       {"append", l_append},
                                       {"stat", l_stat},
                                       {"mkdirs", l_mkdirs},
                                       {"rename", l_rename},
                                       {"remove_tree", l_remove_tree},
                                       {"list", l_list},
                                       {"sha256", l_sha256},
                                       {"quick_hash", l_quick_hash},
                                       {"lines", l_lines},
                                       {"replace", l_replace},
                                       {"lock", l_lock},
                                       {"cut", l_cut},
                                       {"stream", l_stream},
                                       {NULL, NULL}};
  bind_metatable(L, LINES_NAME, line_methods, line_meta);
  static const luaL_Reg stream_methods[] = {
      {"read", l_stream_read}, {"close", stream_gc}, {NULL, NULL}};
  static const luaL_Reg stream_meta[] = {{"__gc", stream_gc}, {"__close", stream_gc}, {NULL, NULL}};
  bind_metatable(L, STREAM_NAME, stream_methods, stream_meta);
  static const luaL_Reg lock_methods[] = {{"close", lock_gc}, {NULL, NULL}};
  static const luaL_Reg lock_meta[] = {{"__gc", lock_gc}, {"__close", lock_gc}, {NULL, NULL}};
  bind_metatable(L, REPLACE_NAME, methods, meta);
  bind_metatable(L, LOCK_NAME, lock_methods, lock_meta);
  luaL_newlib(L, functions);
  return 1;
}
