/* SPDX-License-Identifier: MIT */
/* What load.c and load_model.c share: a tokenizer.json being read into a tokenizer. */
#ifndef LATHE_TOKENIZER_LOAD_H
#define LATHE_TOKENIZER_LOAD_H

#include "json/json.h"
#include "tokenizer/parts.h"

struct loader {
  const struct json *j;
  struct tokenizer *t;
  struct buf scratch, other, joined;
  struct err *err;
};

bool loader_absent(const struct json *j, json_id v); /* missing or null */
bool loader_flag(const struct json *j, json_id object, const char *name, bool fallback);
/* The name of a section's type, for messages; "?" when it has none. */
const char *loader_type(struct loader *l, json_id section);
int loader_unsupported(struct loader *l, const char *section, const char *what);
int loader_wrong(struct loader *l, json_id at, const char *what);
int loader_id(struct loader *l, json_id v, uint32_t *id);
/* A string, valid until the next one is asked for; NULL: *rc is set. */
const char *loader_text(struct loader *l, json_id v, size_t *n, int *rc);

/* ---- load_model.c ---- */

int loader_model(struct loader *l, json_id model);

#endif
