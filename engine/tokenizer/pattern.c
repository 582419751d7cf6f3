/* SPDX-License-Identifier: MIT */
/* Regular expressions as the reference reads them.
 *
 * syntax.c leaves a pattern over sets of characters. Two characters that are in the same sets are
 * the same to the pattern, so all characters fall into a few kinds (GPT-2's pattern: 19), and the
 * pattern that PCRE2 gets is one over kinds. A text is searched as the string of its characters'
 * kinds, one byte for each:
 *
 *   \p{L}+|\p{N}    "año 7"  →   kinds 1 1 1 0 2   →   [\x01]+|[\x02]   →   characters 0–3, 4
 *
 * So what a class holds is ours to the last character and does not depend on a library's tables;
 * classes are bitmaps, fast for every script; and nothing can be malformed: a byte that is not UTF-8
 * has the kind of CHARSET_BAD. Where a pattern needs more than 256 kinds they are written as UTF-8.
 *
 * struct matches walks through one text, as the reference does, including what it makes of empty
 * matches: one that lies where the match before it ended is passed over.
 *
 * Patterns are compiled to machine code where PCRE2 can. A search that would backtrack too long ends
 * with ERR_LIMIT; the reference has such a limit as well, and panics.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"
#include "tokenizer/syntax.h"

#include <pcre2.h>
#include <string.h>

#define MATCH_LIMIT   10000000u
#define HEAP_LIMIT_KB (256u << 10)

enum { BLOCK = 256, BLOCKS = 0x110000 / BLOCK };

struct pattern {
  struct buf literal; /* of pattern_literal; then there is no code */
  pcre2_code *code;
  pcre2_match_context *limits;
  bool jit;              /* it is machine code */
  bool wide;             /* kinds are written as UTF-8 */
  uint32_t bad;          /* the kind of a malformed byte */
  uint16_t *kinds;       /* blocks of 256 */
  uint32_t *block;       /* per 256 characters: where its block begins */
  uint16_t of_byte[128]; /* kinds of ASCII */
};

/* ---- memory ---- */

static void *regex_alloc(size_t n, void *unused) {
  (void)unused;
  return mem_alloc(n);
}

static void regex_free(void *p, void *unused) {
  (void)unused;
  mem_free(p);
}

/* ---- kinds ---- */

/* While kinds are being found: the characters in pieces that no set divides. */
struct division {
  uint32_t *at, *kind; /* first characters, ending with CHARSET_END; their kinds */
  size_t count, kinds;
};

static void division_clear(struct division *d) {
  mem_free(d->at);
  mem_free(d->kind);
}

/* All places where some set changes. */
static int divide(struct division *d, const struct syntax *x, struct err *err) {
  size_t total = 3, used = 0;
  for (size_t i = 0; i < x->count; i++) total += x->sets[i].count;
  uint32_t *bits = mem_zeros(CHARSET_END / 32 + 1, sizeof *bits);
  d->at = mem_array(total, sizeof *d->at);
  d->kind = mem_zeros(total, sizeof *d->kind);
  if (!d->at || !d->kind || !bits) {
    mem_free(bits);
    return err_nomem(err, total * sizeof *d->at, "the characters of a pattern");
  }
  bits[0] = 1;
  bits[CHARSET_BAD / 32] |= 1u << CHARSET_BAD % 32;
  bits[CHARSET_END / 32] |= 1u << CHARSET_END % 32;
  for (size_t i = 0; i < x->count; i++)
    for (size_t k = 0; k < x->sets[i].count; k++)
      bits[x->sets[i].at[k] / 32] |= 1u << x->sets[i].at[k] % 32;
  for (uint32_t w = 0; w <= CHARSET_END / 32; w++)
    for (uint32_t left = bits[w]; left; left &= left - 1)
      d->at[used++] = w * 32 + (uint32_t)__builtin_ctz(left);
  d->count = used - 1;
  d->kinds = 1;
  mem_free(bits);
  return 0;
}

