-- SPDX-License-Identifier: MIT
-- What a stage is given when a test runs it alone.

local config = require "lathe.config"
local json = require "engine.json"

local M = {}

--- A ctx with the stage's options checked; `rejected` and `logs` collect what the stage says.
function M.new(stage, options, root)
  local ctx = { options = assert(config.check(stage.options, options or {}, stage.positional)), seed = 42, root = root or ".",
    rejected = {}, logs = {} }
  function ctx.reject(record, reason, detail) ctx.rejected[#ctx.rejected + 1] = { record = record, reason = reason, detail = detail } end
  function ctx.log(level, message, fields) ctx.logs[#ctx.logs + 1] = { level = level, message = message, fields = fields } end
  function ctx.progress() end
  return ctx
end

--- Runs a map stage over JSON lines or tables; returns the records it emits (decoded) and ctx.
function M.map(stage, options, inputs, root)
  local ctx, out = M.new(stage, options, root), {}
  for _, input in ipairs(inputs) do
    local ok, message, code = stage.each(json.record(input), ctx, function(r) out[#out + 1] = json.decode(json.encode(r)) end)
    if ok == nil and message then return nil, message, code end
  end
  return out, ctx
end

--- Runs a barrier stage over JSON lines or tables; returns the records it emits (decoded) and ctx.
function M.barrier(stage, options, inputs)
  local ctx, out = M.new(stage, options), {}
  local input = {}
  function input:records()                    -- luacheck: ignore 212
    local i = 0
    return function()
      i = i + 1
      return inputs[i] and json.record(inputs[i])
    end
  end
  local ok, message, code = stage.all(input, ctx, function(r) out[#out + 1] = json.decode(json.encode(r)) end)
  if ok == nil and message then return nil, message, code end
  return out, ctx
end

return M
