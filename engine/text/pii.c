/* SPDX-License-Identifier: MIT */
/* Personal data; see pii.h for what is found. Hand-written scanners, each begun at a byte that such a
 * thing begins with (or, for an address, at its '@'): a table says for each byte which may begin
 * there, so that plain words cost one look a byte. What a scanner reads back or ahead is bounded.
 */
#include "text/pii.h"
#include "base/cancel.h"
#include "text/clean_pass.h"

#include <stdio.h>
#include <string.h>

const char *const pii_masks[PII_KINDS] = {
    "[EMAIL]", "[PHONE]", "[IP]",  "[CARD]", "[IBAN]", "[KEY]", "[KEY]", "[KEY]", "[KEY]",
    "[KEY]",   "[KEY]",   "[KEY]", "[KEY]",  "[KEY]",  "[KEY]", "[KEY]", "[KEY]"};

struct text {
  const char *s;
  size_t n, least; /* nothing before `least` may be used */
};

static bool digit(char c) {
  return c >= '0' && c <= '9';
}
static bool upper(char c) {
  return c >= 'A' && c <= 'Z';
}
static bool alpha(char c) {
  return upper(c) || (c >= 'a' && c <= 'z');
}
static bool alnum(char c) {
  return digit(c) || alpha(c);
}
static bool hex(char c) {
  return digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
static bool token(char c) {
  return alnum(c) || c == '_' || c == '-';
}

/* No letter, digit or '_' before `at`, at `at`. */
static bool border_before(const struct text *t, size_t at) {
  return at == t->least || !(alnum(t->s[at - 1]) || t->s[at - 1] == '_');
}
static bool border(const struct text *t, size_t at) {
  return at >= t->n || !(alnum(t->s[at]) || t->s[at] == '_');
}

static bool begins(const struct text *t, size_t at, const char *word) {
  size_t n = strlen(word);
  return t->n - at >= n && !memcmp(t->s + at, word, n);
}

static size_t span(const struct text *t, size_t at, bool (*is)(char), size_t most) {
  size_t i = at;
  while (i < t->n && i - at < most && is(t->s[i])) i++;
  return i - at;
}

/* ---- addresses ---- */

static bool local_char(char c) {
  return alnum(c) || strchr("._%+-", c) != NULL;
}
static bool label_char(char c) {
  return alnum(c) || c == '-';
}

static bool picture(const char *s, size_t n) {
  static const char *const names[] = {"png",  "jpg", "jpeg", "gif", "svg",
                                      "webp", "ico", "js",   "css"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == n && !memcmp(s, names[i], n)) return true;
  return false;
}

static bool email(const struct text *t, size_t at, struct pii_match *m) {
  size_t from = at, end = at + 1, good = 0;
  while (from > t->least && at - from < 64 && t->s[from - 1] && local_char(t->s[from - 1])) from--;
  while (from < at && !alnum(t->s[from])) from++;
  if (from == at || t->s[at - 1] == '.') return false;
  while (end < t->n && end - at < 254) { /* labels */
    size_t length = span(t, end, label_char, 64);
    if (!length || t->s[end] == '-' || t->s[end + length - 1] == '-') break;
    bool letters = span(t, end, alpha, 64) == length;
    if (end > at + 1 && letters && length >= 2 && length <= 24 && border(t, end + length) &&
        !picture(t->s + end, length))
      good = end + length;
    end += length;
    if (end >= t->n || t->s[end] != '.') break;
    end++;
  }
  if (!good) return false;
  *m = (struct pii_match){from, good, PII_EMAIL};
  return true;
}

/* ---- numbers ---- */

/* Reads digits with at most one of the separators between two of them; '(' and ')' too where
 * brackets. Returns how many digits (up to most), and where the last one ends. */
static size_t digits(const struct text *t, size_t at, const char *separators, char *out,
                     size_t most, size_t *end) {
  size_t count = 0, i = at, gap = 0;
  *end = at;
  while (i < t->n && count <= most) {
    char c = t->s[i];
    if (digit(c)) {
      if (count < most) out[count] = c;
      count++;
      gap = 0;
      *end = i + 1;
    } else if (!c || !strchr(separators, c) || ++gap > 2) {
      break;
    }
    i++;
  }
  return count;
}

static bool luhn(const char *d, size_t n) {
  unsigned sum = 0;
  for (size_t i = 0; i < n; i++) {
    unsigned v = (unsigned)(d[n - 1 - i] - '0');
    if (i & 1) v = v > 4 ? 2 * v - 9 : 2 * v;
    sum += v;
  }
  return sum % 10 == 0;
}

static bool card_range(const char *d, size_t n) {
  unsigned two = (unsigned)(d[0] - '0') * 10 + (unsigned)(d[1] - '0');
  unsigned four = two * 100 + (unsigned)(d[2] - '0') * 10 + (unsigned)(d[3] - '0');
  if (d[0] == '4') return n == 13 || n == 16 || n == 19;
  if ((two >= 51 && two <= 55) || (four >= 2221 && four <= 2720)) return n == 16;
  if (two == 34 || two == 37) return n == 15;
  if (four == 6011 || two == 65 || (four >= 6440 && four <= 6499)) return n == 16 || n == 19;
  if (four >= 3528 && four <= 3589) return n >= 16;
  if (two == 36 || two == 38 || (four >= 3000 && four <= 3059)) return n == 14;
  if (two == 62) return n >= 16;
  return false;
}

/* Groups as cards have them: none, or parted by one and the same sign after the 4th digit, of 4 or
 * 6 digits, the last one of 5 or less. The longest number that ends with a group counts. */
static bool card(const struct text *t, size_t at, struct pii_match *m) {
  char d[19], sign = 0;
  size_t n = 0, group = 0, i = at, good = 0;
  if (at > t->least && (t->s[at - 1] == '.' || t->s[at - 1] == '-' || t->s[at - 1] == '+'))
    return false; /* part of a longer number */
  while (i < t->n && n < sizeof d && digit(t->s[i])) {
    d[n++] = t->s[i++];
    group++;
    if (i < t->n && digit(t->s[i])) continue;
    if (n >= 13 && (!sign || group <= 5) && border(t, i) && card_range(d, n) && luhn(d, n) &&
        !(i + 1 < t->n && (t->s[i] == '.' || t->s[i] == '-') && digit(t->s[i + 1]) && sign != '-'))
      good = i;
    if (i + 1 >= t->n || (t->s[i] != ' ' && t->s[i] != '-') || (sign && t->s[i] != sign)) break;
    if (sign ? group != 4 && group != 6 : group != 4) break;
    sign = t->s[i++];
    group = 0;
  }
  if (!good) return false;
  *m = (struct pii_match){at, good, PII_CARD};
  return true;
}

/* (555) 234-5678, 555-234-5678, 1-555-234-5678: the numbers of North America */
static bool phone_american(const struct text *t, size_t at, struct pii_match *m) {
  size_t i = at;
  const char *s = t->s;
  if (begins(t, i, "1-") || begins(t, i, "1 ") || begins(t, i, "1.")) i += 2;
  bool bracket = i < t->n && s[i] == '(';
  i += bracket;
  if (t->n - i < 11 || span(t, i, digit, 4) != 3 || s[i] < '2') return false;
  i += 3;
  char sign = s[i];
  if (bracket) {
    if (s[i++] != ')') return false;
    if (s[i] == ' ') i++;
    sign = 0;
  } else if (sign == '-' || sign == '.' || sign == ' ') {
    i++;
  } else {
    return false;
  }
  if (t->n - i < 8 || span(t, i, digit, 4) != 3 || s[i] < '2') return false;
  i += 3;
  if (sign ? s[i] != sign : s[i] != '-' && s[i] != '.' && s[i] != ' ') return false;
  if (sign == ' ') return false; /* three numbers of a table look like this */
  i++;
  if (span(t, i, digit, 5) != 4 || !border(t, i + 4)) return false;
  if (i + 5 < t->n && (s[i + 4] == '.' || s[i + 4] == '-') && alnum(s[i + 5])) return false;
  *m = (struct pii_match){at, i + 4, PII_PHONE};
  return true;
}

static bool phone_international(const struct text *t, size_t at, struct pii_match *m) {
  char d[16];
  size_t end;
  if (at + 1 >= t->n || !digit(t->s[at + 1]) || t->s[at + 1] == '0') return false;
  size_t n = digits(t, at + 1, " .-/()", d, 15, &end);
  if (n < 9 || n > 15 || !border(t, end)) return false;
  if (end + 1 < t->n && t->s[end] == '.' && digit(t->s[end + 1])) return false;
  size_t plain = span(t, at + 1, digit, 16);
  if (plain < end - at - 1 && plain > 4) return false; /* +12345.678 is a number */
  *m = (struct pii_match){at, end, PII_PHONE};
  return true;
}

/* Does a word that announces a telephone number end right before `at`? */
static bool announced(const struct text *t, size_t at) {
  static const char *const words[] = {"tel",     "phone", "fax",       "mobile", "mobil",
                                      "telefon", "handy", "telephone", "cell"};
  size_t i = at, signs = 0;
  while (i > t->least && signs < 4 && strchr(" .:-=\t", t->s[i - 1])) i--, signs++;
  for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
    size_t n = strlen(words[k]), j = 0;
    if (i - t->least < n) continue;
    while (j < n && (t->s[i - n + j] | 32) == words[k][j]) j++;
    if (j == n && signs && border_before(t, i - n)) return true;
  }
  return false;
}

