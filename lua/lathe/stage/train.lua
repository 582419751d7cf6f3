-- SPDX-License-Identifier: MIT
-- Tuning with LoRA: the records' texts, with loss on their spans only, into a PEFT adapter.
--
-- Before the first step every example is looked at: the template's tokens are known to the tokenizer, no
-- text begins with its beginning-of-text token twice, the token that ends an answer carries loss, no example
-- is longer than the model takes. What cannot be trained on is rejected and counted, never cut.

local hash = require "engine.hash"
local artifacts = require "lathe.artifacts"
local data = require "lathe.train.data"
local folder = require "lathe.train.folder"
local loop = require "lathe.train.loop"
local memory = require "lathe.train.memory"
local outlook = require "lathe.train.outlook"
local progress = require "lathe.progress"
local schedule = require "lathe.train.schedule"
local template = require "lathe.template"

local M = {
  name = "train",
  version = 1,
  kind = "artifact",
  publishes = "adapter",
  summary = "Tunes a model with LoRA on records that have text and spans of loss.",
  options = {
    base = { type = "string", default = "base", help = "the artifact, or the folder, of the model to tune" },
    lora = { type = "table", default = { rank = 16, alpha = 32, targets = "all-linear" },
      help = "rank, alpha, targets (all-linear, or a list of projections), dropout, rslora" },
    epochs = { type = "integer", default = 3, min = 1, help = "times that every example is seen" },
    lr = { type = "number", default = 2e-4, min = 0, help = "the highest learning rate" },
    batch = { type = "integer", default = 16, min = 1, help = "examples of an optimiser step" },
    micro_tokens = { type = "integer", default = 2048, min = 1, help = "tokens worked on at once, at most" },
    warmup = { type = "number", default = 0.03, min = 0, help = "steps of warm-up; below 1 a share of all" },
    schedule = { type = "string", default = "cosine", choices = schedule.kinds, help = "how the rate falls" },
    decay = { type = "number", default = 0.0, min = 0, help = "weight decay" },
    clip = { type = "number", default = 1.0, min = 0, help = "largest gradient norm; 0: none" },
    max_length = { type = "integer", min = 8, help = "the most tokens of an example (default: what the model takes)" },
    checkpointing = { type = "string", default = "auto", choices = { "auto", "none", "selective", "full" },
      help = "how much less is kept for the backward pass: less memory, more time, same bits; auto takes the first that fits" },
    seed = { type = "integer", help = "another beginning and order (default: the recipe's seed)" },
    checkpoint_steps = { type = "integer", default = 0, min = 0, neutral = true,
      help = "a checkpoint every so many steps" },
    checkpoint_seconds = { type = "number", default = 5, min = 0, neutral = true,
      help = "… and after so many seconds, while they cost under a twentieth of the time" },
  },
  positional = { "base" },
}

local LORA = { rank = true, alpha = true, targets = true, dropout = true, rslora = true }

