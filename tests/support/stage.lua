-- SPDX-License-Identifier: MIT
-- Runs one stage on a few records, without the runner:
--
--   local out, rejected, ctx = stage.run("clean", { nfc = false }, { { text = "a" } })
--
-- out is a list of plain tables; rejected a list of { record, reason, detail }; ctx.sides.map a list of
-- what ctx.side("map", …) got. Records go through JSON both ways, as in a run. An error of the stage is
-- raised as "message [code]".

local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local M = {}

local function context(module, options, given)
  local ctx = { seed = 42, memory = 64 << 20, threads = 1, root = ".", cache = {}, sides = {}, rejected = {},
    logs = {}, artifacts = {} }
  for k, v in pairs(given or {}) do ctx[k] = v end
  ctx.options = assert(config.check(module.options or {}, options or {}, module.positional))
  ctx.rng = hash.rng(ctx.seed, module.name)
  function ctx.reject(record, reason, detail)
    if type(record) == "userdata" then record = json.table(record) end
    ctx.rejected[#ctx.rejected + 1] = { record = record, reason = reason, detail = detail }
  end
  function ctx.side(name, text)
    ctx.sides[name] = ctx.sides[name] or {}
    table.insert(ctx.sides[name], text)
  end
  function ctx.log(level, message, fields)
    ctx.logs[#ctx.logs + 1] = { level = level, message = message, fields = fields }
  end
  ctx.counts = {}
  function ctx.count(rule, n) ctx.counts[rule] = (ctx.counts[rule] or 0) + (n or 1) end
  function ctx.progress() end
  function ctx.artifact(name) return assert(ctx.artifacts[name], "no artifact " .. name) end
  function ctx.base(record)
    local last, metadata = ctx.last and ctx.last.metadata, record.metadata
    return last and last.document == metadata.document and last.span and last.span[2] or 0
  end
  return ctx
end

local function checked(result, message, code)
  if result == nil and message then error(("%s [%s]"):format(message, code), 0) end
  return result
end

local Input = {}
Input.__index = Input
function Input:paths() return self.list end
function Input:records()
  return coroutine.wrap(function()
    for _, path in ipairs(self.list) do
      for line in assert(file.lines(path)) do coroutine.yield(assert(json.record(line))) end
    end
  end)
end

local function input(dir, records)
  assert(file.mkdirs(dir))
  local list = {}
  for from = 1, math.max(#records, 1), 3 do -- a few parts, so that their borders are met
    local lines = {}
    for i = from, math.min(from + 2, #records) do lines[#lines + 1] = json.encode(records[i]) .. "\n" end
    list[#list + 1] = ("%s/part-%d.jsonl"):format(dir, #list)
    assert(file.write(list[#list], table.concat(lines), false))
  end
  return setmetatable({ list = list }, Input)
end

--- Runs a stage.
-- @param name string|table: the stage's name, or its module
-- @param options table: its options
-- @param records table: list of records
-- @param given table: optional, fields of ctx to be set (memory, artifacts …)
-- @return table: what was emitted; table: what was rejected; table: ctx
function M.run(name, options, records, given)
  local module = type(name) == "table" and name or require("lathe.stage." .. name)
  local ctx, out = context(module, options, given), {}
  local function emit(record)
    out[#out + 1] = json.decode(json.encode(record))
    ctx.last = out[#out]
  end
  if module.kind == "map" then
    for _, record in ipairs(records) do
      checked(module.each(assert(json.record(json.encode(record))), ctx, emit))
    end
  else
    local dir = ("%s/stage-%s-%d"):format(os.getenv "TMPDIR" or "/tmp", module.name, math.random(1 << 40))
    ctx.scratch, ctx.dir = dir .. "/scratch", dir .. "/made"
    local source = input(dir, records)
    assert(file.mkdirs(ctx.dir))
    local fine, message = pcall(function()
      if module.kind == "barrier" then return checked(module.all(source, ctx, emit)) end
      ctx.facts = checked(module.make(source, ctx))
    end)
    if module.kind ~= "artifact" or not fine then file.remove_tree(dir) end
    if not fine then error(message, 0) end
  end
  return out, ctx.rejected, ctx
end

return M
