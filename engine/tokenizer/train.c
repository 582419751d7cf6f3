/* SPDX-License-Identifier: MIT */
/* Training from outside: texts come in, a tokenizer comes out. train.h draws the whole way.
 *
 *   tokenizer_train_add ─► one thread: counted where it lies
 *                       ─► several: gathered in `batch`, cut into slices; each task has a table of
 *                          words of its own and takes the next slice until none is left
 *
 * Which table a word is counted in does not matter, since the tables are added up: the result is
 * the same for any number of threads, any order of texts, and whether words went to disk.
 *
 * A long text is cut into slices where a line ends behind an ASCII letter: there every known
 * pattern begins a word, and NFC changes nothing across it. Texts of unknown patterns are not cut.
 *
 * Memory, when bounded: the tables share it while counting; then three quarters of it bound the
 * symbols, and the rest the lists of places.
 */
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "tokenizer/train.h"

#define BYTES     256
#define BATCH     ((size_t)4 << 20) /* bytes gathered for each thread */
#define SLICE     ((size_t)256 << 10)
#define LEAST_MEM ((size_t)1 << 18) /* of one table, less would only make many runs */

struct slice {
  const char *s; /* NULL: at `at` of the batch */
  size_t at, n;
};

struct counter { /* of one task */
  struct train_words words;
  struct train_scratch scratch;
  struct err err;
  int rc;
};

struct tokenizer_train {
  struct tokenizer_train_options options;
  struct buf strings; /* all strings of the options, zero-terminated */
  const char **special;
  struct tokenizer_train_facts facts;
  struct train_model model;
  uint32_t id_of[BYTES];
  struct train_cutter *cutter;
  struct train_runs runs;
  struct counter *counters;
  size_t counter_count, counter_cap;
  struct buf batch;
  struct slice *slices;
  size_t slice_count, slice_cap;
  atomic_size_t next; /* slice */
  bool finished;
};

/* ---- the vocabulary before the first merge ---- */

static int add_specials(struct tokenizer_train *tr, struct err *err) {
  int rc = 0;
  for (size_t i = 0; i < tr->options.special_count && !rc; i++) {
    const char *s = tr->special[i];
    if (!*s) return err_set(err, ERR_MISUSE, "special token %zu is empty", i + 1);
    if (vocab_find(&tr->model.vocab, s, strlen(s)) != TOKENIZER_NONE)
      return err_set(err, ERR_MISUSE, "the special token \"%s\" is given twice", s);
    rc = vocab_add(&tr->model.vocab, s, strlen(s), (uint32_t)i, err);
  }
  return rc;
}

/* The bytes, in the order of their characters. */
static int add_bytes(struct tokenizer_train *tr, struct err *err) {
  struct vocab *v = &tr->model.vocab;
  int rc = 0;
  for (uint32_t c = 0; c <= 0x143 && !rc; c++) {
    char s[2];
    int byte = char_byte(c);
    if (byte < 0) continue;
    size_t n = byte_char_put((unsigned)byte, s);
    uint32_t id = vocab_find(v, s, n);
    if (id == TOKENIZER_NONE) rc = vocab_add(v, s, n, id = (uint32_t)v->size, err);
    tr->id_of[byte] = id;
  }
  return rc;
}

/* Without merges the cutter, with them the result. */
static int make_cutter(struct tokenizer_train *tr, struct err *err) {
  struct buf json;
  buf_init(&json);
  int rc = train_json(&tr->options, &tr->model, &json, err);
  if (!rc) rc = cutter_new(&tr->cutter, &tr->options, &json, err);
  buf_clear(&json);
  return rc;
}

static int make_tokenizer(struct tokenizer_train *tr, struct tokenizer **out, struct err *err) {
  struct buf json;
  buf_init(&json);
  int rc = train_json(&tr->options, &tr->model, &json, err);
  if (!rc) rc = tokenizer_load(out, json.data, json.len, err);
  buf_clear(&json);
  return rc;
}

/* ---- options ---- */

static int check_options(const struct tokenizer_train_options *o, struct err *err) {
  if (o->vocab_size < BYTES + o->special_count)
    return err_set(err, ERR_MISUSE,
                   "vocab_size %zu: at least %zu are needed (256 bytes, %zu special)",
                   o->vocab_size, BYTES + o->special_count, o->special_count);
  if (o->vocab_size > TOKENIZER_MAX_ID)
    return err_set(err, ERR_LIMIT, "vocab_size %zu is above %u", o->vocab_size, TOKENIZER_MAX_ID);
  if (o->memory && !o->scratch)
    return err_set(err, ERR_MISUSE, "a bound for memory needs a scratch folder");
  return 0;
}

static void keep(struct buf *b, const char *s) {
  if (s) buf_add(b, s, strlen(s) + 1);
}

static const char *kept(const char **at, const char *given) {
  const char *s = *at;
  if (!given) return NULL;
  *at += strlen(s) + 1;
  return s;
}

