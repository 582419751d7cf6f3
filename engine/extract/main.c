/* SPDX-License-Identifier: MIT */
/* lathe-extract: reads untrusted documents for lathe. Started by engine/extract/client.c, never by
 * hand; protocol.h draws the three processes.
 *
 *   server (this loop): libraries are loaded once; for each request: fork, watch, report
 *   child: takes the document's descriptor, enters the sandbox, reads, writes frames, ends
 *
 * The server watches CPU time, not the clock: a loaded machine must not change what is extracted.
 * A child that spends too long on one PDF page is killed, and another one goes on at the next page,
 * EXTRACT_SKIPS times. The server ends when its engine does (control socket at its end), and takes
 * the child with it; if it is killed itself, the kernel kills the child.
 */
#include "base/err.h"
#include "extract/protocol.h"
#include "extract/sandbox.h"
#include "extract/worker.h"

#include <errno.h>
#include <libxml/parser.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 50 /* how often CPU time is looked at */

/* ---- the child ---- */

static int read_document(struct job *job, struct err *err) {
  enum doc_type type = DOC_UNKNOWN;
  if (!strcmp(job->request.type, "probe")) return probe_run(job, err);
  if (!strcmp(job->request.type, "archive")) return unpack_run(job, err);
  int rc = sniff_type(job, &type, err);
  if (rc) return rc;
  const char *name = sniff_name(type);
  if (job->first_page <= 1) out_meta(&job->out, "type", name, strlen(name));
  switch (type) {
  case DOC_TXT:
    return text_read(job, false, err);
  case DOC_MD:
    return text_read(job, true, err);
  case DOC_HTML:
    return html_read(job, err);
  case DOC_DOCX:
    return docx_read(job, err);
  case DOC_PDF:
    return pdf_read(job, err);
  case DOC_ODT:
    return odt_read(job, err);
  case DOC_PPTX:
    return pptx_read(job, err);
  case DOC_EPUB:
    return epub_read(job, err);
  case DOC_IPYNB:
    return ipynb_read(job, err);
  case DOC_ARCHIVE:
    return err_set(err, ERR_UNSUPPORTED,
                   "it is an archive or a compressed file, which is read by its members");
  default:
    return err_set(err, ERR_UNSUPPORTED, "unsupported type");
  }
}

/* Closes every descriptor but 0–2 and the two named ones. */
static void close_others(int a, int b) {
  int low = a < b ? a : b, high = a < b ? b : a;
  if (low > 3) close_range(3, (unsigned)low - 1, 0);
  if (high > low + 1) close_range((unsigned)low + 1, (unsigned)high - 1, 0);
  close_range((unsigned)high + 1, ~0u, 0);
}

static void child_main(struct job *job, int data, pid_t server) __attribute__((noreturn));
static void child_main(struct job *job, int data, pid_t server) {
  struct err err = {0};
  struct stat st;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != server) _exit(1);
  close_others(job->fd, data);
  out_init(&job->out, data);
  int rc = fstat(job->fd, &st) ? err_errno(&err, "cannot read") : 0;
  if (!rc) rc = sandbox_enter(job->request.cpu_seconds, &err);
  job->bytes = rc ? 0 : (uint64_t)st.st_size;
  if (!rc) rc = read_document(job, &err);
  out_result(&job->out, rc, rc ? err.message : "");
  _exit(0);
}

/* ---- the server ---- */

struct watch {
  pid_t pid;
  int pidfd;     /* readable when the child has ended; −1: look every tick */
  uint32_t page; /* as last seen */
  double page_cpu;
  double cpu_before; /* of children that were killed before */
};

static double cpu_of(pid_t pid) {
  clockid_t clock;
  struct timespec t;
  if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t)) return 0;
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void reap(struct watch *w, int *status) {
  while (waitpid(w->pid, status, 0) < 0 && errno == EINTR) continue;
  if (w->pidfd >= 0) close(w->pidfd);
  w->pidfd = -1;
}

static bool start_child(struct watch *w, struct job *job, int data) {
  pid_t server = getpid();
  w->pid = fork();
  if (w->pid == 0) child_main(job, data, server);
  if (w->pid < 0) return false;
  w->pidfd = (int)syscall(SYS_pidfd_open, w->pid, 0);
  w->page = job->first_page;
  w->page_cpu = 0;
  return true;
}

enum watched { WATCH_ENDED, WATCH_PAGE, WATCH_CPU, WATCH_ENGINE_GONE };

/* Waits until the child ends or must be ended (it is then killed and reaped). */
static enum watched watch_child(struct watch *w, const struct job *job, int *status) {
  for (;;) {
    struct pollfd p[2] = {{.fd = EXTRACT_CONTROL_FD, .events = POLLIN},
                          {.fd = w->pidfd, .events = POLLIN}};
    enum watched why = WATCH_ENDED;
    poll(p, 2, TICK_MS);
    if (p[1].revents) return reap(w, status), WATCH_ENDED;
    if (w->pidfd < 0 && waitpid(w->pid, status, WNOHANG) == w->pid) return WATCH_ENDED;
    double cpu = cpu_of(w->pid);
    uint32_t page = atomic_load(&job->progress->page);
    if (page != w->page) {
      w->page = page;
      w->page_cpu = cpu;
    }
    if (p[0].revents) why = WATCH_ENGINE_GONE;
    if (page && cpu - w->page_cpu > (double)job->request.page_seconds &&
        atomic_compare_exchange_strong(&job->progress->page, &page, PROGRESS_KILLED))
      why = WATCH_PAGE;
    if (w->cpu_before + cpu > (double)job->request.cpu_seconds) why = WATCH_CPU;
    if (why == WATCH_ENDED) continue;
    kill(w->pid, SIGKILL);
    reap(w, status);
    w->cpu_before += cpu;
    return why;
  }
}

