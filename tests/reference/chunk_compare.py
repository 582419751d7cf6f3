# SPDX-License-Identifier: MIT
"""Random documents and parameters for LangChain's Python splitters, with what they give.

    python tests/reference/chunk_compare.py 20000 7 > cases.jsonl       (how many, seed)
    build/lathe exec tests/reference/chunk_compare.lua cases.jsonl      (compares; prints differences)

    python tests/reference/chunk_compare.py --keep > tests/text/langchain.jsonl   (the committed values)

Made with langchain-text-splitters 1.1.3 under Python 3.11. One case a line: {text, class, language,
params, chunks}; params as the constructor has them. Recursive, Character, from_language for all its
languages, Markdown, Latex, Python; kept separators at the start, at the end and not; regular
expressions; length functions (characters, bytes).
"""
import json
import logging
import random
import re
import sys

from langchain_text_splitters import (CharacterTextSplitter, Language, LatexTextSplitter, MarkdownTextSplitter,
                                      RecursiveCharacterTextSplitter)

logging.disable(logging.WARNING)

WORDS = ["a", "of", "the", "word", "Größe", "naïve", "日本語", "中", "данные", "é", "e\u0301", "😀", "👩\u200d💻", "x-y", "3.14",
         "longerword" * 3, "supercalifragilistic" * 4, "。", "、", "|", ",", ";", "a|b"]
SPACES = [" ", " ", " ", " ", "  ", "\n", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\t", "\u00a0", "\u3000", "\x1c", "\x85", "\ufeff",
          "\u2028", ""]
MARKS = ["\n# ", "\n## ", "\n### x\n", "```\n", "\n***\n", "\n----\n", "\n___\n", "\n===\n", "\n.. code:: c\n\n", "\n\n.. x  \n\n", "<div>", "<p", "<li>",
         "$", "$$", "\n\\section{", "\n\\begin{enumerate}", "\n\\begin{align}", "\nPrivate Sub X()\n", "\nEnd Sub\n",
         "\nPublic   Function F\n", "\nsetClass(", "\nlibrary(", "\nIF ", "\n= {"]


def language_marks():
    marks = set(MARKS)
    for language in Language:
        try:
            for s in RecursiveCharacterTextSplitter.get_separators_for_language(language):
                if s and not re.search(r"[\\+*{(.]", s):
                    marks.add(s)
        except ValueError:
            pass
    return sorted(marks)


ALL_MARKS = language_marks()


def text(rng):
    n = rng.choice([0, 1, 3, 10, 40, 150, 400])
    some = rng.sample(ALL_MARKS, 12) + MARKS[:4]
    out = []
    for _ in range(n):
        out.append(rng.choice(WORDS))
        out.append(rng.choice(SPACES))
        if rng.random() < 0.15:
            out.append(rng.choice(some))
    return "".join(out)


LISTS = [None, None, ["\n\n", "\n", " ", ""], ["\n\n", "\n", " "], ["\n"], [" "], [""], ["。", "、", " ", ""], ["|", ",", " "], ["\n\n", ""],
         ["ab", "a"], [";", "\n", "zz"], ["\n\n\n", "\n\n"], ["aa", "a", ""]]
REGEXES = [["\\n+", "\\s", ""], ["(?<=[.。])", " "], ["(?=[A-Z])", ""], ["\\d+", "[,;|]", " "], ["$", ""], ["\\b", ""], ["\\s*", ""],
           ["\n#{1,6} ", "(?:a|b)+", " ", ""], ["^", " "], ["x?", ""], ["\\w+", " "]]
CHARACTER = ["\n\n", "\n", " ", "", "。", "|", "ab", "a"]
CHARACTER_REGEX = ["\\n+", "(?<=。)", "(?=[A-Z])", "\\s", "(?!a)", "\\s*", "[,;|]"]


def length_of(name):
    return {"characters": len, "bytes": lambda s: len(s.encode())}[name]


def case(rng):
    size = rng.choice([1, 2, 3, 5, 8, 10, 20, 40, 64, 100, 200, 1000])
    params = {"chunk_size": size, "chunk_overlap": rng.choice([0, 0, size // 5, size // 2, max(0, size - 1), size])}
    if rng.random() < 0.5:
        params["keep_separator"] = rng.choice([True, False, "start", "end"])
    if rng.random() < 0.2:
        params["strip_whitespace"] = False
    unit = rng.choice(["characters", "characters", "bytes"])
    kind, language = rng.choice(["recursive", "recursive", "character", "language", "language", "markdown", "latex"]), None
    if kind == "recursive":
        if rng.random() < 0.3:
            params["separators"], params["is_separator_regex"] = rng.choice(REGEXES), True
        else:
            params["separators"] = rng.choice(LISTS)
        make = RecursiveCharacterTextSplitter
    elif kind == "character":
        if rng.random() < 0.4:
            params["separator"], params["is_separator_regex"] = rng.choice(CHARACTER_REGEX), True
        else:
            params["separator"] = rng.choice(CHARACTER)
        make = CharacterTextSplitter
    elif kind == "language":
        language = rng.choice([x for x in Language if has_list(x)])

        def make(**k):
            return RecursiveCharacterTextSplitter.from_language(language, **k)
    else:
        make = MarkdownTextSplitter if kind == "markdown" else LatexTextSplitter
    s = text(rng)
    chunks = make(length_function=length_of(unit), **params).split_text(s)
    return {"text": s, "class": kind, "language": language and language.value, "unit": unit, "params": params, "chunks": chunks}


def has_list(language):
    try:
        return bool(RecursiveCharacterTextSplitter.get_separators_for_language(language))
    except ValueError:
        return False


def main():
    keep = sys.argv[1] == "--keep"
    count, seed = (150, 1) if keep else (int(sys.argv[1]), int(sys.argv[2]))
    rng, written = random.Random(seed), 0
    while written < count:
        c = case(rng)
        if keep and (len(c["text"]) > 200 or len(c["text"]) < 20):
            continue
        print(json.dumps(c, ensure_ascii=False))
        written += 1


main()
