/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for json/record: a record, a zero byte, a value. An untouched record is written
 * as it came; with the value assigned to each of its fields in turn, and removed again, it stays
 * JSON that can be read. */
#include "base/buf.h"
#include "json/record.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_parse(struct record *r) {
  struct buf out;
  struct record *again;
  buf_init(&out);
  record_encode(record_root(r), &out);
  if (record_parse(&again, out.data, out.len, NULL, NULL)) abort();
  record_free(again);
  buf_clear(&out);
}

static void change(struct record *r, const char *value, size_t n) {
  struct record_node *root = record_root(r);
  struct buf scratch;
  struct record_value v;
  const struct json *j;
  json_id key;
  size_t at = 0, length, turn = 0;
  buf_init(&scratch);
  while (turn++ < 16 && record_next(root, &at, &j, &key, &v, NULL) == 1) {
    const char *name = json_string(j, key, &scratch, &length);
    if (!name) abort();
    if (v.node && record_count(v.node) && record_is_array(v.node))
      record_set_at(v.node, record_count(v.node) - 1, value, n, NULL);
    if (turn % 3 == 0)
      record_set(root, name, length, NULL, 0, NULL);
    else
      record_set(root, name, length, value, n, NULL);
    must_parse(r);
  }
  record_set(root, "new", 3, value, n, NULL);
  record_find(root, "new.a.1", 7, &v, NULL);
  must_parse(r);
  buf_clear(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct record *r;
  struct buf out;
  const uint8_t *mark = memchr(data, 0, size);
  size_t n = mark ? (size_t)(mark - data) : size;
  if (record_parse(&r, (const char *)data, n, NULL, NULL)) return 0;
  buf_init(&out);
  record_encode(record_root(r), &out);
  struct record *again;
  if (record_parse(&again, out.data, out.len, NULL, NULL)) abort();
  record_free(again);
  out.len = 0;
  if (record_show(record_root(r), &out, NULL)) abort();
  if (mark) change(r, (const char *)mark + 1, size - n - 1);
  record_free(r);
  buf_clear(&out);
  return 0;
}
