/* SPDX-License-Identifier: MIT */
/* The engine's side of extraction; see client.h for use and protocol.h for the messages.
 *
 *   x->control ◄─► server        kept over documents, closed and killed after anything odd
 *   x->data    ◄── child         one socket per document; its end is the end of the text
 *
 * Everything on x->data comes from a process that has read a hostile document: a message has a
 * kind and at most 64 KiB, text is made valid UTF-8, names and notes lose control characters,
 * counts and totals are limited. Time is counted only while waiting for the child, so that a slow
 * consumer does not run a document into the wall-clock limit.
 */
#include "extract/client.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "extract/link.h"
#include "extract/protocol.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_DEFAULT  ((uint64_t)8 << 20)
#define TEXT_MAX         ((uint64_t)1 << 30)
#define UNPACKED_DEFAULT ((uint64_t)256 << 20)
#define PAGES_MAX        ((size_t)1 << 20)
#define NOTES_MAX        64
#define START_SECONDS    30 /* for the program to load its libraries */
#define HASH_BLOCK       ((size_t)1 << 20)
#define SPARES           2 /* clients kept for archives: one level inside another */

struct extract {
  char program[PATH_MAX];
  pid_t pid;   /* 0: not running */
  int control; /* −1: not running */
  struct extract_hello hello;

  int data;  /* −1: no document, or its text has ended */
  bool busy; /* a document is open */
  char *path;
  struct extract_options options;
  struct extract_document document;
  char type[16], encoding[64], language[32];
  struct buf title, author;

  struct buf text;   /* waiting to be cut */
  uint64_t start;    /* offset of text.data[0] in the extracted text */
  size_t given;      /* bytes at the front that the caller is looking at */
  bool ended, solid; /* all text is here; some of it was not white space */
  struct extract_page *pages;
  size_t page_count, page_cap;
  char *notes[NOTES_MAX];
  size_t note_count, notes_given;

  uint64_t member_max;
  bool archive; /* members are asked for, not text */
  struct extract *spares[SPARES];

  bool has_result;
  int result;
  char message[EXTRACT_MESSAGE];
  const char *reason;
  unsigned char frame[EXTRACT_FRAME + 1]; /* + room for a zero byte */
};

/* ---- the program ---- */

static bool is_program(const char *path) {
  return access(path, X_OK) == 0;
}

static int find_program(char *out, const char *given, struct err *err) {
  char self[PATH_MAX], *slash;
  const char *named = given ? given : getenv("LATHE_EXTRACT");
  if (named && *named) {
    if (strlen(named) >= PATH_MAX || !is_program(named))
      return err_set(err, ERR_NOTFOUND, "cannot run %s, which LATHE_EXTRACT names", named);
    strcpy(out, named);
    return 0;
  }
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 64);
  if (n <= 0) return err_errno(err, "/proc/self/exe");
  self[n] = 0;
  if (!(slash = strrchr(self, '/'))) return err_set(err, ERR_NOTFOUND, "%s: not a path", self);
  *slash = 0;
  int used = snprintf(out, PATH_MAX, "%s/lathe-extract", self);
  if (used < PATH_MAX && is_program(out)) return 0;
  used = snprintf(out, PATH_MAX, "%s/../libexec/lathe/lathe-extract", self);
  if (used < PATH_MAX && is_program(out)) return 0;
  return err_set(err, ERR_NOTFOUND,
                 "cannot find the program lathe-extract, which reads documents: it is neither in "
                 "%s nor in %s/../libexec/lathe; build it (make) or set LATHE_EXTRACT",
                 self, self);
}

int extract_open(struct extract **out, const char *program, struct err *err) {
  int rc;
  *out = NULL;
  struct extract *x = mem_zero(sizeof *x);
  if (!x) return err_nomem(err, sizeof *x, "the extractor");
  x->control = x->data = -1;
  x->reason = "";
  buf_init(&x->title);
  buf_init(&x->author);
  buf_init(&x->text);
  rc = find_program(x->program, program, err);
  if (rc)
    extract_close(x);
  else
    *out = x;
  return rc;
}

