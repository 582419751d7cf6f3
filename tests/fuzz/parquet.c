/* SPDX-License-Identifier: MIT */
/* libFuzzer entry for store/parquet: whatever can be opened is read to its end; each record is JSON. */
#include "json/json.h"
#include "store/parquet.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ROWS_MAX 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char path[64];
  struct parquet *p;
  struct parquet_line line;
  struct parquet_options options = {.max_record = 1 << 16};
  struct json_limits limits = {.max_depth = JSON_DEPTH_MAX};
  int fd = memfd_create("fuzz", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  if (fd < 0 || write(fd, data, size) != (ssize_t)size) return 0;
  if (!parquet_open(&p, path, &options, NULL)) {
    struct buf out;
    buf_init(&out);
    parquet_schema(p, &out);
    parquet_facts(p, &out);
    buf_clear(&out);
    for (int i = 0; i < ROWS_MAX && parquet_next(p, &line, NULL) > 0; i++) {
      struct json *j;
      struct err err;
      if (!line.text) continue;
      if (!json_parse(&j, line.text, line.n, &limits, &err))
        json_free(j);
      else if (err.code == ERR_FORMAT)
        abort();
    }
    parquet_close(p);
  }
  close(fd);
  return 0;
}
