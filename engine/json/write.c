/* SPDX-License-Identifier: MIT */
/* The JSON writer; see json.h. Runs of clean characters are copied in bulk. */
#include "json/json.h"
#include "json/tape.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *clean_run(const char *p, const char *end) {
  while (p < end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\') p++;
  return p;
}

void json_put_string(struct buf *out, const char *s, size_t n) {
  const char *p = s, *end = s + n;
  buf_addc(out, '"');
  while (p < end) {
    const char *run = clean_run(p, end);
    buf_add(out, p, (size_t)(run - p));
    p = run;
    if (p == end) break;
    switch (*p) {
    case '"':
      buf_adds(out, "\\\"");
      break;
    case '\\':
      buf_adds(out, "\\\\");
      break;
    case '\n':
      buf_adds(out, "\\n");
      break;
    case '\r':
      buf_adds(out, "\\r");
      break;
    case '\t':
      buf_adds(out, "\\t");
      break;
    case '\b':
      buf_adds(out, "\\b");
      break;
    case '\f':
      buf_adds(out, "\\f");
      break;
    default:
      buf_addf(out, "\\u%04x", (unsigned char)*p);
    }
    p++;
  }
  buf_addc(out, '"');
}

void json_put_int(struct buf *out, int64_t v) {
  char digits[24], *p = digits + sizeof digits;
  uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
  do *--p = (char)('0' + u % 10);
  while (u /= 10);
  if (v < 0) *--p = '-';
  buf_add(out, p, (size_t)(digits + sizeof digits - p));
}

void json_put_double(struct buf *out, double v) {
  char text[40];
  /* Fifteen digits are always exact for normal numbers (%g drops zeros); subnormals have fewer. */
  int least = v < DBL_MIN && v > -DBL_MIN ? 1 : 15;
  for (int precision = least; precision <= 17; precision++) {
    snprintf(text, sizeof text, "%.*g", precision, v);
    if (strtod(text, NULL) == v) break;
  }
  buf_adds(out, text);
  if (!strpbrk(text, ".e")) buf_adds(out, ".0");
}

static void new_line(struct buf *out, unsigned indent, unsigned depth) {
  if (!indent) return;
  buf_addc(out, '\n');
  for (unsigned i = 0; i < indent * depth; i++) buf_addc(out, ' ');
}

/* Recursion is bounded by JSON_DEPTH_MAX, which the parser has enforced. */
static void put_value(struct buf *out, const struct json *j, json_id v, unsigned indent,
                      unsigned depth) {
  enum json_kind kind = json_kind(j, v);
  size_t n;
  if (kind != JSON_ARRAY && kind != JSON_OBJECT) {
    const char *raw = json_raw(j, v, &n);
    buf_add(out, raw, n);
    return;
  }
  bool first = true;
  struct json_iter it = json_iter(j, v);
  buf_addc(out, kind == JSON_OBJECT ? '{' : '[');
  for (; json_each(&it); first = false) {
    if (!first) buf_addc(out, ',');
    new_line(out, indent, depth + 1);
    if (it.object) {
      const char *raw = json_raw(j, it.key, &n);
      buf_add(out, raw, n);
      buf_adds(out, indent ? ": " : ":");
    }
    put_value(out, j, it.value, indent, depth + 1);
  }
  if (!first) new_line(out, indent, depth);
  buf_addc(out, kind == JSON_OBJECT ? '}' : ']');
}

void json_put_value(struct buf *out, const struct json *j, json_id v, unsigned indent) {
  put_value(out, j, v, indent, 0);
}
