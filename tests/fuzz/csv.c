/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for store/csv: the first byte is options; each record must be JSON, lines must rise. */
#include "json/json.h"
#include "store/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct csv *c;
  struct csv_record r;
  uint64_t last = 0;
  if (!size) return 0;
  struct csv_options options = {.no_header = data[0] & 1,
                                .typed = data[0] & 2,
                                .pad = data[0] & 4,
                                .max_record = data[0] & 8 ? 100 : 0,
                                .delimiter = data[0] & 16 ? ';' : 0};
  int fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)size - 1) return 0;
  if (!csv_open(&c, path, &options, NULL)) {
    while (csv_next(c, &r, NULL) > 0) {
      struct json *j;
      if (r.line < last || !r.text == !r.reason) abort();
      last = r.line;
      if (!r.text) continue;
      if (json_parse(&j, r.text, r.n, NULL, NULL)) abort();
      if (json_count(j, JSON_ROOT) != csv_columns(c)) abort();
      json_free(j);
    }
    csv_close(c);
  }
  close(fd);
  return 0;
}
