/* SPDX-License-Identifier: MIT */
/* SentencePiece's tokenizer.model, of type BPE → tokenizer.json.
 *
 * The file is one protocol buffer message; we read the wire format ourselves:
 *
 *   field · type ┐ ┌ varint: length                      0 varint  1 eight bytes  2 length, bytes
 *   0A           14 0A 05 "<unk>"  15 00000000  18 02    5 four bytes; groups (3, 4) are refused
 *   1·2             1·2 piece      2·5 score    3·0 type (UNKNOWN)
 *
 *   ModelProto      1 pieces (their order is their id)  2 trainer_spec  3 normalizer_spec
 *   SentencePiece   1 piece  2 score  3 type: NORMAL UNKNOWN CONTROL USER_DEFINED UNUSED BYTE
 *   TrainerSpec     3 model_type  24 treat_whitespace_as_suffix  35 byte_fallback  41 bos  42 eos
 *   NormalizerSpec  1 name  2 precompiled_charsmap  3 add_dummy_prefix  4 remove_extra_whitespaces
 *                   5 escape_whitespaces
 *
 * SentencePiece merges the neighbours whose joined string is the piece of the highest score. As
 * merges: every split of a normal piece into two normal pieces, in order of falling score; within
 * one piece by the ids of the parts, as the published files have them. Where several pieces have
 * one score SentencePiece takes the leftmost pair; the longest left part first comes to the same
 * for runs of one character, which is where this happens (Llama 2's pieces of spaces).
 * Control, unknown and byte pieces are not reached by merging.
 *
 * The text: spaces become "▁", one "▁" goes before it, runs of spaces shrink when the model says so.
 * That is a normalizer (Prepend, Replace), as the published files of Llama 2 and Mistral have it; then
 * each stretch between special tokens gets its own "▁", where SentencePiece knows no special tokens
 * in a text. A model with pieces defined by the user must find them in the text without that, so
 * there the "▁" comes from Metaspace with prepend_scheme "first", which differs from
 * SentencePiece for texts that begin with a space or with such a piece.
 *
 * Sources: sentencepiece_model.proto and the behaviour of sentencepiece 0.2.3; transformers 5.23
 * (which sections a conversion has).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/utf8.h"
#include "tokenizer/convert.h"
#include "tokenizer/parts.h"

#define PIECE_MAX ADDED_MAX_BYTES

enum piece_type { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };
enum { UNIGRAM = 1, BPE, WORD, CHAR };

struct piece_info {
  float score;
  uint8_t type;
};

struct model {
  struct vocab pieces;
  struct piece_info *info; /* per id */
  size_t cap;
  uint64_t model_type;
  bool byte_fallback, suffix;              /* trainer_spec */
  bool dummy_prefix, remove_extra, escape; /* normalizer_spec */
  bool charsmap;
  char normalizer[32];
  int64_t bos, eos;
  size_t user_defined;
  uint32_t unk;
  struct err *err;
};

/* ---- the wire format ---- */

struct field {
  uint64_t number;
  unsigned wire;
  uint64_t value;      /* varint, or the bits of a fixed one */
  struct reader bytes; /* of a length-delimited one */
};

static uint64_t read_varint(struct reader *r) {
  uint64_t v = 0;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    uint8_t b = reader_u8(r);
    if (shift == 63 && b > 1) break;
    v |= (uint64_t)(b & 127) << shift;
    if (!(b & 128)) return v;
  }
  r->bad = true;
  return 0;
}

/* 1 and *f filled, 0 at the end, −1 with the error. */
static int next_field(struct model *m, struct reader *r, const char *what, struct field *f) {
  if (!r->bad && reader_left(r) == 0) return 0;
  size_t at = reader_at(r);
  uint64_t tag = read_varint(r);
  *f = (struct field){.number = tag >> 3, .wire = tag & 7};
  switch (f->wire) {
  case 0:
    f->value = read_varint(r);
    break;
  case 1:
    f->value = reader_u64(r);
    break;
  case 5:
    f->value = reader_u32(r);
    break;
  case 2: {
    uint64_t n = read_varint(r);
    const void *p = reader_bytes(r, n);
    if (p) reader_init(&f->bytes, p, (size_t)n);
    break;
  }
  default:
    err_set(m->err, ERR_FORMAT, "%s: byte %zu: wire type %u", what, at, f->wire);
    return -1;
  }
  if (!r->bad && (f->number == 0 || f->number >> 29)) {
    err_set(m->err, ERR_FORMAT, "%s: byte %zu: field number %llu", what, at,
            (unsigned long long)f->number);
    return -1;
  }
  return reader_check(r, what, m->err) ? -1 : 1;
}