static bool phone_announced(const struct text *t, size_t at, struct pii_match *m) {
  char d[16];
  size_t end, from = at;
  if (!announced(t, at)) return false;
  if (t->s[at] == '(') at++;
  size_t n = digits(t, at, " .-/()", d, 15, &end);
  if (n < 6 || n > 15 || !border(t, end)) return false;
  *m = (struct pii_match){from, end, PII_PHONE};
  return true;
}

/* ---- addresses of machines ---- */

static bool public_four(const unsigned v[4]) {
  if (v[0] == 0 || v[0] == 10 || v[0] == 127 || v[0] >= 224) return false;
  if (v[0] == 100 && v[1] >= 64 && v[1] <= 127) return false;
  if (v[0] == 169 && v[1] == 254) return false;
  if (v[0] == 172 && v[1] >= 16 && v[1] <= 31) return false;
  if (v[0] == 192 && v[1] == 168) return false;
  if (v[0] == 192 && v[1] == 0 && (v[2] == 0 || v[2] == 2)) return false;
  if (v[0] == 198 && (v[1] == 18 || v[1] == 19 || (v[1] == 51 && v[2] == 100))) return false;
  return !(v[0] == 203 && v[1] == 0 && v[2] == 113);
}

static bool ip_four(const struct text *t, size_t at, struct pii_match *m) {
  unsigned v[4];
  size_t i = at;
  if (at > t->least && (t->s[at - 1] == '.' || t->s[at - 1] == '-')) return false;
  for (int k = 0; k < 4; k++) {
    size_t n = span(t, i, digit, 4);
    if (n < 1 || n > 3 || (n > 1 && t->s[i] == '0')) return false;
    v[k] = 0;
    for (size_t j = 0; j < n; j++) v[k] = v[k] * 10 + (unsigned)(t->s[i + j] - '0');
    if (v[k] > 255) return false;
    i += n;
    if (k < 3 && (i >= t->n || t->s[i++] != '.')) return false;
  }
  if (!border(t, i) || !public_four(v)) return false;
  if (v[0] < 100 && v[1] < 100 && v[2] < 100 && v[3] < 100)
    return false; /* of sections and versions: one address in forty looks like that */
  if (i + 1 < t->n && (t->s[i] == '.' || t->s[i] == '-') && alnum(t->s[i + 1])) return false;
  *m = (struct pii_match){at, i, PII_IP};
  return true;
}

