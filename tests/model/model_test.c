/* SPDX-License-Identifier: MIT */
/* The model as a whole: gradients of every weight against a plain double-precision model, whose own
 * are held to numeric differentiation; the same bits for any checkpointing, number of threads and after a
 * resume; packed against separate sequences; a tiny run that learns by heart; generation with the
 * cache against the whole sequence computed anew; and what bad input gets. */
#include "support/test.h"
#include "model/plain.h"

#include "base/cancel.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/internal.h"
#include "model/model.h"

/* Numeric against analytic in double precision, of the largest entry; the engine's fp32 against
 * analytic, in L2 of each tensor. */
#define NUMERIC 1e-5
#define SINGLE  1e-4

/* ---- models and batches for the tests ---- */

static const struct model_config tiny = {.vocab = 11,
                                         .hidden = 8,
                                         .ffn = 12,
                                         .layers = 2,
                                         .heads = 2,
                                         .kv_heads = 1,
                                         .head_dim = 4,
                                         .max_positions = 32,
                                         .rope_theta = 100,
                                         .norm_eps = 1e-5};
static const struct model_config small = {.vocab = 300,
                                          .hidden = 64,
                                          .ffn = 160,
                                          .layers = 3,
                                          .heads = 4,
                                          .kv_heads = 2,
                                          .head_dim = 16,
                                          .max_positions = 128,
                                          .tied = true};

static const int32_t tokens9[] = {3, 1, 4, 1, 5, 9, 2, 6, 5},
                     targets9[] = {-1, 4, 1, 5, -1, -1, 6, 5, 10}, starts9[] = {0, 5, 9};
static const struct model_batch batch9 = {9, 2, tokens9, targets9, starts9};

/* Normal weights around 1 (norms) or 0: large enough that every path of the gradient matters, small
 * enough that no softmax saturates. With 0.4 for 0.3 adapters on all projections made some do: there
 * dS = P·(dP − Σ P·dP) cancels, and rounding the exact computation to fp32 alone costs 3e-5, the engine
 * up to 1e-4, depending on the order of BLAS's sums; with 0.3 it is 1e-6 and 6e-6. */
static void shake_some(struct model *m, uint64_t seed, bool adapters_only) {
  struct rng rng;
  rng_seed(&rng, seed);
  for (size_t i = 0; i < model_tensors(m); i++) {
    struct model_tensor info;
    struct tensor t;
    model_tensor_at(m, i, &info);
    if (adapters_only && !info.adapter) continue;
    REQUIRE(!tensor_init(&t, DTYPE_F32, info.rank, info.shape, NULL));
    for (size_t k = 0; k < tensor_count(&t); k++)
      ((float *)t.data)[k] = (float)((info.rank == 1 ? 1 : 0) + 0.3 * rng_normal(&rng));
    CHECK_INT(model_tensor_write(m, i, &t, NULL), 0);
    tensor_clear(&t);
  }
}

static void shake(struct model *m, uint64_t seed) {
  shake_some(m, seed, false);
}

static void shake_adapters(struct model *m, uint64_t seed) {
  shake_some(m, seed, true);
}

static struct model *model_of(const struct model_config *c, struct pool *pool) {
  struct model *m;
  struct err err;
  if (model_new(&m, c, DTYPE_F32, true, 7, pool, &err))
    test_fail(__FILE__, __LINE__, "%s", err.message);
  return m;
}

static struct model_lora lora_of(size_t rank, double dropout, bool all) {
  struct model_lora l = {.rank = rank, .alpha = 3, .dropout = dropout, .seed = 5};
  for (int p = 0; p < PROJ_COUNT; p++)
    l.target[p] = all || p == PROJ_K || p == PROJ_V || p == PROJ_UP;
  return l;
}

