-- SPDX-License-Identifier: MIT
-- text/ and dedup/ with failing allocations and a full disk: an error that says so, never a crash, and
-- nothing left behind.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

local SCRIPT = [[
local text, dedup, chunk = require "engine.text", require "engine.dedup", require "engine.chunk"
local dir = ...
local function say(value, message, code)
  if value == nil then error(code, 0) end
  return value
end
local s = ("Grün­e  W\u{FB01}esen\r\n\nsind e\u{301}s. "):rep(300)
local cleaned, map, code = text.clean(s)
say(cleaned, map, code)
for _, method in ipairs { "recursive", "sentence", "markdown", "code" } do
  local cut = say(chunk.new { method = method, size = 100, overlap = 10 })
  say(chunk.headings(cleaned, say(cut(cleaned))))
end
local cut = say(chunk.new { mode = "python", separators = { "\\s", "" }, regex = true, size = 9, keep_separator = false })
say(cut(cleaned))
local phrases = say(text.phrases { "all rights", "cookies" })
say(text.clean(("Mail a@b.de, Caf\u{C3}\u{A9}.\nAll rights reserved\nx1\nx1\n"):rep(40),
  { pii = { "email" }, boilerplate = phrases, repeated_lines = 1, lower = true }))
local quality = require "engine.quality"
say(say(quality.meter { "the", "of" }):measure(cleaned, { repetition = true, diversity = true }))
say(quality.c4(cleaned, { phrases = { { "wiese" } } }))
local chosen = say(require("engine.select").new(1 << 20))
for i = 1, 3000 do say(chosen:add("group" .. i % 2000, i % 7, "draw" .. i, 1)) end
say(chosen:choose(9, 20))
say(text.to_utf8("Caf\xe9 "):rep(100))
say(text.nfc(s))
local d = say(dedup.new { memory = 1, scratch = arg[1] })
for i = 1, 4000 do
  local words = {}
  for k = 1, 20 do words[k] = "w" .. (i * 31 + k * k * 17) % 9973 end
  say(d:add(table.concat(words, " ")))
end
say(d:finish())
d:close()
print "done"
]]

local function run_all(name, values, code)
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", SCRIPT)
    cli.put(dir .. "/scratch/x", "")
    local failed = 0
    for _, value in ipairs(values) do
      local status, out, err = cli.run(("exec %s/script.lua %s/scratch"):format(dir, dir),
        { program = cli.faulty, env = name .. "=" .. value })
      test.ok(status == 0 or status == 1, ("%s=%s: status %d\n%s"):format(name, value, status, err))
      if status == 1 then
        failed = failed + 1
        test.ok((out .. err):find(code) or (out .. err):find "memory", out .. err)
      else
        test.contains(out, "done")
      end
      test.equal(#file.list(dir .. "/scratch"), 1)
    end
    test.ok(failed >= #values // 2, "faults were not met")
  end)
end

test.case("no memory", function()
  local values = {}
  for n = 1, 60, 4 do values[#values + 1] = n end
  for _, n in ipairs { "20+", "45+", 120, "400+", 3000, "6000+" } do values[#values + 1] = n end
  run_all("LATHE_FAULT_ALLOC", values, "no_memory")
end)

test.case("a full disk", function() run_all("LATHE_FAULT_DISK", { 0, 10, 100000, 900000 }, "io") end)

return test.done()
