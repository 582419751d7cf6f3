/* SPDX-License-Identifier: MIT */
/* Parquet's codecs. gzip and zstd are the libraries'; Snappy and LZ4 are small enough to be here,
 * written from their format descriptions:
 *
 *   snappy   varint size, then elements: tag & 3 = 0 literal (length in the tag or in 1–4 bytes),
 *            1 copy of 4–11 bytes, offset 11 bits; 2 copy of 1–64, offset 16; 3 the same, offset 32
 *   LZ4      [literals: 4 bits][match − 4: 4 bits] 255… literals, offset 16 bits, 255…; repeated,
 *            the last sequence ends behind its literals
 *
 * Both write only inside out[0, size), and a copy reaches only back to what was written.
 */
#include "store/compress.h"

#include "base/mem.h"
#include "base/reader.h"

#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

const char *codec_name(int codec) {
  static const char *const names[] = {"none",   "snappy", "gzip", "lzo",
                                      "brotli", "lz4",    "zstd", "lz4_raw"};
  return codec >= 0 && codec <= PQ_LZ4_RAW ? names[codec] : NULL;
}

bool codec_has_zstd(void) {
#ifdef HAVE_ZSTD
  return true;
#else
  return false;
#endif
}

struct sink {
  unsigned char *out;
  size_t size, at;
};

static bool sink_literal(struct sink *s, struct reader *r, uint64_t n) {
  const void *bytes = n <= s->size - s->at ? reader_bytes(r, n) : NULL;
  if (!bytes) return false;
  memcpy(s->out + s->at, bytes, (size_t)n);
  s->at += (size_t)n;
  return true;
}

/* Copies n bytes from `back` bytes ago; they may overlap, and then repeat. */
static bool sink_copy(struct sink *s, uint64_t back, uint64_t n) {
  if (!back || back > s->at || n > s->size - s->at) return false;
  unsigned char *to = s->out + s->at;
  const unsigned char *from = to - back;
  if (back >= n)
    memcpy(to, from, (size_t)n);
  else
    for (size_t i = 0; i < n; i++) to[i] = from[i];
  s->at += (size_t)n;
  return true;
}

static uint64_t little(struct reader *r, unsigned bytes) {
  uint64_t v = 0;
  for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)reader_u8(r) << 8 * i;
  return v;
}

static bool snappy_element(struct reader *r, struct sink *s) {
  uint8_t tag = reader_u8(r);
  uint64_t n = tag >> 2;
  switch (tag & 3) {
  case 0:
    return sink_literal(s, r, (n < 60 ? n : little(r, (unsigned)n - 59)) + 1);
  case 1:
    return sink_copy(s, (uint64_t)(tag & 0xE0) << 3 | reader_u8(r), (n & 7) + 4);
  case 2:
    return sink_copy(s, reader_u16(r), n + 1);
  default:
    return sink_copy(s, reader_u32(r), n + 1);
  }
}

static bool unpack_snappy(const void *bytes, size_t n, struct sink *s) {
  struct reader r;
  uint64_t size = 0;
  reader_init(&r, bytes, n);
  for (unsigned shift = 0; shift < 35; shift += 7) {
    uint8_t b = reader_u8(&r);
    size |= (uint64_t)(b & 0x7F) << shift;
    if (!(b & 0x80)) break;
  }
  if (r.bad || size != s->size) return false;
  while (reader_left(&r) && !r.bad)
    if (!snappy_element(&r, s)) return false;
  return !r.bad && s->at == s->size;
}

static uint64_t lz4_length(struct reader *r, unsigned four) {
  uint64_t n = four;
  uint8_t more = 255;
  if (four == 15)
    while (more == 255 && !r->bad) n += more = reader_u8(r);
  return n;
}