/* A batch of `sequences` of uneven lengths over a vocabulary, some rows without loss. */
struct made {
  struct model_batch b;
  int32_t tokens[512], targets[512], starts[32];
};
static void make_batch(struct made *x, size_t sequences, size_t vocab, uint64_t seed) {
  struct rng rng;
  size_t n = 0;
  rng_seed(&rng, seed);
  for (size_t s = 0; s < sequences; s++) {
    x->starts[s] = (int32_t)n;
    for (size_t k = 3 + rng_below(&rng, 30); k > 0; k--, n++) {
      x->tokens[n] = (int32_t)rng_below(&rng, vocab);
      x->targets[n] = rng_below(&rng, 3) ? (int32_t)rng_below(&rng, vocab) : -1;
    }
  }
  x->starts[sequences] = (int32_t)n;
  x->b = (struct model_batch){n, sequences, x->tokens, x->targets, x->starts};
}

static const struct model_optimiser adam = {1e-2, 0.9, 0.95, 1e-8, 0.1, 1.0};

/* ---- gradients ---- */

/* The plain model's backward against differences of its forward: every weight (also those that the
 * engine freezes) and what the first block reads. */
static void check_plain(struct plain *p) {
  double worst = ref_check_grad(plain_loss_of_input, p, p->x, p->b->rows * p->c.hidden, p->dx);
  if (!(worst <= NUMERIC)) test_fail(__FILE__, __LINE__, "input: %.3g", worst);
  for (size_t i = 0; i < p->count; i++) {
    struct model_tensor info;
    model_tensor_at(p->m, i, &info);
    worst = ref_check_grad(plain_loss, p, p->w[i], plain_size(p, i), p->dw[i]);
    if (!(worst <= NUMERIC)) test_fail(__FILE__, __LINE__, "%s: %.3g", info.name, worst);
  }
}

/* The engine's gradients of one batch against the plain model's. `rounded` is the plain model with
 * every result rounded to fp32: what it misses by is the problem's own conditioning, not a kernel's
 * fault, and is said beside a failure. */
static void check_engine(struct model *m, const struct plain *p) {
  struct plain rounded = plain_new(m, p->b, p->scale);
  rounded.single = true;
  plain_gradients(&rounded);
  for (size_t i = 0; i < p->count; i++) {
    struct model_tensor info;
    struct tensor g;
    double worst = 0, size = 0;
    model_tensor_at(m, i, &info);
    REQUIRE(!model_tensor_gradient(m, i, &g, NULL));
    const float *got = g.data;
    for (size_t k = 0; k < tensor_count(&g); k++) {
      if (!info.trainable) CHECK(got[k] == 0);
      worst = fmax(worst, fabs(got[k] - p->dw[i][k]));
      size = fmax(size, fabs(p->dw[i][k]));
    }
    double l2 = ref_distance(got, p->dw[i], tensor_count(&g));
    for (size_t k = 0; k < tensor_count(&g); k++) ((float *)g.data)[k] = (float)rounded.dw[i][k];
    if (info.trainable && !(l2 <= SINGLE))
      test_fail(__FILE__, __LINE__, "%s: %.2g in L2 (rounding alone: %.2g), %.2g of the largest",
                info.name, l2, ref_distance(got, p->dw[i], tensor_count(&g)), worst / size);
    tensor_clear(&g);
  }
  plain_free(&rounded);
}

static void check_gradients(struct model *m, const struct model_batch *b, double scale,
                            bool numeric) {
  struct model_loss loss;
  struct plain p = plain_new(m, b, scale);
  CHECK_INT(model_accumulate(m, b, &loss, NULL), 0);
  CHECK_CLOSE(loss.loss, plain_gradients(&p), 1e-5 * loss.loss);
  if (numeric) check_plain(&p);
  check_engine(m, &p);
  plain_free(&p);
}

static void gradients_of_all_weights(void) {
  for (int tied = 0; tied < 2; tied++) {
    struct model_config c = tiny;
    c.tied = tied;
    struct model *m = model_of(&c, NULL);
    shake(m, 3);
    check_gradients(m, &batch9, 0, true);
    model_free(m);
  }
}

static void gradients_of_adapters(void) {
  for (int all = 0; all < 2; all++) {
    struct model *m = model_of(&tiny, NULL);
    struct model_lora l = lora_of(3, 0, all);
    l.rslora = all;
    REQUIRE(!model_lora_add(m, &l, NULL));
    shake(m, 4);
    check_gradients(m, &batch9, all ? 3 / sqrt(3.0) : 1, true);
    model_free(m);
  }
}

