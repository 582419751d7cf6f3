/* SPDX-License-Identifier: MIT */
#include "support/zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static void add(char **to, size_t *len, size_t *cap, const void *bytes, size_t n) {
  if (*len + n > *cap) {
    *cap = (*len + n) * 2;
    *to = realloc(*to, *cap);
    if (!*to) abort();
  }
  memcpy(*to + *len, bytes, n);
  *len += n;
}

struct header {
  unsigned char bytes[64];
  size_t n;
};

static void put(struct header *h, unsigned long v, int width) {
  for (int i = 0; i < width; i++, v >>= 8) h->bytes[h->n++] = (unsigned char)v;
}

/* Compresses (or copies) into z; returns the packed size. */
static size_t pack(struct zip *z, const void *bytes, size_t n, size_t repeat, bool deflated,
                   uLong *crc) {
  static unsigned char out[1 << 16];
  z_stream s = {0};
  size_t start = z->len;
  deflateInit2(&s, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY);
  *crc = crc32(0, NULL, 0);
  for (size_t i = 0; i < repeat; i++) {
    *crc = crc32(*crc, bytes, (uInt)n);
    if (!deflated) {
      add(&z->bytes, &z->len, &z->cap, bytes, n);
      continue;
    }
    union {
      const void *from;
      Bytef *to;
    } in = {bytes};
    s.next_in = in.to;
    s.avail_in = (uInt)n;
    do {
      s.next_out = out;
      s.avail_out = sizeof out;
      deflate(&s, i + 1 == repeat ? Z_FINISH : Z_NO_FLUSH);
      add(&z->bytes, &z->len, &z->cap, out, sizeof out - s.avail_out);
    } while (s.avail_out == 0);
  }
  deflateEnd(&s);
  return z->len - start;
}

void zip_add(struct zip *z, const char *name, const void *bytes, size_t n, size_t repeat,
             int flags) {
  struct header local = {.n = 0}, central = {.n = 0};
  size_t at = z->len, name_n = strlen(name);
  uLong crc;
  unsigned bits = flags & ZIP_ENCRYPTED ? 1 : 0;
  unsigned long mode = flags & ZIP_SYMLINK ? 0120777ul : 0100644ul;
  static const unsigned char blank[30];
  add(&z->bytes, &z->len, &z->cap, blank, 30);
  add(&z->bytes, &z->len, &z->cap, name, name_n);
  size_t packed = pack(z, bytes, n, repeat, (flags & 0xFF) == ZIP_DEFLATE, &crc);
  put(&local, 0x04034b50, 4), put(&local, 20, 2), put(&local, bits, 2);
  put(&local, (unsigned long)flags & 0xFF, 2), put(&local, 0, 4), put(&local, crc, 4);
  put(&local, packed, 4), put(&local, n * repeat, 4), put(&local, name_n, 2), put(&local, 0, 2);
  memcpy(z->bytes + at, local.bytes, local.n);
  put(&central, 0x02014b50, 4), put(&central, 3 << 8 | 20, 2), put(&central, 20, 2);
  put(&central, bits, 2), put(&central, (unsigned long)flags & 0xFF, 2), put(&central, 0, 4);
  put(&central, crc, 4), put(&central, packed, 4), put(&central, n * repeat, 4);
  put(&central, name_n, 2), put(&central, 0, 2), put(&central, 0, 2), put(&central, 0, 2);
  put(&central, 0, 2), put(&central, mode << 16, 4), put(&central, at, 4);
  add(&z->directory, &z->directory_len, &z->directory_cap, central.bytes, central.n);
  add(&z->directory, &z->directory_len, &z->directory_cap, name, name_n);
  z->count++;
}

bool zip_write(struct zip *z, const char *path) {
  struct header end = {.n = 0};
  size_t at = z->len;
  put(&end, 0x06054b50, 4), put(&end, 0, 4), put(&end, z->count, 2), put(&end, z->count, 2);
  put(&end, z->directory_len, 4), put(&end, at, 4), put(&end, 0, 2);
  if (z->directory_len) add(&z->bytes, &z->len, &z->cap, z->directory, z->directory_len);
  add(&z->bytes, &z->len, &z->cap, end.bytes, end.n);
  FILE *f = fopen(path, "wb");
  bool fine = f && fwrite(z->bytes, 1, z->len, f) == z->len;
  if (f) fine = fclose(f) == 0 && fine;
  free(z->bytes);
  free(z->directory);
  *z = (struct zip){0};
  return fine;
}
