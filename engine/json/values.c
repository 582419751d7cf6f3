/* SPDX-License-Identifier: MIT */
/* Values out of a long JSON text: see values.h.
 *
 * One byte decides, by where we are:
 *
 *   BETWEEN   outside of everything   '[' opens the array, anything else begins a value
 *   FIRST     behind '['              ']' closes it, else an element begins
 *   ELEMENT   behind ','              an element begins
 *   BEHIND    behind an element       ',' or ']'
 *   NESTED    in an object or array   until its depth is 0 again; strings are stepped over
 *   STRING    in a string of NESTED or a value that is a string
 *   WORD      in a number, true …     until a blank, comma or bracket
 *
 * NESTED and STRING are where the bytes are: each has a table of the few that mean something to it,
 * and runs over the others. Lines are counted when a value begins, not byte by byte.
 */
#include "json/values.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

enum state { BETWEEN, FIRST, ELEMENT, BEHIND, NESTED, STRING, ESCAPE, WORD, FAILED };

struct json_values {
  enum state state;
  bool in_array, started;
  uint64_t depth; /* of NESTED; 0 in a string or word that is the value itself */
  size_t max_value;
  uint64_t len;    /* of the value so far, in blocks that are gone */
  struct buf held; /* its bytes, unless it is too long */
  uint64_t number, value_line, line;
  struct err failure;
  unsigned mark; /* bytes of a byte order mark seen */
};

int json_values_new(struct json_values **out, size_t max_value, struct err *err) {
  struct json_values *v = *out = mem_zero(sizeof *v);
  if (!v) return err_nomem(err, sizeof *v, "a reader of JSON values");
  v->max_value = max_value;
  v->line = 1;
  buf_init(&v->held);
  return 0;
}

void json_values_free(struct json_values *v) {
  if (!v) return;
  buf_clear(&v->held);
  mem_free(v);
}

static bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void count_lines(struct json_values *v, const char *from, const char *to) {
  while (from < to && (from = memchr(from, '\n', (size_t)(to - from)))) v->line++, from++;
}