/* Sizes at which kernels work in tiles and panels; weights as training begins with them. */
static void gradients_at_width(void) {
  for (size_t rank = 0; rank <= 4; rank += 4) {
    struct made x;
    struct model *m = model_of(&small, NULL);
    struct model_lora l = lora_of(rank, 0, true);
    if (rank) REQUIRE(!model_lora_add(m, &l, NULL));
    if (rank) shake_adapters(m, 5);
    make_batch(&x, 5, small.vocab, 6);
    check_gradients(m, &x.b, rank ? 3.0 / 4 : 0, false);
    model_free(m);
  }
}

/* ---- the same bits ---- */

/* State after three steps of two micro-batches each; lora rank 0: full training. */
static void train(struct model *m, size_t from, size_t to) {
  struct made x;
  struct model_loss loss;
  double norm;
  for (size_t step = from; step < to; step++) {
    for (size_t k = 0; k < 2; k++) {
      make_batch(&x, 4 + k, model_config(m)->vocab, 100 * step + k);
      CHECK_INT(model_accumulate(m, &x.b, &loss, NULL), 0);
    }
    CHECK_INT(model_step(m, &adam, &norm, NULL), 0);
    CHECK(norm > 0);
  }
}

static struct model *start(struct pool *pool, size_t rank) {
  struct model *m = model_of(&small, pool);
  struct model_lora l = lora_of(rank, 0.1, true);
  if (rank) CHECK_INT(model_lora_add(m, &l, NULL), 0);
  return m;
}

static void state_of(struct model *m, struct buf *out) {
  buf_init(out);
  CHECK_INT(model_state_write(m, out, NULL), 0);
}

static void same_bits_whatever_is_kept(void) {
  for (size_t rank = 0; rank <= 4; rank += 4) {
    struct buf want, got;
    for (int how = MODEL_KEEP_ALL; how <= MODEL_KEEP_INPUTS; how++) {
      struct model *m = start(NULL, rank);
      model_checkpointing(m, (enum model_checkpointing)how);
      train(m, 0, 3);
      state_of(m, how ? &got : &want);
      if (how) {
        CHECK_MEM(got.data, got.len, want.data, want.len);
        buf_clear(&got);
      }
      model_free(m);
    }
    buf_clear(&want);
  }
}

static void same_bits_for_any_number_of_threads(void) {
  for (size_t rank = 0; rank <= 4; rank += 4) {
    struct buf want, got;
    for (unsigned threads = 1; threads <= 3; threads++) {
      struct pool *pool;
      REQUIRE(!pool_new(&pool, threads, NULL));
      struct model *m = start(pool, rank);
      train(m, 0, 3);
      state_of(m, threads > 1 ? &got : &want);
      if (threads > 1) {
        CHECK_MEM(got.data, got.len, want.data, want.len);
        buf_clear(&got);
      }
      model_free(m);
      pool_free(pool);
    }
    buf_clear(&want);
  }
}

static void same_bits_after_a_resume(void) {
  for (size_t rank = 0; rank <= 4; rank += 4) {
    struct buf want, middle, got;
    struct model *m = start(NULL, rank);
    train(m, 0, 2);
    state_of(m, &middle);
    train(m, 2, 4);
    state_of(m, &want);
    model_free(m);
    m = start(NULL, rank);
    struct err err;
    CHECK_INT(model_state_read(m, middle.data, middle.len - 5, &err), ERR_FORMAT);
    CHECK_INT(model_state_read(m, "no", 2, &err), ERR_FORMAT);
    CHECK_INT(model_steps(m), 0);
    CHECK_INT(model_state_read(m, middle.data, middle.len, &err), 0);
    CHECK_INT(model_steps(m), 2);
    train(m, 2, 4);
    state_of(m, &got);
    CHECK_MEM(got.data, got.len, want.data, want.len);
    model_free(m);
    m = start(NULL, rank ? 0 : 4);
    CHECK(model_state_read(m, middle.data, middle.len, &err) != 0);
    model_free(m);
    buf_clear(&want);
    buf_clear(&middle);
    buf_clear(&got);
  }
}

