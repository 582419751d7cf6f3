/* SPDX-License-Identifier: MIT */
/* From Parquet values to JSON. No digit is lost and nothing is guessed:
 *
 *   integers                     numbers, unsigned ones too
 *   float, double                the shortest digits that read back the same; NaN and ±∞ are null; a
 *                                float16 is written as a double
 *   decimal                      a number; a string when it may have more than 15 digits, which a
 *                                double cannot hold
 *   text, enum                   a string
 *   JSON                         the value itself
 *   date, time, timestamp        "2026-11-21", "12:34:56.789", "2026-11-21T12:34:56Z" (Z: in UTC);
 *                                a fraction of 3, 6 or 9 digits when it is not zero
 *   INT96                        a timestamp without zone
 *   interval                     "P1M2DT3.004S"; UUID as usual
 *   other bytes                  base64 (RFC 4648, with padding)
 */
#include "store/parquet_json.h"

#include "base/utf8.h"
#include "json/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DECIMAL_BYTES 64

static uint64_t little(const unsigned char *p, size_t n) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v |= (uint64_t)p[i] << 8 * i;
  return v;
}

/* The signed value of an INT32 or INT64. */
static int64_t integer(const struct pq_node *n, const struct pq_value *v) {
  return n->type == PQ_INT32 ? (int32_t)little(v->p, 4) : (int64_t)little(v->p, 8);
}

static void put_text(const struct pq_value *v, struct pq_notes *notes, struct buf *out) {
  const char *s = (const char *)v->p;
  if (utf8_check(s, v->n) == v->n) {
    json_put_string(out, s, v->n);
    return;
  }
  struct buf fixed;
  buf_init(&fixed);
  utf8_lossy(s, v->n, &fixed);
  notes->bad_utf8++;
  json_put_string(out, fixed.data ? fixed.data : "", fixed.len);
  if (fixed.failed) out->failed = true;
  buf_clear(&fixed);
}

static void put_json(const struct pq_value *v, struct pq_notes *notes, struct buf *out) {
  struct json *j;
  if (json_parse(&j, (const char *)v->p, v->n, NULL, NULL)) {
    notes->bad_json++;
    put_text(v, notes, out);
    return;
  }
  json_put_value(out, j, JSON_ROOT, 0);
  json_free(j);
}

static void put_base64(const struct pq_value *v, struct buf *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t n = v->n;
  if (buf_reserve(out, n / 3 * 4 + 8)) return;
  char *to = out->data + out->len;
  *to++ = '"';
  for (size_t i = 0; i < n; i += 3) {
    unsigned b = (unsigned)v->p[i] << 16 | (i + 1 < n ? (unsigned)v->p[i + 1] << 8 : 0) |
                 (i + 2 < n ? v->p[i + 2] : 0);
    *to++ = digits[b >> 18];
    *to++ = digits[b >> 12 & 63];
    *to++ = i + 1 < n ? digits[b >> 6 & 63] : '=';
    *to++ = i + 2 < n ? digits[b & 63] : '=';
  }
  *to++ = '"';
  out->len = (size_t)(to - out->data);
  out->data[out->len] = 0;
}

/* ---- numbers ---- */

static void put_float(float f, struct pq_notes *notes, struct buf *out) {
  char text[40];
  if (!isfinite(f)) {
    notes->not_finite++;
    buf_adds(out, "null");
    return;
  }
  for (int digits = 6; digits <= 9; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)f);
    if (strtof(text, NULL) == f) break;
  }
  buf_adds(out, text);
  if (!strpbrk(text, ".e")) buf_adds(out, ".0");
}

static void put_double(double d, struct pq_notes *notes, struct buf *out) {
  if (isfinite(d)) {
    json_put_double(out, d);
  } else {
    notes->not_finite++;
    buf_adds(out, "null");
  }
}

static float half(unsigned h) {
  int exponent = (int)(h >> 10 & 31);
  float fraction = (float)(h & 1023), v;
  if (exponent == 31)
    v = fraction != 0 ? NAN : INFINITY;
  else if (exponent)
    v = ldexpf(1024 + fraction, exponent - 25);
  else
    v = ldexpf(fraction, -24);
  return h >> 15 ? -v : v;
}

/* Big-endian two's complement of up to DECIMAL_BYTES to decimal digits; returns their number. */
static size_t decimal_digits(unsigned char *bytes, size_t n, bool *negative, char *out) {
  char reversed[3 * DECIMAL_BYTES];
  size_t count = 0, first = 0;
  *negative = n && bytes[0] >> 7;
  if (*negative) {
    unsigned carry = 1;
    for (size_t i = n; i-- > 0;) {
      carry += (unsigned char)~bytes[i];
      bytes[i] = (unsigned char)carry, carry >>= 8;
    }
  }
  while (first < n) {
    unsigned rest = 0;
    for (size_t i = first; i < n; i++) {
      rest = rest << 8 | bytes[i];
      bytes[i] = (unsigned char)(rest / 10), rest %= 10;
    }
    reversed[count++] = (char)('0' + rest);
    while (first < n && !bytes[first]) first++;
  }
  if (!count) reversed[count++] = '0';
  for (size_t i = 0; i < count; i++) out[i] = reversed[count - 1 - i];
  return count;
}