/* Each kind that a set divides becomes two. */
static int refine(struct division *d, const struct charset *set, uint32_t *in, uint32_t *count,
                  struct err *err) {
  size_t before = d->kinds, k = 0;
  memset(in, 0, before * sizeof *in);
  memset(count, 0, before * sizeof *count); /* pieces outside */
  for (size_t pass = 0; pass < 2; pass++) {
    k = 0;
    for (size_t i = 0; i < d->count; i++) {
      while (k < set->count && set->at[k] <= d->at[i]) k++;
      uint32_t kind = d->kind[i];
      if (!pass) {
        if (!(k & 1)) count[kind]++;
      } else if (k & 1 && kind < before && count[kind]) {
        if (!in[kind]) in[kind] = (uint32_t)d->kinds++;
        d->kind[i] = in[kind];
      }
    }
  }
  if (d->kinds > 0xD000)
    return err_set(err, ERR_LIMIT, "regular expression: too many kinds of characters");
  return 0;
}

static int find_kinds(struct division *d, const struct syntax *x, struct err *err) {
  int rc = divide(d, x, err);
  if (rc) return rc;
  uint32_t *scratch = mem_array(d->count, 2 * sizeof *scratch);
  if (!scratch) return err_nomem(err, d->count * 8, "the characters of a pattern");
  for (size_t i = 0; !rc && i < x->count; i++)
    rc = refine(d, &x->sets[i], scratch, scratch + d->count, err);
  mem_free(scratch);
  return rc;
}

/* The table from characters to kinds: a block of one kind is shared. */
static int make_table(struct pattern *p, const struct division *d, struct err *err) {
  size_t used = 0, piece = 0, mixed = 0;
  for (uint32_t b = 0; b < BLOCKS; b++) {
    while (d->at[piece + 1] <= b * BLOCK) piece++;
    mixed += d->at[piece + 1] < (b + 1) * BLOCK;
  }
  uint32_t *shared = mem_zeros(d->kinds, sizeof *shared); /* 1 + where its block begins */
  size_t most = (mixed + d->kinds) * BLOCK;
  if (most > UINT32_MAX) most = UINT32_MAX;
  p->block = mem_array(BLOCKS, sizeof *p->block);
  p->kinds = mem_array(most, sizeof *p->kinds);
  if (!shared || !p->block || !p->kinds) {
    mem_free(shared);
    return err_nomem(err, most * sizeof *p->kinds, "the characters of a pattern");
  }
  piece = 0;
  for (uint32_t b = 0; b < BLOCKS; b++) {
    while (d->at[piece + 1] <= b * BLOCK) piece++;
    uint32_t kind = d->kind[piece];
    bool whole = d->at[piece + 1] >= (b + 1) * BLOCK;
    if (whole && shared[kind]) {
      p->block[b] = shared[kind] - 1;
      continue;
    }
    p->block[b] = (uint32_t)used;
    if (whole) shared[kind] = (uint32_t)used + 1;
    for (uint32_t c = b * BLOCK, at = (uint32_t)piece; c < (b + 1) * BLOCK; c++) {
      while (d->at[at + 1] <= c) at++;
      p->kinds[used++] = (uint16_t)d->kind[at];
    }
  }
  mem_free(shared);
  for (uint32_t c = 0; c < 128; c++) p->of_byte[c] = p->kinds[p->block[0] + c];
  p->bad = d->kind[d->count - 1];
  return 0;
}

static uint32_t kind_of(const struct pattern *p, uint32_t c) {
  return p->kinds[p->block[c / BLOCK] + c % BLOCK];
}

/* ---- the pattern over kinds ---- */

