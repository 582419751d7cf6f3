/* SPDX-License-Identifier: MIT */
/* require "engine.extract": text out of documents, by the separate program lathe-extract. */
#include "extract/client.h"
#include "bind/bind.h"

#define EXTRACT_NAME "lathe.extract"
#define MEMBERS_NAME "lathe.extract.members"

static struct extract *client(lua_State *L) {
  struct extract **x = luaL_checkudata(L, 1, EXTRACT_NAME);
  if (!*x) luaL_error(L, "this extractor is closed");
  return *x;
}

static int extract_gc(lua_State *L) {
  struct extract **x = luaL_checkudata(L, 1, EXTRACT_NAME);
  extract_close(*x);
  *x = NULL;
  return 0;
}

static int fail(lua_State *L, const struct extract *x, const struct err *err) {
  bind_fail(L, err);
  lua_pushstring(L, extract_reason(x));
  return 4;
}

/* x:begin(path, options): true, or nil, message, code, reason. */
static int x_begin(lua_State *L) {
  static const char *const known[] = {"type",         "name",         "segment",
                                      "text_max",     "unpacked_max", "cpu_seconds",
                                      "page_seconds", "idle_seconds", NULL};
  struct extract *x = client(L);
  const char *path = luaL_checkstring(L, 2);
  const lua_Integer huge = (lua_Integer)1 << 50;
  struct err err;
  bind_options(L, 3, known);
  struct extract_options o = {
      .type = bind_opt_string(L, 3, "type", NULL),
      .name = bind_opt_string(L, 3, "name", NULL),
      .segment = (uint64_t)bind_opt_integer(L, 3, "segment", 0, 0, (lua_Integer)1 << 30),
      .text_max = (uint64_t)bind_opt_integer(L, 3, "text_max", 0, 0, huge),
      .unpacked_max = (uint64_t)bind_opt_integer(L, 3, "unpacked_max", 0, 0, huge),
      .cpu_seconds = (uint32_t)bind_opt_integer(L, 3, "cpu_seconds", 0, 0, 1 << 20),
      .page_seconds = (uint32_t)bind_opt_integer(L, 3, "page_seconds", 0, 0, 1 << 20),
      .idle_seconds = (uint32_t)bind_opt_integer(L, 3, "idle_seconds", 0, 0, 1 << 20)};
  if (extract_begin(x, path, &o, &err)) return fail(L, x, &err);
  lua_pushboolean(L, 1);
  return 1;
}

static void push_pages(lua_State *L, const struct extract_segment *s) {
  lua_createtable(L, (int)s->page_count, 0);
  for (size_t i = 0; i < s->page_count; i++) {
    lua_createtable(L, 2, 0);
    lua_pushinteger(L, (lua_Integer)s->pages[i].page);
    lua_seti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)s->pages[i].offset);
    lua_seti(L, -2, 2);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_notes(lua_State *L, const struct extract_segment *s) {
  lua_createtable(L, (int)s->note_count, 0);
  for (size_t i = 0; i < s->note_count; i++) {
    lua_pushstring(L, s->notes[i]);
    lua_seti(L, -2, (lua_Integer)i + 1);
  }
}

/* x:next(): a segment; false at the end; nil, message, code, reason. */
static int x_next(lua_State *L) {
  struct extract *x = client(L);
  struct extract_segment s;
  struct err err;
  int got = extract_next(x, &s, &err);
  if (got < 0) return fail(L, x, &err);
  if (got == 0) return lua_pushboolean(L, 0), 1;
  lua_createtable(L, 0, 5);
  lua_pushlstring(L, s.text, s.len);
  lua_setfield(L, -2, "text");
  lua_pushinteger(L, (lua_Integer)s.start);
  lua_setfield(L, -2, "start");
  lua_pushinteger(L, (lua_Integer)(s.start + s.len));
  lua_setfield(L, -2, "stop");
  if (s.page_count) push_pages(L, &s), lua_setfield(L, -2, "pages");
  if (s.note_count) push_notes(L, &s), lua_setfield(L, -2, "notes");
  return 1;
}

/* x:facts(): of the document begun. Empty ones are left out. */
static int x_facts(lua_State *L) {
  const struct extract_document *d = extract_document(client(L));
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, (lua_Integer)d->bytes);
  lua_setfield(L, -2, "bytes");
  const char *const names[] = {"sha256", "type", "title", "author", "encoding", "language"};
  const char *const values[] = {d->sha256, d->type, d->title, d->author, d->encoding, d->language};
  for (int i = 0; i < 6; i++)
    if (values[i] && *values[i]) lua_pushstring(L, values[i]), lua_setfield(L, -2, names[i]);
  return 1;
}

