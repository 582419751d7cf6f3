/* SPDX-License-Identifier: MIT */
/* Growable buffer; see buf.h. Capacity doubles, so n appended bytes cost O(n). */
#include "base/buf.h"
#include "base/checked.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define HUGE_FROM ((size_t)4 << 20)

void buf_init(struct buf *b) {
  *b = (struct buf){0};
}

void buf_clear(struct buf *b) {
  if (!b) return;
  mem_free(b->data);
  buf_init(b);
}

void buf_reset(struct buf *b) {
  b->len = 0;
  b->failed = false;
  if (b->data) b->data[0] = 0;
}

int buf_reserve(struct buf *b, size_t more) {
  size_t need, cap;
  if (b->failed) return ERR_NOMEM;
  if (!checked_add(b->len, more, &need) || !checked_add(need, 1, &need)) goto fail;
  if (need <= b->cap) return 0;
  cap = b->cap < 64 ? 64 : b->cap;
  while (cap < need) {
    if (!checked_mul(cap, 2, &cap)) goto fail;
  }
  char *p = mem_realloc(b->data, cap);
  if (!p) goto fail;
  b->data = p;
  b->cap = cap;
  if (cap >= HUGE_FROM) mem_huge(p, cap);
  b->data[b->len] = 0;
  return 0;
fail:
  b->failed = true;
  return ERR_NOMEM;
}

void buf_add(struct buf *b, const void *bytes, size_t n) {
  if (buf_reserve(b, n)) return;
  if (n) memcpy(b->data + b->len, bytes, n);
  b->len += n;
  b->data[b->len] = 0;
}

void buf_adds(struct buf *b, const char *s) {
  buf_add(b, s, strlen(s));
}
void buf_addc(struct buf *b, char c) {
  buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  if (n >= 0 && buf_reserve(b, (size_t)n) == 0) {
    vsnprintf(b->data + b->len, (size_t)n + 1, format, again);
    b->len += (size_t)n;
  }
  va_end(again);
  va_end(args);
}

void buf_add_u32le(struct buf *b, uint32_t v) {
  unsigned char w[4];
  for (int i = 0; i < 4; i++) w[i] = (unsigned char)(v >> (8 * i));
  buf_add(b, w, 4);
}

void buf_add_u64le(struct buf *b, uint64_t v) {
  buf_add_u32le(b, (uint32_t)v);
  buf_add_u32le(b, (uint32_t)(v >> 32));
}

int buf_check(const struct buf *b, const char *what, struct err *err) {
  return b->failed ? err_nomem(err, b->cap, what) : 0;
}

char *buf_take(struct buf *b, size_t *len) {
  if (buf_reserve(b, 0)) return NULL;
  char *p = b->data;
  if (len) *len = b->len;
  buf_init(b);
  return p;
}
