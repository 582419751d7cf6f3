/* SPDX-License-Identifier: MIT */
/* format/gguf: hostile files, made here byte by byte; round trips; Q8_0; the rotary reordering. */
#include "support/test.h"

#include "base/buf.h"
#include "file/file.h"
#include "format/gguf.h"
#include "tensor/quant.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static char path[8192];

static const char *in_dir(const char *name) {
  snprintf(path, sizeof path, "%s/%s", test_dir(), name);
  return path;
}

static void str(struct buf *b, const char *s) {
  buf_add_u64le(b, strlen(s));
  buf_adds(b, s);
}

static void head(struct buf *b, uint64_t tensors, uint64_t keys) {
  buf_reset(b);
  buf_adds(b, "GGUF");
  buf_add_u32le(b, 3);
  buf_add_u64le(b, tensors);
  buf_add_u64le(b, keys);
}

static void tensor(struct buf *b, const char *name, uint32_t rank, uint64_t d0, uint64_t d1,
                   uint32_t type, uint64_t offset) {
  str(b, name);
  buf_add_u32le(b, rank);
  for (uint32_t i = 0; i < rank && i < 6; i++) buf_add_u64le(b, i == 0 ? d0 : i == 1 ? d1 : 1);
  buf_add_u32le(b, type);
  buf_add_u64le(b, offset);
}

static void data(struct buf *b, size_t n) {
  while (b->len % 32) buf_addc(b, 0);
  for (size_t i = 0; i < n; i++) buf_addc(b, 1);
}

static void check_bytes(int line, const struct buf *b, const char *message) {
  struct gguf *g;
  struct err err = {0};
  if (file_write(in_dir("x.gguf"), b->data, b->len, FILE_NO_SYNC, &err)) {
    test_fail(__FILE__, line, "%s", err.message);
    return;
  }
  int rc = gguf_open(&g, path, &err);
  if (!*message && rc) test_fail(__FILE__, line, "refused: %s", err.message);
  if (*message && !rc) test_fail(__FILE__, line, "accepted");
  if (*message && rc && !strstr(err.message, message))
    test_fail(__FILE__, line, "message: %s", err.message);
  if (!rc) gguf_close(g);
}
#define BYTES(b, message) check_bytes(__LINE__, b, message)

static void hostile_heads(void) {
  struct buf b;
  buf_init(&b);
  head(&b, 0, 0), BYTES(&b, "");
  b.len = 23, BYTES(&b, "ends early");
  head(&b, 0, 0), b.data[4] = 9, BYTES(&b, "version 9");
  head(&b, 0, 0), b.data[0] = 'X', BYTES(&b, "not a GGUF");
  head(&b, 0, 1), BYTES(&b, "more keys than");
  head(&b, 0, UINT64_MAX), BYTES(&b, "more keys than");
  head(&b, UINT64_MAX, 0), data(&b, 100), BYTES(&b, "more tensors than");
  head(&b, (uint64_t)1 << 61, 0), data(&b, 100), BYTES(&b, "more tensors than");
  buf_clear(&b);
}

