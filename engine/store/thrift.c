/* SPDX-License-Identifier: MIT */
/* Thrift's compact protocol: see thrift.h for the picture. A list is believed to have no more
 * elements than bytes are left, since each takes at least one; so no count is a promise of memory.
 */
#include "store/thrift.h"

#define DEPTH 64

uint64_t thrift_varint(struct reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    uint8_t b = reader_u8(r);
    v |= (uint64_t)(b & 0x7F) << shift;
    if (!(b & 0x80)) return v;
  }
  r->bad = true;
  return 0;
}

int64_t thrift_zigzag(struct reader *r) {
  uint64_t v = thrift_varint(r);
  return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

bool thrift_next(struct reader *r, struct thrift_field *f) {
  uint8_t head = reader_u8(r);
  f->type = head & 15;
  if (r->bad || !head) return false;
  if (!f->type || f->type > THRIFT_STRUCT) return r->bad = true, false;
  if (head >> 4) {
    f->id += head >> 4;
  } else {
    int64_t id = thrift_zigzag(r);
    if (id < INT16_MIN || id > INT16_MAX) r->bad = true;
    f->id = (int)id;
  }
  if (f->id > INT16_MAX) r->bad = true;
  return !r->bad;
}

int64_t thrift_int(struct reader *r, const struct thrift_field *f) {
  if (f->type == THRIFT_BYTE) return (int8_t)reader_u8(r);
  if (f->type == THRIFT_I16 || f->type == THRIFT_I32 || f->type == THRIFT_I64)
    return thrift_zigzag(r);
  r->bad = true;
  return 0;
}

bool thrift_bool(struct reader *r, const struct thrift_field *f) {
  if (f->type != THRIFT_TRUE && f->type != THRIFT_FALSE) r->bad = true;
  return f->type == THRIFT_TRUE && !r->bad;
}

const char *thrift_bytes(struct reader *r, const struct thrift_field *f, size_t *n) {
  *n = 0;
  if (f->type != THRIFT_BYTES) return r->bad = true, NULL;
  uint64_t size = thrift_varint(r);
  const char *bytes = reader_bytes(r, size);
  if (bytes) *n = (size_t)size;
  return bytes;
}

bool thrift_is_struct(struct reader *r, const struct thrift_field *f) {
  if (f->type != THRIFT_STRUCT) r->bad = true;
  return !r->bad;
}

size_t thrift_list(struct reader *r, const struct thrift_field *f, struct thrift_field *element) {
  element->id = 0, element->type = 0;
  if (f->type != THRIFT_LIST && f->type != THRIFT_SET) return r->bad = true, 0;
  uint8_t head = reader_u8(r);
  uint64_t count = head >> 4 == 15 ? thrift_varint(r) : head >> 4;
  element->type = head & 15;
  if (count > reader_left(r) || (count && (!element->type || element->type > THRIFT_STRUCT)))
    return r->bad = true, 0;
  return (size_t)count;
}

static void skip(struct reader *r, const struct thrift_field *f, unsigned depth);

static void skip_map(struct reader *r, unsigned depth) {
  uint64_t count = thrift_varint(r);
  if (!count) return;
  uint8_t types = reader_u8(r);
  struct thrift_field key = {0, types >> 4}, value = {0, types & 15};
  for (; count && !r->bad; count--) {
    if (key.type <= THRIFT_FALSE)
      reader_u8(r);
    else
      skip(r, &key, depth);
    if (value.type <= THRIFT_FALSE)
      reader_u8(r);
    else
      skip(r, &value, depth);
  }
}

static void skip(struct reader *r, const struct thrift_field *f, unsigned depth) {
  struct thrift_field inner = {0, 0};
  size_t n;
  if (depth > DEPTH) r->bad = true;
  if (r->bad) return;
  switch (f->type) {
  case THRIFT_TRUE:
  case THRIFT_FALSE:
    return;
  case THRIFT_BYTE:
    reader_u8(r);
    return;
  case THRIFT_I16:
  case THRIFT_I32:
  case THRIFT_I64:
    thrift_varint(r);
    return;
  case THRIFT_DOUBLE:
    reader_skip(r, 8);
    return;
  case THRIFT_BYTES:
    thrift_bytes(r, f, &n);
    return;
  case THRIFT_LIST:
  case THRIFT_SET:
    for (n = thrift_list(r, f, &inner); n && !r->bad; n--) {
      if (inner.type <= THRIFT_FALSE)
        reader_u8(r); /* a bool in a list is a byte */
      else
        skip(r, &inner, depth + 1);
    }
    return;
  case THRIFT_MAP:
    skip_map(r, depth + 1);
    return;
  case THRIFT_STRUCT:
    while (thrift_next(r, &inner)) skip(r, &inner, depth + 1);
    return;
  default:
    r->bad = true;
  }
}

void thrift_skip(struct reader *r, const struct thrift_field *f) {
  skip(r, f, 0);
}

/* ---- writing ---- */

void thrift_put_varint(struct buf *b, uint64_t v) {
  for (; v > 0x7F; v >>= 7) buf_addc(b, (char)((v & 0x7F) | 0x80));
  buf_addc(b, (char)v);
}

void thrift_put_zigzag(struct buf *b, int64_t v) {
  thrift_put_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

void thrift_put_text(struct buf *b, const void *bytes, size_t n) {
  thrift_put_varint(b, n);
  buf_add(b, bytes, n);
}

static void put_head(struct buf *b, int *last, int id, int type) {
  int delta = id - *last;
  if (delta > 0 && delta < 16) {
    buf_addc(b, (char)(delta << 4 | type));
  } else {
    buf_addc(b, (char)type);
    thrift_put_zigzag(b, id);
  }
  *last = id;
}

void thrift_put_int(struct buf *b, int *last, int id, enum thrift_type type, int64_t v) {
  put_head(b, last, id, type);
  if (type == THRIFT_BYTE)
    buf_addc(b, (char)v);
  else
    thrift_put_zigzag(b, v);
}

void thrift_put_bytes(struct buf *b, int *last, int id, const void *bytes, size_t n) {
  put_head(b, last, id, THRIFT_BYTES);
  thrift_put_text(b, bytes, n);
}

void thrift_put_list(struct buf *b, int *last, int id, enum thrift_type type, size_t count) {
  put_head(b, last, id, THRIFT_LIST);
  if (count < 15) {
    buf_addc(b, (char)(count << 4 | type));
  } else {
    buf_addc(b, (char)(0xF0 | type));
    thrift_put_varint(b, count);
  }
}

void thrift_put_struct(struct buf *b, int *last, int id) {
  put_head(b, last, id, THRIFT_STRUCT);
}

void thrift_put_stop(struct buf *b) {
  buf_addc(b, 0);
}
