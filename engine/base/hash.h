/* SPDX-License-Identifier: MIT */
/* Hashes. xxh3 (libxxhash) where speed matters and nobody attacks; SHA-256 (libcrypto) for identity
 * of documents, manifests and caches. Hex is lower case. */
#ifndef LATHE_BASE_HASH_H
#define LATHE_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

uint64_t hash_xxh3(const void *bytes, size_t n, uint64_t seed);
/* 128 bits as two words, low first. */
void hash_xxh3_128(const void *bytes, size_t n, uint64_t seed, uint64_t out[2]);

#define SHA256_BYTES 32
#define SHA256_HEX   65 /* with the zero byte */

int sha256(const void *bytes, size_t n, unsigned char out[SHA256_BYTES], struct err *err);

/* Streaming: sha256_new, any number of sha256_update, sha256_final (which does not free). */
struct sha256;
int sha256_new(struct sha256 **out, struct err *err);
int sha256_update(struct sha256 *h, const void *bytes, size_t n, struct err *err);
int sha256_final(struct sha256 *h, unsigned char out[SHA256_BYTES], struct err *err);
void sha256_free(struct sha256 *h);

/* Writes 2n lower-case hex digits and a zero byte. */
void hash_hex(const void *bytes, size_t n, char *out);

#endif
