-- SPDX-License-Identifier: MIT
-- What a run says to a person: the plan before, the summary after.

local config = require "lathe.config"
local file = require "engine.file"
local planner = require "lathe.plan"
local progress = require "lathe.progress"

local M = {}

local function folder_size(path)
  local total = 0
  for _, entry in ipairs(file.list(path) or {}) do
    local child = path .. "/" .. entry.name
    if entry.is_dir then
      total = total + folder_size(child)
    else
      total = total + (file.stat(child) or { size = 0 }).size
    end
  end
  return total
end

local function state_of(run, stage)
  if stage.done and stage.kind == "artifact" then
    return ("done before: %s records read"):format(progress.count(stage.manifest.records_in))
  elseif stage.done then
    return ("done before: %s in, %s out"):format(progress.count(stage.manifest.records_in),
      progress.count(stage.manifest.records_out))
  end
  local key = stage.dir .. "/key"
  if not stage.fresh and file.stat(key) and file.read(key) == stage.key then return "begun before; goes on" end
  if run.only_index and stage.index ~= run.only_index then return "left out (--only)" end
  return "to do"
end

-- What a stage's plan may look at: folders of artifacts, the stages that make them, and the records that come
-- in, when they are known; memory: what the stage may hold.
local function plan_info(run, stage)
  local makers, source = {}, planner.records_of(run.plan, stage.from)
  for name, index in pairs(stage.uses) do
    local maker = run.plan.stages[index]
    makers[name] = maker and { module = maker.module, options = maker.options,
      info = function() return plan_info(run, maker) end }
  end
  return { artifacts = run:artifact_paths(stage), makers = makers, root = run.plan.root, memory = run.main_memory,
    records = source and source.done and source.manifest.records_out or nil }
end

--- Prints what a run would do; changes nothing.
-- @param recipe recipe
-- @param options table: as for the runner
-- @return integer: the exit status
function M.plan(recipe, options)
  local fine, run = pcall(require("lathe.recipe").plan, recipe, options)
  if not fine then
    local problem = type(run) == "table" and run or { message = tostring(run) }
    io.stderr:write("lathe: ", problem.message, "\n")
    return problem.code == "misuse" and 2 or 1
  end
  print(("recipe %s in %s: %d stages, %d threads, %s of memory"):format(run.plan.name, run.dir,
    #run.plan.stages, run.threads, progress.bytes(run.memory)))
  for _, name in ipairs(config.names(run.plan.options)) do
    print(("  option %s = %s"):format(name, tostring(run.plan.options[name])))
  end
  for _, stage in ipairs(run.plan.stages) do
    local kind = stage.kind == "artifact" and "makes " .. stage.publishes or stage.kind
    print(("  %2d %-14s %-18s %s"):format(stage.index, stage.name, kind, state_of(run, stage)))
    if stage.items then
      local bytes = 0
      for _, item in ipairs(stage.items) do bytes = bytes + (item.bytes or 0) end
      print(("     reads %s files, %s"):format(progress.count(#stage.items), progress.bytes(bytes)))
    end
    if stage.module.plan then
      local lines = stage.module.plan(stage.options, plan_info(run, stage))
      for _, line in ipairs(type(lines) == "table" and lines or { lines }) do print("     " .. line) end
    end
  end
  return 0
end

--- Prints what a finished run made and where it is.
-- @param run run: from the runner
function M.summary(run)
  local stages = run.plan.stages
  local rejected = 0
  for _, stage in ipairs(stages) do rejected = rejected + (stage.manifest and stage.manifest.rejected or 0) end
  for _, stage in ipairs(stages) do
    local facts = stage.manifest and stage.manifest.facts
    if facts and facts.report then print(facts.report) end
  end
  print "What was made:"
  for _, stage in ipairs(stages) do
    if stage.done and stage.publishes then
      local path = stage.dir .. "/" .. stage.publishes
      print(("  %-12s %s  (%s)"):format(stage.publishes, path, progress.bytes(folder_size(path))))
    end
  end
  local last = run:outputs(#stages)
  if #last > 0 then print(("  %-12s %s"):format("records", last[1]:match "^(.*)/[^/]*$" .. "/part-*.jsonl")) end
  print(("  %-12s %s  (%s record%s, each with its reason)"):format("rejected", run.dir .. "/rejected.jsonl",
    progress.count(rejected), rejected == 1 and "" or "s"))
  print(("  %-12s %s"):format("report", run.dir .. "/report.html"))
end

return M
