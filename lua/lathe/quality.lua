-- SPDX-License-Identifier: MIT
-- Rules of quality: what they are called, what they measure, and the sets of thresholds that have names.
--
--   return {                          -- templates/filters/NAME.lua: data, it sees no functions
--     summary = "…",
--     min_words = 50, max_words = 100000,      -- a rule and its threshold; false turns it off
--     stop_words = { "the", "be", … },         -- what some rules need besides
--   }
--
-- A rule compares one measure of a text (engine.quality counts them in one go) with its threshold: under a
-- least or over a most, the text fails. A value equal to the threshold passes, always. Sets are looked for
-- in the recipe's folder (templates/filters/NAME.lua), then ~/.config/lathe/templates/filters, then ours.

local config = require "lathe.config"
local places = require "lathe.places"
local file = require "engine.file"
local hash = require "engine.hash"
local quality = require "engine.quality"

local M = {}

-- In the order in which they are tried; the first that fails is the reason. The order within each published
-- set is the published one.
M.rules = {
  { "min_characters", "characters", "min", "characters, at least" },
  { "max_characters", "characters", "max", "characters, at most" },
  { "min_words", "words", "min", "words, at least" },
  { "max_words", "words", "max", "words, at most" },
  { "min_word_length", "mean_word_length", "min", "mean characters of a word, at least" },
  { "max_word_length", "mean_word_length", "max", "mean characters of a word, at most" },
  { "hashes", "hashes", "max", "'#' for each word or sign, at most" },
  { "ellipses", "ellipses", "max", "ellipses for each word or sign, at most" },
  { "bullet_lines", "bullet_lines", "max", "share of lines that begin with a bullet, at most" },
  { "ellipsis_lines", "ellipsis_lines", "max", "share of lines that end in an ellipsis, at most" },
  { "alphabetic_words", "alphabetic_words", "min", "share of words and signs with a letter, at least" },
  { "min_stop_words", "stop_words", "min", "different stop words, at least" },
  { "duplicate_paragraphs", "duplicate_paragraphs", "max", "share of repeated paragraphs, at most" },
  { "duplicate_paragraph_characters", "duplicate_paragraph_characters", "max",
    "share of characters in repeated paragraphs, at most" },
  { "duplicate_lines", "duplicate_lines", "max", "share of repeated lines, at most" },
  { "duplicate_line_characters", "duplicate_line_characters", "max",
    "share of characters in repeated lines, at most" },
  { "top_2_gram", "top_2_gram", "max", "share of characters in the most frequent 2 words, at most" },
  { "top_3_gram", "top_3_gram", "max", "share of characters in the most frequent 3 words, at most" },
  { "top_4_gram", "top_4_gram", "max", "share of characters in the most frequent 4 words, at most" },
  { "duplicate_5_gram", "duplicate_5_gram", "max", "share of characters in repeated 5 words, at most" },
  { "duplicate_6_gram", "duplicate_6_gram", "max", "share of characters in repeated 6 words, at most" },
  { "duplicate_7_gram", "duplicate_7_gram", "max", "share of characters in repeated 7 words, at most" },
  { "duplicate_8_gram", "duplicate_8_gram", "max", "share of characters in repeated 8 words, at most" },
  { "duplicate_9_gram", "duplicate_9_gram", "max", "share of characters in repeated 9 words, at most" },
  { "duplicate_10_gram", "duplicate_10_gram", "max", "share of characters in repeated 10 words, at most" },
  { "punctuated_lines", "punctuated_lines", "min", "share of lines that end as a sentence does, at least" },
  { "short_lines", "short_lines", "max", "share of lines of at most short_line_length characters, at most" },
  { "repeated_line_characters", "repeated_line_characters", "max",
    "share of characters in lines that were there before, at most" },
  { "newlines_per_word", "newlines_per_word", "max", "line ends for each word or sign, at most" },
  { "min_distinct_words", "distinct_words", "min", "share of different words, at least" },
  { "min_sentences", "sentences", "min", "sentences, at least" },
}

