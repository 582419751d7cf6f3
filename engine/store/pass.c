/* SPDX-License-Identifier: MIT */
/* Records passed on by a condition; see pass.h. */
#include "store/pass.h"
#include "base/cancel.h"

#include <string.h>

#define EXACT     ((int64_t)1 << 53) /* integers up to here are doubles too */
#define POLL_MASK 0x3ff

/* The value at the path, or JSON_NONE. False: the path leads into an array, by position. */
static bool find(const struct json *j, const char *path, size_t n, json_id *v) {
  *v = JSON_ROOT;
  while (*v != JSON_NONE) {
    const char *dot = memchr(path, '.', n);
    size_t k = dot ? (size_t)(dot - path) : n;
    if (json_kind(j, *v) == JSON_ARRAY) return false;
    *v = json_getn(j, *v, path, k);
    if (!dot) break;
    path += k + 1, n -= k + 1;
  }
  return true;
}

static bool is_number(enum json_kind k) {
  return k == JSON_INT || k == JSON_REAL;
}

/* −1, 0, 1; 2 when it is not sure. */
static int compare(const struct json *j, json_id v, const struct pass_value *w) {
  int64_t i = 0;
  double d = 0;
  bool integer = json_int(j, v, &i);
  if (integer && w->kind == JSON_INT) return i < w->i ? -1 : i > w->i;
  if (!integer && !json_double(j, v, &d)) return 2;
  if ((integer && (i > EXACT || i < -EXACT)) ||
      (w->kind == JSON_INT && (w->i > EXACT || w->i < -EXACT)))
    return 2;
  if (integer) d = (double)i;
  double e = w->kind == JSON_INT ? (double)w->i : w->d;
  return d < e ? -1 : d > e ? 1 : d == e ? 0 : 2;
}

/* 1 the same, 0 not, 2 not sure. */
static int same(struct pass *p, json_id v, const struct pass_value *w) {
  enum json_kind k = json_kind(p->tape, v);
  if (is_number(w->kind) && is_number(k)) {
    int c = compare(p->tape, v, w);
    return c == 2 ? 2 : c == 0;
  }
  if (k != w->kind) return 0;
  if (k != JSON_STRING) return 1;
  size_t n;
  const char *s = json_string(p->tape, v, &p->scratch, &n);
  if (!s) return 2;
  return n == w->n && !memcmp(s, w->s, n);
}

static bool contains(struct pass *p, json_id v, const struct pass_value *w) {
  size_t n;
  const char *s = json_string(p->tape, v, &p->scratch, &n);
  return s && (w->n == 0 || memmem(s, n, w->s, w->n));
}

static bool holds(struct pass *p, const struct pass_test *t, json_id v) {
  bool there = v != JSON_NONE && json_kind(p->tape, v) != JSON_NULL;
  int order;
  switch (t->kind) {
  case PASS_EXISTS:
    return there == t->flag;
  case PASS_MIN:
  case PASS_MAX:
    if (!there || !is_number(json_kind(p->tape, v))) return false;
    order = compare(p->tape, v, &t->values[0]);
    return order == 0 || order == (t->kind == PASS_MIN ? 1 : -1);
  case PASS_EQUALS:
    for (size_t i = 0; there && i < t->count; i++)
      if (same(p, v, &t->values[i]) == 1) return true;
    return false;
  case PASS_OTHER:
    for (size_t i = 0; there && i < t->count; i++)
      if (same(p, v, &t->values[i]) != 0) return false;
    return there;
  case PASS_CONTAINS:
    return there && contains(p, v, &t->values[0]);
  }
  return false;
}

bool pass_record(struct pass *p, const char *line, size_t n, const char **text, size_t *text_size) {
  if (json_parse_again(&p->tape, line, n, NULL, NULL)) return false;
  if (json_kind(p->tape, JSON_ROOT) != JSON_OBJECT) return false;
  json_id v = JSON_NONE;
  if (p->test_count && !find(p->tape, p->field, p->field_size, &v)) return false;
  for (size_t i = 0; i < p->test_count; i++)
    if (!holds(p, &p->tests[i], v)) return false;
  *text = json_raw(p->tape, JSON_ROOT, text_size);
  return !memchr(*text, '\r', *text_size);
}

int pass_lines(struct pass *p, struct lines *lines, struct file_replace *out, struct line *line,
               uint64_t *passed, struct err *err) {
  const char *text;
  size_t n;
  for (;;) {
    int got = lines_next_record(lines, line, err);
    if (got <= 0) return got;
    if (line->too_long || !pass_record(p, line->text, line->len, &text, &n)) return 1;
    if (file_replace_write(out, text, n, err) || file_replace_write(out, "\n", 1, err)) return -1;
    if ((++*passed & POLL_MASK) == 0 && cancel_check(err)) return -1;
  }
}
