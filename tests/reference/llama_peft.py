# SPDX-License-Identifier: MIT
"""Reference values for tests/model/reference_test.lua, from transformers and peft.

Two tiny Llama models (one with an untied head, one tied) with LoRA on every projection. No weight is
stored: every value follows from its tensor's name and its index by integer arithmetic, so that the
test makes the same bits itself:

    u(name, i) = mix(mix(mix(fnv1a64(name) + G) ^ (i + G)) ^ G) >> 40      24 bits
    matrices   (u / 2^24 - 0.5) * 0.25        norms   1 + (u / 2^24 - 0.5) * 0.25

What is compared: logits of two sequences, the summed loss over the supervised tokens, its gradients
with respect to every LoRA matrix, and, without LoRA, with respect to every weight (first values and
the L2 norm of each).

    python tests/reference/llama_peft.py > tests/model/reference.json
"""
import json
import platform
import sys

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM

G = np.uint64(0x9E3779B97F4A7C15)


def mix(v):
    v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return v ^ (v >> np.uint64(31))


def fnv(name):
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return np.uint64(h)


def formula(name, shape):
    with np.errstate(over="ignore"):
        i = np.arange(int(np.prod(shape)), dtype=np.uint64)
        seed = mix(np.array([fnv(name)]) + G)
        u = mix(mix(seed ^ (i + G)) ^ G) >> np.uint64(40)
    w = (u.astype(np.float64) / 2**24 - 0.5) * 0.25
    if len(shape) == 1:
        w = 1.0 + w
    return torch.from_numpy(w.astype(np.float32).reshape(shape))


def numbers(t):
    return [float(f"{v:.8g}") for v in t.detach().double().flatten().tolist()]


SEQUENCES = [[(7 * i * i + 3 * i + 1) % 48 for i in range(15)], [(11 * i + 5) % 48 for i in range(9)]]
UNSUPERVISED = [4, 2]  # leading targets of each sequence that carry no loss


def supervised_loss(model):
    total, logits = 0.0, []
    for ids, skip in zip(SEQUENCES, UNSUPERVISED):
        out = model(input_ids=torch.tensor([ids])).logits[0]
        logits.append(out)
        targets = torch.tensor(ids[1:])
        targets[:skip] = -100
        total = total + torch.nn.functional.cross_entropy(out[:-1], targets, ignore_index=-100, reduction="sum")
    return total, logits


def one(tied, rank, alpha, rslora):
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=48, max_position_embeddings=64, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=tied, attn_implementation="eager", bos_token_id=None, eos_token_id=None)
    base = LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, p in base.named_parameters():
            p.copy_(formula(name, tuple(p.shape)))
    loss, logits = supervised_loss(base)
    loss.backward()
    out = {"tied": tied, "rank": rank, "alpha": alpha, "rslora": rslora, "loss_base": float(loss),
           "logits_base": numbers(torch.cat(logits)),
           "gradients_base": {n: {"norm": float(p.grad.double().norm()), "first": numbers(p.grad.flatten()[:24])}
                              for n, p in base.named_parameters()}}
    base.zero_grad()
    model = get_peft_model(base, LoraConfig(
        r=rank, lora_alpha=alpha, use_rslora=rslora, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"))
    adapters = {}
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                short = name.replace(".default.weight", ".weight")
                p.copy_(formula(short, tuple(p.shape)))
                adapters[short] = p
    loss, logits = supervised_loss(model)
    loss.backward()
    out["loss"] = float(loss)
    out["logits"] = numbers(torch.cat(logits))
    out["gradients"] = {n: numbers(p.grad) for n, p in adapters.items()}
    return out


json.dump({
    "made_by": "tests/reference/llama_peft.py",
    "versions": {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
                 "peft": peft.__version__, "numpy": np.__version__},
    "config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
               "num_key_value_heads": 2, "vocab_size": 48, "max_position_embeddings": 64, "rms_norm_eps": 1e-5,
               "rope_theta": 10000.0},
    "sequences": SEQUENCES, "unsupervised": UNSUPERVISED,
    "models": [one(False, 2, 6, False), one(True, 2, 3, True)],
}, sys.stdout, separators=(",", ":"))
print()
