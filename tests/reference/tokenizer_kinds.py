#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes engine/tokenizer/kinds.inc: the characters as the hand-written scanners see them, in eight
kinds. As with tokenizer_classes.py the Python package `tokenizers` is asked about each character.

    python3 tests/reference/tokenizer_kinds.py > engine/tokenizer/kinds.inc
"""
import tokenizers
from tokenizers import Regex, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
KINDS = ["other", "mark", "upper", "lower", "letter", "number", "space", "newer number"]
PATTERNS = [r"\p{M}", r"\p{Lu}|\p{Lt}", r"\p{Ll}", r"\p{Lm}|\p{Lo}", r"\p{N}", r"\s"]


def split_away(pre):
    """Characters that do not come out of `pre`, which removes what it matches."""
    found = set()
    for at in range(0, len(SCALARS), 1024):
        batch, left = SCALARS[at:at + 1024], set()
        for piece, _ in pre.pre_tokenize_str("".join(map(chr, batch))):
            left.update(map(ord, piece))
        found.update(c for c in batch if c not in left)
    return found


def matching(pattern):
    return split_away(pre_tokenizers.Split(Regex(pattern), "removed"))


def main():
    kind = [0] * 0x110000
    for k, pattern in enumerate(PATTERNS, 1):
        for c in matching(pattern):
            assert kind[c] == 0, hex(c)
            kind[c] = k
    letters = matching(r"\p{L}")
    assert letters == {c for c in SCALARS if 2 <= kind[c] <= 4}
    digits = pre_tokenizers.Digits(individual_digits=True)
    for c in SCALARS:  # Digits parts what \p{N} matches, and what came to Unicode later
        parted = len(digits.pre_tokenize_str("a" + chr(c))) == 2
        if parted and kind[c] == 0:
            kind[c] = 7
        elif parted != (kind[c] == 5):
            raise SystemExit(f"U+{c:04X}: Digits disagrees with \\p{{N}}")
    blocks, index = {}, []
    for at in range(0, 0x110000, 256):
        index.append(blocks.setdefault(tuple(kind[at:at + 256]), len(blocks)))
    assert len(blocks) <= 256
    print("/* SPDX-License-Identifier: MIT */")
    print(f"/* Made by tests/reference/tokenizer_kinds.py from tokenizers {tokenizers.__version__}:")
    print(" * " + ", ".join(f"{kind.count(k)} {name}" for k, name in enumerate(KINDS)) + ".")
    print(" * Four bits a character; 256 characters a block. */")
    print("/* clang-format off */")
    print(f"static const uint8_t kind_index[{len(index)}] = {{")
    for at in range(0, len(index), 24):
        print("  " + ",".join(map(str, index[at:at + 24])) + ",")
    print("};")
    print(f"static const uint8_t kind_blocks[{len(blocks)}][128] = {{")
    for block in blocks:
        pairs = [block[i] | block[i + 1] << 4 for i in range(0, 256, 2)]
        rows = [",".join(map(str, pairs[i:i + 32])) for i in range(0, 128, 32)]
        print("  {" + ",\n   ".join(rows) + "},")
    print("};")
    print("/* clang-format on */")


main()
