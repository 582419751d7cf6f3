-- SPDX-License-Identifier: MIT
-- Model folders as Hugging Face and PEFT lay them out: reading what they say, merging an adapter, and
-- whether they can be exported. lathe.train.folder writes them from a model in memory, lathe.gguf_file turns
-- them into GGUF.
--
--   config.json  generation_config.json  model.safetensors (or an index and shards)
--   tokenizer.json  tokenizer_config.json  special_tokens_map.json  [chat_template.jinja]
--   adapter_config.json  adapter_model.safetensors                   (an adapter's folder)
--
-- What a config asks for and we do not compute is refused by name, never ignored.

local file = require "engine.file"
local json = require "engine.json"
local safetensors = require "engine.safetensors"

local M = {}

local CONFIG_MAX = 16 << 20
local TOKENIZER_MAX = 256 << 20

local function read_json(path, limit, required)
  if not file.stat(path) then
    if not required then return nil end
    return nil, path .. ": no such file", "not_found"
  end
  local text, message, code = file.read(path, limit or CONFIG_MAX)
  if not text then return nil, message, code end
  local value
  value, message, code = json.decode(text, path)
  if value == nil then return nil, message, code end
  if json.kind(value) ~= "object" then return nil, path .. ": is not a JSON object", "format" end
  return value
end

local function write_json(path, value)
  return file.write(path, json.encode(value, { indent = 2 }) .. "\n")
end

-- nil for null and for what is not there.
local function given(value)
  if value == json.null then return nil end
  return value
end

-- ---- config.json ----

local function refuse(where, message) return nil, where .. ": " .. message, "unsupported" end

-- Plain rotary embeddings only: rope_scaling (older) and rope_parameters (newer) name other kinds.
local function rope_theta(c, where)
  local scaling, parameters = given(c.rope_scaling), given(c.rope_parameters)
  local kind = scaling and (scaling.rope_type or scaling.type) or parameters and parameters.rope_type or "default"
  if kind ~= "default" then return refuse(where, ("rope scaling '%s' is not supported yet"):format(tostring(kind))) end
  return parameters and given(parameters.rope_theta) or given(c.rope_theta) or 10000.0
end

local function whole(c, where, name, fallback)
  local v = given(c[name])
  if v == nil then v = fallback end
  if math.type(v) ~= "integer" or v < 1 then
    return nil, ("%s: %s must be a whole number of at least 1, not %s"):format(where, name, tostring(v)), "format"
  end
  return v
end

--- What a config.json says of a Llama model, in the words of engine.model.new, checked.
-- @param config table: config.json, decoded
-- @param where string: optional, put before messages (default "config.json")
-- @return table: vocab_size, hidden_size, … rope_theta, rms_norm_eps, tie_word_embeddings
-- @error unsupported (another architecture, biases, rope scaling …), format (a field makes no sense)
-- @example require("lathe.hf").describe(require("lathe.hf").config "models/small").hidden_size
function M.describe(config, where)
  where = where or "config.json"
  if config.model_type ~= "llama" then
    return refuse(where, ("model_type '%s' is not supported yet; 'llama' is"):format(tostring(config.model_type)))
  end
  if config.attention_bias == true or config.mlp_bias == true then
    return refuse(where, "biases are not supported yet")
  end
  local act = given(config.hidden_act) or "silu"
  if act ~= "silu" then return refuse(where, ("hidden_act '%s' is not supported"):format(act)) end
  local out, message, code = {}, nil, nil
  local function take(name, fallback)
    if message then return end
    out[name], message, code = whole(config, where, name, fallback)
  end
  take "vocab_size"
  take "hidden_size"
  take "intermediate_size"
  take "num_hidden_layers"
  take "num_attention_heads"
  take("num_key_value_heads", config.num_attention_heads)
  take("max_position_embeddings", 2048)
  if not message then take("head_dim", out.hidden_size // out.num_attention_heads) end
  if message then return nil, message, code end
  out.rope_theta, message, code = rope_theta(config, where)
  if not out.rope_theta then return nil, message, code end
  out.rms_norm_eps = given(config.rms_norm_eps) or 1e-6
  out.tie_word_embeddings = config.tie_word_embeddings == true
  return out
end

--- The config.json of a model folder.
-- @param folder string: the folder
-- @return table: decoded
-- @error not_found, format
function M.config(folder) return read_json(folder .. "/config.json", CONFIG_MAX, true) end

-- ---- tokenizer ----

-- A special token is a string, or { content = …, … }.
local function token_text(value)
  value = given(value)
  if type(value) == "table" then value = given(value.content) end
  return type(value) == "string" and value or nil
end

local function chat_template(folder, config)
  local t = given(config.chat_template)
  if type(t) == "string" then return t end
  if type(t) == "table" then -- several, by name
    for _, one in ipairs(t) do if one.name == "default" then return given(one.template) end end
  end
  if file.stat(folder .. "/chat_template.jinja") then return file.read(folder .. "/chat_template.jinja", CONFIG_MAX) end
  local other = read_json(folder .. "/chat_template.json", CONFIG_MAX)
  return other and given(other.chat_template)
end

-- id → token, and token → id, of a tokenizer.json.
local function vocabulary(t, path)
  local model = given(t.model)
  if not model or json.kind(model.vocab) ~= "object" then
    return nil, path .. ": has no vocabulary of the BPE kind", "unsupported"
  end
  local tokens, ids, last = {}, {}, -1
  local function add(token, id)
    if math.type(id) ~= "integer" or id < 0 or id >= 1 << 22 then return false end
    tokens[id], ids[token] = token, id
    if id > last then last = id end
    return true
  end
  for token, id in next, model.vocab do
    if not add(token, id) then return nil, ("%s: token '%s' has a bad id"):format(path, token), "format" end
  end
  for _, added in ipairs(given(t.added_tokens) or {}) do
    if type(added.content) ~= "string" or not add(added.content, added.id) then
      return nil, path .. ": an added token has no content or a bad id", "format"
    end
  end
  return tokens, ids, last
end

--- What the tokenizer files of a folder say.
-- @param folder string: with tokenizer.json, tokenizer_config.json
-- @return table: { json = tokenizer.json decoded, tokens = by id from 0, ids = by token, size, bos, eos, pad, unk =
-- ids or nil, add_bos, chat_template = text or nil }
-- @error not_found, format, unsupported
-- @example require("lathe.hf").tokenizer("models/small").eos
function M.tokenizer(folder)
  local path = folder .. "/tokenizer.json"
  local t, message, code = read_json(path, TOKENIZER_MAX, true)
  if not t then return nil, message, code end
  local config
  config, message, code = read_json(folder .. "/tokenizer_config.json", CONFIG_MAX)
  if message then return nil, message, code end
  config = config or {}
  local tokens, ids, last = vocabulary(t, path)
  if not tokens then return nil, ids, last end
  local map = read_json(folder .. "/special_tokens_map.json", CONFIG_MAX) or {}
  local out = { json = t, tokens = tokens, ids = ids, size = last + 1, chat_template = chat_template(folder, config),
    add_bos = config.add_bos_token == true }
  for _, name in ipairs { "bos", "eos", "pad", "unk" } do
    local token = token_text(config[name .. "_token"]) or token_text(map[name .. "_token"])
    if token and not ids[token] then
      return nil, ("%s/tokenizer_config.json: %s_token '%s' is not in the vocabulary"):format(folder, name, token),
        "mismatch"
    end
    out[name] = token and ids[token]
  end
  return out
end

-- ---- adapters ----

--- What an adapter_config.json says, checked: what cannot be computed is refused by name.
-- @param folder string: the adapter's folder
-- @return table: { rank, alpha, rslora, scale, base, targets = as the file has them }
-- @error not_found, format, unsupported
function M.adapter_config(folder)
  local path = folder .. "/adapter_config.json"
  local c, message, code = read_json(path, CONFIG_MAX, true)
  if not c then return nil, message, code end
  if c.peft_type ~= "LORA" then return refuse(path, ("peft_type '%s' is not LORA"):format(tostring(c.peft_type))) end
  for _, name in ipairs { "use_dora", "fan_in_fan_out", "use_qalora" } do
    if c[name] == true then return refuse(path, name .. " is not supported yet") end
  end
  for _, name in ipairs { "rank_pattern", "alpha_pattern", "modules_to_save", "trainable_token_indices" } do
    local v = given(c[name])
    if type(v) == "table" and next(v) ~= nil then return refuse(path, name .. " is not supported yet") end
  end
  if (given(c.bias) or "none") ~= "none" then return refuse(path, "adapted biases are not supported yet") end
  local r, alpha = given(c.r), given(c.lora_alpha)
  if math.type(r) ~= "integer" or r < 1 or type(alpha) ~= "number" then
    return nil, path .. ": r and lora_alpha must be numbers", "format"
  end
  return { rank = r, alpha = alpha, rslora = c.use_rslora == true, base = given(c.base_model_name_or_path),
    targets = given(c.target_modules),
    scale = c.use_rslora == true and alpha / math.sqrt(r) or alpha / r }
end

--- What an adapter folder says: rank, alpha, scale, and which weight each pair of matrices belongs to.
-- @param folder string: with adapter_config.json and adapter_model.safetensors
-- @return table: { rank, alpha, rslora, scale, base, pairs = { [weight name] = { a = name, b = name } }, weights =
-- the open safetensors }
-- @error not_found, format, unsupported (DoRA, patterns), mismatch (half a pair)
function M.adapter(folder)
  local out, message, code = M.adapter_config(folder)
  if not out then return nil, message, code end
  out.weights, message, code = safetensors.open(folder .. "/adapter_model.safetensors")
  if not out.weights then return nil, message, code end
  out.pairs = {}
  for _, name in ipairs(out.weights:names()) do
    local target, half = name:match "^base_model%.model%.(.+)%.lora_([AB])%.weight$"
    if not target then
      return refuse(folder .. "/adapter_model.safetensors", ("tensor '%s' is not part of a LoRA pair"):format(name))
    end
    target = target .. ".weight"
    out.pairs[target] = out.pairs[target] or {}
    out.pairs[target][half:lower()] = name
  end
  for target, pair in pairs(out.pairs) do
    if not (pair.a and pair.b) then
      return nil, ("%s: the pair for '%s' is not complete"):format(folder, target), "mismatch"
    end
  end
  if next(out.pairs) == nil then return nil, folder .. ": the adapter holds no matrices", "mismatch" end
  return out
end

local TOKENIZER_FILES = { "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
  "added_tokens.json", "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json" }

local function copy_files(from, to, names)
  for _, name in ipairs(names) do
    if file.stat(from .. "/" .. name) then
      local text, message, code = file.read(from .. "/" .. name, TOKENIZER_MAX)
      if not text then return nil, message, code end
      local fine
      fine, message, code = file.write(to .. "/" .. name, text)
      if not fine then return nil, message, code end
    end
  end
  return true
end

--- Copies a folder's tokenizer files as they are, so that a model is used with what it was trained with.
-- @param from string: a model's or tokenizer's folder
-- @param to string: an existing folder
-- @return boolean: true
-- @error io
function M.copy_tokenizer(from, to) return copy_files(from, to, TOKENIZER_FILES) end

local function merge_weights(base, adapter, path, progress)
  local list, left = {}, 0
  for i, name in ipairs(base:names()) do
    local info = base:info(name)
    if not info.dtype then return refuse(name, "tensors of type " .. info.type .. " are not merged") end
    list[i] = { name = name, dtype = info.dtype, shape = info.shape }
  end
  for target in pairs(adapter.pairs) do
    if not base:info(target) then
      return nil, ("the adapter changes '%s', which the base does not have: is it for another base (%s)?"):format(
        target, tostring(adapter.base)), "mismatch"
    end
    left = left + 1
  end
  local w <close>, message, code = safetensors.create(path, list)
  if not w then return nil, message, code end
  for i, tensor in ipairs(list) do
    local pair = adapter.pairs[tensor.name]
    local fine
    if pair then
      fine, message, code = w:merge(base, tensor.name, adapter.weights, pair.a, pair.b, adapter.scale)
    else
      fine, message, code = w:copy(base, tensor.name)
    end
    if not fine then return nil, message, code end
    if progress then progress(i, #list, "tensors") end
  end
  local fine
  fine, message, code = w:commit()
  if not fine then return nil, message, code end
  return { tensors = #list, merged = left }
end

--- Adds an adapter to its base: W + scale · B·A, tensor by tensor, in fp32, stored in the base's types.
-- Memory: one projection's adapter and a row; no copy of the model is held.
-- @param base string: the model's folder
-- @param adapter string: the adapter's folder
-- @param out string: the folder that is written (config and tokenizer are the base's)
-- @param progress function: optional; called as progress(done, total, unit)
-- @return table: { tensors, merged, scale, rank }
-- @error not_found, format, unsupported, mismatch (an adapter for another base), io
-- @example require("lathe.hf").merge("base", "adapter", "merged")
function M.merge(base, adapter, out, progress)
  local weights <close>, message, code = safetensors.open(base)
  if not weights then return nil, message, code end
  local a
  a, message, code = M.adapter(adapter)
  if not a then return nil, message, code end
  local fine
  fine, message, code = file.mkdirs(out)
  if not fine then return nil, message, code end
  local facts
  facts, message, code = merge_weights(weights, a, out .. "/model.safetensors", progress)
  a.weights:close()
  if not facts then return nil, message, code end
  fine, message, code = copy_files(base, out, { "config.json", "generation_config.json" })
  if fine then fine, message, code = M.copy_tokenizer(base, out) end
  if not fine then return nil, message, code end
  facts.scale, facts.rank = a.scale, a.rank
  return facts
end

-- ---- export ----

--- Writes a model folder as one GGUF file; see lathe.gguf_file.
-- @param folder string: config.json, safetensors, tokenizer files
-- @param path string: the file
-- @param type string: "F32", "F16", "BF16" or "Q8_0"
-- @param options table: optional { name = general.name, progress = function }
-- @return table: { bytes, tensors, fallback = tensors that could not have the type }
-- @error not_found, format, unsupported, io
-- @example require("lathe.hf").to_gguf("merged", "model.gguf", "Q8_0")
function M.to_gguf(folder, path, type, options)
  return require("lathe.gguf_file").write(folder, path, type, options)
end

--- Whether a model of this shape and tokenizer can be exported, so that it is known before training.
-- @param what string|table: a model folder; or { config = table as engine.model.new takes it or a decoded
-- config.json, tokenizer = folder }
-- @param types string|table: optional; the types wanted, "F16" or a list
-- @return table: notes for the user (weights that will fall back to another type, a missing template …)
-- @error unsupported, mismatch, not_found, format: what would fail
-- @example require("lathe.hf").check_export("base", { "F16", "Q8_0" })
function M.check_export(what, types)
  return require("lathe.gguf_file").check(what, types)
end

M.read_json, M.write_json = read_json, write_json

return M
