-- SPDX-License-Identifier: MIT
-- read: files become records.
--
-- A source stage. list() runs once, when the recipe is planned: it names the files and decides what kind each
-- is (lathe.read.kinds). each() runs in the workers, one file at a time:
--
--   documents      lathe.read.document   { id, text, source = "read", metadata = { document, path, type, title,
--                                        encoding, segment, span, pages, notes, license } } …
--   source code    lathe.read.code       the same, with metadata.programming_language
--   JSON, JSONL    lathe.read.json       their objects, as they are
--   CSV, Parquet   lathe.read.table      a record a row
--   archives       lathe.read.archive    what is in them, each as the file that it is
--   pattern files  lathe.read.pattern    what their mapping makes of them
--
-- A large JSONL file is several items, so that several workers read it. A file that is left out (binary,
-- generated, of no known kind …) is an item too, and becomes a rejected record with its reason.

local code = require "lathe.read.code"
local config = require "lathe.config"
local document = require "lathe.read.document"
local file = require "engine.file"
local glob = require "lathe.read.glob"
local kinds = require "lathe.read.kinds"
local records = require "lathe.read.json"

local M = {}

local RANGE = 8 << 20 -- bytes of one item of a JSONL file

local VENDORED = { node_modules = true, bower_components = true, vendor = true, vendored = true, third_party = true,
  ["third-party"] = true, thirdparty = true, __pycache__ = true, ["site-packages"] = true, Pods = true }

local SKIPS = { "vendored", "generated", "minified" }

local function is_vendored(path)
  for part in path:gmatch "([^/]+)/" do if VENDORED[part] then return true end end
  return false
end

-- ---- listing ----

-- A large plain JSONL file as ranges of lines.
local function ranges(item, emit)
  local cut, message, reason = file.cut(item.file, { max_records = 1 << 40, max_bytes = RANGE })
  if not cut then return nil, message, reason end
  local from, line = 0, 0
  local function put(to)
    emit { path = item.path, file = item.file, kind = "jsonl", from = from, to = to, line = line, bytes = to - from }
  end
  for i = 1, #cut.boundaries, 2 do
    put(cut.boundaries[i])
    from, line = cut.boundaries[i], cut.boundaries[i + 1]
  end
  if from < cut.size then put(cut.size) end
  return true
end

local function is_compressed(path)
  local head = file.read_range(path, 0, 2)
  return head == "\x1f\x8b" or head == "\x28\xb5"
end

local FORCED = { csv = true, tsv = true, json = true, jsonl = true, parquet = true, code = true, pattern = true }

-- Finds out what an item is: sets kind (and language), or left_out and detail.
local function decide(item, options)
  if options.type ~= "auto" then
    item.kind = FORCED[options.type] and options.type or "document"
    item.type = item.kind == "document" and options.type or nil
    if item.kind == "code" then item.language = nil end
    return
  end
  local kind, more, detail = kinds.sniff(item)
  if kind then
    item.kind, item.language = kind, kind == "code" and more or nil
    item.type = kind == "document" and more or nil
  else
    item.left_out, item.detail = more, detail
  end
end

local function wanted(item, options)
  for _, pattern in ipairs(options.exclude) do
    if glob.fits(item.path, pattern) then return false end
  end
  if #options.kinds == 0 or item.left_out then return #options.kinds == 0 end
  local named = item.kind == "archive" and "archive" or kinds.named(item.kind, item.path)
  for _, kind in ipairs(options.kinds) do
    if kind == named or kind == "archive" and item.kind == "archive" then return true end
  end
  return named == "archive"
end

local function set_of(list)
  local out = {}
  for _, name in ipairs(list) do out[name] = true end
  return out
end

local function list_of(value) return type(value) == "string" and { value } or value end

