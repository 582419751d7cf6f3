/* SPDX-License-Identifier: MIT */
/* Pre-tokenizers: what each of these makes of its text is what tokenizers 0.23.3 makes of it. */
#include "support/test.h"

#include "base/mem.h"
#include "tokenizer/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The words, with '|' between them; in the alphabet when the words are bytes for it. */
static int words(struct buf *out, const char *json, const char *text, size_t n, bool track,
                 bool begins, struct pieces *io, struct err *err) {
  struct json *j = NULL;
  struct pre_tokenizer *p = NULL;
  struct pieces spare = {0};
  bool alphabet = false;
  char pair[2];
  *io = (struct pieces){0};
  buf_init(out);
  int rc = json_parse(&j, json, strlen(json), NULL, err);
  if (!rc) rc = pre_tokenizer_load(&p, j, JSON_ROOT, err);
  if (!rc) {
    aligned_reset(&io->a, track);
    aligned_copy(&io->a, text, n, 0);
    io->list = mem_array(1, sizeof *io->list);
    io->list[0] = (struct piece){0, n};
    io->count = io->cap = 1;
    rc = pre_tokenizer_run(p, io, &spare, begins, &alphabet, err);
  }
  for (size_t i = 0; !rc && i < io->count; i++) {
    if (i) buf_addc(out, '|');
    for (size_t k = io->list[i].start; k < io->list[i].end; k++)
      if (pre_tokenizer_byte_level(p) && !alphabet)
        buf_add(out, pair, byte_char_put((unsigned char)io->a.text.data[k], pair));
      else
        buf_addc(out, io->a.text.data[k]);
  }
  if (!rc && !out->len) buf_adds(out, "");
  pieces_clear(&spare);
  pre_tokenizer_free(p);
  json_free(j);
  return rc;
}

static void makes(const char *json, const char *text, size_t n, bool begins, const char *want) {
  for (int track = 0; track < 2; track++) {
    struct err err = {0};
    struct pieces io;
    struct buf got;
    char line[512];
    int rc = words(&got, json, text, n, track, begins, &io, &err);
    snprintf(line, sizeof line, "%s for %s", want, json);
    if (rc || strcmp(got.data ? got.data : "", want))
      CHECK_STR(rc ? err.message : got.data ? got.data : "", line);
    buf_clear(&got);
    pieces_clear(&io);
  }
}

