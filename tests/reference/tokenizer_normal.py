#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes engine/tokenizer/normal.inc: what the Python package `tokenizers` does to characters in
its normalizers. The package follows an older Unicode than other libraries do (U+11938 is not
composed, U+07FD is not reordered), so it is asked, one character at a time, through its public
interface; no table of any library is read.

    python3 tests/reference/tokenizer_normal.py > engine/tokenizer/normal.inc

Asked of every scalar value: NFD, NFKD, NFC, NFKC of the character alone; whether it is removed by
StripAccents, BertNormalizer (accents; control) and Nmt, or becomes a space; whether Strip takes it
for a space; its lowercase. Graphemes shorter than six bytes are seen through a Precompiled that maps
each of them to one letter: what joins a letter before it (EXTEND), a letter behind it (PREPEND),
stands alone even behind U+0600, which joins all else (CONTROL), joins "\\u00a9\\u200d" (PICTOGRAPH),
parts U+00A9 from such a sequence (SPACING).
Combining classes are not asked by number but by order: x and y stand in different classes when NFD
exchanges them one way round. Composition pairs are the canonical decompositions' last character and
what NFC makes of the rest, then asked again as pairs.
tests/reference/tokenizer_normal_check.py compares whole strings afterwards.
"""
import sys

import tokenizers
from charsmap import every_character
from tokenizers import normalizers as N

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
S_BASE, L_BASE, V_BASE, T_BASE = 0xAC00, 0x1100, 0x1161, 0x11A7

nfd, nfkd = N.NFD().normalize_str, N.NFKD().normalize_str
nfc, nfkc = N.NFC().normalize_str, N.NFKC().normalize_str


def bert(**on):
    given = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return N.BertNormalizer(**{**given, **on}).normalize_str


def log(*what):
    print(*what, file=sys.stderr, flush=True)


def changed(function):
    """{c: what function makes of it} for the characters it changes."""
    return {c: t for c in SCALARS if (t := function(chr(c))) != chr(c)}


def ordinals(decomposed):
    """Characters with a combining class other than 0 → the class's place in their order, from 1."""
    low, high = chr(0x334), chr(0x345)  # of the lowest and the highest class
    marks = [chr(c) for c in SCALARS if c not in decomposed and
             (nfd(high + chr(c)) == chr(c) + high or nfd(chr(c) + low) == low + chr(c))]
    classes = []  # lists of marks, lowest class first
    for m in marks:
        lo, hi = 0, len(classes)
        while lo < hi:
            mid = (lo + hi) // 2
            r = classes[mid][0]
            if r == m or (nfd(r + m) == r + m and nfd(m + r) == m + r):
                classes[mid].append(m)
                break
            if nfd(r + m) == m + r:
                hi = mid
            else:
                lo = mid + 1
        else:
            classes.insert(lo, [m])
    return {ord(m): i + 1 for i, members in enumerate(classes) for m in members}


