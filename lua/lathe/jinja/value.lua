-- SPDX-License-Identifier: MIT
-- The values of the template language: Python's, held in Lua.
--
--   Python            here
--   True False        booleans                       int, float      Lua integers and floats
--   str               Lua strings (UTF-8)            None            V.NONE
--   list tuple range  { k, n, [1] … [n] }            dict            { k, n, keys, vals, at }: insertion order, at[hash] = position
--   generator, views  { k = "gen" | "view", n, [i] } undefined       { k = "undefined", … }: prints as nothing, fails when used
--   Markup            { k = "markup", s }            namespace       { k = "ns", dict }
--   functions         { k = "macro" | "func" | "method", … }
--
-- A Lua function is never a value: what a template can call is made here, by the compiler or by the
-- filters, and nothing else. Values that come from outside pass through `V.from_lua` (the one adapter),
-- which copies. Values are not changed after they are made, except namespaces.
--
-- Errors are raised as { jinja = true, kind, message }; the renderer adds the template's name and the line.

local ustring = require "lathe.jinja.ustring"

local V = {}

local MAX_DEPTH = 200                         -- nesting of values in repr, comparison and conversion

-- The rendering in hand, whose steps are counted. Renderings do not interleave: each sets itself here and
-- puts back what it found.
local current

--- Makes `state` the one whose limits count; returns the one before.
function V.enter(state)
  local before = current
  current = state
  return before
end

--- Counts work against the limit of the rendering in hand.
-- @param n integer: units, about a microsecond each
function V.tick(n)
  if current then current:tick(n) end
end
local tick = V.tick
ustring.set_spend(tick)

V.NONE = { k = "none" }
local NONE = V.NONE

--- Raises an error of the template.
-- @param message string
-- @param kind string: TypeError, UndefinedError, SecurityError, limit, …
function V.fail(message, kind)
  error({ jinja = true, kind = kind or "TypeError", message = message }, 0)
end
local fail = V.fail

-- Types --------------------------------------------------------------------------------------------------------------

local PYTHON_NAME = {
  undefined = "Undefined", none = "NoneType", view = "dict_items", gen = "generator", ns = "Namespace", macro = "Macro",
  func = "function", method = "method", markup = "Markup", loop = "LoopContext", object = "object",
}

--- The kind of a value: "str", "int", "float", "bool" or the `k` of its table.
function V.kind(v)
  local t = type(v)
  if t == "table" then return v.k end
  if t == "string" then return "str" end
  if t == "number" then return math.type(v) == "integer" and "int" or "float" end
  if t == "boolean" then return "bool" end
  return t
end
local kind = V.kind

--- The name Python's error messages give to the value's type.
function V.type_name(v)
  local k = kind(v)
  return PYTHON_NAME[k] or k
end

--- An undefined value. hint: the message when it is used; name, obj: what was looked up, where.
function V.undefined(name, obj, hint, security)
  return { k = "undefined", name = name, obj = obj, hint = hint, security = security }
end

local function undefined_message(u)
  if u.hint then return u.hint end
  if u.obj == nil then return "'" .. tostring(u.name) .. "' is undefined" end
  local who = u.obj == NONE and "None" or (V.type_name(u.obj) .. " object")
  if type(u.name) ~= "string" then return who .. " has no element " .. V.repr(u.name) end
  return "'" .. who .. "' has no attribute '" .. u.name .. "'"
end

--- Raises the error that using an undefined value deserves.
function V.fail_undefined(u)
  error({
    jinja = true, kind = u.security and "SecurityError" or "UndefinedError", message = undefined_message(u), undefined = u,
  }, 0)
end

--- Raises when `v` is undefined.
function V.need(v)
  if type(v) == "table" and v.k == "undefined" then V.fail_undefined(v) end
  return v
end

--- A list of the `n` values in `items`, which it takes over.
function V.list(items, n)
  items.k = "list"
  items.n = n or #items
  return items
end

--- A tuple, like V.list.
function V.tuple(items, n)
  items.k = "tuple"
  items.n = n or #items
  return items
end

--- An iterator over the values in `items`, which can be walked once.
function V.generator(items, n)
  items.k = "gen"
  items.n = n or #items
  return items
