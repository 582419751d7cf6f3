/* SPDX-License-Identifier: MIT */
/* Lines that are taken out: those with a known phrase, and the repetitions of a line. See clean.h and
 * boilerplate.h. Two walks where lines are counted: hashes of all lines first, then the lines
 * themselves; a table of 16 bytes for each different line. A blank line before a line that goes goes
 * with it where another blank line, or the text's beginning or end, would then meet it. */
#include "text/boilerplate.h"
#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "text/chars.h"
#include "text/clean_pass.h"

#include <string.h>
#include <utf8proc.h>

#define POLL_LINES 16384

struct phrase {
  char *s;
  size_t n;
};
struct clean_phrases {
  struct phrase *v;
  size_t count, longest;
  unsigned char pairs[65536 / 8];
};

static unsigned char small(char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c | 32 : c);
}

static unsigned pair_at(const char *s) {
  return (unsigned)small(s[0]) << 8 | small(s[1]);
}

void clean_phrases_free(struct clean_phrases *p) {
  if (!p) return;
  for (size_t i = 0; p->v && i < p->count; i++) mem_free(p->v[i].s);
  mem_free(p->v);
  mem_free(p);
}

int clean_phrases_new(struct clean_phrases **out, const char *const *phrases, size_t count,
                      size_t longest, struct err *err) {
  int rc = 0;
  struct clean_phrases *p = mem_zero(sizeof *p);
  *out = NULL;
  if (!p) return err_nomem(err, sizeof *p, "phrases");
  p->longest = longest;
  p->v = mem_zeros(count, sizeof *p->v);
  if (!p->v) rc = err_nomem(err, count * sizeof *p->v, "phrases");
  for (size_t i = 0; !rc && i < count; i++) {
    size_t n = strlen(phrases[i]);
    if (n < 2)
      rc = err_set(err, ERR_MISUSE, "phrase %zu: two characters at least are needed", i + 1);
    else if (!(p->v[i].s = mem_dup(phrases[i], n)))
      rc = err_nomem(err, n, "phrases");
    if (rc) break;
    p->v[i].n = n;
    p->count = i + 1;
    unsigned k = pair_at(phrases[i]);
    p->pairs[k >> 3] |= (unsigned char)(1u << (k & 7));
  }
  if (rc) {
    clean_phrases_free(p);
    return rc;
  }
  *out = p;
  return 0;
}

/* Does the phrase stand at s, if capitals count as small letters? */
static bool phrase_here(const struct phrase *p, const char *s, size_t n) {
  size_t i = 0, k = 0, used, wanted;
  while (k < p->n) {
    if (i >= n) return false;
    if ((unsigned char)p->s[k] < 0x80 && (unsigned char)s[i] < 0x80) {
      if (small(s[i++]) != (unsigned char)p->s[k++]) return false;
      continue;
    }
    uint32_t a = utf8_decode(s + i, n - i, &used), b = utf8_decode(p->s + k, p->n - k, &wanted);
    if (a == UTF8_BAD || b == UTF8_BAD) return false;
    if ((uint32_t)utf8proc_tolower((utf8proc_int32_t)a) != b) return false;
    i += used;
    k += wanted;
  }
  return true;
}

static bool has_phrase(const struct clean_phrases *p, const char *s, size_t n) {
  if (n < 2 || n > p->longest * 4 || utf8_count(s, n) > p->longest) return false;
  for (size_t i = 0; i + 1 < n; i++) {
    unsigned k = pair_at(s + i);
    if (!(p->pairs[k >> 3] >> (k & 7) & 1)) continue;
    for (size_t j = 0; j < p->count; j++)
      if (pair_at(p->v[j].s) == k && phrase_here(&p->v[j], s + i, n - i)) return true;
  }
  return false;
}

/* ---- lines ---- */

struct line_count {
  uint64_t hash;
  uint32_t count, met;
};
struct line_table {
  struct line_count *v;
  size_t cap;
};