/* Whether the field has the wire type that its number calls for. */
static int expect(struct model *m, const struct field *f, unsigned wire, const char *name) {
  if (f->wire == wire) return 0;
  return err_set(m->err, ERR_FORMAT, "%s: wire type %u where %u is expected", name, f->wire, wire);
}

static float float_of(uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float v;
  memcpy(&v, &low, sizeof v);
  return v;
}

/* ---- the messages ---- */

static int add_piece(struct model *m, const char *s, size_t n, struct piece_info info) {
  size_t id = m->pieces.size;
  if (n == 0) return err_set(m->err, ERR_FORMAT, "an empty piece");
  if (n > PIECE_MAX) return err_set(m->err, ERR_LIMIT, "a piece of %zu bytes", n);
  if (utf8_check(s, n) != n) return err_set(m->err, ERR_FORMAT, "the piece is not UTF-8");
  if (memchr(s, 0, n)) return err_set(m->err, ERR_UNSUPPORTED, "a piece with a zero byte");
  if (!isfinite(info.score)) return err_set(m->err, ERR_FORMAT, "the score is not a number");
  if (info.type < NORMAL || info.type > BYTE)
    return err_set(m->err, ERR_FORMAT, "pieces of type %u are not known", info.type);
  if (info.type == UNUSED)
    return err_set(m->err, ERR_UNSUPPORTED,
                   "unused pieces, which are cut again, are not supported");
  int rc = vocab_add(&m->pieces, s, n, (uint32_t)id, m->err);
  if (rc) return rc;
  if (id >= m->cap) {
    size_t cap = m->cap ? m->cap * 2 : 1024;
    struct piece_info *grown = mem_rearray(m->info, cap, sizeof *grown);
    if (!grown) return err_nomem(m->err, cap * sizeof *grown, "pieces");
    m->info = grown;
    m->cap = cap;
  }
  m->info[id] = info;
  m->user_defined += info.type == USER_DEFINED;
  if (info.type != UNKNOWN) return 0;
  if (m->unk != TOKENIZER_NONE)
    return err_set(m->err, ERR_FORMAT, "a second unknown piece; the first is %u", m->unk);
  m->unk = (uint32_t)id;
  return 0;
}

static int read_piece(struct model *m, struct reader *r) {
  struct piece_info info = {.type = NORMAL};
  const char *s = "";
  size_t n = 0;
  struct field f;
  int more, rc = 0;
  while (!rc && (more = next_field(m, r, "piece", &f)) > 0) {
    switch (f.number) {
    case 1:
      rc = expect(m, &f, 2, "piece");
      s = (const char *)f.bytes.p, n = reader_left(&f.bytes);
      break;
    case 2:
      rc = expect(m, &f, 5, "score");
      info.score = float_of(f.value);
      break;
    case 3:
      rc = expect(m, &f, 0, "type");
      info.type = f.value > UINT8_MAX ? UINT8_MAX : (uint8_t)f.value;
      break;
    default:
      break;
    }
  }
  if (!rc && more < 0) rc = m->err ? m->err->code : ERR_FORMAT;
  return rc ? rc : add_piece(m, s, n, info);
}

