/* SPDX-License-Identifier: MIT */
/* require "engine.system": what this machine and this build can do, for `lathe doctor`. */
#include "base/cpu.h"
#include "bind/bind.h"

#include <dlfcn.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

static void flag(lua_State *L, const char *name, bool value) {
  lua_pushboolean(L, value);
  lua_setfield(L, -2, name);
}

/*** The processor: its name, and the instructions that kernels make use of.
-- @function engine.system.cpu
-- @return table: { name, avx2, fma, f16c, avx512, avx512_bf16, avx512_vnni, openblas = core type }
-- @example print(require("engine.system").cpu().name) */
static int l_cpu(lua_State *L) {
  struct cpu cpu;
  cpu_detect(&cpu);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, cpu.name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, cpu_openblas_coretype(&cpu)); /* nil when the library may choose */
  lua_setfield(L, -2, "openblas");
  flag(L, "avx2", cpu.avx2);
  flag(L, "fma", cpu.fma);
  flag(L, "f16c", cpu.f16c);
  flag(L, "avx512", cpu.avx512);
  flag(L, "avx512_bf16", cpu.avx512_bf16);
  flag(L, "avx512_vnni", cpu.avx512_vnni);
  return 1;
}

/*** What this build was made with.
-- @function engine.system.features
-- @return table: { libedit, libzstd, uchardet, exttextcat, curl, poppler = boolean } */
static int l_features(lua_State *L) {
  lua_createtable(L, 0, 6);
#ifdef HAVE_LIBEDIT
  flag(L, "libedit", true);
#endif
#ifdef HAVE_ZSTD
  flag(L, "libzstd", true);
#endif
#ifdef HAVE_UCHARDET
  flag(L, "uchardet", true);
#endif
#ifdef HAVE_EXTTEXTCAT
  flag(L, "exttextcat", true);
#endif
#ifdef HAVE_CURL
  flag(L, "curl", true);
#endif
#ifdef HAVE_POPPLER
  flag(L, "poppler", true);
#endif
  return 1;
}

/*** Whether a shared library can be loaded.
-- @function engine.system.loads
-- @param name string: such as "libopenblas.so.0"
-- @return boolean */
static int l_loads(lua_State *L) {
  void *library = dlopen(luaL_checkstring(L, 1), RTLD_LAZY | RTLD_LOCAL);
  lua_pushboolean(L, library != NULL);
  if (library) dlclose(library);
  return 1;
}

/*** The room on the file system that holds a path.
-- @function engine.system.disk
-- @param path string: any file or folder there
-- @return table: { free, total } in bytes
-- @error io, not_found */
static int l_disk(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct statvfs s;
  struct err err;
  if (statvfs(path, &s)) {
    err_errno(&err, "%s", path);
    return bind_fail(L, &err);
  }
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, (lua_Integer)s.f_bavail * (lua_Integer)s.f_frsize);
  lua_setfield(L, -2, "free");
  lua_pushinteger(L, (lua_Integer)s.f_blocks * (lua_Integer)s.f_frsize);
  lua_setfield(L, -2, "total");
  return 1;
}

/*** The operating system.
-- @function engine.system.kernel
-- @return string: such as "Linux 6.1.0 x86_64" */
static int l_kernel(lua_State *L) {
  struct utsname u;
  if (uname(&u)) return lua_pushliteral(L, "unknown"), 1;
  lua_pushfstring(L, "%s %s %s", u.sysname, u.release, u.machine);
  return 1;
}

/*** The folder that holds Lathe's own lua/, recipes/ and templates/.
-- @function engine.system.root
-- @return string */
static int l_root(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "lathe.root");
  return 1;
}

int luaopen_engine_system(lua_State *L);
int luaopen_engine_system(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"cpu", l_cpu},       {"features", l_features}, {"loads", l_loads}, {"disk", l_disk},
      {"kernel", l_kernel}, {"root", l_root},         {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