static struct line_count *line_at(const struct line_table *t, uint64_t hash) {
  if (!hash) hash = 1;
  size_t i = (size_t)hash & (t->cap - 1);
  while (t->v[i].hash && t->v[i].hash != hash) i = (i + 1) & (t->cap - 1);
  t->v[i].hash = hash;
  return &t->v[i];
}

/* The line without its blanks; false where it holds no letter or digit. */
static bool core(const char *s, size_t *from, size_t *to) {
  while (*from < *to && (s[*from] == ' ' || s[*from] == '\t')) ++*from;
  while (*to > *from && (s[*to - 1] == ' ' || s[*to - 1] == '\t')) --*to;
  size_t used;
  for (size_t i = *from; i < *to; i += used) {
    uint32_t c = utf8_decode(s + i, *to - i, &used);
    if (c != UTF8_BAD && char_class(c) & (CHAR_LETTER | CHAR_NUMBER)) return true;
  }
  return false;
}

static size_t end_of_line(const char *s, size_t n, size_t at) {
  const char *e = memchr(s + at, '\n', n - at);
  return e ? (size_t)(e - s) : n;
}

static int count_lines(struct pass *p, struct line_table *t) {
  size_t lines = 1, cap = 64;
  for (const char *e = p->in; (e = memchr(e, '\n', p->n - (size_t)(e - p->in))); e++) lines++;
  while (cap < 2 * lines) cap *= 2;
  t->v = mem_zeros(cap, sizeof *t->v);
  if (!t->v) return err_nomem(p->err, cap * sizeof *t->v, "counting lines");
  t->cap = cap;
  for (size_t at = 0, end; at < p->n; at = end + 1) {
    end = end_of_line(p->in, p->n, at);
    size_t from = at, to = end;
    if (core(p->in, &from, &to)) line_at(t, hash_xxh3(p->in + from, to - from, 0))->count++;
  }
  return 0;
}

/* Why the line [from, to) goes; CLEAN_RULES: it stays. */
static enum clean_rule verdict(const struct pass *p, const struct clean_options *o,
                               const struct line_table *t, size_t from, size_t to) {
  if (!core(p->in, &from, &to)) return CLEAN_RULES;
  if (o->boilerplate && has_phrase(o->boilerplate, p->in + from, to - from))
    return CLEAN_BOILERPLATE;
  if (!t->v) return CLEAN_RULES;
  struct line_count *line = line_at(t, hash_xxh3(p->in + from, to - from, 0));
  if (line->count > o->repeated_lines && line->met++) return CLEAN_REPEATED_LINES;
  return CLEAN_RULES;
}

static bool blank_line(const char *s, size_t from, size_t to) {
  while (from < to && (s[from] == ' ' || s[from] == '\t')) from++;
  return from == to;
}

void boilerplate_pass(struct pass *p, const struct clean_options *o) {
  struct line_table t = {0};
  const char *s = p->in;
  size_t n = p->n, at = 0, number = 0,
         kept = 0;  /* kept: where what stays, not yet written, begins */
  bool open = true; /* at the beginning, or behind a blank line that stays */
  if (o->repeated_lines) p->rc = count_lines(p, &t);
  while (at < n && !p->rc) {
    size_t end = end_of_line(s, n, at), next = end + (end < n);
    if (++number % POLL_LINES == 0) p->rc = cancel_check(p->err);
    enum clean_rule rule = verdict(p, o, &t, at, end);
    if (rule == CLEAN_RULES) {
      open = blank_line(s, at, end);
      at = next;
      continue;
    }
    p->counts->v[rule]++;
    pass_keep(p, kept, at);
    at = next;
    while (open && at < n) { /* the blank lines after it would meet those before it */
      end = end_of_line(s, n, at);
      if (!blank_line(s, at, end)) break;
      at = end + (end < n);
    }
    kept = at;
  }
  pass_keep(p, kept, n);
  mem_free(t.v);
}