static int put_decimal(const struct pq_node *node, const struct pq_value *v, struct buf *out,
                       struct err *err) {
  unsigned char bytes[DECIMAL_BYTES];
  char digits[3 * DECIMAL_BYTES];
  bool negative, quoted = node->precision > 15 || node->precision == 0;
  size_t scale = (size_t)node->scale;
  if (v->n > DECIMAL_BYTES)
    return err_set(err, ERR_UNSUPPORTED, "a decimal of %zu bytes; at most %d are read", v->n,
                   DECIMAL_BYTES);
  for (size_t i = 0; i < v->n; i++) /* integers are little-endian */
    bytes[i] = v->p[node->type == PQ_INT32 || node->type == PQ_INT64 ? v->n - 1 - i : i];
  size_t n = decimal_digits(bytes, v->n, &negative, digits);
  if (quoted) buf_addc(out, '"');
  if (negative) buf_addc(out, '-');
  if (n > scale)
    buf_add(out, digits, n - scale);
  else
    buf_addc(out, '0');
  if (scale) {
    buf_addc(out, '.');
    for (size_t i = n; i < scale; i++) buf_addc(out, '0');
    buf_add(out, n > scale ? digits + n - scale : digits, n > scale ? scale : n);
  }
  if (quoted) buf_addc(out, '"');
  return 0;
}

/* ---- times ---- */

/* Days since 1970-01-01 in the Gregorian calendar, extended both ways (Hinnant, "chrono-compatible
 * low-level date algorithms"). */
static void put_date(int64_t days, struct buf *out) {
  int64_t z = days + 719468;
  int64_t era = (z >= 0 ? z : z - 146096) / 146097;
  int64_t doe = z - era * 146097;
  int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
  int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
  int64_t mp = (5 * doy + 2) / 153;
  int64_t day = doy - (153 * mp + 2) / 5 + 1, month = mp < 10 ? mp + 3 : mp - 9;
  int64_t year = yoe + era * 400 + (month <= 2);
  if (year >= 0 && year <= 9999)
    buf_addf(out, "%04" PRId64, year);
  else
    buf_addf(out, "%c%06" PRId64, year < 0 ? '-' : '+', year < 0 ? -year : year);
  buf_addf(out, "-%02d-%02d", (int)month, (int)day);
}

/* A time of day in units of 10^-digits seconds. */
static void put_clock(uint64_t units, unsigned digits, struct buf *out) {
  uint64_t scale = digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
  uint64_t seconds = units / scale, rest = units % scale;
  buf_addf(out, "%02u:%02u:%02u", (unsigned)(seconds / 3600), (unsigned)(seconds / 60 % 60),
           (unsigned)(seconds % 60));
  if (rest) buf_addf(out, ".%0*" PRIu64, (int)digits, rest);
}

static void put_timestamp(int64_t v, unsigned digits, bool utc, struct buf *out) {
  int64_t scale = digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000, day = 86400 * scale;
  int64_t days = v / day, rest = v % day;
  if (rest < 0) days--, rest += day;
  buf_addc(out, '"');
  put_date(days, out);
  buf_addc(out, 'T');
  put_clock((uint64_t)rest, digits, out);
  buf_adds(out, utc ? "Z\"" : "\"");
}

/* Nanoseconds of the day, Julian day. */
static void put_int96(const struct pq_value *v, struct buf *out) {
  uint64_t nanos = little(v->p, 8);
  int64_t days = (int64_t)(int32_t)little(v->p + 8, 4) - 2440588;
  days += (int64_t)(nanos / 86400000000000u), nanos %= 86400000000000u;
  buf_addc(out, '"');
  put_date(days, out);
  buf_addc(out, 'T');
  put_clock(nanos, 9, out);
  buf_addc(out, '"');
}

static void put_time(const struct pq_node *node, const struct pq_value *v, struct buf *out) {
  int64_t t = integer(node, v);
  if (t < 0) { /* no time of day: the number itself */
    json_put_int(out, t);
    return;
  }
  buf_addc(out, '"');
  put_clock((uint64_t)t, node->digits, out);
  buf_addc(out, '"');
}