end

function V.dict()
  return { k = "dict", n = 0, keys = {}, vals = {}, at = {} }
end

local SEQUENCE = { list = true, tuple = true, range = true }
V.SEQUENCE = SEQUENCE

local UNDEFINED = {}                          -- all undefined values are one key

-- What a key is in the table `at` of a dict: equal keys of Python give the same.
local function hash(key)
  local k = kind(key)
  tick(1)
  if k == "str" then return key end
  if k == "int" then return key end
  if k == "float" then return math.tointeger(key) or key end
  if k == "bool" then return key and 1 or 0 end
  if k == "markup" then return key.s end
  if k == "tuple" then
    local parts = {}
    for i = 1, key.n do
      local h = hash(key[i])
      local s = tostring(h)
      parts[i] = type(h) .. #s .. ":" .. s
      tick(#s >> 6)
    end
    return "\0tuple\0" .. table.concat(parts, ",")
  end
  if k == "undefined" then return UNDEFINED end
  if k == "view" and key.name ~= "dict_values" then fail("unhashable type: '" .. key.name .. "'") end
  if k == "list" or k == "dict" then fail("unhashable type: '" .. k .. "'") end
  return key
end
V.hash = hash

function V.dict_set(d, key, value)
  local h = key
  if type(key) == "string" then
    tick(1)
  else
    h = hash(key)
    if h ~= h then fail("NaN cannot be a key") end
  end
  local i = d.at[h]
  if not i then
    i = d.n + 1
    d.n = i
    d.at[h] = i
    d.keys[i] = key
  end
  d.vals[i] = value
end

function V.dict_get(d, key)
  local i = d.at[hash(key)]
  if i then return d.vals[i] end
end

-- Truth, equality, order -----------------------------------------------------------------------------------------------

function V.truth(v)
  local t = type(v)
  if t == "boolean" then return v end
  if t == "string" then return v ~= "" end
  if t == "number" then return v ~= 0 end
  local k = v.k
  if k == "none" or k == "undefined" then return false end
  if k == "markup" then return v.s ~= "" end
  if SEQUENCE[k] or k == "dict" or k == "view" then return v.n > 0 end
  return true
end

local function number(v)
  local t = type(v)
  if t == "number" then return v end
  if t == "boolean" then return v and 1 or 0 end
end
V.number = number

--- The text of a str or Markup, else nil.
function V.text(v)
  if type(v) == "string" then return v end
  if type(v) == "table" and v.k == "markup" then return v.s end
end

function V.equal(a, b, depth)
  depth = depth or 0
  if depth > MAX_DEPTH then fail("values nested too deeply to compare", "limit") end
  tick(1)
  if type(a) == "string" and type(b) == "string" then
    if #a >= 1024 and #a == #b then tick(#a >> 10) end
    return a == b
  end
  if rawequal(a, b) then return a == a end
  local x, y = number(a), number(b)
  if x and y then return x == y end
  local s, t = V.text(a), V.text(b)
  if s and t then return s == t end
  if type(a) ~= "table" or type(b) ~= "table" then return false end
  if a.k ~= b.k then return false end
  if a.k == "undefined" then return true end
  if SEQUENCE[a.k] then
    if a.n ~= b.n then return false end
    for i = 1, a.n do
      if not V.equal(a[i], b[i], depth + 1) then return false end
    end
    return true
  elseif a.k == "dict" then
    if a.n ~= b.n then return false end
    for i = 1, a.n do
      local j = b.at[hash(a.keys[i])]
      if not j or not V.equal(a.vals[i], b.vals[j], depth + 1) then return false end
    end
    return true
  end
  return false
end

--- Order of two values: -1, 0 or 1, nil with NaN; raises like Python for types that have no order. op is
-- for the message.
function V.compare(a, b, op)
  local x, y = number(a), number(b)
  if x and y then
    if x < y then return -1 elseif x > y then return 1 elseif x == y then return 0 end
    return nil
  end
  local s, t = V.text(a), V.text(b)
  if s and t then
    if s == t then return 0 end
    return ustring.less(s, t) and -1 or 1
  end
  V.need(a)
  V.need(b)
  local ka, kb = kind(a), kind(b)
  if ka == kb and (ka == "list" or ka == "tuple") then
    for i = 1, math.min(a.n, b.n) do
      if not V.equal(a[i], b[i]) then return V.compare(a[i], b[i], op) end
    end
    return a.n < b.n and -1 or a.n > b.n and 1 or 0
  end
  fail("'" .. (op or "<") .. "' not supported between instances of '" .. V.type_name(a) .. "' and '" .. V.type_name(b) .. "'")
end

-- Printing -------------------------------------------------------------------------------------------------------------

--- A float as Python prints it: the shortest digits that read back as the same number.
function V.float_text(f)
  if f ~= f then return "nan" end
  if f == math.huge then return "inf" end
  if f == -math.huge then return "-inf" end
  local s
  for precision = math.abs(f) < 2.3e-308 and 1 or 15, 17 do       -- subnormal numbers carry fewer digits
    s = string.format("%." .. (precision - 1) .. "e", f):gsub(",", ".")
    if tonumber(s) == f then break end
  end
  local sign, lead, rest, exponent = s:match("^(%-?)(%d)%.?(%d*)e([+-]%d+)$")
  local digits = (lead .. rest):gsub("0+$", "")
  if digits == "" then digits = "0" end
  local point = tonumber(exponent) + 1
  if point > 16 or point < -3 then
    local mantissa = digits:sub(1, 1) .. (#digits > 1 and "." .. digits:sub(2) or "")
    local e = point - 1
    return sign .. mantissa .. "e" .. (e < 0 and "-" or "+") .. string.format("%02d", math.abs(e))
  end
  if point <= 0 then return sign .. "0." .. ("0"):rep(-point) .. digits end
  if #digits <= point then return sign .. digits .. ("0"):rep(point - #digits) .. ".0" end
  return sign .. digits:sub(1, point) .. "." .. digits:sub(point + 1)
end

local REPR_ESCAPES = { ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ["\\"] = "\\\\" }

local function unprintable(cp)
  return cp < 32 or (cp >= 127 and cp <= 0xA0) or cp == 0xAD or (cp >= 0x2000 and cp <= 0x200F) or (cp >= 0x2028 and cp <= 0x202F)
    or (cp >= 0x205F and cp <= 0x206F) or cp == 0x3000 or cp == 0x1680 or cp == 0xFEFF or (cp >= 0xD800 and cp <= 0xF8FF)
    or (cp >= 0xE0000)
end

--- A string as Python's repr shows it.
function V.string_repr(s)
  local quote = (s:find("'", 1, true) and not s:find('"', 1, true)) and '"' or "'"
  local plain = not s:find("[%c\\'\x7f-\xff]")
  if plain then return quote .. s .. quote end
  local out = {}
  for i, c in ipairs(ustring.chars(s)) do
    if c == quote then
      out[i] = "\\" .. c
    elseif REPR_ESCAPES[c] then
      out[i] = REPR_ESCAPES[c]
    else
      local cp = #c > 1 and utf8.codepoint(c, 1, 1, true) or c:byte()
      if not unprintable(cp) then
        out[i] = c
      elseif cp < 0x100 then
        out[i] = string.format("\\x%02x", cp)
      elseif cp < 0x10000 then
        out[i] = string.format("\\u%04x", cp)
      else
        out[i] = string.format("\\U%08x", cp)
      end
    end
  end
  return quote .. table.concat(out) .. quote
end

local BRACKETS = { list = { "[", "]" }, tuple = { "(", ")" } }

--- Python's repr of a value. budget: at most so many bytes, else an error.
function V.repr(v, budget, depth)
  depth = depth or 0
  budget = budget or { left = 16 << 20 }
  if depth > MAX_DEPTH then fail("values nested too deeply to print", "limit") end
  tick(1)
  local function spend(s)
    budget.left = budget.left - #s
    if budget.left < 0 then fail("a value is too large to print", "limit") end
    return s
  end
  local k = kind(v)
  if k == "str" then return spend(V.string_repr(v)) end
  if k == "markup" then return spend("Markup(" .. V.string_repr(v.s) .. ")") end
  if k == "int" then return spend(string.format("%d", v)) end
  if k == "float" then return spend(V.float_text(v)) end
  if k == "bool" then return v and "True" or "False" end
  if k == "none" then return "None" end
  if k == "undefined" then return "Undefined" end
  if k == "list" or k == "tuple" then
    local parts = {}
    for i = 1, v.n do parts[i] = V.repr(v[i], budget, depth + 1) end
    spend(("  "):rep(v.n > 1 and 1 or 0))
    local tail = (k == "tuple" and v.n == 1) and "," or ""
    return BRACKETS[k][1] .. table.concat(parts, ", ") .. tail .. BRACKETS[k][2]
  end
  if k == "dict" then
    local parts = {}
    for i = 1, v.n do
      parts[i] = V.repr(v.keys[i], budget, depth + 1) .. ": " .. V.repr(v.vals[i], budget, depth + 1)
    end
    return "{" .. table.concat(parts, ", ") .. "}"
  end
  if k == "range" then
    local s = "range(" .. v.start .. ", " .. v.stop
    return s .. (v.step ~= 1 and ", " .. v.step or "") .. ")"
  end
  if k == "view" then
    local parts = {}
    for i = 1, v.n do parts[i] = V.repr(v[i], budget, depth + 1) end
    return v.name .. "([" .. table.concat(parts, ", ") .. "])"
  end
  if k == "ns" then return "<Namespace " .. V.repr(v.dict, budget, depth + 1) .. ">" end
  if k == "macro" then return "<Macro " .. (v.name and V.string_repr(v.name) or "anonymous") .. ">" end
  if k == "loop" then return "<LoopContext " .. v.index0 + 1 .. "/" .. v.length .. ">" end
  if k == "method" then return "<built-in method " .. v.name .. ">" end
  if k == "gen" then return "<generator object>" end
  return "<" .. V.type_name(v) .. (v.name and " " .. v.name or "") .. ">"
end

--- Python's str of a value. strict: an undefined value is an error instead of nothing.
function V.str(v, strict)
  local t = type(v)
  if t == "string" then return v end
  if t == "table" then
    if v.k == "markup" then return v.s end
    if v.k == "undefined" then
      if strict and not v.soft then V.fail_undefined(v) end
      return ""
    end
  end
  return V.repr(v)
end

-- Iteration ------------------------------------------------------------------------------------------------------------

--- The items of an iterable as (array, count); generators are used up. Raises for what cannot be iterated.
function V.items(v)
  local t = type(v)
  if t == "string" then
    local cs = ustring.chars(v)
    return cs, #cs
  elseif t == "table" then
    local k = v.k
    if SEQUENCE[k] or k == "view" then return v, v.n end
    if k == "dict" then return v.keys, v.n end
    if k == "undefined" then return {}, 0 end
    if k == "gen" then
      local from = (v.used or 0) + 1
      local n = v.n
      v.used = n
      if from == 1 then return v, n end
      return table.move(v, from, n, 1, {}), n - from + 1
    end
    if k == "markup" then
      local cs = ustring.chars(v.s)           -- plain strings, as in Python
      return cs, #cs
    end
  end
  fail("'" .. V.type_name(v) .. "' object is not iterable")
end

function V.is_iterable(v)
  local k = kind(v)
  return k == "str" or k == "dict" or k == "undefined" or k == "gen" or k == "view" or k == "markup" or SEQUENCE[k] == true
end

--- Python's len.
function V.length(v)
  local k = kind(v)
  if k == "str" then return ustring.len(v) end
  if k == "markup" then return ustring.len(v.s) end
  if SEQUENCE[k] or k == "dict" or k == "view" then return v.n end
  if k == "undefined" then return 0 end
  fail("object of type '" .. V.type_name(v) .. "' has no len()")
end

--- Python's `item in container`.
function V.contains(container, item)
  local k = kind(container)
  if k == "str" or k == "markup" then
    local needle = V.text(item)
    if not needle then fail("'in <string>' requires string as left operand, not " .. V.type_name(item)) end
    local text = V.text(container)
    if #text >= 512 then tick(#text >> 9) end
    return text:find(needle, 1, true) ~= nil
  end
  if k == "dict" then return container.at[hash(item)] ~= nil end
  if not V.is_iterable(container) then fail("argument of type '" .. V.type_name(container) .. "' is not iterable") end
  local items, n = V.items(container)
  for i = 1, n do
    if V.equal(items[i], item) then return true end
  end
  return false
end

-- HTML, which matters only where a template uses |safe or |escape ------------------------------------------------------

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ["'"] = "&#39;", ['"'] = "&#34;" }

function V.markup(s) return { k = "markup", s = s } end

--- markupsafe.escape: Markup stays, everything else is printed and escaped.
function V.escape(v)
  if type(v) == "table" and v.k == "markup" then return v end
  local s = V.str(v)
  if #s >= 64 then tick(#s >> 6) end
  return V.markup((s:gsub("[&<>'\"]", HTML)))
end

-- From and to Lua ------------------------------------------------------------------------------------------------------

local function is_array(t)
  local n = #t
  if n == 0 then return false end             -- {} is an object, as engine.json writes it
  local count = 0
  for k in next, t do
    if math.type(k) ~= "integer" or k < 1 or k > n then return false end
    count = count + 1
  end
  return count == n
end

local function key_order(a, b)
  if type(a) ~= type(b) then return type(a) == "number" end
  if type(a) == "number" then return a < b end
  return ustring.less(a, b)
end

local function sorted_keys(t)
  local keys = {}
  for k in next, t do
    if type(k) ~= "string" and type(k) ~= "number" then fail("a field's name is a " .. type(k)) end
    keys[#keys + 1] = k
  end
  if #keys == 2 then                          -- as most messages have
    if key_order(keys[2], keys[1]) then keys[1], keys[2] = keys[2], keys[1] end
  else
    table.sort(keys, key_order)
  end
  return keys
end

-- What the JSON library knows of a value: "null", "array", "object" or nothing. Set by lathe.jinja once,
-- since that library may be absent.
local json_kind = function() return nil end
local json_pairs

--- Tells the adapter how to recognise and walk the values of a JSON library.
-- @param kind_of function: value -> "null", "array", "object" or nil
-- @param walk function: object value -> iterator of (key, value) in order
function V.set_json(kind_of, walk)
  json_kind, json_pairs = kind_of, walk
end

local DICT_PART = { n = true, keys = true, vals = true, at = true }

-- An object that is copied when it is first looked at as a whole; a member of it may be read from its
-- `source` before (lathe.jinja.runtime does), since nothing changes the source while a template renders.
local LAZY = {}

local function fill(d, source, depth)
  d.n, d.keys, d.vals, d.at = 0, {}, {}, {}
  if json_kind(source) == "object" then
    for key, value in json_pairs(source) do V.dict_set(d, key, V.from_lua(value, depth + 1)) end
    return
  end
  for _, key in ipairs(sorted_keys(source)) do
    local value = source[key]
    if type(value) ~= "string" then value = V.from_lua(value, depth + 1) end
    V.dict_set(d, key, value)
  end
end

function LAZY.__index(d, name)
  if not DICT_PART[name] then return nil end
  local source, depth = rawget(d, "source"), rawget(d, "depth")
  setmetatable(d, nil)
  d.source, d.depth = nil, nil
  fill(d, source, depth)
  return d[name]
end

--- Copies a Lua value into the template's world. Tables with fields 1…n become lists, others ({} too) dicts
-- with sorted keys; values of the JSON library keep the order of their keys. Functions and foreign
-- userdata are refused. Objects are copied when they are used.
-- @param x any
-- @return value
function V.from_lua(x, depth)
  local t = type(x)
  if t == "string" or t == "number" or t == "boolean" then return x end
  if x == nil then return NONE end
  depth = depth or 0
  if depth > MAX_DEPTH then fail("values nested too deeply", "limit") end
  local special
  if t ~= "table" or getmetatable(x) then special = json_kind(x) end
  if special == "null" then return NONE end
  if special == "array" or (not special and t == "table" and is_array(x)) then
    local out, n = {}, #x
    for i = 1, n do out[i] = V.from_lua(x[i], depth + 1) end
    return V.list(out, n)
  end
  if t ~= "table" and special ~= "object" then fail("a template cannot be given a " .. t) end
  return setmetatable({ k = "dict", source = x, depth = depth }, LAZY)
end

return V
