-- SPDX-License-Identifier: MIT
-- Pretraining: a small model from nothing, on the text of the records.
--
-- Every text is cut into windows that are wrapped as conversations (lathe.train.packing says why), and read
-- a fixed number of steps, so that the result does not depend on how fast the machine is. Records whose
-- metadata.split is not "train" are left out; their loss at the end is the honest measure of what was learned
-- beyond the text itself.

local clock = require "engine.clock"
local file = require "engine.file"
local hash = require "engine.hash"
local data = require "lathe.train.data"
local folder = require "lathe.train.folder"
local loop = require "lathe.train.loop"
local memory = require "lathe.train.memory"
local model = require "engine.model"
local outlook = require "lathe.train.outlook"
local packing = require "lathe.train.packing"
local progress = require "lathe.progress"
local schedule = require "lathe.train.schedule"
local template = require "lathe.template"
local tokenizer = require "engine.tokenizer"

-- Rows of every matrix divide by 256 in "small", so that any block quantisation fits.
local PRESETS = {
  small = { hidden_size = 256, intermediate_size = 768, num_hidden_layers = 4, num_attention_heads = 4,
    num_key_value_heads = 2, max_position_embeddings = 512 },
  nano = { hidden_size = 64, intermediate_size = 192, num_hidden_layers = 2, num_attention_heads = 2,
    num_key_value_heads = 1, max_position_embeddings = 256 },
}

local M = {
  name = "pretrain",
  version = 1,
  kind = "artifact",
  publishes = "base",
  uses = { "tokenizer" },
  summary = "Trains a small language model from nothing on the text of the records.",
  options = {
    preset = { type = "string", default = "small", choices = { "small", "nano" }, help = "the model's size" },
    steps = { type = "integer", default = 300, min = 1, help = "optimiser steps" },
    batch = { type = "integer", default = 4, min = 1, help = "windows of a step" },
    context = { type = "integer", default = 256, min = 32, help = "tokens of a window, at most" },
    lr = { type = "number", default = 1e-3, min = 0, help = "the highest learning rate" },
    warmup = { type = "number", default = 0.05, min = 0, help = "steps of warm-up; below 1 a share of all" },
    schedule = { type = "string", default = "cosine", choices = schedule.kinds, help = "how the rate falls" },
    decay = { type = "number", default = 0.1, min = 0, help = "weight decay" },
    clip = { type = "number", default = 1.0, min = 0, help = "largest gradient norm; 0: none" },
    template = { type = "string", default = "chatml", help = "the conversation that windows are wrapped in" },
    seed = { type = "integer", help = "another beginning (default: the recipe's seed)" },
    checkpoint_steps = { type = "integer", default = 0, min = 0, neutral = true,
      help = "a checkpoint every so many steps" },
    checkpoint_seconds = { type = "number", default = 5, min = 0, neutral = true,
      help = "… and after so many seconds, while they cost under a twentieth of the time" },
  },
  positional = { "preset" },
}

--- What the result depends on besides the options: the template's text.
function M.hashes(options, where)
  local t = template.load(options.template, { root = where.root })
  return { template = t and t.hash or "" }
end

--- What `--plan` says of it.
function M.plan(options)
  local shape = PRESETS[options.preset]
  return ("%s model (%d layers of %d); %s steps of %d windows, at most %s tokens"):format(options.preset,
    shape.num_hidden_layers, shape.hidden_size, progress.count(options.steps), options.batch,
    progress.count(options.steps * options.batch * options.context))
end

