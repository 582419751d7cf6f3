/* SPDX-License-Identifier: MIT */
/* Byte streams: plain, gzip (zlib) and zstd files, told apart by their first bytes.
 *
 *   file ──read──► in[64 KiB] ──inflate / ZSTD_decompressStream──► caller's bytes
 *
 * Concatenated members (gzip) and frames (zstd) are read through. Pages already passed are given
 * back to the kernel, so a long file does not evict everything else.
 */
#include "base/cancel.h"
#include "base/mem.h"
#include "file/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#define INPUT ((size_t)256 << 10)
#define DROP  ((uint64_t)8 << 20) /* give pages back every so many bytes … */
#define KEEP                                                                                       \
  ((uint64_t)1 << 30) /* … of a file longer than this: shorter ones are read again soon */

enum kind { PLAIN, GZIP, ZSTD };

struct stream {
  char *path;
  int fd;
  enum kind kind;
  uint64_t consumed, dropped; /* file offsets */
  size_t have, at;            /* bytes in `in`, and of them used */
  bool end_of_file, open_member;
  z_stream z;
#ifdef HAVE_ZSTD
  ZSTD_DStream *zstd;
#endif
  unsigned char in[INPUT];
};

static long long pull(struct stream *s, void *to, size_t n, struct err *err) {
  ssize_t got;
  do got = read(s->fd, to, n);
  while (got < 0 && errno == EINTR && !cancel_requested());
  if (got < 0 && cancel_check(err)) return -1; /* Ctrl-C while waiting for a pipe or a terminal */
  if (got < 0) return err_errno(err, "%s", s->path), -1;
  s->consumed += (uint64_t)got;
  if (s->consumed - s->dropped >= DROP && s->consumed >= KEEP) {
    posix_fadvise(s->fd, (off_t)s->dropped, (off_t)(s->consumed - s->dropped), POSIX_FADV_DONTNEED);
    s->dropped = s->consumed;
  }
  return got;
}

static int refill(struct stream *s, struct err *err) {
  if (s->at < s->have || s->end_of_file) return 0;
  long long got = pull(s, s->in, INPUT, err);
  if (got < 0) return err ? err->code : ERR_IO;
  s->have = (size_t)got, s->at = 0;
  s->end_of_file = got == 0;
  return 0;
}

int stream_open(struct stream **out, const char *path, struct err *err) {
  static const unsigned char zstd_magic[4] = {0x28, 0xB5, 0x2F, 0xFD};
  int rc;
  *out = NULL;
  struct stream *s = mem_alloc(sizeof *s);
  if (!s) return err_nomem(err, sizeof *s, path);
  memset(s, 0, offsetof(struct stream, in));
  s->fd = open(path, O_RDONLY | O_CLOEXEC);
  rc = s->fd < 0 ? err_errno(err, "%s", path) : 0;
  if (!rc && !(s->path = mem_strdup(path))) rc = err_nomem(err, strlen(path), path);
  if (rc) goto done;
  posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  rc = refill(s, err);
  if (rc) goto done;
  if (s->have >= 3 && s->in[0] == 0x1F && s->in[1] == 0x8B && s->in[2] == 8) {
    s->kind = GZIP;
    if (inflateInit2(&s->z, 15 + 16) != Z_OK) rc = err_nomem(err, INPUT, "zlib");
  } else if (s->have >= 4 && !memcmp(s->in, zstd_magic, 4)) {
#ifdef HAVE_ZSTD
    s->kind = ZSTD;
    s->zstd = ZSTD_createDStream();
    if (!s->zstd) rc = err_nomem(err, INPUT, "zstd");
#else
    rc = err_set(err, ERR_UNSUPPORTED,
                 "%s: zstd file; this build has no libzstd (install "
                 "libzstd-dev and build again)",
                 path);
#endif
  }
done:
  if (rc)
    stream_close(s);
  else
    *out = s;
  return rc;
}