static int read_trainer(struct model *m, struct reader *r) {
  struct field f;
  int more, rc = 0;
  while (!rc && (more = next_field(m, r, "trainer_spec", &f)) > 0) {
    switch (f.number) {
    case 3:
      rc = expect(m, &f, 0, "model_type");
      m->model_type = f.value;
      break;
    case 24:
      rc = expect(m, &f, 0, "treat_whitespace_as_suffix");
      m->suffix = f.value != 0;
      break;
    case 35:
      rc = expect(m, &f, 0, "byte_fallback");
      m->byte_fallback = f.value != 0;
      break;
    case 41:
      rc = expect(m, &f, 0, "bos_id");
      m->bos = (int64_t)f.value;
      break;
    case 42:
      rc = expect(m, &f, 0, "eos_id");
      m->eos = (int64_t)f.value;
      break;
    default:
      break;
    }
  }
  return !rc && more < 0 ? ERR_FORMAT : rc;
}

static int read_normalizer(struct model *m, struct reader *r) {
  struct field f;
  int more, rc = 0;
  while (!rc && (more = next_field(m, r, "normalizer_spec", &f)) > 0) {
    switch (f.number) {
    case 1:
      rc = expect(m, &f, 2, "name");
      if (!rc)
        snprintf(m->normalizer, sizeof m->normalizer, "%.*s",
                 (int)(reader_left(&f.bytes) > 31 ? 31 : reader_left(&f.bytes)),
                 (const char *)f.bytes.p);
      break;
    case 2:
      rc = expect(m, &f, 2, "precompiled_charsmap");
      m->charsmap = reader_left(&f.bytes) > 0;
      break;
    case 3:
      rc = expect(m, &f, 0, "add_dummy_prefix");
      m->dummy_prefix = f.value != 0;
      break;
    case 4:
      rc = expect(m, &f, 0, "remove_extra_whitespaces");
      m->remove_extra = f.value != 0;
      break;
    case 5:
      rc = expect(m, &f, 0, "escape_whitespaces");
      m->escape = f.value != 0;
      break;
    default:
      break;
    }
  }
  return !rc && more < 0 ? ERR_FORMAT : rc;
}

static int read_model(struct model *m, const char *bytes, size_t n) {
  struct reader r;
  struct field f;
  int more, rc = 0;
  reader_init(&r, bytes, n);
  while (!rc && (more = next_field(m, &r, "the model", &f)) > 0) {
    size_t id = m->pieces.size;
    switch (f.number) {
    case 1:
      rc = expect(m, &f, 2, "piece");
      if (!rc && (rc = read_piece(m, &f.bytes))) err_prefix(m->err, "piece %zu", id);
      break;
    case 2:
      rc = expect(m, &f, 2, "trainer_spec");
      if (!rc) rc = read_trainer(m, &f.bytes);
      break;
    case 3:
      rc = expect(m, &f, 2, "normalizer_spec");
      if (!rc) rc = read_normalizer(m, &f.bytes);
      break;
    default:
      break;
    }
    if (!rc && !(id & 0xFFFF)) rc = cancel_check(m->err);
  }
  return !rc && more < 0 ? ERR_FORMAT : rc;
}

/* ---- what cannot be converted is said ---- */

static int check_bytes(struct model *m) {
  for (unsigned b = 0; m->byte_fallback && b < 256; b++) {
    char name[8];
    int n = snprintf(name, sizeof name, "<0x%02X>", b);
    uint32_t id = vocab_find(&m->pieces, name, (size_t)n);
    if (id == TOKENIZER_NONE || m->info[id].type != BYTE)
      return err_set(m->err, ERR_FORMAT, "byte_fallback, but there is no byte piece \"%s\"", name);
  }
  return 0;
}

static int check_model(struct model *m) {
  static const char *const types[] = {NULL, "Unigram", NULL, "Word", "Char"};
  if (m->pieces.size == 0) return err_set(m->err, ERR_FORMAT, "the model has no pieces");
  if (m->model_type != BPE)
    return err_set(m->err, ERR_UNSUPPORTED,
                   "SentencePiece model of type %s is not supported; BPE is",
                   m->model_type <= CHAR && types[m->model_type] ? types[m->model_type] : "?");
  if (m->charsmap)
    return err_set(m->err, ERR_UNSUPPORTED,
                   "normalizer_spec: precompiled_charsmap (%s) is not supported; identity is",
                   *m->normalizer ? m->normalizer : "without a name");
  if (m->suffix)
    return err_set(m->err, ERR_UNSUPPORTED,
                   "trainer_spec: treat_whitespace_as_suffix is not supported");
  if (m->unk == TOKENIZER_NONE) return err_set(m->err, ERR_FORMAT, "there is no unknown piece");
  return check_bytes(m);
}

