-- SPDX-License-Identifier: MIT
-- Strings as Python sees them: sequences of Unicode code points held as UTF-8.
--
-- Templates are written against Python's str, so `s[0]`, `s|length`, `.strip()` and `.upper()` count and
-- compare code points, not bytes. Pure ASCII strings take a fast path everywhere. A string that is not valid
-- UTF-8 is treated as one code point per byte, so that nothing is lost.
--
-- Case mapping covers ASCII, Latin-1, Latin Extended-A and Additional, Greek, Cyrillic, Armenian and the
-- full-width letters; other letters are their own upper and lower case.

local M = {}

local NON_ASCII = "[\x80-\xff]"

-- Called with a measure of the work before a long string is walked; lathe.jinja counts it against the
-- limit of the rendering.
local spend = function() end

--- Sets what is told about work on long strings.
-- @param f function: (units)
function M.set_spend(f) spend = f end

--- Whether `s` holds bytes outside ASCII.
-- @param s string
-- @return boolean
function M.is_ascii(s)
  return not s:find(NON_ASCII)
end

--- The code points of `s` as an array of strings.
-- @param s string: UTF-8
-- @return table: one string per code point
function M.chars(s)
  local out, n = {}, 0
  if #s >= 16 then spend(#s >> 4) end
  if not s:find(NON_ASCII) or not utf8.len(s, 1, -1, true) then
    for i = 1, #s do out[i] = s:sub(i, i) end
    return out
  end
  for c in s:gmatch("[\0-\x7f\xc2-\xfd][\x80-\xbf]*") do
    n = n + 1
    out[n] = c
  end
  return out
end

--- Number of code points.
-- @param s string
-- @return integer
function M.len(s)
  if #s >= 1024 then spend(#s >> 9) end
  if not s:find(NON_ASCII) then return #s end
  return utf8.len(s, 1, -1, true) or #s
end

-- Unicode White_Space as Python's str.strip and the `\s` of its regular expressions know it.
local SPACE = {}
for b = 9, 13 do SPACE[string.char(b)] = true end
for b = 28, 32 do SPACE[string.char(b)] = true end
for _, cp in ipairs { 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000 } do SPACE[utf8.char(cp)] = true end
for cp = 0x2000, 0x200A do SPACE[utf8.char(cp)] = true end
M.space = SPACE
local SPACE_BYTE = {}
for b = 0, 127 do SPACE_BYTE[b] = SPACE[string.char(b)] end

--- Whether the character is white space.
-- @param c string: one code point
-- @return boolean
function M.is_space(c)
  return SPACE[c] == true
end

-- Byte position of the start of the last code point that ends at byte `e`.
local function char_start(s, e)
  local b = e
  while b > 1 and e - b < 3 do
    local byte = s:byte(b)
    if byte < 0x80 or byte >= 0xC0 then break end
    b = b - 1
  end
  return b
end

-- Length in bytes of the code point that starts at byte `i`.
local function char_len(s, i)
  local b = s:byte(i)
  if b < 0x80 then return 1 end
  if b >= 0xF0 then return 4 end
  if b >= 0xE0 then return 3 end
  if b >= 0xC0 then return 2 end
  return 1
end
M.char_len = char_len

--- Removes leading code points that are in `set`.
-- @param s string
-- @param set table: code point -> true; white space when nil
-- @return string
function M.lstrip(s, set)
  local i, n = 1, #s
  if not set then
    set = SPACE
    while SPACE_BYTE[s:byte(i)] do i = i + 1 end
    if i <= n and s:byte(i) < 0x80 then n = 0 end -- that was all of it
  end
  while i <= n do
    local l = char_len(s, i)
    if not set[s:sub(i, i + l - 1)] then break end
    i = i + l
  end
  if i > 16 then spend(i >> 4) end
  return i == 1 and s or s:sub(i)
end

--- Removes trailing code points that are in `set`.
-- @param s string
-- @param set table: code point -> true; white space when nil
-- @return string
function M.rstrip(s, set)
  local e = #s
  local stop = 0
  if not set then
    set = SPACE
    while SPACE_BYTE[s:byte(e)] do e = e - 1 end
    if e > 0 and s:byte(e) < 0x80 then stop = e end -- that was all of it
  end
  while e > stop do
    local b = char_start(s, e)
    if not set[s:sub(b, e)] then break end
    e = b - 1
  end
  if #s - e > 16 then spend((#s - e) >> 4) end
  return e == #s and s or s:sub(1, e)
end

local byte = string.byte
local PLAIN = {}                              -- ASCII bytes that are no white space
for b = 0, 127 do PLAIN[b] = not SPACE_BYTE[b] end

