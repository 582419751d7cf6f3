-- SPDX-License-Identifier: MIT
-- Partition: decides for every record whether it is for training, validation or test, and writes that to
-- metadata.split.
--
-- Whole groups stay together (by default all records of a document), so that no test question is about a
-- page that was trained on. A group's place depends on the seed and on its name alone: the groups are
-- ordered by hash(seed, name) and cut at the fractions, so the numbers of groups are exact and the order
-- in which records arrive does not matter. `by` names values that go to test or validation in any case.
--
-- Two passes over the input; in memory is a number for each group (in a Lua table), nothing of the records.

local hash = require "engine.hash"
local json = require "engine.json"

local M = {
  name = "partition",
  version = 1,
  kind = "barrier",
  summary = "Divides records into train, validation and test, keeping groups together.",
  options = {
    train = { type = "number", min = 0, max = 1, help = "share of the groups for training (default: what is left; 0.8 when nothing is given)" },
    validation = { type = "number", min = 0, max = 1, help = "share for validation (default 0)" },
    test = { type = "number", min = 0, max = 1, help = "share for test (default: what is left)" },
    seed = { type = "integer", help = "another division (default: the recipe's seed)" },
    group = { type = "string", default = "document", help = "what stays together: document, or a field such as metadata.fact" },
    by = { type = "table", help = "{ field = \"metadata.phrasing\", test = { 3, 4 }, validation = { … } }: values that decide by themselves" },
    field = { type = "string", default = "split", help = "the field of metadata that is set" },
  },
}

local BY_KEYS = { field = true, test = true, validation = true, train = true }
local SPLITS = { "train", "validation", "test" }

local function fail(message) return nil, "partition: " .. message, "misuse" end

-- The three shares; they sum to 1.
local function fractions(options)
  local train, validation, test = options.train, options.validation, options.test
  if not train and not validation and not test then
    train = options.by and 1 or 0.8
  end
  local given = (train or 0) + (validation or 0) + (test or 0)
  if given > 1 + 1e-9 then return fail(("the shares sum to %g, more than 1"):format(given)) end
  validation = validation or 0
  if not train then
    train = 1 - validation - (test or 0)
  elseif not test then
    test = 1 - train - validation
  elseif math.abs(train + validation + test - 1) > 1e-9 then
    return fail(("train, validation and test sum to %g, not to 1"):format(given))
  end
  return { train = train, validation = validation, test = math.max(0, test or 0) }
end

-- The table value → split of the option `by`; values are compared as they print, so 3 and "3" are the same.
local function explicit(by)
  if not by then return nil end
  for key in pairs(by) do
    if not BY_KEYS[key] then return fail(("by has no '%s' (it has: field, test, train, validation)"):format(tostring(key))) end
  end
  if type(by.field) ~= "string" then return fail("by needs field = the field to look at") end
  local map = {}
  for _, split in ipairs(SPLITS) do
    for _, value in ipairs(by[split] or {}) do
      if map[tostring(value)] then return fail(("by gives the value '%s' twice"):format(tostring(value))) end
      map[tostring(value)] = split
    end
  end
  return { field = by.field, map = map }
end

local function value_at(record, path)
  local value = json.get(record, path)
  if value ~= json.null then return value end
end

local function group_path(options)
  return options.group == "document" and "metadata.document" or options.group
end

-- A 60-bit number that stands for the record's group; equal groups give equal numbers. The second result
-- tells a record without one.
local function group_number(record, path, seed)
  local value = value_at(record, path)
  local name
  if value == nil then
    name = "id\0" .. tostring(record.id or json.encode(record))
  elseif type(value) == "table" or type(value) == "userdata" then
    name = "json\0" .. json.encode(value)
  else
    name = "value\0" .. tostring(value)
  end
  return tonumber(hash.sha256(("%d\0%s"):format(seed, name)):sub(1, 15), 16), value == nil
end

local function decided(record, by)
  if not by then return nil end
  local value = value_at(record, by.field)
  return value ~= nil and by.map[tostring(value)] or nil
end

-- How many of n groups go to each split: rounded at the cumulative shares, and none of them empty where
-- there are enough groups.
local function counts(n, share)
  local out, before, sum = {}, 0, 0
  for i, split in ipairs(SPLITS) do
    sum = sum + share[split]
    local upto = i == #SPLITS and n or math.floor(n * math.min(sum, 1) + 0.5)
    out[split] = upto - before
    before = upto
  end
  for _, split in ipairs(SPLITS) do
    if share[split] > 1e-9 and out[split] == 0 then
      local largest = "train"
      for _, other in ipairs(SPLITS) do
        if out[other] > out[largest] then largest = other end
      end
      if out[largest] > 1 then out[largest], out[split] = out[largest] - 1, 1 end
    end
  end
  return out
end

-- First pass: the numbers of all groups, each once, in order.
local function all_groups(input, path, seed, by)
  local seen, list, lonely = {}, {}, 0
  for record in input:records() do
    if not decided(record, by) then
      local number, alone = group_number(record, path, seed)
      if alone then lonely = lonely + 1 end
      if not seen[number] then
        seen[number] = true
        list[#list + 1] = number
      end
    end
  end
  table.sort(list)
  return list, lonely
end

local function set_split(record, field, split)
  if record.metadata == nil or record.metadata == json.null then record.metadata = {} end
  record.metadata[field] = split
end

--- Divides the records.
function M.all(input, ctx, emit)
  local options = ctx.options
  local share, message, code = fractions(options)
  if not share then return nil, message, code end
  local by
  by, message, code = explicit(options.by)
  if message then return nil, message, code end
  local seed, path = options.seed or ctx.seed, group_path(options)
  local groups, lonely = all_groups(input, path, seed, by)
  local wanted = counts(#groups, share)
  -- Groups are in order, so two numbers tell all: the first of validation and the first of test.
  local validation_from = groups[wanted.train + 1] or math.maxinteger
  local test_from = groups[wanted.train + wanted.validation + 1] or math.maxinteger
  local records = { train = 0, validation = 0, test = 0 }
  for record in input:records() do
    local split = decided(record, by)
    if not split then
      local number = group_number(record, path, seed)
      split = number >= test_from and "test" or number >= validation_from and "validation" or "train"
    end
    records[split] = records[split] + 1
    set_split(record, options.field, split)
    emit(record)
  end
  if lonely > 0 then
    ctx.log("warn", ("%d records have no %s; each was a group of its own"):format(lonely, path), { records = lonely })
  end
  ctx.log("info", ("%d train, %d validation, %d test"):format(records.train, records.validation, records.test),
    { groups = #groups, train = records.train, validation = records.validation, test = records.test })
  return true
end

return M
