/* SPDX-License-Identifier: MIT */
/* Element types and views. */
#include "support/test.h"

#include "base/rng.h"
#include "tensor/tensor.h"

#include <math.h>
#include <string.h>

static float of_bits(uint32_t u) {
  float v;
  memcpy(&v, &u, sizeof v);
  return v;
}

/* Every F16: it decodes to what its parts say, and survives the way back. */
static void f16_is_exact_both_ways(void) {
  int wrong = 0;
  for (unsigned h = 0; h < 0x10000; h++) {
    unsigned e = h >> 10 & 31, m = h & 1023;
    float v = f16_to_f32((uint16_t)h);
    if (e == 31 && m) {
      wrong += !isnan(v) || !isnan(f16_to_f32(f16_from_f32(v)));
      continue;
    }
    double want = e == 31 ? INFINITY : e == 0 ? ldexp(m, -24) : ldexp(1024 + m, (int)e - 25);
    wrong += (double)v != (h & 0x8000 ? -want : want) || f16_from_f32(v) != h;
  }
  CHECK_INT(wrong, 0);
}

/* Between two neighbours: the middle goes to the even one, its sides to the nearer one. */
static void f16_rounds_to_nearest_even(void) {
  int wrong = 0;
  for (unsigned h = 0; h < 0x7bff; h++) {
    float low = f16_to_f32((uint16_t)h), high = f16_to_f32((uint16_t)(h + 1));
    float middle = (float)(((double)low + (double)high) / 2);
    wrong += f16_from_f32(middle) != (h & 1 ? h + 1 : h);
    wrong += f16_from_f32(nextafterf(middle, 0)) != h;
    wrong += f16_from_f32(-nextafterf(middle, INFINITY)) != (h + 1) + 0x8000;
  }
  CHECK_INT(wrong, 0);
  CHECK_INT(f16_from_f32(65519.996f), 0x7bff);
  CHECK_INT(f16_from_f32(65520.0f), 0x7c00);
  CHECK_INT(f16_from_f32(-3e38f), 0xfc00);
  CHECK_INT(f16_from_f32(1e-40f), 0);
}

static void bf16_rounds_to_nearest_even(void) {
  CHECK_INT(bf16_from_f32(of_bits(0x3f808000)), 0x3f80); /* middle, even below */
  CHECK_INT(bf16_from_f32(of_bits(0x3f818000)), 0x3f82); /* middle, even above */
  CHECK_INT(bf16_from_f32(of_bits(0x3f808001)), 0x3f81);
  CHECK_INT(bf16_from_f32(of_bits(0x7f7fffff)), 0x7f80); /* rounds to infinity */
  CHECK_INT(bf16_from_f32(of_bits(0x7f800001)), 0x7fc0); /* NaN stays NaN */
  CHECK_INT(bf16_from_f32(-0.0f), 0x8000);
  int wrong = 0;
  for (unsigned h = 0; h < 0x10000; h++) {
    float v = bf16_to_f32((uint16_t)h);
    wrong += !isnan(v) && bf16_from_f32(v) != h;
  }
  CHECK_INT(wrong, 0);
}

static void vectors_convert_as_single_values_do(void) {
  enum { N = 1003 };
  static float from[N], back[N];
  static unsigned char to[2 * N + 1];
  struct rng r;
  rng_seed(&r, 5);
  for (int i = 0; i < N; i++) from[i] = of_bits((uint32_t)rng_u64(&r));
  int wrong = 0;
  for (int type = DTYPE_BF16; type <= DTYPE_F16; type++) {
    CHECK(dtype_from_f32((enum dtype)type, from, to, N));
    memmove(to + 1, to, 2 * N); /* odd addresses, as mapped files may have */
    dtype_to_f32((enum dtype)type, to + 1, back, N);
    for (int i = 0; i < N; i++) {
      uint16_t h, want = type == DTYPE_F16 ? f16_from_f32(from[i]) : bf16_from_f32(from[i]);
      memcpy(&h, to + 1 + 2 * i, 2);
      float v = type == DTYPE_F16 ? f16_to_f32(h) : bf16_to_f32(h);
      wrong += h != want || (memcmp(&v, &back[i], 4) && !isnan(v));
    }
  }
  CHECK_INT(wrong, 0);
  CHECK(!dtype_from_f32(DTYPE_Q8_0, from, to, 32));
}

