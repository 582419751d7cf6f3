/* SPDX-License-Identifier: MIT */
/* Lines and writers as arguments of other bindings. */
#ifndef LATHE_BIND_FILE_H
#define LATHE_BIND_FILE_H

#include <lua.h>

#include "file/file.h"

/* What engine.file.lines and engine.file.replace gave, open; else an error is raised. */
struct lines *bind_check_lines(lua_State *L, int arg);
struct file_replace *bind_check_writer(lua_State *L, int arg);
/* Text (false when too long), number, offset, length: returns 4. */
int bind_push_line(lua_State *L, const struct line *line);

#endif
