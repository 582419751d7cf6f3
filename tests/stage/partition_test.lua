-- SPDX-License-Identifier: MIT
-- partition: shares of groups, whatever the order; values that decide by themselves; what sides share.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local function run(options, list, given)
  local out, _, ctx = stage.run("partition", options, list, given)
  return out, ctx
end

local function plain(options)
  options.leakage = options.leakage or "none"
  return options
end

local function records(n, groups)
  local out = {}
  for i = 1, n do out[i] = { id = "r" .. i, metadata = { document = "d" .. i % groups, phrasing = i % 5 } } end
  return out
end

-- split by group, and the number of groups in each split; fails when a group is divided.
local function by_group(out, of_record)
  local of, counts = {}, { train = 0, validation = 0, test = 0 }
  for _, r in ipairs(out) do
    local g, split = type(of_record) == "function" and of_record(r) or r.metadata.document, r.metadata.split
    test.ok(of[g] == nil or of[g] == split, "group " .. g .. " is divided")
    if not of[g] then counts[split] = counts[split] + 1 end
    of[g] = split
  end
  return of, counts
end

local function shuffled(list, seed)
  local copy, rng = {}, hash.rng(tostring(seed))
  for i, r in ipairs(list) do copy[i] = r end
  for i = #copy, 2, -1 do
    local k = rng:integer(1, i)
    copy[i], copy[k] = copy[k], copy[i]
  end
  return copy
end