static void hostile_keys(void) {
  struct buf b;
  buf_init(&b);
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_U32), buf_add_u32le(&b, 7), BYTES(&b, "");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, 13), buf_add_u32le(&b, 7),
      BYTES(&b, "unknown type");
  head(&b, 0, 1), buf_add_u64le(&b, UINT64_MAX), data(&b, 64), BYTES(&b, "too long");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_STRING), buf_add_u64le(&b, 1 << 20),
      BYTES(&b, "ends early");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_STRING), buf_add_u64le(&b, UINT64_MAX - 7),
      BYTES(&b, "ends early");
  head(&b, 0, 2);
  for (int i = 0; i < 2; i++) str(&b, "k"), buf_add_u32le(&b, GGUF_U32), buf_add_u32le(&b, 7);
  BYTES(&b, "occurs twice");
  /* arrays: a length that overflows, one that is too long, nested ones, an endless loop of empties
   */
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, GGUF_U64),
      buf_add_u64le(&b, (uint64_t)1 << 61), data(&b, 64), BYTES(&b, "longer than the file");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, GGUF_U8),
      buf_add_u64le(&b, 1000), BYTES(&b, "longer than the file");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, GGUF_ARRAY),
      buf_add_u64le(&b, 1), data(&b, 64), BYTES(&b, "array of arrays");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, GGUF_STRING),
      buf_add_u64le(&b, (uint64_t)1 << 63), BYTES(&b, "longer than the file");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, 99),
      buf_add_u64le(&b, 0), BYTES(&b, "unknown type");
  head(&b, 0, 1), str(&b, "k"), buf_add_u32le(&b, GGUF_BOOL), buf_addc(&b, 2), BYTES(&b, "neither");
  static const uint32_t alignments[] = {0, 1, 7, 24, 1 << 20, UINT32_MAX};
  for (size_t i = 0; i < 6; i++) {
    head(&b, 0, 1), str(&b, "general.alignment"), buf_add_u32le(&b, GGUF_U32);
    buf_add_u32le(&b, alignments[i]), BYTES(&b, "power of two");
  }
  head(&b, 0, 1), str(&b, "general.alignment"), buf_add_u32le(&b, GGUF_STRING), str(&b, "32"),
      BYTES(&b, "power of two");
  buf_clear(&b);
}

static void hostile_tensors(void) {
  struct buf b;
  buf_init(&b);
  head(&b, 1, 0), tensor(&b, "t", 2, 4, 2, 0, 0), data(&b, 32), BYTES(&b, "");
  head(&b, 1, 0), tensor(&b, "t", 2, 4, 2, 0, 0), data(&b, 31), BYTES(&b, "outside the file");
  head(&b, 1, 0), tensor(&b, "t", 2, 4, 2, 0, 32), data(&b, 32), BYTES(&b, "outside the file");
  head(&b, 1, 0), tensor(&b, "t", 2, 4, 2, 0, UINT64_MAX - 31), data(&b, 32),
      BYTES(&b, "outside the file");
  head(&b, 1, 0), tensor(&b, "t", 2, 4, 2, 0, 4), data(&b, 64), BYTES(&b, "not aligned");
  head(&b, 1, 0), tensor(&b, "t", 5, 1, 1, 0, 0), data(&b, 64), BYTES(&b, "1 to 4 dimensions");
  head(&b, 1, 0), tensor(&b, "t", UINT32_MAX, 1, 1, 0, 0), data(&b, 64), BYTES(&b, "1 to 4 dim");
  head(&b, 1, 0), tensor(&b, "t", 0, 1, 1, 0, 0), data(&b, 64), BYTES(&b, "1 to 4 dimensions");
  head(&b, 1, 0), tensor(&b, "t", 2, 0, 1, 0, 0), data(&b, 64), BYTES(&b, "dimension of 0");
  head(&b, 1, 0), tensor(&b, "t", 2, (uint64_t)1 << 40, (uint64_t)1 << 40, 0, 0), data(&b, 64),
      BYTES(&b, "more elements");
  head(&b, 1, 0), tensor(&b, "t", 1, (uint64_t)1 << 62, 1, 0, 0), data(&b, 64),
      BYTES(&b, "too large");
  head(&b, 1, 0), tensor(&b, "t", 1, 33, 1, 8, 0), data(&b, 64),
      BYTES(&b, "whole number of blocks");
  head(&b, 1, 0), tensor(&b, "t", 1, 32, 1, 4, 0), data(&b, 64), BYTES(&b, "type 4 is unknown");
  head(&b, 1, 0), tensor(&b, "t", 1, 32, 1, UINT32_MAX, 0), data(&b, 64), BYTES(&b, "is unknown");
  head(&b, 2, 0), tensor(&b, "t", 1, 16, 1, 0, 0), tensor(&b, "u", 1, 8, 1, 0, 32), data(&b, 64),
      BYTES(&b, "overlaps");
  head(&b, 2, 0), tensor(&b, "t", 1, 8, 1, 0, 0), tensor(&b, "t", 1, 8, 1, 0, 32), data(&b, 64),
      BYTES(&b, "occurs twice");
  head(&b, 1, 0), tensor(&b, "", 1, 8, 1, 0, 0), data(&b, 64), BYTES(&b, "empty");
  head(&b, 1, 0), tensor(&b, "t", 1, 8, 1, 0, 0), BYTES(&b, "data is missing");
  buf_clear(&b);
}

