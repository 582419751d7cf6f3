/* SPDX-License-Identifier: MIT */
/* The cancel flag: the engine's only mutable global, because a signal handler can reach nothing
 * else.
 *
 * First SIGINT or SIGTERM: sets the flag and wakes the eventfd. Second: the process ends at once
 * with status 130. Long kernels poll cancel_requested once a tile; Lua states by a count hook;
 * whoever sleeps in poll(2) includes cancel_fd. The REPL calls cancel_clear at its prompt.
 */
#ifndef LATHE_BASE_CANCEL_H
#define LATHE_BASE_CANCEL_H

#include <stdbool.h>

#include "base/err.h"

int cancel_install(struct err *err); /* handlers and eventfd; once, from the main thread */
bool cancel_requested(void);
void cancel_request(void); /* as a signal would; async-signal-safe */
void cancel_clear(void);
int cancel_fd(void); /* readable while the flag is set; −1 before cancel_install */

/* 0, or ERR_CANCELLED with the message "interrupted". */
int cancel_check(struct err *err);

/* Blocks SIGINT, SIGTERM, SIGHUP in the calling thread: workers call it first. */
void cancel_block_signals(void);

#endif
