/* SPDX-License-Identifier: MIT */
/* Pages of a column chunk (see parquet_column.h).
 *
 *   chunk   [header][dictionary page]  [header][data page] [header][data page] …
 *   v1      packed( [n][repetition levels] [n][definition levels] [values] )
 *   v2      [repetition levels][definition levels] packed( [values] )
 *
 * The header's size is not known before it is read: it is tried on 4 KiB, then on ever more, up to
 * 16 MiB. A page is held whole, at most PQ_PAGE_MAX bytes unpacked; its checksum is compared when it
 * has one.
 */
#include "store/parquet_column.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "store/compress.h"
#include "store/thrift.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define HEADER_FIRST ((size_t)4 << 10)
#define HEADER_MAX   ((size_t)16 << 20)

struct header {
  int type;
  int64_t size, packed; /* bytes unpacked and in the file */
  int64_t values, encoding, def_encoding, rep_encoding;
  int64_t def_bytes, rep_bytes; /* v2 */
  bool has_crc, is_packed, has_values;
  uint32_t crc;
};

void pq_column_clear(struct pq_column *c) {
  pq_dictionary_clear(&c->dictionary);
  buf_clear(&c->raw);
  buf_clear(&c->page);
  buf_clear(&c->values.previous);
  memset(c, 0, sizeof *c);
}

static int at_column(const struct pq_column *c, struct err *err) {
  const struct pq_node *n = c->node;
  return err_prefix(err, "column %.*s", n->name_n < 100 ? (int)n->name_n : 100, n->name);
}

int pq_column_open(struct pq_column *c, int fd, const struct pq_node *node,
                   const struct pq_chunk *chunk, struct err *err) {
  c->fd = fd, c->node = node, c->chunk = chunk;
  c->at = chunk->at, c->end = chunk->at + chunk->bytes;
  c->chunk_left = chunk->values;
  c->page_left = 0, c->peeked = c->has_dictionary = false;
  int rc = 0;
  if (chunk->encrypted)
    rc =
        err_set(err, ERR_UNSUPPORTED, "encrypted; decrypt the file first, or leave the column out");
  else if (chunk->elsewhere)
    rc = err_set(err, ERR_UNSUPPORTED, "its data are in another file, which is not supported");
  return rc ? at_column(c, err) : 0;
}

/* Reads n bytes at c->at into b (emptied first) without moving. */
static int fetch(struct pq_column *c, size_t n, struct buf *b, struct err *err) {
  buf_reset(b);
  if (buf_reserve(b, n)) return err_nomem(err, n, "a Parquet page");
  while (b->len < n) {
    ssize_t got = pread(c->fd, b->data + b->len, n - b->len, (off_t)(c->at + b->len));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return err_errno(err, "reading a page");
    if (got == 0) return err_set(err, ERR_FORMAT, "the file ends early");
    b->len += (size_t)got;
  }
  return 0;
}

/* ---- headers ---- */

static void read_v1(struct reader *r, struct header *h) {
  struct thrift_field f = {0, 0};
  while (thrift_next(r, &f)) {
    if (f.id == 1)
      h->values = thrift_int(r, &f), h->has_values = true;
    else if (f.id == 2)
      h->encoding = thrift_int(r, &f);
    else if (f.id == 3 && h->type != PQ_DICTIONARY_PAGE)
      h->def_encoding = thrift_int(r, &f);
    else if (f.id == 4)
      h->rep_encoding = thrift_int(r, &f);
    else
      thrift_skip(r, &f);
  }
}

static void read_v2(struct reader *r, struct header *h) {
  struct thrift_field f = {0, 0};
  while (thrift_next(r, &f)) {
    if (f.id == 1)
      h->values = thrift_int(r, &f), h->has_values = true;
    else if (f.id == 4)
      h->encoding = thrift_int(r, &f);
    else if (f.id == 5)
      h->def_bytes = thrift_int(r, &f);
    else if (f.id == 6)
      h->rep_bytes = thrift_int(r, &f);
    else if (f.id == 7)
      h->is_packed = thrift_bool(r, &f);
    else
      thrift_skip(r, &f);
  }
}

