-- SPDX-License-Identifier: MIT
-- Records that pass a condition without becoming Lua's: the same bytes as the slow way, for any input.
local test = require "tests.support.test"
local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local part = require "lathe.part"
local pass = require "engine.pass"

local VALUES = { "0.5", "1", "1.0", "1e0", "-0", "0", "9007199254740993", "9007199254740992.0", "18446744073709551616", "null", "true",
  "false", '"en"', '"\\u0065n"', '"de"', '""', "[1, 2]", '{"x": 1}', "0.30000000000000004", '"0.5"' }
local LINES = { '{"a": {"b": %s}, "t": "x"}', ' {"t":"x","a":{"b":%s}} ', '{"a": {"b": %s}}\r', '{"a":\r{"b": %s}}', '{"b": %s}', '{"a": [%s, 2]}',
  '{"a": {"c": 1, "b": %s, "d": "ö"}}', '{"a.b": %s}' }
local CONDITIONS = { { min = 0.5 }, { max = 1 }, { min = 0, max = 1 }, { equals = 1 }, { equals = 1.0 }, { equals = "en" }, { equals = true },
  { not_equals = "en" }, { not_equals = 1 }, { exists = true }, { exists = false }, { one_of = "en,de" }, { one_of = { 1, "de", false } },
  { contains = "e" }, { contains = "" }, { min = 9007199254740993 }, { max = 9007199254740992.0 }, { matches = "^e" },
  { exists = true, not_equals = 0, min = 0 } }
local FIELDS = { "a.b", "a", "a.1", "b", "a.b.x", "t" }

local function random_lines(rng, n)
  local out = {}
  for i = 1, n do
    out[i] = LINES[rng:integer(1, #LINES)]:format(VALUES[rng:integer(1, #VALUES)]:gsub("%%", "%%%%"))
  end
  return table.concat(out, "\n") .. (rng:integer(0, 1) == 1 and "\n" or "")
end

local function run(dir, name, module, options, input)
  local stage = { name = "filter", module = module, options = assert(config.check(module.options, options, module.positional)) }
  local folder = dir .. "/" .. name
  assert(file.mkdirs(folder))
  local reply = part.run(stage, { part = 0, dir = folder, ranges = { { input, 0, file.stat(input).size, 7 } }, seed = 1, root = dir, memory = 1 << 26 })
  if reply.error then return reply.error.message:gsub(name, "") end
  reply.seconds = nil
  return { reply, file.read(folder .. "/part-00000.jsonl"), file.read(folder .. "/part-00000.rejected.jsonl") }
end

test.case("filter by a field gives the same bytes as it does in Lua", function()
  local filter = require "lathe.stage.filter"
  local slow = setmetatable({ passes = false }, { __index = filter })
  test.with_dir(function(dir)
    local rng, input, fast = hash.rng "pass", dir .. "/in.jsonl", 0
    for round = 1, 150 do
      assert(file.write(input, random_lines(rng, rng:integer(0, 30)), false))
      local options = { field = FIELDS[rng:integer(1, #FIELDS)] }
      for k, v in pairs(CONDITIONS[rng:integer(1, #CONDITIONS)]) do options[k] = v end
      local condition = filter.passes(assert(config.check(filter.options, options)))
      if condition then fast = fast + 1 end
      test.equal({ round, options, run(dir, "a", filter, options, input) }, { round, options, run(dir, "a", slow, options, input) })
    end
    test.ok(fast > 100)
  end)
end)

test.case("a line that is no record is an error by its place", function()
  local filter = require "lathe.stage.filter"
  test.with_dir(function(dir)
    local input = dir .. "/in.jsonl"
    assert(file.write(input, '{"a": 1}\n{"a": 1, "a": 2}\n', false))
    test.contains(run(dir, "x", filter, { field = "a", min = 0 }, input), "in.jsonl:9:")
  end)
end)

test.case("other conditions are tried in Lua", function()
  local filter = require "lathe.stage.filter"
  local function passes(options) return filter.passes(assert(config.check(filter.options, options, filter.positional))) end
  test.ok(passes { field = "a", min = 1 })
  for _, more in ipairs { { matches = "x" }, { where = "a" }, { min_words = 1 }, { language = "en" }, { rules = "c4" }, { measures = true } } do
    more.field, more.max = "a", 2
    test.equal(passes(more), nil)
  end
  test.equal(passes { where = "a" }, nil)
end)

test.case("read passes on what is a record, and sees the rest", function()
  local read = require "lathe.stage.read"
  test.with_dir(function(dir)
    local input = dir .. "/in.jsonl"
    assert(file.write(input, '\xef\xbb\xbf{"a": 1}\n\n {"b" : 2}\r\nnonsense\n[1]\n{"c": 3}', false))
    local item = json.encode { path = "in.jsonl", file = input, kind = "jsonl" } .. "\n"
    assert(file.write(dir .. "/items.jsonl", item, false))
    local got = run(dir, "r", read, { files = input }, dir .. "/items.jsonl")
    test.equal(got[2], '{"a": 1}\n{"b" : 2}\n{"c": 3}\n')
    test.equal({ got[1].records_in, got[1].records_out, got[1].rejected }, { 1, 3, 2 })
    test.contains(got[3], "in.jsonl:4: ")
  end)
end)

test.case("misuse", function()
  test.raises("at most 8", pass.new, "a", { {}, {}, {}, {}, {}, {}, {}, {}, {} })
  test.raises("something to compare with", pass.new, "a", { { "min" } })
  test.raises("texts, numbers and booleans", pass.new, "a", { { "equals", {} } })
  test.raises("lathe.lines", pass.new("a", { { "min", 1 } }), 1, 2)
end)

return test.done()
