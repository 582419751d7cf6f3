/* SPDX-License-Identifier: MIT */
/* Token caches and windows of them; see token_file.h.
 *
 * Window i of a file that is not packed: documents are counted in blocks of BLOCK, so that the table in
 * memory is small; within a block they are walked.
 */
#include "tokenizer/token_file.h"
#include "base/buf.h"
#include "base/cancel.h"
#include "base/mem.h"
#include "base/rng.h"
#include "file/file.h"

#include <string.h>

#define MAGIC   "lathe-tk"
#define VERSION 1
#define HEAD    64
#define BLOCK   64
#define POLL    (1u << 16)

static void put(char *at, uint64_t v, size_t n) {
  for (size_t i = 0; i < n; i++) at[i] = (char)(v >> 8 * i);
}

static uint64_t get(const char *at, size_t n) {
  uint64_t v = 0;
  for (size_t i = 0; i < n; i++) v |= (uint64_t)(unsigned char)at[i] << 8 * i;
  return v;
}

/* ---- writing ---- */

struct token_writer {
  struct file_replace *file;
  struct buf starts, bytes;
  size_t vocab, width;
  uint64_t tokens, documents, key[2];
};

int token_writer_open(struct token_writer **out, const char *path, size_t vocab,
                      const uint64_t key[2], struct err *err) {
  static const char empty[HEAD];
  struct token_writer *w = mem_zero(sizeof *w);
  *out = NULL;
  if (!w) return err_nomem(err, sizeof *w, "a token cache");
  w->vocab = vocab;
  w->width = vocab <= 65536 ? 2 : 4;
  if (key) memcpy(w->key, key, sizeof w->key);
  int rc = file_replace_open(&w->file, path, FILE_NO_SYNC, err);
  if (!rc) rc = file_replace_write(w->file, empty, HEAD, err);
  if (rc)
    token_writer_close(w);
  else
    *out = w;
  return rc;
}

int token_writer_add(struct token_writer *w, const uint32_t *ids, size_t n, struct err *err) {
  if (!n) return 0;
  buf_reset(&w->bytes);
  int rc = buf_reserve(&w->bytes, n * w->width);
  if (rc) return err_nomem(err, n * w->width, "a token cache");
  for (size_t i = 0; i < n; i++) {
    if (ids[i] >= w->vocab)
      return err_set(err, ERR_MISUSE, "token %u is not below %zu", ids[i], w->vocab);
    put(w->bytes.data + i * w->width, ids[i], w->width);
  }
  buf_add_u64le(&w->starts, w->tokens);
  w->tokens += n;
  w->documents++;
  rc = buf_check(&w->starts, "a token cache", err);
  return rc ? rc : file_replace_write(w->file, w->bytes.data, n * w->width, err);
}

int token_writer_commit(struct token_writer *w, struct err *err) {
  char head[HEAD] = {0};
  uint64_t end = file_replace_size(w->file), at = (end + 7) / 8 * 8;
  int rc = file_replace_write(w->file, head, (size_t)(at - end), err);
  buf_add_u64le(&w->starts, w->tokens);
  if (!rc) rc = buf_check(&w->starts, "a token cache", err);
  if (!rc) rc = file_replace_write(w->file, w->starts.data, w->starts.len, err);
  memcpy(head, MAGIC, 8);
  put(head + 8, VERSION, 4);
  put(head + 12, w->width, 4);
  put(head + 16, w->tokens, 8);
  put(head + 24, w->documents, 8);
  put(head + 32, w->key[0], 8);
  put(head + 40, w->key[1], 8);
  put(head + 48, at, 8);
  if (!rc) rc = file_replace_patch(w->file, 0, head, HEAD, err);
  return rc ? rc : file_replace_commit(w->file, err);
}

void token_writer_close(struct token_writer *w) {
  if (!w) return;
  if (w->file) file_replace_close(w->file);
  buf_clear(&w->starts);
  buf_clear(&w->bytes);
  mem_free(w);
}

/* ---- reading ---- */

struct token_file {
  struct file_map map;
  size_t width;
  uint64_t tokens, documents, starts, key[2];
};

/* Whether the sizes in the head are those of the file, and the starts are in order. */
static bool fits(const struct token_file *f) {
  uint64_t size = f->map.size, room = size - HEAD;
  if (f->tokens > room / f->width || f->documents >= room / 8) return false;
  if (f->starts % 8 || f->starts < HEAD + f->tokens * f->width || f->starts > size) return false;
  return (f->documents + 1) * 8 == size - f->starts;
}

static uint64_t start(const struct token_file *f, uint64_t document) {
  return get(f->map.data + f->starts + 8 * document, 8);
}

static bool in_order(const struct token_file *f) {
  uint64_t last = 0;
  for (uint64_t i = 0; i <= f->documents; i++) {
    uint64_t at = start(f, i);
    if (i ? at <= last : at != 0) return f->documents == 0 && at == 0;
    last = at;
  }
  return last == f->tokens;
}

int token_file_open(struct token_file **out, const char *path, struct err *err) {
  struct token_file *f = mem_zero(sizeof *f);
  *out = NULL;
  if (!f) return err_nomem(err, sizeof *f, "a token cache");
  int rc = file_map_open(&f->map, path, err);
  if (rc) {
    mem_free(f);
    return rc;
  }
  const char *head = f->map.data;
  if (f->map.size < HEAD || memcmp(head, MAGIC, 8) != 0 || get(head + 8, 4) != VERSION) {
    rc = err_set(err, ERR_FORMAT, "%s: not a token cache of this version", path);
  } else {
    f->width = (size_t)get(head + 12, 4);
    f->tokens = get(head + 16, 8);
    f->documents = get(head + 24, 8);
    f->key[0] = get(head + 32, 8), f->key[1] = get(head + 40, 8);
    f->starts = get(head + 48, 8);
    if ((f->width != 2 && f->width != 4) || !fits(f) || !in_order(f))
      rc = err_set(err, ERR_FORMAT, "%s: a damaged token cache", path);
  }
  if (rc)
    token_file_close(f);
  else
    *out = f;
  return rc;
}

