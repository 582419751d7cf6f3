/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for format/checkpoint. The header stands behind a checksum, which no fuzzer
 * guesses: it is put right before each try. */
#include "base/hash.h"
#include "format/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAD 40 /* magic, length, checksum: see checkpoint.h */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void repair(uint8_t *bytes, size_t size) {
  uint64_t h[2], n = 0;
  for (int i = 0; i < 8; i++) n |= (uint64_t)bytes[16 + i] << 8 * i;
  if (n > size - HEAD) return;
  hash_xxh3_128(bytes + HEAD, (size_t)n, 0, h);
  for (int i = 0; i < 16; i++) bytes[24 + i] = (uint8_t)(h[i / 8] >> (8 * (i % 8)));
}

static void look(const struct checkpoint *c) {
  volatile uint64_t total = 0;
  size_t n;
  total += checkpoint_step(c) + (uint64_t)checkpoint_meta(c, &n)[0];
  for (size_t i = 0; i < checkpoint_count(c); i++) {
    const struct checkpoint_blob *b = checkpoint_at(c, i);
    for (size_t k = 0; k < b->size; k++) total += ((const unsigned char *)b->data)[k];
    if (!checkpoint_find(c, b->name)) abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct checkpoint *c;
  int fd = memfd_create("fuzz", 0);
  uint8_t *copy = malloc(size + 1);
  if (!copy || fd < 0) abort();
  memcpy(copy, data, size);
  if (size >= HEAD) repair(copy, size);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (write(fd, copy, size) != (ssize_t)size) abort();
  if (!checkpoint_open(&c, path, NULL)) {
    look(c);
    checkpoint_close(c);
  }
  free(copy);
  close(fd);
  return 0;
}
