/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for file/: bytes taken for a plain, gzip or zstd file are read as lines. The first
 * two bytes choose the longest line. The stream read whole must be the lines joined. */
#include "file/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNPACKED_MAX ((size_t)4 << 20) /* a bomb is read so far */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void join_lines(const char *path, size_t max_line, struct buf *out, bool *whole) {
  struct lines *r;
  struct line line;
  uint64_t number = 0;
  int rc = 0;
  *whole = false;
  if (lines_open(&r, path, max_line, NULL)) return;
  bool complete = true;
  while (out->len < UNPACKED_MAX && number < 100000 && (rc = lines_next(r, &line, NULL)) == 1) {
    if (line.number != ++number || line.too_long != !line.text) abort();
    if (complete && line.offset != out->len) abort();
    if (line.too_long) {
      complete = false;
      continue;
    }
    if (line.len > max_line || memchr(line.text, '\n', line.len)) abort();
    buf_add(out, line.text, line.len);
    if (line.ended) buf_add(out, "\n", 1);
  }
  *whole = complete && rc == 0 && out->len < UNPACKED_MAX && number < 100000;
  lines_close(r);
}

static bool read_stream(const char *path, struct buf *out) {
  static char block[1 << 16];
  struct stream *s;
  long long n = -1;
  if (stream_open(&s, path, NULL)) return false;
  while (out->len < UNPACKED_MAX && (n = stream_read(s, block, sizeof block, NULL)) > 0)
    buf_add(out, block, (size_t)n);
  stream_close(s);
  return n == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct buf joined, stream;
  bool whole;
  if (size < 2) return 0;
  int fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data + 2, size - 2) != (ssize_t)size - 2) abort();
  buf_init(&joined), buf_init(&stream);
  join_lines(path, 1 + (data[0] | (size_t)data[1] << 8), &joined, &whole);
  bool ended = read_stream(path, &stream);
  if (whole && (!ended || joined.len != stream.len ||
                (joined.len && memcmp(joined.data, stream.data, joined.len))))
    abort();
  buf_clear(&joined), buf_clear(&stream);
  close(fd);
  return 0;
}