/* Global unicast begins with 2 or 3 and four digits; the documentation's 2001:db8 is nobody's. */
static bool ip_six(const struct text *t, size_t at, struct pii_match *m) {
  size_t i = at, groups = 0, end = at;
  bool gap = false;
  if (span(t, at, hex, 5) != 4 || (t->s[at] != '2' && t->s[at] != '3')) return false;
  while (i < t->n && groups < 8) {
    size_t n = span(t, i, hex, 5);
    if (!n || n > 4) break;
    groups++;
    end = i += n;
    if (i >= t->n || t->s[i] != ':') break;
    i++;
    if (i < t->n && t->s[i] == ':') {
      if (gap) break;
      gap = true;
      end = ++i;
    }
  }
  if (!(gap ? groups >= 2 && groups < 8 : groups == 8) || !border(t, end)) return false;
  if (end < t->n && t->s[end] == ':') return false;
  if (begins(t, at, "2001:db8:") || begins(t, at, "2001:DB8:") || begins(t, at, "2001:0db8:"))
    return false;
  *m = (struct pii_match){at, end, PII_IP};
  return true;
}

/* ---- bank accounts ---- */

static unsigned iban_length(const char *country) {
  static const char table[][5] = {
      "AD24", "AE23", "AL28", "AT20", "AZ28", "BA20", "BE16", "BG22", "BH22", "BR29",
      "BY28", "CH21", "CR22", "CY28", "CZ24", "DE22", "DK18", "DO28", "EE20", "EG29",
      "ES24", "FI18", "FO18", "FR27", "GB22", "GE22", "GI23", "GL18", "GR27", "GT28",
      "HR21", "HU28", "IE22", "IL23", "IS26", "IT27", "JO30", "KW30", "KZ20", "LB28",
      "LI21", "LT20", "LU20", "LV21", "MC27", "MD24", "ME22", "MK19", "MT31", "MU30",
      "NL18", "NO15", "PK24", "PL28", "PS29", "PT25", "QA29", "RO24", "RS22", "SA24",
      "SE24", "SI19", "SK24", "SM27", "TN24", "TR26", "UA29", "VG24", "XK20"};
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    if (!memcmp(table[i], country, 2))
      return (unsigned)(table[i][2] - '0') * 10 + (unsigned)(table[i][3] - '0');
  return 0;
}

