-- SPDX-License-Identifier: MIT
-- filter: every rule of every set on both sides of its published threshold, conditions, spans, flags.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local quality = require "lathe.quality"

local rep = string.rep

-- n different words of `length` letters
local function words(n, length, from)
  local list = {}
  for i = 1, n do
    local k, w = i + (from or 0), ""
    for _ = 1, length or 6 do
      w = w .. string.char(97 + k % 26)
      k = k // 26
    end
    list[i] = w
  end
  return table.concat(list, " ")
end

local function lines(n, make)
  local list = {}
  for i = 1, n do list[i] = make(i) end
  return table.concat(list, "\n")
end

-- n lines of which `bad` get `mark` in front and `tail` at the end
local function marked(n, bad, mark, tail)
  return lines(n, function(i) return (i <= bad and mark or "") .. words(5, 6, 10 * i) .. (i <= bad and tail or "") end)
end

-- A text of `total` characters in which the n words `gram` stand `times` times, all other words differ.
local function grams(gram, times, total)
  local out, at = {}, 0
  for _ = 1, times do
    out[#out + 1] = gram
    out[#out + 1] = words(1, 6, 1000 + at)
    at = at + 1
  end
  local text = table.concat(out, " ")
  while #text < total - 20 do
    text = text .. " " .. words(1, 6, 1000 + at)
    at = at + 1
  end
  return text .. " " .. rep("z", total - #text - 1)
end

-- For the duplicate n-grams: n words of 4 letters twice, `total` characters.
local function twice(n, total)
  local gram = words(n, 4, 7)
  local text = gram .. " " .. words(1, 6, 999) .. " " .. gram
  local at = 2000
  while #text < total - 20 do
    text = text .. " " .. words(1, 6, at)
    at = at + 1
  end
  return text .. " " .. rep("z", total - #text - 1)
end

-- A sum of word lengths: a words of 3 letters, b of 2
local function mean(a, length_a, b, length_b) return words(a, length_a) .. " " .. words(b, length_b, 300) end

local EDGES = { -- set, rule, a text that just passes, a text that just fails
  { "gopher", "min_words", words(50), words(49) },
  { "gopher", "max_words", rep("word ", 100000), rep("word ", 100001) },
  { "gopher", "min_word_length", mean(60, 3, 0, 2), mean(59, 3, 1, 2) },
  { "gopher", "max_word_length", mean(60, 10, 0, 2), mean(59, 10, 1, 11) },
  { "gopher", "hashes", words(9) .. " #", words(8) .. " #" },
  { "gopher", "ellipses", words(9) .. " …", words(8) .. " ..." },
  { "gopher", "bullet_lines", marked(10, 9, "- ", ""), marked(10, 10, "• ", "") },
  { "gopher", "ellipsis_lines", marked(10, 3, "", "..."), marked(10, 4, "", " … ") },
  { "gopher", "alphabetic_words", words(8) .. " 12 14", words(7) .. " 12 14 ," },
  { "gopher", "min_stop_words", "be of", "of The of" },
  { "gopher_repetition", "duplicate_paragraphs",
    lines(7, function(i) return "paragraph" .. i .. "\n" end) .. rep("\nparagraph1\n", 3),
    lines(6, function(i) return "paragraph" .. i .. "\n" end) .. rep("\nparagraph1\n", 3) },
  { "gopher_repetition", "duplicate_paragraph_characters",
    rep("a", 20) .. "\n\n" .. rep("a", 20) .. "\n\n" .. rep("b", 56),
    rep("a", 20) .. "\n\n" .. rep("a", 20) .. "\n\n" .. rep("b", 55) },
  { "gopher_repetition", "duplicate_lines",
    lines(7, function(i) return "line" .. i end) .. rep("\n\nline1", 3),
    lines(6, function(i) return "line" .. i end) .. rep("\nline1", 3) },
  { "gopher_repetition", "duplicate_line_characters",
    rep("ä", 20) .. "\n" .. rep("ä", 20) .. "\n" .. rep("b", 58),
    rep("ä", 20) .. "\n" .. rep("ä", 20) .. "\n" .. rep("b", 57) },
  { "gopher_repetition", "top_2_gram", grams("one two", 4, 140), grams("one two", 4, 139) },
  { "gopher_repetition", "top_3_gram", grams("one two too", 9, 550), grams("one two too", 9, 549) },
  { "gopher_repetition", "top_4_gram", grams("one two to ten", 8, 700), grams("one two to ten", 8, 699) },
  { "gopher_repetition", "duplicate_5_gram", twice(5, 134), twice(5, 133) },
  { "gopher_repetition", "duplicate_6_gram", twice(6, 172), twice(6, 171) },
  { "gopher_repetition", "duplicate_7_gram", twice(7, 216), twice(7, 215) },
  { "gopher_repetition", "duplicate_8_gram", twice(8, 267), twice(8, 266) },
  { "gopher_repetition", "duplicate_9_gram", twice(9, 328), twice(9, 327) },
  { "gopher_repetition", "duplicate_10_gram", twice(10, 400), twice(10, 399) },
  { "fineweb", "punctuated_lines", marked(25, 3, "", "."), marked(26, 3, "", "。") },
  { "fineweb", "short_lines",
    lines(100, function(i) return rep("ä", i <= 67 and 30 or 31) end),
    lines(100, function(i) return rep("ä", i <= 68 and 30 or 31) end) },
  { "fineweb", "repeated_line_characters",
    "ab\nab\n" .. rep("c", 196), "ab\nab\n" .. rep("c", 195) },
  { "fineweb", "newlines_per_word", rep("word\n", 3) .. words(7), rep("word\n", 3) .. words(6) },
  { "c4", "min_sentences", rep("This is one. ", 5), rep("This is one. ", 4) },
}

local function passes(rules, text, options)
  local given = {}
  for k, v in pairs(options or {}) do given[k] = v end
  given.rules = rules
  local out, rejected = stage.run("filter", given, { { id = "a", text = text } })
  return #out == 1, rejected[1], out[1]
end

test.case("each rule at its published threshold: equal passes, the next value fails", function()
  local seen = {}
  for _, edge in ipairs(EDGES) do
    local name, rule, good, bad = table.unpack(edge)
    seen[name .. "." .. rule] = true
    local set = assert(quality.load(name))
    for _, other in ipairs(quality.rules) do -- this rule alone
      if other[1] ~= rule then set[other[1]] = nil end
    end
    if name == "c4" then set.line_terminal, set.line_words = true, 3 end
    local fine, why = passes(set, good)
    test.ok(fine, ("%s %s: the text that should pass: %s"):format(name, rule, test.show(why and why.detail)))
    fine, why = passes(set, bad)
    test.ok(not fine, ("%s %s: the text that should fail"):format(name, rule))
    if not fine then
      test.equal({ why.reason, why.detail.rule }, { name .. "_" .. rule, rule })
      test.equal(why.detail.min or why.detail.max, set[rule])
    end
  end
  for _, name in ipairs { "gopher", "gopher_repetition", "fineweb", "c4" } do
    for key in pairs(assert(quality.load(name))) do
      test.ok(not quality.is_rule(key) or seen[name .. "." .. key], ("%s.%s has no case"):format(name, key))
    end
  end
end)

local GOOD = "This is a line with an end.\nHere is a second line of it.\nHere is a third line of it.\n"
  .. "Here is a fourth line, too!\nAnd is this not the fifth?"

test.case("C4: each rule of lines, both sides", function()
  local function left(line, options)
    local fine, why, record = passes("c4", GOOD .. "\n" .. line, options)
    if not fine then return why.reason end
    return record.text == GOOD and "gone" or record.text:sub(#GOOD + 2)
  end
  test.equal(left "Three words only.", "Three words only.")
  test.equal(left "Two words.", "gone")
  test.equal(left "There is no end", "gone")
  test.equal(left "It ends in an ellipsis...", "gone")
  test.equal(left 'He said "there is one."', 'He said "there is one."')
  test.equal(left "It has it['a']'", "It has it['a']'")
  test.equal(left("A word of " .. rep("ä", 1000) .. " a."), "A word of " .. rep("ä", 1000) .. " a.")
  test.equal(left("A word of " .. rep("ä", 1001) .. " a."), "gone")
  test.equal(left "Please turn JavaScript on here.", "gone")
  test.equal(left "Read our Privacy Policy for it.", "gone")
  test.equal(left "This site uses cookies on it.", "gone")
  test.equal(left "This is lorem Ipsum dolor.", "c4_lorem_ipsum")
  test.equal(left "This is a { of C.", "c4_curly_bracket")
  test.equal(left "{ but no end", "gone")
  test.equal(left "Cited[1] it is[] here[edit].", "Cited it is here.")
  test.equal(left "Cited it is here. [citation needed]", "gone") -- a blank is left at the end
  test.equal(left("Two words.", { line_words = 2 }), "Two words.")
  test.equal(left("This is a { of C.", { phrases = {} }), "This is a { of C.")
end)

test.case("C4 takes lines out: the span becomes the origin, metadata stay", function()
  local text = GOOD .. "\nMenu"
  local function run(options, s)
    return stage.run("filter", options, { { text = s or text, metadata = { path = "a", span = { 0, 9 } } } })[1]
  end
  local record = run { "c4" }
  test.equal(record.text, GOOD)
  test.equal({ record.metadata.path, record.metadata.span, record.metadata.origin_span[2] }, { "a", nil, 9 })
  test.equal(run({ "c4" }, GOOD).metadata.span[2], 9)
  record = run { "c4", remove_lines = false }
  test.equal({ record.text, record.metadata.span[2] }, { text, 9 })
  record = run { "c4", mode = "flag" }
  test.equal(record.text, text)
  local list = { { instruction = GOOD, output = "Menu" } }
  record = stage.run("filter", { "c4" }, list)[1] -- words of several fields are only judged
  test.equal({ record.instruction, record.output }, { GOOD, "Menu" })
  test.equal(stage.run("filter", { "c4", on = "instruction", line_words = 6 }, list)[1].instruction:sub(1, 27), "This is a line with an end.")
end)

test.case("an empty text fails every set", function()
  for _, name in ipairs { "gopher", "gopher_repetition", "fineweb", "c4" } do
    local fine, why = passes(name, " \n")
    test.equal({ fine, why.reason }, { false, name .. "_empty" })
  end
end)

test.case("a threshold of one's own, a rule turned off, single rules, a file, a table", function()
  local text = lines(100, function(i) return rep("a", i <= 65 and 30 or 31) .. i .. "." end)
  local short = { short_line_length = 33, repeated_line_characters = false, newlines_per_word = false }
  test.ok(passes("fineweb", text, short))
  short.short_lines = 0.6
  local fine, why = passes("fineweb", text, short)
  test.equal({ fine, why.reason, why.detail.max, why.detail.value }, { false, "fineweb_short_lines", 0.6, 0.65 })
  short.short_lines = false
  test.ok(passes("fineweb", text, short))
  fine, why = passes(nil, "one two", { min_words = 3 })
  test.equal({ fine, why.reason, why.detail.value }, { false, "min_words", 2 })
  fine, why = passes({ name = "mine", max_characters = 3 }, "äöüß")
  test.equal({ fine, why.reason, why.detail.value }, { false, "mine_max_characters", 4 })
  local file = require "engine.file"
  local path = os.tmpname()
  assert(file.write(path .. ".lua", "return { min_words = 2 + 1 }", false))
  fine, why = passes(path .. ".lua", "one two")
  test.equal(why.detail.min, 3)
  test.equal(fine, false)
  os.remove(path .. ".lua")
  os.remove(path)
end)

test.case("what is misspelt is named, with what may have been meant", function()
  local filter = require "lathe.stage.filter"
  local _, message = filter.check { rules = { short_linse = 0.5 } }
  test.ok(message:find "did you mean 'short_lines'", message)
  local fine, problem = pcall(filter.hashes, { rules = "gohper" }, { root = "." })
  test.ok(not fine and problem.message:find "did you mean 'gopher'", problem.message)
  test.ok(select(2, filter.check {}):find "nothing to filter by")
  test.ok(select(2, filter.check { where = "a +" }):find "where")
  test.ok(select(2, filter.check { min = 3 }):find "which field")
  test.ok(select(2, filter.check { field = "a" }):find "must be")
  test.ok(select(2, filter.check { field = "a", matches = "[" }):find "matches")
  test.ok(select(2, filter.check { min_words = true }):find "number")
end)

test.case("a condition on a field", function()
  local json = require "engine.json"
  local records = { { id = "1", n = 1 }, { id = "2", n = 2.5 }, { id = "3", n = "2" }, { id = "4", n = json.null },
    { id = "5" }, { id = "6", n = true }, { id = "7", m = { n = "a.b" } } }
  local function ids(options)
    local out, rejected = stage.run("filter", options, records)
    local list = {}
    for i, r in ipairs(out) do list[i] = r.id end
    return table.concat(list), rejected[1] and rejected[1].reason
  end
  test.equal({ ids { field = "n", min = 1 } }, { "12", "field_min" })
  test.equal({ ids { field = "n", min = 1, max = 2 } }, { "1", "field_max" })
  test.equal(ids { field = "n", equals = 1.0 }, "1")
  test.equal(ids { field = "n", equals = "2" }, "3")
  test.equal(ids { field = "n", equals = true }, "6")
  test.equal(ids { field = "n", not_equals = 1 }, "236")
  test.equal(ids { field = "n", exists = true }, "1236")
  test.equal(ids { field = "n", exists = false }, "457")
  test.equal(ids { field = "n", one_of = { 1, "2" } }, "13")
  test.equal(ids { field = "n", one_of = "2, 3" }, "3")
  test.equal(ids { field = "m.n", contains = "." }, "7")
  test.equal(ids { field = "m.n", matches = "^%a%.%a$" }, "7")
  local _, rejected = stage.run("filter", { field = "n", min = 2 }, { { n = 1 } })
  test.equal(rejected[1].detail, { field = "n", value = 1, min = 2 })
end)

test.case("conditions in Lua: where, and a function; one that fails rejects its record", function()
  local records = { { id = "1", text = "four", metadata = { score = 0.4 } }, { id = "2", text = "longer", metadata = { score = 0.9 } },
    { id = "3", text = "other" } }
  local function run(options)
    local out, rejected = stage.run("filter", options, records)
    local list = {}
    for i, r in ipairs(out) do list[i] = r.id end
    for _, r in ipairs(rejected) do list[#list + 1] = r.reason end
    return table.concat(list, " ")
  end
  test.equal(run { where = "#text > 4" }, "2 3 where")
  test.equal(run { where = "metadata.score > 0.5" }, "2 where where_failed")
  test.equal(run { where = "metadata and metadata.score > 0.5" }, "2 where where")
  test.equal(run { where = "record.id == '3' or string.rep('a', 2) == 'b'" }, "3 where where")
  test.equal(run { where = "os == nil" }, "1 2 3")
  test.equal(run { function(r) return r.id ~= "2" end }, "1 3 function")
  test.equal(run { each = function(r) return r.metadata.score end }, "1 2 function_failed")
end)

test.case("flags: every record stays, all rules it fails are listed", function()
  local out, rejected = stage.run("filter", { "gopher", mode = "flag", max_characters = 3, measures = true,
    field = "n", min = 1 }, { { text = "a b c" }, { text = words(49) .. " the of", n = 1, metadata = { flags = { "old" } } } })
  test.equal({ #out, #rejected }, { 2, 0 })
  test.equal(table.concat(out[1].metadata.flags, " "),
    "field_min max_characters gopher_min_words gopher_min_word_length gopher_min_stop_words")
  test.equal(out[1].metadata.measures.words, 3)
  test.equal(table.concat(out[2].metadata.flags, " "), "old max_characters")
end)

test.case("records of any form; no text is a reason", function()
  local out, rejected = stage.run("filter", { min_words = 3 }, { { instruction = "Say it", output = "now" },
    { messages = { { role = "user", content = "one two" }, { role = "assistant", content = "three" } } }, { n = 1 } })
  test.equal({ #out, rejected[1].reason }, { 2, "no_text" })
  test.equal(#stage.run("filter", { min_words = 3, on = "output" }, { { instruction = "Say it", output = "now" } }), 0)
end)

test.case("languages: kept by code, noted with a confidence, unknown where there is nothing to tell by", function()
  local models, why = require("lathe.language").open()
  if not models then
    test.skip(why)
    return
  end
  local texts = { "This is a plain English sentence about the weather and the sea, which nobody reads.",
    "Das ist ein deutscher Satz über das Wetter und das Meer, den niemand liest.",
    "Ceci est une phrase française sur le temps et la mer, que personne ne lira jamais.",
    "12345 67890 .... 12345", "Die Katze.", "Это русское предложение о погоде и море, которое никто не читает." }
  local records = {}
  for i, s in ipairs(texts) do records[i] = { id = tostring(i), text = s } end
  local out, rejected = stage.run("filter", { language = { "en", "DE", "fr" } }, records)
  test.equal({ #out, out[1].metadata.language, out[2].metadata.language, out[3].metadata.language }, { 3, "en", "de", "fr" })
  test.ok(out[1].metadata.language_confidence > 0.5)
  test.equal({ rejected[1].reason, rejected[1].detail.value, rejected[2].detail.value, rejected[3].detail.value },
    { "language", "unknown", "unknown", "ru" })
  test.equal(#stage.run("filter", { language = "any" }, records), 6)
  test.equal(#stage.run("filter", { language = "unknown" }, records), 2)
  test.equal(require("lathe.language").wanted("en, no"), { en = true, nb = true, nn = true })
  local _, unsure = stage.run("filter", { language = "any", min_confidence = 1 }, { { text = "Die Katze." } })
  test.equal(unsure[1].reason, "language_confidence")
end)

test.case("length in tokens of a tokenizer", function()
  local _, _, made = stage.run("tokenizer", { vocab_size = 270 }, { { id = "1", text = ("the sea and the shore "):rep(20) } })
  local tok = made.dir
  local function run(options)
    options.tokenizer = "tokenizer"
    return stage.run("filter", options, { { text = "the sea" }, { text = ("the shore, "):rep(40) } },
      { artifacts = { tokenizer = tok } })
  end
  local count = assert(require("lathe.tokenizers").load(tok)):count "the sea"
  test.equal(#run { max_tokens = count }, 1)
  local out, rejected = run { max_tokens = count - 1 }
  test.equal({ #out, rejected[1].reason, rejected[1].detail.value }, { 0, "max_tokens", count })
  test.equal(#run { min_tokens = count + 1 }, 1)
  require("engine.file").remove_tree((tok:gsub("/made$", "")))
end)

return test.done()
