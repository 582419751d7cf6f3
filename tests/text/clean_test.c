/* SPDX-License-Identifier: MIT */
/* text/clean: the cases of clean.cases, the run map on generated texts, form C against utf8proc. */
#include "support/test.h"

#include "base/mem.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"
#include "text/boilerplate.h"
#include "text/clean.h"
#include "text/pii.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

static const struct {
  const char *name;
  size_t at;
} rules[] = {
#define RULE(x)                                                                                    \
  { #x, offsetof(struct clean_options, x) }
    RULE(line_ends), RULE(control),  RULE(zero_width),  RULE(bidi), RULE(ligatures), RULE(nfc),
    RULE(spaces),    RULE(trailing), RULE(dehyphenate), RULE(trim), RULE(mojibake),  RULE(lower)};
#define RULES (sizeof rules / sizeof *rules)

static struct clean_phrases *phrases;

static void read_options(char *words, struct clean_options *o) {
  clean_defaults(o);
  for (char *w = strtok(words, " "); w; w = strtok(NULL, " ")) {
    if (!strcmp(w, "-all")) {
      memset(o, 0, sizeof *o);
      o->blank_lines = -1;
    }
    if (!strncmp(w, "blank_lines=", 12)) o->blank_lines = atoi(w + 12);
    if (!strncmp(w, "repeated_lines=", 15)) o->repeated_lines = (size_t)atoi(w + 15);
    if (!strcmp(w, "+boilerplate")) o->boilerplate = phrases;
    if (!strcmp(w, "+pii")) o->pii = PII_ALL;
    for (size_t i = 0; i < RULES; i++)
      if (!strcmp(w + 1, rules[i].name)) *((bool *)o + rules[i].at) = *w == '+';
  }
}

/* Everything a run claims is so, and the look-ups agree with the runs. */
static void check_map(const struct run_map *m, const char *in, size_t n, const struct buf *out) {
  size_t o = 0, i = 0;
  CHECK_INT(m->in_size, n);
  CHECK_INT(m->out_size, out->len);
  for (size_t k = 0; k < m->n; k++) {
    const struct run *r = &m->v[k];
    CHECK(r->len > 0 && r->out >= o && r->in >= i);
    CHECK(r->out + r->len <= out->len && r->in + r->len <= n);
    CHECK(memcmp(out->data + r->out, in + r->in, r->len) == 0);
    CHECK_INT(run_map_start(m, r->out), r->in);
    CHECK_INT(run_map_end(m, r->out + r->len), r->in + r->len);
    CHECK_INT(run_map_output(m, r->in), r->out);
    CHECK_INT(run_map_output(m, r->in + r->len - 1), r->out + r->len - 1);
    o = r->out + r->len, i = r->in + r->len;
  }
  size_t start = 0, end = 0;
  for (size_t at = 0; at <= out->len; at++) {
    CHECK(run_map_start(m, at) >= start && run_map_end(m, at) >= end);
    start = run_map_start(m, at), end = run_map_end(m, at);
    CHECK(start <= n && end <= n);
  }
}

static void one_case(int number, const char *in, size_t n, const struct clean_options *o,
                     const char *want, size_t want_size) {
  struct buf out, again;
  struct run_map map = {0};
  struct err err;
  buf_init(&out), buf_init(&again);
  int rc = clean_text(in, n, o, &out, &map, NULL, &err);
  if (rc || out.len != want_size || (want_size && memcmp(out.data, want, want_size) != 0))
    test_fail("tests/text/clean.cases", number, "got \"%.*s\"", (int)out.len,
              out.data ? out.data : "");
  check_map(&map, in, n, &out);
  CHECK_INT(clean_text(out.data, out.len, o, &again, NULL, NULL, &err), 0);
  if (again.len != out.len || (out.len && memcmp(again.data, out.data, out.len) != 0))
    test_fail("tests/text/clean.cases", number, "a second cleaning changes it");
  run_map_clear(&map);
  buf_clear(&out), buf_clear(&again);
}

static struct json *json_line(struct lines *r, struct line *line, char *held, size_t room,
                              struct err *err) {
  struct json *j;
  if (lines_next(r, line, err) != 1 || line->len >= room) return NULL;
  memcpy(held, line->text, line->len);
  return json_parse(&j, held, line->len, NULL, err) ? NULL : j;
}

static void cases(void) {
  struct lines *r;
  struct line line;
  struct err err;
  int done = 0;
  REQUIRE(lines_open(&r, "tests/text/clean.cases", 0, &err) == 0);
  while (lines_next(r, &line, &err) == 1) {
    char words[200] = "", in_text[1000], out_text[1000];
    struct clean_options o;
    struct buf a, b;
    size_t n, want_size;
    int number = (int)line.number;
    if (line.len == 0 || line.text[0] == '#' || line.len >= sizeof words) continue;
    memcpy(words, line.text, line.len);
    read_options(words, &o);
    buf_init(&a), buf_init(&b);
    struct json *in = json_line(r, &line, in_text, sizeof in_text, &err);
    struct json *want = json_line(r, &line, out_text, sizeof out_text, &err);
    CHECK(in && want);
    if (in && want) {
      const char *s = json_string(in, JSON_ROOT, &a, &n);
      const char *w = json_string(want, JSON_ROOT, &b, &want_size);
      one_case(number, s, n, &o, w, want_size);
      done++;
    }
    json_free(in), json_free(want);
    buf_clear(&a), buf_clear(&b);
  }
  lines_close(r);
  CHECK(done > 30);
}

static void random_bytes(struct rng *r, struct buf *b, bool valid) {
  static const char *const parts[] = {
      "word",    " ",      "  ",     "\n",     "\r\n",   "\n\n\n\n", "\t",     "-\n",    "é",
      "e\u0301", "\u0301", "\u0323", "\u200b", "\u00ad", "\ufb01",   "\u1100", "\u1161", "\u11a8",
      "\uac00",  "\u0915", "\u093c", "\u09c7", "\u09be", "\u212b",   "界",     "\ufeff", "\u00a0",
      "😀",       "\u0c46", "\u0c56", "\u0344", "\u2126", "\uf900",   "\x01",   "A",      "\u0dd9"};
  size_t n = rng_below(r, 120);
  buf_reset(b);
  for (size_t i = 0; i < n; i++)
    if (!valid && rng_below(r, 8) == 0)
      buf_addc(b, (char)rng_u64(r));
    else
      buf_adds(b, parts[rng_below(r, sizeof parts / sizeof *parts)]);
}

/* What the rules of words and lines look for, whole and in pieces. */
static void random_words(struct rng *r, struct buf *b) {
  static const char *const parts[] = {"a@b.de",
                                      "jane",
                                      "@",
                                      "example.org",
                                      ".com",
                                      "+49 30 901820",
                                      "555-234-5678",
                                      "tel: ",
                                      "12",
                                      "345678",
                                      "8.8.8.200",
                                      ".8",
                                      "2a00:1450::",
                                      ":200e",
                                      "4111",
                                      " 1111",
                                      "-1111",
                                      "4111 1111 1111 1111",
                                      "DE89 3704 0044 0532 0130 00",
                                      "AKIA",
                                      "IOSFODNN7EXAMPLE",
                                      "sk-ant-",
                                      "abcdefghij0123456789",
                                      "eyJhbGciOiJI",
                                      ".",
                                      "-----BEGIN RSA PRIVATE KEY-----",
                                      "-----END RSA PRIVATE KEY-----",
                                      "\xc3\x83",
                                      "\xc2\xa9",
                                      "\xc3\x83\xc2\xa9",
                                      "\xc3\xa2\xe2\x82\xac\xe2\x84\xa2",
                                      "\xc3\x83\xc6\x92",
                                      "\xc3\x82",
                                      "\u00a0",
                                      "\xc2\x81",
                                      "\u2026",
                                      "\u201d",
                                      "Men\u00dc",
                                      "\u200b",
                                      "All rights reserved.",
                                      "all",
                                      " rights ",
                                      "reserved",
                                      "A line",
                                      "a line",
                                      "[",
                                      "[EMAIL]",
                                      "[KEY]",
                                      "\n",
                                      "\n",
                                      "\n\n",
                                      " ",
                                      "  ",
                                      "-\n",
                                      "exam",
                                      "ple",
                                      "}",
                                      "\t",
                                      "\u00ad\n"};
  size_t n = rng_below(r, 60);
  buf_reset(b);
  for (size_t i = 0; i < n; i++) buf_adds(b, parts[rng_below(r, sizeof parts / sizeof *parts)]);
}

static void all_rules_together(void) {
  struct rng r;
  struct buf in;
  size_t total[CLEAN_RULES] = {0};
  rng_seed(&r, 5);
  buf_init(&in);
  for (int round = 0; round < 4000; round++) {
    struct clean_options o;
    struct buf out, again;
    struct run_map map = {0};
    struct clean_counts counts, none;
    struct err err;
    clean_defaults(&o);
    o.dehyphenate = rng_below(&r, 2);
    o.lower = rng_below(&r, 3) == 0;
    o.pii = rng_below(&r, 4) ? PII_ALL : 0;
    o.boilerplate = rng_below(&r, 2) ? phrases : NULL;
    o.repeated_lines = rng_below(&r, 3);
    o.blank_lines = (int)rng_below(&r, 4) - 1;
    if (round % 4)
      random_words(&r, &in);
    else
      random_bytes(&r, &in, round % 8);
    buf_init(&out), buf_init(&again);
    CHECK_INT(clean_text(in.data, in.len, &o, &out, &map, &counts, &err), 0);
    CHECK_INT(utf8_check(out.data ? out.data : "", out.len), out.len);
    check_map(&map, in.data, in.len, &out);
    CHECK_INT(clean_text(out.data, out.len, &o, &again, NULL, &none, &err), 0);
    CHECK_MEM(again.data, again.len, out.data, out.len);
    size_t changes = 0;
    for (int k = 0; k < CLEAN_RULES; k++) {
      changes += counts.v[k];
      total[k] += counts.v[k];
      CHECK_INT(none.v[k], 0); /* what is clean counts nothing */
    }
    CHECK((changes == 0) == (out.len == in.len && (!in.len || !memcmp(out.data, in.data, in.len))));
    run_map_clear(&map);
    buf_clear(&out), buf_clear(&again);
  }
  for (int k = 0; k < CLEAN_RULES; k++) /* each of these came up */
    if (k != CLEAN_BIDI && k != CLEAN_MALFORMED && (k < CLEAN_PII || k <= CLEAN_PII + PII_IBAN))
      CHECK(total[k] > 0);
  buf_clear(&in);
}

static void maps_and_idempotence(void) {
  struct rng r;
  struct buf in;
  rng_seed(&r, 3);
  buf_init(&in);
  for (int round = 0; round < 600; round++) {
    struct clean_options o;
    struct buf out, again;
    struct run_map map = {0};
    struct err err;
    clean_defaults(&o);
    if (round % 3)
      for (size_t i = 0; i < RULES; i++) *((bool *)&o + rules[i].at) = rng_below(&r, 2);
    o.blank_lines = (int)rng_below(&r, 4) - 1;
    random_bytes(&r, &in, round % 2);
    buf_init(&out), buf_init(&again);
    CHECK_INT(clean_text(in.data, in.len, &o, &out, &map, NULL, &err), 0);
    CHECK_INT(utf8_check(out.data ? out.data : "", out.len), out.len);
    check_map(&map, in.data, in.len, &out);
    if (round % 3 == 0) { /* all defaults */
      CHECK_INT(clean_text(out.data, out.len, &o, &again, NULL, NULL, &err), 0);
      CHECK_MEM(again.data, again.len, out.data, out.len);
    }
    run_map_clear(&map);
    buf_clear(&out), buf_clear(&again);
  }
  buf_clear(&in);
}

static void form_c_is_utf8procs(void) {
  struct rng r;
  struct buf in, out;
  struct err err;
  rng_seed(&r, 4);
  buf_init(&in), buf_init(&out);
  for (int round = 0; round < 3000; round++) {
    if (round % 2) {
      random_bytes(&r, &in, true);
    } else { /* any characters at all, and many that compose */
      buf_reset(&in);
      for (size_t i = rng_below(&r, 40); i > 0; i--) {
        char bytes[4];
        static const uint32_t from[] = {0x20,   0x300,  0x370,   0x900,   0x1100,  0x1e00, 0x3040,
                                        0xac00, 0xf900, 0x1d150, 0x11080, 0x2f800, 0x400,  0x600};
        uint32_t c = from[rng_below(&r, sizeof from / sizeof *from)] + (uint32_t)rng_below(&r, 256);
        buf_add(&in, bytes, utf8_encode(c, bytes));
      }
    }
    buf_addc(&in, 0);
    buf_reset(&out);
    CHECK_INT(clean_nfc(in.data, in.len - 1, &out, &err), 0);
    char *want = (char *)utf8proc_NFC((const utf8proc_uint8_t *)in.data);
    CHECK_MEM(out.data, out.len, want, want ? strlen(want) : 0);
    free(want);
  }
  buf_clear(&in), buf_clear(&out);
}

/* ---- personal data ---- */

/* Takes the marks ‹ › and "\\n" out of a line; notes where the marks stood. */
static size_t unmark(const char *s, size_t n, struct buf *text, size_t *marks, size_t most) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    if (n - i >= 3 && (!memcmp(s + i, "\xe2\x80\xb9", 3) || !memcmp(s + i, "\xe2\x80\xba", 3))) {
      if (count < most) marks[count++] = text->len;
      i += 2;
    } else if (s[i] == '\\' && i + 1 < n && s[i + 1] == 'n') {
      buf_addc(text, '\n');
      i++;
    } else {
      buf_addc(text, s[i]);
    }
  }
  return count;
}