/* The kinds of a set, as PCRE2 writes a class. */
static void put_kinds(struct buf *out, const struct division *d, const struct charset *set,
                      uint8_t *has) {
  size_t k = 0, members = 0;
  memset(has, 0, d->kinds);
  for (size_t i = 0; i < d->count; i++) {
    while (k < set->count && set->at[k] <= d->at[i]) k++;
    if (k & 1 && !has[d->kind[i]]) has[d->kind[i]] = 1, members++;
  }
  if (!members) {
    buf_adds(out, "(?:(?!))");
    return;
  }
  if (members > 1) buf_addc(out, '[');
  for (size_t i = 0, last; i < d->kinds; i = last + 1) {
    last = i;
    if (!has[i]) continue;
    while (last + 1 < d->kinds && has[last + 1]) last++;
    buf_addf(out, "\\x{%zx}", i);
    if (last > i) buf_addf(out, "-\\x{%zx}", last);
  }
  if (members > 1) buf_addc(out, ']');
}

static int put_pattern(struct buf *out, const struct syntax *x, const struct division *d,
                       struct err *err) {
  uint8_t *has = mem_alloc(d->kinds);
  size_t *at = mem_array(x->count + 1, sizeof *at); /* where each set's text begins */
  struct buf sets;
  buf_init(&sets);
  int rc = has && at ? 0 : err_nomem(err, d->kinds, "the characters of a pattern");
  for (size_t i = 0; !rc && i < x->count; i++) {
    at[i] = sets.len;
    put_kinds(&sets, d, &x->sets[i], has);
  }
  if (!rc) at[x->count] = sets.len;
  if (!rc) rc = buf_check(&sets, "a regular expression", err);
  for (size_t i = 0; !rc && i < x->text.len; i++) {
    uint32_t set;
    if (x->text.data[i] != SYNTAX_SET) {
      buf_addc(out, x->text.data[i]);
      continue;
    }
    memcpy(&set, x->text.data + i + 1, sizeof set);
    buf_add(out, sets.data + at[set], at[set + 1] - at[set]);
    i += sizeof set;
  }
  if (!rc) rc = buf_check(out, "a regular expression", err);
  mem_free(has);
  mem_free(at);
  buf_clear(&sets);
  return rc;
}

static int compile(struct pattern *p, const struct buf *text, const struct syntax *x,
                   struct err *err) {
  int code, rc = 0;
  PCRE2_SIZE at;
  pcre2_compile_context *context = NULL;
  pcre2_general_context *memory = pcre2_general_context_create(regex_alloc, regex_free, NULL);
  if (memory) context = pcre2_compile_context_create(memory);
  if (memory) p->limits = pcre2_match_context_create(memory);
  if (!context || !p->limits) {
    rc = err_nomem(err, 1024, "a regular expression");
    goto done;
  }
  pcre2_set_match_limit(p->limits, MATCH_LIMIT);
  pcre2_set_heap_limit(p->limits, HEAP_LIMIT_KB);
  /* 10.42 makes \d+(?:kk)?+\d possessive in the wrong place. */
  uint32_t options =
      PCRE2_NO_UTF_CHECK | (p->wide ? PCRE2_UTF : 0) | (x->atomic ? PCRE2_NO_AUTO_POSSESS : 0);
  p->code = pcre2_compile((PCRE2_SPTR)(text->data ? text->data : ""), text->len, options, &code,
                          &at, context);
  if (!p->code) {
    char why[128] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
    if (code == PCRE2_ERROR_HEAP_FAILED)
      rc = err_nomem(err, text->len, "a regular expression");
    else if (code == PCRE2_ERROR_LOOKBEHIND_NOT_FIXED_LENGTH)
      rc = err_set(err, ERR_UNSUPPORTED,
                   "regular expression: look-behind of more than one length is not supported");
    else
      rc = err_set(err, ERR_LIMIT, "regular expression: %s", why);
    goto done;
  }
  /* The machine code of 10.42 goes wrong at (?>a*?.??b+|)c, so what is lazy is interpreted. */
  p->jit = !x->lazy && !pcre2_jit_compile(p->code, PCRE2_JIT_COMPLETE);
done:
  pcre2_compile_context_free(context);
  pcre2_general_context_free(memory);
  return rc;
}

