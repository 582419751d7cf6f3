#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Compares tokenizers read from other files than tokenizer.json with the programs those files are for.

    python3 tests/reference/tokenizer_files.py [--count N] [--seed S] [--text FILE …] [--report FILE]
                                               [--via-package] [NAME …]

    tiktoken        rank files, made again from Llama 3.2's and GPT-2's vocabulary: llama3, cl100k_base,
                    r50k_base and p50k_base have the published files' own SHA-256
    sentencepiece   tokenizer.model: Llama 2's, Mixtral's, Mistral v0.3's and Phi-3's, made again from their
                    tokenizer.json, and models trained here
    llama.cpp       GGUF files with a vocabulary only, written by build/lathe from the conformance tokenizers,
                    read by llama.cpp and, again, by build/lathe
    transformers    its conversion of the same SentencePiece models

The texts are tokenizer_compare.py's. Where the peer knows no special tokens in a text (sentencepiece) ours
are asked for plain text. --via-package gives our tokenizer.json to the package `tokenizers` instead of to
build/lathe: what the conversion is worth, whatever the encoder does. NAME picks cases by a part of the name.

With --count 100000 --seed 7 and 68 MB of real text (tokenizers 0.23.3, tiktoken 0.14.0, sentencepiece 0.2.3,
transformers 5.23.0, llama-cpp-python 0.3.36), 2026-11-21: no difference in any of the ten cases of tiktoken (32 million
tokens), the eight of sentencepiece (27 million), and the trained model of transformers.
llama.cpp, sixteen vocabularies, --count 20000 --seed 9: the kinds of difference named in doc/tokenizers.md, no other.
"""
import argparse
import base64
import hashlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from tokenizer_compare import ROOT, SLOTS, Texts  # noqa: E402
import tokenizers  # noqa: E402
from tokenizers import Tokenizer, normalizers  # noqa: E402

DATA = os.path.join(os.path.dirname(ROOT), "shared", "conformance")
CL100K = ("(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
          "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")


def lathe(*arguments, stdin=None):
    done = subprocess.run([f"{ROOT}/build/lathe", "exec", f"{HERE}/tokenizer_files.lua", *arguments],
                          input=stdin, stdout=subprocess.PIPE, check=False)
    if done.returncode:
        sys.exit(f"build/lathe: {done.stdout.decode(errors='replace')}")
    return done.stdout


class Ours:
    """A tokenizer that build/lathe reads from a file."""

    def __init__(self, path, via_package, options="{}"):
        self.path, self.options = path, options
        began = time.monotonic()
        self.json = lathe("json", path, options).decode()
        self.seconds = time.monotonic() - began
        self.package = None
        if via_package:
            self.package = Tokenizer.from_str(self.json)

    def encode(self, texts, plain):
        if self.package:
            self.package.encode_special_tokens = plain
            return [e.ids for e in self.package.encode_batch_fast(texts, add_special_tokens=False)]
        with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as f:
            f.write(self.json)
            f.flush()
            out = lathe("encode", f.name, "plain" if plain else "special",
                        stdin="".join(json.dumps({"text": t}) + "\n" for t in texts).encode())
        return [json.loads(line) for line in out.splitlines()]


# ---- tiktoken ----

def alphabet():
    plain = [b for b in range(256) if 33 <= b <= 126 or b >= 161 and b != 173]
    others = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(others)}


def ranks(name):
    with open(f"{DATA}/tokenizers/{name}/tokenizer.json", encoding="utf-8") as f:
        t = json.load(f)
    added = {a["content"] for a in t["added_tokens"]}
    a = alphabet()
    return sorted((i, bytes(a[c] for c in s)) for s, i in t["model"]["vocab"].items() if s not in added)


def rank_file(list_):
    return b"".join(base64.b64encode(b) + b" %d\n" % i for i, b in list_)


def tiktoken_cases(folder):
    import tiktoken
    import tiktoken_ext.openai_public as public
    llama, gpt2, qwen = ranks("llama-3.2"), ranks("gpt2"), ranks("qwen2.5")
    spaces = [(50257 + i, b" " * (i + 2)) for i in range(24)]
    files = {"llama3": llama, "cl100k_base": llama[:100256], "r50k_base": gpt2, "p50k_base": gpt2 + spaces, "qwen2": qwen}
    for name, list_ in files.items():
        data = rank_file(list_)
        path = f"{folder}/{name}.tiktoken"
        with open(path, "wb") as f:
            f.write(data)
        if name in ("llama3", "qwen2"):
            pattern = CL100K if name == "llama3" else CL100K.replace("{1,3}", "")
        else:  # the package's own, without its download
            public.load_tiktoken_bpe = lambda *_, **__: {}
            encoding = getattr(public, name)()
            pattern = encoding["pat_str"]

        def peer(path_, pattern=pattern, list_=list_, name=name):
            ours = json.loads(lathe("json", path_, "{}").decode())
            special = {a["content"]: a["id"] for a in ours["added_tokens"]}
            if name in ("cl100k_base", "r50k_base", "p50k_base"):
                assert special == getattr(public, name)()["special_tokens"], name
            e = tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks={b: i for i, b in list_}, special_tokens=special)

            def nfc(t):  # the package's, which follows an older Unicode than Python's
                return normalizers.NFC().normalize_str(t) if name == "qwen2" else t
            return (lambda ts: [e.encode(nfc(t), allowed_special="all") for t in ts],
                    lambda ts: [e.encode_ordinary(nfc(t)) for t in ts])
        yield f"tiktoken {name}", path, peer, hashlib.sha256(data).hexdigest()[:16]


# ---- sentencepiece ----

def rebuilt(name, folder):
    """A model whose conversion is that tokenizer.json."""
    from sentencepiece import sentencepiece_model_pb2 as pb
    with open(f"{DATA}/{name}/tokenizer.json", encoding="utf-8") as f:
        t = json.load(f)
    vocab, first = t["model"]["vocab"], {}
    for i, m in enumerate(t["model"]["merges"]):
        left, right = m.split(" ") if isinstance(m, str) else m
        first.setdefault(vocab[left + right], i)
    order = {token: i for i, token in enumerate(sorted(first, key=first.get))}
    last = {vocab["".join(m.split(" ") if isinstance(m, str) else m)]: i for i, m in enumerate(t["model"]["merges"])}
    ends, tied = 0, set()  # results whose merges stand among others' have one score
    for token in sorted(first, key=first.get):
        if first[token] < ends:
            tied |= {token, before}
        ends, before = max(ends, last[token]), token
    special = {a["id"]: a["content"] for a in t["added_tokens"]}
    m = pb.ModelProto()
    for token, i in sorted(vocab.items(), key=lambda x: x[1]):
        p = m.pieces.add()
        p.piece = token
        byte = len(token) == 6 and token.startswith("<0x") and token.endswith(">")
        p.type = 2 if i == 0 else 3 if i in special else 6 if byte else 1
        p.score = 0.0 if p.type != 1 else -1e9 if i in tied else -float(order.get(i, 1000000 + i))
    m.trainer_spec.model_type = 2
    m.trainer_spec.byte_fallback = True
    m.normalizer_spec.name = "identity"
    m.normalizer_spec.remove_extra_whitespaces = False
    path = f"{folder}/{os.path.basename(name)}.model"
    with open(path, "wb") as f:
        f.write(m.SerializeToString())
    return path


def vocabulary(lines):
    """As many pieces as the texts allow."""
    return 8000 if len(lines) > 10000 else 1200


def trained(name, folder, lines, **options):
    import sentencepiece
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", normalization_rule_name="identity",
        minloglevel=2, **options)
    path = f"{folder}/{name}.model"
    with open(path, "wb") as f:
        f.write(out.getvalue())
    return path


def sentencepiece_cases(folder, lines):
    import sentencepiece

    def peer(path):
        sp = sentencepiece.SentencePieceProcessor(model_file=path)
        return None, lambda ts: [sp.encode(t) for t in ts]
    def apart(path):  # but texts that begin with a space or with such a piece, where a tokenizer.json cannot follow
        sp = sentencepiece.SentencePieceProcessor(model_file=path)
        return None, lambda ts: [None if t[:1] in " \u2581" or t.startswith(("<mask>", "<sep>")) else sp.encode(t)
                                 for t in ts]
    for name in ("more_tokenizers/llama-2", "more_tokenizers/mixtral", "more_tokenizers/mistral-7b-v0.3",
                 "more_tokenizers/phi-3-mini"):
        path = rebuilt(name, folder)
        yield f"sentencepiece {os.path.basename(name)}", path, peer, ""
    size = {"vocab_size": vocabulary(lines)}
    yield "sentencepiece trained, bytes", trained("bytes", folder, lines, byte_fallback=True, **size,
                                                  remove_extra_whitespaces=False), peer, ""
    yield "sentencepiece trained, unknown", trained("unknown", folder, lines, **size, character_coverage=0.98), peer, ""
    yield "sentencepiece trained, no prefix", trained(
        "bare", folder, lines, byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False, **size,
        allow_whitespace_only_pieces=True, user_defined_symbols=["<mask>", "▁▁▁▁", "def"]), peer, ""
    yield "sentencepiece trained, user's pieces", trained(
        "user", folder, lines, byte_fallback=True, remove_extra_whitespaces=False, **size,
        user_defined_symbols=["<mask>", "<sep>"]), apart, ""


def transformers_cases(folder, lines):
    """Its merges are in the order of ids, whatever the scores: Llama 2's pieces of spaces come first there."""
    from transformers import LlamaTokenizer
    for name in ("trained", "more_tokenizers/llama-2"):
        path = trained("t", folder, lines, byte_fallback=True, vocab_size=vocabulary(lines), remove_extra_whitespaces=False,
                       allow_whitespace_only_pieces=True) if name == "trained" else rebuilt(name, folder)
        inside = f"{folder}/hf-{os.path.basename(name)}"
        os.makedirs(inside, exist_ok=True)
        os.replace(path, inside + "/tokenizer.model")
        with open(inside + "/tokenizer_config.json", "w", encoding="utf-8") as f:
            json.dump({"tokenizer_class": "LlamaTokenizer", "legacy": False, "bos_token": "<s>", "eos_token": "</s>",
                       "unk_token": "<unk>"}, f)

        def peer(path):
            t = LlamaTokenizer.from_pretrained(path)
            return lambda ts: [t.encode(x, add_special_tokens=False) for x in ts], None
        yield f"transformers {os.path.basename(name)}", inside, peer, ""


