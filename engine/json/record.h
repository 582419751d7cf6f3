/* SPDX-License-Identifier: MIT */
/* A record: one JSON object whose fields can be read and changed, and which is written back with
 * everything that was not changed byte for byte as it came.
 *
 *   line ──parse──► tape            reading a scalar looks at the tape and nothing else
 *                     │
 *                 node (object) ──► members [ key, tape value | new value | child node ] …
 *                                   made when a container inside is asked for, or at a change
 *
 * A changed key keeps its place, a new key goes last. New values are given as JSON text, copied and
 * checked; so a value assigned is a copy, never a reference. A dirty object is written with the
 * spacing its own line uses after ':' and ','.
 *
 * The record owns all its nodes; they stay valid until record_free, also when they were replaced
 * (a replaced node can be read and changed but is part of nothing).
 */
#ifndef LATHE_JSON_RECORD_H
#define LATHE_JSON_RECORD_H

#include "json/json.h"

struct record;
struct record_node; /* an object or an array */

struct record_value {
  enum json_kind kind;
  struct record_node *node; /* of an object or array; else NULL and */
  const struct json *j;     /* the scalar is value v of tape j */
  json_id v;
};

/* The text is copied. What is not an object is refused (ERR_FORMAT). */
int record_parse(struct record **out, const char *text, size_t n, const struct json_limits *limits,
                 struct err *err);
void record_free(struct record *r);
struct record_node *record_root(struct record *r);
size_t record_memory(const struct record *r); /* bytes held, about (outside a block) */

/* A record in one block of the caller's memory, aligned to 8, for loops that make many: nothing is
 * copied but the tape, whose text must stay as long as the record is used. What it allocates
 * beyond its block is freed by record_release, after which it may not be used; when every call was
 * one that record_reads_inside allowed, there is nothing to release. */
size_t record_block_size(const struct json *tape);
int record_place(struct record **out, void *block, const struct json *tape, struct err *err);
void record_release(struct record *r);
/* Whether the next record_get or record_at of the node (all: also record_next) surely allocates
 * nothing outside the block. */
bool record_reads_inside(const struct record_node *node, bool all);

/* The bytes of a node that was not changed, as they came; NULL when it was. */
const char *record_raw(const struct record_node *node, size_t *n);

bool record_is_array(const struct record_node *node);
size_t record_count(const struct record_node *node);

/* These give 1 and *out, 0 when there is no such member, or −1 with err filled (no memory). */
int record_get(struct record_node *node, const char *key, size_t n, struct record_value *out,
               struct err *err);
int record_at(struct record_node *node, size_t i, struct record_value *out, struct err *err);
/* "metadata.spans.1": keys and positions (from 1) joined by points. */
int record_find(struct record_node *node, const char *path, size_t n, struct record_value *out,
                struct err *err);

/* Walks the members: begin with *at = 0. *key points to a string of tape *key_j (JSON_NONE and NULL
 * in arrays). Changing or removing the member at hand is allowed meanwhile. */
int record_next(struct record_node *node, size_t *at, const struct json **key_j, json_id *key,
                struct record_value *out, struct err *err);

/* Sets a member of an object to the value that `json` is the text of; NULL removes it. */
int record_set(struct record_node *node, const char *key, size_t key_n, const char *json, size_t n,
               struct err *err);
/* Sets element i of an array; i = count appends; json NULL removes the last element only. */
int record_set_at(struct record_node *node, size_t i, const char *json, size_t n, struct err *err);

/* Appends the node as JSON: untouched parts byte for byte. */
void record_encode(const struct record_node *node, struct buf *out);

/* Appends a few lines for a person: names, and the beginnings of values. */
int record_show(struct record_node *node, struct buf *out, struct err *err);

#endif
