/* SPDX-License-Identifier: MIT */
/* A finished tokenizer as one file that is mapped instead of built: what takes time to make (the
 * vocabulary, the table of merges) lies in it as it lies in memory; what takes none (the sections)
 * is kept as the JSON that it is and read again.
 *
 *   ┌ header: magic, version, sizes, key, check ┐
 *   │ struct vocab, struct bpe                  │  their pointers are zero
 *   │ array 0 … array 10                        │  each at a multiple of 64
 *   │ the added tokens, the sections            │
 *   └───────────────────────────────────────────┘
 *
 * It is a cache of this program on this machine: native byte order and layout, made again whenever
 * anything differs. `key` is the caller's: the hash of what it was made from. `check` is the hash of
 * everything else, so that a damaged file is seen before a byte of it is believed.
 */
#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "file/file.h"
#include "tokenizer/parts.h"

#define MAGIC "LATHETOK"
#define VERSION                                                                                    \
  3u /* raise it when what is in struct vocab, bpe or tokenizer_added means something else */
#define ALIGN 64u

struct header {
  char magic[8];
  uint32_t version, layout; /* layout: the sizes of the structs */
  uint64_t size, check;     /* of the file; of all its other bytes */
  uint64_t key[2];
  uint64_t added, section[SECTIONS]; /* how many tokens; bytes of JSON */
  uint64_t unused[3];
};
_Static_assert(sizeof(struct header) == 128, "what follows the header is aligned");

#define LAYOUT ((uint32_t)(sizeof(struct vocab) * 31 + sizeof(struct bpe)))

/* ---- the arrays ---- */

enum { ARRAYS = 11 };
struct array {
  void *pointer; /* where the pointer to it stands: of some type */
  size_t bytes;
};

static void list_arrays(struct vocab *v, struct bpe *b, struct array list[ARRAYS]) {
  size_t ids = v->size * sizeof *v->at, merges = b->count * sizeof *b->merges;
  const struct array all[ARRAYS] = {
      {&v->blob.data, v->blob.len},
      {&v->at, ids},
      {&v->len, ids},
      {&v->bytes_at, ids},
      {&v->bytes_len, ids},
      {&v->slots, v->slot_count * sizeof *v->slots},
      {&b->merges, merges},
      {&b->slots, bpe_slot_bytes(b)},
      {&b->byte_rank, BPE_BYTE_PAIRS * sizeof *b->byte_rank},
      {&b->page_of, BPE_PAGES * sizeof *b->page_of},
      {&b->pages, b->page_count * 256 * sizeof *b->pages},
  };
  memcpy(list, all, sizeof all);
}

static const void *pointer_of(const struct array *a) {
  const void *p;
  memcpy(&p, a->pointer, sizeof p);
  return p;
}

static void set_pointer(const struct array *a, const void *p) {
  memcpy(a->pointer, &p, sizeof p);
}

static uint64_t check_of(struct header h, const char *rest, size_t n) {
  h.check = 0;
  return hash_xxh3(rest, n, hash_xxh3(&h, sizeof h, 0));
}

/* ---- writing ---- */

static void pad(struct buf *out) {
  static const char zeros[ALIGN];
  buf_add(out, zeros, (ALIGN - out->len % ALIGN) % ALIGN);
}

static void put_structs(const struct tokenizer *t, struct buf *out) {
  struct vocab v = t->vocab;
  struct bpe b = t->bpe;
  struct array list[ARRAYS];
  list_arrays(&v, &b, list);
  for (int i = 0; i < ARRAYS; i++) set_pointer(&list[i], NULL);
  buf_add(out, &v, sizeof v);
  buf_add(out, &b, sizeof b);
}

static void put_arrays(const struct tokenizer *t, struct buf *out) {
  struct vocab v = t->vocab;
  struct bpe b = t->bpe;
  struct array list[ARRAYS];
  list_arrays(&v, &b, list);
  for (int i = 0; i < ARRAYS; i++) {
    pad(out);
    if (list[i].bytes) buf_add(out, pointer_of(&list[i]), list[i].bytes);
  }
}

static void put_added(const struct tokenizer *t, struct buf *out) {
  pad(out);
  for (size_t i = 0; i < t->added.count; i++) {
    struct tokenizer_added token = t->added.list[i];
    token.content = NULL;
    buf_add(out, &token, sizeof token);
  }
}