static void personal_data(void) {
  struct lines *r;
  struct line line;
  struct err err;
  int done = 0;
  REQUIRE(lines_open(&r, "tests/text/pii.cases", 0, &err) == 0);
  while (lines_next(r, &line, &err) == 1) {
    struct buf text;
    struct pii_match m;
    size_t marks[16], found = 0, blank = 0;
    if (line.len == 0 || line.text[0] == '#') continue;
    while (blank < line.len && line.text[blank] != ' ') blank++;
    buf_init(&text);
    size_t count = unmark(line.text + blank + 1, line.len - blank - 1, &text, marks,
                          sizeof marks / sizeof *marks);
    for (size_t at = 0; pii_next(text.data, text.len, at, PII_ALL, &m); at = m.to) {
      const char *kind = clean_rule_names[CLEAN_PII + m.kind];
      if (found + 2 > count || m.from != marks[found] || m.to != marks[found + 1] ||
          strlen(kind) != blank || memcmp(kind, line.text, blank) != 0)
        test_fail("tests/text/pii.cases", (int)line.number, "found %s: %.*s", kind,
                  (int)(m.to - m.from), text.data + m.from);
      found += 2;
    }
    if (found != count) test_fail("tests/text/pii.cases", (int)line.number, "not all was found");
    buf_clear(&text);
    done++;
  }
  lines_close(r);
  CHECK(done > 40);
}

