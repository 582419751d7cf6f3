-- SPDX-License-Identifier: MIT
-- The Lua side of training: schedules, metrics, masks, windows, orders, the loop and its checkpoints.
local test = require "tests.support.test"
local checkpoint = require "lathe.train.checkpoint"
local data = require "lathe.train.data"
local file = require "engine.file"
local folder = require "lathe.train.folder"
local loop = require "lathe.train.loop"
local metrics = require "lathe.train.metrics"
local model = require "engine.model"
local packing = require "lathe.train.packing"
local schedule = require "lathe.train.schedule"
local template = require "lathe.template"
local tokenizer = require "engine.tokenizer"

local TEXT = ("The learning rate is the size of a step. A batch is a group of examples. "):rep(6)
local tok = assert(tokenizer.train { texts = { TEXT }, vocab_size = 320,
  special = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" } })
local CONFIG = { vocab_size = #tok, hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2,
  num_attention_heads = 2, num_key_value_heads = 1, max_position_embeddings = 128, tie_word_embeddings = true }

local function ints(packed)
  local out = {}
  for i = 1, #packed // 4 do out[i] = (string.unpack("<i4", packed, 4 * i - 3)) end
  return out
end

test.case("schedules rise, fall and end", function()
  local rate = schedule.new { lr = 1.0, steps = 100, warmup = 0.1 }
  test.close(rate(1), 0.1, 1e-12)
  test.close(rate(10), 1.0, 1e-12)
  test.close(rate(55), 0.5, 1e-12)
  test.close(rate(100), 0.0, 1e-12)
  test.close(schedule.new { kind = "linear", lr = 2.0, steps = 10, floor = 0.5 }(10), 1.0, 1e-12)
  test.close(schedule.new { kind = "constant", lr = 3.0, steps = 10, warmup = 4 }(9), 3.0, 1e-12)
  test.raises("not one of", schedule.new, { kind = "cosin", lr = 1, steps = 1 })
  test.raises("more than", schedule.new, { lr = 1, steps = 5, warmup = 9 })
end)

test.case("answers are compared by words", function()
  test.equal(metrics.rouge_l("The cat sat.", "the cat, sat"), 1.0)
  test.close(metrics.rouge_l("the cat sat", "the dog sat down"), 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4), 1e-12)
  test.equal(metrics.rouge_l("nothing", "alike"), 0.0)
  test.equal(metrics.rouge_l("", ""), 1.0)
  test.equal(metrics.rouge_l("Größe", "größe") < 1, false)
  test.ok(metrics.exact(" a  b\n", "a b"))
  test.ok(not metrics.exact("a b", "a c"))
end)

test.case("only tokens wholly inside a span carry loss", function()
  local form = assert(template.load "chatml")
  local text, spans = form:render_messages { { role = "user", content = "A batch?" },
    { role = "assistant", content = "A group." } }
  local example = assert(data.example(text, spans, tok))
  local ids, targets, loss = ints(example.ids), ints(example.targets), {}
  for i, target in ipairs(targets) do
    test.ok(target == -1 or target == ids[i + 1])
    if target >= 0 then loss[#loss + 1] = target end
  end
  test.equal(#ids, example.count)
  test.equal(#loss, example.supervised)
  test.equal(tok:decode(loss), "A group.<|im_end|>")
  test.equal(example.last, tok:id "<|im_end|>")
  local none, reason = data.example(text, { { 1, 3 } }, tok)
  test.equal(none, nil)
  test.equal(reason, "no_loss")
  none, reason = data.example(text, spans, tok, 5)
  test.equal(none, nil)
  test.equal(reason, "too_long")
end)

test.case("windows hold the whole text, wrapped, within the context", function()
  local form = assert(template.load "chatml")
  local text = TEXT .. ("Größe ☃ "):rep(20)
  local list = assert(packing.windows(text, tok, form, 64))
  local joined = {}
  for i, w in ipairs(list) do
    test.ok(w.count <= 64)
    test.equal(w.supervised, w.count - 1)
    joined[i] = tok:decode(ints(w.ids)):match "<|im_start|>assistant\n(.*)<|im_end|>"
  end
  test.equal(table.concat(joined), text)
  local none, _, code = packing.windows(text, tok, form, 8)
  test.equal(none, nil)
  test.equal(code, "limit")
end)

test.case("every epoch sees each example once, in an order of its own", function()
  local order, seen = data.order(7, 3, 42), {}
  for step = 1, 7 do for _, i in ipairs(order(step)) do seen[#seen + 1] = i end end
  test.equal(#seen, 21)
  for epoch = 0, 2 do
    local part = table.move(seen, epoch * 7 + 1, epoch * 7 + 7, 1, {})
    table.sort(part)
    test.equal(part, { 1, 2, 3, 4, 5, 6, 7 })
  end
  test.equal(data.order(7, 3, 42)(4), order(4))
end)

test.case("batches are cut at examples", function()
  local list = {}
  for i = 1, 5 do list[i] = data.sequence { i, i, i } end
  local batches = data.batches(list, 7)
  test.equal(#batches, 3)
  test.equal(batches[1].lengths, { 3, 3 })
  test.equal(ints(batches[3].tokens), { 5, 5, 5 })
end)

local function job(m, steps, scratch)
  local form = assert(template.load "chatml")
  local examples = assert(packing.windows(TEXT, tok, form, 40))
  local order = data.order(#examples, 2, 1)
  return { model = m, steps = steps, scratch = scratch, every = 2, fingerprint = "f",
    rate = schedule.new { lr = 1e-2, steps = 9 }, optimiser = { clip = 1.0 },
    batches = function(step)
      local picked = {}
      for i, k in ipairs(order(step)) do picked[i] = examples[k] end
      return data.batches(picked, 50)
    end }
end

test.case("a run that was stopped ends with the same bits", function()
  test.with_dir(function(dir)
    local whole <close> = assert(model.new(CONFIG, { seed = 3 }))
    local half <close> = assert(model.new(CONFIG, { seed = 3 }))
    local again <close> = assert(model.new(CONFIG, { seed = 99 }))
    local log = assert(loop.run(job(whole, 9, nil)))
    test.equal(#log, 9)
    test.ok(log[9].loss < log[1].loss)
    assert(loop.run(job(half, 7, dir)))
    local files = file.list(dir)
    test.equal(#files, 2)
    test.equal(files[2].name, "step-00000006.ckpt")
    -- the newest one is torn: the one before it is used
    local bytes = file.read(dir .. "/step-00000006.ckpt")
    assert(file.write(dir .. "/step-00000006.ckpt", bytes:sub(1, -9)))
    test.equal(checkpoint.newest(dir, "f").step, 4)
    test.equal(checkpoint.newest(dir, "another"), nil)
    local resumed = assert(loop.run(job(again, 9, dir)))
    test.equal(resumed, log)
    test.ok(again:state() == whole:state())
  end)
end)

test.case("a model's folder and an adapter's folder are read back", function()
  test.with_dir(function(dir)
    for _, name in ipairs { "tok", "base", "adapter" } do assert(file.mkdirs(dir .. "/" .. name)) end
    assert(tok:save(dir .. "/tok/tokenizer.json"))
    local m <close> = assert(model.new(CONFIG, { seed = 5 }))
    assert(folder.write(dir .. "/base", m, dir .. "/tok", 2))
    local lora = { rank = 4, alpha = 8, targets = { "q_proj", "down" }, dropout = 0.0, seed = 1 }
    assert(m:lora(lora))
    for _, t in ipairs(m:tensors()) do
      if t.adapter then assert(m:write(t.name, ("\0\0\x80\x3d"):rep(t.shape[1] * t.shape[2]))) end
    end
    assert(folder.write_adapter(dir .. "/adapter", m, lora, "base", dir .. "/tok"))
    local other <close>, again = folder.open(dir .. "/base", dir .. "/adapter")
    test.ok(other, again)
    test.equal(#again, #tok)
    local ids = { 3, 4, 5, 6 }
    test.ok(other:logits(ids):bytes() == m:logits(ids):bytes())
    test.equal(tostring(other):match "LoRA.*", "LoRA r=4 on 2 projections")
    test.contains(file.read(dir .. "/adapter/adapter_config.json"), '"lora_alpha": 8,')
    -- a config that asks for what is not computed is refused by name
    local config = file.read(dir .. "/base/config.json")
    local swapped = config:gsub('"rope_scaling": null', '"rope_scaling": {"rope_type": "llama3"}')
    assert(file.write(dir .. "/base/config.json", swapped))
    local none, message, code = model.load(dir .. "/base")
    test.equal(none, nil)
    test.equal(code, "unsupported")
    test.contains(message, "rope_type")
    assert(file.write(dir .. "/base/config.json", (config:gsub('"hidden_size": 32', '"hidden_size": 64'))))
    none, message, code = model.load(dir .. "/base")
    test.equal(none, nil)
    test.equal(code, "mismatch")
    test.contains(message, "model.embed_tokens.weight")
  end)
end)

test.case("what Lua gives wrongly is said", function()
  local m <close> = assert(model.new(CONFIG, { seed = 5 }))
  test.raises("did you mean 'targets'", m.accumulate, m, { tokens = { 1 }, target = { 1 } })
  test.raises("2 of them for 1 tokens", m.accumulate, m, { tokens = { 1 }, targets = { 1, 2 } })
  test.raises("is not a token id", m.accumulate, m, { tokens = { 1.5 }, targets = { 1 } })
  test.raises("more than the 2 tokens", m.accumulate, m, { tokens = { 1, 2 }, targets = { 2, 1 }, lengths = { 2, 1 } })
  test.raises("is not one of all-linear", m.lora, m, { targets = { "q_pro" } })
  test.raises("no tensor", m.read, m, "nothing")
  local none, message, code = m:accumulate { tokens = { 1, 2 }, targets = { 2, 1 }, lengths = { 1 } }
  test.equal(none, nil)
  test.contains(message, "cover")
  test.equal(code, "misuse")
  m:close()
  test.raises("closed", m.steps, m)
end)

return test.done()
