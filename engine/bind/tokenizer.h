/* SPDX-License-Identifier: MIT */
/* A tokenizer as an argument of other bindings. */
#ifndef LATHE_BIND_TOKENIZER_H
#define LATHE_BIND_TOKENIZER_H

#include <lua.h>

#include "tokenizer/tokenizer.h"

/* The tokenizer at `arg`, valid while that value lives; *work is its word cache, of this Lua state.
 * Raises when it is something else, or closed. */
const struct tokenizer *bind_check_tokenizer(lua_State *L, int arg, struct tokenizer_work **work);

#endif