/* ---- attacks ---- */

static void repeated(const char *unit, size_t times, size_t want) {
  struct buf in, out;
  struct run_map map = {0};
  struct clean_options o;
  struct err err;
  buf_init(&in), buf_init(&out);
  for (size_t i = 0; i < times; i++) buf_adds(&in, unit);
  clean_defaults(&o);
  o.dehyphenate = true;
  o.pii = want == 0 || want == SIZE_MAX ? PII_ALL : 0;
  o.boilerplate = o.pii ? phrases : NULL;
  CHECK_INT(clean_text(in.data, in.len, &o, &out, &map, NULL, &err), 0);
  if (want != SIZE_MAX) CHECK_INT(out.len, want);
  run_map_clear(&map);
  buf_clear(&in), buf_clear(&out);
}

static void long_runs_stay_linear(void) {
  size_t n = 400000;
  repeated("x", n, n);
  repeated(" ", n, 0);
  repeated("\n", n, 0);
  repeated("a ", n, 2 * n - 1);
  repeated("a-\n", n, n + 1);
  repeated("-\n ", n, SIZE_MAX);
  repeated("\u0301", n / 4, n / 2);
  repeated("\u0323\u0301", n / 8, SIZE_MAX);
  repeated("\u0315\u0300", n / 8, SIZE_MAX);
  repeated("\xff", n, 3 * n);
  repeated("\u1161", n / 4, SIZE_MAX);
  repeated("\ufdfa", n / 8, SIZE_MAX);
  repeated("@", n, SIZE_MAX);
  repeated("a@b.", n / 4, SIZE_MAX);
  repeated("1 ", n / 2, SIZE_MAX);
  repeated("1.", n / 2, SIZE_MAX);
  repeated("2a00:", n / 5, SIZE_MAX);
  repeated("sk-", n / 3, SIZE_MAX);
  repeated("eyJaaaaaaaaa-", n / 13, SIZE_MAX);
  repeated("-----BEGIN PRIVATE KEY-----", n / 270, SIZE_MAX);
  repeated("DE89", n / 4, SIZE_MAX);
  repeated("\xc3\x83\xc2\xa9", n / 4, SIZE_MAX);
  repeated("\xc3\x83\xc6\x92", n / 4, SIZE_MAX);
  repeated("all rights reserve", n / 18, SIZE_MAX);
}

int main(void) {
  static const char *const list[] = {"all rights reserved", "tous droits réservés"};
  if (clean_phrases_new(&phrases, list, 2, 200, NULL)) return 1;
  TEST(cases);
  TEST(personal_data);
  TEST(maps_and_idempotence);
  TEST(all_rules_together);
  TEST(form_c_is_utf8procs);
  TEST(long_runs_stay_linear);
  clean_phrases_free(phrases);
  return test_done();
}
