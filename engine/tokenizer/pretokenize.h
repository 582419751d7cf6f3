/* SPDX-License-Identifier: MIT */
/* What pretokenize.c (running) and pretokenize_load.c (reading) share. */
#ifndef LATHE_TOKENIZER_PRETOKENIZE_H
#define LATHE_TOKENIZER_PRETOKENIZE_H

#include "tokenizer/charset.h"
#include "tokenizer/parts.h"

/* What becomes of the matches when a piece is cut at them. */
enum cut_behavior { CUT_REMOVED, CUT_ISOLATED, CUT_PREVIOUS, CUT_NEXT, CUT_CONTIGUOUS };

/* The reference's types are made of these. */
enum step_kind {
  STEP_PATTERN,  /* cut at the matches of `pattern` */
  STEP_KIND,     /* cut at characters whose char_kind has a bit of `mask` */
  STEP_CHAR,     /* cut at `character` */
  STEP_WORDS,    /* keep \w+ and [^\w\s]+ */
  STEP_LENGTH,   /* every `length` characters */
  STEP_SPACE,    /* a space before a piece that does not begin with one */
  STEP_META,     /* spaces become `character`, and one is put before */
  STEP_ALPHABET, /* bytes become the characters of the byte-level alphabet */
  STEP_SCRIPTS   /* where the script changes */
};
enum meta_prepend { META_NEVER, META_FIRST, META_ALWAYS };

struct pre_step {
  enum step_kind kind;
  enum cut_behavior behavior;
  bool invert;
  unsigned mask;
  uint32_t character;
  enum meta_prepend prepend;
  size_t length;
  struct pattern *pattern;
};

struct pre_tokenizer {
  struct pre_step *steps;
  size_t count, cap;
  bool byte_level;
  bool bytes_last;      /* the last ByteLevel ends the chain: its alphabet is left to the model */
  uint8_t of_byte[128]; /* char_kind */
};

#endif
