/* SPDX-License-Identifier: MIT */
/* Text cleaning; see clean.h for the rules and the run map.
 *
 * Passes, each from one buffer to the next, each with a map of its own; maps are composed:
 *
 *   mojibake     mojibake.c; only where a pair of bytes that it begins with occurs
 *   characters   one table look-up a byte; only the lead bytes that can begin something of interest
 *                are decoded
 *   form C       only where a character above U+02FF that is not a plain base letter occurs: from
 *                the base letter before it to the next plain one (a "cluster")
 *   lines        trailing and inner blanks, hyphens, blank lines, the ends
 *   pii          pii.c
 *   case         small letters
 *   boilerplate  boilerplate.c: lines with a known phrase, repeated lines
 *
 * A pass that finds nothing to do still copies: the copy is the cheap part.
 *
 * Limits. A cluster longer than CLUSTER_SOFT characters is cut before a starter, one longer than
 * CLUSTER_HARD anywhere: the canonical ordering of marks is quadratic, and a million accents on
 * one letter are an attack, not a language.
 */
#include "text/clean.h"
#include "text/clean_pass.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#define CLUSTER_SOFT 64
#define CLUSTER_HARD 256
#define EXPANSION    18 /* most characters one character decomposes into */
#define POLL_BYTES   ((size_t)1 << 20)

void clean_defaults(struct clean_options *o) {
  *o = (struct clean_options){.line_ends = true,
                              .control = true,
                              .zero_width = true,
                              .ligatures = true,
                              .nfc = true,
                              .spaces = true,
                              .trailing = true,
                              .trim = true,
                              .mojibake = true,
                              .blank_lines = 2};
}

const char *const clean_rule_names[CLEAN_RULES] = {
    "malformed",      "mojibake",   "line_ends",   "control",    "zero_width",
    "bidi",           "ligatures",  "nfc",         "spaces",     "trailing",
    "dehyphenate",    "trim",       "blank_lines", "case",       "boilerplate",
    "repeated_lines", "email",      "phone",       "ip",         "card",
    "iban",           "key_aws",    "key_github",  "key_openai", "key_anthropic",
    "key_slack",      "key_google", "key_stripe",  "key_gitlab", "key_huggingface",
    "private_key",    "jwt",        "key_other"};

/* ---- run maps ---- */

void run_map_clear(struct run_map *m) {
  mem_free(m->v);
  *m = (struct run_map){0};
}

int run_map_add(struct run_map *m, size_t out, size_t in, size_t len, struct err *err) {
  if (!len) return 0;
  if (m->n) {
    struct run *last = &m->v[m->n - 1];
    if (last->out + last->len == out && last->in + last->len == in) return last->len += len, 0;
  }
  if (m->n == m->cap) {
    size_t cap = m->cap ? m->cap * 2 : 16;
    struct run *v = mem_rearray(m->v, cap, sizeof *v);
    if (!v) return err_nomem(err, cap * sizeof *v, "a run map");
    m->v = v;
    m->cap = cap;
  }
  m->v[m->n++] = (struct run){out, in, len};
  return 0;
}

/* How many runs begin at or before `out` (or, if strict, before it). */
static size_t runs_before(const struct run_map *m, size_t out, bool strict) {
  size_t low = 0, high = m->n;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (strict ? m->v[mid].out < out : m->v[mid].out <= out)
      low = mid + 1;
    else
      high = mid;
  }
  return low;
}

size_t run_map_start(const struct run_map *m, size_t out) {
  size_t k = runs_before(m, out, false);
  if (!k) return 0;
  const struct run *r = &m->v[k - 1];
  return r->in + (out - r->out < r->len ? out - r->out : r->len);
}

size_t run_map_end(const struct run_map *m, size_t out) {
  if (!out) return 0;
  size_t k = runs_before(m, out, true);
  if (k && out - m->v[k - 1].out <= m->v[k - 1].len)
    return m->v[k - 1].in + (out - m->v[k - 1].out);
  return k < m->n ? m->v[k].in : m->in_size;
}

