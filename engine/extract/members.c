/* SPDX-License-Identifier: MIT */
/* An archive's members, one by one; see client.h for use.
 *
 *   levels[0]  a.zip        ◄─frames─ its child       members, in order
 *   levels[1]  in/b.tar.gz  ◄─frames─ its child       walked in its place, then back to levels[0]
 *
 * Each level has a client of its own, so that one child unpacks one archive. A member's bytes go
 * into a memfd, which is sealed when it is whole: nobody who opens it later can change it. What
 * comes from the children is not trusted: sizes are counted here and the limits are held here, and
 * a name is made safe here, whatever the child has made of it.
 *
 * A member that begins like an archive is asked for its members; when the child says that it is a
 * document (DOCX is a ZIP too) or nothing it knows, it is given as it is.
 */
#include "extract/client.h"
#include "extract/link.h"
#include "extract/protocol.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNPACKED_DEFAULT ((uint64_t)16 << 30)
#define MEMBER_DEFAULT   ((uint64_t)512 << 20)
#define MEMBERS_DEFAULT  1000000u
#define RATIO_DEFAULT    200u
#define RATIO_FREE       ((uint64_t)16 << 20) /* small archives are not held to it */
#define DEPTH_DEFAULT    3u
#define NAME_MAX_BYTES   4096

struct level {
  struct extract *x;
  int fd;       /* of the archive, when it is a member itself; −1 */
  size_t stem;  /* bytes of m->name that name this archive, with the slash behind it */
  bool waiting; /* the frame in x is still to be looked at */
};

struct extract_members {
  struct extract *client; /* whose spare clients the levels use */
  char *own_name;         /* what options.name points to */
  struct extract_members_options options;
  uint64_t packed;            /* bytes of the outermost archive */
  uint64_t unpacked, members; /* so far, over all levels */
  struct level levels[EXTRACT_DEPTH_MAX + 1];
  size_t depth; /* levels open */
  int fd;       /* the member being received or given; −1 */
  uint64_t bytes;
  bool renamed, ended;
  char file[40];
  struct buf name; /* of the levels and of the member */
  struct buf message, note;
  const unsigned char *frame; /* of the level at work */
  size_t frame_n;
};

/* ---- names ---- */

static bool is_drive(const char *s, size_t n) { /* "C:" */
  return n == 2 && s[1] == ':' && ((s[0] | 32) >= 'a' && (s[0] | 32) <= 'z');
}

/* Appends a hostile name so that joined to a folder it stays below it: valid UTF-8 on one line, no
 * empty, "." or ".." part, no root, no drive. False when it had to be changed. */
static bool add_safe_name(struct buf *out, const char *name, size_t n) {
  struct buf line;
  size_t start = out->len;
  bool same = n < NAME_MAX_BYTES && utf8_check(name, n) == n;
  buf_init(&line);
  if (n > NAME_MAX_BYTES) n = NAME_MAX_BYTES;
  extract_clean_line(name, n, &line, "a name", NULL);
  if (line.failed) out->failed = true;
  if (n && name[0] == '/') same = false;
  for (size_t i = 0, end; i < line.len; i = end + 1) {
    const char *s = line.data + i;
    for (end = i; end < line.len && line.data[end] != '/'; end++) continue;
    size_t len = end - i;
    bool up = len == 2 && s[0] == '.' && s[1] == '.', drive = i == 0 && is_drive(s, len);
    same = same && !up && !drive;
    if (len == 0 || (len == 1 && *s == '.') || up || drive) continue;
    if (out->len > start) buf_addc(out, '/');
    buf_add(out, s, len);
  }
  if (out->len == start) buf_adds(out, "unnamed"), same = false;
  buf_clear(&line);
  return same;
}

/* Files that macOS puts beside the real ones. */
static bool is_litter(const char *name) {
  const char *last = strrchr(name, '/');
  last = last ? last + 1 : name;
  return !strncmp(name, "__MACOSX/", 9) || strstr(name, "/__MACOSX/") || !strncmp(last, "._", 2) ||
         !strcmp(last, ".DS_Store");
}

/* What a compressed file of one member holds: "a/b.txt.gz" → "b.txt". */
static void add_single_name(struct buf *out, const char *archive) {
  static const char *const endings[] = {".gz", ".zst", ".xz", ".bz2"};
  const char *name = strrchr(archive, '/');
  name = name ? name + 1 : archive;
  size_t n = strlen(name);
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
    size_t e = strlen(endings[i]);
    if (n > e && !strcmp(name + n - e, endings[i])) n -= e;
  }
  add_safe_name(out, name, n);
}

