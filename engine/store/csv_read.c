/* SPDX-License-Identifier: MIT */
/* The CSV reader; see csv.h.
 *
 *   file ──stream──► bytes ──decoder──► text ──fields()──► fields + ends ──► JSON
 *
 * fields() is a machine of four states that goes over the decoded block: a field's start, inside a
 * plain field, inside quotes, behind a quote that was inside quotes (which ends the field, or is the
 * first half of ""). What stands behind a closing quote is kept as it is, as most readers do.
 *
 * The encoding is told from the whole file when it can be read twice, from its first MiB when it is
 * a pipe. The delimiter is the one that cuts the first rows most evenly.
 */
#include "store/csv.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "file/file.h"
#include "json/json.h"
#include "text/encoding.h"

#include <string.h>

#define BLOCK       ((size_t)256 << 10)
#define SAMPLE      ((size_t)64 << 10)
#define SAMPLE_ROWS 100
#define RECORD_MAX  ((size_t)64 << 20)
#define COLUMNS_MAX ((size_t)100000)

enum state { AT_START, IN_PLAIN, IN_QUOTES, BEHIND_QUOTE };

/* Fields of the row being read: their bytes one behind the other, and where each ends. */
struct row {
  struct buf bytes;
  struct buf ends; /* size_t each */
  size_t count;
  bool too_long, quoted; /* quoted: it has a quoted field, so it is not blank */
  uint64_t line, opened; /* where it begins; where the last quote was opened */
};

struct csv {
  char *path;
  struct stream *stream;
  struct encoding_decoder *decoder;
  struct encoding encoding;
  struct buf raw, text; /* a block as read; decoded, of which `at` bytes are used */
  size_t at;
  bool end, skip_newline; /* no more bytes; the row ended with CR, an LF belongs to it */
  char delimiter;
  enum state state;
  struct row row;
  uint64_t line;             /* of the byte at hand */
  struct buf keys, key_ends; /* the names as JSON, one behind the other */
  size_t columns, max_record;
  bool typed, pad, ready; /* ready: the row at hand was read ahead, when there is no header */
  struct buf out, reason;
};

void csv_close(struct csv *c) {
  if (!c) return;
  stream_close(c->stream);
  encoding_decoder_free(c->decoder);
  buf_clear(&c->raw);
  buf_clear(&c->text);
  buf_clear(&c->row.bytes);
  buf_clear(&c->row.ends);
  buf_clear(&c->keys);
  buf_clear(&c->key_ends);
  buf_clear(&c->out);
  buf_clear(&c->reason);
  mem_free(c->path);
  mem_free(c);
}

/* ---- bytes ---- */

/* Reads the next block and appends its text; sets c->end when there is none. */
static int refill(struct csv *c, struct err *err) {
  int rc = cancel_check(err);
  if (rc) return rc;
  if (c->at == c->text.len) buf_reset(&c->text), c->at = 0;
  if (buf_reserve(&c->raw, BLOCK)) return err_nomem(err, BLOCK, c->path);
  long long got = stream_read(c->stream, c->raw.data, BLOCK, err);
  if (got < 0) return err ? err->code : ERR_IO;
  c->end = got == 0;
  return encoding_decoder_feed(c->decoder, c->raw.data, (size_t)got, got == 0, &c->text, err);
}

static int detect_whole(struct csv *c, struct encoding_detector *d, struct err *err) {
  struct stream *s;
  int rc = stream_open(&s, c->path, err);
  if (rc) return rc;
  if (buf_reserve(&c->raw, BLOCK)) rc = err_nomem(err, BLOCK, c->path);
  for (long long got = 1; !rc && got > 0;) {
    got = stream_read(s, c->raw.data, BLOCK, err);
    if (got < 0)
      rc = err ? err->code : ERR_IO;
    else if (!(rc = cancel_check(err)))
      rc = encoding_detector_feed(d, c->raw.data, (size_t)got, err);
  }
  stream_close(s);
  return rc;
}

