/* SPDX-License-Identifier: MIT */
/* require "engine.clock": monotonic time, and what the process has used. Not for anything that ends
 * in an artifact: those depend on inputs and seeds only. */
#include "base/cancel.h"
#include "bind/bind.h"

#include <math.h>
#include <poll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/*** Seconds since some fixed moment, never going back.
-- @function engine.clock.now
-- @return number: seconds */
static int l_now(lua_State *L) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec * 1e-9);
  return 1;
}

/*** The most memory this process has held.
-- @function engine.clock.peak_memory
-- @return integer: bytes */
static int l_peak(lua_State *L) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  lua_pushinteger(L, (lua_Integer)u.ru_maxrss * 1024);
  return 1;
}

/*** The memory of this machine.
-- @function engine.clock.total_memory
-- @return integer: bytes */
static int l_total(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)sysconf(_SC_PHYS_PAGES) * (lua_Integer)sysconf(_SC_PAGESIZE));
  return 1;
}

/*** Whether standard input, output and error are terminals.
-- @function engine.clock.terminal
-- @return boolean, boolean, boolean */
static int l_terminal(lua_State *L) {
  for (int fd = 0; fd < 3; fd++) lua_pushboolean(L, isatty(fd));
  return 3;
}

/*** Waits; Ctrl-C ends it early.
-- @function engine.clock.sleep
-- @param seconds number: at most a day
-- @return boolean: true
-- @error cancelled */
static int l_sleep(lua_State *L) {
  lua_Number seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 86400, 1, "0 to 86400 seconds");
  struct pollfd p = {.fd = cancel_fd(), .events = POLLIN};
  struct err err;
  poll(&p, 1, (int)ceil(seconds * 1000));
  if (cancel_check(&err)) return bind_fail(L, &err);
  lua_pushboolean(L, true);
  return 1;
}

int luaopen_engine_clock(lua_State *L);
int luaopen_engine_clock(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"now", l_now},           {"peak_memory", l_peak}, {"total_memory", l_total},
      {"terminal", l_terminal}, {"sleep", l_sleep},      {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
