/* SPDX-License-Identifier: MIT */
/* Normalizers, against what the reference makes of the same texts (normalize_cases.inc says which
 * version): the text, where each character came from, and digests over all characters and over
 * random strings of marks, Hangul and compatibility characters. Then what the reference cannot
 * read: malformed bytes, wrong files, text without end.
 */
#include "support/test.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "tokenizer/normal.h"

#include "normalize_cases.inc"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static int load(struct normalizer **z, const char *spec, struct err *err) {
  struct json *j;
  *z = NULL;
  int rc = json_parse(&j, spec, strlen(spec), NULL, err);
  if (rc) return rc;
  rc = normalizer_load(z, j, JSON_ROOT, err);
  json_free(j);
  return rc;
}

/* "0-1 1-3": the range of each character. */
static void places(const struct aligned *a, struct buf *out) {
  buf_reset(out);
  for (size_t at = 0, used; at < a->text.len; at += used) {
    utf8_decode(a->text.data + at, a->text.len - at, &used);
    buf_addf(out, "%s%u-%u", at ? " " : "", a->start[at], a->end[at + used - 1]);
  }
}

/* The text alone on the heap, so that a sanitizer sees a look beyond its end. */
static int run(const struct normalizer *z, const char *s, size_t n, bool track, struct aligned *out,
               struct err *err) {
  char *copy = mem_alloc(n);
  if (!copy) return ERR_NOMEM;
  memcpy(copy, s, n);
  out->track = track;
  int rc = normalizer_run(z, copy, n, out, err);
  if (!rc && normalizer_keeps(z, copy, n) &&
      (n != out->text.len || (n && memcmp(copy, out->text.data, n))))
    test_fail(__FILE__, __LINE__, "kept, yet it changes: %.*s", (int)n, s);
  mem_free(copy);
  return rc;
}

static void equals_the_reference(void) {
  struct aligned a = {0}, plain = {0};
  struct buf got;
  buf_init(&got);
  for (size_t i = 0; i < COUNT(cases); i++) {
    struct normalizer *z;
    struct err err = {0};
    if (load(&z, cases[i].spec, &err)) {
      test_fail(__FILE__, __LINE__, "%s: %s", cases[i].spec, err.message);
      continue;
    }
    CHECK_INT(run(z, cases[i].text, cases[i].n, true, &a, &err), 0);
    CHECK_MEM(a.text.data, a.text.len, cases[i].want, cases[i].want_n);
    places(&a, &got);
    if (strcmp(got.data ? got.data : "", cases[i].from))
      test_fail(__FILE__, __LINE__, "case %zu %s: came from %s, not %s", i, cases[i].spec,
                got.data ? got.data : "", cases[i].from);
    CHECK_INT(run(z, cases[i].text, cases[i].n, false, &plain, &err), 0);
    CHECK_MEM(plain.text.data, plain.text.len, a.text.data, a.text.len);
    normalizer_free(z);
  }
  buf_clear(&got);
  aligned_clear(&a);
  aligned_clear(&plain);
}

static void hex_of(struct sha256 *h, char out[SHA256_HEX]) {
  unsigned char sum[SHA256_BYTES];
  CHECK_INT(sha256_final(h, sum, NULL), 0);
  hash_hex(sum, sizeof sum, out);
  sha256_free(h);
}

/* Every character on a line of its own, 4096 lines at a time. */
static void digest_all(const struct normalizer *z, char out[SHA256_HEX]) {
  struct sha256 *h;
  struct aligned a = {0};
  struct buf text;
  buf_init(&text);
  if (sha256_new(&h, NULL)) return;
  for (uint32_t c = 0, k = 0; c < 0x110000; c++) {
    char bytes[4];
    if (c == 0xD800) c = 0xE000;
    buf_add(&text, bytes, utf8_encode(c, bytes));
    buf_addc(&text, '\n');
    if (++k % 4096 && c != 0x10FFFF) continue;
    CHECK_INT(normalizer_run(z, text.data, text.len, &a, NULL), 0);
    CHECK_INT(sha256_update(h, a.text.data, a.text.len, NULL), 0);
    buf_reset(&text);
  }
  hex_of(h, out);
  aligned_clear(&a);
  buf_clear(&text);
}