static int find_encoding(struct csv *c, const char *name, struct err *err) {
  struct encoding_detector *d;
  struct file_info info;
  int rc = 0;
  if (name) {
    if (strlen(name) >= sizeof c->encoding.name)
      return err_set(err, ERR_UNSUPPORTED, "encoding '%s' is not known", name);
    memcpy(c->encoding.name, name, strlen(name) + 1);
  } else {
    rc = encoding_detector_new(&d, err);
    if (rc) return rc;
    rc = file_stat(c->path, &info, err);
    if (!rc && info.is_file) rc = detect_whole(c, d, err);
    /* what cannot be read twice is taken for UTF-8; other bytes are replaced and counted */
    if (!rc) rc = encoding_detector_finish(d, &c->encoding, err);
    encoding_detector_free(d);
  }
  return rc ? rc : encoding_decoder_new(&c->decoder, c->encoding.name, err);
}

/* ---- fields ---- */

static void begin_row(struct csv *c) {
  buf_reset(&c->row.bytes);
  buf_reset(&c->row.ends);
  c->row.count = 0;
  c->row.too_long = c->row.quoted = false;
  c->row.line = c->line;
}

static void add_bytes(struct csv *c, const char *s, size_t n) {
  if (c->row.too_long) return;
  if (c->row.bytes.len + n > c->max_record) {
    c->row.too_long = true;
    buf_reset(&c->row.bytes);
  } else {
    buf_add(&c->row.bytes, s, n);
  }
}

static void end_field(struct csv *c) {
  size_t end = c->row.bytes.len;
  c->row.count++;
  if (c->row.too_long || c->row.count > COLUMNS_MAX)
    c->row.too_long = true;
  else
    buf_add(&c->row.ends, &end, sizeof end);
}

static const char *plain_end(const char *p, const char *end, char delimiter) {
  while (p < end && *p != delimiter && *p != '\n' && *p != '\r') p++;
  return p;
}

/* Ends the row at the newline at *p (and counts it). */
static bool end_row(struct csv *c, char newline) {
  end_field(c);
  c->state = AT_START;
  c->line++;
  c->skip_newline = newline == '\r';
  return true;
}

/* Bytes inside quotes up to the next quote; returns how many. */
static size_t quoted_run(struct csv *c, const char *p, const char *end) {
  const char *q = memchr(p, '"', (size_t)(end - p));
  size_t n = (size_t)((q ? q : end) - p);
  for (const char *s = p; (s = memchr(s, '\n', (size_t)(p + n - s))); s++) c->line++;
  add_bytes(c, p, n);
  return n;
}

/* One step at a byte outside of runs; true when the row is complete. */
static bool step(struct csv *c, const char *p) {
  if (c->state == IN_QUOTES) { /* *p is a quote */
    c->state = BEHIND_QUOTE;
  } else if (*p == '"' && c->state == AT_START) {
    c->state = IN_QUOTES, c->row.quoted = true, c->row.opened = c->line;
  } else if (*p == '"' && c->state == BEHIND_QUOTE) {
    add_bytes(c, p, 1);
    c->state = IN_QUOTES;
  } else if (*p == c->delimiter) {
    end_field(c);
    c->state = AT_START;
  } else if (*p == '\n' || *p == '\r') {
    return end_row(c, *p);
  } else {
    add_bytes(c, p, 1);
    c->state = IN_PLAIN;
  }
  return false;
}

/* Goes on over c->text; true when the row is complete. */
static bool scan(struct csv *c) {
  const char *p = c->text.data + c->at, *end = c->text.data + c->text.len;
  bool done = false;
  while (p < end && !done) {
    if (c->skip_newline) {
      c->skip_newline = false;
      if (*p == '\n') {
        p++;
        continue;
      }
    }
    if (c->state == IN_QUOTES)
      p += quoted_run(c, p, end);
    else if (c->state == IN_PLAIN || (c->state == AT_START && *p != '"')) {
      const char *q = plain_end(p, end, c->delimiter);
      add_bytes(c, p, (size_t)(q - p));
      if (q > p) c->state = IN_PLAIN;
      p = q;
    }
    if (p < end) done = step(c, p++);
  }
  c->at = (size_t)(p - c->text.data);
  return done;
}

