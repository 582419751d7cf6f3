-- SPDX-License-Identifier: MIT
-- Attributes and items: what `a.b` and `a[b]` mean, and the methods of str, dict, list and tuple.
--
-- As in Jinja2's sandbox: `a.b` looks for an attribute first and an item second, `a[b]` the other way
-- round; a name that begins with an underscore is never handed out, nor is a method that would change a
-- value (append, pop, update …). The only attributes that exist are those in the tables below, so there is
-- nothing to walk out of.
--
-- A method is { params, fn }: fn(S, self, …) gets its arguments in the order of params; with `rest = true`
-- it gets (args, kwargs) as they are.

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"
local format = require "lathe.jinja.format"

local M = {}

local fail, NONE = V.fail, V.NONE

--- Puts the arguments of a call in the order of `params`.
-- @param name string: of the function, for messages
-- @param params table: names
-- @param args table: { n, … }
-- @param kwargs table|nil: array of { key, value }
-- @return table: values by position, nil where absent
function M.bind(name, params, args, kwargs)
  if args.n > #params then
    fail(name .. "() takes at most " .. #params .. " argument" .. (#params == 1 and "" or "s") .. " (" .. args.n .. " given)")
  end
  if not kwargs then return args end
  local bound = table.move(args, 1, args.n, 1, {})
  for _, pair in ipairs(kwargs) do
    local place
    for i, param in ipairs(params) do
      if param == pair.key then place = i end
    end
    if not place then fail(name .. "() got an unexpected keyword argument '" .. pair.key .. "'") end
    if bound[place] ~= nil then fail(name .. "() got multiple values for argument '" .. pair.key .. "'") end
    bound[place] = pair.value
  end
  return bound
end

--- Raises when a call lacks an argument that it needs (def.required of them).
function M.check_required(name, def, bound)
  for i = 1, def.required or 0 do
    if bound[i] == nil then fail(name .. "() misses the argument '" .. def.params[i] .. "'") end
  end
end

local function missing(v) return v == nil or v == NONE end

local function text_arg(v, what)
  local s = V.text(v)
  if not s then
    V.need(v or NONE)
    fail((what or "argument") .. " must be str, not " .. V.type_name(v or NONE))
  end
  return s
end

local function int_arg(v, default, what)
  if v == nil then return default end
  if type(v) == "boolean" then return v and 1 or 0 end
  if math.type(v) ~= "integer" then fail((what or "argument") .. " must be an integer, not " .. V.type_name(v)) end
  return v
end
M.int_arg, M.text_arg = int_arg, text_arg

-- str ----------------------------------------------------------------------------------------------------------------

local str = {}
M.str = str

local function strip_with(strip)
  return { params = { "chars" }, fn = function(_, s, chars)
    return strip(s, not missing(chars) and ustring.set(text_arg(chars, "strip arg")) or nil)
  end }
end
str.strip = strip_with(ustring.strip)
str.lstrip = strip_with(ustring.lstrip)
str.rstrip = strip_with(ustring.rstrip)

local function simple(fn)
  return { params = {}, fn = function(S, s)
    S:tick(#s >> 6)
    return fn(s)
  end }
end
str.upper = simple(ustring.upper)
str.lower = simple(ustring.lower)
str.casefold = simple(function(s) return (ustring.lower(s):gsub("ß", "ss"):gsub("ς", "σ")) end)
str.title = simple(ustring.title)
str.capitalize = simple(ustring.capitalize)
str.swapcase = simple(function(s)
  local cs, out = ustring.chars(s), {}
  for i, c in ipairs(cs) do out[i] = ustring.is_upper(c) and ustring.lower_at(cs, i) or ustring.upper(c) end
  return table.concat(out)
end)

-- Split at runs of white space, from the left (at most `max` cuts) or from the right.
local function split_space(s, max, from_right)
  local words, starts, ends = {}, {}, {}
  local i, n = 1, #s
  while i <= n do
    local l = ustring.char_len(s, i)
    if ustring.space[s:sub(i, i + l - 1)] then
      i = i + l
    else
      local from = i
      while i <= n do
        l = ustring.char_len(s, i)
        if ustring.space[s:sub(i, i + l - 1)] then break end
        i = i + l
      end
      words[#words + 1] = s:sub(from, i - 1)
      starts[#words], ends[#words] = from, i - 1
    end
  end
  if max < 0 or #words <= max then return words end
  if from_right then
    local keep = #words - max
    local out = { s:sub(1, ends[keep]) }
    for j = keep + 1, #words do out[#out + 1] = words[j] end
    return out
  end
  local out = table.move(words, 1, max, 1, {})
  out[max + 1] = s:sub(starts[max + 1])
  return out
end

local function split_at(s, separator, max)
  local out, from = {}, 1
  while max < 0 or #out < max do
    local a, b = s:find(separator, from, true)
    if not a then break end
    out[#out + 1] = s:sub(from, a - 1)
    from = b + 1
  end
  out[#out + 1] = s:sub(from)
  return out
end

local function split_at_right(s, separator, max)
  local all = split_at(s, separator, -1)
  if max < 0 or #all - 1 <= max then return all end
  local keep = #all - max
  local out = { table.concat(all, separator, 1, keep) }
  return table.move(all, keep + 1, #all, 2, out)
end

local function splitter(from_right)
  return { params = { "sep", "maxsplit" }, fn = function(S, s, sep, max)
    max = int_arg(max, -1, "maxsplit")
    S:tick(#s >> 4)
    if missing(sep) then return V.list(split_space(s, max, from_right)) end
    sep = text_arg(sep, "sep")
    if sep == "" then fail("empty separator", "ValueError") end
    return V.list((from_right and split_at_right or split_at)(s, sep, max))
  end }
end
str.split = splitter(false)
str.rsplit = splitter(true)
str.splitlines = { params = { "keepends" }, fn = function(S, s, keep)
  S:tick(#s >> 4)
  return V.list(ustring.splitlines(s, keep ~= nil and V.truth(keep)))
end }

-- Byte offsets [from, to] of the code points start … stop-1 (Python's indices), nil when start is past the
-- end.
local function byte_range(s, start, stop)
  local n = ustring.len(s)
  start = missing(start) and 0 or int_arg(start)
  stop = missing(stop) and n or int_arg(stop)
  if start < 0 then start = math.max(0, start + n) end
  if stop < 0 then stop = math.max(0, stop + n) end
  stop = math.min(stop, n)
  if start > n then return nil end
  if n == #s then return start + 1, stop end
  return utf8.offset(s, start + 1), utf8.offset(s, stop + 1) - 1
end

local function affix(matches)
  return { params = { "prefix", "start", "end" }, fn = function(_, s, prefix, start, stop)
    local from, to = byte_range(s, start, stop)
    if not from then return false end
    local part = s:sub(from, to)
    if V.kind(prefix) == "tuple" then
      for i = 1, prefix.n do
        if matches(part, text_arg(prefix[i], "prefix")) then return true end
      end
      return false
    end
    return matches(part, text_arg(prefix, "startswith first arg"))
  end }
end
str.startswith = affix(function(s, p) return s:sub(1, #p) == p end)
str.endswith = affix(function(s, p) return p == "" or (#p <= #s and s:sub(-#p) == p) end)

local function last_find(s, needle, from, to)
  for i = to - #needle + 1, from, -1 do
    if s:sub(i, i + #needle - 1) == needle then return i end
  end
end

-- Position (0-based, in code points) of the needle, or nil.
local function position(S, s, needle, start, stop, from_right)
  needle = text_arg(needle, "must be str: argument")
  local from, to = byte_range(s, start, stop)
  if not from then return nil end
  S:tick((#s >> 4) + 1)
  local at
  if from_right then
    at = last_find(s, needle, from, to)
  else
    at = s:find(needle, from, true)
    if at and at + #needle - 1 > to then at = nil end
  end
  return at and ustring.len(s:sub(1, at - 1))
end

local function finder(from_right, raises)
  return { params = { "sub", "start", "end" }, fn = function(S, s, needle, start, stop)
    local at = position(S, s, needle, start, stop, from_right)
    if not at and raises then fail("substring not found", "ValueError") end
    return at or -1
  end }
end
str.find, str.rfind = finder(false), finder(true)
str.index, str.rindex = finder(false, true), finder(true, true)

local function count(s, needle)
  if needle == "" then return ustring.len(s) + 1 end
  local n, from = 0, 1
  while true do
    local _, b = s:find(needle, from, true)
    if not b then return n end
    n = n + 1
    from = b + 1
  end
end

str.count = { params = { "sub", "start", "end" }, fn = function(S, s, needle, start, stop)
  local from, to = byte_range(s, start, stop)
  S:tick((#s >> 4) + 1)
  return from and count(s:sub(from, to), text_arg(needle)) or 0
end }

--- str.replace, with the size of the result checked before it is made.
function M.replace(S, s, old, new, max)
  max = (max == nil or max < 0) and math.maxinteger or max
  local n = math.min(count(s, old), max)
  if n == 0 then return s end
  S:tick((#s >> 4) + n)
  S:need_room(#s + n * (#new - #old))
  local out, from = {}, 1
  if old == "" then
    local cs = ustring.chars(s)
    for i = 1, #cs do
      if i <= n then out[#out + 1] = new end
      out[#out + 1] = cs[i]
    end
    if n > #cs then out[#out + 1] = new end
    return table.concat(out)
  end
  for _ = 1, n do
    local a, b = s:find(old, from, true)
    out[#out + 1] = s:sub(from, a - 1)
    out[#out + 1] = new
    from = b + 1
  end
  out[#out + 1] = s:sub(from)
  return table.concat(out)
end

str.replace = { params = { "old", "new", "count" }, fn = function(S, s, old, new, max)
  return M.replace(S, s, text_arg(old, "replace() argument 1"), text_arg(new, "replace() argument 2"), int_arg(max, -1))
end }

--- Python's separator.join(items), after every item was made a string by `to_text`.
function M.join(S, separator, items, n, to_text)
  local parts, size = {}, 0
  for i = 1, n do
    parts[i] = to_text(items[i])
    size = size + #parts[i] + #separator
  end
  S:tick(n)
  S:need_room(size)
  return table.concat(parts, separator)
end

str.join = { params = { "iterable" }, fn = function(S, s, iterable)
  if iterable == nil then fail("join() takes exactly one argument (0 given)") end
  local items, n = V.items(iterable)
  return M.join(S, s, items, n, function(v) return text_arg(v, "sequence item") end)
end }

local function every(test)
  return { params = {}, fn = function(_, s)
    local cs = ustring.chars(s)
    for _, c in ipairs(cs) do
      if not test(c) then return false end
    end
    return #cs > 0
  end }
end
str.isdigit, str.isdecimal, str.isnumeric = every(ustring.is_digit), every(ustring.is_digit), every(ustring.is_digit)
str.isalpha = every(ustring.is_alpha)
str.isalnum = every(function(c) return ustring.is_alpha(c) or ustring.is_digit(c) end)
str.isspace = every(ustring.is_space)
str.isascii = { params = {}, fn = function(_, s) return ustring.is_ascii(s) end }
str.isprintable = { params = {}, fn = function(_, s) return V.string_repr(s):sub(2, -2):gsub("\\(['\"\\])", "%1") == s end }
str.isidentifier = { params = {}, fn = function(_, s) return s:find("^[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*$") ~= nil end }

local function cased(wanted, refused)
  return { params = {}, fn = function(_, s)
    local seen = false
    for _, c in ipairs(ustring.chars(s)) do
      if refused(c) then return false end
      seen = seen or wanted(c)
    end
    return seen
  end }
end
str.isupper = cased(ustring.is_upper, ustring.is_lower)
str.islower = cased(ustring.is_lower, ustring.is_upper)
str.istitle = { params = {}, fn = function(_, s) return s ~= "" and s:find("%a") ~= nil and ustring.title(s) == s end }

local function filler(place)
  return { params = { "width", "fillchar" }, fn = function(S, s, width, fill)
    width = int_arg(width, 0, "width")
    fill = fill and text_arg(fill, "fillchar") or " "
    if ustring.len(fill) ~= 1 then fail("The fill character must be exactly one character long") end
    local room = width - ustring.len(s)
    if room <= 0 then return s end
    S:need_room(#s + room * #fill)
    return place(s, room, width, fill)
  end }
end
str.ljust = filler(function(s, room, _, fill) return s .. fill:rep(room) end)
str.rjust = filler(function(s, room, _, fill) return fill:rep(room) .. s end)
str.center = filler(function(s, room, width, fill)
  local left = room // 2 + (room & width & 1)
  return fill:rep(left) .. s .. fill:rep(room - left)
end)
str.zfill = { params = { "width" }, fn = function(S, s, width)
  local room = int_arg(width, 0, "width") - ustring.len(s)
  if room <= 0 then return s end
  S:need_room(#s + room)
  local sign, rest = s:match("^([+-]?)(.*)$")
  return sign .. ("0"):rep(room) .. rest
end }
str.expandtabs = { params = { "tabsize" }, fn = function(S, s, size)
  size = int_arg(size, 8, "tabsize")
  S:need_room(#s * math.max(1, size))
  local out, column = {}, 0
  for i, c in ipairs(ustring.chars(s)) do
    if c == "\t" then
      local n = size > 0 and size - column % size or 0
      out[i], column = (" "):rep(n), column + n
    else
      out[i], column = c, (c == "\n" or c == "\r") and 0 or column + 1
    end
  end
  return table.concat(out)
end }

str.partition = { params = { "sep" }, fn = function(_, s, sep)
  local a, b = s:find(text_arg(sep), 1, true)
  if sep == "" then fail("empty separator", "ValueError") end
  if not a then return V.tuple { s, "", "" } end
  return V.tuple { s:sub(1, a - 1), V.text(sep), s:sub(b + 1) }
end }
str.rpartition = { params = { "sep" }, fn = function(_, s, sep)
  sep = text_arg(sep)
  if sep == "" then fail("empty separator", "ValueError") end
  local a = last_find(s, sep, 1, #s)
  if not a then return V.tuple { "", "", s } end
  return V.tuple { s:sub(1, a - 1), sep, s:sub(a + #sep) }
end }
str.removeprefix = { params = { "prefix" }, fn = function(_, s, p)
  p = text_arg(p)
  return s:sub(1, #p) == p and s:sub(#p + 1) or s
end }
str.removesuffix = { params = { "suffix" }, fn = function(_, s, p)
  p = text_arg(p)
  return p ~= "" and #p <= #s and s:sub(-#p) == p and s:sub(1, -#p - 1) or s
end }
str.format = { rest = true, fn = function(S, s, args, kwargs)
  return format.format(S, s, args, kwargs, M.getattr, M.getitem)
end }

-- Methods whose result is Markup when they are called on Markup. Arguments are used as they are.
local STAYS_MARKUP = {}
for name in ("strip lstrip rstrip upper lower title capitalize swapcase replace join ljust rjust center zfill"):gmatch("%a+") do
  STAYS_MARKUP[name] = true
end

-- dict -----------------------------------------------------------------------------------------------------------------

local dict = {}
M.dict = dict

dict.get = { params = { "key", "default" }, fn = function(_, d, key, default)
  if key == nil then fail("get expected at least 1 argument, got 0") end
  local v = V.dict_get(d, key)
  if v ~= nil then return v end
  return default == nil and NONE or default
end }

local function view(name, item)
  return { params = {}, fn = function(S, d)
    S:tick(d.n)
    local out = { k = "view", name = name, n = d.n }
    for i = 1, d.n do out[i] = item(d, i) end
    return out
  end }
end
dict.items = view("dict_items", function(d, i) return V.tuple({ d.keys[i], d.vals[i] }, 2) end)
dict.keys = view("dict_keys", function(d, i) return d.keys[i] end)
dict.values = view("dict_values", function(d, i) return d.vals[i] end)
dict.copy = { params = {}, fn = function(_, d)
  local out = V.dict()
  for i = 1, d.n do V.dict_set(out, d.keys[i], d.vals[i]) end
  return out
end }

-- list, tuple, range ---------------------------------------------------------------------------------------------------

local list = {}
list.index = { params = { "value" }, fn = function(S, l, value)
  S:tick(l.n)
  for i = 1, l.n do
    if V.equal(l[i], value) then return i - 1 end
  end
  fail(V.repr(value) .. " is not in list", "ValueError")
end }
list.count = { params = { "value" }, fn = function(S, l, value)
  S:tick(l.n)
  local n = 0
  for i = 1, l.n do
    if V.equal(l[i], value) then n = n + 1 end
  end
  return n
end }
local tuple = { index = list.index, count = list.count }
list.copy = { params = {}, fn = function(_, l) return V.list(table.move(l, 1, l.n, 1, {}), l.n) end }

local float = {
  is_integer = { params = {}, fn = function(_, f) return f == math.floor(f) end },
}

-- What an int (or bool) has besides.
local function itself(i) return i end
local INT = { real = itself, numerator = itself, imag = function() return 0 end, denominator = function() return 1 end }

-- How many arguments a method cannot do without.
for name in ("startswith endswith find rfind index rindex count ljust rjust center zfill partition rpartition removeprefix removesuffix")
  :gmatch "%a+" do str[name].required = 1 end
str.replace.required = 2
list.index.required, list.count.required = 1, 1

local METHODS = { str = str, markup = str, dict = dict, list = list, tuple = tuple, range = tuple, float = float }

-- Methods that exist in Python and would change the value.
local UNSAFE = { dict = {}, list = {} }
for name in ("clear pop popitem setdefault update"):gmatch("%a+") do UNSAFE.dict[name] = true end
for name in ("append clear pop reverse insert sort extend remove"):gmatch("%a+") do UNSAFE.list[name] = true end

-- Attributes every Python object has; asking for one of them is refused.
local function is_internal(name) return name:find("^__.*__$") ~= nil or name == "mro" end

local function unsafe(v, name)
  return V.undefined(name, v, "access to attribute '" .. name .. "' of '" .. V.type_name(v) .. "' object is unsafe.", true)
end

-- The attribute `name` of a value, nil if it has none. Methods come back bound.
local function attribute(S, v, name)
  local k = V.kind(v)
  if k == "undefined" then
    if name:find("^__.*__$") then return nil end
    V.fail_undefined(v)
  end
  local methods = METHODS[k]
  local method = methods and methods[name]
  if method then return { k = "method", name = name, self = v, def = method } end
  if k == "ns" then
    local value = V.dict_get(v.dict, name)
    if value ~= nil then return value end
  elseif k == "loop" or k == "object" then
    local value = v.attr(S, v, name)
    if value ~= nil then return value end
  elseif INT[name] and (k == "int" or k == "bool") then
    return INT[name](V.number(v))
  elseif k == "macro" and name == "name" then
    return v.name or NONE
  end
  if UNSAFE[k] and UNSAFE[k][name] then return unsafe(v, name) end
  if is_internal(name) then return unsafe(v, name) end
  return nil
end

local function adjust(i, n)
  if i < 0 then i = i + n end
  return i
end

-- The character at (Python) index i of a string, or nil.
local function char_at(s, i)
  local n = ustring.len(s)
  i = adjust(i, n)
  if i < 0 or i >= n then return nil end
  if n == #s then return s:sub(i + 1, i + 1) end
  local from = utf8.offset(s, i + 1)
  return s:sub(from, utf8.offset(s, i + 2) - 1)
end

-- The item `key` of a value, nil if it has none.
local function item(v, key)
  local k = V.kind(v)
  if k == "undefined" then V.fail_undefined(v) end
  if k == "dict" then
    local kk = V.kind(key)
    if kk == "list" or kk == "dict" then return nil end
    return V.dict_get(v, key)
  end
  if type(key) == "boolean" then key = key and 1 or 0 end
  if math.type(key) ~= "integer" then return nil end
  if V.SEQUENCE[k] then
    local i = adjust(key, v.n)
    if i < 0 then return nil end
    return v[i + 1]
  elseif k == "str" then
    return char_at(v, key)
  elseif k == "markup" then
    local c = char_at(v.s, key)
    return c and V.markup(c)
  end
  return nil
end

--- `v.name`: an attribute, else an item, else undefined.
function M.getattr(S, v, name)
  local value = attribute(S, v, name)
  if value == nil then value = item(v, name) end
  if value == nil then return V.undefined(name, v) end
  return value
end

--- `v[key]`: an item, else an attribute when the key is a string, else undefined.
function M.getitem(S, v, key)
  local value
  if type(v) == "table" and v.k == "dict" and type(key) == "string" then
    S:tick(1)
    local i = v.at[key]
    if i then value = v.vals[i] end
  else
    value = item(v, key)
  end
  if value == nil and type(key) == "string" then value = attribute(S, v, key) end
  if value == nil then return V.undefined(key, v) end
  return value
end

--- `v|attr(name)`: an attribute, else undefined.
function M.attr(S, v, name)
  local value = attribute(S, v, name)
  if value == nil then return V.undefined(name, v) end
  return value
end

local function slice_bound(v, what)
  if v == nil or v == NONE then return nil end
  if type(v) == "boolean" then return v and 1 or 0 end
  V.need(v)
  if math.type(v) ~= "integer" then fail("slice indices must be integers or None, not " .. V.type_name(v) .. what) end
  return v
end

--- `v[start:stop:step]` with Python's rules.
function M.slice(S, v, start, stop, step)
  local k = V.kind(v)
  if k == "undefined" then V.fail_undefined(v) end
  local is_text = k == "str" or k == "markup"
  if k == "dict" then fail("unhashable type: 'slice'") end
  if not is_text and not V.SEQUENCE[k] then fail("'" .. V.type_name(v) .. "' object is not subscriptable") end
  start, stop, step = slice_bound(start, ""), slice_bound(stop, ""), slice_bound(step, "") or 1
  if step == 0 then fail("slice step cannot be zero", "ValueError") end
  local source, n
  if is_text then
    local s = V.text(v)
    n = ustring.len(s)
    if step == 1 then
      local from, to = byte_range(s, start or 0, stop)
      local part = from and s:sub(from, to) or ""
      return k == "markup" and V.markup(part) or part
    end
    source = ustring.chars(s)
  else
    source, n = v, v.n
  end
  local low, high = step < 0 and -1 or 0, step < 0 and n - 1 or n
  local function clamp(i, default)
    if i == nil then return default end
    if i < 0 then return math.max(i + n, low) end
    return math.min(i, high)
  end
  local from, to = clamp(start, step < 0 and high or low), clamp(stop, step < 0 and low or high)
  local out, count_out = {}, 0
  for i = from, to + (step < 0 and 1 or -1), step do
    count_out = count_out + 1
    out[count_out] = source[i + 1]
  end
  S:tick(count_out)
  if is_text then
    local part = table.concat(out)
    return k == "markup" and V.markup(part) or part
  end
  if k == "range" then
    out.k, out.n, out.step = "range", count_out, v.step * step
    out.start, out.stop = v.start + from * v.step, v.start + to * v.step
    return out
  end
  return k == "tuple" and V.tuple(out, count_out) or V.list(out, count_out)
end

--- Calls a bound method.
function M.call_method(S, self, name, def, args, kwargs)
  local is_markup = type(self) == "table" and self.k == "markup"
  if is_markup then self = self.s end
  local result
  if def.rest then
    result = def.fn(S, self, args, kwargs)
  else
    local bound = M.bind(name, def.params, args, kwargs)
    M.check_required(name, def, bound)
    result = def.fn(S, self, bound[1], bound[2], bound[3])
  end
  if is_markup and type(result) == "string" and STAYS_MARKUP[name] then return V.markup(result) end
  if is_markup and type(result) == "table" and V.SEQUENCE[result.k] then
    for i = 1, result.n do result[i] = V.markup(result[i]) end
  end
  return result
end

--- The method `name` of a value, for calls that need no bound method in between; nil when it is no method.
function M.find_method(v, name)
  local methods = METHODS[V.kind(v)]
  return methods and methods[name]
end

return M
