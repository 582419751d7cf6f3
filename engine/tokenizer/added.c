/* SPDX-License-Identifier: MIT */
/* Added tokens inside a text: leftmost first, then longest, as the reference finds them.
 *
 * A trie of their bytes is walked at every position whose byte begins a token. Contents are at
 * most ADDED_MAX_BYTES long, so that a hostile file cannot make the walk quadratic.
 *
 *   root ─'<'─ '|' ─ 'e' … '>' ● token 0
 *                  ─ 'i' … '>' ● token 1        children are linked: child, next, next …
 *
 * A match that fails single_word, or is special when those are to be text, is passed over whole:
 * nothing that begins inside it is looked for.
 */
#include "tokenizer/parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

static void trie_clear(struct trie *trie) {
  mem_free(trie->nodes);
  memset(trie, 0, sizeof *trie);
}

void added_clear(struct added *a) {
  mem_free(a->list);
  mem_free(a->forms);
  buf_clear(&a->normal);
  trie_clear(&a->plain);
  trie_clear(&a->normalized);
  memset(a, 0, sizeof *a);
}

int added_add(struct added *a, const struct tokenizer_added *token, struct err *err) {
  if (token->n > ADDED_MAX_BYTES)
    return err_set(err, ERR_LIMIT, "added token %u is %zu bytes long; at most %d are allowed",
                   token->id, token->n, ADDED_MAX_BYTES);
  if (a->count == a->cap) {
    size_t cap = a->cap ? a->cap * 2 : 8;
    struct tokenizer_added *list = mem_rearray(a->list, cap, sizeof *list);
    if (!list) return err_nomem(err, cap * sizeof *list, "added tokens");
    a->list = list;
    a->cap = cap;
  }
  a->list[a->count] = *token;
  a->list[a->count].place = (uint32_t)a->count;
  a->count++;
  return 0;
}

static int by_id(const void *x, const void *y) {
  const struct tokenizer_added *a = x, *b = y;
  if (a->id != b->id) return a->id < b->id ? -1 : 1;
  return a->place < b->place ? -1 : a->place > b->place;
}

/* Of a token given more than once the last flags count, as in the reference; whether the model has
 * it is known of the first. */
static void unite(struct added *a) {
  size_t to = 0;
  for (size_t i = 0; i < a->count; i++) {
    struct tokenizer_added token = a->list[i];
    if (to && a->list[to - 1].id == token.id) {
      token.in_vocab = a->list[to - 1].in_vocab;
      token.place = a->list[to - 1].place;
      to--;
    }
    a->list[to++] = token;
  }
  a->count = to;
}

static int node_new(struct trie *trie, unsigned char byte, uint32_t *out, struct err *err) {
  if (trie->count == trie->cap) {
    size_t cap = trie->cap ? trie->cap * 2 : 64;
    struct trie_node *nodes = mem_rearray(trie->nodes, cap, sizeof *nodes);
    if (!nodes || cap > UINT32_MAX) return err_nomem(err, cap * sizeof *nodes, "added tokens");
    trie->nodes = nodes;
    trie->cap = cap;
  }
  *out = (uint32_t)trie->count;
  trie->nodes[trie->count++] = (struct trie_node){.token = TOKENIZER_NONE, .byte = byte};
  return 0;
}

static uint32_t child_of(const struct trie *trie, uint32_t node, unsigned char byte) {
  uint32_t c = trie->nodes[node].child;
  while (c && trie->nodes[c].byte != byte) c = trie->nodes[c].next;
  return c;
}

static int trie_add(struct trie *trie, const char *s, size_t n, uint32_t token, struct err *err) {
  uint32_t node = 0, child;
  int rc = trie->count ? 0 : node_new(trie, 0, &node, err);
  for (size_t i = 0; i < n && !rc; i++, node = child) {
    unsigned char byte = (unsigned char)s[i];
    child = child_of(trie, node, byte);
    if (child || (rc = node_new(trie, byte, &child, err))) continue;
    trie->nodes[child].next = trie->nodes[node].child;
    trie->nodes[node].child = child;
  }
  if (rc) return rc;
  trie->nodes[node].token = token;
  trie->first[(unsigned char)*s] = true;
  trie->any = true;
  return 0;
}

/* The token of exactly these bytes. */
static uint32_t trie_find(const struct trie *trie, const char *s, size_t n) {
  uint32_t node = 0;
  if (!trie->count) return TOKENIZER_NONE;
  for (size_t i = 0; i < n; i++)
    if (!(node = child_of(trie, node, (unsigned char)s[i]))) return TOKENIZER_NONE;
  return trie->nodes[node].token;
}

/* Two tokens may be the same once normalized: the special one is found, else the first. */
static bool goes_first(const struct tokenizer_added *x, const struct tokenizer_added *y) {
  return x->special != y->special ? x->special : x->place < y->place;
}

/* The list is walked in order of ids, so the forms are in that order too. */
static int add_form(struct added *a, uint32_t id, const struct buf *text, struct err *err) {
  if (!a->forms && !(a->forms = mem_array(a->count, sizeof *a->forms)))
    return err_nomem(err, a->count * sizeof *a->forms, "added tokens");
  a->forms[a->form_count++] = (struct added_form){id, (uint32_t)text->len, a->normal.len};
  buf_add(&a->normal, text->len ? text->data : "", text->len);
  return buf_check(&a->normal, "added tokens", err);
}

