-- SPDX-License-Identifier: MIT
-- No memory while values of a long JSON text are read and regular expressions made, and no memory or a full
-- disk during read: a clear error, status 1, and the same command afterwards gives the same bytes.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

local SCRIPT = [[
local function step(value, message, code)
  if value then return value end
  assert(code == "memory" or message:find("out of memory", 1, true), message)
  print(message)
  os.exit(0)
end
local values, regex = require "engine.values", require "engine.regex"
print "begun"
for i = 1, 20 do
  local r = step(regex.new("^(a|b" .. i .. ")+$"))
  r:find(("ab" .. i):rep(50))
  local v = step(values.open("long.json", { max_value = 1 << 20 }))
  while true do
    local text, message, code = v:next()
    if text == nil then
      if message then step(nil, message, code) end
      break
    end
  end
end
print "fine"
]]

test.case("no memory in values and regular expressions", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", SCRIPT)
    cli.put(dir .. "/long.json", "[" .. ('{"text":"' .. ("x"):rep(100000) .. '"},'):rep(8) .. "1]")
    local function run(n)
      local status, out, err = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_ALLOC=" .. n })
      local said = out .. err
      test.ok(status == 0 or status == 1 and said:find("out of memory", 1, true) or said:find("not enough memory", 1, true),
        ("%s: %d %s"):format(n, status, said))
      return said
    end
    local low, high = 1, 1 << 16 -- the first allocation behind "begun"
    while low < high do
      local middle = (low + high) // 2
      if run(middle .. "+"):find("begun", 1, true) then high = middle else low = middle + 1 end
    end
    local met = 0
    for n = low, low + 400, 8 do -- once: Lua tries again, C says so; and from then on
      run(n)
      if not run(n .. "+"):find("fine", 1, true) then met = met + 1 end
    end
    test.ok(met > 20, met)
  end)
end)

test.case("no memory and a full disk during read", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in/a.json", "[" .. ('{"text":"' .. ("y"):rep(1000) .. '"},'):rep(300) .. "1]")
    cli.put(dir .. "/in/b.py", ("print(1)\n"):rep(2000))
    cli.put(dir .. "/in/c.csv", "text\n" .. ("row\n"):rep(500))
    local status, _, err = cli.run("stage read in whole.jsonl -j1", { cwd = dir })
    test.equal(status, 0, err)
    local whole, hit = file.sha256(dir .. "/whole.jsonl"), 0
    for _, fault in ipairs { "ALLOC=3000+", "ALLOC=6000+", "ALLOC=8000+", "ALLOC=9000+", "DISK=100", "DISK=100000", "DISK=400000" } do
      status, _, err = cli.run("stage read in out.jsonl -j1", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_" .. fault })
      test.ok(status == 0 or status == 1, fault .. ": " .. err)
      if status == 1 then
        hit = hit + 1
        test.equal(file.stat(dir .. "/out.jsonl"), nil)
        status, _, err = cli.run("stage read in out.jsonl -j1", { cwd = dir })
        test.equal(status, 0, err)
      end
      test.equal(file.sha256(dir .. "/out.jsonl"), whole, fault)
      file.remove_tree(dir .. "/out.jsonl")
    end
    test.ok(hit >= 4, hit)
  end)
end)

return test.done()
