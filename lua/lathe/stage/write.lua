-- SPDX-License-Identifier: MIT
-- Write: records to the files that people and other programs read, and a card that says what they are.
--
--   write { "data/{split}.jsonl" }                    data/train.jsonl, data/validation.jsonl, data/README.md
--   write { { "out/{split}.parquet", "out/all.csv" }, fields = { "text", "source=metadata.source" } }
--
-- A {name} in a path is the value of metadata.name (or of the field a.b when it has a point); each value gets
-- a file of its own, and no value can lead out of the folder. Format and compression are told by the name.
--
-- All files are written under temporary names, then put in place: either all of them are new or none is. A file
-- that was there and is neither ours nor the same is left alone, with an error, unless `overwrite` is set. Ours
-- are those whose SHA-256 stands in the run's written.json, or in the card beside them; so the same recipe may
-- be run as often as one likes.

local card = require "lathe.card"
local export = require "engine.export"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local named = require "lathe.named_tokenizer"

local M = {
  name = "write",
  version = 1,
  kind = "artifact",
  publishes = "dataset",
  target = "to",
  summary = "Writes the records as JSONL, JSON, CSV, TSV, text or Parquet files, with a dataset card.",
  options = {
    to = { type = "string|table", help = "a path, or a list of paths: {split} in it is metadata.split, {a.b} any field; "
      .. "a folder gets a file for each split (default: the stage's own folder)" },
    format = { type = "string", choices = { "jsonl", "json", "csv", "tsv", "txt", "parquet" },
      help = "when the name does not tell" },
    shard = { type = "string|integer", help = "files of about this size: name-00000-of-00003.jsonl; such as 256M" },
    fields = { type = "table", help = "only these, in this order: \"text\", or \"name=metadata.path\"; with ? behind it "
      .. "no record needs to have it" },
    drop_metadata = { type = "boolean", default = false, help = "leaves the field metadata out" },
    missing = { type = "string", help = "what {split} is for records that have none (default: an error)" },
    field = { type = "string", default = "text", help = "txt: the field that is written" },
    separator = { type = "string", default = "\n", help = "txt: what stands behind each record" },
    header = { type = "boolean", default = true, help = "CSV: the first row names the columns" },
    formula_safe = { type = "boolean", default = false,
      help = "CSV: a ' before cells that spreadsheets would run (= + - @)" },
    compression = { type = "string", choices = { "zstd", "gzip", "none" }, help = "Parquet: of its pages (default: zstd)" },
    level = { type = "integer", default = 0, min = 0, max = 22, help = "of the compression; 0: the usual one" },
    types = { type = "table", help = "Parquet: types of columns that are not to be learnt: { id = \"string\" }" },
    overwrite = { type = "boolean", default = false, help = "replaces files that are not ours" },
    card = { type = "boolean|string", default = true, help = "README.md beside the files; a path puts it elsewhere" },
    title = { type = "string", help = "the card's title (default: the recipe's name)" },
    description = { type = "string", help = "a paragraph for the card" },
    license = { type = "string", help = "the licence, for the card (default: what metadata.license says)" },
    tokenizer = named.option "counts tokens for the card",
  },
  positional = { "to" },
}

function M.uses(options) return named.uses(options.tokenizer) end
function M.hashes(options) return named.hashes(options.tokenizer) end

-- ---- names ----

local EXTENSIONS = { jsonl = "jsonl", ndjson = "jsonl", json = "json", csv = "csv", tsv = "tsv", txt = "txt", text = "txt",
  parquet = "parquet", pq = "parquet" }
local CODECS = { gz = "gzip", zst = "zstd" }