/* Asks to be cancelled in the middle of a step: after the third tensor is updated. */
static int (*real_adamw)(struct device *d, const struct adamw *op, struct err *err);
static int updates;
static int adamw_then_cancel(struct device *d, const struct adamw *op, struct err *err) {
  if (++updates == 3) cancel_request();
  return real_adamw(d, op, err);
}

static void a_step_left_halfway_is_never_kept(void) {
  struct buf before, after;
  struct err err;
  struct model_loss loss;
  struct made x;
  double norm;
  struct model *m = start(NULL, 4);
  train(m, 0, 2);
  state_of(m, &before);
  make_batch(&x, 4, small.vocab, 1);
  CHECK_INT(model_accumulate(m, &x.b, &loss, &err), 0);
  real_adamw = m->dev.adamw;
  updates = 0;
  m->dev.adamw = adamw_then_cancel;
  CHECK_INT(model_step(m, &adam, &norm, &err), ERR_CANCELLED);
  cancel_clear();
  m->dev.adamw = real_adamw;
  buf_init(&after);
  CHECK_INT(model_state_write(m, &after, &err), ERR_MISUSE);
  CHECK(strstr(err.message, "halfway"));
  CHECK_INT(model_state_read(m, before.data, before.len, &err), 0);
  buf_clear(&after);
  state_of(m, &after);
  CHECK_MEM(after.data, after.len, before.data, before.len);
  buf_clear(&before);
  buf_clear(&after);
  model_free(m);
}

/* ---- packed and split ---- */

static double largest_difference(struct model *a, struct model *b) {
  double worst = 0;
  for (size_t i = 0; i < model_tensors(a); i++) {
    struct tensor ga, gb;
    double difference = 0, size = 0;
    CHECK_INT(model_tensor_gradient(a, i, &ga, NULL), 0);
    CHECK_INT(model_tensor_gradient(b, i, &gb, NULL), 0);
    for (size_t k = 0; k < tensor_count(&ga); k++) {
      double x = ((float *)ga.data)[k], y = ((float *)gb.data)[k];
      difference = fmax(difference, fabs(x - y));
      size = fmax(size, fabs(y));
    }
    if (size > 0) worst = fmax(worst, difference / size);
    tensor_clear(&ga);
    tensor_clear(&gb);
  }
  return worst;
}

/* Dropout is on: its rows are numbered within the step, so that splitting changes nothing. */
static void packed_sequences_do_not_see_each_other(void) {
  struct made x;
  struct model *packed = start(NULL, 4), *apart = start(NULL, 4);
  struct model_loss loss, one;
  double sum = 0;
  make_batch(&x, 6, small.vocab, 9);
  shake(packed, 8);
  shake(apart, 8);
  CHECK_INT(model_accumulate(packed, &x.b, &loss, NULL), 0);
  for (size_t s = 0; s < 6; s++) {
    size_t from = (size_t)x.starts[s], n = (size_t)x.starts[s + 1] - from;
    int32_t starts[2] = {0, (int32_t)n};
    struct model_batch b = {n, 1, x.tokens + from, x.targets + from, starts};
    CHECK_INT(model_accumulate(apart, &b, &one, NULL), 0);
    sum += one.loss;
  }
  CHECK_CLOSE(sum, loss.loss, 1e-5 * loss.loss);
  CHECK(largest_difference(packed, apart) < 1e-4);
  model_free(packed);
  model_free(apart);
}

/* ---- learning and answering ---- */

static const int32_t song[] = {1, 20, 33, 47, 20, 51, 8, 33, 60, 2};
enum { SONG = 10 };

static struct model *learned(void) {
  struct model_config c = small;
  c.layers = 2;
  struct model *m = model_of(&c, NULL);
  struct model_optimiser o = {5e-3, 0.9, 0.95, 1e-8, 0, 1.0};
  struct model_loss loss = {0};
  int32_t targets[SONG], starts[2] = {0, SONG};
  double norm;
  for (int i = 0; i < SONG; i++) targets[i] = i + 1 < SONG ? song[i + 1] : -1;
  struct model_batch b = {SONG, 1, song, targets, starts};
  for (int step = 0; step < 60; step++) {
    CHECK_INT(model_accumulate(m, &b, &loss, NULL), 0);
    CHECK_INT(model_step(m, &o, &norm, NULL), 0);
  }
  CHECK(loss.loss / (double)loss.supervised < 0.05);
  CHECK_INT(loss.correct, SONG - 1);
  return m;
}