/* Ends the server and, by its group, the child. */
static void stop(struct extract *x) {
  if (x->control >= 0) close(x->control);
  x->control = -1;
  if (!x->pid) return;
  kill(-x->pid, SIGKILL);
  kill(x->pid, SIGKILL);
  while (waitpid(x->pid, NULL, 0) < 0 && errno == EINTR) continue;
  x->pid = 0;
}

static void end_document(struct extract *x) {
  if (x->data >= 0) close(x->data);
  x->data = -1;
  x->busy = false;
}

static void forget_document(struct extract *x) {
  end_document(x);
  mem_free(x->path);
  x->path = NULL;
  for (size_t i = 0; i < x->note_count; i++) mem_free(x->notes[i]);
  x->note_count = x->notes_given = x->page_count = x->given = 0;
  x->start = 0;
  x->ended = x->solid = x->has_result = x->archive = false;
  x->result = 0;
  x->type[0] = x->encoding[0] = x->language[0] = x->message[0] = 0;
  x->reason = "";
  buf_clear(&x->title);
  buf_clear(&x->author);
  buf_reset(&x->text);
}

void extract_close(struct extract *x) {
  if (!x) return;
  forget_document(x);
  stop(x);
  for (int i = 0; i < SPARES; i++) extract_close(x->spares[i]);
  buf_clear(&x->text);
  mem_free(x->pages);
  mem_free(x);
}

/* The environment of the program: nothing of ours but what the sanitizers need to know. */
static void child_environment(char *out[8]) {
  static char locale[] = "LC_ALL=C.UTF-8", path[] = "PATH=/usr/bin:/bin";
  size_t n = 0;
  out[n++] = locale;
  out[n++] = path;
#ifdef LATHE_SANITIZE
  static char asan[] = "ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1";
  out[n++] = asan;
#endif
  out[n] = NULL;
}

static int spawn(struct extract *x, int socket, struct err *err) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t none, all;
  char *environment[8], name[] = "lathe-extract", *arguments[] = {name, NULL};
  if (posix_spawn_file_actions_init(&actions)) return err_nomem(err, 0, x->program);
  if (posix_spawnattr_init(&attributes)) {
    posix_spawn_file_actions_destroy(&actions);
    return err_nomem(err, 0, x->program);
  }
  sigemptyset(&none);
  sigfillset(&all);
  child_environment(environment);
  int e = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                    POSIX_SPAWN_SETSIGDEF);
  if (!e) e = posix_spawnattr_setpgroup(&attributes, 0);
  if (!e) e = posix_spawnattr_setsigmask(&attributes, &none);
  if (!e) e = posix_spawnattr_setsigdefault(&attributes, &all);
  if (!e) e = posix_spawn_file_actions_adddup2(&actions, socket, EXTRACT_CONTROL_FD);
  if (!e) e = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (!e) e = posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
#ifndef LATHE_SANITIZE /* whose reports are for people */
  if (!e) e = posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
#endif
  if (!e) e = posix_spawn_file_actions_addclosefrom_np(&actions, EXTRACT_CONTROL_FD + 1);
  if (!e) e = posix_spawn(&x->pid, x->program, &actions, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (!e) return 0;
  x->pid = 0;
  errno = e;
  return err_errno(err, "cannot start %s", x->program);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* 0 when fd is readable (or at its end), ERR_CANCELLED, ERR_TRANSIENT after `seconds`. */
static int wait_readable(int fd, double seconds, struct err *err) {
  double end = now() + seconds;
  for (;;) {
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = cancel_fd(), .events = POLLIN}};
    double left = end - now();
    if (left <= 0)
      return err_set(err, ERR_TRANSIENT, "no sign of life for %.0f seconds of wall clock", seconds);
    int n = poll(p, 2, left > 1 ? 1000 : (int)(left * 1000) + 1);
    if (n < 0 && errno != EINTR) return err_errno(err, "poll");
    if (cancel_requested()) return cancel_check(err);
    if (n > 0 && p[0].revents) return 0;
  }
}