local function list_item(item, ctx, licenses, emit)
  local options = ctx.options
  local vendored = ctx.skips.vendored and item.whole and is_vendored(item.path)
  -- it may be left out for its name already; of other people's files the kind matters where kinds are chosen
  if not item.left_out and (not vendored or #options.kinds > 0) then decide(item, options) end
  if not wanted(item, options) then return end
  if vendored then item.left_out, item.detail = "vendored", "in a folder of other people's files; read it with skip = {}" end
  if item.left_out then
    emit { path = item.path, id = ("%s %d"):format(item.left_out, item.bytes), left_out = item.left_out, detail = item.detail }
    return true
  end
  if (item.kind == "code" or item.kind == "document") and item.path ~= "-" then
    item.license = licenses(item.file:match "^(.*)/[^/]*$" or "")
  end
  item.key = item.license
  if item.kind == "jsonl" and item.bytes > 2 * RANGE and options.at == "" and not item.encoding and not is_compressed(item.file) then
    return ranges(item, emit)
  end
  item.whole = nil
  emit(item)
  return true
end

local function list(ctx, emit)
  local patterns = list_of(ctx.options.files)
  if #patterns == 0 then return nil, "read: no files are named", "misuse" end
  ctx.skips = set_of(ctx.options.skip)
  local items, root = glob.list(patterns, ctx.dir)
  if ctx.options.type == "pattern" then items = require("lathe.read.pattern").name(items) end
  local licenses, count = code.licenses(root), 0
  for _, item in ipairs(items) do
    local done, message, reason = list_item(item, ctx, licenses, function(one)
      count = count + 1
      emit(one)
    end)
    if done == nil and message then return nil, message, reason end
  end
  if count == 0 then
    return nil, ("%s: %d files, none of them of the kinds wanted (%s)"):format(table.concat(patterns, ", "), #items,
      table.concat(ctx.options.kinds, ", ")), "not_found"
  end
  return true
end

-- The files alone, whatever they are: for extractors, which choose by themselves.
local function plain_list(ctx, emit)
  local fine, items = pcall(glob.list, list_of(ctx.options.files), ctx.dir)
  if not fine then
    if type(items) ~= "table" then error(items, 0) end
    return nil, items.message, items.code
  end
  for _, item in ipairs(items) do
    item.whole = nil
    emit(item)
  end
  return true
end

--- Names the files to read: each once, in byte order of their paths, with its kind.
-- @param ctx table: the stage's context; ctx.options.files is a pattern, file, folder or "-", or a list
-- @param emit function: called with { path, file, bytes, kind, … } for each
-- @return boolean: true
-- @error not_found: a folder that is not there, or nothing that matches
function M.list(ctx, emit)
  if ctx.options.sources then return require("lathe.extractors").list(ctx, emit, plain_list) end
  local fine, result, message, reason = pcall(list, ctx, emit)
  if fine then return result, message, reason end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.message, result.code
end

-- ---- reading ----

local READERS = {}

local function read_item(item, ctx, emit)
  if item.left_out and ctx.options.strict then return nil, ("%s: %s"):format(item.path, item.detail), "misuse" end
  if item.left_out then
    ctx.reject({ path = item.path }, item.left_out, ("%s: %s"):format(item.path, item.detail or item.left_out))
    return true
  end
  if not item.kind then
    local fine, problem = pcall(decide, item, ctx.options)
    if not fine then
      if type(problem) ~= "table" then error(problem, 0) end
      return nil, problem.message, problem.code
    end
    if not wanted(item, ctx.options) then return true end
    if item.left_out then return read_item(item, ctx, emit) end
  end
  return READERS[item.kind](item, ctx, emit)
end

local function members(item, ctx, emit)
  local archive = require "lathe.read.archive"
  return archive.read(item, ctx, function(member)
    if ctx.skips.vendored and is_vendored(member.path) then
      member.left_out, member.detail = "vendored", "in a folder of other people's files; read it with skip = {}"
    end
    return read_item(member, ctx, emit)
  end)
end

local function row_reader(item, ctx, emit)
  return require("lathe.read.table").read(item, ctx, emit)
end

function READERS.pattern(item, ctx, emit)
  return require("lathe.read.pattern").read(item, ctx, emit)
end

READERS.archive = members
READERS.csv, READERS.tsv, READERS.parquet = row_reader, row_reader, row_reader
READERS.code = code.read
function READERS.jsonl(item, ctx, emit)
  return (ctx.options.at ~= "" and records.at or records.lines)(item, ctx, emit)
end

function READERS.json(item, ctx, emit)
  return (ctx.options.at ~= "" and records.at or records.values)(item, ctx, emit)
end

function READERS.document(item, ctx, emit)
  local done, message, reason = document.read(item, ctx, emit)
  if done == nil and message == "archive" then return members(item, ctx, emit) end
  return done, message, reason
end

--- Reads one file and emits its text as records.
-- A file that cannot be read costs one rejected record.
-- @param item table: { path, file, kind } from list; without a kind it is decided here
-- @param ctx table: the stage's context
-- @param emit function: called with each record
-- @return boolean: true
-- @error not_found: the file has gone; cancelled
function M.each(item, ctx, emit)
  if item.extractor then return require("lathe.extractors").each(item, ctx, emit) end
  ctx.skips = ctx.skips or set_of(ctx.options.skip)
  if type(item) == "userdata" then item = item:table() end
  return read_item(item, ctx, emit)
end

--- Ends this Lua state's lathe-extract (it also ends with the state).
M.close = document.close

--- Looks at what is wanted before anything runs.
function M.check(options)
  for _, name in ipairs(options.skip) do
    if not set_of(SKIPS)[name] then return nil, "skip: " .. config.unknown("reason", name, SKIPS), "misuse" end
  end
  for _, name in ipairs(options.kinds) do
    if not set_of(M.kinds)[name] then return nil, "kinds: " .. config.unknown("kind", name, M.kinds), "misuse" end
  end
  return true
end

--- What the records depend on besides the options: the extractors' files, the mapping of patterns.
function M.hashes(options, where)
  if options.type == "pattern" then return require("lathe.read.pattern").hashes(options, where.root) end
  return options.sources and require("lathe.extractors").hashes(options.sources, where.root) or {}
end

M.kinds = { "txt", "md", "html", "docx", "pdf", "odt", "pptx", "epub", "ipynb", "code", "json", "jsonl", "csv", "tsv",
  "parquet", "archive" }

M.name, M.version, M.kind = "read", 5, "map"
M.summary = "Reads documents, source code, JSON, CSV, Parquet and archives of these."
M.positional = { "files" }
M.options = {
  files = { type = "string|table", default = {},
    help = "a file, a folder, - for standard input, or a pattern with *, **, ? and {a,b}; or a list of these" },
  sources = { type = "string|table",
    help = "extractors that make records of code from the files: \"all\", names, or { name, option = value }" },
  type = { type = "string", default = "auto", choices = { "auto", "txt", "md", "html", "docx", "pdf", "odt", "pptx", "epub",
    "ipynb", "csv", "tsv", "json", "jsonl", "parquet", "code", "pattern" },
    help = "how to read the files; auto decides by content, then by name" },
  kinds = { type = "table", default = {}, help = "read only files of these kinds, such as { \"md\", \"code\" }; others are passed over" },
  exclude = { type = "table", default = {}, help = "patterns of files to pass over, such as { \"*.min.js\", \"test/**\" }" },
  skip = { type = "table", default = SKIPS, help = "code to leave out, with its reason" },
  at = { type = "string", default = "", help = "JSON: where the records are inside the file, such as data.rows" },
  delimiter = { type = "string", default = "", help = "CSV: what stands between values (default: told by the contents)" },
  header = { type = "boolean", default = true, help = "CSV: the first row names the fields" },
  typed = { type = "boolean", default = false, help = "CSV: numbers and booleans as such, not as strings" },
  columns = { type = "table", default = {}, help = "Parquet: only these columns" },
  provenance = { type = "boolean", default = false, help = "JSON, CSV, Parquet: note metadata.path, type and row in each record" },
  pattern = { type = "string", default = "pattern", help = "type pattern: what makes records of pattern files (templates/patterns/NAME.lua)" },
  schema = { type = "string", default = "", help = "type pattern: the JSON Schema of pattern files (default: the mapping's own)" },
  strict = { type = "boolean", default = false, help = "fail at the first file that would be rejected for what it is" },
  segment = { type = "integer", default = 1 << 20, min = 64, max = 1 << 30,
    help = "bytes of text per record at most" },
  text_max = { type = "integer", default = 0, min = 0,
    help = "bytes of text per document (0: 1 GiB, or three times the file)" },
  unpacked_max = { type = "integer", default = 256 << 20, min = 1,
    help = "bytes that a DOCX may unpack to" },
  archive_max = { type = "integer", default = 16 << 30, min = 1, help = "bytes that an archive may unpack to" },
  depth = { type = "integer", default = 3, min = 1, max = 8, help = "archives inside archives" },
  cpu_seconds = { type = "integer", default = 0, min = 0,
    help = "CPU time per document (0: 300, more for very large ones)" },
  page_seconds = { type = "integer", default = 10, min = 1, help = "CPU time per PDF page" },
  idle_seconds = { type = "integer", default = 120, min = 1,
    help = "wall clock without progress before a document is left for the next run" },
  max_line = { type = "integer", default = 64 << 20, min = 1, help = "bytes of a JSON record" },
}

return M
