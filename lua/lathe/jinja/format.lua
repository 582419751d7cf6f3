-- SPDX-License-Identifier: MIT
-- Python's two ways of formatting: "%s and %d" % (…) and "{} {name:>8}".format(…).
--
-- Both are bounded: a width or precision above 100,000 is refused, so a template cannot ask for a gigabyte
-- of blanks.

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"

local M = {}

local MAX_WIDTH = 100000

local function pad(s, width, align, fill)
  local missing = width - ustring.len(s)
  if missing <= 0 then return s end
  if align == "<" then return s .. fill:rep(missing) end
  if align == "^" then
    local left = missing // 2
    return fill:rep(left) .. s .. fill:rep(missing - left)
  end
  return fill:rep(missing) .. s
end

local function bounded(digits, what)
  local n = tonumber(digits)
  if n and n > MAX_WIDTH then V.fail("a " .. what .. " of " .. digits .. " is too large", "limit") end
  return n
end

local function take(s, n)
  local cs = ustring.chars(s)
  return table.concat(cs, "", 1, math.min(n, #cs))
end

local function with_commas(digits, comma)
  if not comma then return digits end
  local whole, rest = digits:match("^(%d+)(.*)$")
  whole = whole:reverse():gsub("(%d%d%d)", "%1" .. comma):reverse():gsub("^" .. comma, "")
  return whole .. rest
end

local function as_integer(v, code)
  local n = V.number(v)
  if not n then V.fail("%" .. code .. " format: a real number is required, not " .. V.type_name(v)) end
  local i = math.tointeger(n) or math.tointeger(n < 0 and math.ceil(n) or math.floor(n))
  if not i then V.fail("cannot convert " .. V.str(v) .. " to an integer", "ValueError") end
  return i
end

local function fixed(format, n)
  if n ~= n then return "nan" end
  if n == math.huge then return "inf" end
  return (string.format(format, n):gsub(",", "."))
end

-- The digits of |number| in the presentation `code`.
local function digits_of(code, n, precision, alternate)
  if code == "d" then return string.format("%d", n) end
  if code == "x" or code == "X" then return (alternate and "0" .. code or "") .. string.format("%" .. code, n) end
  if code == "o" then return (alternate and "0o" or "") .. string.format("%o", n) end
  if code == "b" then
    local bits = {}
    repeat
      table.insert(bits, 1, n & 1)
      n = n >> 1
    until n == 0
    return (alternate and "0b" or "") .. table.concat(bits)
  end
  if code == "%" then return fixed("%." .. (precision or 6) .. "f", n * 100) .. "%" end
  return fixed("%." .. math.min(precision or 6, 99) .. code, n)
end

--- The % operator on a string.
-- @param S state: of the render (strict)
-- @param format string
-- @param args value: a tuple, a dict, or one value
-- @return string
function M.percent(S, format, args)
  local is_tuple = V.kind(args) == "tuple"
  local used = 0
  local function next_arg()
    used = used + 1
    if is_tuple then
      if used > args.n then V.fail("not enough arguments for format string") end
      return args[used]
    end
    if used > 1 then V.fail("not enough arguments for format string") end
    return args
  end
  local out, i, named = {}, 1, false
  while true do
    local at = format:find("%", i, true)
    if not at then break end
    out[#out + 1] = format:sub(i, at - 1)
    local key, after = format:match("^%(([^)]*)%)()", at + 1)
    local flags, width, rest = format:match("^([#0%- +]*)(%d*)()", after or at + 1)
    local precision, code, stop = format:match("^%.?(%d*)[hlL]?(.)()", rest)
    if not code then V.fail("incomplete format", "ValueError") end
    local has_precision = format:sub(rest, rest) == "."
    width = bounded(width, "width") or 0
    precision = has_precision and (bounded(precision, "precision") or 0) or nil
    if code == "%" then
      out[#out + 1] = "%"
    else
      local v
      if key then
        if V.kind(args) ~= "dict" then V.fail("format requires a mapping") end
        named = true
        v = V.dict_get(args, key)
        if v == nil then V.fail(V.repr(key), "KeyError") end
      else
        v = next_arg()
      end
      local text
      if code == "s" or code == "r" or code == "a" then
        text = code == "s" and V.str(v, S.strict) or V.repr(v)
        if precision then text = take(text, precision) end
      elseif code == "c" then
        text = type(v) == "string" and v or utf8.char(as_integer(v, code))
      elseif code:find("[diuoxXeEfFgG]") then
        local n
        if code:find("[diuoxX]") then
          n = as_integer(v, code)
          code = code:gsub("[iu]", "d")
        else
          n = V.number(v)
          if not n then V.fail("must be real number, not " .. V.type_name(v)) end
        end
        local sign = n < 0 and "-" or flags:find("+", 1, true) and "+" or flags:find(" ", 1, true) and " " or ""
        text = digits_of(code, n < 0 and -n or n, precision, flags:find("#", 1, true) ~= nil)
        if flags:find("0", 1, true) and not flags:find("-", 1, true) then
          text = pad(text, width - #sign, ">", "0")
        end
        text = sign .. text
      else
        V.fail("unsupported format character '" .. code .. "'", "ValueError")
      end
      out[#out + 1] = pad(text, width, flags:find("-", 1, true) and "<" or ">", " ")
    end
    i = stop
  end
  out[#out + 1] = format:sub(i)
  local k = V.kind(args)
  local subscriptable = k == "dict" or k == "list" or k == "range" or k == "undefined"      -- what Python takes for a mapping
  if (is_tuple and used < args.n) or (not is_tuple and used == 0 and not named and not subscriptable) then
    V.fail("not all arguments converted during string formatting")
  end
  return table.concat(out)
end

-- The format specification of str.format: [[fill]align][sign][#][0][width][,][.precision][type]
local function apply_spec(S, v, spec)
  if spec == "" then return V.str(v, S.strict) end
  local cs = ustring.chars(spec)
  local fill, align, at = " ", nil, 1
  if cs[2] and cs[2]:find("^[<>=^]$") then
    fill, align, at = cs[1], cs[2], #cs[1] + 2
  elseif cs[1]:find("^[<>=^]$") then
    align, at = cs[1], 2
  end
  local sign, alternate, zero, width, comma, after = spec:match("^([+%- ]?)(#?)(0?)(%d*)([,_]?)()", at)
  local precision, code = spec:match("^%.(%d+)(.?)$", after)
  if not precision then code = spec:match("^(.?)$", after) end
  if not code then V.fail("Invalid format specifier '" .. spec .. "'", "ValueError") end
  width = bounded(width, "width") or 0
  precision = bounded(precision or "", "precision")
  if zero == "0" and not align then fill, align = "0", "=" end
  local n = V.number(v)
  if type(v) == "boolean" and code == "" then n = nil end
  if not n then
    if code ~= "" and code ~= "s" then
      V.fail("Unknown format code '" .. code .. "' for object of type '" .. V.type_name(v) .. "'", "ValueError")
    end
    local text = V.str(v, S.strict)
    if precision then text = take(text, precision) end
    return pad(text, width, align == "=" and ">" or align or "<", fill)
  end
  local negative = n < 0
  local magnitude = negative and -n or n
  local text
  if code == "" then
    if precision then
      text = fixed("%." .. math.min(math.max(precision, 1), 99) .. "g", magnitude)
    else
      text = V.str(magnitude)
    end
  elseif code:find("[dxXob]") then
    if math.type(n) ~= "integer" then
      V.fail("Unknown format code '" .. code .. "' for object of type 'float'", "ValueError")
    end
    text = digits_of(code, magnitude, nil, alternate == "#")
  elseif code:find("[eEfFgG%%]") then
    text = digits_of(code, magnitude, precision, false)
  else
    V.fail("Unknown format code '" .. code .. "'", "ValueError")
  end
  text = with_commas(text, comma ~= "" and comma or nil)
  local mark = negative and "-" or (sign == "+" or sign == " ") and sign or ""
  if align == "=" then return mark .. pad(text, width - #mark, ">", fill) end
  return pad(mark .. text, width, align or ">", fill)
end

--- str.format.
-- @param S state
-- @param format string
-- @param args table: { n, … } positional
-- @param kwargs table|nil: array of { key, value }
-- @param getattr function: (S, value, name) -> value, of the sandbox
-- @param getitem function: (S, value, key) -> value
-- @return string
function M.format(S, format, args, kwargs, getattr, getitem)
  local out, i, auto, manual = {}, 1, 0, false
  local function field(name)
    local head, rest = name:match("^([^.%[]*)(.*)$")
    local v
    if head == "" and manual or auto > 0 and head:find("^%d+$") then
      V.fail("cannot switch between manual field specification and automatic field numbering", "ValueError")
    end
    manual = manual or head:find("^%d+$") ~= nil
    if head == "" then
      auto = auto + 1
      head = tostring(auto - 1)
    end
    if head:find("^%d+$") then
      local n = tonumber(head)
      if n >= args.n then V.fail("Replacement index " .. head .. " out of range for positional args tuple", "IndexError") end
      v = args[n + 1]
    else
      for _, pair in ipairs(kwargs or {}) do
        if pair.key == head then v = pair.value end
      end
      if v == nil then V.fail(V.repr(head), "KeyError") end
    end
    while rest ~= "" do
      local attr, more = rest:match("^%.([^.%[]+)(.*)$")
      if attr then
        v = V.need(getattr(S, v, attr))
      else
        local key
        key, more = rest:match("^%[([^%]]+)%](.*)$")
        if not key then V.fail("malformed field in a format string", "ValueError") end
        v = V.need(getitem(S, v, math.tointeger(tonumber(key)) or key))
      end
      rest = more
    end
    return v
  end
  while i <= #format do
    local at = format:find("[{}]", i)
    if not at then break end
    out[#out + 1] = format:sub(i, at - 1)
    local c = format:sub(at, at)
    if format:sub(at + 1, at + 1) == c then
      out[#out + 1] = c
      i = at + 2
    elseif c == "}" then
      V.fail("Single '}' encountered in format string", "ValueError")
    else
      local body, stop = format:match("^([^{}]*)}()", at + 1)
      if not body then V.fail("a field of a format string is not closed, or nested", "ValueError") end
      local name, conversion, spec = body:match("^([^!:]*)!?([rsa]?):?(.*)$")
      local v = field(name)
      if conversion == "r" or conversion == "a" then v = V.repr(v) elseif conversion == "s" then v = V.str(v, S.strict) end
      out[#out + 1] = apply_spec(S, v, spec)
      i = stop
    end
  end
  out[#out + 1] = format:sub(i)
  return table.concat(out)
end

return M