/* Every prefix of a good file is refused or harmless. */
static void cut_files(void) {
  struct gguf *g;
  struct err err;
  struct buf b;
  buf_init(&b);
  head(&b, 1, 2), str(&b, "k"), buf_add_u32le(&b, GGUF_STRING), str(&b, "value");
  str(&b, "l"), buf_add_u32le(&b, GGUF_ARRAY), buf_add_u32le(&b, GGUF_STRING), buf_add_u64le(&b, 2);
  str(&b, "x"), str(&b, ""), tensor(&b, "t", 2, 4, 2, 0, 0), data(&b, 32);
  BYTES(&b, "");
  for (size_t n = 0; n < b.len; n++) {
    file_write(in_dir("cut"), b.data, n, FILE_NO_SYNC, &err);
    int rc = gguf_open(&g, path, &err);
    if (!rc) {
      test_fail(__FILE__, __LINE__, "%zu bytes were accepted", n);
      gguf_close(g);
    }
  }
  buf_clear(&b);
}

static void round_trip(void) {
  static const uint64_t s2[] = {4, 32}, s1[] = {3};
  float m[128], back[128];
  struct gguf_writer *w;
  struct gguf *g;
  struct err err;
  for (int i = 0; i < 128; i++) m[i] = sinf((float)i) * 3;
  REQUIRE(gguf_create(&w, in_dir("r.gguf"), &err) == 0);
  CHECK_INT(gguf_set_string(w, "general.name", "näme", 5, &err), 0);
  CHECK_INT(gguf_set_integer(w, "a.u32", GGUF_U32, 4000000000, &err), 0);
  CHECK_INT(gguf_set_integer(w, "a.bad", GGUF_U32, -1, &err), ERR_MISUSE);
  CHECK_INT(gguf_set_integer(w, "a.u32", GGUF_U32, 1, &err), ERR_MISUSE);
  CHECK_INT(gguf_set_float(w, "a.f32", GGUF_F32, 1e-5, &err), 0);
  CHECK_INT(gguf_begin_array(w, "a.list", GGUF_STRING, 2, &err), 0);
  CHECK_INT(gguf_add_string(w, "x\0y", 3, &err), 0);
  CHECK_INT(gguf_set_integer(w, "b", GGUF_U32, 1, &err), ERR_MISUSE);
  CHECK_INT(gguf_add_string(w, "", 0, &err), 0);
  CHECK_INT(gguf_add_string(w, "", 0, &err), ERR_MISUSE);
  CHECK_INT(gguf_tensor(w, "f32", DTYPE_F32, 2, s2, &err), 0);
  CHECK_INT(gguf_tensor(w, "q8", DTYPE_Q8_0, 2, s2, &err), 0);
  CHECK_INT(gguf_tensor(w, "f16", DTYPE_F16, 1, s1, &err), 0);
  CHECK_INT(gguf_tensor(w, "odd", DTYPE_Q8_0, 1, s1, &err), ERR_MISUSE);
  CHECK_INT(gguf_tensor(w, "f16", DTYPE_F16, 1, s1, &err), ERR_MISUSE);
  CHECK_INT(gguf_write(w, DTYPE_F32, m, 3, &err), 0);
  CHECK_INT(gguf_write(w, DTYPE_F32, m, 2, &err), ERR_MISMATCH);
  CHECK_INT(gguf_write(w, DTYPE_F32, m + 96, 1, &err), 0);
  CHECK_INT(gguf_write(w, DTYPE_F32, m, 4, &err), 0);
  CHECK_INT(gguf_commit(w, &err), ERR_MISMATCH);
  CHECK_INT(gguf_write(w, DTYPE_F32, m, 1, &err), 0);
  CHECK_INT(gguf_commit(w, &err), 0);
  gguf_discard(w);
  REQUIRE(gguf_open(&g, path, &err) == 0);
  const struct gguf_value *v = gguf_find(g, "a.u32");
  const void *at = v->data;
  int64_t n;
  const char *s;
  size_t len;
  CHECK(gguf_next_integer(v, &at, &n) && n == 4000000000);
  v = gguf_find(g, "a.list");
  at = v->data;
  CHECK_INT(v->count, 2);
  CHECK(gguf_next_string(v, &at, &s, &len) && len == 3 && !memcmp(s, "x\0y", 3));
  CHECK(gguf_next_string(v, &at, &s, &len) && len == 0);
  CHECK(!gguf_next_string(v, &at, &s, &len));
  const struct gguf_tensor_info *t = gguf_tensor_find(g, "q8");
  REQUIRE(t && t->dtype == DTYPE_Q8_0 && t->rank == 2 && t->shape[0] == 4 && t->shape[1] == 32);
  CHECK_INT(t->bytes, 4 * 34);
  struct buf b;
  buf_init(&b);
  CHECK_INT(gguf_decode(t, &b, &err), 0);
  memcpy(back, b.data, sizeof back);
  for (int i = 0; i < 128; i++) CHECK_CLOSE(back[i], m[i], 3.0 / 127);
  CHECK_MEM(gguf_tensor_find(g, "f32")->data, 512, m, 512);
  CHECK_INT((uintptr_t)gguf_tensor_find(g, "f16")->data % 32, 0);
  buf_clear(&b);
  gguf_close(g);
}