-- What a set may hold besides: name → type.
M.parameters = {
  name = "string", summary = "string", stop_words = "table", short_line_length = "number",
  line_words = "number", line_word_length = "number", line_terminal = "boolean", citations = "boolean",
  phrases = "table", remove_lines = "boolean",
}

local C4 = { "line_words", "line_word_length", "line_terminal", "citations", "phrases" }

local BY_NAME = {}
for i, rule in ipairs(M.rules) do
  BY_NAME[rule[1]] = { number = i, name = rule[1], measure = rule[2], bound = rule[3], help = rule[4] }
end

--- Whether a rule of this name exists.
-- @param name string
-- @return boolean
function M.is_rule(name) return BY_NAME[name] ~= nil end

local function known_names()
  local names = config.names(BY_NAME)
  for _, name in ipairs(config.names(M.parameters)) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local function folders(root) return places.folders("templates/filters", root) end

--- The names of the sets that can be loaded.
-- @param root string|nil: the recipe's folder
-- @return table: sorted names
function M.names(root) return places.names(folders(root), { "^(.+)%.lua$" }) end

local function strings_only(list, where, key)
  for i, word in ipairs(list) do
    if type(word) ~= "string" then
      return nil, ("%s: %s: entry %d is no string"):format(where, key, i), "misuse"
    end
  end
  return true
end

--- Checks a set's table.
-- @param set table: rules and parameters by name
-- @param where string: for messages
-- @return boolean: true
-- @error misuse: an unknown name (with the nearest known one), a threshold that is no number
function M.check(set, where)
  for key, value in pairs(set) do
    local rule, wanted = BY_NAME[key], M.parameters[key]
    if not rule and not wanted then
      return nil, ("%s: %s"):format(where, config.unknown("rule", tostring(key), known_names())), "misuse"
    end
    local fits = rule and (type(value) == "number" or value == false)
      or wanted and (type(value) == wanted or value == false)
    if not fits then
      return nil, ("%s: %s: a %s or false expected, got %s"):format(where, key, wanted or "number", type(value)), "misuse"
    end
  end
  for i, phrase in ipairs(set.phrases or {}) do
    if type(phrase) ~= "table" or type(phrase[1]) ~= "string" then
      return nil, ("%s: phrases: entry %d must be { \"text\" } or { \"text\", reject = \"reason\" }"):format(where, i), "misuse"
    end
  end
  if set.stop_words then return strings_only(set.stop_words, where, "stop_words") end
  return true
end

