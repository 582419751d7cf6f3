-- SPDX-License-Identifier: MIT
-- partition: exact shares of groups, whatever the order; values that decide by themselves.
local test = require "tests.support.test"
local stage = require "lathe.stage.partition"
local run = require "tests.stage.context"

local function records(n, groups)
  local out = {}
  for i = 1, n do out[i] = { id = "r" .. i, metadata = { document = "d" .. i % groups, phrasing = i % 5 } } end
  return out
end

-- split by group, and the number of groups in each split; fails when a group is divided.
local function by_group(out)
  local of, counts = {}, { train = 0, validation = 0, test = 0 }
  for _, r in ipairs(out) do
    local g, split = r.metadata.document, r.metadata.split
    test.ok(of[g] == nil or of[g] == split, "group " .. g .. " is divided")
    if not of[g] then counts[split] = counts[split] + 1 end
    of[g] = split
  end
  return of, counts
end

test.case("groups stay together and the shares are exact", function()
  local out = run.barrier(stage, { train = 0.8 }, records(500, 50))
  local _, counts = by_group(out)
  test.equal(counts, { train = 40, validation = 0, test = 10 })
  test.equal(#out, 500)
  test.equal(out[7].id, "r7")
  _, counts = by_group(run.barrier(stage, { train = 0.7, validation = 0.1, test = 0.2 }, records(300, 100)))
  test.equal(counts, { train = 70, validation = 10, test = 20 })
  _, counts = by_group(run.barrier(stage, { train = 0.9 }, records(9, 3)))
  test.equal(counts, { train = 2, validation = 0, test = 1 }, "no share is left empty")
  _, counts = by_group(run.barrier(stage, { train = 0.9 }, records(9, 1)))
  test.equal(counts, { train = 1, validation = 0, test = 0 })
end)

test.case("the order of records does not matter, the seed does", function()
  local list = records(300, 60)
  local first = by_group(run.barrier(stage, {}, list))
  local reversed = {}
  for i, r in ipairs(list) do reversed[#list + 1 - i] = r end
  test.equal(by_group(run.barrier(stage, {}, reversed)), first)
  local other = by_group(run.barrier(stage, { seed = 7 }, list))
  local moved = false
  for g, split in pairs(first) do moved = moved or other[g] ~= split end
  test.ok(moved)
end)

test.case("values that decide by themselves", function()
  local out, ctx = run.barrier(stage, { by = { field = "metadata.phrasing", test = { 3, 4 } }, field = "role" }, records(50, 10))
  local counts = { train = 0, test = 0 }
  for _, r in ipairs(out) do
    test.equal(r.metadata.role, r.metadata.phrasing >= 3 and "test" or "train")
    counts[r.metadata.role] = counts[r.metadata.role] + 1
  end
  test.equal(counts, { train = 30, test = 20 })
  test.contains(ctx.logs[#ctx.logs].message, "30 train, 0 validation, 20 test")
end)

test.case("twice, in two fields; other groups; records without a group", function()
  local out = run.barrier(stage, {}, records(100, 20))
  local twice = run.barrier(stage, { field = "second", group = "metadata.phrasing", train = 0.6 }, out)
  local phrasings = {}
  for i, r in ipairs(twice) do
    test.equal(r.metadata.split, out[i].metadata.split)
    test.ok(phrasings[r.metadata.phrasing] == nil or phrasings[r.metadata.phrasing] == r.metadata.second)
    phrasings[r.metadata.phrasing] = r.metadata.second
  end
  local lonely, ctx = run.barrier(stage, { train = 0.5 }, { { id = "a" }, { id = "b" }, { id = "c", metadata = {} }, { id = "d" } })
  test.equal(#lonely, 4)
  test.contains(ctx.logs[1].message, "4 records have no metadata.document")
end)

test.case("shares that make no sense are named", function()
  test.contains(select(2, run.barrier(stage, { train = 0.8, test = 0.5 }, {})), "more than 1")
  test.contains(select(2, run.barrier(stage, { train = 0.5, validation = 0.1, test = 0.1 }, {})), "not to 1")
  test.contains(select(2, run.barrier(stage, { by = { test = { 1 } } }, {})), "by needs field")
  test.contains(select(2, run.barrier(stage, { by = { field = "x", tset = { 1 } } }, {})), "by has no 'tset'")
end)

return test.done()
