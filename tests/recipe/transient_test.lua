-- SPDX-License-Identifier: MIT
-- What failed for a while is tried again by the next run, and what was made from it follows; what gives
-- the same again costs nothing behind it.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

-- "flaky" turns even numbers away for as long as the file "down" is there.
local RECIPE = [[
local lathe = require "lathe"
local file = require "engine.file"
return lathe.recipe "r" {
  lathe.stage "numbers" { list = function(ctx, emit) emit { path = "n", id = "1" } end,
    each = function(_, _, emit) for i = 1, 2500 do emit { id = tostring(i), n = i } end end },
  lathe.stage "flaky" { each = function(r, ctx, emit)
      if r.n % 1250 == 0 and file.stat(ctx.root .. "/down") then return ctx.reject(r, "transient", "later") end
      emit(r)
    end },
  lathe.stage "twice" { each = function(r, ctx, emit) emit(r); emit(r) end },
  lathe.stage "sum" { all = function(input, ctx, emit)
      local s = 0
      for r in input:records() do s = s + r.n end
      emit { id = "s", sum = s }
    end },
  lathe.stage "total" { publishes = "total", make = function(input, ctx)
      for r in input:records() do file.write(ctx.dir .. "/total.txt", tostring(r.sum)) end
    end },
  lathe.stage "last" { uses = "total", each = function(r, ctx, emit) emit(r) end },
}
]]

local function setup(dir)
  cli.put(dir .. "/r.lua", RECIPE)
  cli.put(dir .. "/down", "x")
end

local function total(dir) return file.read(dir .. "/runs/r/05-total/total/total.txt") end

test.case("transient rejections are retried and what was made from them follows", function()
  test.with_dir(function(dir)
    setup(dir)
    local status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(total(dir), tostring(2 * (2500 * 2501 // 2 - 1250 - 2500)))
    -- still down: the stage is tried again, the others have nothing to do
    status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(err, "flaky")
    for _, name in ipairs { "numbers", "twice", "sum", "total", "last" } do
      test.ok(not err:find("] " .. name, 1, true), name .. " was done again")
    end
    -- --only of another stage does not need it
    status, _, err = cli.run("run r.lua --only sum", { cwd = dir })
    test.equal(status, 0, err)
    file.remove_tree(dir .. "/down")
    status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(total(dir), tostring(2500 * 2501))
    test.equal(file.stat(dir .. "/runs/r/rejected.jsonl").size, 0)
    local tree = cli.tree(dir .. "/runs/r")
    status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(err, "Everything was done before")
    status, _, err = cli.run("run r.lua -j2 --runs other", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(cli.tree(dir .. "/other/r"), tree)
  end)
end)

test.case("stopped between the retry and what follows, the next run goes on from there", function()
  test.with_dir(function(dir)
    setup(dir)
    local status, _, err = cli.run("run r.lua", { cwd = dir })
    test.equal(status, 0, err)
    file.remove_tree(dir .. "/down")
    status, _, err = cli.run("run r.lua --only flaky", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(err, "flaky")
    status, _, err = cli.run("run r.lua", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(total(dir), tostring(2500 * 2501))
  end)
end)

return test.done()
