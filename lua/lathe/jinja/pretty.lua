-- SPDX-License-Identifier: MIT
-- The filter pprint: values laid out as Python's pprint lays them out in 80 columns.
--
-- What fits on a line is written as repr writes it, with the keys of dicts sorted; what does not is broken
-- item by item, and a long string between its words, as string literals one below the other.

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"

local M = {}

local WIDTH = 80

-- The order of Python's pprint: as values compare, else by the name of their type.
local function before(a, b)
  local fine, order = pcall(V.compare, a, b)
  if fine then return (order or 0) < 0 end
  if type(order) ~= "table" or order.kind == "limit" then error(order, 0) end
  return V.type_name(a) < V.type_name(b)
end

local function sorted_places(d)
  local places = {}
  for i = 1, d.n do places[i] = i end
  for i = 2, d.n do                           -- by insertion: stable, and safe where an order is none
    local place, j = places[i], i - 1
    V.tick(1)
    while j >= 1 and before(d.keys[place], d.keys[places[j]]) do
      places[j + 1], j = places[j], j - 1
      V.tick(1)
    end
    places[j + 1] = place
  end
  return places
end

local function sorted_dict(d)
  local out = V.dict()
  for _, place in ipairs(sorted_places(d)) do V.dict_set(out, d.keys[place], d.vals[place]) end
  return out
end

-- A copy whose dicts are sorted, all the way down.
local function sorted(v, depth)
  if depth > 200 then V.fail("values nested too deeply to print", "limit") end
  V.tick(1)
  local k = V.kind(v)
  if k == "dict" then
    local out = sorted_dict(v)
    for i = 1, out.n do out.vals[i] = sorted(out.vals[i], depth + 1) end
    return out
  elseif k == "list" or k == "tuple" then
    local out = {}
    for i = 1, v.n do out[i] = sorted(v[i], depth + 1) end
    out.k, out.n = k, v.n
    return out
  end
  return v
end

local Printer = {}
Printer.__index = Printer

function Printer:put(s) self.out[#self.out + 1] = s end

local LAYOUT = {}

function Printer:format(v, indent, allowance, level)
  local text = V.repr(v)
  local layout = ustring.len(text) > WIDTH - indent - allowance and LAYOUT[V.kind(v)]
  if layout then return layout(self, v, indent, allowance, level + 1) end
  self:put(text)
end

function Printer:items(v, indent, allowance, level)
  indent = indent + 1
  for i = 1, v.n do
    if i > 1 then self:put(",\n" .. (" "):rep(indent)) end
    self:format(v[i], indent, i == v.n and allowance or 1, level)
  end
end

function LAYOUT.dict(self, v, indent, allowance, level)
  self:put "{"
  indent = indent + 1
  for i = 1, v.n do
    if i > 1 then self:put(",\n" .. (" "):rep(indent)) end
    local key = V.repr(v.keys[i])
    self:put(key .. ": ")
    self:format(v.vals[i], indent + ustring.len(key) + 2, i == v.n and allowance + 1 or 1, level)
  end
  self:put "}"
end

function LAYOUT.list(self, v, indent, allowance, level)
  self:put "["
  self:items(v, indent, allowance + 1, level)
  self:put "]"
end

function LAYOUT.tuple(self, v, indent, allowance, level)
  local close = v.n == 1 and ",)" or ")"
  self:put "("
  self:items(v, indent, allowance + #close, level)
  self:put(close)
end

-- Words, each with the white space behind it.
local function words_of(line)
  local out, word, was_space = {}, {}, false
  for _, c in ipairs(ustring.chars(line)) do
    local is_space = ustring.space[c] == true
    if was_space and not is_space then out[#out + 1], word = table.concat(word), {} end
    word[#word + 1], was_space = c, is_space
  end
  if word[1] then out[#out + 1] = table.concat(word) end
  return out
end

-- The literals that a long string is written as. widths: of a line, and of the very last one.
local function literals(s, width, allowance)
  local out, lines = {}, ustring.splitlines(s, true)
  for i, line in ipairs(lines) do
    local is_last = i == #lines
    local whole = V.string_repr(line)
    if ustring.len(whole) <= width - (is_last and allowance or 0) then
      out[#out + 1] = whole
    else
      local words, current = words_of(line), ""
      for j, word in ipairs(words) do
        local room = width - (is_last and j == #words and allowance or 0)
        local longer = current .. word
        V.tick(#longer >> 4)
        if ustring.len(V.string_repr(longer)) > room then
          if current ~= "" then out[#out + 1] = V.string_repr(current) end
          current = word
        else
          current = longer
        end
      end
      if current ~= "" then out[#out + 1] = V.string_repr(current) end
    end
  end
  return out
end

function LAYOUT.str(self, s, indent, allowance, level)
  if level == 1 then indent, allowance = indent + 1, allowance + 1 end
  local list = literals(s, WIDTH - indent, allowance)
  if #list == 1 then return self:put(V.string_repr(s)) end
  local text = table.concat(list, "\n" .. (" "):rep(indent))
  self:put(level == 1 and "(" .. text .. ")" or text)
end

--- A value as Python's pprint.pformat writes it.
-- @param v any: a value of the template
-- @return string
function M.format(v)
  local printer = setmetatable({ out = {} }, Printer)
  printer:format(sorted(v, 0), 0, 0, 0)
  return table.concat(printer.out)
end

return M
