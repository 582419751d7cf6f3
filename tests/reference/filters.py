# SPDX-License-Identifier: MIT
"""What datatrove's filters decide, document by document, for tests/reference/filters.lua to compare with ours.

    python3 filters.py make N OUT.jsonl [CORPUS.jsonl]      N real (from CORPUS) and N random documents
    python3 filters.py decide IN.jsonl OUT.jsonl ours|spacy

Needs datatrove 0.10.1 and, for `spacy`, spacy 3.8 (its English tokenizer is datatrove's). With `ours` datatrove's
filters run on our word rule (engine/text/quality.h), written here once more, so that everything but the
tokenizer is compared exactly.
"""

import json
import random
import sys
import unicodedata


def is_word(c):
    return c == "_" or unicodedata.category(c)[0] in "LMN"


def our_words(text):
    words, i, n = [], 0, len(text)
    while i < n:
        c = text[i]
        if c.isspace():
            i += 1
        elif is_word(c):
            j = i + 1
            while j < n and (is_word(text[j]) or (text[j] in "'\u2019.,:@" and j + 1 < n and is_word(text[j + 1]))):
                j += 1
            words.append(text[i:j])
            i = j
        else:
            j = i + 1
            while j < n and text[j] == c:
                j += 1
            words.append(text[i:j])
            i = j
    return words


def random_text(rng):
    alphabet = rng.choice(["ab c.", "ab cd.#-…\n", "one two, three\n\n", "äß漢 字。\n•-", "a.b'c:d@e f_1,2\r\n", "x{} .\"'!?[1]\n"])
    kind = rng.random()
    if kind < 0.4:
        return "".join(rng.choice(alphabet) for _ in range(rng.randrange(0, 3000)))
    vocabulary = ["the", "be", "to", "of", "and", "line", "Word", "…", "...", "#", "-", "•", "12", "don't", "x.y", "JavaScript",
                  "cookies", "privacy policy", "lorem ipsum", "{", "[3]", "[edit]", "é", "naïve", "end.", "end!", "\u2028", "\t"]
    pick = [rng.choice(vocabulary) for _ in range(rng.randrange(2, len(vocabulary)))]
    out = []
    for _ in range(rng.randrange(1, 700)):
        out.append(rng.choice(pick))
        out.append(rng.choice([" "] * 12 + ["\n", "\n\n", ". ", ".\n", "...\n", "?\r\n"]))
    if rng.random() < 0.3:  # repetition
        k = rng.randrange(0, len(out))
        out += out[k : k + rng.randrange(1, 60)] * rng.randrange(1, 9)
    return "".join(out)


def make(n, path, corpus):
    rng = random.Random(20240601)
    with open(path, "w", encoding="utf-8") as out:
        if corpus:
            lines = open(corpus, encoding="utf-8").readlines()
            for line in rng.sample(lines, min(n, len(lines))):
                text = json.loads(line)["text"]
                at = rng.randrange(0, max(1, len(text) - 8000))
                out.write(json.dumps({"text": text[at : at + rng.randrange(200, 8000)]}) + "\n")
        for _ in range(n):
            out.write(json.dumps({"text": random_text(rng)}) + "\n")


def decide(source, target, words):
    from datatrove.data import Document
    from datatrove.pipeline.filters import C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
    from datatrove.pipeline.filters import fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter, c4_filters

    if words == "ours":
        for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
            module.split_into_words = lambda text, language=None: our_words(text)
        c4_filters.split_into_sentences = lambda text, language=None: [text]
    filters = {"gopher": GopherQualityFilter(), "gopher_repetition": GopherRepetitionFilter(),
               "fineweb": FineWebQualityFilter(), "c4": C4QualityFilter(min_num_sentences=5 if words == "spacy" else -1)}
    with open(target, "w", encoding="utf-8") as out:
        for number, line in enumerate(open(source, encoding="utf-8")):
            text, decisions = json.loads(line)["text"], {}
            for name, f in filters.items():
                document = Document(text=text, id=str(number))
                try:
                    result = f.filter(document)
                except ZeroDivisionError:  # no words, no lines
                    result = (False, "nothing")
                decisions[name] = "pass" if result is True else result[1]
                if name == "c4" and result is True:
                    decisions["text"] = document.text
            out.write(json.dumps(decisions) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(int(sys.argv[2]), sys.argv[3], sys.argv[4] if len(sys.argv) > 4 else None)
    else:
        decide(sys.argv[2], sys.argv[3], sys.argv[4])
