-- SPDX-License-Identifier: MIT
-- `lathe stage NAME in out`: one stage alone, through the same runner, so that the bytes are the same.
--
--   in        a JSONL file (also .gz, .zst; JSON, CSV and Parquet are read first), - for standard input; for a
--             source what it lists
--   out       a JSONL file, - for standard output, a folder for an artifact; with fan_out a folder that gets
--             a file for each metadata.split: train.jsonl, validation.jsonl … and NAME.jsonl for the others
--
-- The work is done in OUT.stage, a run folder of one stage, so that it can be stopped and gone on with;
-- with standard input or output that folder is a temporary one.

local file = require "engine.file"
local json = require "engine.json"

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

local function must(value, message, code)
  if not value then error({ code = code or "io", message = message }, 0) end
  return value
end

-- ---- standard input and output, compressed input ----

local PIECE = 1 << 20

-- Copies what `read` gives, piece by piece, into a file.
local function copy(read, target)
  local w <close> = must(file.replace(target, false))
  while true do
    local bytes, message, code = read()
    if not bytes then
      if message then must(nil, message, code) end
      break
    end
    must(w:write(bytes))
  end
  must(w:commit())
  return target
end

local function standard_output()
  local w = {}
  function w.write(_, bytes)
    local fine, message = io.stdout:write(bytes)
    return fine and true, message and "standard output: " .. message, "io"
  end
  function w.append(_, path)
    local size = must(file.stat(path)).size
    for from = 0, size - 1, PIECE do
      local fine, message, code = w:write(must(file.read_range(path, from, math.min(size, from + PIECE))))
      if not fine then return nil, message, code end
    end
    return true
  end
  function w.commit()
    local fine, message = io.stdout:flush()
    return fine and true, message and "standard output: " .. message, "io"
  end
  return setmetatable(w, { __close = function() end })
end

local MAGIC = { ["\x1f\x8b"] = true, ["\x28\xb5"] = true }

local TABLES = { json = true, csv = true, tsv = true, parquet = true }
local DOCUMENTS = { document = true, code = true }

-- Another format is read first; what it rejects is beside the output too.
local function read_first(input, dir, options)
  must(file.mkdirs(dir))
  local inner = { set = {}, threads = options.threads, memory = options.memory, version = options.version,
    progress = options.progress, stream = options.stream, log_level = options.log_level,
    rejected = options.rejected:gsub("%.jsonl$", ""):gsub("%.rejected$", "") .. ".input.rejected.jsonl" }
  must(M.run("read", input, dir .. "/input.jsonl", {}, inner))
  return dir .. "/input.jsonl"
end

-- The plain JSONL file that a stage's input is read from: parts of it are found by offset.
local function plain_input(input, dir, options)
  if input == "-" then
    must(file.mkdirs(dir))
    local path = copy(function() return io.stdin:read(PIECE) end, dir .. "/input")
    return plain_input(path, dir, options)
  end
  local info = file.stat(input)
  if not info then return must(nil, input .. ": No such file or directory", "not_found") end
  if info.type ~= "file" then return must(nil, input .. ": not a file", "misuse") end
  if info.size < 4 then return input end
  local kind = require("lathe.read.kinds").sniff { file = input, path = input, bytes = info.size }
  local first = must(file.read_range(input, 0, 3))
  if TABLES[kind] or first == "\xef\xbb\xbf" or first:find "^\xff\xfe" or first:find "^\xfe\xff" then return read_first(input, dir, options) end
  if DOCUMENTS[kind] and input:find "%.%w+$" and not must(file.read_range(input, 0, math.min(info.size, 4096))):find "^[\xef\xbb\xbf]*%s*{" then
    must(nil, ("%s: a document, and the stage takes records; read it first: lathe stage read %s out.jsonl"):format(input, input), "misuse")
  end
  if not MAGIC[must(file.read_range(input, 0, 2))] then return input end
  must(file.mkdirs(dir))
  local s <close> = must(file.stream(input))
  return copy(function() return s:read(PIECE) end, dir .. "/input.jsonl")
end

-- ---- what was made goes to its place ----

local function join(stage, kind, target)
  local part = require "lathe.part"
  local w <close> = target == "-" and standard_output() or must(file.replace(target))
  for n = 0, stage.manifest.parts - 1 do
    local main, rejected = part.paths(stage.dir, n)
    local path = kind == "rejected" and rejected or main
    local info = file.stat(path)
    if info and info.size > 0 then must(w:append(path)) end
  end
  must(w:commit())
end

local Fan = {}
Fan.__index = Fan
Fan.__close = function(self) for _, w in pairs(self.open) do w:close() end end

