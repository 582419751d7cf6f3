/* SPDX-License-Identifier: MIT */
/* The cage around the child that reads a document. Three walls, each of which holds alone:
 *
 *   limits    no file may grow, no core file, few descriptors, CPU time, 512 MiB of addresses
 *   Landlock  of the file system only poppler's data, fonts and the C library's character tables
 *             can be read; nothing can be written, made, removed or executed
 *   seccomp   only the system calls that reading needs; all others fail with EPERM (they do not
 *             kill: libraries try things and live with a no)
 */
#ifndef LATHE_EXTRACT_SANDBOX_H
#define LATHE_EXTRACT_SANDBOX_H

#include <stdint.h>

#include "base/err.h"

/* The Landlock ABI of this kernel, 0 when it has none. */
unsigned sandbox_landlock(void);

/* Confines the calling process for good. Without Landlock it goes on (the caller reports that);
 * any other wall that cannot be raised is an error, and the document must not be read. */
int sandbox_enter(uint32_t cpu_seconds, struct err *err);

#endif
