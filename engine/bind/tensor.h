/* SPDX-License-Identifier: MIT */
/* Tensors in Lua, for bindings that hand them out or take them. */
#ifndef LATHE_BIND_TENSOR_H
#define LATHE_BIND_TENSOR_H

#include "bind/bind.h"
#include "tensor/tensor.h"

/* Pushes an empty tensor userdata; the caller fills it with pure C, then calls bind_tensor_made. */
struct tensor *bind_tensor_new(lua_State *L);
/* Accounts for the storage of the tensor at the top of the stack, when it is the storage's first.
 */
void bind_tensor_made(lua_State *L);
/* The tensor at arg, or an error when it is none or was closed. */
struct tensor *bind_tensor_check(lua_State *L, int arg);

#endif
