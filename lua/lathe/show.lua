-- SPDX-License-Identifier: MIT
-- Values as a person wants to see them at the prompt: sorted, nested, on one line when that fits, cut when long.
--
--   { 1, 2, name = "x" }        { 1, 2, name = "x" }
--   a record, tensor, model …   what its __tostring says (a metatable may have __show(value, options) instead)
--   a function                  function engine.hash.sha256 (its documented name, when it has one)
--   a module                    module engine.hash: rng, sha256, xxh3
--
-- A table with __pairs (an object decoded from JSON) keeps its own order.

local M = {}

local DEFAULTS = { width = 80, depth = 4, items = 40, text = 600, lines = 60 }

local ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\", ['"'] = '\\"' }

local function quote(s, limit)
  local rest
  if #s > limit then
    local at = utf8.offset(s, 0, limit + 1)
    local cut = (at or limit + 1) - 1
    rest = #s - cut
    s = s:sub(1, cut)
  end
  local body = s:gsub('[%c\\"]', function(c) return ESCAPES[c] or ("\\%d"):format(c:byte()) end)
  if not utf8.len(body) then body = body:gsub("[\x80-\xff]", function(c) return ("\\x%02x"):format(c:byte()) end) end
  return '"' .. body .. '"' .. (rest and (" … (%d bytes more)"):format(rest) or "")
end

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
until while]]):gmatch "%a+" do
  KEYWORDS[word] = true
end

local render

local function key_text(k, state)
  if type(k) == "string" and k:match "^[%a_][%w_]*$" and not KEYWORDS[k] then return k end
  if type(k) == "string" then return "[" .. quote(k, 60) .. "]" end
  return "[" .. render(k, state, state.depth) .. "]"
end

local ORDER = { number = 1, string = 2, boolean = 3 }

local function sorted_keys(t, from)
  local keys = {}
  for k in next, t do
    if not (math.type(k) == "integer" and k >= 1 and k < from) then keys[#keys + 1] = k end
  end
  table.sort(keys, function(a, b)
    local x, y = type(a), type(b)
    if x ~= y then return (ORDER[x] or 9) < (ORDER[y] or 9) end
    if x == "number" or x == "string" then return a < b end
    return tostring(a) < tostring(b)
  end)
  return keys
end

-- The items of a table as texts, and how many were left out.
local function items_of(t, state, depth)
  local out, left = {}, 0
  local function put(text)
    if #out < state.items then out[#out + 1] = text else left = left + 1 end
  end
  local meta = debug.getmetatable(t)
  local n = 1
  while rawget(t, n) ~= nil do
    if #out < state.items then
      put(render(t[n], state, depth))
    else
      left = left + 1
    end
    n = n + 1
  end
  local function field(k, v)
    if #out < state.items then put(key_text(k, state) .. " = " .. render(v, state, depth)) else left = left + 1 end
  end
  if meta and rawget(meta, "__pairs") then
    for k, v in pairs(t) do
      if not (math.type(k) == "integer" and k >= 1 and k < n) then field(k, v) end
    end
  else
    for _, k in ipairs(sorted_keys(t, n)) do field(k, rawget(t, k)) end
  end
  if left > 0 then out[#out + 1] = ("… %d more"):format(left) end
  return out
end

-- Short items, as many on a line as fit: numbers are not read one to a line.
local function packed(items, room)
  local lines, line = {}, nil
  for _, item in ipairs(items) do
    if line and #line + #item + 2 <= room then
      line = line .. ", " .. item
    else
      lines[#lines + 1] = line
      line = item
    end
  end
  lines[#lines + 1] = line
  return lines
end

local function table_text(t, state, depth)
  if state.seen[t] then return "{ … itself … }" end
  if next(t) == nil then return "{}" end
  if depth >= state.depth then return "{ … }" end
  state.seen[t] = true
  local out = items_of(t, state, depth + 1)
  state.seen[t] = nil
  local room, several = state.width - 2 * depth - 4, false
  local total = 0
  for _, text in ipairs(out) do
    total = total + (utf8.len(text) or #text) + 2
    several = several or text:find("\n", 1, true)
  end
  if total <= room and not several then return "{ " .. table.concat(out, ", ") .. " }" end
  local pad = ("  "):rep(depth + 1)
  if not several and type(next(t)) == "number" and type(t[1]) == "number" then out = packed(out, room) end
  return "{\n" .. pad .. table.concat(out, ",\n" .. pad) .. "\n" .. ("  "):rep(depth) .. "}"
end

local function module_text(name, t)
  local names = {}
  for k in next, t do if type(k) == "string" then names[#names + 1] = k end end
  table.sort(names)
  return ("module %s: %s"):format(name, table.concat(names, ", "))
end

local function function_text(f)
  local help = require "lathe.help"
  local name = help.name_of_value(f)
  if name then return "function " .. name end
  local stage = help.stage_of(f)
  if stage then return ("stage %s: lathe.%s { … } in a recipe"):format(stage, stage) end
  local info = debug.getinfo(f, "S")
  if info.what == "C" then return "function (built in)" end
  return ("function (%s:%d)"):format(info.short_src, info.linedefined)
end

local function hooked(meta, name)
  local f = meta and rawget(meta, name)
  return type(f) == "function" and f or nil
end

-- What an object says of itself; a failing __tostring must not cost the prompt.
local function object_text(v, meta, state)
  local show = hooked(meta, "__show")
  local fine, text
  if show then
    fine, text = pcall(show, v, state)
  else
    fine, text = pcall(tostring, v)
  end
  return fine and tostring(text) or ("%s (%s)"):format(type(v), tostring(text))
end

function render(v, state, depth)
  local kind = type(v)
  if kind == "string" then return quote(v, depth == 0 and state.text or state.text // 4) end
  if kind == "number" or kind == "nil" or kind == "boolean" then return tostring(v) end
  if kind == "function" then return function_text(v) end
  local meta = debug.getmetatable(v)
  if kind ~= "table" or hooked(meta, "__show") or hooked(meta, "__tostring") then
    local text = object_text(v, meta, state)
    return depth > 0 and (text:gsub("\n", "\n" .. ("  "):rep(depth))) or text
  end
  if rawget(v, "is_stage") then return ("stage %s"):format(tostring(v.name or v.stage)) end
  for name, module in next, package.loaded do
    if module == v then return depth == 0 and module_text(name, v) or "module " .. name end
  end
  return table_text(v, state, depth)
end

local function cut_lines(text, limit)
  local count, at = 0, 0
  for position in text:gmatch "()\n" do
    count = count + 1
    if count == limit then at = position end
  end
  if count <= limit then return text end
  return ("%s\n… %d lines more"):format(text:sub(1, at - 1), count - limit + 1)
end

--- A value as text.
-- @param value any: what to show
-- @param options table: optional { width = columns, depth = of nested tables, items = per table,
--   text = bytes of a string, lines = in all }
-- @return string
-- @example print(require("lathe.show").show { 1, { name = "x" } })
function M.show(value, options)
  local state = { seen = {} }
  for k, v in pairs(DEFAULTS) do state[k] = options and options[k] or v end
  return cut_lines(render(value, state, 0), state.lines)
end

return M
