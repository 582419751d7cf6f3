/* SPDX-License-Identifier: MIT */
/* The codecs of Parquet's pages: whole blocks whose unpacked size is known beforehand. */
#ifndef LATHE_STORE_COMPRESS_H
#define LATHE_STORE_COMPRESS_H

#include "store/parquet_types.h"

/* "zstd", "snappy" …; NULL for a number that means nothing. */
const char *codec_name(int codec);

/* Unpacks exactly `size` bytes into out (which has them). More or fewer is ERR_FORMAT; a codec that
 * is not in this build, ERR_UNSUPPORTED. No byte behind out[size] is written, whatever comes. */
int codec_unpack(int codec, const void *bytes, size_t n, void *out, size_t size, struct err *err);

/* Packs n bytes (below 2 GiB) and appends them to out. PQ_UNCOMPRESSED, PQ_GZIP and PQ_ZSTD only.
 * The same bytes for the same input. `state` keeps the codec's memory between calls: NULL at first,
 * given back with codec_free. */
struct codec_state;
int codec_pack(struct codec_state **state, int codec, int level, const void *bytes, size_t n,
               struct buf *out, struct err *err);
void codec_free(struct codec_state *state);
bool codec_has_zstd(void);

#endif