static int start(struct extract *x, struct err *err) {
  int pair[2], rc;
  if (x->control >= 0) return 0;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return err_errno(err, "socket");
  rc = spawn(x, pair[1], err);
  close(pair[1]);
  x->control = pair[0];
  if (!rc) rc = wait_readable(x->control, START_SECONDS, err);
  if (!rc) {
    ssize_t n = recv(x->control, &x->hello, sizeof x->hello, 0);
    if (n <= 0)
      rc = err_set(err, ERR_MISMATCH,
                   "%s ends as soon as it is started; is a library missing? (ldd tells)",
                   x->program);
    else if (n != (ssize_t)sizeof x->hello || x->hello.version != EXTRACT_VERSION)
      rc = err_set(err, ERR_MISMATCH, "%s is not of this version of lathe; build it again",
                   x->program);
  }
  if (rc) stop(x);
  return rc;
}

int extract_info(struct extract *x, struct extract_info *out, struct err *err) {
  int rc = start(x, err);
  *out = (struct extract_info){0};
  if (rc) return rc;
  snprintf(out->program, sizeof out->program, "%s", x->program);
  out->landlock = x->hello.landlock;
  out->seccomp = x->hello.seccomp != 0;
  uint32_t v = x->hello.poppler;
  if (v) snprintf(out->poppler, sizeof out->poppler, "%u.%02u.%u", v >> 16, v >> 8 & 255, v & 255);
  return 0;
}

int extract_pid(const struct extract *x) {
  return (int)x->pid;
}
const struct extract_document *extract_document(const struct extract *x) {
  return &x->document;
}
const char *extract_reason(const struct extract *x) {
  return x->reason;
}

static const char *reason_of(int code) {
  switch (code) {
  case ERR_UNSUPPORTED:
    return "unsupported";
  case ERR_LIMIT:
    return "limit";
  case ERR_NOMEM:
    return "memory";
  case ERR_TRANSIENT:
    return "transient";
  case ERR_CANCELLED:
    return "cancelled";
  case ERR_FORMAT:
    return "unreadable";
  default:
    return "io";
  }
}

/* Ends the document with the error that is in err. */
static int fail(struct extract *x, const char *reason, struct err *err) {
  x->reason = reason ? reason : reason_of(err->code);
  end_document(x);
  if (err->code != ERR_CANCELLED && x->path) err_prefix(err, "%s", x->path);
  return -1;
}

/* ---- a document in ---- */

static int hash_file(int fd, struct extract_document *d, struct err *err) {
  unsigned char digest[SHA256_BYTES];
  struct sha256 *h = NULL;
  uint64_t at = 0;
  char *block = mem_alloc(HASH_BLOCK);
  int rc = block ? sha256_new(&h, err) : err_nomem(err, HASH_BLOCK, "reading");
  while (!rc && !(rc = cancel_check(err))) {
    ssize_t n = pread(fd, block, HASH_BLOCK, (off_t)at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) rc = err_errno(err, "cannot read");
    if (n <= 0) break;
    rc = sha256_update(h, block, (size_t)n, err);
    at += (uint64_t)n;
  }
  if (!rc) rc = sha256_final(h, digest, err);
  if (!rc) hash_hex(digest, sizeof digest, d->sha256);
  d->bytes = at;
  sha256_free(h);
  mem_free(block);
  return rc;
}

static void hint(char *out, size_t cap, const char *path) {
  const char *name = strrchr(path, '/'), *dot = strrchr(name ? name : path, '.');
  size_t n = 0;
  for (dot = dot ? dot + 1 : ""; *dot && n + 1 < cap; dot++, n++)
    out[n] = (char)(*dot >= 'A' && *dot <= 'Z' ? *dot + 32 : *dot);
  out[n] = 0;
}

static int send_request(struct extract *x, int document, int data, struct err *err) {
  struct extract_request q = {0};
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(2 * sizeof(int))];
  } ancillary;
  struct iovec part = {&q, sizeof q};
  struct msghdr m = {.msg_iov = &part,
                     .msg_iovlen = 1,
                     .msg_control = ancillary.bytes,
                     .msg_controllen = sizeof ancillary.bytes};
  int fds[2] = {document, data};
  q.cpu_seconds = x->options.cpu_seconds;
  q.page_seconds = x->options.page_seconds;
  q.unpacked_max = x->options.unpacked_max;
  q.member_max = x->member_max;
  snprintf(q.type, sizeof q.type, "%s", x->options.type ? x->options.type : "");
  hint(q.extension, sizeof q.extension, x->path);
  memset(&ancillary, 0, sizeof ancillary);
  struct cmsghdr *c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(c), fds, sizeof fds);
  ssize_t n;
  do n = sendmsg(x->control, &m, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? err_errno(err, "cannot reach the extractor") : 0;
}