size_t run_map_output(const struct run_map *m, size_t in) {
  size_t low = 0, high = m->n;
  while (low < high) { /* the first run that ends behind `in` */
    size_t mid = low + (high - low) / 2;
    if (m->v[mid].in + m->v[mid].len <= in)
      low = mid + 1;
    else
      high = mid;
  }
  if (low == m->n) return m->out_size;
  const struct run *r = &m->v[low];
  return in > r->in ? r->out + (in - r->in) : r->out;
}

int run_map_compose(const struct run_map *outer, const struct run_map *inner, struct run_map *to,
                    struct err *err) {
  size_t k = 0;
  for (size_t i = 0; i < outer->n; i++) {
    const struct run *o = &outer->v[i];
    size_t from = o->in, end = o->in + o->len;
    while (k < inner->n && inner->v[k].out + inner->v[k].len <= from) k++;
    for (size_t j = k; j < inner->n && inner->v[j].out < end; j++) {
      const struct run *r = &inner->v[j];
      size_t a = r->out > from ? r->out : from;
      size_t b = r->out + r->len < end ? r->out + r->len : end;
      int rc = run_map_add(to, o->out + (a - from), r->in + (a - r->out), b - a, err);
      if (rc) return rc;
    }
  }
  to->out_size = outer->out_size;
  to->in_size = inner->in_size;
  return 0;
}

void run_map_write(const struct run_map *m, struct buf *out) {
  buf_addc(out, '[');
  for (size_t i = 0; i < m->n; i++)
    buf_addf(out, "%s[%zu,%zu,%zu]", i ? "," : "", m->v[i].out, m->v[i].in, m->v[i].len);
  buf_addc(out, ']');
}

/* ---- characters ---- */

enum action { KEEP, REMOVE, NEWLINE, BLANK, LIGATURE };

static enum action line_end_action(uint32_t c, const struct clean_options *o) {
  if (!o->line_ends) return c == 0x0b || c == 0x0c || c == 0x85 ? REMOVE : KEEP;
  return NEWLINE;
}

static enum action action_of(uint32_t c, const struct clean_options *o) {
  if (c == '\n' || c == '\t') return KEEP;
  if ((c >= 0x0b && c <= 0x0d) || c == 0x85 || c == 0x2028 || c == 0x2029) {
    enum action a = line_end_action(c, o);
    return a == REMOVE && !o->control ? KEEP : a;
  }
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return o->control ? REMOVE : KEEP;
  if ((c & 0xfffe) == 0xfffe || (c >= 0xfdd0 && c <= 0xfdef)) return o->control ? REMOVE : KEEP;
  if (c == 0xad || c == 0x200b || c == 0x2060 || c == 0xfeff) return o->zero_width ? REMOVE : KEEP;
  if (c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
    return o->bidi ? REMOVE : KEEP;
  if (c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x202f || c == 0x205f)
    return o->spaces ? BLANK : KEEP;
  if (c >= 0xfb00 && c <= 0xfb06) return o->ligatures ? LIGATURE : KEEP;
  return KEEP;
}

static enum clean_rule rule_of(uint32_t c, enum action a) {
  if (a != REMOVE)
    return a == NEWLINE ? CLEAN_LINE_ENDS : a == BLANK ? CLEAN_SPACES : CLEAN_LIGATURES;
  if (c == 0xad || c == 0x200b || c == 0x2060 || c == 0xfeff) return CLEAN_ZERO_WIDTH;
  return c >= 0x200e && c <= 0x2069 ? CLEAN_BIDI : CLEAN_CONTROL;
}

/* Bytes at which something may have to be done: the controls, and the lead bytes of U+0080–BF,
 * U+1680, U+2000–206F, U+F000 and above. */
static bool of_interest(unsigned char b) {
  return (b < 0x20 && b != '\n' && b != '\t') || b == 0x7f || b == 0xc2 || b == 0xe1 || b == 0xe2 ||
         b >= 0xef;
}

/* A soft hyphen behind which the line ends and the next one begins with a small letter is left for
 * the pass over lines, which joins the two. i is behind the hyphen. */
static bool at_line_end(const char *s, size_t n, size_t i) {
  size_t used;
  while (i < n && (s[i] == ' ' || s[i] == '\t')) i++;
  if (i < n && s[i] == '\r') i++;
  if (i < n && s[i] == '\n')
    i++;
  else if (!i || s[i - 1] != '\r')
    return false;
  while (i < n && (s[i] == ' ' || s[i] == '\t')) i++;
  if (i >= n) return false;
  uint32_t c = utf8_decode(s + i, n - i, &used);
  return c != UTF8_BAD && utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_LL;
}

static const char *ligature(uint32_t c) {
  static const char *const letters[] = {"ff", "fi", "fl", "ffi", "ffl", "st", "st"};
  return letters[c - 0xfb00];
}

/* How many bytes at s, of n, are surely plain: eight at a time, each from 0x20 to 0x7E. */
static size_t plain_bytes(const char *s, size_t n) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  size_t i = 0;
  for (uint64_t w; n - i >= 8; i += 8) {
    memcpy(&w, s + i, 8);
    if ((w | (w + ones) | (w - 0x20 * ones)) & tops) break;
  }
  return i;
}

