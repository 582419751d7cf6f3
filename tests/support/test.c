/* SPDX-License-Identifier: MIT */
/* The unit-test support; see test.h. */
#include "support/test.h"
#include "file/file.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct {
  const char *file, *name, *skip;
  int failures_here, failures;
  char dir[4096];
} now;

void test_begin(const char *file, const char *name) {
  now.file = file, now.name = name, now.skip = NULL, now.failures_here = 0;
}

void test_end(void) {
  if (now.skip)
    printf("skip %s: %s: %s\n", now.file, now.name, now.skip);
  else if (!now.failures_here)
    printf("ok %s: %s\n", now.file, now.name);
  fflush(stdout);
}

void test_fail(const char *file, int line, const char *format, ...) {
  va_list args;
  if (!now.failures_here++) printf("not ok %s: %s\n", now.file, now.name);
  printf("  %s:%d: ", file, line);
  va_start(args, format);
  vprintf(format, args);
  va_end(args);
  printf("\n");
  fflush(stdout);
  now.failures++;
}

void test_skip(const char *why) {
  now.skip = why;
}

int test_done(void) {
  struct err err;
  if (now.dir[0] && file_remove_tree(now.dir, &err))
    printf("not ok %s: %s\n", now.dir, err.message);
  return now.failures ? 1 : 0;
}

void test_int(const char *file, int line, const char *what, long long got, long long want) {
  if (got != want) test_fail(file, line, "%s is %lld, expected %lld", what, got, want);
}

void test_str(const char *file, int line, const char *what, const char *got, const char *want) {
  if (!got || strcmp(got, want))
    test_fail(file, line, "%s is \"%s\", expected \"%s\"", what, got ? got : "(null)", want);
}

void test_mem(const char *file, int line, const char *what, const void *got, size_t got_size,
              const void *want, size_t want_size) {
  const unsigned char *a = got, *b = want;
  size_t n = got_size < want_size ? got_size : want_size, i = 0;
  while (i < n && a[i] == b[i]) i++;
  if (i < n || got_size != want_size)
    test_fail(file, line, "%s: %zu bytes, expected %zu; they differ at byte %zu", what, got_size,
              want_size, i);
}

void test_close(const char *file, int line, const char *what, double got, double want, double tol) {
  if (!(fabs(got - want) <= tol))
    test_fail(file, line, "%s is %.9g, expected %.9g ± %g", what, got, want, tol);
}

const char *test_dir(void) {
  if (!now.dir[0]) {
    const char *tmp = getenv("TMPDIR");
    snprintf(now.dir, sizeof now.dir, "%s/unit-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(now.dir)) now.dir[0] = 0;
  }
  return now.dir;
}

const char *test_conformance(const char *name) {
  static char path[4096];
  const char *base = getenv("LATHE_CONFORMANCE");
  snprintf(path, sizeof path, "%s/%s", base ? base : "../shared/conformance", name);
  if (access(path, R_OK) == 0) return path;
  test_skip("no conformance data (set LATHE_CONFORMANCE)");
  return NULL;
}
