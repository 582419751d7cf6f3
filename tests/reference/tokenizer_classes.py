#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes engine/tokenizer/classes.inc: which characters the Python package `tokenizers` takes for
letters (\\p{L}), numbers (\\p{N}) and spaces (\\s), and which for word characters beside an added
token with single_word. Libraries disagree about these, so they are asked, one character at a time,
through the package's public interface; no table of any library is read.

    python3 tests/reference/tokenizer_classes.py > engine/tokenizer/classes.inc
"""
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, models, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]


def batches(size=1024):
    for at in range(0, len(SCALARS), size):
        yield SCALARS[at:at + size]


def matching(pattern):
    """Characters that `pattern` removes."""
    split, found = pre_tokenizers.Split(Regex(pattern), "removed"), set()
    for batch in batches():
        left = set()
        for piece, _ in split.pre_tokenize_str("".join(map(chr, batch))):
            left.update(map(ord, piece))
        found.update(c for c in batch if c not in left)
    return found


def word_characters():
    """Characters before which a single_word token is not recognised."""
    token = "\u2603\u2603"
    t = Tokenizer(models.WordLevel({"?": 0}, unk_token="?"))
    t.add_tokens([AddedToken(token, single_word=True)])
    found = set()
    for batch in batches(16):  # short: the package looks at all that stands before a match
        text = "".join(chr(c) + token + "\n" for c in batch)
        seen = {start for start, end in t.encode(text).offsets if text[start:end] == token}
        found.update(c for i, c in enumerate(batch) if 4 * i + 1 not in seen)
    return found


def main():
    letters, numbers, spaces = matching(r"\p{L}"), matching(r"\p{N}"), matching(r"\s")
    words = word_characters()
    classed = letters | numbers | spaces
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    for c in SCALARS:  # the hard-wired GPT-2 pattern must agree with these classes
        joined = [len(byte_level.pre_tokenize_str(x + chr(c))) == 1 for x in "a1!"]
        if joined != [c in letters, c in numbers, c not in classed]:
            raise SystemExit(f"U+{c:04X}: ByteLevel disagrees with the classes")
    nibble = [(c in letters) | (c in numbers) << 1 | (c in spaces) << 2 | (c in words) << 3
              for c in range(0x110000)]
    blocks, index = {}, []
    for at in range(0, 0x110000, 256):
        block = tuple(nibble[at:at + 256])
        index.append(blocks.setdefault(block, len(blocks)))
    assert len(blocks) <= 256
    print("/* SPDX-License-Identifier: MIT */")
    print(f"/* Made by tests/reference/tokenizer_classes.py from tokenizers {tokenizers.__version__}:")
    print(f" * {len(letters)} letters, {len(numbers)} numbers, {len(spaces)} spaces, "
          f"{len(words)} word characters.")
    print(" * Four bits a character: 1 letter, 2 number, 4 space, 8 word; 256 characters a block. */")
    print("/* clang-format off */")
    print(f"static const uint8_t class_index[{len(index)}] = {{")
    for at in range(0, len(index), 24):
        print("  " + ",".join(map(str, index[at:at + 24])) + ",")
    print("};")
    print(f"static const uint64_t class_blocks[{len(blocks)}][16] = {{")
    for block in blocks:
        words64 = [sum(v << 4 * i for i, v in enumerate(block[at:at + 16]))
                   for at in range(0, 256, 16)]
        rows = [",".join(f"{w:#x}" for w in words64[i:i + 4]) for i in range(0, 16, 4)]
        print("  {" + ",\n   ".join(rows) + "},")
    print("};")
    print("/* clang-format on */")


main()
