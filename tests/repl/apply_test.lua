-- SPDX-License-Identifier: MIT
-- Stages on datasets at the prompt.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local apply = require "lathe.apply"
local file = require "engine.file"
local lathe = require "lathe"
local repl = require "lathe.repl"

local function with_data(f)
  test.with_dir(function(dir)
    local lines = {}
    for i = 1, 50 do lines[i] = ('{"id":"%d","text":"sentence number %d says something. And more of it.","n":%d}'):format(i, i % 10, i) end
    cli.put(dir .. "/in.jsonl", table.concat(lines, "\n") .. "\n")
    f(dir, assert(lathe.open(dir .. "/in.jsonl")))
    collectgarbage()
    collectgarbage()
  end)
end

test.case("stages follow each other, and give what a recipe gives", function()
  with_data(function(dir, ds)
    local out = ds:dedup { near = false }:chunk { size = 30, overlap = 0 }
    assert(#out > 10)
    cli.put(dir .. "/r.lua", [[local lathe = require "lathe"
      return lathe.recipe "r" { lathe.read { "$root/in.jsonl" }, lathe.dedup { near = false }, lathe.chunk { size = 30, overlap = 0 } }]])
    test.equal(cli.run("run r.lua", { cwd = dir }), 0)
    local same = assert(lathe.open(dir .. "/runs/r/03-chunk"))
    test.equal(#out, #same)
    for i = 1, #same do test.equal(tostring(out[i].id), tostring(same[i].id)) end
  end)
end)

test.case("a folder goes with the last reference to its dataset", function()
  with_data(function(_, ds)
    local out = ds:dedup { near = false }
    local path = out.path
    assert(file.stat(path))
    out = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    test.equal(file.stat(path), nil)
  end)
end)

test.case("stages that keep nothing, and those that fail", function()
  with_data(function(_, ds)
    local none = apply.stage(ds, lathe.stage "none" { each = function(r, ctx) ctx.reject(r, "unwanted") end })
    test.equal({ #none, none[1] }, { 0, nil })
    test.raises("overlap", function() ds:chunk { size = 10, overlap = 20 } end)
    test.raises("did you mean 'size'", function() ds:chunk { sise = 10 } end)
    local _, message = pcall(function() ds:chunk { sise = 10 } end)
    test.contains(message, "apply_test.lua", "the place of a mistake is the caller's")
    test.equal(ds.no_such_stage, nil)
    test.equal(select("#", ds:dedup {}), 1)
    test.equal(ds.read, nil)
  end)
end)

test.case("read gives a dataset, and a stage that makes a folder gives the dataset back", function()
  with_data(function(dir)
    local ds = repl.read { dir .. "/in.jsonl" }
    test.equal(#ds, 50)
    local print_before, said = print, nil
    print = function(s) said = s end -- luacheck: ignore 121
    local same, folder = ds:stats {}
    print = print_before -- luacheck: ignore 121
    test.equal(same == ds, true)
    test.contains(said, "50 records")
    assert(file.stat(folder .. "/report.html"))
  end)
end)

test.case("completion knows the stages of a dataset", function()
  with_data(function(_, ds)
    local env = repl.environment()
    env.ds = ds
    test.equal(repl.complete("ds:dedu", env), "p")
    test.equal(repl.complete("ds:recor", env), "ds")
  end)
end)

return test.done()
