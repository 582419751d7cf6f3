/* SPDX-License-Identifier: MIT */
/* format/safetensors: hostile files, made here one by one; round trips; index and shards. */
#include "support/test.h"

#include "base/buf.h"
#include "file/file.h"
#include "format/merge.h"
#include "format/safetensors.h"

#include <stdio.h>
#include <string.h>

static char path[8192];

static const char *in_dir(const char *name) {
  snprintf(path, sizeof path, "%s/%s", test_dir(), name);
  return path;
}

static int write_file(const char *name, const char *header, size_t data) {
  struct buf b;
  struct err err;
  buf_init(&b);
  buf_add_u64le(&b, strlen(header));
  buf_adds(&b, header);
  for (size_t i = 0; i < data; i++) buf_addc(&b, (char)i);
  int rc = file_write(in_dir(name), b.data, b.len, FILE_NO_SYNC, &err);
  buf_clear(&b);
  return rc;
}

/* "" : the file must open. Otherwise the message must contain the text. */
static void check_header(int line, const char *header, size_t data, const char *message) {
  struct safetensors *s;
  struct err err = {0};
  if (write_file("x.safetensors", header, data)) {
    test_fail(__FILE__, line, "no file");
    return;
  }
  int rc = safetensors_open(&s, path, &err);
  if (!*message && rc) test_fail(__FILE__, line, "refused: %s", err.message);
  if (*message && !rc) test_fail(__FILE__, line, "accepted: %s", header);
  if (*message && rc && !strstr(err.message, message))
    test_fail(__FILE__, line, "message: %s", err.message);
  if (!rc) safetensors_close(s);
}
#define HEADER(header, data, message) check_header(__LINE__, header, data, message)
#define T(name, type, shape, from, to)                                                             \
  "\"" name "\":{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void hostile_headers(void) {
  HEADER("{" T("a", "F32", "[2]", 0, 8) "}", 8, "");
  HEADER("{}  ", 0, "");
  HEADER("{" T("a", "F32", "[]", 0, 4) "," T("e", "F32", "[0,9]", 4, 4) "}", 4, "");
  HEADER("{" T("b", "F8_E4M3", "[8]", 8, 16) "," T("a", "I64", "[1]", 0, 8) "}", 16, "");
  HEADER("{\"__metadata__\":{\"a\":\"b\"}}", 0, "");
  HEADER("", 0, "not a safetensors file");
  HEADER(" {}", 0, "not a safetensors file");
  HEADER("{", 0, "ends early");
  HEADER("{" T("a", "F32", "[2]", 0, 8) "}", 7, "the file is cut");
  HEADER("{" T("a", "F32", "[2]", 0, 8) "}", 9, "behind the last tensor");
  HEADER("{" T("a", "F32", "[2]", 1, 9) "}", 9, "hole");
  HEADER("{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, "hole");
  HEADER("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", 12, "overlaps");
  HEADER("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 0, 8) "}", 8, "overlaps");
  HEADER("{" T("a", "F32", "[3]", 0, 8) "}", 8, "shape and dtype make 12 bytes");
  HEADER("{" T("a", "F32", "[2]", 8, 0) "}", 8, "data_offsets");
  HEADER("{" T("a", "F32", "[2]", -1, 7) "}", 8, "data_offsets");
  HEADER("{" T("a", "F32", "[2]", 0, 1e1) "}", 8, "data_offsets");
  HEADER("{" T("a", "F32", "[-2]", 0, 8) "}", 8, "whole numbers");
  HEADER("{" T("a", "F32", "[2.0]", 0, 8) "}", 8, "whole numbers");
  HEADER("{" T("a", "F32", "2", 0, 8) "}", 8, "shape is missing");
  HEADER("{" T("a", "F32", "[4294967296,4294967296]", 0, 0) "}", 0, "overflows");
  HEADER("{" T("a", "F64", "[4611686018427387904]", 0, 0) "}", 0, "overflows");
  HEADER("{" T("a", "F32", "[1,1,1,1,1,1,1,1,2]", 0, 8) "}", 8, "dimensions");
  HEADER("{" T("a", "Q4_K", "[2]", 0, 8) "}", 8, "unknown dtype \"Q4_K\"");
  HEADER("{\"a\":{\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "unknown dtype");
  HEADER("{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, "occurs twice");
  HEADER("{" T("a", "F32", "[1]", 0, 4) "," T("\\u0061", "F32", "[1]", 4, 8) "}", 8,
         "occurs twice");
  HEADER("{\"a\":1}", 0, "is not an object");
  HEADER("{\"__metadata__\":{\"a\":1}}", 0, "than strings");
  HEADER("{\"__metadata__\":[\"a\"]}", 0, "than strings");
}

static void hostile_lengths(void) {
  static const uint64_t lengths[] = {100, 99999999, (uint64_t)100 << 20, UINT64_MAX,
                                     (uint64_t)1 << 63};
  struct safetensors *s;
  struct err err;
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    struct buf b;
    buf_init(&b);
    buf_add_u64le(&b, lengths[i]);
    buf_adds(&b, "{}");
    CHECK_INT(file_write(in_dir("l"), b.data, b.len, FILE_NO_SYNC, &err), 0);
    CHECK(safetensors_open(&s, path, &err) != 0);
    buf_clear(&b);
  }
  CHECK_INT(file_write(in_dir("l"), "abc", 3, FILE_NO_SYNC, &err), 0);
  CHECK_INT(safetensors_open(&s, path, &err), ERR_FORMAT);
  CHECK_INT(safetensors_open(&s, in_dir("none"), &err), ERR_NOTFOUND);
  CHECK_INT(write_file("n", "{", 0), 0);
  CHECK(safetensors_open(&s, path, NULL) != 0); /* a caller that does not want the text */
}

static void round_trip(void) {
  static const uint64_t s23[] = {2, 3}, s4[] = {4}, s0[] = {0};
  const struct safetensors_spec specs[] = {
      {"b", DTYPE_F32, 2, s23}, {"empty", DTYPE_F32, 1, s0}, {"a\"é", DTYPE_BF16, 1, s4}};
  const char *metadata[] = {"format", "pt", NULL};
  float values[6] = {1, -2, 3.5f, 0, 1e-3f, 7}, back[6];
  struct safetensors_writer *w;
  struct safetensors *s;
  struct err err;
  REQUIRE(safetensors_create(&w, in_dir("r.safetensors"), specs, 3, metadata, &err) == 0);
  CHECK_INT(safetensors_commit(w, &err), ERR_MISMATCH);
  CHECK_INT(safetensors_write(w, values, 24, &err), 0);
  CHECK_INT(safetensors_position(w), 2);
  CHECK_INT(safetensors_write_as(w, DTYPE_F32, values, 5, &err), ERR_MISMATCH);
  CHECK_INT(safetensors_write_as(w, DTYPE_F32, values, 4, &err), 0);
  CHECK_INT(safetensors_position(w), -1);
  CHECK_INT(safetensors_write(w, values, 1, &err), ERR_MISMATCH);
  CHECK_INT(safetensors_commit(w, &err), 0);
  safetensors_discard(w);
  REQUIRE(safetensors_open(&s, path, &err) == 0);
  CHECK_INT(safetensors_count(s), 3);
  CHECK_STR(safetensors_metadata(s, "format"), "pt");
  const struct safetensors_tensor *t = safetensors_find(s, "a\"é");
  REQUIRE(t && t->dtype == DTYPE_BF16 && t->count == 4);
  CHECK_INT(safetensors_read(t, DTYPE_F32, back, &err), 0);
  CHECK(back[2] == 3.5f && back[1] == -2);
  CHECK(!safetensors_find(s, "a"));
  CHECK_INT(((uintptr_t)safetensors_find(s, "b")->data) % 8, 0);
  safetensors_close(s);
  const struct safetensors_spec twice[] = {{"b", DTYPE_F32, 1, s4}, {"b", DTYPE_F32, 1, s4}};
  CHECK_INT(safetensors_create(&w, in_dir("t"), twice, 2, NULL, &err), ERR_MISUSE);
}

static void index_and_shards(void) {
  static const char *const good =
      "{\"metadata\":{},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}";
  static const struct {
    const char *index, *message;
  } bad[] = {
      {"{\"weight_map\":{\"a\":\"m-1.safetensors\"}}", ""},
      {"{\"weight_map\":{\"a\":\"m-2.safetensors\",\"b\":\"m-2.safetensors\"}}",
       "does not say|is in no file"},
      {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-1.safetensors\"}}", "is in no file"},
      {"{\"weight_map\":{\"a\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}}", "does not say"},
      {"{\"weight_map\":{\"a\":\"../m-1.safetensors\"}}", "beside the index"},
      {"{\"weight_map\":{\"a\":\"/etc/passwd\"}}", "beside the index"},
      {"{\"weight_map\":{\"a\":3}}", "beside the index"},
      {"{\"weight_map\":{}}", "no weight_map"},
      {"{\"weight_map\":{\"a\":\"none.safetensors\"}}", "No such file"},
  };
  struct safetensors *s;
  struct err err;
  write_file("m-1.safetensors", "{" T("a", "F32", "[2]", 0, 8) "}", 8);
  write_file("m-2.safetensors", "{" T("b", "F32", "[1]", 0, 4) "}", 4);
  CHECK_INT(file_write(in_dir("model.safetensors.index.json"), good, strlen(good), 0, &err), 0);
  REQUIRE(safetensors_open(&s, test_dir(), &err) == 0);
  CHECK_INT(safetensors_count(s), 2);
  CHECK_INT(safetensors_find(s, "b")->bytes, 4);
  safetensors_close(s);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    file_write(in_dir("model.safetensors.index.json"), bad[i].index, strlen(bad[i].index), 0, &err);
    int rc = safetensors_open(&s, path, &err);
    if (!rc) safetensors_close(s);
    if (!*bad[i].message) continue; /* tensors of files that the index does not name are not seen */
    CHECK(rc != 0);
    const char *bar = strchr(bad[i].message, '|');
    if (rc && !bar && !strstr(err.message, bad[i].message))
      test_fail(__FILE__, __LINE__, "%s: %s", bad[i].index, err.message);
  }
  file_unlink(in_dir("model.safetensors.index.json"), &err);
}

