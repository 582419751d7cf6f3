-- SPDX-License-Identifier: MIT
-- lathe.hf and lathe.gguf_file on a tiny model made here; reference bytes of other programs.
local test = require "tests.support.test"
local file = require "engine.file"
local gguf = require "engine.gguf"
local hf = require "lathe.hf"
local json = require "engine.json"
local safetensors = require "engine.safetensors"

local function unhex(s) return (s:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end

local CONFIG = { model_type = "llama", architectures = { "LlamaForCausalLM" }, vocab_size = 8, hidden_size = 32,
  intermediate_size = 48, num_hidden_layers = 1, num_attention_heads = 4, num_key_value_heads = 2, head_dim = 8,
  max_position_embeddings = 64, rope_theta = 10000.0, rms_norm_eps = 1e-5, tie_word_embeddings = true,
  hidden_act = "silu", bos_token_id = json.null, eos_token_id = 2 }

local SHAPES = {
  { "model.embed_tokens", 8, 32 }, { "model.layers.0.input_layernorm", 32 },
  { "model.layers.0.mlp.down_proj", 32, 48 }, { "model.layers.0.mlp.gate_proj", 48, 32 },
  { "model.layers.0.mlp.up_proj", 48, 32 }, { "model.layers.0.post_attention_layernorm", 32 },
  { "model.layers.0.self_attn.k_proj", 16, 32 }, { "model.layers.0.self_attn.o_proj", 32, 32 },
  { "model.layers.0.self_attn.q_proj", 32, 32 }, { "model.layers.0.self_attn.v_proj", 16, 32 }, { "model.norm", 32 },
}

-- Element i (from 0) of tensor n: small, exact in f32, different everywhere.
local function element(n, i) return ((i * 37 + n * 11) % 101 - 50) / 64 end

local function values(n, count)
  local t = {}
  for i = 0, count - 1 do t[i + 1] = ("<f"):pack(element(n, i)) end
  return table.concat(t)
end

local function write_weights(path, shapes, change)
  local list = {}
  for i, s in ipairs(shapes) do list[i] = { name = s[1] .. ".weight", dtype = "f32", shape = { s[2], s[3] } } end
  if change then change(list) end
  local w = assert(safetensors.create(path, list))
  for i, s in ipairs(list) do
    local count = 1
    for _, d in ipairs(s.shape) do count = count * d end
    assert(w:write(values(i, count)))
  end
  assert(w:commit())
end

local TOKENIZER = {
  version = "1.0", normalizer = json.null, post_processor = json.null,
  added_tokens = { { id = 0, content = "<pad>", special = true }, { id = 1, content = "<x>", special = false },
    { id = 2, content = "<end>", special = true } },
  pre_tokenizer = { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = true },
  decoder = { type = "ByteLevel" },
  model = { type = "BPE", vocab = { ["<pad>"] = 0, ["<end>"] = 2, a = 3, b = 4, ab = 5 }, merges = { { "a", "b" } } },
}

local function put(path, value) assert(file.write(path, json.encode(value), false)) end

local function model(dir, change)
  local config, tokenizer = json.decode(json.encode(CONFIG)), json.decode(json.encode(TOKENIZER))
  if change then change(config, tokenizer) end
  assert(file.mkdirs(dir))
  put(dir .. "/config.json", config)
  put(dir .. "/tokenizer.json", tokenizer)
  put(dir .. "/tokenizer_config.json", { eos_token = "<end>", pad_token = { content = "<pad>" }, chat_template = "T" })
  if not file.stat(dir .. "/model.safetensors") then write_weights(dir .. "/model.safetensors", SHAPES) end
end

local function floats(bytes)
  local out, at = {}, 1
  while at <= #bytes do out[#out + 1], at = ("<f"):unpack(bytes, at) end
  return out
end

test.case("a model folder becomes a GGUF file", function()
  test.with_dir(function(dir)
    model(dir .. "/m")
    local facts = assert(hf.to_gguf(dir .. "/m", dir .. "/m.gguf", "f32", { name = "tiny" }))
    test.equal(facts.tensors, 11)
    local g <close> = assert(gguf.open(dir .. "/m.gguf"))
    test.equal(g:get "general.name", "tiny")
    test.equal(g:get "llama.attention.head_count_kv", 2)
    test.equal(g:get "llama.rope.dimension_count", 8)
    test.equal(g:get "tokenizer.ggml.pre", "gpt-2")
    test.equal(g:get "tokenizer.ggml.tokens", { "<pad>", "<x>", "<end>", "a", "b", "ab", "[PAD6]", "[PAD7]" })
    test.equal(g:get "tokenizer.ggml.token_type", { 3, 4, 3, 1, 1, 1, 5, 5 })
    test.equal(g:get "tokenizer.ggml.merges", { "a b" })
    test.equal(g:get "tokenizer.ggml.eos_token_id", 2)
    test.equal(g:get "tokenizer.ggml.add_bos_token", false)
    test.equal(g:get "tokenizer.chat_template", "T")
    -- q: new row 2i+j of head h is old row 4j+i of it
    local got = floats((g:read "blk.0.attn_q.weight"))
    for h = 0, 3 do
      for i = 0, 3 do
        for j = 0, 1 do
          for c = 0, 31 do
            local new, old = (h * 8 + 2 * i + j) * 32 + c, (h * 8 + 4 * j + i) * 32 + c
            if got[new + 1] ~= element(9, old) then test.equal(got[new + 1], element(9, old)) end
          end
        end
      end
    end
    test.equal((g:read "blk.0.ffn_down.weight"), values(3, 32 * 48))
    for _, t in ipairs(g:tensors()) do test.ok(t.name ~= "output.weight") end
  end)
end)

test.case("equal inputs, equal bytes; rows that are not whole blocks fall back", function()
  test.with_dir(function(dir)
    model(dir .. "/m")
    local facts = assert(hf.to_gguf(dir .. "/m", dir .. "/1.gguf", "Q8_0"))
    test.equal(facts.fallback, 1) -- ffn_down has rows of 48
    assert(hf.to_gguf(dir .. "/m", dir .. "/2.gguf", "Q8_0"))
    test.equal(file.sha256(dir .. "/1.gguf"), file.sha256(dir .. "/2.gguf"))
    test.contains(hf.check_export(dir .. "/m", { "F16", "Q8_0" })[2], "1 matrices")
    local g <close> = assert(gguf.open(dir .. "/1.gguf"))
    for _, t in ipairs(g:tensors()) do
      test.equal(t.dtype, #t.shape == 1 and "f32" or t.name:find "ffn_down" and "f16" or "q8_0", t.name)
    end
  end)
end)

test.case("what cannot be exported is named before anything is written", function()
  test.with_dir(function(dir)
    local function refused(part, change, types)
      model(dir .. "/m", change)
      local notes, message = hf.check_export(dir .. "/m", types or "F16")
      test.equal(notes, nil)
      test.contains(message, part)
      test.equal(hf.to_gguf(dir .. "/m", dir .. "/m.gguf", types or "F16"), nil)
      test.equal(file.stat(dir .. "/m.gguf"), nil)
    end
    refused("Q4_K_M", nil, "Q4_K_M")
    refused("'qwen2' is not supported", function(c) c.model_type = "qwen2" end)
    refused("biases", function(c) c.attention_bias = true end)
    refused("rope scaling 'llama3'", function(c) c.rope_scaling = { rope_type = "llama3", factor = 8.0 } end)
    refused("rope scaling 'yarn'", function(c) c.rope_parameters = { rope_type = "yarn", rope_theta = 1.0 } end)
    refused("hidden_size must be a whole number", function(c) c.hidden_size = 0.5 end)
    refused("ids up to 9", function(_, t) t.model.vocab.z = 9 end)
    refused("bad id", function(_, t) t.model.vocab.z = -1 end)
    refused("normalises text (NFKC)", function(_, t) t.normalizer = { type = "NFKC" } end)
    refused("pre-tokenizer (Whitespace)", function(_, t) t.pre_tokenizer = { type = "Whitespace" } end)
    refused("of the kind WordPiece", function(_, t) t.model.type = "WordPiece" end)
    refused("'<end>' is not in the vocabulary", function(_, t)
      t.model.vocab["<end>"] = nil
      t.added_tokens[3] = nil
    end)
    test.equal(#assert(hf.check_export { config = { vocab_size = 8, hidden_size = 32, intermediate_size = 64,
      num_hidden_layers = 1, num_attention_heads = 2 } }), 0)
    model(dir .. "/m")
    write_weights(dir .. "/m/model.safetensors", SHAPES, function(l) l[3].shape = { 48, 32 } end)
    test.contains(select(2, hf.to_gguf(dir .. "/m", dir .. "/m.gguf", "F16")), "config.json makes it [32, 48]")
    write_weights(dir .. "/m/model.safetensors", SHAPES, function(l) table.remove(l, 3) end)
    test.contains(select(2, hf.to_gguf(dir .. "/m", dir .. "/m.gguf", "F16")), "lack")
    write_weights(dir .. "/m/model.safetensors", SHAPES,
      function(l) l[12] = { name = "model.extra", dtype = "f32", shape = { 1 } } end)
    test.contains(select(2, hf.to_gguf(dir .. "/m", dir .. "/m.gguf", "F16")), "model.extra")
  end)
