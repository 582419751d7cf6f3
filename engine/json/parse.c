/* SPDX-License-Identifier: MIT */
/* The JSON parser: one pass, no recursion; see json.h and tape.h.
 *
 * Strings are scanned sixteen bytes at a time for the bytes that matter (quote, backslash, control
 * characters) while their high bits are gathered; only a string that has any is checked as UTF-8.
 * The stack of open containers lives in the tape: an open one keeps its parent in `next`.
 */
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "json/tape.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define DEFAULT_BYTES ((size_t)1 << 30)
#define DEFAULT_DEPTH 512

struct parser {
  struct json *j;
  const char *start, *p, *end;
  json_id open; /* innermost open container, or JSON_NONE */
  unsigned depth, max_depth;
  struct buf scratch;
  struct err *err;
};

static int bad_at(struct parser *s, const char *at, const char *what) {
  return err_set(s->err, ERR_FORMAT, "byte %zu: %s", (size_t)(at - s->start), what);
}

/* What stands at p, for "expected …, got …". */
static int unexpected(struct parser *s, const char *expected) {
  if (s->p >= s->end) return bad_at(s, s->end, "the text ends early");
  unsigned char c = (unsigned char)*s->p;
  size_t at = (size_t)(s->p - s->start);
  if (c > 0x20 && c < 0x7F)
    return err_set(s->err, ERR_FORMAT, "byte %zu: expected %s, got '%c'", at, expected, c);
  return err_set(s->err, ERR_FORMAT, "byte %zu: expected %s, got byte 0x%02x", at, expected, c);
}

static bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline void skip_space(struct parser *s) {
  while (s->p < s->end && is_space(*s->p)) s->p++;
}

static struct tape_node *add_node(struct parser *s, enum json_kind kind, const char *from,
                                  const char *to) {
  struct json *j = s->j;
  if (j->count == j->cap) {
    uint32_t cap = j->cap < 1u << 30 ? j->cap * 2 : UINT32_MAX - 1;
    struct tape_node *nodes = j->count < cap ? mem_rearray(j->nodes, cap, sizeof *nodes) : NULL;
    if (!nodes) {
      err_nomem(s->err, (uint64_t)cap * sizeof *nodes, "a JSON tape");
      return NULL;
    }
    j->nodes = nodes;
    j->cap = cap;
    mem_huge(nodes, cap * sizeof *nodes);
  }
  struct tape_node *n = &j->nodes[j->count++];
  n->start = (uint32_t)(from - s->start);
  n->end = (uint32_t)(to - s->start);
  n->next = j->count;
  n->meta = kind;
  return n;
}

/* ---- strings ---- */

/* The first byte at or after p that is a quote, a backslash or below 0x20; ORs high bits of the
 * bytes passed into *high (bytes behind the one found may be included: a false alarm costs one
 * check). */
static const char *scan_string(const char *p, const char *end, unsigned *high) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), low = _mm_set1_epi8(0x1F);
  for (; end - p >= 16; p += 16) {
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
    hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, low), v));
    *high |= (unsigned)_mm_movemask_epi8(v);
    unsigned mask = (unsigned)_mm_movemask_epi8(hit);
    if (mask) return p + __builtin_ctz(mask);
  }
#endif
  for (; p < end; p++) {
    unsigned char c = (unsigned char)*p;
    if (c == '"' || c == '\\' || c < 0x20) return p;
    *high |= c & 0x80u;
  }
  return end;
}

static int hex4(const char *p, const char *end) {
  int v = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    char c = p[i];
    int d = c >= '0' && c <= '9'   ? c - '0'
            : c >= 'a' && c <= 'f' ? c - 'a' + 10
            : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                   : -1;
    if (d < 0) return -1;
    v = v << 4 | d;
  }
  return v;
}

