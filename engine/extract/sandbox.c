/* SPDX-License-Identifier: MIT */
/* The cage; see sandbox.h. Landlock is used by system call, since Debian 12's C library has no
 * wrappers; its rights are asked of the kernel's ABI, so that an older one gets what it knows.
 * Under the sanitizers the address space is not limited: their shadow memory is 16 TiB of it. */
#include "extract/sandbox.h"

#include "extract/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ULL << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#define ACCESS_FS_IOCTL_DEV (1ULL << 15) /* newer than Debian 12's headers */
#define ACCESS_FS_ABI1      ((1ULL << 13) - 1)

unsigned sandbox_landlock(void) {
  long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi > 0 ? (unsigned)abi : 0;
}

static void allow_reading(int rules, const char *path) {
  struct landlock_path_beneath_attr rule = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE |
                                                              LANDLOCK_ACCESS_FS_READ_DIR};
  rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
  if (rule.parent_fd < 0) return;
  syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  close(rule.parent_fd);
}

static int confine_files(struct err *err) {
  static const char *const readable[] = {"/usr/share/poppler",
                                         "/usr/local/share/poppler",
                                         "/usr/share/fonts",
                                         "/usr/local/share/fonts",
                                         "/usr/share/fontconfig",
                                         "/etc/fonts",
                                         "/var/cache/fontconfig",
                                         "/usr/lib/x86_64-linux-gnu/gconv",
                                         "/usr/lib/aarch64-linux-gnu/gconv",
                                         "/usr/lib64/gconv",
                                         "/usr/lib/gconv"};
  struct landlock_ruleset_attr all = {.handled_access_fs = ACCESS_FS_ABI1};
  unsigned abi = sandbox_landlock();
  if (!abi) return 0;
  if (abi >= 2) all.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
  if (abi >= 3) all.handled_access_fs |= LANDLOCK_ACCESS_FS_TRUNCATE;
  if (abi >= 5) all.handled_access_fs |= ACCESS_FS_IOCTL_DEV;
  int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all.handled_access_fs, 0);
  if (rules < 0) return err_errno(err, "cannot make Landlock rules");
  for (size_t i = 0; i < sizeof readable / sizeof *readable; i++) allow_reading(rules, readable[i]);
  int failed = (int)syscall(SYS_landlock_restrict_self, rules, 0);
  int rc = failed ? err_errno(err, "cannot enter the Landlock domain") : 0;
  close(rules);
  return rc;
}

static int limit(int what, rlim_t most, const char *name, struct err *err) {
  struct rlimit l = {most, most};
  if (setrlimit(what, &l)) return err_errno(err, "cannot limit %s", name);
  return 0;
}

static int confine_resources(uint32_t cpu_seconds, struct err *err) {
  struct rlimit cpu = {cpu_seconds, (rlim_t)cpu_seconds + 5};
  int rc = limit(RLIMIT_FSIZE, 0, "file size", err);
  if (!rc) rc = limit(RLIMIT_CORE, 0, "core files", err);
  if (!rc) rc = limit(RLIMIT_NOFILE, 64, "descriptors", err);
  if (!rc && setrlimit(RLIMIT_CPU, &cpu)) rc = err_errno(err, "cannot limit CPU time");
#ifndef LATHE_SANITIZE
  if (!rc) rc = limit(RLIMIT_AS, EXTRACT_MEMORY, "memory", err);
#endif
  return rc;
}