static void learns_by_heart_and_sings(void) {
  struct model *m = learned();
  int32_t stop = 2, starts[3] = {0, 2, 5}, prompts[] = {1, 20, 1, 20, 33};
  struct model_batch b = {5, 2, prompts, NULL, starts};
  struct model_sampling s = {.top_p = 1, .max_tokens = 40, .stop = &stop, .stops = 1};
  struct model_answer a[2];
  REQUIRE(!model_generate(m, &b, &s, a, NULL));
  CHECK(a[0].stopped && a[1].stopped);
  CHECK_MEM(a[0].tokens, a[0].count * 4, song + 2, 7 * 4);
  CHECK_MEM(a[1].tokens, a[1].count * 4, song + 3, 6 * 4);
  model_answers_clear(a, 2);
  s.max_tokens = 3;
  REQUIRE(!model_generate(m, &b, &s, a, NULL));
  CHECK(!a[0].stopped && a[0].count == 3);
  model_answers_clear(a, 2);
  model_free(m);
}

/* Greedy with the cache against the most likely token of whole sequences computed anew. */
static void cache_changes_nothing(void) {
  struct made x;
  struct model *m = start(NULL, 4);
  struct model_sampling s = {.top_p = 1, .max_tokens = 12};
  struct model_answer a[8];
  shake(m, 21);
  make_batch(&x, 8, small.vocab, 5);
  REQUIRE(!model_generate(m, &x.b, &s, a, NULL));
  for (size_t i = 0; i < 8; i++) {
    int32_t ids[64], n = x.starts[i + 1] - x.starts[i];
    memcpy(ids, x.tokens + x.starts[i], (size_t)n * 4);
    CHECK_INT(a[i].count, 12);
    for (size_t k = 0; k < a[i].count; k++) {
      struct tensor logits;
      int32_t starts[2] = {0, n}, best = 0;
      struct model_batch b = {(size_t)n, 1, ids, NULL, starts};
      REQUIRE(!model_logits(m, &b, &logits, NULL));
      const float *last = (float *)logits.data + (size_t)(n - 1) * small.vocab;
      for (int32_t v = 1; v < (int32_t)small.vocab; v++)
        if (last[v] > last[best]) best = v;
      CHECK_INT(a[i].tokens[k], best);
      ids[n++] = a[i].tokens[k];
      tensor_clear(&logits);
    }
  }
  model_answers_clear(a, 8);
  model_free(m);
}

static void sampling_follows_its_seed(void) {
  struct model *m = model_of(&small, NULL);
  int32_t starts[2] = {0, 2}, prompt[] = {1, 20};
  struct model_batch b = {2, 1, prompt, NULL, starts};
  struct model_answer one, two, three, best;
  struct model_sampling s = {
      .temperature = 1, .top_p = 0.95, .top_k = 50, .seed = 1, .max_tokens = 20};
  REQUIRE(!model_generate(m, &b, &s, &one, NULL));
  REQUIRE(!model_generate(m, &b, &s, &two, NULL));
  s.seed = 2;
  REQUIRE(!model_generate(m, &b, &s, &three, NULL));
  CHECK_MEM(one.tokens, one.count * 4, two.tokens, two.count * 4);
  CHECK(one.count != three.count || memcmp(one.tokens, three.tokens, one.count * 4));
  model_answers_clear(&two, 1);
  s.top_k = 1;
  REQUIRE(!model_generate(m, &b, &s, &two, NULL));
  s.temperature = 0;
  REQUIRE(!model_generate(m, &b, &s, &best, NULL));
  CHECK_MEM(two.tokens, two.count * 4, best.tokens, best.count * 4);
  model_answers_clear(&one, 1);
  model_answers_clear(&two, 1);
  model_answers_clear(&three, 1);
  model_answers_clear(&best, 1);
  model_free(m);
}