/* s->p is at a backslash; steps over the whole escape. */
static int skip_escape(struct parser *s, bool key) {
  const char *at = s->p;
  if (s->end - at < 2) return bad_at(s, s->end, "the text ends inside a string");
  s->p += 2;
  if (memchr("\"\\/bfnrt", at[1], 8)) return 0;
  if (at[1] != 'u') return bad_at(s, at, "unknown escape in a string");
  int unit = hex4(s->p, s->end);
  if (unit < 0) return bad_at(s, at, "\\u is not followed by four hexadecimal digits");
  s->p += 4;
  if (unit == 0 && key) return bad_at(s, at, "U+0000 in a key");
  if (unit >= 0xDC00 && unit <= 0xDFFF) return bad_at(s, at, "lone surrogate in a string");
  if (unit < 0xD800 || unit > 0xDBFF) return 0;
  int low = s->end - s->p >= 6 && s->p[0] == '\\' && s->p[1] == 'u' ? hex4(s->p + 2, s->end) : -1;
  if (low < 0xDC00 || low > 0xDFFF) return bad_at(s, at, "lone surrogate in a string");
  s->p += 6;
  return 0;
}

/* s->p is behind the opening quote. */
static int parse_string(struct parser *s, bool key) {
  const char *from = s->p;
  unsigned high = 0;
  bool escaped = false;
  for (;;) {
    s->p = scan_string(s->p, s->end, &high);
    if (s->p == s->end) return bad_at(s, s->end, "the text ends inside a string");
    if (*s->p == '"') break;
    if (*s->p != '\\') return bad_at(s, s->p, "control character in a string (write \\u00XX)");
    if (skip_escape(s, key)) return s->err ? s->err->code : ERR_FORMAT;
    escaped = true;
  }
  size_t n = (size_t)(s->p - from), good = high ? utf8_check(from, n) : n;
  if (good < n) return bad_at(s, from + good, "the text is not UTF-8");
  struct tape_node *node = add_node(s, JSON_STRING, from, s->p);
  if (!node) return ERR_NOMEM;
  if (escaped) node->meta |= TAPE_ESCAPED;
  s->p++;
  return 0;
}

size_t tape_unescape(const char **p, char out[4]) {
  const char *s = *p;
  if (*s != '\\') {
    out[0] = *s;
    *p = s + 1;
    return 1;
  }
  *p = s + 2;
  switch (s[1]) {
  case 'b':
    out[0] = '\b';
    return 1;
  case 'f':
    out[0] = '\f';
    return 1;
  case 'n':
    out[0] = '\n';
    return 1;
  case 'r':
    out[0] = '\r';
    return 1;
  case 't':
    out[0] = '\t';
    return 1;
  case 'u':
    break;
  default:
    out[0] = s[1];
    return 1;
  }
  uint32_t c = (uint32_t)hex4(s + 2, s + 6);
  *p = s + 6;
  if (c >= 0xD800 && c <= 0xDBFF) {
    c = 0x10000 + ((c - 0xD800) << 10) + ((uint32_t)hex4(s + 8, s + 12) - 0xDC00);
    *p = s + 12;
  }
  return utf8_encode(c, out);
}

/* ---- numbers and words ---- */

static const char *digits(const char *p, const char *end) {
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p;
}

/* Whether the digits [p, end) with that sign fit int64_t. */
static bool fits_int64(const char *p, const char *end, bool minus) {
  if (end - p < 19) return true;
  if (end - p > 19) return false;
  return memcmp(p, minus ? "9223372036854775808" : "9223372036854775807", 19) <= 0;
}

static int parse_number(struct parser *s) {
  const char *from = s->p, *p = s->p, *first;
  enum json_kind kind = JSON_INT;
  bool minus = *p == '-';
  if (minus) p++;
  first = p;
  p = digits(p, s->end);
  s->p = p;
  if (p == first) return unexpected(s, "a digit");
  if (*first == '0' && p - first > 1) return bad_at(s, first, "a number begins with 0");
  if ((minus && *first == '0') || !fits_int64(first, p, minus)) kind = JSON_REAL;
  if (p < s->end && *p == '.') {
    const char *fraction = ++p;
    s->p = p = digits(p, s->end);
    kind = JSON_REAL;
    if (p == fraction) return unexpected(s, "a digit after the point");
  }
  if (p < s->end && (*p == 'e' || *p == 'E')) {
    if (++p < s->end && (*p == '+' || *p == '-')) p++;
    const char *exponent = p;
    s->p = p = digits(p, s->end);
    kind = JSON_REAL;
    if (p == exponent) return unexpected(s, "a digit of the exponent");
  }
  if (p - from > JSON_NUMBER_DIGITS)
    return err_set(s->err, ERR_LIMIT, "byte %zu: a number of more than %d characters",
                   (size_t)(from - s->start), JSON_NUMBER_DIGITS);
  return add_node(s, kind, from, p) ? 0 : ERR_NOMEM;
}

