-- SPDX-License-Identifier: MIT
-- From a Hugging Face folder to a GGUF file that llama.cpp and Ollama run.
--
-- Names: model.layers.N.self_attn.q_proj → blk.N.attn_q and so on; a tied head has no tensor of its own.
-- llama.cpp turns neighbouring pairs where Hugging Face turns halves, so the rows of q and k are
-- reordered within each head. One-dimensional tensors stay F32. Rows that are not whole blocks of the type
-- fall back to F16, as llama.cpp's own converter does; they are counted.
--
-- Sources: ggml's docs/gguf.md; the key and tensor names are those llama.cpp reads.

local file = require "engine.file"
local gguf = require "engine.gguf"
local gguf_tokenizer = require "lathe.gguf_tokenizer"
local hf = require "lathe.hf"
local safetensors = require "engine.safetensors"

local M = {}

-- type → { element type of matrices, general.file_type }
local TYPES = { F32 = { "f32", 0 }, F16 = { "f16", 1 }, Q8_0 = { "q8_0", 7 }, BF16 = { "bf16", 32 } }
local BLOCK = { q8_0 = 32 }

local LAYER = {
  ["self_attn.q_proj"] = "attn_q", ["self_attn.k_proj"] = "attn_k", ["self_attn.v_proj"] = "attn_v",
  ["self_attn.o_proj"] = "attn_output", ["mlp.gate_proj"] = "ffn_gate", ["mlp.up_proj"] = "ffn_up",
  ["mlp.down_proj"] = "ffn_down", ["input_layernorm"] = "attn_norm", ["post_attention_layernorm"] = "ffn_norm",
}

local function unsupported(message) return nil, message, "unsupported" end

local function type_of(name)
  local key = type(name) == "string" and name:upper() or ""
  if not TYPES[key] then
    return unsupported(("GGUF type '%s' is not written yet; F32, F16, BF16 and Q8_0 are"):format(tostring(name)))
  end
  return key
end

-- ---- tensors ----

