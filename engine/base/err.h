/* SPDX-License-Identifier: MIT */
/* Errors are values.
 *
 * A function that can fail takes `struct err *err` last and returns 0, or a non-zero enum err_code
 * that it has also put into *err with a message for a person: what was being read (file, line,
 * field), what was expected, what to do. Nothing below the bindings prints or exits.
 *
 *   int thing_load(struct thing *t, const char *path, struct err *err) {
 *     int rc = 0;
 *     if (!good) { rc = err_set(err, ERR_FORMAT, "%s: byte %zu: expected …", path, at); goto done;
 * } done: release everything; return rc;
 *   }
 *
 * `err` may be NULL where the caller does not want the text.
 */
#ifndef LATHE_BASE_ERR_H
#define LATHE_BASE_ERR_H

#include <stdarg.h>

enum err_code {
  ERR_NONE = 0,
  ERR_NOMEM,       /* an allocation failed */
  ERR_IO,          /* the operating system refused: message carries strerror text */
  ERR_FORMAT,      /* bytes from outside are not what their format says */
  ERR_LIMIT,       /* well-formed, but beyond a stated limit */
  ERR_CANCELLED,   /* Ctrl-C; nothing is wrong */
  ERR_UNSUPPORTED, /* well-formed, but a kind we do not do; message names it */
  ERR_MISUSE,      /* the caller's mistake: option, argument, shape */
  ERR_NOTFOUND,    /* a named thing does not exist */
  ERR_TRANSIENT,   /* may work when tried again */
  ERR_MISMATCH     /* checksum or shape disagrees with what was promised */
};

struct err {
  int code;
  char message[1024];
};

/* Fills *err (if not NULL) and returns code. A message too long is cut at a character. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
int err_setv(struct err *err, int code, const char *format, va_list args);

/* Fills *err with "WHAT: <strerror(errno)>" and returns ERR_NOMEM for ENOMEM, ERR_NOTFOUND for
 * ENOENT and ENOTDIR, ERR_IO otherwise. */
int err_errno(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills *err with "out of memory (N bytes for WHAT)"; returns ERR_NOMEM. */
int err_nomem(struct err *err, unsigned long long bytes, const char *what);

/* Puts "PREFIX: " before the message that is there; returns err->code (ERR_FORMAT when err is NULL).
 * For adding the file or line on the way up. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code's name as scripts see it: "io", "format", "cancelled" … Never NULL. */
const char *err_name(int code);

#endif