static int parse_word(struct parser *s, const char *word, size_t n, enum json_kind kind) {
  if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n)) return unexpected(s, "a value");
  const char *from = s->p;
  s->p += n;
  return add_node(s, kind, from, s->p) ? 0 : ERR_NOMEM;
}

/* ---- keys ---- */

uint32_t tape_hash(const struct json *j, json_id owner, const char *key, size_t n) {
  return (uint32_t)hash_xxh3(key, n, j->seed + owner);
}

bool tape_key_is(const struct json *j, json_id key, const char *s, size_t n) {
  const struct tape_node *k = &j->nodes[key];
  const char *p = j->text + k->start, *end = j->text + k->end;
  if (!(k->meta & TAPE_ESCAPED)) return (size_t)(end - p) == n && !memcmp(p, s, n);
  while (p < end) {
    char c[4];
    size_t used = tape_unescape(&p, c);
    if (n < used || memcmp(c, s, used)) return false;
    s += used;
    n -= used;
  }
  return n == 0;
}

/* The key's characters; scratch is used when it has escapes. NULL: no memory. */
static const char *key_text(struct parser *s, json_id key, struct buf *scratch, size_t *n) {
  const char *text = json_string(s->j, key, scratch, n);
  if (!text) err_nomem(s->err, *n, "a JSON key");
  return text;
}

static int duplicate(struct parser *s, json_id key) {
  const struct tape_node *k = &s->j->nodes[key];
  int n = (int)(k->end - k->start);
  return err_set(s->err, ERR_FORMAT, "byte %u: the key \"%.*s\" occurs twice", k->start - 1,
                 n < 80 ? n : 80, s->j->text + k->start);
}

static int small_keys(struct parser *s, json_id object) {
  struct json *j = s->j;
  json_id keys[TAPE_SMALL];
  size_t count = 0;
  for (json_id k = object + 1; k < j->count; k = j->nodes[k + 1].next) {
    const struct tape_node *a = &j->nodes[k];
    size_t n = a->end - a->start;
    const char *text = j->text + a->start;
    if (a->meta & TAPE_ESCAPED && !(text = key_text(s, k, &s->scratch, &n))) return ERR_NOMEM;
    for (size_t i = 0; i < count; i++)
      if (tape_key_is(j, keys[i], text, n)) return duplicate(s, k);
    keys[count++] = k;
  }
  return 0;
}

static void put_slot(struct tape_slot *slots, uint32_t cap, struct tape_slot slot) {
  uint32_t at = slot.hash & (cap - 1);
  while (slots[at].key) at = (at + 1) & (cap - 1);
  slots[at] = slot;
}

/* Room for `more` further keys at half load. */
static int grow_slots(struct parser *s, uint32_t more) {
  struct json *j = s->j;
  uint64_t want = 2 * ((uint64_t)j->slot_count + more), cap = j->slot_cap ? j->slot_cap : 64;
  while (cap < want) cap *= 2;
  if (cap == j->slot_cap) return 0;
  struct tape_slot *slots = cap <= UINT32_MAX ? mem_zeros((size_t)cap, sizeof *slots) : NULL;
  if (!slots) return err_nomem(s->err, cap * sizeof *slots, "a table of JSON keys");
  for (uint32_t i = 0; i < j->slot_cap; i++)
    if (j->slots[i].key) put_slot(slots, (uint32_t)cap, j->slots[i]);
  mem_free(j->slots);
  j->slots = slots;
  j->slot_cap = (uint32_t)cap;
  return 0;
}

static int many_keys(struct parser *s, json_id object, uint32_t count) {
  struct json *j = s->j;
  int rc = grow_slots(s, count);
  for (json_id k = object + 1; !rc && k < j->count; k = j->nodes[k + 1].next) {
    size_t n;
    const char *text = key_text(s, k, &s->scratch, &n);
    if (!text) return ERR_NOMEM;
    struct tape_slot slot = {object, k, tape_hash(j, object, text, n)};
    uint32_t at = slot.hash & (j->slot_cap - 1);
    for (; j->slots[at].key; at = (at + 1) & (j->slot_cap - 1))
      if (j->slots[at].hash == slot.hash && j->slots[at].owner == object &&
          tape_key_is(j, j->slots[at].key, text, n))
        return duplicate(s, k);
    j->slots[at] = slot;
    j->slot_count++;
  }
  return rc;
}

