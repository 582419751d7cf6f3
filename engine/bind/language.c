/* SPDX-License-Identifier: MIT */
/* require "engine.language": which language a text is in. */
#include "bind/bind.h"
#include "text/language.h"

#define MODELS_NAME "lathe.language_models"

struct models {
  struct language_models *models;
};

static int models_gc(lua_State *L) {
  struct models *m = luaL_checkudata(L, 1, MODELS_NAME);
  language_close(m->models);
  m->models = NULL;
  return 0;
}

/*** Opens the language models of libexttextcat.
-- @function engine.language.open
-- @param folder string: where its fpdb.conf is, such as /usr/share/libexttextcat
-- @return models: models:identify(text) gives an ISO 639 code, or "unknown", and a confidence from 0
-- to 1
-- @error not_found (no models there), unsupported (built without libexttextcat), no_memory
-- @example require("engine.language").open("/usr/share/libexttextcat"):identify("What is this text
about?") */
static int l_open(lua_State *L) {
  const char *folder = luaL_checkstring(L, 1);
  struct err err;
  struct models *m = bind_new(L, sizeof *m, MODELS_NAME);
  if (language_open(&m->models, folder, &err)) return bind_fail(L, &err);
  return 1;
}

static int models_identify(lua_State *L) {
  struct models *m = luaL_checkudata(L, 1, MODELS_NAME);
  size_t n;
  const char *s = luaL_checklstring(L, 2, &n);
  struct language language;
  struct err err;
  luaL_argcheck(L, m->models, 1, "the models are closed");
  if (language_identify(m->models, s, n, &language, &err)) return bind_fail(L, &err);
  lua_pushstring(L, language.code);
  lua_pushnumber(L, language.confidence);
  return 2;
}

int luaopen_engine_language(lua_State *L);
int luaopen_engine_language(lua_State *L) {
  static const luaL_Reg methods[] = {{"identify", models_identify}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", models_gc}, {"__close", models_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"open", l_open}, {NULL, NULL}};
  bind_metatable(L, MODELS_NAME, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
