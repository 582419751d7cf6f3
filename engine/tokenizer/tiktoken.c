/* SPDX-License-Identifier: MIT */
/* tiktoken's rank files → tokenizer.json.
 *
 *   IQ== 0        a token's bytes in base64, a space, its rank, which is its id too
 *   Ig== 1
 *   …             p50k_base leaves out 50256, which is a special token's: ranks may have holes
 *
 * tiktoken merges the neighbours whose result has the lowest rank. As merges of Hugging Face's
 * kind that is every split of a token into two tokens, ordered by the token's rank: Llama 3's
 * published tokenizer.json has exactly these 280,147. A whole word that is a token is that token,
 * whether or not merges lead to it: "ignore_merges".
 *
 * What the file does not say is in the table of encodings below. An encoding that is not named is
 * recognised by the SHA-256 of the ranks written out as above, which is the published file's own.
 * Patterns are those of the published tokenizer.json files. tiktoken's own were rewritten since for
 * speed: "\s++$" takes spaces at the end of a text in one piece with the line end before them. The
 * ids are the same, as no token of these vocabularies holds a line end with a space right behind it
 * and no line end after that.
 *
 * Sources: tiktoken 0.14 (names, hashes, patterns, special tokens), Llama 3.2's and Qwen 2.5's
 * tokenizer.json, Qwen's tokenizer (NFC before anything else).
 */
#include "tokenizer/convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "tokenizer/parts.h"

#define LINE_MAX_BYTES 1024 /* of a token in base64 */

/* ---- the encodings ---- */