/* Reads one row into c->row. 1, 0 at the end, −1. */
static int read_row(struct csv *c, struct err *err) {
  begin_row(c);
  for (;;) {
    if (c->at < c->text.len && scan(c)) break;
    if (c->at < c->text.len) continue;
    if (c->end) {
      bool any = c->row.count || c->row.bytes.len || c->row.quoted || c->row.too_long;
      if (!any) return 0;
      if (c->state != IN_QUOTES) c->row.opened = 0;
      end_field(c);
      if (c->state != IN_QUOTES) c->state = AT_START;
      break;
    }
    if (refill(c, err)) return -1;
  }
  if (c->row.bytes.failed || c->row.ends.failed) {
    err_nomem(err, c->row.bytes.len, c->path);
    return -1;
  }
  return 1;
}

static bool is_blank(const struct row *r) {
  return r->count == 1 && !r->bytes.len && !r->quoted && !r->too_long;
}

static const char *field(const struct row *r, size_t i, size_t *n) {
  const size_t *ends = (const size_t *)(const void *)r->ends.data;
  size_t from = i ? ends[i - 1] : 0;
  *n = ends[i] - from;
  return r->bytes.data ? r->bytes.data + from : "";
}

/* ---- the delimiter ---- */

/* How evenly a delimiter cuts the sample's rows: the rows that have as many fields as the first, of
 * those that are whole; 0 when it does not occur. */
static double evenness(const char *s, size_t n, char delimiter, size_t *fields) {
  size_t rows = 0, same = 0, count = 1, first = 0;
  bool quoted = false, start = true;
  for (size_t i = 0; i < n && rows < SAMPLE_ROWS; i++) {
    if (quoted) {
      if (s[i] == '"') quoted = false;
    } else if (s[i] == '"' && start) {
      quoted = true;
    } else if (s[i] == '\n' || s[i] == '\r') {
      bool blank = start && count == 1;
      if (!blank && !rows) first = count;
      if (!blank) rows++, same += count == first;
      count = 1, start = true;
      continue;
    }
    start = !quoted && s[i] == delimiter;
    if (start) count++;
  }
  if (!rows) rows = same = 1, first = count;
  *fields = first;
  return first > 1 ? (double)same / (double)rows : 0;
}

static char guess_delimiter(const char *s, size_t n) {
  static const char candidates[] = {',', '\t', ';', '|'};
  char best = ',';
  double most = 0;
  for (size_t i = 0; i < sizeof candidates; i++) {
    size_t fields;
    double even = evenness(s, n, candidates[i], &fields);
    /* all rows alike counts most, then the number of fields */
    double score = even * 1000 + (fields > 100 ? 100 : (double)fields) * even;
    if (score > most) most = score, best = candidates[i];
  }
  return best;
}

/* "sep=;" in the first line, as spreadsheets write it. */
static bool named_delimiter(struct csv *c) {
  const char *s = c->text.data;
  if (c->text.len < 6 || memcmp(s, "sep=", 4) || (s[5] != '\n' && s[5] != '\r')) return false;
  c->delimiter = s[4];
  c->at = s[5] == '\r' && s[6] == '\n' ? 7 : 6;
  c->line++;
  return true;
}

/* ---- the header ---- */

static size_t key_start(const struct csv *c, size_t i) {
  const size_t *ends = (const size_t *)(const void *)c->key_ends.data;
  return i ? ends[i - 1] : 0;
}

static bool has_key(const struct csv *c, const struct buf *key) {
  const size_t *ends = (const size_t *)(const void *)c->key_ends.data;
  for (size_t i = 0; i < c->columns; i++) {
    size_t from = key_start(c, i);
    if (ends[i] - from == key->len && !memcmp(c->keys.data + from, key->data, key->len))
      return true;
  }
  return false;
}

