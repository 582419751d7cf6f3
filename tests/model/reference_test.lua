-- SPDX-License-Identifier: MIT
-- The whole model against transformers and peft on the same weights (fp32): logits, losses, gradients
-- of adapters and of all weights, to 1e-4 relative (max|a−b| / max|b|). The values and the versions
-- that made them are in reference.json, made by tests/reference/llama_peft.py; weights come from the
-- formula told there.
local test = require "tests.support.test"
local file = require "engine.file"
local model = require "engine.model"
local json = require "engine.json"

local G <const> = 0x9E3779B97F4A7C15

local function mix(v)
  v = (v ~ (v >> 30)) * 0xBF58476D1CE4E5B9
  v = (v ~ (v >> 27)) * 0x94D049BB133111EB
  return v ~ (v >> 31)
end

local function formula(name, shape)
  local h, out = 0xCBF29CE484222325, {}
  for i = 1, #name do h = (h ~ name:byte(i)) * 0x100000001B3 end
  local seed, shift = mix(h + G), #shape == 1 and 1.0 or 0.0
  for i = 0, shape[1] * (shape[2] or 1) - 1 do
    local u = mix(mix(seed ~ (i + G)) ~ G) >> 40
    out[i + 1] = string.pack("<f", shift + (u / 2 ^ 24 - 0.5) * 0.25)
  end
  return table.concat(out)
end

local function floats(bytes)
  local out = {}
  for i = 1, #bytes // 4 do out[i] = (string.unpack("<f", bytes, 4 * i - 3)) end
  return out
end

local function relative(got, want, what)
  test.equal(#got, #want, what .. ": count")
  local difference, largest = 0, 0
  for i = 1, #want do
    difference = math.max(difference, math.abs(got[i] - want[i]))
    largest = math.max(largest, math.abs(want[i]))
  end
  if difference > 1e-4 * largest or difference ~= difference then
    error(("%s: relative difference %.3g"):format(what, difference / largest), 2)
  end
end

local function fill(m)
  for _, t in ipairs(m:tensors()) do assert(m:write(t.name, formula(t.name, t.shape))) end
end

local reference = assert(json.decode(assert(file.read "tests/model/reference.json")))

-- Both sequences, packed into one batch.
local function batch()
  local b = { tokens = {}, targets = {}, lengths = {} }
  for s, ids in ipairs(reference.sequences) do
    for i, id in ipairs(ids) do
      local target = i > reference.unsupervised[s] and ids[i + 1] or -1
      b.tokens[#b.tokens + 1], b.targets[#b.targets + 1] = id, target
    end
    b.lengths[s] = #ids
  end
  return b
end

local function logits(m)
  local all = {}
  for _, ids in ipairs(reference.sequences) do
    for _, v in ipairs(floats(assert(m:logits(ids)):bytes())) do all[#all + 1] = v end
  end
  return all
end

for _, want in ipairs(reference.models) do
  local name = want.tied and "tied head" or "untied head"
  local config = {}
  for k, v in pairs(reference.config) do config[k] = v end
  config.tie_word_embeddings = want.tied

  test.case(name .. ": logits, loss and gradients of all weights", function()
    local m <close> = assert(model.new(config, { random = false }))
    fill(m)
    relative(logits(m), want.logits_base, "logits")
    local loss, supervised = assert(m:accumulate(batch()))
    relative({ loss }, { want.loss_base }, "loss")
    test.equal(supervised, 14 - 4 + 8 - 2)
    for tensor, g in pairs(want.gradients_base) do
      local got = floats((m:gradient(tensor)))
      local sum = 0
      for _, v in ipairs(got) do sum = sum + v * v end
      relative({ sum ^ 0.5 }, { g.norm }, tensor .. ": norm")
      -- where the first values are all zero (an id that never occurs), the tensor's scale is the measure
      local scale = g.norm / (#got) ^ 0.5
      relative({ scale, table.unpack(got, 1, #g.first) }, { scale, table.unpack(g.first) }, tensor)
    end
  end)

  test.case(name .. ": logits, loss and gradients with adapters", function()
    local m <close> = assert(model.new(config, { random = false }))
    assert(m:lora { rank = want.rank, alpha = want.alpha, rslora = want.rslora })
    fill(m)
    relative(logits(m), want.logits, "logits")
    local loss = assert(m:accumulate(batch()))
    relative({ loss }, { want.loss }, "loss")
    for tensor, g in pairs(want.gradients) do relative(floats((m:gradient(tensor))), g, tensor) end
    m:adapters(false)
    relative(logits(m), want.logits_base, "logits without adapters")
    m:adapters(true)
    local before = logits(m)
    assert(m:merge())
    relative(logits(m), before, "logits after merging")
  end)
end

return test.done()
