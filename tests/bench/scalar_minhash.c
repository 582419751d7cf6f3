/* SPDX-License-Identifier: MIT */
/* For `make bench`: a MinHash signature of 128 permutations as datasketch computes it, hash after hash and
 * permutation after permutation: (a·x + b) mod (2⁶¹ − 1), its low 32 bits, the least. Compiled without
 * vectorisation: the scalar figure that ours is compared with. */
#include <stddef.h>
#include <stdint.h>

#define COUNT 128
#define PRIME ((UINT64_C(1) << 61) - 1)

void signature(const uint32_t *x, size_t n, uint32_t least[COUNT]);
void signature(const uint32_t *x, size_t n, uint32_t least[COUNT]) {
  uint64_t a[COUNT], b[COUNT], state = 1;
  for (size_t k = 0; k < COUNT; k++) {
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    a[k] = state >> 3;
    state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    b[k] = state >> 3;
    least[k] = UINT32_MAX;
  }
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < COUNT; k++) {
      uint32_t v = (uint32_t)((a[k] * x[i] + b[k]) % PRIME);
      if (v < least[k]) least[k] = v;
    }
}
