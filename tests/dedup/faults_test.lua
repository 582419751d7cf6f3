-- SPDX-License-Identifier: MIT
-- Groups, leakage, shared runs and token caches with failing allocations and a full disk: an error that
-- says so, never a crash, and nothing left behind.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

local SCRIPT = [[
local dedup, partition, tokens = require "engine.dedup", require "engine.partition", require "engine.tokens"
local scratch, path = arg[1], arg[2]
local function say(value, message, code)
  if value == nil then error(code, 0) end
  return value
end
for _, method in ipairs { "exact", "hash" } do
  local g <close> = say(partition.new { fields = { "metadata.document", "metadata.cluster" }, stratify = "type", by = "n",
    memory = 1, scratch = scratch })
  say(g:decide("7", "test"))
  say(g:add_lines(path))
  local facts = say(g:finish(method, { train = 0.7, validation = 0.1, test = 0.2 }))
  assert(facts.records == 12000 and g:side(1))
  local l <close> = say(partition.leaks(g, { memory = 1, scratch = scratch, fields = { "text" } }))
  say(l:add_lines(path))
  say(l:finish())
end
local o <close> = say(dedup.overlap { ngram = 3 })
for i = 1, 50 do say(o:add(i, ('{"q":"w%d x%d y%d z%d"}'):format(i, i * 3, i * 5, i * 7))) end
say(o:seal())
local row, message, code = o:match '{"text":"a w x y z"}'
if row == nil and code then error(code, 0) end
local w <close> = say(tokens.writer(scratch .. "/t.tokens", 70000))
for i = 1, 400 do say(w:add(string.pack("<I4I4I4", i, i * 2, 3):rep(100))) end
say(w:commit())
local f <close> = say(tokens.open(scratch .. "/t.tokens"))
local windows = say(f:windows { size = 7, stride = 3 })
say(windows:get(#windows))
os.remove(scratch .. "/t.tokens")
print "done"
]]

local function run_all(name, values, code)
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", SCRIPT)
    cli.put(dir .. "/scratch/x", "")
    local lines = {}
    for i = 1, 12000 do
      lines[i] = ('{"id":"r%d","n":%d,"type":"t%d","text":"a b c d e f g %d h i j k l m n","metadata":{"document":"d%d"%s}}\n'):format(i,
        i % 100, i % 3, i // 4, i // 2, i % 5 == 0 and (',"cluster":"c%d"'):format(i // 20) or "")
    end
    cli.put(dir .. "/in.jsonl", table.concat(lines))
    local failed = 0
    for _, value in ipairs(values) do
      local status, out, err = cli.run(("exec %s/script.lua %s/scratch %s/in.jsonl"):format(dir, dir, dir),
        { program = cli.faulty, env = name .. "=" .. value })
      test.ok(status == 0 or status == 1, ("%s=%s: status %d\n%s"):format(name, value, status, err))
      if status == 1 then
        failed = failed + 1
        test.ok((out .. err):find(code) or (out .. err):find "memory", out .. err)
        os.remove(dir .. "/scratch/t.tokens")
      else
        test.contains(out, "done")
      end
      local left = {}
      for _, entry in ipairs(file.list(dir .. "/scratch")) do left[#left + 1] = entry.name end
      test.equal(left, { "x" }, ("%s=%s leaves files"):format(name, value))
    end
    test.ok(failed >= #values // 2, "faults were not met")
  end)
end

test.case("no memory", function()
  local values = {}
  for n = 1, 70, 6 do values[#values + 1] = n end
  for _, n in ipairs { "20+", "60+", 150, "400+", "3000+" } do values[#values + 1] = n end
  run_all("LATHE_FAULT_ALLOC", values, "no_memory")
end)

test.case("a full disk", function() run_all("LATHE_FAULT_DISK", { 0, 100000, 900000 }, "io") end)

return test.done()
