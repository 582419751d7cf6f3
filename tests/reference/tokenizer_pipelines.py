#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Lathe with the Python package `tokenizers` on random tokenizer.json files: every normalizer,
pre-tokenizer, post-processor and decoder in random combination, with added tokens of every flag.

    python3 tests/reference/tokenizer_pipelines.py [--count FILES] [--seed S]

Left out is what the package does not do the same twice: added tokens that become equal when normalized;
and what it finds at every byte, added tokens of which normalizing leaves nothing.

The vocabularies are small: characters, bytes, a few merges. Each file gets some random texts; compared
are ids, ids with special tokens, ids with special tokens as text, offsets (in characters; where no
character is dropped, which leaves the package's offsets behind) and both ways of decoding. Each
difference is printed with the file. A file that the package refuses must not crash us; one that it
takes and we refuse is named with our reason.
"""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LUA = r"""
local json, file, tokenizer = require "engine.json", require "engine.file", require "engine.tokenizer"
local out = {}
for line in file.lines(arg[1]) do
  local case = assert(json.decode(line))
  local tok, why = tokenizer.parse(case.json)
  local row = { error = why }
  if tok then
    row.answers = json.array {}
    for i, text in ipairs(case.texts) do
      local ids, spans, kind = tok:encode(text, { offsets = true })
      if not ids then row.answers[i] = { error = spans .. " " .. kind } goto next end
      for k = 1, #spans do spans[k] = json.array(spans[k]) end
      local piece, stream = tok:stream(), {}
      for k, id in ipairs(ids) do stream[k] = piece(id) end
      stream[#stream + 1] = piece()
      row.answers[i] = { ids = json.array(ids), spans = json.array(spans), decoded = tok:decode(ids),
        stream = table.concat(stream), skipped = tok:decode(ids, { skip_special = true }), count = tok:count(text),
        special = json.array(tok:encode(text, { special = true })),
        plain = json.array(tok:encode(text, { plain = true })) }
      ::next::
    end
  end
  out[#out + 1] = json.encode(row)
end
assert(file.write(arg[2], table.concat(out, "\n") .. "\n"))
"""
CHARACTERS = "abcdefgABC019 .,!'-_\n\t▁é<>/sx"
BYTES = [chr(b) if 33 <= b < 127 else None for b in range(256)]
PIECES = ["a", "b", "abc", " ", "  ", "\n", "Ab", "1", "12", "345", ".", ",!", "'s", "e\u0301", "é", "▁", "<s>", "</s>",
          "<x>", "ab", " ab ", "ß", "İ", "ﬁ", "日本", "\t", "-", "_", "👍", "\u0301", "c d", "\u00a0", "x", "A", "½", "\u200d"]


def byte_alphabet():
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in keep]
    return [chr(b) for b in keep] + [chr(256 + i) for i in range(len(rest))]


def split(r):
    pattern = r.choice([{"Regex": r"\p{L}+|\p{N}{1,3}|\s+(?!\S)|\s+"}, {"Regex": "a|b"}, {"String": " "}, {"String": "ab"},
                        {"Regex": r"\s?[A-Z]+"}, {"Regex": r"(?i:'s|b)|[^\r\n\p{L}\p{N}]?\p{L}+| ?[^\s\p{L}\p{N}]+"}])
    return {"type": "Split", "pattern": pattern, "invert": r.random() < .2,
            "behavior": r.choice(["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"])}


def normalizer(r):
    return r.choice([
        lambda: {"type": "NFC"}, lambda: {"type": "NFD"}, lambda: {"type": "NFKC"}, lambda: {"type": "NFKD"},
        lambda: {"type": "Lowercase"}, lambda: {"type": "StripAccents"},
        lambda: {"type": "Strip", "strip_left": r.random() < .7, "strip_right": r.random() < .7},
        lambda: {"type": "Prepend", "prepend": r.choice(["▁", "ab", " "])},
        lambda: {"type": "Replace", "pattern": r.choice([{"String": " "}, {"String": "a"}, {"Regex": r"\s+"},
                                                        {"Regex": "b+"}]), "content": r.choice(["▁", "", "ab", " "])},
        lambda: {"type": "Nmt"},
        lambda: {"type": "BertNormalizer", "clean_text": r.random() < .5, "handle_chinese_chars": r.random() < .5,
                 "strip_accents": r.choice([None, True, False]), "lowercase": r.random() < .5}])()


def pre_tokenizer(r):
    return r.choice([
        lambda: split(r), lambda: {"type": "Whitespace"}, lambda: {"type": "WhitespaceSplit"},
        lambda: {"type": "Digits", "individual_digits": r.random() < .5}, lambda: {"type": "BertPreTokenizer"},
        lambda: {"type": "Punctuation", "behavior": r.choice(["Removed", "Isolated", "MergedWithPrevious",
                                                              "MergedWithNext", "Contiguous"])},
        lambda: {"type": "Metaspace", "replacement": r.choice("▁_"), "split": r.random() < .5,
                 "prepend_scheme": r.choice(["always", "first", "never"])},
        lambda: {"type": "CharDelimiterSplit", "delimiter": r.choice("a ")},
        lambda: {"type": "ByteLevel", "add_prefix_space": r.random() < .5, "trim_offsets": False,
                 "use_regex": r.random() < .6}])()


def decoder(r):
    return r.choice([
        lambda: {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        lambda: {"type": "ByteFallback"}, lambda: {"type": "Fuse"},
        lambda: {"type": "Strip", "content": r.choice(" a▁"), "start": r.randrange(3), "stop": 0},
        lambda: {"type": "Replace", "pattern": r.choice([{"String": "▁"}, {"Regex": "a+"}, {"String": "ab"}]),
                 "content": r.choice([" ", "", "x"])},
        lambda: {"type": "Metaspace", "replacement": "▁", "prepend_scheme": r.choice(["always", "first", "never"]),
                 "split": True},
        lambda: {"type": "BPEDecoder", "suffix": r.choice(["b", "</w>"])},
        lambda: {"type": "WordPiece", "prefix": "##", "cleanup": r.random() < .5}])()


def some(r, make, kind, inner, most):
    n = r.choice([0, 1, 1, 1, 2, 3, most])
    if n == 0:
        return None
    if n == 1:
        return make(r)
    return {"type": "Sequence", inner: [make(r) for _ in range(n)]}


def post_processor(r, tokens):
    def pick():
        return r.choice(tokens)
    a, b = pick(), pick()
    template = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": a[0], "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": b[0], "type_id": 0}}],
                "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (a, b)}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    return r.choice([None, template, byte_level,
                     {"type": "RobertaProcessing", "sep": list(a), "cls": list(b), "trim_offsets": False,
                      "add_prefix_space": False}, {"type": "BertProcessing", "sep": list(a), "cls": list(b)},
                     {"type": "Sequence", "processors": [byte_level, template]}])


def make(r):
    vocab, merges = {}, []

    def add(token):
        return vocab.setdefault(token, len(vocab))
    alphabet = byte_alphabet() if r.random() < .6 else []
    for c in list(CHARACTERS) + alphabet:
        if r.random() < .98 or alphabet:
            add(c)
    fallback = r.random() < .4
    for b in range(256 if fallback else 0):
        add(f"<0x{b:02X}>")
    unknown = r.random() < .5 and add("<unk>") is not None
    for _ in range(r.randrange(30)):
        x, y = r.choice(list(vocab)), r.choice(list(vocab))
        if r.random() < .5:
            x, y = r.choice(["a", "b", "c", " ", "▁", "Ġ", "ab", "A", "1"]), r.choice(["a", "b", "c", "ab", "é", "1", "2"])
        if x in vocab and y in vocab and not x.startswith("<") and not y.startswith("<"):
            if x + y not in vocab:
                add(x + y)
            if [x, y] not in merges:
                merges.append([x, y])
    added, free = [], len(vocab)
    for content in r.sample(["<s>", "</s>", "<x>", "ab", "A", "  ", " ab", "\n\n", "é", "12", "▁", "x_"],
                            r.randrange(6)):
        flags = {k: r.random() < p for k, p in (("single_word", .15), ("lstrip", .2), ("rstrip", .2), ("normalized", .4),
                                               ("special", .5))}
        added.append({"id": vocab.get(content, free), "content": content, **flags})
        free += content not in vocab
    names = [(a["content"], a["id"]) for a in added] or [("a", vocab.get("a", 0))]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
            "normalizer": some(r, normalizer, "normalizer", "normalizers", 2),
            "pre_tokenizer": some(r, pre_tokenizer, "pre_tokenizer", "pretokenizers", 3),
            "post_processor": post_processor(r, names), "decoder": some(r, decoder, "decoder", "decoders", 4),
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>" if unknown else None,
                      "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": r.random() < .5,
                      "byte_fallback": fallback, "ignore_merges": r.random() < .2, "vocab": vocab, "merges": merges}}


def answer(t, text):
    e = t.encode(text, add_special_tokens=False)
    t.encode_special_tokens = True
    plain = t.encode(text, add_special_tokens=False).ids
    t.encode_special_tokens = False
    return {"ids": e.ids, "offsets": e.offsets, "plain": plain, "special": t.encode(text).ids,
            "decoded": t.decode(e.ids, skip_special_tokens=False), "skipped": t.decode(e.ids, skip_special_tokens=True)}


def in_characters(text, spans):
    """Byte spans, widened to characters."""
    at, starts = 0, []
    for i, c in enumerate(text):
        starts += [i] * len(c.encode())
    starts.append(len(text))
    return [(starts[a], starts[b - 1] + 1 if b > a else starts[b]) for a, b in spans]


def differences(want, got, text, dropless):
    if "error" in got:
        return ["error " + got["error"]]
    out = [k for k in ("ids", "plain", "special", "decoded", "skipped") if want[k] != got[k]]
    if got["stream"] != got["decoded"]:
        out.append("stream")
    if got["count"] != len(got["ids"]):
        out.append("count")
    if dropless and "ids" not in out and in_characters(text, got["spans"]) != [tuple(o) for o in want["offsets"]]:
        out.append("offsets")
    return out


def unsteady(t, source):
    """Added tokens of which normalizing leaves nothing, or the same of two."""
    left = [t.normalizer.normalize_str(a["content"]) for a in json.loads(source)["added_tokens"]
            if a["normalized"]] if t.normalizer else []
    return "" in left or len(set(left)) < len(left)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--seed", default="1")
    args = p.parse_args()
    r = random.Random(args.seed)
    cases = []
    while len(cases) < args.count:
        source = json.dumps(make(r), ensure_ascii=False)
        try:
            t = Tokenizer.from_str(source)
        except KeyboardInterrupt:
            raise
        except BaseException as e:  # noqa: BLE001 it may also panic
            print("the package refuses:", str(e)[:200])
            continue
        if unsteady(t, source):
            continue
        texts = ["".join(r.choice(PIECES) for _ in range(r.randrange(1, 12))) for _ in range(12)] + [""]
        cases.append((source, t, texts))
    with tempfile.TemporaryDirectory() as d:
        with open(d + "/cases", "w", encoding="utf-8") as f:
            for source, _, texts in cases:
                f.write(json.dumps({"json": source, "texts": texts}, ensure_ascii=False) + "\n")
        with open(d + "/run.lua", "w") as f:
            f.write(LUA)
        subprocess.run([ROOT + "/build/lathe", "exec", d + "/run.lua", d + "/cases", d + "/out"], check=True)
        with open(d + "/out", encoding="utf-8") as f:
            rows = [json.loads(line) for line in f]
    wrong = refused = compared = panics = 0
    for (source, t, texts), row in zip(cases, rows):
        if "answers" not in row:
            refused += 1
            print("refused:", row["error"])
            continue
        model = json.loads(source)["model"]
        dropless = model["unk_token"] or model["byte_fallback"]
        for text, got in zip(texts, row["answers"]):
            try:
                want = answer(t, text)
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 the package panics
                panics += 1
                continue
            compared += 1
            diff = differences(want, got, text, dropless)
            if diff:
                wrong += 1
                small = json.loads(source)
                small["model"]["vocab"] = len(small["model"]["vocab"])
                if wrong <= 20:
                    print(f"\n{diff} {text!r}\n  package {want}\n  lathe   {got}\n  "
                          + json.dumps(small, ensure_ascii=False))
    print(f"{len(cases)} files, {compared} texts compared, {wrong} differ; {refused} files refused, "
          f"{panics} texts on which the package fails")
    sys.exit(1 if wrong or refused else 0)


if __name__ == "__main__":
    main()
