-- SPDX-License-Identifier: MIT
-- score: how good the words of a record are, from 0 to 1, and why.
--
-- Each part is a number from 0 to 1, and stands in metadata.scores under its name:
--
--   length        how well the number of words fits: it rises from 0 (no word) to 1 at `shortest` words, is 1
--                 up to `longest`, and falls as longest / words beyond
--   punctuation   half of it: how often sentences end: 1 from one end in 40 words to one in 4, less in
--                 proportion outside; half: whether the text itself ends as a sentence, list or block does
--   diversity     how few words are repeated: log(different words) / log(words) (Herdan's C), where 0.5 and
--                 less counts 0, and 0.85 and more counts 1
--   keywords      how many of the `keywords` occur, of as many as `enough` of them; there only where
--                 keywords are given
--
-- metadata.score is their mean, each with its weight, in four decimals. With `min`, what lies below is
-- rejected as low_score. The words of a record: its text; else instruction, input and output; else its
-- messages' contents.

local json = require "engine.json"
local quality = require "engine.quality"
local record_text = require "lathe.record_text"
local text = require "engine.text"

local WEIGHT = "how much it counts (0: not at all): "

local M = {
  name = "score",
  version = 1,
  kind = "map",
  summary = "Gives each record a quality from 0 to 1 with its parts, and drops what lies below min.",
  options = {
    min = { type = "number", min = 0, max = 1, help = "reject records whose score is lower" },
    length = { type = "number", default = 0.3, min = 0, help = WEIGHT .. "the number of words" },
    punctuation = { type = "number", default = 0.2, min = 0, help = WEIGHT .. "sentences that end" },
    diversity = { type = "number", default = 0.3, min = 0, help = WEIGHT .. "words that are not repeated" },
    relevance = { type = "number", default = 0.2, min = 0, help = WEIGHT .. "keywords that occur" },
    keywords = { type = "table|string", help = "words and phrases that the text should be about (a list, or parted by commas)" },
    enough = { type = "integer", default = 3, min = 1, help = "so many keywords are as good as all" },
    shortest = { type = "integer", default = 20, min = 1, help = "words from which a text is long enough" },
    longest = { type = "integer", default = 2000, min = 1, help = "words up to which a text is not too long" },
    on = { type = "string", help = "the field that is scored (default: text, else all words of the record)" },
  },
  positional = { "min" },
}

local function keyword_list(keywords)
  if not keywords then return nil end
  local list, out = keywords, {}
  if type(keywords) == "string" then
    list = {}
    for word in keywords:gmatch "[^,]+" do list[#list + 1] = word end
  end
  for _, word in ipairs(list) do
    word = tostring(word):match "^%s*(.-)%s*$"
    if word ~= "" then out[#out + 1] = (text.clean(word, { lower = true })) end
  end
  return #out > 0 and out or nil
end

--- Checks what one option alone cannot say.
-- @error misuse: no weight above 0, longest below shortest
function M.check(options)
  local sum = options.length + options.punctuation + options.diversity
    + (keyword_list(options.keywords) and options.relevance or 0)
  if sum <= 0 then return nil, "one of the weights must be above 0: length, punctuation, diversity, relevance", "misuse" end
  if options.longest < options.shortest then
    return nil, ("longest (%d words) is below shortest (%d)"):format(options.longest, options.shortest), "misuse"
  end
  return true
end

local function limit(value) return math.max(0, math.min(1, value)) end

local function length_part(words, options)
  if words < options.shortest then return words / options.shortest end
  return words <= options.longest and 1 or options.longest / words
end

-- A text ends well with the end of a sentence, or of a block of code, a list in brackets, a table.
local ENDS = { ["."] = true, ["!"] = true, ["?"] = true, [":"] = true, ['"'] = true, ["'"] = true, [")"] = true, ["]"] = true,
  ["}"] = true, [";"] = true, ["`"] = true, ["|"] = true, [">"] = true }
local WIDE_ENDS = { "…", "”", "’", "»", "“", "。", "！", "？", "」", "』", "）", "।", "؟", "۔" }

local function ends_well(s)
  local at = s:find "%s*$"
  local last = s:sub(at - 1, at - 1)
  if ENDS[last] then return true end
  for _, sign in ipairs(WIDE_ENDS) do
    if s:sub(at - #sign, at - 1) == sign then return true end
  end
  return false
end

local function punctuation_part(s, measures)
  local ends, words = measures.sentence_ends, measures.words
  if words == 0 then return 0 end
  local density = ends == 0 and 0 or limit(math.min(ends * 40 / words, words / (4 * ends)))
  return (density + (ends_well(s) and 1 or 0)) / 2
end

local function diversity_part(measures)
  local words = measures.words
  if words < 2 then return words end
  local different = math.floor(measures.distinct_words * words + 0.5)
  return limit((math.log(different) / math.log(words) - 0.5) / (0.85 - 0.5))
end

--- The score of a text.
-- @param s string
-- @param options table: weights and bounds, as the stage's
-- @param meter meter: from engine.quality.meter
-- @param keywords table|nil: in small letters
-- @return number: 0 to 1
-- @return table: the parts by name
-- @error no_memory, cancelled
function M.score(s, options, meter, keywords)
  local measures, message, code = meter:measure(s, { diversity = true })
  if not measures then return nil, message, code end
  local parts = { length = length_part(measures.words, options), punctuation = punctuation_part(s, measures),
    diversity = diversity_part(measures) }
  local weights = { length = options.length, punctuation = options.punctuation, diversity = options.diversity }
  if keywords then
    parts.keywords = limit(quality.keywords(s, keywords) / math.min(#keywords, options.enough))
    weights.keywords = options.relevance
  end
  local sum, weight = 0, 0
  for _, name in ipairs { "length", "punctuation", "diversity", "keywords" } do
    if parts[name] then
      sum, weight = sum + parts[name] * weights[name], weight + weights[name]
    end
  end
  return sum / weight, parts
end

local function round(value) return math.floor(value * 10000 + 0.5) / 10000 end

--- Scores one record.
-- @param record record: metadata.score and metadata.scores are set
-- @param ctx table: the stage's context
-- @param emit function: called with the record, unless it lies below min
-- @return boolean: true
-- @error no_memory, cancelled
function M.each(record, ctx, emit)
  local options, cache = ctx.options, ctx.cache
  if not cache.score then
    cache.score = { meter = assert(quality.meter()), keywords = keyword_list(options.keywords) }
  end
  local s, why = record_text.of(record, options.on)
  if not s then
    ctx.reject(record, "no_text", why)
    return true
  end
  local score, parts, code = M.score(s, options, cache.score.meter, cache.score.keywords)
  if not score then return nil, parts, code end
  score = round(score)
  for name, value in pairs(parts) do parts[name] = round(value) end
  if options.min and score < options.min then
    ctx.reject(record, "low_score", { score = score, min = options.min, scores = parts })
    return true
  end
  if json.kind(record.metadata) ~= "object" then record.metadata = {} end
  local metadata = record.metadata
  metadata.score, metadata.scores = score, parts
  emit(record)
  return true
end

return M
