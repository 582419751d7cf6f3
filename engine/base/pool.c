/* SPDX-License-Identifier: MIT */
/* Thread pool; see pool.h.
 *
 *   round ──► incremented under the lock starts a loop; threads take task numbers from `next`
 *             busy counts threads still inside the round; the caller waits for it to reach 0
 *
 * Idle threads spin briefly before they sleep: training issues thousands of short loops a second,
 * and a sleeping thread costs tens of microseconds to wake.
 */
#include "base/pool.h"
#include "base/cancel.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define SPINS 2000

struct pool {
  unsigned threads; /* with the caller */
  pthread_t *ids;   /* threads − 1 */
  unsigned started;
  pthread_mutex_t lock;
  pthread_cond_t wake, idle;
  atomic_uint round;
  atomic_uint busy;
  bool stop;
  pool_task *task;
  void *arg;
  size_t tasks;
  atomic_size_t next;
};

static void work(struct pool *p) {
  size_t i;
  while (!cancel_requested() && (i = atomic_fetch_add(&p->next, 1)) < p->tasks) p->task(p->arg, i);
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/* Waits for a round other than `seen`; returns it. */
static unsigned await_round(struct pool *p, unsigned seen) {
  for (int i = 0; i < SPINS; i++) {
    if (atomic_load(&p->round) != seen) return atomic_load(&p->round);
    relax();
  }
  pthread_mutex_lock(&p->lock);
  while (atomic_load(&p->round) == seen) pthread_cond_wait(&p->wake, &p->lock);
  unsigned now = atomic_load(&p->round);
  pthread_mutex_unlock(&p->lock);
  return now;
}

static void *thread_main(void *arg) {
  struct pool *p = arg;
  unsigned seen = 0;
  cancel_block_signals();
  for (;;) {
    seen = await_round(p, seen);
    if (p->stop) return NULL;
    work(p);
    if (atomic_fetch_sub(&p->busy, 1) == 1) {
      pthread_mutex_lock(&p->lock);
      pthread_cond_signal(&p->idle);
      pthread_mutex_unlock(&p->lock);
    }
  }
}

int pool_new(struct pool **out, unsigned threads, struct err *err) {
  *out = NULL;
  if (threads < 1) threads = 1;
  struct pool *p = mem_zero(sizeof *p);
  if (!p) return err_nomem(err, sizeof *p, "a thread pool");
  p->threads = threads;
  pthread_mutex_init(&p->lock, NULL);
  pthread_cond_init(&p->wake, NULL);
  pthread_cond_init(&p->idle, NULL);
  p->ids = mem_zeros(threads, sizeof *p->ids);
  if (!p->ids) {
    pool_free(p);
    return err_nomem(err, threads * sizeof *p->ids, "a thread pool");
  }
  for (; p->started + 1 < threads; p->started++) {
    if (pthread_create(&p->ids[p->started], NULL, thread_main, p)) {
      unsigned failed = p->started + 1;
      pool_free(p);
      return err_set(err, ERR_IO, "cannot start thread %u of %u", failed, threads);
    }
  }
  *out = p;
  return 0;
}

static void begin_round(struct pool *p) {
  pthread_mutex_lock(&p->lock);
  atomic_fetch_add(&p->round, 1);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->lock);
}

void pool_free(struct pool *p) {
  if (!p) return;
  p->stop = true;
  if (p->started) begin_round(p);
  for (unsigned i = 0; i < p->started; i++) pthread_join(p->ids[i], NULL);
  pthread_cond_destroy(&p->idle);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->lock);
  mem_free(p->ids);
  mem_free(p);
}

unsigned pool_threads(const struct pool *p) {
  return p ? p->threads : 1;
}

int pool_run(struct pool *p, size_t tasks, pool_task *task, void *arg) {
  if (!p || p->threads == 1 || tasks <= 1) {
    for (size_t i = 0; i < tasks && !cancel_requested(); i++) task(arg, i);
    return cancel_requested() ? ERR_CANCELLED : 0;
  }
  p->task = task;
  p->arg = arg;
  p->tasks = tasks;
  atomic_store(&p->next, 0);
  atomic_store(&p->busy, p->started);
  begin_round(p);
  work(p);
  for (int i = 0; i < SPINS * 4 && atomic_load(&p->busy); i++) relax();
  if (atomic_load(&p->busy)) {
    pthread_mutex_lock(&p->lock);
    while (atomic_load(&p->busy)) pthread_cond_wait(&p->idle, &p->lock);
    pthread_mutex_unlock(&p->lock);
  }
  return cancel_requested() ? ERR_CANCELLED : 0;
}
