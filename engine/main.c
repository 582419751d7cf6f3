/* SPDX-License-Identifier: MIT */
/* lathe: opens Lua and hands over to lua/lathe/cli.lua.
 *
 * The Lua library lies beside the program: in LATHE_HOME if that is set, in ../share/lathe when
 * installed, or in the source tree when run from build/ (the program's folder, then the ones above
 * it). The exit status is what cli.lua returns: 0 done, 1 the work failed, 2 misuse, 130 Ctrl-C.
 */
#include "base/cancel.h"
#include "base/cpu.h"
#include "bind/bind.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool has_library(const char *root) {
  char path[PATH_MAX + 32];
  snprintf(path, sizeof path, "%s/lua/lathe/cli.lua", root);
  return access(path, R_OK) == 0;
}

/* Fills root (PATH_MAX bytes) with the folder that holds lua/, recipes/, templates/. */
static bool find_root(char *root) {
  const char *home = getenv("LATHE_HOME");
  if (home && strlen(home) < PATH_MAX) return strcpy(root, home), has_library(root);
  ssize_t n = readlink("/proc/self/exe", root, PATH_MAX - 1);
  if (n < 0) return false;
  root[n] = 0;
  for (char *slash; (slash = strrchr(root, '/')) && slash != root;) {
    *slash = 0;
    size_t len = strlen(root);
    if (has_library(root)) return true;
    if (len + 13 < PATH_MAX) {
      strcpy(root + len, "/share/lathe");
      if (has_library(root)) return true;
      root[len] = 0;
    }
  }
  return false;
}

/* Runs in protected mode: the arguments are a light userdata (argv), argc and the root. */
static int run(lua_State *L) {
  char **argv = lua_touserdata(L, 1);
  int argc = (int)lua_tointeger(L, 2);
  lua_settop(L, 2);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "lathe.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
  lua_createtable(L, argc, 0);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_seti(L, -2, i);
  }
  lua_call(L, 1, 1);
  return 1;
}

static int traceback(lua_State *L) {
  const char *message = luaL_tolstring(L, 1, NULL);
  if (getenv("LATHE_TRACEBACK")) luaL_traceback(L, L, message, 1);
  return 1;
}

int main(int argc, char **argv) {
  char root[PATH_MAX];
  struct err err;
  int status = 1;
  if (!find_root(root)) {
    fprintf(stderr, "lathe: cannot find its Lua library (lua/lathe/cli.lua) beside the program; "
                    "set LATHE_HOME to the folder that holds it\n");
    return 1;
  }
  struct bind_share share = {0, 0};
  lua_State *L = bind_state(&share);
  if (!L || bind_open(L, root, cpu_count(), false, &err) || cancel_install(&err)) {
    fprintf(stderr, "lathe: %s\n", L ? err.message : "out of memory");
    if (L) lua_close(L);
    return 1;
  }
  lua_pushcfunction(L, traceback);
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, argv);
  lua_pushinteger(L, argc);
  if (lua_pcall(L, 2, 1, 1) == LUA_OK) {
    status = (int)lua_tointeger(L, -1);
  } else if (cancel_requested()) {
    status = 130;
  } else {
    fprintf(stderr, "lathe: %s\n", lua_tostring(L, -1));
  }
  lua_close(L);
  return status;
}
