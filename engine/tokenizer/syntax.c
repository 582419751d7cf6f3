/* SPDX-License-Identifier: MIT */
/* Oniguruma's syntax, as the reference was seen to read it.
 *
 *   pattern = branch { '|' branch }        branch = { item [ repetition … ] }
 *   item    = character | '.' | class | escape | anchor | group
 *
 * What differs from PCRE2, and so is written out here instead of passed on:
 *
 *   ^ $ \Z \b     lines end at \n only; ^ not at the very end; words are those of \w here
 *   a{2}?         the group of two, or nothing; a{1,2}+ repeats the group (neither is lazy or possessive)
 *   (?i)          holds to the end of the group, over its '|'
 *   (?m:.)        the dot takes newlines ((?s: is unknown)
 *   [a&&[^b]c]    intersections, sets in sets
 *   (?i:[k])      folds by the reference's tables; (?i:\p{Lu}) does not fold, (?i:[\p{Lu}]) does
 *
 * A capturing group is an ordinary one, since nothing can refer to it: back-references are refused,
 * as are subexpression calls, conditions, absent operators, \X \G \K \y, octal and raw bytes.
 * So is the one thing in folding that is not character by character: "ss" in (?i:…), where U+00DF
 * matches.
 */
#include "tokenizer/syntax.h"

#include "base/mem.h"
#include "base/utf8.h"

#include <string.h>
#include <strings.h>

struct parse {
  struct syntax *x;
  const char *s;
  size_t n, at;
  bool ignore_case, dot_all, extended; /* in force here */
  uint32_t run[3];                     /* the last literal characters under (?i), folded */
  size_t run_len;
  bool empty; /* what was just read can match nothing at all */
  struct err *err;
};

static int unsupported(const struct parse *p, size_t at, const char *what) {
  return err_set(p->err, ERR_UNSUPPORTED, "regular expression, byte %zu: %s is not supported", at,
                 what);
}

static int malformed(const struct parse *p, size_t at, const char *what) {
  return err_set(p->err, ERR_FORMAT, "regular expression, byte %zu: %s", at, what);
}

static bool looking(const struct parse *p, const char *s) {
  size_t n = strlen(s);
  return p->n - p->at >= n && !memcmp(p->s + p->at, s, n);
}

static bool take(struct parse *p, const char *s) {
  bool yes = looking(p, s);
  if (yes) p->at += strlen(s);
  return yes;
}

/* ---- sets ---- */

/* Writes the mark of a set, which is taken over. */
static int put_set(struct parse *p, struct charset *set) {
  struct syntax *x = p->x;
  int rc = charset_check(set, p->err);
  uint32_t k = 0;
  if (rc) goto done;
  while (k < x->count && !charset_equal(&x->sets[k], set)) k++;
  if (k == x->count) {
    if (k == SYNTAX_MAX_SETS) {
      rc = err_set(p->err, ERR_LIMIT,
                   "regular expression: more than %d different character classes", SYNTAX_MAX_SETS);
      goto done;
    }
    if (k == x->cap) {
      size_t cap = x->cap ? x->cap * 2 : 16;
      struct charset *grown = mem_rearray(x->sets, cap, sizeof *grown);
      if (!grown) {
        rc = err_nomem(p->err, cap * sizeof *grown, "character classes");
        goto done;
      }
      x->sets = grown;
      x->cap = cap;
    }
    x->sets[x->count++] = *set;
    *set = (struct charset){0};
  }
  buf_addc(&x->text, SYNTAX_SET);
  buf_add(&x->text, &k, sizeof k);
done:
  charset_clear(set);
  return rc;
}

static int put_one(struct parse *p, uint32_t c) {
  struct charset set = {0};
  charset_add(&set, c, c);
  return put_set(p, &set);
}

static int put_property(struct parse *p, const char *name) {
  struct charset set = {0};
  charset_property(&set, name, strlen(name), false);
  return put_set(p, &set);
}