test.case("groups stay together and the shares are exact", function()
  local out = run(plain { train = 0.8 }, records(500, 50))
  local _, counts = by_group(out)
  test.equal(counts, { train = 40, validation = 0, test = 10 })
  test.equal(#out, 500)
  test.equal(out[7].id, "r7")
  _, counts = by_group(run(plain { train = 0.7, validation = 0.1, test = 0.2 }, records(300, 100)))
  test.equal(counts, { train = 70, validation = 10, test = 20 })
  _, counts = by_group(run(plain { train_ratio = 0.66, seed = 3 }, records(9, 3)))
  test.equal(counts, { train = 2, validation = 1, test = 0 }, "what is left of train_ratio is for validation")
  _, counts = by_group(run(plain { train_ratio = 0.5, test = 0.25 }, records(40, 20)))
  test.equal(counts, { train = 10, validation = 5, test = 5 })
end)

test.case("the order of records does not matter, the seed does", function()
  for _, method in ipairs { "exact", "hash" } do
    local list = records(300, 60)
    local first = by_group(run(plain { method = method }, list))
    test.equal(by_group(run(plain { method = method }, shuffled(list, 1))), first)
    test.equal(by_group(run(plain { method = method }, list, { memory = 1000 })), first)
    local other = by_group(run(plain { seed = 7, method = method }, list))
    local moved = false
    for g, split in pairs(first) do moved = moved or other[g] ~= split end
    test.ok(moved)
  end
end)

test.case("hash: adding data moves nothing but groups that merge, which are listed", function()
  local list = {}
  for i = 1, 400 do list[i] = { id = "r" .. i, metadata = { document = "d" .. i % 200 } } end
  local before = by_group(run(plain { method = "hash" }, list))
  for i = 401, 900 do list[i] = { id = "r" .. i, metadata = { document = "d" .. i } } end
  -- clusters tie old documents to each other, and one to a new one
  local tied = { d1 = true, d2 = true, d3 = true, d4 = true, d5 = true, d6 = true, d7 = true, d901 = true, d8 = true }
  for i = 1, 7 do list[i].metadata.cluster = "c" .. i // 4 end
  list[8].metadata.cluster = "alone"
  list[901] = { id = "x", metadata = { document = "d901", cluster = "c1" } }
  test.with_dir(function(dir)
    local out, ctx = run(plain { method = "hash", report = dir .. "/report.json" }, list)
    local after = by_group(out)
    test.equal(after.d1, after.d3)
    test.equal(after.d4, after.d901)
    local changed = 0
    for g, split in pairs(before) do
      if after[g] ~= split then
        changed = changed + 1
        test.ok(tied[g] and g ~= "d8", g .. " moved")
      end
    end
    test.ok(changed > 0, "a seed with which something moves is needed")
    local report = json.decode(file.read(dir .. "/report.json"))
    local listed = {}
    for _, r in ipairs(report.merged_records.first) do listed[r.document] = true end
    for g, split in pairs(before) do test.ok(after[g] == split or listed[g], g .. " moved and is not listed") end
    for g in pairs(listed) do test.ok(tied[g], g .. " is listed and did not merge") end
    test.equal(report.merged_groups, 6) -- d1 d2 d3, d4 … d7 d901
    test.equal(#ctx.rejected, 0)
  end)
end)

test.case("the share of hashed groups is near what was asked", function()
  local _, counts = by_group(run(plain { method = "hash", train = 0.7, validation = 0.2 }, records(2000, 2000)))
  test.ok(math.abs(counts.train - 1400) < 85 and math.abs(counts.validation - 400) < 75, test.show(counts))
end)

test.case("auto is exact below a thousand groups", function()
  local _, ctx = run(plain {}, records(999, 999))
  test.equal(ctx.logs[#ctx.logs].fields.method, "exact")
  _, ctx = run(plain {}, records(1000, 1000))
  test.equal(ctx.logs[#ctx.logs].fields.method, "hash")
end)

test.case("documents tied by clusters are one group, chains too", function()
  local list = {}
  for i = 1, 40 do
    list[#list + 1] = { id = "a" .. i, metadata = { document = "d" .. i, cluster = "c" .. i // 4 } }
    list[#list + 1] = { id = "b" .. i, metadata = { document = "d" .. i } }
  end
  local chain = function(r) return tonumber(r.metadata.document:sub(2)) // 4 end
  local _, counts = by_group(run(plain { train = 0.5 }, list), chain)
  test.equal(counts.train + counts.test, 11)
  test.equal(math.abs(counts.train - 5.5), 0.5)
  local out = run(plain { train = 0.5, clusters = false }, list)
  test.ok(not pcall(by_group, out, chain))
  by_group(out)
end)

test.case("stratified: every value gets its share", function()
  local list = {}
  for i = 1, 200 do
    list[i] = { id = "r" .. i, metadata = { document = "d" .. i, type = i <= 150 and "md" or i <= 190 and "pdf" or nil } }
  end
  local function count(out)
    local counts = {}
    for _, r in ipairs(out) do
      local key = (r.metadata.type or "none") .. " " .. r.metadata.split
      counts[key] = (counts[key] or 0) + 1
    end
    return counts
  end
  local want = { ["md train"] = 120, ["md test"] = 30, ["pdf train"] = 32, ["pdf test"] = 8, ["none train"] = 8, ["none test"] = 2 }
  test.equal(count(run(plain { stratify = "metadata.type" }, list)), want)
  test.equal(count(run(plain { stratify = "metadata.type" }, shuffled(list, 2))), want)
  -- strata of one: the whole still has its shares
  local ones = {}
  for i = 1, 50 do ones[i] = { id = "r" .. i, metadata = { document = "d" .. i, type = i } } end
  local _, counts = by_group(run(plain { stratify = "metadata.type" }, ones))
  test.equal(counts, { train = 40, validation = 0, test = 10 })
end)

test.case("values that decide by themselves", function()
  local out, ctx = run(plain { by = { field = "metadata.phrasing", test = { 3, 4 } }, field = "role" }, records(50, 10))
  local counts = { train = 0, test = 0 }
  for _, r in ipairs(out) do
    test.equal(r.metadata.role, r.metadata.phrasing >= 3 and "test" or "train")
    counts[r.metadata.role] = counts[r.metadata.role] + 1
  end
  test.equal(counts, { train = 30, test = 20 })
  test.contains(ctx.logs[#ctx.logs].message, "30 train, 0 validation, 20 test")
end)

test.case("twice, in two fields; other groups; records without a group", function()
  local out = run(plain {}, records(100, 20))
  local twice = run(plain { field = "second", group = "metadata.phrasing", train = 0.6 }, out)
  local phrasings = {}
  for i, r in ipairs(twice) do
    test.equal(r.metadata.split, out[i].metadata.split)
    test.ok(phrasings[r.metadata.phrasing] == nil or phrasings[r.metadata.phrasing] == r.metadata.second)
    phrasings[r.metadata.phrasing] = r.metadata.second
  end
  local lonely, ctx = run(plain { train = 0.5 }, { { id = "a" }, { id = "b" }, { id = "c", metadata = {} }, { id = "d" } })
  test.equal(#lonely, 4)
  test.contains(ctx.logs[1].message, "4 records have no metadata.document")
  local _, counts = by_group(run(plain { group = "id" }, records(50, 2)), function(r) return r.id end)
  test.equal(counts, { train = 40, validation = 0, test = 10 })
end)

-- ---- leakage ----

local function words(n, seed)
  local out = {}
  for i = 1, n do
    out[i] = ("w%d"):format((i * 7919 + seed * 104729) % 100003):gsub("%d", function(d) return string.char(97 + d) end)
  end
  return table.concat(out, " ")
end

-- Sides by `by`, so that what leaks is known.
local function leaky()
  local list = {}
  for i = 1, 12 do
    list[i] = { id = "r" .. i, text = words(60, i), metadata = { document = "d" .. i, side = i <= 8 and "a" or "b" } }
  end
  list[9].text = list[1].text                                                     -- the same
  list[10].text = list[2].text .. " and three words"                              -- nearly
  list[11].text = words(14, 3) .. " " .. words(46, 99)                            -- two shared 13-grams
  list[12].metadata.document = "d4"
  return list
end
local BY = { field = "metadata.side", train = { "a" }, test = { "b" } }

test.case("a leakage report counts what sides share, and shows it", function()
  test.with_dir(function(dir)
    local out, ctx = run({ by = BY, report = dir .. "/r.json" }, leaky())
    test.equal(#out, 12)
    local report = json.decode(file.read(dir .. "/r.json"))
    local function found(kind) return report.leakage[kind]["train-test"] end
    test.equal(found "document", { shared = 1, records = 1 })
    test.equal(found "exact", { shared = 1, records = 1 })
    test.equal(found "near", { shared = 2, records = 2 })
    test.equal(found "ngram", { shared = 48 + 48 + 2, records = 3 })
    test.equal(found "cluster", { shared = 0, records = 0 })
    test.equal(report.records, { train = 8, validation = 0, test = 4 })
    local pairs_of = {}
    for _, e in ipairs(report.examples) do pairs_of[e.kind .. " " .. e.first.id .. " " .. e.second.id] = true end
    for _, want in ipairs { "document r4 r12", "exact r1 r9", "near r2 r10", "ngram r3 r11" } do test.ok(pairs_of[want], want) end
    local said = {}
    for _, l in ipairs(ctx.logs) do said[#said + 1] = l.message end
    test.contains(table.concat(said, "\n"), "train-test: near duplicates: 2 of 4 records of test have something of train")
    test.contains(table.concat(said, "\n"), "train-test: shared 13-grams: 3 of 4")
    local _, again = run({ by = BY, report = dir .. "/s.json" }, leaky(), { memory = 100 })
    test.equal(#again.rejected, 0)
    test.equal(file.read(dir .. "/s.json"), file.read(dir .. "/r.json"))
  end)
end)

test.case("leakage fails on request", function()
  local message = test.raises("have something in common", run, { by = BY, leakage = "fail" }, leaky())
  test.contains(message, "[failed]")
  test.equal(#run({ by = BY, leakage = "fail", fail_on = { "cluster" } }, leaky()), 12)
  test.equal(#run({ leakage = "fail", train = 0.5 }, (function()
    local list = leaky()
    return { list[1], list[2], list[3], list[4], list[5] }
  end)()), 5)
end)

test.case("no leak where clusters and documents keep together", function()
  local list = leaky()
  for i = 1, 3 do list[i].metadata.cluster, list[8 + i].metadata.cluster = "c" .. i, "c" .. i end
  test.equal(#run({ leakage = "fail", train = 0.5 }, list), 12)
end)

-- ---- misuse ----

local function refused(part, options, list)
  test.raises(part, run, options, list or records(10, 10))
end

test.case("shares that make no sense are named", function()
  refused("more than 1", { train = 0.8, test = 0.5 })
  refused("more than 1", { train_ratio = 0.8, test = 0.5 })
  refused("not to 1", { train = 0.5, validation = 0.1, test = 0.1 })
  refused("by needs field", { by = { test = { 1 } } })
  refused("by has no 'tset'", { by = { field = "x", tset = { 1 } } })
  refused("must be between", { train = 1.2 })
  refused("must be between", { train_ratio = -0.1 })
  refused("give one of them", { train = 0.5, train_ratio = 0.5 })
  refused("did you mean 'near'", { fail_on = { "naer" } })
  refused("on average only", { stratify = "x", method = "hash" })
end)

test.case("an empty side is refused unless it is asked for", function()
  refused("test would be empty: 3 groups", { train = 0.9 }, records(9, 3))
  refused("everything would go to train", { train = 1 })
  refused("everything would go to train", { train_ratio = 1 })
  refused("everything would go to test", { train = 0 })
  refused("there are no records", {}, {})
  test.equal(#run({ train = 0.9, allow_empty = true }, records(9, 3)), 9)
  test.equal(#run({ train = 1, allow_empty = true }, records(9, 3)), 9)
  test.equal(#run({ train = 0.9, validation = 0.1, test = 0 }, records(30, 30)), 30)
  test.equal(#run({ allow_empty = true }, {}), 0)
end)

return test.done()
