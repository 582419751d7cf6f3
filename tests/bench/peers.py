# SPDX-License-Identifier: MIT
"""The Python side of make bench: one process that answers requests, one JSON object a line.

    {"op": "setup", "bench": B, "peer": P, ...}  ->  {"name": ..., "version": ...} or {"skip": why}
    {"op": "run", "bench": B, "peer": P}         ->  {"seconds": ..., "check": ...}

`check` is something that must equal what Lathe computes from the same input, so that both did the same
work; None where there is nothing to compare. Importing and preparing are not timed.
"""
import importlib.metadata
import json
import os
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one thread against one thread
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
os.environ["HF_HUB_OFFLINE"] = "1"

PEERS = {}  # (bench, peer) -> function that prepares and returns a function that does one run


def peer(bench, package):
    def add(function):
        PEERS[bench, package] = function
        return function
    return add


def read(path):
    with open(path, encoding="utf-8", newline="") as f:
        return f.read()


def documents(path):
    return read(path).split("\x1e")


# ---- BPE ----

def for_each(benches, package):
    def add(function):
        for bench in benches:
            PEERS[bench, package] = function
        return function
    return add


@for_each(["bpe", "bpe-llama3", "bpe-qwen", "bpe-llama2"], "tokenizers")
def hf_tokenizers(q):
    from tokenizers import Tokenizer
    tok, docs = Tokenizer.from_file(q["tokenizer"]), documents(q["text"])
    tok.no_padding(), tok.no_truncation()

    def run():
        getattr(tok.model, "_clear_cache", int)()  # cold, as ours is
        ids = [tok.encode(d, add_special_tokens=False).ids for d in docs]
        yield
        yield sum(map(len, ids))
    return run


