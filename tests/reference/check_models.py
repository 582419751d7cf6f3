# SPDX-License-Identifier: MIT
"""Loads what a run made with the field's own readers, and compares greedy answers.

  python check_models.py RUN/base RUN/adapter RUN/model RUN/model-F16.gguf answers.jsonl

answers.jsonl holds lines {"input": [ids], "ids": [32 ids]} that Lathe generated greedily from RUN/model
(made by greedy.lua in this folder).
Says: keys missing or unexpected when transformers and PEFT load the folders; the largest difference of
logits between base + adapter and the merged model; on how many prompts llama.cpp's greedy tokens from the
F16 file equal Lathe's. Ran with transformers 5.23.0, peft 0.21.2, torch 2.15.0, llama-cpp-python 0.3.36.
"""
import json, sys, warnings, logging
import torch, transformers, peft, llama_cpp
from transformers import AutoModelForCausalLM, AutoTokenizer
from peft import PeftModel

base_dir, adapter_dir, model_dir, gguf, answers = sys.argv[1:6]
seen = []
warnings.showwarning = lambda message, *rest, **more: seen.append(str(message))
transformers.logging.set_verbosity_warning()
handler = logging.Handler()
handler.emit = lambda record: seen.append(record.getMessage())
logging.getLogger("transformers").addHandler(handler)

base, info = AutoModelForCausalLM.from_pretrained(base_dir, output_loading_info=True, dtype=torch.float32)
print("base  ", {k: list(v) for k, v in info.items() if v})
merged, info = AutoModelForCausalLM.from_pretrained(model_dir, output_loading_info=True, dtype=torch.float32)
print("merged", {k: list(v) for k, v in info.items() if v})
tuned = PeftModel.from_pretrained(base, adapter_dir)
result = tuned.load_adapter(adapter_dir, "again")
print("peft  ", {"missing": [k for k in result.missing_keys if "lora" in k], "unexpected": result.unexpected_keys})
print("warnings:", seen or "none")
tokenizer = AutoTokenizer.from_pretrained(model_dir)
print("chat template:", repr(tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, add_generation_prompt=True)))

lines = [json.loads(line) for line in open(answers)]
with torch.no_grad():
    worst = 0.0
    for line in lines[:8]:
        ids = torch.tensor([line["input"] + line["ids"]])
        a, b = tuned(ids).logits, merged(ids).logits
        worst = max(worst, ((a - b).abs().max() / b.abs().max()).item())
    print(f"base + adapter against merged, relative: {worst:.2e}")
    same = 0
    for line in lines:
        ids = torch.tensor([line["input"]])
        out = merged.generate(ids, max_new_tokens=len(line["ids"]), do_sample=False, eos_token_id=None, pad_token_id=0)
        same += out[0, ids.shape[1]:].tolist() == line["ids"]
    print(f"transformers: same {len(lines[0]['ids'])} greedy tokens on {same} of {len(lines)} prompts")

llama = llama_cpp.Llama(gguf, n_ctx=256, verbose=False, logits_all=False)
same = same_text = 0
for line in lines:
    llama.reset()
    got = []
    for token in llama.generate(line["input"], temp=0.0, top_k=1, repeat_penalty=1.0, reset=True):
        got.append(token)
        if len(got) == len(line["ids"]):
            break
    same += got == line["ids"]
    text = tokenizer.decode(line["input"])
    same_text += llama.tokenize(text.encode(), add_bos=False, special=True) == line["input"]
print(f"llama.cpp: same {len(lines[0]['ids'])} greedy tokens on {same} of {len(lines)} prompts; "
      f"its tokenizer gives the same ids on {same_text}")
