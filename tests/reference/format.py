# SPDX-License-Identifier: MIT
# Reference values for tests/format: run with numpy, gguf and safetensors installed, from the source tree:
#   python tests/reference/format.py > tests/format/reference.json
# Q8_0 blocks as the gguf package quantises them (bit for bit llama.cpp's), a file as safetensors writes it.
import importlib.metadata as meta
import json

import gguf
import numpy as np
import safetensors.numpy


def rows():
    rng = np.random.default_rng(7)
    yield "normal", rng.normal(0, 0.02, 64)
    yield "ties", np.array([127.0] + [k + 0.5 for k in range(-16, 15)])
    yield "large", rng.normal(0, 3000, 32)
    yield "tiny", rng.normal(0, 1e-6, 32)  # the scale is a subnormal half
    yield "subnormal", rng.normal(0, 1e-41, 32)
    yield "zeros", np.zeros(32)
    yield "uniform", rng.uniform(-1, 1, 256)


def main():
    q8 = []
    for name, values in rows():
        x = values.astype(np.float32)
        q = gguf.quants.quantize(x, gguf.GGMLQuantizationType.Q8_0)
        q8.append({"name": name, "f32": x.tobytes().hex(), "q8_0": q.tobytes().hex()})
    file = safetensors.numpy.save(
        {"b": np.arange(3, dtype=np.float32), "a": np.array([[1], [2]], dtype=np.int64), "h": np.float16([0.5])},
        {"format": "np"})
    print(json.dumps({
        "made_by": {p: meta.version(p) for p in ("gguf", "numpy", "safetensors")},
        "q8_0": q8, "safetensors": file.hex()}, indent=1))


main()
