-- SPDX-License-Identifier: MIT
-- The runner: parts, manifests, skipping, streaming, errors, user's stages. Stages are tiny on purpose.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

-- 3,000 numbers; keep() drops odd ones, twice() doubles records, sum() is a barrier, total() an artifact.
local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "nano" {
  options = { keep = 2, input = "numbers.jsonl" },
  lathe.stage "numbers" { list = function(ctx, emit)
      emit { path = "numbers.jsonl", file = ctx.root .. "/numbers.jsonl" }
    end, each = function(item, ctx, emit)
      for i = 1, 3000 do emit { id = tostring(i), n = i } end
    end },
  lathe.stage "keep" { options = { every = { default = 2, type = "integer" } }, each = function(r, ctx, emit)
      if r.n % ctx.options.every == 0 then emit(r) else ctx.reject(r, "odd", { n = r.n }) end
    end },
  lathe.stage "twice" { each = function(r, ctx, emit)
      emit(r)
      r.n = -r.n
      r.draw = ctx.rng:integer(1, 1000000)
      emit(r)
    end },
  lathe.stage "sum" { all = function(input, ctx, emit)
      local s = 0
      for r in input:records() do s = s + r.n; if r.n > 0 then emit { id = r.id, sum = s } end end
    end },
  lathe.stage "total" { publishes = "total", make = function(input, ctx)
      local n = 0
      for r in input:records() do n = n + 1 end
      require("engine.file").write(ctx.dir .. "/total.txt", tostring(n))
      return { n = n, report = "total " .. n }
    end },
  lathe.stage "last" { uses = "total", each = function(r, ctx, emit)
      r.total = require("engine.file").read(ctx.artifact "total" .. "/total.txt")
      emit(r)
    end },
}
]]

local function setup(dir)
  cli.put(dir .. "/nano.lua", RECIPE)
  cli.put(dir .. "/numbers.jsonl", "{}\n")
end

test.case("a run that fails says what the stages before rejected", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", [[local lathe = require "lathe"
      return lathe.recipe "failing" {
        lathe.stage "numbers" { list = function(_, emit) emit { path = "numbers" } end,
          each = function(_, _, emit) for i = 1, 4 do emit { id = tostring(i), n = i } end end },
        lathe.stage "keep" { each = function(r, ctx, emit)
          if r.n % 2 == 0 then emit(r) else ctx.reject(r, "odd") end
        end },
        lathe.stage "stop" { all = function() error "no" end },
      }]])
    local status = cli.run("run r.lua", { cwd = dir })
    test.ok(status ~= 0)
    local _, n = assert(file.read(dir .. "/runs/failing/rejected.jsonl")):gsub('"reason":"odd"', "")
    test.equal(n, 2)
  end)
end)

test.case("a run makes parts, counts, and is skipped the second time", function()
  test.with_dir(function(dir)
    setup(dir)
    local status, out, err = cli.run("run nano.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(out, "total 1500")
    local manifest = json.decode(file.read(dir .. "/runs/nano/02-keep/manifest.json"))
    test.equal({ manifest.records_in, manifest.records_out, manifest.rejected, manifest.parts },
      { 3000, 1500, 1500, 3 })
    test.equal(manifest.reasons.odd, 1500)
    test.equal(file.cut(dir .. "/runs/nano/rejected.jsonl", {}).lines, 1500)
    local before = cli.tree(dir .. "/runs/nano")
    status, out, err = cli.run("run nano.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(out, "total 1500")
    test.equal(err, "Everything was done before.\n", "nothing is done twice")
    test.equal(cli.tree(dir .. "/runs/nano"), before)
    for line in file.lines(dir .. "/runs/nano/events.jsonl") do
      local e = json.decode(line)
      test.ok(e.duration_ms and e.category and e.level and e.event)
    end
  end)
end)

test.case("one slow part does not stop those behind it", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/slow.lua", [[
local lathe = require "lathe"
return lathe.recipe "slow" {
  lathe.stage "items" { list = function(ctx, emit)
      for i = 1, 40 do emit { path = tostring(i), id = tostring(i), bytes = 8 << 20 } end
    end, each = function(item, ctx, emit)
      local stop = os.clock() + 0.3
      while item.path == "3" and os.clock() < stop do end
      emit { id = item.path }
    end },
}
]])
    local status, _, err = cli.run("run slow.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(err, "40 in, 40 out")
  end)
end)

test.case("threads and streaming do not change a byte", function()
  test.with_dir(function(dir)
    setup(dir)
    local trees = {}
    for i, flags in ipairs { "-j1", "-j3", "-j2 --no-stream" } do
      local status, _, err = cli.run(("run nano.lua %s --runs r%d"):format(flags, i), { cwd = dir })
      test.equal(status, 0, err)
      trees[i] = cli.tree(dir .. "/r" .. i .. "/nano")
    end
    test.equal(trees[2], trees[1])
    test.equal(trees[3], trees[1])
  end)
end)

test.case("an option changed runs the stages behind it only", function()
  test.with_dir(function(dir)
    setup(dir)
    cli.run("run nano.lua", { cwd = dir })
    local status, _, err = cli.run("run nano.lua --set keep.every=3", { cwd = dir })
    test.equal(status, 0, err)
    test.ok(not err:find("numbers", 1, true), "the first stage is kept")
    test.contains(err, "3,000 in, 1,000 out, 2,000 rejected (2000 odd)")
    status, _, err = cli.run("run nano.lua --set keep.every=3 --from sum", { cwd = dir })
    test.equal(status, 0, err)
    test.ok(not err:find("twice", 1, true) and err:find("sum", 1, true))
  end)
end)