/* Under (?i) some characters match as several, which one set cannot say. */
static int check_fold(struct parse *p, size_t at, uint32_t c) {
  p->run[0] = p->run[1];
  p->run[1] = p->run[2];
  p->run[2] = fold_char(c);
  if (p->run_len < 3) p->run_len++;
  uint32_t pair[2] = {c, c + 1};
  struct charset one = {.at = pair, .count = 2};
  bool wide = charset_folds_wide(&one);
  uint32_t several = fold_several_of(p->run + 3 - p->run_len, p->run_len);
  if (!wide && !several) return 0;
  return err_set(p->err, ERR_UNSUPPORTED,
                 "regular expression, byte %zu: U+%04X, which stands for several characters in "
                 "(?i:…), is not supported",
                 at, wide ? c : several);
}

static int put_literal(struct parse *p, size_t at, uint32_t c) {
  if (!p->ignore_case) return put_one(p, c);
  int rc = check_fold(p, at, c);
  if (rc) return rc;
  struct charset set = {0};
  charset_add(&set, c, c);
  charset_fold(&set);
  return put_set(p, &set);
}

/* ---- characters and escapes ---- */

static int next_char(struct parse *p, uint32_t *c) {
  size_t used;
  *c = utf8_decode(p->s + p->at, p->n - p->at, &used);
  if (*c == UTF8_BAD) return malformed(p, p->at, "bytes that are not UTF-8");
  p->at += used;
  return 0;
}

