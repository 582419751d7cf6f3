/* SPDX-License-Identifier: MIT */
/* Parquet's encodings, decoded value by value: nothing is held but the page's bytes, so that no count
 * in a file is a promise of memory. Known to this room only. */
#ifndef LATHE_STORE_PARQUET_VALUES_H
#define LATHE_STORE_PARQUET_VALUES_H

#include "store/parquet_types.h"

/* The hybrid of runs and bit-packed groups: levels, dictionary indices, booleans. */
struct pq_runs {
  const unsigned char *p, *end; /* what follows the run at hand */
  const unsigned char *packed;  /* of a bit-packed run, else NULL */
  uint64_t left, at;            /* values left in the run; bits used of the packed one */
  uint32_t value;               /* of a repeated one */
  unsigned width;               /* bits of a value, 0 to 32 */
};
void pq_runs_init(struct pq_runs *r, const unsigned char *bytes, size_t n, unsigned width);
bool pq_runs_next(struct pq_runs *r, uint32_t *out); /* false: none is left, or they are damaged */
/* The deprecated BIT_PACKED levels: most significant bit first, no runs. */
void pq_runs_init_packed(struct pq_runs *r, const unsigned char *bytes, size_t n, unsigned width);

/* DELTA_BINARY_PACKED. */
struct pq_deltas {
  const unsigned char *p, *end;
  const unsigned char *widths;      /* of the block's miniblocks still to come */
  uint64_t left;                    /* values left */
  uint64_t block, mini, minis_left; /* values of a block and a miniblock */
  uint64_t in_mini, at;             /* values left in this miniblock; bits used of it */
  const unsigned char *packed;
  unsigned width;
  uint64_t least, value;
  bool begun;
};
bool pq_deltas_init(struct pq_deltas *d, const unsigned char *bytes, size_t n);
bool pq_deltas_next(struct pq_deltas *d, int64_t *out);
/* Where the values behind the deltas begin (passes over those that are left), or NULL. */
const unsigned char *pq_deltas_end(struct pq_deltas d);

/* A dictionary: values in place. */
struct pq_dictionary {
  struct buf bytes;
  uint32_t *offsets; /* of byte arrays: count + 1; NULL for fixed sizes */
  uint32_t count;
  size_t width;
};
void pq_dictionary_clear(struct pq_dictionary *d);
/* d->bytes holds `count` PLAIN values. */
int pq_dictionary_index(struct pq_dictionary *d, enum pq_type type, int32_t length, uint32_t count,
                        struct err *err);

/* One value: its bytes as PLAIN has them (without a length before byte arrays); a boolean is one
 * byte. Valid until the next call for the same column. */
struct pq_value {
  const unsigned char *p;
  size_t n;
};

struct pq_values {
  int encoding;
  enum pq_type type;
  size_t width; /* bytes of a fixed value */
  const unsigned char *p, *end;
  uint64_t bit;        /* booleans, PLAIN */
  size_t count, index; /* BYTE_STREAM_SPLIT */
  struct pq_runs runs;
  struct pq_deltas deltas, prefixes;
  const struct pq_dictionary *dictionary;
  unsigned char small[16];
  struct buf previous; /* DELTA_BYTE_ARRAY; BYTE_STREAM_SPLIT of long values */
};
/* The part of a page behind its levels. `dictionary` may be NULL. ERR_FORMAT or ERR_UNSUPPORTED. */
int pq_values_init(struct pq_values *v, int encoding, enum pq_type type, int32_t length,
                   const struct pq_dictionary *dictionary, const void *bytes, size_t n,
                   struct err *err);
/* False when the page has no more, or is damaged. */
bool pq_values_next(struct pq_values *v, struct pq_value *out);

size_t pq_type_width(enum pq_type type, int32_t length); /* 0 for BYTE_ARRAY */
unsigned pq_bits(uint32_t most);                         /* that hold 0 … most */

#endif
