-- SPDX-License-Identifier: MIT
-- Ctrl-C at many moments of the nano job: status 130 at once, nothing half-written, and the same command
-- goes on to the bytes of a run left alone. The interrupts come at random (LATHE_KILL_SEED).
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local clock = require "engine.clock"
local file = require "engine.file"
local hash = require "engine.hash"
local nano = require "tests.support.nano"

local interrupts = tonumber(os.getenv "LATHE_KILLS" or "3")
local seed = tonumber(os.getenv "LATHE_KILL_SEED" or "") or os.time()
local rng = hash.rng(seed)
local slow = (os.getenv "LATHE_BUILD" or ""):find "san" ~= nil

-- Nothing under a folder is a writer's temporary file.
local function whole_files(dir)
  for path in pairs(cli.tree(dir)) do test.ok(not path:find "%.tmp%-%d", "left behind: " .. path) end
end

test.case(("%d interrupts (LATHE_KILL_SEED=%d)"):format(interrupts, seed), function()
  test.with_dir(function(dir)
    nano.setup(dir)
    local began = clock.now()
    local status, _, err = nano.run(dir, "whole", "-j2")
    test.equal(status, 0, err)
    local seconds = clock.now() - began
    local whole = cli.tree(dir .. "/whole/nano")
    local landed = 0
    for k = 1, interrupts do
      local runs, after = "i" .. k, (k - rng:number()) / interrupts * seconds
      began = clock.now()
      -- --foreground: without it timeout sends the signal twice, and a second Ctrl-C ends at once
      status, _, err = nano.run(dir, runs, "-j2", { prefix = ("timeout --foreground -s INT --preserve-status %.3f"):format(after) })
      local late = clock.now() - began - after
      if status ~= 0 then
        landed = landed + 1
        test.equal(status, 130, err)
        test.ok(late < (slow and 15 or 3), ("it took %.1f seconds to stop"):format(late))
        if err:find "%S" then test.contains(err, "run the same command again") end
        if file.stat(dir .. "/" .. runs) then whole_files(dir .. "/" .. runs) end
      end
      status, _, err = nano.run(dir, runs, "-j2")
      test.equal(status, 0, err)
      test.equal(cli.tree(dir .. "/" .. runs .. "/nano"), whole, "interrupted run " .. k)
      file.remove_tree(dir .. "/" .. runs)
    end
    test.ok(landed >= interrupts // 3, ("only %d interrupts hit a running program"):format(landed))
  end)
end)

-- A stage that turns the first interrupt away has to end at the second.
test.case("an error of Ctrl-C that a stage catches drops the part; a second Ctrl-C ends at once", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", [[
local lathe = require "lathe"
local file = require "engine.file"
return lathe.recipe "r" {
  lathe.stage "numbers" { list = function(_, emit) emit { path = "n", id = "1" } end,
    each = function(_, _, emit) emit { id = "1" } end },
  lathe.stage "stubborn" { each = function(r, ctx, emit)
      if file.stat(ctx.root .. "/wait") then
        file.write(ctx.root .. "/waiting", "x")
        repeat local fine = pcall(function() while true do end end) until file.stat(ctx.root .. "/give up")
        emit { id = "wrong" }
      end
      emit(r)
    end },
}
]])
    local function interrupted(times)
      cli.put(dir .. "/wait", "x")
      file.remove_tree(dir .. "/waiting")
      local script = ([[
'%s' run r.lua -j1 2>err & pid=$!
i=0; while [ ! -e waiting ] && [ $i -lt 1000 ]; do sleep 0.02; i=$((i+1)); done
for n in %s; do kill -INT $pid; sleep 0.1; done
wait $pid]]):format(cli.program, times)
      cli.put(dir .. "/interrupt.sh", script)
      -- a shell's background job ignores Ctrl-C unless it has job control
      local _, _, status = os.execute(("cd '%s' && bash -m interrupt.sh >/dev/null 2>&1"):format(dir))
      file.remove_tree(dir .. "/wait")
      return status
    end
    local began = clock.now()
    test.equal(interrupted "1 2", 130)
    test.ok(clock.now() - began < 20)
    cli.put(dir .. "/give up", "x")
    test.equal(interrupted "1", 130)
    test.equal(file.stat(dir .. "/runs/r/02-stubborn/part-00000.jsonl"), nil, "the part in hand is dropped")
    local status, _, err = cli.run("run r.lua", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(file.read(dir .. "/runs/r/02-stubborn/part-00000.jsonl"), '{"id":"1"}\n')
  end)
end)

return test.done()
