/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for json/values: the values do not depend on how the text is cut into blocks, and of an
 * array that is JSON they are its elements. */
#include "base/buf.h"
#include "json/json.h"
#include "json/values.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* All values, each with a zero byte behind it; returns how many, −1 when the text ends badly. */
static long read_all(const char *text, size_t n, size_t block, struct buf *out) {
  struct json_values *v;
  struct json_value value;
  long count = 0;
  int got = 0;
  if (json_values_new(&v, 64, NULL)) abort();
  for (size_t at = 0; at < n && got >= 0; at += block) {
    size_t left = n - at < block ? n - at : block;
    char *copy = malloc(left);
    const char *p = copy;
    memcpy(copy, text + at, left);
    while ((got = json_values_next(v, &p, &left, &value, NULL)) == 1) {
      count++;
      buf_add(out, value.too_long ? "?" : value.text, value.too_long ? 1 : value.len);
      buf_addc(out, 0);
    }
    free(copy);
  }
  if (got == 0) got = json_values_end(v, &value, NULL);
  if (got == 1) {
    count++;
    buf_add(out, value.too_long ? "?" : value.text, value.too_long ? 1 : value.len);
    buf_addc(out, 0);
  }
  json_values_free(v);
  return got < 0 ? -1 : count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  const char *text = (const char *)data + 1;
  struct buf whole, cut;
  struct json *j;
  buf_init(&whole), buf_init(&cut);
  long count = read_all(text, size - 1, size, &whole);
  if (read_all(text, size - 1, data[0] % 16 + 1, &cut) != count) abort();
  if (whole.len != cut.len || (whole.len && memcmp(whole.data, cut.data, whole.len))) abort();
  if (!json_parse(&j, text, size - 1, NULL, NULL)) {
    long elements = json_kind(j, JSON_ROOT) == JSON_ARRAY ? (long)json_count(j, JSON_ROOT) : 1;
    if (count != elements) abort();
    json_free(j);
  }
  buf_clear(&whole), buf_clear(&cut);
  return 0;
}