static const char pattern_gpt2[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
static const char pattern_cl100k[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char pattern_qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
    " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char pattern_o200k[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
    "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static const struct tiktoken_special special_gpt2[] = {{"<|endoftext|>", 50256}};
static const struct tiktoken_special special_p50k_edit[] = {{"<|endoftext|>", 50256},
                                                            {"<|fim_prefix|>", 50281},
                                                            {"<|fim_middle|>", 50282},
                                                            {"<|fim_suffix|>", 50283}};
static const struct tiktoken_special special_cl100k[] = {{"<|endoftext|>", 100257},
                                                         {"<|fim_prefix|>", 100258},
                                                         {"<|fim_middle|>", 100259},
                                                         {"<|fim_suffix|>", 100260},
                                                         {"<|endofprompt|>", 100276}};
static const struct tiktoken_special special_o200k[] = {{"<|endoftext|>", 199999},
                                                        {"<|endofprompt|>", 200018}};
static const struct tiktoken_special special_harmony[] = {
    {"<|startoftext|>", 199998}, {"<|endoftext|>", 199999}, {"<|return|>", 200002},
    {"<|constrain|>", 200003},   {"<|channel|>", 200005},   {"<|start|>", 200006},
    {"<|end|>", 200007},         {"<|message|>", 200008},   {"<|call|>", 200012}};
/* The names of Llama 3.1 and later; those of 3.0 differ for ids that it never used. */
static const struct tiktoken_special special_llama3[] = {{"<|begin_of_text|>", 128000},
                                                         {"<|end_of_text|>", 128001},
                                                         {"<|finetune_right_pad_id|>", 128004},
                                                         {"<|start_header_id|>", 128006},
                                                         {"<|end_header_id|>", 128007},
                                                         {"<|eom_id|>", 128008},
                                                         {"<|eot_id|>", 128009},
                                                         {"<|python_tag|>", 128010}};
static const struct tiktoken_special special_qwen2[] = {
    {"<|endoftext|>", 151643}, {"<|im_start|>", 151644}, {"<|im_end|>", 151645}};

#define LIST(a) a, sizeof(a) / sizeof *(a)

struct encoding {
  const char *name, *pattern;
  const struct tiktoken_special *special;
  size_t special_count;
  const char *reserved;         /* how the names of the ids in between begin; NULL: none */
  uint32_t reserved_first, end; /* … the first of them, and the id after the last */
  bool counted;                 /* … numbered from 0; else by their id */
  bool nfc, bos;
  const char *sha256; /* of the ranks; NULL: not recognised, or not the first with these ranks */
};

static const struct encoding encodings[] = {
    {"r50k_base", pattern_gpt2, LIST(special_gpt2),
     .sha256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"},
    {"gpt2", pattern_gpt2, LIST(special_gpt2)},
    {"p50k_base", pattern_gpt2, LIST(special_gpt2),
     .sha256 = "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"},
    {"p50k_edit", pattern_gpt2, LIST(special_p50k_edit)},
    {"cl100k_base", pattern_cl100k, LIST(special_cl100k),
     .sha256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"},
    {"o200k_base", pattern_o200k, LIST(special_o200k),
     .sha256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"},
    {"o200k_harmony", pattern_o200k, LIST(special_harmony), "<|reserved_", 200000, 201088},
    {"llama3", pattern_cl100k, LIST(special_llama3), "<|reserved_special_token_", 128000, 128256,
     .counted = true, .bos = true,
     .sha256 = "82e9d31979e92ab929cd544440f129d9ecd797b69e327f80f17e1c50d5551b55"},
    {"qwen2", pattern_qwen2, LIST(special_qwen2), .nfc = true,
     .sha256 = "b2b1b8dfb5cc5f024bafc373121c6aba3f66f9a5a0269e243470a1de16a33186"},
};
#define ENCODINGS (sizeof encodings / sizeof *encodings)

const char *tiktoken_encoding(size_t i) {
  return i < ENCODINGS ? encodings[i].name : NULL;
}

static int known_names(struct err *err, const char *why) {
  char names[256] = "";
  for (size_t i = 0; i < ENCODINGS; i++) {
    strncat(names, i ? ", " : "", sizeof names - strlen(names) - 1);
    strncat(names, encodings[i].name, sizeof names - strlen(names) - 1);
  }
  return err_set(err, ERR_MISUSE, "%s: name the encoding (%s), or give its pattern", why, names);
}

static int encoding_named(const char *name, const struct encoding **out, struct err *err) {
  for (size_t i = 0; i < ENCODINGS; i++)
    if (!strcmp(encodings[i].name, name)) return *out = &encodings[i], 0;
  char why[120];
  snprintf(why, sizeof why, "there is no encoding '%.60s'", name);
  return known_names(err, why);
}

/* ---- reading ---- */

struct ranks {
  struct vocab tokens; /* bytes ↔ rank */
  struct err *err;
};

static int base64_digit(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* out holds n × 3 / 4 bytes. False: not base64 with its padding, or stray bits in the last digit. */
static bool base64_decode(const char *s, size_t n, char *out, size_t *len) {
  size_t digits = n;
  while (digits && n - digits < 2 && s[digits - 1] == '=') digits--;
  if (n % 4 || n == 0) return false;
  uint32_t bits = 0;
  unsigned held = 0;
  *len = 0;
  for (size_t i = 0; i < digits; i++) {
    int d = base64_digit(s[i]);
    if (d < 0) return false;
    bits = bits << 6 | (uint32_t)d;
    if ((held += 6) >= 8) out[(*len)++] = (char)(bits >> (held -= 8));
  }
  return !(bits & ((1u << held) - 1));
}

static bool decimal(const char *s, size_t n, uint32_t *out) {
  uint64_t v = 0;
  if (n == 0 || n > 10) return false;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    v = v * 10 + (uint64_t)(s[i] - '0');
  }
  *out = (uint32_t)v;
  return v <= UINT32_MAX;
}

/* One line without its end. */
static int read_line(struct ranks *r, const char *s, size_t n) {
  char token[LINE_MAX_BYTES];
  uint32_t rank;
  size_t len;
  const char *space = memchr(s, ' ', n);
  if (!space) return err_set(r->err, ERR_FORMAT, "no rank after the token");
  size_t digits = (size_t)(space - s);
  if (digits > LINE_MAX_BYTES) return err_set(r->err, ERR_LIMIT, "a token of %zu digits", digits);
  if (!base64_decode(s, digits, token, &len))
    return err_set(r->err, ERR_FORMAT, "the token is not base64");
  if (!decimal(space + 1, n - digits - 1, &rank))
    return err_set(r->err, ERR_FORMAT, "the rank is not a whole number");
  if (rank > TOKENIZER_MAX_ID)
    return err_set(r->err, ERR_LIMIT, "rank %u is above %u", rank, TOKENIZER_MAX_ID);
  uint32_t other = vocab_find(&r->tokens, token, len);
  if (other != TOKENIZER_NONE)
    return err_set(r->err, ERR_FORMAT, "this token already has rank %u", other);
  size_t taken;
  if (vocab_string(&r->tokens, rank, &taken))
    return err_set(r->err, ERR_FORMAT, "rank %u is already another token's", rank);
  return vocab_add(&r->tokens, token, len, rank, r->err);
}

static int read_ranks(struct ranks *r, const char *s, size_t n) {
  size_t line = 0;
  for (size_t at = 0; at < n;) {
    const char *end = memchr(s + at, '\n', n - at);
    size_t len = end ? (size_t)(end - s) - at : n - at, next = at + len + 1;
    line++;
    if (len && s[at + len - 1] == '\r') len--;
    int rc = len ? read_line(r, s + at, len) : 0;
    if (rc) return err_prefix(r->err, "line %zu", line);
    at = next;
  }
  for (unsigned b = 0; b < 256; b++) {
    char byte = (char)b;
    if (vocab_find(&r->tokens, &byte, 1) == TOKENIZER_NONE)
      return err_set(r->err, ERR_FORMAT,
                     "byte 0x%02X has no rank: this is no rank file of tiktoken", b);
  }
  return cancel_check(r->err);
}

/* ---- which encoding ---- */

static void put_base64(struct buf *out, const char *s, size_t n) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < n; i += 3) {
    uint32_t v = 0;
    for (size_t k = 0; k < 3; k++) v = v << 8 | (i + k < n ? (unsigned char)s[i + k] : 0);
    for (size_t k = 0; k < 4; k++) buf_addc(out, i + k > n ? '=' : digits[v >> (18 - 6 * k) & 63]);
  }
}

/* The SHA-256 of the ranks as published files write them, in hexadecimal. */
static int fingerprint(const struct ranks *r, char hex[2 * SHA256_BYTES + 1]) {
  unsigned char sum[SHA256_BYTES];
  struct buf text;
  buf_init(&text);
  for (size_t id = 0; id < r->tokens.size; id++) {
    size_t n;
    const char *s = vocab_string(&r->tokens, (uint32_t)id, &n);
    if (!s) continue;
    put_base64(&text, s, n);
    buf_addf(&text, " %zu\n", id);
  }
  int rc = buf_check(&text, "ranks", r->err);
  if (!rc) rc = sha256(text.data, text.len, sum, r->err);
  for (size_t i = 0; !rc && i < SHA256_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", sum[i]);
  buf_clear(&text);
  return rc;
}

static int encoding_guess(const struct ranks *r, const struct encoding **out) {
  char hex[2 * SHA256_BYTES + 1] = "";
  int rc = fingerprint(r, hex);
  if (rc) return rc;
  for (size_t i = 0; i < ENCODINGS; i++)
    if (encodings[i].sha256 && !strcmp(encodings[i].sha256, hex)) return *out = &encodings[i], 0;
  return known_names(r->err, "the ranks are not those of a published encoding");
}

/* ---- writing ---- */

static void put_bytes(struct buf *out, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    char c[2];
    size_t len = byte_char_put((unsigned char)s[i], c);
    if (*c == '"' || *c == '\\') buf_addc(out, '\\');
    buf_add(out, c, len);
  }
}

static void put_rank(const struct ranks *r, struct buf *out, uint32_t rank) {
  size_t n;
  const char *s = vocab_string(&r->tokens, rank, &n);
  put_bytes(out, s, n);
}

struct split {
  uint32_t left, right;
};

static int by_ranks(const void *a, const void *b) {
  const struct split *x = a, *y = b;
  if (x->left != y->left) return x->left < y->left ? -1 : 1;
  return x->right < y->right ? -1 : x->right > y->right;
}

/* All splits of one token, in order of their parts' ranks. */
static void put_splits(const struct ranks *r, const char *s, size_t n, struct buf *out,
                       bool *begun) {
  struct split list[LINE_MAX_BYTES];
  size_t count = 0;
  for (size_t i = 1; i < n; i++) {
    uint32_t left = vocab_find(&r->tokens, s, i);
    if (left == TOKENIZER_NONE) continue;
    uint32_t right = vocab_find(&r->tokens, s + i, n - i);
    if (right != TOKENIZER_NONE) list[count++] = (struct split){left, right};
  }
  qsort(list, count, sizeof *list, by_ranks);
  for (size_t i = 0; i < count; i++) {
    buf_adds(out, *begun ? ",\n\"" : "\n\"");
    put_rank(r, out, list[i].left);
    buf_addc(out, ' ');
    put_rank(r, out, list[i].right);
    buf_addc(out, '"');
    *begun = true;
  }
}

static int put_merges(const struct ranks *r, size_t limit, struct buf *out) {
  bool begun = false;
  size_t from = out->len;
  for (size_t id = 0; id < r->tokens.size; id++) {
    size_t n;
    int rc;
    const char *s = vocab_string(&r->tokens, (uint32_t)id, &n);
    if (s) put_splits(r, s, n, out, &begun);
    if (out->len - from > limit)
      return err_set(r->err, ERR_LIMIT, "more than %zu MiB of merges, up to rank %zu", limit >> 20,
                     id);
    if (!(id & 0xFF) && (rc = cancel_check(r->err))) return rc;
  }
  return 0;
}

/* The special tokens, lowest id first: those named, and the reserved ones between them. */
struct special {
  const struct tiktoken_special *list;
  size_t count;
  const struct encoding *reserved; /* NULL: none */
};

static const char *special_named(const struct special *sp, uint32_t id) {
  for (size_t i = 0; i < sp->count; i++)
    if (sp->list[i].id == id) return sp->list[i].content;
  return NULL;
}

/* Special tokens that do not follow the ranks at once are in the vocabulary too: the reference gives
 * an added token that it does not find there the next free id, whatever the file says. */
static bool special_follow(const struct ranks *r, const struct special *sp) {
  if (r->tokens.entries != r->tokens.size) return false;
  for (size_t i = 0; i < sp->count; i++)
    if (sp->list[i].id != r->tokens.size + i) return false;
  return true;
}

static void put_vocab(const struct ranks *r, const struct special *sp, struct buf *out) {
  bool begun = false;
  for (size_t id = 0; id < r->tokens.size; id++) {
    size_t n;
    const char *s = vocab_string(&r->tokens, (uint32_t)id, &n);
    if (!s) continue;
    buf_adds(out, begun ? ",\n\"" : "\n\"");
    put_bytes(out, s, n);
    buf_addf(out, "\":%zu", id);
    begun = true;
  }
  if (sp->reserved || special_follow(r, sp)) return; /* the reserved ones leave no hole */
  for (size_t i = 0; i < sp->count; i++) {
    buf_adds(out, ",\n");
    json_put_string(out, sp->list[i].content, strlen(sp->list[i].content));
    buf_addf(out, ":%u", sp->list[i].id);
  }
}

static void put_special(struct buf *out, uint32_t id, const char *content, bool *begun) {
  buf_addf(out, "%s\n{\"id\":%u,\"content\":", *begun ? "," : "", id);
  json_put_string(out, content, strlen(content));
  buf_adds(out, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,"
                "\"special\":true}");
  *begun = true;
}

static void put_specials(const struct special *sp, struct buf *out) {
  bool begun = false;
  const struct encoding *e = sp->reserved;
  for (size_t i = 0; i < sp->count; i++)
    if (!e || sp->list[i].id < e->reserved_first)
      put_special(out, sp->list[i].id, sp->list[i].content, &begun);
  unsigned number = 0;
  for (uint32_t id = e ? e->reserved_first : 1; e && id < e->end; id++) {
    char name[64];
    const char *known = special_named(sp, id);
    if (!known)
      snprintf(name, sizeof name, "%s%u|>", e->reserved, e->counted ? number++ : (unsigned)id);
    put_special(out, id, known ? known : name, &begun);
  }
}

static void put_bos(struct buf *out, const struct tiktoken_special *bos) {
  buf_adds(out,
           "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\",\"add_prefix_space\":"
           "true,\"trim_offsets\":false,\"use_regex\":true},{\"type\":\"TemplateProcessing\","
           "\"single\":[{\"SpecialToken\":{\"id\":");
  for (int i = 0; i < 2; i++) {
    json_put_string(out, bos->content, strlen(bos->content));
    buf_adds(out, ",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}");
    buf_adds(out, i ? ",{\"SpecialToken\":{\"id\":" : "],\"pair\":[{\"SpecialToken\":{\"id\":");
  }
  json_put_string(out, bos->content, strlen(bos->content));
  buf_adds(out,
           ",\"type_id\":1}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{");
  json_put_string(out, bos->content, strlen(bos->content));
  buf_adds(out, ":{\"id\":");
  json_put_string(out, bos->content, strlen(bos->content));
  buf_addf(out, ",\"ids\":[%u],\"tokens\":[", bos->id);
  json_put_string(out, bos->content, strlen(bos->content));
  buf_adds(out, "]}}}]}");
}

static int put_all(const struct ranks *r, const struct encoding *e, const char *pattern,
                   const struct special *sp, size_t limit, struct buf *out) {
  buf_adds(out, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,\"added_tokens\":[");
  put_specials(sp, out);
  buf_addf(out, "],\n\"normalizer\":%s,\n\"pre_tokenizer\":",
           e && e->nfc ? "{\"type\":\"NFC\"}" : "null");
  if (pattern == pattern_gpt2) {
    buf_adds(out, "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,"
                  "\"use_regex\":true}");
  } else {
    buf_adds(out, "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
                  "{\"Regex\":");
    json_put_string(out, pattern, strlen(pattern));
    buf_adds(out, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\","
                  "\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}");
  }
  buf_adds(out, ",\n\"post_processor\":");
  if (e && e->bos && sp->count && sp->list == e->special)
    put_bos(out, sp->list);
  else
    buf_adds(out, "{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":false,"
                  "\"use_regex\":true}");
  buf_adds(out, ",\n\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":"
                "true,\"use_regex\":true},\n\"model\":{\"type\":\"BPE\",\"dropout\":null,"
                "\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
                "\"fuse_unk\":false,\"byte_fallback\":false,\"ignore_merges\":true,\"vocab\":{");
  put_vocab(r, sp, out);
  buf_adds(out, "\n},\"merges\":[");
  int rc = put_merges(r, limit, out);
  buf_adds(out, "\n]}}\n");
  return rc ? rc : buf_check(out, "tokenizer.json", r->err);
}

/* ---- the whole ---- */

static int check_text(const char *s, const char *what, struct err *err) {
  size_t n = strlen(s);
  if (n == 0) return err_set(err, ERR_MISUSE, "%s is empty", what);
  return utf8_check(s, n) == n ? 0 : err_set(err, ERR_MISUSE, "%s is not UTF-8", what);
}

/* The rank whose string in the byte-level alphabet is s, or TOKENIZER_NONE. */
static uint32_t rank_spelt(const struct ranks *r, const char *s, size_t n) {
  char bytes[LINE_MAX_BYTES];
  size_t len = 0;
  for (size_t at = 0, used; at < n; at += used) {
    int byte = char_byte(utf8_decode(s + at, n - at, &used));
    if (byte < 0 || len == sizeof bytes) return TOKENIZER_NONE;
    bytes[len++] = (char)byte;
  }
  return vocab_find(&r->tokens, bytes, len);
}

static int check_special(const struct ranks *r, const struct special *sp) {
  for (size_t i = 0; i < sp->count; i++) {
    size_t n;
    const struct tiktoken_special *s = &sp->list[i];
    int rc = check_text(s->content, "a special token", r->err);
    if (rc) return rc;
    if (vocab_string(&r->tokens, s->id, &n))
      return err_set(r->err, ERR_FORMAT, "special token \"%.60s\": id %u is a rank of the file",
                     s->content, s->id);
    uint32_t rank = rank_spelt(r, s->content, strlen(s->content));
    if (rank != TOKENIZER_NONE)
      return err_set(r->err, ERR_FORMAT, "special token \"%.60s\" is a token of the file, rank %u",
                     s->content, rank);
  }
  return 0;
}

static int by_id(const void *a, const void *b) {
  const struct tiktoken_special *x = a, *y = b;
  return x->id < y->id ? -1 : x->id > y->id;
}

int tiktoken_convert(const char *bytes, size_t n, const struct tiktoken_options *options,
                     struct buf *json, struct err *err) {
  static const struct tiktoken_options none = {0};
  const struct tiktoken_options *o = options ? options : &none;
  const struct encoding *e = NULL;
  struct ranks r = {.err = err};
  int rc = o->encoding ? encoding_named(o->encoding, &e, err) : 0;
  if (!rc && o->pattern) rc = check_text(o->pattern, "the pattern", err);
  if (!rc) rc = read_ranks(&r, bytes, n);
  if (!rc && !e && !o->pattern) rc = encoding_guess(&r, &e);
  struct special sp = {0};
  struct tiktoken_special *sorted = NULL;
  if (!rc && o->has_special) {
    sorted = mem_array(o->special_count, sizeof *sorted);
    if (!sorted) rc = err_nomem(err, o->special_count * sizeof *sorted, "special tokens");
    if (sorted && o->special_count) memcpy(sorted, o->special, o->special_count * sizeof *sorted);
    if (sorted) qsort(sorted, o->special_count, sizeof *sorted, by_id);
    sp = (struct special){sorted, sorted ? o->special_count : 0, NULL};
  }
  if (!rc && !o->has_special && e)
    sp = (struct special){e->special, e->special_count, e->reserved ? e : NULL};
  if (!rc) rc = check_special(&r, &sp);
  const char *pattern = o->pattern ? o->pattern : e ? e->pattern : NULL;
  if (!rc && pattern) rc = put_all(&r, e, pattern, &sp, CONVERT_MERGE_BYTES(n), json);
  vocab_clear(&r.tokens);
  mem_free(sorted);
  return rc;
}
