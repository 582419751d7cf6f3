/* SPDX-License-Identifier: MIT */
/* Error values; see err.h. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A message that did not fit loses its last, perhaps halved, character rather than half of one. */
static void cut_at_character(char *s, size_t size) {
  size_t n = strlen(s);
  if (n + 1 < size) return;
  while (n > 0 && ((unsigned char)s[n - 1] & 0xC0) == 0x80) n--;
  if (n > 0 && (unsigned char)s[n - 1] >= 0xC0) n--;
  s[n] = 0;
}

int err_setv(struct err *err, int code, const char *format, va_list args) {
  if (!err) return code;
  err->code = code;
  vsnprintf(err->message, sizeof err->message, format, args);
  cut_at_character(err->message, sizeof err->message);
  return code;
}

int err_set(struct err *err, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  err_setv(err, code, format, args);
  va_end(args);
  return code;
}

int err_errno(struct err *err, const char *format, ...) {
  int number = errno;
  int code = number == ENOMEM                        ? ERR_NOMEM
             : number == ENOENT || number == ENOTDIR ? ERR_NOTFOUND
                                                     : ERR_IO;
  va_list args;
  if (!err) return code;
  va_start(args, format);
  err_setv(err, code, format, args);
  va_end(args);
  size_t n = strlen(err->message);
  char text[128];
  snprintf(err->message + n, sizeof err->message - n, ": %s",
           strerror_r(number, text, sizeof text));
  cut_at_character(err->message, sizeof err->message);
  return code;
}

int err_nomem(struct err *err, unsigned long long bytes, const char *what) {
  return err_set(err, ERR_NOMEM, "out of memory (%llu bytes for %s)", bytes, what);
}

int err_prefix(struct err *err, const char *format, ...) {
  char old[sizeof err->message];
  va_list args;
  if (!err) return ERR_FORMAT; /* the code is not known, but it was an error */
  memcpy(old, err->message, sizeof old);
  va_start(args, format);
  err_setv(err, err->code, format, args);
  va_end(args);
  size_t n = strlen(err->message);
  snprintf(err->message + n, sizeof err->message - n, ": %s", old);
  cut_at_character(err->message, sizeof err->message);
  return err->code;
}

const char *err_name(int code) {
  static const char *const names[] = {"ok",        "memory",    "io",          "format",
                                      "limit",     "cancelled", "unsupported", "misuse",
                                      "not_found", "transient", "mismatch"};
  return code >= 0 && (size_t)code < sizeof names / sizeof *names ? names[code] : "unknown";
}
