/* SPDX-License-Identifier: MIT */
/* A file being written, perhaps compressed, with its SHA-256: what all the writers of data sets pour
 * into. Nothing is visible under its name before sink_commit; the same input gives the same bytes
 * (gzip carries no time and no name). */
#ifndef LATHE_STORE_SINK_H
#define LATHE_STORE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"

enum sink_codec { SINK_PLAIN, SINK_GZIP, SINK_ZSTD };

struct sink;
/* level 0: the codec's usual one. flags: of file_replace_open. */
int sink_open(struct sink **out, const char *path, enum sink_codec codec, int level, int flags,
              struct err *err);
int sink_write(struct sink *s, const void *bytes, size_t n, struct err *err);
uint64_t sink_size(const struct sink *s); /* bytes of the file so far; compressed ones lag behind */
/* Completes the file, without making it visible; gives size and hash their final values. */
int sink_finish(struct sink *s, struct err *err);
const unsigned char *sink_sha256(const struct sink *s); /* SHA256_BYTES; after sink_finish */
int sink_retarget(struct sink *s, const char *path, struct err *err); /* in the same folder */
int sink_commit(struct sink *s, struct err *err);
void sink_close(struct sink *s);

#endif
