-- SPDX-License-Identifier: MIT
-- A full disk and no memory, at many moments: a clear error, status 1, and nothing lost: the same
-- command afterwards gives the bytes of a run that nothing happened to.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local nano = require "tests.support.nano"

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "r" {
  lathe.stage "numbers" { list = function(ctx, emit) emit { path = "n", id = "1" } end,
    each = function(_, _, emit)
      for i = 1, 3000 do emit { id = tostring(i), text = ("x"):rep(i % 97) } end
    end },
  lathe.stage "upper" { each = function(r, ctx, emit)
      if #r.text == 0 then return ctx.reject(r, "empty") end
      r.text = r.text:upper()
      emit(r)
    end },
  lathe.stage "all" { all = function(input, _, emit) for r in input:records() do emit(r) end end },
}
]]

local function with_fault(name, values, expected)
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", RECIPE)
    local status, _, err = cli.run("run r.lua --runs whole -j2", { cwd = dir })
    test.equal(status, 0, err)
    local whole = cli.tree(dir .. "/whole/r")
    local hit = 0
    for i, value in ipairs(values) do
      local runs = "f" .. i
      status, _, err = cli.run("run r.lua -j2 --runs " .. runs,
        { cwd = dir, program = cli.faulty, env = name .. "=" .. value })
      test.ok(status == 0 or status == 1, ("%s=%s: status %d, %s"):format(name, value, status, err))
      if status == 1 then
        hit = hit + 1
        test.contains(err, expected)
        test.ok(not err:find("traceback", 1, true))
      end
      for path in pairs(cli.tree(dir .. "/" .. runs)) do
        test.ok(not path:find("%.tmp%-"), "left behind: " .. path)
      end
      status, _, err = cli.run("run r.lua -j2 --runs " .. runs, { cwd = dir })
      test.equal(status, 0, err)
      test.equal(cli.tree(dir .. "/" .. runs .. "/r"), whole, name .. "=" .. value)
      file.remove_tree(dir .. "/" .. runs)
    end
    test.ok(hit >= #values // 2, ("only %d of %d faults were met"):format(hit, #values))
  end)
end

test.case("a full disk", function()
  with_fault("LATHE_FAULT_DISK", { 0, 100, 5000, 150000, 300000, 500000 }, "No space left on device")
end)

test.case("no memory, once and from then on", function()
  local values = {}
  for _, n in ipairs { 1, 30, 700, 3000, 9000, 20000 } do
    values[#values + 1] = n .. "+"
  end
  with_fault("LATHE_FAULT_ALLOC", values, "memory")
  with_fault("LATHE_FAULT_LARGE", { "100000", "200000" }, "memory")
end)

test.case("a failing rename and a failing fsync", function()
  with_fault("LATHE_FAULT_RENAME", { 2, 4, 9 }, "Input/output error")
  with_fault("LATHE_FAULT_FSYNC", { 1, 2 }, "Input/output error")
end)

-- The whole job, with its artifacts: the vocabulary, checkpoints, weights, GGUF files.
test.case("a full disk and no memory while models are made", function()
  local extract = "LATHE_EXTRACT='" .. cli.program .. "-extract'"
  test.with_dir(function(dir)
    nano.setup(dir)
    local status, _, err = nano.run(dir, "whole", "-j2")
    test.equal(status, 0, err)
    local whole = cli.tree(dir .. "/whole/nano")
    for i, fault in ipairs { "DISK=60000", "DISK=400000", "DISK=4000000", "DISK=5000000", "LARGE=3000000" } do
      local runs = "f" .. i
      status, _, err = nano.run(dir, runs, "-j2", { program = cli.faulty, env = extract .. " LATHE_FAULT_" .. fault })
      test.equal(status, 1, fault .. ": " .. err)
      test.contains(err, fault:find "DISK" and "No space left on device" or "out of memory")
      status, _, err = nano.run(dir, runs, "-j2")
      test.equal(status, 0, err)
      test.equal(cli.tree(dir .. "/" .. runs .. "/nano"), whole, fault)
      file.remove_tree(dir .. "/" .. runs)
    end
  end)
end)

return test.done()
