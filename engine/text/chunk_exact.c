/* SPDX-License-Identifier: MIT */
/* LangChain's two packages, to the byte: RecursiveCharacterTextSplitter and CharacterTextSplitter of
 * langchain-text-splitters (Python) and @langchain/textsplitters (JavaScript).
 *
 * The first separator of the list that occurs cuts the text into pieces; pieces that are not shorter
 * than the size are cut again with the separators behind it; the others are merged while they fit, and
 * a merged chunk begins with as much of the one before as the overlap allows. At each level the text is
 * walked once; pieces are pushed, as they are found, into a window, the chunk that is being built:
 *
 *   pieces   …[p][p][p][p][p] ◄── the next piece
 *                └── window ──┘     total = its length; what no longer fits is given out as a
 * chunk, then pieces leave at the front until only the overlap is left
 *
 * The window is empty whenever the recursion goes down or comes back, so all levels share one. Where
 * separators are left out, the source of the separator stands between two pieces: for a regular
 * expression its text, which is what the Python package does. Lengths are those of each piece alone.
 *
 * The two differ. JavaScript: a kept separator may overlap itself; the overlap is measured without
 * separators; when the list is used up it cuts between characters; white space includes U+FEFF and not
 * U+001C–1F, U+0085; a character outside the Basic Multilingual Plane counts two (it is never cut in
 * two here, which the package does). Python: the last separator's long pieces stay whole.
 */
#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/chunk_parts.h"

#include <string.h>

#define POLL_PIECES 4096

struct piece {
  size_t start, end, length;
};

struct exact {
  const char *s;
  const struct chunk_options *o;
  struct chunk_work *w;
  struct chunks *out;
  struct err *err;
  struct piece *ring;
  size_t cap, head, count;             /* cap is a power of two */
  size_t total;                        /* length of the window; in Python with its separators */
  const struct chunk_separator *joint; /* put back between two pieces; NULL: nothing */
  size_t joint_length;
  unsigned polled;
  struct chunk_stretch known[2];
};

static int length_of(struct exact *j, const char *s, size_t n, size_t *length) {
  switch (j->o->unit) {
  case CHUNK_BYTES:
    *length = n;
    return 0;
  case CHUNK_TOKENS:
    return j->o->count(j->o->context, s, n, length, j->err);
  default:
    break;
  }
  *length = utf8_count(s, n);
  if (j->o->unit == CHUNK_UTF16)
    for (size_t i = 0; i < n; i++) *length += (unsigned char)s[i] >= 0xf0;
  return 0;
}

/* ---- giving out ---- */

static const struct piece *at(const struct exact *j, size_t i) {
  return &j->ring[(j->head + i) & (j->cap - 1)];
}

/* Whether the pieces and what is put between them are what the text has there. */
static bool is_span(const struct exact *j) {
  const char *joint = j->joint ? j->joint->s : "";
  size_t n = j->joint ? j->joint->n : 0;
  for (size_t i = 1; i < j->count; i++) {
    const struct piece *a = at(j, i - 1), *b = at(j, i);
    if (b->start - a->end != n || (n && memcmp(j->s + a->end, joint, n) != 0)) return false;
  }
  return true;
}

/* The pieces joined, stripped, in out->text. */
static int give_text(struct exact *j) {
  struct buf *b = &j->out->text;
  size_t begin = b->len, start = begin;
  for (size_t i = 0; i < j->count; i++) {
    const struct piece *p = at(j, i);
    if (i && j->joint) buf_add(b, j->joint->s, j->joint->n);
    buf_add(b, j->s + p->start, p->end - p->start);
  }
  size_t end = b->len;
  int rc = buf_check(b, "chunks", j->err);
  struct chunk_stretch none[2] = {{0, 0}, {0, 0}};
  if (!rc && j->o->strip) chunk_strip(b->data, &start, &end, j->o->mode, none);
  if (rc || start >= end) return rc;
  rc = chunk_add(j->out, at(j, 0)->start, at(j, j->count - 1)->end, j->err);
  if (rc) return rc;
  struct chunk *c = &j->out->v[j->out->n - 1];
  c->text = start;
  c->text_size = end - start;
  b->len = end;
  return 0;
}