# ---- llama.cpp ----

def llama_cases(folder):
    from llama_cpp import Llama
    for name in ("tokenizers/gpt2", "tokenizers/llama-3.2", "tokenizers/qwen2.5", "tokenizers/tinyllama",
                 "tokenizers/llama-2-metaspace", "more_tokenizers/llama-2", "more_tokenizers/mixtral",
                 "more_tokenizers/mistral-7b-v0.3", "more_tokenizers/phi-3-mini", "more_tokenizers/phi-2",
                 "more_tokenizers/smollm2", "more_tokenizers/starcoder2", "more_tokenizers/falcon",
                 "more_tokenizers/deepseek-llm", "more_tokenizers/deepseek-coder", "more_tokenizers/gpt-neox"):
        path = f"{folder}/{os.path.basename(name)}.gguf"
        note = lathe("vocabulary", f"{DATA}/{name}", path).decode().strip()

        def peer(path):
            m = Llama(path, vocab_only=True, verbose=False, n_ctx=512)
            return (lambda ts: [m.tokenize(t.encode(), add_bos=False, special=True) for t in ts],
                    None)
        yield f"llama.cpp {os.path.basename(name)}", path, peer, note
        yield f"llama.cpp {os.path.basename(name)} from tokenizer.json", f"{DATA}/{name}", \
            lambda _, path=path, peer=peer: peer(path), note