/* ---- storage, merging, plans ---- */

static void bf16_weights_stay_bf16(void) {
  struct model *half, *full = model_of(&small, NULL);
  struct model_lora l = lora_of(4, 0, true);
  struct made x;
  struct model_loss a, b;
  struct err err;
  REQUIRE(!model_new(&half, &small, DTYPE_BF16, true, 7, NULL, &err));
  make_batch(&x, 5, small.vocab, 2);
  CHECK_INT(model_accumulate(half, &x.b, &a, &err), ERR_MISUSE);
  CHECK_INT(model_lora_add(half, &l, NULL), 0);
  CHECK_INT(model_lora_add(full, &l, NULL), 0);
  CHECK_INT(model_lora_add(full, &l, &err), ERR_MISUSE);
  for (size_t i = 0; i < model_tensors(full); i++) { /* the same values in fp32 */
    struct tensor t;
    REQUIRE(!model_tensor_read(half, i, &t, NULL));
    CHECK_INT(model_tensor_write(full, i, &t, NULL), 0);
    tensor_clear(&t);
  }
  CHECK_INT(model_accumulate(half, &x.b, &a, NULL), 0);
  CHECK_INT(model_accumulate(full, &x.b, &b, NULL), 0);
  CHECK_CLOSE(a.loss, b.loss, 1e-5 * b.loss);
  CHECK(largest_difference(half, full) < 1e-4);
  model_free(half);
  model_free(full);
}

static void merging_keeps_the_function(void) {
  struct made x;
  struct tensor before, after;
  struct model *m = start(NULL, 4);
  shake(m, 31);
  make_batch(&x, 3, small.vocab, 4);
  REQUIRE(!model_logits(m, &x.b, &before, NULL));
  CHECK_INT(model_lora_merge(m, NULL), 0);
  CHECK(!model_lora(m));
  REQUIRE(!model_logits(m, &x.b, &after, NULL));
  double worst = 0, size = 0;
  for (size_t i = 0; i < tensor_count(&before); i++) {
    worst = fmax(worst, fabs(((float *)before.data)[i] - ((float *)after.data)[i]));
    size = fmax(size, fabs(((float *)before.data)[i]));
  }
  CHECK(worst <= 1e-4 * size);
  tensor_clear(&before);
  tensor_clear(&after);
  model_free(m);
}

static void plans_before_it_holds(void) {
  struct model *m = start(NULL, 4);
  struct model_memory all, few;
  CHECK_INT(model_memory(m, 400, 4, &all, NULL), 0);
  model_checkpointing(m, MODEL_KEEP_INPUTS);
  CHECK_INT(model_memory(m, 400, 4, &few, NULL), 0);
  CHECK(few.activations < all.activations);
  CHECK_INT(all.gradients * 2, all.moments);
  train(m, 0, 1);
  CHECK(model_bytes(m) <= few.total);
  model_free(m);
}

/* The plan of a model that does not exist is that of the model when it does. */
static void plans_before_it_exists(void) {
  for (size_t rank = 0; rank <= 4; rank += 4) {
    struct model *m = start(NULL, rank);
    struct model_lora l = lora_of(rank, 0.1, true);
    struct model_plan plan = {.config = small,
                              .storage = DTYPE_F32,
                              .lora = rank ? &l : NULL,
                              .keep = MODEL_KEEP_PRODUCTS,
                              .rows = 300,
                              .sequences = 3};
    struct model_memory want, got;
    struct err err;
    size_t trainable;
    model_checkpointing(m, plan.keep);
    CHECK_INT(model_memory(m, 300, 3, &want, NULL), 0);
    CHECK_INT(model_plan(&plan, &got, &trainable, NULL), 0);
    CHECK_MEM(&got, sizeof got, &want, sizeof want);
    CHECK_INT(trainable, model_trainable(m));
    l.rank = 0;
    plan.config.heads = rank ? plan.config.heads : 3;
    CHECK(model_plan(&plan, &got, &trainable, &err) != 0);
    model_free(m);
  }
}

/* ---- bad input ---- */