static int give_out(struct exact *j) {
  if (!j->count) return 0;
  if (!is_span(j)) return give_text(j);
  size_t start = at(j, 0)->start, end = at(j, j->count - 1)->end;
  if (j->o->strip) chunk_strip(j->s, &start, &end, j->o->mode, j->known);
  return start < end ? chunk_add(j->out, start, end, j->err) : 0;
}

/* ---- the window ---- */

static int flush(struct exact *j) {
  int rc = give_out(j);
  j->count = j->head = j->total = 0;
  return rc;
}

/* What a further piece would cost besides its own length. */
static size_t joints(const struct exact *j) {
  if (j->o->mode == CHUNK_JAVASCRIPT) return j->count * j->joint_length;
  return j->count ? j->joint_length : 0;
}

static void drop_first(struct exact *j) {
  size_t cost = at(j, 0)->length;
  if (j->o->mode == CHUNK_PYTHON && j->count > 1) cost += j->joint_length;
  j->total -= cost;
  j->head = (j->head + 1) & (j->cap - 1);
  j->count--;
}

static int grow_ring(struct exact *j) {
  size_t cap = j->cap ? j->cap * 2 : 256;
  struct piece *ring = mem_array(cap, sizeof *ring);
  if (!ring) return err_nomem(j->err, cap * sizeof *ring, "chunks");
  for (size_t i = 0; i < j->count; i++) ring[i] = *at(j, i);
  mem_free(j->ring);
  j->w->ring = j->ring = ring;
  j->w->ring_cap = j->cap = cap;
  j->head = 0;
  return 0;
}

static int push(struct exact *j, size_t start, size_t end, size_t length) {
  int rc = 0;
  const struct chunk_options *o = j->o;
  if (++j->polled % POLL_PIECES == 0 && (rc = cancel_check(j->err))) return rc;
  if (j->count && j->total + length + joints(j) > o->size) {
    if ((rc = give_out(j))) return rc;
    while (j->count &&
           (j->total > o->overlap || (j->total + length + joints(j) > o->size && j->total > 0)))
      drop_first(j);
  }
  if (j->count == j->cap && (rc = grow_ring(j))) return rc;
  if (o->mode == CHUNK_PYTHON && j->count) j->total += j->joint_length;
  j->total += length;
  j->ring[(j->head + j->count++) & (j->cap - 1)] = (struct piece){start, end, length};
  return 0;
}

/* ---- separators ---- */

/* The next place at or behind `at` in [from, to): NULL regex and plain text alike. */
static int find(struct exact *j, const struct chunk_separator *sep, size_t from, size_t to,
                size_t at, bool empty, bool *found, size_t *start, size_t *end) {
  *found = false;
  if (sep->regex) {
    int rc = chunk_regex_find(sep->regex, j->s + from, to - from, at - from, empty, found, start,
                              end, j->err);
    *start += from, *end += from;
    return rc;
  }
  if (at >= to) return 0;
  const char *p = sep->n == 1 ? memchr(j->s + at, sep->s[0], to - at)
                              : memmem(j->s + at, to - at, sep->s, sep->n);
  if (!p) return 0;
  *found = true;
  *start = (size_t)(p - j->s);
  *end = *start + sep->n;
  return 0;
}

static int split(struct exact *j, size_t from, size_t to, size_t first);

/* One piece: into the window when it is shorter than the size (or nothing can be done about its
 * length), else cut further by the separators from `next` on. */
