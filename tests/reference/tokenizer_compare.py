#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares Lathe's tokenizers with the Python package `tokenizers` on generated texts.

    python3 tests/reference/tokenizer_compare.py [--count N] [--seed S] [--text FILE …] [--report FILE]
                                                 [--variants] [TOKENIZER …]

A TOKENIZER is a tokenizer.json or the folder of one; without any, all those of ../shared/conformance.
--text gives real text (any language, code) whose fragments are mixed in; without it, text of our own.
--variants compares changed tokenizers too: added tokens of every flag; for byte-level ones also
add_prefix_space, no regex, missing bytes.

Every generated text is given to every tokenizer, with that tokenizer's own special tokens put in.
Compared for each text, through build/lathe and tokenizer_compare.lua:
    ids without and with special tokens; the number of ids; ids when offsets are asked for as well;
    decoding of ids (those of the text, a part of them, or garbled ones), with special tokens and without;
    every fourth text: the same token by token, which never gives half a character;
    every fourth text: offsets (the package's, of whole characters, its trim_offsets off);
    every eighth text: ids when special tokens inside the text are text (encode_special_tokens).
Differences go to the report, the first 20 a tokenizer, each made as short as it goes. Ctrl-C ends it early, with its
counts.

Recorded: tokenizers 0.23.3, the sixteen vocabularies of ../shared/conformance, real text of 68 MB (documentation and code
in many languages): 160,000 texts each with seed 2026 and 842,000 each with seed 2027, on the
last revisions but a few; together 16,048,000 texts, 1,067,758,807 bytes, 528,740,981 tokens: 0 differences. Seeds 31337 and
4242 on the last one, 40,000 and 198,000 each: 0. --variants, seed 7, 3,000 each of GPT-2, Qwen2.5, TinyLlama and Mistral v0.3: 0.
Since the word cache and merging in lanes (2026-11-21): five vocabularies (GPT-2, Llama 3.2, Qwen2.5, TinyLlama, Llama 2) with
320,000 texts each of seed 6001 and 120,000 of seed 7001 (four with 400,000 of seed 5001), all sixteen with 60,000 each of
seeds 5002 and 6002 and 20,000 of seed 7002: 0 differences. Since threads take room ahead: all sixteen with 20,000 each of seed
8001, four of the five with 100,000 of seed 8002; all sixteen with 8,000 each of seed 8003: 0 differences.
It found what no other test had: words taken apart wrongly once thousands had been seen (tests/tokenizer/work_test.lua keeps that).
"""
import argparse
import itertools
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from array import array

os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
import tokenizers  # noqa: E402
from tokenizers import AddedToken, Tokenizer  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CHUNK = 2000
WRONG = ["ids", "ids beside offsets", "count", "ids with special", "ids plain", "offsets", "decode",
         "stream", "decode skipping special", "stream skipping special", "error"]

# ---- the texts ----

SLOTS = [chr(0xF700 + i) for i in range(24)]  # private use; each stands for a special token

WORDS = ("the of and to in is that for it as was with be by on not he his but at are this have from "
         "don't I'll we've they're it's I'm he'd can't 'tis o'clock naïve façade Straße Müller año "
         "Россия привет мир 你好 世界 東京 日本語 한국어 안녕 שלום مرحبا नमस्ते สวัสดี ελληνικά "
         "ქართული հայերեն አማርኛ தமிழ் ಕನ್ನಡ မြန်မာ བོད་ ᠮᠣᠩᠭᠣᠯ Ἑλλάς Ğöğüs Łódź Đà Nẵng naïveté ŒUVRE "
         "def return self.x += 1; {\"a\": [1, 2]} <div class=\"x\"> x==y && !z // 0x1F 3.14159 1,000 "
         "½ Ⅷ ² ③ ٣ é e\u0301 ﬁ ſ İ 👍 👨‍👩‍👧 🇩🇪 \u200b \ufeff \u00ad").split(" ")
LINES = [
    "def add(a: int, b: int = 2) -> int:\n    \"\"\"Adds.\"\"\"\n    return a + b\n",
    "for (size_t i = 0; i < n; i++) {\n\tsum += values[i] * 0x7FFFFFFFULL;\n}\n",
    "SELECT name, COUNT(*) FROM users WHERE age >= 18 GROUP BY name; -- adults\r\n",
    "<p class=\"lead\">Tom &amp; Jerry&nbsp;</p>\n<!-- end -->\n", "\t\tif err != nil { return nil, err }\n",
    "    # TODO(x): 100% of 1_000_000 rows, see https://example.org/a?b=c&d=%20#e\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n", "{\"id\":12345678901234567890,\"tags\":[\"x\",\"y\"],\"ok\":true}\n",
    "It was the best of times, it was the worst of times; we're all going to Heaven.\n",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n",
    "Съешь ещё этих мягких французских булок, да выпей же чаю.\n", "いろはにほへと ちりぬるを。わかよたれそ つねならむ\n",
    "天地玄黃,宇宙洪荒。日月盈昃,辰宿列張。\n", "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.\n",
    "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر\n", "דג סקרן שט בים מאוכזב ולפתע מצא חברה\n",
    "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश\n", "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า\n",
]
SPACES = [" ", " ", " ", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\r", "\u00a0", "\u2003", "\u3000", "   ",
          "\u0085", "\u2028", "\u2029", "\x0b", "\x0c", "\u1680", "\u180e", "\u2000", "\u2009", "\u202f",
          "\u205f", "\u200b", "\ufeff", "\u2581", "\u2581\u2581", " \u2581", "\u001c", "\u001f", ""]
QUOTES = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'LL", "'lL", "'D",
          "'\u017f", "'\u212a", "'l\u017f", "''", "'l", "'v", "'r", "'", "\u2019s", "\u2019ll", "`s"]
BROKEN = ["\ufffd", "\ufffd\ufffd", "\ue000", "\uf8fe", "\U000f0000", "\U0010fffd", "\ufffe", "\uffff",
          "\U0001fffe", "\U0010ffff", "\ufdd0", "\u0301", "\u0300\u0301", "\u200d", "\u200c", "\u202e", "\u202d",
          "\u2066", "\u2069", "\u200e", "\u061c", "\x00", "\x00\x00", "\x01", "\x7f", "\x80", "\x9f", "\u0378",
          "\U000e0001", "\U000e0100", "\ufe0f", "\ufe0e", "\u034f", "\u00ad", "\u2060", "\u115f", "\u3164"]
NORMAL = ["\u1100\u1161", "\u1100\u1161\u11a8", "\u1112\u1175\u11c2", "\uac00\u11a8", "\uac01\u11a8", "\u1100",
          "\u1161", "\u11a8", "a\u0301\u0323", "a\u0323\u0301", "e\u0302\u0301", "\u1ebf", "q\u0307\u0323",
          "\u212b", "A\u030a", "\u2126", "\ufb01", "\ufb03", "\u0132", "\u2460", "\u33a5", "\ufe38", "\uff21",
          "\uff76\uff9e", "\u30ab\u3099", "\u0915\u093c", "\u0958", "\u0f71\u0f72\u0f74", "\u0344", "\u1e9b\u0323",
          "\u2adc", "\ufb1d", "\ufb4f", "\ufdfa", "\U0001d400", "\U0001d7ce", "\U0001f100", "\u0340", "\u0341",
          "\u0374", "\u037e", "\u0387", "\u1fef", "\u2000", "\u2329", "\uf900", "\ufa0e", "\U0002f800",
          "\U0001d15e", "\U00011099\U000110ba", "\U00011938", "\U00011935\U00011930", "\u07fd\u0301", "\u0d4a",
          "\u0dd9\u0dcf\u0dca", "\u1025\u102e", "\u1b05\u1b35", "\u03b1\u0345\u0301", "\u1f80", "\u0130", "\u0131",
          "\u1e9e", "\u00df", "\u0149", "\u01c5", "\u03a3\u03c3\u03c2", "\u2163", "\u24b6", "\u1c80", "\ua64a"]
DIGITS = ["0123456789", "٠١٢٣٤٥٦٧٨٩", "۰۱۲۳۴۵۶۷۸۹", "०१२३४५६७८९", "০১২৩৪৫৬৭৮৯", "๐๑๒๓๔๕๖๗๘๙", "０１２３４５６７８９",
          "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗", "²³¹⁰⁴⁵⁶⁷⁸⁹", "①②③④⑤⑥⑦⑧⑨⑩", "ⅠⅡⅢⅣⅤⅥⅦⅧⅨⅩ", "½⅓¼⅕⅙⅛⅐⅑⅒⅞", "一二三四五六七八九十",
          "༠༡༢༣༤༥༦༧༨༩", "𑁦𑁧𑁨𑁩𑁪𑁫𑁬𑁭𑁮𑁯", "𞥐𞥑𞥒𞥓𞥔𞥕𞥖𞥗𞥘𞥙"]
FOREIGN = ["<|endoftext|>", "<s>", "</s>", "<unk>", "<pad>", "<|im_start|>", "<|begin_of_text|>", "[INST]", "[CLS]",
           "<|eot_id|>", "<0x0A>", "<0xE4>", "<|a|>", "<|a|><|b|>", "<mask>", "<strip>", "<word>", "<left>",
           "<right>", "<0x", "▁<s>", "<|", "|>", "Ġ", "Ċ", "ĠĠ", "Ã©", "Ń"]
RANGES = [(0, 0x80), (0, 0x80), (0, 0x800), (0, 0x10000), (0, 0x110000), (0x2000, 0x3100), (0x300, 0x370),
          (0x10000, 0x20000), (0x20000, 0x33480), (0xE0000, 0xE0200), (0xA000, 0xD7B0), (0xF900, 0x10000),
          (0x0900, 0x0E00), (0x1000, 0x2000), (0x3040, 0x3100), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0x1F300, 0x1FB00)]


class Texts:
    """Generates the texts, in chunks; the same ones for the same seed and files."""

    def __init__(self, seed, files):
        self.r = random.Random(f"texts {seed}")
        self.real, self.lines = [], list(LINES)
        for path in files:
            with open(path, encoding="utf-8", errors="replace", newline="") as f:
                self.real.append(f.read(64 << 20))
            self.lines += self.real[-1][:4 << 20].split("\n")
        self.kinds = [(20, self.words), (14, self.characters), (8, self.spaces), (12, self.slot), (6, self.quote),
                      (10, self.ascii), (8, self.broken), (8, self.normal), (6, self.digits), (3, self.foreign),
                      (1, self.run), (20, self.fragment), (8, self.mutated)]
        self.pick = [f for weight, f in self.kinds for _ in range(weight)]

    def character(self):
        while True:
            c = self.r.randrange(*self.r.choice(RANGES))
            if not 0xD800 <= c < 0xE000 and not 0xF700 <= c < 0xF718:
                return chr(c)

    def words(self):
        r = self.r
        return "".join([r.choice(WORDS) + r.choice(SPACES) for _ in range(r.randrange(1, 6))])

    def characters(self):
        r = self.r
        if r.random() < 0.5:  # of one script
            a, b = r.choice(RANGES)
            return "".join([chr(c) for c in (r.randrange(a, b) for _ in range(r.randrange(1, 16)))
                            if not 0xD800 <= c < 0xE000 and not 0xF700 <= c < 0xF718])
        return "".join([self.character() for _ in range(r.randrange(1, 8))])

    def spaces(self):
        return self.r.choice(SPACES) * self.r.choice((1, 1, 2, 3, 5, 20))

    def slot(self):
        """A special token: as it is, spaced, cut, doubled, changed (marked by what stands after it)."""
        r, s = self.r, self.r.choice(SLOTS)
        return r.choice((s, s, " " + s, s + " ", f" {s} ", "\n" + s + "\n", s + s, s + " " + s, "x" + s + "y",
                         s + "\uf720", "\uf721" + s, s + "\uf722", "  " + s + "   ", "\u2581" + s, s + "'s"))

    def quote(self):
        return self.r.choice(("", "it", "They", "x", "\u017f", "9", " ")) + self.r.choice(QUOTES) + \
            self.r.choice(("", " ", "x", "2", "\u00e9"))

    def ascii(self):
        return "".join([chr(self.r.randrange(32, 127)) for _ in range(self.r.randrange(1, 14))])

    def broken(self):
        return "".join([self.r.choice(BROKEN) + self.r.choice(("", "", "a", " ", "é"))
                        for _ in range(self.r.randrange(1, 5))])

    def normal(self):
        r = self.r
        if r.random() < 0.3:  # marks in any order behind a letter
            return r.choice("aAeioOuUyαωкの") + "".join(
                [chr(r.randrange(0x300, 0x370)) for _ in range(r.randrange(1, 5))])
        return "".join([r.choice(NORMAL) + r.choice(("", "", "x", " ")) for _ in range(r.randrange(1, 5))])

    def digits(self):
        r, d = self.r, self.r.choice(DIGITS)
        return "".join([r.choice(d) for _ in range(r.choice((1, 2, 3, 4, 7, 12)))]) + r.choice(("", " ", ".", ",", "x"))

    def foreign(self):
        return self.r.choice(FOREIGN) + self.r.choice(("", " ", "a"))

    def run(self):
        r = self.r
        if r.random() < 0.03:  # a very long word
            n = r.randrange(200, 5001)
            kind = r.randrange(4)
            if kind == 0:
                return "".join([chr(r.randrange(97, 123)) for _ in range(n)])
            if kind == 1:
                return r.choice(("a", "=", "é", "的", "0", "\u0301", " ", "\n", "👍")) * n
            if kind == 2:
                return (r.choice(WORDS) or "x") * (n // 8)
            return "".join([self.character() for _ in range(n // 8)])
        return r.choice(("a", "ab", "=", " ", "é", "9", "wor", "\n", "-", "_", "\u2581", "\t", "!", "的")) * \
            r.choice((3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 255))

    def fragment(self):
        r = self.r
        if not self.real:
            return r.choice(self.lines)
        s = r.choice(self.real)
        at = r.randrange(len(s))
        return s[at:at + r.choice((5, 20, 40, 80, 160))].translate(OUT_OF_SLOTS)

    def mutated(self):
        r = self.r
        s = r.choice(self.lines)[:200].translate(OUT_OF_SLOTS)
        for _ in range(r.randrange(1, 5)):
            at = r.randrange(len(s) + 1)
            kind = r.randrange(7)
            if kind == 0:
                s = s[:at] + self.character() + s[at:]
            elif kind == 1:
                s = s[:at] + s[at + r.randrange(1, 4):]
            elif kind == 2:
                s = s[:at] + s[at:at + 3] * 2 + s[at + 3:]
            elif kind == 3:
                s = s[:at] + s[at:].swapcase()
            elif kind == 4:
                s = s[:at] + s[at + 1:at + 2] + s[at:at + 1] + s[at + 2:]
            elif kind == 5:
                s = s[:at] + r.choice(SPACES) + s[at:]
            else:
                s = s[:at].upper() + s[at:]
        return s.translate(OUT_OF_SLOTS)

    def chunk(self, n):
        r, pick = self.r, self.pick
        out = []
        for _ in range(n):
            many = r.choice((1, 1, 2, 2, 3, 4, 6))
            out.append("".join([r.choice(pick)() for _ in range(many)]))
        return out


OUT_OF_SLOTS = {c: "?" for c in range(0xF700, 0xF723)}

# ---- a tokenizer and its opposite ----


def plain_offsets(source):
    """The JSON without the trimming of offsets: what a token stands for, spaces too."""
    def walk(x):
        if isinstance(x, dict):
            return {k: False if k == "trim_offsets" else walk(v) for k, v in x.items()}
        return [walk(v) for v in x] if isinstance(x, list) else x
    j = json.loads(source)
    j["post_processor"] = walk(j.get("post_processor"))
    return json.dumps(j)


def dropped_bytes(t, source):
    """The bytes without a token. Where one is dropped the package's offsets are behind from there on: they say
    nothing about such a text."""
    if '"ByteLevel"' not in json.dumps(json.loads(source).get("pre_tokenizer")) or t.model.unk_token:
        return b""
    other = iter(range(256, 512))
    shown = [b if 33 <= b < 127 or 161 <= b < 173 or 174 <= b < 256 else next(other) for b in range(256)]
    return bytes(b for b in range(256) if t.token_to_id(chr(shown[b])) is None)


def loaded(source):
    t = Tokenizer.from_str(source)
    t.no_truncation()
    t.no_padding()
    return t


def packed(ids):
    return array("I", ids).tobytes()



class Side:
    """One tokenizer: the package's, and a build/lathe that answers which cases it does differently."""

    def __init__(self, name, source, seed):
        self.name, self.r = name, random.Random(f"{seed} {name}")
        self.t = loaded(source)
        self.exact = loaded(plain_offsets(source))
        self.plain = loaded(source)
        self.plain.encode_special_tokens = True
        self.size = self.t.get_vocab_size()
        self.file = tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8", delete=False)
        self.file.write(source)
        self.file.close()
        added = [a.content for a in self.t.get_added_tokens_decoder().values()]
        common = [a for a in added if "reserved" not in a][:18] or ["<none>"]
        some = common + self.r.sample(added, min(6, len(added)))
        self.slots = {ord(s): some[i % len(some)] for i, s in enumerate(SLOTS)}
        self.dropped = dropped_bytes(self.t, source)
        around = self.t.encode("a", add_special_tokens=True).ids
        inner = self.t.encode("a", add_special_tokens=False).ids
        at = next(i for i in range(len(around)) if around[i:i + len(inner)] == inner)
        self.head, self.tail = around[:at], around[at + len(inner):]
        self.lathe, self.waiting = None, None
        self.cases = self.tokens = self.bytes = 0
        self.counts, self.found = [0] * len(WRONG), []
        self.peer_seconds = 0

    def start(self, *more):
        p = subprocess.Popen([f"{ROOT}/build/lathe", "exec", f"{HERE}/tokenizer_compare.lua", self.file.name, *more],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return p, p.stdout.readline().decode(errors="replace").strip()

    def texts(self, generic):
        r, out = self.r, []
        for s in generic:
            s = s.translate(self.slots)
            if "\uf720" in s or "\uf721" in s or "\uf722" in s:  # a token cut at its end, its start; changed
                s = self.hurt(s, r)
            out.append(s)
        return out

    @staticmethod
    def hurt(s, r):
        while "\uf720" in s:
            at = s.index("\uf720")
            s = s[:max(0, at - r.randrange(1, 4))] + s[at + 1:]
        while "\uf721" in s:
            at = s.index("\uf721")
            s = s[:at] + s[at + 1 + r.randrange(1, 3):]
        while "\uf722" in s:
            at = s.index("\uf722")
            k = min(at, r.randrange(2, 8))
            s = s[:at - k] + s[at - k:at].swapcase() + s[at + 1:]
        return s

    def given(self, ids):
        """Ids to decode: those of the text, a part, or garbled."""
        r, kind = self.r, self.r.randrange(8)
        if kind < 4 or not ids:
            return ids
        if kind < 6:
            a = r.randrange(len(ids))
            return ids[a:a + r.randrange(1, 40)]
        out = [i for i in ids[:60] if r.random() < 0.85]
        for _ in range(r.randrange(1, 4)):
            out.insert(r.randrange(len(out) + 1), r.randrange(self.size + 3))
        if kind == 7:
            r.shuffle(out)
        return out

    def ids_of(self, texts):
        """Of each text: ids, ids with special tokens, offsets or None; each text is encoded once. One in four with
        offsets, one in four with special tokens; what stands around a text is put to the others, or taken away."""
        began = time.monotonic()
        rows = [None] * len(texts)
        for i, e in zip(range(0, len(texts), 4), self.exact.encode_batch(texts[::4], add_special_tokens=False)):
            rows[i] = (e.ids, self.head + e.ids + self.tail, e.offsets)
        for i, e in zip(range(1, len(texts), 4), self.t.encode_batch_fast(texts[1::4], add_special_tokens=True)):
            ids = e.ids
            rows[i] = (ids[len(self.head):len(ids) - len(self.tail)], ids, None)
        rest = [i for i in range(len(texts)) if i % 4 > 1]
        for i, e in zip(rest, self.t.encode_batch_fast([texts[i] for i in rest], add_special_tokens=False)):
            rows[i] = (e.ids, self.head + e.ids + self.tail, None)
        self.peer_seconds += time.monotonic() - began
        return rows

    def encode(self, texts):
        """For each text its case, as bytes for Lathe."""
        rows = self.ids_of(texts)
        began = time.monotonic()
        some = range(0, len(texts), 8)
        plain = dict(zip(some, self.plain.encode_batch_fast([texts[i] for i in some], add_special_tokens=False)))
        given = [self.given(special) for _, special, _ in rows]
        decoded = self.t.decode_batch(given, skip_special_tokens=False)
        skipped = self.t.decode_batch(given, skip_special_tokens=True)
        self.peer_seconds += time.monotonic() - began
        out = []
        for i, (text, (ids, special, offsets)) in enumerate(zip(texts, rows)):
            utf8 = text.encode()
            spans = b"-"
            if offsets is not None and len(utf8.translate(None, self.dropped)) == len(utf8):
                spans = self.spans(text, utf8, offsets)
            row = (utf8, packed(ids), packed(special), packed(plain[i].ids) if i in plain else b"-", spans,
                   packed(given[i]), decoded[i].encode(), skipped[i].encode())
            out.append(b"".join([struct.pack("<I", len(b)) + b for b in row]))
            self.tokens += len(ids)
            self.bytes += len(utf8)
        return out

    @staticmethod
    def spans(text, utf8, offsets):
        flat = array("I", itertools.chain.from_iterable(offsets))
        if len(utf8) != len(text):
            at = [0]
            at += itertools.accumulate(
                [1 if c < "\x80" else 2 if c < "\u0800" else 3 if c < "\U00010000" else 4 for c in text])
            flat = array("I", [at[c] for c in flat])
        return flat.tobytes()

    def send(self, cases):
        block = b"".join(cases)
        self.lathe.stdin.write(struct.pack("<I", len(block)) + block)
        self.lathe.stdin.flush()

    def receive(self):
        """The answers to the chunk that was sent last."""
        if not self.waiting:
            return
        texts, cases = self.waiting
        self.waiting = None
        raw = self.lathe.stdout.read(2 * len(texts))
        if len(raw) < 2 * len(texts):
            raise SystemExit(f"{self.name}: lathe ended early, status {self.lathe.wait()}")
        for text, case, wrong in zip(texts, cases, struct.unpack(f"<{len(texts)}H", raw)):
            if wrong:
                for bit in range(len(WRONG)):
                    self.counts[bit] += wrong >> bit & 1
                kinds = [w for _, _, w in self.found]
                if len(self.found) < 20 or (len(self.found) < 40 and wrong not in kinds):
                    self.found.append((text, case, wrong))
        self.cases += len(texts)

    def feed(self, generic):
        texts = self.texts(generic)
        cases = self.encode(texts)
        self.receive()
        self.send(cases)
        self.waiting = (texts, cases)

    # ---- differences, made short ----

    def wrong(self, texts):
        """Which of these texts differ (encoding and decoding of their own ids), bit by bit."""
        keep, self.r = self.r, Same()
        rows = []
        for text in texts:
            rows += self.encode([text])
        self.r = keep
        self.send(rows)
        return struct.unpack(f"<{len(texts)}H", self.lathe.stdout.read(2 * len(texts)))

    def shorten(self, text, bits):
        if not self.wrong([text])[0] & bits:
            return text
        size = max(1, len(text) // 2)
        while size:
            at = 0
            while at < len(text):
                tries = [text[:a] + text[a + size:] for a in range(at, min(len(text), at + 16 * size), size)]
                hit = [i for i, w in enumerate(self.wrong(tries)) if w & bits]
                if hit:
                    text = tries[hit[0]]
                    at += hit[0] * size
                else:
                    at += 16 * size
            size //= 2
        return text

    def report(self, out):
        shower, _ = self.start("show")
        seen = set()
        for text, case, wrong in self.found:
            names = [WRONG[b] for b in range(len(WRONG)) if wrong >> b & 1]
            small = self.shorten(text, wrong) if len(text) < 20000 else text
            if (small, wrong) in seen:
                continue
            seen.add((small, wrong))
            if self.wrong([small])[0] & wrong:
                keep, self.r = self.r, Same()
                case = self.encode([small])[0]
                self.r = keep
            fields, at = [], 0
            for _ in range(8):
                n, = struct.unpack_from("<I", case, at)
                fields.append(case[at + 4:at + 4 + n])
                at += 4 + n
            shower.stdin.write(struct.pack("<I", len(case)) + case)
            shower.stdin.flush()
            line = shower.stdout.readline()
            got = json.loads(line) if line.strip() else {"error": "lathe ended"}
            number = lambda b: [] if b == b"-" else array("I", b).tolist()  # noqa: E731
            want = {"ids": number(fields[1]), "special": number(fields[2]), "plain": number(fields[3]),
                    "offsets": number(fields[4]), "decoded": fields[6].decode(), "skipped": fields[7].decode()}
            out.write(f"\n### {self.name}: {', '.join(names)}\n\ntext {json.dumps(fields[0].decode())}\n")
            if wrong & (64 | 128 | 256 | 512):
                out.write(f"decoding {number(fields[5])}\n")
            for key in got:
                if key in want and got[key] != want[key] and not (key in ("plain", "offsets") and not want[key]):
                    out.write(f"{key}\n  package {json.dumps(want[key])}\n  lathe   {json.dumps(got[key])}\n")
            if "streamed" in got and got["streamed"] != want["decoded"]:
                out.write(f"streamed\n  package {json.dumps(want['decoded'])}\n  lathe   {json.dumps(got['streamed'])}\n")
        shower.stdin.close()
        shower.wait()

    def line(self):
        wrong = ", ".join(f"{n} {WRONG[b]}" for b, n in enumerate(self.counts) if n)
        return f"{self.name}: {self.cases:,} texts, {self.bytes:,} bytes, {self.tokens:,} tokens, " \
               f"{wrong or '0 differences'}"


class Same:
    """In place of the random generator when a difference is looked at again: ids are decoded as they are."""

    @staticmethod
    def randrange(*_):
        return 0


# ---- which tokenizers ----


def variants(name, source):
    plain = json.loads(source)
    t = Tokenizer.from_str(source)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    t.add_tokens([AddedToken("<strip>", lstrip=True, rstrip=True), AddedToken("<left>", lstrip=True),
                  AddedToken("<right>", rstrip=True, normalized=False), AddedToken("Straße"), AddedToken("\u2126"),
                  AddedToken("<word>", single_word=True), AddedToken("wor", single_word=True),
                  AddedToken("<|a|>"), AddedToken("<|a|><|b|>"), AddedToken("  ", normalized=False)])
    yield name + " +added", t.to_str()
    if not (plain.get("pre_tokenizer") or {}).get("type") == "ByteLevel":
        return
    prefix = json.loads(source)
    prefix["pre_tokenizer"]["add_prefix_space"] = True
    yield name + " +prefix", json.dumps(prefix)
    whole = json.loads(source)
    whole["pre_tokenizer"]["use_regex"] = False
    yield name + " +whole", json.dumps(whole)
    for label, unk in (("missing", None), ("unknown", "!")):
        less = {k: v for k, v in plain["model"]["vocab"].items() if k not in ("e", "Ã", "Ġ", "7", "Ð")}
        model = dict(plain["model"], vocab=less, unk_token=unk, fuse_unk=bool(unk))
        split = [m.split(" ") if isinstance(m, str) else m for m in plain["model"]["merges"]]
        model["merges"] = [m for m in split if m[0] in less and m[1] in less and m[0] + m[1] in less]
        yield f"{name} +{label}", json.dumps(dict(plain, model=model))


def sides(args):
    paths = args.tokenizers
    if not paths:
        base = f"{ROOT}/../shared/conformance"
        paths = [f"{base}/{room}/{name}" for room in ("tokenizers", "more_tokenizers")
                 for name in sorted(os.listdir(f"{base}/{room}")) if os.path.isdir(f"{base}/{room}/{name}")]
    for path in paths:
        path = path if os.path.isfile(path) else path + "/tokenizer.json"
        name = os.path.basename(os.path.dirname(os.path.abspath(path)))
        with open(path, encoding="utf-8") as f:
            source = f.read()
        yield name, source
        if args.variants:
            yield from variants(name, source)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("tokenizers", nargs="*", metavar="TOKENIZER")
    p.add_argument("--count", type=int, default=10000, help="texts a tokenizer")
    p.add_argument("--seed", default="1")
    p.add_argument("--text", action="append", default=[], metavar="FILE", help="real text to take fragments from")
    p.add_argument("--report", metavar="FILE", help="where differences are written (default: standard output)")
    p.add_argument("--variants", action="store_true")
    args = p.parse_args()
    print(f"tokenizers {tokenizers.__version__}, {args.count:,} texts a tokenizer, seed {args.seed}", flush=True)
    running = []
    for name, source in sides(args):
        side = Side(name, source, args.seed)
        side.lathe, answer = side.start()
        if answer != "loaded":
            print(f"{name}: {answer.replace(side.file.name + ': ', '')}", flush=True)
            os.unlink(side.file.name)
            continue
        running.append(side)
    texts, done, began, stop = Texts(args.seed, args.text), 0, time.monotonic(), []
    signal.signal(signal.SIGINT, lambda *_: stop.append(True))  # what was done until then is reported
    while running and done < args.count and not stop:
        generic = texts.chunk(min(CHUNK, args.count - done))
        for side in running:
            side.feed(generic)
        done += len(generic)
        if sys.stderr.isatty() or done % (10 * CHUNK) == 0:
            spent = time.monotonic() - began
            wrong = sum(sum(s.counts) for s in running)
            print(f"  {done:,}/{args.count:,}  {spent:.0f} s, the package {sum(s.peer_seconds for s in running):.0f} s, "
                  f"{wrong} differences", file=sys.stderr, flush=True)
    out = open(args.report, "w", encoding="utf-8") if args.report else sys.stdout
    total = 0
    for side in running:
        side.receive()
        total += sum(side.counts)
        print(side.line(), flush=True)
    for side in running:
        if args.report:
            out.write(side.line() + "\n")
        if side.found:
            side.report(out)
        side.lathe.stdin.close()
        side.lathe.wait()
        os.unlink(side.file.name)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main())
