/* SPDX-License-Identifier: MIT */
/* Parquet's encodings (parquet-format, Encodings.md), each a small machine that gives the next value.
 *
 *   runs       varint head; head & 1: (head >> 1) × 8 values packed, least bit first; else
 *              head >> 1 times the value that follows in ⌈width / 8⌉ bytes
 *   deltas     block, miniblocks, count, first value; then blocks of [least delta][widths][packed]
 *   lengths    deltas of the lengths, then all bytes
 *   prefixes   deltas of the shared prefixes' lengths, then the rest as `lengths`
 *   split      first bytes of all values, then second bytes …
 */
#include "store/parquet_values.h"

#include "base/mem.h"

#include <string.h>

size_t pq_type_width(enum pq_type type, int32_t length) {
  static const unsigned char widths[] = {1, 4, 8, 12, 4, 8, 0};
  return type == PQ_FIXED ? (size_t)length : widths[type];
}

unsigned pq_bits(uint32_t most) {
  return most ? 32u - (unsigned)__builtin_clz(most) : 0;
}

static bool varint(const unsigned char **p, const unsigned char *end, uint64_t *out) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
    unsigned char b = *(*p)++;
    v |= (uint64_t)(b & 0x7F) << shift;
    if (!(b & 0x80)) return *out = v, true;
  }
  return false;
}

/* `width` ≤ 64 bits that begin at bit `at` of p; the caller knows that they are there. */
static uint64_t bits_at(const unsigned char *p, uint64_t at, unsigned width) {
  uint64_t v = 0;
  if (!width) return 0;
  size_t first = (size_t)(at / 8), last = (size_t)((at + width - 1) / 8);
  unsigned shift = at % 8;
  for (size_t i = first; i <= last && i < first + 8; i++) v |= (uint64_t)p[i] << 8 * (i - first);
  v >>= shift;
  if (last - first == 8) v |= (uint64_t)p[last] << (64 - shift);
  return width == 64 ? v : v & (((uint64_t)1 << width) - 1);
}

/* ---- runs ---- */

void pq_runs_init(struct pq_runs *r, const unsigned char *bytes, size_t n, unsigned width) {
  *r = (struct pq_runs){.p = bytes, .end = bytes + n, .width = width};
}

#define MSB_FIRST 64 /* added to the width of deprecated levels */

void pq_runs_init_packed(struct pq_runs *r, const unsigned char *bytes, size_t n, unsigned width) {
  *r = (struct pq_runs){.p = bytes + n, .end = bytes + n, .width = width | MSB_FIRST};
  r->packed = bytes;
  r->left = width ? n * 8 / width : UINT64_MAX;
}

static uint32_t msb_bits(const struct pq_runs *r, unsigned width) {
  uint32_t v = 0;
  for (unsigned i = 0; i < width; i++) {
    uint64_t at = r->at + i;
    v = v << 1 | (r->packed[at / 8] >> (7 - at % 8) & 1);
  }
  return v;
}

static bool next_run(struct pq_runs *r) {
  uint64_t head;
  do {
    if (!varint(&r->p, r->end, &head)) return false;
    if (head & 1) {
      uint64_t groups = head >> 1, room = (uint64_t)(r->end - r->p);
      /* the last group may be cut short */
      if (r->width && groups > room / r->width + 1) return false;
      uint64_t bytes = groups * r->width < room ? groups * r->width : room;
      r->packed = r->p, r->at = 0;
      r->left = r->width ? bytes * 8 / r->width : groups * 8;
      if (r->left > groups * 8) r->left = groups * 8;
      r->p += bytes;
    } else {
      unsigned bytes = (r->width + 7) / 8;
      if ((size_t)(r->end - r->p) < bytes) return false;
      r->value = (uint32_t)bits_at(r->p, 0, bytes * 8);
      r->p += bytes;
      r->packed = NULL, r->left = head >> 1;
    }
  } while (!r->left);
  return true;
}