static void characters(struct pass *p, const struct clean_options *o) {
  const char *s = p->in;
  size_t n = p->n, from = 0, used, polled = 0;
  bool interest[256];
  for (int b = 0; b < 256; b++) interest[b] = of_interest((unsigned char)b);
  size_t bad = utf8_check(s, n);
  for (size_t i = 0; i < n && !p->rc;) {
    if (i - polled > POLL_BYTES) {
      p->rc = cancel_check(p->err);
      polled = i;
    }
    i += plain_bytes(s + i, n - i);
    if (i == n) break;
    if (i < bad && !interest[(unsigned char)s[i]]) {
      i++;
      continue;
    }
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (c == UTF8_BAD) {
      p->counts->v[CLEAN_MALFORMED]++;
      pass_keep(p, from, i);
      buf_adds(&p->out, "\xef\xbf\xbd");
      from = i += used;
      bad = i + utf8_check(s + i, n - i);
      continue;
    }
    enum action a = action_of(c, o);
    if (c == 0xad && o->dehyphenate && at_line_end(s, n, i + used)) a = KEEP;
    if (a != KEEP) {
      p->counts->v[rule_of(c, a)]++;
      pass_keep(p, from, i);
      if (a == BLANK) buf_addc(&p->out, ' ');
      if (a == LIGATURE) buf_adds(&p->out, ligature(c));
      from = i + used;
      if (a == NEWLINE && !(c == '\r' && i + 1 < n && s[i + 1] == '\n')) buf_addc(&p->out, '\n');
    }
    i += used;
  }
  pass_keep(p, from, n);
}

/* ---- form C ---- */

/* Base letters and signs that are in form C themselves and never join the character before them;
 * not all such characters, but those that make up nearly all text. */
static bool plain(uint32_t c) {
  if (c < 0x300) return true;
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0xac00 && c <= 0xd7a3) ||
         (c >= 0x3041 && c <= 0x3096) || (c >= 0x30a1 && c <= 0x30fa) ||
         (c >= 0x3001 && c <= 0x3029) || (c >= 0x388 && c <= 0x482 && c != 0x38b && c != 0x38d) ||
         (c >= 0x48a && c <= 0x556) || (c >= 0x5d0 && c <= 0x5ea) || (c >= 0x621 && c <= 0x64a) ||
         (c >= 0x905 && c <= 0x928) || (c >= 0xe01 && c <= 0xe30) || (c >= 0x2010 && c <= 0x2027) ||
         (c >= 0xff01 && c <= 0xff60) || (c >= 0x1f300 && c <= 0x1f9ff);
}

