/* SPDX-License-Identifier: MIT */
/* Chunkers; see chunk.h.
 *
 * The recursion goes over separators, never over the text, so its depth is at most their number.
 * At each level the text is walked once; pieces are not stored but pushed, as they are found, into
 * a window, the chunk that is being built:
 *
 *   pieces   …[p][p][p][p][p] ◄── the next piece
 *                └── window ──┘     total = its length; what no longer fits is given out as a
 * chunk, then pieces leave at the front until only the overlap is left
 *
 * Every piece enters and leaves once, so the work is linear whatever the overlap. The window is
 * empty whenever the recursion goes down or comes back, so all levels share one.
 */
#include "text/chunk.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#define POLL_PIECES 4096

static const struct chunk_separator default_separators[] = {
    {"\n\n", 2}, {"\n", 1}, {" ", 1}, {"", 0}};

void chunk_defaults(struct chunk_options *o) {
  *o = (struct chunk_options){.size = 2000,
                              .overlap = 200,
                              .separators = default_separators,
                              .separator_count = 4,
                              .recursive = true,
                              .keep = true,
                              .strip = true};
}

void chunks_clear(struct chunks *c) {
  mem_free(c->v);
  *c = (struct chunks){0};
}

static int add(struct chunks *c, size_t start, size_t end, int level, struct err *err) {
  if (c->n == c->cap) {
    size_t cap = c->cap ? c->cap * 2 : 16;
    struct chunk *v = mem_rearray(c->v, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "chunks");
    c->v = v;
    c->cap = cap;
  }
  c->v[c->n++] = (struct chunk){start, end, level};
  return 0;
}

/* ---- white space ---- */

static bool is_space(uint32_t c, enum chunk_style style) {
  if (c < 0x80)
    return c == ' ' || (c >= 9 && c <= 13) || (style == CHUNK_PYTHON && c >= 0x1c && c <= 0x1f);
  if (c == 0x85) return style == CHUNK_PYTHON;
  if (c == 0xfeff) return style == CHUNK_JAVASCRIPT;
  return c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 ||
         c == 0x202f || c == 0x205f || c == 0x3000;
}

/* Stretches known to be white space, so that windows which overlap do not walk over it again. */
struct stretch {
  size_t from, to;
};

static size_t strip_front(const char *s, size_t start, size_t end, enum chunk_style style,
                          struct stretch *known) {
  size_t used, at = start;
  while (at < end) {
    if (at >= known->from && at < known->to)
      at = known->to;
    else if (is_space(utf8_decode(s + at, end - at, &used), style))
      at += used;
    else
      break;
  }
  if (at > start) *known = (struct stretch){start, at};
  return at < end ? at : end;
}

static size_t strip_back(const char *s, size_t start, size_t end, enum chunk_style style,
                         struct stretch *known) {
  size_t used, at = end;
  while (at > start) {
    if (at > known->from && at <= known->to) {
      at = known->from;
      continue;
    }
    size_t i = at - 1;
    while (i > start && at - i < 4 && ((unsigned char)s[i] & 0xc0) == 0x80) i--;
    if (!is_space(utf8_decode(s + i, at - i, &used), style) || used != at - i) break;
    at = i;
  }
  if (at < end) *known = (struct stretch){at, end};
  return at > start ? at : start;
}

/* ---- the window ---- */

struct piece {
  size_t start, end, length;
};

struct job {
  const char *s;
  const struct chunk_options *o;
  struct chunks *out;
  struct err *err;
  bool ascii; /* lengths are byte counts */
  struct piece *ring;
  size_t cap, head, count; /* cap is a power of two */
  size_t total;            /* code points in the window; in Python with its separators */
  size_t joint;            /* code points put back between two pieces: 0 when separators are kept */
  int level;
  unsigned polled;
  struct stretch front, back;
};

static size_t length_of(const struct job *j, size_t from, size_t to) {
  return j->ascii ? to - from : utf8_count(j->s + from, to - from);
}