static void q8_0_blocks_decode(void) {
  unsigned char block[68];
  float out[64];
  for (int b = 0; b < 2; b++) {
    uint16_t scale = f16_from_f32(b ? -2.0f : 0.5f);
    memcpy(block + 34 * b, &scale, 2);
    for (int i = 0; i < 32; i++) block[34 * b + 2 + i] = (unsigned char)(i - 16);
  }
  dtype_to_f32(DTYPE_Q8_0, block, out, 64);
  CHECK(out[0] == -8.0f && out[31] == 7.5f && out[32] == 32.0f && out[63] == -30.0f);
  CHECK_INT(dtype_bytes(DTYPE_Q8_0, 64), 68);
  CHECK(dtype_bytes(DTYPE_Q8_0, 33) == SIZE_MAX);
  CHECK(dtype_bytes(DTYPE_F32, SIZE_MAX / 2) == SIZE_MAX);
  CHECK_INT(dtype_by_name("BF16"), DTYPE_BF16);
  CHECK_INT(dtype_by_name("f64"), DTYPE_COUNT);
}

static int released;
static void release(void *owner) {
  released += *(int *)owner;
}

static void storage_lives_as_long_as_its_last_view(void) {
  float memory[12];
  int one = 1;
  size_t shape[] = {3, 4};
  struct tensor t, row, part;
  for (int i = 0; i < 12; i++) memory[i] = (float)i;
  CHECK_INT(tensor_wrap(&t, DTYPE_F32, 2, shape, memory, release, &one, NULL), 0);
  CHECK_INT(tensor_slice(&part, &t, 1, 3, NULL), 0);
  CHECK_INT(tensor_row(&row, &part, 1, NULL), 0);
  CHECK(((float *)row.data)[3] == 11 && row.rank == 1 && row.shape[0] == 4 && row.shape[1] == 1);
  CHECK_INT(tensor_outside(&t), 0);
  tensor_clear(&t);
  tensor_clear(&part);
  tensor_clear(&part);
  CHECK_INT(released, 0);
  tensor_clear(&row);
  CHECK_INT(released, 1);
}

static void shapes_are_checked(void) {
  struct tensor t, u;
  struct err err;
  char text[96];
  size_t huge[] = {SIZE_MAX / 2, 3}, odd[] = {2, 33}, fine[] = {2, 64}, none[] = {SIZE_MAX, 0};
  CHECK_INT(tensor_init(&t, DTYPE_F32, 2, huge, &err), ERR_LIMIT);
  CHECK_INT(tensor_init(&t, DTYPE_F32, 5, huge, &err), ERR_MISUSE);
  CHECK_INT(tensor_init(&t, DTYPE_Q8_0, 2, odd, &err), ERR_MISUSE);
  CHECK_INT(tensor_init(&t, DTYPE_Q8_0, 0, NULL, &err), ERR_MISUSE);
  CHECK_INT(tensor_init(&t, DTYPE_F32, 2, none, &err), 0);
  CHECK_INT(tensor_bytes(&t), 0);
  tensor_clear(&t);
  REQUIRE(!tensor_init(&t, DTYPE_Q8_0, 2, fine, &err));
  CHECK_STR(tensor_describe(&t, text), "q8_0[2, 64]");
  CHECK_INT(tensor_bytes(&t), 136);
  CHECK_INT(tensor_slice(&u, &t, 1, 3, &err), ERR_MISUSE);
  CHECK_STR(err.message, "rows 1 to 3 are outside of 2 rows");
  CHECK_INT(tensor_row(&u, &t, 2, &err), ERR_MISUSE);
  CHECK_INT(tensor_reshape(&u, &t, 2, odd, &err), ERR_MISUSE);
  CHECK_INT(tensor_convert(&u, &t, DTYPE_Q8_0, &err), ERR_UNSUPPORTED);
  CHECK_INT(tensor_convert(&u, &t, DTYPE_F16, &err), 0);
  CHECK_INT(tensor_set(&t, 0, 1, &err), ERR_UNSUPPORTED);
  CHECK_INT(tensor_set(&u, 127, 0.5, &err), 0);
  CHECK_CLOSE(tensor_get(&u, 127), 0.5, 0);
  tensor_clear(&t);
  tensor_clear(&u);
}

static void no_memory_is_an_error(void) {
  struct tensor t;
  struct err err;
  size_t shape[] = {(size_t)1 << 50};
  CHECK_INT(tensor_init(&t, DTYPE_U8, 1, shape, &err), ERR_NOMEM);
  CHECK(!t.storage);
}

int main(void) {
  TEST(f16_is_exact_both_ways);
  TEST(f16_rounds_to_nearest_even);
  TEST(bf16_rounds_to_nearest_even);
  TEST(vectors_convert_as_single_values_do);
  TEST(q8_0_blocks_decode);
  TEST(storage_lives_as_long_as_its_last_view);
  TEST(shapes_are_checked);
  TEST(no_memory_is_an_error);
  return test_done();
}