def tiktoken_encoding(path):
    """Ids of merged tokens are their ranks."""
    import tiktoken
    bytes_of = {c: b for b, c in byte_characters().items()}
    model = json.loads(read(path))
    special = {t["content"]: t["id"] for t in model["added_tokens"]}
    ranks = {bytes(bytes_of[c] for c in token): i for token, i in model["model"]["vocab"].items()
             if token not in special}
    pattern = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
    for step in model["pre_tokenizer"].get("pretokenizers", []):
        pattern = step.get("pattern", {}).get("Regex", pattern)
    return tiktoken.Encoding("bench", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


@for_each(["bpe", "bpe-llama3", "bpe-qwen"], "tiktoken")
def tiktoken_(q):
    """It has no normalizer: other counts than Qwen2.5's are possible where a text is not NFC."""
    enc, docs = tiktoken_encoding(q["tokenizer"]), documents(q["text"])

    def run():
        ids = [enc.encode_ordinary(d) for d in docs]
        yield
        yield sum(map(len, ids))
    return run


@peer("bpe-llama2", "sentencepiece")
def sentencepiece_(q):
    """The model is made from the tokenizer.json: pieces came to it in the order of their scores, but for runs of
    spaces, which are merged last."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    vocab = json.loads(read(q["tokenizer"]))["model"]["vocab"]
    model = pb.ModelProto()
    model.trainer_spec.model_type = pb.TrainerSpec.BPE
    model.trainer_spec.byte_fallback = True
    model.trainer_spec.vocab_size = len(vocab)
    model.normalizer_spec.name = "identity"
    model.normalizer_spec.add_dummy_prefix = True
    model.normalizer_spec.remove_extra_whitespaces = False
    kinds = {"<unk>": 2, "<s>": 3, "</s>": 3}
    for token, i in sorted(vocab.items(), key=lambda item: item[1]):
        byte = len(token) == 6 and token.startswith("<0x")
        spaces = len(token) > 1 and not token.strip("\u2581")
        model.pieces.add(piece=token, score=-1e9 if spaces else -float(i), type=6 if byte else kinds.get(token, 1))
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    docs = documents(q["text"])

    def run():
        ids = [sp.encode(d) for d in docs]
        yield
        yield sum(map(len, ids))
    return run


def byte_characters():
    """GPT-2's printable character for each byte: printable ones stand for themselves, others follow at 256."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


@peer("bpe-train", "tokenizers")
def hf_trainer(q):
    import hashlib
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    docs = documents(q["text"])

    def run():
        tok = Tokenizer(models.BPE())
        tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tok.train_from_iterator(docs, trainers.BpeTrainer(
            vocab_size=q["vocab_size"], special_tokens=["<|endoftext|>"], show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
        yield
        merges = json.loads(tok.to_str())["model"]["merges"]
        yield hashlib.sha256("\n".join(" ".join(m) for m in merges).encode()).hexdigest()
    return run


# ---- chunking ----

@peer("chunk", "langchain-text-splitters")
def langchain(q):
    from langchain_text_splitters import RecursiveCharacterTextSplitter
    splitter = RecursiveCharacterTextSplitter(chunk_size=q["size"], chunk_overlap=q["overlap"])
    docs = documents(q["text"])

    def run():
        chunks = [splitter.split_text(d) for d in docs]
        yield
        yield [sum(map(len, chunks)), sum(len(c.encode()) for d in chunks for c in d)]
    return run


@peer("chunk-tokens", "langchain-text-splitters")
def langchain_tokens(q):
    from langchain_text_splitters import Tokenizer, split_text_on_tokens
    enc, docs = tiktoken_encoding(q["tokenizer"]), documents(q["text"])
    tok = Tokenizer(chunk_overlap=q["overlap"], tokens_per_chunk=q["size"], decode=enc.decode, encode=enc.encode_ordinary)

    def run():
        chunks = [split_text_on_tokens(text=d, tokenizer=tok) for d in docs]
        yield
        yield sum(map(len, chunks))
    return run


# ---- near duplicates ----

@peer("minhash", "rensa")
def rensa_(q):
    from rensa import RMinHash, RMinHashLSH
    docs = documents(q["text"])

    def run():
        lsh, kept, signatures = RMinHashLSH(threshold=0.8, num_perm=128, num_bands=16), 0, {}
        for i, doc in enumerate(docs):
            words = doc.lower().split()
            m = RMinHash(num_perm=128, seed=42)
            m.update([" ".join(words[k:k + 5]) for k in range(max(1, len(words) - 4))])
            if any(m.jaccard(signatures[j]) >= 0.8 for j in lsh.query(m)):
                continue
            kept += 1
            signatures[i] = m
            lsh.insert(i, m)
        yield
        yield None
    return run


@peer("dedup", "datatrove")
def datatrove_(q):
    import logging
    import shutil
    from datatrove.pipeline.dedup import minhash
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter
    from datatrove.utils import logging as theirs
    theirs.logger.remove()
    logging.disable(logging.CRITICAL)

    class Words:  # its own tokenizer of words needs a language package; splitting is the cheaper choice
        def word_tokenize(self, text):
            return text.split()
    minhash.load_word_tokenizer = lambda language: Words()
    config = minhash.MinhashConfig()

    def signer(out):
        s = minhash.MinhashDedupSignature(out + "/sig", config)
        hash_of = s._hash_func
        try:
            hash_of("a")
        except TypeError:  # datatrove 0.10 gives str, which xxhash 4 no longer takes
            s._hash_func = lambda text: hash_of(text.encode())
        return s

    def reader():
        return JsonlReader(os.path.dirname(q["jsonl"]), glob_pattern=os.path.basename(q["jsonl"]), file_progress=False).run(None, 0, 1)

    def run():
        out = q["out"]
        shutil.rmtree(out, ignore_errors=True)
        signer(out).run(reader(), 0, 1)
        for bucket in range(config.num_buckets):
            minhash.MinhashDedupBuckets(out + "/sig", out + "/buckets", config=config).run(None, bucket, config.num_buckets)
        minhash.MinhashDedupCluster(out + "/buckets", out + "/remove", config=config).run(None, 0, 1)
        writer = JsonlWriter(out + "/kept", compression=None)
        step = minhash.MinhashDedupFilter(out + "/remove", exclusion_writer=JsonlWriter(out + "/gone", compression=None))
        kept = 0
        with writer:
            for document in step.run(reader(), 0, 1):
                writer.write(document, 0)
                kept += 1
        yield
        yield kept
    return run


def packed_sets(q):
    import numpy
    values, at, sets = numpy.fromfile(q["sets"], dtype="<u4"), 0, []
    for n in q["sizes"]:
        sets.append(values[at:at + n].copy())
        at += n
    return sets


@peer("signature", "scalar")
def scalar_c(q):
    import ctypes
    import subprocess
    library = q["dir"] + "/scalar.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "scalar_minhash.c")
    try:
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-fno-tree-vectorize", "-shared", "-fPIC", "-o", library, source], check=True)
    except (OSError, subprocess.CalledProcessError) as why:
        raise ImportError(str(why))
    signature = ctypes.CDLL(library).signature
    sets = packed_sets(q)
    least = (ctypes.c_uint32 * 128)()

    def run():
        for s in sets:
            signature(s.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(s)), least)
        yield
        yield None
    return run


@peer("signature", "datasketch")
def datasketch_(q):
    from datasketch import MinHash
    sets = [[int(v) for v in s] for s in packed_sets(q)]

    def run():
        for s in sets:
            MinHash(num_perm=128, hashfunc=int).update_batch(s)
        yield
        yield None
    return run


# ---- JSONL ----

@peer("jsonl", "orjson")
def orjson_(q):
    import orjson

    def run():
        total = 0
        with open(q["jsonl"], "rb") as f:
            for line in f:
                r = orjson.loads(line)
                total += r["n"] + len(r["id"]) + len(r["metadata"]["path"])
        yield
        yield total
    return run


@for_each(["jsonl-pass-lua", "jsonl-pass-builtin"], "orjson")
def orjson_pass(q):
    import orjson

    def run():
        kept = 0
        with open(q["jsonl"], "rb") as lines, open(q["out"], "wb") as out:
            for line in lines:
                if orjson.loads(line)["metadata"]["page"] >= 1:
                    out.write(line)
                    kept += 1
        yield
        yield [kept, os.path.getsize(q["out"])]
    return run


@peer("jsonl-pass-builtin", "duckdb")
def duckdb_pass(q):
    """It writes its own JSON, so the size is not compared."""
    import duckdb
    db = duckdb.connect()
    db.execute("SET threads = 1")

    def run():
        kept = db.execute(f"COPY (SELECT * FROM read_json('{q['jsonl']}', format = 'newline_delimited') "
                          f"WHERE metadata.page >= 1) TO '{q['out']}' (FORMAT json)").fetchone()[0]
        yield
        with open(q["jsonl"], "rb") as f:
            yield [kept, sum(len(line) for line in f if b'"page":0' not in line)]
    return run


# ---- Parquet ----

@for_each(["parquet", "parquet-zstd"], "duckdb")
def duckdb_(q):
    import duckdb
    con = duckdb.connect()
    con.execute("set threads = 1")
    codec = "uncompressed" if q["compression"] == "none" else q["compression"]

    def run():
        n = con.execute(f"copy (select * from read_json('{q['jsonl']}', format = 'newline_delimited')) "
                        f"to '{q['out']}' (format parquet, compression {codec})").fetchone()[0]
        yield
        yield n
    return run


@for_each(["parquet", "parquet-zstd"], "pyarrow")
def pyarrow_(q):
    import pyarrow
    import pyarrow.json
    import pyarrow.parquet
    pyarrow.set_cpu_count(1)

    def run():
        table = pyarrow.json.read_json(q["jsonl"], pyarrow.json.ReadOptions(use_threads=False, block_size=1 << 26))
        pyarrow.parquet.write_table(table, q["out"], compression=q["compression"])
        yield
        yield table.num_rows
    return run


# ---- hashes ----

@peer("sha256", "hashlib")
def hashlib_(q):
    import hashlib
    data = open(q["bytes"], "rb").read()

    def run():
        digest = hashlib.sha256(data).hexdigest()
        yield
        yield digest
    return run


@peer("xxh3", "xxhash")
def xxhash_(q):
    import xxhash
    data = open(q["bytes"], "rb").read()

    def run():
        digest = xxhash.xxh3_64_hexdigest(data)
        yield
        yield digest
    return run


# ---- templates ----

@peer("jinja", "Jinja2")
def jinja2_(q):
    from jinja2.sandbox import ImmutableSandboxedEnvironment  # as transformers renders chat templates
    template = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True).from_string(q["template"])

    def run():
        for _ in range(q["times"]):
            out = template.render(messages=q["messages"], add_generation_prompt=True)
        yield
        yield out
    return run


# ---- training and products ----

@peer("sft", "peft")
def peft_(q):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(q["threads"])
    model = AutoModelForCausalLM.from_pretrained(q["model"], dtype=torch.float32)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules=targets, task_type="CAUSAL_LM"))
    model.train()
    ids = torch.tensor(q["ids"])
    trained = [p for p in model.parameters() if p.requires_grad]
    adam = torch.optim.AdamW(trained, lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)

    def run():
        for _ in range(q["steps"]):
            loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            adam.step()
            adam.zero_grad()
            value = loss.item()
        yield
        yield value
    return run


