-- SPDX-License-Identifier: MIT
-- Selection to a budget: keeps a fixed number of records, or of groups of records, and their order.

local hash = require "engine.hash"
local json = require "engine.json"

local M = {
  name = "select",
  version = 1,
  kind = "barrier",
  summary = "Keeps at most so many records, or groups of records, chosen by seed; order is kept.",
  options = {
    max = { type = "integer", required = true, min = 1, help = "how many to keep" },
    group = { type = "string", help = "a field such as metadata.fact: whole groups are kept or left" },
    seed = { type = "integer", help = "another choice (default: the recipe's seed)" },
  },
  positional = { "max" },
}

local function group_of(record, options, number)
  if not options.group then return "#" .. number end
  local value = json.get(record, options.group)
  if value == nil then return "" end
  return type(value) == "userdata" and json.encode(value) or tostring(value)
end

-- First pass: a draw for every group; the `max` smallest are kept. Memory: one draw for each group.
local function chosen(input, options, seed)
  local draws, list, number = {}, {}, 0
  for record in input:records() do
    number = number + 1
    local group = group_of(record, options, number)
    if not draws[group] then
      draws[group] = hash.sha256(("%d\0%s"):format(seed, group))
      list[#list + 1] = group
    end
  end
  table.sort(list, function(a, b) return draws[a] < draws[b] end)
  local keep = {}
  for i = 1, math.min(options.max, #list) do keep[list[i]] = true end
  return keep
end

function M.all(input, ctx, emit)
  local keep = chosen(input, ctx.options, ctx.options.seed or ctx.seed)
  local number = 0
  for record in input:records() do
    number = number + 1
    if keep[group_of(record, ctx.options, number)] then
      emit(record)
    else
      ctx.reject(record, "over_budget")
    end
  end
end

return M
