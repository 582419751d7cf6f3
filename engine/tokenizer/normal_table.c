/* SPDX-License-Identifier: MIT */
/* What normalizers know about characters: tables made by tests/reference/tokenizer_normal.py, which
 * asks the reference about each. The reference follows an older Unicode than utf8proc does, so that
 * library, which serves the `clean` stage, cannot serve here.
 *
 *   decompose_blocks[decompose_index[c / 32]][c % 32] ──► decompose_pool: n, m, n bytes, m bytes
 *   lower_blocks[lower_index[c / 32]][c % 32] ──► lower_delta
 */
#include "tokenizer/normal.h"

#include "tokenizer/normal.inc"

const char *normal_decompose(uint32_t c, bool compatible, size_t *n) {
  const uint8_t *entry = decompose_pool + decompose_blocks[decompose_index[c >> 5]][c & 31];
  const uint8_t *text = entry + 2;
  if (compatible && entry[1]) {
    *n = entry[1];
    return (const char *)text + entry[0];
  }
  *n = entry[0];
  return (const char *)text;
}

static uint32_t compose_hangul(uint32_t a, uint32_t b) {
  if (a - HANGUL_L < 19 && b - HANGUL_V < 21)
    return HANGUL_BASE + ((a - HANGUL_L) * 21 + (b - HANGUL_V)) * 28;
  if (a - HANGUL_BASE < HANGUL_COUNT && (a - HANGUL_BASE) % 28 == 0 && b - HANGUL_T - 1 < 27)
    return a + (b - HANGUL_T);
  return 0;
}

uint32_t normal_compose(uint32_t a, uint32_t b) {
  uint32_t slot = (a * 31 + b * 1021) & 2047;
  for (uint64_t key = (uint64_t)a << 21 | b; compose_slots[slot]; slot = (slot + 1) & 2047)
    if (compose_slots[slot] >> 21 == key) return compose_slots[slot] & 0x1FFFFF;
  return compose_hangul(a, b);
}

uint32_t normal_lower(uint32_t c) {
  return c + (uint32_t)lower_delta[lower_blocks[lower_index[c >> 5]][c & 31]];
}
