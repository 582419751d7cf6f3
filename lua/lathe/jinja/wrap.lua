-- SPDX-License-Identifier: MIT
-- The filter wordwrap: lines broken as Python's textwrap breaks them.
--
-- A line is cut into chunks: white space, words, the parts of a hyphenated word ("well-" "known"), dashes
-- between words. Chunks fill a line until the next one does not fit; white space at the ends of a line
-- goes; a chunk longer than a line is broken, at a hyphen if it has one. Widths count code points.

local V = require "lathe.jinja.value"
local ustring = require "lathe.jinja.ustring"

local M = {}

local BLANK = { ["\t"] = true, ["\n"] = true, ["\v"] = true, ["\f"] = true, ["\r"] = true, [" "] = true }
local PUNCT = {}
for c in ("!\"'&.,?_"):gmatch "." do PUNCT[c] = true end

local function is_letter(c) return c ~= nil and (c == "_" or ustring.is_alpha(c)) end
local function is_word(c) return c ~= nil and (c == "_" or ustring.is_alpha(c) or ustring.is_digit(c)) end
local function in_word(c) return c ~= nil and (PUNCT[c] or is_word(c)) end

-- First position behind a run of two hyphens or more that a word character follows; nil if there is none at i.
local function dash_end(cs, i)
  local j = i
  while cs[j] == "-" do j = j + 1 end
  if j - i >= 2 and is_word(cs[j]) then return j end
end

-- Letters stand on both sides of the hyphen at i, two of them or one behind another hyphen.
local function is_hyphen(cs, i)
  local before = (ustring.is_alpha(cs[i - 1] or "-") and ustring.is_alpha(cs[i - 2] or "-"))
    or (is_letter(cs[i - 3]) and cs[i - 2] == "-" and in_word(cs[i - 1]))
  if not before then return false end
  local j = i + 1
  if not is_letter(cs[j]) then return false end
  if cs[j + 1] == "-" then return is_letter(cs[j + 2]) end
  return is_letter(cs[j + 1])
end

-- Where the word that begins at i ends (exclusive).
local function word_end(cs, i, hyphens)
  local n = #cs
  for j = i + 1, n do
    local c = cs[j]
    if BLANK[c] then return j end
    if hyphens and c == "-" and is_hyphen(cs, j) then return j + 1 end
    if hyphens and in_word(cs[j - 1]) and dash_end(cs, j) then return j end
  end
  return n + 1
end

local function chunks_of(line, hyphens)
  local cs, out, i = ustring.chars(line), {}, 1
  while i <= #cs do
    local stop = i
    if BLANK[cs[i]] then
      while BLANK[cs[stop]] do stop = stop + 1 end
    else
      stop = hyphens and in_word(cs[i - 1]) and dash_end(cs, i) or word_end(cs, i, hyphens)
    end
    out[#out + 1] = table.move(cs, i, stop - 1, 1, {})
    i = stop
  end
  return out
end

local function is_blank(chunk)
  for _, c in ipairs(chunk) do
    if not ustring.space[c] then return false end
  end
  return true
end

-- Takes as much of a chunk that is longer than a line as there is room for.
local function break_chunk(chunk, room, hyphens)
  local stop = room
  if hyphens and #chunk > room then
    for i = room, 2, -1 do
      if chunk[i] == "-" then
        for k = 1, i - 1 do
          if chunk[k] ~= "-" then
            stop = i
            break
          end
        end
        break
      end
    end
  end
  return table.move(chunk, 1, math.min(stop, #chunk), 1, {}), table.move(chunk, stop + 1, #chunk, 1, {})
end

local function wrap_line(line, width, break_long, hyphens)
  local chunks, lines, at = chunks_of(line, hyphens), {}, 1
  while at <= #chunks do
    local current, length = {}, 0
    if lines[1] and is_blank(chunks[at]) then at = at + 1 end
    while chunks[at] and length + #chunks[at] <= width do
      current[#current + 1], length = chunks[at], length + #chunks[at]
      at = at + 1
    end
    if chunks[at] and #chunks[at] > width then
      if break_long then
        current[#current + 1], chunks[at] = break_chunk(chunks[at], width - length, hyphens)
      elseif not current[1] then
        current[1], at = chunks[at], at + 1
      end
    end
    if current[1] and is_blank(current[#current]) then current[#current] = nil end
    if current[1] then
      for i, chunk in ipairs(current) do current[i] = table.concat(chunk) end
      lines[#lines + 1] = table.concat(current)
    end
  end
  return lines
end

--- Breaks every line of a text.
-- @param s string
-- @param width integer: code points
-- @param how table: { break_long = boolean, hyphens = boolean, joined = string }
-- @return string
function M.wrap(s, width, how)
  if width <= 0 then V.fail(("invalid width %d (must be > 0)"):format(width), "ValueError") end
  local out = {}
  for _, line in ipairs(ustring.splitlines(s)) do
    out[#out + 1] = table.concat(wrap_line(line, width, how.break_long, how.hyphens), how.joined)
  end
  return table.concat(out, how.joined)
end

return M
