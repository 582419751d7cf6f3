-- SPDX-License-Identifier: MIT
-- Reading, cleaning and chunking a long text takes memory for its pieces, not for its length: 60 MB of
-- text stay under 100 MB resident (2 GB were measured by hand; doc/tour.md says how).
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

test.case("a long text is worked on in pieces", function()
  if cli.program:find("asan", 1, true) or cli.program:find("tsan", 1, true) then
    test.skip "memory is not measured under sanitizers"
  end
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", [[
local lathe = require "lathe"
return lathe.recipe "long" { lathe.read { "long.txt" }, lathe.clean {}, lathe.chunk { size = 2000, overlap = 200 } }
]])
    local lines = {}
    for i = 1, 4000 do
      lines[i] = ("Line %d of a text that goes on and on, é and ü and 漢字 included, number %d."):format(i, i * 7919)
      if i % 7 == 0 then lines[i] = lines[i] .. "\n" end
    end
    local block = table.concat(lines, "\n") .. "\n\n"
    local w = assert(file.replace(dir .. "/long.txt", false))
    for _ = 1, 60 * 1000000 // #block do w:write(block) end
    assert(w:commit())
    cli.put(dir .. "/probe.lua", [[
local status = require("lathe.cli").main { "run", "r.lua", "-j2" }
print(require("engine.clock").peak_memory())
return status]])
    local status, out, err = cli.run("exec probe.lua", { cwd = dir })
    test.equal(status, 0, err)
    local peak = tonumber(out:match "(%d+)%s*$")
    test.ok(peak < 100 << 20, ("%d bytes resident at the most"):format(peak))
  end)
end)

return test.done()