-- The tensors of the file, in order: { name, source, dtype, shape, heads }.
local function tensor_list(c)
  local list = {}
  local function add(name, source, shape, heads)
    list[#list + 1] = { name = name .. ".weight", source = source .. ".weight", shape = shape, heads = heads }
  end
  local q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
  local shapes = {
    ["self_attn.q_proj"] = { q, c.hidden_size }, ["self_attn.k_proj"] = { kv, c.hidden_size },
    ["self_attn.v_proj"] = { kv, c.hidden_size }, ["self_attn.o_proj"] = { c.hidden_size, q },
    ["mlp.gate_proj"] = { c.intermediate_size, c.hidden_size },
    ["mlp.up_proj"] = { c.intermediate_size, c.hidden_size },
    ["mlp.down_proj"] = { c.hidden_size, c.intermediate_size }, ["input_layernorm"] = { c.hidden_size },
    ["post_attention_layernorm"] = { c.hidden_size },
  }
  local order = { "input_layernorm", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
    "post_attention_layernorm", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj" }
  add("token_embd", "model.embed_tokens", { c.vocab_size, c.hidden_size })
  for i = 0, c.num_hidden_layers - 1 do
    for _, name in ipairs(order) do
      local heads = name == "self_attn.q_proj" and c.num_attention_heads
        or name == "self_attn.k_proj" and c.num_key_value_heads or nil
      add(("blk.%d.%s"):format(i, LAYER[name]), ("model.layers.%d.%s"):format(i, name), shapes[name], heads)
    end
  end
  add("output_norm", "model.norm", { c.hidden_size })
  if not c.tie_word_embeddings then add("output", "lm_head", { c.vocab_size, c.hidden_size }) end
  return list
end

-- Fills in the element types; returns how many matrices fell back.
local function choose_types(list, key)
  local fallback = 0
  for _, t in ipairs(list) do
    t.dtype = #t.shape == 1 and "f32" or TYPES[key][1]
    local block = BLOCK[t.dtype]
    if block and t.shape[#t.shape] % block ~= 0 then
      t.dtype, fallback = "f16", fallback + 1
    end
  end
  return fallback
end

local function same_shape(a, b)
  if #a ~= #b then return false end
  for i = 1, #a do if a[i] ~= b[i] then return false end end
  return true
end

-- Every tensor is there, has the shape that the config says, and none is left over.
local function check_weights(list, weights, c)
  local known = {}
  for _, t in ipairs(list) do
    local info = weights:info(t.source)
    known[t.source] = true
    if not info then return nil, ("the weights lack '%s'"):format(t.source), "mismatch" end
    if not same_shape(info.shape, t.shape) then
      return nil, ("'%s' is [%s], config.json makes it [%s]"):format(t.source, table.concat(info.shape, ", "),
        table.concat(t.shape, ", ")), "mismatch"
    end
    if not info.dtype or not info.dtype:find "f" then
      return unsupported(("'%s' is of type %s"):format(t.source, info.type))
    end
  end
  for _, name in ipairs(weights:names()) do
    local harmless = name:find "%.rotary_emb%.inv_freq$" or (c.tie_word_embeddings and name == "lm_head.weight")
    if not known[name] and not harmless then
      return unsupported(("the weights hold '%s', which a Llama model does not have"):format(name))
    end
  end
  return true
end

-- ---- tokenizer ----

-- Ids of the end tokens: tokenizer_config.json, else config.json.
local function special_ids(tok, config)
  local function one(v)
    if type(v) == "table" then v = v[1] end
    return math.type(v) == "integer" and v or nil
  end
  return { bos = tok.bos or one(config.bos_token_id), eos = tok.eos or one(config.eos_token_id),
    pad = tok.pad or one(config.pad_token_id) }
end

-- ---- metadata ----

local function architecture_keys(c, name, key)
  local keys = {
    { "general.architecture", "string", "llama" }, { "general.type", "string", "model" },
    { "general.name", "string", name }, { "general.file_type", "u32", TYPES[key][2] },
    { "general.quantization_version", "u32", 2 },
    { "llama.vocab_size", "u32", c.vocab_size }, { "llama.context_length", "u32", c.max_position_embeddings },
    { "llama.embedding_length", "u32", c.hidden_size }, { "llama.block_count", "u32", c.num_hidden_layers },
    { "llama.feed_forward_length", "u32", c.intermediate_size },
    { "llama.attention.head_count", "u32", c.num_attention_heads },
    { "llama.attention.head_count_kv", "u32", c.num_key_value_heads },
    { "llama.attention.key_length", "u32", c.head_dim }, { "llama.attention.value_length", "u32", c.head_dim },
    { "llama.attention.layer_norm_rms_epsilon", "f32", c.rms_norm_eps },
    { "llama.rope.dimension_count", "u32", c.head_dim }, { "llama.rope.freq_base", "f32", c.rope_theta },
  }
  return keys
end

-- The keys of the tokenizer, and what to say about them.
local function tokenizer_keys(tok, config, c)
  local ids = special_ids(tok, config)
  return gguf_tokenizer.keys(tok, { size = c.vocab_size, bos = ids.bos, eos = ids.eos, pad = ids.pad })
end

-- ---- the file ----

local function load(folder)
  local config, message, code = hf.config(folder)
  if not config then return nil, message, code end
  local c
  c, message, code = hf.describe(config, folder .. "/config.json")
  if not c then return nil, message, code end
  local tok
  tok, message, code = hf.tokenizer(folder)
  if not tok then return nil, message, code end
  local keys, notes
  keys, notes, code = tokenizer_keys(tok, config, c)
  if not keys then return nil, notes, code end
  return { config = config, shape = c, tokenizer = tok, keys = keys, notes = notes }
end

local function declare(w, keys, list)
  for _, k in ipairs(keys) do
    local fine, message, code = w:set(k[1], k[2], k[3])
    if not fine then return nil, message, code end
  end
  for _, t in ipairs(list) do
    local fine, message, code = w:tensor(t.name, t.dtype, t.shape)
    if not fine then return nil, message, code end
  end
  return true
end

local function copy(w, list, weights, progress)
  for i, t in ipairs(list) do
    local fine, message, code = w:copy(weights, t.source, t.heads)
    if not fine then return nil, message, code end
    if progress then progress(i, #list, "tensors") end
  end
  return true
end

local function write(model, weights, path, key, options)
  local list = tensor_list(model.shape)
  local fallback = choose_types(list, key)
  local fine, message, code = check_weights(list, weights, model.shape)
  if not fine then return nil, message, code end
  local w <close>, why, kind = gguf.create(path)
  if not w then return nil, why, kind end
  local keys = architecture_keys(model.shape, options.name or "model", key)
  for _, k in ipairs(model.keys) do keys[#keys + 1] = k end
  fine, message, code = declare(w, keys, list)
  if fine then fine, message, code = copy(w, list, weights, options.progress) end
  if fine then fine, message, code = w:commit() end
  if not fine then return nil, message, code end
  return { tensors = #list, fallback = fallback, type = key, bytes = file.stat(path).size }
end

--- Writes a model folder as one GGUF file.
-- @param folder string: config.json, safetensors, tokenizer files
-- @param path string: the file
-- @param type string: "F32", "F16", "BF16" or "Q8_0"; case does not matter
-- @param options table: optional { name = general.name, progress = function(done, total, unit) }
-- @return table: { bytes, tensors, type, fallback = matrices that could not have the type and are F16 }
-- @error not_found, format, unsupported, mismatch, io, cancelled
-- @example require("lathe.gguf_file").write("merged", "model.gguf", "F16")
function M.write(folder, path, type, options)
  local key, message, code = type_of(type)
  if not key then return nil, message, code end
  local model
  model, message, code = load(folder)
  if not model then return nil, message, code end
  local weights <close>, why, kind = safetensors.open(folder)
  if not weights then return nil, why, kind end
  return write(model, weights, path, key, options or {})
end

--- Writes only the tokenizer of a folder as a GGUF file, which llama.cpp opens with vocab_only.
-- @param folder string: tokenizer.json, tokenizer_config.json
-- @param path string: the file
-- @return table: { bytes, notes = list: where llama.cpp will differ }
-- @error not_found, format, unsupported, io
-- @example require("lathe.gguf_file").vocabulary("models/llama-2", "vocabulary.gguf")
function M.vocabulary(folder, path)
  local tok, message, code = hf.tokenizer(folder)
  if not tok then return nil, message, code end
  local keys, notes
  keys, notes, code = gguf_tokenizer.keys(tok, {})
  if not keys then return nil, notes, code end
  table.insert(keys, 1, { "general.architecture", "string", "llama" })
  table.insert(keys, 2, { "general.type", "string", "vocab" })
  local w <close>, why, kind = gguf.create(path)
  if not w then return nil, why, kind end
  local fine
  fine, message, code = declare(w, keys, {})
  if fine then fine, message, code = w:commit() end
  if not fine then return nil, message, code end
  return { bytes = file.stat(path).size, notes = notes }
end

-- What a model folder, or a config and a tokenizer folder, come to.
local function take(what)
  if type(what) == "string" then return load(what) end
  local config = what.config
  if config.model_type == nil then -- as engine.model.new takes it
    local full = { model_type = "llama" }
    for k, v in pairs(config) do full[k] = v end
    config = full
  end
  local c, message, code = hf.describe(config, "the model's config")
  if not c then return nil, message, code end
  local model = { config = config, shape = c }
  if what.tokenizer then
    model.tokenizer, message, code = hf.tokenizer(what.tokenizer)
    if not model.tokenizer then return nil, message, code end
    model.keys, model.notes, code = tokenizer_keys(model.tokenizer, config, c)
    if not model.keys then return nil, model.notes, code end
  end
  return model
end

--- Whether a model can be exported, without writing anything; see lathe.hf.check_export.
-- @param what string|table: a model folder; or { config, tokenizer = folder }
-- @param types string|table: optional; the types wanted
-- @return table: list of notes
-- @error unsupported, mismatch, not_found, format
-- @example require("lathe.gguf_file").check("base", "Q8_0")
function M.check(what, types)
  local model, message, code = take(what)
  if not model then return nil, message, code end
  local notes = { table.unpack(model.notes or {}) }
  for _, name in ipairs(type(types) == "table" and types or { types }) do
    local key
    key, message, code = type_of(name)
    if not key then return nil, message, code end
    local fallback = choose_types(tensor_list(model.shape), key)
    if fallback > 0 then
      notes[#notes + 1] = ("%s: %d matrices have rows that are not whole blocks and will be F16"):format(key, fallback)
    end
  end
  local tok = model.tokenizer
  if tok and not tok.chat_template then notes[#notes + 1] = "the tokenizer has no chat template" end
  if tok and not (tok.eos or special_ids(tok, model.config).eos) then
    notes[#notes + 1] = "no end token is named: answers will not stop"
  end
  return notes
end

local BITS = { f32 = 32, f16 = 16, bf16 = 16, q8_0 = 8.5 }

--- How many bytes the tensors of a file will be, without its metadata.
-- @param shape table: from lathe.hf.describe, or as engine.model.new takes it
-- @param type string: "F32", "F16", "BF16" or "Q8_0"
-- @return integer
-- @error unsupported
-- @example require("lathe.gguf_file").size(require("lathe.hf").describe(config), "Q8_0")
function M.size(shape, type)
  local key, message, code = type_of(type)
  if not key then return nil, message, code end
  local full = setmetatable({ head_dim = shape.head_dim or shape.hidden_size // shape.num_attention_heads,
    num_key_value_heads = shape.num_key_value_heads or shape.num_attention_heads }, { __index = shape })
  local list, bytes = tensor_list(full), 0
  choose_types(list, key)
  for _, t in ipairs(list) do bytes = bytes + t.shape[1] * (t.shape[2] or 1) * BITS[t.dtype] // 8 end
  return math.tointeger(bytes)
end

return M
