#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares our normalizers with those of the Python package `tokenizers`, string by string: the
text, where each character came from (byte ranges of the original), and that normalizer_keeps says
yes only when nothing changes.

    make && python3 tests/reference/tokenizer_normal_check.py [STRINGS_PER_FORM [SEED [MODEL]]]

First every scalar value alone and between letters, then random strings of marks, Hangul,
compatibility characters, composable characters, letters and spaces. Positions are compared for one
string in twenty (the package gives them slowly). With MODEL only the table of that SentencePiece model.

Counts, tokenizers 0.23.3, 2026-11-21, all without a difference:
  NFC, NFD, NFKC, NFKD         3,224,128 strings each (seeds 7 and 20261121, 1,000,000 random each)
  the other normalizers        2,274,128 strings each (50,000 random; with patterns 5,000, seed 11)
  three made charsmaps         300,000 random strings each, positions of every third
  nmt_nfkc and nmt_nfkc_cf     1,312,063 strings each (tables of sentencepiece 0.2.3)
"""
import json
import os
import random
import struct
import subprocess
import sys
import tempfile

import tokenizers
from charsmap import spec as charsmap
from tokenizers import PreTokenizedString, Tokenizer, models
from tokenizers import normalizers as N

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
FORMS = ["NFC", "NFD", "NFKC", "NFKD"]
BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
        "strip_accents": None, "lowercase": True}
OTHERS = [
    {"type": "Lowercase"}, {"type": "StripAccents"}, {"type": "Nmt"}, {"type": "ByteLevel"}, BERT,
    {**BERT, "lowercase": False}, {**BERT, "lowercase": False, "strip_accents": True},
    {**BERT, "clean_text": False, "handle_chinese_chars": False, "strip_accents": False},
    {"type": "Strip", "strip_left": True, "strip_right": True},
    {"type": "Strip", "strip_left": True, "strip_right": False},
    {"type": "Strip", "strip_left": False, "strip_right": True},
    {"type": "Prepend", "prepend": "\u2581"}, {"type": "Prepend", "prepend": "ab\u00e9"},
    {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"},
    {"type": "Replace", "pattern": {"String": "a"}, "content": ""},
    {"type": "Replace", "pattern": {"String": "a "}, "content": "xyz"},
    {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
    {"type": "Sequence", "normalizers": [
        {"type": "NFD"}, {"type": "Lowercase"}, {"type": "StripAccents"},
        {"type": "Strip", "strip_left": True, "strip_right": True}]},
    {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "NFC"}]},
        {"type": "Prepend", "prepend": "_"}, {"type": "NFKD"}]},
]
RULES = {"a": "XY", "ab": "Q", "\u0301": "", "e\u0301": "\u00e9", "\uff21": "A", "\n": " ",
         "\ufb03": "ffi", "\u0600": "p", "\u00a9": "(c)", "\r\n": "\n", "\u1100\u1161": "\uac00",
         "\u0327\u0301": "m", "z": ""}
PRECOMPILED = [charsmap(RULES),
               charsmap({k: v for k, v in RULES.items() if v and len(k) == 1}),
               {"type": "Sequence", "normalizers": [
                   charsmap({k: v for k, v in RULES.items() if v}), {"type": "NFD"}]}]
PATTERNS = [
    {"type": "Replace", "pattern": {"String": ""}, "content": "-"},
    {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
    {"type": "Replace", "pattern": {"Regex": "a*"}, "content": "\u2581"},
    {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": ""},
    {"type": "Replace", "pattern": {"Regex": r"(?<!\n)^"}, "content": "\u2581"},
    {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Replace", "pattern": {"Regex": r"[^\p{L}\p{N}]"},
                           "content": " "}, {"type": "Lowercase"}]},
]


def build(folder):
    out = os.path.join(folder, "normal_pipe")
    libs = subprocess.run(["pkg-config", "--libs", "lua5.4", "zlib", "libxxhash", "libcrypto",
                           "libpcre2-8", "libutf8proc"], check=True, capture_output=True, text=True)
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-I" + ROOT + "/engine", "-o", out,
                    ROOT + "/tests/reference/tokenizer_normal_pipe.c",
                    *os.environ.get("MORE", "").split(), ROOT + "/build/libengine.a",
                    *libs.stdout.split(), "-lzstd", "-pthread", "-lm"], check=True)
    return out


def charsmap_of(path):
    import base64
    from sentencepiece import sentencepiece_model_pb2 as pb
    model = pb.ModelProto()
    with open(path, "rb") as f:
        model.ParseFromString(f.read())
    return {"type": "Precompiled", "precompiled_charsmap":
            base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()}


def theirs(spec):
    t = json.loads(Tokenizer(models.BPE()).to_str())
    t["normalizer"] = spec
    return Tokenizer.from_str(json.dumps(t)).normalizer


def ours(program, spec, texts):
    data = b"".join(struct.pack("<I", len(b)) + b for b in
                    (t.encode() for t in [json.dumps(spec), *texts]))
    got = subprocess.run([program], input=data, stdout=subprocess.PIPE,
                         check=True).stdout
    at = 0
    for _ in texts:
        keeps, n = struct.unpack_from("<BI", got, at)
        at += 5
        text = got[at:at + n]
        yield bool(keeps), text.decode(), (got, at + n, n)
        at += 9 * n


def ranges(text, place):
    got, at, n = place
    start, end = struct.unpack_from(f"<{n}I", got, at), struct.unpack_from(f"<{n}I", got, at + 4 * n)
    i = 0
    for c in text:
        size = len(c.encode())
        yield c, (start[i], end[i + size - 1])
        i += size


def positions(normalizer, text):
    p = PreTokenizedString(text)
    p.normalize(lambda s: normalizer.normalize(s))
    p.split(lambda _, s: [s[i:i + 1] for i in range(len(s.normalized))])
    return [(s, o) for s, o, _ in p.get_splits(offset_referential="original", offset_type="byte")]


def compare(program, spec, texts, every=20):
    normalizer, bad, loose = theirs(spec), 0, 0
    for i, (text, (keeps, got, place)) in enumerate(zip(texts, ours(program, spec, texts))):
        want = normalizer.normalize_str(text)
        why = "" if got == want else "text"
        if keeps and want != text:
            why += " keeps"
        loose += not keeps and want == text
        if not why and got and i % every == 0 and \
                list(ranges(got, place)) != positions(normalizer, text):
            why = "positions"
        if why:
            bad += 1
            if bad < 6:
                print(f"  {why}: {json.dumps(spec)[:60]} {ascii(text)}: {ascii(got)}, not {ascii(want)}")
                if why == "positions":
                    print("   ", list(ranges(got, place)), positions(normalizer, text))
    return bad, loose


def alphabets(rng):
    nfd, nfkd, nfc = N.NFD().normalize_str, N.NFKD().normalize_str, N.NFC().normalize_str
    canonical = [chr(c) for c in SCALARS if nfd(chr(c)) != chr(c) and not 0xAC00 <= c < 0xD7A4]
    compatible = [chr(c) for c in SCALARS if nfkd(chr(c)) != chr(c) and nfd(chr(c)) == chr(c)]
    high = "\u0345"
    marks = [chr(c) for c in SCALARS if nfd(high + chr(c)) == chr(c) + high] + [high]
    parts = sorted({p for c in canonical for p in nfd(c)})
    hangul = [chr(c) for c in [*range(0x1100, 0x1200), *range(0xAC00, 0xAC00 + 60),
                               *range(0xD788, 0xD7A4)]]
    plain = list("\r\n\u0600\u00a9\u200d\U0001f600\U0001f1e6" "aeiouAEOUnsz  \t\n.,1") + list("\u0915\u09c7\u0bc6\u4e2d\u0430\u05d0\u0627")
    return [canonical, compatible, marks, marks, parts, hangul, plain, plain,
            [chr(c) for c in rng.sample(SCALARS, 2000)]]


def random_texts(rng, sets, count):
    for _ in range(count):
        some = [rng.choice(sets) for _ in range(rng.choice((1, 2, 3)))]
        yield "".join(rng.choice(rng.choice(some)) for _ in range(rng.choice((4, 9, 14, 14, 60))))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng, bad = random.Random(seed), 0
    print(f"tokenizers {tokenizers.__version__}, seed {seed}")
    with tempfile.TemporaryDirectory() as folder:
        program = build(folder)
        sets = alphabets(rng)
        specs = [{"type": f} for f in FORMS] + OTHERS
        if "NO_PATTERNS" not in os.environ:
            specs += PATTERNS
        specs += PRECOMPILED
        if len(sys.argv) > 3:  # a SentencePiece model, whose table is taken
            specs = [charsmap_of(sys.argv[3])]
        for spec in specs:
            name = json.dumps(spec)[:70]
            wrong, _ = compare(program, spec, [chr(c) for c in SCALARS], 50)
            wrong += compare(program, spec, [f"a{chr(c)}e" for c in SCALARS], 1000)[0]
            many = count if spec in ({"type": f} for f in FORMS) else max(count // 20, 1000)
            done = loose = 0
            while done < many:
                texts = list(random_texts(rng, sets, min(100000, many - done)))
                w, more = compare(program, spec, texts)
                wrong, loose, done = wrong + w, loose + more, done + len(texts)
            print(f"{name}: {2 * len(SCALARS) + done} strings, {wrong} differ; "
                  f"{loose} of {done} unchanged but looked at", flush=True)
            bad += wrong
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