static int give_out(struct job *j) {
  if (!j->count) return 0;
  size_t start = j->ring[j->head].start;
  size_t end = j->ring[(j->head + j->count - 1) & (j->cap - 1)].end;
  if (j->o->strip) {
    start = strip_front(j->s, start, end, j->o->style, &j->front);
    end = strip_back(j->s, start, end, j->o->style, &j->back);
  }
  return start < end ? add(j->out, start, end, j->level, j->err) : 0;
}

static int flush(struct job *j) {
  int rc = give_out(j);
  j->count = j->head = j->total = 0;
  return rc;
}

/* Code points that a further piece would cost besides its own. */
static size_t joints(const struct job *j) {
  if (j->o->style == CHUNK_JAVASCRIPT) return j->count * j->joint;
  return j->count ? j->joint : 0;
}

static void drop_first(struct job *j) {
  size_t cost = j->ring[j->head].length;
  if (j->o->style == CHUNK_PYTHON && j->count > 1) cost += j->joint;
  j->total -= cost;
  j->head = (j->head + 1) & (j->cap - 1);
  j->count--;
}

static int grow_ring(struct job *j) {
  size_t cap = j->cap ? j->cap * 2 : 256;
  struct piece *ring = mem_array(cap, sizeof *ring);
  if (!ring) return err_nomem(j->err, cap * sizeof *ring, "chunks");
  for (size_t i = 0; i < j->count; i++) ring[i] = j->ring[(j->head + i) & (j->cap - 1)];
  mem_free(j->ring);
  j->ring = ring;
  j->cap = cap;
  j->head = 0;
  return 0;
}

static int push(struct job *j, size_t start, size_t end, size_t length) {
  int rc = 0;
  if (++j->polled % POLL_PIECES == 0 && (rc = cancel_check(j->err))) return rc;
  if (j->count && j->total + length + joints(j) > j->o->size) {
    if ((rc = give_out(j))) return rc;
    while (j->count && (j->total > j->o->overlap ||
                        (j->total + length + joints(j) > j->o->size && j->total > 0)))
      drop_first(j);
  }
  if (j->count == j->cap && (rc = grow_ring(j))) return rc;
  if (j->o->style == CHUNK_PYTHON && j->count) j->total += j->joint;
  j->total += length;
  j->ring[(j->head + j->count++) & (j->cap - 1)] = (struct piece){start, end, length};
  return 0;
}

/* ---- the recursion over separators ---- */

static size_t find(const char *s, size_t from, size_t to, const struct chunk_separator *sep) {
  if (from >= to) return to;
  const char *p = sep->n == 1 ? memchr(s + from, sep->s[0], to - from)
                              : memmem(s + from, to - from, sep->s, sep->n);
  return p ? (size_t)(p - s) : to;
}

static int split(struct job *j, size_t from, size_t to, size_t first);

/* One piece: into the window when it is shorter than the size (or nothing can be done about its
 * length), else cut further by the separators from `next` on. */
static int piece(struct job *j, size_t from, size_t to, size_t next, bool last) {
  if (from == to) return 0;
  size_t length = length_of(j, from, to);
  if (!j->o->recursive || length < j->o->size) return push(j, from, to, length);
  int level = j->level, rc = flush(j);
  size_t joint = j->joint;
  if (rc) return rc;
  if (last) return add(j->out, from, to, level, j->err);
  rc = split(j, from, to, next);
  j->level = level;
  j->joint = joint;
  return rc;
}

static int split_between_characters(struct job *j, size_t from, size_t to, bool last) {
  int rc = 0;
  for (size_t i = from; i < to && !rc;) {
    size_t e = i + 1;
    while (e < to && ((unsigned char)j->s[e] & 0xc0) == 0x80) e++;
    rc = last && j->o->size > 1 ? push(j, i, e, 1) : piece(j, i, e, 0, true);
    i = e;
  }
  return rc;
}

