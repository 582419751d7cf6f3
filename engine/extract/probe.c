/* SPDX-License-Identifier: MIT */
/* The type "probe": instead of reading the document, the caged child tries what a hostile one
 * would, and its text says what came of it, a line each: "open /etc/passwd: denied". The tests and
 * `lathe doctor` ask this, since a cage that is only believed in is none. */
#include "extract/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool can_open(const char *path, int flags) {
  int fd = open(path, flags | O_CLOEXEC, 0600);
  if (fd >= 0) close(fd);
  return fd >= 0;
}

static bool can_fork(void) {
  long pid = syscall(SYS_fork);
  if (pid == 0) _exit(0);
  return pid > 0;
}

static bool can_exec(void) {
  char name[] = "/bin/true", *arguments[] = {name, NULL}, *none[] = {NULL};
  execve(name, arguments, none);
  return false; /* else we were not here, and the crash is the answer */
}

static bool can_raise_limits(void) {
  struct rlimit more = {RLIM_INFINITY, RLIM_INFINITY};
  return setrlimit(RLIMIT_FSIZE, &more) == 0;
}

static bool can_allocate(size_t n) {
  void *p =
      mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p != MAP_FAILED) munmap(p, n);
  return p != MAP_FAILED;
}

static void say(struct job *job, const char *what, bool allowed) {
  char line[128];
  int n = snprintf(line, sizeof line, "%s: %s\n", what, allowed ? "ALLOWED" : "denied");
  out_raw(&job->out, line, (size_t)n);
}

int probe_run(struct job *job, struct err *err) {
  char own[64];
  (void)err;
  snprintf(own, sizeof own, "/proc/self/fd/%d", job->fd);
  say(job, "open /etc/passwd", can_open("/etc/passwd", O_RDONLY));
  say(job, "open /proc/self/mem", can_open("/proc/self/mem", O_RDONLY));
  say(job, "list /", can_open("/", O_RDONLY | O_DIRECTORY));
  say(job, "create a file", can_open("/tmp/lathe-probe", O_WRONLY | O_CREAT));
  say(job, "reopen the document for writing", can_open(own, O_WRONLY));
  say(job, "write to the document", write(job->fd, "x", 1) == 1);
  say(job, "remove a file", unlink("/tmp/lathe-probe-none") == 0 || errno == ENOENT);
  say(job, "make a folder", mkdir("/tmp/lathe-probe-folder", 0700) == 0);
  say(job, "open a network socket", socket(AF_INET, SOCK_STREAM, 0) >= 0);
  say(job, "open a local socket", socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
  say(job, "fork", can_fork());
  say(job, "execute a program", can_exec());
  say(job, "signal its parent", kill(getppid(), 0) == 0);
  say(job, "trace its parent", ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0);
  say(job, "raise its limits", can_raise_limits());
#ifndef LATHE_SANITIZE
  say(job, "allocate 600 MiB", can_allocate((size_t)600 << 20));
#else
  (void)can_allocate;
#endif
  return 0;
}