static bool iban(const struct text *t, size_t at, struct pii_match *m) {
  char d[40];
  size_t i = at, n = 0;
  if (t->n - at < 15 || !upper(t->s[at + 1]) || !digit(t->s[at + 2]) || !digit(t->s[at + 3]))
    return false;
  unsigned length = iban_length(t->s + at);
  while (length && n < length && i < t->n) { /* in groups of four, or without a blank */
    if (t->s[i] == ' ' && n % 4 == 0 && n) i++;
    if (i >= t->n || !(digit(t->s[i]) || upper(t->s[i]))) break;
    d[n++] = t->s[i++];
  }
  if (!length || n != length || !border(t, i)) return false;
  unsigned rest = 0;
  for (size_t k = 0; k < n; k++) {
    char c = d[(k + 4) % n];
    rest = digit(c) ? (rest * 10 + (unsigned)(c - '0')) % 97
                    : (rest * 100 + (unsigned)(c - 'A') + 10) % 97;
  }
  if (rest != 1) return false;
  *m = (struct pii_match){at, i, PII_IBAN};
  return true;
}

/* ---- keys ---- */

static bool upper_digit(char c) {
  return upper(c) || digit(c);
}
static bool word_char(char c) {
  return alnum(c) || c == '_';
}
static bool dashed(char c) {
  return alnum(c) || c == '-';
}
static bool secret_char(char c) {
  return alnum(c) || c == '/' || c == '+' || c == '=';
}

struct shape {
  const char *prefix;
  bool (*is)(char);
  size_t least, most; /* characters behind the prefix */
  enum pii_kind kind;
};

