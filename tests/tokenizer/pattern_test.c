/* SPDX-License-Identifier: MIT */
/* Regular expressions as the reference reads them: what each of these finds was compared with
 * tokenizers 0.23.3 (Split with "isolated" and "removed" cut where these matches say). */
#include "support/test.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"

#include <stdio.h>
#include <string.h>

static void spans(struct buf *out, const struct pattern *p, const char *s, size_t n,
                  struct err *err) {
  struct matches m = {0};
  bool found;
  size_t from, to;
  buf_init(out);
  int rc = matches_begin(&m, p, s, n, err);
  while (!rc && !(rc = matches_next(&m, &found, &from, &to, err)) && found)
    buf_addf(out, "%s%zu-%zu", out->len ? " " : "", from, to);
  if (rc) buf_addf(out, "error %d", rc);
  if (!out->len) buf_adds(out, "");
  matches_clear(&m);
}

static void finds(const char *regex, const char *text, const char *want) {
  struct pattern *p;
  struct err err = {0};
  struct buf got;
  char line[256];
  if (pattern_new(&p, regex, strlen(regex), &err)) {
    CHECK_STR(err.message, regex);
    return;
  }
  spans(&got, p, text, strlen(text), &err);
  if (strcmp(got.data ? got.data : "", want)) {
    snprintf(line, sizeof line, "%s finds %s", regex, want);
    CHECK_STR(got.data ? got.data : "", line);
  }
  buf_clear(&got);
  pattern_free(p);
}

