-- SPDX-License-Identifier: MIT
-- Partition: decides for every record whether it is for training, validation or test, and writes that to
-- metadata.split.
--
-- Whole groups stay together (by default all records of a document, and of documents that share a cluster
-- of near duplicates), so that no test question is about a page that was trained on. A group's place
-- depends on the seed and its name alone, so the order in which records arrive does not matter:
--
--   method = "exact"   groups in the order of their places; the first round(n · share) train, and so on
--   method = "hash"    a group's place, a number from 0 to 1, lies below the share or not: when records are
--                      added, nothing moves but groups that merge, which are listed
--
-- `by` names values that go to a side in any case. A leakage report says what the sides have in common.
-- Three passes over the input, in C but for the last; nothing of the records is in memory.

local config = require "lathe.config"
local file = require "engine.file"
local json = require "engine.json"
local partition = require "engine.partition"

local SHARE = "share of the groups for "

local M = {
  name = "partition",
  version = 2,
  kind = "barrier",
  summary = "Divides records into train, validation and test, keeping groups together.",
  options = {
    train = { type = "number", min = 0, max = 1, help = SHARE .. "training (default: what is left; 0.8 when nothing is given)" },
    validation = { type = "number", min = 0, max = 1, help = SHARE .. "validation (default 0)" },
    test = { type = "number", min = 0, max = 1, help = SHARE .. "test (default: what is left)" },
    train_ratio = { type = "number", min = 0, max = 1, help = "train, where what is left is for validation unless test is given" },
    seed = { type = "integer", help = "another division (default: the recipe's seed)" },
    method = { type = "string", default = "auto", choices = { "auto", "hash", "exact" },
      help = "auto: exact below 1,000 groups or with stratify, else hash" },
    group = { type = "string|table", default = "document",
      help = "what stays together: document, cluster, id (each record by itself), a field such as metadata.fact, or a list of them" },
    clusters = { type = "boolean", default = true, help = "groups that share a metadata.cluster stay together too" },
    stratify = { type = "string", help = "a field such as metadata.type: each of its values gets the shares" },
    by = { type = "table", help = "{ field = \"metadata.phrasing\", test = { 3, 4 }, validation = { … } }: values that decide by themselves" },
    field = { type = "string", default = "split", help = "the field of metadata that is set" },
    allow_empty = { type = "boolean", default = false, help = "a side may stay without records" },
    leakage = { type = "string", default = "report", choices = { "none", "report", "fail" },
      help = "what the sides have in common: not looked at, told, or a failure" },
    fail_on = { type = "table", default = { "document", "cluster", "exact", "near", "ngram" },
      help = "the kinds of leakage that fail" },
    near = { type = "number", default = 0.8, min = 0, max = 1, help = "leakage: Jaccard similarity of near duplicates" },
    ngram = { type = "integer", default = 13, min = 1, max = 32, help = "leakage: words in a row that count as shared" },
    fields = { type = "table", help = "leakage: the fields that are the record's text (default: all strings but id, source, metadata)" },
    report = { type = "string", neutral = true, help = "a file that gets the leakage report as JSON" },
  },
}

local BY_KEYS = { field = true, test = true, validation = true, train = true }
local SPLITS = { "train", "validation", "test" }
local KINDS = { "document", "cluster", "exact", "near", "ngram" }
local PAIRS = { "train-validation", "train-test", "validation-test" }
local SAY = { document = "shared documents", cluster = "shared clusters", exact = "the same text", near = "near duplicates",
  ngram = "shared %d-grams" }
local LISTED = 1000 -- merged records in the report

local function fail(message) return nil, message, "misuse" end

