-- SPDX-License-Identifier: MIT
-- augment: more records from those there are, said in other words by rules.
--
--   { instruction = "Explain LoRA.", … }  →  itself, then  { instruction = "Describe LoRA.", …,
--       metadata.variant = { of = the original's id, n = 1, rule = "explain", rules = { name, hash } } }
--
-- Every original goes on, its content unchanged; its variants follow it. A variant is never what is there
-- already: its content (every field but id and metadata) differs from that of every record of the input and
-- of every other variant, compared exactly. That needs all of them at once, so the stage is a barrier:
--
--   1. read: the key of each record goes to the deduplication engine; candidates go to a scratch file
--   2. the keys of the candidates follow; what is a duplicate is now known, within the memory ceiling
--   3. read again: each record, and the first `variants` of its candidates that are new
--
-- A variant in another split of the data than its original would be a leak: both get the same
-- metadata.cluster, by which partition keeps groups together.

local augment = require "lathe.augment"
local dedup = require "engine.dedup"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local record_module = require "lathe.record"

local M = {
  name = "augment",
  version = 1,
  kind = "barrier",
  summary = "Adds variants of records, made by rules: other words, case, spacing, inputs folded in; never a duplicate.",
  options = {
    rules = { type = "string|table|function", default = "instructions",
      help = "a rules file's name, a rule, a function(text, rng, record), or a list of these" },
    variants = { type = "integer", default = 2, min = 0, max = 1000, help = "at most so many variants of a record" },
    probability = { type = "number", default = 1.0, min = 0, max = 1, help = "the chance of each of them to be made" },
    seed = { type = "integer", help = "other choices (default: the recipe's seed)" },
    fields = { type = "table", help = "the fields to vary, instead of those the rules name" },
  },
  positional = { "rules" },
}

local SPARE = 4                               -- candidates looked at beyond those wanted, should some be duplicates

--- What the output depends on besides the options: the text of the rules. Asked when a run is planned.
-- @error raises { code, message }: rules that are not there or are faulty
function M.hashes(options, where)
  local sets, message, code = augment.load(options.rules, { root = where.root })
  if not sets then error({ code = code, message = "augment: " .. message }, 0) end
  local out = {}
  for i, set in ipairs(sets) do out[i] = set.hash end
  return { rules = out }
end

function M.check(options)
  for _, name in ipairs(options.fields or {}) do
    if type(name) ~= "string" then return nil, "fields is a list of names", "misuse" end
  end
  return true
end

-- Everything of a record that is compared.
local function content_of(record)
  local out = {}
  for k, v in pairs(json.table(record)) do
    if k ~= "id" and k ~= "metadata" then out[k] = v end
  end
  return out
end

local function key_of(content) return hash.sha256(json.encode(json.object(content), { sort = true })):sub(1, 32) end

local function with(content, changes)
  local out = {}
  for k, v in pairs(content) do out[k] = v end
  for k, v in pairs(changes) do out[k] = v end
  return out
end

-- The candidates of a record that are worth a look, and how many of them may be made.
local function chosen(sets, record, ctx)
  local content = content_of(record)
  local own = key_of(content)
  local rng = hash.rng(ctx.options.seed or ctx.seed, "augment", own)
  local wanted = 0
  for _ = 1, ctx.options.variants do
    if rng:number() < ctx.options.probability then wanted = wanted + 1 end
  end
  local out, seen = {}, { [own] = true }
  for _, candidate in ipairs(wanted > 0 and augment.candidates(sets, record, rng, ctx.options.fields) or {}) do
    local key = key_of(with(content, candidate.fields))
    if not seen[key] then
      seen[key] = true
      out[#out + 1] = { key = key, rule = candidate.rule, set = candidate.set.index, fields = json.object(candidate.fields) }
      if #out == wanted + SPARE then break end
    end
  end
  return own, out, wanted
end

-- First pass: keys of the originals, candidates to a scratch file. Then the candidates' keys.
local function gather(input, ctx, sets, d, path)
  local n = 0
  local w <close> = assert(file.replace(path))
  for record in input:records() do
    local own, candidates, wanted = chosen(sets, record, ctx)
    assert(d:add(own))
    assert(w:write(json.encode { wanted = wanted, candidates = json.array(candidates) }, "\n"))
    n = n + 1
  end
  assert(w:commit())
  for line in assert(file.lines(path)) do
    for _, candidate in ipairs(json.decode(line).candidates) do assert(d:add(candidate.key)) end
  end
  assert(d:finish())
  return n
end

local function set_metadata(record)
  if json.kind(record.metadata) ~= "object" then record.metadata = {} end
  return record.metadata
end

-- A variant as a record of its own.
local function make(record, candidate, set, n)
  local new = json.record(json.encode(record))
  for name, value in pairs(candidate.fields) do new[name] = value end
  local metadata = set_metadata(new)
  if candidate.fields.text ~= nil and metadata.span ~= nil then
    metadata.origin_span, metadata.span = json.table(metadata.span), nil
  end
  metadata.variant = { of = record.id, n = n, rule = candidate.rule, rules = { name = set.name, hash = set.hash } }
  new.id = record_module.id(new)
  return new
end

-- Second pass.
local function pass_on(input, emit, sets, d, originals, path)
  local at, counts = originals, { records = originals, variants = 0, duplicates = 0, fewer = 0 }
  local next_line = assert(file.lines(path))
  for record in input:records() do
    local plan = json.decode((next_line()))
    local made = {}
    for i, candidate in ipairs(plan.candidates) do
      if d:verdict(at + i) ~= "keep" then
        counts.duplicates = counts.duplicates + 1
      elseif #made < plan.wanted then
        made[#made + 1] = candidate
      end
    end
    at = at + #plan.candidates
    counts.variants = counts.variants + #made
    if #made < plan.wanted then counts.fewer = counts.fewer + 1 end
    if made[1] then
      if record.id == nil then record.id = record_module.id(record) end
      local metadata = set_metadata(record)
      if metadata.cluster == nil then metadata.cluster = record.id end
    end
    emit(record)
    for n, candidate in ipairs(made) do emit(make(record, candidate, sets[candidate.set], n)) end
  end
  return counts
end

--- Adds variants to a whole stage's output.
-- @param input table: input:paths() and input:records()
-- @param ctx table: the stage's context
-- @param emit function: (record)
-- @return boolean: true
-- @error misuse (a rule that is none), io
function M.all(input, ctx, emit)
  local sets, message, code = augment.load(ctx.options.rules, { root = ctx.root })
  if not sets then return nil, message, code end
  for i, set in ipairs(sets) do set.index = i end
  assert(file.mkdirs(ctx.scratch))
  local path = ctx.scratch .. "/candidates.jsonl"
  local d <close> = assert(dedup.new { near = 0, memory = ctx.memory, scratch = ctx.scratch })
  local originals = gather(input, ctx, sets, d, path)
  local counts = pass_on(input, emit, sets, d, originals, path)
  file.remove_tree(path)
  ctx.log("info", ("%d variants of %d records; %d candidates were there already, %d records have fewer than wanted"):format(
    counts.variants, counts.records, counts.duplicates, counts.fewer), counts)
  return true
end

return M