end)

local PREFIX = "base_model.model.model.layers.0.self_attn.q_proj.lora_"

local function adapter(dir, change, config)
  assert(file.mkdirs(dir))
  local c = { peft_type = "LORA", r = 2, lora_alpha = 3, use_rslora = false, target_modules = { "q_proj" } }
  for k, v in pairs(config or {}) do c[k] = v end
  put(dir .. "/adapter_config.json", c)
  write_weights(dir .. "/adapter_model.safetensors", { { PREFIX .. "A", 2, 32 }, { PREFIX .. "B", 32, 2 } }, change)
end

test.case("an adapter is added to its base", function()
  test.with_dir(function(dir)
    model(dir .. "/base")
    adapter(dir .. "/adapter")
    local facts = assert(hf.merge(dir .. "/base", dir .. "/adapter", dir .. "/out"))
    test.equal(facts, { tensors = 11, merged = 1, scale = 1.5, rank = 2 })
    test.equal(file.read(dir .. "/out/config.json"), file.read(dir .. "/base/config.json"))
    local f <close> = assert(safetensors.open(dir .. "/out"))
    test.equal((f:read "model.norm.weight"), values(11, 32))
    local got = floats((f:read "model.layers.0.self_attn.q_proj.weight"))
    for o = 0, 31 do
      for i = 0, 31 do
        local sum = element(2, 2 * o) * element(1, i) + element(2, 2 * o + 1) * element(1, 32 + i)
        test.equal(got[o * 32 + i + 1], element(9, o * 32 + i) + 1.5 * sum) -- all exact in f32
      end
    end
    adapter(dir .. "/adapter", nil, { use_rslora = true })
    test.close(hf.merge(dir .. "/base", dir .. "/adapter", dir .. "/out").scale, 3 / math.sqrt(2), 1e-12)
  end)
end)

