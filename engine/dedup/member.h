/* SPDX-License-Identifier: MIT */
/* Finding things in a record's line. */
#ifndef LATHE_DEDUP_MEMBER_H
#define LATHE_DEDUP_MEMBER_H

#include "base/buf.h"
#include "json/json.h"

/* The member that `path` ("metadata.title") leads to from v; JSON_NONE when there is none. */
json_id member_at(const struct json *j, json_id v, const char *path);

/* Calls each(arg, s, n) for every string in the named members (NULL-terminated list of paths), or,
 * with names NULL, in all members but id, source and metadata; inside arrays and objects too, in text
 * order. s is valid during the call. Stops with each's non-zero return. ERR_NOMEM. */
typedef int member_string(void *arg, const char *s, size_t n, struct err *err);
int member_strings(const struct json *j, const char *const *names, member_string *each, void *arg,
                   struct buf *scratch, struct err *err);

#endif
