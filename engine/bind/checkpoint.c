/* SPDX-License-Identifier: MIT */
/* require "engine.checkpoint": training states in checksummed files. See format/checkpoint.h. */
#include "bind/bind.h"
#include "format/checkpoint.h"

#include <string.h>

#define NAME "checkpoint"

struct handle {
  struct checkpoint *c;
};

static struct checkpoint *check(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, NAME);
  if (!h->c) luaL_argerror(L, 1, "this checkpoint is closed");
  return h->c;
}

static int close(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, NAME);
  checkpoint_close(h->c);
  h->c = NULL;
  return 0;
}

/* Calls engine.json's function on the value on top of the stack and leaves its result there. */
static void through_json(lua_State *L, const char *function) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "engine.json");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, function);
  lua_remove(L, -2);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

/*** Writes DIR/step-NNNNNNNN.ckpt in one step and removes the oldest beyond `keep`.
-- @function engine.checkpoint.write
-- @param dir string: the folder; made when missing
-- @param step integer: the number of the step, which names the file
-- @param blobs table: { name = bytes, … }
-- @param options table: optional { meta = table of plain values, keep = how many to keep (2) }
-- @return boolean: true
-- @error io (the disk is full …)
-- @example require("engine.checkpoint").write("ckpt", 100, { model = m:state() }, { meta = { loss
= 1.5 } }) */
static int l_write(lua_State *L) {
  static const char *const known[] = {"meta", "keep", NULL};
  const char *dir = luaL_checkstring(L, 1), *meta = NULL;
  lua_Integer step = luaL_checkinteger(L, 2);
  size_t n = 0, i = 0, meta_n = 0;
  struct err err;
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 4);
  luaL_argcheck(L, step >= 0, 2, "a step is at least 0");
  bind_options(L, 4, known);
  lua_Integer keep = bind_opt_integer(L, 4, "keep", 2, 1, 1 << 20);
  if (lua_istable(L, 4) && lua_getfield(L, 4, "meta") != LUA_TNIL) {
    through_json(L, "encode");
    meta = luaL_checklstring(L, -1, &meta_n);
  }
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) n++;
  struct checkpoint_blob *blobs = lua_newuserdatauv(L, (n + 1) * sizeof *blobs, 0);
  for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1), i++) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_argerror(L, 3, "blobs are strings by name");
    blobs[i].name = lua_tostring(L, -2);
    blobs[i].data = lua_tolstring(L, -1, &blobs[i].size);
  }
  if (checkpoint_write(dir, (uint64_t)step, meta, meta_n, blobs, n, &err) ||
      checkpoint_prune(dir, (size_t)keep, &err))
    return bind_fail(L, &err);
  lua_pushboolean(L, 1);
  return 1;
}

/*** Opens and verifies one checkpoint file.
-- @function engine.checkpoint.open
-- @param path string: the file
-- @return checkpoint: c:step(), c:meta(), c:read(name), c:names()
-- @error not_found, format or mismatch (damaged) */
static int l_open(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct err err;
  struct handle *h = bind_new(L, sizeof *h, NAME);
  if (checkpoint_open(&h->c, path, &err)) return bind_fail(L, &err);
  return 1;
}

/* "a\nb\n" on top of the stack → { "a", "b" } */
static void split_lines(lua_State *L, const struct buf *b) {
  const char *p = b->data, *end = p ? p + b->len : p;
  lua_newtable(L);
  for (lua_Integer i = 1; p && p < end; i++) {
    const char *line = memchr(p, '\n', (size_t)(end - p));
    lua_pushlstring(L, p, (size_t)((line ? line : end) - p));
    lua_rawseti(L, -2, i);
    p = line ? line + 1 : end;
  }
}

/*** The newest checkpoint of a folder that is whole; damaged ones are passed over.
-- @function engine.checkpoint.newest
-- @param dir string: the folder; missing is fine
-- @return checkpoint|nil: nil when there is none
-- @return table: messages about damaged ones
-- @error io */
static int l_newest(lua_State *L) {
  const char *dir = luaL_checkstring(L, 1);
  struct err err;
  struct buf *skipped = bind_buf(L);
  struct handle *h = bind_new(L, sizeof *h, NAME);
  if (checkpoint_newest(&h->c, dir, skipped, &err)) return bind_fail(L, &err);
  if (!h->c) lua_pushnil(L);
  split_lines(L, skipped);
  return 2;
}

/*** The step that the checkpoint was written after.
-- @function checkpoint:step
-- @return integer: its number */
static int c_step(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)checkpoint_step(check(L)));
  return 1;
}

/*** The description that was written with it.
-- @function checkpoint:meta
-- @return table: plain values */
static int c_meta(lua_State *L) {
  size_t n;
  const char *text = checkpoint_meta(check(L), &n);
  lua_pushlstring(L, text, n);
  through_json(L, "decode");
  return 1;
}

/*** One of its blobs.
-- @function checkpoint:read
-- @param name string: as it was written
-- @return string|nil: the bytes; nil when there is none of that name */
static int c_read(lua_State *L) {
  const struct checkpoint_blob *b = checkpoint_find(check(L), luaL_checkstring(L, 2));
  if (!b) return 0;
  lua_pushlstring(L, b->data, b->size);
  return 1;
}

/*** The names of its blobs, sorted.
-- @function checkpoint:names
-- @return table: list of names */
static int c_names(lua_State *L) {
  struct checkpoint *c = check(L);
  size_t n = checkpoint_count(c);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    lua_pushstring(L, checkpoint_at(c, i)->name);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/*** The path of its file.
-- @function checkpoint:path
-- @return string: the path */
static int c_path(lua_State *L) {
  lua_pushstring(L, checkpoint_path(check(L)));
  return 1;
}

static int c_tostring(lua_State *L) {
  struct handle *h = luaL_checkudata(L, 1, NAME);
  if (!h->c) return lua_pushliteral(L, "checkpoint: closed"), 1;
  lua_pushfstring(L, "checkpoint %s: step %I, %d parts", checkpoint_path(h->c),
                  (LUAI_UACINT)checkpoint_step(h->c), (int)checkpoint_count(h->c));
  return 1;
}

int luaopen_engine_checkpoint(lua_State *L);
int luaopen_engine_checkpoint(lua_State *L) {
  static const luaL_Reg methods[] = {{"step", c_step},   {"meta", c_meta}, {"read", c_read},
                                     {"names", c_names}, {"path", c_path}, {"close", close},
                                     {NULL, NULL}};
  static const luaL_Reg meta[] = {
      {"__gc", close}, {"__close", close}, {"__tostring", c_tostring}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"write", l_write}, {"open", l_open}, {"newest", l_newest}, {NULL, NULL}};
  bind_metatable(L, NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
