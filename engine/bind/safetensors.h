/* SPDX-License-Identifier: MIT */
/* An open safetensors file as an argument of other bindings. */
#ifndef LATHE_BIND_SAFETENSORS_H
#define LATHE_BIND_SAFETENSORS_H

#include <lua.h>

#include "format/safetensors.h"

/* The file at `arg`, valid while that value lives and is not closed. Raises when it is something else,
 * or closed. */
struct safetensors *bind_check_safetensors(lua_State *L, int arg);

#endif
