/* SPDX-License-Identifier: MIT */
/* The cancel flag; see cancel.h. */
#include "base/cancel.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_int requested;
static int wake_fd = -1;

static void on_signal(int number) {
  (void)number;
  if (atomic_load(&requested)) _exit(130);
  cancel_request();
}

int cancel_install(struct err *err) {
  struct sigaction action = {.sa_handler = on_signal};
  sigemptyset(&action.sa_mask);
  if (wake_fd < 0) wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return err_errno(err, "eventfd");
  if (sigaction(SIGINT, &action, NULL) || sigaction(SIGTERM, &action, NULL))
    return err_errno(err, "sigaction");
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

bool cancel_requested(void) {
  return atomic_load_explicit(&requested, memory_order_relaxed) != 0;
}

void cancel_request(void) {
  uint64_t one = 1;
  atomic_store(&requested, 1);
  if (wake_fd >= 0 && write(wake_fd, &one, sizeof one) < 0) return; /* full: already awake */
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
