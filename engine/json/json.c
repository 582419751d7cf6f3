/* SPDX-License-Identifier: MIT */
/* Looking at a tape; see json.h. The parser is parse.c, the writer write.c. */
#include "json/json.h"
#include "json/tape.h"

#include <stdlib.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

static const struct tape_node *node(const struct json *j, json_id v) {
  return v < j->count ? &j->nodes[v] : NULL;
}

static bool is_container(enum json_kind kind) {
  return kind == JSON_ARRAY || kind == JSON_OBJECT;
}

size_t json_memory(const struct json *j) {
  return j ? sizeof *j + j->cap * sizeof *j->nodes + j->slot_cap * sizeof *j->slots : 0;
}

enum json_kind json_kind(const struct json *j, json_id v) {
  const struct tape_node *n = node(j, v);
  return n ? (enum json_kind)(n->meta & TAPE_KIND) : JSON_NULL;
}

const char *json_kind_name(enum json_kind kind) {
  static const char *const names[] = {"null",   "boolean", "boolean", "integer",
                                      "number", "string",  "array",   "object"};
  return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "?";
}

size_t json_count(const struct json *j, json_id v) {
  return is_container(json_kind(j, v)) ? j->nodes[v].meta / TAPE_COUNT_ONE : 0;
}

size_t json_offset(const struct json *j, json_id v) {
  const struct tape_node *n = node(j, v);
  return n ? n->start - (json_kind(j, v) == JSON_STRING) : 0;
}

const char *json_raw(const struct json *j, json_id v, size_t *n) {
  const struct tape_node *at = node(j, v);
  *n = 0;
  if (!at) return NULL;
  size_t quote = json_kind(j, v) == JSON_STRING;
  *n = at->end - at->start + 2 * quote;
  return j->text + at->start - quote;
}

/* ---- members ---- */

static json_id scan_members(const struct json *j, json_id v, const char *name, size_t n) {
  json_id end = j->nodes[v].next;
  for (json_id k = v + 1; k < end; k = j->nodes[k + 1].next)
    if (tape_key_is(j, k, name, n)) return k + 1;
  return JSON_NONE;
}

json_id json_getn(const struct json *j, json_id v, const char *name, size_t n) {
  if (json_kind(j, v) != JSON_OBJECT) return JSON_NONE;
  if (json_count(j, v) <= TAPE_SMALL || json_count(j, v) > j->max_indexed)
    return scan_members(j, v, name, n);
  uint32_t hash = tape_hash(j, v, name, n);
  for (uint32_t at = hash & (j->slot_cap - 1); j->slots[at].key; at = (at + 1) & (j->slot_cap - 1))
    if (j->slots[at].hash == hash && j->slots[at].owner == v &&
        tape_key_is(j, j->slots[at].key, name, n))
      return j->slots[at].key + 1;
  return JSON_NONE;
}

json_id json_get(const struct json *j, json_id v, const char *name) {
  return json_getn(j, v, name, strlen(name));
}

json_id json_at(const struct json *j, json_id v, size_t i) {
  if (json_kind(j, v) != JSON_ARRAY || i >= json_count(j, v)) return JSON_NONE;
  json_id at = v + 1;
  while (i--) at = j->nodes[at].next;
  return at;
}

struct json_iter json_iter(const struct json *j, json_id v) {
  enum json_kind kind = json_kind(j, v);
  struct json_iter it = {.j = j, .key = JSON_NONE, .value = JSON_NONE};
  it.at = is_container(kind) ? v + 1 : 0;
  it.end = is_container(kind) ? j->nodes[v].next : 0;
  it.object = kind == JSON_OBJECT;
  return it;
}

bool json_each(struct json_iter *it) {
  if (it->at >= it->end) return false;
  it->key = it->object ? it->at : JSON_NONE;
  it->value = it->at + it->object;
  it->at = it->j->nodes[it->value].next;
  return true;
}

/* ---- scalars ---- */