--- Refuses LoRA options that do not exist.
function M.check(options)
  local names = {}
  for name in pairs(LORA) do names[#names + 1] = name end
  table.sort(names)
  for name in pairs(options.lora) do
    if not LORA[name] then return nil, "lora: " .. require("lathe.config").unknown("option", tostring(name), names) end
  end
  return true
end

--- The artifacts that are used: the base, unless it is a folder.
function M.uses(options) return artifacts.used { options.base } end

--- What the result depends on besides the options: the folders that are read.
function M.hashes(options) return artifacts.hashes({ options.base }) end

--- What `--plan` says of it.
function M.plan(options)
  return ("LoRA of rank %d; %d epochs, %d examples a step, at most %s tokens at once"):format(
    options.lora.rank or 16, options.epochs, options.batch, progress.count(options.micro_tokens))
end

-- ---- the audit ----

local function special_ids(tok)
  local special = {}
  for _, token in ipairs(tok:added()) do if token.special then special[token.id] = token.content end end
  return special
end

-- The template's own tokens must each be one token.
local function check_template(record, tok, ctx, seen)
  local used = record.metadata and record.metadata.template
  local name = used and used.name
  if type(name) ~= "string" or seen[name] then return true end
  seen[name] = true
  local form = template.load(name, { root = ctx.root })
  for _, token in ipairs(form and form.special or {}) do
    if not tok:id(token) then
      return nil, ("template '%s' uses %s, which the tokenizer does not know as one token"):format(name, token),
        "mismatch"
    end
  end
  return true
end

local function check_example(example, special, record)
  if example.first == example.second and special[example.first] then
    return nil, ("record %s begins with %s twice"):format(tostring(record.id), special[example.first]), "mismatch"
  end
  if not special[example.last] then
    return nil, ("record %s: its last token with loss is not a special token, so the model would never learn to stop; "
      .. "the template must put the end token into the loss"):format(tostring(record.id)), "mismatch"
  end
  return true
end

-- The examples of the training records; what cannot be used is rejected.
local function read_examples(input, tok, ctx, longest)
  local examples, digest, seen, special = {}, {}, {}, special_ids(tok)
  for record in input:records() do
    local split = record.metadata and record.metadata.split
    if split == nil or split == "train" then
      local fine, message, code = check_template(record, tok, ctx, seen)
      if not fine then return nil, message, code end
      if type(record.text) ~= "string" or not record.spans then
        return nil, ("record %s has no text and spans; put lathe.prompt before this stage"):format(
          tostring(record.id)), "misuse"
      end
      local example, reason, detail = data.example(record.text, record.spans, tok, longest)
      if example then
        fine, message, code = check_example(example, special, record)
        if not fine then return nil, message, code end
        examples[#examples + 1] = example
        digest[#digest + 1] = hash.sha256(example.ids .. example.targets)
      else
        ctx.reject(record, reason, detail)
      end
    end
  end
  if #examples == 0 then return nil, "there is no example to train on", "misuse" end
  return examples, hash.sha256(table.concat(digest))
end

-- ---- the run ----

local function lora_options(given, seed)
  local rank = given.rank or 16
  return { rank = rank, alpha = given.alpha or 2 * rank, targets = given.targets or "all-linear",
    dropout = given.dropout or 0.0, rslora = given.rslora or false, seed = seed }
end

local function train(ctx, m, examples, seed, belongs_to)
  local o = ctx.options
  local steps = math.max(1, (#examples * o.epochs + o.batch - 1) // o.batch)
  local order = data.order(#examples, o.batch, seed)
  local log, message, code = loop.run {
    model = m, steps = steps, scratch = ctx.scratch, every = o.checkpoint_steps, seconds = o.checkpoint_seconds,
    fingerprint = belongs_to,
    rate = schedule.new { kind = o.schedule, lr = o.lr, steps = steps, warmup = o.warmup },
    optimiser = { decay = o.decay, clip = o.clip },
    batches = function(step)
      local picked = {}
      for i, k in ipairs(order(step)) do picked[i] = examples[k] end
      return data.batches(picked, o.micro_tokens)
    end,
    progress = ctx.progress, log = ctx.log,
  }
  return log, message or steps, code
end

-- What a checkpoint must belong to: data, options and base.
local function fingerprint(m, o, lora, digest)
  return hash.sha256(table.concat({ "train", digest, lora.rank, lora.alpha,
    table.concat(folder.targets(lora.targets), ","), lora.dropout, tostring(lora.rslora), lora.seed, o.epochs, o.lr,
    o.batch, o.micro_tokens, o.warmup, o.schedule, o.decay, o.clip, hash.sha256((m:read "model.norm.weight")),
    hash.sha256((m:read "model.embed_tokens.weight")) }, "\0"))
end

-- ---- the plan ----

local function steps_line(o, records)
  if not records then
    return ("training: %d epochs in steps of %d examples; as many as records of the train split"):format(o.epochs, o.batch)
  end
  return ("training: at most %s examples, %d epochs, %s steps of %d"):format(progress.count(records), o.epochs,
    progress.count(math.max(1, (records * o.epochs + o.batch - 1) // o.batch)), o.batch)
end

--- What tuning will take.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table: lines
function M.plan(options, info)
  local o, lines = options, { steps_line(options, info.records) }
  local shape, dtype = outlook.shape(info, o.base)
  if not shape then
    if dtype then lines[#lines + 1] = "would fail: " .. dtype end
    return lines
  end
  local lora = lora_options(o.lora, 0)
  local need, message = outlook.fit(shape, { rows = o.micro_tokens, lora = lora, dtype = dtype }, info.memory,
    o.checkpointing)
  if not need then return { lines[1], "would fail: " .. message } end
  local longest = math.min(o.max_length or math.maxinteger, shape.max_position_embeddings)
  table.insert(lines, 1, outlook.about(need.parameters, shape))
  table.insert(lines, 2, ("adapter: rank %d, %s weights are trained (%.1f %% of the model's)"):format(lora.rank,
    outlook.millions(need.trainable), 100 * need.trainable / need.parameters))
  lines[#lines + 1] = ("examples of more than %s tokens will be rejected"):format(progress.count(longest))
  lines[#lines + 1] = outlook.memory(need, o.micro_tokens)
  lines[#lines + 1] = outlook.disk("adapter", outlook.weights(need.trainable, "f32"), need.trainable)
  for _, line in ipairs(outlook.export_lines(shape, outlook.folder(info, o.base))) do
    lines[#lines + 1] = (line:gsub("^would fail:", "note: the tuned model could not be exported:"))
  end
  return lines
end

function M.make(input, ctx)
  local o, seed = ctx.options, ctx.options.seed or ctx.seed
  local source = artifacts.path(ctx, o.base)
  local m <close>, tok, code = folder.open(source)
  if not m then return nil, tok, code end
  local longest = math.min(o.max_length or math.maxinteger, m:config().max_position_embeddings)
  local examples, digest
  examples, digest, code = read_examples(input, tok, ctx, longest)
  if not examples then return nil, digest, code end
  local lora = lora_options(o.lora, seed)
  local fine, message
  fine, message, code = m:lora(lora)
  if not fine then return nil, message, code end
  local count, _, trainable = data.count(examples), m:parameters()
  local how, need
  how, need, code = memory.fit(m, math.max(o.micro_tokens, count.longest), ctx.memory, o.checkpointing)
  if not how then return nil, need, code end
  ctx.log("info", "plan", { examples = #examples, tokens = count.tokens, supervised = count.supervised,
    longest = count.longest, trainable = trainable, memory = need, checkpointing = how })
  local log, steps
  log, steps, code = train(ctx, m, examples, seed, fingerprint(m, o, lora, digest))
  if not log then return nil, steps, code end
  fine, message, code = folder.write_adapter(ctx.dir, m, lora, o.base, source)
  if fine then fine, message, code = loop.write_log(ctx.dir .. "/log.jsonl", log) end
  if not fine then return nil, message, code end
  local first, last = loop.ends(log)
  return { examples = #examples, tokens = count.tokens, supervised = count.supervised, longest = count.longest,
    trainable = trainable, steps = steps, loss_first = first, loss_last = last,
    arithmetic = folder.arithmetic() }
end

return M