/* ---- merges ---- */

struct merge {
  float score;
  uint32_t left, right;
  uint16_t left_chars, right_chars; /* 0 unless several pieces have this score */
};

struct merges {
  struct merge *list;
  size_t count, cap;
  size_t bytes, limit; /* of what is to be written */
};

static int by_score(const void *a, const void *b) {
  const struct merge *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  if (x->left_chars != y->left_chars) return x->left_chars > y->left_chars ? -1 : 1;
  if (x->right_chars != y->right_chars) return x->right_chars > y->right_chars ? -1 : 1;
  if (x->left != y->left) return x->left < y->left ? -1 : 1;
  return x->right < y->right ? -1 : x->right > y->right;
}

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

/* The scores that several normal pieces have, in rising order, in *out (freed by the caller). */
static int shared_scores(struct model *m, float **out, size_t *count) {
  size_t n = 0, kept = 0;
  float *list = mem_array(m->pieces.size, sizeof *list);
  *out = list;
  if (!list) return err_nomem(m->err, m->pieces.size * sizeof *list, "scores");
  for (size_t id = 0; id < m->pieces.size; id++)
    if (m->info[id].type == NORMAL) list[n++] = m->info[id].score;
  qsort(list, n, sizeof *list, by_value);
  for (size_t i = 1; i < n; i++)
    if (list[i] == list[i - 1] && (!kept || list[kept - 1] != list[i])) list[kept++] = list[i];
  *count = kept;
  return 0;
}

static int merge_push(struct model *m, struct merges *ms, struct merge v) {
  if (ms->count == ms->cap) {
    size_t cap = ms->cap ? ms->cap * 2 : 4096;
    struct merge *grown = mem_rearray(ms->list, cap, sizeof *grown);
    if (!grown) return err_nomem(m->err, cap * sizeof *grown, "merges");
    ms->list = grown;
    ms->cap = cap;
  }
  ms->list[ms->count++] = v;
  return 0;
}

static uint32_t normal_piece(const struct model *m, const char *s, size_t n) {
  uint32_t id = vocab_find(&m->pieces, s, n);
  return id != TOKENIZER_NONE && m->info[id].type == NORMAL ? id : TOKENIZER_NONE;
}

/* SentencePiece also joins characters that are no pieces themselves. Its trainer makes no such
 * model, and merges could not say it. */
static int lone_character(struct model *m, uint32_t id) {
  size_t n;
  const char *s = vocab_string(&m->pieces, id, &n);
  return err_set(m->err, ERR_UNSUPPORTED,
                 "piece %u, \"%.*s\", is made of a character that is no piece", id,
                 n > 60 ? 60 : (int)n, s);
}

static int split_piece(struct model *m, struct merges *ms, uint32_t id, bool shared) {
  size_t n, used = 0, before = 0;
  int rc = 0;
  const char *s = vocab_string(&m->pieces, id, &n);
  size_t chars = utf8_count(s, n);
  for (size_t at = 0; at < n && !rc; at += used, before++) {
    utf8_decode(s + at, n - at, &used);
    if (!at) continue;
    uint32_t left = normal_piece(m, s, at), right = normal_piece(m, s + at, n - at);
    bool have_left = left != TOKENIZER_NONE, have_right = right != TOKENIZER_NONE;
    struct merge merge = {m->info[id].score, left, right, 0, 0};
    if (shared) {
      merge.left_chars = (uint16_t)before;
      merge.right_chars = (uint16_t)(chars - before);
    }
    if (have_left && have_right) {
      rc = merge_push(m, ms, merge);
      ms->bytes += n + 8; /* ["left","right"], and a line end */
    } else if ((have_left || before == 1) && (have_right || chars - before == 1))
      rc = lone_character(m, id);
  }
  return rc;
}

