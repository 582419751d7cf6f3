/* SPDX-License-Identifier: MIT */
/* Appended bytes beyond the memory; see spill.h. The file never leaves this process, so it holds
 * what is in memory as it lies there. */
#include "dedup/spill.h"
#include "base/mem.h"
#include "file/file.h"

#define LEAST ((size_t)64 << 10)

struct spill {
  char *path;
  size_t room;
  struct buf buf; /* all of it, or what was not yet written */
  struct file_replace *file;
  struct file_map map;
  uint64_t size;
  bool mapped;
};

int spill_new(struct spill **out, const char *path, size_t memory, struct err *err) {
  struct spill *s = mem_zero(sizeof *s);
  *out = s;
  if (!s) return err_nomem(err, sizeof *s, "a temporary store");
  s->room = memory > LEAST ? memory : LEAST;
  s->path = mem_strdup(path);
  if (s->path) return 0;
  spill_free(s);
  *out = NULL;
  return err_nomem(err, 0, "a temporary store");
}

void spill_free(struct spill *s) {
  if (!s) return;
  buf_clear(&s->buf);
  if (s->mapped) file_map_close(&s->map);
  if (s->file) {
    file_replace_close(s->file);
    file_unlink(s->path, NULL);
  }
  mem_free(s->path);
  mem_free(s);
}

static int write_out(struct spill *s, struct err *err) {
  int rc = 0;
  if (!s->file) rc = file_replace_open(&s->file, s->path, FILE_NO_SYNC, err);
  if (!rc) rc = file_replace_write(s->file, s->buf.data, s->buf.len, err);
  buf_reset(&s->buf);
  return rc;
}

int spill_add(struct spill *s, const void *bytes, size_t n, struct err *err) {
  if (s->buf.len && s->buf.len + n > s->room) {
    int rc = write_out(s, err);
    if (rc) return rc;
  }
  buf_add(&s->buf, bytes, n);
  s->size += n;
  return buf_check(&s->buf, "a temporary store", err);
}

uint64_t spill_size(const struct spill *s) {
  return s->size;
}

bool spill_on_disk(const struct spill *s) {
  return s->file != NULL;
}

int spill_seal(struct spill *s, struct err *err) {
  if (!s->file) return 0;
  int rc = s->buf.len ? write_out(s, err) : 0;
  if (!rc) rc = file_replace_commit(s->file, err);
  if (!rc) rc = file_map_open(&s->map, s->path, err);
  s->mapped = !rc;
  buf_clear(&s->buf);
  return rc;
}

const void *spill_at(const struct spill *s, uint64_t offset) {
  const char *data = s->mapped ? s->map.data : s->buf.data;
  return data ? data + offset : NULL;
}