/* Sends the open document; a program that died meanwhile is started once more. */
static int send_document(struct extract *x, int document, struct err *err) {
  int pair[2], rc;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return err_errno(err, "socket");
  shutdown(pair[0], SHUT_WR);
  rc = start(x, err);
  if (!rc && (rc = send_request(x, document, pair[1], err))) {
    stop(x);
    rc = start(x, err);
    if (!rc) rc = send_request(x, document, pair[1], err);
  }
  close(pair[1]);
  x->data = pair[0];
  return rc;
}

static void set_defaults(struct extract_options *o, uint64_t bytes) {
  uint64_t three = bytes > UINT64_MAX / 3 ? UINT64_MAX : bytes * 3;
  if (!o->segment) o->segment = SEGMENT_DEFAULT;
  if (!o->text_max) o->text_max = three > TEXT_MAX ? three : TEXT_MAX;
  if (!o->unpacked_max) o->unpacked_max = UNPACKED_DEFAULT;
  if (!o->cpu_seconds) o->cpu_seconds = 300 + (uint32_t)(bytes >> 23 > 1u << 30 ? 0 : bytes >> 23);
  if (!o->page_seconds) o->page_seconds = 10;
  if (!o->idle_seconds) o->idle_seconds = 120;
}

/* Opens without waiting (a pipe in the folder must not hang us) and only what is a file. */
static int open_regular(const char *path, int *fd, struct err *err) {
  struct stat st;
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (*fd < 0) return err_errno(err, "cannot open");
  if (fstat(*fd, &st)) return err_errno(err, "cannot open");
  if (!S_ISREG(st.st_mode)) return err_set(err, ERR_IO, "not a regular file");
  return 0;
}

static int size_of(int fd, struct extract_document *d, struct err *err) {
  struct stat st;
  if (fstat(fd, &st)) return err_errno(err, "cannot read");
  d->bytes = (uint64_t)st.st_size;
  return 0;
}

static int begin(struct extract *x, const char *path, const struct extract_options *options,
                 uint64_t member_max, struct err *err) {
  int fd = -1, rc;
  const char *name = options && options->name ? options->name : path;
  if (x->busy) stop(x); /* the caller left a document in the middle */
  forget_document(x);
  x->archive = member_max != 0;
  x->member_max = member_max;
  x->options = options ? *options : (struct extract_options){0};
  x->document = (struct extract_document){
      .type = x->type, .title = "", .author = "", .encoding = x->encoding, .language = x->language};
  if (!(x->path = mem_strdup(name))) return err_nomem(err, strlen(name), name);
  rc = open_regular(path, &fd, err);
  if (!rc) rc = x->archive ? size_of(fd, &x->document, err) : hash_file(fd, &x->document, err);
  if (!rc) {
    set_defaults(&x->options, x->document.bytes);
    rc = send_document(x, fd, err);
  }
  if (fd >= 0) close(fd);
  x->options.type = x->options.name = NULL; /* the caller's strings */
  x->busy = rc == 0;
  if (rc) fail(x, NULL, err);
  return rc;
}

int extract_begin(struct extract *x, const char *path, const struct extract_options *options,
                  struct err *err) {
  struct err own;
  return begin(x, path, options, 0, err ? err : &own);
}

int extract_begin_archive(struct extract *x, const char *path, const char *name,
                          const struct extract_members_options *options, struct err *err) {
  struct extract_options o = {.type = "archive",
                              .name = name,
                              .unpacked_max = options->unpacked_max,
                              .cpu_seconds = options->cpu_seconds,
                              .idle_seconds = options->idle_seconds};
  return begin(x, path, &o, options->member_max, err);
}

/* ---- more than one at a time ---- */

int extract_spare(struct extract *x, struct extract **out, struct err *err) {
  for (int i = 0; i < SPARES; i++) {
    if (!x->spares[i]) continue;
    *out = x->spares[i];
    x->spares[i] = NULL;
    return 0;
  }
  return extract_open(out, x->program, err);
}