static void read_header(struct reader *r, struct header *h) {
  struct thrift_field f = {0, 0};
  *h = (struct header){.type = -1, .is_packed = true};
  while (thrift_next(r, &f)) {
    switch (f.id) {
    case 1:
      h->type = (int)thrift_int(r, &f);
      break;
    case 2:
      h->size = thrift_int(r, &f);
      break;
    case 3:
      h->packed = thrift_int(r, &f);
      break;
    case 4:
      h->crc = (uint32_t)thrift_int(r, &f), h->has_crc = true;
      break;
    case 5:
    case 7:
      if (thrift_is_struct(r, &f)) read_v1(r, h);
      break;
    case 8:
      if (thrift_is_struct(r, &f)) read_v2(r, h);
      break;
    default:
      thrift_skip(r, &f);
    }
  }
}

static int check_header(const struct pq_column *c, const struct header *h, struct err *err) {
  if (h->type < 0 || h->size < 0 || h->packed < 0 || (uint64_t)h->packed > c->end - c->at)
    return err_set(err, ERR_FORMAT, "a page that does not fit into its column (%lld bytes)",
                   (long long)h->packed);
  if ((uint64_t)h->size > PQ_PAGE_MAX || (uint64_t)h->packed > PQ_PAGE_MAX)
    return err_set(err, ERR_LIMIT, "a page of %lld bytes unpacked; at most %zu are read",
                   (long long)h->size, PQ_PAGE_MAX);
  if (h->type == PQ_INDEX_PAGE || h->type > PQ_DATA_PAGE_V2) return 0;
  if (!h->has_values || h->values < 0 || h->values > INT32_MAX)
    return err_set(err, ERR_FORMAT, "a page header without a number of values");
  if (h->type == PQ_DATA_PAGE_V2 &&
      (h->def_bytes < 0 || h->rep_bytes < 0 || h->def_bytes + h->rep_bytes > h->packed ||
       h->def_bytes + h->rep_bytes > h->size))
    return err_set(err, ERR_FORMAT, "levels that are longer than their page");
  return 0;
}

static int next_header(struct pq_column *c, struct header *h, struct err *err) {
  for (size_t want = HEADER_FIRST;; want *= 8) {
    size_t room = c->end - c->at < want ? (size_t)(c->end - c->at) : want;
    struct reader r;
    int rc = fetch(c, room, &c->raw, err);
    if (rc) return rc;
    reader_init(&r, c->raw.data, c->raw.len);
    read_header(&r, h);
    if (!r.bad) {
      c->at += reader_at(&r);
      return check_header(c, h, err);
    }
    if (room < want || want >= HEADER_MAX)
      return err_set(err, ERR_FORMAT, "a damaged page header at byte %llu",
                     (unsigned long long)c->at);
  }
}

/* ---- pages ---- */

/* The page's bytes, unpacked, into `out`; of v2 pages the first `plain` bytes are not packed. */
static int load_page(struct pq_column *c, const struct header *h, struct buf *out,
                     struct err *err) {
  size_t packed = (size_t)h->packed, size = (size_t)h->size;
  size_t plain = h->type == PQ_DATA_PAGE_V2 ? (size_t)(h->def_bytes + h->rep_bytes) : 0;
  int rc = fetch(c, packed, &c->raw, err);
  if (rc) return rc;
  c->at += packed;
  if (h->has_crc && crc32(0, (unsigned char *)c->raw.data, (uInt)packed) != h->crc)
    return err_set(err, ERR_FORMAT, "a page's checksum is wrong: the file is damaged");
  buf_reset(out);
  if (buf_reserve(out, size)) return err_nomem(err, size, "a Parquet page");
  if (plain) memcpy(out->data, c->raw.data, plain);
  int codec = h->is_packed ? c->chunk->codec : PQ_UNCOMPRESSED;
  if (size > plain || packed > plain) /* v2 pages of nulls only have no packed part */
    rc = codec_unpack(codec, c->raw.data + plain, packed - plain, out->data + plain, size - plain,
                      err);
  if (rc) return rc;
  out->len = size;
  out->data[size] = 0;
  return 0;
}

static int load_dictionary(struct pq_column *c, const struct header *h, struct err *err) {
  if (h->encoding != PQ_PLAIN && h->encoding != PQ_PLAIN_DICTIONARY)
    return err_set(err, ERR_FORMAT, "a dictionary of encoding %lld", (long long)h->encoding);
  int rc = load_page(c, h, &c->dictionary.bytes, err);
  if (rc) return rc;
  c->has_dictionary = true;
  return pq_dictionary_index(&c->dictionary, c->node->type, c->node->length, (uint32_t)h->values,
                             err);
}

