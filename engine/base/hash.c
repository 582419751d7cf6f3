/* SPDX-License-Identifier: MIT */
/* Hashes over libxxhash and libcrypto; see hash.h. */
#include "base/hash.h"
#include "base/mem.h"

#include <openssl/evp.h>
#include <xxhash.h>

struct sha256 {
  EVP_MD_CTX *ctx;
};

uint64_t hash_xxh3(const void *bytes, size_t n, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes, n, seed);
}

void hash_xxh3_128(const void *bytes, size_t n, uint64_t seed, uint64_t out[2]) {
  XXH128_hash_t h = XXH3_128bits_withSeed(bytes, n, seed);
  out[0] = h.low64;
  out[1] = h.high64;
}

int sha256_new(struct sha256 **out, struct err *err) {
  struct sha256 *h = mem_alloc(sizeof *h);
  *out = NULL;
  if (!h) return err_nomem(err, sizeof *h, "a SHA-256 state");
  h->ctx = EVP_MD_CTX_new();
  if (!h->ctx || EVP_DigestInit_ex(h->ctx, EVP_sha256(), NULL) != 1) {
    sha256_free(h);
    return err_set(err, ERR_NOMEM, "SHA-256 could not be started (libcrypto)");
  }
  *out = h;
  return 0;
}

int sha256_update(struct sha256 *h, const void *bytes, size_t n, struct err *err) {
  return EVP_DigestUpdate(h->ctx, bytes, n) == 1 ? 0 : err_set(err, ERR_IO, "SHA-256 failed");
}

int sha256_final(struct sha256 *h, unsigned char out[SHA256_BYTES], struct err *err) {
  return EVP_DigestFinal_ex(h->ctx, out, NULL) == 1 ? 0 : err_set(err, ERR_IO, "SHA-256 failed");
}

void sha256_free(struct sha256 *h) {
  if (!h) return;
  EVP_MD_CTX_free(h->ctx);
  mem_free(h);
}

int sha256(const void *bytes, size_t n, unsigned char out[SHA256_BYTES], struct err *err) {
  return EVP_Digest(bytes, n, out, NULL, EVP_sha256(), NULL) == 1
             ? 0
             : err_set(err, ERR_IO, "SHA-256 failed (libcrypto)");
}

void hash_hex(const void *bytes, size_t n, char *out) {
  static const char digits[] = "0123456789abcdef";
  const unsigned char *p = bytes;
  for (size_t i = 0; i < n; i++) {
    *out++ = digits[p[i] >> 4];
    *out++ = digits[p[i] & 15];
  }
  *out = 0;
}
