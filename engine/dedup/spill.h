/* SPDX-License-Identifier: MIT */
/* Bytes that are only appended, then read at any place: in memory up to a ceiling, beyond it in a
 * file that is mapped.
 *
 *   add, add, …          in memory ─ full ─► appended to the file
 *   spill_seal           what is in memory goes to the file too, if there is one; mapped
 *   spill_at(s, offset)  the bytes
 *
 * The mapped pages are the system's cache: they go when memory is needed elsewhere.
 */
#ifndef LATHE_DEDUP_SPILL_H
#define LATHE_DEDUP_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct spill;
/* path: the file, made when it is needed and removed by spill_free; copied. memory: bytes held
 * (64 KiB at least). */
int spill_new(struct spill **out, const char *path, size_t memory, struct err *err);
void spill_free(struct spill *s);

int spill_add(struct spill *s, const void *bytes, size_t n, struct err *err);
uint64_t spill_size(const struct spill *s);
bool spill_on_disk(const struct spill *s);

/* After the last add. */
int spill_seal(struct spill *s, struct err *err);
/* Only after spill_seal; offset ≤ spill_size. */
const void *spill_at(const struct spill *s, uint64_t offset);

#endif