void extract_unspare(struct extract *x, struct extract *spare) {
  if (!spare) return;
  if (spare->busy) stop(spare);
  forget_document(spare);
  for (int i = 0; x && i < SPARES; i++) {
    if (x->spares[i]) continue;
    x->spares[i] = spare;
    return;
  }
  extract_close(spare);
}

/* ---- text out ---- */

int extract_clean_line(const void *bytes, size_t n, struct buf *out, const char *what,
                       struct err *err) {
  struct buf raw;
  buf_init(&raw);
  utf8_lossy(bytes, n, &raw);
  for (size_t i = 0; i < raw.len;) {
    size_t used;
    uint32_t c = utf8_decode(raw.data + i, raw.len - i, &used);
    bool space = c <= 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0x2028 || c == 0x2029;
    if (!space)
      buf_add(out, raw.data + i, used);
    else if (out->len && out->data[out->len - 1] != ' ')
      buf_addc(out, ' ');
    i += used;
  }
  if (out->len && out->data[out->len - 1] == ' ') out->data[--out->len] = 0;
  int rc = buf_check(&raw, what, err);
  buf_clear(&raw);
  return rc ? rc : buf_check(out, what, err);
}

static int add_note(struct extract *x, const void *bytes, size_t n, struct err *err) {
  struct buf line;
  if (x->note_count == NOTES_MAX) return 0;
  buf_init(&line);
  int rc =
      extract_clean_line(bytes, n < EXTRACT_MESSAGE ? n : EXTRACT_MESSAGE, &line, "a note", err);
  if (!rc && !(x->notes[x->note_count] = mem_dup(line.data, line.len)))
    rc = err_nomem(err, line.len, "a note");
  if (!rc) x->note_count++;
  buf_clear(&line);
  return rc;
}

static int add_meta(struct extract *x, const char *key, size_t n, struct err *err) {
  size_t at = strnlen(key, n);
  if (at == n) return err_set(err, ERR_FORMAT, "the extractor sent a bad message");
  const char *value = key + at + 1;
  size_t len = n - at - 1;
  if (!strcmp(key, "type")) snprintf(x->type, sizeof x->type, "%.*s", (int)len, value);
  if (!strcmp(key, "encoding")) snprintf(x->encoding, sizeof x->encoding, "%.*s", (int)len, value);
  if (!strcmp(key, "language")) snprintf(x->language, sizeof x->language, "%.*s", (int)len, value);
  for (char *p = x->language; *p; p++)
    if (!isalnum((unsigned char)*p) && *p != '-') *p = 0;
  for (char *p = x->type; *p; p++) *p = *p < 'a' || *p > 'z' ? '?' : *p;
  for (char *p = x->encoding; *p; p++) *p = *p <= ' ' || *p > '~' ? '?' : *p;
  bool title = !strcmp(key, "title");
  if (!title && strcmp(key, "author") != 0) return 0;
  struct buf *to = title ? &x->title : &x->author;
  if (to->len) return 0; /* the first counts */
  int rc = extract_clean_line(value, len, to, "a title or author", err);
  x->document.title = x->title.data ? x->title.data : "";
  x->document.author = x->author.data ? x->author.data : "";
  return rc;
}

static int add_page(struct extract *x, const void *payload, size_t n, struct err *err) {
  uint32_t page;
  if (n != sizeof page) return err_set(err, ERR_FORMAT, "the extractor sent a bad message");
  memcpy(&page, payload, sizeof page);
  if (x->page_count >= PAGES_MAX) return err_set(err, ERR_LIMIT, "limit: too many pages");
  if (x->page_count == x->page_cap) {
    size_t cap = x->page_cap ? x->page_cap * 2 : 64;
    struct extract_page *p = mem_rearray(x->pages, cap, sizeof *p);
    if (!p) return err_nomem(err, cap * sizeof *p, "page offsets");
    x->pages = p;
    x->page_cap = cap;
  }
  x->pages[x->page_count++] = (struct extract_page){page, x->start + x->text.len};
  return 0;
}