static int fail(struct json_values *v, struct err *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static int fail(struct json_values *v, struct err *err, const char *format, ...) {
  va_list args;
  va_start(args, format);
  err_setv(&v->failure, ERR_FORMAT, format, args);
  va_end(args);
  err_prefix(&v->failure, "line %llu", (unsigned long long)v->line);
  v->state = FAILED;
  if (err) *err = v->failure;
  return -1;
}

static int fail_at(struct json_values *v, struct err *err, const char *wanted, char got) {
  unsigned long long number = v->number;
  if (got > ' ' && got < 127)
    return fail(v, err, "%s expected behind value %llu, got '%c'", wanted, number, got);
  return fail(v, err, "%s expected behind value %llu, got byte %d", wanted, number, got & 255);
}

/* The bytes that mean something inside an object or array, and inside a string. */
static const bool nested_stop[256] = {
    ['"'] = true, ['{'] = true, ['}'] = true, ['['] = true, [']'] = true};
static const bool string_stop[256] = {['"'] = true, ['\\'] = true};

/* Walks on in a value; returns where it ends, or NULL when the block ends first. */
static const char *walk(struct json_values *v, const char *p, const char *end) {
  while (p < end) {
    unsigned char c = (unsigned char)*p;
    switch (v->state) {
    case STRING:
      while (p < end && !string_stop[(unsigned char)*p]) p++;
      if (p == end) return NULL;
      c = (unsigned char)*p++;
      v->state = c == '\\' ? ESCAPE : NESTED;
      if (c == '"' && v->depth == 0) return p;
      break;
    case ESCAPE:
      p++, v->state = STRING;
      break;
    case NESTED:
      while (p < end && !nested_stop[(unsigned char)*p]) p++;
      if (p == end) return NULL;
      c = (unsigned char)*p++;
      if (c == '"')
        v->state = STRING;
      else if (c == '{' || c == '[')
        v->depth++;
      else if (--v->depth == 0)
        return p;
      break;
    default: /* WORD */
      if (is_blank((char)c) || c == ',' || c == '"' || nested_stop[c]) return p;
      p++;
    }
  }
  return NULL;
}

static bool too_long(const struct json_values *v, uint64_t more) {
  return v->len + more > v->max_value;
}

/* The block ends inside the value: its bytes so far are kept, or counted. */
static int keep(struct json_values *v, const char *from, const char *end, struct err *err) {
  size_t n = (size_t)(end - from);
  if (too_long(v, n))
    buf_clear(&v->held);
  else
    buf_add(&v->held, from, n);
  v->len += n;
  return buf_check(&v->held, "a JSON value", err) ? -1 : 0;
}

/* The value ends at `end`, having its last bytes from `from` on. */
static int complete(struct json_values *v, const char *from, const char *end,
                    struct json_value *value, struct err *err) {
  size_t n = (size_t)(end - from);
  *value = (struct json_value){.len = (size_t)(v->len + n),
                               .number = v->number,
                               .line = v->value_line,
                               .too_long = too_long(v, n)};
  if (!value->too_long && v->len) {
    buf_add(&v->held, from, n);
    if (buf_check(&v->held, "a JSON value", err)) return -1;
    value->text = v->held.data;
  } else if (!value->too_long) {
    value->text = from;
  }
  v->state = v->in_array ? BEHIND : BETWEEN;
  return 1;
}

static void begin(struct json_values *v, char c) {
  buf_reset(&v->held);
  v->len = 0;
  v->number++;
  v->value_line = v->line;
  v->depth = c == '{' || c == '[';
  v->state = v->depth ? NESTED : c == '"' ? STRING : WORD;
}

/* A byte outside of values. 0: go on behind it; 1: a value begins at it; −1: wrong. */
static int outside(struct json_values *v, char c, struct err *err) {
  if (v->state == BEHIND) {
    if (c != ',' && c != ']') return fail_at(v, err, "',' or ']'", c);
    v->state = c == ',' ? ELEMENT : BETWEEN;
    v->in_array = c == ',';
    return 0;
  }
  if (v->state == BETWEEN && c == '[') {
    v->state = FIRST;
    v->in_array = true;
    return 0;
  }
  if (v->state == BETWEEN && c == 0x1e) return 0;
  if (v->state == FIRST && c == ']') {
    v->state = BETWEEN;
    v->in_array = false;
    return 0;
  }
  if (c == ',' || c == ']' || c == '}' || c == ':') return fail_at(v, err, "a value", c);
  begin(v, c);
  return 1;
}

/* Steps over a byte order mark at the very start, which may be cut by the first blocks. */
static void skip_mark(struct json_values *v, const char **bytes, size_t *n) {
  static const char mark[] = "\xef\xbb\xbf";
  while (!v->started && *n && v->mark < 3 && **bytes == mark[v->mark]) ++*bytes, --*n, v->mark++;
  if (*n || v->mark == 3) v->started = true;
}

int json_values_next(struct json_values *v, const char **bytes, size_t *n, struct json_value *value,
                     struct err *err) {
  if (v->state == FAILED) {
    if (err) *err = v->failure;
    return -1;
  }
  skip_mark(v, bytes, n);
  const char *p = *bytes, *end = p + *n;
  bool inside = v->state >= NESTED;
  while (!inside && p < end) {
    if (*p == '\n') v->line++;
    if (is_blank(*p)) {
      p++;
      continue;
    }
    int begun = outside(v, *p, err);
    if (begun < 0) return -1;
    inside = begun;
    p += !begun;
  }
  *bytes = end, *n = 0;
  if (!inside) return 0;
  /* the first byte of a new value is known: '{' and '"' must not be met again */
  const char *stop = walk(v, v->len == 0 && v->state != WORD ? p + 1 : p, end);
  count_lines(v, p, stop ? stop : end);
  if (!stop) return keep(v, p, end, err);
  *bytes = stop, *n = (size_t)(end - stop);
  return complete(v, p, stop, value, err);
}

int json_values_end(struct json_values *v, struct json_value *value, struct err *err) {
  if (v->state == FAILED) {
    if (err) *err = v->failure;
    return -1;
  }
  if (v->state == WORD) return complete(v, "", "", value, err);
  if (v->state >= NESTED) {
    v->line = v->value_line;
    return fail(v, err, "value %llu begins here and does not end", (unsigned long long)v->number);
  }
  if (v->in_array) return fail(v, err, "the array does not end");
  return 0;
}
