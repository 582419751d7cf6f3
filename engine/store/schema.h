/* SPDX-License-Identifier: MIT */
/* The columns of a data set, learnt from its records in a first pass.
 *
 *   {"text":"a","n":1,"tags":["x"]}        text  string
 *   {"text":null,"n":2.5,"more":{}}   →    n     double      (integers and fractions together)
 *                                          tags  list of string
 *                                          more  JSON        (an object that never has a member)
 *
 * How kinds that differ are settled, at every level of nesting:
 *
 *   null, or missing      every column may be null; null everywhere is a string column
 *   integer + fraction    double; JSON when an integer is too large for one (2^53), or a number is
 *                         too large for a double
 *   other mixtures        JSON: the column holds each value's JSON text
 *   objects               a struct of all members seen, in the order they were first seen; JSON when
 *                         no member was ever seen, or more than 1,000 were
 *   arrays                a list; of strings when all are empty
 *   deeper than 30        JSON
 *
 * The order of the records matters only for the order of the columns.
 */
#ifndef LATHE_STORE_SCHEMA_H
#define LATHE_STORE_SCHEMA_H

#include "base/buf.h"
#include "json/json.h"

#define SCHEMA_DEPTH_MAX   30
#define SCHEMA_MEMBERS_MAX 1000

enum schema_type {
  SCHEMA_STRING,
  SCHEMA_INT,
  SCHEMA_DOUBLE,
  SCHEMA_BOOL,
  SCHEMA_JSON,
  SCHEMA_LIST,
  SCHEMA_STRUCT
};

struct schema_node {
  char *name; /* of a member; NULL for the root and a list's element */
  size_t name_n;
  unsigned seen;                /* 1 << enum json_kind, and SCHEMA_BIG */
  struct schema_node **members; /* of objects */
  size_t count, cap;
  uint32_t *slots; /* a hash table of members when there are many */
  size_t slot_cap;
  struct schema_node *element; /* of arrays */
  enum schema_type type;       /* this and the rest: after schema_settle */
  /* As Parquet has it, where every node may be null and a list adds two levels: how many levels are
   * there when the value is not null, at which repetition its elements follow, its leaves. */
  unsigned def, rep;
  size_t leaf_from, leaf_to;
};
#define SCHEMA_EXACT ((int64_t)1 << 53)
#define SCHEMA_BIG   (1u << 16) /* an integer above 2^53, or a number above a double's range */

struct schema {
  struct schema_node root;
  size_t nodes;  /* in all */
  size_t leaves; /* after schema_settle */
};

void schema_init(struct schema *s);
void schema_clear(struct schema *s);
/* Takes one record (an object) into account. */
int schema_observe(struct schema *s, const struct json *j, struct err *err);
/* Gives every node its type; the root is a struct. */
void schema_settle(struct schema *s);
/* The member of that name; expect: the place where it would be (or any). SIZE_MAX when there is none. */
size_t schema_find(const struct schema_node *n, const char *name, size_t name_n, size_t expect);
/* Whether the column is JSON only because its objects have had no members. */
bool schema_is_memberless(const struct schema_node *n);
/* A type from its name as schema options have it: "string", "int64", "double", "bool", "json"; "list<…>"
 * is not among them. False when there is no such type. */
bool schema_type_named(const char *name, enum schema_type *out);
/* Sets a top-level column's type, making it if needed: for a schema given by the user. */
int schema_force(struct schema *s, const char *name, enum schema_type type, struct err *err);
/* Appends the schema as JSON: {"text":"string","tags":["string"],"m":{"a":"int64"}}. */
void schema_show(const struct schema_node *n, struct buf *out);

#endif
