/* SPDX-License-Identifier: MIT */
/* What the files of the Parquet reader and writer share: the numbers of parquet.thrift (Apache
 * parquet-format 2.11) and the schema as a tree. Known to this room only. */
#ifndef LATHE_STORE_PARQUET_TYPES_H
#define LATHE_STORE_PARQUET_TYPES_H

#include "base/buf.h"
#include "base/err.h"

enum pq_type {
  PQ_BOOLEAN,
  PQ_INT32,
  PQ_INT64,
  PQ_INT96,
  PQ_FLOAT,
  PQ_DOUBLE,
  PQ_BYTE_ARRAY,
  PQ_FIXED
};

enum pq_repetition { PQ_REQUIRED, PQ_OPTIONAL, PQ_REPEATED };

enum pq_encoding {
  PQ_PLAIN = 0,
  PQ_PLAIN_DICTIONARY = 2,
  PQ_RLE = 3,
  PQ_BIT_PACKED = 4,
  PQ_DELTA_BINARY_PACKED = 5,
  PQ_DELTA_LENGTH_BYTE_ARRAY = 6,
  PQ_DELTA_BYTE_ARRAY = 7,
  PQ_RLE_DICTIONARY = 8,
  PQ_BYTE_STREAM_SPLIT = 9
};

enum pq_codec {
  PQ_UNCOMPRESSED,
  PQ_SNAPPY,
  PQ_GZIP,
  PQ_LZO,
  PQ_BROTLI,
  PQ_LZ4,
  PQ_ZSTD,
  PQ_LZ4_RAW
};

enum pq_page { PQ_DATA_PAGE, PQ_INDEX_PAGE, PQ_DICTIONARY_PAGE, PQ_DATA_PAGE_V2 };

enum pq_converted {
  PQ_CONVERTED_NONE = -1,
  PQ_UTF8 = 0,
  PQ_MAP = 1,
  PQ_MAP_KEY_VALUE = 2,
  PQ_LIST = 3,
  PQ_ENUM = 4,
  PQ_CONVERTED_DECIMAL = 5,
  PQ_CONVERTED_DATE = 6,
  PQ_TIME_MILLIS = 7,
  PQ_TIME_MICROS = 8,
  PQ_TIMESTAMP_MILLIS = 9,
  PQ_TIMESTAMP_MICROS = 10,
  PQ_UINT_8 = 11,
  PQ_INT_64 = 18,
  PQ_CONVERTED_JSON = 19,
  PQ_CONVERTED_BSON = 20,
  PQ_CONVERTED_INTERVAL = 21
};

/* What a column's values mean, whether the old or the new annotation says it. */
enum pq_meaning {
  PQ_IS_PLAIN,
  PQ_IS_TEXT,
  PQ_IS_JSON,
  PQ_IS_DECIMAL,
  PQ_IS_DATE,
  PQ_IS_TIME,
  PQ_IS_TIMESTAMP,
  PQ_IS_UNSIGNED,
  PQ_IS_SIGNED,
  PQ_IS_FLOAT16,
  PQ_IS_UUID,
  PQ_IS_INTERVAL,
  PQ_IS_BINARY,
  PQ_IS_NULL,
  PQ_IS_LIST,
  PQ_IS_MAP
};

#define PQ_NONE        UINT32_MAX
#define PQ_DEPTH_MAX   100     /* levels of a schema */
#define PQ_COLUMNS_MAX 100000u /* elements of a schema */

/* An element of the schema. The root is node 0; the nodes of a subtree follow their parent. */
struct pq_node {
  const char *name; /* in the footer's bytes */
  size_t name_n;
  size_t key_at, key_n; /* in parquet.keys: the name as JSON, with quotes and colon */
  enum pq_type type;    /* of a leaf */
  enum pq_repetition repetition;
  enum pq_meaning meaning;
  bool leaf, utc, selected;
  bool element_inside; /* of a list's repeated group: the element is its only child */
  uint8_t digits;      /* of a time's fraction: 3, 6 or 9 */
  int32_t length;      /* bytes of a fixed value */
  int32_t scale, precision;
  uint16_t def, rep; /* levels from which this node is there, and at which it repeats */
  uint32_t parent, first, next, children; /* indices of nodes, PQ_NONE when there are none */
  uint32_t leaf_from, leaf_to;            /* columns under it, as in a row group */
  uint32_t probe;                         /* the first selected one of them, or PQ_NONE */
};

#endif