static int find_merges(struct model *m, struct merges *ms) {
  float *shared = NULL;
  size_t count = 0;
  int rc = shared_scores(m, &shared, &count);
  for (size_t id = 0; id < m->pieces.size && !rc; id++) {
    float score = m->info[id].score;
    if (m->info[id].type == NORMAL)
      rc = split_piece(m, ms, (uint32_t)id,
                       count && bsearch(&score, shared, count, sizeof *shared, by_value) != NULL);
    if (!rc && ms->bytes > ms->limit)
      rc = err_set(m->err, ERR_LIMIT, "more than %zu MiB of merges, up to piece %zu",
                   ms->limit >> 20, id);
    if (!rc && !(id & 0xFF)) rc = cancel_check(m->err);
  }
  mem_free(shared);
  if (!rc && ms->count) qsort(ms->list, ms->count, sizeof *ms->list, by_score);
  return rc;
}

/* ---- writing ---- */

static void put_piece(const struct model *m, struct buf *out, size_t id) {
  size_t n;
  const char *s = vocab_string(&m->pieces, (uint32_t)id, &n);
  json_put_string(out, s, n);
}

static void put_added(const struct model *m, bool normalized, struct buf *out) {
  const char *comma = "";
  for (size_t id = 0; id < m->pieces.size; id++) {
    uint8_t type = m->info[id].type;
    bool user = type == USER_DEFINED;
    if (type != UNKNOWN && type != CONTROL && !user) continue;
    buf_addf(out, "%s\n{\"id\":%zu,\"content\":", comma, id);
    put_piece(m, out, id);
    buf_addf(out,
             ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":%s,"
             "\"special\":%s}",
             user && normalized ? "true" : "false", user ? "false" : "true");
    comma = ",";
  }
}

static void put_normalizer(const struct model *m, bool prepend, struct buf *out) {
  const char *comma = "";
  buf_adds(out, "{\"type\":\"Sequence\",\"normalizers\":[");
  if (m->remove_extra) { /* only the space itself counts, and "▁" at the end */
    buf_adds(out, "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"\\\\A +\"},\"content\":\"\"},"
                  "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"[ \xE2\x96\x81]+\\\\z\"},"
                  "\"content\":\"\"},"
                  "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" {2,}\"},\"content\":\" \"}");
    comma = ",";
  }
  if (prepend) {
    buf_addf(out, "%s{\"type\":\"Prepend\",\"prepend\":\"%s\"}", comma,
             m->escape ? "\xE2\x96\x81" : " ");
    comma = ",";
  }
  if (m->escape)
    buf_addf(out,
             "%s{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}",
             comma);
  buf_adds(out, "]}");
}

/* {"SpecialToken":{"id":"<s>","type_id":0}} */
static void put_template_token(const struct model *m, struct buf *out, int64_t id, int type) {
  buf_adds(out, "{\"SpecialToken\":{\"id\":");
  put_piece(m, out, (size_t)id);
  buf_addf(out, ",\"type_id\":%d}}", type);
}

static void put_template(const struct model *m, struct buf *out, int64_t bos, int64_t eos,
                         bool pair) {
  for (int type = 0; type < (pair ? 2 : 1); type++) {
    if (type) buf_addc(out, ',');
    if (bos >= 0) put_template_token(m, out, bos, type), buf_addc(out, ',');
    buf_addf(out, "{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", 'A' + type, type);
    if (eos >= 0) buf_addc(out, ','), put_template_token(m, out, eos, type);
  }
}

static void put_post_processor(const struct model *m, struct buf *out, int64_t bos, int64_t eos) {
  int64_t ids[2] = {bos, eos == bos ? -1 : eos};
  const char *comma = "";
  buf_adds(out, "{\"type\":\"TemplateProcessing\",\"single\":[");
  put_template(m, out, bos, eos, false);
  buf_adds(out, "],\"pair\":[");
  put_template(m, out, bos, eos, true);
  buf_adds(out, "],\"special_tokens\":{");
  for (int i = 0; i < 2; i++) {
    if (ids[i] < 0) continue;
    buf_adds(out, comma);
    put_piece(m, out, (size_t)ids[i]);
    buf_adds(out, ":{\"id\":");
    put_piece(m, out, (size_t)ids[i]);
    buf_addf(out, ",\"ids\":[%d],\"tokens\":[", (int)ids[i]);
    put_piece(m, out, (size_t)ids[i]);
    buf_adds(out, "]}");
    comma = ",";
  }
  buf_adds(out, "}}");
}

