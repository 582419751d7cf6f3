/* SPDX-License-Identifier: MIT */
/* Tensors as text for people. */
#ifndef LATHE_TENSOR_SHOW_H
#define LATHE_TENSOR_SHOW_H

#include "base/buf.h"
#include "tensor/tensor.h"

/* Appends the type and shape, then the elements in brackets, aligned; of a dimension longer than 8
 * only the first and last three.
 *
 *   f32[2, 3]
 *   [[ 1.0000, -2.5000,  3.0000],
 *    [ 4.0000,  5.0000,  6.0000]]
 */
void tensor_show(const struct tensor *t, struct buf *out);

#endif
