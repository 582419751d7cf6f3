/* SPDX-License-Identifier: MIT */
/* Shared parts of the bindings; see bind.h.
 *
 * The cancel hook runs every 10,000 instructions and raises "interrupted" when the flag is set, so
 * that an endless Lua loop ends at Ctrl-C.
 */
#include "bind/bind.h"
#include "base/cancel.h"
#include "base/mem.h"

#include <lualib.h>
#include <string.h>

#define ENGINE_KEY   "lathe.engine"
#define BUF_NAME     "lathe.buf"
#define HOOK_COUNT   10000
#define OUTSIDE_TELL ((size_t)64 << 10)
#define OUTSIDE_STEP (32 << 20) /* bytes outside Lua that are worth one step of the collector */

struct engine *bind_engine(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, ENGINE_KEY);
  struct engine *e = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return e;
}

struct pool *bind_pool(lua_State *L) {
  struct engine *e = bind_engine(L);
  if (!e->pool && e->threads > 1) {
    struct err ignored;
    if (pool_new(&e->pool, e->threads, &ignored)) e->pool = NULL;
  }
  return e->pool;
}

static int engine_gc(lua_State *L) {
  struct engine *e = lua_touserdata(L, 1);
  cancel_unwatch(e->watch);
  e->watch = -1;
  pool_free(e->pool);
  e->pool = NULL;
  return 0;
}

static void cancel_hook(lua_State *L, lua_Debug *ar) {
  (void)ar;
  if (cancel_requested()) luaL_error(L, "interrupted");
  lua_sethook(L, NULL, 0, 0); /* the flag was cleared: nothing to look for any more */
}

/* Called in the state's own thread, from a signal handler: lua_sethook is made for that. A coroutine
 * that runs just then goes on until it yields or ends. */
static void set_cancel_hook(void *L) {
  lua_sethook(L, cancel_hook, LUA_MASKCOUNT, HOOK_COUNT);
}

static void *share_alloc(void *ud, void *p, size_t old, size_t size) {
  struct bind_share *s = ud;
  size_t had = p ? old : 0;
  if (size == 0) {
    mem_free(p);
    s->used -= had;
    return NULL;
  }
  if (s->limit && size > had && s->used - had + size > s->limit) return NULL;
  void *q = mem_realloc(p, size);
  if (q)
    s->used = s->used - had + size;
  else if (size <= had)
    return p; /* Lua relies on it: shrinking does not fail */
  return q;
}

lua_State *bind_state(struct bind_share *share) {
  return lua_newstate(share_alloc, share);
}

static int open_state(lua_State *L) {
  const char *root = lua_touserdata(L, 1);
  const struct engine *given = lua_touserdata(L, 2);
  luaL_openlibs(L);
  struct engine *e = lua_newuserdatauv(L, sizeof *e, 0);
  *e = *given;
  lua_newtable(L);
  lua_pushcfunction(L, engine_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, ENGINE_KEY);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  for (const luaL_Reg *m = bind_modules; m->name; m++) {
    lua_pushcfunction(L, m->func);
    lua_setfield(L, -2, m->name);
  }
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path"); /* the system's Lua libraries stay reachable (argparse) */
  lua_pushfstring(L, "%s/lua/?.lua;%s/lua/?/init.lua;%s/?.lua;%s", root, root, root,
                  lua_tostring(L, -1));
  lua_remove(L, -2);
  lua_setfield(L, -2, "path");
  lua_pushliteral(L, "");
  lua_setfield(L, -2, "cpath");
  lua_pushstring(L, root);
  lua_setfield(L, LUA_REGISTRYINDEX, "lathe.root");
  e->watch = cancel_watch(set_cancel_hook, L);
  if (e->watch < 0) return luaL_error(L, "too many Lua states");
  return 0;
}

int bind_open(lua_State *L, const char *root, unsigned threads, bool is_worker, struct err *err) {
  struct engine e = {.threads = threads, .is_worker = is_worker, .watch = -1};
  lua_pushcfunction(L, open_state);
  lua_pushlightuserdata(L, (void *)(uintptr_t)root);
  lua_pushlightuserdata(L, &e);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return 0;
  int rc = err_set(err, ERR_NOMEM, "cannot open Lua: %s", lua_tostring(L, -1));
  lua_pop(L, 1);
  return rc;
}

int bind_fail(lua_State *L, const struct err *err) {
  lua_pushnil(L);
  lua_pushstring(L, err->message);
  lua_pushstring(L, err_name(err->code));
  return 3;
}

void bind_metatable(lua_State *L, const char *name, const luaL_Reg *methods, const luaL_Reg *meta) {
  if (luaL_newmetatable(L, name)) {
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    if (meta) luaL_setfuncs(L, meta, 0);
  }
  lua_pop(L, 1);
}

void *bind_new(lua_State *L, size_t size, const char *name) {
  void *p = lua_newuserdatauv(L, size, 1);
  memset(p, 0, size);
  luaL_setmetatable(L, name);
  return p;
}

static int buf_gc(lua_State *L) {
  buf_clear(lua_touserdata(L, 1));
  return 0;
}

struct buf *bind_buf(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", buf_gc}, {"__close", buf_gc}, {NULL, NULL}};
  bind_metatable(L, BUF_NAME, none, meta);
  return bind_new(L, sizeof(struct buf), BUF_NAME);
}

