/* SPDX-License-Identifier: MIT */
/* The cancel flag: the engine's only mutable global, because a signal handler can reach nothing
 * else.
 *
 * First SIGINT or SIGTERM: sets the flag, wakes the eventfd, and calls the watchers. Second: the
 * process ends at once with status 130. Long kernels poll cancel_requested once a tile; whoever
 * sleeps in poll(2) includes cancel_fd. The REPL calls cancel_clear at its prompt.
 *
 * A watcher is a function that is called in the thread that registered it, from a signal handler
 * (SIGUSR2 carries the news to the other threads). Lua states use it to set a hook on themselves:
 * a hook that is set all the time makes every instruction of Lua's machine a call.
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

/* Calls wake(arg) in the calling thread when cancel_request is called, now if it was before. wake
 * must be async-signal-safe. Returns a handle for cancel_unwatch, which the same thread calls before
 * it ends; −1 when there are CANCEL_WATCHERS already. */
#define CANCEL_WATCHERS 1100
int cancel_watch(void (*wake)(void *), void *arg);
void cancel_unwatch(int handle);

/* 0, or ERR_CANCELLED with the message "interrupted". */
int cancel_check(struct err *err);

/* Blocks SIGINT, SIGTERM, SIGHUP in the calling thread: workers call it first. */
void cancel_block_signals(void);

#endif