function Fan:put(name, line)
  if not self.open[name] then
    self.open[name] = must(file.replace(("%s/%s.jsonl"):format(self.dir, name)))
    self.names[#self.names + 1], self.counts[name] = name, 0
  end
  must(self.open[name]:write(line, "\n"))
  self.counts[name] = self.counts[name] + 1
end

local ORDER = { train = 1, validation = 2, test = 3 }

-- One file for each split; returns them in words: "8 in D/train.jsonl, 2 in D/validation.jsonl".
local function fan_out(stage, dir)
  local part = require "lathe.part"
  local field = stage.module.fans_out and stage.module.fans_out(stage.options) or "metadata.split"
  must(file.mkdirs(dir))
  local fan <close> = setmetatable({ dir = dir, open = {}, names = {}, counts = {} }, Fan)
  for n = 0, stage.manifest.parts - 1 do
    for line in must(file.lines((part.paths(stage.dir, n)))) do
      local split = json.get(must(json.record(line)), field)
      local name = type(split) == "string" and split:match "^[%w_-]+$" or stage.stage
      fan:put(name, line)
    end
  end
  for _, w in pairs(fan.open) do must(w:commit()) end
  table.sort(fan.names, function(a, b)
    local x, y = ORDER[a] or 9, ORDER[b] or 9
    if x ~= y then return x < y end
    return a < b
  end)
  local out = {}
  for i, name in ipairs(fan.names) do out[i] = ("%d in %s/%s.jsonl"):format(fan.counts[name], dir, name) end
  return table.concat(out, ", ")
end

local function publish(run, output, options)
  local stage = run.plan.stages[1]
  if stage.module.target then -- it has put its files there itself
    stage.made = output
  elseif stage.kind == "artifact" then
    must(file.rename(stage.dir .. "/" .. stage.publishes, output))
  elseif options.fan_out then
    options.progress:line(fan_out(stage, output))
  else
    join(stage, "main", output)
  end
  local facts = stage.manifest.facts
  if facts and facts.report then print(facts.report) end
  if stage.manifest.rejected > 0 then
    join(stage, "rejected", options.rejected)
  else -- what an earlier run left there would be read as this one's
    must(file.remove_tree(options.rejected))
  end
end

-- ---- places ----

local made = 0

-- Where the work is done, and where rejected records go.
local function places(name, input, output, options)
  if options.fan_out then
    return ("%s/%s.stage"):format(output, name), options.rejected or output .. "/rejected.jsonl"
  end
  local rejected = options.rejected or (output == "-" and name or output) .. ".rejected.jsonl"
  if output ~= "-" and input ~= "-" then return output .. ".stage", rejected end
  made = made + 1
  local now = require("engine.clock").now()
  local tag = require("engine.hash").sha256(("%s %s %s %d"):format(name, output, now, made)):sub(1, 16)
  return ("%s/lathe-stage-%s"):format(os.getenv "TMPDIR" or "/tmp", tag), rejected, true
end

-- What a failed run has rejected stays where the person will look.
local function keep_rejected(dir, target)
  local from = dir .. "/rejected.jsonl"
  local info = file.stat(from)
  if not info or info.size == 0 then return end
  local s <close> = must(file.stream(from))
  copy(function() return s:read(PIECE) end, target)
end

local function prepare(name, input, output, options, module)
  local single = { stage = name, input = module.list and input or nil }
  if not module.list then options.input = plain_input(input, options.dir, options) end
  local set = {}
  for k, v in pairs(options.set) do set[k:find("%.") and k or name .. "." .. k] = v end
  if module.target then
    local key = name .. "." .. module.target
    if set[key] then must(nil, ("the output is named twice: as an argument and by %s"):format(module.target), "misuse") end
    set[key] = output
  elseif module.kind == "artifact" and output ~= "-" and file.stat(output) then
    must(nil, output .. ": exists already; choose another folder", "misuse")
  elseif module.kind == "artifact" and (output == "-" or options.fan_out) then
    must(nil, ("stage %s makes a folder; name it"):format(name), "misuse")
  end
  options.set, options.single, options.root = set, single, "."
  return M.recipe(single)
end

--- Runs one stage.
-- @param name string: the stage
-- @param input string: a JSONL file, or - ; for a source, what it lists
-- @param output string: the file, or -, or for an artifact the folder, to be made
-- @param artifacts table: name → folder
-- @param options table: as for the runner; and { fan_out = boolean, rejected = path (default:
--   OUTPUT.rejected.jsonl) }
-- @return boolean: true
-- @error misuse, not_found, and what the stage fails with
function M.run(name, input, output, artifacts, options)
  local planner = require "lathe.plan"
  output = output:gsub("(.)/+$", "%1")
  local search = planner.search_path(".", "stages")
  local module, message, code = planner.find_stage(name, search)
  if not module then return nil, message, code end
  local temporary
  options.dir, options.rejected, temporary = places(name, input, output, options)
  options.artifacts, options.search = artifacts, search
  local fine, problem = pcall(function()
    local recipe = prepare(name, input, output, options, module)
    local run = must(require("lathe.recipe").run(recipe, options))
    publish(run, output, options)
    temporary = true
  end)
  if not fine then pcall(keep_rejected, options.dir, options.rejected) end
  if temporary then file.remove_tree(options.dir) end
  if fine then return true end
  if type(problem) ~= "table" then problem = { message = tostring(problem), code = "failed" } end
  return nil, problem.message, problem.code
end

return M