--- Loads a set: a name, a path, or a table.
-- @param spec string|table: what the recipe says
-- @param root string|nil: the recipe's folder
-- @return table: a copy of the set, with its name
-- @return string: a hash of its file (of a table: "")
-- @error not_found (with the nearest name), misuse
function M.load(spec, root)
  local set, path, digest = {}, nil, ""
  if type(spec) == "table" then
    for k, v in pairs(spec) do set[k] = v end
    path = "the filter's table"
  else
    local candidates = {}
    if spec:find("/", 1, true) or spec:find "%.lua$" then
      candidates[1] = spec:sub(1, 1) == "/" and spec or (root or ".") .. "/" .. spec
    else
      for _, folder in ipairs(folders(root)) do candidates[#candidates + 1] = folder .. "/" .. spec .. ".lua" end
    end
    for _, candidate in ipairs(candidates) do
      if not path and file.stat(candidate) then path = candidate end
    end
    if not path then return nil, config.unknown("set of rules", spec, M.names(root)), "misuse" end
    local text, message, code = file.read(path, 1 << 20)
    if not text then return nil, message, code end
    local chunk
    chunk, message = load(text, "@" .. path, "t", {})
    if not chunk then return nil, message, "misuse" end
    local fine, result = pcall(chunk)
    if not fine or type(result) ~= "table" then
      return nil, fine and path .. ": must return a table" or tostring(result), "misuse"
    end
    set, digest = result, hash.sha256(text)
    set.name = set.name or spec:match "([^/]+)%.lua$" or spec
  end
  local fine, message, code = M.check(set, path)
  if not fine then return nil, message, code end
  return set, digest
end

local function phrase_name(phrase)
  return type(phrase.reject) == "string" and phrase.reject or "phrase"
end

--- Makes a set ready for use.
-- @param set table: as M.load gives it
-- @return table: { name, rules = in order, c4 = options or nil, … }
function M.compile(set)
  local out = { name = set.name, rules = {}, stop_words = set.stop_words or {}, remove = set.remove_lines ~= false,
    short_line = set.short_line_length or 30, measures = {} }
  for _, rule in ipairs(M.rules) do
    local limit = set[rule[1]]
    if limit then
      out.rules[#out.rules + 1] = { name = rule[1], measure = rule[2], bound = rule[3], limit = limit,
        reason = set.name and set.name .. "_" .. rule[1] or rule[1] }
      out.measures[rule[2]] = true
      if rule[2]:find "gram$" or rule[2]:find "^duplicate_" then out.repetition = true end
      if rule[2] == "distinct_words" then out.diversity = true end
      if rule[2] ~= "sentences" then out.measured = true end
    end
  end
  for _, key in ipairs(C4) do
    if set[key] ~= nil then out.c4 = out.c4 or {} end
  end
  if out.c4 then
    out.c4 = { min_words = set.line_words or 0, max_word_characters = set.line_word_length or 0,
      terminal = set.line_terminal or false, citations = set.citations or false, phrases = set.phrases or {} }
  end
  out.meter = assert(quality.meter(out.stop_words))
  return out
end

local function round(value)
  if math.type(value) == "integer" then return value end
  return math.floor(value * 1e6 + 0.5) / 1e6
end

local function fails(rule, value)
  if rule.bound == "min" then return value < rule.limit end
  return value > rule.limit
end

--- All measures that a set needs of a text.
-- @param set table: from M.compile
-- @param text string
-- @return table: name → number
-- @error no_memory, cancelled, limit
function M.measure(set, text)
  local values = {}
  if set.measured then
    local message, code
    values, message, code = set.meter:measure(text,
      { repetition = set.repetition, diversity = set.diversity, short_line = set.short_line })
    if not values then return nil, message, code end
  end
  return values
end

--- Tries a text against a set.
-- @param set table: from M.compile
-- @param text string
-- @param report function: (reason, detail) of a rule that fails; gives true to go on to the next
-- @return string: the text, without the lines that the set takes out; nil where report ended it
-- @return string|nil, string|nil: message and code of an error
function M.judge(set, text, report)
  local kept, facts = text, nil
  if set.name and not text:find "%S" then -- ratios of nothing would pass
    if not report(set.name .. "_empty", { rule = "empty" }) then return nil end
  end
  if set.c4 then
    local message
    kept, facts, message = quality.c4(text, set.c4)
    if not kept then return nil, facts, message end
    if facts.rejected_by then
      local phrase = set.c4.phrases[facts.rejected_by]
      local name = phrase_name(phrase)
      if not report(set.name and set.name .. "_" .. name or name, { rule = name, phrase = phrase[1] }) then return nil end
    end
  end
  local values, message, code = M.measure(set, set.remove and kept or text)
  if not values then return nil, message, code end
  if set.measures.sentences then values.sentences = facts and facts.sentences or quality.sentences(text) end
  for _, rule in ipairs(set.rules) do
    local value = values[rule.measure]
    if fails(rule, value) and not report(rule.reason,
      { rule = rule.name, value = round(value), [rule.bound] = rule.limit }) then return nil end
  end
  return set.remove and kept or text, values
end

return M