static bool unpack_lz4(const void *bytes, size_t n, struct sink *s) {
  struct reader r;
  reader_init(&r, bytes, n);
  while (!r.bad) {
    uint8_t token = reader_u8(&r);
    if (!sink_literal(s, &r, lz4_length(&r, token >> 4))) return false;
    if (!reader_left(&r)) break;
    uint16_t back = reader_u16(&r);
    if (!sink_copy(s, back, lz4_length(&r, token & 15) + 4)) return false;
  }
  return !r.bad && s->at == s->size;
}

static uint32_t big_endian(struct reader *r) {
  return __builtin_bswap32(reader_u32(r));
}

/* The old LZ4 of Hadoop: [unpacked size][packed size][block], big-endian, repeated; some writers
 * put the bare block there. */
static bool unpack_hadoop(const void *bytes, size_t n, struct sink *s) {
  struct reader r;
  reader_init(&r, bytes, n);
  while (reader_left(&r)) {
    uint32_t size = big_endian(&r), packed = big_endian(&r);
    const void *block = reader_bytes(&r, packed);
    if (!block || size > s->size - s->at) break;
    struct sink part = {s->out + s->at, size, 0};
    if (!unpack_lz4(block, packed, &part)) break;
    s->at += size;
  }
  if (!r.bad && !reader_left(&r) && s->at == s->size) return true;
  s->at = 0;
  return unpack_lz4(bytes, n, s);
}

static bool unpack_gzip(const void *bytes, size_t n, struct sink *s, bool *nomem) {
  z_stream z;
  memset(&z, 0, sizeof z);
  if (n > UINT32_MAX || s->size > UINT32_MAX) return false;
  if (inflateInit2(&z, 15 + 32) != Z_OK) return *nomem = true, false;
  unsigned char nothing[1];
  z.next_in = (z_const Bytef *)(uintptr_t)bytes, z.avail_in = (uInt)n;
  z.next_out = s->size ? s->out : nothing, z.avail_out = (uInt)s->size;
  int rc;
  /* members may follow each other */
  while ((rc = inflate(&z, Z_FINISH)) == Z_STREAM_END && z.avail_in && z.avail_out)
    inflateReset(&z);
  s->at = s->size - z.avail_out;
  inflateEnd(&z);
  return rc == Z_STREAM_END && s->at == s->size;
}

static int unpack_zstd(const void *bytes, size_t n, struct sink *s, struct err *err) {
#ifdef HAVE_ZSTD
  size_t got = ZSTD_decompress(s->out, s->size, bytes, n);
  if (ZSTD_isError(got))
    return err_set(err, ERR_FORMAT, "damaged zstd data: %s", ZSTD_getErrorName(got));
  s->at = got;
  if (got == s->size) return 0;
  return err_set(err, ERR_FORMAT, "zstd data unpack to %zu bytes, %zu were promised", got, s->size);
#else
  (void)bytes, (void)n, (void)s;
  return err_set(err, ERR_UNSUPPORTED,
                 "zstd pages; this build has no libzstd (install libzstd-dev and build again)");
#endif
}

int codec_unpack(int codec, const void *bytes, size_t n, void *out, size_t size, struct err *err) {
  struct sink s = {out, size, 0};
  bool fine = false, nomem = false;
  switch (codec) {
  case PQ_UNCOMPRESSED:
    fine = n == size;
    if (fine && n) memcpy(out, bytes, n);
    break;
  case PQ_SNAPPY:
    fine = unpack_snappy(bytes, n, &s);
    break;
  case PQ_GZIP:
    fine = unpack_gzip(bytes, n, &s, &nomem);
    break;
  case PQ_LZ4:
    fine = unpack_hadoop(bytes, n, &s);
    break;
  case PQ_LZ4_RAW:
    fine = unpack_lz4(bytes, n, &s);
    break;
  case PQ_ZSTD:
    return unpack_zstd(bytes, n, &s, err);
  default:
    if (codec_name(codec))
      return err_set(err, ERR_UNSUPPORTED, "compressed with %s, which is not supported",
                     codec_name(codec));
    return err_set(err, ERR_FORMAT, "codec %d does not exist", codec);
  }
  if (nomem) return err_nomem(err, size, "inflating a page");
  if (fine) return 0;
  return err_set(err, ERR_FORMAT, "damaged %s data, or not the %zu bytes that were promised",
                 codec == PQ_UNCOMPRESSED ? "uncompressed" : codec_name(codec), size);
}