/* What reading needs: memory, descriptors that are open, files to read, time, dying. */
static const int allowed[] = {SCMP_SYS(read),
                              SCMP_SYS(readv),
                              SCMP_SYS(pread64),
                              SCMP_SYS(lseek),
                              SCMP_SYS(close),
                              SCMP_SYS(dup),
                              SCMP_SYS(fstat),
                              SCMP_SYS(newfstatat),
                              SCMP_SYS(stat),
                              SCMP_SYS(lstat),
                              SCMP_SYS(statx),
                              SCMP_SYS(statfs),
                              SCMP_SYS(fstatfs),
                              SCMP_SYS(access),
                              SCMP_SYS(faccessat),
                              SCMP_SYS(faccessat2),
                              SCMP_SYS(readlink),
                              SCMP_SYS(readlinkat),
                              SCMP_SYS(getdents64),
                              SCMP_SYS(getcwd),
                              SCMP_SYS(fadvise64),
                              SCMP_SYS(write),
                              SCMP_SYS(writev),
                              SCMP_SYS(sendmsg),
                              SCMP_SYS(sendto),
                              SCMP_SYS(poll),
                              SCMP_SYS(ppoll),
                              SCMP_SYS(brk),
                              SCMP_SYS(mmap),
                              SCMP_SYS(munmap),
                              SCMP_SYS(mremap),
                              SCMP_SYS(mprotect),
                              SCMP_SYS(madvise),
                              SCMP_SYS(futex),
                              SCMP_SYS(membarrier),
                              SCMP_SYS(rseq),
                              SCMP_SYS(set_robust_list),
                              SCMP_SYS(get_robust_list),
                              SCMP_SYS(sched_yield),
                              SCMP_SYS(sched_getaffinity),
                              SCMP_SYS(getrandom),
                              SCMP_SYS(clock_gettime),
                              SCMP_SYS(clock_getres),
                              SCMP_SYS(clock_nanosleep),
                              SCMP_SYS(nanosleep),
                              SCMP_SYS(gettimeofday),
                              SCMP_SYS(time),
                              SCMP_SYS(times),
                              SCMP_SYS(getrusage),
                              SCMP_SYS(getrlimit),
                              SCMP_SYS(sysinfo),
                              SCMP_SYS(uname),
                              SCMP_SYS(getpid),
                              SCMP_SYS(getppid),
                              SCMP_SYS(gettid),
                              SCMP_SYS(getuid),
                              SCMP_SYS(geteuid),
                              SCMP_SYS(getgid),
                              SCMP_SYS(getegid),
                              SCMP_SYS(rt_sigaction),
                              SCMP_SYS(rt_sigprocmask),
                              SCMP_SYS(rt_sigreturn),
                              SCMP_SYS(sigaltstack),
                              SCMP_SYS(restart_syscall),
                              SCMP_SYS(exit),
                              SCMP_SYS(exit_group)};

/* Calls that are fine with some arguments only: opening to read, signals to itself, asking flags
 * and limits. */
static int allow_some(scmp_filter_ctx filter) {
  const uint64_t writing = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND;
  const uint64_t self = (uint64_t)getpid();
  const uint32_t allow = SCMP_ACT_ALLOW;
  int e =
      seccomp_rule_add(filter, allow, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, writing, 0));
#ifdef SYS_open
  if (!e)
    e = seccomp_rule_add(filter, allow, SCMP_SYS(open), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, writing, 0));
#endif
  if (!e) e = seccomp_rule_add(filter, allow, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, self));
  if (!e) e = seccomp_rule_add(filter, allow, SCMP_SYS(kill), 1, SCMP_A0(SCMP_CMP_EQ, self));
  if (!e) e = seccomp_rule_add(filter, allow, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFL));
  if (!e) e = seccomp_rule_add(filter, allow, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_GETFD));
  if (!e) e = seccomp_rule_add(filter, allow, SCMP_SYS(fcntl), 1, SCMP_A1(SCMP_CMP_EQ, F_SETFD));
  if (!e) /* a new limit may not be given: that argument must be NULL */
    e = seccomp_rule_add(filter, allow, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
  return e;
}

static int confine_calls(struct err *err) {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
  int e = filter ? 0 : -ENOMEM;
  for (size_t i = 0; !e && i < sizeof allowed / sizeof *allowed; i++) {
    e = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
    if (e == -EDOM || e == -EINVAL) e = 0; /* this architecture has no such call */
  }
  if (!e) e = allow_some(filter);
  if (!e) e = seccomp_load(filter);
  if (filter) seccomp_release(filter);
  errno = -e;
  return e ? err_errno(err, "cannot load the seccomp filter") : 0;
}

int sandbox_enter(uint32_t cpu_seconds, struct err *err) {
  int rc;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return err_errno(err, "cannot drop privileges");
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)) return err_errno(err, "cannot forbid core files");
  rc = confine_files(err);
  if (!rc) rc = confine_resources(cpu_seconds, err);
  if (!rc) rc = confine_calls(err);
  return rc;
}