/* May a cluster be cut before c? A starter, and not one that Hangul or Indic composition joins. */
static bool may_cut(uint32_t c) {
  const utf8proc_property_t *q = utf8proc_get_property((utf8proc_int32_t)c);
  return q->combining_class == 0 && q->category != UTF8PROC_CATEGORY_MC &&
         q->category != UTF8PROC_CATEGORY_MN && !(c >= 0x1100 && c <= 0x11ff);
}

/* Puts in form C of one cluster; keeps it when it is in form C already. */
static void compose_cluster(struct pass *p, size_t from, size_t to) {
  utf8proc_int32_t c[CLUSTER_HARD * EXPANSION];
  char bytes[CLUSTER_HARD * EXPANSION * 4];
  const utf8proc_option_t how = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
  utf8proc_ssize_t count =
      utf8proc_decompose((const utf8proc_uint8_t *)p->in + from, (utf8proc_ssize_t)(to - from), c,
                         sizeof c / sizeof *c, how);
  if (count > 0 && (size_t)count <= sizeof c / sizeof *c)
    count = utf8proc_normalize_utf32(c, count, how);
  else
    count = -1;
  size_t n = 0;
  for (utf8proc_ssize_t i = 0; i < count; i++) n += utf8_encode((uint32_t)c[i], bytes + n);
  if (count < 0 || (n == to - from && !memcmp(bytes, p->in + from, n)))
    pass_keep(p, from, to);
  else
    p->counts->v[CLEAN_NFC]++, buf_add(&p->out, bytes, n);
}

static size_t ascii_bytes(const char *s, size_t n) {
  size_t i = 0;
  for (uint64_t w; n - i >= 8; i += 8)
    if (memcpy(&w, s + i, 8), w & 0x8080808080808080u) break;
  return i;
}

/* Is there any cluster to look at? Most texts have none, and then need no second copy. */
static bool has_clusters(const char *s, size_t n) {
  for (size_t i = 0, used; i < n; i += used) {
    used = ascii_bytes(s + i, n - i);
    if (used) continue;
    used = (unsigned char)s[i] < 0x80 ? 1 : 2;
    if ((unsigned char)s[i] >= 0xcc && !plain(utf8_decode(s + i, n - i, &used))) return true;
  }
  return false;
}

static void compose(struct pass *p, const struct clean_options *o) {
  (void)o;
  const char *s = p->in;
  size_t n = p->n, from = 0, i = 0, base = 0, used, polled = 0;
  while (i < n && !p->rc) {
    size_t ascii = ascii_bytes(s + i, n - i);
    if (ascii) {
      i += ascii;
      base = i - 1;
      continue;
    }
    if ((unsigned char)s[i] < 0xcc) { /* below U+0300: plain */
      base = i;
      i += (unsigned char)s[i] < 0x80 ? 1 : 2;
      continue;
    }
    if (i - polled > POLL_BYTES) {
      p->rc = cancel_check(p->err);
      polled = i;
    }
    uint32_t c = utf8_decode(s + i, n - i, &used);
    if (plain(c)) {
      base = i;
      i += used;
      continue;
    }
    size_t length = 2; /* the base letter and c */
    i += used;
    while (i < n) {
      c = utf8_decode(s + i, n - i, &used);
      if (plain(c) || length >= CLUSTER_HARD - 1 || (length >= CLUSTER_SOFT && may_cut(c))) break;
      i += used;
      length++;
    }
    pass_keep(p, from, base);
    compose_cluster(p, base, i);
    from = base = i;
  }
  pass_keep(p, from, n);
}

/* ---- lines ---- */

static bool blank(char c) {
  return c == ' ' || c == '\t';
}