static void merging_adds_the_product(void) {
  static const uint64_t w_shape[] = {3, 4}, a_shape[] = {2, 4}, b_shape[] = {3, 2};
  const struct safetensors_spec specs[] = {
      {"w", DTYPE_F32, 2, w_shape}, {"a", DTYPE_F32, 2, a_shape}, {"b", DTYPE_F32, 2, b_shape}};
  float data[12 + 8 + 6], out[12];
  struct safetensors_writer *w;
  struct safetensors *s;
  struct err err;
  for (int i = 0; i < 26; i++) data[i] = (float)(i % 7) - 3;
  REQUIRE(safetensors_create(&w, in_dir("in.safetensors"), specs, 3, NULL, &err) == 0);
  CHECK_INT(safetensors_write(w, data, sizeof data, &err), 0);
  CHECK_INT(safetensors_commit(w, &err), 0);
  safetensors_discard(w);
  REQUIRE(safetensors_open(&s, path, &err) == 0);
  const struct safetensors_tensor *base = safetensors_find(s, "w"), *a = safetensors_find(s, "a"),
                                  *b = safetensors_find(s, "b");
  REQUIRE(safetensors_create(&w, in_dir("out.safetensors"), specs, 1, NULL, &err) == 0);
  CHECK_INT(merge_lora(w, base, b, a, 1, &err), ERR_MISMATCH);
  CHECK_INT(merge_lora(w, base, a, b, 0.5, &err), 0);
  CHECK_INT(safetensors_commit(w, &err), 0);
  safetensors_discard(w);
  safetensors_close(s);
  REQUIRE(safetensors_open(&s, path, &err) == 0);
  safetensors_read(safetensors_find(s, "w"), DTYPE_F32, out, &err);
  for (int o = 0; o < 3; o++)
    for (int i = 0; i < 4; i++) {
      float sum = 0;
      for (int r = 0; r < 2; r++) sum += data[20 + o * 2 + r] * data[12 + r * 4 + i];
      CHECK(out[o * 4 + i] == data[o * 4 + i] + 0.5f * sum);
    }
  safetensors_close(s);
}

int main(void) {
  TEST(hostile_headers);
  TEST(hostile_lengths);
  TEST(round_trip);
  TEST(index_and_shards);
  TEST(merging_adds_the_product);
  return test_done();
}