int tokenizer_image_save(const struct tokenizer *t, const char *path, const uint64_t key[2],
                         struct err *err) {
  struct header h = {.version = VERSION, .layout = LAYOUT, .key = {key[0], key[1]}};
  struct buf out;
  buf_init(&out);
  memcpy(h.magic, MAGIC, sizeof h.magic);
  h.added = t->added.count;
  buf_add(&out, &h, sizeof h);
  put_structs(t, &out);
  put_arrays(t, &out);
  put_added(t, &out);
  for (int i = 0; i < SECTIONS; i++) {
    h.section[i] = t->section[i].len;
    buf_add(&out, t->section[i].data, t->section[i].len);
  }
  int rc = buf_check(&out, "a tokenizer's image", err);
  if (!rc) {
    h.size = out.len;
    h.check = check_of(h, out.data + sizeof h, out.len - sizeof h);
    memcpy(out.data, &h, sizeof h);
    rc = file_write(path, out.data, out.len, FILE_NO_SYNC | FILE_PRIVATE, err);
  }
  buf_clear(&out);
  return rc;
}

/* ---- reading ---- */

struct cursor {
  const char *data;
  size_t at, size;
};

static const void *take(struct cursor *c, size_t n, bool aligned) {
  if (aligned) c->at += (ALIGN - c->at % ALIGN) % ALIGN;
  if (c->at > c->size || n > c->size - c->at) return NULL;
  const void *p = c->data + c->at;
  c->at += n;
  return p;
}

static int stale(struct err *err) {
  return err_set(err, ERR_FORMAT, "this image of a tokenizer is damaged or another's");
}

static int read_structs(struct tokenizer *t, struct cursor *c, struct err *err) {
  const void *v = take(c, sizeof t->vocab, false), *b = take(c, sizeof t->bpe, false);
  struct array list[ARRAYS];
  if (!v || !b) return stale(err);
  memcpy(&t->vocab, v, sizeof t->vocab);
  memcpy(&t->bpe, b, sizeof t->bpe);
  list_arrays(&t->vocab, &t->bpe, list);
  for (int i = 0; i < ARRAYS; i++) {
    const void *p = take(c, list[i].bytes, true);
    if (!p) return stale(err);
    set_pointer(&list[i], p);
  }
  return 0;
}

static int read_added(struct tokenizer *t, struct cursor *c, uint64_t count, struct err *err) {
  int rc = 0;
  c->at += (ALIGN - c->at % ALIGN) % ALIGN;
  for (uint64_t i = 0; i < count && !rc; i++) {
    struct tokenizer_added token;
    const void *p = take(c, sizeof token, false);
    if (!p) return stale(err);
    memcpy(&token, p, sizeof token);
    rc = added_add(&t->added, &token, err);
  }
  return rc;
}

static int read_sections(struct tokenizer *t, struct cursor *c, const struct header *h,
                         struct err *err) {
  int rc = 0;
  for (int i = 0; i < SECTIONS && !rc; i++) {
    const void *p = take(c, (size_t)h->section[i], false);
    if (!p) return stale(err);
    if (h->section[i]) buf_add(&t->section[i], p, (size_t)h->section[i]);
    rc = buf_check(&t->section[i], "tokenizer", err);
  }
  return rc;
}

static bool believable(const struct header *h, const struct file_map *m, const uint64_t key[2]) {
  return !memcmp(h->magic, MAGIC, sizeof h->magic) && h->version == VERSION &&
         h->layout == LAYOUT && h->size == m->size && h->key[0] == key[0] && h->key[1] == key[1] &&
         h->check == check_of(*h, m->data + sizeof *h, m->size - sizeof *h);
}

static int read_image(struct tokenizer *t, const uint64_t key[2], struct err *err) {
  struct header h;
  struct cursor c = {t->image.data, sizeof h, t->image.size};
  if (t->image.size < sizeof h) return stale(err);
  memcpy(&h, t->image.data, sizeof h);
  if (!believable(&h, &t->image, key)) return stale(err);
  int rc = read_structs(t, &c, err);
  if (!rc) rc = read_added(t, &c, h.added, err);
  if (!rc) rc = read_sections(t, &c, &h, err);
  return rc ? rc : tokenizer_finish(t, err);
}

int tokenizer_image_load(struct tokenizer **out, const char *path, const uint64_t key[2],
                         struct err *err) {
  struct tokenizer *t = NULL;
  *out = NULL;
  int rc = tokenizer_new(&t, err);
  if (!rc) rc = file_map_open(&t->image, path, err);
  if (!rc) rc = read_image(t, key, err);
  if (rc) {
    err_prefix(err, "%s", path);
    tokenizer_free(t);
    return rc;
  }
  *out = t;
  return 0;
}

void image_release(struct tokenizer *t) {
  if (!t->image.base) return;
  memset(&t->vocab, 0, sizeof t->vocab);
  memset(&t->bpe, 0, sizeof t->bpe);
  file_map_close(&t->image);
}
