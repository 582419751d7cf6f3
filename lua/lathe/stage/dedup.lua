-- SPDX-License-Identifier: MIT
-- dedup: leaves out records whose text was there before, exactly or nearly.
--
-- The earliest record of each cluster is kept, in its place; the others go to the rejected ones as
-- duplicate_exact or duplicate_near, with the id of the record that is kept and the similarity to it.
-- Two passes over the input, in C: keys beyond the memory are spilled to disk.

local dedup = require "engine.dedup"
local file = require "engine.file"

local M = {
  name = "dedup",
  version = 1,
  kind = "barrier",
  summary = "Removes exact and near duplicates (MinHash-LSH); the earliest record is kept.",
  options = {
    near = { type = "number|boolean", default = 0.8, min = 0, max = 1,
      help = "Jaccard similarity from which texts are near duplicates; false: exact ones only" },
    shingle = { type = "integer", default = 5, min = 1, max = 32, help = "words compared at a time" },
    field = { type = "string", default = "text", help = "the field that is compared" },
    scope = { type = "string",
      help = "a field such as metadata.document: only records with the same value are compared" },
    normalise = { type = "boolean", default = false,
      help = "exact: compare simplified words (case, signs, accents, numbers) instead of bytes" },
    buckets = { type = "integer", min = 1, max = 112, help = "of LSH (14 for 0.8)" },
    rows = { type = "integer", min = 1, max = 112, help = "of each bucket (8 for 0.8)" },
  },
  positional = { "near" },
}

local function similarity(near)
  if near == true then return 0.8 end
  return near or 0
end

local function open(ctx, scratch)
  local o = ctx.options
  return dedup.new { near = similarity(o.near), shingle = o.shingle, buckets = o.buckets, rows = o.rows,
    normalise = o.normalise, memory = ctx.memory, scratch = scratch, scope = o.scope }
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

-- The ids of the records that others are duplicates of.
local function originals(d, input)
  local wanted, ids, i = {}, {}, 0
  for k = 1, #d do
    local kind, of = d:verdict(k)
    if kind ~= "keep" then wanted[of] = true end
  end
  if next(wanted) == nil then return ids end
  for record in input:records() do
    i = i + 1
    if wanted[i] then ids[i] = record.id end
  end
  return ids
end

local function pass_on(d, input, ctx, emit)
  local ids, i = originals(d, input), 0
  for record in input:records() do
    i = i + 1
    local kind, of, like = d:verdict(i)
    if kind == "keep" then
      emit(record)
    else
      ctx.reject(record, "duplicate_" .. kind, { of = ids[of] or of,
        similarity = math.floor(like * 10000 + 0.5) / 10000 })
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
  ctx.log("info", ("%d exact and %d near duplicates of %d records"):format(facts.exact, facts.near,
    facts.records), facts)
  local fine
  fine, message, code = pass_on(opened, input, ctx, emit)
  opened:close()
  file.remove_tree(scratch)
  if not fine then return nil, message, code end
  return true
end

return M