test.case("an option marked neutral does not make a stage run again", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/nano.lua", (RECIPE:gsub('every = { default = 2', 'often = { default = 1, neutral = true }, every = { default = 2')))
    cli.put(dir .. "/numbers.jsonl", "{}\n")
    cli.run("run nano.lua", { cwd = dir })
    local status, _, err = cli.run("run nano.lua --set keep.often=9", { cwd = dir })
    test.equal(status, 0, err)
    test.ok(not err:find("keep", 1, true), err)
  end)
end)

test.case("mistakes are named and end with status 2", function()
  test.with_dir(function(dir)
    local function try(text, arguments)
      cli.put(dir .. "/r.lua", text)
      return cli.run("run r.lua " .. (arguments or ""), { cwd = dir })
    end
    local head = "local lathe = require 'lathe'\nreturn lathe.recipe 'r' {\n options = { size = 3 },\n"
    local source = "lathe.stage 's' { list = function() end, each = function() end },\n"
    local status, _, err = try(head .. source .. " lathe.kepe {} }")
    test.equal(status, 2)
    test.contains(err, "r.lua:5: unknown stage 'kepe'")
    status, _, err = try(head .. source .. "lathe.stage 'a' { options = { size = {} }, each = print }, }",
      "--set a.siez=3")
    test.equal(status, 2)
    test.contains(err, "did you mean 'size'?")
    status, _, err = try(head .. source .. "}", "--set sise=3")
    test.equal(status, 2)
    test.contains(err, "unknown recipe option 'sise'; did you mean 'size'?")
    status, _, err = try(head .. source .. "}", "--set size=many")
    test.equal(status, 2)
    test.contains(err, "'many' is not a number")
    status, _, err = try("return {")
    test.equal(status, 2)
    test.contains(err, "r.lua:1:")
    status, _, err = try(head .. source .. "lathe.stage 'x' { uses = 'model', each = print } }")
    test.equal(status, 2)
    test.contains(err, "uses the artifact 'model', which no earlier stage makes")
    test.equal(file.stat(dir .. "/runs"), nil, "nothing was begun")
  end)
end)

test.case("a stage's failure names the record that came first", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", RECIPE:gsub("emit%(r%) else", "if r.n == 2222 then error 'odd thing' end emit(r) else"))
    cli.put(dir .. "/numbers.jsonl", "{}\n")
    local status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "stage keep, record")
    test.contains(err, "part-00000.jsonl:2222")
    test.contains(err, "odd thing")
    test.ok(not err:find("stack traceback", 1, true))
  end)
end)

test.case("a user's own stage beside the recipe, in a recipe and alone", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/stages/calm.lua", [[
return {
  name = "calm", kind = "map", version = 1,
  options = { loud = { default = 1, type = "integer", help = "exclamation marks allowed" } },
  each = function(record, ctx, emit)
    local _, n = record.text:gsub("!", "")
    if n > ctx.options.loud then return ctx.reject(record, "loud", { marks = n }) end
    emit(record)
  end,
}]])
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"hi"}\n{"id":"2","text":"no!!!","x":[1,2.50]}\n{"id":"3","text":"a!b!"}\n')
    local status, _, err = cli.run("stage calm in.jsonl out.jsonl --set loud=2", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(file.read(dir .. "/out.jsonl"), '{"id":"1","text":"hi"}\n{"id":"3","text":"a!b!"}\n')
    test.contains(file.read(dir .. "/out.jsonl.rejected.jsonl"), '{"id":"2","text":"no!!!","x":[1,2.50]}')
    test.equal(file.stat(dir .. "/out.jsonl.stage"), nil)
    status, _, err = cli.run("stage clam in.jsonl out.jsonl", { cwd = dir })
    test.equal(status, 2)
    test.contains(err, "did you mean 'calm'?")
    status, _, err = cli.run("stage calm none.jsonl out.jsonl", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "none.jsonl: No such file")
  end)
end)

test.case("a recipe that is not pure is refused", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", [[
local lathe = require "lathe"
local n = tostring({}):match "0x%x+"
return lathe.recipe "r" {
  lathe.stage "a" { options = { x = { default = n } }, list = function(_, emit) emit { path = "p", id = "1" } end,
    each = function(r, _, emit) emit(r) end } }
]])
    local status, _, err = cli.run("run r.lua", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "must not depend on the clock")
  end)
end)

test.case("a stage that got another number leaves nothing under the old one", function()
  test.with_dir(function(dir)
    setup(dir)
    test.equal((cli.run("run nano.lua", { cwd = dir })), 0)
    cli.put(dir .. "/nano.lua", (RECIPE:gsub('  lathe%.stage "twice"',
      '  lathe.stage "same" { each = function(r, _, emit) emit(r) end },\n%0')))
    test.equal((cli.run("run nano.lua", { cwd = dir })), 0)
    local folders = {}
    for _, entry in ipairs(file.list(dir .. "/runs/nano")) do
      if entry.is_dir then folders[#folders + 1] = entry.name end
    end
    test.equal(table.concat(folders, " "), "01-numbers 02-keep 03-same 04-twice 05-sum 06-total 07-last")
  end)
end)

test.case("--plan does nothing", function()
  test.with_dir(function(dir)
    setup(dir)
    local status, out = cli.run("run nano.lua --plan", { cwd = dir })
    test.equal(status, 0)
    test.contains(out, "makes total")
    test.equal(file.stat(dir .. "/runs"), nil)
  end)
end)

test.case("a run in progress is not run twice", function()
  test.with_dir(function(dir)
    setup(dir)
    file.mkdirs(dir .. "/runs/nano")
    local lock = assert(file.lock(dir .. "/runs/nano/lock"))
    local status, _, err = cli.run("run nano.lua", { cwd = dir })
    lock:close()
    test.equal(status, 1)
    test.contains(err, "another process is using this folder")
  end)
end)

return test.done()
