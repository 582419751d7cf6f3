-- SPDX-License-Identifier: MIT
-- The filters (`value|name(…)`) and tests (`value is name`) of the template language, as Jinja2 defines them.
--
-- A filter is { params, fn }: fn(S, value, …) gets its arguments in the order of params, nil where absent;
-- with `rest = true` it gets (S, value, args, kwargs). Filters that Jinja2 makes generators of (map,
-- select, unique, items, batch …) return one here too: it can be walked once and has no length. Not here,
-- and said so when used: random (runs would differ), urlize (it writes links for web pages).

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"
local methods = require "lathe.jinja.methods"
local json = require "lathe.jinja.json"
local format = require "lathe.jinja.format"
local pretty = require "lathe.jinja.pretty"
local wrap = require "lathe.jinja.wrap"

local M = {}

local fail, NONE = V.fail, V.NONE
local int_arg = methods.int_arg

local F, T = {}, {}
M.filters, M.tests = F, T

local function filter(names, params, fn)
  for name in names:gmatch("%S+") do F[name] = { params = params, fn = fn } end
end

local function missing(v) return v == nil or v == NONE end
local function flag(v) return v ~= nil and V.truth(v) end

-- Applies a string function, keeping Markup.
local function text_filter(fn)
  return function(S, v, ...)
    local s = V.str(v, S.strict)
    S:tick(#s >> 6)
    local result = fn(s, ...)
    if type(v) == "table" and v.k == "markup" then return V.markup(result) end
    return result
  end
end

-- Attribute paths: "a.b.0" ---------------------------------------------------------------------------------------------

local function path_of(attribute)
  if attribute == nil or attribute == NONE then return {} end
  if type(attribute) ~= "string" then return { attribute } end
  local parts = {}
  for part in (attribute .. "."):gmatch("([^.]*)%.") do
    parts[#parts + 1] = part:find("^%d+$") and math.tointeger(tonumber(part)) or part
  end
  return parts
end

local function ignore_case(v)
  local s = V.text(v)
  return s and ustring.lower(s) or v
end

local function getter(S, attribute, post, default)
  local parts = path_of(attribute)
  return function(v)
    for _, part in ipairs(parts) do
      v = methods.getitem(S, v, part)
      if not missing(default) and V.kind(v) == "undefined" then v = default end
    end
    if post then v = post(v) end
    return v
  end
end

local function multi_getter(S, attribute, post)
  local getters = {}
  if type(attribute) == "string" then
    for one in (attribute .. ","):gmatch("([^,]*),") do getters[#getters + 1] = getter(S, one, post) end
  else
    getters[1] = getter(S, attribute, post)
  end
  return function(v)
    local key = {}
    for i, get in ipairs(getters) do key[i] = get(v) end
    return V.list(key)
  end
end

-- A stable sort: table.sort is not, and breaks when a comparison raises midway.
local function sort_by(S, items, n, key_of, reverse)
  local keyed = {}
  for i = 1, n do keyed[i] = { key = key_of(items[i]), value = items[i] } end
  local function before(a, b)
    S:tick(1)
    local c = V.compare(a.key, b.key) or 0
    if reverse then return c > 0 end
    return c < 0
  end
  local width, from, to = 1, keyed, {}
  while width < n do
    for lo = 1, n, 2 * width do
      local mid, hi = math.min(lo + width, n + 1), math.min(lo + 2 * width, n + 1)
      local i, j = lo, mid
      for k = lo, hi - 1 do
        if i < mid and (j >= hi or not before(from[j], from[i])) then
          to[k], i = from[i], i + 1
        else
          to[k], j = from[j], j + 1
        end
      end
    end
    from, to, width = to, from, width * 2
  end
  local out = {}
  for i = 1, n do out[i] = from[i].value end
  return out
end

-- Text -----------------------------------------------------------------------------------------------------------------

filter("upper", {}, text_filter(ustring.upper))
filter("lower", {}, text_filter(ustring.lower))
filter("capitalize", {}, text_filter(ustring.capitalize))
filter("title", {}, function(S, v)
  local s = V.str(v, S.strict)
  local out, start = {}, true
  for i, c in ipairs(ustring.chars(s)) do
    local separates = ustring.space[c] or c == "-" or c == "(" or c == "{" or c == "[" or c == "<"
    if separates then
      out[i] = c
    else
      out[i] = start and ustring.upper(c) or ustring.lower(c)
    end
    start = separates
  end
  return table.concat(out)
end)
local trim = text_filter(ustring.strip)
filter("trim", { "chars" }, function(S, v, chars)
  if missing(chars) then
    if type(v) == "string" then return ustring.strip(v) end
    return trim(S, v)
  end
  local set = ustring.set(methods.text_arg(chars))
  return text_filter(function(s) return ustring.strip(s, set) end)(S, v)
end)
filter("string", {}, function(S, v)
  if type(v) == "table" and v.k == "markup" then return v end
  return V.str(v, S.strict)
end)
filter("replace", { "old", "new", "count" }, function(S, v, old, new, count)
  local max = missing(count) and -1 or int_arg(count)
  return methods.replace(S, V.str(v, S.strict), V.str(old, S.strict), V.str(new, S.strict), max)
end)
filter("join", { "d", "attribute" }, function(S, v, d, attribute)
  local items, n = V.items(v)
  local get = not missing(attribute) and getter(S, attribute) or nil
  return methods.join(S, d == nil and "" or V.str(d, S.strict), items, n, function(item)
    if get then item = get(item) end
    return V.str(item, S.strict)
  end)
end)
filter("indent", { "width", "first", "blank" }, function(S, v, width, first, blank)
  local pad = type(width) == "string" and width or nil
  if not pad then
    local n = int_arg(width, 4)
    S:need_room(n)
    pad = (" "):rep(n)
  end
  local is_markup = V.kind(v) == "markup"
  local s = V.text(V.need(v))
  if not s then fail("indent needs a string, not " .. V.type_name(v)) end
  local lines = ustring.splitlines(s .. "\n")
  S:tick(#lines)
  S:need_room(#s + #lines * (#pad + 1))
  for i = 2, #lines do
    if lines[i] ~= "" or flag(blank) then lines[i] = pad .. lines[i] end
  end
  local out = table.concat(lines, "\n")
  if flag(first) then out = pad .. out end
  return is_markup and V.markup(out) or out
end)
filter("center", { "width" }, function(S, v, width)
  return methods.call_method(S, V.str(v, S.strict), "center", methods.str.center, { n = 1, width or 80 })
end)
filter("truncate", { "length", "killwords", "end", "leeway" }, function(_, v, length, kill, ending, leeway)
  length, ending, leeway = int_arg(length, 255), ending and V.str(ending) or "...", missing(leeway) and 5 or int_arg(leeway)
  local ending_length = ustring.len(ending)
  if length < ending_length then fail("expected length >= " .. ending_length .. ", got " .. length, "AssertionError") end
  if V.length(v) <= length + leeway then return v end
  local cs = ustring.chars(methods.text_arg(v))
  local kept = table.concat(cs, "", 1, length - ending_length)
  if not flag(kill) then kept = kept:match("^(.*) [^ ]*$") or kept end
  return kept .. ending
end)
filter("wordcount", {}, function(S, v)
  local n, inside = 0, false
  for _, c in ipairs(ustring.chars(V.str(v, S.strict))) do
    local word = c == "_" or ustring.is_alpha(c) or ustring.is_digit(c)
    if word and not inside then n = n + 1 end
    inside = word
  end
  return n
end)
F.format = { rest = true, fn = function(S, v, args, kwargs)
  if args.n > 0 and kwargs then fail("can't handle positional and keyword arguments at the same time") end
  if kwargs then
    local d = V.dict()
    for _, pair in ipairs(kwargs) do V.dict_set(d, pair.key, pair.value) end
    return format.percent(S, V.str(v, S.strict), d)
  end
  return format.percent(S, V.str(v, S.strict), V.tuple(args, args.n))
end }
filter("urlencode", {}, function(S, v)
  local function quote(x, for_query)
    local s = V.str(x, S.strict)
    s = s:gsub(for_query and "[^A-Za-z0-9_.~ -]" or "[^A-Za-z0-9_.~/-]", function(c) return string.format("%%%02X", c:byte()) end)
    return for_query and (s:gsub(" ", "+")) or s
  end
  if V.text(v) or not V.is_iterable(v) then return quote(v) end
  local pairs_list, n = V.items(V.kind(v) == "dict" and methods.dict.items.fn(S, v) or v)
  local out = {}
  for i = 1, n do
    local kv, m = V.items(pairs_list[i])
    if m ~= 2 then fail("urlencode needs pairs of key and value", "ValueError") end
    out[i] = quote(kv[1], true) .. "=" .. quote(kv[2], true)
  end
  return table.concat(out, "&")
end)
filter("escape e", {}, function(_, v) return V.escape(v) end)
filter("forceescape", {}, function(_, v) return V.escape(V.str(v)) end)
filter("safe", {}, function(_, v) return V.markup(V.str(v)) end)
-- Text without comments and tags; what is not closed stays.
local function without_tags(s)
  local out, at = {}, 1
  while true do
    local from = s:find("<", at, true)
    if not from then break end
    local comment = s:sub(from, from + 3) == "<!--"
    local _, stop = s:find(comment and "-->" or ">", comment and from + 4 or from, true)
    if not stop then break end
    out[#out + 1] = s:sub(at, from - 1)
    at = stop + 1
  end
  return table.concat(out) .. s:sub(at)
end

local ENTITIES = { amp = "&", lt = "<", gt = ">", quot = '"', apos = "'", nbsp = "\u{a0}", raquo = "»", laquo = "«", copy = "©",
  reg = "®", hellip = "…", mdash = "—", ndash = "–", lsquo = "‘", rsquo = "’", ldquo = "“", rdquo = "”", euro = "€", middot = "·" }

local function unescape(s)
  return (s:gsub("&(#?)([%w]+);", function(number, name)
    if number == "" then return ENTITIES[name] end
    local code = name:match "^[xX](%x+)$"
    code = code and tonumber(code, 16) or (name:find "^%d+$" and tonumber(name))
    if not code or code > 0x10FFFF or code < 32 or (code >= 0xD800 and code <= 0xDFFF) then return nil end
    return utf8.char(code)
  end))
end

filter("striptags", {}, function(S, v)
  local s = V.str(v, S.strict)
  S:tick(#s >> 4)
  local words = methods.str.split.fn(S, without_tags(s))
  return unescape(table.concat(words, " "))
end)
filter("xmlattr", { "autospace" }, function(S, v, autospace)
  if V.kind(V.need(v)) ~= "dict" then fail("'" .. V.type_name(v) .. "' object has no attribute 'items'", "AttributeError") end
  local out, size = {}, 0
  for i = 1, v.n do
    local key, value = v.keys[i], v.vals[i]
    if value ~= NONE and V.kind(value) ~= "undefined" then
      if methods.text_arg(key):find "[%s/>=]" then fail("Invalid character in attribute name: " .. V.repr(key), "ValueError") end
      out[#out + 1] = V.escape(key).s .. '="' .. V.escape(value).s .. '"'
      size = size + #out[#out]
    end
  end
  S:need_room(size)
  local text = table.concat(out, " ")
  if text ~= "" and (autospace == nil or V.truth(autospace)) then text = " " .. text end
  return text
end)
filter("pprint", {}, function(S, v)
  local text = pretty.format(v)
  S:need_room(#text)
  return text
end)
filter("wordwrap", { "width", "break_long_words", "wrapstring", "break_on_hyphens" }, function(S, v, width, break_long, joined, hyphens)
  local s = methods.text_arg(v)
  S:tick(#s >> 3)
  joined = missing(joined) and "\n" or methods.text_arg(joined)
  S:need_room(#s * (1 + #joined))
  return wrap.wrap(s, int_arg(width, 79), { joined = joined, break_long = break_long == nil or V.truth(break_long),
    hyphens = hyphens == nil or V.truth(hyphens) })
end)
filter("tojson", { "ensure_ascii", "indent", "separators", "sort_keys" }, function(S, v, ascii, indent, separators, sort_keys)
  S:tick(1)
  return json.dumps(v, {
    indent = indent, separators = separators, ensure_ascii = flag(ascii), sort_keys = flag(sort_keys), max = S.max_output,
  })
end)

-- Numbers --------------------------------------------------------------------------------------------------------------

-- int(text, base) of Python, or nil.
local function parse_int(s, base)
  s = ustring.strip(s)
  local sign, body = s:match("^([+-]?)(.*)$")
  if base == 16 then body = body:gsub("^0[xX]", "") elseif base == 8 then body = body:gsub("^0[oO]", "")
  elseif base == 2 then body = body:gsub("^0[bB]", "") end
  if not body:find("^[0-9A-Za-z]") or body:find("[^0-9A-Za-z_]") or body:find("__") or body:find("_$") then return nil end
  local n = tonumber((body:gsub("_", "")), base)
  if not n then return nil end
  n = math.tointeger(n)
  return n and (sign == "-" and -n or n)
end

local FLOAT_WORDS = { inf = math.huge, infinity = math.huge, nan = 0 / 0 }

local function parse_float(s)
  s = ustring.strip(s)
  local sign, body = s:match("^([+-]?)(.*)$")
  local word = FLOAT_WORDS[body:lower()]
  if word then return sign == "-" and -word or word end
  if body:find("[xXpP]") or not body:find("^%.?%d") then return nil end
  local n = tonumber((body:gsub("(%d)_(%d)", "%1%2")))
  return n and (sign == "-" and -n or n) + 0.0
end

local function truncated(f)
  if f ~= f or f == math.huge or f == -math.huge then return nil end
  return math.tointeger(f < 0 and math.ceil(f) or math.floor(f))
end

filter("int", { "default", "base" }, function(_, v, default, base)
  default = default == nil and 0 or default
  if V.kind(v) == "undefined" then V.fail_undefined(v) end
  local s = V.text(v)
  if s then
    local n = parse_int(s, int_arg(base, 10))
    if n then return n end
    local f = parse_float(s)
    return f and truncated(f) or default
  end
  local n = V.number(v)
  if not n then return default end
  return math.type(n) == "integer" and n or truncated(n) or default
end)
filter("float", { "default" }, function(_, v, default)
  if V.kind(v) == "undefined" then V.fail_undefined(v) end
  local s = V.text(v)
  local n = s and parse_float(s) or V.number(v)
  if n then return n + 0.0 end
  return default == nil and 0.0 or default
end)
filter("abs", {}, function(_, v)
  local n = V.number(V.need(v))
  if not n then fail("bad operand type for abs(): '" .. V.type_name(v) .. "'") end
  return n < 0 and -n or n
end)
filter("round", { "precision", "method" }, function(_, v, precision, method)
  local n = V.number(V.need(v))
  if not n then fail("type " .. V.type_name(v) .. " doesn't define __round__ method") end
  precision = int_arg(precision, 0)
  method = method or "common"
  if method == "common" then
    if math.type(n) == "integer" and precision >= 0 then return n end
    if precision >= 0 and precision <= 60 then
      local rounded = tonumber((string.format("%." .. precision .. "f", n):gsub(",", ".")))
      if rounded == 0 and n < 0 then return -0.0 end
      return rounded + 0.0
    end
    local scale = 10.0 ^ precision
    local x = n * scale
    local whole = math.floor(x)
    local rest = x - whole
    if rest > 0.5 or (rest == 0.5 and whole % 2 == 1) then whole = whole + 1 end
    local result = whole / scale
    if result == 0 and n < 0 and math.type(n) == "float" then return -0.0 end
    return math.type(n) == "integer" and math.tointeger(result) or result
  elseif method == "ceil" or method == "floor" then
    local scale = 10 ^ precision
    return math[method](n * scale) / scale
  end
  fail("method must be common, ceil or floor", "FilterArgumentError")
end)
filter("filesizeformat", { "binary" }, function(_, v, binary)
  local bytes = V.number(V.need(v)) or (V.text(v) and parse_float(V.text(v)))
  if not bytes and V.text(v) then fail("could not convert string to float: " .. V.repr(v), "ValueError") end
  if not bytes then fail("float() argument must be a string or a real number, not '" .. V.type_name(v) .. "'") end
  local base = flag(binary) and 1024 or 1000
  local units = flag(binary) and { "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" }
    or { "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" }
  if bytes == 1 then return "1 Byte" end
  if bytes < base then return string.format("%d Bytes", truncated(bytes + 0.0)) end
  for i, unit in ipairs(units) do
    local size = base ^ (i + 1)
    if bytes < size or i == #units then return string.format("%.1f %s", base * bytes / size, unit) end
  end
end)

-- Sequences ------------------------------------------------------------------------------------------------------------

filter("length count", {}, function(_, v) return V.length(v) end)
filter("list", {}, function(S, v)
  local items, n = V.items(v)
  S:tick(n)
  return V.list(table.move(items, 1, n, 1, {}), n)
end)
filter("first", {}, function(_, v)
  if V.kind(v) == "gen" then
    local i = (v.used or 0) + 1
    if i > v.n then return V.undefined(nil, nil, "No first item, sequence was empty.") end
    v.used = i
    return v[i]
  end
  local items, n = V.items(v)
  if n == 0 then return V.undefined(nil, nil, "No first item, sequence was empty.") end
  return items[1]
end)
filter("last", {}, function(_, v)
  local k = V.kind(v)
  if k == "gen" then fail("'" .. V.type_name(v) .. "' object is not reversible") end
  local items, n = V.items(v)
  if n == 0 then return V.undefined(nil, nil, "No last item, sequence was empty.") end
  return items[n]
end)
filter("reverse", {}, function(S, v)
  local s = V.text(v)
  if s then
    local cs = ustring.chars(s)
    local out, n = {}, #cs
    for i = 1, n do out[i] = cs[n + 1 - i] end
    return table.concat(out)
  end
  local items, n = V.items(v)
  S:tick(n)
  local out = {}
  for i = 1, n do out[i] = items[n + 1 - i] end
  local k = V.kind(v)
  if k == "gen" or k == "undefined" then return V.list(out, n) end
  return V.generator(out, n)
end)
filter("default d", { "default_value", "boolean" }, function(_, v, default, boolean)
  if V.kind(v) == "undefined" or (flag(boolean) and not V.truth(v)) then return default == nil and "" or default end
  return v
end)
filter("items", {}, function(S, v)
  if V.kind(v) == "undefined" then return V.generator({}, 0) end
  if V.kind(v) ~= "dict" then fail("Can only get item pairs from a mapping.") end
  local view = methods.dict.items.fn(S, v)
  return V.generator(table.move(view, 1, view.n, 1, {}), view.n)
end)
filter("dictsort", { "case_sensitive", "by", "reverse" }, function(S, v, case_sensitive, by, reverse)
  by = by or "key"
  if by ~= "key" and by ~= "value" then fail('You can only sort by either "key" or "value"', "FilterArgumentError") end
  if V.kind(V.need(v)) ~= "dict" then fail("'" .. V.type_name(v) .. "' object has no attribute 'items'", "AttributeError") end
  local view = methods.dict.items.fn(S, v)
  local post = flag(case_sensitive) and function(x) return x end or ignore_case
  local place = by == "key" and 1 or 2
  return V.list(sort_by(S, view, view.n, function(pair) return post(pair[place]) end, flag(reverse)), view.n)
end)
filter("sort", { "reverse", "case_sensitive", "attribute" }, function(S, v, reverse, case_sensitive, attribute)
  local items, n = V.items(v)
  local key_of = multi_getter(S, attribute, not flag(case_sensitive) and ignore_case or nil)
  return V.list(sort_by(S, items, n, key_of, flag(reverse)), n)
end)
filter("unique", { "case_sensitive", "attribute" }, function(S, v, case_sensitive, attribute)
  local items, n = V.items(v)
  local key_of = getter(S, attribute, not flag(case_sensitive) and ignore_case or nil)
  local seen, out, m = {}, {}, 0
  S:tick(n)
  for i = 1, n do
    local h = V.hash(key_of(items[i]))
    if not seen[h] then
      seen[h] = true
      m = m + 1
      out[m] = items[i]
    end
  end
  return V.generator(out, m)
end)

local function extreme(sign)
  return function(S, v, case_sensitive, attribute)
    local items, n = V.items(v)
    if n == 0 then return V.undefined(nil, nil, "No aggregated item, sequence was empty.") end
    local key_of = getter(S, attribute, not flag(case_sensitive) and ignore_case or nil)
    local best, best_key = items[1], key_of(items[1])
    S:tick(n)
    for i = 2, n do
      local key = key_of(items[i])
      if (V.compare(key, best_key) or 0) == sign then best, best_key = items[i], key end
    end
    return best
  end
end
filter("min", { "case_sensitive", "attribute" }, extreme(-1))
filter("max", { "case_sensitive", "attribute" }, extreme(1))
filter("sum", { "attribute", "start" }, function(S, v, attribute, start)
  local items, n = V.items(v)
  local get = getter(S, attribute)
  local total = start == nil and 0 or start
  for i = 1, n do total = S.add(S, total, get(items[i])) end
  S:tick(n)
  return total
end)

filter("batch", { "linecount", "fill_with" }, function(S, v, count, fill)
  local items, n = V.items(v)
  count = int_arg(count)
  if not count or count < 1 then fail("batch needs a positive number") end
  S:tick(n + (missing(fill) and 0 or count))
  local out = {}
  for from = 1, n, count do
    local row = table.move(items, from, math.min(from + count - 1, n), 1, {})
    if not missing(fill) then
      for i = #row + 1, count do row[i] = fill end
    end
    out[#out + 1] = V.list(row)
  end
  return V.generator(out)
end)
filter("slice", { "slices", "fill_with" }, function(S, v, slices, fill)
  local items, n = V.items(v)
  slices = int_arg(slices)
  if not slices or slices < 1 then fail("slice needs a positive number") end
  S:tick(n + slices)
  local per, extra = n // slices, n % slices
  local out, from = {}, 1
  for i = 1, slices do
    local size = per + (i <= extra and 1 or 0)
    local column = table.move(items, from, from + size - 1, 1, {})
    if not missing(fill) and i > extra then column[#column + 1] = fill end
    out[i] = V.list(column, #column)
    from = from + size
  end
  return V.generator(out)
end)
filter("groupby", { "attribute", "default", "case_sensitive" }, function(S, v, attribute, default, case_sensitive)
  local items, n = V.items(v)
  local key_of = getter(S, attribute, not flag(case_sensitive) and ignore_case or nil, default)
  local plain = getter(S, attribute, nil, default)
  local sorted = sort_by(S, items, n, key_of, false)
  local out, group, group_key = {}, nil, nil
  for i = 1, n do
    local key = key_of(sorted[i])
    if group and V.equal(key, group_key) then
      group.n = group.n + 1
      group[group.n] = sorted[i]
    else
      group, group_key = V.list({ sorted[i] }, 1), key
      out[#out + 1] = V.tuple({ plain(sorted[i]), group }, 2)
    end
  end
  return V.list(out)
end)
filter("attr", { "name" }, function(S, v, name) return methods.attr(S, v, V.str(name)) end)

F.map = { rest = true, fn = function(S, v, args, kwargs)
  if not V.truth(v) then return V.generator({}, 0) end
  local items, n = V.items(v)
  local apply
  if args.n == 0 and kwargs then
    local bound = methods.bind("map", { "attribute", "default" }, args, kwargs)
    apply = getter(S, bound[1], nil, bound[2])
  else
    if args.n == 0 then fail("map requires a filter argument", "FilterArgumentError") end
    local name = V.str(args[1])
    local rest = table.move(args, 2, args.n, 1, { n = args.n - 1 })
    apply = function(item) return M.apply(S, name, item, rest, kwargs) end
  end
  S:tick(n)
  local out = {}
  for i = 1, n do out[i] = apply(items[i]) end
  return V.generator(out, n)
end }

local function selector(wanted, by_attribute)
  return { rest = true, fn = function(S, v, args, kwargs)
    if not V.truth(v) then return V.generator({}, 0) end
    local items, n = V.items(v)
    local first, get = 1, nil
    if by_attribute then
      if args.n == 0 then fail("Missing parameter for attribute name", "FilterArgumentError") end
      get, first = getter(S, args[1]), 2
    end
    local name = args.n >= first and V.str(args[first]) or nil
    local rest = { n = math.max(0, args.n - first) }
    table.move(args, first + 1, args.n, 1, rest)
    S:tick(n)
    local out, m = {}, 0
    for i = 1, n do
      local value = items[i]
      if get then value = get(value) end
      local holds
      if name then holds = M.check(S, name, value, rest, kwargs) else holds = V.truth(value) end
      if holds == wanted then
        m = m + 1
        out[m] = items[i]
      end
    end
    return V.generator(out, m)
  end }
end
F.select, F.reject = selector(true, false), selector(false, false)
F.selectattr, F.rejectattr = selector(true, true), selector(false, true)

-- Tests ----------------------------------------------------------------------------------------------------------------

local function test(names, params, fn)
  for name in names:gmatch("%S+") do T[name] = { params = params, fn = fn, required = #params } end
end

local function of_kind(wanted)
  return function(_, v) return V.kind(v) == wanted end
end

test("defined", {}, function(_, v) return V.kind(v) ~= "undefined" end)
test("undefined", {}, of_kind("undefined"))
test("none", {}, of_kind("none"))
test("boolean", {}, of_kind("bool"))
test("true", {}, function(_, v) return v == true end)
test("false", {}, function(_, v) return v == false end)
test("integer", {}, of_kind("int"))
test("float", {}, of_kind("float"))
test("number", {}, function(_, v) return V.number(v) ~= nil end)
test("string", {}, function(_, v) return V.text(v) ~= nil end)
test("mapping", {}, of_kind("dict"))
test("iterable", {}, function(_, v) return V.is_iterable(v) end)
test("sequence", {}, function(_, v)
  local k = V.kind(v)
  return V.text(v) ~= nil or k == "dict" or k == "undefined" or V.SEQUENCE[k] == true
end)
test("callable", {}, function(_, v)
  local k = V.kind(v)
  return k == "macro" or k == "func" or k == "method" or k == "loop" or k == "object" or k == "undefined"
end)
test("escaped", {}, of_kind("markup"))
test("lower", {}, function(_, v) return methods.str.islower.fn(nil, V.str(v)) end)
test("upper", {}, function(_, v) return methods.str.isupper.fn(nil, V.str(v)) end)
test("filter", {}, function(_, v) return F[V.hash(v)] ~= nil end)
test("test", {}, function(_, v) return T[V.hash(v)] ~= nil end)
test("sameas", { "other" }, function(_, v, other)
  if type(v) == "number" then return math.type(v) == math.type(other) and v == other end
  return rawequal(v, other)
end)
test("in", { "seq" }, function(_, v, seq) return V.contains(seq, v) end)

local function integer_test(names, params, fn)
  test(names, params, function(_, v, other)
    local n = V.number(V.need(v))
    if not n then fail("not all arguments converted during string formatting") end
    return fn(n, other)
  end)
end
integer_test("odd", {}, function(n) return n % 2 == 1 end)
integer_test("even", {}, function(n) return n % 2 == 0 end)
integer_test("divisibleby", { "num" }, function(n, by)
  local d = V.number(by)
  if not d or d == 0 then fail("integer modulo by zero", "ZeroDivisionError") end
  return n % d == 0
end)

test("== eq equalto", { "other" }, function(_, v, other) return V.equal(v, other) end)
test("!= ne", { "other" }, function(_, v, other) return not V.equal(v, other) end)
test("< lt lessthan", { "other" }, function(_, v, other) return V.compare(v, other, "<") == -1 end)
test("> gt greaterthan", { "other" }, function(_, v, other) return V.compare(v, other, ">") == 1 end)
test("<= le", { "other" }, function(_, v, other) return (V.compare(v, other, "<=") or 2) <= 0 end)
test(">= ge", { "other" }, function(_, v, other) return (V.compare(v, other, ">=") or -2) >= 0 end)

F.replace.required = 2
for _, name in ipairs { "batch", "slice", "groupby", "attr" } do F[name].required = 1 end

-- Use ------------------------------------------------------------------------------------------------------------------

local MISSING = {
  random = "a random choice would make runs differ", urlize = "it makes links for web pages",
}

--- The filter called `name`, or nil and the message to show.
function M.find_filter(name)
  if F[name] then return F[name] end
  if MISSING[name] then return nil, "the filter '" .. name .. "' is not available: " .. MISSING[name] end
  return nil, "no filter named '" .. name .. "'"
end

--- The test called `name`, or nil and the message to show.
function M.find_test(name)
  if T[name] then return T[name] end
  return nil, "no test named '" .. name .. "'"
end

local function run(S, name, def, v, args, kwargs)
  S:tick(1)
  if def.rest then return def.fn(S, v, args, kwargs) end
  local bound = methods.bind(name, def.params, args, kwargs)
  methods.check_required(name, def, bound)
  return def.fn(S, v, bound[1], bound[2], bound[3], bound[4])
end
M.run = run

--- Applies a filter by name.
function M.apply(S, name, v, args, kwargs)
  local def, why = M.find_filter(name)
  if not def then fail(why, "TemplateRuntimeError") end
  return run(S, name, def, v, args, kwargs)
end

--- Checks a test by name.
function M.check(S, name, v, args, kwargs)
  local def, why = M.find_test(name)
  if not def then fail(why, "TemplateRuntimeError") end
  return run(S, name, def, v, args, kwargs)
end

return M