/* Adds a column's name: trimmed; column_N when it is empty; name_2 when it was there before. */
static void add_key(struct csv *c, const char *s, size_t n) {
  struct buf key;
  size_t end;
  buf_init(&key);
  while (n && (*s == ' ' || *s == '\t')) s++, n--;
  while (n && (s[n - 1] == ' ' || s[n - 1] == '\t' || s[n - 1] == '\n' || s[n - 1] == '\r')) n--;
  for (unsigned copy = 1; copy < 1000; copy++) {
    struct buf name;
    buf_init(&name);
    if (n)
      utf8_lossy(s, n, &name);
    else
      buf_addf(&name, "column_%zu", c->columns + 1);
    for (size_t i = 0; i < name.len; i++)
      if (!name.data[i]) name.data[i] = '?'; /* U+0000 may not be in a key */
    if (copy > 1) buf_addf(&name, "_%u", copy);
    buf_reset(&key);
    json_put_string(&key, name.data ? name.data : "", name.len);
    if (name.failed) c->keys.failed = true;
    buf_clear(&name);
    if (c->columns > 2000 || !has_key(c, &key)) break; /* so many are not compared */
  }
  buf_add(&c->keys, key.data, key.len);
  end = c->keys.len;
  buf_add(&c->key_ends, &end, sizeof end);
  c->columns++;
  buf_clear(&key);
}

static int read_header(struct csv *c, bool none, struct err *err) {
  int got;
  while ((got = read_row(c, err)) > 0 && is_blank(&c->row)) continue;
  if (got < 0) return err ? err->code : ERR_IO;
  if (!got) return err_set(err, ERR_FORMAT, "empty: there is no row");
  if (c->state == IN_QUOTES)
    return err_set(err, ERR_FORMAT, "line %llu: the header has a quote that is never closed",
                   (unsigned long long)c->row.opened);
  if (c->row.too_long)
    return err_set(err, ERR_FORMAT, "line %llu: the header is longer than %zu bytes",
                   (unsigned long long)c->row.line, c->max_record);
  for (size_t i = 0; i < c->row.count; i++) {
    size_t n;
    const char *s = field(&c->row, i, &n);
    add_key(c, s, none ? 0 : n);
  }
  c->ready = none;
  if (c->key_ends.failed) c->keys.failed = true;
  return buf_check(&c->keys, "a CSV header", err);
}

static int start(struct csv *c, const struct csv_options *o, struct err *err) {
  int rc = find_encoding(c, o->encoding, err);
  if (!rc) rc = stream_open(&c->stream, c->path, err);
  while (!rc && c->text.len < SAMPLE && !c->end) rc = refill(c, err);
  if (rc) return rc;
  if (c->text.len && memchr(c->text.data, 0, c->text.len < SAMPLE ? c->text.len : SAMPLE))
    return err_set(err, ERR_FORMAT, "not a text file (it has zero bytes)");
  c->line = 1;
  if (o->delimiter)
    c->delimiter = o->delimiter;
  else if (c->text.len && !named_delimiter(c))
    c->delimiter = guess_delimiter(c->text.data, c->text.len < SAMPLE ? c->text.len : SAMPLE);
  return read_header(c, o->no_header, err);
}

int csv_open(struct csv **out, const char *path, const struct csv_options *options,
             struct err *err) {
  static const struct csv_options none;
  const struct csv_options *o = options ? options : &none;
  int rc = 0;
  *out = NULL;
  struct csv *c = mem_zero(sizeof *c);
  if (!c) return err_nomem(err, sizeof *c, path);
  c->max_record = o->max_record ? o->max_record : RECORD_MAX;
  c->typed = o->typed, c->pad = o->pad, c->delimiter = ',';
  if (!(c->path = mem_strdup(path)))
    rc = err_nomem(err, strlen(path), path);
  else if ((rc = start(c, o, err)) && !(err && !strncmp(err->message, path, strlen(path))))
    rc = err_prefix(err, "%s", path);
  if (rc)
    csv_close(c);
  else
    *out = c;
  return rc;
}