static void rotary_rows(void) {
  static const uint64_t shape[] = {8, 1};
  static const float rows[] = {0, 1, 2, 3, 10, 11, 12, 13};
  static const float want[] = {0, 2, 1, 3, 10, 12, 11, 13};
  struct gguf_writer *w;
  struct gguf *g;
  struct err err;
  REQUIRE(gguf_create(&w, in_dir("p.gguf"), &err) == 0);
  CHECK_INT(gguf_tensor(w, "q", DTYPE_F32, 2, shape, &err), 0);
  CHECK_INT(gguf_write_rotary(w, DTYPE_F32, rows, 8, 3, &err), ERR_MISUSE);
  CHECK_INT(gguf_write_rotary(w, DTYPE_F32, rows, 8, 2, &err), 0);
  CHECK_INT(gguf_commit(w, &err), 0);
  gguf_discard(w);
  REQUIRE(gguf_open(&g, path, &err) == 0);
  CHECK_MEM(gguf_tensor_find(g, "q")->data, 32, want, 32);
  gguf_close(g);
}

/* Halves are rounded away from zero, ties of the scaled value included. */
static void q8_0_blocks(void) {
  float x[32] = {127, -127, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 0.49999997f, -0.49999997f, 126.5f};
  unsigned char block[34];
  signed char q[32];
  quant_q8_0(x, block, 32);
  memcpy(q, block + 2, 32);
  static const signed char want[] = {127, -127, 1, -1, 2, 3, -3, 0, 0, 127, 0};
  CHECK_MEM(q, sizeof want, want, sizeof want);
  CHECK_INT(block[0] | block[1] << 8, 0x3C00);
  memset(x, 0, sizeof x);
  quant_q8_0(x, block, 32);
  for (int i = 0; i < 34; i++) CHECK_INT(block[i], 0);
  for (int i = 0; i < 32; i++) x[i] = i % 2 ? NAN : INFINITY;
  quant_q8_0(x, block, 32); /* no undefined behaviour */
}

int main(void) {
  TEST(hostile_heads);
  TEST(hostile_keys);
  TEST(hostile_tensors);
  TEST(cut_files);
  TEST(round_trip);
  TEST(rotary_rows);
  TEST(q8_0_blocks);
  return test_done();
}
