-- SPDX-License-Identifier: MIT
-- The offline generator: finds definitions and sections in plain text and needs no model, network or key.
--
-- Definitions:
--
--   A **learning rate** is the size of the step … . It is used to balance speed against stability.
--   ^article ^term      ^be  ^definition            ^purpose
--
-- With the term in bold (Markdown) the purpose may be missing. Without mark-up, as in text that came out
-- of HTML, DOCX or PDF, the sentence after the definition must begin with "It is used" or "They are used".
-- Terms have six words at most.
--
-- Lines are folded into paragraphs first. A line ends its paragraph when it is empty, when the next one is
-- a heading, an item of a list or a row of a table, or when the next line's first word would have fitted
-- behind it: text wrapped at a width, as PDF gives it, has its headings and paragraph ends on short lines.

local ustring = require "lathe.jinja.ustring"

local M = { version = 2 }

local MAX_WORDS = 6

-- Words after which a full stop does not end a sentence.
local ABBREVIATIONS = {}
for word in ("e.g i.e etc vs cf approx fig no dr mr mrs ms prof st vol resp al ca bzw z.b d.h"):gmatch "%S+" do ABBREVIATIONS[word] = true end

-- What cannot be a term: words that stand for something said before.
local PRONOUNS = {}
for word in ("it this that these those they there he she we you i what which who here one each both all some none such another"):gmatch "%a+" do
  PRONOUNS[word] = true
end

-- Paragraphs -----------------------------------------------------------------------------------------------------------

local function starts_block(line)
  return line:find "^%s*#+%s" or line:find "^%s*[-*+]%s" or line:find "^%s*•" or line:find "^%s*%d+[.)]%s" or line:find "^%s*|"
    or line:find "^%s*>" or line:find "^%s*```"
end

local function without_marker(line)
  return (line:gsub("^%s*[-*+]%s+", ""):gsub("^%s*•%s*", ""):gsub("^%s*%d+[.)]%s+", ""):gsub("^%s*>%s*", ""):gsub("^%s+", ""):gsub("%s+$", ""))
end

-- Whether the paragraph ends with this line, seen from the width of the text.
local function ends_short(line, next_line, width)
  local word = next_line:match "^%s*(%S+)" or ""
  return ustring.len(line) + 1 + ustring.len(word) <= 0.75 * width
end