def shorten(text, differs):
    """The shortest part of the text that still differs."""
    size = len(text) // 2
    while size:
        at = 0
        while at < len(text):
            less = text[:at] + text[at + size:]
            if less and differs(less):
                text = less
            else:
                at += size
        size //= 2
    return text


def compare(name, path, make_peer, note, texts, arguments, report):
    ours = Ours(path, arguments.via_package)
    peers = make_peer(path)
    added = [a["content"] for a in json.loads(ours.json)["added_tokens"] if "reserved" not in a["content"]][:18]
    slots = {ord(s): (added or ["<none>"])[i % len(added or [1])] for i, s in enumerate(SLOTS)}
    slots |= {0xF720: "", 0xF721: "", 0xF722: ""}
    mine = [t.translate(slots) for t in texts]
    for plain, peer in zip((False, True), peers):
        if not peer:
            continue
        got, want = ours.encode(mine, plain), peer(mine)
        left_out = sum(x is None for x in want)
        wrong = [t for t, a, b in zip(mine, got, want) if b is not None and list(a) != list(b)]
        tokens = sum(len(x) for x in want if x is not None)
        line = (f"{name}{' plain' if plain else ''}: {len(mine) - left_out} texts, {tokens} tokens, {len(wrong)} different"
                f" (read in {ours.seconds:.2f} s){'; ' + note if note else ''}")
        print(line, flush=True)
        report.append(line)
        seen = set()
        for t in sorted(wrong, key=len)[:arguments.show]:
            def differs(x):
                want = peer([x])[0]
                return want is not None and list(ours.encode([x], plain)[0]) != list(want)
            if ours.package:
                t = shorten(t, differs)
            if t in seen:
                continue
            seen.add(t)
            line = f"    {t!r}: {list(ours.encode([t], plain)[0])[:24]}, peer {list(peer([t])[0])[:24]}"
            print(line, flush=True)
            report.append(line)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--count", type=int, default=10000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--show", type=int, default=8)
    p.add_argument("--text", nargs="*", default=[])
    p.add_argument("--report")
    p.add_argument("--via-package", action="store_true")
    p.add_argument("names", nargs="*")
    a = p.parse_args()
    generator = Texts(a.seed, a.text)
    texts = []
    while len(texts) < a.count:
        texts += generator.chunk(2000)
    texts = texts[:a.count]
    lines = [x for x in generator.lines if x.strip()][:60000] * 3
    report = [f"tokenizers {tokenizers.__version__}, seed {a.seed}, {a.count} texts"
              + (", encoded by the package from our tokenizer.json" if a.via_package else "")]
    with tempfile.TemporaryDirectory() as folder:
        for cases in (tiktoken_cases(folder), sentencepiece_cases(folder, lines),
                      transformers_cases(folder, lines), llama_cases(folder)):
            for name, path, peer, note in cases:
                if not a.names or any(n in name for n in a.names):
                    compare(name, path, peer, note, texts, a, report)
    for module in ("tiktoken", "sentencepiece", "transformers", "llama_cpp"):
        found = sys.modules.get(module)
        if found:
            report.append(f"{module} {found.__version__}")
    if a.report:
        with open(a.report, "w", encoding="utf-8") as f:
            f.write("\n".join(report) + "\n")


if __name__ == "__main__":
    main()
