-- SPDX-License-Identifier: MIT
-- recipes/patterns.lua and recipes/filter_quality.lua, as commands.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local PATTERNS = cli.top .. "/recipes/patterns.lua"
local QUALITY = cli.top .. "/recipes/filter_quality.lua"
local OURS = cli.top .. "/recipes/patterns"

local function lines(path)
  local out = {}
  for line in assert(file.lines(path)) do out[#out + 1] = json.decode(line) end
  return out
end

local function ids(path)
  local out = {}
  for i, r in ipairs(lines(path)) do out[i] = r.id or r.text end
  return out
end

-- n records that stand for themselves
local function data(dir, n)
  local out = {}
  for i = 1, n do out[i] = ('{"text":"row %d"}\n'):format(i) end
  cli.put(dir .. "/in.jsonl", table.concat(out))
end

test.case("our patterns, from a fresh clone, offline", function()
  test.with_dir(function(dir)
    local status, _, err = cli.run(("run %s --patterns-dir %s"):format(PATTERNS, OURS), { cwd = dir })
    test.equal(status, 0, err)
    local all, train, validation = lines(dir .. "/data/processed/training_data.jsonl"),
      lines(dir .. "/data/processed/train.jsonl"), lines(dir .. "/data/processed/validation.jsonl")
    test.equal(#train, math.floor(#all * 0.8 + 0.5))
    test.equal(#train + #validation, #all)
    local side = {}
    for _, r in ipairs(train) do side[r.id] = "train" end
    for _, r in ipairs(validation) do
      test.equal(side[r.id], nil)
      side[r.id] = "validation"
    end
    for _, r in ipairs(all) do
      test.equal(r.metadata.split, side[r.id])
      test.ok(r.messages or r.instruction and r.output)
    end
  end)
end)

test.case("the same files and seed give the same bytes; another seed another division", function()
  test.with_dir(function(dir)
    local sums = {}
    for i, flags in ipairs { "-j1", "-j2 --no-stream", "--seed 7", "--train-ratio 0.5" } do
      local status, _, err = cli.run(("run %s --patterns-dir %s --output-dir out%d --runs runs%d %s"):format(PATTERNS, OURS, i, i,
        flags), { cwd = dir })
      test.equal(status, 0, err)
      sums[i] = file.sha256(("%s/out%d/train.jsonl"):format(dir, i))
    end
    test.equal(sums[1], sums[2])
    test.ok(sums[1] ~= sums[3] and sums[1] ~= sums[4])
  end)
end)

test.case("a file given is divided alone, exactly, and the stage gives the same", function()
  test.with_dir(function(dir)
    data(dir, 103)
    local status, _, err = cli.run(("run %s --input-file in.jsonl --output-dir a --train-ratio 0.7 --seed 5"):format(PATTERNS), { cwd = dir })
    test.equal(status, 0, err)
    test.equal(file.stat(dir .. "/a/training_data.jsonl"), nil)
    local train = ids(dir .. "/a/train.jsonl")
    test.equal({ #train, #ids(dir .. "/a/validation.jsonl") }, { 72, 31 })
    status, _, err = cli.run("stage partition --input-file in.jsonl --output-dir b --train-ratio 0.7 --seed 5 --method exact --group id",
      { cwd = dir })
    test.equal(status, 0, err)
    test.equal(ids(dir .. "/b/train.jsonl"), train)
    test.contains(err, "72 in b/train.jsonl, 31 in b/validation.jsonl")
    status = cli.run("stage partition --input-file in.jsonl --output-dir c --train-ratio 0.7 --seed 5", { cwd = dir })
    test.equal(status, 0)
    test.equal(#ids(dir .. "/c/train.jsonl"), 72)
    status, _, err = cli.run(("run %s --input-file a/train.jsonl --output-dir a --train-ratio 0.5"):format(PATTERNS), { cwd = dir })
    test.equal(status, 0, err)
    test.equal(#ids(dir .. "/a/train.jsonl"), 36, "what was divided may be divided again")
  end)
end)

test.case("a ratio outside 0 to 1, and one that leaves a side empty, are refused", function()
  test.with_dir(function(dir)
    data(dir, 10)
    for _, ratio in ipairs { "1.2", "-0.1", "1", "0", "0.99", "many" } do
      local status, _, err = cli.run(("run %s --input-file in.jsonl --train-ratio %s --runs r%s"):format(PATTERNS, ratio, ratio), { cwd = dir })
      test.ok(status == 2 or status == 1, ratio .. ": " .. err)
      test.contains(err, ratio == "many" and "not a number" or (ratio == "1.2" or ratio == "-0.1") and "between 0 and 1" or "empty")
      test.equal(file.stat(dir .. "/data/processed/train.jsonl"), nil)
      status, _, err = cli.run(("stage partition --input-file in.jsonl --output-dir d%s --train-ratio %s"):format(ratio, ratio), { cwd = dir })
      test.ok(status == 2 or status == 1, ratio .. ": " .. err)
      test.equal(file.stat(dir .. "/d" .. ratio .. "/train.jsonl"), nil)
    end
  end)
end)

test.case("no patterns: where they are looked for, and what is wrong with them", function()
  test.with_dir(function(dir)
    local status, _, err = cli.run("run " .. PATTERNS, { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "glimmer/data/patterns/: no such file or folder")
    cli.put(dir .. "/glimmer/data/patterns/0001-a.json", "{}")
    status, _, err = cli.run("run " .. PATTERNS, { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "0001-a.json: .pattern_id: expected a required field, got nothing")
  end)
end)

test.case("filter_quality keeps what is good enough and says how many", function()
  test.with_dir(function(dir)
    local good = "The harbour was built in two parts. The older part lies behind the mole, where small boats are safe in any wind. "
      .. "Larger ships use the new quay, which was finished forty years later and has cranes of its own."
    cli.put(dir .. "/in.jsonl", json.encode { id = "good", text = good } .. "\n" .. json.encode { id = "short", text = "no" } .. "\n"
      .. json.encode { id = "same", text = ("again "):rep(60) } .. "\n"
      .. json.encode { id = "pair", instruction = "Describe the harbour.", output = good } .. "\n")
    local status, _, err = cli.run(("run %s --input in.jsonl --output out.jsonl"):format(QUALITY), { cwd = dir })
    test.equal(status, 0, err)
    test.equal(ids(dir .. "/out.jsonl"), { "good", "pair" })
    test.contains(err, "4 in, 2 out, 2 rejected (2 low_score)")
    test.ok(lines(dir .. "/out.jsonl")[1].metadata.score >= 0.8)
    status, _, err = cli.run(("run %s --input in.jsonl --output all.jsonl --min-quality 0 --runs r2"):format(QUALITY), { cwd = dir })
    test.equal(status, 0, err)
    test.equal(#ids(dir .. "/all.jsonl"), 4)
    cli.put(dir .. "/own.jsonl", '{"id":"a","quality":0.9}\n{"id":"b","quality":0.5}\n{"id":"c"}\n')
    status, _, err = cli.run(("run %s --input own.jsonl --output own_out.jsonl --field quality --runs r3"):format(QUALITY), { cwd = dir })
    test.equal(status, 0, err)
    test.equal(ids(dir .. "/own_out.jsonl"), { "a" })
    status, _, err = cli.run("run " .. QUALITY, { cwd = dir })
    test.equal(status, 2)
    test.contains(err, "option 'input' is missing: --input")
    status, _, err = cli.run(("run %s --input in.jsonl --min-quality 2"):format(QUALITY), { cwd = dir })
    test.equal(status, 2)
    test.contains(err, "option 'min_quality': 2 given, it must be between 0 and 1")
  end)
end)

return test.done()