static int add_text(struct extract *x, const char *s, size_t n, struct err *err) {
  if (x->start + x->text.len + n > x->options.text_max)
    return err_set(err, ERR_LIMIT, "limit: more than %llu bytes of text",
                   (unsigned long long)x->options.text_max);
  for (size_t i = 0; !x->solid && i < n; i++) x->solid = (unsigned char)s[i] > ' ';
  if (utf8_check(s, n) == n)
    buf_add(&x->text, s, n);
  else
    utf8_lossy(s, n, &x->text);
  return buf_check(&x->text, "a document's text", err);
}

static int take_frame(struct extract *x, size_t n, struct err *err) {
  const char *payload = (const char *)x->frame + 1;
  n--;
  switch (x->frame[0]) {
  case FRAME_TEXT:
    return add_text(x, payload, n, err);
  case FRAME_PAGE:
    return add_page(x, payload, n, err);
  case FRAME_META:
    return add_meta(x, payload, n < EXTRACT_META ? n : EXTRACT_META, err);
  case FRAME_NOTE:
    return add_note(x, payload, n, err);
  case FRAME_RESULT: {
    uint32_t code;
    if (n < sizeof code) break;
    memcpy(&code, payload, sizeof code);
    x->has_result = true;
    x->result = code > ERR_MISMATCH ? ERR_FORMAT : (int)code;
    struct buf line;
    buf_init(&line);
    int rc = extract_clean_line(payload + sizeof code, n - sizeof code, &line, "a message", err);
    snprintf(x->message, sizeof x->message, "%s", line.data ? line.data : "");
    buf_clear(&line);
    return rc;
  }
  }
  return err_set(err, ERR_FORMAT, "the extractor sent a bad message");
}

static int crashed(struct extract *x, struct err *err, const char *how) {
  err_set(err, ERR_FORMAT, "reading it crashed the extractor (%s); the file is skipped", how);
  return fail(x, "crashed", err);
}

/* The child has ended: what does that mean? 0, or −1 with err. */
static int verdict(struct extract *x, const struct extract_exit *e, struct err *err) {
  char how[64];
  if (e->how == EXTRACT_CPU) {
    err_set(err, ERR_LIMIT, "limit: more than %d seconds of CPU time", (int)e->value);
    return fail(x, NULL, err);
  }
  if (e->how == EXTRACT_NO_START) {
    errno = e->value;
    err_errno(err, "cannot fork");
    err->code = ERR_TRANSIENT;
    return fail(x, NULL, err);
  }
  if (e->how == EXTRACT_SIGNALED && (e->value == SIGABRT || e->value == SIGTRAP)) {
    err_set(err, ERR_NOMEM, "reading it took more than the extractor's %llu MiB of memory",
            EXTRACT_MEMORY >> 20);
    return fail(x, NULL, err);
  }
  if (e->how == EXTRACT_SIGNALED) {
    snprintf(how, sizeof how, "SIG%s", sigabbrev_np(e->value) ? sigabbrev_np(e->value) : "?");
    return crashed(x, err, how);
  }
  if (e->value || !x->has_result) return crashed(x, err, "it ended without a result");
  if (x->result) {
    bool archive = x->result == ERR_UNSUPPORTED && !strcmp(x->type, "archive");
    err_set(err, x->result, "%s", x->message);
    return fail(x, archive ? "archive" : NULL, err);
  }
  if (!x->solid && !x->archive) {
    err_set(err, ERR_FORMAT, "%s", x->message[0] ? x->message : "there is no text in it");
    return fail(x, "empty", err);
  }
  return 0;
}

/* The data socket has ended: hear from the server how the child did. */
static int finish(struct extract *x, struct err *err) {
  struct extract_exit e;
  close(x->data);
  x->data = -1;
  if (wait_readable(x->control, x->options.idle_seconds, err)) {
    stop(x);
    return fail(x, NULL, err);
  }
  if (recv(x->control, &e, sizeof e, 0) != (ssize_t)sizeof e) {
    stop(x);
    return crashed(x, err, "the extractor itself was killed");
  }
  x->ended = true;
  return verdict(x, &e, err);
}