/* Is the character that ends before `at` (or begins at it) a letter; a small letter? */
static uint32_t before(const char *s, size_t at) {
  size_t i = at, used;
  if (!at) return 0;
  do i--;
  while (i && ((unsigned char)s[i] & 0xc0) == 0x80);
  return utf8_decode(s + i, at - i, &used);
}

static bool letter(uint32_t c) {
  if (!c || c == UTF8_BAD) return false;
  utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);
  return k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO;
}

/* The length of a hyphen that ends at `end`: "-", U+2010, U+00AD; 0 for none. */
static size_t hyphen(const char *s, size_t start, size_t end) {
  if (end > start && s[end - 1] == '-') return 1;
  if (end - start >= 3 && !memcmp(s + end - 3, "\xe2\x80\x90", 3)) return 3;
  if (end - start >= 2 && !memcmp(s + end - 2, "\xc2\xad", 2)) return 2;
  return 0;
}

/* The line [start, end) ends in a cut word whose rest begins the next line: sets *cut to where the
 * hyphen begins, and returns where the rest begins; or 0. */
static size_t joined(const char *s, size_t n, size_t start, size_t end, size_t *cut) {
  size_t h = hyphen(s, start, end), used;
  if (!h || end >= n || !letter(before(s, end - h))) return 0;
  size_t next = end;
  while (next < n && blank(s[next])) next++;
  if (next >= n || s[next] != '\n') return 0;
  next++;
  while (next < n && blank(s[next])) next++;
  if (next >= n) return 0;
  uint32_t c = utf8_decode(s + next, n - next, &used);
  if (c == UTF8_BAD || utf8proc_category((utf8proc_int32_t)c) != UTF8PROC_CATEGORY_LL) return 0;
  *cut = end - h;
  return next;
}

/* Keeps [from, to) with each inner run of blanks (a tab, or two and more) as one space. */
static void squeeze(struct pass *p, size_t from, size_t to, bool inside) {
  const char *s = p->in;
  size_t i = from, begin = from;
  if (!inside)
    while (i < to && blank(s[i])) i++;
  while (i < to) {
    while (i < to && !blank(s[i])) i++;
    if (i == to) break;
    size_t stop = i;
    while (stop < to && blank(s[stop])) stop++;
    if (s[i] == '\t' || stop > i + 1) {
      p->counts->v[CLEAN_SPACES]++;
      pass_keep(p, begin, i);
      if (s[i] == ' ')
        pass_keep(p, i, i + 1);
      else
        buf_addc(&p->out, ' ');
      begin = stop;
    }
    i = stop;
  }
  pass_keep(p, begin, to);
}

static size_t line_end(const char *s, size_t n, size_t at) {
  const char *e = memchr(s + at, '\n', n - at);
  return e ? (size_t)(e - s) : n;
}

static void lines(struct pass *p, const struct clean_options *o) {
  const char *s = p->in;
  size_t n = p->n, at = 0, polled = 0;
  int blanks = 0;
  bool inside = false; /* behind a joined hyphen: no indentation here */
  if (o->trim) {
    while (n && (blank(s[n - 1]) || s[n - 1] == '\n')) n--;
    for (size_t i = 0; i < n && (blank(s[i]) || s[i] == '\n'); i++)
      if (s[i] == '\n') at = i + 1;
    p->counts->v[CLEAN_TRIM] += (n < p->n) + (at > 0);
  }
  while (at < n && !p->rc) {
    if (at - polled > POLL_BYTES) {
      p->rc = cancel_check(p->err);
      polled = at;
    }
    size_t end = line_end(s, n, at), text = end, cut = 0, rest = 0;
    while (text > at && blank(s[text - 1])) text--;
    if (text == at && !inside) {
      if (o->blank_lines >= 0 && ++blanks > o->blank_lines) {
        p->counts->v[CLEAN_BLANK_LINES]++;
        at = end + (end < n);
        continue;
      }
    } else {
      blanks = 0;
    }
    if (o->dehyphenate) rest = joined(s, n, at, text, &cut);
    size_t stop = rest ? cut : o->trailing ? text : end;
    p->counts->v[CLEAN_DEHYPHENATE] += rest != 0;
    p->counts->v[CLEAN_TRAILING] += !rest && stop < end;
    if (o->spaces)
      squeeze(p, at, stop, inside);
    else
      pass_keep(p, at, stop);
    inside = rest != 0;
    at = rest ? rest : end;
    if (!rest && end < n) pass_keep(p, end, end + 1), at = end + 1;
  }
}

