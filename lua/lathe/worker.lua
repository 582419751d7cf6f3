-- SPDX-License-Identifier: MIT
-- The worker's side of the recipe runner. open(setup) loads the same recipe file as the main state,
-- resolves it, compares fingerprints, and returns the handler of jobs. Bytes in, bytes out.

local json = require "engine.json"
local part = require "lathe.part"
local plan = require "lathe.plan"

local M = {}

local function resolve(setup)
  local recipe
  if setup.single then
    recipe = require("lathe.single").recipe(setup.single)
  else
    local message
    recipe, message = plan.load(setup.path)
    if not recipe then error(message, 0) end
  end
  local resolved = plan.resolve(recipe, { set = setup.set, root = setup.root, path = setup.path,
    search = setup.search, input = setup.input, artifacts = setup.artifacts })
  if resolved.fingerprint ~= setup.fingerprint then
    error(("%s does not give the same stages each time it is loaded; a recipe must not depend on the "
      .. "clock, on random numbers or on files"):format(setup.path or recipe.name), 0)
  end
  return resolved
end

--- Opens this thread's share of a run.
-- @param text string: JSON of { path, root, set, search, fingerprint, … }
-- @return function: payload → reply, both JSON
function M.open(text)
  local setup = json.decode(text)
  local fine, resolved = pcall(resolve, setup)
  if not fine then
    error(type(resolved) == "table" and resolved.message or resolved, 0)
  end
  return function(payload)
    local job = json.decode(payload)
    return json.encode(part.run(resolved.stages[job.stage], job))
  end
end

return M