--- Removes leading and trailing code points that are in `set`.
-- @param s string
-- @param set table: code point -> true; white space when nil
-- @return string
function M.strip(s, set)
  if not set then                             -- one copy where ASCII stands at both ends
    local i, e = 1, #s
    local first, last = byte(s, 1), byte(s, e)
    while SPACE_BYTE[first] do
      i = i + 1
      first = byte(s, i)
    end
    while e > i and SPACE_BYTE[last] do
      e = e - 1
      last = byte(s, e)
    end
    if PLAIN[first] and PLAIN[last] then
      if i + #s - e > 16 then spend((i + #s - e) >> 4) end
      return i == 1 and e == #s and s or s:sub(i, e)
    end
  end
  return M.lstrip(M.rstrip(s, set), set)
end

--- A set of the code points of `s`, for the strip functions.
-- @param s string
-- @return table
function M.set(s)
  local set = {}
  for _, c in ipairs(M.chars(s)) do set[c] = true end
  return set
end

-- Case tables, built once from ranges.
local UP, LOW = {}, {}
local function pair(u, l)
  LOW[utf8.char(u)] = utf8.char(l)
  UP[utf8.char(l)] = utf8.char(u)
end
local function shifted(first, last, by)
  for cp = first, last do pair(cp, cp + by) end
end
local function alternating(first, last)
  for cp = first, last, 2 do pair(cp, cp + 1) end
end
shifted(0x41, 0x5A, 32)
shifted(0xC0, 0xD6, 32)
shifted(0xD8, 0xDE, 32)
alternating(0x100, 0x12E)
alternating(0x132, 0x136)
alternating(0x139, 0x147)
alternating(0x14A, 0x176)
pair(0x178, 0xFF)
alternating(0x179, 0x17D)
alternating(0x1CD, 0x1DB)
alternating(0x1DE, 0x1EE)
alternating(0x1F8, 0x21E)
alternating(0x222, 0x232)
shifted(0x391, 0x3A1, 32)
shifted(0x3A3, 0x3AB, 32)
pair(0x386, 0x3AC)
shifted(0x388, 0x38A, 37)
pair(0x38C, 0x3CC)
pair(0x38E, 0x3CD)
pair(0x38F, 0x3CE)
shifted(0x410, 0x42F, 32)
shifted(0x400, 0x40F, 80)
alternating(0x460, 0x480)
alternating(0x48A, 0x4BE)
pair(0x4C0, 0x4CF)
alternating(0x4C1, 0x4CD)
alternating(0x4D0, 0x52E)
shifted(0x531, 0x556, 48)
alternating(0x1E00, 0x1E94)
alternating(0x1EA0, 0x1EFE)
shifted(0xFF21, 0xFF3A, 32)
UP["ß"] = "SS"
UP["µ"] = "Μ"
UP["ı"] = "I"
UP["ſ"] = "S"
UP["ŉ"] = "ʼN"
UP["ς"] = "Σ"
LOW["İ"] = "i̇"
LOW["ẞ"] = "ß"
local SPECIAL_CASED = { ["ß"] = true, ["ı"] = true, ["ſ"] = true, ["ŉ"] = true, ["ς"] = true, ["µ"] = true }

--- Whether the character is an upper-case or lower-case letter.
-- @param c string: one code point
-- @return boolean
function M.is_upper(c)
  return LOW[c] ~= nil
end

--- Whether the character is a lower-case letter.
-- @param c string: one code point
-- @return boolean
function M.is_lower(c)
  return (UP[c] ~= nil and LOW[c] == nil) or SPECIAL_CASED[c] == true
end

local function ascii_upper(s)
  if #s >= 16 then spend(#s >> 4) end
  return (s:gsub("[a-z]", function(c) return string.char(c:byte() - 32) end))
end
local function ascii_lower(s)
  if #s >= 16 then spend(#s >> 4) end
  return (s:gsub("[A-Z]", function(c) return string.char(c:byte() + 32) end))
end

--- Upper case.
-- @param s string
-- @return string
function M.upper(s)
  if M.is_ascii(s) then return ascii_upper(s) end
  local cs = M.chars(s)
  for i, c in ipairs(cs) do cs[i] = UP[c] or c end
  return table.concat(cs)
end

local function is_cased(c)
  return c ~= nil and (UP[c] ~= nil or LOW[c] ~= nil)
end

