-- SPDX-License-Identifier: MIT
-- Artifacts by name and folders by path; a folder that changed is another input.
local test = require "tests.support.test"
local artifacts = require "lathe.artifacts"
local file = require "engine.file"

test.case("names are made by the recipe, paths are folders", function()
  test.equal(artifacts.used { "base", "models/small", "./adapter", "adapter" }, { "base", "adapter" })
  local ctx = { artifact = function(name) return "runs/x/" .. name end }
  test.equal(artifacts.path(ctx, "base"), "runs/x/base")
  test.equal(artifacts.path(ctx, "models/small"), "models/small")
end)

test.case("a folder whose files changed gives stages that read it another key", function()
  test.with_dir(function(dir)
    file.write(dir .. "/config.json", "{}")
    local function key(name) return require("lathe.stage." .. name).hashes { base = dir, adapter = "adapter", model = dir } end
    for _, name in ipairs { "train", "evaluate", "merge", "export" } do
      local before = key(name)
      test.equal(key(name), before)
      file.write(dir .. "/config.json", "{" .. (" "):rep(#name) .. "}")
      test.ok(key(name)[dir] ~= before[dir], name)
    end
  end)
end)

return test.done()
