-- SPDX-License-Identifier: MIT
-- Options: checked against a specification, with suggestions for misspelt names.
--
-- A specification is a table of  name = { type = "number", default = 3, help = "…", choices = {…},
-- required = true, min = 0, max = 1, neutral = true (the output does not depend on it) }.  Types: string, number, integer, boolean, table, function, any.
-- `type` may list several: "string|table".

local M = {}

-- Edit distance (Levenshtein) between two words.
local function distance(a, b)
  local row = {}
  for j = 0, #b do row[j] = j end
  for i = 1, #a do
    local diagonal = row[0]
    row[0] = i
    for j = 1, #b do
      local change = diagonal + (a:byte(i) == b:byte(j) and 0 or 1)
      diagonal = row[j]
      row[j] = math.min(change, row[j] + 1, row[j - 1] + 1)
    end
  end
  return row[#b]
end

--- The nearest of some names to a misspelt one.
-- @param word string: what was written
-- @param names table: list of the names that exist
-- @return string|nil: the nearest, when it is near enough to be meant
-- @example require("lathe.config").nearest("siez", { "size", "overlap" })
function M.nearest(word, names)
  local best, least = nil, math.huge
  for _, name in ipairs(names) do
    local d = distance(word, name)
    if d < least or (d == least and name < best) then best, least = name, d end
  end
  return best and least <= 1 + #word // 3 and best or nil
end

--- The sorted keys of a table whose keys are strings.
function M.names(t)
  local list = {}
  for k in pairs(t) do if type(k) == "string" then list[#list + 1] = k end end
  table.sort(list)
  return list
end

--- The sentence for a name that does not exist: with a suggestion, and the names that do.
-- @param kind string: what it is, such as "option" or "stage"
-- @param word string: what was written
-- @param names table: list of the names that exist
-- @return string
function M.unknown(kind, word, names)
  local nearest = M.nearest(word, names)
  return ("unknown %s '%s'%s (there are: %s)"):format(kind, word,
    nearest and ("; did you mean '%s'?"):format(nearest) or "", table.concat(names, ", "))
end

local function type_matches(value, wanted)
  for one in wanted:gmatch "[^|]+" do
    if one == "any" then return true end
    if one == "integer" and math.type(value) == "integer" then return true end
    if one == "integer" and math.type(value) == "float" and value == math.floor(value) then
      return true
    end
    if type(value) == one then return true end
  end
  return false
end

local function list_text(choices)
  local out = {}
  for i, c in ipairs(choices) do out[i] = tostring(c) end
  return table.concat(out, ", ")
end

--- Checks one value against its specification.
-- @param name string: the option's name, for the message
-- @param value any: what was given
-- @param spec table: { type, choices, min, max }
-- @return any: the value (an integer where one is wanted)
-- @error a message that names the option
function M.check_value(name, value, spec)
  if spec.type and not type_matches(value, spec.type) then
    return nil, ("option '%s': %s expected, got %s (%s)"):format(name,
      spec.type:gsub("|", " or "), type(value), tostring(value))
  end
  if spec.choices then
    for _, c in ipairs(spec.choices) do if c == value then return value end end
    return nil, ("option '%s': '%s' is not one of %s"):format(name, tostring(value),
      list_text(spec.choices))
  end
  if type(value) == "number" then
    if spec.min and value < spec.min or spec.max and value > spec.max then
      local range = spec.min and spec.max and ("between %s and %s"):format(spec.min, spec.max)
        or spec.min and ("%s or more"):format(spec.min) or ("%s or less"):format(spec.max)
      return nil, ("option '%s': %s given, it must be %s"):format(name, value, range)
    end
    if spec.type == "integer" then value = math.tointeger(value) end
  end
  return value
end

--- Checks options against their specification and fills in the defaults.
-- Values at positions 1, 2 … take the names listed in `positional`.
-- @param specs table: name → specification
-- @param given table: what was written (not changed)
-- @param positional table: optional list of names for positions
-- @return table: every option with its value
-- @error misuse: a message naming the option and the nearest known one
function M.check(specs, given, positional)
  local out, named = {}, {}
  for key, value in pairs(given or {}) do
    if math.type(key) == "integer" then
      local name = positional and positional[key]
      if not name then return nil, ("value %d (%s) has no name"):format(key, tostring(value)), "misuse" end
      if given[name] ~= nil then return nil, ("option '%s' is given twice"):format(name), "misuse" end
      named[name] = value
    else
      named[key] = value
    end
  end
  for _, name in ipairs(M.names(named)) do
    local spec = specs[name]
    if not spec then return nil, M.unknown("option", name, M.names(specs)), "misuse" end
    local value, message = M.check_value(name, named[name], spec)
    if value == nil then return nil, message, "misuse" end
    out[name] = value
  end
  for _, name in ipairs(M.names(specs)) do
    if out[name] == nil then
      if specs[name].required then return nil, ("option '%s' is missing"):format(name), "misuse" end
      out[name] = specs[name].default
    end
  end
  return out
end

--- Replaces $name in every string of a value by the recipe's options; "$name" alone keeps its type,
-- "$$" stands for "$".
-- @param value any: a string, or a table searched through
-- @param options table: the recipe's options
-- @return any: a new value
-- @error misuse: a $name that is no option
function M.substitute(value, options)
  if type(value) == "table" and not getmetatable(value) then
    local out = {}
    for k, v in pairs(value) do
      local replaced, message, code = M.substitute(v, options)
      if message then return nil, message, code end
      out[k] = replaced
    end
    return out
  end
  if type(value) ~= "string" or not value:find("$", 1, true) then return value end
  local whole = value:match "^%$([%a_][%w_]*)$"
  if whole and options[whole] ~= nil then return options[whole] end
  local missing
  local text = value:gsub("%$(%$?)([%a_]?[%w_]*)", function(dollar, name)
    if dollar == "$" then return "$" .. name end
    if not name:find "^[%a_]" then return "$" .. name end
    if options[name] == nil then
      missing = missing or name
      return ""
    end
    return tostring(options[name])
  end)
  if missing then
    return nil, M.unknown("recipe option", "$" .. missing, M.names(options)), "misuse"
  end
  return text
end

--- Reads a value written on the command line as the type that its default has.
-- @param text string: what stands behind the "="
-- @param like any: a value of the type wanted; nil guesses
-- @return any
-- @error misuse
function M.parse(text, like)
  local kind = type(like)
  if kind == "number" then
    local n = tonumber(text)
    if not n then return nil, ("'%s' is not a number"):format(text), "misuse" end
    return n
  elseif kind == "boolean" then
    if text == "true" or text == "yes" or text == "1" then return true end
    if text == "false" or text == "no" or text == "0" then return false end
    return nil, ("'%s' is neither true nor false"):format(text), "misuse"
  elseif kind == "string" then
    return text
  elseif kind == "table" and not text:match "^%s*[%[{]" then -- a list: md,html,code
    local list = {}
    for item in text:gmatch "[^,]+" do list[#list + 1] = tonumber(item) or item:match "^%s*(.-)%s*$" end
    return list
  elseif kind == "table" or text:match "^[%[{]" then
    local value, message = require("engine.json").decode(text)
    if value == nil then return nil, message, "misuse" end
    return value
  end
  if text == "true" then return true end
  if text == "false" then return false end
  return tonumber(text) or text
end

--- Reads a value written on the command line for an option.
-- @param text string: what stands behind the "="
-- @param spec table: the option's specification
-- @return any
-- @error misuse
-- @example require("lathe.config").parse_for("false", { type = "number|boolean", default = 0.8 })
function M.parse_for(text, spec)
  local wanted = spec.type or "any"
  if wanted ~= "any" and not wanted:find("|", 1, true) then
    local like = spec.default
    if like == nil and wanted == "string" then like = "" end
    if like == nil and wanted == "table" then like = {} end
    return M.parse(text, like)
  end
  local value, message, code = M.parse(text, nil)
  if wanted:find("string", 1, true) and (value == nil or not type_matches(value, wanted)) then return text end
  return value, message, code
end

--- Reads a size such as 512M, 2G, 1.5GiB or 800000.
-- @param text string
-- @return integer: bytes
-- @error misuse
function M.size(text)
  local number, unit = tostring(text):match "^%s*([%d.]+)%s*([kKmMgGtT]?)[iI]?[bB]?%s*$"
  local scale = { [""] = 1, k = 1 << 10, m = 1 << 20, g = 1 << 30, t = 1 << 40 }
  local n = tonumber(number)
  if not n then return nil, ("'%s' is not a size; write 512M or 2G"):format(text), "misuse" end
  return math.floor(n * scale[unit:lower()])
end

return M