bool json_string_add(const struct json *j, json_id v, struct buf *out) {
  if (json_kind(j, v) != JSON_STRING) return false;
  const struct tape_node *s = &j->nodes[v];
  const char *p = j->text + s->start, *end = j->text + s->end;
  if (!(s->meta & TAPE_ESCAPED)) {
    buf_add(out, p, (size_t)(end - p));
    return true;
  }
  if (buf_reserve(out, (size_t)(end - p))) return true;
  out->len += json_unescape(j, v, out->data + out->len);
  out->data[out->len] = 0;
  return true;
}

const char *json_plain_string(const struct json *j, json_id v, size_t *n) {
  if (json_kind(j, v) != JSON_STRING || j->nodes[v].meta & TAPE_ESCAPED) return NULL;
  *n = j->nodes[v].end - j->nodes[v].start;
  return j->text + j->nodes[v].start;
}

/* Copies up to the next backslash, sixteen bytes at a time: in texts they are a line apart, too near for
 * memchr to be worth its call. As much is written as was read, so never more than the string has. */
static const char *copy_plain(const char *p, const char *end, char **to) {
  char *t = *to;
#ifdef __SSE2__
  const __m128i slash = _mm_set1_epi8('\\');
  for (; end - p >= 16; p += 16, t += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    _mm_storeu_si128((__m128i *)(void *)t, v);
    unsigned hit = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(v, slash));
    if (!hit) continue;
    unsigned n = (unsigned)__builtin_ctz(hit);
    *to = t + n;
    return p + n;
  }
#endif
  while (p < end && *p != '\\') *t++ = *p++;
  *to = t;
  return p;
}

size_t json_unescape(const struct json *j, json_id v, char *out) {
  if (json_kind(j, v) != JSON_STRING) return 0;
  const char *p = j->text + j->nodes[v].start, *end = j->text + j->nodes[v].end;
  char *to = out;
  while ((p = copy_plain(p, end, &to)) < end) to += tape_unescape(&p, to);
  return (size_t)(to - out);
}

const char *json_string(const struct json *j, json_id v, struct buf *scratch, size_t *n) {
  *n = 0;
  if (json_kind(j, v) != JSON_STRING) return NULL;
  const struct tape_node *s = &j->nodes[v];
  *n = s->end - s->start;
  if (!(s->meta & TAPE_ESCAPED)) return j->text + s->start;
  buf_reset(scratch);
  if (buf_reserve(scratch, *n + 1)) return NULL;
  json_string_add(j, v, scratch);
  *n = scratch->len;
  return scratch->data;
}

bool json_is(const struct json *j, json_id v, const char *s) {
  return json_kind(j, v) == JSON_STRING && tape_key_is(j, v, s, strlen(s));
}

bool json_int(const struct json *j, json_id v, int64_t *out) {
  if (v >= j->count || json_kind(j, v) != JSON_INT) return false;
  const char *p = j->text + j->nodes[v].start, *end = j->text + j->nodes[v].end;
  bool minus = *p == '-';
  uint64_t value = 0;
  for (p += minus; p < end; p++) value = value * 10 + (uint64_t)(*p - '0');
  *out = (int64_t)(minus ? 0 - value : value);
  return true;
}

bool json_double(const struct json *j, json_id v, double *out) {
  enum json_kind kind = json_kind(j, v);
  char copy[JSON_NUMBER_DIGITS + 1];
  int64_t whole;
  if (json_int(j, v, &whole) && whole >= -((int64_t)1 << 53) && whole <= (int64_t)1 << 53) {
    *out = (double)whole;
    return true;
  }
  if (kind != JSON_REAL && kind != JSON_INT) return false;
  size_t n = j->nodes[v].end - j->nodes[v].start; /* bounded when it was parsed */
  memcpy(copy, j->text + j->nodes[v].start, n);
  copy[n] = 0;
  *out = strtod(copy, NULL);
  return true;
}

bool json_bool(const struct json *j, json_id v, bool *out) {
  enum json_kind kind = json_kind(j, v);
  if (kind != JSON_TRUE && kind != JSON_FALSE) return false;
  *out = kind == JSON_TRUE;
  return true;
}
