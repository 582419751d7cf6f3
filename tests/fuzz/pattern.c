/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for regular expressions and pre-tokenizers: a pattern, a zero byte, a text. Matches
 * go forward and lie within the text; the words of Isolated are the text again. */
#include "base/mem.h"
#include "tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct pattern *p, const char *s, size_t n) {
  struct matches m = {0};
  size_t from, to, last = 0;
  bool found;
  int rc = matches_begin(&m, p, s, n, NULL);
  while (!rc && !(rc = matches_next(&m, &found, &from, &to, NULL)) && found) {
    if (from < last || to < from || to > n) abort();
    last = to;
  }
  matches_clear(&m);
}

static void cut(const char *regex, size_t regex_n, const char *s, size_t n) {
  struct buf json;
  struct json *j = NULL;
  struct pre_tokenizer *p = NULL;
  struct pieces io = {0}, spare = {0};
  bool alphabet;
  size_t last = 0;
  buf_init(&json);
  buf_adds(&json, "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":");
  json_put_string(&json, regex, regex_n);
  buf_adds(&json, "}}");
  if (json_parse(&j, json.data, json.len, NULL, NULL) || pre_tokenizer_load(&p, j, JSON_ROOT, NULL))
    goto done;
  aligned_copy(&io.a, s, n, 0);
  io.list = mem_array(1, sizeof *io.list);
  io.list[0] = (struct piece){0, n};
  io.count = io.cap = 1;
  if (pre_tokenizer_run(p, &io, &spare, true, &alphabet, NULL)) goto done;
  for (size_t i = 0; i < io.count; last = io.list[i++].end)
    if (io.list[i].start != last || io.list[i].end <= last) abort();
  if (last != n) abort();
done:
  pieces_clear(&io);
  pieces_clear(&spare);
  pre_tokenizer_free(p);
  json_free(j);
  buf_clear(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pattern *p;
  const char *regex = (const char *)data;
  const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
  size_t regex_n = zero ? (size_t)(zero - data) : size;
  const char *text = zero ? (const char *)zero + 1 : regex;
  size_t n = zero ? size - regex_n - 1 : size;
  if (n > 4096) n = 4096; /* a slow pattern is no finding, only slow */
  if (pattern_new(&p, regex, regex_n, NULL)) return 0;
  walk(p, text, n);
  pattern_free(p);
  cut(regex, regex_n, text, n);
  return 0;
}
