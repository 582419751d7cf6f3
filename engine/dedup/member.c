/* SPDX-License-Identifier: MIT */
/* Finding things in a record's line; see member.h. Recursion is as deep as the parser allowed. */
#include "dedup/member.h"

#include <string.h>

json_id member_at(const struct json *j, json_id v, const char *path) {
  while (v != JSON_NONE && *path) {
    size_t n = strcspn(path, ".");
    v = json_getn(j, v, path, n);
    path += n + (path[n] == '.');
  }
  return v;
}

static int strings_of(const struct json *j, json_id v, member_string *each, void *arg,
                      struct buf *scratch, struct err *err) {
  enum json_kind kind = json_kind(j, v);
  int rc = 0;
  if (kind == JSON_STRING) {
    size_t n = 0;
    const char *s = json_string(j, v, scratch, &n);
    return s ? each(arg, s, n, err) : err_nomem(err, n, "a record's text");
  }
  if (kind != JSON_ARRAY && kind != JSON_OBJECT) return 0;
  struct json_iter it = json_iter(j, v);
  while (!rc && json_each(&it)) rc = strings_of(j, it.value, each, arg, scratch, err);
  return rc;
}

int member_strings(const struct json *j, const char *const *names, member_string *each, void *arg,
                   struct buf *scratch, struct err *err) {
  int rc = 0;
  for (; names && *names && !rc; names++)
    rc = strings_of(j, member_at(j, JSON_ROOT, *names), each, arg, scratch, err);
  if (names) return rc;
  struct json_iter it = json_iter(j, JSON_ROOT);
  while (!rc && json_each(&it))
    if (!json_is(j, it.key, "id") && !json_is(j, it.key, "source") &&
        !json_is(j, it.key, "metadata"))
      rc = strings_of(j, it.value, each, arg, scratch, err);
  return rc;
}