/* ---- case ---- */

/* The length of the mask that stands at s; 0 for none. */
static size_t mask_at(const struct clean_options *o, const char *s, size_t n) {
  if (!o->pii) return 0;
  for (size_t k = 0; k < PII_KINDS; k++) {
    const char *mask = o->masks ? o->masks[k] : pii_masks[k];
    size_t length = o->pii >> k & 1 ? strlen(mask) : 0;
    if (length && length <= n && !memcmp(s, mask, length)) return length;
  }
  return 0;
}

static void small_letters(struct pass *p, const struct clean_options *o) {
  const char *s = p->in;
  size_t n = p->n, from = 0, used, mask;
  for (size_t i = 0; i < n && !p->rc; i += used) {
    unsigned char b = (unsigned char)s[i];
    used = 1;
    if (b < 0x80 && (b < 'A' || b > 'Z') && b != '[') continue;
    if ((mask = mask_at(o, s + i, n - i))) {
      used = mask;
      continue;
    }
    uint32_t c = b < 0x80 ? b : utf8_decode(s + i, n - i, &used);
    uint32_t small = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    if (small == c) continue;
    char bytes[4];
    pass_keep(p, from, i);
    buf_add(&p->out, bytes, utf8_encode(small, bytes));
    from = i + used;
    p->counts->v[CLEAN_CASE]++;
  }
  pass_keep(p, from, n);
}

/* ---- all of it ---- */

static int finish(struct pass *p, struct pass *before_) {
  int rc = p->rc;
  if (!rc) rc = buf_check(&p->out, "cleaned text", p->err);
  p->map.in_size = p->n;
  p->map.out_size = p->out.len;
  if (!rc && p->want_map && before_) {
    struct run_map both = {0};
    rc = run_map_compose(&p->map, &before_->map, &both, p->err);
    run_map_clear(&p->map);
    p->map = both;
  }
  if (before_) {
    buf_clear(&before_->out);
    run_map_clear(&before_->map);
  }
  return rc;
}

static void pass_init(struct pass *p, const char *s, size_t n, bool want_map,
                      struct clean_counts *counts, struct err *err) {
  *p = (struct pass){.in = s ? s : "", .n = n, .want_map = want_map, .counts = counts, .err = err};
  buf_init(&p->out);
  if (buf_reserve(&p->out, n)) p->rc = err_nomem(err, n, "cleaned text");
}

/* The passes so far: the text as it is now, and its map to the text as it came. */
struct chain {
  struct pass last;
  bool begun; /* else the text is still the caller's */
  const char *s;
  size_t n;
  struct clean_counts *counts;
  bool want_map;
  const struct clean_options *o;
  struct err *err;
};

static const char *now(const struct chain *c, size_t *n) {
  *n = c->begun ? c->last.out.len : c->n;
  return c->begun ? (c->last.out.data ? c->last.out.data : "") : c->s;
}

static int step(struct chain *c, void (*run)(struct pass *, const struct clean_options *)) {
  struct pass p;
  size_t n;
  const char *s = now(c, &n);
  pass_init(&p, s, n, c->want_map, c->counts, c->err);
  if (!p.rc) run(&p, c->o);
  int rc = finish(&p, c->begun ? &c->last : NULL);
  c->last = p;
  c->begun = true;
  return rc;
}