static void bad_batches_are_refused(void) {
  struct model *m = model_of(&tiny, NULL);
  struct model_loss loss;
  struct err err;
  double norm;
  int32_t starts[2] = {0, 2}, gap[3] = {0, 1, 1}, ids[2] = {1, 11}, fine[2] = {1, 2},
          none[2] = {-1, -1}, many[64] = {0};
  struct model_batch b = {2, 1, ids, fine, starts};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), ERR_MISUSE);
  CHECK_STR(err.message, "token 11 at row 1 is not in the vocabulary of 11");
  b = (struct model_batch){2, 1, fine, ids, starts};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), ERR_MISUSE);
  b = (struct model_batch){2, 2, fine, fine, gap};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), ERR_MISUSE);
  b = (struct model_batch){0, 0, fine, fine, starts};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), ERR_MISUSE);
  b = (struct model_batch){2, 1, fine, none, starts};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), 0);
  CHECK_INT(model_step(m, &adam, &norm, &err), ERR_MISUSE);
  int32_t long_starts[2] = {0, 33};
  b = (struct model_batch){33, 1, many, many, long_starts};
  CHECK_INT(model_accumulate(m, &b, &loss, &err), ERR_LIMIT);
  b.rows = 32;
  long_starts[1] = 32;
  struct model_answer a;
  struct model_sampling s = {.top_p = 1, .max_tokens = 4};
  CHECK_INT(model_generate(m, &b, &s, &a, &err), ERR_LIMIT);
  model_free(m);
}

static void divergence_is_said_and_changes_nothing(void) {
  struct model *m = model_of(&tiny, NULL);
  struct model_loss loss;
  struct err err;
  struct tensor t;
  double norm;
  ptrdiff_t i = model_tensor_find(m, "model.norm.weight");
  REQUIRE(!model_tensor_read(m, (size_t)i, &t, NULL));
  ((float *)t.data)[0] = INFINITY;
  CHECK_INT(model_tensor_write(m, (size_t)i, &t, NULL), 0);
  tensor_clear(&t);
  CHECK_INT(model_accumulate(m, &batch9, &loss, NULL), 0);
  CHECK_INT(model_step(m, &adam, &norm, &err), ERR_MISMATCH);
  CHECK(strstr(err.message, "diverged"));
  CHECK_INT(model_steps(m), 0);
  model_free(m);
}

static void senseless_configurations_are_refused(void) {
  struct model *m;
  struct err err;
  struct model_config c = tiny;
  c.kv_heads = 3;
  CHECK_INT(model_new(&m, &c, DTYPE_F32, true, 0, NULL, &err), ERR_FORMAT);
  CHECK_STR(err.message, "model: num_key_value_heads is 3; it must divide num_attention_heads (2)");
  c = tiny;
  c.hidden = 0;
  CHECK_INT(model_new(&m, &c, DTYPE_F32, true, 0, NULL, &err), ERR_FORMAT);
  c = tiny;
  c.head_dim = 5;
  CHECK_INT(model_new(&m, &c, DTYPE_F32, true, 0, NULL, &err), ERR_FORMAT);
  CHECK_INT(model_new(&m, &tiny, DTYPE_Q8_0, true, 0, NULL, &err), ERR_UNSUPPORTED);
  CHECK(m == NULL);
}

int main(void) {
  TEST(gradients_of_all_weights);
  TEST(gradients_of_adapters);
  TEST(gradients_at_width);
  TEST(same_bits_whatever_is_kept);
  TEST(same_bits_for_any_number_of_threads);
  TEST(same_bits_after_a_resume);
  TEST(a_step_left_halfway_is_never_kept);
  TEST(packed_sequences_do_not_see_each_other);
  TEST(learns_by_heart_and_sings);
  TEST(cache_changes_nothing);
  TEST(sampling_follows_its_seed);
  TEST(bf16_weights_stay_bf16);
  TEST(merging_keeps_the_function);
  TEST(plans_before_it_holds);
  TEST(plans_before_it_exists);
  TEST(bad_batches_are_refused);
  TEST(divergence_is_said_and_changes_nothing);
  TEST(senseless_configurations_are_refused);
  return test_done();
}
