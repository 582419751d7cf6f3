/* SPDX-License-Identifier: MIT */
/* JSON (RFC 8259), read strictly and written minimally.
 *
 * json_parse goes once over the text and leaves a tape of 16-byte nodes, in text order; a key is
 * the node before its value:
 *
 *   {"a": 1, "b": [true, "x"]}   →   0 object  1 "a"  2 int  3 "b"  4 array  5 true  6 "x"
 *
 * A value is named by its place on the tape (json_id; the whole text is 0). Nothing is converted
 * until it is asked for, so that a reader which needs three fields of a record pays for three, and
 * a number can be written back byte for byte (json_raw). The text is not copied and must outlive
 * the tape. A finished tape is read-only: any number of threads may read it.
 *
 * Refused, with the byte offset: anything RFC 8259 does not allow (trailing commas, comments, NaN,
 * leading zeros, a BOM …), malformed UTF-8, lone surrogates (\ud800), control characters, nesting
 * deeper than max_depth, two equal keys in one object ("a" and "\u0061" are equal), U+0000 in a
 * key. In values "\u0000" is legal JSON and stays: strings have lengths, never terminators.
 *
 * Objects are looked up in constant time however many members they have.
 */
#ifndef LATHE_JSON_JSON_H
#define LATHE_JSON_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum json_kind {
  JSON_NULL,
  JSON_FALSE,
  JSON_TRUE,
  JSON_INT,  /* written without fraction and exponent, and fits int64_t ("-0" is JSON_REAL) */
  JSON_REAL, /* every other number */
  JSON_STRING,
  JSON_ARRAY,
  JSON_OBJECT
};

struct json_limits {
  size_t max_bytes;   /* 0: 1 GiB; never more than 4 GiB − 1 */
  unsigned max_depth; /* 0: 512; never more than JSON_DEPTH_MAX */
  /* 0: all. Objects of more members are not searched for equal keys (the caller's to find) and
   * json_get walks through them: for one that is only iterated over. */
  size_t max_indexed;
};
#define JSON_DEPTH_MAX     1024 /* what code that recurses over values may rely on */
#define JSON_NUMBER_DIGITS 1000 /* longer numbers are refused (ERR_LIMIT) */

struct json;
typedef uint32_t json_id;
#define JSON_ROOT ((json_id)0)
#define JSON_NONE UINT32_MAX

/* limits may be NULL. On failure *out is NULL; ERR_FORMAT, ERR_LIMIT or ERR_NOMEM with a message
 * that begins "byte N: ". */
int json_parse(struct json **out, const char *text, size_t n, const struct json_limits *limits,
               struct err *err);
void json_free(struct json *j);
size_t json_memory(const struct json *j); /* bytes the tape holds */

/* The same with the memory of a tape that is no longer needed: *tape is NULL or what an earlier call
 * left, also a failed one; json_free it at the end. After a failure it is only good for that. */
int json_parse_again(struct json **tape, const char *text, size_t n,
                     const struct json_limits *limits, struct err *err);
/* A copy of a finished tape in the caller's memory: one block of so many bytes, aligned to 8, that
 * needs no json_free. The text is shared. */
size_t json_packed_size(const struct json *j);
struct json *json_pack(void *block, const struct json *j);

/* ---- looking ---- all take a valid id of this tape; JSON_NONE gives JSON_NULL, 0, false, NULL. */

enum json_kind json_kind(const struct json *j, json_id v);
const char *json_kind_name(enum json_kind kind);    /* "null", "boolean", "integer", "number" … */
size_t json_count(const struct json *j, json_id v); /* elements or members; 0 for scalars */
size_t json_offset(const struct json *j, json_id v); /* byte where the value begins, for messages */

/* The value's bytes as they stand in the text (strings with their quotes). */
const char *json_raw(const struct json *j, json_id v, size_t *n);

/* A member's value, or JSON_NONE when there is none or v is not an object. */
json_id json_get(const struct json *j, json_id v, const char *name);
json_id json_getn(const struct json *j, json_id v, const char *name, size_t n);
/* Element i (from 0) of an array; walks, so use an iterator for loops. */
json_id json_at(const struct json *j, json_id v, size_t i);

/* Elements of an array or members of an object, in text order:
 *
 *   struct json_iter it = json_iter(j, v);
 *   while (json_each(&it)) use(it.key, it.value);      key is JSON_NONE in an array
 *
 * Of a scalar: none. */
struct json_iter {
  const struct json *j;
  json_id key, value;
  json_id at, end;
  bool object;
};
struct json_iter json_iter(const struct json *j, json_id v);
bool json_each(struct json_iter *it);

/* A string's (or key's) characters without quotes and escapes. Points into the text when it has no
 * escapes, else into `scratch`, which is emptied first. NULL when v is not a string, or memory ran
 * out (then scratch->failed). Not zero-terminated; may contain zero bytes. */
const char *json_string(const struct json *j, json_id v, struct buf *scratch, size_t *n);
/* The same into memory of the caller's, which must hold as many bytes as json_raw gives. Returns how
 * many it wrote; 0 when v is not a string. json_plain_string: where they stand in the text, or NULL
 * when there are escapes to be decoded. */
const char *json_plain_string(const struct json *j, json_id v, size_t *n);
size_t json_unescape(const struct json *j, json_id v, char *out);
/* Appends them to out; false when v is not a string. Check out with buf_check. */
bool json_string_add(const struct json *j, json_id v, struct buf *out);
/* Whether v is the string `s`. */
bool json_is(const struct json *j, json_id v, const char *s);

/* False when v is of another kind (json_int: also a number with fraction; json_double takes both).
 * A number too large for a double gives an infinity. */
bool json_int(const struct json *j, json_id v, int64_t *out);
bool json_double(const struct json *j, json_id v, double *out);
bool json_bool(const struct json *j, json_id v, bool *out);

/* ---- writing ---- appended to a buffer; check it once at the end with buf_check */

/* With quotes; only ", \, and control characters are escaped; UTF-8 is kept. s must be UTF-8
 * (utf8_check), which is the caller's to know. */
void json_put_string(struct buf *out, const char *s, size_t n);
void json_put_int(struct buf *out, int64_t v);
/* The shortest text that reads back as the same double, always with a fraction or an exponent.
 * v must be finite. */
void json_put_double(struct buf *out, double v);
/* The value v of a tape written afresh: no spaces (indent 0) or one member a line; numbers and
 * strings keep their bytes. */
void json_put_value(struct buf *out, const struct json *j, json_id v, unsigned indent);

#endif
