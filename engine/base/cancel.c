/* SPDX-License-Identifier: MIT */
/* The cancel flag; see cancel.h. */
#include "base/cancel.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int requested;
static int wake_fd = -1;

/* A slot is claimed (FREE → TAKEN) by the thread that fills it, then READY; only that thread gives it
 * back. The handler that reads it runs either in that thread or while that thread cannot have ended:
 * its id stays valid until it is joined, and who joins is the thread that the handler interrupts. */
enum { FREE, TAKEN, READY };
static struct watcher {
  atomic_int state;
  pthread_t thread;
  void (*wake)(void *);
  void *arg;
} watchers[CANCEL_WATCHERS];
static atomic_int watchers_end; /* slots from here on were never used */

static void wake_own(int number) {
  (void)number;
  pthread_t self = pthread_self();
  int end = atomic_load(&watchers_end);
  for (int i = 0; i < end; i++) {
    struct watcher *w = &watchers[i];
    if (atomic_load(&w->state) == READY && pthread_equal(w->thread, self)) w->wake(w->arg);
  }
}

static void wake_others(void) {
  pthread_t self = pthread_self();
  int end = atomic_load(&watchers_end);
  for (int i = 0; i < end; i++) {
    struct watcher *w = &watchers[i];
    if (atomic_load(&w->state) == READY && !pthread_equal(w->thread, self))
      pthread_kill(w->thread, SIGUSR2);
  }
}

int cancel_watch(void (*wake)(void *), void *arg) {
  for (int i = 0; i < CANCEL_WATCHERS; i++) {
    struct watcher *w = &watchers[i];
    int expected = FREE;
    if (!atomic_compare_exchange_strong(&w->state, &expected, TAKEN)) continue;
    w->thread = pthread_self();
    w->wake = wake;
    w->arg = arg;
    for (int end = atomic_load(&watchers_end);
         end <= i && !atomic_compare_exchange_weak(&watchers_end, &end, i + 1);)
      continue;
    atomic_store(&w->state, READY);
    if (cancel_requested()) wake(arg);
    return i;
  }
  return -1;
}

void cancel_unwatch(int handle) {
  if (handle >= 0) atomic_store(&watchers[handle].state, FREE);
}

static void on_signal(int number) {
  (void)number;
  if (atomic_load(&requested)) _exit(130);
  cancel_request();
}

int cancel_install(struct err *err) {
  struct sigaction action = {.sa_handler = on_signal};
  struct sigaction wake = {.sa_handler = wake_own, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigemptyset(&wake.sa_mask);
  if (wake_fd < 0) wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return err_errno(err, "eventfd");
  if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL) ||
      sigaction(SIGUSR2, &wake, NULL))
    return err_errno(err, "sigaction");
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

bool cancel_requested(void) {
  return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

void cancel_request(void) {
  uint64_t one = 1;
  int before = errno;
  atomic_store(&requested, 1);
  wake_own(0);
  if (wake_fd >= 0) { /* cancel_install was called: SIGUSR2 has its handler */
    wake_others();
    while (write(wake_fd, &one, sizeof one) < 0 && errno == EINTR)
      continue; /* full: awake already */
  }
  errno = before;
}

void cancel_clear(void) {
  uint64_t drained;
  atomic_store(&requested, 0);
  if (wake_fd >= 0 && read(wake_fd, &drained, sizeof drained) < 0) return; /* was empty */
}

int cancel_fd(void) {
  return wake_fd;
}

int cancel_check(struct err *err) {
  return cancel_requested() ? err_set(err, ERR_CANCELLED, "interrupted") : 0;
}

void cancel_block_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
}