/* ---- packing ---- */

struct codec_state {
  z_stream z;
  int codec, level;
#ifdef HAVE_ZSTD
  ZSTD_CCtx *zstd;
#endif
};

void codec_free(struct codec_state *state) {
  if (!state) return;
  if (state->codec == PQ_GZIP) deflateEnd(&state->z);
#ifdef HAVE_ZSTD
  ZSTD_freeCCtx(state->zstd);
#endif
  mem_free(state);
}

static int state_new(struct codec_state **out, int codec, int level, struct err *err) {
  struct codec_state *s = mem_zero(sizeof *s);
  if (!s) return err_nomem(err, sizeof *s, "compression");
  s->level = level;
  if (codec == PQ_GZIP && deflateInit2(&s->z, level, Z_DEFLATED, 15 + 16, 8, 0) != Z_OK) {
    mem_free(s);
    return err_nomem(err, 1 << 18, "gzip");
  }
#ifdef HAVE_ZSTD
  if (codec == PQ_ZSTD && !(s->zstd = ZSTD_createCCtx())) {
    mem_free(s);
    return err_nomem(err, 1 << 20, "zstd");
  }
#endif
  s->codec = codec;
  *out = s;
  return 0;
}

static int pack_gzip(struct codec_state *s, const void *bytes, size_t n, struct buf *out,
                     struct err *err) {
  size_t bound = deflateBound(&s->z, (uLong)n);
  if (bound > UINT32_MAX || buf_reserve(out, bound)) return err_nomem(err, bound, "gzip");
  s->z.next_in = (z_const Bytef *)(uintptr_t)bytes, s->z.avail_in = (uInt)n;
  s->z.next_out = (unsigned char *)out->data + out->len, s->z.avail_out = (uInt)bound;
  int rc = deflate(&s->z, Z_FINISH);
  out->len += bound - s->z.avail_out;
  out->data[out->len] = 0;
  deflateReset(&s->z);
  return rc == Z_STREAM_END ? 0 : err_set(err, ERR_IO, "gzip failed (%d)", rc);
}

static int pack_zstd(struct codec_state *s, const void *bytes, size_t n, struct buf *out,
                     struct err *err) {
#ifdef HAVE_ZSTD
  size_t bound = ZSTD_compressBound(n);
  if (buf_reserve(out, bound)) return err_nomem(err, bound, "zstd");
  size_t got = ZSTD_compressCCtx(s->zstd, out->data + out->len, bound, bytes, n, s->level);
  if (ZSTD_isError(got)) return err_set(err, ERR_NOMEM, "zstd: %s", ZSTD_getErrorName(got));
  out->len += got;
  out->data[out->len] = 0;
  return 0;
#else
  (void)s, (void)bytes, (void)n, (void)out;
  return err_set(err, ERR_UNSUPPORTED,
                 "zstd: this build has no libzstd (install libzstd-dev and build again)");
#endif
}

int codec_pack(struct codec_state **state, int codec, int level, const void *bytes, size_t n,
               struct buf *out, struct err *err) {
  int rc = 0;
  if (codec == PQ_UNCOMPRESSED) {
    buf_add(out, bytes, n);
    return buf_check(out, "a page", err);
  }
  if (codec != PQ_GZIP && codec != PQ_ZSTD)
    return err_set(err, ERR_MISUSE, "codec %d cannot be written", codec);
  if (!*state) rc = state_new(state, codec, level, err);
  if (rc) return rc;
  return codec == PQ_GZIP ? pack_gzip(*state, bytes, n, out, err)
                          : pack_zstd(*state, bytes, n, out, err);
}