static int round_of_passes(struct chain *c) {
  const struct clean_options *o = c->o;
  size_t n;
  const char *s = now(c, &n);
  int rc = 0;
  if (o->mojibake && mojibake_possible(s, n)) rc = step(c, mojibake_pass);
  if (!rc) rc = step(c, characters);
  if (!rc) s = now(c, &n);
  if (!rc && o->nfc && has_clusters(s, n)) rc = step(c, compose);
  if (!rc) rc = step(c, lines);
  if (!rc && o->pii) rc = step(c, pii_pass);
  if (!rc && o->lower) rc = step(c, small_letters);
  if (!rc && (o->boilerplate || o->repeated_lines)) rc = step(c, boilerplate_pass);
  return rc;
}

/* How much the rules did after which the others must look again. */
static size_t far_reaching(const struct clean_counts *c) {
  size_t sum = c->v[CLEAN_MOJIBAKE] + c->v[CLEAN_CASE] + c->v[CLEAN_BOILERPLATE] +
               c->v[CLEAN_REPEATED_LINES];
  for (int k = CLEAN_PII; k < CLEAN_RULES; k++) sum += c->v[k];
  return sum;
}

#define ROUNDS 6 /* after which nothing but an attack still changes */

int clean_text(const char *s, size_t n, const struct clean_options *o, struct buf *out,
               struct run_map *map, struct clean_counts *counts, struct err *err) {
  struct clean_counts own = {0};
  struct chain c = {
      .s = s ? s : "", .n = n, .counts = &own, .want_map = map != NULL, .o = o, .err = err};
  int rc = 0;
  size_t before_;
  for (int k = 0; !rc && k < ROUNDS; k++) {
    before_ = far_reaching(&own);
    rc = round_of_passes(&c);
    bool again = far_reaching(&own) > before_;
    if (!rc && !again && o->mojibake) /* what was removed may have stood inside of it */
      again = k == 0 && own.v[CLEAN_ZERO_WIDTH] + own.v[CLEAN_CONTROL] + own.v[CLEAN_BIDI] &&
              mojibake_possible(c.last.out.data, c.last.out.len);
    if (o->dehyphenate && o->blank_lines == 0) /* lines that blank ones had parted may be joined */
      again = again || (k == 0 && own.v[CLEAN_BLANK_LINES]);
    if (!again) break;
  }
  if (!rc) {
    if (!out->len) { /* large texts are not copied once more */
      buf_clear(out);
      *out = c.last.out;
      buf_init(&c.last.out);
    } else {
      buf_add(out, c.last.out.data, c.last.out.len);
    }
    rc = buf_check(out, "cleaned text", err);
  }
  if (!rc && map) {
    run_map_clear(map);
    *map = c.last.map;
    c.last.map = (struct run_map){0};
  }
  if (counts) *counts = own;
  buf_clear(&c.last.out);
  run_map_clear(&c.last.map);
  return rc;
}

int clean_nfc(const char *s, size_t n, struct buf *out, struct err *err) {
  struct pass p;
  struct clean_counts counts = {0};
  pass_init(&p, s, n, false, &counts, err);
  if (!p.rc) compose(&p, NULL);
  int rc = finish(&p, NULL);
  if (!rc) {
    buf_add(out, p.out.data, p.out.len);
    rc = buf_check(out, "normalised text", err);
  }
  buf_clear(&p.out);
  return rc;
}

size_t clean_words(const char *s, size_t n) {
  size_t words = 0, used;
  bool inside = false;
  for (size_t i = 0; i < n; i += used) {
    uint32_t c = utf8_decode(s + i, n - i, &used);
    bool space = c == ' ' || (c >= 9 && c <= 13) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
                 (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
                 c == 0x205f || c == 0x3000;
    words += !space && !inside;
    inside = !space;
  }
  return words;
}