@peer("matmul", "torch")
def torch_(q):
    import torch
    torch.set_num_threads(q["threads"])
    a, b = torch.rand(q["n"], q["n"]), torch.rand(q["n"], q["n"])

    def run():
        for _ in range(q["times"]):
            torch.mm(a, b)
        yield
        yield None
    return run


# ---- model files ----

@peer("safetensors", "safetensors")
def safetensors_(q):
    import numpy
    from safetensors.numpy import save_file
    data = numpy.fromfile(q["floats"], dtype=numpy.float32).reshape(q["rows"], q["columns"])

    def run():
        save_file({"a": data}, q["out"])
        with open(q["out"], "rb") as f:
            os.fsync(f.fileno())
        yield
        yield None
    return run


@peer("gguf", "gguf")
def gguf_(q):
    import gguf
    import hashlib
    import numpy
    data = numpy.fromfile(q["floats"], dtype=numpy.float32).reshape(q["rows"], q["columns"])
    kind = gguf.GGMLQuantizationType.Q8_0

    def run():
        w = gguf.GGUFWriter(q["out"], "llama")
        quantised = gguf.quants.quantize(data, kind)
        w.add_tensor("a", quantised, raw_dtype=kind)
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        with open(q["out"], "rb") as f:
            os.fsync(f.fileno())
        yield
        yield hashlib.sha256(quantised.tobytes()).hexdigest()
    return run


