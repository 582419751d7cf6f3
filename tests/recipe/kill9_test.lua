-- SPDX-License-Identifier: MIT
-- kill -9 at random moments, then the same command again: the bytes are those of a run left alone.
-- LATHE_KILLS says how many (default 5; `make kill9` asks for 30).
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local clock = require "engine.clock"
local hash = require "engine.hash"
local nano = require "tests.support.nano"

local kills = tonumber(os.getenv "LATHE_KILLS" or "5")
local seed = tonumber(os.getenv "LATHE_KILL_SEED" or "") or os.time()
local rng = hash.rng(seed)

test.case(("%d kills (LATHE_KILL_SEED=%d)"):format(kills, seed), function()
  test.with_dir(function(dir)
    nano.setup(dir)
    local began = clock.now()
    local status, _, err = nano.run(dir, "whole", "-j2")
    test.equal(status, 0, err)
    local seconds = clock.now() - began
    local whole = cli.tree(dir .. "/whole/nano")
    local landed, k = 0, 0
    while k < kills do
      k = k + 1
      local runs = "k" .. k
      local after = rng:number() * seconds
      -- half of the folders are killed twice before they may finish
      for _ = 1, 1 + k % 2 do
        status = nano.run(dir, runs, "-j2", { prefix = ("timeout -s KILL %.3f"):format(after) })
        if status == 137 then landed = landed + 1 end
        after = rng:number() * seconds
      end
      status, _, err = nano.run(dir, runs, "-j2")
      test.equal(status, 0, err)
      test.equal(cli.tree(dir .. "/" .. runs .. "/nano"), whole, "killed run " .. k)
      require("engine.file").remove_tree(dir .. "/" .. runs)
    end
    test.ok(landed >= kills // 3, ("only %d kills hit a running program"):format(landed))
  end)
end)

return test.done()