const char *added_form(const struct added *a, uint32_t id, size_t *n) {
  size_t low = 0, high = a->form_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (a->forms[middle].id < id)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == a->form_count || a->forms[low].id != id) return NULL;
  *n = a->forms[low].n;
  return a->normal.data + a->forms[low].at;
}

static int add_normalized(struct added *a, uint32_t i, const struct normalizer *z,
                          struct aligned *scratch, struct err *err) {
  const struct tokenizer_added *token = &a->list[i];
  const char *s = token->content;
  size_t n = token->n;
  int rc = 0;
  if (z && !normalizer_keeps(z, s, n)) {
    rc = normalizer_run(z, s, n, scratch, err);
    if (!rc && (scratch->text.len != n || memcmp(scratch->text.data, s, n)))
      rc = add_form(a, token->id, &scratch->text, err);
    s = scratch->text.data;
    n = scratch->text.len;
  }
  if (rc || !n) return rc;
  uint32_t same = trie_find(&a->normalized, s, n);
  if (same != TOKENIZER_NONE && goes_first(&a->list[same], token)) return 0;
  return trie_add(&a->normalized, s, n, i, err);
}

/* The byte that all tokens begin with, or −1. */
static int only_first(const struct trie *trie) {
  int found = -1;
  for (int byte = 0; byte < 256; byte++) {
    if (!trie->first[byte]) continue;
    if (found >= 0) return -1;
    found = byte;
  }
  return found;
}

int added_finish(struct added *a, const struct normalizer *z, struct err *err) {
  struct aligned scratch = {0};
  int rc = 0;
  if (a->count) qsort(a->list, a->count, sizeof *a->list, by_id);
  unite(a);
  for (size_t i = 0; i < a->count && !rc; i++) {
    const struct tokenizer_added *token = &a->list[i];
    if (!token->n) continue; /* never found, as in the reference */
    if (token->normalized)
      rc = add_normalized(a, (uint32_t)i, z, &scratch, err);
    else
      rc = trie_add(&a->plain, token->content, token->n, (uint32_t)i, err);
  }
  aligned_clear(&scratch);
  a->plain.only = only_first(&a->plain);
  a->normalized.only = only_first(&a->normalized);
  return rc;
}

/* Longest token that begins at s; its length in *len. */
static uint32_t longest(const struct trie *trie, const char *s, size_t n, size_t *len) {
  uint32_t node = 0, found = TOKENIZER_NONE;
  for (size_t i = 0; i < n; i++) {
    node = child_of(trie, node, (unsigned char)s[i]);
    if (!node) break;
    if (trie->nodes[node].token != TOKENIZER_NONE) found = trie->nodes[node].token, *len = i + 1;
  }
  return found;
}

/* The character that ends at s[n): its first byte. */
static size_t before(const char *s, size_t n) {
  return utf8_floor(s, n, n - 1);
}

static bool word_before(const char *s, size_t n) {
  size_t used, at;
  if (!n) return false;
  at = before(s, n);
  return class_at(s + at, n - at, &used) & CLASS_WORD;
}

static bool word_after(const char *s, size_t n) {
  size_t used;
  return n && class_at(s, n, &used) & CLASS_WORD;
}

static size_t strip_left(const char *s, size_t start, size_t least) {
  size_t used;
  while (start > least) {
    size_t at = before(s, start);
    if (at < least || !(class_at(s + at, start - at, &used) & CLASS_SPACE)) break;
    start = at;
  }
  return start;
}

static size_t strip_right(const char *s, size_t n, size_t at) {
  size_t used;
  while (at < n && class_at(s + at, n - at, &used) & CLASS_SPACE) at += used;
  return at;
}

/* `at`: where to look from; `last`: where the previous token ended, spaces included (it may lie
 * beyond `at`). *resume is the next call's `at`. */
uint32_t added_next(const struct added *a, const struct trie *trie, const char *s, size_t n,
                    size_t at, size_t last, bool skip_special, size_t *start, size_t *end,
                    size_t *resume) {
  size_t len = 0;
  if (!trie->any) return TOKENIZER_NONE;
  while (at < n) {
    const char *first = trie->only < 0 ? s + at : memchr(s + at, trie->only, n - at);
    if (!first) return TOKENIZER_NONE;
    at = (size_t)(first - s);
    uint32_t i =
        trie->first[(unsigned char)s[at]] ? longest(trie, s + at, n - at, &len) : TOKENIZER_NONE;
    if (i == TOKENIZER_NONE) {
      at++;
      continue;
    }
    const struct tokenizer_added *token = &a->list[i];
    *start = at;
    *resume = *end = at += len;
    if (skip_special && token->special) continue;
    if (token->single_word && (word_before(s, *start) || word_after(s + *end, n - *end))) continue;
    if (token->lstrip) *start = last < *start ? strip_left(s, *start, last) : last;
    if (token->rstrip) *end = strip_right(s, n, *end);
    if (*start < *end) return i; /* else the token before it took it all */
  }
  return TOKENIZER_NONE;
}
