/* SPDX-License-Identifier: MIT */
/* Line reader; see file.h.
 *
 *   buffer ──► [ given out ][ at … have ) [ free ]     grows to hold one line, never past max_line
 *
 * A line beyond max_line is counted and thrown away as it comes, so 200 MB on one line costs a
 * buffer, not 200 MB.
 */
#include "base/mem.h"
#include "file/file.h"

#include <string.h>

#define FIRST ((size_t)256 << 10)

struct lines {
  struct stream *stream;
  char *buffer;
  size_t cap, at, have, max_line;
  uint64_t number, offset; /* of the next line */
  uint64_t skip, left;     /* a range: bytes to pass over first, then bytes to give */
  bool end;
};

int lines_open_range(struct lines **out, const char *path, uint64_t start, uint64_t end,
                     size_t max_line, struct err *err) {
  *out = NULL;
  struct lines *r = mem_zero(sizeof *r);
  if (!r) return err_nomem(err, sizeof *r, path);
  r->max_line = max_line ? max_line : LINES_MAX_DEFAULT;
  r->skip = start, r->left = end - start;
  r->buffer = mem_alloc(FIRST);
  r->cap = FIRST;
  int rc = r->buffer ? stream_open(&r->stream, path, err) : err_nomem(err, FIRST, path);
  if (rc)
    lines_close(r);
  else
    *out = r;
  return rc;
}

int lines_open(struct lines **out, const char *path, size_t max_line, struct err *err) {
  return lines_open_range(out, path, 0, UINT64_MAX, max_line, err);
}

/* Reads more bytes behind `have`; sets end. Room must be there. */
static int fill(struct lines *r, struct err *err) {
  size_t room = r->cap - r->have;
  if (r->skip > 0 && stream_skip(r->stream, r->skip, err)) return -1;
  r->skip = 0;
  if (room > r->left) room = (size_t)r->left;
  long long got = room ? stream_read(r->stream, r->buffer + r->have, room, err) : 0;
  if (got < 0) return -1;
  r->have += (size_t)got;
  r->left -= (uint64_t)got;
  r->end = got == 0;
  return 0;
}

/* Makes room behind `have`: moves the line in hand to the front, then grows up to max_line + 1. */
static int make_room(struct lines *r, struct err *err) {
  if (r->at > 0) {
    memmove(r->buffer, r->buffer + r->at, r->have - r->at);
    r->have -= r->at, r->at = 0;
  }
  if (r->have < r->cap) return 0;
  size_t cap = r->cap > r->max_line / 2 ? r->max_line + 1 : r->cap * 2;
  char *p = mem_realloc(r->buffer, cap);
  if (!p) return err_nomem(err, cap, "a line"), -1;
  r->buffer = p, r->cap = cap;
  return 0;
}

/* The line in hand is too long: throws bytes away up to its end. */
static int pass_over(struct lines *r, struct line *line, struct err *err) {
  line->text = NULL, line->too_long = true, line->ended = false;
  line->len = r->have - r->at;
  r->at = r->have = 0;
  while (!r->end) {
    if (fill(r, err)) return -1;
    char *nl = memchr(r->buffer, '\n', r->have);
    line->len += nl ? (size_t)(nl - r->buffer) : r->have;
    if (nl) {
      line->ended = true;
      r->at = (size_t)(nl - r->buffer) + 1;
      break;
    }
    r->have = 0;
  }
  r->offset += line->len + line->ended;
  return 1;
}

int lines_next(struct lines *r, struct line *line, struct err *err) {
  size_t seen = 0; /* bytes of this line already searched */
  *line = (struct line){.number = r->number + 1, .offset = r->offset};
  for (;;) {
    char *from = r->buffer + r->at;
    char *nl = r->have > r->at + seen ? memchr(from + seen, '\n', r->have - r->at - seen) : NULL;
    size_t len = nl ? (size_t)(nl - from) : r->have - r->at;
    if (len > r->max_line && !nl) {
      r->number++;
      return pass_over(r, line, err);
    }
    if (nl || (r->end && len > 0)) {
      r->at += len + (nl != NULL);
      r->offset += len + (nl != NULL);
      r->number++;
      line->too_long = len > r->max_line;
      line->text = line->too_long ? NULL : from;
      line->len = len, line->ended = nl != NULL;
      return 1;
    }
    if (r->end) return 0;
    seen = len;
    if (make_room(r, err) || fill(r, err)) return -1;
  }
}

static bool is_blank(const struct line *line) {
  for (size_t i = 0; i < line->len; i++) {
    char c = line->text[i];
    if (c != ' ' && c != '\t' && c != '\r') return false;
  }
  return true;
}

int lines_next_record(struct lines *r, struct line *line, struct err *err) {
  int got;
  do got = lines_next(r, line, err);
  while (got > 0 && !line->too_long && is_blank(line));
  return got;
}

void lines_close(struct lines *r) {
  if (!r) return;
  stream_close(r->stream);
  mem_free(r->buffer);
  mem_free(r);
}
