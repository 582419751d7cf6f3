-- SPDX-License-Identifier: MIT
-- Training fits into the memory it is given, or says before the first step that it cannot; what is kept
-- for the backward pass changes no byte.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local memory = require "lathe.train.memory"
local model = require "engine.model"
local nano = require "tests.support.nano"

test.case("the first way that fits is taken", function()
  local m <close> = model.new({ vocab_size = 64, hidden_size = 64, intermediate_size = 128, num_hidden_layers = 8,
    num_attention_heads = 2 }, { seed = 1 })
  local needs = {}
  for _, how in ipairs { "none", "selective", "full" } do
    m:checkpointing(how)
    needs[how] = m:memory { rows = 512 }.total
  end
  test.ok(needs.none > needs.selective and needs.selective > needs.full)
  for how, need in pairs(needs) do
    test.equal({ memory.fit(m, 512, need, "auto") }, { how, need })
    test.equal(memory.fit(m, 512, 1 << 40, how), how)
  end
  local fine, message, code = memory.fit(m, 512, needs.full - 1, "auto")
  test.equal({ fine, code }, { nil, "memory" })
  test.contains(message, "--memory")
  test.equal(memory.fit(m, 512, needs.full, "none"), nil, "what is asked for is not replaced")
end)

test.case("a stage alone: too little memory is said, less memory gives the same bytes", function()
  test.with_dir(function(dir)
    nano.setup(dir)
    local options = "--set preset=small --set steps=2 --set batch=2 --set context=64 --artifact tokenizer=tok"
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"A batch is a group of examples that are worked on together."}\n')
    local status, _, err = cli.run("stage tokenizer in.jsonl tok --set vocab_size=300", { cwd = dir })
    test.equal(status, 0, err)
    status, _, err = cli.run("stage pretrain in.jsonl base " .. options .. " --memory 128M", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "training needs")
    test.contains(err, "--memory")
    for name, size in pairs { little = "220M", plenty = "2G" } do
      status, _, err = cli.run(("stage pretrain in.jsonl %s %s --memory %s"):format(name, options, size), { cwd = dir })
      test.equal(status, 0, err)
    end
    test.equal(cli.tree(dir .. "/little"), cli.tree(dir .. "/plenty"))
  end)
end)

return test.done()