-- The three shares; they sum to 1.
local function fractions(options)
  local train, validation, test = options.train, options.validation, options.test
  if options.train_ratio then
    if train then return fail "train and train_ratio are the same; give one of them" end
    train = options.train_ratio
    if not validation then validation = 1 - train - (test or 0) end
  end
  if not train and not validation and not test then
    train = options.by and 1 or 0.8
  end
  local given = (train or 0) + (validation or 0) + (test or 0)
  if given > 1 + 1e-9 or (validation or 0) < -1e-9 then
    return fail(("the shares sum to %g, more than 1"):format(given))
  end
  validation = math.max(0, validation or 0)
  if not train then
    train = 1 - validation - (test or 0)
  elseif not test then
    test = 1 - train - validation
  elseif math.abs(train + validation + test - 1) > 1e-9 then
    return fail(("train, validation and test sum to %g, not to 1"):format(given))
  end
  local share = { train = train, validation = validation, test = test or 0 }
  for split, value in pairs(share) do if value < 1e-9 then share[split] = 0 end end
  return share
end

-- A side that would be empty whatever the records are.
local function check_shares(options, share)
  local sides = {}
  for _, split in ipairs(SPLITS) do if share[split] > 0 then sides[#sides + 1] = split end end
  if #sides > 1 or options.by or options.allow_empty then return true end
  return fail(("everything would go to %s; give a ratio between 0 and 1, or allow_empty = true"):format(sides[1] or "no side"))
end

local function check_by(by)
  if not by then return true end
  for key in pairs(by) do
    if not BY_KEYS[key] then return fail(("by has no '%s' (it has: field, test, train, validation)"):format(tostring(key))) end
  end
  if type(by.field) ~= "string" then return fail("by needs field = the field to look at") end
  local seen = {}
  for _, split in ipairs(SPLITS) do
    for _, value in ipairs(by[split] or {}) do
      if seen[tostring(value)] then return fail(("by gives the value '%s' twice"):format(tostring(value))) end
      seen[tostring(value)] = true
    end
  end
  return true
end

function M.check(options)
  local share, message, code = fractions(options)
  if not share then return nil, message, code end
  local fine
  fine, message, code = check_shares(options, share)
  if fine then fine, message, code = check_by(options.by) end
  if not fine then return nil, message, code end
  if options.stratify and options.method == "hash" then
    return fail "stratify: method \"hash\" gives each value its share on average only; use \"exact\""
  end
  for _, kind in ipairs(options.fail_on) do
    if not SAY[kind] then return fail("fail_on: " .. config.unknown("kind", tostring(kind), KINDS)) end
  end
  return true
end

--- What the plan says of memory.
function M.plan(options)
  local lines = { "16 bytes a record and a group, beyond the ceiling on disk" }
  if options.leakage ~= "none" then
    lines[2] = ("a leakage report: 10 bytes a record in memory; near duplicates and %d-grams are sorted on disk beyond the ceiling"):format(
      options.ngram)
  end
  return lines
end

local SHORT = { document = "metadata.document", cluster = "metadata.cluster", id = "id" }

-- The fields of groups: the first names a record's own.
local function group_fields(options)
  local list, seen = {}, {}
  local function add(name)
    name = SHORT[name] or name
    if not seen[name] then list[#list + 1] = name end
    seen[name] = true
  end
  if type(options.group) == "string" then
    add(options.group)
  else
    for _, name in ipairs(options.group) do add(name) end
  end
  if #list == 0 then add "id" end
  if options.clusters then add "cluster" end
  return list
end

-- First pass: the groups and their sides.
local function divide(input, ctx, share)
  local o = ctx.options
  local g, message, code = partition.new { fields = group_fields(o), stratify = o.stratify,
    by = o.by and o.by.field, seed = o.seed or ctx.seed, memory = ctx.memory, scratch = ctx.scratch }
  if not g then return nil, message, code end
  for _, split in ipairs(SPLITS) do
    for _, value in ipairs(o.by and o.by[split] or {}) do g:decide(tostring(value), split) end
  end
  local paths = input:paths()
  for i, path in ipairs(paths) do
    local n
    n, message, code = g:add_lines(path)
    if not n then return nil, message, code end
    ctx.progress(i, #paths, "parts")
  end
  local facts
  facts, message, code = g:finish(o.method, share)
  if not facts then return nil, message, code end
  return g, facts
end

-- The sides that were asked for and have no record, in words.
local function empty_sides(share, facts)
  local out = {}
  for _, split in ipairs(SPLITS) do
    if share[split] > 0 and facts.records_of[split] == 0 then out[#out + 1] = split end
  end
  return #out > 0 and table.concat(out, " and ") or nil
end

local function check_empty(options, share, facts)
  if options.allow_empty then return true end
  if facts.records == 0 then return fail "there are no records to divide (allow_empty = true lets that pass)" end
  for _, split in ipairs(SPLITS) do
    if share[split] > 0 and facts.records_of[split] == 0 and not (options.by and facts.groups == 0) then
      return fail(("%s would be empty: %d group%s at a share of %g; give another ratio, group by something smaller, or allow_empty = true"):format(
        split, facts.groups, facts.groups == 1 and "" or "s", share[split]))
    end
  end
  return true
end

-- ---- leakage ----

local function find_leaks(g, input, ctx)
  local o, bytes = ctx.options, 0
  for _, path in ipairs(input:paths()) do bytes = bytes + ((file.stat(path) or {}).size or 0) end
  local l, message, code = partition.leaks(g, { near = o.near, ngram = o.ngram, fields = o.fields, bytes = bytes,
    memory = ctx.memory, scratch = ctx.scratch })
  if not l then return nil, message, code end
  local leaks <close> = l
  for _, path in ipairs(input:paths()) do
    local fine
    fine, message, code = leaks:add_lines(path)
    if not fine then return nil, message, code end
  end
  return leaks:finish()
end

-- What is shared between which sides, one sentence each; and those of the kinds that fail.
local function findings(report, options)
  local all, bad, fails = {}, {}, {}
  for _, kind in ipairs(options.fail_on) do fails[kind] = true end
  for _, kind in ipairs(KINDS) do
    for _, pair in ipairs(PAIRS) do
      local found = report.found[kind][pair]
      if found.records > 0 then
        local first, second = pair:match "(.+)-(.+)"
        local text = ("%s: %s: %d of %d records of %s have something of %s"):format(pair,
          SAY[kind]:format(options.ngram), found.records, report.records[second], second, first)
        all[#all + 1] = text
        if fails[kind] then bad[#bad + 1] = text end
      end
    end
  end
  return all, bad
end

-- The ids and texts of the records that the examples name, by number.
local function wanted_of(report)
  local wanted = {}
  for _, example in ipairs(report and report.examples or {}) do
    wanted[example.first], wanted[example.second] = {}, {}
  end
  return wanted
end

local function describe(record, g, i)
  local metadata = json.kind(record.metadata) == "object" and record.metadata or {}
  return { record = i, id = record.id, path = metadata.path, document = metadata.document, cluster = metadata.cluster,
    split = g:side(i) }
end

local function write_report(report, wanted, merged, facts, ctx)
  local examples = {}
  for i, example in ipairs(report.examples) do
    examples[i] = { kind = example.kind, first = wanted[example.first], second = wanted[example.second] }
  end
  local o = ctx.options
  local out = { records = report.records, groups = facts.groups_of, method = facts.method, near = o.near, ngram = o.ngram,
    ngrams_taken = ("1 in %d"):format(report.every), leakage = report.found, examples = json.array(examples),
    merged_groups = facts.merged, merged_records = { count = facts.unsettled, first = json.array(merged) } }
  local text = json.encode(out, { indent = 2, sort = true }) .. "\n"
  for _, path in ipairs { ctx.dir and ctx.dir .. "/leakage.json" or false, o.report or false } do
    local fine, message, code = true, nil, nil
    if path then fine, message, code = file.write(path, text) end
    if not fine then return nil, message, code end
  end
  return true
end

local function tell(report, ctx)
  local all, bad = findings(report, ctx.options)
  local say = ctx.say or function() end
  for _, text in ipairs(all) do
    ctx.log("info", "leakage: " .. text)
    say("  leakage: " .. text)
  end
  if #all == 0 then ctx.log("info", "leakage: none") end
  if #bad == 0 or ctx.options.leakage ~= "fail" then return true end
  return nil, "the sides have something in common: " .. table.concat(bad, "; "), "failed"
end

-- ---- passing on ----

local function set_split(record, field, split)
  if json.kind(record.metadata) ~= "object" then record.metadata = {} end
  record.metadata[field] = split
end

-- Reads the records once more for the report's sake: the examples, and those whose group was merged.
local function look_up(input, g, wanted, facts, ctx)
  local merged, i = {}, 0
  if next(wanted) == nil and facts.unsettled == 0 then return merged end
  local w <close> = facts.unsettled > 0 and ctx.dir and assert(file.replace(ctx.dir .. "/merged.jsonl")) or nil
  for record in input:records() do
    i = i + 1
    local moved = facts.unsettled > 0 and g:unsettled(i)
    if wanted[i] or moved then
      local about = describe(record, g, i)
      if wanted[i] then wanted[i] = about end
      if moved and #merged < LISTED then merged[#merged + 1] = about end
      if moved and w then
        local fine, message, code = w:write(json.encode(about), "\n")
        if not fine then return nil, message, code end
      end
    end
  end
  if w then
    local fine, message, code = w:commit()
    if not fine then return nil, message, code end
  end
  return merged
end

local function tell_groups(options, facts, ctx)
  if facts.lonely > 0 then
    local some = facts.lonely < facts.records - facts.decided
    ctx.log(some and "warn" or "info", ("%d records have no %s; each was a group of its own"):format(facts.lonely,
      group_fields(options)[1]), { records = facts.lonely })
  end
  if facts.unsettled > 0 then
    ctx.log("info", ("%d records are of groups that merged and would lie apart alone: merged.jsonl"):format(facts.unsettled))
  end
  local of = facts.records_of
  ctx.log("info", ("%d train, %d validation, %d test"):format(of.train, of.validation, of.test),
    { groups = facts.groups, train = of.train, validation = of.validation, test = of.test, method = facts.method })
end

local function run(input, ctx, emit)
  local o = ctx.options
  local fine, message, code = M.check(o)
  if not fine then return nil, message, code end
  local share = fractions(o)
  local made, facts
  made, facts, code = divide(input, ctx, share)
  if not made then return nil, facts, code end
  local g <close> = made
  fine, message, code = check_empty(o, share, facts)
  if not fine then return nil, message, code end
  local empty = empty_sides(share, facts)
  if empty and ctx.say then
    ctx.say(("  %s has no record: there %s %d group%s"):format(empty, facts.groups == 1 and "is" or "are", facts.groups,
      facts.groups == 1 and "" or "s"))
  end
  if o.leakage ~= "none" or facts.unsettled > 0 then
    local report
    if o.leakage == "none" then
      report = { records = facts.records_of, found = {}, examples = {}, every = 0 }
    else
      report, message, code = find_leaks(g, input, ctx)
    end
    if not report then return nil, message, code end
    local wanted = wanted_of(report)
    local merged
    merged, message, code = look_up(input, g, wanted, facts, ctx)
    if not merged then return nil, message, code end
    fine, message, code = write_report(report, wanted, merged, facts, ctx)
    if fine and o.leakage ~= "none" then fine, message, code = tell(report, ctx) end
    if not fine then return nil, message, code end
  end
  local i = 0
  for record in input:records() do
    i = i + 1
    if i > #g then break end
    set_split(record, o.field, g:side(i))
    emit(record)
  end
  if i ~= #g then return nil, "the input changed while it was read", "mismatch" end
  tell_groups(o, facts, ctx)
  return { method = facts.method, groups = facts.groups, records = facts.records_of, merged = facts.merged }
end

--- Divides the records.
-- @param input table: input:paths() and input:records()
-- @param ctx table: the stage's context
-- @param emit function: called with each record, its metadata.split set
-- @return table: facts { method, groups, records = per side, merged }
-- @error misuse (shares that make no sense, a side that would be empty), failed (leakage = "fail"), io, format, cancelled
function M.all(input, ctx, emit)
  local made, message, code = file.remove_tree(ctx.scratch)
  if made then made, message, code = file.mkdirs(ctx.scratch) end
  if not made then return nil, message, code end
  local result
  result, message, code = run(input, ctx, emit)
  file.remove_tree(ctx.scratch)
  if not result then return nil, message, code end
  return result
end

return M