/* ---- records ---- */

/* Whether a field is a number as JSON writes them. */
static bool is_number(const char *s, size_t n) {
  size_t i = 0, digits;
  if (i < n && s[i] == '-') i++;
  if (i == n || n > 100) return false;
  if (s[i] == '0' && i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '9') return false;
  for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
  if (!digits) return false;
  if (i < n && s[i] == '.') {
    for (i++, digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
    if (!digits) return false;
  }
  if (i < n && (s[i] == 'e' || s[i] == 'E')) {
    i++;
    if (i < n && (s[i] == '+' || s[i] == '-')) i++;
    for (digits = 0; i < n && s[i] >= '0' && s[i] <= '9'; i++) digits++;
    if (!digits) return false;
  }
  return i == n;
}

static void put_field(struct csv *c, const char *s, size_t n) {
  bool is_true = n == 4 && !memcmp(s, "true", 4), is_false = n == 5 && !memcmp(s, "false", 5);
  if (c->typed && !n)
    buf_adds(&c->out, "null");
  else if (c->typed && (is_true || is_false || is_number(s, n)))
    buf_add(&c->out, s, n);
  else
    json_put_string(&c->out, s, n);
}

static void put_record(struct csv *c) {
  const size_t *ends = (const size_t *)(const void *)c->key_ends.data;
  buf_reset(&c->out);
  for (size_t i = 0; i < c->columns; i++) {
    size_t from = key_start(c, i), n;
    buf_addc(&c->out, i ? ',' : '{');
    buf_add(&c->out, c->keys.data + from, ends[i] - from);
    buf_addc(&c->out, ':');
    if (i >= c->row.count) {
      buf_adds(&c->out, "null");
    } else {
      const char *s = field(&c->row, i, &n);
      put_field(c, s, n);
    }
  }
  buf_addc(&c->out, '}');
}

/* Why the row at hand is no record; NULL when it is one. */
static const char *refusal(struct csv *c) {
  buf_reset(&c->reason);
  if (c->state == IN_QUOTES)
    buf_addf(&c->reason, "a quote opened in line %llu is never closed",
             (unsigned long long)c->row.opened);
  else if (c->row.too_long)
    buf_addf(&c->reason, "longer than %zu bytes", c->max_record);
  else if (c->row.count > c->columns || (c->row.count < c->columns && !c->pad))
    buf_addf(&c->reason, "%zu field%s, the header has %zu", c->row.count,
             c->row.count == 1 ? "" : "s", c->columns);
  return c->reason.len ? c->reason.data : NULL;
}

int csv_next(struct csv *c, struct csv_record *record, struct err *err) {
  int got = 1;
  if (!c->ready)
    while ((got = read_row(c, err)) > 0 && is_blank(&c->row)) continue;
  c->ready = false;
  if (got < 0) err_prefix(err, "%s: line %llu", c->path, (unsigned long long)c->line);
  if (got <= 0) return got;
  *record = (struct csv_record){.reason = refusal(c), .line = c->row.line};
  if (c->state == IN_QUOTES) c->state = AT_START;
  if (record->reason) return 1;
  put_record(c);
  if (buf_check(&c->out, "a CSV record", err)) return -1;
  record->text = c->out.data, record->n = c->out.len;
  return 1;
}

char csv_delimiter(const struct csv *c) {
  return c->delimiter;
}
const char *csv_encoding(const struct csv *c) {
  return c->encoding.name;
}
size_t csv_columns(const struct csv *c) {
  return c->columns;
}
const char *csv_column(const struct csv *c, size_t i, size_t *n) {
  *n = key_start(c, i + 1) - key_start(c, i);
  return c->keys.data + key_start(c, i);
}
uint64_t csv_replaced(const struct csv *c) {
  return encoding_decoder_replaced(c->decoder);
}