static void report(uint32_t how, int value) {
  struct extract_exit e = {how, value};
  while (send(EXTRACT_CONTROL_FD, &e, sizeof e, MSG_NOSIGNAL) < 0 && errno == EINTR) continue;
}

/* A page was killed: says so; true when the document goes on behind the last page that was sent,
 * the killed one left out. After EXTRACT_SKIPS pages only those before the last killed one are
 * finished. */
static bool skip_page(struct watch *w, struct job *job, int data) {
  uint32_t pages = atomic_load(&job->progress->pages), done = atomic_load(&job->progress->done);
  if (job->last_page && job->last_page < pages) pages = job->last_page;
  out_init(&job->out, data);
  out_note(&job->out, "page %u skipped: more than %u s of CPU time", w->page,
           job->request.page_seconds);
  if (done >= w->page || done + 1 < job->first_page) done = job->first_page - 1; /* it lies */
  job->first_page = done + 1;
  atomic_store(&job->progress->page, 0);
  if (job->last_page || w->page > pages) return false;
  job->skips[job->skip_count++] = w->page;
  if (job->skip_count < EXTRACT_SKIPS) return job->first_page < pages || w->page != pages;
  if (w->page < pages)
    out_note(&job->out, "pages %u to %u skipped: %u pages took too long before them", w->page + 1,
             pages, job->skip_count);
  job->last_page = w->page - 1;
  return job->first_page <= job->last_page;
}

static void serve(struct job *job, int data) {
  struct watch w = {.pidfd = -1};
  int status = 0;
  bool again = true;
  atomic_store(&job->progress->page, 0);
  atomic_store(&job->progress->pages, 0);
  atomic_store(&job->progress->done, 0);
  while (again) {
    again = false;
    if (!start_child(&w, job, data)) {
      report(EXTRACT_NO_START, errno);
      break;
    }
    switch (watch_child(&w, job, &status)) {
    case WATCH_ENGINE_GONE:
      _exit(0);
    case WATCH_CPU:
      report(EXTRACT_CPU, (int)job->request.cpu_seconds);
      break;
    case WATCH_PAGE:
      again = skip_page(&w, job, data);
      if (!again) {
        out_result(&job->out, 0, "");
        report(EXTRACT_EXITED, 0);
      }
      break;
    case WATCH_ENDED:
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
        report(EXTRACT_CPU, (int)job->request.cpu_seconds);
      else if (WIFSIGNALED(status))
        report(EXTRACT_SIGNALED, WTERMSIG(status));
      else
        report(EXTRACT_EXITED, WEXITSTATUS(status));
    }
  }
}

/* 1: a request, its two descriptors in fds; 0: the engine is gone. */
static int receive(struct extract_request *q, int fds[2]) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
  } ancillary;
  struct iovec part = {q, sizeof *q};
  struct msghdr m = {.msg_iov = &part,
                     .msg_iovlen = 1,
                     .msg_control = ancillary.bytes,
                     .msg_controllen = sizeof ancillary.bytes};
  ssize_t n;
  do n = recvmsg(EXTRACT_CONTROL_FD, &m, MSG_CMSG_CLOEXEC);
  while (n < 0 && errno == EINTR);
  struct cmsghdr *c = n == (ssize_t)sizeof *q ? CMSG_FIRSTHDR(&m) : NULL;
  if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int))) return 0;
  memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
  q->type[sizeof q->type - 1] = q->extension[sizeof q->extension - 1] = 0;
  return 1;
}

static bool seccomp_known(void) {
  return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
}

int main(void) {
  struct extract_hello hello = {.version = EXTRACT_VERSION,
                                .landlock = sandbox_landlock(),
                                .seccomp = seccomp_known(),
                                .poppler = pdf_version()};
  int fds[2], type = 0;
  socklen_t n = sizeof type;
  if (getsockopt(EXTRACT_CONTROL_FD, SOL_SOCKET, SO_TYPE, &type, &n) || type != SOCK_SEQPACKET) {
    fprintf(stderr, "lathe-extract reads documents for lathe, which starts it; it is not a command "
                    "of its own\n");
    return 2;
  }
  struct job job = {0}; /* 32 KiB */
  struct progress *progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (progress == MAP_FAILED) return 1;
  xmlInitParser();
  if (send(EXTRACT_CONTROL_FD, &hello, sizeof hello, MSG_NOSIGNAL) < 0) return 1;
  while (receive(&job.request, fds)) {
    job.fd = fds[0];
    job.first_page = 1;
    job.last_page = job.skip_count = 0;
    job.progress = progress;
    serve(&job, fds[1]);
    close(fds[0]);
    close(fds[1]);
  }
  _exit(0);
}
