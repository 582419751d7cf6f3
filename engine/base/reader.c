/* SPDX-License-Identifier: MIT */
/* Bounded little-endian reader; see reader.h. */
#include "base/reader.h"

#include <string.h>

static const unsigned char nothing[8];

void reader_init(struct reader *r, const void *bytes, size_t n) {
  r->start = r->p = bytes ? bytes : nothing;
  r->end = r->start + (bytes ? n : 0);
  r->bad = false;
}

size_t reader_at(const struct reader *r) {
  return (size_t)(r->p - r->start);
}
size_t reader_left(const struct reader *r) {
  return r->bad ? 0 : (size_t)(r->end - r->p);
}

const void *reader_bytes(struct reader *r, uint64_t n) {
  if (r->bad || n > (uint64_t)(r->end - r->p)) {
    r->bad = true;
    return NULL;
  }
  const void *at = r->p;
  r->p += n;
  return at;
}

bool reader_skip(struct reader *r, uint64_t n) {
  return reader_bytes(r, n) != NULL;
}

bool reader_seek(struct reader *r, uint64_t offset) {
  if (r->bad || offset > (uint64_t)(r->end - r->start)) {
    r->bad = true;
    return false;
  }
  r->p = r->start + offset;
  return true;
}

static uint64_t little(struct reader *r, unsigned n) {
  const unsigned char *p = reader_bytes(r, n);
  uint64_t v = 0;
  if (!p) return 0;
  for (unsigned i = 0; i < n; i++) v |= (uint64_t)p[i] << (8 * i);
  return v;
}

uint8_t reader_u8(struct reader *r) {
  return (uint8_t)little(r, 1);
}
uint16_t reader_u16(struct reader *r) {
  return (uint16_t)little(r, 2);
}
uint32_t reader_u32(struct reader *r) {
  return (uint32_t)little(r, 4);
}
uint64_t reader_u64(struct reader *r) {
  return little(r, 8);
}
int32_t reader_i32(struct reader *r) {
  return (int32_t)(uint32_t)little(r, 4);
}
int64_t reader_i64(struct reader *r) {
  return (int64_t)little(r, 8);
}

float reader_f32(struct reader *r) {
  uint32_t bits = reader_u32(r);
  float v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

double reader_f64(struct reader *r) {
  uint64_t bits = reader_u64(r);
  double v;
  memcpy(&v, &bits, sizeof v);
  return v;
}

int reader_check(const struct reader *r, const char *what, struct err *err) {
  return r->bad ? err_set(err, ERR_FORMAT, "%s: ends early at byte %zu of %zu", what, reader_at(r),
                          (size_t)(r->end - r->start))
                : 0;
}