int pattern_new(struct pattern **out, const char *regex, size_t n, struct err *err) {
  struct syntax x;
  struct division d = {0};
  struct buf text;
  buf_init(&text);
  *out = mem_zero(sizeof **out);
  int rc = syntax_parse(&x, regex, n, err);
  if (!rc && !*out) rc = err_nomem(err, sizeof **out, "a regular expression");
  if (!rc) rc = find_kinds(&d, &x, err);
  if (!rc) rc = make_table(*out, &d, err);
  if (!rc) rc = put_pattern(&text, &x, &d, err);
  if (!rc) {
    (*out)->wide = d.kinds > 256;
    rc = compile(*out, &text, &x, err);
  }
  if (rc) {
    pattern_free(*out);
    *out = NULL;
  }
  buf_clear(&text);
  division_clear(&d);
  syntax_clear(&x);
  return rc;
}

int pattern_literal(struct pattern **out, const char *string, size_t n, struct err *err) {
  *out = mem_zero(sizeof **out);
  if (!*out) return err_nomem(err, sizeof **out, "a pattern");
  buf_add(&(*out)->literal, string, n);
  int rc = buf_check(&(*out)->literal, "a pattern", err);
  if (rc) {
    pattern_free(*out);
    *out = NULL;
  }
  return rc;
}

void pattern_free(struct pattern *p) {
  if (!p) return;
  pcre2_code_free(p->code);
  pcre2_match_context_free(p->limits);
  buf_clear(&p->literal);
  mem_free(p->kinds);
  mem_free(p->block);
  mem_free(p);
}

/* ---- searching ---- */

void matches_clear(struct matches *m) {
  pcre2_match_data_free(m->data);
  buf_clear(&m->kinds);
  *m = (struct matches){0};
}

/* The kinds of the text; bytes of a text in ASCII are their own positions. */
static int translate(struct matches *m, struct err *err) {
  const struct pattern *p = m->p;
  size_t at = 0;
  m->plain = !p->wide;
  while (at < m->n && !((unsigned char)m->s[at] & 0x80)) at++;
  m->plain = m->plain && at == m->n;
  if (buf_reserve(&m->kinds, p->wide ? m->n * 3 : m->n)) return err_nomem(err, m->n, "a text");
  char *to = m->kinds.data;
  for (at = 0; at < m->n;) {
    unsigned char b = (unsigned char)m->s[at];
    size_t used = 1;
    uint32_t kind = p->bad;
    if (b < 0x80) {
      kind = p->of_byte[b];
    } else {
      uint32_t c = utf8_decode(m->s + at, m->n - at, &used);
      if (c == UTF8_BAD)
        used = 1;
      else
        kind = kind_of(p, c);
    }
    at += used;
    if (p->wide)
      to += utf8_encode(kind, to);
    else
      *to++ = (char)kind;
  }
  m->kinds.len = (size_t)(to - m->kinds.data);
  return 0;
}

int matches_begin(struct matches *m, const struct pattern *p, const char *s, size_t n,
                  struct err *err) {
  m->p = p;
  m->s = s;
  m->n = n;
  m->at = m->kind_at = m->byte_at = 0;
  m->last = SIZE_MAX;
  m->over = false;
  buf_reset(&m->kinds);
  if (!p->code) return 0;
  if (!m->data && !(m->data = pcre2_match_data_create_from_pattern(p->code, NULL)))
    return err_nomem(err, 128, "a search");
  return n ? translate(m, err) : 0;
}

/* The byte of the text where the kind at `at` stands; never asked backwards. */
static size_t byte_of(struct matches *m, size_t at) {
  if (m->plain || !m->n) return at;
  while (m->kind_at < at) {
    size_t used = 1;
    unsigned char b = (unsigned char)m->s[m->byte_at];
    if (b >= 0x80 && utf8_decode(m->s + m->byte_at, m->n - m->byte_at, &used) == UTF8_BAD) used = 1;
    m->byte_at += used;
    m->kind_at++;
    if (m->p->wide)
      while (m->kind_at < m->kinds.len && (m->kinds.data[m->kind_at] & 0xC0) == 0x80) m->kind_at++;
  }
  return m->byte_at;
}