/* In the order in which they are tried: longer prefixes first. */
static const struct shape shapes[] = {
    {"AKIA", upper_digit, 16, 16, PII_KEY_AWS},
    {"ASIA", upper_digit, 16, 16, PII_KEY_AWS},
    {"AROA", upper_digit, 16, 16, PII_KEY_AWS},
    {"AIDA", upper_digit, 16, 16, PII_KEY_AWS},
    {"AIza", token, 35, 35, PII_KEY_GOOGLE},
    {"ya29.", token, 30, 300, PII_KEY_GOOGLE},
    {"GOCSPX-", token, 20, 40, PII_KEY_GOOGLE},
    {"github_pat_", word_char, 36, 255, PII_KEY_GITHUB},
    {"ghp_", alnum, 36, 255, PII_KEY_GITHUB},
    {"gho_", alnum, 36, 255, PII_KEY_GITHUB},
    {"ghu_", alnum, 36, 255, PII_KEY_GITHUB},
    {"ghs_", alnum, 36, 255, PII_KEY_GITHUB},
    {"ghr_", alnum, 36, 255, PII_KEY_GITHUB},
    {"glpat-", token, 20, 64, PII_KEY_GITLAB},
    {"sk-ant-", token, 20, 255, PII_KEY_ANTHROPIC},
    {"sk_live_", alnum, 16, 255, PII_KEY_STRIPE},
    {"sk_test_", alnum, 16, 255, PII_KEY_STRIPE},
    {"rk_live_", alnum, 16, 255, PII_KEY_STRIPE},
    {"rk_test_", alnum, 16, 255, PII_KEY_STRIPE},
    {"sk-", token, 32, 255, PII_KEY_OPENAI},
    {"xoxb-", dashed, 20, 255, PII_KEY_SLACK},
    {"xoxp-", dashed, 20, 255, PII_KEY_SLACK},
    {"xoxa-", dashed, 20, 255, PII_KEY_SLACK},
    {"xoxr-", dashed, 20, 255, PII_KEY_SLACK},
    {"xoxs-", dashed, 20, 255, PII_KEY_SLACK},
    {"xoxe-", dashed, 20, 255, PII_KEY_SLACK},
    {"xapp-", dashed, 20, 255, PII_KEY_SLACK},
    {"hf_", alnum, 30, 64, PII_KEY_HUGGINGFACE},
    {"npm_", alnum, 36, 36, PII_KEY_OTHER},
    {"SG.", token, 22, 22, PII_KEY_OTHER},
    {"pypi-", token, 60, 255, PII_KEY_OTHER},
};

/* Keys are drawn by chance: in so many characters there is a digit, or both cases. */
static bool random_looking(const char *s, size_t n) {
  size_t number = 0, large = 0, little = 0;
  for (size_t i = 0; i < n; i++) {
    number += digit(s[i]);
    large += upper(s[i]);
    little += alpha(s[i]) && !upper(s[i]);
  }
  return (number > 0 && large + little > 0) || (large > 3 && little > 3);
}

static bool key(const struct text *t, size_t at, struct pii_match *m) {
  for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
    const struct shape *shape = &shapes[k];
    if (shape->prefix[0] != t->s[at] || !begins(t, at, shape->prefix)) continue;
    size_t from = at + strlen(shape->prefix), n = span(t, from, shape->is, shape->most + 1);
    while (n > shape->least && (t->s[from + n - 1] == '-' || t->s[from + n - 1] == '_')) n--;
    if (n < shape->least || n > shape->most || !random_looking(t->s + from, n)) continue;
    size_t end = from + n;
    if (shape->prefix[0] == 'S') { /* SG.22.43 */
      if (end >= t->n || t->s[end] != '.' || span(t, end + 1, token, 44) != 43) continue;
      end += 44;
    }
    if (!border(t, end) && t->s[end] != '_') continue;
    *m = (struct pii_match){at, end, shape->kind};
    return true;
  }
  return false;
}