static void every_type_as_the_reference(void) {
  static const struct {
    const char *json, *text, *want;
  } cases[] = {
      {"null", "a b", "a b"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[]}", "a b", "a b"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Removed\",\"invert\":false}",
       "-the-final--countdown-", "the|final|countdown"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Removed\",\"invert\":true}",
       "-the-final--countdown-", "-|-|-|-|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s*\"},\"behavior\":\"Removed\",\"invert\":false}",
       "a  bé c", "a|b|é|c"},
      {"{\"type\":\"Punctuation\",\"behavior\":\"Removed\"}", "Hey!! «you», $5+3…",
       "Hey| |you| |5|3"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Isolated\",\"invert\":false}",
       "-the-final--countdown-", "-|the|-|final|-|-|countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Isolated\",\"invert\":true}",
       "-the-final--countdown-", "-|the|-|final|-|-|countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s*\"},\"behavior\":\"Isolated\",\"invert\":false}",
       "a  bé c", "a|  |b|é| |c"},
      {"{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"}", "Hey!! «you», $5+3…",
       "Hey|!|!| |«|you|»|,| |$|5|+|3|…"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false}",
       "-the-final--countdown-", "-|the-|final-|-|countdown-"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithPrevious\",\"invert\":true}",
       "-the-final--countdown-", "-the|-final|-|-countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s*\"},\"behavior\":\"MergedWithPrevious\",\"invert\":false}",
       "a  bé c", "a  |b|é |c"},
      {"{\"type\":\"Punctuation\",\"behavior\":\"MergedWithPrevious\"}", "Hey!! «you», $5+3…",
       "Hey!|!| «|you»|,| $|5+|3…"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithNext\",\"invert\":false}",
       "-the-final--countdown-", "-the|-final|-|-countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"MergedWithNext\",\"invert\":true}",
       "-the-final--countdown-", "-|the-|final-|-|countdown-"},
      {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s*\"},\"behavior\":\"MergedWithNext\",\"invert\":false}",
       "a  bé c", "a|  b|é| c"},
      {"{\"type\":\"Punctuation\",\"behavior\":\"MergedWithNext\"}", "Hey!! «you», $5+3…",
       "Hey|!|! |«you|»|, |$5|+3|…"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Contiguous\",\"invert\":false}",
       "-the-final--countdown-", "-|the|-|final|--|countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"-\"},\"behavior\":\"Contiguous\",\"invert\":true}",
       "-the-final--countdown-", "-|the|-|final|--|countdown|-"},
      {"{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\s*\"},\"behavior\":\"Contiguous\",\"invert\":false}",
       "a  bé c", "a|  |b|é| |c"},
      {"{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}", "Hey!! «you», $5+3…",
       "Hey|!!| |«|you|»,| |$|5|+|3|…"},
      {"{\"type\":\"Split\",\"pattern\":{\"String\":\"\"},\"behavior\":\"Isolated\",\"invert\":false}",
       "aé", "a|é"},
      {"{\"type\":\"Punctuation\"}", "a.b", "a|.|b"},
      {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}",
       "Hello  world's\n naïve 123", "Hello|Ġ|Ġworld|'s|Ċ|ĠnaÃ¯ve|Ġ123"},
      {"{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}",
       "Hello", "ĠHello"},
      {"{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}",
       " Hello", "ĠHello"},
      {"{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":false}",
       "a b", "ĠaĠb"},
      {"{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}",
       "", ""},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":true}",
       "a  b c ", "▁a|▁|▁b|▁c|▁"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\",\"split\":true}",
       "a b", "▁a|▁b"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"never\",\"split\":true}",
       " a b", "▁a|▁b"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":false}",
       "a b", "▁a▁b"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":true}",
       "▁a b", "▁a|▁b"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"add_prefix_space\":true,\"str_rep\":\"▁\"}",
       "a b", "▁a|▁b"},
      {"{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"add_prefix_space\":false,\"prepend_scheme\":\"never\"}",
       "a b", "a|▁b"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\",\"split\":false}]}",
       "a b", "▁a|▁|b"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"String\":\" \"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":false}]}",
       "a b", "▁a|▁|▁b"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":false},{\"type\":\"Split\",\"pattern\":{\"String\":\"▁\"},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\",\"split\":false}]}",
       "ab c", "▁|▁ab|▁|c"},
      {"{\"type\":\"Digits\",\"individual_digits\":true}", "a12½٣b", "a|1|2|½|٣|b"},
      {"{\"type\":\"Digits\",\"individual_digits\":false}", "a12½٣b", "a|12½٣|b"},
      {"{\"type\":\"Whitespace\"}", "Hey! you_2  don't «é»\xe2\x80\x8b",
       "Hey|!|you_2|don|'|t|«|é|»\xe2\x80\x8b"},
      {"{\"type\":\"WhitespaceSplit\"}", "Hey!  you　there\xe2\x80\x8bx\xc2\x85 y",
       "Hey!|you|there\xe2\x80\x8bx|y"},
      {"{\"type\":\"BertPreTokenizer\"}", "Hey friend!     How are you?!?",
       "Hey|friend|!|How|are|you|?|!|?"},
      {"{\"type\":\"CharDelimiterSplit\",\"delimiter\":\"é\"}", "aébéé", "a|b"},
      {"{\"type\":\"FixedLength\",\"length\":3}", "aébcdef", "aéb|cde|f"},
      {"{\"type\":\"FixedLength\"}", "abcdefg", "abcde|fg"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true},{\"type\":\"Digits\",\"individual_digits\":false},{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[0-9][0-9][0-9]\"},\"behavior\":\"Isolated\",\"invert\":false}]}",
       "Hey you!! 12345 cafés ½", "Hey|Ġyou|!!|Ġ|123|45|ĠcafÃ©s|ĠÂ|½"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":true}]}",
       "x 123 y", "x|Ġ|1|2|3|Ġy"},
      {"{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":false}]},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}]}",
       "é b", "ĠÄłÃĥ|Â©|Äłb"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    makes(cases[i].json, cases[i].text, strlen(cases[i].text), true, cases[i].want);
}

static void first_means_the_beginning_of_the_input(void) {
  static const char json[] =
      "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"first\"}";
  makes(json, "a b", 3, true, "▁a|▁b");
  makes(json, "a b", 3, false, "a|▁b");
}

static void malformed_bytes_pass(void) {
  makes("{\"type\":\"ByteLevel\",\"add_prefix_space\":false}", "a\xff\xe4\xb8 b\xc3", 7, true,
        "a|ÿä¸|Ġb|Ã");
  makes("{\"type\":\"Whitespace\"}", "a\xff\xe4\xb8 b", 6, true, "a|\xff\xe4\xb8|b");
  makes("{\"type\":\"FixedLength\",\"length\":2}", "a\xff\xe4\xb8", 4, true, "a\xff|\xe4\xb8");
}

static void positions_are_kept(void) {
  static const char json[] =
      "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Metaspace\",\"replacement\":\"▁\"},"
      "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false},"
      "{\"type\":\"Digits\",\"individual_digits\":false}]}";
  struct err err = {0};
  struct pieces io;
  struct buf got;
  CHECK_INT(words(&got, json, "é b1", 5, true, true, &io, &err), 0);
  CHECK_STR(got.data, "âĸģÃ©|âĸģb|1");
  /* ▁ (3 alphabet characters, 2 bytes each), é, ▁, b, 1 */
  static const uint32_t start[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2, 2, 2, 2, 3, 4},
                        end[] = {2, 2, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3, 3, 3, 3, 4, 5};
  REQUIRE(io.a.text.len == 18);
  CHECK_MEM(io.a.start, sizeof start, start, sizeof start);
  CHECK_MEM(io.a.end, sizeof end, end, sizeof end);
  buf_clear(&got);
  pieces_clear(&io);
}

