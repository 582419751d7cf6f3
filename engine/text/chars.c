/* SPDX-License-Identifier: MIT */
/* Classes of characters; see chars.h. */
#include "text/chars.h"

#include <stddef.h>
#include <utf8proc.h>

#define S  CHAR_SPACE
#define N  (CHAR_SPACE | CHAR_LINE)
#define L  (CHAR_LETTER | CHAR_WORD)
#define D  (CHAR_NUMBER | CHAR_WORD)
#define W  CHAR_WORD
#define J  CHAR_JOIN
#define E  CHAR_END
#define EJ (CHAR_END | CHAR_JOIN)

const unsigned char char_ascii[128] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, S, N, N, N, N, 0,  0, /* 00 */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, N, N,  S, /* 10 */
    S, E, 0, 0, 0, 0, 0, J, 0, 0, 0, 0, J, 0, EJ, 0, /* 20: ! ' , . */
    D, D, D, D, D, D, D, D, D, D, J, 0, 0, 0, 0,  E, /* 30: : ? */
    J, L, L, L, L, L, L, L, L, L, L, L, L, L, L,  L, /* 40: @ */
    L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0,  W, /* 50: _ */
    0, L, L, L, L, L, L, L, L, L, L, L, L, L, L,  L, /* 60 */
    L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0,  0, /* 70 */
};

/* Sentence_Terminal above U+007F, Unicode 15. */
static const struct {
  uint32_t from, to;
} ends[] = {
    {0x589, 0x589},     {0x61d, 0x61f},     {0x6d4, 0x6d4},     {0x700, 0x702},
    {0x7f9, 0x7f9},     {0x837, 0x837},     {0x839, 0x839},     {0x83d, 0x83e},
    {0x964, 0x965},     {0x104a, 0x104b},   {0x1362, 0x1362},   {0x1367, 0x1368},
    {0x166e, 0x166e},   {0x1735, 0x1736},   {0x17d4, 0x17d5},   {0x1803, 0x1803},
    {0x1809, 0x1809},   {0x1944, 0x1945},   {0x1aa8, 0x1aab},   {0x1b5a, 0x1b5b},
    {0x1b5e, 0x1b5f},   {0x1b7d, 0x1b7e},   {0x1c3b, 0x1c3c},   {0x1c7e, 0x1c7f},
    {0x203c, 0x203d},   {0x2047, 0x2049},   {0x2e2e, 0x2e2e},   {0x2e3c, 0x2e3c},
    {0x2e53, 0x2e54},   {0x3002, 0x3002},   {0xa4ff, 0xa4ff},   {0xa60e, 0xa60f},
    {0xa6f3, 0xa6f3},   {0xa6f7, 0xa6f7},   {0xa876, 0xa877},   {0xa8ce, 0xa8cf},
    {0xa92f, 0xa92f},   {0xa9c8, 0xa9c9},   {0xaa5d, 0xaa5f},   {0xaaf0, 0xaaf1},
    {0xabeb, 0xabeb},   {0xfe52, 0xfe52},   {0xfe56, 0xfe57},   {0xff01, 0xff01},
    {0xff0e, 0xff0e},   {0xff1f, 0xff1f},   {0xff61, 0xff61},   {0x10a56, 0x10a57},
    {0x10f55, 0x10f59}, {0x10f86, 0x10f89}, {0x11047, 0x11048}, {0x110be, 0x110c1},
    {0x11141, 0x11143}, {0x111c5, 0x111c6}, {0x111cd, 0x111cd}, {0x111de, 0x111df},
    {0x11238, 0x11239}, {0x1123b, 0x1123c}, {0x112a9, 0x112a9}, {0x1144b, 0x1144c},
    {0x115c2, 0x115c3}, {0x115c9, 0x115d7}, {0x11641, 0x11642}, {0x1173c, 0x1173e},
    {0x11944, 0x11944}, {0x11946, 0x11946}, {0x11a42, 0x11a43}, {0x11a9b, 0x11a9c},
    {0x11c41, 0x11c42}, {0x11ef7, 0x11ef8}, {0x11f43, 0x11f44}, {0x16a6e, 0x16a6f},
    {0x16af5, 0x16af5}, {0x16b37, 0x16b38}, {0x16b44, 0x16b44}, {0x16e98, 0x16e98},
    {0x1bc9f, 0x1bc9f}, {0x1da88, 0x1da88},
};

static unsigned sentence_end(uint32_t c) {
  size_t low = 0, high = sizeof ends / sizeof *ends;
  while (low < high) {
    size_t mid = low + (high - low) / 2;
    if (ends[mid].to < c)
      low = mid + 1;
    else
      high = mid;
  }
  return low < sizeof ends / sizeof *ends && ends[low].from <= c ? CHAR_END : 0;
}

unsigned char_other(uint32_t c) {
  if (c == 0x85 || c == 0x2028 || c == 0x2029) return CHAR_SPACE | CHAR_LINE;
  if (c == 0x2019) return CHAR_JOIN;
  if (c > 0x10ffff) return 0;
  switch (utf8proc_category((utf8proc_int32_t)c)) {
  case UTF8PROC_CATEGORY_LU:
  case UTF8PROC_CATEGORY_LL:
  case UTF8PROC_CATEGORY_LT:
  case UTF8PROC_CATEGORY_LM:
  case UTF8PROC_CATEGORY_LO:
    return L;
  case UTF8PROC_CATEGORY_MN:
  case UTF8PROC_CATEGORY_MC:
  case UTF8PROC_CATEGORY_ME:
    return CHAR_MARK | CHAR_WORD;
  case UTF8PROC_CATEGORY_ND:
  case UTF8PROC_CATEGORY_NL:
  case UTF8PROC_CATEGORY_NO:
    return D;
  case UTF8PROC_CATEGORY_ZS:
    return S;
  default:
    return sentence_end(c);
  }
}
