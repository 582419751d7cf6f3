/* SPDX-License-Identifier: MIT */
/* Included before every file that the static analyser sees (not by the compiler). The analyser looks
 * at one file at a time and so cannot know that an error is never 0; told, it no longer follows
 * paths on which a function failed and went on. Nor does it know that Lua's errors do not return. */
#ifndef LATHE_TOOLS_LINT_H
#define LATHE_TOOLS_LINT_H

#include "base/err.h"

#define err_set(err, code, ...)   ((void)(err_set)(err, code, __VA_ARGS__), (int)(code))
#define err_errno(...)            ((void)(err_errno)(__VA_ARGS__), (int)ERR_IO)
#define err_nomem(err, n, what)   ((void)(err_nomem)(err, n, what), (int)ERR_NOMEM)

void lint_never(void) __attribute__((noreturn));
#define luaL_error(...)     ((luaL_error)(__VA_ARGS__), lint_never(), 0)
#define luaL_argerror(...)  ((luaL_argerror)(__VA_ARGS__), lint_never(), 0)

#endif