static int hex_value(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

/* Up to `most` hexadecimal digits; how many. */
static size_t hex_digits(struct parse *p, size_t most, uint32_t *value) {
  size_t k = 0;
  *value = 0;
  while (k < most && p->at < p->n && hex_value(p->s[p->at]) >= 0) {
    *value = *value << 4 | (uint32_t)hex_value(p->s[p->at++]);
    k++;
  }
  return k;
}

/* After \x or \u. */
static int hex_escape(struct parse *p, size_t at, bool four, uint32_t *c) {
  if (!four && take(p, "{")) {
    if (!hex_digits(p, 8, c) || !take(p, "}")) return unsupported(p, at, "this \\x{…}");
  } else if (four) {
    if (hex_digits(p, 4, c) != 4) return malformed(p, at, "\\u needs four hexadecimal digits");
  } else {
    if (!hex_digits(p, 2, c)) return unsupported(p, at, "\\x without digits");
    if (*c > 0x7F) return unsupported(p, at, "a raw byte (\\x80 to \\xff)");
  }
  if (*c >= CHARSET_BAD || (*c >= 0xD800 && *c < 0xE000))
    return malformed(p, at, "no character has this number");
  return 0;
}

/* \d, \P{…} …; *is false: not one of these, and nothing is read. In a class \w and \p{word} are
 * [:word:], which lacks six of their members (² ³ ¹ ¼ ½ ¾). */
static int class_escape(struct parse *p, struct charset *set, bool in_class, bool *is) {
  static const char kinds[] = "dswhDSWH";
  size_t at = p->at;
  char c = at + 1 < p->n ? p->s[at + 1] : 0;
  *is = true;
  if (c && strchr(kinds, c)) {
    char name[3] = {'\\', (char)(c | 32), 0};
    if (in_class && name[1] == 'w')
      charset_property(set, "word", 4, true);
    else
      charset_property(set, name, 2, false);
    if (c < 'a') charset_negate(set);
    p->at += 2;
    return 0;
  }
  *is = (c == 'p' || c == 'P') && at + 2 < p->n && p->s[at + 2] == '{';
  if (!*is) return 0;
  p->at += 3;
  bool negate = c == 'P';
  if (take(p, "^")) negate = !negate;
  const char *name = p->s + p->at, *end = memchr(name, '}', p->n - p->at);
  if (!end) return malformed(p, at, "\\p{ without }");
  size_t len = (size_t)(end - name);
  bool word = in_class && len == 4 && !strncasecmp(name, "word", 4);
  if (!charset_property(set, word ? "word" : name, len, word))
    return err_set(p->err, ERR_UNSUPPORTED,
                   "regular expression, byte %zu: the property {%.*s} is not supported", at,
                   (int)(len < 60 ? len : 60), name);
  p->at += len + 1;
  if (negate) charset_negate(set);
  return 0;
}

/* An escape that is one character; p->at is at the backslash. */
static int char_escape(struct parse *p, bool in_class, uint32_t *c) {
  static const char names[] = "tnvrfae", values[] = "\t\n\v\r\f\a\033";
  size_t at = p->at++;
  if (p->at >= p->n) return malformed(p, at, "a backslash at the end");
  int rc = next_char(p, c);
  if (rc || *c > 0x7F) return rc;
  const char *known = strchr(names, (int)*c);
  if (*c && known) {
    *c = (unsigned char)values[known - names];
  } else if (*c == 'b' && in_class) {
    *c = '\b';
  } else if (*c == 'x' || *c == 'u') {
    return hex_escape(p, at, *c == 'u', c);
  } else if (*c == '0' || (in_class && *c > '0' && *c < '8')) {
    uint32_t v = *c - '0';
    for (int k = 0; k < 2 && p->at < p->n && p->s[p->at] >= '0' && p->s[p->at] < '8'; k++)
      v = v * 8 + (uint32_t)(p->s[p->at++] - '0');
    if (v > 0x7F) return unsupported(p, at, "a raw byte");
    *c = v;
  } else if (*c >= '1' && *c <= '9') {
    return unsupported(p, at, "a back-reference");
  } else if (strchr("cCMo", (int)*c)) {
    return unsupported(p, at, "this escape");
  }
  return 0;
}

/* ---- classes ---- */

static int class_body(struct parse *p, struct charset *set, bool *negated, int depth);

/* [:name:] with p->at at its '['; *is false when it is none. */
static int posix_bracket(struct parse *p, struct charset *set, bool *is) {
  size_t at = p->at + 2, k = at;
  bool negate = k < p->n && p->s[k] == '^';
  if (negate) at = ++k;
  while (k < p->n && k - at < 20 && (p->s[k] | 32) >= 'a' && (p->s[k] | 32) <= 'z') k++;
  *is = k + 1 < p->n && p->s[k] == ':' && p->s[k + 1] == ']';
  if (!*is) return 0;
  if (!charset_property(set, p->s + at, k - at, true))
    return malformed(p, p->at, "unknown [:name:]");
  if (negate) charset_negate(set);
  p->at = k + 2;
  return 0;
}

/* The reference loses its way where [^…] in a class leaves nothing beyond ASCII: [^[^\s\S]a]. */
static int check_nested(const struct parse *p, const struct charset *set) {
  struct charset wide = {0};
  charset_add(&wide, 0x80, CHARSET_BAD - 1);
  charset_and(&wide, set);
  int rc = charset_check(&wide, p->err);
  if (!rc && !wide.count)
    rc = unsupported(p, p->at, "a negated class in a class that leaves nothing beyond ASCII");
  charset_clear(&wide);
  return rc;
}

/* One member that is a set of its own; *is false: the next is a character. */
static int class_set(struct parse *p, struct charset *into, bool *is, int depth) {
  struct charset set = {0};
  int rc = 0;
  *is = false;
  if (looking(p, "[:")) rc = posix_bracket(p, &set, is);
  if (!rc && !*is && looking(p, "[")) {
    bool negated;
    *is = true;
    p->at++;
    rc = class_body(p, &set, &negated, depth + 1);
    if (!rc && negated) {
      charset_negate(&set);
      rc = check_nested(p, &set);
    }
  }
  if (!rc && !*is && looking(p, "\\")) rc = class_escape(p, &set, true, is);
  if (!rc && *is) charset_or(into, &set);
  charset_clear(&set);
  return rc;
}

static int class_char(struct parse *p, uint32_t *c) {
  if (looking(p, "\\")) return char_escape(p, true, c);
  return next_char(p, c);
}

/* A character or a range; p->at is at it. */
static int class_range(struct parse *p, struct charset *into) {
  size_t at = p->at;
  uint32_t first, last;
  int rc = class_char(p, &first);
  if (rc) return rc;
  last = first;
  if (looking(p, "-") && p->at + 1 < p->n && p->s[p->at + 1] != ']') {
    p->at++;
    if (looking(p, "[") || looking(p, "&&")) return unsupported(p, at, "this range");
    struct charset none = {0};
    bool is = false;
    rc = looking(p, "\\") ? class_escape(p, &none, true, &is) : 0;
    charset_clear(&none);
    if (!rc && is) rc = malformed(p, at, "a range ends in a class");
    if (!rc) rc = class_char(p, &last);
    if (rc) return rc;
    if (last < first) return malformed(p, at, "an empty range");
    if (looking(p, "--")) return unsupported(p, p->at, "\"--\" in a class");
    if (looking(p, "-") && p->at + 1 < p->n && p->s[p->at + 1] != ']') {
      charset_add(into, '-', '-'); /* [a-c-e] */
      p->at++;
    }
  }
  charset_add(into, first, last);
  return 0;
}

/* What stands after '[', up to and with its ']'. */
static int class_body(struct parse *p, struct charset *set, bool *negated, int depth) {
  struct charset left = {0};
  size_t begin = p->at;
  bool meet = false, first = true;
  int rc = 0;
  if (depth > SYNTAX_MAX_DEPTH) {
    rc = err_set(p->err, ERR_LIMIT, "regular expression: classes nested deeper than %d",
                 SYNTAX_MAX_DEPTH);
    goto done;
  }
  for (*negated = take(p, "^"); !rc; first = false) {
    if (p->at >= p->n) {
      rc = malformed(p, begin, "a class without ]");
      break;
    }
    if (!first && take(p, "]")) break;
    if (take(p, "&&")) {
      if (meet)
        charset_and(&left, set);
      else
        charset_or(&left, set);
      meet = true;
      charset_clear(set);
      continue;
    }
    bool is;
    rc = class_set(p, set, &is, depth);
    if (!rc && !is) rc = class_range(p, set);
    if (!rc && is && looking(p, "-") && p->at + 1 < p->n && p->s[p->at + 1] != ']')
      rc = malformed(p, p->at, "a range that begins with a class");
  }
  if (!rc && meet) charset_and(set, &left);
done:
  charset_clear(&left);
  return rc;
}

static int put_class(struct parse *p) {
  struct charset set = {0};
  size_t at = p->at++;
  bool negated = false;
  int rc = class_body(p, &set, &negated, 0);
  if (!rc && p->ignore_case) {
    if (!negated && charset_folds_wide(&set))
      rc = unsupported(p, at, "a class in (?i:…) with characters that stand for several");
    charset_fold(&set);
  }
  if (!rc && negated) charset_negate(&set);
  if (!rc) return put_set(p, &set);
  charset_clear(&set);
  return rc;
}

/* ---- anchors and other escapes ---- */

/* (?<=W) and the like: `open`, the set of \w, ')'. */
static int put_word(struct parse *p, const char *open) {
  buf_adds(&p->x->text, open);
  int rc = put_property(p, "\\w");
  buf_addc(&p->x->text, ')');
  return rc;
}

static int put_boundary(struct parse *p, bool not ) {
  struct buf *out = &p->x->text;
  buf_adds(out, "(?:");
  int rc = put_word(p, "(?<=");
  if (!rc) rc = put_word(p, not ? "(?=" : "(?!");
  buf_addc(out, '|');
  if (!rc) rc = put_word(p, "(?<!");
  if (!rc) rc = put_word(p, not ? "(?!" : "(?=");
  buf_addc(out, ')');
  return rc;
}

/* Before a newline or at the end: open, newline, close. */
static int put_newline(struct parse *p, const char *open, const char *close) {
  buf_adds(&p->x->text, open);
  int rc = put_one(p, '\n');
  buf_adds(&p->x->text, close);
  return rc;
}

/* An anchor at p->at; *is false when there is none. */
static int put_anchor(struct parse *p, bool *is) {
  *is = true;
  if (take(p, "^")) return put_newline(p, "(?:\\A|(?<=", ")(?!\\z))");
  if (take(p, "$")) return put_newline(p, "(?=\\z|", ")");
  if (take(p, "\\Z")) return put_newline(p, "(?=\\z|", "\\z)");
  if (take(p, "\\b")) return put_boundary(p, false);
  if (take(p, "\\B")) return put_boundary(p, true);
  if (looking(p, "\\A") || looking(p, "\\z")) {
    buf_add(&p->x->text, p->s + p->at, 2);
    p->at += 2;
    return 0;
  }
  *is = false;
  return 0;
}

static int put_dot(struct parse *p, bool all) {
  struct charset set = {0};
  if (!all) charset_add(&set, '\n', '\n');
  charset_negate(&set);
  return put_set(p, &set);
}

/* \R: two characters that hold together, or one of these. */
static int put_line_end(struct parse *p) {
  struct charset set = {0};
  charset_add(&set, '\n', '\r');
  charset_add(&set, 0x85, 0x85);
  charset_add(&set, 0x2028, 0x2029);
  buf_adds(&p->x->text, "(?>");
  p->x->atomic = true;
  int rc = put_one(p, '\r');
  if (!rc) rc = put_one(p, '\n');
  buf_addc(&p->x->text, '|');
  if (rc)
    charset_clear(&set);
  else
    rc = put_set(p, &set);
  buf_addc(&p->x->text, ')');
  return rc;
}

static int put_escape(struct parse *p) {
  static const char refused[] = "GKXkgyY";
  size_t at = p->at;
  char c = at + 1 < p->n ? p->s[at + 1] : 0;
  if (c && strchr(refused, c)) {
    char what[3] = {'\\', c, 0};
    return unsupported(p, at, what);
  }
  p->run_len = 0;
  if (take(p, "\\R")) return put_line_end(p);
  if (take(p, "\\N")) return put_dot(p, false);
  if (take(p, "\\O")) return put_dot(p, true);
  struct charset set = {0};
  bool is;
  int rc = class_escape(p, &set, false, &is);
  if (!rc && is) return put_set(p, &set);
  charset_clear(&set);
  uint32_t one;
  if (!rc) rc = char_escape(p, false, &one);
  return rc ? rc : put_literal(p, at, one);
}

/* ---- groups ---- */

static int put_alternatives(struct parse *p, int depth);

/* (?imx-imx: … ) or (?imx-imx) after "(?". The second kind holds to the end of the group it stands
 * in, so the rest of that is read here; *rest tells. */
static int read_options(struct parse *p, size_t at, bool *rest) {
  bool on = true;
  for (; p->at < p->n; p->at++) {
    char c = p->s[p->at];
    if (c == ':' || c == ')') {
      p->at++;
      *rest = c == ')';
      return 0;
    }
    if (c == '-')
      on = false;
    else if (c == 'i')
      p->ignore_case = on;
    else if (c == 'm')
      p->dot_all = on;
    else if (c == 'x')
      p->extended = on;
    else
      break;
  }
  return unsupported(p, at, "this group");
}

static const char *group_kind(struct parse *p, bool *look) {
  static const char *const kinds[] = {"(?=", "(?!", "(?<=", "(?<!", "(?>", "(?:"};
  for (size_t k = 0; k < 6; k++) {
    *look = k < 4;
    if (take(p, kinds[k])) return kinds[k];
  }
  *look = false;
  return NULL;
}

/* (?<name> or (?'name': read over. */
static int skip_name(struct parse *p) {
  size_t at = p->at;
  char end = looking(p, "(?'") ? '\'' : '>';
  const char *close = memchr(p->s + at + 3, end, p->n - at - 3);
  if (!close || close == p->s + at + 3) return malformed(p, at, "a group without a name");
  p->at = (size_t)(close - p->s) + 1;
  return 0;
}

/* *look: it is an assertion, which nothing may repeat; *options: "(?i)", with which the rest of the
 * group was read. */
static int put_group(struct parse *p, bool *look, bool *options, int depth) {
  bool i = p->ignore_case, m = p->dot_all, x = p->extended;
  size_t at = p->at;
  int rc = 0;
  *options = false;
  if (depth > SYNTAX_MAX_DEPTH)
    return err_set(p->err, ERR_LIMIT, "regular expression: groups nested deeper than %d",
                   SYNTAX_MAX_DEPTH);
  const char *open = group_kind(p, look);
  if (!open) {
    open = "(?:";
    if (looking(p, "(?<") || looking(p, "(?'"))
      rc = skip_name(p);
    else if (take(p, "(?"))
      rc = read_options(p, at, options);
    else if (looking(p, "(*"))
      rc = unsupported(p, at, "a callout");
    else
      p->at++;
  }
  if (rc) return rc;
  p->x->atomic = p->x->atomic || !strcmp(open, "(?>");
  buf_adds(&p->x->text, open);
  rc = put_alternatives(p, depth + 1);
  buf_addc(&p->x->text, ')');
  p->ignore_case = i;
  p->dot_all = m;
  p->extended = x;
  if (!rc && !*options && !take(p, ")")) rc = malformed(p, at, "a group without )");
  return rc;
}

/* ---- repetition ---- */

static bool number(struct parse *p, size_t *at, uint32_t *v) {
  size_t from = *at;
  *v = 0;
  while (*at < p->n && p->s[*at] >= '0' && p->s[*at] <= '9') {
    if (*v <= SYNTAX_MAX_REPEAT) *v = *v * 10 + (uint32_t)(p->s[*at] - '0');
    ++*at;
  }
  return *at > from;
}

struct repeat {
  uint32_t min, max; /* UINT32_MAX: without end */
  bool exact;        /* {n}: '?' after it is another repetition */
  size_t end;
};

/* {n} {n,} {,m} {n,m} at p->at; otherwise the brace is a character. */
static bool interval(struct parse *p, struct repeat *r) {
  size_t at = p->at + 1;
  bool low = number(p, &at, &r->min), high = false;
  r->exact = false;
  if (at < p->n && p->s[at] == ',') {
    at++;
    high = number(p, &at, &r->max);
    if (!low && !high) return false;
    if (!high) r->max = UINT32_MAX;
  } else if (low) {
    r->max = r->min;
    r->exact = true;
  } else {
    return false;
  }
  if (at >= p->n || p->s[at] != '}') return false;
  r->end = at + 1;
  return true;
}

static bool repetition(struct parse *p, struct repeat *r) {
  char c = p->at < p->n ? p->s[p->at] : 0;
  if (c == '{') return interval(p, r);
  if (c != '?' && c != '*' && c != '+') return false;
  *r = (struct repeat){c == '+', c == '?' ? 1 : UINT32_MAX, false, p->at + 1};
  return true;
}

static void put_repeat(struct parse *p, const struct repeat *r, char mode) {
  struct buf *out = &p->x->text;
  bool group = out->len && out->data[out->len - 1] == ')';
  if (r->max == UINT32_MAX && r->min < 2)
    buf_addc(out, r->min ? '+' : '*');
  else if (r->max == 1 && !r->min)
    buf_addc(out, '?');
  else if (r->max == UINT32_MAX)
    buf_addf(out, "{%u,}", r->min);
  else
    buf_addf(out, "{%u,%u}", r->min, r->max);
  if (mode == '+' && group) p->x->atomic = true;
  if (mode) buf_addc(out, mode);
  if (mode == '?') p->x->lazy = true;
}

/* Makes what was written since `from` a group. */
static void wrap(struct buf *out, size_t from) {
  buf_adds(out, "(?:)");
  if (out->failed) return;
  memmove(out->data + from + 3, out->data + from, out->len - 4 - from);
  memcpy(out->data + from, "(?:", 3);
  out->data[out->len - 1] = ')';
}

static void skip_blank(struct parse *p) {
  for (;;) {
    if (looking(p, "(?#")) {
      const char *end = memchr(p->s + p->at, ')', p->n - p->at);
      if (!end) return;
      p->at = (size_t)(end - p->s) + 1;
    } else if (p->extended && p->at < p->n && strchr(" \t\n\r\f\v", p->s[p->at]) && p->s[p->at]) {
      p->at++;
    } else if (p->extended && looking(p, "#")) {
      while (p->at < p->n && p->s[p->at] != '\n') p->at++;
    } else {
      return;
    }
  }
}

static int put_repeats(struct parse *p, size_t from, bool may) {
  struct repeat r;
  bool again = false;
  for (skip_blank(p); repetition(p, &r); skip_blank(p), again = true) {
    size_t at = p->at;
    if (!may) return malformed(p, at, "nothing here to repeat");
    if (r.min > SYNTAX_MAX_REPEAT || (r.max > SYNTAX_MAX_REPEAT && r.max != UINT32_MAX))
      return err_set(p->err, ERR_LIMIT, "regular expression, byte %zu: more than %d repetitions",
                     at, SYNTAX_MAX_REPEAT);
    if (r.min > r.max) return unsupported(p, at, "an interval from high to low");
    /* The reference leaves such a loop at the first empty round, PCRE2 goes on. */
    if (p->empty && (r.min > 1 || (r.max > 1 && r.max != UINT32_MAX)))
      return unsupported(p, at, "repeating what may be empty a limited number of times");
    p->empty = p->empty || !r.min;
    bool braces = p->s[p->at] == '{';
    char mode = 0;
    p->at = r.end;
    if (!r.exact && take(p, "?"))
      mode = '?';
    else if (!braces && take(p, "+"))
      mode = '+';
    if (again) wrap(&p->x->text, from);
    put_repeat(p, &r, mode);
    p->run_len = 0;
  }
  return 0;
}

/* ---- the whole ---- */

/* One item with its repetitions; *rest: an option group has read the rest of the group. */
static int put_item(struct parse *p, bool *rest, int depth) {
  size_t from = p->x->text.len;
  struct repeat r;
  bool fixed = false; /* nothing may repeat it */
  char c = p->s[p->at];
  if (repetition(p, &r)) return malformed(p, p->at, "nothing here to repeat");
  int rc = put_anchor(p, &fixed);
  if (rc) return rc;
  if (!fixed) {
    size_t at = p->at;
    uint32_t one;
    if (c == '(') {
      rc = put_group(p, &fixed, rest, depth);
    } else if (c == '[') {
      p->run_len = 0;
      rc = put_class(p);
    } else if (c == '\\') {
      rc = put_escape(p);
    } else if (take(p, ".")) {
      p->run_len = 0;
      rc = put_dot(p, p->dot_all);
    } else {
      rc = next_char(p, &one);
      if (!rc) rc = put_literal(p, at, one);
    }
  }
  if (c != '(' || fixed) p->empty = fixed;
  return rc || *rest ? rc : put_repeats(p, from, !fixed);
}

static int put_alternatives(struct parse *p, int depth) {
  bool rest = false, any = false, branch = true; /* may be empty: some branch, this one */
  int rc = 0;
  for (skip_blank(p); !rc && !rest && p->at < p->n && p->s[p->at] != ')'; skip_blank(p)) {
    if (take(p, "|")) {
      p->run_len = 0;
      buf_addc(&p->x->text, '|');
      any = any || branch;
      branch = true;
    } else {
      rc = put_item(p, &rest, depth);
      branch = branch && p->empty;
    }
  }
  p->empty = any || branch;
  return rc;
}

int syntax_parse(struct syntax *x, const char *regex, size_t n, struct err *err) {
  struct parse p = {.x = x, .s = regex, .n = n, .err = err};
  *x = (struct syntax){0};
  if (n > SYNTAX_MAX_BYTES)
    return err_set(err, ERR_LIMIT, "regular expression: more than %u bytes", SYNTAX_MAX_BYTES);
  int rc = put_alternatives(&p, 0);
  if (!rc && p.at < n) rc = malformed(&p, p.at, "a ) without (");
  if (!rc) rc = buf_check(&x->text, "a regular expression", err);
  return rc;
}

void syntax_clear(struct syntax *x) {
  for (size_t i = 0; i < x->count; i++) charset_clear(&x->sets[i]);
  mem_free(x->sets);
  buf_clear(&x->text);
  *x = (struct syntax){0};
}