static int keep_options(struct tokenizer_train *tr, const struct tokenizer_train_options *o,
                        struct err *err) {
  tr->options = *o;
  if (!o->table_memory || o->table_memory > o->memory) tr->options.table_memory = o->memory;
  keep(&tr->strings, o->pattern);
  keep(&tr->strings, o->normalizer);
  keep(&tr->strings, o->bos);
  keep(&tr->strings, o->eos);
  for (size_t i = 0; i < o->special_count; i++) keep(&tr->strings, o->special[i]);
  tr->special = mem_array(o->special_count, sizeof *tr->special);
  int rc = buf_check(&tr->strings, "training", err);
  if (rc || !tr->special) return rc ? rc : err_nomem(err, 0, "training");
  const char *at = tr->strings.data;
  tr->options.pattern = kept(&at, o->pattern);
  tr->options.normalizer = kept(&at, o->normalizer);
  tr->options.bos = kept(&at, o->bos);
  tr->options.eos = kept(&at, o->eos);
  for (size_t i = 0; i < o->special_count; i++) tr->special[i] = kept(&at, o->special[i]);
  tr->options.special = tr->special;
  return 0;
}

static int make_counters(struct tokenizer_train *tr, struct err *err) {
  size_t count = pool_threads(tr->options.pool), share = tr->options.table_memory / count;
  if (share && share < LEAST_MEM) share = LEAST_MEM;
  tr->counters = mem_zeros(count, sizeof *tr->counters);
  if (!tr->counters) return err_nomem(err, count * sizeof *tr->counters, "training");
  int rc = 0;
  tr->counter_cap = count;
  while (tr->counter_count < count && !rc)
    rc = words_init(&tr->counters[tr->counter_count++].words, share, &tr->runs, err);
  return rc;
}

int tokenizer_train_new(struct tokenizer_train **out, const struct tokenizer_train_options *options,
                        struct err *err) {
  *out = NULL;
  int rc = check_options(options, err);
  if (rc) return rc;
  struct tokenizer_train *tr = mem_zero(sizeof *tr);
  if (!tr) return err_nomem(err, sizeof *tr, "training");
  rc = keep_options(tr, options, err);
  if (!rc) rc = add_specials(tr, err);
  if (!rc) rc = add_bytes(tr, err);
  if (!rc) rc = make_cutter(tr, err);
  if (!rc) rc = runs_init(&tr->runs, options->scratch, err);
  if (!rc) rc = make_counters(tr, err);
  if (rc)
    tokenizer_train_free(tr);
  else
    *out = tr;
  return rc;
}

static void clear_counters(struct tokenizer_train *tr) {
  for (size_t i = 0; i < tr->counter_cap; i++) {
    words_clear(&tr->counters[i].words);
    cut_scratch_clear(&tr->counters[i].scratch);
  }
  mem_free(tr->counters);
  tr->counters = NULL;
  tr->counter_count = tr->counter_cap = 0;
}

void tokenizer_train_free(struct tokenizer_train *tr) {
  if (!tr) return;
  clear_counters(tr);
  runs_clear(&tr->runs);
  cutter_free(tr->cutter);
  vocab_clear(&tr->model.vocab);
  mem_free(tr->model.merges);
  buf_clear(&tr->batch);
  mem_free(tr->slices);
  buf_clear(&tr->strings);
  mem_free(tr->special);
  mem_free(tr);
}

/* ---- counting ---- */

static void count_slices(void *arg, size_t index) {
  struct tokenizer_train *tr = arg;
  struct counter *c = &tr->counters[index];
  size_t i;
  while (!c->rc && (i = atomic_fetch_add(&tr->next, 1)) < tr->slice_count) {
    const struct slice *slice = &tr->slices[i];
    const char *s = slice->s ? slice->s : tr->batch.data + slice->at;
    c->rc = cutter_count(tr->cutter, &c->scratch, s, slice->n, &c->words, &c->err);
  }
}

static int flush(struct tokenizer_train *tr, struct err *err) {
  atomic_store(&tr->next, 0);
  int rc = tr->slice_count ? pool_run(tr->options.pool, tr->counter_count, count_slices, tr) : 0;
  tr->slice_count = 0;
  buf_reset(&tr->batch);
  for (size_t i = 0; i < tr->counter_count; i++) {
    if (!tr->counters[i].rc) continue;
    if (err) *err = tr->counters[i].err;
    return tr->counters[i].rc;
  }
  return rc ? cancel_check(err) : 0;
}

static int add_slice(struct tokenizer_train *tr, struct slice slice, struct err *err) {
  if (tr->slice_count == tr->slice_cap) {
    size_t cap = tr->slice_cap ? tr->slice_cap * 2 : 256;
    struct slice *slices = mem_rearray(tr->slices, cap, sizeof *slices);
    if (!slices) return err_nomem(err, cap * sizeof *slices, "training");
    tr->slices = slices;
    tr->slice_cap = cap;
  }
  tr->slices[tr->slice_count++] = slice;
  return 0;
}