-- The lower case of the i-th character; a sigma that ends a word has a form of its own.
local function lower_at(cs, i)
  local c = cs[i]
  if c ~= "Σ" then return LOW[c] or c end
  return is_cased(cs[i - 1]) and not is_cased(cs[i + 1]) and "ς" or "σ"
end

--- The lower case of one character of a word.
-- @param cs table: the characters, one code point each
-- @param i integer: which
-- @return string
M.lower_at = lower_at

--- Lower case, with the final form of the Greek sigma.
-- @param s string
-- @return string
function M.lower(s)
  if M.is_ascii(s) then return ascii_lower(s) end
  local cs = M.chars(s)
  local out = {}
  for i = 1, #cs do out[i] = lower_at(cs, i) end
  return table.concat(out)
end

--- First code point in upper case, the rest in lower case (Python's capitalize).
-- @param s string
-- @return string
function M.capitalize(s)
  local cs = M.chars(s)
  local out = {}
  for i = 1, #cs do out[i] = lower_at(cs, i) end
  if cs[1] then out[1] = cs[1] == "ß" and "Ss" or UP[cs[1]] or cs[1] end
  return table.concat(out)
end

--- Whether the character is a letter. Outside ASCII: by the blocks of the scripts in use, not by the whole
-- Unicode table.
-- @param c string: one code point
-- @return boolean
function M.is_alpha(c)
  if #c == 1 then return c:find("^[A-Za-z]") ~= nil end
  if UP[c] or LOW[c] then return true end
  local cp = utf8.codepoint(c, 1, 1, true)
  if cp == 0xAA or cp == 0xBA then return true end
  if cp >= 0xC0 and cp <= 0x2C1 then return cp ~= 0xD7 and cp ~= 0xF7 end
  if cp >= 0x370 and cp <= 0x1FFF then
    return cp ~= 0x37E and cp ~= 0x387 and not (cp >= 0x660 and cp <= 0x669) and not (cp >= 0x966 and cp <= 0x96F)
  end
  return (cp >= 0x3041 and cp <= 0x3096) or (cp >= 0x30A1 and cp <= 0x30FA) or (cp >= 0x3400 and cp <= 0x9FFF)
    or (cp >= 0xAC00 and cp <= 0xD7A3) or (cp >= 0x20000 and cp <= 0x3134F)
end

--- Whether the character is a decimal digit.
-- @param c string: one code point
-- @return boolean
function M.is_digit(c)
  if #c == 1 then return c:find("^[0-9]") ~= nil end
  local cp = utf8.codepoint(c, 1, 1, true)
  return (cp >= 0x660 and cp <= 0x669) or (cp >= 0x6F0 and cp <= 0x6F9) or (cp >= 0x966 and cp <= 0x96F)
    or (cp >= 0xFF10 and cp <= 0xFF19)
end

--- Python's str.title: a letter after a non-letter in upper case, other letters in lower case.
-- @param s string
-- @return string
function M.title(s)
  local cs, out = M.chars(s), {}
  local previous = false
  for i, c in ipairs(cs) do
    local cased = is_cased(c) or SPECIAL_CASED[c] == true
    out[i] = c
    if cased then out[i] = previous and lower_at(cs, i) or (c == "ß" and "Ss" or UP[c] or c) end
    previous = cased
  end
  return table.concat(out)
end

--- The lines of `s` without their ends, as Python's splitlines.
-- @param s string
-- @param keepends boolean
-- @return table
function M.splitlines(s, keepends)
  spend(#s >> 4)
  local out = {}
  local start, i, n = 1, 1, #s
  while i <= n do
    local stop
    local b = s:byte(i)
    if b == 13 then
      stop = s:byte(i + 1) == 10 and i + 1 or i
    elseif (b >= 10 and b <= 12) or (b >= 28 and b <= 30) then
      stop = i
    elseif b == 0xC2 and s:byte(i + 1) == 0x85 then
      stop = i + 1
    elseif b == 0xE2 and s:byte(i + 1) == 0x80 and (s:byte(i + 2) == 0xA8 or s:byte(i + 2) == 0xA9) then
      stop = i + 2
    end
    if stop then
      out[#out + 1] = s:sub(start, keepends and stop or i - 1)
      start = stop + 1
      i = stop
    end
    i = i + 1
  end
  if start <= n then out[#out + 1] = s:sub(start) end
  return out
end

--- Order of two strings by bytes, which for UTF-8 is the order by code points. Lua's own `<` follows the
-- locale.
-- @param a string
-- @param b string
-- @return boolean: a comes before b
function M.less(a, b)
  local n = math.min(#a, #b)
  if n >= 16 then spend(n >> 4) end
  for i = 1, n do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

return M