static void refuses(const char *json, int code, const char *part) {
  struct err err = {0};
  struct pieces io;
  struct buf got;
  CHECK_INT(words(&got, json, "", 0, false, true, &io, &err), code);
  if (!strstr(err.message, part)) CHECK_STR(err.message, part);
  buf_clear(&got);
  pieces_clear(&io);
}

static void what_is_wrong_is_said_by_name(void) {
  struct buf deep;
  refuses("{\"type\":\"Whatever\"}", ERR_UNSUPPORTED, "pre_tokenizer Whatever is not supported");
  refuses("{}", ERR_FORMAT, "a \"type\" expected");
  refuses("{\"type\":\"Split\",\"pattern\":\"a\",\"behavior\":\"Isolated\"}", ERR_FORMAT,
          "pre_tokenizer Split: \"pattern\" is");
  refuses("{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"}}", ERR_FORMAT, "\"behavior\" is");
  refuses("{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a)\\\\1\"},\"behavior\":\"Isolated\"}",
          ERR_UNSUPPORTED, "pre_tokenizer Split: regular expression, byte 3: a back-reference");
  refuses("{\"type\":\"Metaspace\",\"replacement\":\"ab\"}", ERR_FORMAT, "one character expected");
  refuses("{\"type\":\"Metaspace\",\"replacement\":\"a\",\"add_prefix_space\":false}", ERR_FORMAT,
          "\"never\" only");
  refuses("{\"type\":\"FixedLength\",\"length\":0}", ERR_FORMAT, "at least 1");
  refuses("{\"type\":\"Sequence\",\"pretokenizers\":7}", ERR_FORMAT, "is a list");
  refuses("{\"type\":\"Digits\",\"individual_digits\":7}", ERR_FORMAT, "true or false");
  buf_init(&deep);
  for (int i = 0; i < 40; i++) buf_adds(&deep, "{\"type\":\"Sequence\",\"pretokenizers\":[");
  for (int i = 0; i < 40; i++) buf_adds(&deep, "]}");
  refuses(deep.data, ERR_LIMIT, "deeper than 16");
  buf_clear(&deep);
}

static char *slurp(const char *path, size_t *n) {
  FILE *f = fopen(path, "rb");
  char *text = NULL;
  if (!f) return NULL;
  if (!fseek(f, 0, SEEK_END)) {
    long size = ftell(f);
    rewind(f);
    text = size > 0 ? malloc((size_t)size) : NULL;
    *n = text ? fread(text, 1, (size_t)size, f) : 0;
  }
  fclose(f);
  return text;
}

static void published_files_load(void) {
  static const char *const files[] = {"tokenizers/gpt2",          "tokenizers/llama-2-metaspace",
                                      "tokenizers/llama-3.2",     "tokenizers/qwen2.5",
                                      "tokenizers/tinyllama",     "more_tokenizers/deepseek-coder",
                                      "more_tokenizers/falcon",   "more_tokenizers/deepseek-llm",
                                      "more_tokenizers/gpt-neox", "more_tokenizers/llama-2",
                                      "more_tokenizers/mixtral",  "more_tokenizers/mistral-7b-v0.3",
                                      "more_tokenizers/phi-2",    "more_tokenizers/phi-3-mini",
                                      "more_tokenizers/smollm2",  "more_tokenizers/starcoder2"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char name[128], path[1024];
    struct json *j = NULL;
    struct pre_tokenizer *p = NULL;
    struct err err = {0};
    size_t n = 0;
    snprintf(name, sizeof name, "%s/tokenizer.json", files[i]);
    const char *at = test_conformance(name);
    if (!at) return;
    snprintf(path, sizeof path, "%s", at);
    char *text = slurp(path, &n), *from = text ? memmem(text, n, "\"pre_tokenizer\"", 15) : NULL;
    REQUIRE(from);
    if (json_parse(&j, text, n, NULL, &err) ||
        pre_tokenizer_load(&p, j, json_get(j, JSON_ROOT, "pre_tokenizer"), &err))
      CHECK_STR(err.message, files[i]);
    pre_tokenizer_free(p);
    json_free(j);
    free(text);
  }
}

int main(void) {
  TEST(every_type_as_the_reference);
  TEST(first_means_the_beginning_of_the_input);
  TEST(malformed_bytes_pass);
  TEST(positions_are_kept);
  TEST(what_is_wrong_is_said_by_name);
  TEST(published_files_load);
  return test_done();
}