/* A long text is counted where it lies, a short one goes into the batch. */
static int add_shared(struct tokenizer_train *tr, const char *text, size_t n, struct err *err) {
  size_t room = BATCH * tr->counter_count;
  int rc = tr->batch.len + n > room ? flush(tr, err) : 0;
  bool here = n > room;
  size_t base = tr->batch.len;
  if (!here) buf_add(&tr->batch, text, n);
  if (!rc) rc = buf_check(&tr->batch, "training", err);
  for (size_t at = 0, end; at < n && !rc; at = end) {
    end = at + cutter_slice(tr->cutter, text + at, n - at, SLICE);
    rc = add_slice(tr, (struct slice){here ? text + at : NULL, base + at, end - at}, err);
  }
  return rc || !here ? rc : flush(tr, err);
}

int tokenizer_train_add(struct tokenizer_train *tr, const char *text, size_t n, struct err *err) {
  if (tr->finished) return err_set(err, ERR_MISUSE, "this training is finished");
  if (n >= UINT32_MAX) return err_set(err, ERR_LIMIT, "a text of %zu bytes; at most 4 GiB", n);
  tr->facts.texts++;
  tr->facts.bytes += n;
  if (tr->counter_count > 1) return add_shared(tr, text, n, err);
  struct counter *c = &tr->counters[0];
  return cutter_count(tr->cutter, &c->scratch, text, n, &c->words, err);
}

/* ---- from words to symbols ---- */

static size_t tables_bytes(const struct tokenizer_train *tr) {
  size_t n = 0;
  for (size_t i = 0; i < tr->counter_count; i++) n += words_bytes(&tr->counters[i].words);
  return n;
}

static int write_tables(struct tokenizer_train *tr, struct err *err) {
  int rc = 0;
  for (size_t i = 0; i < tr->counter_count && !rc; i++) {
    struct train_words *w = &tr->counters[i].words;
    if (w->count) rc = runs_write(&tr->runs, w, err);
    words_clear(w);
  }
  if (rc) return rc;
  tr->counter_count = 0;
  return runs_reduce(&tr->runs, err);
}

struct pass {
  struct train_symbols *symbols;
  const uint32_t *id_of; /* NULL: counting */
  size_t limit;
};

static int pass_over(struct tokenizer_train *tr, const struct pass *p, struct err *err) {
  struct train_union u;
  struct train_words *tables = mem_zeros(tr->counter_count, sizeof *tables);
  if (!tables) return err_nomem(err, 0, "training");
  for (size_t i = 0; i < tr->counter_count; i++) tables[i] = tr->counters[i].words;
  size_t runs = atomic_load(&tr->runs.made) - tr->runs.first;
  int rc = union_open(&u, &tr->runs, runs, tables, tr->counter_count, err);
  for (size_t i = 0; i < tr->counter_count; i++) tr->counters[i].words = tables[i];
  if (!rc)
    rc = p->id_of ? symbols_fill(p->symbols, &u, p->id_of, err)
                  : symbols_count(p->symbols, &u, p->limit, err);
  union_close(&u);
  mem_free(tables);
  return rc;
}

/* The tables are gone afterwards. */
static int make_symbols(struct tokenizer_train *tr, struct train_symbols *s, struct err *err) {
  size_t memory = tr->options.memory;
  for (size_t i = 0; i < tr->counter_count; i++)
    tr->facts.words += tr->counters[i].words.occurrences;
  int rc = runs_reduce(&tr->runs, err);
  if (!rc) rc = pass_over(tr, &(struct pass){s, NULL, memory - memory / 4}, err);
  if (!rc && memory && tables_bytes(tr) + symbols_bytes(s) > memory) rc = write_tables(tr, err);
  if (!rc) rc = pass_over(tr, &(struct pass){s, tr->id_of, 0}, err);
  clear_counters(tr);
  tr->facts.runs = atomic_load(&tr->runs.made);
  runs_clear(&tr->runs);
  mem_trim();
  tr->facts.distinct = s->distinct - s->forgotten_words;
  tr->facts.forgotten_words = s->forgotten_words;
  tr->facts.forgotten = s->forgotten;
  return rc;
}

int tokenizer_train_finish(struct tokenizer_train *tr, struct tokenizer **out,
                           struct tokenizer_train_facts *facts, struct err *err) {
  struct train_symbols symbols = {0};
  *out = NULL;
  if (tr->finished) return err_set(err, ERR_MISUSE, "this training is finished");
  tr->finished = true;
  int rc = flush(tr, err);
  buf_clear(&tr->batch);
  if (!rc) rc = make_symbols(tr, &symbols, err);
  if (!rc) rc = train_merge(&tr->model, &symbols, &tr->options, tr->options.memory / 4, err);
  symbols_clear(&symbols);
  if (!rc) rc = make_tokenizer(tr, out, err);
  tr->facts.merges = tr->model.merge_count;
  if (!rc && facts) *facts = tr->facts;
  return rc;
}