local function paragraphs(text)
  local lines, width = {}, 0
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    line = line:gsub("\r$", "")
    lines[#lines + 1] = line
    width = math.max(width, ustring.len(line))
  end
  local out, now, fenced = {}, nil, false
  for i, line in ipairs(lines) do
    if line:find "^%s*```" then fenced = not fenced end
    if not line:find "%S" or fenced or starts_block(line) or line:find "^\f" then now = nil end
    if line:find "%S" and not fenced and not line:find "^%s*#+%s" and not line:find "^%s*|" and not line:find "^%s*```" then
      local plain = without_marker(line:gsub("\f", ""))
      if not now then
        now = {}
        out[#out + 1] = now
      end
      now[#now + 1] = plain
      local following = lines[i + 1]
      if following and ends_short(line, following, width) then now = nil end
    end
  end
  for i, parts in ipairs(out) do out[i] = table.concat(parts, " ") end
  return out
end

-- Sentences ------------------------------------------------------------------------------------------------------------

local function is_abbreviation(before)
  local word = before:match "([%w.\x80-\xff]+)$"
  if not word then return false end
  return ABBREVIATIONS[word:lower()] or word:find "^%u$" ~= nil
end

local function sentences(paragraph)
  local out, from, i = {}, 1, 1
  while true do
    local a, b = paragraph:find("[.!?][\"')%]*_”’]*%s+", i)
    if not a then break end
    local next_char = paragraph:sub(b + 1, b + 1)
    local ends = next_char:find "[%u*_\"'(%d`\x80-\xff]" and not (paragraph:sub(a, a) == "." and is_abbreviation(paragraph:sub(from, a - 1)))
    if ends then
      out[#out + 1] = (paragraph:sub(from, b):gsub("%s+$", ""))
      from = b + 1
    end
    i = b + 1
  end
  if from <= #paragraph then out[#out + 1] = (paragraph:sub(from):gsub("%s+$", "")) end
  return out
end

-- Definitions ----------------------------------------------------------------------------------------------------------

local function without_markup(s)
  s = s:gsub("%*%*(.-)%*%*", "%1"):gsub("__(.-)__", "%1"):gsub("(%f[%w*]*)%*([^*%s][^*]-)%*", "%1%2"):gsub("%[([^%]]+)%]%([^)]*%)", "%1")
  return s
end

local function words(s)
  local _, n = s:gsub("%S+", "")
  return n
end

-- The subject, verb and complement of "SUBJECT is …", at the first "is" or "are".
local function clause(s)
  local at_is, at_are = s:find(" is ", 1, true), s:find(" are ", 1, true)
  local at = math.min(at_is or math.huge, at_are or math.huge)
  if at == math.huge then return nil end
  local be = at == at_is and "is" or "are"
  return s:sub(1, at - 1), be, s:sub(at + #be + 2)
end

local function plausible(term)
  local first = term:match "^(%S+)"
  return first and words(term) <= MAX_WORDS and not PRONOUNS[first:lower()] and not term:find "[,;:()\"!?“”]"
    and not term:find " [Aa]n? " and not term:find " [Tt]he " and term:find "%a"
end

-- Whether the word is written with a capital inside sentences of the text: a name, not a common noun.
local function is_name(term, text)
  local quoted = term:gsub("%p", "%%%0")
  return text:find("[%l,;)] " .. quoted .. "%f[^%w]") ~= nil
end

-- "Attention" → "attention", "LoRA" and "Top-K" as they are.
local function in_sentence(term, text)
  local first = term:match "^%S+"
  if not first:find "^%u%l[%l-]*$" or is_name(term, text) then return term end
  return term:sub(1, 1):lower() .. term:sub(2)
end

local function definition(raw, following, text)
  local sentence = without_markup(raw)
  local subject, be, complement = clause(sentence)
  if not subject then return nil end
  local article, term = subject:match "^(An?) (.+)$"
  if not article then article, term = subject:match "^(The) (.+)$" end
  if not article then term = subject end
  local is_bold = raw:find "^%S*%s*%*%*" ~= nil and raw:find("**" .. term .. "**", 1, true) ~= nil
  local purpose = following and without_markup(following)
  if not (purpose and (purpose:find "^It is used " or purpose:find "^They are used ")) then purpose = nil end
  if not plausible(term) or not (purpose or is_bold) then return nil end
  if not is_bold and not sentence:find "^[%u%d]" then return nil end
  if not purpose and not complement:find "^an? " and not complement:find "^the " then return nil end
  term = article and term or in_sentence(term, text)
  return {
    term = term, article = article and article:lower() or "", be = be, definition = sentence, purpose = purpose,
    phrase = article and article:lower() .. " " .. term or term, plural = be == "are",
  }
end

--- The definitions in a text, each term once.
-- @param text string: plain text or Markdown
-- @return table: list of { term, article ("a", "an", "the" or ""), phrase = article and term, be ("is" or
-- "are"), plural, definition = the sentence, purpose = the sentence after it or nil }, in the order of the
-- text
-- @example require("lathe.llm.offline").definitions("A mill is a machine that grinds. It is used to make
-- flour.")[1].term
function M.definitions(text)
  local found, seen = {}, {}
  for _, paragraph in ipairs(paragraphs(text)) do
    local list = sentences(paragraph)
    for i, raw in ipairs(list) do
      local d = definition(raw, list[i + 1], text)
      if d and not seen[d.term:lower()] then
        seen[d.term:lower()] = true
        found[#found + 1] = d
      end
    end
  end
  return found
end

-- Sections -------------------------------------------------------------------------------------------------------------

local LEAST_SECTION = 80 -- characters, so that a heading alone is no section

local function plain_heading(s)
  s = without_markup(s):gsub("[`*]", ""):gsub("%s+#+%s*$", ""):gsub("^[%d.]+%s+", ""):gsub("%s+", " ")
  return (s:gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The headings above a text: those that chunk noted, and those that the text begins with.
local function headings_of(text, above)
  local path = {}
  for i = 1, above and #above or 0 do path[i] = plain_heading(above[i]) end
  local rest = text
  while true do
    local heading, after = rest:match "^%s*#+%s+([^\n]+)\n(.*)$"
    if not heading then break end
    local plain = plain_heading(heading)
    if path[#path] ~= plain then path[#path + 1] = plain end
    rest = after
  end
  return path, (rest:gsub("^%s+", ""):gsub("%s+$", ""))
end

--- The section that a text is, where a heading says what it is about.
-- @param text string: plain text or Markdown
-- @param headings table|nil: the headings above it, outermost first (metadata.headings)
-- @param title string|nil: the document's title
-- @return table|nil: { term = the nearest heading, path = "A, B" of those above it or "", title or "",
--   section = the text without its heading }
-- @example require("lathe.llm.offline").section("# Mills\n" .. ("A mill grinds corn. "):rep(9)).term
function M.section(text, headings, title)
  local path, body = headings_of(text, headings)
  local term = table.remove(path)
  if not term or term == "" or not term:find "%a" and not term:find "[\x80-\xff]" then return nil end
  if (utf8.len(body) or #body) < LEAST_SECTION or body:find "^[%w%p%s]*$" and not body:find "[.!?:;]" then return nil end
  if title and (title == "" or plain_heading(title) == term) then title = nil end
  local said, above = { [term] = true, [title and plain_heading(title) or term] = true }, {}
  for _, heading in ipairs(path) do -- a heading that was said says no more: title pages repeat theirs
    if not said[heading] then above[#above + 1] = heading end
    said[heading] = true
  end
  path = above
  return { term = term, path = table.concat(path, ", "), title = title and plain_heading(title) or "", section = body }
end

return M
