/* SPDX-License-Identifier: MIT */
/* base/: buffers, reader, UTF-8, hashes, random numbers, pool, the cancel flag. */
#include "support/test.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/checked.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/pool.h"
#include "base/reader.h"
#include "base/rng.h"
#include "base/utf8.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

static void buffer_grows_and_stays_a_string(void) {
  struct buf b;
  buf_init(&b);
  for (int i = 0; i < 1000; i++) buf_addf(&b, "%d,", i);
  CHECK_INT(b.len, 3890);
  CHECK_INT(strlen(b.data), 3890);
  CHECK(!strncmp(b.data, "0,1,2,", 6));
  buf_reset(&b);
  CHECK_INT(b.len, 0);
  CHECK_INT(buf_reserve(&b, SIZE_MAX), ERR_NOMEM);
  buf_adds(&b, "lost");
  CHECK_INT(b.len, 0);
  CHECK_INT(buf_check(&b, "x", NULL), ERR_NOMEM);
  buf_clear(&b);
  buf_clear(&b);
}

static void reader_is_bounded_and_sticky(void) {
  static const unsigned char bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x80, 0x3f};
  struct reader r;
  struct err err;
  reader_init(&r, bytes, sizeof bytes);
  CHECK_INT(reader_u32(&r), 0x04030201);
  CHECK_INT(reader_u32(&r), 0x08070605);
  CHECK_CLOSE(reader_f32(&r), 1.0, 0);
  CHECK_INT(reader_left(&r), 0);
  CHECK(!r.bad);
  CHECK_INT(reader_u8(&r), 0);
  CHECK(r.bad);
  CHECK(reader_bytes(&r, 0) == NULL);
  CHECK_INT(reader_check(&r, "sample", &err), ERR_FORMAT);
  CHECK_STR(err.message, "sample: ends early at byte 12 of 12");
  reader_init(&r, bytes, sizeof bytes);
  CHECK(reader_bytes(&r, UINT64_MAX) == NULL);
}

static void utf8_round_trip_of_every_character(void) {
  char s[4];
  size_t used;
  for (uint32_t c = 0; c <= 0x10FFFF; c++) {
    if (c >= 0xD800 && c < 0xE000) continue;
    size_t n = utf8_encode(c, s);
    if (utf8_decode(s, n, &used) != c || used != n || utf8_check(s, n) != n) {
      test_fail(__FILE__, __LINE__, "U+%04X", (unsigned)c);
      return;
    }
  }
}

static void utf8_refuses_what_is_not(void) {
  static const struct {
    const char *s;
    size_t n, parts;
  } bad[] = {{"\x80", 1, 1},
             {"\xC0\xAF", 2, 2},
             {"\xE0\x80\xAF", 3, 3},
             {"\xED\xA0\x80", 3, 3},
             {"\xF4\x90\x80\x80", 4, 4},
             {"\xE2\x82", 2, 1},
             {"\xF0\x9F\x98", 3, 1},
             {"\xFF", 1, 1}};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct buf b;
    buf_init(&b);
    CHECK_INT(utf8_check(bad[i].s, bad[i].n), 0);
    CHECK_INT(utf8_lossy(bad[i].s, bad[i].n, &b), bad[i].parts);
    CHECK_INT(b.len, 3 * bad[i].parts);
    buf_clear(&b);
  }
  CHECK_INT(utf8_count("na\xC3\xAFve", 6), 5);
  CHECK_INT(utf8_floor("na\xC3\xAFve", 6, 3), 2);
}

static void hashes_equal_published_values(void) {
  unsigned char d[SHA256_BYTES];
  char hex[SHA256_HEX];
  CHECK_INT(sha256("abc", 3, d, NULL), 0);
  hash_hex(d, sizeof d, hex);
  CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(hash_xxh3("", 0, 0) == 0x2D06800538D394C2u);
}

static void random_numbers_are_fixed_and_fair(void) {
  struct rng a, b;
  rng_seed(&a, 42), rng_seed(&b, 42);
  double sum = 0, squares = 0;
  unsigned counts[7] = {0};
  for (int i = 0; i < 70000; i++) {
    CHECK(rng_u64(&a) == rng_u64(&b));
    counts[rng_below(&a, 7)]++, rng_below(&b, 7);
    double v = rng_normal(&a);
    rng_normal(&b);
    sum += v, squares += v * v;
  }
  for (int i = 0; i < 7; i++) CHECK(fabs(counts[i] - 10000.0) < 400);
  CHECK_CLOSE(sum / 70000, 0, 0.02);
  CHECK_CLOSE(squares / 70000, 1, 0.03);
  CHECK(rng_at(1, 2, 3) != rng_at(1, 3, 2));
}

