#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Lathe's tokenizer with the Python package `tokenizers` on generated texts.

    python3 tests/reference/tokenizer_compare.py TOKENIZER.json FOLDER [COUNT [SEED]]

Writes COUNT texts with the package's ids to FOLDER/cases-*.jsonl, in variants of the
tokenizer (as it is; with added tokens of every flag; add_prefix_space; without the regex; with
missing bytes), then runs tests/reference/tokenizer_compare.lua on them through build/lathe.

Recorded: tokenizers 0.23.3, GPT-2's tokenizer.json, seed 2: 6 variants of 30,000 texts, 15,728,949
tokens, 0 differences (ids, counts, decoded whole, decoded token by token, special tokens skipped).
"""
import json
import os
import random
import subprocess
import sys

import tokenizers
from tokenizers import AddedToken, Tokenizer

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from "
         "don't I'll we've they're it's I'm he'd can't 'tis o'clock naïve façade Straße Müller año "
         "Россия привет мир 你好 世界 東京 日本語 한국어 안녕 שלום مرحبا नमस्ते สวัสดี ελληνικά "
         "def return self.x += 1; {\"a\": [1, 2]} <div class=\"x\"> x==y && !z // 0x1F 3.14159 1,000 "
         "½ Ⅷ ² ③ ٣ é e\u0301 ﬁ ſ İ 👍 👨‍👩‍👧 🇩🇪 \u200b \ufeff \u00ad").split(" ")
SPACES = [" ", " ", " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\u00a0", "\u2003", "\u3000", "   ",
          "\u0085", "\u2028", "\x0b", ""]
ADDED = ["<|endoftext|>", "<mask>", "<strip>", "<word>", "<left>", "<right>", "<|a|>", "<|a|><|b|>"]
QUOTES = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "''", "'l", "'v", "'r", "'"]


def character(r):
    while True:
        c = r.choice((r.randrange(0x80), r.randrange(0x800), r.randrange(0x10000),
                      r.randrange(0x110000), r.randrange(0x2000, 0x3100)))
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def text(r):
    out = []
    for _ in range(r.choice((1, 2, 4, 8, 16, 40))):
        kind = r.random()
        if kind < 0.45:
            out += [r.choice(WORDS), r.choice(SPACES)]
        elif kind < 0.6:
            out += [character(r) for _ in range(r.randrange(1, 8))]
        elif kind < 0.7:
            out.append(r.choice(SPACES) * r.randrange(1, 5))
        elif kind < 0.8:
            out.append(r.choice(ADDED))
        elif kind < 0.88:
            out.append(r.choice(QUOTES))
        elif kind < 0.98:
            out.append("".join(chr(r.randrange(33, 127)) for _ in range(r.randrange(1, 12))))
        else:
            out.append(r.choice(("a", "ab", "=", " ", "é", "9", "wor", "\n")) * r.randrange(1, 400))
    return "".join(out)


def variants(path):
    source = open(path, encoding="utf-8").read()
    plain = json.loads(source)
    yield "plain", source
    t = Tokenizer.from_str(source)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    t.add_tokens([AddedToken("<strip>", lstrip=True, rstrip=True), AddedToken("<left>", lstrip=True),
                  AddedToken("<right>", rstrip=True, normalized=False),
                  AddedToken("<word>", single_word=True), AddedToken("wor", single_word=True),
                  AddedToken("<|a|>"), AddedToken("<|a|><|b|>"), AddedToken("  ", normalized=False)])
    yield "added", t.to_str()
    prefix = json.loads(source)
    prefix["pre_tokenizer"]["add_prefix_space"] = True
    yield "prefix", json.dumps(prefix)
    whole = json.loads(source)
    whole["pre_tokenizer"]["use_regex"] = False
    yield "whole", json.dumps(whole)
    for name, unk in (("missing", None), ("unknown", "!")):
        less = {k: v for k, v in plain["model"]["vocab"].items() if k not in ("e", "Ã", "Ġ", "7", "Ð")}
        model = dict(plain["model"], vocab=less, unk_token=unk, fuse_unk=bool(unk))
        split = [m.split(" ") if isinstance(m, str) else m for m in plain["model"]["merges"]]
        model["merges"] = [m for m in split
                           if m[0] in less and m[1] in less and m[0] + m[1] in less]
        yield name, json.dumps(dict(plain, model=model))


def main():
    path, folder = sys.argv[1], sys.argv[2]
    count, seed = int((sys.argv + ["10000"])[3]), int((sys.argv + ["", "1"])[4] or 1)
    os.makedirs(folder, exist_ok=True)
    print(f"tokenizers {tokenizers.__version__}, {count} texts a variant, seed {seed}")
    here = os.path.dirname(os.path.abspath(__file__))
    for name, source in variants(path):
        open(f"{folder}/{name}.json", "w", encoding="utf-8").write(source)
        t, r = Tokenizer.from_str(source), random.Random(f"{seed} {name}")
        with open(f"{folder}/cases-{name}.jsonl", "w", encoding="utf-8") as f:
            for _ in range(count):
                s = text(r)
                ids = t.encode(s, add_special_tokens=False).ids
                cut = [i for i in ids if r.random() < 0.9]
                row = {"text": s, "ids": ids, "cut": cut,
                       "decoded": t.decode(cut, skip_special_tokens=False),
                       "skipped": t.decode(cut, skip_special_tokens=True)}
                f.write(json.dumps(row, ensure_ascii=False) + "\n")
        subprocess.run([f"{here}/../../build/lathe", "exec", f"{here}/tokenizer_compare.lua",
                        f"{folder}/{name}.json", f"{folder}/cases-{name}.jsonl"], check=False)


main()