/* ---- containers ---- */

static int open_container(struct parser *s, enum json_kind kind) {
  if (s->depth == s->max_depth)
    return err_set(s->err, ERR_LIMIT, "byte %zu: nested deeper than %u", (size_t)(s->p - s->start),
                   s->max_depth);
  struct tape_node *n = add_node(s, kind, s->p, s->p);
  if (!n) return ERR_NOMEM;
  n->next = s->open;
  s->open = s->j->count - 1;
  s->depth++;
  s->p++;
  return 0;
}

static int close_container(struct parser *s) {
  struct json *j = s->j;
  json_id id = s->open;
  uint32_t count = j->nodes[id].meta / TAPE_COUNT_ONE;
  int rc = 0;
  s->p++;
  s->open = j->nodes[id].next;
  s->depth--;
  j->nodes[id].end = (uint32_t)(s->p - s->start);
  j->nodes[id].next = j->count;
  if ((j->nodes[id].meta & TAPE_KIND) == JSON_OBJECT && count > 1 && count <= j->max_indexed)
    rc = count <= TAPE_SMALL ? small_keys(s, id) : many_keys(s, id, count);
  return rc;
}

static int count_one(struct parser *s) {
  struct tape_node *n = &s->j->nodes[s->open];
  if (n->meta / TAPE_COUNT_ONE == TAPE_COUNT_MAX)
    return err_set(s->err, ERR_LIMIT, "byte %zu: more than %u elements", (size_t)(s->p - s->start),
                   TAPE_COUNT_MAX);
  n->meta += TAPE_COUNT_ONE;
  return 0;
}

static int parse_key(struct parser *s) {
  skip_space(s);
  if (s->p >= s->end || *s->p != '"') return unexpected(s, "a key in quotes");
  s->p++;
  int rc = parse_string(s, true);
  if (rc) return rc;
  skip_space(s);
  if (s->p >= s->end || *s->p != ':') return unexpected(s, "':' after a key");
  s->p++;
  return count_one(s);
}

static int parse_scalar(struct parser *s) {
  switch (s->p < s->end ? *s->p : 0) {
  case '"':
    s->p++;
    return parse_string(s, false);
  case 't':
    return parse_word(s, "true", 4, JSON_TRUE);
  case 'f':
    return parse_word(s, "false", 5, JSON_FALSE);
  case 'n':
    return parse_word(s, "null", 4, JSON_NULL);
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return parse_number(s);
  default:
    return unexpected(s, "a value");
  }
}

/* Reads one scalar, or opens a container and reads up to its first scalar or its end. */
static int parse_value(struct parser *s) {
  for (;;) {
    int rc;
    skip_space(s);
    char c = s->p < s->end ? *s->p : 0;
    if (c != '{' && c != '[') return parse_scalar(s);
    if ((rc = open_container(s, c == '{' ? JSON_OBJECT : JSON_ARRAY))) return rc;
    skip_space(s);
    if (s->p < s->end && *s->p == (c == '{' ? '}' : ']')) return close_container(s);
    if ((rc = c == '{' ? parse_key(s) : count_one(s))) return rc;
  }
}

/* Between a value and the next: commas and closing brackets. 1: another value follows. */
static int after_value(struct parser *s, bool *more) {
  *more = false;
  while (s->open != JSON_NONE) {
    bool object = (s->j->nodes[s->open].meta & TAPE_KIND) == JSON_OBJECT;
    int rc;
    skip_space(s);
    if (s->p < s->end && *s->p == ',') {
      s->p++;
      *more = true;
      return object ? parse_key(s) : count_one(s);
    }
    if (s->p >= s->end || *s->p != (object ? '}' : ']'))
      return unexpected(s, object ? "',' or '}'" : "',' or ']'");
    if ((rc = close_container(s))) return rc;
  }
  return 0;
}