void bind_push_buf(lua_State *L, struct buf *b) {
  if (b->failed) luaL_error(L, "out of memory");
  lua_pushlstring(L, b->data ? b->data : "", b->len);
  buf_clear(b);
}

/* ---- option tables ---- */

#define WORD 48

/* Edit distance (Levenshtein), for suggestions; words longer than WORD are far from everything. */
static unsigned distance(const char *a, const char *b) {
  size_t n = strlen(a), m = strlen(b);
  unsigned row[WORD + 1];
  if (n > WORD || m > WORD) return WORD;
  for (size_t j = 0; j <= m; j++) row[j] = (unsigned)j;
  for (size_t i = 1; i <= n; i++) {
    unsigned diagonal = row[0];
    row[0] = (unsigned)i;
    for (size_t j = 1; j <= m; j++) {
      unsigned change = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
      row[j] = change < least ? change : least;
    }
  }
  return row[m];
}

static int unknown_option(lua_State *L, int arg, const char *key, const char *const *known) {
  const char *nearest = NULL;
  unsigned least = WORD;
  for (; *known; known++) {
    unsigned d = distance(key, *known);
    if (d < least) least = d, nearest = *known;
  }
  if (nearest && least <= 1 + strlen(key) / 3)
    return luaL_argerror(
        L, arg, lua_pushfstring(L, "unknown option '%s'; did you mean '%s'?", key, nearest));
  return luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'", key));
}

void bind_options(lua_State *L, int arg, const char *const *known) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) luaL_argerror(L, arg, "options must have names");
    const char *key = lua_tostring(L, -2);
    const char *const *k = known;
    while (*k && strcmp(*k, key)) k++;
    if (!*k) unknown_option(L, arg, key, known);
  }
}

/* Raw, as bind_options looks: a metamethod could close what the caller has already checked. */
static int option(lua_State *L, int arg, const char *key) {
  if (lua_isnoneornil(L, arg)) return LUA_TNIL;
  arg = lua_absindex(L, arg);
  lua_pushstring(L, key);
  return lua_rawget(L, arg);
}

static void wrong(lua_State *L, int arg, const char *key, const char *expected) {
  luaL_argerror(
      L, arg,
      lua_pushfstring(L, "option '%s': %s expected, got %s", key, expected, luaL_typename(L, -1)));
}

lua_Integer bind_opt_integer(lua_State *L, int arg, const char *key, lua_Integer fallback,
                             lua_Integer min, lua_Integer max) {
  int whole;
  int type = option(L, arg, key);
  if (type == LUA_TNIL) {
    if (!lua_isnoneornil(L, arg)) lua_pop(L, 1);
    return fallback;
  }
  lua_Integer v = lua_tointegerx(L, -1, &whole);
  if (!whole || type != LUA_TNUMBER) wrong(L, arg, key, "a whole number");
  if (v < min || v > max)
    luaL_argerror(L, arg,
                  lua_pushfstring(L, "option '%s': %I is not between %I and %I", key, v, min, max));
  lua_pop(L, 1);
  return v;
}

lua_Number bind_opt_number(lua_State *L, int arg, const char *key, lua_Number fallback) {
  int type = option(L, arg, key);
  if (type == LUA_TNIL) {
    if (!lua_isnoneornil(L, arg)) lua_pop(L, 1);
    return fallback;
  }
  if (type != LUA_TNUMBER) wrong(L, arg, key, "a number");
  lua_Number v = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return v;
}

bool bind_opt_boolean(lua_State *L, int arg, const char *key, bool fallback) {
  int type = option(L, arg, key);
  if (type == LUA_TNIL) {
    if (!lua_isnoneornil(L, arg)) lua_pop(L, 1);
    return fallback;
  }
  if (type != LUA_TBOOLEAN) wrong(L, arg, key, "true or false");
  bool v = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return v;
}

const char *bind_opt_string(lua_State *L, int arg, const char *key, const char *fallback) {
  int type = option(L, arg, key);
  if (type == LUA_TNIL) {
    if (!lua_isnoneornil(L, arg)) lua_pop(L, 1);
    return fallback;
  }
  if (type != LUA_TSTRING) wrong(L, arg, key, "a string");
  const char *s = lua_tostring(L, -1);
  lua_pop(L, 1);
  return s;
}

void bind_outside(lua_State *L, ptrdiff_t bytes) {
  struct engine *e = bind_engine(L);
  if (bytes < 0) {
    size_t less = (size_t)-bytes;
    e->outside_bytes -= less < e->outside_bytes ? less : e->outside_bytes;
    return;
  }
  e->outside_bytes += (size_t)bytes;
  size_t steps = (size_t)bytes / OUTSIDE_STEP;
  e->outside_new += (size_t)bytes;
  if (e->outside_new >= OUTSIDE_TELL) { /* a step each time would cost more than small things do */
    size_t kib = e->outside_new >> 10;
    e->outside_new = 0;
    lua_gc(L, LUA_GCSTEP, (int)(kib < 100000 ? kib : 100000));
  }
  if (steps > 8) lua_gc(L, LUA_GCCOLLECT);
}
