/* SPDX-License-Identifier: MIT */
/* A thread pool for kernels: parallel loops over a fixed number of tasks.
 *
 * Which thread runs which task is not fixed; so tasks must write to places of their own, and the
 * caller adds partial results in index order. Then the bytes do not depend on the number of
 * threads.
 *
 *   pool_run(pool, 12, tile, &job)  →  tile(&job, 0) … tile(&job, 11), each once, on any thread
 *
 * The calling thread works too: a pool of n has n − 1 threads of its own. One pool_run at a time
 * per pool; a task must not call pool_run on the same pool. A NULL pool runs the tasks here, in
 * order.
 */
#ifndef LATHE_BASE_POOL_H
#define LATHE_BASE_POOL_H

#include <stddef.h>

#include "base/err.h"

struct pool;

int pool_new(struct pool **out, unsigned threads, struct err *err);
void pool_free(struct pool *p);
unsigned pool_threads(const struct pool *p); /* 1 for NULL */

typedef void pool_task(void *arg, size_t index);
/* Returns when all tasks have run, or, once cancel_requested(), when those begun have: then
 * ERR_CANCELLED and some were not run. */
int pool_run(struct pool *p, size_t tasks, pool_task *task, void *arg);

#endif
