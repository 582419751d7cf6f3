-- SPDX-License-Identifier: MIT
-- The data half in one recipe: the same bytes for any number of threads, streaming or not, little memory, and
-- after being killed wherever that was.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "data" {
  options = { input = "$root/in" },
  lathe.read          { "$input" },
  lathe.clean         { pii = true, boilerplate = true, repeated_lines = 3 },
  lathe.filter        { min_words = 5, language = "any" },
  lathe.chunk         { size = 300, overlap = 30, by = "auto" },
  lathe.dedup         { near = 0.7 },
  lathe.decontaminate { evaluation = "$root/evaluation.jsonl" },
  lathe.generate      { "sections", phrasings = 1 },
  lathe.augment       { rules = "instructions", variants = 2, probability = 0.7 },
  lathe.prompt        { template = "llama3" },
  lathe.partition     { train = 0.7, validation = 0.2, group = "document", leakage = "report" },
  lathe.stats         {},
  lathe.write         { { "$root/out/{split}.jsonl.gz", "$root/out/all.parquet", "$root/out/{split}.csv" } },
}
]]

local rng = hash.rng(7, "data")
local SYLLABLES = { "ba", "do", "ke", "li", "mu", "ra", "so", "te", "vi", "zu", "grün", "日本", "né" }
local function sentence(n)
  local out = {}
  for i = 1, n do
    local word = {}
    for k = 1, rng:integer(1, 4) do word[k] = SYLLABLES[rng:integer(1, #SYLLABLES)] end
    out[i] = table.concat(word)
  end
  return table.concat(out, " ") .. "."
end

local function document(d)
  local parts = { ("# Book %s\n"):format(sentence(2)) }
  for s = 1, 6 do
    parts[#parts + 1] = ("## Part %s\n\n%s Write to a.b%d@example.org or 192.168.1.%d.\n\n%s\n"):format(sentence(2), sentence(25), d, s,
      sentence(30))
  end
  return table.concat(parts, "\n")
end

local function setup(dir)
  cli.put(dir .. "/r.lua", RECIPE)
  local texts, rows = {}, {}
  for d = 1, 40 do
    texts[d] = document(d)
    cli.put(("%s/in/%02d.md"):format(dir, d), texts[d])
  end
  cli.put(dir .. "/in/copy.txt", texts[3])
  for i = 1, 30 do rows[i] = json.encode { id = "j" .. i, text = "# Row " .. sentence(2) .. "\n\n" .. sentence(40), metadata = { source = "rows" } } end
  cli.put(dir .. "/in/rows.jsonl", table.concat(rows, "\n") .. "\n")
  cli.put(dir .. "/in/table.csv", "text,n\n\"" .. sentence(20) .. "\",1\n\"" .. sentence(20) .. "\",2\n")
  cli.put(dir .. "/in/broken.pdf", "%PDF-1.4 nothing else")
  cli.put(dir .. "/in/code.py", "def f(x):\n    \"\"\"" .. sentence(12) .. "\"\"\"\n    return x\n")
  cli.put(dir .. "/evaluation.jsonl", json.encode { question = texts[5]:match "\n\n([^\n]+)%. Write" } .. "\n")
end

local function run(dir, flags, options)
  options = options or {}
  options.cwd = dir
  return cli.run("run r.lua " .. flags, options)
end

local function outputs(dir)
  local out = cli.tree(dir .. "/runs/data")
  for path, digest in pairs(cli.tree(dir .. "/out")) do out["out" .. path] = digest end
  return out
end

-- The first path whose contents differ, so that a failure says more than two lists of hashes.
local function differing(a, b)
  for path in pairs(b) do if a[path] ~= b[path] then return path end end
  for path in pairs(a) do if a[path] ~= b[path] then return path end end
end

local function fresh(dir)
  assert(file.remove_tree(dir .. "/runs"))
  assert(file.remove_tree(dir .. "/out"))
end

test.case("-j1 = -j3 = file by file = little memory = killed, byte for byte", function()
  test.with_dir(function(dir)
    setup(dir)
    local status, _, err = run(dir, "-j1")
    test.equal(status, 0, err)
    local first, count = outputs(dir), 0
    for _ in pairs(first) do count = count + 1 end
    test.ok(count > 30 and first["out/all.parquet"] and first["out/train.jsonl.gz"], count .. " files")
    local rejected = file.read(dir .. "/runs/data/rejected.jsonl")
    for _, reason in ipairs { "unreadable", "duplicate_near", "contaminated" } do test.contains(rejected, reason) end
    for _, flags in ipairs { "-j3", "-j2 --no-stream", "-j8 --memory 128M" } do
      fresh(dir)
      status, _, err = run(dir, flags)
      test.equal(status, 0, err)
      test.equal(differing(outputs(dir), first), nil, flags)
    end
    fresh(dir)
    local kills = 0
    for i = 1, 12 do
      status = run(dir, "-j2", { prefix = ("timeout -s KILL %.2f"):format(0.05 + 0.04 * i) })
      if status ~= 0 then kills = kills + 1 end
    end
    status, _, err = run(dir, "-j2")
    test.equal(status, 0, err)
    test.ok(kills > 0, "nothing was killed")
    test.equal(differing(outputs(dir), first), nil, "after " .. kills .. " kills")
  end)
end)

return test.done()