/* x:info(): of the program. */
static int x_info(lua_State *L) {
  struct extract *x = client(L);
  struct extract_info i;
  struct err err;
  if (extract_info(x, &i, &err)) return bind_fail(L, &err);
  lua_createtable(L, 0, 4);
  lua_pushstring(L, i.program);
  lua_setfield(L, -2, "program");
  lua_pushinteger(L, (lua_Integer)i.landlock);
  lua_setfield(L, -2, "landlock");
  lua_pushboolean(L, i.seccomp);
  lua_setfield(L, -2, "seccomp");
  if (i.poppler[0]) lua_pushstring(L, i.poppler), lua_setfield(L, -2, "poppler");
  return 1;
}

static int x_pid(lua_State *L) {
  int pid = extract_pid(client(L));
  if (pid) return lua_pushinteger(L, pid), 1;
  return 0;
}

static int x_tostring(lua_State *L) {
  struct extract **x = luaL_checkudata(L, 1, EXTRACT_NAME);
  int pid = *x ? extract_pid(*x) : 0;
  if (!*x)
    lua_pushliteral(L, "extractor (closed)");
  else if (pid)
    lua_pushfstring(L, "extractor (process %d)", pid);
  else
    lua_pushliteral(L, "extractor (not started)");
  return 1;
}

/* ---- archives ---- */

/* The iterator's userdata; its user value is the extractor it came from. */
struct walk {
  struct extract_members *members;
};

static struct extract *owner(lua_State *L, int walk) {
  if (lua_getiuservalue(L, walk, 1) != LUA_TUSERDATA) return lua_pop(L, 1), NULL;
  struct extract **x = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return *x;
}

static int walk_gc(lua_State *L) {
  struct walk *w = luaL_checkudata(L, 1, MEMBERS_NAME);
  extract_members_close(w->members, owner(L, 1));
  w->members = NULL;
  return 0;
}

