# SPDX-License-Identifier: MIT
"""Makes the `precompiled_charsmap` of a SentencePiece normalizer: for scripts that ask the package
about its Precompiled normalizer.

    u32 bytes of the units | units: a double array, u32 each | strings, each with a zero byte

A state is a base; its child by byte c is the unit at base ^ c, whose low eight bits are c, whose
bits 10–30 are its position ^ the child's base, and whose bit 8 says that the unit at the child's
base (bit 31 set) holds where the string begins.
"""
import base64
import struct

FREE = 0x80000000
LEAF = 1 << 8


def charsmap(rules):
    """{from: to} → bytes."""
    trie, strings = {}, bytearray()
    for key, to in sorted(rules.items()):
        node = trie
        for b in key.encode():
            node = node.setdefault(b, {})
        node["value"] = len(strings)
        strings += to.encode() + b"\0"
    units, used = {0: 0}, {0}

    def place(node):
        wanted = [0 if k == "value" else k for k in node]
        base = 1
        while any(base ^ c in used for c in wanted):
            base += 1
        used.update(base ^ c for c in wanted)
        for c, child in node.items():
            if c == "value":
                units[base] = FREE | child
        for c, child in node.items():
            if c != "value":
                target = place(child)
                units[base ^ c] = c | ((base ^ c) ^ target) << 10 | (LEAF if "value" in child else 0)
        return base

    units[0] = place(trie) << 10
    return pack(units, strings)


def pack(units, strings):
    count = max(units) + 256 & ~255
    array = b"".join(struct.pack("<I", units.get(i, FREE)) for i in range(count))
    return struct.pack("<I", len(array)) + array + bytes(strings)


def every_character(to="X"):
    """A map of each character (but U+0000) to one string: states shared by all."""
    units = {}
    leaf, one, two, three, root = 256, 512, 768, 1024, 1280

    def step(base, low, high, target):
        for c in range(low, high):
            units[base ^ c] = c | ((base ^ c) ^ target) << 10 | (LEAF if target == leaf else 0)

    units[0] = root << 10
    units[leaf] = FREE
    step(root, 1, 0x80, leaf)
    step(root, 0xC2, 0xE0, one)
    step(root, 0xE0, 0xF0, two)
    step(root, 0xF0, 0xF5, three)
    step(three, 0x80, 0xC0, two)
    step(two, 0x80, 0xC0, one)
    step(one, 0x80, 0xC0, leaf)
    return pack(units, to.encode() + b"\0")


def spec(rules):
    return {"type": "Precompiled",
            "precompiled_charsmap": base64.b64encode(charsmap(rules)).decode()}
