-- SPDX-License-Identifier: MIT
-- What --plan says of training, measuring and exporting: before anything is there, and after.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local gguf_file = require "lathe.gguf_file"
local json = require "engine.json"
local model = require "engine.model"
local nano = require "tests.support.nano"

local SHAPE = { vocab_size = 400, hidden_size = 64, intermediate_size = 192, num_hidden_layers = 2,
  num_attention_heads = 2, num_key_value_heads = 1, max_position_embeddings = 256, tie_word_embeddings = true }

local dir = (os.getenv "TMPDIR" or "/tmp") .. "/outlook-" .. math.random(1 << 40)
nano.setup(dir)

local function matches(text, pattern)
  test.ok(text:find(pattern), ("%q is not in:\n%s"):format(pattern, text))
end

local function planned(stage, options, info)
  local module = require("lathe.stage." .. stage)
  local o = assert(require("lathe.config").check(module.options, options or {}, module.positional))
  info.artifacts = info.artifacts or {}
  return table.concat(module.plan(o, info), "\n")
end

-- A folder that holds a config only.
local function config(name, change)
  local c = { model_type = "llama" }
  for k, v in pairs(SHAPE) do c[k] = v end
  for k, v in pairs(change or {}) do c[k] = v end
  cli.put(("%s/%s/config.json"):format(dir, name), json.encode(c))
  return dir .. "/" .. name
end

test.case("a plan of a model that is not there is that of one that is", function()
  local m <close> = assert(model.new(SHAPE))
  assert(m:lora { rank = 4 })
  local plan, there = assert(model.plan(SHAPE, { rows = 300, lora = { rank = 4 } })), m:memory { rows = 300 }
  for name, bytes in pairs(there) do test.equal(plan[name], bytes) end
  local parameters, trainable = m:parameters()
  test.equal(plan.parameters, parameters)
  test.equal(plan.trainable, trainable)
  test.raises("checkpointing 'half'", model.plan, SHAPE, { checkpointing = "half" })
  local none, message = model.plan({ vocab_size = 4, hidden_size = 8, intermediate_size = 8, num_hidden_layers = 1,
    num_attention_heads = 3 })
  test.equal(none, nil)
  matches(message, "head")
end)

test.case("the plan says model, steps, memory and disk before anything was run", function()
  local status, out = nano.run(dir, dir .. "/none", "--plan")
  test.equal(status, 0)
  matches(out, "6 steps of 2 windows, at most 768 tokens")
  matches(out, "vocabulary 400, at most 256 positions")
  matches(out, "adapter: rank 4, ")
  matches(out, "2 epochs in steps of 4 examples")
  matches(out, "model%-Q8_0%.gguf ")
  test.equal(out:find "would fail", nil)
  test.equal(file.stat(dir .. "/none/nano/07-pretrain"), nil)
end)

test.case("after a run the plan knows how many, and what it said of sizes was right; facts tell the arithmetic", function()
  test.equal((nano.run(dir, dir .. "/runs")), 0)
  local _, out = nano.run(dir, dir .. "/runs", "--plan")
  matches(out, "at most %d+ examples, 2 epochs, %d+ steps of 4")
  for _, stage in ipairs { "07-pretrain", "13-train", "14-evaluate" } do
    local manifest = assert(json.decode(assert(file.read(("%s/runs/nano/%s/manifest.json"):format(dir, stage)))))
    matches(manifest.facts.arithmetic.blas, "OpenBLAS")
    test.ok(#manifest.facts.arithmetic.core > 0)
  end
  local made = file.stat(dir .. "/runs/nano/16-export/gguf/model-Q8_0.gguf").size
  local said = assert(gguf_file.size(SHAPE, "Q8_0"))
  test.ok(said < made and made < said + 40000, ("said %d, is %d"):format(said, made))
  local weights = file.stat(dir .. "/runs/nano/07-pretrain/base/model.safetensors").size
  test.ok(weights > 4 * model.plan(SHAPE).parameters and weights < 4 * model.plan(SHAPE).parameters + 4096)
end)

test.case("what would fail is said: a base that is not there or cannot be read, memory, targets, GGUF types", function()
  matches(planned("train", { base = dir .. "/nowhere" }, {}), "would fail: .*no such file")
  matches(planned("train", { base = config("other", { model_type = "gpt2" }) }, {}), "would fail: .*'gpt2'")
  local base = config "fine"
  matches(planned("train", { base = base }, { memory = 1 << 20 }), "would fail: training needs")
  matches(planned("train", { base = base, lora = { targets = { "z_proj" } } }, {}), "would fail: .*'z_proj'")
  matches(planned("train", { base = base }, { records = 100 }), "at most 100 examples, 3 epochs, 19 steps of 16")
  matches(planned("train", { base = base, max_length = 50 }, {}), "more than 50 tokens")
  local scaled = config("scaled", { rope_scaling = { rope_type = "yarn" } })
  matches(planned("merge", { base = scaled }, {}), "would fail: .*yarn")
  matches(planned("export", { model = scaled }, {}), "would fail: .*yarn")
  local odd = config("odd", { hidden_size = 72, num_attention_heads = 2, head_dim = 36 })
  matches(planned("export", { model = odd, gguf = "Q8_0" }, {}), "matrices have rows that are not whole blocks")
  matches(planned("evaluate", { base = base, max_tokens = 300 }, {}), "answers end where")
  matches(planned("pretrain", { template = "nonsuch" }, { root = dir }), "would fail")
end)

file.remove_tree(dir)
return test.done()
