-- SPDX-License-Identifier: MIT
-- Tokens to look at: each one's text with its id below, neighbours in different colours.
--
--   Hello ,·world !↵  <|endoftext|>
--   15496  11 995 0   50256
--
-- A space shows as ·, a line feed as ↵, a tab as →; other characters that do not print by their number (<U+200B>),
-- bytes that are only a part of a character by their value (<E4>). A token that stands for no text of its own (one
-- that the post-processor adds) shows its name. Without colour (NO_COLOR, TERM=dumb, no terminal) the columns stay.

local clock = require "engine.clock"
local json = require "engine.json"
local line = require "engine.line"
local ustring = require "engine.text"

local M = {}

local BACKGROUNDS = { 153, 157, 223, 225, 229 } -- light ones, under black letters
local MARKS = { [" "] = "·", ["\n"] = "↵", ["\t"] = "→", ["\r"] = "␍", ["\u{a0}"] = "⍽" }
local LONGEST = 60 -- columns of one token

--- Whether standard output takes colours: a terminal that is not dumb, and no NO_COLOR.
-- @return boolean
function M.colours()
  local _, stdout = clock.terminal()
  return stdout and os.getenv "TERM" ~= "dumb" and (os.getenv "NO_COLOR" or "") == ""
end

local function mark(char)
  if MARKS[char] then return MARKS[char] end
  local c = utf8.codepoint(char)
  if c < 0x20 or c == 0x7f or c >= 0x80 and c < 0xa0 or ustring.width(char) == 0 and not (c >= 0x300 and c < 0x370) then
    return ("<U+%04X>"):format(c)
  end
  return char
end

local function bytes(s) return (s:gsub(".", function(b) return ("<%02X>"):format(b:byte()) end)) end