bool pq_runs_next(struct pq_runs *r, uint32_t *out) {
  if (!r->left && !next_run(r)) return false;
  r->left--;
  if (!r->packed) return *out = r->value, true;
  if (r->width & MSB_FIRST) {
    unsigned width = r->width & ~(unsigned)MSB_FIRST;
    *out = msb_bits(r, width);
    return r->at += width, true;
  }
  *out = (uint32_t)bits_at(r->packed, r->at, r->width);
  r->at += r->width;
  return true;
}

/* ---- deltas ---- */

static uint64_t unzigzag(uint64_t v) {
  return v >> 1 ^ (0 - (v & 1));
}

bool pq_deltas_init(struct pq_deltas *d, const unsigned char *bytes, size_t n) {
  uint64_t minis = 0, first = 0;
  *d = (struct pq_deltas){.p = bytes, .end = bytes + n};
  if (!varint(&d->p, d->end, &d->block) || !varint(&d->p, d->end, &minis) ||
      !varint(&d->p, d->end, &d->left) || !varint(&d->p, d->end, &first))
    return false;
  if (!d->block || d->block % 128 || d->block > 1u << 24 || !minis || d->block % minis)
    return false;
  d->mini = d->block / minis;
  d->value = unzigzag(first);
  return d->mini % 8 == 0;
}

static bool next_mini(struct pq_deltas *d) {
  if (!d->minis_left) {
    uint64_t least;
    d->minis_left = d->block / d->mini;
    if (!varint(&d->p, d->end, &least) || (uint64_t)(d->end - d->p) < d->minis_left) return false;
    d->least = unzigzag(least);
    d->widths = d->p;
    d->p += d->minis_left;
  }
  d->width = *d->widths++;
  d->minis_left--;
  if (d->width > 64) return false;
  uint64_t bytes = d->mini / 8 * d->width, room = (uint64_t)(d->end - d->p);
  uint64_t values = d->left < d->mini ? d->left : d->mini;
  /* some writers leave the padding of the last miniblock out */
  if (bytes > room && (values * d->width + 7) / 8 > room) return false;
  d->packed = d->p, d->at = 0, d->in_mini = d->mini;
  d->p += bytes < room ? bytes : room;
  return true;
}

bool pq_deltas_next(struct pq_deltas *d, int64_t *out) {
  if (!d->left) return false;
  if (!d->begun) {
    d->begun = true;
  } else {
    if (!d->in_mini && !next_mini(d)) return false;
    d->value += d->least + bits_at(d->packed, d->at, d->width);
    d->at += d->width, d->in_mini--;
  }
  d->left--;
  *out = (int64_t)d->value;
  return true;
}

const unsigned char *pq_deltas_end(struct pq_deltas d) {
  if (d.left && !d.begun) d.begun = true, d.left--;
  while (d.left) {
    if (!d.in_mini && !next_mini(&d)) return NULL;
    uint64_t n = d.left < d.in_mini ? d.left : d.in_mini;
    d.left -= n, d.in_mini -= n;
  }
  return d.p;
}

/* ---- dictionaries ---- */

void pq_dictionary_clear(struct pq_dictionary *d) {
  buf_clear(&d->bytes);
  mem_free(d->offsets);
  *d = (struct pq_dictionary){0};
}