static size_t step(uint64_t *x, size_t n) {
  *x = *x * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(*x >> 33) % n;
}

static void digest_random(const struct normalizer *z, char out[SHA256_HEX]) {
  struct sha256 *h;
  struct aligned a = {.track = true};
  struct buf text;
  uint64_t x = 1;
  buf_init(&text);
  if (sha256_new(&h, NULL)) return;
  for (int i = 0; i < STRINGS; i++) {
    buf_reset(&text);
    for (size_t k = 1 + step(&x, 40); k; k--) {
      char bytes[4];
      buf_add(&text, bytes, utf8_encode(alphabet[step(&x, COUNT(alphabet))], bytes));
    }
    a.track = i % 2;
    CHECK_INT(normalizer_run(z, text.data, text.len, &a, NULL), 0);
    CHECK_INT(sha256_update(h, a.text.data, a.text.len, NULL), 0);
  }
  hex_of(h, out);
  aligned_clear(&a);
  buf_clear(&text);
}

static void every_character(void) {
  for (size_t i = 0; i < COUNT(digests); i++) {
    struct normalizer *z;
    char got[SHA256_HEX] = "";
    REQUIRE(!load(&z, digests[i].spec, NULL));
    digest_all(z, got);
    if (strcmp(got, digests[i].all)) test_fail(__FILE__, __LINE__, "%s differs", digests[i].spec);
    normalizer_free(z);
  }
}

static void random_strings(void) {
  for (size_t i = 0; i < COUNT(digests); i++) {
    struct normalizer *z;
    char got[SHA256_HEX] = "";
    REQUIRE(!load(&z, digests[i].spec, NULL));
    digest_random(z, got);
    if (strcmp(got, digests[i].random))
      test_fail(__FILE__, __LINE__, "%s differs", digests[i].spec);
    normalizer_free(z);
  }
}

static void spaces_are_the_classes_spaces(void) {
  for (uint32_t c = 0; c < 0x110000; c++)
    if (!(normal_of(c) & NORMAL_SPACE) != !(class_of(c) & CLASS_SPACE))
      test_fail(__FILE__, __LINE__, "U+%04X", (unsigned)c);
}

/* What stands around malformed bytes is normalized as if the text ended there. */
static void malformed_bytes_stay_and_separate(void) {
  static const struct {
    const char *spec, *text, *want, *from;
  } broken[] = {
      {"NFC", "e\xCC\x81\xFF\xCC\x81", "\xC3\xA9\xFF\xCC\x81", "0-1 3-4 4-6"},
      {"NFC", "e\xFF\xCC\x81", "e\xFF\xCC\x81", "0-1 1-2 2-4"},
      {"NFC", "\xC3\xCC\x81", "\xC3\xCC\x81", "0-1 1-3"},
      {"NFC", "a\xCC", "a\xCC", "0-1 1-2"},
      {"NFC", "\xA9\xCC\xA7\xCC\x81", "\xA9\xCC\xA7\xCC\x81", "0-1 1-3 3-5"},
      {"NFC", "\xCC\x81\xFF\xCC\xA7\xE4\xB8", "\xCC\x81\xFF\xCC\xA7\xE4\xB8", "0-2 2-3 3-5 5-7"},
      {"NFC", "\xED\xA0\x80\xCC\x81", "\xED\xA0\x80\xCC\x81", "0-1 1-2 2-3 3-5"},
      {"NFD", "\xC3\xA9\xC3", "e\xCC\x81\xC3", "0-2 0-2 2-3"},
      {"NFKC", "\xEF\xBC\xA1\xEF\xBC", "A\xEF\xBC", "0-3 3-5"},
      {"NFD", "a\xCC\x81\x80\xCC\xA3", "a\xCC\x81\x80\xCC\xA3", "0-1 1-3 3-4 4-6"},
      {"Lowercase", "A\xC3\xC3\x89\xFF", "a\xC3\xC3\xA9\xFF", "0-1 1-2 2-4 4-5"},
      {"ByteLevel", "\xFF\xC3\xA9", "\xC3\xBF\xC3\x83\xC2\xA9", "0-1 1-3 1-3"},
  };
  struct buf got;
  buf_init(&got);
  for (size_t i = 0; i < COUNT(broken); i++) {
    struct normalizer *z;
    struct aligned a = {0};
    char spec[64];
    snprintf(spec, sizeof spec, "{\"type\":\"%s\"}", broken[i].spec);
    REQUIRE(!load(&z, spec, NULL));
    CHECK_INT(run(z, broken[i].text, strlen(broken[i].text), true, &a, NULL), 0);
    CHECK_MEM(a.text.data, a.text.len, broken[i].want, strlen(broken[i].want));
    places(&a, &got);
    CHECK_STR(got.data, broken[i].from);
    aligned_clear(&a);
    normalizer_free(z);
  }
  buf_clear(&got);
}