static int piece(struct exact *j, size_t from, size_t to, size_t next, bool last) {
  size_t length;
  if (from == to) return 0;
  int rc = length_of(j, j->s + from, to - from, &length);
  if (rc) return rc;
  if (j->o->method == CHUNK_CHARACTER || length < j->o->size) return push(j, from, to, length);
  const struct chunk_separator *joint = j->joint;
  size_t joint_length = j->joint_length;
  if ((rc = flush(j))) return rc;
  if (last) return chunk_add(j->out, from, to, j->err);
  rc = split(j, from, to, next);
  j->joint = joint;
  j->joint_length = joint_length;
  return rc;
}

static int split_between_characters(struct exact *j, size_t from, size_t to) {
  int rc = 0;
  for (size_t i = from; i < to && !rc;) {
    size_t e = i + 1;
    while (e < to && ((unsigned char)j->s[e] & 0xc0) == 0x80) e++;
    rc = piece(j, i, e, 0, true);
    i = e;
  }
  return rc;
}

static int split_at(struct exact *j, size_t from, size_t to, size_t index, bool last) {
  const struct chunk_separator *sep = &j->o->separators[index];
  enum chunk_keep keep = j->o->keep;
  bool overlapping = j->o->mode == CHUNK_JAVASCRIPT && keep != CHUNK_DROP, found, empty = true;
  size_t begin = from, search = from, start, end;
  int rc;
  while (!(rc = find(j, sep, from, to, search, empty, &found, &start, &end)) && found) {
    if ((rc = piece(j, begin, keep == CHUNK_KEEP_END ? end : start, index + 1, last))) return rc;
    begin = keep == CHUNK_KEEP_START ? start : end;
    search = overlapping ? start + 1 : end;
    empty = end > start; /* an empty match may follow one that is not, not itself */
  }
  return rc ? rc : piece(j, begin, to, index + 1, last);
}

/* What stands between two pieces cut at separators[index]. */
static int set_joint(struct exact *j, size_t index, bool between) {
  static const char *const around[] = {"(?=", "(?<!", "(?<=", "(?!"};
  const struct chunk_separator *sep = &j->o->separators[index];
  j->joint = NULL;
  j->joint_length = 0;
  if (j->o->keep != CHUNK_DROP || between || !sep->n) return 0;
  for (size_t i = 0; j->o->method == CHUNK_CHARACTER && sep->regex && i < 4; i++)
    if (sep->n >= strlen(around[i]) && !memcmp(sep->s, around[i], strlen(around[i]))) return 0;
  j->joint = sep;
  return length_of(j, sep->s, sep->n, &j->joint_length);
}

/* Cuts [from, to) by the first separator from `first` on that occurs in it. */
static int split(struct exact *j, size_t from, size_t to, size_t first) {
  const struct chunk_options *o = j->o;
  size_t count = o->method == CHUNK_CHARACTER ? 1 : o->separator_count, index = first, start, end;
  bool found = false;
  int rc = 0;
  while (index < count && o->separators[index].n && !found) {
    rc = find(j, &o->separators[index], from, to, from, true, &found, &start, &end);
    if (rc) return rc;
    if (!found) index++;
  }
  bool between = index < count && !found;               /* "" was reached */
  if (index == count && first == count) between = true; /* JavaScript, the list used up */
  bool last = !found || (index + 1 == count && o->mode == CHUNK_PYTHON);
  if ((rc = set_joint(j, index < count ? index : count - 1, between))) return rc;
  rc = between ? split_between_characters(j, from, to)
       : found ? split_at(j, from, to, index, last)
               : piece(j, from, to, count, true);
  return rc ? rc : flush(j);
}

int chunk_exact(const struct chunk_options *o, struct chunk_work *w, const char *s, size_t n,
                struct chunks *out, struct err *err) {
  struct exact j = {.s = s, .o = o, .w = w, .out = out, .err = err};
  j.ring = w->ring;
  j.cap = w->ring_cap;
  for (size_t i = 0; i < o->separator_count; i++)
    if (o->separators[i].regex && utf8_check(s, n) != n)
      return err_set(err, ERR_FORMAT, "regular expressions need a text in UTF-8");
  return split(&j, 0, n, 0);
}
