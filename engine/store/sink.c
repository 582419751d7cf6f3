/* SPDX-License-Identifier: MIT */
/* The sink: bytes → [deflate | zstd] → SHA-256 and file_replace. See sink.h. */
#include "store/sink.h"

#include "base/mem.h"
#include "file/file.h"

#include <string.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#define OUTPUT ((size_t)128 << 10)

struct sink {
  struct file_replace *file;
  struct sha256 *hash;
  enum sink_codec codec;
  bool z_open, finished;
  z_stream z;
#ifdef HAVE_ZSTD
  ZSTD_CCtx *zstd;
#endif
  uint64_t size;
  unsigned char digest[SHA256_BYTES];
  unsigned char out[OUTPUT];
};

static int open_codec(struct sink *s, int level, struct err *err) {
  if (s->codec == SINK_GZIP) {
    if (deflateInit2(&s->z, level ? level : 6, Z_DEFLATED, 15 + 16, 8, 0) != Z_OK)
      return err_nomem(err, 1 << 18, "gzip");
    s->z_open = true;
  } else if (s->codec == SINK_ZSTD) {
#ifdef HAVE_ZSTD
    if (!(s->zstd = ZSTD_createCCtx())) return err_nomem(err, 1 << 20, "zstd");
    ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, level ? level : 3);
    ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_checksumFlag, 1);
#else
    (void)level;
    return err_set(err, ERR_UNSUPPORTED,
                   "zstd: this build has no libzstd (install libzstd-dev and build again)");
#endif
  }
  return 0;
}

int sink_open(struct sink **out, const char *path, enum sink_codec codec, int level, int flags,
              struct err *err) {
  *out = NULL;
  struct sink *s = mem_alloc(sizeof *s);
  if (!s) return err_nomem(err, sizeof *s, path);
  memset(s, 0, offsetof(struct sink, out));
  s->codec = codec;
  int rc = sha256_new(&s->hash, err);
  if (!rc) rc = open_codec(s, level, err);
  if (!rc) rc = file_replace_open(&s->file, path, flags, err);
  if (rc)
    sink_close(s);
  else
    *out = s;
  return rc;
}

void sink_close(struct sink *s) {
  if (!s) return;
  file_replace_close(s->file);
  sha256_free(s->hash);
  if (s->z_open) deflateEnd(&s->z);
#ifdef HAVE_ZSTD
  ZSTD_freeCCtx(s->zstd);
#endif
  mem_free(s);
}

static int pour(struct sink *s, const void *bytes, size_t n, struct err *err) {
  if (!n) return 0;
  int rc = sha256_update(s->hash, bytes, n, err);
  s->size += n;
  return rc ? rc : file_replace_write(s->file, bytes, n, err);
}

static int pour_gzip(struct sink *s, const void *bytes, size_t n, bool end, struct err *err) {
  int rc = 0, state = Z_OK;
  const unsigned char *p = bytes;
  do {
    uInt part = n > 1u << 30 ? 1u << 30 : (uInt)n;
    s->z.next_in = (z_const Bytef *)(uintptr_t)p, s->z.avail_in = part;
    p += part, n -= part;
    do {
      s->z.next_out = s->out, s->z.avail_out = OUTPUT;
      state = deflate(&s->z, end && !n ? Z_FINISH : Z_NO_FLUSH);
      rc = pour(s, s->out, OUTPUT - s->z.avail_out, err);
    } while (!rc && !s->z.avail_out && state != Z_STREAM_END);
  } while (!rc && n);
  return rc;
}

static int pour_zstd(struct sink *s, const void *bytes, size_t n, bool end, struct err *err) {
#ifdef HAVE_ZSTD
  ZSTD_inBuffer in = {bytes, n, 0};
  size_t left;
  int rc = 0;
  do {
    ZSTD_outBuffer out = {s->out, OUTPUT, 0};
    left = ZSTD_compressStream2(s->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return err_set(err, ERR_NOMEM, "zstd: %s", ZSTD_getErrorName(left));
    rc = pour(s, s->out, out.pos, err);
  } while (!rc && (in.pos < in.size || (end && left)));
  return rc;
#else
  (void)s, (void)bytes, (void)n, (void)end;
  return err_set(err, ERR_UNSUPPORTED, "zstd: this build has no libzstd");
#endif
}

int sink_write(struct sink *s, const void *bytes, size_t n, struct err *err) {
  if (s->codec == SINK_GZIP) return n ? pour_gzip(s, bytes, n, false, err) : 0;
  if (s->codec == SINK_ZSTD) return n ? pour_zstd(s, bytes, n, false, err) : 0;
  return pour(s, bytes, n, err);
}

uint64_t sink_size(const struct sink *s) {
  return s->size;
}

int sink_finish(struct sink *s, struct err *err) {
  int rc = 0;
  if (s->finished) return 0;
  if (s->codec == SINK_GZIP)
    rc = pour_gzip(s, "", 0, true, err);
  else if (s->codec == SINK_ZSTD)
    rc = pour_zstd(s, "", 0, true, err);
  if (!rc) rc = sha256_final(s->hash, s->digest, err);
  if (!rc) rc = file_replace_finish(s->file, err);
  s->finished = !rc;
  return rc;
}

const unsigned char *sink_sha256(const struct sink *s) {
  return s->digest;
}

int sink_retarget(struct sink *s, const char *path, struct err *err) {
  return file_replace_retarget(s->file, path, err);
}

int sink_commit(struct sink *s, struct err *err) {
  int rc = sink_finish(s, err);
  return rc ? rc : file_replace_commit(s->file, err);
}