static void put_decoder(const struct model *m, struct buf *out) {
  buf_adds(out,
           "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
           "\"\xE2\x96\x81\"},\"content\":\" \"}");
  if (m->byte_fallback) buf_adds(out, ",{\"type\":\"ByteFallback\"}");
  buf_adds(out, ",{\"type\":\"Fuse\"}");
  if (m->dummy_prefix)
    buf_adds(out, ",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}");
  buf_adds(out, "]}");
}

static void put_model(const struct model *m, const struct merges *ms, struct buf *out) {
  buf_adds(out, "{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":");
  put_piece(m, out, m->unk);
  buf_addf(out,
           ",\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,\"fuse_unk\":true,"
           "\"byte_fallback\":%s,\"ignore_merges\":false,\"vocab\":{",
           m->byte_fallback ? "true" : "false");
  for (size_t id = 0; id < m->pieces.size; id++) {
    buf_adds(out, id ? ",\n" : "\n");
    put_piece(m, out, id);
    buf_addf(out, ":%zu", id);
  }
  buf_adds(out, "\n},\"merges\":[");
  for (size_t i = 0; i < ms->count; i++) { /* as pairs: a part may hold a space */
    buf_adds(out, i ? ",\n[" : "\n[");
    put_piece(m, out, ms->list[i].left);
    buf_addc(out, ',');
    put_piece(m, out, ms->list[i].right);
    buf_addc(out, ']');
  }
  buf_adds(out, "\n]}");
}

/* The id of a control piece, or −1. */
static int64_t control(const struct model *m, int64_t id) {
  return id >= 0 && (uint64_t)id < m->pieces.size && m->info[id].type == CONTROL ? id : -1;
}

static int put_all(const struct model *m, const struct merges *ms,
                   const struct sentencepiece_options *o, struct buf *out) {
  bool first =
      o->space == SENTENCEPIECE_FIRST || (o->space == SENTENCEPIECE_AUTO && m->user_defined);
  bool metaspace = m->dummy_prefix && first && m->escape;
  bool prepend = m->dummy_prefix && !metaspace;
  buf_adds(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
  put_added(m, !prepend, out);
  buf_adds(out, "],\n\"normalizer\":");
  put_normalizer(m, prepend, out);
  buf_adds(out, ",\n\"pre_tokenizer\":");
  buf_adds(out, metaspace ? "{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\","
                            "\"prepend_scheme\":\"first\",\"split\":false}"
                          : "null");
  buf_adds(out, ",\n\"post_processor\":");
  put_post_processor(m, out, o->no_bos ? -1 : control(m, m->bos), o->eos ? control(m, m->eos) : -1);
  buf_adds(out, ",\n\"decoder\":");
  put_decoder(m, out);
  buf_adds(out, ",\n\"model\":");
  put_model(m, ms, out);
  buf_adds(out, "}\n");
  return buf_check(out, "tokenizer.json", m->err);
}

int sentencepiece_convert(const char *bytes, size_t n, const struct sentencepiece_options *options,
                          struct buf *json, struct err *err) {
  static const struct sentencepiece_options none = {0};
  struct err own;
  struct model m = {.err = err ? err : &own,
                    .model_type = UNIGRAM,
                    .dummy_prefix = true,
                    .remove_extra = true,
                    .escape = true,
                    .bos = 1,
                    .eos = 2,
                    .unk = TOKENIZER_NONE};
  struct merges ms = {.limit = CONVERT_MERGE_BYTES(n)};
  int rc = read_model(&m, bytes, n);
  if (!rc) rc = check_model(&m);
  if (!rc) rc = find_merges(&m, &ms);
  if (!rc) rc = put_all(&m, &ms, options ? options : &none, json);
  mem_free(ms.list);
  mem_free(m.info);
  vocab_clear(&m.pieces);
  return rc;
}
