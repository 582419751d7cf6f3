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
  local before = (is_letter(cs[i - 1]) and is_letter(cs[i - 2]))
    or (is_letter(cs[i - 3]) and cs[i - 2] == "-" and is_letter(cs[i - 1]))
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

-- The chunks of a line, as { first, last } positions in cs.
local function chunks_of(cs, hyphens)
  local out, i = {}, 1
  while i <= #cs do
    local stop = i
    if BLANK[cs[i]] then
      while BLANK[cs[stop]] do stop = stop + 1 end
    else
      stop = hyphens and in_word(cs[i - 1]) and dash_end(cs, i) or word_end(cs, i, hyphens)
    end
    out[#out + 1] = { i, stop - 1 }
    i = stop
  end
  return out
end

local function is_blank(cs, chunk)
  for i = chunk[1], chunk[2] do
    if not ustring.space[cs[i]] then return false end
  end
  return true
end

-- Where a chunk that is longer than a line is broken: behind its last hyphen that fits, or where the line
-- ends.
local function break_at(cs, chunk, room, hyphens)
  local first = chunk[1]
  local last = first + room - 1
  if hyphens and chunk[2] > last then
    local i = last
    while i > first and cs[i] ~= "-" do i = i - 1 end
    for k = first, i - 1 do
      if i > first and cs[k] ~= "-" then return i end
    end
  end
  return math.min(last, chunk[2])
end

local function length_of(chunk) return chunk[2] - chunk[1] + 1 end

local function wrap_line(line, width, break_long, hyphens)
  local cs = ustring.chars(line)
  local chunks, lines, at = chunks_of(cs, hyphens), {}, 1
  while at <= #chunks do
    if lines[1] and is_blank(cs, chunks[at]) then at = at + 1 end
    local from, last, length, count, tail = chunks[at] and chunks[at][1], nil, 0, 0, nil
    while chunks[at] and length + length_of(chunks[at]) <= width do
      last, tail, length, count = chunks[at][2], chunks[at], length + length_of(chunks[at]), count + 1
      at = at + 1
    end
    local long, filled = chunks[at], false
    if long and length_of(long) > width then
      if break_long and length < width then
        last = break_at(cs, long, width - length, hyphens)
        tail, count = { long[1], last }, count + 1
        long[1] = last + 1
      elseif break_long then
        filled = true                         -- Python adds an empty piece here, and then takes that off the end
      elseif count == 0 then
        last, tail, count, at = long[2], long, 1, at + 1
      end
    end
    if count > 0 and not filled and is_blank(cs, tail) then last, count = tail[1] - 1, count - 1 end
    if count > 0 then lines[#lines + 1] = table.concat(cs, "", from, last) end
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
