-- SPDX-License-Identifier: MIT
-- dedup: leaves out records whose text is there already, exactly or nearly.
--
-- Of each cluster the record with the smallest (metadata.path, position in the document) stays, in its
-- place, whatever the order of the shards; the others go to the rejected ones as duplicate_exact or
-- duplicate_near, with the id of the record that stays and the similarity to it. All of a cluster have
-- its name in metadata.cluster. Two passes over the input, in C; what exceeds the memory goes to disk.

local dedup = require "engine.dedup"
local file = require "engine.file"
local json = require "engine.json"

local M = {
  name = "dedup",
  version = 2,
  kind = "barrier",
  summary = "Removes exact and near duplicates (MinHash-LSH); of a cluster the first by path and position stays.",
  options = {
    near = { type = "number|boolean", default = 0.8, min = 0, max = 1,
      help = "Jaccard similarity from which texts are near duplicates; false: exact ones only" },
    ngram = { type = "integer", default = 5, min = 1, max = 32, help = "words compared at a time" },
    bands = { type = "integer", min = 1, max = 254, help = "of LSH (14 from near = 0.8 on; chosen for near below)" },
    rows = { type = "integer", min = 1, max = 1024, help = "of each band (8 from near = 0.8 on)" },
    verify = { type = "boolean", default = true,
      help = "compare what the bands propose with near; false takes their word (14 × 8 have their knee near 0.72)" },
    mode = { type = "string", default = "drop", choices = { "drop", "mark" },
      help = "mark: duplicates stay, with metadata.duplicate = { kind, of, similarity }" },
    field = { type = "string|table", default = "text", help = "the field that is compared, or a list of them: their strings, joined" },
    scope = { type = "string",
      help = "a field such as metadata.document: only records with the same value are compared" },
    normalise = { type = "boolean", default = false,
      help = "exact: compare simplified words (case, signs, accents, numbers) instead of bytes" },
    numbers = { type = "string", default = "alike", choices = { "alike", "distinct" },
      help = "distinct: texts that differ in their numbers alone are no copies, as in arithmetic and tables" },
  },
  positional = { "near" },
}

local function similarity(near)
  if near == true then return 0.8 end
  return near or 0
end

function M.check(options)
  if (options.bands == nil) ~= (options.rows == nil) then
    return nil, "bands and rows: give both or neither", "misuse"
  end
  if options.bands and options.bands * options.rows > 1024 then
    return nil, ("bands × rows: %d × %d is more than 1024"):format(options.bands, options.rows), "misuse"
  end
  return true
end

--- What the plan says: which pairs are found, and the memory that grows with the records.
function M.plan(options)
  local near = similarity(options.near)
  local memory = "8 bytes a record in memory besides the ceiling; keys, shingles and places go to disk beyond it"
  if near == 0 then return { "exact duplicates; " .. memory } end
  local d <close> = assert(dedup.new { near = near, bands = options.bands, rows = options.rows })
  local bands, rows = d:banding()
  return { ("%d bands of %d rows on word %d-grams: a pair of similarity %g is found with probability %.3f%s"):format(
    bands, rows, options.ngram, near, 1 - (1 - near ^ rows) ^ bands,
    options.verify and ", then compared" or ""), memory }
end

local function open(ctx, scratch)
  local o = ctx.options
  return dedup.new { near = similarity(o.near), ngram = o.ngram, bands = o.bands, rows = o.rows,
    verify = o.verify, normalise = o.normalise, distinct_numbers = o.numbers == "distinct", memory = ctx.memory,
    scratch = scratch, scope = o.scope }
end

local function add_all(d, input, ctx)
  local paths = input:paths()
  for i, path in ipairs(paths) do
    local n, message, code = d:add_lines(path, ctx.options.field)
    if not n then return nil, message, code end
    ctx.progress(i, #paths, "parts")
  end
  return d:finish()
end

local function set_metadata(record, name, value)
  if json.kind(record.metadata) ~= "object" then record.metadata = {} end
  record.metadata[name] = value
end

local function pass_on(d, input, ctx, emit)
  local i, mark = 0, ctx.options.mode == "mark"
  for record in input:records() do
    i = i + 1
    local kind, of, like, cluster = d:verdict(i)
    if cluster then set_metadata(record, "cluster", cluster) end
    if kind == "keep" then
      emit(record)
    else
      local id = d:id(of)
      local detail = { of = id ~= "" and id or of, similarity = like and math.floor(like * 10000 + 0.5) / 10000 }
      if mark then
        detail.kind = kind
        set_metadata(record, "duplicate", detail)
        emit(record)
      else
        ctx.reject(record, "duplicate_" .. kind, detail)
      end
    end
  end
  if i == #d then return true end
  return nil, ("the input changed while it was read (%d, then %d records)"):format(#d, i), "mismatch"
end

--- Removes the duplicates of a whole stage's output.
-- @param input table: input:paths() and input:records()
-- @param ctx table: the stage's context
-- @param emit function: called with each record that is kept
-- @return boolean: true
-- @error misuse, io (no room for temporary files), format, cancelled
function M.all(input, ctx, emit)
  local scratch = ctx.scratch
  local made, message, code = file.remove_tree(scratch)
  if made then made, message, code = file.mkdirs(scratch) end
  if not made then return nil, message, code end
  local d
  d, message, code = open(ctx, scratch)
  if not d then return nil, message, code end
  local opened <close> = d
  local facts
  facts, message, code = add_all(opened, input, ctx)
  if not facts then return nil, message, code end
  ctx.log("info", ("%d exact and %d near duplicates in %d clusters of %d records"):format(facts.exact, facts.near,
    facts.clusters, facts.records), facts)
  if facts.absent > 0 then
    local field = ctx.options.field
    ctx.log("warn", ("%d records have no '%s': they are no duplicates of anything"):format(facts.absent,
      type(field) == "table" and table.concat(field, "', '") or field), { records = facts.absent })
  end
  local fine
  fine, message, code = pass_on(opened, input, ctx, emit)
  opened:close()
  file.remove_tree(scratch)
  if not fine then return nil, message, code end
  return true
end

return M