static void put_interval(const struct pq_value *v, struct buf *out) {
  uint32_t months = (uint32_t)little(v->p, 4), days = (uint32_t)little(v->p + 4, 4),
           ms = (uint32_t)little(v->p + 8, 4);
  buf_addf(out, "\"P%" PRIu32 "M%" PRIu32 "DT%" PRIu32, months, days, ms / 1000);
  if (ms % 1000) buf_addf(out, ".%03u", (unsigned)(ms % 1000));
  buf_adds(out, "S\"");
}

static void put_uuid(const struct pq_value *v, struct buf *out) {
  buf_addc(out, '"');
  for (size_t i = 0; i < 16; i++)
    buf_addf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", v->p[i]);
  buf_addc(out, '"');
}

/* ---- all of them ---- */

static void put_plain(const struct pq_node *node, const struct pq_value *v, struct pq_notes *notes,
                      struct buf *out) {
  float f;
  double d;
  uint32_t u = 0;
  uint64_t u64 = 0;
  switch (node->type) {
  case PQ_BOOLEAN:
    buf_adds(out, *v->p ? "true" : "false");
    break;
  case PQ_INT32:
  case PQ_INT64:
    json_put_int(out, integer(node, v));
    break;
  case PQ_INT96:
    put_int96(v, out);
    break;
  case PQ_FLOAT:
    u = (uint32_t)little(v->p, 4);
    memcpy(&f, &u, sizeof f);
    put_float(f, notes, out);
    break;
  case PQ_DOUBLE:
    u64 = little(v->p, 8);
    memcpy(&d, &u64, sizeof d);
    put_double(d, notes, out);
    break;
  default:
    put_base64(v, out);
  }
}

int pq_json_value(const struct pq_node *node, const struct pq_value *v, bool text,
                  struct pq_notes *notes, struct buf *out, struct err *err) {
  switch (node->meaning) {
  case PQ_IS_TEXT:
    put_text(v, notes, out);
    break;
  case PQ_IS_JSON:
    put_json(v, notes, out);
    break;
  case PQ_IS_DECIMAL:
    return put_decimal(node, v, out, err);
  case PQ_IS_DATE:
    buf_addc(out, '"');
    put_date(integer(node, v), out);
    buf_addc(out, '"');
    break;
  case PQ_IS_TIME:
    put_time(node, v, out);
    break;
  case PQ_IS_TIMESTAMP:
    put_timestamp(integer(node, v), node->digits, node->utc, out);
    break;
  case PQ_IS_UNSIGNED:
    buf_addf(out, "%" PRIu64, little(v->p, node->type == PQ_INT32 ? 4 : 8));
    break;
  case PQ_IS_FLOAT16:
    put_double((double)half((unsigned)little(v->p, 2)), notes, out);
    break;
  case PQ_IS_UUID:
    put_uuid(v, out);
    break;
  case PQ_IS_INTERVAL:
    put_interval(v, out);
    break;
  case PQ_IS_NULL:
    buf_adds(out, "null");
    break;
  case PQ_IS_BINARY:
    if (text && node->type == PQ_BYTE_ARRAY)
      put_text(v, notes, out);
    else
      put_base64(v, out);
    break;
  default:
    put_plain(node, v, notes, out);
  }
  return 0;
}

void pq_type_name(const struct pq_node *n, struct buf *out) {
  static const char *const physical[] = {"bool",  "int32",  "int64",  "timestamp[ns]",
                                         "float", "double", "binary", "binary"};
  const char *unit = n->digits == 3 ? "ms" : n->digits == 6 ? "us" : "ns";
  switch (n->meaning) {
  case PQ_IS_TEXT:
    buf_adds(out, "string");
    break;
  case PQ_IS_JSON:
    buf_adds(out, "json");
    break;
  case PQ_IS_DECIMAL:
    buf_addf(out, "decimal(%d, %d)", n->precision, n->scale);
    break;
  case PQ_IS_DATE:
    buf_adds(out, "date");
    break;
  case PQ_IS_TIME:
    buf_addf(out, "time[%s]", unit);
    break;
  case PQ_IS_TIMESTAMP:
    buf_addf(out, "timestamp[%s%s]", unit, n->utc ? ", UTC" : "");
    break;
  case PQ_IS_UNSIGNED:
    buf_adds(out, n->type == PQ_INT32 ? "uint32" : "uint64");
    break;
  case PQ_IS_FLOAT16:
    buf_adds(out, "float16");
    break;
  case PQ_IS_UUID:
    buf_adds(out, "uuid");
    break;
  case PQ_IS_INTERVAL:
    buf_adds(out, "interval");
    break;
  case PQ_IS_NULL:
    buf_adds(out, "null");
    break;
  case PQ_IS_LIST:
    buf_adds(out, "list");
    break;
  case PQ_IS_MAP:
    buf_adds(out, "map");
    break;
  default:
    buf_adds(out, n->leaf ? physical[n->type] : "struct");
  }
}
