#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes tests/tokenizer/normalize_cases.inc: what the Python package `tokenizers` makes of a few
texts with each normalizer, where each character came from, and digests of what it makes of all
characters and of random strings.

    python3 tests/reference/tokenizer_normal_cases.py > tests/tokenizer/normalize_cases.inc
"""
import hashlib
import json
import random

import tokenizers
from tokenizer_normal_check import (FORMS, OTHERS, PATTERNS, PRECOMPILED, SCALARS, alphabets, positions,
                                    theirs)

TEXTS = [
    "", "a", "plain words, 123", " \u3000both ends\t\n", "   ", "e\u0301te\u0301", "\u00e9t\u00e9",
    "a\u0301\u0323b", "a\u0323\u0301b", "\u1ea1\u0301", "\u0301\u0323x", "\u00c5\u212b\u2126",
    "\ufb01\ufb03 \u00b2\u2460\uff21\uff0c", "\ud55c\uae00 \u1112\u1161\u11ab\u1100\u1173\u11af",
    "\u09c7\u09be \u0995\u09be", "\u0915\u093c\u094d \u0958", "\u0344\u0316", "\u0f73\u0f71",
    "\U00011935\U00011930", "\u07fd\u0301", "\U0001d15e\U0001d1bc", "\ufdfa", "\u4e2d\u56fd A\u6587",
    "\u0130\u01c5\u1e9e\u03a3", "``quoted''  twice", "aaa a a", "\u0000\ufffd\u200b\ufeff\u00ad",
    "\u2581x\u00a0y\u0085", "\u0e01\u0e33\u0e49", "\u05e9\u05c1\u05b8", "\u1100\u1161\u1161\u11a8",
    "\U0001f468\u200d\U0001f469", "x" + "\u0301\u0323" * 12 + "y\u0327", "\u2adc\u0338\u0958",
]
GRAPHEMES = [
    "", "a", "xaby", "e\u0301", "e\u0301\u0301", "a\u0301\u0301\u0301z", "\u0301a", "\ufb03\uff21",
    "\r\n\n\r", "\u0600a\u0600\u0600b", "\u00a9\u200d\u00a9", "\u00a9\u200d\u200d\u00a9\u0301",
    "z\u00e9z", "\u1100\u1161\u11a8", "\U0001f1e6\U0001f1e6\U0001f1e6a\u0327\u0301",
]
DIGESTS = [{"type": f} for f in FORMS] + OTHERS[:7]


def literal(s):
    out = []
    for b in s.encode() if isinstance(s, str) else s:
        out.append(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}")
    return '"' + "".join(out) + '"'


def sha(parts):
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def chunks(size=4096):
    """All characters, each on a line of its own."""
    for at in range(0, len(SCALARS), size):
        yield "".join(chr(c) + "\n" for c in SCALARS[at:at + size])


def strings(alphabet, count):
    x = 1
    def step(n):
        nonlocal x
        x = (x * 6364136223846793005 + 1442695040888963407) & (1 << 64) - 1
        return (x >> 33) % n
    for _ in range(count):
        yield "".join(alphabet[step(len(alphabet))] for _ in range(1 + step(40)))


def main():
    rng = random.Random(3)
    sets = alphabets(rng)
    alphabet = [rng.choice(s) for s in sets[:8] for _ in range(64)]
    print("/* SPDX-License-Identifier: MIT */")
    print(f"/* Made by tests/reference/tokenizer_normal_cases.py from tokenizers "
          f"{tokenizers.__version__}. */")
    print("/* clang-format off */")
    print("static const struct {\n  const char *spec, *text;\n  size_t n;\n  const char *want;\n"
          "  size_t want_n;\n  const char *from; /* of each character: where it came from */\n"
          "} cases[] = {")
    for spec in [{"type": f} for f in FORMS] + OTHERS + PATTERNS + PRECOMPILED[:1]:
        normalizer = theirs(spec)
        for text in TEXTS if len(spec) == 1 else \
                GRAPHEMES if spec in PRECOMPILED else TEXTS[:8] + TEXTS[22:30]:
            want = normalizer.normalize_str(text)
            if want == text and text not in ("", "a"):
                continue
            places = " ".join(f"{a}-{b}" for _, (a, b) in positions(normalizer, text)) \
                if want else ""
            print(f"  {{{literal(json.dumps(spec))},\n   {literal(text)}, {len(text.encode())},\n"
                  f"   {literal(want)}, {len(want.encode())},\n   \"{places}\"}},")
    print("};")
    print("static const uint32_t alphabet[] = {")
    for at in range(0, len(alphabet), 12):
        print("  " + ",".join(hex(ord(c)) for c in alphabet[at:at + 12]) + ",")
    print("};")
    print("enum { STRINGS = 5000 };")
    print("static const struct {\n  const char *spec;\n  const char *all, *random; /* SHA-256 */\n"
          "} digests[] = {")
    for spec in DIGESTS:
        f = theirs(spec).normalize_str
        print(f"  {{{literal(json.dumps(spec))},\n   \"{sha(map(f, chunks()))}\",\n"
              f"   \"{sha(f(s) for s in strings(alphabet, 5000))}\"}},")
    print("};")
    print("/* clang-format on */")


main()