/* Random bytes: nothing is read beyond the end, and normal text normalizes to itself. */
static void any_bytes(void) {
  static const char *const forms[] = {"NFC", "NFD", "NFKC", "NFKD"};
  static const unsigned char some[] = {0x00, 'a',  0x7F, 0x80, 0xCC, 0x81, 0xCC, 0xA3, 0xE1, 0x84,
                                       0x92, 0xE1, 0x85, 0xA1, 0xED, 0xA0, 0xE0, 0x9F, 0xF0, 0x90,
                                       0xF4, 0x8F, 0xF5, 0xC0, 0xEF, 0xBC, 0xA1, 0xFF, 0xC3, 0xA9};
  uint64_t x = 7;
  for (int f = 0; f < 4; f++) {
    struct normalizer *z;
    struct aligned a = {0}, b = {0};
    char spec[64];
    snprintf(spec, sizeof spec, "{\"type\":\"%s\"}", forms[f]);
    REQUIRE(!load(&z, spec, NULL));
    for (int i = 0; i < 5000; i++) {
      char text[24];
      size_t n = step(&x, sizeof text);
      for (size_t k = 0; k < n; k++) text[k] = (char)some[step(&x, sizeof some)];
      CHECK_INT(run(z, text, n, true, &a, NULL), 0);
      CHECK_INT(run(z, a.text.data ? a.text.data : "", a.text.len, true, &b, NULL), 0);
      CHECK_MEM(b.text.data, b.text.len, a.text.data, a.text.len);
    }
    normalizer_free(z);
    aligned_clear(&a);
    aligned_clear(&b);
  }
}

/* A letter and a million marks of two classes: ordered, in linear time. */
static void marks_without_end(void) {
  struct normalizer *z;
  struct aligned a = {0};
  struct buf text;
  size_t half = 500000;
  buf_init(&text);
  buf_addc(&text, 'e');
  for (size_t i = 0; i < half; i++) buf_adds(&text, "\xCC\x84\xCC\xB1"); /* above, below */
  REQUIRE(!load(&z, "{\"type\":\"NFC\"}", NULL));
  CHECK(!normalizer_keeps(z, text.data, text.len));
  CHECK_INT(run(z, text.data, text.len, true, &a, NULL), 0);
  CHECK_INT(a.text.len, 2 + 2 * (half - 1 + half)); /* the first above is joined with the e … */
  CHECK_MEM(a.text.data, 2, "\xC4\x93", 2);
  CHECK_MEM(a.text.data + 2, 2, "\xCC\xB1", 2);
  CHECK_MEM(a.text.data + a.text.len - 2, 2, "\xCC\x84", 2);
  aligned_clear(&a);
  normalizer_free(z);
  buf_clear(&text);
}