-- Format and compression of a path: by its name, else by the option. nil when it is a folder.
local function format_of(path, options)
  local name, codec = path, "none"
  local last = name:match "%.([%w]+)$"
  if last and CODECS[last:lower()] then
    codec, name = CODECS[last:lower()], name:sub(1, -#last - 2)
    last = name:match "%.([%w]+)$"
  end
  local format = options.format or last and EXTENSIONS[last:lower()]
  return format, codec
end

local function is_folder(path)
  if path:sub(-1) == "/" then return true end
  local base = path:match "[^/]*$"
  local info = not path:find("{", 1, true) and file.stat(path)
  return info and info.type == "folder" or not base:find(".", 1, true)
end

-- The list of { path, format, codec, dir } that the options ask for.
local function targets_of(options, inside)
  local list = type(options.to) == "table" and options.to or { options.to or inside and "./" }
  local out = {}
  for i, path in ipairs(list) do
    if type(path) ~= "string" or path == "" then return nil, ("to[%d] is not a path"):format(i), "misuse" end
    local target = { given = path, missing = options.missing }
    if is_folder(path) then
      local format = options.format or "jsonl"
      path = ("%s/{split}.%s"):format(path:gsub("/+$", ""), format)
      target.missing = target.missing or "data" -- records that were never split
    end
    target.path = path
    target.format, target.codec = format_of(path, options)
    if not target.format then
      return nil, ("%s: the name does not tell the format; end it in .jsonl, .json, .csv, .tsv, .txt or .parquet "
        .. "(.gz and .zst behind it compress), or set format"):format(path), "misuse"
    end
    if target.format == "parquet" and target.codec ~= "none" then
      return nil, ("%s: Parquet compresses its pages itself (compression = \"%s\")"):format(path, target.codec), "misuse"
    end
    out[i] = target
  end
  if #out == 0 then return nil, "to names no file", "misuse" end
  return out
end

-- "metadata.split" for {split}; a name with a point is a path of its own.
local function field_of(name) return name:find(".", 1, true) and name or "metadata." .. name end

local function route_of(path)
  local fields, seen = {}, {}
  for name in path:gmatch "{([^{}]*)}" do
    if name == "" or name:find "[^%w_.%-]" then return nil, ("%s: '{%s}' is not the name of a field"):format(path, name), "misuse" end
    if not seen[name] then
      seen[name] = true
      fields[#fields + 1] = name
    end
  end
  return fields
end

-- A value as part of a file's name: letters, digits, point, dash and underline stay; what was changed
-- gets a hash, so that no two values meet.
local function safe_name(value)
  local text = type(value) == "string" and value or json.encode(value)
  local out = text:gsub("[%z\1-\32\127/\\:*?\"<>|{}]", "_"):gsub("^%.+", "_"):gsub("^%-", "_")
  if #out > 100 then out = out:sub(1, (utf8.offset(out, 0, 101) or 101) - 1) end
  if out == text and out ~= "" then return out end
  return (out == "" and "empty" or out) .. "-" .. hash.sha256(text):sub(1, 8)
end

local function fields_of(list)
  if not list then return nil end
  local out, seen = {}, {}
  for i, entry in ipairs(list) do
    if type(entry) ~= "string" then return nil, ("fields[%d] is not a name"):format(i), "misuse" end
    entry = entry:gsub("%?$", "")
    local name, path = entry:match "^([^=]+)=(.+)$"
    path = path or entry
    name = name or path
    if seen[name] then return nil, ("fields: '%s' is there twice"):format(name), "misuse" end
    seen[name] = true
    out[#out + 1], out[#out + 2] = path, name
  end
  if #out == 0 then return nil, "fields is empty", "misuse" end
  return out
end

local function shard_of(shard)
  if not shard then return 0 end
  local bytes, message = require("lathe.config").size(shard)
  if not bytes then return nil, "shard: " .. message, "misuse" end
  if bytes < 1 then return nil, "shard: a size above 0 was expected", "misuse" end
  return bytes
end

local TYPES = { string = true, int64 = true, double = true, bool = true, json = true }

--- What can be said to be wrong before anything runs.
function M.check(options)
  local list, message = targets_of(options, true)
  if not list then return nil, message, "misuse" end
  for _, target in ipairs(list) do
    local _, why = route_of(target.path)
    if why then return nil, why, "misuse" end
  end
  local _, why = fields_of(options.fields)
  if why then return nil, why, "misuse" end
  _, why = shard_of(options.shard)
  if why then return nil, why, "misuse" end
  for name, kind in pairs(options.types or {}) do
    if not TYPES[kind] then
      return nil, ("types: '%s' of column '%s' is none of string, int64, double, bool, json"):format(tostring(kind), name), "misuse"
    end
  end
  return true
end

-- ---- one target ----

local TALLIES = { "metadata.split", "source", "metadata.source", "metadata.license", "metadata.language", "metadata.type" }

local function raise(code, format, ...) error({ code = code, message = format:format(...) }, 0) end
local function must(value, message, code)
  if value == nil or value == false then error({ code = code or "io", message = message }, 0) end
  return value
end

-- Whether a process still runs: one that was killed may stand in the list for a while, as a zombie.
local function is_running(pid)
  local state = file.stat("/proc/" .. pid) and file.read("/proc/" .. pid .. "/stat")
  return state ~= nil and state ~= false and not state:find "%) [ZX]"
end

-- Removes what a writer that was killed has left in a folder.
local function sweep(folder)
  for _, entry in ipairs(file.list(folder) or {}) do
    local pid = entry.name:match "%.tmp%-(%d+)%-%d+$"
    if pid and not is_running(pid) then file.remove_tree(folder .. "/" .. entry.name) end
  end
end

local function folder_of(path) return path:match "^(.*)/[^/]*$" or "." end

local Target = {}
Target.__index = Target

local function open_target(given, options, taken)
  local self = setmetatable({ given = given, options = options, taken = taken, made = {} }, Target)
  self.names = must(route_of(given.path))
  self:begin()
  return self
end

-- Begins (anew) with an exporter that knows nothing.
function Target:begin()
  local options, route, types = self.options, {}, {}
  if self.export then self.export:close() end
  for where in pairs(self.numbers or {}) do self.taken[where] = nil end
  self.numbers, self.splits = {}, {}
  for i, name in ipairs(self.names) do route[i] = field_of(name) end
  for _, name in ipairs(require("lathe.config").names(options.types or {})) do
    types[#types + 1], types[#types + 2] = name, options.types[name]
  end
  self.export = must(export.new { route = route, fields = fields_of(options.fields), types = types,
    drop_metadata = options.drop_metadata, tallies = TALLIES })
end

function Target:lacks(name, path, line)
  raise("misuse", "%s:%d: the record has no %s, which the path %s needs; set missing = \"…\" to give such records a name",
    path, line, field_of(name), self.given.path)
end

-- Answers a route: the path made of its values.
function Target:answer(route, path, line)
  local values, split = json.decode(route), nil
  local filled = {}
  for i, name in ipairs(self.names) do
    local value = values[i]
    if value == nil or value == json.null then value = self.given.missing or self:lacks(name, path, line) end
    filled[name] = safe_name(value)
    if name == "split" or name == "metadata.split" then split = filled[name] end
  end
  local where = self.given.path:gsub("{([^{}]*)}", function(name) return filled[name] end)
  if self.numbers[where] then return must(self.export:share(self.numbers[where])) end
  if self.taken[where] then raise("misuse", "%s: two of the targets are this file", where) end
  self.taken[where] = true
  local folder = folder_of(where)
  must(file.mkdirs(folder))
  if not self.made[folder] then sweep(folder) end
  self.made[folder] = true
  local o, format = self.options, self.given.format
  local tsv = format == "tsv"
  local n = must(self.export:target(where, { format = tsv and "csv" or format, codec = self.given.codec, level = o.level,
    shard = must(shard_of(o.shard)), delimiter = tsv and "\t" or ",", header = o.header, formula_safe = o.formula_safe,
    field = o.field, separator = o.separator, compression = o.compression }))
  self.numbers[where] = n
  self.splits[n] = split or "train"
end

local PIECE = 32 << 20

-- One pass over the records; false when what was guessed is wrong. With `bytes` it ends after about so many.
function Target:pass(kind, paths, tell, bytes)
  for _, path in ipairs(paths) do
    while true do
      local state, route, line = self.export:feed(path, kind, bytes or PIECE)
      if not state then error({ code = line, message = route }, 0) end
      if state == "misfit" then return false end
      if state == "done" or state == "more" and bytes then break end
      if state ~= "more" then self:answer(route, path, line) end
      tell(nil, state == "more" and PIECE or 0)
    end
    tell(path)
    if bytes then
      bytes = bytes - file.stat(path).size
      if bytes <= 0 then break end
    end
  end
  return true
end

-- Columns are those of all records; mostly the first few megabytes have them all, and then one pass is saved.
function Target:learn_and_put(paths, tell, guess)
  local function quiet() tell() end
  self:pass("observe", paths, quiet, guess)
  self.export:settle(true)
  if self:pass("put", paths, tell) then return end
  self:begin()
  self:pass("observe", paths, quiet)
  self.export:settle()
  self:pass("put", paths, quiet)
end

-- Writes the records under temporary names; leaves the list of files in self.files.
function Target:write(paths, tell, guess)
  local format = self.given.format
  local learns = format == "parquet" or format == "csv" or format == "tsv"
  if learns then self:learn_and_put(paths, tell, guess) else self:pass("put", paths, tell) end
  if next(self.numbers) == nil then -- no record at all: an empty file where one was named
    if #self.names == 0 then self:answer("[]") end
    if learns then self.export:settle() end
  end
  self.files = must(self.export:finish())
  for i = 1, #(self.options.fields or {}) do
    local lacking, records = self.export:lacking(i)
    if records > 0 and lacking == records and self.options.fields[i]:sub(-1) ~= "?" then
      raise("misuse", "fields: no record has '%s'", self.options.fields[i])
    end
  end
  if format == "parquet" then self.schema = self.export:schema() end
  for _, f in ipairs(self.files) do
    f.split, f.format, f.inside = self.splits[f.target], format, self.given.inside
  end
end

-- ---- what was there before ----

local function ledger_path(ctx) return ctx.run_dir and ctx.run_dir .. "/written.json" end

-- stage → path → set of SHA-256
local function read_ledger(ctx)
  local path = ledger_path(ctx)
  local text = path and file.stat(path) and file.read(path)
  return text and json.decode(text) or {}
end

-- Whether this recipe has written those bytes under that path.
local function is_known(ledger, path, digest)
  for _, written in pairs(ledger) do
    if (written[path] or {})[digest] then return true end
  end
  return false
end

-- Files that are not ours and not the same: their paths.
local function foreign_files(targets, ledger)
  local list, cards = {}, {}
  for _, target in ipairs(targets) do
    for _, f in ipairs(target.files) do
      local info = file.stat(f.path)
      if info and info.type ~= "file" then raise("misuse", "%s: is not a file", f.path) end
      if info then
        local folder = folder_of(f.path)
        cards[folder] = cards[folder] or card.hashes(folder .. "/README.md")
        local digest = must(file.sha256(f.path))
        if digest ~= f.sha256 and not cards[folder][digest] and not is_known(ledger, f.path, digest) then
          list[#list + 1] = f.path
        end
      end
    end
  end
  return list
end

-- Notes what is about to be put in place, before it is: a run that is killed between two files knows both.
local function remember(ctx, targets, ledger)
  local written = ledger[ctx.stage] or {}
  for _, target in ipairs(targets) do
    for _, f in ipairs(target.files) do
      if not f.inside then
        local old = file.stat(f.path) and file.sha256(f.path)
        written[f.path] = { [f.sha256] = true }
        if old then written[f.path][old] = true end
      end
    end
  end
  ledger[ctx.stage] = written
  if next(written) and ledger_path(ctx) then must(file.write(ledger_path(ctx), json.encode(ledger, { indent = 2, sort = true }) .. "\n")) end
end

-- Shards of an earlier run that has made more or fewer of them: ours, so they go.
local function remove_old_shards(ctx, targets, ledger)
  local now = {}
  for _, target in ipairs(targets) do
    for _, f in ipairs(target.files) do now[f.path] = true end
  end
  for path, hashes in pairs(ledger[ctx.stage]) do
    if not now[path] and path:find "%-%d%d%d%d%d%-of%-%d%d%d%d%d" and file.stat(path) and hashes[file.sha256(path)] then
      must(file.remove_tree(path))
      ctx.log("info", path .. ": of an earlier run, removed")
    end
  end
end

-- ---- the card ----

-- Where the card goes besides the stage's folder; nil for nowhere.
local function card_place(ctx, targets)
  local option = ctx.options.card
  if option == false then return nil end
  if type(option) == "string" then return option end
  local folder = targets[1].given.path:match "^([^{]*)/"
  if not folder or folder == "" or folder == "." or targets[1].given.inside then return nil end
  return folder .. "/README.md"
end

local function put_card(ctx, targets, text)
  must(file.write(ctx.dir .. "/README.md", text))
  local path = card_place(ctx, targets)
  if not path then return nil end
  if file.stat(path) and not card.is_ours(path) and not ctx.options.overwrite then
    ctx.log("warn", ("%s is not ours and stays as it is; the card is in the stage's folder"):format(path))
    return nil
  end
  must(file.mkdirs(folder_of(path)))
  must(file.write(path, text))
  return path
end

local function listed(targets)
  local files, records = {}, 0
  for t, target in ipairs(targets) do
    for _, f in ipairs(target.files) do
      files[#files + 1] = { path = f.path, bytes = f.bytes, records = f.records, sha256 = f.sha256, format = f.format,
        split = f.split }
      files[#files].inside = f.inside
      if t == 1 then records = records + f.records end
    end
  end
  return files, records
end

-- Files in the stage's own folder go by their names in it.
local function inner_paths(targets)
  for _, target in ipairs(targets) do
    for _, f in ipairs(target.files) do
      if f.inside then f.path = f.path:match "[^/]*$" end
    end
  end
end

-- "800 in data/train.jsonl, 200 in data/validation.jsonl"
local function report(files)
  local parts = {}
  for i, f in ipairs(files) do
    if i <= 6 then parts[i] = ("%d in %s"):format(f.records, f.path) end
  end
  if #files > 6 then parts[7] = ("and %d files more"):format(#files - 6) end
  return table.concat(parts, ", ")
end

local function progress_of(input, ctx, count)
  local total, done, sizes = 0, 0, {}
  for _, path in ipairs(input:paths()) do
    sizes[path] = file.stat(path).size
    total = total + sizes[path]
  end
  local inside = 0 -- of the file at hand
  return function(path, more)
    inside = path and 0 or inside + (more or 0)
    if path then done = done + sizes[path] end
    ctx.progress(math.min(done + inside, total * count), total * count, "bytes")
  end
end

local GUESS_BYTES = 4 << 20

local function write_all(input, ctx, targets)
  local options = ctx.options
  local list = must(targets_of(options, true))
  local tell, taken = progress_of(input, ctx, #list), {}
  for _, given in ipairs(list) do
    if not options.to then given.path, given.inside = ctx.dir .. "/" .. given.path:gsub("^%./", ""), true end
    targets[#targets + 1] = open_target(given, options, taken)
    targets[#targets]:write(input:paths(), tell, ctx.guess_bytes or GUESS_BYTES)
  end
  local ledger = read_ledger(ctx)
  local single = ctx.recipe == "stage-write" -- the user has named the file as the output
  local foreign = not options.overwrite and not single and foreign_files(targets, ledger) or {}
  if #foreign > 0 then
    raise("misuse", "%s: %s there already and %s not what this recipe has written; move %s away, or set overwrite = true",
      table.concat(foreign, ", "), #foreign == 1 and "is" or "are", #foreign == 1 and "is" or "are",
      #foreign == 1 and "it" or "them")
  end
  remember(ctx, targets, ledger)
  for _, target in ipairs(targets) do must(target.export:commit()) end
  remove_old_shards(ctx, targets, ledger)
  inner_paths(targets)
  local tokens = options.tokenizer and must(card.tokens(input, named.load(ctx, options.tokenizer))) or nil
  local text = card.text { ctx = ctx, targets = targets, tokens = tokens, place = card_place(ctx, targets) }
  local files, records = listed(targets)
  local place = put_card(ctx, targets, text)
  must(file.write(ctx.dir .. "/dataset.json", json.encode({ files = json.array(files), records = records,
    lathe = ctx.version }, { indent = 2, sort = true }) .. "\n"))
  return { files = files, records = records, card = place, report = report(files) }
end

--- Writes the files.
function M.make(input, ctx)
  local targets = {}
  local fine, result = pcall(write_all, input, ctx, targets)
  for _, target in ipairs(targets) do target.export:close() end
  if fine then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.message, result.code
end

--- The files outside of the run's folder that the stage has made: when one is missing or changed, the
-- runner does the stage again.
-- @param facts table: of the manifest
-- @return table: list of { path, bytes, sha256 }
function M.outputs(facts)
  local out = {}
  for _, f in ipairs(facts.files or {}) do
    if not f.inside then out[#out + 1] = f end
  end
  return out
end

return M
