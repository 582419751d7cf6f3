#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Lathe's training with the BpeTrainer of the Python package `tokenizers`.

    python3 tests/reference/tokenizer_train.py small FOLDER [COUNT [SEED]]
    python3 tests/reference/tokenizer_train.py real FOLDER TEXTS.jsonl MEGABYTES VOCAB_SIZE [PATTERN…]

small: COUNT made-up corpora over few letters (many ties, the same token from two merges, runs of one
letter), with random options; each is trained by both and the two tokenizer.json must say the same.
real: the first MEGABYTES of the texts (field "text"), for each pattern, and the seconds of both.

Recorded with tokenizers 0.23.3:
    small, seed 1, GPT-2's pattern: 1,000 corpora, 33,088 merges, 0 differences
    small, seed 2, all patterns and NFC: 1,000 corpora, 29,673 merges, 0 differences
    real, 68.0 MB of mixed English, code and other languages, gpt2, 32,000 entries: 31,743 merges, equal
    real, 12.0 MB of mixed English, code and other languages, 16,000 entries, min_frequency 2; gpt2, cl100k, qwen2,
    o200k and \\w+|[^\\w\\s]+|\\s+: 15,743 merges each, equal
"""
import json
import os
import random
import subprocess
import sys
import time

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
LETTERS_END = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
BEFORE, OTHERS = r"[^\r\n\p{L}\p{N}]?", r"| ?[^\s\p{L}\p{N}]+"
PATTERNS = {
    "gpt2": None,
    "cl100k": SUFFIX + "|" + BEFORE + r"\p{L}+|\p{N}{1,3}" + OTHERS + r"[\r\n]*" + LETTERS_END,
    "llama3": SUFFIX + "|" + BEFORE + r"\p{L}+|\p{N}{1,3}" + OTHERS + r"[\r\n]*" + LETTERS_END,
    "qwen2": SUFFIX + "|" + BEFORE + r"\p{L}+|\p{N}" + OTHERS + r"[\r\n]*" + LETTERS_END,
    "o200k": BEFORE + UPPER + "*" + LOWER + "+" + SUFFIX + "?|" + BEFORE + UPPER + "+" + LOWER + "*" + SUFFIX
    + r"?|\p{N}{1,3}" + OTHERS + r"[\r\n/]*" + LETTERS_END,
}


def reference(texts, o):
    tok = Tokenizer(models.BPE())
    pattern = PATTERNS.get(o.get("pattern", "gpt2"), o.get("pattern"))
    if o.get("normalizer") == "nfc":
        tok.normalizer = normalizers.NFC()
    if pattern:
        tok.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    else:
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=o["vocab_size"], min_frequency=o.get("min_frequency", 0), special_tokens=o.get("special", []),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        **({"max_token_length": o["max_token_length"]} if o.get("max_token_length") else {}))
    start = time.perf_counter()
    tok.train_from_iterator(texts, trainer)
    return json.loads(tok.to_str()), time.perf_counter() - start


def ours(folder, texts, options, threads=1):
    with open(folder + "/texts.json", "w", encoding="utf-8") as f:
        json.dump({"texts": texts, "options": options, "threads": threads}, f, ensure_ascii=False)
    out = subprocess.run([ROOT + "/build/lathe", "exec", HERE + "/tokenizer_train.lua", folder + "/texts.json"],
                         check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
    return json.loads(out)


def told(j):
    return {"vocab": j["model"]["vocab"], "merges": [tuple(m) for m in j["model"]["merges"]],
            "added": [(a["id"], a["content"], a["special"]) for a in j["added_tokens"]],
            "normalizer": j["normalizer"] and j["normalizer"]["type"],
            "pre": [(p["type"], p.get("pattern"), p.get("behavior"), p.get("use_regex"), p.get("add_prefix_space"))
                    for p in j["pre_tokenizer"].get("pretokenizers", [j["pre_tokenizer"]])]}


def difference(a, b):
    a, b = told(a), told(b)
    for name in a:
        if a[name] != b[name]:
            if name == "merges":
                for i, (x, y) in enumerate(zip(a[name], b[name])):
                    if x != y:
                        return f"merge {i}: reference {x}, ours {y}"
                return f"{len(a[name])} merges, ours {len(b[name])}"
            return f"{name}: {str(a[name])[:300]} … ours {str(b[name])[:300]}"
    return None


def small_case(r):
    letters = r.choice(("ab", "aab", "abc", "abcd ", "a b", "aé", "ab'12 \n", "e\u0301é a", "abAB1 ", "你好 a"))
    texts = []
    for _ in range(r.randrange(1, 12)):
        texts.append("".join(r.choice(letters) * r.choice((1, 1, 1, 2, 5)) for _ in range(r.randrange(1, 120))))
    options = {"vocab_size": 256 + r.choice((4, 20, 60, 400)), "min_frequency": r.choice((0, 0, 1, 2, 3)),
               "special": r.choice(([], ["<s>"], ["ab"], ["a", "ba"], ["é", "aba"], ["ab", "abab", "aa"]))}
    options["vocab_size"] += len(options["special"])
    if r.random() < 0.3:
        options["max_token_length"] = r.choice((1, 2, 3, 4, 5, 8))
    options["pattern"] = r.choice(("gpt2",) if os.environ.get("ONLY_GPT2") else tuple(PATTERNS) + (r"\w+|[^\w\s]+|\s+", r"a+", r".."))
    if r.random() < 0.2 and not os.environ.get("ONLY_GPT2"):
        options["normalizer"] = "nfc"
    return texts, options


def small(folder, count, seed):
    wrong = 0
    merges = 0
    for first in range(0, count, 200):
        cases = []
        for i in range(first, min(first + 200, count)):
            cases.append(small_case(random.Random(f"{seed}/{i}")))
        results = ours(folder, [c[0] for c in cases], [c[1] for c in cases], 2)
        for (texts, options), result in zip(cases, results):
            expected, _ = reference(texts, options)
            merges += len(expected["model"]["merges"])
            why = difference(expected, result["json"])
            if why:
                wrong += 1
                if wrong <= 5:
                    print(json.dumps([texts, options], ensure_ascii=False)[:1500], why, sep="\n  ")
    print(f"tokenizers {tokenizers.__version__}, seed {seed}: {count} corpora, {merges} merges, {wrong} differences")
    return wrong


def real(folder, path, megabytes, vocab_size, patterns):
    texts, size = [], 0
    with open(path, encoding="utf-8") as f:
        for line in f:
            texts.append(json.loads(line)["text"])
            size += len(texts[-1].encode())
            if size >= megabytes * 1e6:
                break
    wrong = 0
    for pattern in patterns:
        options = {"vocab_size": vocab_size, "special": ["<|endoftext|>"], "pattern": pattern, "min_frequency": 2}
        result = ours(folder, [texts], [options])[0]
        expected, seconds = reference(texts, options)
        why = difference(expected, result["json"])
        wrong += bool(why)
        print(f"{pattern}: {size / 1e6:.1f} MB, {len(expected['model']['merges'])} merges, "
              f"{why or 'equal'}; reference {seconds:.2f} s, ours {result['seconds']:.2f} s, {seconds / result['seconds']:.1f}×",
              flush=True)
    return wrong


if __name__ == "__main__":
    os.makedirs(sys.argv[2], exist_ok=True)
    if sys.argv[1] == "small":
        sys.exit(small(sys.argv[2], int((sys.argv[3:] or ["1000"])[0]), (sys.argv[4:] or ["1"])[0]) > 0)
    sys.exit(real(sys.argv[2], sys.argv[3], float(sys.argv[4]), int(sys.argv[5]), sys.argv[6:] or list(PATTERNS)) > 0)