/* Replacing a single byte has a fast way: all lengths, hits everywhere, against a plain loop. */
static void spaces_become_markers(void) {
  static const char *const contents[] = {"",        "_",        "\xE2\x96\x81",
                                         "1234567", "12345678", "123456789"};
  struct aligned a = {0};
  struct buf want;
  uint64_t x = 3;
  buf_init(&want);
  for (size_t k = 0; k < COUNT(contents); k++) {
    struct normalizer *z;
    char spec[128], text[200];
    snprintf(spec, sizeof spec,
             "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"%s\"}",
             contents[k]);
    REQUIRE(!load(&z, spec, NULL));
    for (size_t n = 0; n < sizeof text; n++) {
      size_t rare = 1 + step(&x, 20);
      buf_reset(&want);
      for (size_t i = 0; i < n; i++) {
        text[i] = step(&x, rare) ? (char)('a' + i % 26) : ' ';
        if (text[i] == ' ')
          buf_adds(&want, contents[k]);
        else
          buf_addc(&want, text[i]);
      }
      for (int track = 0; track < 2; track++) {
        CHECK_INT(run(z, text, n, track, &a, NULL), 0);
        CHECK_INT(a.text.len, want.len);
        if (want.len) CHECK_STR(a.text.data, want.data);
      }
    }
    normalizer_free(z);
  }
  buf_clear(&want);
  aligned_clear(&a);
}

/* A charsmap with characters exchanged at random: refused or used, never read beyond its end. */
static void broken_charsmaps(void) {
  static const char *const texts[] = {"xaby e\xCC\x81\xCC\xA7", "\xEF\xAC\x83\r\n\xD8\x80z\xFF",
                                      "\xE1\x84\x80\xE1\x85\xA1\xC2\xA9"};
  const char *good = cases[COUNT(cases) - 1].spec, *digits = strstr(good, "AA");
  size_t n = strlen(good), at = (size_t)(digits - good), loaded = 0;
  char *spec = mem_dup(good, n);
  uint64_t x = 11;
  REQUIRE(digits && spec);
  for (int i = 0; i < 1000; i++) {
    struct normalizer *z;
    struct aligned a = {0};
    memcpy(spec, good, n);
    for (size_t k = 0; k < 40; k++) spec[at + step(&x, n - at - 4)] = (char)('A' + step(&x, 26));
    if (load(&z, spec, NULL)) continue;
    loaded++;
    for (size_t k = 0; k < COUNT(texts); k++) {
      CHECK_INT(run(z, texts[k], strlen(texts[k]), true, &a, NULL), 0);
      for (size_t b = 0; b < a.text.len; b++) CHECK(a.start[b] <= a.end[b]);
    }
    aligned_clear(&a);
    normalizer_free(z);
  }
  CHECK(loaded > 100);
  mem_free(spec);
}

static void nothing_to_do(void) {
  struct normalizer *z;
  struct aligned a = {0};
  REQUIRE(!load(&z, "null", NULL));
  CHECK(z == NULL);
  CHECK(normalizer_keeps(NULL, "x", 1));
  CHECK_INT(run(NULL, "xy", 2, true, &a, NULL), 0);
  CHECK_MEM(a.text.data, a.text.len, "xy", 2);
  CHECK_INT(a.start[1], 1);
  CHECK_INT(a.end[1], 2);
  REQUIRE(!load(&z, "{\"type\":\"Sequence\",\"normalizers\":[]}", NULL));
  CHECK(normalizer_keeps(z, "x", 1));
  normalizer_free(z);
  normalizer_free(NULL);
  aligned_clear(&a);
  aligned_clear(&a);
}