static void count_task(void *arg, size_t i) {
  atomic_fetch_add((atomic_int *)arg + i, 1);
}

static void pool_runs_each_task_once(void) {
  struct pool *p;
  struct err err;
  static atomic_int hits[257];
  REQUIRE(pool_new(&p, 3, &err) == 0);
  for (int round = 0; round < 500; round++) CHECK_INT(pool_run(p, 257, count_task, hits), 0);
  for (int i = 0; i < 257; i++) CHECK_INT(atomic_load(&hits[i]), 500);
  pool_free(p);
  CHECK_INT(pool_run(NULL, 257, count_task, hits), 0);
  CHECK_INT(atomic_load(&hits[256]), 501);
}

struct woken {
  atomic_int times, ready;
  pthread_t by;
};

static void wake(void *arg) {
  struct woken *w = arg;
  w->by = pthread_self();
  atomic_fetch_add(&w->times, 1);
}

/* Registers, then runs on until it is woken. */
static void *watcher_thread(void *arg) {
  struct woken *w = arg;
  cancel_block_signals();
  int handle = cancel_watch(wake, w);
  atomic_store(&w->ready, 1);
  while (!atomic_load(&w->times)) sched_yield();
  cancel_unwatch(handle);
  return handle >= 0 && pthread_equal(w->by, pthread_self()) ? w : NULL;
}

static void cancel_wakes_watchers_in_their_threads(void) {
  struct err err;
  struct woken here = {0}, gone = {0}, late = {0}, there[3] = {{0}};
  pthread_t ids[3];
  void *fine;
  REQUIRE(cancel_install(&err) == 0);
  int handle = cancel_watch(wake, &here), old = cancel_watch(wake, &gone);
  cancel_unwatch(old);
  for (int i = 0; i < 3; i++) {
    REQUIRE(pthread_create(&ids[i], NULL, watcher_thread, &there[i]) == 0);
    while (!atomic_load(&there[i].ready)) sched_yield();
  }
  CHECK_INT(atomic_load(&here.times), 0);
  cancel_request();
  CHECK(cancel_requested());
  CHECK_INT(atomic_load(&here.times), 1);
  CHECK_INT(atomic_load(&gone.times), 0);
  CHECK(pthread_equal(here.by, pthread_self()));
  for (int i = 0; i < 3; i++) {
    pthread_join(ids[i], &fine);
    CHECK(fine == &there[i]);
  }
  cancel_unwatch(cancel_watch(wake, &late)); /* requested already: woken at once */
  CHECK_INT(atomic_load(&late.times), 1);
  cancel_clear();
  cancel_unwatch(handle);
}

static void checked_sums(void) {
  size_t v;
  uint64_t w;
  CHECK(!checked_add(SIZE_MAX, 1, &v));
  CHECK(!checked_mul(SIZE_MAX / 2, 3, &v));
  CHECK(mem_array(SIZE_MAX / 2, 3) == NULL);
  CHECK(checked_align64(33, 32, &w) && w == 64);
  CHECK(!checked_align64(UINT64_MAX, 32, &w));
}

static void errors_are_failures_with_or_without_a_text(void) {
  struct err err;
  CHECK_INT(err_set(NULL, ERR_IO, "lost"), ERR_IO);
  CHECK_INT(err_set(&err, ERR_LIMIT, "%d is too many", 3), ERR_LIMIT);
  CHECK_INT(err_prefix(&err, "file"), ERR_LIMIT);
  CHECK_STR(err.message, "file: 3 is too many");
  CHECK(err_prefix(NULL, "file") != 0);
}

int main(void) {
  TEST(buffer_grows_and_stays_a_string);
  TEST(reader_is_bounded_and_sticky);
  TEST(utf8_round_trip_of_every_character);
  TEST(utf8_refuses_what_is_not);
  TEST(hashes_equal_published_values);
  TEST(random_numbers_are_fixed_and_fair);
  TEST(pool_runs_each_task_once);
  TEST(cancel_wakes_watchers_in_their_threads);
  TEST(checked_sums);
  TEST(errors_are_failures_with_or_without_a_text);
  return test_done();
}
