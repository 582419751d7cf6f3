/* SPDX-License-Identifier: MIT */
/* Frames and flowing text; see out.h.
 *
 * Bold is written lazily, so that "**" always touches a word: opening waits for the next visible
 * character, closing happens before the space that follows. A block's end closes it too.
 */
#include "extract/out.h"

#include "base/utf8.h"
#include "extract/protocol.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void out_init(struct out *o, int fd) {
  memset(o, 0, sizeof *o);
  o->fd = fd;
}

void out_frame(struct out *o, char kind, const void *a, size_t an, const void *b, size_t bn) {
  union {
    const void *from;
    void *to;
  } pa = {a}, pb = {b};
  struct iovec parts[3] = {{&kind, 1}, {pa.to, an}, {pb.to, bn}};
  struct msghdr m = {.msg_iov = parts, .msg_iovlen = 3};
  ssize_t n;
  if (o->gone) return;
  do n = sendmsg(o->fd, &m, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0) o->gone = true;
}

void out_flush(struct out *o) {
  if (o->len) out_frame(o, FRAME_TEXT, o->text, o->len, "", 0);
  o->len = 0;
}

void out_raw(struct out *o, const char *s, size_t n) {
  while (n > 0) {
    size_t room = OUT_PENDING - o->len;
    size_t take = n <= room ? n : utf8_floor(s, n, room);
    if (take == 0 && o->len == 0) take = room; /* malformed: never stand still */
    memcpy(o->text + o->len, s, take);
    o->len += take;
    s += take;
    n -= take;
    if (n > 0 || o->len == OUT_PENDING) out_flush(o);
  }
  o->began = true;
}

void out_page(struct out *o, uint32_t page) {
  out_flush(o);
  out_frame(o, FRAME_PAGE, &page, sizeof page, "", 0);
}

void out_meta(struct out *o, const char *key, const char *value, size_t n) {
  size_t key_size = strlen(key) + 1;
  if (n > EXTRACT_META - 64) n = utf8_floor(value, n, EXTRACT_META - 64);
  if (n > 0) out_frame(o, FRAME_META, key, key_size, value, n);
}

void out_note(struct out *o, const char *format, ...) {
  char line[EXTRACT_MESSAGE];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  out_frame(o, FRAME_NOTE, line, strlen(line), "", 0);
}

void out_result(struct out *o, int code, const char *message) {
  uint32_t c = (uint32_t)code;
  size_t n = strlen(message);
  out_flush(o);
  out_frame(o, FRAME_RESULT, &c, sizeof c, message, n < EXTRACT_MESSAGE ? n : EXTRACT_MESSAGE - 1);
}

/* ---- layout ---- */

static void close_bold(struct out *o) {
  if (o->bold_on) out_raw(o, "**", 2);
  o->bold_on = false;
}

void out_block(struct out *o, unsigned gap, const char *prefix) {
  close_bold(o);
  if (gap > o->gap) o->gap = gap;
  snprintf(o->prefix, sizeof o->prefix, "%s", prefix);
  o->in_block = o->space = false;
}

void out_bold(struct out *o, bool on) {
  o->bold = on;
}

/* Writes what is owed before a visible character. */
static void open_block(struct out *o) {
  if (!o->in_block) {
    for (; o->began && o->gap > 0; o->gap--) out_raw(o, "\n", 1);
    if (o->prefix[0]) out_raw(o, o->prefix, strlen(o->prefix));
    o->gap = 0;
    o->blocks++;
    o->in_block = true;
    o->space = false;
  }
}

static void word(struct out *o, const char *s, size_t n) {
  open_block(o);
  if (o->bold_on && !o->bold) close_bold(o);
  if (o->space) out_raw(o, " ", 1);
  o->space = false;
  if (o->bold && !o->bold_on) {
    out_raw(o, "**", 2);
    o->bold_on = true;
  }
  out_raw(o, s, n);
}

static bool is_space(const char *s, size_t n, size_t *used) {
  unsigned char c = (unsigned char)*s;
  *used = 1;
  if (c == 0xC2 && n > 1 && (unsigned char)s[1] == 0xA0) return *used = 2, true; /* U+00A0 */
  return c <= ' ' || c == 0x7F;
}

void out_text(struct out *o, const char *s, size_t n) {
  for (size_t i = 0; i < n;) {
    size_t used, from = i;
    while (i < n && !is_space(s + i, n - i, &used)) i++;
    if (i > from) word(o, s + from, i - from);
    if (i < n) {
      is_space(s + i, n - i, &used);
      o->space = true;
      i += used;
    }
  }
}

void out_verbatim(struct out *o, const char *s, size_t n) {
  if (n == 0) return;
  open_block(o);
  o->space = false;
  out_raw(o, s, n);
}

void out_break(struct out *o) {
  if (!o->in_block) return;
  close_bold(o);
  out_raw(o, "\n", 1);
  o->space = false;
}
