#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes engine/tokenizer/categories.inc: what the Python package `tokenizers` knows about each
character, asked one character at a time through its public interface; no table of any library is
read. For \\p{...} and [[:...:]] in the regular expressions of Split: general category, script, some
binary properties; for the pre-tokenizers that take no pattern: what Digits, Punctuation, Whitespace
and WhitespaceSplit see. And case folding in (?i:...): which characters stand for each other, and
which stand for several (U+00DF and "ss").

    python3 tests/reference/tokenizer_categories.py > engine/tokenizer/categories.inc

Takes about ten minutes.
"""
import sys
import unicodedata
import tokenizers
from tokenizers import Regex, pre_tokenizers as pt

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
BATCHES = [SCALARS[at:at + 8192] for at in range(0, len(SCALARS), 8192)]

CATEGORIES = ("Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp "
              "Cc Cf Co Cn").split()
GROUPS = {"L": "L", "M": "M", "N": "N", "P": "P", "S": "S", "Z": "Z", "C": "C"}
LONG = {
    "Letter": "L", "Uppercase_Letter": "Lu", "Lowercase_Letter": "Ll", "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm", "Other_Letter": "Lo", "Mark": "M", "Combining_Mark": "M",
    "Nonspacing_Mark": "Mn", "Spacing_Mark": "Mc", "Enclosing_Mark": "Me", "Number": "N",
    "Decimal_Number": "Nd", "Letter_Number": "Nl", "Other_Number": "No", "Punctuation": "P",
    "Connector_Punctuation": "Pc", "Dash_Punctuation": "Pd", "Open_Punctuation": "Ps",
    "Close_Punctuation": "Pe", "Initial_Punctuation": "Pi", "Final_Punctuation": "Pf",
    "Other_Punctuation": "Po", "Symbol": "S", "Math_Symbol": "Sm", "Currency_Symbol": "Sc",
    "Modifier_Symbol": "Sk", "Other_Symbol": "So", "Separator": "Z", "Space_Separator": "Zs",
    "Line_Separator": "Zl", "Paragraph_Separator": "Zp", "Other": "C", "Control": "Cc",
    "Format": "Cf", "Private_Use": "Co", "Unassigned": "Cn"}
SCRIPTS = """Adlam=Adlm Ahom Anatolian_Hieroglyphs=Hluw Arabic=Arab Armenian=Armn Avestan=Avst
Balinese=Bali Bamum=Bamu Bassa_Vah=Bass Batak=Batk Bengali=Beng Bhaiksuki=Bhks Bopomofo=Bopo
Brahmi=Brah Braille=Brai Buginese=Bugi Buhid=Buhd Canadian_Aboriginal=Cans Carian=Cari
Caucasian_Albanian=Aghb Chakma=Cakm Cham Cherokee=Cher Chorasmian=Chrs Common=Zyyy Coptic=Copt
Cuneiform=Xsux Cypriot=Cprt Cypro_Minoan=Cpmn Cyrillic=Cyrl Deseret=Dsrt Devanagari=Deva
Dives_Akuru=Diak Dogra=Dogr Duployan=Dupl Egyptian_Hieroglyphs=Egyp Elbasan=Elba Elymaic=Elym
Ethiopic=Ethi Garay=Gara Georgian=Geor Glagolitic=Glag Gothic=Goth Grantha=Gran Greek=Grek
Gujarati=Gujr Gunjala_Gondi=Gong Gurmukhi=Guru Gurung_Khema=Gukh Han=Hani Hangul=Hang
Hanifi_Rohingya=Rohg Hanunoo=Hano Hatran=Hatr Hebrew=Hebr Hiragana=Hira Imperial_Aramaic=Armi
Inherited=Zinh Inscriptional_Pahlavi=Phli Inscriptional_Parthian=Prti Javanese=Java Kaithi=Kthi
Kannada=Knda Katakana=Kana Kawi Kayah_Li=Kali Kharoshthi=Khar Khitan_Small_Script=Kits Khmer=Khmr
Khojki=Khoj Khudawadi=Sind Kirat_Rai=Krai Lao=Laoo Latin=Latn Lepcha=Lepc Limbu=Limb Linear_A=Lina
Linear_B=Linb Lisu Lycian=Lyci Lydian=Lydi Mahajani=Mahj Makasar=Maka Malayalam=Mlym Mandaic=Mand
Manichaean=Mani Marchen=Marc Masaram_Gondi=Gonm Medefaidrin=Medf Meetei_Mayek=Mtei
Mende_Kikakui=Mend Meroitic_Cursive=Merc Meroitic_Hieroglyphs=Mero Miao=Plrd Modi Mongolian=Mong
Mro=Mroo Multani=Mult Myanmar=Mymr Nabataean=Nbat Nag_Mundari=Nagm Nandinagari=Nand
New_Tai_Lue=Talu Newa Nko=Nkoo Nushu=Nshu Nyiakeng_Puachue_Hmong=Hmnp Ogham=Ogam Ol_Chiki=Olck
Ol_Onal=Onao Old_Hungarian=Hung Old_Italic=Ital Old_North_Arabian=Narb Old_Permic=Perm
Old_Persian=Xpeo Old_Sogdian=Sogo Old_South_Arabian=Sarb Old_Turkic=Orkh Old_Uyghur=Ougr
Oriya=Orya Osage=Osge Osmanya=Osma Pahawh_Hmong=Hmng Palmyrene=Palm Pau_Cin_Hau=Pauc Phags_Pa=Phag
Phoenician=Phnx Psalter_Pahlavi=Phlp Rejang=Rjng Runic=Runr Samaritan=Samr Saurashtra=Saur
Sharada=Shrd Shavian=Shaw Siddham=Sidd SignWriting=Sgnw Sinhala=Sinh Sogdian=Sogd
Sora_Sompeng=Sora Soyombo=Soyo Sundanese=Sund Sunuwar=Sunu Syloti_Nagri=Sylo Syriac=Syrc
Tagalog=Tglg Tagbanwa=Tagb Tai_Le=Tale Tai_Tham=Lana Tai_Viet=Tavt Takri=Takr Tamil=Taml Tangsa=Tnsa
Tangut=Tang Telugu=Telu Thaana=Thaa Thai Tibetan=Tibt Tifinagh=Tfng Tirhuta=Tirh Todhri=Todr Toto
Tulu_Tigalari=Tutg Ugaritic=Ugar Unknown=Zzzz Vai=Vaii Vithkuqi=Vith Wancho=Wcho Warang_Citi=Wara
Yezidi=Yezi Yi=Yiii Zanabazar_Square=Zanb""".split()
BRACKETS = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()
PROPERTIES = """Any Assigned LC Cased_Letter Alnum Alpha ASCII Blank Cntrl Digit Graph Lower Print Punct
Space Upper Word XDigit Alphabetic Lowercase Uppercase White_Space Ideographic Emoji
Emoji_Presentation Emoji_Component Emoji_Modifier Emoji_Modifier_Base
Extended_Pictographic""".split()
ESCAPES = "dswh"


def removed(step):
    found = set()
    for batch in BATCHES:
        left = set()
        for piece, _ in step.pre_tokenize_str("".join(map(chr, batch))):
            left.update(map(ord, piece))
        found.update(c for c in batch if c not in left)
    return found


def matching(pattern):
    return removed(pt.Split(Regex(pattern), "removed"))


def ask():
    sets = {}
    for name in CATEGORIES:
        sets[name] = matching(r"\p{%s}" % name)
    for group in GROUPS:
        union = set().union(*(sets[c] for c in CATEGORIES if c[0] == group))
        assert matching(r"\p{%s}" % group) == union, group
    assert sum(len(sets[c]) for c in CATEGORIES) == len(SCALARS)
    for long, short in LONG.items():
        union = set().union(*(sets[c] for c in CATEGORIES if c.startswith(short)))
        assert matching(r"\p{%s}" % long) == union, long
    scripts = {}
    for entry in SCRIPTS:
        long, _, short = entry.partition("=")
        try:
            Regex(r"\p{%s}" % long)
        except Exception:
            print("not known to the package:", long, file=sys.stderr)
            continue
        scripts[entry] = matching(r"\p{%s}" % long)
        if short:
            assert len(matching(r"\p{%s}" % short) ^ scripts[entry]) == 0, short
    assert sum(map(len, scripts.values())) == len(SCALARS), "scripts are not a partition"
    named = {"\\" + c: matching("\\" + c) for c in ESCAPES}
    named.update((":" + name, matching("[[:%s:]]" % name)) for name in BRACKETS)
    named.update((name, matching(r"\p{%s}" % name)) for name in PROPERTIES)
    return sets, scripts, named


def ask_steps():
    found = {"DIGITS": set(), "RUST_WORD": set()}
    digits, words = pt.Digits(individual_digits=True), pt.Whitespace()
    for batch in BATCHES:
        text = "".join("a" + chr(c) for c in batch)
        found["DIGITS"].update(ord(p) for p, _ in digits.pre_tokenize_str(text)
                               if len(p) == 1 and p != "a")
        text = "".join("a" + chr(c) + " " for c in batch)
        joined = {start // 3 for _, (start, end) in words.pre_tokenize_str(text)
                  if end - start == 2 and start % 3 == 0}
        found["RUST_WORD"].update(batch[i] for i in joined)
    found["PUNCTUATION"] = removed(pt.Punctuation("removed"))
    found["GAP"] = removed(pt.WhitespaceSplit())
    found["RUST_SPACE"] = removed(pt.Whitespace())
    bert = pt.BertPreTokenizer()
    for batch in BATCHES:
        pieces = bert.pre_tokenize_str("".join("a" + chr(c) + "a" for c in batch))
        at, pieces = 0, dict((start, end) for _, (start, end) in pieces)
        for i, c in enumerate(batch):
            cut = 3 * i + 2 in pieces
            assert cut == (c in found["PUNCTUATION"] or c in found["GAP"]), hex(c)
    return found


def ask_scripts():
    """UnicodeScripts: runs of characters of one script as it sees them; 0 for those without one,
    which cut nothing and, at the beginning of a text, vanish."""
    step = pt.UnicodeScripts()
    lone = []
    for batch in BATCHES:
        lone += [c for c in batch if step.pre_tokenize_str(chr(c))]
    starts = set()
    for at in range(0, len(lone), 4096):
        part = lone[max(at - 1, 0):at + 4096]
        starts.update(ord(p[0]) for p, _ in step.pre_tokenize_str("".join(map(chr, part)))
                      if ord(p[0]) != part[0] or not at)
    reps, runs, some = [], [], set(lone)
    kind = 0
    for c in SCALARS:
        if c not in some:
            now = 0
        elif c not in starts and runs:
            now = last
        else:
            now = next((i + 1 for i, rep in enumerate(reps)
                        if len(step.pre_tokenize_str(chr(rep) + chr(c))) == 1), 0)
            if not now:
                reps.append(c)
                now = len(reps)
        if now:
            last = now
        if now != kind or not runs:
            runs.append((c, now))
            kind = now
    assert len(reps) < 256
    return runs


def folds(everything):
    """Single characters that (?i:) takes for each other; characters that stand for several."""
    touched = set()
    text = "".join(map(chr, everything))
    for at in range(0, len(everything), 2048):
        batch = everything[at:at + 2048]
        cls = "".join("\\x{%x}" % c for c in batch)
        left = "".join(p for p, _ in pt.Split(Regex(f"(?i:[{cls}])"), "removed")
                       .pre_tokenize_str(text))
        gone = set(text) - set(left)
        extra = {ord(c) for c in gone} - set(batch)
        touched.update(extra)
        one = "".join("\\x{%x}" % c for c in extra)
        if extra:  # who in the batch called them
            called = pt.Split(Regex(f"(?i:[{one}])"), "removed").pre_tokenize_str(
                "".join(map(chr, batch)))
            touched.update(set(batch) - {ord(c) for p, _ in called for c in p})
    # within a batch the partner may be hidden: the candidates of Unicode's own mappings
    for c in everything:
        ch = chr(c)
        others = {ch.lower(), ch.upper(), ch.title(), ch.casefold()} - {ch}
        if others:
            touched.add(c)
            touched.update(ord(o) for o in others if len(o) == 1)
    order = sorted(touched)
    text = "\n".join(map(chr, order))
    groups, several = {}, {}
    for c in order:
        hits = {ord(p) for p, (a, b) in pt.Split(Regex("(?i:\\x{%x})" % c), "isolated")
                .pre_tokenize_str(text) if b - a == 1 and p != "\n"}
        near = pt.Split(Regex("(?i:\\x{%x})" % c), "removed").pre_tokenize_str(text)
        left = {ord(x) for p, _ in near for x in p}
        hits = {x for x in order if x not in left}
        assert c in hits, hex(c)
        if len(hits) > 1:
            groups[c] = frozenset(hits)
        long = chr(c).casefold()
        if len(long) > 1:
            for x in {long, chr(c).upper(), chr(c).lower(), chr(c).title()}:
                if len(x) > 1:
                    got = pt.Split(Regex("(?i:\\x{%x})" % c), "removed").pre_tokenize_str(x)
                    back = pt.Split(Regex("(?i:%s)" % "".join("\\x{%x}" % ord(y) for y in x)),
                                    "removed").pre_tokenize_str(chr(c))
                    if not got or not back:
                        several.setdefault(c, []).append((x, not got, not back))
    for c, group in groups.items():
        for d in group:
            assert groups[d] == group, (hex(c), hex(d))
    return groups, several


def rows(values, per_line=12):
    for at in range(0, len(values), per_line):
        print("  " + ",".join(values[at:at + per_line]) + ",")


def main():
    sets, scripts, named = ask()
    flags = ask_steps()
    flagged = {frozenset(v): k for k, v in flags.items()}

    def express(wanted):
        mask = [i for i, name in enumerate(CATEGORIES) if sets[name] <= wanted]
        if sum(len(sets[CATEGORIES[i]]) for i in mask) == len(wanted):
            return sum(1 << i for i in mask), None
        key = frozenset(wanted)
        if key not in flagged:
            flagged[key] = f"FLAG{len(flagged)}"
            flags[flagged[key]] = wanted
        return 0, flagged[key]

    expressed = {name: express(wanted) for name, wanted in named.items()}
    names = list(flags)
    category = {c: i for i, name in enumerate(CATEGORIES) for c in sets[name]}
    script = {c: i for i, name in enumerate(scripts) for c in scripts[name]}
    bits = {c: 0 for c in SCALARS}
    for i, name in enumerate(names):
        for c in flags[name]:
            bits[c] |= 1 << i
    kinds, runs, last = {}, [], None
    for c in SCALARS:
        kind = (category[c], script[c], bits[c])
        if kind != last:
            runs.append((c, kinds.setdefault(kind, len(kinds))))
            last = kind
    assert len(kinds) <= 2048 and len(names) <= 32
    rare = sets["Cn"] | sets["Co"]
    groups, several = folds([c for c in SCALARS if c not in rare])
    print("/* SPDX-License-Identifier: MIT */")
    print(f"/* Made by tests/reference/tokenizer_categories.py from tokenizers {tokenizers.__version__}.")
    print(f" * {len(runs)} runs of characters of {len(kinds)} kinds; {len(groups)} characters that fold")
    print(" * with others. A run: its first character << 11 | its kind. */")
    print("/* clang-format off */")
    print("enum {")
    rows([f"CATEGORY_{c.upper()}" for c in CATEGORIES], 10)
    print("  CATEGORIES\n};")
    print("enum {")
    rows([f"IS_{n} = {1 << i:#x}" for i, n in enumerate(names)], 4)
    print("};")
    print(f"static const uint32_t category_runs[{len(runs)}] = {{")
    rows([str(c << 11 | k) for c, k in runs], 10)
    print("};")
    print(f"static const struct category_kind category_kinds[{len(kinds)}] = {{")
    rows(["{%d,%d,%#x}" % k for k in kinds], 6)
    print("};")
    entries = []
    for i, c in enumerate(CATEGORIES):
        entries.append((c, 1 << i, -1, 0))
    for group in GROUPS:
        entries.append((group, sum(1 << i for i, c in enumerate(CATEGORIES) if c[0] == group), -1, 0))
    for long, short in LONG.items():
        entries.append((long, sum(1 << i for i, c in enumerate(CATEGORIES) if c.startswith(short)),
                        -1, 0))
    for i, entry in enumerate(scripts):
        for name in filter(None, entry.split("=")):
            entries.append((name, 0, i, 0))
    for name, (mask, flag) in expressed.items():
        entries.append((name, mask, -1, 1 << names.index(flag) if flag else 0))
    flat = sorted((n.lower().replace("_", ""), a, b, f) for n, a, b, f in entries)
    print(f"static const struct category_name category_names[{len(flat)}] = {{")
    rows(['{"%s",%#x,%d,%#x}' % (e[0].replace("\\", "\\\\"), *e[1:]) for e in flat], 3)
    print("};")
    scripts_seen = ask_scripts()
    print("/* Of UnicodeScripts: first character << 8 | script; 0: none. */")
    print(f"static const uint32_t script_runs[{len(scripts_seen)}] = {{")
    rows([str(c << 8 | k) for c, k in scripts_seen], 10)
    print("};")
    done, lines = set(), []
    for c in sorted(groups):
        if c in done:
            continue
        done.update(groups[c])
        lines.append("{" + ",".join("%#x" % d for d in sorted(groups[c])) + "}")
    print("/* Characters that stand for each other in (?i:…). */")
    print(f"static const uint32_t fold_groups[{len(lines)}][4] = {{")
    rows(lines, 6)
    print("};")
    print("/* Characters that stand for two or three in (?i:…): these, by their groups' first. */")
    several = sorted((c, max(x[0] for x in v)) for c, v in several.items())
    print(f"static const uint32_t fold_several[{len(several)}][4] = {{")
    rows(["{%#x,%s}" % (c, ",".join("%#x" % min(groups.get(ord(x), {ord(x)})) for x in chr(c).casefold())) for c, _ in several], 5)
    print("};")
    print("/* clang-format on */")


main()