static int parse_text(struct parser *s) {
  bool more = true;
  while (more) {
    int rc = parse_value(s);
    if (!rc) rc = after_value(s, &more);
    if (rc) return rc;
  }
  skip_space(s);
  return s->p == s->end ? 0 : unexpected(s, "the end of the text");
}

#define KEEP_NODES 4096u /* what a tape that is used again keeps */
#define KEEP_SLOTS 1024u
#define LARGE      (4u << 20)

static int ready_tape(struct json *j, const char *text, size_t n, struct err *err) {
  uint32_t cap = n < 512 ? 16 : n > (1u << 28) ? 1u << 22 : (uint32_t)(n / 32);
  if (n > LARGE && n <= (1u << 28)) cap *= 2; /* many short values, as in vocabularies */
  if (j->slot_cap > KEEP_SLOTS) {
    mem_free(j->slots);
    j->slots = NULL;
    j->slot_cap = j->slot_count = 0;
  }
  if (j->cap < cap || (j->cap > KEEP_NODES && j->cap / 4 > cap)) {
    mem_free(j->nodes);
    j->cap = 0;
    j->nodes = mem_array(cap, sizeof *j->nodes);
    if (!j->nodes) return err_nomem(err, cap * sizeof *j->nodes, "a JSON tape");
    j->cap = cap;
    mem_huge(j->nodes, cap * sizeof *j->nodes);
  }
  if (j->slot_count) memset(j->slots, 0, j->slot_cap * sizeof *j->slots);
  j->slot_count = j->count = 0;
  j->text = text;
  j->size = n;
  j->seed = (uintptr_t)j ^ (uintptr_t)text * 0x9E3779B97F4A7C15u; /* places are not to be guessed */
  return 0;
}

int json_parse_again(struct json **tape, const char *text, size_t n,
                     const struct json_limits *limits, struct err *err) {
  size_t max = limits && limits->max_bytes ? limits->max_bytes : DEFAULT_BYTES;
  unsigned depth = limits && limits->max_depth ? limits->max_depth : DEFAULT_DEPTH;
  struct err local;
  struct parser s = {.start = text, .p = text, .end = text + n, .open = JSON_NONE};
  int rc;
  s.err = err ? err : &local;
  s.max_depth = depth < JSON_DEPTH_MAX ? depth : JSON_DEPTH_MAX;
  if (max >= UINT32_MAX) max = UINT32_MAX - 1;
  if (n > max)
    return err_set(err, ERR_LIMIT, "byte %zu: longer than the limit of %zu bytes", max, max);
  if (!*tape && !(*tape = mem_zero(sizeof **tape)))
    return err_nomem(err, sizeof **tape, "a JSON tape");
  s.j = *tape;
  if ((rc = ready_tape(s.j, text, n, s.err))) return rc;
  size_t indexed = limits ? limits->max_indexed : 0;
  s.j->max_indexed = indexed && indexed < UINT32_MAX ? (uint32_t)indexed : UINT32_MAX;
  buf_init(&s.scratch);
  rc = parse_text(&s);
  buf_clear(&s.scratch);
  return rc;
}

int json_parse(struct json **out, const char *text, size_t n, const struct json_limits *limits,
               struct err *err) {
  *out = NULL;
  int rc = json_parse_again(out, text, n, limits, err);
  if (rc) {
    json_free(*out);
    *out = NULL;
  }
  return rc;
}

size_t json_packed_size(const struct json *j) {
  return sizeof *j + j->count * sizeof *j->nodes +
         (j->slot_count ? j->slot_cap * sizeof *j->slots : 0);
}

struct json *json_pack(void *block, const struct json *j) {
  struct json *copy = block;
  *copy = *j;
  copy->nodes = (struct tape_node *)(copy + 1);
  copy->cap = copy->count;
  memcpy(copy->nodes, j->nodes, j->count * sizeof *j->nodes);
  if (!j->slot_count) copy->slot_cap = 0;
  copy->slots = copy->slot_cap ? (struct tape_slot *)(copy->nodes + copy->count) : NULL;
  if (copy->slots) memcpy(copy->slots, j->slots, j->slot_cap * sizeof *j->slots);
  return copy;
}

void json_free(struct json *j) {
  if (!j) return;
  mem_free(j->nodes);
  mem_free(j->slots);
  mem_free(j);
}
