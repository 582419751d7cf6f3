-- SPDX-License-Identifier: MIT
-- select: a budget of records or of groups, the same whatever the order.
local test = require "tests.support.test"
local stage = require "tests.support.stage"

local function records(n)
  local list = {}
  for i = 1, n do list[i] = { id = tostring(i), metadata = { fact = "f" .. i % 5 } } end
  return list
end

test.case("a number of records, order kept, the rest rejected with its reason", function()
  local out, rejected = stage.run("select", { max = 7 }, records(20))
  test.equal(#out, 7)
  test.equal(#rejected, 13)
  test.equal(rejected[1].reason, "over_budget")
  for i = 2, #out do test.ok(tonumber(out[i].id) > tonumber(out[i - 1].id)) end
  test.equal(#stage.run("select", { max = 7 }, records(3)), 3)
end)

test.case("whole groups, whatever the order of the records", function()
  local function facts(list)
    local seen, n = {}, 0
    for _, r in ipairs((stage.run("select", { max = 2, group = "metadata.fact" }, list))) do
      if not seen[r.metadata.fact] then n = n + 1 end
      seen[r.metadata.fact] = (seen[r.metadata.fact] or 0) + 1
    end
    return seen, n
  end
  local list = records(20)
  local seen, n = facts(list)
  test.equal(n, 2)
  for _, count in pairs(seen) do test.equal(count, 4) end
  local back = {}
  for i = #list, 1, -1 do back[#back + 1] = list[i] end
  test.equal(facts(back), seen)
end)

test.case("records without the field, or without metadata, are one group", function()
  local json = require "engine.json"
  local out = stage.run("select", { max = 1, group = "metadata.fact" },
    { { id = "1" }, { id = "2", metadata = json.null }, { id = "3", metadata = {} } })
  test.equal(#out, 3)
end)

local function ids(out)
  local list = {}
  for i, r in ipairs(out) do list[i] = r.id end
  return table.concat(list, " ")
end

local function scored(list)
  local out = {}
  for i, pair in ipairs(list) do out[i] = { id = tostring(i), metadata = { score = pair[1], tokens = pair[2] } } end
  return out
end

test.case("tokens: best first until no more fits; the order of the records stays", function()
  local list = scored { { 0.1, 10 }, { 0.9, 40 }, { 0.5, 30 }, { 0.8, 50 }, { nil, 1 }, { 0.7, 20 } }
  local options = { tokens = 100, tokens_field = "metadata.tokens" }
  local out, rejected, ctx = stage.run("select", options, list)
  test.equal(ids(out), "1 2 4") -- 40 + 50, 20 and 30 are passed over, 10 fits
  test.equal({ #rejected, rejected[1].reason }, { 3, "over_budget" })
  test.equal(ctx.facts, nil)
  options.tokens = 89
  test.equal(ids((stage.run("select", options, list))), "1 2 5 6") -- 50 and 30 do not fit, 20, 10 and 1 do
  options.by = "metadata.tokens"
  test.equal(ids((stage.run("select", options, list))), "3 4 5")
end)

test.case("best by a field, so many; groups by the mean of their records", function()
  local list = scored { { 0.1 }, { 0.9 }, { 0.5 }, { 0.8 } }
  test.equal(ids((stage.run("select", { max = 2, by = "metadata.score" }, list))), "2 4")
  for i, r in ipairs(list) do r.metadata.fact = i <= 2 and "a" or "b" end
  test.equal(ids((stage.run("select", { max = 1, by = "metadata.score", group = "metadata.fact" }, list))), "3 4")
end)

test.case("equal scores: by a draw that knows seed and id only, not the order", function()
  local list, back = {}, {}
  for i = 1, 50 do list[i] = { id = "r" .. i, metadata = { score = 0.5, tokens = 1 } } end
  for i = 50, 1, -1 do back[#back + 1] = list[i] end
  local options = { tokens = 10, tokens_field = "metadata.tokens" }
  local function set(given)
    local names = {}
    for _, r in ipairs((stage.run("select", options, given))) do names[#names + 1] = r.id end
    table.sort(names)
    return table.concat(names, " ")
  end
  local first = set(list)
  test.equal(set(back), first)
  options.seed = 7
  test.ok(set(list) ~= first)
end)

test.case("tokens of a tokenizer, and records of any form", function()
  local _, _, made = stage.run("tokenizer", { vocab_size = 270 }, { { id = "1", text = ("the sea and the shore "):rep(20) } })
  local count = assert(require("lathe.tokenizers").load(made.dir)):count "the sea"
  local list = { { id = "1", text = "the sea", metadata = { score = 1 } }, { id = "2", output = "the sea", metadata = { score = 2 } } }
  local function run(n)
    return ids((stage.run("select", { tokens = n, tokenizer = "tokenizer" }, list, { artifacts = { tokenizer = made.dir } })))
  end
  test.equal({ run(count), run(2 * count), run(2 * count - 1) }, { "2", "1 2", "2" })
  require("engine.file").remove_tree((made.dir:gsub("/made$", "")))
end)

test.case("what is wrong is said", function()
  local select_ = require "lathe.stage.select"
  test.contains(select(2, select_.check {}), "how much to keep")
  local fine, message = pcall(stage.run, "select", { tokens = 5, tokens_field = "n" }, { { id = "x", n = "many" } })
  test.ok(not fine and tostring(type(message) == "table" and message.message or message):find "no number of tokens")
  local made = assert(require("engine.select").new(100))
  local ok, why, code = made:add(nil, 0, "a", 0)
  test.equal({ ok, code }, { nil, "limit" })
  test.contains(why, "--memory")
end)

return test.done()