/* The secret half of an AWS key has no shape but its length; its name tells it. */
static bool aws_secret(const struct text *t, size_t at, struct pii_match *m) {
  static const char name[] = "aws_secret_access_key";
  size_t i = at;
  for (size_t k = 0; k < sizeof name - 1; k++, i++)
    if (i >= t->n || (t->s[i] | 32) != (name[k] | 32)) return false;
  size_t signs = 0;
  while (i < t->n && signs < 6 && strchr(" :=\"'>\t", t->s[i]) && t->s[i]) i++, signs++;
  if (!signs || span(t, i, secret_char, 41) != 40 || !random_looking(t->s + i, 40)) return false;
  *m = (struct pii_match){i, i + 40, PII_KEY_AWS};
  return true;
}

static bool jwt(const struct text *t, size_t at, struct pii_match *m) {
  size_t i = at;
  for (int part = 0; part < 3; part++) {
    if (part < 2 && !begins(t, i, "eyJ")) return false;
    size_t n = span(t, i, token, part ? 8192 : 1024);
    if (n < (part < 2 ? 12u : 16u)) return false;
    i += n;
    if (part < 2 && (i >= t->n || t->s[i++] != '.')) return false;
  }
  *m = (struct pii_match){at, i, PII_JWT};
  return true;
}

/* From its first line to its last; where that is missing, to the end of what looks like it. */
static bool private_key(const struct text *t, size_t at, struct pii_match *m) {
  static const char mark[] = "-----BEGIN ";
  if (!begins(t, at, mark)) return false;
  size_t i = at + sizeof mark - 1, name = 0;
  while (i + name < t->n && name < 40 && t->s[i + name] != '-' && t->s[i + name] != '\n') name++;
  if (name < 11 || !memmem(t->s + i, name, "PRIVATE KEY", 11)) return false;
  i += name;
  if (!begins(t, i, "-----")) return false;
  i += 5;
  size_t most = t->n - i < 32768 ? t->n - i : 32768;
  const char *end = memmem(t->s + i, most, "-----END ", 9);
  if (end) {
    size_t stop = (size_t)(end - t->s) + 9;
    while (stop < t->n && t->s[stop] != '-' && t->s[stop] != '\n') stop++;
    while (stop < t->n && t->s[stop] == '-') stop++;
    *m = (struct pii_match){at, stop, PII_PRIVATE_KEY};
    return true;
  }
  while (i < t->n && (secret_char(t->s[i]) || t->s[i] == '\n' || t->s[i] == '\\')) i++;
  while (i > at && (t->s[i - 1] == '\n' || t->s[i - 1] == '\\')) i--;
  *m = (struct pii_match){at, i, PII_PRIVATE_KEY};
  return true;
}

/* ---- all of them ---- */

enum begin { AT = 1, NUMBER = 2, LETTER = 4, DASH = 8, PLUS = 16, BRACKET = 32 };

static const unsigned char begins_with[256] = {
    ['@'] = AT,     ['0'] = NUMBER,  ['1'] = NUMBER, ['2'] = NUMBER, ['3'] = NUMBER, ['4'] = NUMBER,
    ['5'] = NUMBER, ['6'] = NUMBER,  ['7'] = NUMBER, ['8'] = NUMBER, ['9'] = NUMBER, ['-'] = DASH,
    ['+'] = PLUS,   ['('] = BRACKET, ['A'] = LETTER, ['B'] = LETTER, ['C'] = LETTER, ['D'] = LETTER,
    ['E'] = LETTER, ['F'] = LETTER,  ['G'] = LETTER, ['H'] = LETTER, ['I'] = LETTER, ['J'] = LETTER,
    ['K'] = LETTER, ['L'] = LETTER,  ['M'] = LETTER, ['N'] = LETTER, ['P'] = LETTER, ['Q'] = LETTER,
    ['R'] = LETTER, ['S'] = LETTER,  ['T'] = LETTER, ['U'] = LETTER, ['V'] = LETTER, ['X'] = LETTER,
    ['a'] = LETTER, ['e'] = LETTER,  ['g'] = LETTER, ['h'] = LETTER, ['n'] = LETTER, ['p'] = LETTER,
    ['r'] = LETTER, ['s'] = LETTER,  ['x'] = LETTER, ['y'] = LETTER,
};

