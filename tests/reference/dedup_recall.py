#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Near duplicates of 20,000 made-up documents: what the stage `dedup` finds, beside brute force and theory.

    python3 tests/reference/dedup_recall.py FOLDER [--datatrove] [--seed N]

Writes FOLDER/in.jsonl: pairs of documents of 180 word 5-grams of which so many are shared that their
Jaccard similarity is exactly one of LEVELS, and triples that are nearly alike in a chain, among documents
that resemble nothing; shuffled. Then

  recall      of the pairs of each level, those that the bands find (verify = false), against
              1 - (1 - J^8)^14 with its sampling error
  precision   of near = 0.8: no two documents may be joined but through pairs whose similarity, by
              brute force over all pairs that share a 5-gram, is at least 0.8; and every such pair that
              the bands found must be joined
  order       the same records stay when the lines come in another order, with -j1 and -j2, in little memory
  datatrove   the same corpus through datatrove's own four steps (0.10, words by split), for comparison

Run with datatrove 0.10.1 and numpy 2.4; without --datatrove nothing but the standard library is needed.
"""
import argparse, json, math, os, random, subprocess, sys, tempfile
from collections import defaultdict

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
SHINGLES, K = 180, 5
# replaced words t, so that J = (180 - t) / (180 + t)
LEVELS = {0.5: (60, 700), 0.6: (45, 700), 0.7: (32, 700), 0.75: (26, 700), 0.8: (20, 3000), 0.85: (15, 700),
          0.9: (10, 700), 0.95: (5, 700)}
CHAINS, TOTAL = 300, 20000


def made(seed):
    rng = random.Random(seed)
    word = lambda: "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=6))
    text = lambda n: [word() for _ in range(n)]
    docs, pairs = [], []
    for level, (t, count) in LEVELS.items():
        for _ in range(count):
            words = text(SHINGLES + K - 1)
            pairs.append((len(docs), len(docs) + 1, level, t))
            docs += [words, words[:len(words) - t] + text(t)]
    for _ in range(CHAINS):  # a ~ b ~ c, where a and c are further apart
        a = text(SHINGLES + K - 1)
        b = a[:-12] + text(12)
        c = text(12) + b[12:]
        docs += [a, b, c]
    while len(docs) < TOTAL:
        docs.append(text(rng.randint(20, 300)))
    order = list(range(len(docs)))
    rng.shuffle(order)
    return [" ".join(d) for d in docs], pairs, order


def brute_force(docs):
    """Jaccard of every pair that shares a 5-gram."""
    sets, where = [], defaultdict(list)
    for i, d in enumerate(docs):
        w = d.split()
        s = {tuple(w[k:k + K]) for k in range(max(1, len(w) - K + 1))}
        sets.append(s)
        for g in s:
            where[g].append(i)
    both = defaultdict(int)
    for list_ in where.values():
        for x in range(len(list_)):
            for y in range(x + 1, len(list_)):
                both[list_[x], list_[y]] += 1
    return {p: n / (len(sets[p[0]]) + len(sets[p[1]]) - n) for p, n in both.items()}


def write(path, docs, order):
    with open(path, "w") as f:
        for i in order:
            f.write(json.dumps({"id": "d%05d" % i, "text": docs[i], "metadata": {"path": "p%03d" % (i % 97), "span": [i, i + 1]}}) + "\n")


def run(folder, name, args):
    out = os.path.join(folder, name)
    subprocess.run([ROOT + "/build/lathe", "stage", "dedup", os.path.join(folder, args[0]), out] + args[1:], check=True,
                   stderr=subprocess.DEVNULL)
    kept = [json.loads(l) for l in open(out)]
    gone = [json.loads(l) for l in open(out + ".rejected.jsonl")]
    cluster = {}
    for r in kept + [g["record"] for g in gone]:
        c = r["metadata"].get("cluster")
        cluster[int(r["id"][1:])] = c
    return sorted(r["id"] for r in kept), cluster


def theory(j):
    return 1 - (1 - j ** 8) ** 14


def table(title, pairs, found):
    print(title)
    worst = 0
    for level in LEVELS:
        mine = [p for p in pairs if p[2] == level]
        n, t = len(mine), mine[0][3]
        j = (SHINGLES - t) / (SHINGLES + t)
        k = sum(1 for p in mine if found(p[0], p[1]))
        want = theory(j)
        sigma = math.sqrt(want * (1 - want) / n)
        off = (k / n - want) / sigma if sigma else 0
        worst = max(worst, abs(off))
        print(f"  J = {j:.4f}: found {k:5d} of {n:5d} = {k / n:.4f}; theory {want:.4f}, {off:+.2f} sigma")
    return worst


def datatrove(folder, docs, order):
    from datatrove.pipeline.dedup import minhash
    from datatrove.data import Document

    class Words:
        def word_tokenize(self, text):
            return text.split()
    minhash.load_word_tokenizer = lambda language: Words()
    config = minhash.MinhashConfig()
    signer = minhash.MinhashDedupSignature(folder + "/sig", config)
    hash_of = signer._hash_func
    try:
        hash_of("a")
    except TypeError:  # datatrove 0.10 gives str, which xxhash 4 no longer takes
        signer._hash_func = lambda text: hash_of(text.encode())
    import time
    began = time.process_time()
    signer.run((Document(text=docs[i], id=str(i)) for i in order), rank=0, world_size=1)
    for bucket in range(config.num_buckets):
        minhash.MinhashDedupBuckets(folder + "/sig", folder + "/buckets", config=config).run(None, bucket, config.num_buckets)
    minhash.MinhashDedupCluster(folder + "/buckets", folder + "/remove", config=config, save_cluster_id=True).run(None, 0, 1)
    print(f"  datatrove: {time.process_time() - began:.1f} s of processor time")
    import struct
    cluster = {}
    data = open(folder + "/remove/000000.clusters", "rb").read()
    for doc, c in struct.iter_unpack("<2I", data):
        cluster[order[doc]] = c
    return cluster


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder")
    p.add_argument("--datatrove", action="store_true")
    p.add_argument("--seed", type=int, default=1)
    a = p.parse_args()
    os.makedirs(a.folder, exist_ok=True)
    docs, pairs, order = made(a.seed)
    write(a.folder + "/in.jsonl", docs, order)
    write(a.folder + "/back.jsonl", docs, order[::-1])
    truth = brute_force(docs)
    for i, j, level, t in pairs:
        assert abs(truth[i, j] - (SHINGLES - t) / (SHINGLES + t)) < 1e-12
    print(f"{len(docs)} documents, {len(truth)} pairs share a 5-gram, {sum(v >= 0.8 for v in truth.values())} of them J >= 0.8")

    _, bands = run(a.folder, "bands.jsonl", ["in.jsonl", "--no-verify"])
    together = lambda c: lambda i, j: c[i] is not None and c[i] == c[j]
    worst = table("bands (verify = false)", pairs, together(bands))

    kept, near = run(a.folder, "near.jsonl", ["in.jsonl", "-j1"])
    parent = {}
    def root(x):
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x
    above = [p for p, v in truth.items() if v >= 0.8]
    for i, j in above:
        parent[root(i)] = root(j)
    members = defaultdict(list)
    for d, c in near.items():
        if c:
            members[c].append(d)
    wrong = sum(1 for list_ in members.values() if len({root(d) for d in list_}) > 1)
    candidates = [(i, j) for i, j in above if together(bands)(i, j)]
    missed = sum(1 for i, j in candidates if not together(near)(i, j))
    found = sum(1 for i, j in above if together(near)(i, j))
    print(f"near = 0.8: {found} of {len(above)} pairs with J >= 0.8 joined; of the {len(candidates)} that bands proposed "
          f"{missed} not; {wrong} of {len(members)} clusters join what brute force keeps apart")
    back, other = run(a.folder, "back-out.jsonl", ["back.jsonl", "-j2", "--memory", "128M"])
    print("another order, -j2, little memory: the same records stay:", back == kept, "- the same clusters:", other == near)
    smallest = all(min((("p%03d" % (d % 97), d) for d in list_)) [1] in kept_ids for list_ in members.values()) \
        if (kept_ids := {int(k[1:]) for k in kept}) else False
    print("of each cluster the smallest (path, position) stays:", smallest)
    if a.datatrove:
        with tempfile.TemporaryDirectory() as folder:
            theirs = datatrove(folder, docs, order)
        table("datatrove 14 x 8", pairs, lambda i, j: i in theirs and theirs.get(i) == theirs.get(j))
    sys.exit(0 if worst < 4 and not wrong and not missed and back == kept and other == near and smallest else 1)


main()
