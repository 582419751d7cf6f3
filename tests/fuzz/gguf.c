/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for format/gguf: opening reads a file, so the bytes go through one in memory. */
#include "format/gguf.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void items(const struct gguf_value *v) {
  const void *at = v->data;
  int64_t i;
  double d;
  const char *s;
  size_t n;
  while (gguf_next_integer(v, &at, &i) || gguf_next_float(v, &at, &d) ||
         gguf_next_string(v, &at, &s, &n))
    continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct gguf *g;
  volatile uint64_t total = 0;
  int fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
  if (!gguf_open(&g, path, NULL)) {
    for (size_t i = 0; i < gguf_keys(g); i++) items(gguf_key(g, i));
    for (size_t i = 0; i < gguf_tensors(g); i++) {
      const struct gguf_tensor_info *t = gguf_tensor_at(g, i);
      for (uint64_t k = 0; k < t->bytes; k++) total += ((const unsigned char *)t->data)[k];
    }
    gguf_close(g);
  }
  close(fd);
  return 0;
}
