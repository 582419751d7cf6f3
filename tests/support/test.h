/* SPDX-License-Identifier: MIT */
/* Unit tests in C: one program per file.
 *
 *   static void adds(void) { CHECK_INT(1 + 1, 2); }
 *   int main(void) { TEST(adds); return test_done(); }
 *
 * Each TEST prints `ok file: name` or `not ok file: name: line: why`; tests/run.sh adds them up. A
 * failed CHECK ends neither the test nor the program; REQUIRE returns from the test function.
 */
#ifndef LATHE_TEST_H
#define LATHE_TEST_H

#include <stdbool.h>
#include <stddef.h>

void test_begin(const char *file, const char *name);
void test_end(void);
void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void test_skip(const char *why); /* the running test counts as skipped */
int test_done(void);             /* the program's exit status */

void test_int(const char *file, int line, const char *what, long long got, long long want);
void test_str(const char *file, int line, const char *what, const char *got, const char *want);
void test_mem(const char *file, int line, const char *what, const void *got, size_t got_size,
              const void *want, size_t want_size);
void test_close(const char *file, int line, const char *what, double got, double want, double tol);

/* A fresh folder for one test under $TMPDIR, removed by test_done. */
const char *test_dir(void);
/* "$LATHE_CONFORMANCE/NAME" in a static buffer, or NULL (after test_skip) when it is absent. */
const char *test_conformance(const char *name);

#define TEST(f)  (test_begin(__FILE__, #f), f(), test_end())
#define CHECK(c) ((c) ? (void)0 : test_fail(__FILE__, __LINE__, "%s", #c))
#define REQUIRE(c)                                                                                 \
  do {                                                                                             \
    if (!(c)) {                                                                                    \
      test_fail(__FILE__, __LINE__, "%s", #c);                                                     \
      return;                                                                                      \
    }                                                                                              \
  } while (0)
#define CHECK_INT(got, want)         test_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define CHECK_STR(got, want)         test_str(__FILE__, __LINE__, #got, (got), (want))
#define CHECK_MEM(got, gn, want, wn) test_mem(__FILE__, __LINE__, #got, (got), (gn), (want), (wn))
/* |got − want| ≤ tol */
#define CHECK_CLOSE(got, want, tol) test_close(__FILE__, __LINE__, #got, (got), (want), (tol))

#endif
