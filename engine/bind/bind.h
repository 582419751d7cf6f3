/* SPDX-License-Identifier: MIT */
/* What all bindings share. bind/ is the only room that knows Lua.
 *
 * The pattern of every binding, in order:
 *   1. check every argument (luaL_check…, bind_options for option tables): misuse raises an error;
 *   2. make the *closed* userdata and give it its metatable (bind_new): from here on nothing leaks,
 *      whatever raises, because __gc of a closed object does nothing;
 *   3. call pure C, which knows no Lua and raises nothing;
 *   4. convert the error once: return bind_fail(L, &err)  →  nil, message, code name.
 *
 * No logic lives here. __gc and __close are the same idempotent close. A C buffer that becomes a
 * Lua string is first held by a userdata (bind_buf), because lua_pushlstring can itself raise.
 */
#ifndef LATHE_BIND_BIND_H
#define LATHE_BIND_BIND_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/pool.h"

/* One per Lua state, found through the registry: what bindings need besides their arguments. */
struct engine {
  struct pool *pool;    /* for kernels; NULL: the calling thread only */
  unsigned threads;     /* the -j that pool was made for (lazily, by bind_pool) */
  bool is_worker;       /* this state belongs to a worker thread */
  size_t outside_bytes; /* memory held outside Lua by tensors, models …: see bind_outside */
  size_t outside_new;   /* of which the collector was not told yet */
  int watch;            /* of the cancel flag: cancel_unwatch's handle */
};
struct engine *bind_engine(lua_State *L);

/* The kernel pool of this state, made on first use with engine->threads threads. May be NULL. */
struct pool *bind_pool(lua_State *L);

/* A new Lua state whose memory comes from base/mem.h and stays under share->limit (0: no limit):
 * beyond it Lua raises "not enough memory". The share must outlive the state. NULL when out of
 * memory. */
struct bind_share {
  size_t used, limit; /* bytes */
};
lua_State *bind_state(struct bind_share *share);

/* Opens a Lua state's standard part for engine code: libraries, package.path to `root`/lua, the
 * preloaded engine.* modules, the cancel hook, a struct engine. Used by main.c and by worker
 * threads. Returns 0 or fills err. */
int bind_open(lua_State *L, const char *root, unsigned threads, bool is_worker, struct err *err);

/* All engine.* modules; made by the Makefile from the files of this folder. */
extern const luaL_Reg bind_modules[];

/* Pushes nil, message, code name; returns 3. */
int bind_fail(lua_State *L, const struct err *err);

/* Registers metatable NAME once: methods (also reachable by __index), metamethods (may be NULL).
 * Leaves the stack as it was. */
void bind_metatable(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta);

/* A cleared userdata of `size` bytes with that metatable, on the stack. */
void *bind_new(lua_State *L, size_t size, const char *name);

/* A buffer that the collector owns: pushes the userdata, returns the (empty) buffer. */
struct buf *bind_buf(lua_State *L);
/* Pushes the buffer's bytes as a Lua string and frees the buffer (the userdata stays below). */
void bind_push_buf(lua_State *L, struct buf *b);

/* Option tables. Checks that arg is nil/none or a table with only the named keys (NULL-terminated);
 * an unknown key raises an error that names the nearest known one. */
void bind_options(lua_State *L, int arg, const char *const *known);
/* Values of such a table, with defaults; a wrong type raises. min ≤ value ≤ max. */
lua_Integer bind_opt_integer(lua_State *L, int arg, const char *key, lua_Integer fallback,
                             lua_Integer min, lua_Integer max);
lua_Number bind_opt_number(lua_State *L, int arg, const char *key, lua_Number fallback);
bool bind_opt_boolean(lua_State *L, int arg, const char *key, bool fallback);
/* The string stays valid while the table holds it. */
const char *bind_opt_string(lua_State *L, int arg, const char *key, const char *fallback);

/* Tells the collector that memory outside Lua grew or shrank, and steps it in proportion. */
void bind_outside(lua_State *L, ptrdiff_t bytes);

#endif
