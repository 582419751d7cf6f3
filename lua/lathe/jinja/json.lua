-- SPDX-License-Identifier: MIT
-- The tojson filter: Python's json.dumps with ensure_ascii=False, as transformers gives it to chat templates.
--
-- Separators are ", " and ": " (with indent: "," at a line's end), keys keep their order unless sort_keys
-- is set, floats print as Python prints them, and nothing is escaped for HTML. Markup counts as a string.
-- What JSON has no word for is an error.

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"

local M = {}

local MAX_DEPTH = 200
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\b"] = "\\b", ["\f"] = "\\f" }

local function control(c)
  return ESCAPES[c] or string.format("\\u%04x", c:byte())
end

local function non_ascii(c)
  local cp = #c > 1 and utf8.codepoint(c, 1, 1, true) or c:byte()
  if cp < 0x10000 then return string.format("\\u%04x", cp) end
  cp = cp - 0x10000
  return string.format("\\u%04x\\u%04x", 0xD800 + (cp >> 10), 0xDC00 + (cp & 0x3FF))
end

local function quote(s, ascii)
  if #s >= 64 then V.tick(#s >> 6) end
  s = s:gsub('[\0-\31"\\]', control)
  if ascii and not ustring.is_ascii(s) then
    local cs = ustring.chars(s)
    for i, c in ipairs(cs) do
      if c:byte() >= 0x80 then cs[i] = non_ascii(c) end
    end
    s = table.concat(cs)
  end
  return '"' .. s .. '"'
end

local function float(f)
  if f ~= f then return "NaN" end
  if f == math.huge then return "Infinity" end
  if f == -math.huge then return "-Infinity" end
  return V.float_text(f)
end

local function key_text(key)
  local k = V.kind(key)
  if k == "str" then return key end
  if k == "markup" then return key.s end
  if k == "bool" then return key and "true" or "false" end
  if k == "none" then return "null" end
  if k == "int" then return string.format("%d", key) end
  if k == "float" then return float(key) end
  V.fail("keys must be str, int, float, bool or None, not " .. V.type_name(key))
end

local Writer = {}
Writer.__index = Writer

function Writer:add(s)
  self.size = self.size + #s
  if self.size > self.max then V.fail("tojson would write more than " .. self.max .. " bytes", "limit") end
  self.n = self.n + 1
  self.out[self.n] = s
end

function Writer:newline(depth)
  if self.indent then self:add("\n" .. self.indent:rep(depth)) end
end

function Writer:list(v, depth)
  if v.n == 0 then return self:add("[]") end
  self:add("[")
  for i = 1, v.n do
    if i > 1 then self:add(self.item_separator) end
    self:newline(depth + 1)
    self:value(v[i], depth + 1)
  end
  self:newline(depth)
  self:add("]")
end

function Writer:dict(v, depth)
  if v.n == 0 then return self:add("{}") end
  local order = {}
  for i = 1, v.n do order[i] = i end
  if self.sort_keys then
    table.sort(order, function(a, b) return (V.compare(v.keys[a], v.keys[b]) or 0) < 0 end)
  end
  self:add("{")
  for place, i in ipairs(order) do
    if place > 1 then self:add(self.item_separator) end
    self:newline(depth + 1)
    self:add(quote(key_text(v.keys[i]), self.ascii) .. self.key_separator)
    self:value(v.vals[i], depth + 1)
  end
  self:newline(depth)
  self:add("}")
end

function Writer:value(v, depth)
  if depth > MAX_DEPTH then V.fail("values nested too deeply for tojson", "limit") end
  V.tick(1)
  local k = V.kind(v)
  if k == "str" then return self:add(quote(v, self.ascii)) end
  if k == "markup" then return self:add(quote(v.s, self.ascii)) end
  if k == "int" then return self:add(string.format("%d", v)) end
  if k == "float" then return self:add(float(v)) end
  if k == "bool" then return self:add(v and "true" or "false") end
  if k == "none" then return self:add("null") end
  if k == "list" or k == "tuple" then return self:list(v, depth) end
  if k == "dict" then return self:dict(v, depth) end
  if k == "undefined" and (v.security or v.name) then
    V.fail("Object of type Undefined is not JSON serializable (" .. tostring(v.name) .. ")")
  end
  V.fail("Object of type " .. V.type_name(v) .. " is not JSON serializable")
end

--- Encodes a template's value as JSON text.
-- @param v value
-- @param options table: indent (value), separators (value), ensure_ascii, sort_keys (booleans), max (bytes)
-- @return string
function M.dumps(v, options)
  local indent = options.indent
  local item_separator, key_separator = ", ", ": "
  if indent == V.NONE then indent = nil end
  if indent ~= nil then
    item_separator = ","
    if type(indent) ~= "string" then
      local n = V.number(indent)
      if math.type(n) ~= "integer" then V.fail("indent must be an integer or a string") end
      if n > 1000 then V.fail("tojson: an indent of " .. n .. " is too large", "limit") end
      indent = (" "):rep(n)
    end
  end
  local separators = options.separators
  if separators and separators ~= V.NONE then
    local items, n = V.items(separators)
    if n ~= 2 or type(items[1]) ~= "string" or type(items[2]) ~= "string" then
      V.fail("separators must be two strings")
    end
    item_separator, key_separator = items[1], items[2]
  end
  local writer = setmetatable({
    out = {}, n = 0, size = 0, max = options.max or (16 << 20), indent = indent, ascii = options.ensure_ascii,
    sort_keys = options.sort_keys, item_separator = item_separator, key_separator = key_separator,
  }, Writer)
  writer:value(v, 0)
  return table.concat(writer.out)
end

return M
