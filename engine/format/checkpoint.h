/* SPDX-License-Identifier: MIT */
/* Training checkpoints: named blobs and a JSON description in one checksummed file.
 *
 *   DIR/step-00000120.ckpt
 *
 *   [ "lathe-ckpt-1\n\0\0\0" 16 ][ u64 header length ][ xxh3-128 of the header 16 ][ header JSON ]
 *   [ zeros to a multiple of 64 ][ blob ][ zeros ][ blob ] …
 *   header: {"step": 120, "meta": {…}, "blobs": [{"name", "offset", "size", "xxh3"}, …]}
 *
 * Written through file_replace, so that a crash leaves the older ones. checkpoint_newest verifies
 * every byte and steps back to the newest one that is whole; what it steps over is told. Blobs
 * stand in byte order of their names: equal contents, equal bytes.
 */
#ifndef LATHE_FORMAT_CHECKPOINT_H
#define LATHE_FORMAT_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CHECKPOINT_BLOBS_MAX  4096
#define CHECKPOINT_HEADER_MAX ((uint64_t)16 << 20)
#define CHECKPOINT_STEP_MAX   ((uint64_t)1 << 53)

struct checkpoint_blob {
  const char *name; /* zero-terminated UTF-8 */
  const void *data;
  size_t size;
};

/* Writes DIR/step-%08d.ckpt (the folder is made). `meta` is a JSON object as text, or NULL. Names
 * must be unique (ERR_MISUSE). */
int checkpoint_write(const char *dir, uint64_t step, const char *meta, size_t meta_size,
                     const struct checkpoint_blob *blobs, size_t count, struct err *err);

struct checkpoint;

/* Maps and verifies one file. ERR_FORMAT or ERR_MISMATCH (checksum) when it is damaged. */
int checkpoint_open(struct checkpoint **out, const char *path, struct err *err);
void checkpoint_close(struct checkpoint *c);

/* The valid checkpoint of the highest step, or *out = NULL when the folder is missing or holds
 * none. A line for each damaged one that was passed over is appended to `skipped` (may be NULL). */
int checkpoint_newest(struct checkpoint **out, const char *dir, struct buf *skipped,
                      struct err *err);

uint64_t checkpoint_step(const struct checkpoint *c);
const char *checkpoint_path(const struct checkpoint *c);
const char *checkpoint_meta(const struct checkpoint *c, size_t *n); /* JSON text of an object */
size_t checkpoint_count(const struct checkpoint *c);
const struct checkpoint_blob *checkpoint_at(const struct checkpoint *c, size_t i);
const struct checkpoint_blob *checkpoint_find(const struct checkpoint *c, const char *name);

/* Removes all but the `keep` (≥ 1) highest steps. Call it after a checkpoint_write. */
int checkpoint_prune(const char *dir, size_t keep, struct err *err);

#endif