/* What is odd ends the program. −1. */
static int give_up(struct extract *x, struct err *err) {
  stop(x);
  return fail(x, NULL, err);
}

/* One more message into x->frame. 1: *n bytes; 0: the end, and all is well; −1. */
static int receive(struct extract *x, size_t *n, struct err *err) {
  for (;;) {
    struct iovec part = {x->frame, EXTRACT_FRAME};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    ssize_t got = recvmsg(x->data, &m, MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      if (wait_readable(x->data, x->options.idle_seconds, err)) return give_up(x, err);
    } else if (got == 0 || (got < 0 && errno == ECONNRESET)) {
      return finish(x, err);
    } else if (got < 0) {
      err_errno(err, "reading from the extractor");
      return give_up(x, err);
    } else if (m.msg_flags & MSG_TRUNC) {
      err_set(err, ERR_FORMAT, "the extractor sent a bad message");
      return give_up(x, err);
    } else {
      x->frame[got] = 0;
      *n = (size_t)got;
      return 1;
    }
  }
}

/* One more message of a document. 0 or −1. */
static int pump(struct extract *x, struct err *err) {
  size_t n = 0;
  int got = receive(x, &n, err);
  if (got <= 0) return got;
  return take_frame(x, n, err) ? give_up(x, err) : 0;
}

int extract_frame(struct extract *x, const unsigned char **frame, size_t *n, struct err *err) {
  for (;;) {
    int got = x->ended ? 0 : receive(x, n, err);
    if (got <= 0) {
      if (got == 0) end_document(x);
      return got;
    }
    *frame = x->frame;
    if (!strchr("MNR", x->frame[0]))
      return cancel_requested() ? cancel_check(err), give_up(x, err) : 1;
    if (take_frame(x, *n, err)) return give_up(x, err);
  }
}

void extract_set_reason(struct extract *x, const char *reason) {
  x->reason = reason;
}

void extract_stop(struct extract *x) {
  stop(x);
  end_document(x);
}

/* Where to cut text of more than `max` bytes. */
static size_t cut_at(const char *s, size_t n, size_t max) {
  size_t line = 0;
  for (const char *p = s + max; (p = memrchr(s, '\n', (size_t)(p - s)));) {
    size_t at = (size_t)(p - s) + 1;
    if (at <= max / 2) break;
    if (!line) line = at;
    if (p > s && (p[-1] == '\n' || (p[-1] == '\r' && p > s + 1 && p[-2] == '\n'))) return at;
  }
  if (line) return line;
  size_t at = utf8_floor(s, n, max);
  return at ? at : max;
}

/* Forgets what the caller has seen. */
static void drop_given(struct extract *x) {
  size_t keep = 0;
  if (x->given) memmove(x->text.data, x->text.data + x->given, x->text.len - x->given);
  x->text.len -= x->given;
  x->start += x->given;
  x->given = 0;
  while (keep + 1 < x->page_count && x->pages[keep + 1].offset <= x->start) keep++;
  x->page_count -= keep;
  if (keep) memmove(x->pages, x->pages + keep, x->page_count * sizeof *x->pages);
  for (size_t i = 0; i < x->notes_given; i++) mem_free(x->notes[i]);
  x->note_count -= x->notes_given;
  memmove(x->notes, x->notes + x->notes_given, x->note_count * sizeof *x->notes);
  x->notes_given = 0;
}

int extract_next(struct extract *x, struct extract_segment *out, struct err *err) {
  struct err own;
  if (!err) err = &own;
  *out = (struct extract_segment){0};
  if (!x->busy) return 0;
  drop_given(x);
  size_t max = (size_t)x->options.segment;
  while (!x->ended && x->text.len <= max)
    if (pump(x, err)) return -1;
  if (x->text.len == 0) {
    end_document(x);
    return 0;
  }
  size_t n = x->text.len > max ? cut_at(x->text.data, x->text.len, max) : x->text.len;
  out->text = x->text.data;
  out->len = x->given = n;
  out->start = x->start;
  out->pages = x->pages;
  while (out->page_count < x->page_count && x->pages[out->page_count].offset < x->start + n)
    out->page_count++;
  out->notes = (const char *const *)x->notes;
  out->note_count = x->notes_given = x->note_count;
  return 1;
}
