#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Loads what the tokenizer stage writes with transformers' AutoTokenizer and compares the two.

    python3 tests/reference/tokenizer_folder.py FOLDER TEXTS.jsonl [RECORDS]

Trains vocabularies with the stage on the first RECORDS texts (field "text"; default 3,000) in several
settings; then texts that were not trained on, made-up ones and conversations: ids with and without
special tokens, what they decode to, and apply_chat_template must be equal, and the roles of the special
tokens must be what was asked for.

Recorded with transformers 5.23.0 and again with 4.57.1, 1,000 texts of English, code and other languages, 5,000 made-up ones and 100
conversations in each of the five settings: 30,500 cases, 4,599,224 tokens, 0 differences.
"""
import itertools
import json
import os
import random
import subprocess
import sys

import transformers
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SETTINGS = [
    ["vocab_size=8000"],
    ["vocab_size=32000", "pattern=llama3", "min_frequency=2", "bos=<|endoftext|>", "add_bos=true"],
    ["vocab_size=8000", "pattern=qwen2", "normalizer=nfc", "bos=<|endoftext|>", "add_bos=true", "add_eos=true"],
    ["vocab_size=8000", "pattern=o200k", "add_eos=true", "max_length=512"],
    ["vocab_size=8000", r"pattern=\w+|[^\w\s]+|\s+", "max_token_length=9"],
]


PIECES = ("the don't I'LL Straße Привет 你好 日本語 한국어 שלום नमस्ते e\u0301 \ufb01 ½ ² 1234567 fooBar HTTPServer x==y; 👍 "
          "<|im_start|> <|im_end|> <|endoftext|> \n \r\n \t \u00a0 \u3000 \u200b").split(" ") + [" ", "  ", "   "]


def made_up(r):
    out = []
    for _ in range(r.choice((1, 3, 9, 30))):
        c = r.randrange(0x110000)
        out += [r.choice(PIECES), r.choice((" ", "", "\n", chr(r.randrange(32, 127)),
                                            chr(c) if not 0xD800 <= c < 0xE000 else "é"))]
    return "".join(out)


def conversations(texts):
    for i in range(0, min(len(texts) - 2, 300), 3):
        yield {"messages": [{"role": "system", "content": texts[i][:200]}, {"role": "user", "content": texts[i + 1][:500]},
                            {"role": "assistant", "content": texts[i + 2][:500]}, {"role": "user", "content": "Why? <|im_end|>"}]}


def one(folder, texts, heldout, setting):
    out = folder + "/tokenizer"
    subprocess.run(["rm", "-rf", out], check=True)
    subprocess.run([ROOT + "/build/lathe", "stage", "tokenizer", texts, out, *itertools.chain(*(("--set", s) for s in setting))],
                   check=True, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    r = random.Random(7)
    cases = [{"text": t[:3000]} for t in heldout] + [{"text": made_up(r)} for _ in range(5000)]
    cases += conversations(heldout)
    with open(folder + "/cases.jsonl", "w", encoding="utf-8") as f:
        f.writelines(json.dumps(c, ensure_ascii=False) + "\n" for c in cases)
    lines = subprocess.run([ROOT + "/build/lathe", "exec", HERE + "/tokenizer_folder.lua", out, folder + "/cases.jsonl"],
                           check=True, cwd=ROOT, stdout=subprocess.PIPE).stdout.decode().splitlines()
    tok = AutoTokenizer.from_pretrained(out)
    given = dict(s.split("=", 1) for s in setting)
    wrong = [name for name, want in (("bos_token", given.get("bos")), ("eos_token", "<|im_end|>"), ("pad_token", "<|endoftext|>"),
                                     ("model_max_length", int(given.get("max_length", 2048)))) if getattr(tok, name) != want]
    wrong += ["inputs"] * (set(tok("a")) != {"input_ids", "attention_mask"})
    tokens = 0
    for case, line in zip(cases, lines):
        ours = json.loads(line)
        if "messages" in case:
            text = tok.apply_chat_template(case["messages"], tokenize=False, add_generation_prompt=True)
            ids = tok.encode(text, add_special_tokens=False)
            same = text == ours["text"] and ids == ours["ids"]
        else:
            ids = tok.encode(case["text"], add_special_tokens=False)
            same = (ids == ours["ids"] and tok.encode(case["text"]) == ours["special"]
                    and tok.decode(ids, clean_up_tokenization_spaces=False) == ours["text"])
        tokens += len(ids)
        if not same:
            wrong.append(json.dumps(case, ensure_ascii=False)[:300])
    assert len(lines) == len(cases)
    print(f"{' '.join(setting)}: {type(tok).__name__}, {len(tok)} entries, {len(cases)} cases, {tokens} tokens, "
          f"{len(wrong)} differences", *wrong[:3], sep="\n  " if wrong else " ", flush=True)
    return len(wrong)


def main():
    folder, path, count = sys.argv[1], sys.argv[2], int((sys.argv[3:] or ["3000"])[0])
    os.makedirs(folder, exist_ok=True)
    with open(path, encoding="utf-8") as f:
        lines = list(itertools.islice(f, count + 1000))
    with open(folder + "/texts.jsonl", "w", encoding="utf-8") as f:
        f.writelines(lines[:count])
    heldout = [json.loads(line)["text"] for line in lines[count:]]
    print("transformers", transformers.__version__)
    sys.exit(sum(one(folder, folder + "/texts.jsonl", heldout, s) for s in SETTINGS) > 0)


if __name__ == "__main__":
    main()