/* ---- one member in ---- */

static void drop_member(struct extract_members *m) {
  if (m->fd >= 0) close(m->fd);
  m->fd = -1;
  m->bytes = 0;
  m->renamed = false;
  buf_reset(&m->note);
  buf_reset(&m->message);
}

static struct level *top(struct extract_members *m) {
  return m->depth ? &m->levels[m->depth - 1] : NULL;
}

static int begin_member(struct extract_members *m, const char *name, size_t n, struct err *err) {
  struct level *l = top(m);
  drop_member(m);
  if (m->members++ >= m->options.members_max)
    return err_set(err, ERR_LIMIT, "limit: more than %llu members",
                   (unsigned long long)m->options.members_max);
  m->name.len = l->stem;
  bool safe = true;
  if (n)
    safe = add_safe_name(&m->name, name, n);
  else if (l->stem) { /* the archive's own name, without what compression added */
    struct buf own;
    buf_init(&own);
    buf_add(&own, m->name.data, l->stem - 1);
    const char *slash = own.data ? strrchr(own.data, '/') : NULL;
    m->name.len = slash ? (size_t)(slash - own.data) + 1 : 0;
    if (own.data) add_single_name(&m->name, own.data);
    buf_clear(&own);
  } else {
    add_single_name(&m->name, m->options.name);
  }
  if (!safe) buf_addf(&m->note, "the name in the archive was not a safe one");
  m->fd = memfd_create("lathe-member", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (m->fd < 0) return err_errno(err, "cannot make a file in memory");
  return buf_check(&m->name, "a member's name", err);
}

/* The limits that count over all levels. */
static int count_bytes(struct extract_members *m, size_t n, struct err *err) {
  m->unpacked += n;
  m->bytes += n;
  if (m->bytes > m->options.member_max)
    return err_set(err, ERR_FORMAT,
                   "the extractor sent a bad message"); /* its limit was the same */
  if (m->unpacked > m->options.unpacked_max)
    return err_set(err, ERR_LIMIT, "limit: it unpacks to more than unpacked_max (%llu bytes)",
                   (unsigned long long)m->options.unpacked_max);
  if (m->unpacked > RATIO_FREE && m->unpacked / m->options.ratio_max > m->packed)
    return err_set(err, ERR_LIMIT, "limit: it unpacks to more than %u times its size (a zip bomb?)",
                   m->options.ratio_max);
  return 0;
}

static int add_bytes(struct extract_members *m, const unsigned char *bytes, size_t n,
                     struct err *err) {
  if (m->fd < 0) return err_set(err, ERR_FORMAT, "the extractor sent a bad message");
  int rc = count_bytes(m, n, err);
  while (!rc && n > 0) {
    ssize_t wrote = write(m->fd, bytes, n);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return err_errno(err, "cannot hold a member in memory");
    bytes += wrote;
    n -= (size_t)wrote;
  }
  return rc;
}

static void describe(const struct extract_members *m, struct extract_member *out) {
  *out = (struct extract_member){.name = m->name.data ? m->name.data : "",
                                 .note = m->note.data ? m->note.data : "",
                                 .reason = "",
                                 .message = ""};
}

static void describe_left_out(struct extract_members *m, int code, const char *reason,
                              const char *message, struct extract_member *out) {
  buf_reset(&m->message);
  buf_adds(&m->message, message);
  drop_member(m);
  buf_adds(&m->message, message);
  describe(m, out);
  out->code = code;
  out->reason = reason;
  out->message = m->message.data ? m->message.data : reason;
}

static int give_member(struct extract_members *m, struct extract_member *out, struct err *err) {
  fcntl(m->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
  snprintf(m->file, sizeof m->file, "/proc/self/fd/%d", m->fd);
  describe(m, out);
  out->file = m->file;
  out->bytes = m->bytes;
  return buf_check(&m->name, "a member's name", err) ? -1 : 1;
}

static int left_out(struct extract_members *m, uint32_t why, const char *text, size_t n,
                    struct extract_member *out, struct err *err) {
  static const struct {
    const char *reason;
    int code;
  } kinds[LEFT_KINDS] = {[LEFT_NOT] = {"", 0},
                         [LEFT_LINK] = {"link", ERR_UNSUPPORTED},
                         [LEFT_SPECIAL] = {"special", ERR_UNSUPPORTED},
                         [LEFT_ENCRYPTED] = {"encrypted", ERR_FORMAT},
                         [LEFT_LARGE] = {"limit", ERR_LIMIT},
                         [LEFT_DAMAGED] = {"unreadable", ERR_FORMAT}};
  struct buf line;
  buf_init(&line);
  int rc =
      extract_clean_line(text, n < EXTRACT_MESSAGE ? n : EXTRACT_MESSAGE, &line, "a message", err);
  if (!rc)
    describe_left_out(m, kinds[why].code, kinds[why].reason, line.data ? line.data : "", out);
  buf_clear(&line);
  return rc ? -1 : 1;
}

/* ---- levels ---- */

static bool looks_packed(int fd) {
  static const struct {
    size_t at, n;
    const char *bytes;
  } magics[] = {{0, 4, "PK\3\4"},
                {0, 4, "PK\5\6"},
                {0, 4, "\x28\xB5\x2F\xFD"},
                {0, 6,
                 "\xFD"
                 "7zXZ"},
                {0, 3, "BZh"},
                {257, 5, "ustar"},
                {0, 2, "\x1F\x8B"}};
  char head[512] = {0};
  ssize_t n = pread(fd, head, sizeof head, 0);
  for (size_t i = 0; n > 0 && i < sizeof magics / sizeof *magics; i++)
    if (!memcmp(head + magics[i].at, magics[i].bytes, magics[i].n)) return true;
  return false;
}

static void pop(struct extract_members *m) {
  struct level *l = top(m);
  if (!l) return;
  extract_unspare(m->client, l->x);
  if (l->fd >= 0) close(l->fd);
  m->depth--;
}

/* Asks for the members of an archive and waits for the first message. 1: there is one, waiting;
 * 0: it is empty; −1: err and extract_reason of the level, which is open in any case but when
 * *made is false. */
static int push(struct extract_members *m, const char *path, const char *name, int fd, bool *made,
                struct err *err) {
  struct level *l = &m->levels[m->depth];
  *made = false;
  *l = (struct level){.fd = fd};
  if (extract_spare(m->client, &l->x, err)) return -1;
  *made = true;
  m->depth++;
  if (extract_begin_archive(l->x, path, name, &m->options, err)) return -1;
  int got = extract_frame(l->x, &m->frame, &m->frame_n, err);
  l->waiting = got == 1;
  return got;
}

/* The member that has just come is packed: walks it in its place. 1: out is filled; 0: go on with
 * the frames; −1. */
static int enter(struct extract_members *m, struct extract_member *out, struct err *err) {
  struct err inner = {0};
  bool made;
  if (m->depth > m->options.depth) {
    char text[96];
    snprintf(text, sizeof text, "limit: archives inside archives more than %u deep",
             m->options.depth);
    describe_left_out(m, ERR_LIMIT, "limit", text, out);
    return 1;
  }
  int fd = m->fd;
  fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE);
  snprintf(m->file, sizeof m->file, "/proc/self/fd/%d", fd);
  int got = push(m, m->file, m->name.data, fd, &made, &inner);
  if (got >= 0) { /* the level owns the descriptor now */
    m->fd = -1;
    buf_addc(&m->name, '/');
    top(m)->stem = m->name.len;
    return 0;
  }
  const char *reason = made ? extract_reason(top(m)->x) : "";
  if (made) top(m)->fd = -1;
  if (made && inner.code == ERR_UNSUPPORTED) { /* a document, or nothing we know */
    pop(m);
    return give_member(m, out, err);
  }
  if (!made || inner.code == ERR_CANCELLED || inner.code == ERR_IO) {
    *err = inner;
    if (made) pop(m);
    return -1;
  }
  describe_left_out(m, inner.code, reason, inner.message, out);
  pop(m);
  return 1;
}

/* A level has ended badly: its archive is the member that is reported. */
static int level_failed(struct extract_members *m, const char *reason, const struct err *why,
                        struct extract_member *out, struct err *err) {
  struct level *l = top(m);
  if (why->code == ERR_CANCELLED || why->code == ERR_IO) {
    *err = *why;
    return -1;
  }
  m->name.len = l->stem ? l->stem - 1 : 0;
  if (m->name.data) m->name.data[m->name.len] = 0;
  m->ended = m->depth == 1;
  int code = why->code;
  char text[sizeof why->message];
  snprintf(text, sizeof text, "%s", why->message);
  describe_left_out(m, code, reason, text, out);
  pop(m);
  return 1;
}

/* A limit over all levels: the whole archive ends here. */
static int all_failed(struct extract_members *m, const struct err *why, struct extract_member *out,
                      struct err *err) {
  if (why->code != ERR_LIMIT && why->code != ERR_FORMAT) {
    *err = *why;
    return -1;
  }
  while (m->depth > 1) extract_stop(top(m)->x), pop(m);
  extract_stop(top(m)->x);
  struct err text = *why;
  err_prefix(&text, "%s", m->options.name);
  return level_failed(m, why->code == ERR_LIMIT ? "limit" : "crashed", &text, out, err);
}

/* One message of the level at work. 1: out is filled; 0: go on; −1. */
static int take(struct extract_members *m, struct extract_member *out, struct err *err) {
  const char *payload = (const char *)m->frame + 1;
  size_t n = m->frame_n - 1;
  struct err why = {0};
  uint32_t left;
  int rc;
  switch (m->frame[0]) {
  case FRAME_MEMBER:
    rc = begin_member(m, payload, n, &why);
    break;
  case FRAME_DATA:
    rc = add_bytes(m, m->frame + 1, n, &why);
    break;
  case FRAME_END:
    if (m->fd < 0 || n < sizeof left) goto bad;
    memcpy(&left, payload, sizeof left);
    if (left >= LEFT_KINDS) goto bad;
    if (is_litter(m->name.data)) return drop_member(m), 0;
    if (left) return left_out(m, left, payload + sizeof left, n - sizeof left, out, err);
    return looks_packed(m->fd) ? enter(m, out, err) : give_member(m, out, err);
  default:
  bad:
    rc = err_set(&why, ERR_FORMAT, "the extractor sent a bad message");
  }
  return rc ? all_failed(m, &why, out, err) : 0;
}

int extract_members_next(struct extract_members *m, struct extract_member *out, struct err *err) {
  struct err own, why;
  if (!err) err = &own;
  *out = (struct extract_member){0};
  drop_member(m);
  while (m->depth && !m->ended) {
    struct level *l = top(m);
    int got = 1;
    why = (struct err){0};
    if (!l->waiting) got = extract_frame(l->x, &m->frame, &m->frame_n, &why);
    l->waiting = false;
    if (got < 0) return level_failed(m, extract_reason(l->x), &why, out, err);
    if (got == 0) {
      pop(m);
      continue;
    }
    got = take(m, out, err);
    if (got) return got;
  }
  return 0;
}

/* ---- open and close ---- */

static void set_defaults(struct extract_members_options *o, const char *path) {
  if (!o->name) o->name = path;
  if (!o->unpacked_max) o->unpacked_max = UNPACKED_DEFAULT;
  if (!o->member_max) o->member_max = MEMBER_DEFAULT;
  if (!o->members_max) o->members_max = MEMBERS_DEFAULT;
  if (!o->ratio_max) o->ratio_max = RATIO_DEFAULT;
  if (!o->depth) o->depth = DEPTH_DEFAULT;
  if (o->depth > EXTRACT_DEPTH_MAX) o->depth = EXTRACT_DEPTH_MAX;
}

int extract_members_open(struct extract_members **out, struct extract *x, const char *path,
                         const struct extract_members_options *options, struct err *err) {
  struct err own;
  bool made;
  *out = NULL;
  if (!err) err = &own;
  struct extract_members *m = mem_zero(sizeof *m);
  if (!m) return err_nomem(err, sizeof *m, "an archive");
  m->client = x;
  m->fd = -1;
  buf_init(&m->name);
  buf_init(&m->message);
  buf_init(&m->note);
  if (options) m->options = *options;
  set_defaults(&m->options, path);
  int got = -1;
  m->options.name = m->own_name = mem_strdup(m->options.name);
  if (m->own_name)
    got = push(m, path, m->own_name, -1, &made, err);
  else
    err_nomem(err, 0, "an archive");
  if (got < 0) {
    int code = err->code;
    extract_set_reason(x, m->depth ? extract_reason(m->levels[0].x) : "io");
    extract_members_close(m, x);
    return code;
  }
  m->packed = extract_document(m->levels[0].x)->bytes;
  *out = m;
  return 0;
}

int extract_members_pid(const struct extract_members *m) {
  return m->depth ? extract_pid(m->levels[m->depth - 1].x) : 0;
}

void extract_members_close(struct extract_members *m, struct extract *x) {
  if (!m) return;
  m->client = x;
  drop_member(m);
  while (m->depth) pop(m);
  buf_clear(&m->name);
  buf_clear(&m->message);
  buf_clear(&m->note);
  mem_free(m->own_name);
  mem_free(m);
}
