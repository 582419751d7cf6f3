/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for format/safetensors: opening reads a file, so the bytes go through one in
 * memory. */
#include "format/safetensors.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t sum(const struct safetensors_tensor *t) {
  uint64_t total = 0;
  for (uint64_t i = 0; i < t->bytes; i++) total += ((const unsigned char *)t->data)[i];
  return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct safetensors *s;
  volatile uint64_t total = 0;
  int fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
  if (!safetensors_open(&s, path, NULL)) {
    for (size_t i = 0; i < safetensors_count(s); i++) {
      total += sum(safetensors_at(s, i));
      if (safetensors_find(s, safetensors_at(s, i)->name) != safetensors_at(s, i)) __builtin_trap();
    }
    safetensors_close(s);
  }
  close(fd);
  return 0;
}
