-- SPDX-License-Identifier: MIT
-- The nano job gives the same bytes with one thread and two, streaming and file by file.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local nano = require "tests.support.nano"

test.case("-j1 = -j2 = file by file, byte for byte", function()
  test.with_dir(function(dir)
    nano.setup(dir)
    local trees = {}
    for i, flags in ipairs { "-j1", "-j2", "-j2 --no-stream", "-j1 --memory 256M", "-j64 --memory 128M" } do
      local status, _, err = nano.run(dir, "r" .. i, flags)
      test.equal(status, 0, err)
      trees[i] = cli.tree(dir .. "/r" .. i .. "/nano")
      test.equal(trees[i], trees[1], flags)
    end
    local files = 0
    for path in pairs(trees[1]) do
      if path:find "%.gguf$" or path:find "adapter_model%.safetensors$" then files = files + 1 end
    end
    test.equal(files, 3, "two GGUF files and an adapter were compared")
  end)
end)

return test.done()