static int split_at(struct job *j, size_t from, size_t to, size_t at, size_t next, bool last) {
  const struct chunk_separator *sep = &j->o->separators[at];
  size_t begin = from, step = j->o->style == CHUNK_JAVASCRIPT && j->o->keep ? 1 : sep->n;
  int rc = 0;
  for (size_t m = find(j->s, from, to, sep); m < to && !rc; m = find(j->s, m + step, to, sep)) {
    rc = piece(j, begin, m, next, last);
    begin = j->o->keep ? m : m + sep->n;
  }
  return rc ? rc : piece(j, begin, to, next, last);
}

/* Cuts [from, to) by the first separator from `first` on that occurs in it. */
static int split(struct job *j, size_t from, size_t to, size_t first) {
  const struct chunk_options *o = j->o;
  size_t count = o->recursive ? o->separator_count : 1, at = first;
  bool found = false;
  while (at < count && o->separators[at].n && !found) {
    found = find(j->s, from, to, &o->separators[at]) < to;
    if (!found) at++;
  }
  bool between = at < count && !found;               /* "" was reached */
  if (at == count && first == count) between = true; /* JavaScript, the list used up */
  j->level = at < count ? (int)at : between ? -1 : (int)count - 1;
  bool last = !found || (at + 1 == count && o->style == CHUNK_PYTHON);
  j->joint = 0;
  if (!o->keep && !between) {
    const struct chunk_separator *sep = &o->separators[j->level];
    j->joint = utf8_count(sep->s, sep->n);
  }
  int rc = between ? split_between_characters(j, from, to, true)
           : found ? split_at(j, from, to, at, at + 1, last)
                   : piece(j, from, to, count, true);
  return rc ? rc : flush(j);
}

static int check_options(const struct chunk_options *o, struct err *err) {
  bool equal_is_wrong = o->style == CHUNK_JAVASCRIPT;
  if (o->size < 1) return err_set(err, ERR_MISUSE, "a chunk's size must be at least 1");
  if (o->overlap > o->size || (equal_is_wrong && o->overlap == o->size))
    return err_set(err, ERR_MISUSE, "the overlap (%zu) must be smaller than the chunk's size (%zu)",
                   o->overlap, o->size);
  if (!o->separators || o->separator_count < 1 || o->separator_count > CHUNK_SEPARATORS_MAX)
    return err_set(err, ERR_MISUSE, "1 to %d separators expected, got %zu", CHUNK_SEPARATORS_MAX,
                   o->separators ? o->separator_count : 0);
  return 0;
}

static bool all_ascii(const char *s, size_t n) {
  size_t i = 0;
  for (uint64_t w; n - i >= 8; i += 8)
    if (memcpy(&w, s + i, 8), w & 0x8080808080808080u) return false;
  for (; i < n; i++)
    if ((unsigned char)s[i] >= 0x80) return false;
  return true;
}

int chunk_characters(const char *s, size_t n, const struct chunk_options *o, struct chunks *out,
                     struct err *err) {
  int rc = check_options(o, err);
  if (rc || !n) return rc;
  struct job j = {.s = s, .o = o, .out = out, .err = err, .ascii = all_ascii(s, n)};
  rc = split(&j, 0, n, 0);
  mem_free(j.ring);
  return rc;
}

/* ---- by tokens ---- */

static size_t border(const char *s, size_t n, size_t at) {
  return at >= n ? n : utf8_floor(s, n, at);
}

int chunk_tokens(const char *s, size_t n, const struct chunk_token *tokens, size_t token_count,
                 size_t size, size_t overlap, struct chunks *out, struct err *err) {
  if (size < 1 || overlap >= size)
    return err_set(err, ERR_MISUSE, "the overlap (%zu) must be smaller than the chunk's size (%zu)",
                   overlap, size);
  for (size_t i = 0; i < token_count; i++)
    if (tokens[i].start > tokens[i].end || tokens[i].end > n ||
        (i && tokens[i].start < tokens[i - 1].start))
      return err_set(err, ERR_MISUSE,
                     "token %zu: offsets [%zu, %zu) do not fit a text of %zu bytes", i,
                     tokens[i].start, tokens[i].end, n);
  for (size_t i = 0; i < token_count; i += size - overlap) {
    size_t left = token_count - i, end = i + (left < size ? left : size);
    size_t a = border(s, n, tokens[i].start), b = border(s, n, tokens[end - 1].end);
    int rc = a < b ? add(out, a, b, -1, err) : 0;
    if (!rc && out->n % POLL_PIECES == 0) rc = cancel_check(err);
    if (rc) return rc;
    if (end == token_count) break;
  }
  return 0;
}

