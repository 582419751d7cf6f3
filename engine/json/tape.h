/* SPDX-License-Identifier: MIT */
/* The tape behind json.h, known to this room only.
 *
 *   node   start  end   next        meta
 *          u32    u32   u32         kind (4 bits) · count or escaped (28 bits)
 *
 * start and end are byte offsets in the text; a string's lie inside its quotes. `next` is the node
 * behind the value and all that is in it, so that a walk steps over what it does not want. A
 * container that is still open keeps its parent in `next`.
 *
 * Objects of more than SMALL members have their keys in one hash table of the tape, a slot each:
 * owner object, key node, hash. It finds duplicates while parsing and members afterwards.
 */
#ifndef LATHE_JSON_TAPE_H
#define LATHE_JSON_TAPE_H

#include "json/json.h"

#define TAPE_SMALL     8 /* members that are compared one by one */
#define TAPE_KIND      15u
#define TAPE_COUNT_ONE 16u
#define TAPE_COUNT_MAX ((1u << 28) - 1)
#define TAPE_ESCAPED   16u /* of strings */

struct tape_node {
  uint32_t start, end, next, meta;
};

struct tape_slot {
  json_id owner, key; /* key 0: empty (node 0 is never a key) */
  uint32_t hash;
};

struct json {
  const char *text;
  size_t size;
  struct tape_node *nodes;
  uint32_t count, cap;
  struct tape_slot *slots; /* slot_cap is 0 or a power of two; at most half full */
  uint32_t slot_count, slot_cap;
  uint32_t max_indexed; /* objects of more members have no slots */
  uint64_t seed;
};

/* Decodes one character or escape of a checked string at *p, steps over it, and returns how many
 * bytes it is. */
size_t tape_unescape(const char **p, char out[4]);
uint32_t tape_hash(const struct json *j, json_id owner, const char *key, size_t n);
bool tape_key_is(const struct json *j, json_id key, const char *s, size_t n);

#endif
