/* SPDX-License-Identifier: MIT */
/* require "engine.extract": text out of documents, by the separate program lathe-extract. */
#include "extract/client.h"
#include "bind/bind.h"

#define EXTRACT_NAME "lathe.extract"

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
  static const char *const known[] = {"type",        "segment",      "text_max",     "unpacked_max",
                                      "cpu_seconds", "page_seconds", "idle_seconds", NULL};
  struct extract *x = client(L);
  const char *path = luaL_checkstring(L, 2);
  const lua_Integer huge = (lua_Integer)1 << 50;
  struct err err;
  bind_options(L, 3, known);
  struct extract_options o = {
      .type = bind_opt_string(L, 3, "type", NULL),
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
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, (lua_Integer)d->bytes);
  lua_setfield(L, -2, "bytes");
  const char *const names[] = {"sha256", "type", "title", "encoding"};
  const char *const values[] = {d->sha256, d->type, d->title, d->encoding};
  for (int i = 0; i < 4; i++)
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

/*** Opens an extractor: text out of PDF, DOCX, HTML, Markdown and plain text, in an isolated
process.
-- One document at a time: x:begin(path, { type, segment, text_max, unpacked_max, cpu_seconds,
-- page_seconds, idle_seconds }), then x:next() until it gives false. A segment is a table
-- { text, start, stop, pages = {{page, offset} …}, notes }. Failures are nil, message, code,
reason.
-- x:facts() gives { sha256, bytes, type, title, encoding }, x:info() tells about the program.
-- @function engine.extract.open
-- @param program string: optional, the path of lathe-extract (default: $LATHE_EXTRACT, else beside
lathe)
-- @return extractor: x:begin, x:next, x:facts, x:info, x:pid, x:close
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

int luaopen_engine_extract(lua_State *L);
int luaopen_engine_extract(lua_State *L) {
  static const luaL_Reg methods[] = {{"begin", x_begin}, {"next", x_next}, {"facts", x_facts},
                                     {"info", x_info},   {"pid", x_pid},   {"close", extract_gc},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", extract_gc}, {"__close", extract_gc}, {"__tostring", x_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  bind_metatable(L, EXTRACT_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
