-- SPDX-License-Identifier: MIT
-- decontaminate: drops or flags records that share runs of words with evaluation data.
--
-- The evaluation files (any that lathe.read reads) are indexed once a worker: every 13 words in a row of
-- each string of each of their rows, simplified as dedup does it (lower case, numbers 0, no accents or
-- signs). A record that has one of them is contaminated, and says with which row and which words.
-- The strings of a row none of which has 13 words are joined; a row shorter than 13 words even so matches
-- records that are the same words (and numbers) and nothing else: "Yes." in a test does not empty a corpus.

local config = require "lathe.config"
local dedup = require "engine.dedup"
local file = require "engine.file"
local json = require "engine.json"
local progress = require "lathe.progress"
local read = require "lathe.stage.read"

local M = {
  name = "decontaminate",
  version = 1,
  kind = "map",
  summary = "Drops or flags records that share 13-grams with given evaluation files.",
  options = {
    evaluation = { type = "string|table", required = true,
      help = "the evaluation files: a pattern, file or folder, or a list of them, of any kind that read reads" },
    ngram = { type = "integer", default = 13, min = 1, max = 32, help = "words in a row that must be the same" },
    mode = { type = "string", default = "drop", choices = { "drop", "flag" },
      help = "flag: records stay, with metadata.contamination" },
    min_ngrams = { type = "integer", default = 1, min = 1, help = "at least so many of them shared" },
    min_ratio = { type = "number", default = 0, min = 0, max = 1, help = "at least this share of the record's" },
    fields = { type = "table", help = "the fields of records that are looked at (default: all strings but id, source, metadata)" },
    evaluation_fields = { type = "table", help = "the fields of evaluation rows, such as { \"question\" } (default: likewise)" },
    short = { type = "string", default = "whole", choices = { "whole", "ignore" },
      help = "rows of fewer words: matched as a whole, or not at all" },
  },
  positional = { "evaluation" },
}

local LEAST = 64 << 20

local function raise(message, code) error({ message = message, code = code or "failed" }, 0) end

local function read_options(options)
  local files = type(options.evaluation) == "string" and { options.evaluation } or options.evaluation
  local checked, message = config.check(read.options, { files = files }, read.positional)
  if not checked then raise("evaluation: " .. message, "misuse") end
  return checked
end

local function list(options, root)
  local items = {}
  local fine, message, code = read.list({ options = read_options(options), root = root, seed = 0 },
    function(item) items[#items + 1] = item end)
  if fine == nil and message then raise("evaluation: " .. message, code) end
  return items
end

--- The evaluation files belong to what the output depends on.
function M.hashes(options, where)
  local out, seen = {}, {}
  for _, item in ipairs(list(options, where and where.root)) do
    if not seen[item.file] then -- a large file is several items
      local digest, message, code = file.sha256(item.file)
      if not digest then raise(message, code) end
      out[#out + 1] = item.path .. "=" .. digest
    end
    seen[item.file] = true
  end
  return { evaluation = table.concat(out, "\n") }
end

--- What the plan says: how much evaluation data there is, and what it takes.
function M.plan(options, info)
  local items, bytes = list(options, info and info.root), 0
  for _, item in ipairs(items) do bytes = bytes + (item.bytes or 0) end
  return { ("%d evaluation files, %s; each worker holds their %d-grams, about %s"):format(#items, progress.bytes(bytes),
    options.ngram, progress.bytes(bytes * 4)) }
end

-- What read is given to read evaluation files with: a row that it rejects is an error, for a test that is
-- not looked at is a test that leaks.
local function reading(ctx, options)
  return {
    options = options, seed = 0, root = ctx.root, memory = ctx.memory, threads = 1, cache = {}, logs = {},
    reject = function(record, reason, detail)
      local path = type(record) == "table" and record.path or "a file"
      raise(("evaluation: %s: %s"):format(path, type(detail) == "string" and detail or reason), "format")
    end,
    log = function() end, progress = function() end, side = function() end, base = function() return 0 end,
    begin = function() end,
  }
end

-- The index, and what its rows are: { { path, first row } … }.
local function index(ctx)
  local o = ctx.options
  local overlap = assert(dedup.overlap { ngram = o.ngram, memory = math.max(ctx.memory or 0, LEAST) })
  local files, row, short = {}, 0, 0
  local inner = reading(ctx, read_options(o))
  for _, item in ipairs(list(o, ctx.root)) do
    if #files == 0 or files[#files].path ~= item.path then files[#files + 1] = { path = item.path, from = row } end
    local fine, message, code = read.each(json.record(json.encode(item)), inner, function(record)
      local line = json.encode(record)
      local runs, why, kind = overlap:add(row, line, o.evaluation_fields)
      if not runs then raise("evaluation: " .. why, kind) end
      if runs == 0 then short = short + 1 end
      row = row + 1
    end)
    if fine == nil and message then raise("evaluation: " .. message, code) end
  end
  if row == 0 then raise("evaluation: there are no rows in " .. #files .. " files", "misuse") end
  local runs, message, code = overlap:seal()
  if not runs then raise(message, code) end
  if runs == 0 then raise("evaluation: no words in the fields of " .. row .. " rows", "misuse") end
  ctx.log("info", ("%d rows of %d evaluation files, %d different %d-grams"):format(row, #files, runs, o.ngram))
  if short > 0 then ctx.log("warn", ("%d evaluation rows have no words"):format(short), { rows = short }) end
  return { overlap = overlap, files = files }
end

local function row_of(files, row)
  local low, high = 1, #files
  while low < high do
    local middle = (low + high + 1) // 2
    if files[middle].from <= row then low = middle else high = middle - 1 end
  end
  return files[low].path, row - files[low].from + 1
end

local function verdict(at, o, record)
  local row, shared, runs, passage, whole = at.overlap:match(json.encode(record), o.fields)
  if row == nil and shared then raise(shared, runs) end
  if not row or whole and o.short == "ignore" then return nil end
  if not whole and (shared < o.min_ngrams or shared / runs < o.min_ratio) then return nil end
  local path, number = row_of(at.files, row)
  return { evaluation = path, row = number, shared = shared, ngrams = runs,
    words = not whole and passage or nil, whole = whole or nil }
end

--- Drops or flags one record.
-- @param record record: any record
-- @param ctx table: the stage's context
-- @param emit function: called with the record when it stays
-- @error misuse, not_found, format: evaluation files that cannot be read
function M.each(record, ctx, emit)
  ctx.cache = ctx.cache or {}
  if not ctx.cache.index then
    local fine, made = pcall(index, ctx)
    if not fine and type(made) == "table" then return nil, made.message, made.code end
    if not fine then error(made, 0) end
    ctx.cache.index = made
  end
  local found = verdict(ctx.cache.index, ctx.options, record)
  if found and ctx.options.mode == "drop" then
    ctx.reject(record, "contaminated", found)
    return
  elseif found then
    if json.kind(record.metadata) ~= "object" then record.metadata = {} end
    record.metadata.contamination = found
  end
  emit(record)
end

return M
