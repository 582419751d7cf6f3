-- SPDX-License-Identifier: MIT
-- Stages on datasets, at the prompt or in a script:
--
--   ds = read { "docs/" }                         at the prompt; lathe.apply.source(lathe.read { "docs/" }) elsewhere
--   ds:clean {}:chunk { size = 500 }:dedup {}     each gives a new dataset
--   ds:stats {}                                   prints what it found, and gives the dataset back
--
-- The runner does the work, in this process and in a temporary folder, which goes when nothing refers to its
-- dataset any more. So the records are those that a recipe would make.

local file = require "engine.file"

local M = {}

local PIECE = 1 << 20
local made = 0

local function must(value, message, code)
  if value == nil or value == false then error({ message = message, code = code }, 0) end
  return value
end

local function temporary_folder()
  made = made + 1
  local tag = require("engine.hash").sha256(("%s %d"):format(require("engine.clock").now(), made)):sub(1, 16)
  local dir = ("%s/lathe-%s"):format(os.getenv "TMPDIR" or "/tmp", tag)
  must(file.mkdirs(dir))
  return dir
end

-- One plain file with a dataset's lines: its own, or a copy.
local function plain_file(dataset, dir)
  local one = dataset.paths[1]
  if #dataset.paths == 1 and not dataset.compressed[one] then return one end
  local target = dir .. "/input.jsonl"
  local w <close> = must(file.replace(target, false))
  for _, path in ipairs(dataset.paths) do
    local s <close>, last = must(file.stream(path)), "\n"
    while true do
      local bytes, message, code = s:read(PIECE)
      if message then must(nil, message, code) end
      if not bytes or bytes == "" then break end
      must(w:write(bytes))
      last = bytes:sub(-1)
    end
    if last ~= "\n" then must(w:write "\n") end
  end
  must(w:commit())
  return target
end

local function run_stage(reference, dir, input)
  local planner = require "lathe.plan"
  local recipe = require("lathe").recipe "prompt" { reference }
  local run = must(require("lathe.recipe").run(recipe, { input = input, dir = dir .. "/run", root = ".",
    search = planner.search_path(".", "stages"), threads = 1, log_level = "warn",
    version = require("engine.worker").version() }))
  return run.plan.stages[1], run
end

-- What a stage rejected, in a few words, for whoever looks on.
local function say_rejected(stage)
  local m = stage.manifest
  if m.rejected == 0 then return end
  local reasons = {}
  for _, name in ipairs(require("lathe.config").names(m.reasons)) do reasons[#reasons + 1] = ("%s %d"):format(name, m.reasons[name]) end
  io.stderr:write(("%s: %d of %d rejected (%s)\n"):format(stage.name, m.rejected, m.records_in, table.concat(reasons, ", ")))
end

local Guard = { __gc = function(self) file.remove_tree(self.dir) end }

local function dataset_of(stage, dir)
  if stage.manifest.parts == 0 then must(file.write(stage.dir .. "/part-00000.jsonl", "")) end
  local dataset = must(require("lathe.record").open(stage.dir))
  rawset(dataset, "guard", setmetatable({ dir = dir }, Guard))
  return dataset
end

local function guarded(dir, f)
  local fine, a, b = pcall(f)
  if fine and b == nil then return a end -- one value: the prompt shows all that it gets
  if fine then return a, b end
  file.remove_tree(dir)
  error(type(a) == "table" and a.message or a, 0)
end

--- Runs a stage on a dataset.
-- @param dataset dataset: from lathe.open or another stage
-- @param reference stage: such as lathe.chunk { size = 500 }
-- @return dataset: what the stage emits; of a stage that makes a folder: the same dataset
-- @return string|nil: that folder, which lasts as long as the dataset does
-- @error raises a message: what the stage fails with
-- @example require("lathe.apply").stage(require("lathe").open "in.jsonl", require("lathe").dedup {})
function M.stage(dataset, reference)
  local dir = temporary_folder()
  return guarded(dir, function()
    local stage = run_stage(reference, dir, plain_file(dataset, dir))
    say_rejected(stage)
    if stage.kind ~= "artifact" then return dataset_of(stage, dir) end
    local facts = stage.manifest.facts
    if facts and facts.report then print(facts.report) end
    local kept = rawget(dataset, "folders") or {}
    kept[#kept + 1] = setmetatable({ dir = dir }, Guard)
    rawset(dataset, "folders", kept)
    return dataset, stage.dir .. "/" .. stage.publishes
  end)
end

--- Runs a stage that reads files and not records.
-- @param reference stage: such as lathe.read { "docs/" }
-- @return dataset
-- @error raises a message: what the stage fails with
-- @example require("lathe.apply").source(require("lathe").read { "docs/" })
function M.source(reference)
  local dir = temporary_folder()
  return guarded(dir, function()
    local stage = run_stage(reference, dir)
    say_rejected(stage)
    return dataset_of(stage, dir)
  end)
end

local is_stage = {}

--- The method of a dataset that runs a stage; nil where there is no stage of that name.
-- @param name string: the stage
-- @return function|nil: function(dataset, options)
function M.method(name)
  if type(name) ~= "string" or not name:match "^%a[%w_]*$" then return nil end
  if is_stage[name] == nil then
    local planner = require "lathe.plan"
    local module = planner.find_stage(name, planner.search_path(".", "stages"))
    is_stage[name] = module ~= nil and not module.list
  end
  if not is_stage[name] then return nil end
  return function(dataset, options)
    local reference = require("lathe")[name](options)
    local info = debug.getinfo(2, "Sl")
    -- a wrong option is told with the caller's place; what is typed at the prompt has none
    reference.where = info.currentline > 0 and not info.short_src:find("lathe/repl.lua", 1, true) and ("%s:%d"):format(info.short_src, info.currentline) or nil
    return M.stage(dataset, reference)
  end
end

return M
