-- SPDX-License-Identifier: MIT
-- score: each part at its edges, weights, min, records of any form.
local test = require "tests.support.test"
local stage = require "tests.support.stage"

local function words(n, from)
  local list = {}
  for i = 1, n do list[i] = ("w%dx"):format((from or 0) + i) end
  return table.concat(list, " ")
end

local function scores(s, options)
  local out = stage.run("score", options or {}, { { text = s } })
  return out[1].metadata.scores, out[1].metadata.score
end

test.case("length: rises to the shortest, falls beyond the longest", function()
  test.equal({ scores(words(10)).length, scores(words(20)).length, scores(words(2000)).length }, { 0.5, 1.0, 1.0 })
  test.equal(scores(words(4000)).length, 0.5)
  test.equal(scores(words(10), { shortest = 10 }).length, 1.0)
  test.equal(scores("...").length, 0.0)
end)

test.case("punctuation: how often sentences end, and how the text does", function()
  test.equal(scores(words(40) .. ".").punctuation, 1.0)
  test.equal(scores(words(80) .. ".").punctuation, 0.75)
  test.equal(scores(words(40)).punctuation, 0.0)
  test.equal(scores(words(39) .. ". " .. words(1)).punctuation, 0.5)
  test.equal(scores("a. b. c. d.").punctuation, 0.625)
  test.equal(scores("a b c d。\n").punctuation, 1.0)
  test.equal(scores("").punctuation, 0.0)
end)

test.case("diversity: of different words, whatever their case", function()
  test.equal(scores(words(100)).diversity, 1.0)
  test.equal(scores("One one ONE one").diversity, 0.0)
  test.equal(scores("one").diversity, 1.0)
  local half = scores(words(10) .. " " .. words(10):rep(9, " ")).diversity -- 10 of 100: C = 0.5
  test.equal(half, 0.0)
  local some = scores(words(10) .. " " .. words(10):rep(3, " ")).diversity -- 10 of 40: C = 0.6242
  test.equal(some, math.floor((math.log(10) / math.log(40) - 0.5) / 0.35 * 10000 + 0.5) / 10000)
end)

test.case("keywords: whole words and phrases, whatever their case; enough of them count as all", function()
  local options = { keywords = { "Sea", "north wind", "Ärger", "ship" }, enough = 2 }
  test.equal(scores("The SEA is cold.", options).keywords, 0.5)
  test.equal(scores("The seal is cold, shipping too.", options).keywords, 0.0)
  test.equal(scores("North wind, ärger, sea.", options).keywords, 1.0)
  test.equal(scores("A ship.", { keywords = "ship, sea" }).keywords, 0.5)
  test.equal(scores("A ship.").keywords, nil)
end)

test.case("the score is the weighted mean of the parts that are there", function()
  local parts, score = scores(words(10) .. ".")
  test.equal(parts, { length = 0.5, punctuation = 1.0, diversity = 1.0 })
  test.equal(score, math.floor((0.3 * 0.5 + 0.2 + 0.3) / 0.8 * 10000 + 0.5) / 10000)
  local _, only = scores(words(10) .. ".", { length = 1, punctuation = 0, diversity = 0 })
  test.equal(only, 0.5)
  test.ok(not require("lathe.stage.score").check { length = 0, punctuation = 0, diversity = 0, relevance = 1, shortest = 1, longest = 2 })
end)

test.case("min: equal passes, less is rejected with its parts", function()
  local list = { { id = "a", text = words(20) .. "." }, { id = "b", text = words(10) .. "." }, { id = "c", n = 1 } }
  local out, rejected = stage.run("score", { min = 0.8125 }, list)
  test.equal({ #out, #rejected, rejected[1].reason }, { 2, 1, "no_text" })
  out, rejected = stage.run("score", { 0.8126 }, list)
  test.equal({ #out, rejected[1].reason, rejected[1].detail.score, rejected[1].detail.scores.length }, { 1, "low_score", 0.8125, 0.5 })
end)

test.case("instructions, messages, a field", function()
  local list = { { instruction = words(10), output = words(10, 50) .. "." },
    { messages = { { role = "user", content = words(10) }, { role = "assistant", content = words(10, 50) .. "." } } },
    { instruction = "x", output = words(20) .. "." } }
  local out = stage.run("score", {}, list)
  test.equal({ out[1].metadata.scores.length, out[2].metadata.scores.length }, { 1.0, 1.0 })
  test.equal(stage.run("score", { on = "output" }, { list[3] })[1].metadata.scores.length, 1.0)
  test.equal(out[3].output, list[3].output)
end)

return test.done()