-- Windows of the records, of those for training and of the others.
local function windows(input, tok, form, options)
  local train, held, digest = {}, {}, {}
  for record in input:records() do
    local text, split = record.text, record.metadata and record.metadata.split
    if type(text) == "string" and text:find "%S" then
      local list, message, code = packing.windows(text, tok, form, options.context)
      if not list then return nil, message, code end
      local is_train = split == nil or split == "train"
      table.move(list, 1, #list, #(is_train and train or held) + 1, is_train and train or held)
      if is_train then digest[#digest + 1] = hash.sha256(text) end
    end
  end
  return train, held, hash.sha256(table.concat(digest))
end

local ROWS = 2048 -- tokens of a micro-batch, unless one window is longer

local function config_of(options, vocabulary)
  local config = { vocab_size = vocabulary, tie_word_embeddings = true, rms_norm_eps = 1e-5, rope_theta = 10000.0 }
  for k, v in pairs(PRESETS[options.preset]) do config[k] = v end
  config.max_position_embeddings = math.max(config.max_position_embeddings, options.context)
  return config
end

local function make_model(options, tok, seed) return model.new(config_of(options, #tok), { seed = seed }) end

-- ---- the plan ----

--- The model that will be made, for stages that plan with it.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table|nil: as engine.model.new takes it, nil when the tokenizer is not known
-- @return string: how it is held
function M.shape(options, info)
  local where = info.artifacts.tokenizer
  local size
  if where and file.stat(where .. "/tokenizer.json") then
    local tok = tokenizer.load(where)
    size = tok and #tok
  else
    size = outlook.ask(info, "tokenizer", "size")
  end
  if size then return config_of(options, size), "f32" end
end

--- What pretraining will take.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table: lines
function M.plan(options, info)
  local form, why = template.load(options.template, { root = info.root })
  if not form then return { "would fail: " .. why } end
  local o, shape = options, M.shape(options, info)
  local lines = { ("training: %s steps of %d windows, at most %s tokens"):format(progress.count(o.steps), o.batch,
    progress.count(o.steps * o.batch * o.context)) }
  if not shape then return lines end
  local rows = math.max(ROWS, o.context)
  local need, message = outlook.fit(shape, { rows = rows }, info.memory, "auto")
  if not need then return { "would fail: " .. message } end
  table.insert(lines, 1, outlook.about(need.parameters, shape))
  lines[#lines + 1] = outlook.memory(need, rows)
  lines[#lines + 1] = outlook.disk("model", outlook.weights(need.parameters, "f32"), need.trainable)
  return lines
end

local function train(ctx, m, examples, seed, digest)
  local o = ctx.options
  local order = data.order(#examples, o.batch, seed)
  return loop.run {
    model = m, steps = o.steps, scratch = ctx.scratch, every = o.checkpoint_steps, seconds = o.checkpoint_seconds,
    fingerprint = hash.sha256(table.concat({ "pretrain", digest, #examples, o.preset, o.steps, o.batch, o.context, o.lr,
      o.warmup, o.schedule, o.decay, o.clip, seed }, "\0")),
    rate = schedule.new { kind = o.schedule, lr = o.lr, steps = o.steps, warmup = o.warmup, floor = 0.1 },
    optimiser = { decay = o.decay, clip = o.clip },
    batches = function(step)
      local picked = {}
      for i, k in ipairs(order(step)) do picked[i] = examples[k] end
      return data.batches(picked, math.max(ROWS, o.context))
    end,
    progress = ctx.progress, log = ctx.log,
  }
end

function M.make(input, ctx)
  local o, seed = ctx.options, ctx.options.seed or ctx.seed
  local tok, message, code = tokenizer.load(ctx.artifact "tokenizer")
  if not tok then return nil, message, code end
  local form
  form, message, code = template.load(o.template, { root = ctx.root })
  if not form then return nil, message, code end
  local examples, held, digest = windows(input, tok, form, o)
  if not examples then return nil, held, digest end
  if #examples == 0 then return nil, "there is no text to train on", "misuse" end
  local m <close>, why, reason = make_model(o, tok, seed)
  if not m then return nil, why, reason end
  local count = data.count(examples)
  local how, need
  how, need, code = memory.fit(m, math.max(ROWS, o.context), ctx.memory, "auto")
  if not how then return nil, need, code end
  ctx.log("info", "plan", { windows = #examples, tokens = count.tokens, epochs = o.steps * o.batch / #examples,
    parameters = m:parameters(), memory = need, checkpointing = how })
  local log
  log, message, code = train(ctx, m, examples, seed, digest)
  if not log then return nil, message, code end
  local began = clock.now()
  local outside
  outside, message, code = data.loss(m, held)
  if not outside then return nil, message, code end
  ctx.log("debug", "evaluated", { duration_ms = math.floor((clock.now() - began) * 1000) })
  local fine
  fine, message, code = folder.write(ctx.dir, m, ctx.artifact "tokenizer", tok:id(form.eos or form.stop[1] or ""))
  if fine then fine, message, code = loop.write_log(ctx.dir .. "/log.jsonl", log) end
  if not fine then return nil, message, code end
  local first, last = loop.ends(log)
  return { parameters = (m:parameters()), windows = #examples, tokens = count.tokens, steps = o.steps,
    loss_first = first, loss_last = last, heldout_documents_loss = outside.loss,
    heldout_documents_tokens = outside.tokens, arithmetic = folder.arithmetic() }
end

return M