static uint32_t u32_at(const unsigned char *p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int pq_dictionary_index(struct pq_dictionary *d, enum pq_type type, int32_t length, uint32_t count,
                        struct err *err) {
  d->width = pq_type_width(type, length);
  d->count = count;
  mem_free(d->offsets);
  d->offsets = NULL;
  if (type != PQ_BYTE_ARRAY) {
    if ((uint64_t)count * d->width <= d->bytes.len && type != PQ_BOOLEAN) return 0;
    return err_set(err, ERR_FORMAT, "a dictionary lacks values that it promises");
  }
  if (count > d->bytes.len / 4)
    return err_set(err, ERR_FORMAT, "a dictionary lacks values that it promises");
  if (!(d->offsets = mem_array((size_t)count + 1, sizeof *d->offsets)))
    return err_nomem(err, 4ull * count, "a Parquet dictionary");
  size_t at = 0;
  for (uint32_t i = 0; i < count; i++) {
    d->offsets[i] = (uint32_t)at;
    if (d->bytes.len - at < 4) break;
    uint32_t n = u32_at((unsigned char *)d->bytes.data + at);
    if (n > d->bytes.len - at - 4)
      return err_set(err, ERR_FORMAT, "a dictionary's value %u is longer than its page", i);
    at += 4 + (size_t)n;
    if (i + 1 < count && d->bytes.len - at < 4)
      return err_set(err, ERR_FORMAT, "a dictionary lacks values that it promises");
  }
  d->offsets[count] = (uint32_t)at;
  return 0;
}

static bool dictionary_value(const struct pq_dictionary *d, uint32_t i, struct pq_value *out) {
  if (i >= d->count) return false;
  const unsigned char *bytes = (const unsigned char *)d->bytes.data;
  if (d->offsets) {
    out->p = bytes + d->offsets[i] + 4;
    out->n = d->offsets[i + 1] - d->offsets[i] - 4;
  } else {
    out->p = bytes + (size_t)i * d->width;
    out->n = d->width;
  }
  return true;
}

/* ---- values ---- */

static int damaged(struct err *err, const char *what) {
  return err_set(err, ERR_FORMAT, "damaged %s values", what);
}

static bool delta_types(enum pq_type type) {
  return type == PQ_INT32 || type == PQ_INT64;
}

/* Lengths, and where the bytes behind them are. */
static bool init_lengths(struct pq_values *v, const unsigned char *p) {
  if (!p || !pq_deltas_init(&v->deltas, p, (size_t)(v->end - p))) return false;
  v->p = pq_deltas_end(v->deltas);
  return v->p != NULL;
}

static int init_delta(struct pq_values *v, int encoding, struct err *err) {
  bool fine;
  if (encoding == PQ_DELTA_BINARY_PACKED) {
    fine = delta_types(v->type) && pq_deltas_init(&v->deltas, v->p, (size_t)(v->end - v->p));
  } else if (encoding == PQ_DELTA_LENGTH_BYTE_ARRAY) {
    fine = v->type == PQ_BYTE_ARRAY && init_lengths(v, v->p);
  } else {
    fine = (v->type == PQ_BYTE_ARRAY || v->type == PQ_FIXED) &&
           pq_deltas_init(&v->prefixes, v->p, (size_t)(v->end - v->p)) &&
           init_lengths(v, pq_deltas_end(v->prefixes));
    buf_reset(&v->previous);
  }
  return fine ? 0 : damaged(err, "delta");
}

static int init_indices(struct pq_values *v, struct err *err) {
  if (!v->dictionary) return err_set(err, ERR_FORMAT, "dictionary indices without a dictionary");
  if (v->p == v->end) { /* no values at all */
    pq_runs_init(&v->runs, v->p, 0, 0);
    return 0;
  }
  unsigned width = *v->p++;
  if (width > 32) return damaged(err, "dictionary");
  pq_runs_init(&v->runs, v->p, (size_t)(v->end - v->p), width);
  return 0;
}

static int init_rle(struct pq_values *v, struct err *err) {
  size_t n = (size_t)(v->end - v->p);
  if (v->type != PQ_BOOLEAN)
    return err_set(err, ERR_FORMAT, "run-length encoding is for booleans only");
  if (n < 4 || u32_at(v->p) > n - 4) return damaged(err, "run-length");
  pq_runs_init(&v->runs, v->p + 4, u32_at(v->p), 1);
  return 0;
}

int pq_values_init(struct pq_values *v, int encoding, enum pq_type type, int32_t length,
                   const struct pq_dictionary *dictionary, const void *bytes, size_t n,
                   struct err *err) {
  static const unsigned char nothing[1];
  v->encoding = encoding, v->type = type, v->width = pq_type_width(type, length);
  v->p = n ? bytes : nothing, v->end = v->p + n;
  v->bit = 0, v->index = 0, v->dictionary = dictionary;
  switch (encoding) {
  case PQ_PLAIN:
    return 0;
  case PQ_PLAIN_DICTIONARY:
  case PQ_RLE_DICTIONARY:
    return init_indices(v, err);
  case PQ_RLE:
    return init_rle(v, err);
  case PQ_DELTA_BINARY_PACKED:
  case PQ_DELTA_LENGTH_BYTE_ARRAY:
  case PQ_DELTA_BYTE_ARRAY:
    return init_delta(v, encoding, err);
  case PQ_BYTE_STREAM_SPLIT:
    if (type == PQ_BYTE_ARRAY || type == PQ_BOOLEAN || !v->width) return damaged(err, "split");
    v->count = n / v->width;
    return 0;
  default:
    return err_set(err, ERR_UNSUPPORTED, "encoding %d is not known", encoding);
  }
}

static bool take(struct pq_values *v, size_t n, struct pq_value *out) {
  if ((size_t)(v->end - v->p) < n) return false;
  out->p = v->p, out->n = n;
  v->p += n;
  return true;
}

static bool next_plain(struct pq_values *v, struct pq_value *out) {
  if (v->type == PQ_BYTE_ARRAY) {
    if (v->end - v->p < 4) return false;
    size_t n = u32_at(v->p);
    v->p += 4;
    return take(v, n, out);
  }
  if (v->type != PQ_BOOLEAN) return take(v, v->width, out);
  if (v->bit / 8 >= (uint64_t)(v->end - v->p)) return false;
  v->small[0] = v->p[v->bit / 8] >> (v->bit % 8) & 1;
  v->bit++;
  out->p = v->small, out->n = 1;
  return true;
}

static void put_little(unsigned char *p, uint64_t x, size_t n) {
  for (size_t i = 0; i < n; i++) p[i] = (unsigned char)(x >> 8 * i);
}

static bool next_prefixed(struct pq_values *v, struct pq_value *out) {
  int64_t prefix, n;
  struct pq_value rest;
  if (!pq_deltas_next(&v->prefixes, &prefix) || !pq_deltas_next(&v->deltas, &n)) return false;
  if (prefix < 0 || (uint64_t)prefix > v->previous.len || n < 0 || !take(v, (size_t)n, &rest))
    return false;
  v->previous.len = (size_t)prefix;
  buf_add(&v->previous, rest.p, rest.n);
  if (v->previous.failed || (v->type == PQ_FIXED && v->previous.len != v->width)) return false;
  out->p = (unsigned char *)v->previous.data, out->n = v->previous.len;
  return true;
}

static bool next_split(struct pq_values *v, struct pq_value *out) {
  if (v->index >= v->count) return false;
  buf_reset(&v->previous);
  if (buf_reserve(&v->previous, v->width)) return false;
  unsigned char *to = (unsigned char *)v->previous.data;
  for (size_t k = 0; k < v->width; k++) to[k] = v->p[k * v->count + v->index];
  v->index++;
  out->p = to, out->n = v->width;
  return true;
}

bool pq_values_next(struct pq_values *v, struct pq_value *out) {
  uint32_t index;
  int64_t x;
  switch (v->encoding) {
  case PQ_PLAIN:
    return next_plain(v, out);
  case PQ_PLAIN_DICTIONARY:
  case PQ_RLE_DICTIONARY:
    return pq_runs_next(&v->runs, &index) && dictionary_value(v->dictionary, index, out);
  case PQ_RLE:
    if (!pq_runs_next(&v->runs, &index)) return false;
    v->small[0] = index != 0;
    out->p = v->small, out->n = 1;
    return true;
  case PQ_DELTA_BINARY_PACKED:
    if (!pq_deltas_next(&v->deltas, &x)) return false;
    put_little(v->small, (uint64_t)x, v->width);
    out->p = v->small, out->n = v->width;
    return true;
  case PQ_DELTA_LENGTH_BYTE_ARRAY:
    return pq_deltas_next(&v->deltas, &x) && x >= 0 && take(v, (size_t)x, out);
  case PQ_DELTA_BYTE_ARRAY:
    return next_prefixed(v, out);
  case PQ_BYTE_STREAM_SPLIT:
    return next_split(v, out);
  default:
    return false;
  }
}