static void refuses(const char *spec, int code, const char *part) {
  struct normalizer *z;
  struct err err = {0};
  CHECK_INT(load(&z, spec, &err), code);
  CHECK(z == NULL);
  if (!strstr(err.message, part))
    test_fail(__FILE__, __LINE__, "%s: \"%s\" lacks \"%s\"", spec, err.message, part);
  normalizer_free(z);
}

static void wrong_files(void) {
  refuses("{\"type\":\"Append\",\"append\":\"x\"}", ERR_UNSUPPORTED, "Append");
  refuses("{\"type\":\"Precompiled\"}", ERR_FORMAT, "precompiled_charsmap");
  refuses("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"\"}", ERR_FORMAT, "inside");
  refuses("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAA\"}", ERR_FORMAT, "base64");
  refuses("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"A=AA\"}", ERR_FORMAT, "base64");
  refuses("{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"/////wAAAAA=\"}", ERR_FORMAT,
          "inside");
  refuses("{\"type\":\"nfc\"}", ERR_UNSUPPORTED, "nfc");
  refuses("{}", ERR_FORMAT, "type");
  refuses("[1]", ERR_FORMAT, "type");
  refuses("\"NFC\"", ERR_FORMAT, "type");
  refuses("{\"type\":7}", ERR_FORMAT, "type");
  refuses("{\"type\":\"Prepend\"}", ERR_FORMAT, "Prepend.prepend");
  refuses("{\"type\":\"Prepend\",\"prepend\":1}", ERR_FORMAT, "Prepend.prepend");
  refuses("{\"type\":\"Strip\",\"strip_left\":true}", ERR_FORMAT, "Strip.strip_right");
  refuses("{\"type\":\"Strip\",\"strip_left\":1,\"strip_right\":true}", ERR_FORMAT, "strip_left");
  refuses("{\"type\":\"Replace\",\"pattern\":\"a\",\"content\":\"b\"}", ERR_FORMAT, "pattern");
  refuses("{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\"}}", ERR_FORMAT, "content");
  refuses("{\"type\":\"Replace\",\"pattern\":{\"String\":1},\"content\":\"\"}", ERR_FORMAT,
          "String");
  refuses("{\"type\":\"Replace\",\"pattern\":{\"String\":\"a\",\"Regex\":\"b\"},\"content\":\"\"}",
          ERR_FORMAT, "pattern");
  refuses("{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"(\"},\"content\":\"\"}", ERR_FORMAT,
          "Replace");
  refuses("{\"type\":\"BertNormalizer\"}", ERR_FORMAT, "clean_text");
  refuses("{\"type\":\"Sequence\"}", ERR_FORMAT, "normalizers");
  refuses("{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},null]}", ERR_FORMAT, "type");
  struct buf deep;
  buf_init(&deep);
  for (int i = 0; i < 40; i++) buf_adds(&deep, "{\"type\":\"Sequence\",\"normalizers\":[");
  for (int i = 0; i < 40; i++) buf_adds(&deep, "]}");
  refuses(deep.data, ERR_LIMIT, "nested");
  buf_reset(&deep);
  buf_adds(&deep, "{\"type\":\"Sequence\",\"normalizers\":[");
  for (int i = 0; i < 2000; i++) buf_addf(&deep, "%s{\"type\":\"NFC\"}", i ? "," : "");
  buf_adds(&deep, "]}");
  refuses(deep.data, ERR_LIMIT, "steps");
  buf_clear(&deep);
}

int main(void) {
  TEST(equals_the_reference);
  TEST(every_character);
  TEST(random_strings);
  TEST(spaces_are_the_classes_spaces);
  TEST(malformed_bytes_stay_and_separate);
  TEST(any_bytes);
  TEST(marks_without_end);
  TEST(spaces_become_markers);
  TEST(broken_charsmaps);
  TEST(nothing_to_do);
  TEST(wrong_files);
  return test_done();
}
