-- SPDX-License-Identifier: MIT
-- What training, measuring and exporting will need, said before anything is run: sizes of models that are
-- there or that an earlier stage of the same recipe will make, memory, disk, and checks that would fail later.
--
-- Stages call this from their plan(options, info). info.artifacts is name → folder (it may not exist yet),
-- info.makers is name → { module, options, info = function } of the stage that will make it, info.records is
-- the number of records that come in, when the stage before is done, info.memory what may be held. Nothing is written, no weight is read.

local artifacts = require "lathe.artifacts"
local file = require "engine.file"
local hf = require "lathe.hf"
local memory = require "lathe.train.memory"
local model = require "engine.model"
local progress = require "lathe.progress"

local M = {}

local WIDTH = { f32 = 4, bf16 = 2 }
local TOKENIZER_MOST = 2 << 20 -- bytes of a tokenizer.json that is read for a plan

--- The folder of an artifact or path, whether it is there yet or not.
-- @param info table: of the plan
-- @param name string: an artifact's name, or a path
-- @return string|nil
function M.folder(info, name)
  if artifacts.is_folder(name) then return name end
  return info.artifacts and info.artifacts[name]
end

--- Asks the stage that will make an artifact.
-- @param info table: of the plan
-- @param name string: the artifact
-- @param what string: a function of its module, called with its options and info
-- @return what it returns; nil when nobody can say
function M.ask(info, name, what)
  local maker = info.makers and info.makers[name]
  if not (maker and maker.module[what]) then return nil end
  return maker.module[what](maker.options, maker.info())
end

local function described(folder)
  local config, message = hf.config(folder)
  if not config then return nil, message end
  local shape
  shape, message = hf.describe(config, folder .. "/config.json")
  if not shape then return nil, message end
  local dtype = config.torch_dtype or config.dtype
  shape.model_type = nil
  return shape, (dtype == "bfloat16" or dtype == "float16") and "bf16" or "f32"
end

--- The shape of a model: from its folder, else from the stage that will make it.
-- @param info table: of the plan
-- @param name string: an artifact's name, or a path
-- @return table|nil: as engine.model.new takes it; nil and a message when it is refused, nil alone when
-- nothing is known
-- @return string: "f32" or "bf16", as it will be held
function M.shape(info, name)
  local folder = M.folder(info, name)
  if folder and (artifacts.is_folder(name) or file.stat(folder .. "/config.json")) then return described(folder) end
  return M.ask(info, name, "shape")
end

--- Bytes of the weights on disk.
-- @param parameters integer: weights
-- @param dtype string: "f32" or "bf16"
-- @return integer
function M.weights(parameters, dtype) return parameters * WIDTH[dtype] end

--- The engine's plan, with wrong options as messages.
-- @param shape table: as engine.model.new takes it
-- @param options table: as for engine.model.plan
-- @return table|nil: see engine.model.plan
-- @return string: the message
function M.need(shape, options)
  local fine, need, message = pcall(model.plan, shape, options)
  if not fine then return nil, (tostring(need):gsub("^[^\n]-:%d+: ", "")) end
  return need, message
end

--- The first way of training that fits, as lathe.train.memory will choose it.
-- @param shape table: as engine.model.new takes it
-- @param options table: as for engine.model.plan
-- @param limit integer|nil: bytes that may be held
-- @param wanted string: "auto", "none", "selective", "full"
-- @return table|nil: see engine.model.plan, with `how`
-- @return string: the message
function M.fit(shape, options, limit, wanted)
  local need, message
  for _, how in ipairs(wanted == "auto" and memory.WAYS or { wanted }) do
    options.checkpointing = how
    need, message = M.need(shape, options)
    if not need then return nil, message end
    need.how = how
    if not limit or need.total <= limit then return need end
  end
  return nil, memory.too_little(need.total, options.rows, limit)
end

--- A count of weights for people.
-- @param n integer
-- @return string: "3.6 M"
function M.millions(n)
  if n >= 1e9 then return ("%.1f G"):format(n / 1e9) end
  return n >= 1e6 and ("%.1f M"):format(n / 1e6) or ("%.1f k"):format(n / 1e3)
end

--- What a model is, in a line.
-- @param parameters integer: weights
-- @param shape table: its shape
-- @return string
function M.about(parameters, shape)
  return ("model: %s weights, %d layers of %d, vocabulary %s, at most %s positions"):format(M.millions(parameters),
    shape.num_hidden_layers, shape.hidden_size, progress.count(shape.vocab_size),
    progress.count(shape.max_position_embeddings))
end

--- What training will hold, in a line.
-- @param need table: from fit
-- @param rows integer: tokens of a micro-batch
-- @return string
function M.memory(need, rows)
  return ("memory: %s for up to %s tokens at once (weights %s, gradients and moments %s, activations %s)%s"):format(
    progress.bytes(need.total), progress.count(rows), progress.bytes(need.weights),
    progress.bytes(need.gradients + need.moments), progress.bytes(need.activations + need.workspace),
    need.how == "none" and "" or ", with checkpointing " .. need.how)
end

--- What training will leave on disk, in a line. A checkpoint holds each trained weight and its two moments.
-- @param what string: what is published
-- @param bytes integer: its size
-- @param trainable integer: weights that are trained
-- @return string
function M.disk(what, bytes, trainable)
  return ("disk: %s %s; while it runs, two checkpoints of %s"):format(what, progress.bytes(bytes),
    progress.bytes(12 * trainable))
end

--- Whether a model can be exported later.
-- @param shape table: its shape
-- @param folder string|nil: of the tokenizer, when it is there
-- @param types string|table|nil: GGUF types
-- @return table: lines; the first begins with "would fail" when it cannot
function M.export_lines(shape, folder, types)
  local stat = folder and file.stat(folder .. "/tokenizer.json")
  local notes, message = hf.check_export({ config = shape,
    tokenizer = stat and stat.size <= TOKENIZER_MOST and folder or nil }, types)
  if not notes then return { "would fail: " .. message } end
  local out = {}
  for i, note in ipairs(notes) do out[i] = "note: " .. note end
  return out
end

return M
