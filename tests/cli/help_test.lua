-- SPDX-License-Identifier: MIT
-- `lathe help`, from the source tree and from an installed copy, and the parser of doc comments.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local help = require "lathe.help"

local function says(name, ...)
  local parts = { ... }
  test.case("help " .. (name == "" and "alone" or name), function()
    local status, out, err = cli.run("help " .. name)
    test.equal(err, "")
    test.equal(status, 0)
    for _, part in ipairs(parts) do test.contains(out, part) end
  end)
end

says("", "Commands\n", "run ", "Stages", "Recipes", "  demo", "Templates", "engine.hash")
says("run", "Usage: lathe run", "--plan")
says("chunk", "stage chunk (map", "size", "(string; default", "lathe.chunk {", "lathe stage chunk in.jsonl out.jsonl")
says("engine.hash.sha256", "engine.hash.sha256(bytes)\n", "bytes  string: what to hash", "Example:\n", "engine/bind/hash.c")
says("hash.rng", "engine.hash.rng(...)")
says("engine.json", "module engine.json", "decode(")
says("config.nearest", "lathe.config.nearest(word, names)", "gives string|nil")
says("model", "lora")
says("demo", "recipe demo", "Stages:", "--input", "steps")
says("chatml", "template chatml", "<|im_end|>")

test.case("an unknown name names its neighbours", function()
  local status, out, err = cli.run "help sha265"
  test.equal(status, 2)
  test.equal(out, "")
  test.contains(err, "no help for 'sha265'; did you mean")
  test.contains(err, "sha256")
end)

test.case("a user's own stage", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/stages/shout.lua", [[
return { name = "shout", summary = "Makes text loud.", options = { marks = { type = "integer", default = 3, help = "how loud" } },
  each = function(r, ctx, emit) emit(r) end }
]])
    local status, out = cli.run("help shout", { cwd = dir })
    test.equal(status, 0)
    test.contains(out, "Makes text loud.")
    test.contains(out, "marks  how loud (integer; default 3)")
    test.contains(out, "stages/shout.lua")
  end)
end)

test.case("all that is public is documented with its parameters", function()
  local bare = {}
  for _, e in ipairs(help.index().list) do
    if e.kind == "function" and e.summary == "" then bare[#bare + 1] = e.name end
  end
  test.equal(bare, {})
end)

test.case("comments are read as they are written", function()
  local index = { list = {}, by_name = {} }
  help.index_lua(index, [[
-- SPDX-License-Identifier: MIT
-- What the module is. And more.
local M = {}

--- First sentence. Second
-- goes on.
--
--   indented stays
-- @param a string: what
--   it is
-- @param b number: other
-- @return boolean: whether
-- @error io
-- @example f(1)
-- f(2)
function M.f(a, b) end

--- Not public.
local function g() end

--- A method.
function Thing:m(x) end
]], "lathe.m", "m.lua")
  test.equal(#index.list, 3)
  test.equal(index.by_name["lathe.m"].summary, "What the module is.")
  local f = index.by_name["lathe.m.f"]
  test.equal(f.summary, "First sentence.")
  test.equal(f.text, "First sentence. Second goes on.\n\n  indented stays")
  test.equal(f.params, { "a string: what it is", "b number: other" })
  test.equal(f.examples, { "f(1)\nf(2)" })
  test.equal(f.args, "(a, b)")
  test.equal(index.by_name["thing:m"].args, "(x)")
  help.index_c(index, "/* SPDX-License-Identifier: MIT */\n/* require \"engine.c\": sea. Deep. */\n"
    .. "/*** Goes\n-- @function engine.c.go\n-- @param far integer: miles\non the sea\n-- @return integer */\nstatic int l_go;\n", "engine.c", "c.c")
  test.equal(index.by_name["engine.c"].summary, "sea.")
  test.equal(index.by_name["engine.c.go"].params, { "far integer: miles on the sea" })
  test.equal(index.by_name["engine.c.go"].args, "(far)")
end)

test.case("an installed copy helps just as well", function()
  if not io.open "build/lathe" then test.skip "build/lathe is not built" end
  test.with_dir(function(dir)
    test.ok(os.execute(("make -s -o all install DESTDIR='%s' PREFIX=/opt >/dev/null 2>&1"):format(dir)))
    local program = dir .. "/opt/bin/lathe"
    local status, out = cli.run("help sha256", { program = program, cwd = dir })
    test.equal(status, 0)
    test.contains(out, "engine.hash.sha256(bytes)")
    local _, here = cli.run "help engine.json"
    local _, there = cli.run("help engine.json", { program = program, cwd = dir })
    test.equal(there, here)
    status, out = cli.run("--version", { program = program, cwd = dir })
    test.equal(status, 0)
    test.contains(out, "lathe 0.")
  end)
end)

return test.done()