test.case("adapters that do not fit are refused", function()
  test.with_dir(function(dir)
    model(dir .. "/base")
    local function refused(part, change, config)
      adapter(dir .. "/a", change, config)
      local facts, message = hf.merge(dir .. "/base", dir .. "/a", dir .. "/out")
      test.equal(facts, nil)
      test.contains(message, part)
      test.equal(file.stat(dir .. "/out/model.safetensors"), nil)
    end
    refused("use_dora", nil, { use_dora = true })
    refused("rank_pattern", nil, { rank_pattern = { x = 1 } })
    refused("not LORA", nil, { peft_type = "IA3" })
    refused("r and lora_alpha", nil, { r = "2" })
    refused("is not complete", function(l) l[2] = nil end)
    refused("not part of a LoRA pair", function(l) l[2].name = "x" end)
    refused("does not have", function(l)
      for _, t in ipairs(l) do t.name = t.name:gsub("layers%.0", "layers.7") end
    end)
    refused("another base?", function(l) l[1].shape = { 2, 16 } end)
  end)
end)

test.case("reference bytes of the gguf and safetensors packages", function()
  local ref = assert(json.decode(assert(file.read "tests/format/reference.json")))
  test.with_dir(function(dir)
    for _, case in ipairs(ref.q8_0) do
      local w = assert(gguf.create(dir .. "/q.gguf"))
      assert(w:tensor("t", "q8_0", { #case.f32 // 8 }))
      assert(w:write(unhex(case.f32), "f32", 1))
      assert(w:commit())
      local g <close> = assert(gguf.open(dir .. "/q.gguf"))
      test.ok((g:read "t") == unhex(case.q8_0), case.name)
    end
    assert(file.write(dir .. "/r.safetensors", unhex(ref.safetensors)))
    local f <close> = assert(safetensors.open(dir .. "/r.safetensors"))
    test.equal(f:metadata "format", "np")
    test.equal(floats((f:read "b")), { 0.0, 1.0, 2.0 })
    test.equal({ ("<i8i8"):unpack((f:read "a")) }, { 1, 2, 17 })
    test.equal(floats((f:read("h", "f32"))), { 0.5 })
  end)
end)

return test.done()