# ---- the conversation ----

def version(package):
    if package == "hashlib":
        import ssl
        return ssl.OPENSSL_VERSION
    if package == "scalar":
        import subprocess
        return subprocess.run([os.environ.get("CC", "cc"), "--version"], capture_output=True, text=True).stdout.split("\n")[0]
    text = importlib.metadata.version(package)
    if package == "peft":
        text += f", torch {importlib.metadata.version('torch')}"
    return text


def setup(q, ready):
    key = q["bench"], q["peer"]
    try:
        text = version(q["peer"])
    except importlib.metadata.PackageNotFoundError:
        return {"skip": "not installed"}
    ready[key] = PEERS[key](q)
    return {"name": q["peer"], "version": text}


def run(q, ready):
    work = ready[q["bench"], q["peer"]]()
    start = time.perf_counter()
    next(work)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "check": next(work)}


def main():
    ready = {}
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not disturb the replies
    for line in sys.stdin:
        q = json.loads(line)
        try:
            reply = setup(q, ready) if q["op"] == "setup" else run(q, ready)
        except Exception as problem:  # a peer that does not work here is skipped like one that is not there
            reply = {"skip": f"{type(problem).__name__}: {problem}"[:300].replace("\n", " ")}
        if q.get("last"):
            ready.pop((q["bench"], q["peer"]), None)
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


main()
