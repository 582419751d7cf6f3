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
  for i = 1, 20 do list[i] = { id = "r" .. i, text = text(i, 100), metadata = { document = "D" .. i % 2 } } end
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

test.case("within a scope", function()
  local _, rejected = stage.run("dedup", { scope = "metadata.document" }, records())
  test.equal(ids(rejected), "r7") -- r3 and r7 are of D1, r12 of D0, r4 and r15 of different ones
end)

test.case("little memory, and nothing at all", function()
  local a, b = stage.run("dedup", {}, records()), stage.run("dedup", {}, records(), { memory = 1000 })
  test.equal(ids(a), ids(b))
  test.equal(#(stage.run("dedup", {}, {})), 0)
end)

test.case("misuse", function()
  test.raises("must be between", stage.run, "dedup", { near = 2 }, {})
  test.raises("buckets", stage.run, "dedup", { buckets = 100, rows = 100 }, {})
end)

return test.done()