def hangul_is_arithmetic(decomposed):
    for c in range(S_BASE, S_BASE + 11172):
        i = c - S_BASE
        want = chr(L_BASE + i // 588) + chr(V_BASE + i % 588 // 28)
        lv = chr(S_BASE + i // 28 * 28)
        if i % 28:
            want += chr(T_BASE + i % 28)
            assert nfc(lv + want[-1]) == chr(c)
        assert decomposed[c] == want and nfc(want) == chr(c)
    return True


def pairs_of(decomposed):
    """{(a, b): composed} without Hangul syllables."""
    pairs = {}
    for c, d in decomposed.items():
        if S_BASE <= c < S_BASE + 11172 or len(d) < 2:
            continue
        a = nfc(d[:-1])
        if len(a) == 1 and nfc(a + d[-1]) == chr(c):
            pairs[ord(a), ord(d[-1])] = c
    firsts, seconds = {a for a, _ in pairs}, {b for _, b in pairs}
    for a in firsts:
        for b in seconds:
            x, y = chr(a), chr(b)
            if len(nfc(x + y)) == 1 and nfd(x + y) == nfd(x) + y:  # and not exchanged first
                assert (a, b) in pairs, (hex(a), hex(b))
    return pairs


def two_level(values, size, top):
    """(index, blocks) of values[0:top], equal blocks once; beyond `top` all must be equal to 0."""
    blocks, index = {}, []
    for at in range(0, top, size):
        block = tuple(values.get(c, 0) for c in range(at, at + size))
        index.append(blocks.setdefault(block, len(blocks)))
    assert all(c < top for c in values)
    return index, list(blocks)


def static(name):
    return "" if name.startswith("normal") else "static "


def put(kind, name, values, form=str, per=24):
    print(f"{static(name)}const {kind} {name}[{len(values)}] = {{")
    for at in range(0, len(values), per):
        print("  " + ",".join(map(form, values[at:at + per])) + ",")
    print("};")


def put_blocks(kind, name, blocks, form=str, per=32):
    print(f"{static(name)}const {kind} {name}[{len(blocks)}][{len(blocks[0])}] = {{")
    for block in blocks:
        rows = [",".join(map(form, block[at:at + per])) for at in range(0, len(block), per)]
        print("  {" + ",\n   ".join(rows) + "},")
    print("};")


CLASS_BITS = 6
FLAGS = ["CANONICAL", "COMPATIBLE", "NFC", "NFKC", "SECOND", "FIRST", "TAIL_C", "TAIL_K", "ACCENT",
         "BERT_ACCENT", "BERT_GONE", "BERT_SPACE", "BERT_CJK", "NMT_GONE", "NMT_SPACE", "SPACE",
         "LOWER", "EXTEND", "PREPEND", "CONTROL", "PICTOGRAPH",
         "SPACING"]


def main():
    log("decompositions")
    canonical, compatible = changed(nfd), changed(nfkd)
    not_c, not_k = changed(nfc), changed(nfkc)
    assert hangul_is_arithmetic(canonical)
    log("classes")
    order = ordinals(canonical)
    assert max(order.values()) < 1 << CLASS_BITS
    log("pairs")
    pairs = pairs_of(canonical)
    log("the rest")
    accent = {c for c, t in changed(N.StripAccents().normalize_str).items()}
    bert_accent = {c for c, t in changed(bert(strip_accents=True)).items()
                   if c not in canonical and not t}
    clean = changed(bert(clean_text=True))
    nmt = changed(N.Nmt().normalize_str)
    assert set(clean.values()) <= {"", " "} and set(nmt.values()) <= {"", " "}
    cjk = {c for c, t in changed(bert(handle_chinese_chars=True)).items() if t == f" {chr(c)} "}
    space = {c for c, t in changed(N.Strip().normalize_str).items() if not t}
    lower = changed(N.Lowercase().normalize_str)
    grapheme = N.Precompiled(every_character()).normalize_str
    extend = {c for c in SCALARS[1:] if grapheme("a" + chr(c)) == "X"}
    prepend = {c for c in SCALARS[1:] if c not in extend and grapheme(chr(c) + "a") == "X"}
    control = {c for c in SCALARS[1:] if grapheme("\u0600\u0600" + chr(c)) == "XX"} | {0}
    pictograph = {c for c in SCALARS[1:] if c not in extend and
                  grapheme("\u00a9\u200d" + chr(c)) == "XXX"}
    spacing = {c for c in extend if c != 0x200D and
               len(grapheme(f"\u00a9{chr(c)}\u200d\u00a9\u0301")) == 4}
    seconds = {b for _, b in pairs} | set(range(V_BASE, V_BASE + 21)) | \
        set(range(T_BASE + 1, T_BASE + 28))
    firsts = {a for a, _ in pairs} | set(range(L_BASE, L_BASE + 19)) | \
        set(range(S_BASE, S_BASE + 11172, 28))
    # A character is a tail when what it becomes may touch what stands before it.
    def tail(c, composed, table):
        first = ord(table.get(c, chr(c))[0])
        return first in order or (composed and first in seconds)

    flags = {"CANONICAL": canonical, "COMPATIBLE": compatible, "NFC": not_c, "NFKC": not_k,
             "SECOND": seconds, "FIRST": firsts,
             "TAIL_C": {c for c in SCALARS if tail(c, True, canonical)},
             "TAIL_K": {c for c in SCALARS if tail(c, True, compatible)},
             "ACCENT": accent, "BERT_ACCENT": bert_accent,
             "BERT_GONE": {c for c, t in clean.items() if not t},
             "BERT_SPACE": {c for c, t in clean.items() if t}, "BERT_CJK": cjk,
             "NMT_GONE": {c for c, t in nmt.items() if not t},
             "NMT_SPACE": {c for c, t in nmt.items() if t}, "SPACE": space, "LOWER": lower,
             "EXTEND": extend, "PREPEND": prepend, "CONTROL": control, "PICTOGRAPH": pictograph,
             "SPACING": spacing}
    records, kind = {0: 0}, {}
    for c in SCALARS:
        r = order.get(c, 0)
        for i, name in enumerate(FLAGS):
            if c in flags[name]:
                r |= 1 << CLASS_BITS + i
        if r:
            kind[c] = records.setdefault(r, len(records))
    assert len(records) <= 256
    index, blocks = two_level(kind, 128, 0x110000)

    pool, offsets, at_of = bytearray(b"\0\0"), {}, {}
    for c in sorted(set(canonical) | set(compatible)):
        if S_BASE <= c < S_BASE + 11172:
            continue
        a, b = canonical.get(c, "").encode(), compatible[c].encode()
        entry = bytes([len(a), 0 if a == b else len(b)]) + a + (b"" if a == b else b)
        if entry not in at_of:
            at_of[entry] = len(pool)
            pool += entry
        offsets[c] = at_of[entry]
    assert len(pool) < 65536
    d_index, d_blocks = two_level(offsets, 32, 0x30000)

    deltas, l_kind = [0], {}
    for c, t in lower.items():
        if len(t) > 1:
            assert c == 0x130 and t == "i\u0307"
            continue
        delta = ord(t) - c
        if delta not in deltas:
            deltas.append(delta)
        l_kind[c] = deltas.index(delta)
    l_index, l_blocks = two_level(l_kind, 32, 0x20000)

    slots = [0] * 2048
    for (a, b), c in sorted(pairs.items()):
        h = (a * 31 + b * 1021) & 2047
        while slots[h]:
            h = (h + 1) & 2047
        slots[h] = a << 42 | b << 21 | c

    forms = [("NFC", "SECOND", "TAIL_C"), ("CANONICAL", "TAIL_C"), ("NFKC", "SECOND", "TAIL_K"),
             ("COMPATIBLE", "TAIL_K")]
    record_of = list(records)

    def clean_for(block):
        """A bit for each form in which all characters of the block stay and begin anew."""
        bits = 0
        for i, names in enumerate(forms):
            touched = sum(1 << CLASS_BITS + FLAGS.index(name) for name in names)
            bits |= (not any(record_of[k] & touched for k in block)) << i
        return bits

    print("/* SPDX-License-Identifier: MIT */")
    print(f"/* Made by tests/reference/tokenizer_normal.py from tokenizers {tokenizers.__version__}:")
    print(f" * {len(canonical)} canonical and {len(compatible)} compatibility decompositions (11172 of"
          " each are Hangul),")
    print(f" * {len(order)} marks in {max(order.values())} classes, {len(pairs)} composition pairs,"
          f" {len(lower)} characters with a lowercase.")
    print(f" * {len(not_c)} change under NFC, {len(not_k)} under NFKC; {len(accent)} accents, "
          f"{len(bert_accent)} of BERT; {len(space)} spaces;")
    print(f" * {len(extend)} extend a grapheme, {len(prepend)} are prepended to one, "
          f"{len(pictograph)} pictographs.")
    print(" * A record: the class's place in the order of classes, then flags. */")
    print("/* clang-format off */")
    print(f"_Static_assert(NORMAL_CLASS == {(1 << CLASS_BITS) - 1}, \"normal.h\");")
    for i, name in enumerate(FLAGS):
        print(f"_Static_assert(NORMAL_{name} == 1 << {CLASS_BITS + i}, \"normal.h\");")
    put("uint32_t", "normal_record", list(records), hex, 12)
    put("uint16_t" if len(blocks) > 256 else "uint8_t", "normal_index", index)
    put_blocks("uint8_t", "normal_blocks", blocks)
    print("/* Of a block: bit f is set when form f (NFC, NFD, NFKC, NFKD) leaves all its characters as "
          "they are\n * and none of them touches what stands before it. */")
    put("uint8_t", "normal_clean", [clean_for(b) for b in blocks])
    print("/* Of a character: where in decompose_pool; 0: nowhere. There: how many bytes canonical (0:"
          " none), how many\n * compatible (0: the same), then these bytes. */")
    put("uint8_t" if len(d_blocks) <= 256 else "uint16_t", "decompose_index", d_index)
    put_blocks("uint16_t", "decompose_blocks", d_blocks)
    put("uint8_t", "decompose_pool", list(pool), str, 32)
    print("/* a << 42 | b << 21 | composed; in slot (31 a + 1021 b) mod 2048 or one of the next. */")
    put("uint64_t", "compose_slots", slots, lambda v: hex(v) if v else "0", 6)
    put("uint8_t", "lower_index", l_index)
    put_blocks("uint8_t", "lower_blocks", l_blocks)
    put("int32_t", "lower_delta", deltas)
    print("/* clang-format on */")
    log(f"{len(records)} records, {len(blocks)} blocks, {len(d_blocks)} decomposition blocks, pool "
        f"{len(pool)}, {len(l_blocks)} lowercase blocks, {len(deltas)} deltas")


if __name__ == "__main__":
    main()
