-- SPDX-License-Identifier: MIT
-- The stage dedup: what is kept, in which order, and what is said of the rest.
local test = require "tests.support.test"
local stage = require "tests.support.stage"

local function text(seed, n)
  local out = {}
  for i = 1, n do out[i] = ("w%d"):format((i * 7919 + seed * 104729) % 100003):gsub("%d", function(d)
    return string.char(97 + d)
  end) end
  return table.concat(out, " ")
end

local function records()
  local list = {}
  for i = 1, 20 do list[i] = { id = "r" .. i, text = text(i, 100), metadata = { document = "D" .. i % 2, path = "a", line = i } } end
  list[7].text = list[3].text
  list[12].text = list[3].text
  list[15].text = list[4].text:upper() .. " and more"
  return list
end

local function ids(list)
  local out = {}
  for i, r in ipairs(list) do out[i] = (r.record or r).id end
  return table.concat(out, " ")
end

test.case("duplicates are rejected with what they are of", function()
  local out, rejected = stage.run("dedup", {}, records())
  test.equal(#out, 17)
  test.equal(ids(out), "r1 r2 r3 r4 r5 r6 r8 r9 r10 r11 r13 r14 r16 r17 r18 r19 r20")
  test.equal(ids(rejected), "r7 r12 r15")
  test.equal(rejected[1].reason, "duplicate_exact")
  test.equal(rejected[1].detail, { of = "r3", similarity = 1.0 })
  test.equal(rejected[3].reason, "duplicate_near")
  test.equal(rejected[3].detail.of, "r4")
  test.ok(rejected[3].detail.similarity > 0.9 and rejected[3].detail.similarity < 1)
end)

test.case("exact only, and words only", function()
  local _, rejected = stage.run("dedup", { near = false }, records())
  test.equal(ids(rejected), "r7 r12")
  local list = records()
  list[15].text = list[4].text:upper()
  _, rejected = stage.run("dedup", { near = false, normalise = true }, list)
  test.equal(ids(rejected), "r7 r12 r15")
end)

test.case("numbers are alike, or what they are", function()
  local list = {}
  for i = 1, 6 do
    list[i] = { id = "n" .. i, text = ("Anna has %d apples and gives %d of them to Ben. How many are left?"):format(20 + i, i) }
  end
  list[6].text = list[5].text:upper()
  test.equal(ids((stage.run("dedup", {}, list))), "n1")
  test.equal(ids((stage.run("dedup", { numbers = "distinct" }, list))), "n1 n2 n3 n4 n5")
  test.equal(ids((stage.run("dedup", { near = false, normalise = true, numbers = "distinct" }, list))), "n1 n2 n3 n4 n5")
  test.equal(ids((stage.run("dedup", { near = false, normalise = true }, list))), "n1")
end)

test.case("within a scope", function()
  local _, rejected = stage.run("dedup", { scope = "metadata.document" }, records())
  test.equal(ids(rejected), "r7") -- r3 and r7 are of D1, r12 of D0, r4 and r15 of different ones
end)

test.case("little memory, and nothing at all", function()
  local a, b = stage.run("dedup", {}, records()), stage.run("dedup", {}, records(), { memory = 1000 })
  test.equal(ids(a), ids(b))
  test.equal(#(stage.run("dedup", {}, {})), 0)
end)

test.case("all of a cluster have its name, and it is the same for any order of shards", function()
  local out, rejected = stage.run("dedup", {}, records())
  local name = out[3].metadata.cluster
  test.ok(name:find "^%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$")
  test.equal({ rejected[1].record.metadata.cluster, rejected[2].record.metadata.cluster }, { name, name })
  test.equal(rejected[3].record.metadata.cluster, out[4].metadata.cluster)
  test.ok(name ~= out[4].metadata.cluster and out[1].metadata.cluster == nil)
  local list, turned = records(), {}
  for i, r in ipairs(list) do turned[#list + 1 - i] = r end
  local back, others = stage.run("dedup", {}, turned)
  test.equal(#back, #out)
  for i, r in ipairs(back) do test.equal(r, out[#out + 1 - i]) end
  test.equal({ others[1], others[2], others[3] }, { rejected[3], rejected[2], rejected[1] })
end)

test.case("mark: duplicates stay and say so", function()
  local out, rejected = stage.run("dedup", { mode = "mark" }, records())
  test.equal({ #out, #rejected }, { 20, 0 })
  test.equal(out[7].metadata.duplicate, { of = "r3", similarity = 1.0, kind = "exact" })
  test.equal({ out[7].metadata.cluster, out[3].metadata.duplicate }, { out[3].metadata.cluster, nil })
end)

test.case("verify = false takes the word of the bands", function()
  local list = { { id = "a", text = text(1, 100) }, { id = "b", text = text(1, 60) .. " " .. text(2, 40) } }
  test.equal(#(stage.run("dedup", { bands = 64, rows = 1 }, list)), 2)
  local out, rejected = stage.run("dedup", { bands = 64, rows = 1, verify = false }, list)
  test.equal({ #out, rejected[1].reason, rejected[1].detail }, { 1, "duplicate_near", { of = "a" } })
end)

test.case("several fields are compared together, strings inside them too", function()
  local list = {
    { id = "a", instruction = "Do it", output = "x y", messages = { { content = "deep" } } },
    { id = "b", instruction = "Do it", output = "x z", messages = { { content = "deep" } } },
    { id = "c", instruction = "Do it", output = "x y", messages = { { content = "deeper" } } },
    { id = "d", instruction = "Do it" } }
  test.equal(ids((stage.run("dedup", { near = false, field = { "instruction", "output" } }, list))), "a b d")
  test.equal(ids((stage.run("dedup", { near = false, field = { "instruction", "messages" } }, list))), "a c d")
end)

test.case("records without the field are told of", function()
  local out, _, ctx = stage.run("dedup", {}, { { id = "a", output = "x" }, { id = "b", output = "x" } })
  test.equal(#out, 2)
  test.contains(ctx.logs[2].message, "2 records have no 'text'")
end)

test.case("the plan says what is found and the memory a record takes", function()
  local module = require "lathe.stage.dedup"
  local function plan(given)
    return table.concat(module.plan((assert(require("lathe.config").check(module.options, given)))), "\n")
  end
  test.contains(plan {}, "14 bands of 8 rows on word 5-grams: a pair of similarity 0.8 is found with probability 0.924")
  test.contains(plan {}, "8 bytes a record")
  test.contains(plan { near = false }, "exact duplicates; 8 bytes a record")
end)

test.case("misuse", function()
  test.raises("must be between", stage.run, "dedup", { near = 2 }, {})
  local module = require "lathe.stage.dedup"
  test.contains(select(2, module.check { bands = 100, rows = 100 }), "100 × 100 is more than 1024")
  test.contains(select(2, module.check { bands = 100 }), "give both or neither")
  test.raises("did you mean 'ngram'", stage.run, "dedup", { ngrams = 3 }, {})
end)

return test.done()
