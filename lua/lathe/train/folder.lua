-- SPDX-License-Identifier: MIT
-- Model folders as Hugging Face and PEFT know them, written from a model in memory.
--
--     base/     config.json  generation_config.json  model.safetensors  tokenizer.json …
--     adapter/  adapter_config.json  adapter_model.safetensors  tokenizer.json …
--
-- The tokenizer's files are copied as they are, so that the model is used with the tokenizer and the chat
-- template it was trained with.

local file = require "engine.file"
local json = require "engine.json"
local model = require "engine.model"
local hf = require "lathe.hf"

local M = {}

local function put(path, value)
  return file.write(path, json.encode(value, { indent = 2, sort = true }) .. "\n")
end

local function config(m, stop)
  local c = m:config()
  c.architectures = json.array { "LlamaForCausalLM" }
  c.model_type, c.hidden_act, c.torch_dtype = "llama", "silu", "float32"
  c.attention_bias, c.mlp_bias, c.use_cache = false, false, true
  c.attention_dropout, c.initializer_range = 0.0, 0.02
  c.bos_token_id, c.eos_token_id, c.rope_scaling = json.null, stop or json.null, json.null
  return c
end

--- Writes a model folder.
-- @param dir string: an existing folder
-- @param m model: from engine.model
-- @param tokenizer string: the folder whose tokenizer files are copied
-- @param stop integer|nil: the id that ends an answer
-- @return boolean: true
-- @error io
function M.write(dir, m, tokenizer, stop)
  local steps = {
    function() return hf.copy_tokenizer(tokenizer, dir) end,
    function() return put(dir .. "/config.json", config(m, stop)) end,
    function()
      return put(dir .. "/generation_config.json", { eos_token_id = stop or json.null, pad_token_id = stop or json.null,
        do_sample = false })
    end,
    function() return m:save_weights(dir .. "/model.safetensors") end,
  }
  for _, step in ipairs(steps) do
    local fine, message, code = step()
    if not fine then return nil, message, code end
  end
  return true
end

local NAMES = { "q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj" }

--- The projections that a list of targets means, by their full names.
-- @param targets string|table: "all-linear", or names
-- @return table: names, sorted
function M.targets(targets)
  if targets == nil or targets == "all-linear" then targets = NAMES end
  if type(targets) == "string" then targets = { targets } end
  local out = {}
  for i, name in ipairs(targets) do out[i] = name:find "_proj$" and name or name .. "_proj" end
  table.sort(out)
  return out
end

local function plain_number(v) return math.tointeger(v) or v end

--- Writes an adapter folder.
-- @param dir string: an existing folder
-- @param m model: with adapters
-- @param lora table: rank, alpha, targets, dropout, rslora, as given to model:lora
-- @param base string: what the adapter is for (base_model_name_or_path)
-- @param tokenizer string: the folder whose tokenizer files are copied
-- @return boolean: true
-- @error io
function M.write_adapter(dir, m, lora, base, tokenizer)
  local fine, message, code = hf.copy_tokenizer(tokenizer, dir)
  if not fine then return nil, message, code end
  fine, message, code = put(dir .. "/adapter_config.json", {
    peft_type = "LORA", task_type = "CAUSAL_LM", base_model_name_or_path = base, revision = json.null,
    r = lora.rank, lora_alpha = plain_number(lora.alpha), lora_dropout = lora.dropout or 0.0,
    target_modules = json.array(M.targets(lora.targets)), modules_to_save = json.null, bias = "none",
    use_rslora = lora.rslora or false, use_dora = false, fan_in_fan_out = false, inference_mode = true,
    init_lora_weights = true, layers_to_transform = json.null, layers_pattern = json.null,
    rank_pattern = json.object {}, alpha_pattern = json.object {} })
  if not fine then return nil, message, code end
  return m:save_weights(dir .. "/adapter_model.safetensors", { adapter = true })
end

--- Adds an adapter from a PEFT folder to a model.
-- @param m model: without adapters
-- @param dir string: with adapter_config.json and adapter_model.safetensors
-- @return boolean: true
-- @error not_found, format, unsupported, mismatch
function M.load_adapter(m, dir)
  local c, message, code = hf.adapter_config(dir)
  if not c then return nil, message, code end
  local fine
  fine, message, code = m:lora { rank = c.rank, alpha = c.alpha, targets = c.targets, rslora = c.rslora }
  if not fine then return nil, message, code end
  return m:load_weights(dir .. "/adapter_model.safetensors", { adapter = true })
end

--- A model, with an adapter if one is named, and its tokenizer.
-- @param base string: the model's folder
-- @param adapter string|nil: a PEFT folder
-- @return model
-- @return tokenizer: the base's
-- @error not_found, format, unsupported, mismatch
-- @example local m, tok = require("lathe.train.folder").open("base", "adapter")
function M.open(base, adapter)
  local m, message, code = model.load(base)
  if not m then return nil, message, code end
  local tok
  tok, message, code = require("engine.tokenizer").load(base)
  if not tok then return nil, message, code end
  if adapter then
    local fine
    fine, message, code = M.load_adapter(m, adapter)
    if not fine then return nil, message, code end
  end
  return m, tok
end

--- What the bits of a training depend on besides data and options: the library that multiplies matrices and the
-- kernels it chose for this processor. (The number of threads does not matter.) Stages put it into their facts,
-- never into what they publish.
-- @return table: { blas = version and build, core = kernels }
-- @example require("lathe.train.folder").arithmetic().core
function M.arithmetic()
  local blas = require("engine.tensor").blas() or {}
  return { blas = blas.config, core = blas.core }
end

return M