static int search_failed(int code, struct err *err) {
  if (code == PCRE2_ERROR_NOMEMORY) return err_nomem(err, HEAP_LIMIT_KB, "a search");
  if (code == PCRE2_ERROR_MATCHLIMIT || code == PCRE2_ERROR_DEPTHLIMIT ||
      code == PCRE2_ERROR_HEAPLIMIT || code == PCRE2_ERROR_JIT_STACKLIMIT)
    return err_set(err, ERR_LIMIT, "regular expression: the search backtracks too long");
  char why[128] = "";
  pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
  return err_set(err, ERR_LIMIT, "regular expression: %s", why);
}

/* In kinds, or in bytes for a literal. */
static int search(struct matches *m, bool *found, size_t *from, size_t *to, struct err *err) {
  if (!m->p->code) {
    const struct buf *what = &m->p->literal;
    const char *hit =
        what->len ? memmem(m->s + m->at, m->n - m->at, what->data, what->len) : m->s + m->at;
    *found = hit != NULL;
    if (!hit) return 0;
    *from = (size_t)(hit - m->s);
    *to = *from + what->len;
    return 0;
  }
  PCRE2_SPTR text = (PCRE2_SPTR)(m->kinds.data ? m->kinds.data : "");
  int code = PCRE2_ERROR_JIT_STACKLIMIT;
  if (m->p->jit)
    code = pcre2_jit_match(m->p->code, text, m->kinds.len, m->at, 0, m->data, m->p->limits);
  if (code == PCRE2_ERROR_JIT_STACKLIMIT) /* too deep for it: the interpreter's memory is its own */
    code = pcre2_match(m->p->code, text, m->kinds.len, m->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                       m->data, m->p->limits);
  *found = code >= 0;
  if (code == PCRE2_ERROR_NOMATCH) return 0;
  if (code < 0) return search_failed(code, err);
  const PCRE2_SIZE *where = pcre2_get_ovector_pointer(m->data);
  *from = where[0];
  *to = where[1];
  return 0;
}

int matches_next(struct matches *m, bool *found, size_t *from, size_t *to, struct err *err) {
  size_t end = m->p->code ? m->kinds.len : m->n;
  const char *units = m->p->code ? m->kinds.data : m->s;
  bool again = true;
  while (again) {
    *found = false;
    if (m->over) return 0;
    int rc = search(m, found, from, to, err);
    if (rc || !*found) return rc;
    again = *from == *to && *from == m->last; /* an empty one where the last match ended */
    m->last = *to;
    m->at = *to;
    if (*from != *to) break;
    m->over = m->at >= end;
    if (!m->over) m->at++;
    if (!m->p->code || m->p->wide)
      while (m->at < end && (units[m->at] & 0xC0) == 0x80) m->at++;
  }
  if (m->p->code) {
    *from = byte_of(m, *from);
    *to = byte_of(m, *to);
  }
  return 0;
}

int pattern_find(const struct pattern *p, const char *s, size_t n, size_t at, bool *found,
                 size_t *from, size_t *to, struct err *err) {
  struct matches m = {0};
  *found = false;
  int rc = matches_begin(&m, p, s, n, err);
  if (!rc && p->code) {
    while (byte_of(&m, m.at) < at && m.at < m.kinds.len) m.at++;
    if (m.plain) m.at = at;
  } else {
    m.at = at;
  }
  if (!rc) rc = search(&m, found, from, to, err);
  if (!rc && *found && p->code) {
    *from = byte_of(&m, *from);
    *to = byte_of(&m, *to);
  }
  matches_clear(&m);
  return rc;
}