static void what_the_reference_finds(void) {
  static const struct {
    const char *regex, *text, *want;
  } cases[] = {
      {"(?i:'s)", "'s 'S 'ſ 'ß", "0-2 3-5 6-9"},
      {"(?i:'k)", "'k 'K 'K", "0-2 3-5 6-8"},
      {"(?i:[sdmt])", "sSſdDmtT ß ﬆ", "0-1 1-2 2-4 4-5 5-6 6-7 7-8 8-9"},
      {"(?i:s+)", "ssß", "0-2"},
      {"(?i:[a-z]+)", "abcſKﬀß", "0-6"},
      {"(?i:[^s])", "sSſab", "4-5 5-6"},
      {"(?i:\\p{Lu})", "aAbſ", "1-2"},
      {"(?i:[^\\p{Lu}])", "aAbſ1", "5-6"},
      {"(?i:f)(i)", "ﬁ fi FI", "4-6"},
      {"(?i:'ll)", "'ll 'LL", "0-3 4-7"},
      {"a{2}?", "aaaaa", "0-2 2-4 5-5"},
      {"a{1,3}+", "aaaaaaa", "0-7"},
      {"a{,2}", "aaaaa", "0-2 2-4 4-5"},
      {"a{2,}?", "aaaaa", "0-2 2-4"},
      {"a{x", "a{x", "0-3"},
      {"a{,}", "a{,}", "0-4"},
      {"x{", "x{", "0-2"},
      {"a{1,3}+a", "aaaa", "0-4"},
      {"a++a", "aaa", ""},
      {"a?+a", "a", ""},
      {"$", "a\nb\n", "1-1 3-3 4-4"},
      {"\n$", "\n", "0-1"},
      {"^", "a\nb\n", "0-0 2-2"},
      {"^b", "a\nb", "2-3"},
      {"\\Z", "a\n", "1-1 2-2"},
      {"\\z", "a\n", "2-2"},
      {"\\h", "g0aF", "1-2 2-3 3-4"},
      {"\\H", "g0aF", "0-1"},
      {"\\R", "\x0d\n\n", "0-2 2-3"},
      {"\\N", "a\n", "0-1"},
      {"\\O", "a\n", "0-1 1-2"},
      {"(?m:.)", "a\n", "0-1 1-2"},
      {".", "a\n\x0d\xe2\x80\xa8", "0-1 2-3 3-6"},
      {"(?x: a b )", "ab", "0-2"},
      {"(?-i:a)", "aA", "0-1"},
      {"\\x41", "A", "0-1"},
      {"\\x{41}", "A", "0-1"},
      {"\\u0041", "A", "0-1"},
      {"\\e", "\x1b", "0-1"},
      {"\\a", "\x07", "0-1"},
      {"\\v", "\x0b", "0-1"},
      {"[]a]", "]a", "0-1 1-2"},
      {"[^]a]", "]ab", "2-3"},
      {"[a-]", "a-", "0-1 1-2"},
      {"[-a]", "a-", "0-1 1-2"},
      {"[a-c-e]", "abcde-", "0-1 1-2 2-3 4-5 5-6"},
      {"[a&&b]", "ab&", ""},
      {"[a-z&&[^aeiou]]+", "abcdef", "1-4 5-6"},
      {"[a&b]", "a&b", "0-1 1-2 2-3"},
      {"[&&a]", "a&", ""},
      {"[a&&]", "a&", ""},
      {"[^a-z&&[^aeiou]]+", "abcdef1", "0-1 4-5 6-7"},
      {"[[a]b]", "ab]", "0-1 1-2"},
      {"[[:alpha:]_]", "a_1", "0-1 1-2"},
      {"[[:^alpha:]]", "a_1", "1-2 2-3"},
      {"[:alpha:]", "alph:", "0-1 1-2 2-3 3-4 4-5"},
      {"[\\]]", "]", "0-1"},
      {"[\\b]",
       "\x08"
       "b",
       "0-1"},
      {"[\\h]", "ag", "0-1"},
      {"[\\R]", "\n", ""},
      {"[\\N]", "N", "0-1"},
      {"[\\X]", "X", "0-1"},
      {"\\p{^L}", "a1", "1-2"},
      {"\\P{L}", "a1", "1-2"},
      {"\\P{^L}", "a1", "0-1"},
      {"\\pL", "a1pL", "2-4"},
      {"\\p{Greek}", "αa", "0-2"},
      {"\\p{lu}", "aA", "1-2"},
      {"\\p{ Lu }", "aA", "1-2"},
      {"\\p{uppercase letter}", "aA", "1-2"},
      {"\\p{Lowercase-Letter}", "aA", "0-1"},
      {"(?<=a)b", "abb", "1-2"},
      {"(?<!a|bc)d", "ad bcd d", "7-8"},
      {"(?<=a|bc)d", "ad bcd d", "1-2 5-6"},
      {"a**", "aaa", "0-3"},
      {"a+*", "aaa", "0-3"},
      {"a+?*", "aaa", "0-3"},
      {"a*?+", "aaa", "0-0 1-1 2-2 3-3"},
      {"()", "ab", "0-0 1-1 2-2"},
      {"", "ab", "0-0 1-1 2-2"},
      {"a|", "ab", "0-1 2-2"},
      {"a*", "baac", "0-0 1-3 4-4"},
      {"x*", "abc", "0-0 1-1 2-2 3-3"},
      {"(?:a|)*b", "aab", "0-3"},
      {"(?:|a)*b", "aab", "0-3"},
      {"(?:|a)+b", "aab", "0-3"},
      {"\\-", "-", "0-1"},
      {"\\i", "i\\i", "0-1 2-3"},
      {"\\'", "'", "0-1"},
      {"\\/", "/", "0-1"},
      {"\\_", "_", "0-1"},
      {"\\é", "é", "0-2"},
      {"\\l", "l", "0-1"},
      {"\\Q.\\E", ".Q", ""},
      {"(?#c)a", "a", "0-1"},
      {"(?i)a|b", "AB", "0-1 1-2"},
      {"a(?i)b|c", "aB aC C", "0-2 3-5"},
      {"(?<n>a)", "a", "0-1"},
      {"(?'n'a)", "a", "0-1"},
      {"]", "]", "0-1"},
      {"}", "}", "0-1"},
      {"a{1}{2}", "aaaa", "0-2 2-4"},
      {"\\b", "ab cd", "0-0 2-2 3-3 5-5"},
      {"\\ba", "aa a", "0-1 3-4"},
      {"\\B", "ab cd", "1-1 4-4"},
      {"\\bé", "éa é", "0-2 4-6"},
      {"(?i:é)", "éÉ", "0-2 2-4"},
      {"(?i:ǆ)", "ǅ", "0-2"},
      {"(?i:i)", "iIİı", "0-1 1-2"},
      {"(?i:σ)", "Σσς", "0-2 2-4 4-6"},
      {"(?i:µ)", "μµ", "0-2 2-4"},
      {"\\d+", "12٣½²", "0-4"},
      {"[[:punct:]]", "!$+<a", "0-1 1-2 2-3 3-4"},
      {"\\p{Punct}", "!$+<a", "0-1"},
      {"[\\x{41}-\\x{43}]", "ABD", "0-1 1-2"},
      {"[\\u0041-C]", "ABD", "0-1 1-2"},
      {"[\\101]", "A", "0-1"},
      {"a{2}?b", "b aab ab", "0-1 2-5 7-8"},
      {"a{1}?b", "b ab", "0-1 2-4"},
      {"a{2}?+b", "b aab aaaab", "0-1 2-5 8-11"},
      {"^x|^", "a\nx\n", "0-0 2-3"},
      {"(?i:[^ß])", "ß ss ẞ", "2-3 3-4 4-5 5-6"},
      {"(?i:[^x])", "ß ss x X", "0-2 2-3 3-4 4-5 5-6 7-8"},
      {"(?i:[a-z]s)", "ass aß", "0-2"},
      {"(?i:x[s]s)", "xss xß", "0-3"},
      {"[\\w-]", "a-", "0-1 1-2"},
      {"[\\p{L}-]", "a-", "0-1 1-2"},
      {"[-\\w]", "a-", "0-1 1-2"},
      {"[a-z-\\d]", "a-5", "0-1 1-2 2-3"},
      {"[a-c-]", "b-", "0-1 1-2"},
      {"[+--]", "+,-.", "0-1 1-2 2-3"},
      {"[--/]", "-./", "0-1 1-2 2-3"},
      {"[a\\-z]", "a-z", "0-1 1-2 2-3"},
      {"[\\--/]", "-./", "0-1 1-2 2-3"},
      {"[a&&&b]", "a&b", ""},
      {"[a-z&&b-c&&c]", "abc", "2-3"},
      {"[^&&a]", "ab", "0-1 1-2"},
      {"[^a&&a]", "ab", "1-2"},
      {"[^^]", "^a", "1-2"},
      {"[a^]", "^a", "0-1 1-2"},
      {"[ab[^b]]", "abc", "0-1 1-2 2-3"},
      {"[^a[^b]]", "abc", "1-2"},
      {"[[^a]&&[^b]]", "abc", "2-3"},
      {"[\\p{L}&&\\p{Lu}]", "aA1", "1-2"},
      {"[\\P{L}]", "a1", "1-2"},
      {"[\\p{^L}]", "a1", "1-2"},
      {"[^\\P{L}]", "a1", "0-1"},
      {"[\\s\\S]", "a ", "0-1 1-2"},
      {"[\\n\\r]", "\n\x0d", "0-1 1-2"},
      {"[^\\n]", "\n\x0d", "1-2"},
      {"\\012", "\n", "0-1"},
      {"\\x4", "\x04", "0-1"},
      {"(?<!\\s)a", "a a ba", "0-1 5-6"},
      {"(?<=^)a", "a a\na", "0-1 4-5"},
      {"(?<=a|^)b", "b ab b", "0-1 3-4"},
      {"(?<=a$)", "a", "1-1"},
      {"a(?=b|$)", "ab a", "0-1 3-4"},
      {"(?>a+)a", "aaa", ""},
      {"(?>a|ab)c", "abc ac", "4-6"},
      {"(?mi:A.)", "a\n", "0-2"},
      {"(?i-m:A.)", "a\nab", "2-4"},
      {"(?x) a  # comment\n b", "ab", "0-2"},
      {"(?x:[ a])", "a ", "0-1 1-2"},
      {"(?x)\\ a", " a", "0-2"},
      {"(?x)a +", "aaa", "0-3"},
      {"(?i)", "a", "0-0 1-1"},
      {"(?i:)", "a", "0-0 1-1"},
      {"a(?i)", "aA", "0-1"},
      {"(?:a(?i)b)c", "aBc aBC", "0-3"},
      {"(?:a(?i)b|c)d", "aBd Cd cD", "0-3"},
      {"a(?#x)*", "aaa", "0-3"},
      {"(?:)*", "a", "0-0 1-1"},
      {"()*", "a", "0-0 1-1"},
      {"x{2,3}{2}", "xxxxxx", "0-6"},
      {"x{0}", "x", "0-0 1-1"},
      {"x{0,0}y", "xy", "1-2"},
      {"x{1,2}*", "xxx", "0-3"},
      {"x+{2}", "xxx", "0-3"},
      {"x{ 1,2}", "x{ 1,2}", "0-7"},
      {"x{1, 2}", "x{1, 2}", "0-7"},
      {"x{1", "x{1", "0-3"},
      {"x{,", "x{,", "0-3"},
      {"x{1,", "x{1,", "0-4"},
      {"x{-1}", "x{-1}", "0-5"},
      {"\\p{Any}", "a\n", "0-1 1-2"},
      {"\\p{Han}", "漢a", "0-3"},
      {"\\p{ASCII}", "aé", "0-1"},
      {"\\p{Emoji}", "😀1", "0-4 4-5"},
      {"\\p{word}", "a", "0-1"},
      {"[[:^word:]]", "a!", "1-2"},
      {"(?<a>x)(y)", "xy", "0-2"},
      {"(?<=(a))b", "ab", "1-2"},
      {"(?!a)", "ab", "1-1 2-2"},
      {"(?=)", "ab", "0-0 1-1 2-2"},
      {"(?!)", "ab", ""},
      {"(?<=)a", "ab", "0-1"},
      {"a|b|", "abc", "0-1 1-2 3-3"},
      {"(|a)", "ab", "0-0 1-1 2-2"},
      {"(a|)", "ab", "0-1 2-2"},
      {"[[:space:]]", "\xc2\x85 a", "0-2 2-3"},
      {"\\s", "\xc2\x85\xe1\xa0\x8e\xe2\x80\x8b\xc2\xa0", "0-2 8-10"},
      {"\\w", "\xcc\x81_‿a²²", "0-2 2-3 3-6 6-7 7-9 9-11"},
      {" ?[^(\\s|[.,!?…。，、।۔،])]+", "Hello, wor(ld | x!", "0-5 6-10 11-13 15-17"},
      {"\\S\\b.", "ab c", "1-3"},
      {"(?<!^)a", "aa", "1-2"},
      {"(?<=\\b)a", "ba a", "3-4"},
      {"(?<!a{2})b", "aab ab", "5-6"},
      {"\\A\\p{L}+", "ab cd", "0-2"},
      {"\\p{L}+\\z", "ab cd", "3-5"},
      {"(?i:K)", "kKK", "0-1 1-2 2-3"},
      {"(?i:ſ)", "sSſ", "0-1 1-2 2-4"},
      {"(?i:[ſ])", "sSſ", "0-1 1-2 2-4"},
      {"(?i:[K-L])", "kKKlL", "0-1 1-2 2-3 3-4 4-5"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    finds(cases[i].regex, cases[i].text, cases[i].want);
}

static void folding_knows_the_long_s_and_the_kelvin_sign(void) {
  finds("(?i:'s|'k)", "'\xc5\xbf '\xe2\x84\xaa 'K '\xc3\x9f", "0-3 4-8 9-11");
}

static void words_in_classes_lack_the_superscripts(void) {
  finds("\\w+", "a²", "0-3");
  finds("[\\w]+", "a²", "0-1");
  finds("[^\\w\\s]+", "a²½", "1-5");
  finds("[[:word:]]", "²", "");
  finds("\\p{Word}", "²", "0-2");
  finds("a\\b", "a²", "");
}

static void empty_matches(void) {
  finds("^.*$", "ab\n\n", "0-2 3-3");
  finds("a*", "baac", "0-0 1-3 4-4");
}

static void atomic_groups_take_nothing_from_what_is_before(void) {
  finds("\\d+(?:kk)?+\\d", "x86", "1-3");
  finds("\\d+(?>(?:kk)?)6", "x86", "1-3");
}

static void machine_code_is_not_trusted_with_what_is_lazy(void) {
  finds("(?>a*?.??b+|)\\)", "a)b", "");
}

static void refuses(const char *regex, int code, const char *part) {
  struct pattern *p;
  struct err err = {0};
  CHECK_INT(pattern_new(&p, regex, strlen(regex), &err), code);
  if (!strstr(err.message, part)) CHECK_STR(err.message, part);
  CHECK(p == NULL);
}

static void what_cannot_be_said_exactly_is_refused_by_name(void) {
  refuses("(a)\\1", ERR_UNSUPPORTED, "byte 3: a back-reference");
  refuses("a\\Kb", ERR_UNSUPPORTED, "byte 1: \\K");
  refuses("\\X", ERR_UNSUPPORTED, "\\X");
  refuses("(?~a)", ERR_UNSUPPORTED, "byte 0: this group");
  refuses("(?i:ss)", ERR_UNSUPPORTED, "byte 5: U+00DF");
  refuses("(?i:[\\p{L}])", ERR_UNSUPPORTED, "byte 4: a class in (?i:…)");
  refuses("\\p{Klingon}", ERR_UNSUPPORTED, "byte 0: the property {Klingon}");
  refuses("[^[^\\s\\S]a]", ERR_UNSUPPORTED, "leaves nothing beyond ASCII");
  refuses("(?i:-|(?=(?!ab)-)){2}", ERR_UNSUPPORTED, "byte 18: repeating what may be empty");
  refuses("(?:a|b?){,2}", ERR_UNSUPPORTED, "byte 8: repeating what may be empty");
  refuses("a{2,1}", ERR_UNSUPPORTED, "byte 1: an interval");
  refuses("\\xe9", ERR_UNSUPPORTED, "a raw byte");
  refuses("(a", ERR_FORMAT, "byte 0: a group without )");
  refuses("a)", ERR_FORMAT, "byte 1");
  refuses("[a", ERR_FORMAT, "a class without ]");
  refuses("^*", ERR_FORMAT, "byte 1: nothing here to repeat");
  refuses("[z-a]", ERR_FORMAT, "an empty range");
  refuses("\\p{L", ERR_FORMAT, "\\p{ without }");
  refuses("\\", ERR_FORMAT, "a backslash at the end");
  refuses("\xff", ERR_FORMAT, "not UTF-8");
  refuses("a{70000}", ERR_LIMIT, "65535");
}

static void what_is_too_large_is_refused(void) {
  struct buf b;
  buf_init(&b);
  for (int i = 0; i < 100; i++) buf_adds(&b, "(?:");
  refuses(b.data, ERR_LIMIT, "deeper than 64");
  buf_reset(&b);
  for (int i = 0; i < 100; i++) buf_addc(&b, '[');
  refuses(b.data, ERR_LIMIT, "deeper than 64");
  buf_reset(&b);
  for (int i = 0; i < 70000; i++) buf_addc(&b, 'a');
  refuses(b.data, ERR_LIMIT, "65536 bytes");
  buf_reset(&b);
  refuses("(?:(?:(?:a{999}){999}){999}){999}", ERR_LIMIT, "regular expression");
  buf_clear(&b);
}

static void a_bomb_ends(void) {
  struct pattern *p;
  struct err err = {0};
  struct buf text, got;
  buf_init(&text);
  for (int i = 0; i < 40; i++) buf_addc(&text, 'a');
  buf_addc(&text, 'b');
  REQUIRE(!pattern_new(&p, "(?:a+)+$", 8, &err));
  spans(&got, p, text.data, text.len, &err);
  CHECK_STR(got.data, "error 4");
  CHECK(strstr(err.message, "backtracks"));
  buf_clear(&got);
  buf_clear(&text);
  pattern_free(p);
}

static void malformed_bytes_are_in_negated_classes_only(void) {
  finds("\\w+", "a\xff\xc3", "0-1");
  finds("[^\\s\\p{L}\\p{N}]+", "a\xff\xe4\xb8 \xc3", "1-4 5-6");
  finds(".", "\xf0\x9f", "0-1 1-2");
  finds("\\p{Any}", "\xf0\x9f", "");
}

/* 300 different characters: more than one byte can say. */
static void many_kinds(void) {
  struct buf regex, text;
  char one[4];
  buf_init(&regex);
  buf_init(&text);
  for (uint32_t c = 0x4E00; c < 0x4E00 + 300; c++) {
    size_t n = utf8_encode(c, one);
    if (regex.len) buf_addc(&regex, '|');
    buf_add(&regex, one, n);
    buf_addc(&regex, '+');
    if (c > 0x4E00 + 296) buf_add(&text, one, n);
    if (c > 0x4E00 + 296) buf_add(&text, one, n);
  }
  buf_adds(&text, "x");
  finds(regex.data, text.data, "0-6 6-12 12-18");
  buf_clear(&regex);
  buf_clear(&text);
}

static void literals(void) {
  struct pattern *p;
  struct err err = {0};
  struct buf got;
  REQUIRE(!pattern_literal(&p, "..", 2, &err));
  spans(&got, p, "a...b....", 9, &err);
  CHECK_STR(got.data, "1-3 5-7 7-9");
  buf_clear(&got);
  pattern_free(p);
  REQUIRE(!pattern_literal(&p, "", 0, &err));
  spans(&got, p, "aé", 3, &err);
  CHECK_STR(got.data, "0-0 1-1 3-3");
  buf_clear(&got);
  pattern_free(p);
}

static void find_starts_anywhere(void) {
  struct pattern *p;
  struct err err = {0};
  bool found;
  size_t from, to;
  REQUIRE(!pattern_new(&p, "(?<=é)b|z", 11, &err));
  CHECK(!pattern_find(p, "zébéb", 7, 1, &found, &from, &to, &err));
  CHECK(found && from == 3 && to == 4);
  CHECK(!pattern_find(p, "zébéb", 7, 4, &found, &from, &to, &err));
  CHECK(found && from == 6 && to == 7);
  CHECK(!pattern_find(p, "zébéb", 7, 7, &found, &from, &to, &err));
  CHECK(!found);
  pattern_free(p);
}

int main(void) {
  TEST(what_the_reference_finds);
  TEST(folding_knows_the_long_s_and_the_kelvin_sign);
  TEST(words_in_classes_lack_the_superscripts);
  TEST(empty_matches);
  TEST(atomic_groups_take_nothing_from_what_is_before);
  TEST(machine_code_is_not_trusted_with_what_is_lazy);
  TEST(what_cannot_be_said_exactly_is_refused_by_name);
  TEST(what_is_too_large_is_refused);
  TEST(a_bomb_ends);
  TEST(malformed_bytes_are_in_negated_classes_only);
  TEST(many_kinds);
  TEST(literals);
  TEST(find_starts_anywhere);
  return test_done();
}