--- A text with everything in it that does not print made visible; bytes that are not UTF-8 as <E4>.
-- @param s string
-- @return string
function M.visible(s)
  if not s:find "[^\x21-\x7e]" then return s end
  local out, at = {}, 1
  while at <= #s do
    local good = select(2, utf8.len(s, at)) or #s + 1
    if good > at then out[#out + 1] = s:sub(at, good - 1):gsub(utf8.charpattern, mark) end
    if good <= #s then out[#out + 1] = bytes(s:sub(good, good)) end
    at = good + 1
  end
  return table.concat(out)
end

local function shortened(text, columns)
  if ustring.width(text) <= columns then return text end
  local out, width = {}, 1
  for _, c in utf8.codes(text) do
    local char = utf8.char(c)
    width = width + ustring.width(char)
    if width > columns then break end
    out[#out + 1] = char
  end
  return table.concat(out) .. "…"
end

local function tokens_of(tok, text, options)
  local given = { special = options.special, plain = options.plain, offsets = true }
  if not options.max then return tok:encode(text, given) end
  given.side = options.side
  local ids, cut, spans = tok:truncate(text, options.max, given)
  if not ids then error({ message = cut, code = spans }, 0) end
  return ids, spans
end

-- The cells of a text: { label, id, width, special, ends = the line ends behind it }.
local function cells(tok, text, options, widest)
  local special, out = {}, {}
  for _, a in ipairs(tok:added()) do special[a.id] = a.special end
  local ids, spans = tokens_of(tok, text, options)
  for i, id in ipairs(ids) do
    local piece = text:sub(spans[i][1] + 1, spans[i][2])
    local label = piece == "" and tok:token(id) or M.visible(piece)
    label = shortened(label, math.min(widest, LONGEST))
    local width = math.max(ustring.width(label), #tostring(id))
    out[i] = { label = label, id = tostring(id), width = width, special = special[id], ends = piece:find "\n$" }
  end
  return out
end

local function pad(text, width) return text .. (" "):rep(width - ustring.width(text)) end

local function paint(cell, number, colours)
  if not colours then return pad(cell.label, cell.width), pad(cell.id, cell.width) end
  local style = cell.special and "\27[1;38;5;231;48;5;88m" or ("\27[38;5;16;48;5;%dm"):format(BACKGROUNDS[number % #BACKGROUNDS + 1])
  local gap = (" "):rep(cell.width - ustring.width(cell.label))
  return style .. cell.label .. "\27[0m" .. gap, "\27[2m" .. pad(cell.id, cell.width) .. "\27[0m"
end

--- The tokens of a text in rows: their texts, below each its id.
-- @param tok tokenizer
-- @param text string
-- @param options table: optional { special, plain, max, side, colours = boolean, width = columns }
-- @return string: ends with a line end, unless there are no tokens
-- @return integer: how many tokens
function M.render(tok, text, options)
  options = options or {}
  local width = options.width or line.width()
  local list = cells(tok, text, options, width)
  local out, above, below, used = {}, {}, {}, 0
  local function flush()
    if #above == 0 then return end
    out[#out + 1] = (table.concat(above, " ") .. "\n" .. table.concat(below, " ")):gsub(" +%f[\n\0]", "")
    above, below, used = {}, {}, 0
  end
  for i, cell in ipairs(list) do
    if used > 0 and used + cell.width > width then flush() end
    above[#above + 1], below[#below + 1] = paint(cell, i, options.colours)
    used = used + cell.width + 1
    if cell.ends then flush() end
  end
  flush()
  return #out > 0 and table.concat(out, "\n") .. "\n" or "", #list
end

local function counted(n, word) return ("%s %s%s"):format(require("lathe.progress").count(n), word, n == 1 and "" or "s") end

--- Prints the tokens of a text with their ids, in colour on a terminal: what tokenizer:show does.
-- @param tok tokenizer
-- @param text string
-- @param options table: optional { special, plain }
-- @example require("lathe.token_view").show(tok, "Hello world")
function M.show(tok, text, options)
  local config = require "lathe.config"
  local checked, message = config.check({ special = { type = "boolean" }, plain = { type = "boolean" } }, options)
  if not checked then error(message, 2) end
  local drawn, n = M.render(tok, text, { special = checked.special, plain = checked.plain, colours = M.colours() })
  io.stdout:write(drawn, ("%s, %s, %s\n"):format(counted(n, "token"), counted(#text, "byte"),
    counted(ustring.count(text), "character")))
end

-- ---- a tokenizer at the prompt ----

-- { type = "Sequence", … } → "NFC, Replace": the steps' names.
local function steps(section)
  if not section then return "none" end
  local list = section.normalizers or section.pretokenizers or section.processors or section.decoders
  if not list then return tostring(section.type) end
  local out = {}
  for i = 1, #list do out[i] = steps(list[i]) end
  return table.concat(out, ", ")
end

local function wrap(label, words, width)
  local rows, row = {}, label
  for _, word in ipairs(words) do
    if #row > #label and #row + #word + 1 > width then
      rows[#rows + 1] = row
      row = (" "):rep(#label)
    end
    row = row .. (row:find "%S$" and row ~= label and " " or "") .. word
  end
  rows[#rows + 1] = row
  return rows
end

--- What a tokenizer is, in a few lines, for the prompt.
-- @param tok tokenizer
-- @param options table: optional { width = columns }
-- @return string
function M.describe(tok, options)
  local head = tostring(tok)
  if head:find "closed$" then return head end
  local width = options and options.width or 80
  local settings, out = tok:settings(), { head }
  local names = {}
  for _, a in ipairs(tok:added()) do
    if a.special and #names == 12 then
      names[13] = "…"
      break
    end
    if a.special then names[#names + 1] = ("%s=%d"):format(M.visible(a.content), a.id) end
  end
  if #names > 0 then table.move(wrap("  special        ", names, width), 1, 99, 2, out) end
  for _, key in ipairs { "normalizer", "pre_tokenizer", "post_processor", "decoder" } do
    if settings[key] then out[#out + 1] = ("  %-14s %s"):format(key, steps(settings[key])) end
  end
  for _, key in ipairs { "truncation", "padding" } do
    if settings[key] then out[#out + 1] = ("  %-14s %s (never done unasked)"):format(key, json.encode(settings[key])) end
  end
  out[#out + 1] = '  try            tok:show "Hello world"   tok:encode   tok:decode   tok:count   help(tok)'
  return table.concat(out, "\n")
end

return M
