-- SPDX-License-Identifier: MIT
-- Conditions on a record: one on a field, said in options, and any written in Lua.
--
--   field = "metadata.score"     names and positions (from 1) joined by points
--   exists = true | false        the field is there and not null, or is not
--   min, max                     a number in these bounds, both included; text is no number
--   equals                       the same text, number (1 and 1.0 are the same) or boolean
--   not_equals                   there, and not that
--   one_of                       equal to one of a list
--   contains                     a text with this in it, byte for byte
--   matches                      a text in which this Lua pattern is found
--
-- All that are given must hold, and are tried in the order above; the first that does not is the reason
-- (field_exists, field_min …). A field that is not there, or null, fails all of them but exists = false.

local json = require "engine.json"

local M = {}

M.options = {
  field = { type = "string", help = "a field such as metadata.score, for min, max, equals …" },
  exists = { type = "boolean", help = "the field is there and not null (false: it is not)" },
  min = { type = "number", help = "the field is a number and at least this" },
  max = { type = "number", help = "the field is a number and at most this" },
  equals = { type = "string|number|boolean", help = "the field is this" },
  not_equals = { type = "string|number|boolean", help = "the field is there and not this" },
  one_of = { type = "table|string", help = "the field is one of this list" },
  contains = { type = "string", help = "the field is a text with this in it" },
  matches = { type = "string", help = "the field is a text in which this Lua pattern is found" },
}

local ORDER = { "exists", "min", "max", "equals", "not_equals", "one_of", "contains", "matches" }

local TESTS = {
  exists = function(value, wanted) return (value ~= nil) == wanted end,
  min = function(value, least) return type(value) == "number" and value >= least end,
  max = function(value, most) return type(value) == "number" and value <= most end,
  equals = function(value, wanted) return value == wanted end,
  not_equals = function(value, other) return value ~= nil and value ~= other end,
  one_of = function(value, list)
    for _, one in ipairs(list) do if value == one then return true end end
    return false
  end,
  contains = function(value, part) return type(value) == "string" and value:find(part, 1, true) ~= nil end,
  matches = function(value, pattern) return type(value) == "string" and value:find(pattern) ~= nil end,
}

--- Whether the options hold a condition on a field.
function M.given(options)
  for _, name in ipairs(ORDER) do if options[name] ~= nil then return true end end
  return options.field ~= nil
end

-- The names that a condition sees besides the record's fields.
local TOOLS = { string = string, math = math, utf8 = utf8, tonumber = tonumber, tostring = tostring, type = type,
  ipairs = ipairs, pairs = pairs, select = select, json = { null = json.null, kind = json.kind } }

--- A condition written in Lua: an expression in which the record's fields are names.
-- @param source string: such as "#output > 20 and metadata.score > 0.5"
-- @return function: (record) → what the expression gives
-- @error misuse: no Lua expression
-- @example require("lathe.predicate").where("#text > 3")({ text = "four" }) --> true
function M.where(source)
  local current
  local env = setmetatable({}, { __index = function(_, name)
    if name == "record" then return current end
    local value = current[name]
    if value == nil then return TOOLS[name] end
    if value == json.null then return nil end
    return value
  end, __newindex = function(_, name) error(("a condition must not set '%s'"):format(name), 2) end })
  local test, message = load("return " .. source, "=where", "t", env)
  if not test then return nil, ("where: %s"):format(message:gsub("^where:%d+: ", "")), "misuse" end
  return function(record)
    current = record
    return test()
  end
end

local function list_of(value)
  if type(value) ~= "string" then return value end
  local out = {}
  for one in value:gmatch "[^,]+" do out[#out + 1] = one:match "^%s*(.-)%s*$" end
  return out
end

--- Checks the options of a condition.
-- @return boolean: true
-- @error misuse
function M.check(options)
  if options.where then
    local fine, message, code = M.where(options.where)
    if not fine then return nil, message, code end
  end
  local tests = 0
  for _, name in ipairs(ORDER) do if options[name] ~= nil then tests = tests + 1 end end
  if tests > 0 and not options.field then
    return nil, "say which field is meant: field = \"metadata.score\"", "misuse"
  end
  if options.field and tests == 0 then
    return nil, ("say what the field '%s' must be: %s"):format(options.field, table.concat(ORDER, ", ")), "misuse"
  end
  if options.matches then
    local fine, message = pcall(string.find, "", options.matches)
    if not fine then return nil, "option 'matches': " .. message:gsub("^.-:%d+: ", ""), "misuse" end
  end
  return true
end

--- The condition on a field as engine.pass takes it.
-- @param options table: checked
-- @return table|nil: { field = …, tests = { { kind, value … } … } }; nil where there is none, or one with a pattern
function M.tests(options)
  if not options.field or options.matches then return nil end
  local tests = {}
  for _, name in ipairs(ORDER) do
    local wanted = options[name]
    if name == "one_of" and wanted ~= nil then
      wanted = list_of(wanted)
      for _, one in ipairs(wanted) do
        if type(one) ~= "string" and type(one) ~= "number" and type(one) ~= "boolean" then return nil end
      end
      if #wanted == 0 then return nil end
      tests[#tests + 1] = { "equals", table.unpack(wanted) }
    elseif wanted ~= nil then
      tests[#tests + 1] = { name, wanted }
    end
  end
  return { field = options.field, tests = tests }
end

--- Makes the condition on a field ready.
-- @param options table: checked
-- @return function|nil: (record) → nil when it holds, else the reason and { field, value, wanted }
function M.compile(options)
  if not options.field then return nil end
  local field, tests = options.field, {}
  for _, name in ipairs(ORDER) do
    if options[name] ~= nil then
      local wanted = name == "one_of" and list_of(options[name]) or options[name]
      tests[#tests + 1] = { name = name, test = TESTS[name], wanted = wanted }
    end
  end
  return function(record)
    local value = json.get(record, field)
    if value == json.null then value = nil end
    for _, t in ipairs(tests) do
      if not t.test(value, t.wanted) then
        local short = value
        if type(value) == "string" and #value > 200 then short = value:sub(1, utf8.offset(value, 0, 200) - 1) .. "…" end
        return "field_" .. t.name, { field = field, value = short, [t.name] = t.wanted }
      end
    end
    return nil
  end
end

return M