/* ---- languages ---- */

#define S(text)                                                                                    \
  { text, sizeof text - 1 }
#define TAIL S("\n\n"), S("\n"), S(" "), S("")

static const struct chunk_separator markdown[] = {
    S("\n## "),   S("\n### "),      S("\n#### "),     S("\n##### "),    S("\n###### "),
    S("```\n\n"), S("\n\n***\n\n"), S("\n\n---\n\n"), S("\n\n___\n\n"), TAIL};
static const struct chunk_separator rst[] = {S("\n===\n"), S("\n---\n"), S("\n***\n"), S("\n.. "),
                                             TAIL};
static const struct chunk_separator python[] = {S("\nclass "), S("\ndef "), S("\n\tdef "), TAIL};
static const struct chunk_separator cpp[] = {
    S("\nclass "),  S("\nvoid "), S("\nint "), S("\nfloat "),
    S("\ndouble "), S("\nif "),   S("\nfor "), S("\nwhile "),
    S("\nswitch "), S("\ncase "), TAIL};
static const struct chunk_separator go[] = {S("\nfunc "),   S("\nvar "),  S("\nconst "),
                                            S("\ntype "),   S("\nif "),   S("\nfor "),
                                            S("\nswitch "), S("\ncase "), TAIL};
static const struct chunk_separator java[] = {
    S("\nclass "), S("\npublic "), S("\nprotected "), S("\nprivate "), S("\nstatic "),
    S("\nif "),    S("\nfor "),    S("\nwhile "),     S("\nswitch "),  S("\ncase "),
    TAIL};
static const struct chunk_separator js[] = {
    S("\nfunction "), S("\nconst "), S("\nlet "),    S("\nvar "),  S("\nclass "),   S("\nif "),
    S("\nfor "),      S("\nwhile "), S("\nswitch "), S("\ncase "), S("\ndefault "), TAIL};
static const struct chunk_separator rust[] = {S("\nfn "),   S("\nconst "), S("\nlet "),
                                              S("\nif "),   S("\nwhile "), S("\nfor "),
                                              S("\nloop "), S("\nmatch "), TAIL};
static const struct chunk_separator lua[] = {
    S("\nfunction "), S("\nlocal function "), S("\nlocal "), S("\nreturn "), S("\nif "),
    S("\nfor "),      S("\nwhile "),          TAIL};

#define COUNT(list) (sizeof(list) / sizeof *(list))

size_t chunk_language(const char *name, const struct chunk_separator **list) {
  static const struct {
    const char *name;
    const struct chunk_separator *list;
    size_t count;
  } languages[] = {{"markdown", markdown, COUNT(markdown)},
                   {"md", markdown, COUNT(markdown)},
                   {"rst", rst, COUNT(rst)},
                   {"python", python, COUNT(python)},
                   {"cpp", cpp, COUNT(cpp)},
                   {"c", cpp, COUNT(cpp)},
                   {"go", go, COUNT(go)},
                   {"java", java, COUNT(java)},
                   {"js", js, COUNT(js)},
                   {"javascript", js, COUNT(js)},
                   {"rust", rust, COUNT(rust)},
                   {"lua", lua, COUNT(lua)}};
  for (size_t i = 0; i < COUNT(languages); i++)
    if (!strcasecmp(name, languages[i].name)) return *list = languages[i].list, languages[i].count;
  return 0;
}
