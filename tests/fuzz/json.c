/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for json/: whatever is accepted must survive being written and read again. */
#include "base/buf.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct json *j, json_id v, struct buf *scratch) {
  struct json_iter it = json_iter(j, v);
  while (json_each(&it)) {
    size_t n;
    double d;
    if (it.key != JSON_NONE) {
      const char *key = json_string(j, it.key, scratch, &n);
      if (!key || json_getn(j, v, key, n) != it.value) abort();
    }
    json_double(j, it.value, &d);
    walk(j, it.value, scratch);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct json *j, *again;
  struct buf out, scratch, twice;
  if (json_parse(&j, (const char *)data, size, NULL, NULL)) return 0;
  buf_init(&out), buf_init(&scratch), buf_init(&twice);
  walk(j, JSON_ROOT, &scratch);
  json_put_value(&out, j, JSON_ROOT, 0);
  if (json_parse(&again, out.data, out.len, NULL, NULL)) abort();
  json_put_value(&twice, again, JSON_ROOT, 0);
  if (out.len != twice.len || memcmp(out.data, twice.data, out.len)) abort();
  json_free(again);
  json_free(j);
  buf_clear(&out), buf_clear(&scratch), buf_clear(&twice);
  return 0;
}