static long long read_plain(struct stream *s, void *bytes, size_t n, struct err *err) {
  if (s->at == s->have) return s->end_of_file ? 0 : pull(s, bytes, n, err);
  size_t k = s->have - s->at < n ? s->have - s->at : n;
  memcpy(bytes, s->in + s->at, k);
  s->at += k;
  return (long long)k;
}

static long long read_gzip(struct stream *s, void *bytes, size_t n, struct err *err) {
  if (n > UINT32_MAX / 2) n = UINT32_MAX / 2;
  s->z.next_out = bytes, s->z.avail_out = (uInt)n;
  while (s->z.avail_out == n) {
    if (refill(s, err)) return -1;
    if (s->end_of_file) {
      if (!s->open_member) return 0;
      return err_set(err, ERR_FORMAT, "%s: gzip data ends early", s->path), -1;
    }
    s->z.next_in = s->in + s->at, s->z.avail_in = (uInt)(s->have - s->at);
    s->open_member = true;
    int rc = inflate(&s->z, Z_NO_FLUSH);
    s->at = s->have - s->z.avail_in;
    if (rc == Z_STREAM_END) {
      s->open_member = false;
      inflateReset(&s->z);
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
      return err_set(err, ERR_FORMAT, "%s: damaged gzip data near byte %llu", s->path,
                     (unsigned long long)(s->consumed - (s->have - s->at))),
             -1;
    }
  }
  return (long long)(n - s->z.avail_out);
}

static long long read_zstd(struct stream *s, void *bytes, size_t n, struct err *err) {
#ifdef HAVE_ZSTD
  ZSTD_outBuffer o = {bytes, n, 0};
  while (o.pos == 0) {
    if (refill(s, err)) return -1;
    if (s->end_of_file) {
      if (!s->open_member) return 0;
      return err_set(err, ERR_FORMAT, "%s: zstd data ends early", s->path), -1;
    }
    ZSTD_inBuffer i = {s->in, s->have, s->at};
    size_t rc = ZSTD_decompressStream(s->zstd, &o, &i);
    s->at = i.pos;
    if (ZSTD_isError(rc))
      return err_set(err, ERR_FORMAT, "%s: damaged zstd data: %s", s->path, ZSTD_getErrorName(rc)),
             -1;
    s->open_member = rc != 0;
  }
  return (long long)o.pos;
#else
  (void)bytes, (void)n;
  return err_set(err, ERR_UNSUPPORTED, "%s: no zstd in this build", s->path), -1;
#endif
}

long long stream_read(struct stream *s, void *bytes, size_t n, struct err *err) {
  if (n == 0) return 0;
  if (s->kind == GZIP) return read_gzip(s, bytes, n, err);
  if (s->kind == ZSTD) return read_zstd(s, bytes, n, err);
  return read_plain(s, bytes, n, err);
}

/* Passes over bytes by seeking: returns how many are left to be read and thrown away. */
static uint64_t seek_plain(struct stream *s, uint64_t n) {
  size_t here = s->have - s->at;
  if (s->kind != PLAIN || s->end_of_file) return n;
  if (n <= here) return s->at += (size_t)n, 0;
  if (n - here > INT64_MAX || lseek(s->fd, (off_t)(n - here), SEEK_CUR) < 0) return n;
  s->at = s->have;
  s->consumed += n - here;
  s->dropped = s->consumed;
  return 0;
}

int stream_skip(struct stream *s, uint64_t n, struct err *err) {
  n = seek_plain(s, n);
  while (n > 0) {
    char bytes[16 << 10];
    long long got = stream_read(s, bytes, n < sizeof bytes ? (size_t)n : sizeof bytes, err);
    if (got < 0) return err ? err->code : ERR_IO;
    if (got == 0) break;
    n -= (uint64_t)got;
  }
  return 0;
}

void stream_close(struct stream *s) {
  if (!s) return;
  if (s->kind == GZIP) inflateEnd(&s->z);
#ifdef HAVE_ZSTD
  ZSTD_freeDStream(s->zstd);
#endif
  if (s->fd >= 0) close(s->fd);
  mem_free(s->path);
  mem_free(s);
}
