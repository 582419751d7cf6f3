-- SPDX-License-Identifier: MIT
-- `lathe stage NAME in out`: one stage alone, through the same runner, so that the bytes are the same.

local file = require "engine.file"

local M = {}

--- A recipe of one stage.
-- @param given table: { stage = name, input = text for a source's first option }
-- @return recipe
function M.recipe(given)
  local lathe = require "lathe"
  local options = { name = given.stage }
  if given.input then options[1] = given.input end
  local reference = lathe[given.stage](options)
  reference.where = nil -- there is no line of a recipe to point at
  return lathe.recipe("stage-" .. given.stage) { reference }
end

local function join(stage, kind, target)
  local part = require "lathe.part"
  local w <close> = assert(file.replace(target))
  for n = 0, stage.manifest.parts - 1 do
    local main, rejected = part.paths(stage.dir, n)
    local path = kind == "rejected" and rejected or main
    local info = file.stat(path)
    for from = 0, (info and info.size or 0) - 1, 1 << 20 do
      local bytes, message, code = file.read_range(path, from, math.min(info.size, from + (1 << 20)))
      if not bytes then return nil, message, code end
      local put
      put, message, code = w:write(bytes)
      if not put then return nil, message, code end
    end
  end
  return w:commit()
end

local function publish(run, target)
  local stage = run.plan.stages[1]
  local message, code
  local done
  if stage.kind == "artifact" then
    done, message, code = file.rename(stage.dir .. "/" .. stage.publishes, target)
  else
    done, message, code = join(stage, "main", target)
  end
  if not done then return nil, message, code end
  if stage.manifest.rejected > 0 then
    done, message, code = join(stage, "rejected", target .. ".rejected.jsonl")
  else -- what an earlier run left there would be read as this one's
    done, message, code = file.remove_tree(target .. ".rejected.jsonl")
  end
  if not done then return nil, message, code end
  return true
end

--- Runs one stage.
-- @param name string: the stage
-- @param input string: a JSONL file; for a source, what it lists
-- @param output string: the file, or for an artifact the folder, to be made; rejected records go to
--   OUTPUT.rejected.jsonl
-- @param artifacts table: name → folder
-- @param options table: as for the runner
-- @return boolean: true
-- @error misuse, not_found, and what the stage fails with
function M.run(name, input, output, artifacts, options)
  local planner = require "lathe.plan"
  output = output:gsub("(.)/+$", "%1")
  local search = planner.search_path(".", "stages")
  local module, message, code = planner.find_stage(name, search)
  if not module then return nil, message, code end
  local single = { stage = name, input = module.list and input or nil }
  if not module.list then
    if not file.stat(input) then return nil, input .. ": No such file or directory", "not_found" end
    options.input = input
  end
  if module.kind == "artifact" and file.stat(output) then
    return nil, output .. ": exists already; choose another folder", "misuse"
  end
  local set = {}
  for k, v in pairs(options.set) do set[k:find("%.") and k or name .. "." .. k] = v end
  options.set, options.single, options.root, options.artifacts = set, single, ".", artifacts
  options.search = search
  options.dir = output .. ".stage"
  local run
  run, message, code = require("lathe.recipe").run(M.recipe(single), options)
  if not run then return nil, message, code end
  local fine
  fine, message, code = publish(run, output)
  if not fine then return nil, message, code end
  return file.remove_tree(options.dir)
end

return M