/* Levels of a v1 page: with their length before them (runs), or the deprecated packed form. */
static int levels_v1(struct reader *r, struct pq_runs *runs, unsigned most, int64_t encoding,
                     uint64_t values, struct err *err) {
  unsigned width = pq_bits(most);
  uint64_t n;
  if (!width) return 0;
  if (encoding == PQ_BIT_PACKED)
    n = (values * width + 7) / 8;
  else if (encoding == PQ_RLE)
    n = reader_u32(r);
  else
    return err_set(err, ERR_FORMAT, "levels of encoding %lld", (long long)encoding);
  const unsigned char *bytes = reader_bytes(r, n);
  if (!bytes) return err_set(err, ERR_FORMAT, "levels that are longer than their page");
  if (encoding == PQ_BIT_PACKED)
    pq_runs_init_packed(runs, bytes, (size_t)n, width);
  else
    pq_runs_init(runs, bytes, (size_t)n, width);
  return 0;
}

static int begin_data(struct pq_column *c, const struct header *h, struct err *err) {
  struct reader r;
  const struct pq_node *n = c->node;
  uint64_t values = (uint64_t)h->values;
  int rc = 0;
  reader_init(&r, c->page.data, c->page.len);
  if (h->type == PQ_DATA_PAGE_V2) {
    const unsigned char *reps = reader_bytes(&r, (uint64_t)h->rep_bytes);
    const unsigned char *defs = reader_bytes(&r, (uint64_t)h->def_bytes);
    if (!reps || !defs) return err_set(err, ERR_FORMAT, "levels that are longer than their page");
    pq_runs_init(&c->reps, reps, (size_t)h->rep_bytes, pq_bits(n->rep));
    pq_runs_init(&c->defs, defs, (size_t)h->def_bytes, pq_bits(n->def));
  } else {
    rc = levels_v1(&r, &c->reps, n->rep, h->rep_encoding, values, err);
    if (!rc) rc = levels_v1(&r, &c->defs, n->def, h->def_encoding, values, err);
  }
  if (!rc)
    rc = pq_values_init(&c->values, (int)h->encoding, n->type, n->length,
                        c->has_dictionary ? &c->dictionary : NULL, r.p, reader_left(&r), err);
  c->page_left = values;
  return rc;
}

static int next_page(struct pq_column *c, struct err *err) {
  struct header h;
  int rc = cancel_check(err);
  if (!rc) rc = next_header(c, &h, err);
  if (rc) return rc;
  if (h.type == PQ_DICTIONARY_PAGE) return load_dictionary(c, &h, err);
  if (h.type != PQ_DATA_PAGE && h.type != PQ_DATA_PAGE_V2) {
    c->at += (uint64_t)h.packed;
    return 0;
  }
  if (h.values > c->chunk_left)
    return err_set(err, ERR_FORMAT, "pages of more values than the column has");
  c->chunk_left -= h.values;
  rc = load_page(c, &h, &c->page, err);
  return rc ? rc : begin_data(c, &h, err);
}

int pq_column_peek(struct pq_column *c, struct err *err) {
  if (c->peeked) return 1;
  while (!c->page_left) {
    if (c->at >= c->end || !c->chunk_left) {
      if (!c->chunk_left) return 0;
      err_set(err, ERR_FORMAT, "%lld values are missing", (long long)c->chunk_left);
      return at_column(c, err), -1;
    }
    if (next_page(c, err)) return at_column(c, err), -1;
  }
  c->r = c->d = 0;
  if ((c->node->rep && !pq_runs_next(&c->reps, &c->r)) ||
      (c->node->def && !pq_runs_next(&c->defs, &c->d)) || c->r > c->node->rep ||
      c->d > c->node->def) {
    err_set(err, ERR_FORMAT, "damaged levels");
    return at_column(c, err), -1;
  }
  c->page_left--;
  c->peeked = true;
  return 1;
}

int pq_column_take(struct pq_column *c, struct pq_value *out, struct err *err) {
  c->peeked = false;
  if (c->d < c->node->def || pq_values_next(&c->values, out)) return 0;
  if (c->values.previous.failed)
    err_nomem(err, c->values.previous.len, "a Parquet value");
  else
    err_set(err, ERR_FORMAT, "a page has fewer values than it promises, or damaged ones");
  return at_column(c, err);
}