static void set_string(lua_State *L, const char *key, const char *value) {
  if (!value || !*value) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

/* it(): a member; nothing at the end. Raises what is not the archive's fault. */
static int walk_call(lua_State *L) {
  struct walk *w = luaL_checkudata(L, 1, MEMBERS_NAME);
  struct extract_member m;
  struct err err;
  if (!w->members || !owner(L, 1)) return luaL_error(L, "these members are closed");
  int got = extract_members_next(w->members, &m, &err);
  if (got < 0) {
    m = (struct extract_member){.code = err.code, .message = err.message};
    m.reason = err.code == ERR_CANCELLED ? "cancelled" : err.code == ERR_NOMEM ? "memory" : "io";
  }
  if (got == 0) return 0;
  lua_createtable(L, 0, 6);
  set_string(L, "name", m.name);
  set_string(L, "file", m.file);
  set_string(L, "note", m.note);
  if (m.file) lua_pushinteger(L, (lua_Integer)m.bytes), lua_setfield(L, -2, "bytes");
  if (m.file) return 1;
  set_string(L, "reason", m.reason);
  set_string(L, "message", m.message);
  set_string(L, "code", err_name(m.code));
  if (got < 0) walk_gc(L);
  return 1;
}

/*** Walks the members of an archive, in its order, without writing anything to disk.
-- ZIP, TAR, TAR.gz, .zst, .xz and .bz2, and single files in these four compressions. A member is
-- { name, bytes, file } with file = "/proc/self/fd/N", a sealed file in memory that may be opened as
-- often as one likes, until the next step: by x:begin(member.file, { name = member.name }) with the
-- same x, by file.lines and by every other reader. Its name is safe to join to a path. Archives inside
-- are walked in their place ("inner.zip/a.md"), to `depth`. Folders and what macOS adds are passed over.
--
-- A member that is left out comes as { name, reason, message, code } without file; reason is "link",
-- "special" (a device …), "encrypted", "limit" or "unreadable". An archive that ends early (damaged, a
-- bomb, too many members) comes as a last one without a name; what came before it is good. It may also
-- be "crashed", "memory", "transient", "cancelled" or "io", as with documents. member.note, when
-- there, says that the name in the archive was not a safe one.
--
-- What is no archive (a DOCX, a text) is nil, message, "unsupported", "unsupported" from members itself;
-- and x:begin of an archive makes x:next give nil, message, "unsupported", "archive". An extractor that is
-- open has the same as x:members(path, options), which starts fewer processes.
-- @function engine.extract.members
-- @param path string: a file, or another member's file
-- @param options table: name (default: path), unpacked_max (bytes, all together; 16 GiB), member_max
-- (bytes of one; 512 MiB, held in memory), members_max (1,000,000), ratio_max (200), depth (3, at most
-- 8), cpu_seconds, idle_seconds
-- @return function: to be called for each member, for use in `for`; closes itself at the loop's end
-- @error not_found, unsupported (no archive), format (damaged from the start), limit; with reason fourth
-- @example for m in require("engine.extract").members "a.tar.gz" do print(m.name, m.bytes or m.message) end
*/
static int x_members(lua_State *L) {
  static const char *const known[] = {"name",        "unpacked_max", "member_max",
                                      "members_max", "ratio_max",    "depth",
                                      "cpu_seconds", "idle_seconds", NULL};
  struct extract *x = client(L);
  const char *path = luaL_checkstring(L, 2);
  const lua_Integer huge = (lua_Integer)1 << 50;
  struct err err;
  bind_options(L, 3, known);
  struct extract_members_options o = {
      .name = bind_opt_string(L, 3, "name", NULL),
      .unpacked_max = (uint64_t)bind_opt_integer(L, 3, "unpacked_max", 0, 0, huge),
      .member_max = (uint64_t)bind_opt_integer(L, 3, "member_max", 0, 0, huge),
      .members_max = (uint64_t)bind_opt_integer(L, 3, "members_max", 0, 0, huge),
      .ratio_max = (uint32_t)bind_opt_integer(L, 3, "ratio_max", 0, 0, 1 << 30),
      .depth = (uint32_t)bind_opt_integer(L, 3, "depth", 0, 0, EXTRACT_DEPTH_MAX),
      .cpu_seconds = (uint32_t)bind_opt_integer(L, 3, "cpu_seconds", 0, 0, 1 << 20),
      .idle_seconds = (uint32_t)bind_opt_integer(L, 3, "idle_seconds", 0, 0, 1 << 20)};
  lua_settop(L, 2);
  struct walk *w = lua_newuserdatauv(L, sizeof *w, 1);
  w->members = NULL;
  luaL_setmetatable(L, MEMBERS_NAME);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  if (extract_members_open(&w->members, x, path, &o, &err)) return fail(L, x, &err);
  lua_pushnil(L);
  lua_pushnil(L);
  lua_pushvalue(L, 3); /* `for` closes it */
  return 4;
}

static int walk_tostring(lua_State *L) {
  struct walk *w = luaL_checkudata(L, 1, MEMBERS_NAME);
  lua_pushstring(L, w->members ? "members of an archive" : "members of an archive (closed)");
  return 1;
}

/*** Opens an extractor: text out of documents (pdf, docx, odt, pptx, epub, ipynb, html, md, txt), and
-- the members of archives, in an isolated process.
-- One document at a time: x:begin(path, { type, name, segment, text_max, unpacked_max, cpu_seconds,
-- page_seconds, idle_seconds }), then x:next() until it gives false. A segment is a table
-- { text, start, stop, pages = {{page, offset} …}, notes }. Failures are nil, message, code, reason.
-- name says what the file is called where path does not (a member of an archive). x:facts() gives
-- { sha256, bytes, type, title, author, encoding, language }, x:info() tells about the program; x:members
-- walks an archive.
-- @function engine.extract.open
-- @param program string: optional, the path of lathe-extract (default: $LATHE_EXTRACT, else beside
-- lathe)
-- @return extractor: x:begin, x:next, x:facts, x:members, x:info, x:pid, x:close
-- @error not_found (the program)
-- @example local x = require("engine.extract").open(); x:begin("README.md"); print(x:next().text)
*/
static int l_open(lua_State *L) {
  const char *program = luaL_optstring(L, 1, NULL);
  struct err err;
  struct extract **x = bind_new(L, sizeof *x, EXTRACT_NAME);
  if (extract_open(x, program, &err)) return bind_fail(L, &err);
  return 1;
}

static int l_members(lua_State *L) {
  struct err err;
  luaL_checkstring(L, 1);
  lua_settop(L, 2);
  struct extract **x = bind_new(L, sizeof *x, EXTRACT_NAME);
  if (extract_open(x, NULL, &err)) return bind_fail(L, &err);
  lua_insert(L, 1);
  return x_members(L);
}

int luaopen_engine_extract(lua_State *L);
int luaopen_engine_extract(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"begin", x_begin},     {"next", x_next}, {"facts", x_facts},    {"info", x_info},
      {"members", x_members}, {"pid", x_pid},   {"close", extract_gc}, {NULL, NULL}};
  static const luaL_Reg walk[] = {{"close", walk_gc}, {NULL, NULL}};
  static const luaL_Reg walk_meta[] = {{"__call", walk_call},
                                       {"__gc", walk_gc},
                                       {"__close", walk_gc},
                                       {"__tostring", walk_tostring},
                                       {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", extract_gc}, {"__close", extract_gc}, {"__tostring", x_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {"members", l_members}, {NULL, NULL}};
  bind_metatable(L, EXTRACT_NAME, methods, meta);
  bind_metatable(L, MEMBERS_NAME, walk, walk_meta);
  luaL_newlib(L, functions);
  return 1;
}
