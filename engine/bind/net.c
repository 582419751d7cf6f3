/* SPDX-License-Identifier: MIT */
/* require "engine.net": HTTP requests, many at once. `lathe.http` is made of it, with retries. */
#include "net/net.h"

#include <string.h>

#include "base/mem.h"
#include "bind/bind.h"

#define NET_NAME     "lathe.net"
#define HEADERS_MOST 64

struct client {
  struct net *net; /* NULL: closed */
};

static struct net *check_net(lua_State *L) {
  struct client *c = luaL_checkudata(L, 1, NET_NAME);
  if (!c->net) luaL_error(L, "the HTTP client is closed");
  return c->net;
}

/*** An HTTP client: requests that share connections.
-- Methods: client:submit(request) gives an id, client:wait(milliseconds) the next answer, #client how many
-- are under way, client:close().
-- @function engine.net.open
-- @param options table: { connections = 8 }
-- @return client
-- @error unsupported: built without libcurl
-- @example require("engine.net").open { connections = 2 } */
static int l_open(lua_State *L) {
  static const char *const known[] = {"connections", NULL};
  struct err err;
  bind_options(L, 1, known);
  unsigned connections = (unsigned)bind_opt_integer(L, 1, "connections", 8, 1, 256);
  struct client *c = bind_new(L, sizeof *c, NET_NAME);
  if (net_new(&c->net, connections, &err)) return bind_fail(L, &err);
  return 1;
}

/* The table of headers at the top of the stack → list; its strings stay in the table. */
static size_t read_headers(lua_State *L, struct net_header *list) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "headers: names and values must be strings");
    if (n == HEADERS_MOST) luaL_error(L, "more than %d headers", HEADERS_MOST);
    list[n].name = lua_tostring(L, -2);
    list[n++].value = lua_tostring(L, -1);
  }
  return n;
}

static const char *line_field(lua_State *L, const char *name) {
  const char *s = bind_opt_string(L, 2, name, NULL);
  lua_getfield(L, 2, name);
  if (s && strlen(s) != lua_rawlen(L, -1)) luaL_error(L, "%s: a zero byte", name);
  lua_pop(L, 1);
  return s;
}

static int m_submit(lua_State *L) {
  static const char *const known[] = {
      "url",          "method",        "headers",   "body",          "body_max", "connect_seconds",
      "idle_seconds", "total_seconds", "redirects", "allow_private", NULL};
  struct net *n = check_net(L);
  struct net_header headers[HEADERS_MOST];
  struct net_request r = {.headers = headers};
  struct err err;
  uint64_t id;
  luaL_checktype(L, 2, LUA_TTABLE);
  bind_options(L, 2, known);
  r.url = line_field(L, "url");
  if (!r.url) return luaL_error(L, "a request needs its url");
  r.method = line_field(L, "method");
  r.body_max = (uint64_t)bind_opt_integer(L, 2, "body_max", (lua_Integer)NET_BODY_DEFAULT, 1,
                                          (lua_Integer)1 << 40);
  r.connect_seconds = (uint32_t)bind_opt_integer(L, 2, "connect_seconds", 20, 1, 3600);
  r.idle_seconds = (uint32_t)bind_opt_integer(L, 2, "idle_seconds", 60, 1, 86400);
  r.total_seconds = (uint32_t)bind_opt_integer(L, 2, "total_seconds", 600, 1, 86400);
  r.redirects = (uint32_t)bind_opt_integer(L, 2, "redirects", 5, 0, 20);
  r.allow_private = bind_opt_boolean(L, 2, "allow_private", false);
  lua_getfield(L, 2, "body");
  if (!lua_isnil(L, -1)) r.body = luaL_checklstring(L, -1, &r.body_len);
  lua_getfield(L, 2, "headers");
  if (!lua_isnil(L, -1)) {
    luaL_checktype(L, -1, LUA_TTABLE);
    r.header_count = read_headers(L, headers);
  }
  if (net_submit(n, &r, &id, &err)) return bind_fail(L, &err);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* "name: value\n" … → a table; names that come twice are joined by ", " (RFC 9110, 5.3). */
static void push_headers(lua_State *L, const struct buf *lines) {
  lua_newtable(L);
  for (size_t at = 0; at < lines->len;) {
    const char *line = lines->data + at;
    size_t n = (size_t)((char *)memchr(line, '\n', lines->len - at) - line);
    size_t name = (size_t)((char *)memchr(line, ':', n) - line);
    lua_pushlstring(L, line, name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    bool again = lua_isstring(L, -1);
    if (again)
      lua_pushliteral(L, ", ");
    else
      lua_pop(L, 1);
    lua_pushlstring(L, line + name + 2, n - name - 2);
    if (again) lua_concat(L, 3);
    lua_rawset(L, -3);
    at += n + 1;
  }
}

#define ANSWER_NAME "lathe.net.answer"

static int answer_close(lua_State *L) {
  net_answer_clear(luaL_checkudata(L, 1, ANSWER_NAME));
  return 0;
}

static int m_wait(lua_State *L) {
  struct net *n = check_net(L);
  int milliseconds = (int)luaL_optinteger(L, 2, 1000);
  struct err err;
  struct net_answer *a = bind_new(L, sizeof *a, ANSWER_NAME);
  int got = net_wait(n, milliseconds, a, &err);
  if (got < 0) return bind_fail(L, &err);
  if (!got) {
    lua_pushboolean(L, false);
    return 1;
  }
  lua_newtable(L);
  lua_pushinteger(L, (lua_Integer)a->id);
  lua_setfield(L, -2, "id");
  lua_pushinteger(L, a->status);
  lua_setfield(L, -2, "status");
  if (!a->status) {
    lua_pushstring(L, a->problem.message);
    lua_setfield(L, -2, "message");
    lua_pushstring(L, err_name(a->problem.code));
    lua_setfield(L, -2, "code");
  } else {
    lua_pushlstring(L, a->body.len ? a->body.data : "", a->body.len);
    lua_setfield(L, -2, "body");
    lua_pushlstring(L, a->url.len ? a->url.data : "", a->url.len);
    lua_setfield(L, -2, "url");
    push_headers(L, &a->headers);
    lua_setfield(L, -2, "headers");
  }
  net_answer_clear(a);
  return 1;
}

static int m_len(lua_State *L) {
  struct client *c = luaL_checkudata(L, 1, NET_NAME);
  lua_pushinteger(L, c->net ? (lua_Integer)net_pending(c->net) : 0);
  return 1;
}

static int m_close(lua_State *L) {
  struct client *c = luaL_checkudata(L, 1, NET_NAME);
  struct net *n = c->net;
  c->net = NULL;
  net_free(n);
  return 0;
}

static int m_tostring(lua_State *L) {
  struct client *c = luaL_checkudata(L, 1, NET_NAME);
  if (c->net)
    lua_pushfstring(L, "HTTP client, %d under way", (int)net_pending(c->net));
  else
    lua_pushliteral(L, "HTTP client, closed");
  return 1;
}

int luaopen_engine_net(lua_State *L);
int luaopen_engine_net(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"submit", m_submit}, {"wait", m_wait}, {"close", m_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", m_close},
                                  {"__close", m_close},
                                  {"__len", m_len},
                                  {"__tostring", m_tostring},
                                  {NULL, NULL}};
  static const luaL_Reg answer_meta[] = {{"__gc", answer_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  bind_metatable(L, NET_NAME, methods, meta);
  bind_metatable(L, ANSWER_NAME, functions + 1, answer_meta);
  luaL_newlib(L, functions);
  return 1;
}