void token_file_close(struct token_file *f) {
  if (!f) return;
  file_map_close(&f->map);
  mem_free(f);
}

uint64_t token_file_count(const struct token_file *f) {
  return f->tokens;
}

uint64_t token_file_documents(const struct token_file *f) {
  return f->documents;
}

const uint64_t *token_file_key(const struct token_file *f) {
  return f->key;
}

void token_file_ids(const struct token_file *f, uint64_t from, size_t n, uint32_t *out) {
  const char *at = f->map.data + HEAD + from * f->width;
  if (f->width == 2)
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)get(at + 2 * i, 2);
  else
    for (size_t i = 0; i < n; i++) out[i] = (uint32_t)get(at + 4 * i, 4);
}

/* ---- windows ---- */

uint64_t token_windows_of(uint64_t n, size_t size, size_t stride, enum token_rest rest) {
  if (n < 2) return 0;
  uint64_t inputs = n - 1;
  if (inputs < size) return rest != TOKEN_DROP;
  uint64_t more = inputs - size;
  return 1 + (rest == TOKEN_DROP ? more / stride : (more + stride - 1) / stride);
}

static uint64_t windows_in(const struct token_windows *w, uint64_t document) {
  uint64_t n = start(w->file, document + 1) - start(w->file, document);
  return token_windows_of(n, w->size, w->stride, w->rest);
}

int token_windows_init(struct token_windows *w, const struct token_file *f, size_t size,
                       size_t stride, bool packed, enum token_rest rest, struct err *err) {
  *w = (struct token_windows){f, size, stride, packed, rest, 0, NULL};
  if (!size || !stride || stride > size)
    return err_set(err, ERR_MISUSE, "windows: a size of at least 1 and a stride of 1 to it");
  if (packed) {
    w->count = token_windows_of(f->tokens, size, stride, rest);
    return 0;
  }
  uint64_t blocks = (f->documents + BLOCK - 1) / BLOCK;
  w->before = mem_array((size_t)blocks + 1, sizeof *w->before);
  if (!w->before) return err_nomem(err, blocks * 8, "windows");
  w->before[0] = 0;
  for (uint64_t i = 0; i < f->documents; i++) {
    if (i % BLOCK == 0) w->before[i / BLOCK] = w->count;
    w->count += windows_in(w, i);
    if (i % POLL == 0 && cancel_check(err)) {
      token_windows_clear(w);
      return ERR_CANCELLED;
    }
  }
  w->before[blocks] = w->count;
  return 0;
}

void token_windows_clear(struct token_windows *w) {
  mem_free(w->before);
  w->before = NULL;
  w->count = 0;
}

/* The last x below n with list[x] ≤ value; the list rises and begins at or below it. */
static uint64_t last_below(const uint64_t *list, uint64_t n, uint64_t value) {
  uint64_t low = 0;
  while (n - low > 1) {
    uint64_t middle = low + (n - low) / 2;
    if (list[middle] <= value)
      low = middle;
    else
      n = middle;
  }
  return low;
}

static uint64_t document_at(const struct token_file *f, uint64_t token) {
  uint64_t low = 0, high = f->documents;
  while (high - low > 1) {
    uint64_t middle = low + (high - low) / 2;
    if (start(f, middle) <= token)
      low = middle;
    else
      high = middle;
  }
  return low;
}

/* Where window i begins, and the end of what it is of. */
static uint64_t find_window(const struct token_windows *w, uint64_t i, uint64_t *end,
                            uint64_t *document) {
  const struct token_file *f = w->file;
  if (w->packed) {
    *end = f->tokens;
    *document = document_at(f, i * w->stride);
    return i * w->stride;
  }
  uint64_t blocks = (f->documents + BLOCK - 1) / BLOCK;
  uint64_t block = last_below(w->before, blocks, i), d = block * BLOCK;
  for (i -= w->before[block]; i >= windows_in(w, d); d++) i -= windows_in(w, d);
  *end = start(f, d + 1);
  *document = d;
  return start(f, d) + i * w->stride;
}

void token_window(const struct token_windows *w, uint64_t i, uint32_t pad, uint32_t *input,
                  int32_t *target, size_t *n, uint64_t *document) {
  uint64_t end, from = find_window(w, i, &end, document);
  *n = end - 1 - from < w->size ? (size_t)(end - 1 - from) : w->size;
  token_file_ids(w->file, from, *n, input);
  token_file_ids(w->file, from + 1, *n, (uint32_t *)target);
  for (size_t k = *n; k < w->size; k++) {
    input[k] = pad;
    target[k] = TOKEN_NO_TARGET;
  }
}

/* A Feistel network over the even number of bits that hold n; what falls outside goes round again. */
uint64_t token_shuffled(uint64_t i, uint64_t n, uint64_t seed) {
  unsigned half = 1;
  while (half < 32 && n > UINT64_C(1) << 2 * half) half++;
  uint64_t mask = (UINT64_C(1) << half) - 1;
  do {
    uint64_t left = i >> half, right = i & mask;
    for (unsigned round = 0; round < 6; round++) {
      uint64_t next = left ^ (rng_at(seed, round, right) & mask);
      left = right;
      right = next;
    }
    i = left << half | right;
  } while (i >= n);
  return i;
}
