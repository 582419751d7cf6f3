-- SPDX-License-Identifier: MIT
-- `lathe stage NAME in out` gives the bytes of the same stage in a recipe: every stage of the nano job, each
-- on the output of the one before it.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local nano = require "tests.support.nano"

-- folder in the run; stage; its options; artifacts that it uses
local MAPS_AND_BARRIERS = {
  { "clean", "read" }, { "chunk", "clean", "--set size=400 --set overlap=40" },
  { "dedup", "chunk", "--set near=0.8" },
  { "documents", "dedup", "--set train=0.8 --set group=document", stage = "partition" },
  { "generate", "documents" },
  { "repeats", "generate", "--set field=instruction --set near=false", stage = "dedup" },
  { "select", "repeats", "--set max=6 --set group=metadata.fact" },
  { "prompt", "select", "--set template=chatml" },
  { "partition", "prompt", [[--set 'by={"field":"metadata.phrasing","test":[3,4]}']] },
}
local ARTIFACTS = {
  { "tokenizer", "documents", "--set vocab_size=400" },
  { "pretrain", "documents", "--set preset=nano --set steps=6 --set batch=2 --set context=64 --set checkpoint_steps=2",
    makes = "base", uses = { "tokenizer" } },
  { "train", "partition", [[--set 'lora={"rank":4,"alpha":8,"targets":"all-linear"}' --set epochs=2 --set batch=4 ]]
    .. "--set lr=1e-3 --set checkpoint_steps=2", makes = "adapter", uses = { "base" } },
  { "merge", "partition", "", makes = "model", uses = { "base", "adapter" } },
  { "export", "partition", [[--set 'gguf=["F16","Q8_0"]']], makes = "gguf", uses = { "model" } },
}

-- The folder of a stage in the run, and its parts put together.
local function folders(dir)
  local by_name = {}
  for _, entry in ipairs(assert(file.list(dir .. "/runs/nano"))) do
    local name = entry.is_dir and entry.name:match "^%d%d%-(.+)$"
    if name then by_name[name] = dir .. "/runs/nano/" .. entry.name end
  end
  return by_name
end

local function joined(folder, ending)
  local out = {}
  for _, entry in ipairs(assert(file.list(folder))) do
    if entry.name:find("^part%-%d+" .. ending .. "$") then out[#out + 1] = file.read(folder .. "/" .. entry.name) end
  end
  return table.concat(out)
end

test.case("every stage alone gives the bytes of the recipe", function()
  test.with_dir(function(dir)
    nano.setup(dir)
    local status, _, err = nano.run(dir, "runs", "-j2")
    test.equal(status, 0, err)
    local at = folders(dir)
    status, _, err = cli.run("stage read 'docs/**/*.{md,html,txt}' read.jsonl", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(file.read(dir .. "/read.jsonl"), joined(at.read, "%.jsonl"), "read")
    for _, one in ipairs(MAPS_AND_BARRIERS) do
      local name, from, options = one[1], one[2], one[3] or ""
      cli.put(dir .. "/in.jsonl", joined(at[from], "%.jsonl"))
      status, _, err = cli.run(("stage %s in.jsonl %s.jsonl %s"):format(one.stage or name, name, options), { cwd = dir })
      test.equal(status, 0, name .. ": " .. err)
      test.equal(file.read(dir .. "/" .. name .. ".jsonl"), joined(at[name], "%.jsonl"), name)
      local rejected = joined(at[name], "%.rejected%.jsonl")
      if rejected ~= "" and not one.stage then
        test.equal(file.read(dir .. "/" .. name .. ".jsonl.rejected.jsonl"), rejected, name .. ", rejected")
      end
    end
    local made = {}
    for _, one in ipairs(ARTIFACTS) do
      local name, from, options, makes = one[1], one[2], one[3], one.makes or one[1]
      cli.put(dir .. "/in.jsonl", joined(at[from], "%.jsonl"))
      made[makes] = at[name] .. "/" .. makes
      for _, used in ipairs(one.uses or {}) do options = ("%s --artifact %s='%s'"):format(options, used, made[used]) end
      status, _, err = cli.run(("stage %s in.jsonl made/%s -j1 %s"):format(name, makes, options), { cwd = dir,
        prefix = "mkdir -p made &&" })
      test.equal(status, 0, name .. ": " .. err)
      test.equal(cli.tree(dir .. "/made/" .. makes), cli.tree(made[makes]), name)
    end
  end)
end)

return test.done()