static bool wanted(uint32_t kinds, enum pii_kind k) {
  return kinds >> k & 1;
}

static bool number_at(const struct text *t, size_t at, uint32_t kinds, struct pii_match *m) {
  if (wanted(kinds, PII_IP) && (ip_four(t, at, m) || ip_six(t, at, m))) return true;
  if (wanted(kinds, PII_CARD) && card(t, at, m)) return true;
  return wanted(kinds, PII_PHONE) && (phone_announced(t, at, m) || phone_american(t, at, m));
}

static bool letter_at(const struct text *t, size_t at, uint32_t kinds, struct pii_match *m) {
  if (upper(t->s[at]) && wanted(kinds, PII_IBAN) && iban(t, at, m)) return true;
  if (t->s[at] == 'e' && wanted(kinds, PII_JWT) && jwt(t, at, m)) return true;
  if ((t->s[at] | 32) == 'a' && wanted(kinds, PII_KEY_AWS) && aws_secret(t, at, m)) return true;
  return key(t, at, m) && wanted(kinds, m->kind);
}

/* Can a key, a token or an account number begin with this letter and the next? */
static bool promising(char c, char next) {
  if (upper(c)) return upper(next) || (c == 'A' && next == 'w');
  switch (c) {
  case 'a':
    return next == 'w';
  case 'e':
  case 'p':
    return next == 'y';
  case 'g':
    return next == 'h' || next == 'i' || next == 'l';
  case 'h':
    return next == 'f';
  case 'n':
    return next == 'p';
  case 'r':
  case 's':
    return next == 'k';
  case 'x':
    return next == 'o' || next == 'a';
  default:
    return next == 'a';
  }
}

static bool match_at(const struct text *t, size_t at, unsigned begin, uint32_t kinds,
                     struct pii_match *m) {
  switch (begin) {
  case AT:
    return wanted(kinds, PII_EMAIL) && email(t, at, m);
  case NUMBER:
    return number_at(t, at, kinds, m);
  case LETTER:
    return letter_at(t, at, kinds, m);
  case DASH:
    return wanted(kinds, PII_PRIVATE_KEY) && private_key(t, at, m);
  case PLUS:
    return wanted(kinds, PII_PHONE) && phone_international(t, at, m);
  default:
    return wanted(kinds, PII_PHONE) && (phone_announced(t, at, m) || phone_american(t, at, m));
  }
}

bool pii_next(const char *s, size_t n, size_t at, uint32_t kinds, struct pii_match *m) {
  const struct text t = {s, n, at};
  for (size_t i = at; i < n; i++) {
    unsigned begin = begins_with[(unsigned char)s[i]];
    if (!begin) continue;
    if (begin == LETTER && !promising(s[i], i + 1 < n ? s[i + 1] : 0)) continue;
    if (begin != AT && begin != DASH && !border_before(&t, i)) continue;
    if (match_at(&t, i, begin, kinds, m)) return true;
  }
  return false;
}

void pii_pass(struct pass *p, const struct clean_options *o) {
  struct pii_match m;
  size_t kept = 0, polled = 0;
  while (!p->rc && pii_next(p->in, p->n, kept, o->pii, &m)) {
    const char *mask = o->masks ? o->masks[m.kind] : pii_masks[m.kind];
    pass_keep(p, kept, m.from);
    buf_adds(&p->out, mask);
    p->counts->v[CLEAN_PII + m.kind]++;
    kept = m.to;
    if (kept - polled > (size_t)1 << 20) {
      p->rc = cancel_check(p->err);
      polled = kept;
    }
  }
  pass_keep(p, kept, p->n);
}
