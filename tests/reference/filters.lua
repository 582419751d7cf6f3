-- SPDX-License-Identifier: MIT
-- Compares our decisions with those that filters.py wrote:  lathe exec filters.lua IN.jsonl DECISIONS.jsonl [ours]
-- Prints, for each set, how many documents both keep, both drop, and the reasons where they differ.
-- With `ours` (datatrove on our word rule) C4 is compared without its count of sentences, and by its text.

local file = require "engine.file"
local json = require "engine.json"
local quality = require "lathe.quality"

local source, decisions, same_words = arg[1], arg[2], arg[3] == "ours"

-- datatrove's reasons → our rules
local REASONS = {
  gopher_short_doc = "min_words", gopher_long_doc = "max_words", gopher_below_avg_threshold = "min_word_length",
  gopher_above_avg_threshold = "max_word_length", gopher_too_many_hashes = "hashes",
  gopher_too_many_ellipsis = "ellipses", gopher_too_many_bullets = "bullet_lines",
  gopher_too_many_end_ellipsis = "ellipsis_lines", gopher_below_alpha_threshold = "alphabetic_words",
  gopher_enough_stop_words = "min_stop_words", dup_para_frac = "duplicate_paragraphs",
  dup_para_char_frac = "duplicate_paragraph_characters", dup_line_frac = "duplicate_lines",
  dup_line_char_frac = "duplicate_line_characters", line_punct_ratio = "punctuated_lines",
  short_line_ratio = "short_lines", char_dup_ratio = "repeated_line_characters", list_ratio = "newlines_per_word",
  too_few_sentences = "min_sentences", nothing = "empty",
}
for n = 5, 10 do REASONS[("duplicated_%d_n_grams"):format(n)] = ("duplicate_%d_gram"):format(n) end

local sets = {}
for _, name in ipairs { "gopher", "gopher_repetition", "fineweb", "c4" } do
  local set = assert(quality.load(name))
  if same_words and name == "c4" then set.min_sentences = nil end
  sets[#sets + 1] = quality.compile(set)
end

local function decide(set, text)
  local reason = "pass"
  local kept, message = quality.judge(set, text, function(_, detail)
    reason = detail.rule
    return false
  end)
  if not kept and message then error(message) end
  return reason, kept
end

local theirs = assert(file.lines(decisions))
local tables, texts, documents = {}, 0, 0
for line in assert(file.lines(source)) do
  local text, other = json.decode(line).text, json.decode((theirs()))
  documents = documents + 1
  for _, set in ipairs(sets) do
    local reason, kept = decide(set, text)
    local wanted = REASONS[other[set.name]] or other[set.name]
    local t = tables[set.name] or { kept = 0, dropped = 0, other_reason = 0, differ = {}, differs = 0 }
    tables[set.name] = t
    if reason == wanted then
      t[reason == "pass" and "kept" or "dropped"] = t[reason == "pass" and "kept" or "dropped"] + 1
    elseif reason ~= "pass" and wanted ~= "pass" then
      t.other_reason = t.other_reason + 1
    else
      t.differs = t.differs + 1
    end
    if reason ~= wanted then
      local key = ("ours %s, theirs %s"):format(reason, wanted)
      t.differ[key] = t.differ[key] or { n = 0, first = documents }
      t.differ[key].n = t.differ[key].n + 1
    end
    if set.name == "c4" and kept and other.text and kept ~= other.text then
      texts = texts + 1
      if texts < 4 then print(("document %d: C4 leaves another text"):format(documents)) end
    end
  end
end

print(("%d documents; %d texts left by C4 differ"):format(documents, texts))
for _, set in ipairs(sets) do
  local t = tables[set.name]
  print(("%-18s both keep %d, both drop %d (%d for another reason), differ %d"):format(set.name, t.kept,
    t.dropped + t.other_reason, t.other_reason, t.differs))
  local keys = require("lathe.config").names(t.differ)
  table.sort(keys, function(a, b) return t.differ[a].n > t.differ[b].n end)
  for i = 1, math.min(#keys, 12) do
    print(("    %5d  %s (first: document %d)"):format(t.differ[keys[i]].n, keys[i], t.differ[keys[i]].first))
  end
end
