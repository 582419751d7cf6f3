-- SPDX-License-Identifier: MIT
-- Pattern files: a folder of NNNN-descriptive_name.json, each checked by a schema and turned into records by
-- a mapping. Both are files that a user copies and edits:
--
--   templates/patterns/schema.json   JSON Schema: what a pattern file must hold
--   templates/patterns/pattern.lua   records(pattern): what it becomes
--
-- looked for beside the recipe, then in ~/.config/lathe/templates/patterns, then ours. A file that is
-- misnamed, has a number that another has, is no JSON or is not what the schema says is rejected; the reason
-- names the field, what was expected and what is there.

local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local schema = require "lathe.schema"
local text = require "engine.text"

local M = {}

local MOST = 16 << 20 -- bytes of a pattern file

-- ---- the mapping and the schema ----

local function folders(root)
  local out = {}
  for i, folder in ipairs(require("lathe.template").search_path(root)) do out[i] = folder .. "/patterns" end
  return out
end

local function find(name, root)
  if name:find("/", 1, true) then return file.stat(name) and name end
  for _, folder in ipairs(folders(root)) do
    local path = folder .. "/" .. name
    if file.stat(path) then return path end
  end
end

local function names(root, ending)
  local out, seen = {}, {}
  for _, folder in ipairs(folders(root)) do
    for _, entry in ipairs(file.stat(folder) and file.list(folder) or {}) do
      local name = entry.name:match("^(.+)%." .. ending .. "$")
      if name and not seen[name] then
        seen[name] = true
        out[#out + 1] = name
      end
    end
  end
  table.sort(out)
  return out
end

local function raise(message, code) error({ message = message, code = code or "misuse" }, 0) end

local function load_mapping(name, root)
  local path = find(name:find "%.lua$" and name or name .. ".lua", root)
  if not path then raise(config.unknown("mapping of patterns", name, names(root, "lua"))) end
  local chunk, message = loadfile(path)
  if not chunk then raise(message) end
  local fine, mapping = pcall(chunk)
  if not fine then raise(tostring(mapping)) end
  if type(mapping) ~= "table" or type(mapping.records) ~= "function" then
    raise(path .. ": must return { schema = \"schema.json\", records = function(pattern) … end }")
  end
  return mapping, path
end

local function find_schema(options, mapping, root)
  local name = options.schema ~= "" and options.schema or mapping.schema or "schema.json"
  local path = find(name, root)
  if not path then raise(config.unknown("schema of patterns", name, names(root, "json"))) end
  return path
end

--- The mapping and the schema that options name.
-- @param options table: { pattern = name or path of the mapping, schema = name or path, "" for the mapping's own }
-- @param root string: the recipe's folder
-- @return table: { mapping, schema, paths = { mapping's, schema's } }
-- @error raises { code = "misuse", message }
function M.open(options, root)
  local mapping, path = load_mapping(options.pattern, root)
  local schema_path = find_schema(options, mapping, root)
  local loaded, message, code = schema.load(schema_path)
  if not loaded then raise(message, code) end
  return { mapping = mapping, schema = loaded, paths = { path, schema_path } }
end

--- What records of patterns depend on: the mapping and the schema.
function M.hashes(options, root)
  local opened = M.open(options, root)
  return { file.sha256(opened.paths[1]), file.sha256(opened.paths[2]) }
end

-- ---- names ----

-- The number in a pattern file's name; or nil and what the name should have been.
local function number_of(path)
  local name = path:match "[^/]*$"
  local number = name:match "^(%d%d%d%d)%-[%w_]+%.json$"
  if number then return number end
  local digits, rest = name:match "^(%d+)[%s._-]*(.-)%.[jJ][sS][oO][nN]$"
  if digits and #digits <= 4 then
    rest = rest:gsub("[^%w_]+", "_"):gsub("^_+", ""):gsub("_+$", "")
    return nil, ("%04d-%s.json"):format(tonumber(digits), rest ~= "" and rest or "descriptive_name")
  end
  return nil, "NNNN-descriptive_name.json: four digits, a dash, letters, digits and underscores"
end

--- Sorts out the files of a folder by their names: gives items their number, or the reason they are left out.
-- @param items table: list of { path, file } in order; changed: item.number, or item.left_out and item.detail
-- @return table: those that are pattern files or were meant as such
function M.name(items)
  local taken, out = {}, {}
  for _, item in ipairs(items) do
    local name = item.path:match "[^/]*$"
    local number, wanted = number_of(item.path)
    if number and taken[number] then
      item.left_out, item.detail = "repeated_number", ("the number %s is that of %s already"):format(number, taken[number])
    elseif number then
      item.number, taken[number] = number, item.path
    else
      item.left_out, item.detail = "misnamed", "a pattern file is called " .. wanted
    end
    -- a README or the schema beside the patterns was not meant as one
    if number or not item.whole or name:lower():find "%.json$" and not name:lower():find "schema%.json$" or name:find "^%d%d%d%d" then
      out[#out + 1] = item
    end
  end
  return out
end

-- ---- reading ----

-- "byte 34: …" with the line and column instead.
local function placed(message, source)
  local at, rest = message:match "byte (%d+): (.*)$"
  if not at then return message end
  local before = source:sub(1, tonumber(at))
  local line = select(2, before:gsub("\n", "\n")) + 1
  return ("line %d, column %d: %s"):format(line, #before:match "[^\n]*$" + 1, rest)
end

local function decoded(item)
  local bytes, message, code = file.read(item.file, MOST)
  if not bytes then return nil, message, code end
  local source, replaced, found = text.to_utf8(bytes)
  if not source then return nil, replaced, found end
  if replaced > 0 then return nil, "the text is no UTF-8", "unreadable" end
  local value
  value, message = json.decode(source)
  if value == nil then return nil, placed(message, source), "not_json" end
  return value, hash.sha256(bytes)
end

local function sentences(problems)
  local out = {}
  for i, problem in ipairs(problems) do
    if i > 5 then
      out[i] = ("and %d more"):format(#problems - 5)
      break
    end
    out[i] = schema.sentence(problem)
  end
  return table.concat(out, "; ")
end

-- What is wrong with a pattern: list of problems.
local function problems_of(opened, value, number)
  local list = opened.schema:check(value)
  if #list == 0 and number and value.pattern_id ~= nil and value.pattern_id ~= number then
    list[1] = { path = ".pattern_id", expected = ("%q, the number in the file's name"):format(number),
      got = json.encode(value.pattern_id) }
  end
  return list
end

local FIELDS = { "id", "system", "instruction", "input", "output", "messages", "prompt", "chosen", "rejected", "text", "source" }

-- A mapping's table as a record whose fields are in the order that people read them in.
local function complete(given, item, digest, value, position)
  local about = value.metadata or {}
  given.id = given.id or hash.sha256(digest .. "\0" .. item.path .. "\0" .. position):sub(1, 16)
  given.source = given.source or "pattern"
  local record = json.record "{}"
  local metadata = given.metadata or {}
  given.metadata = nil
  for _, name in ipairs(FIELDS) do
    record[name] = given[name]
    given[name] = nil
  end
  for _, name in ipairs(config.names(given)) do record[name] = given[name] end
  record.metadata = {}
  local m = record.metadata
  for _, pair in ipairs { { "document", digest }, { "path", item.path }, { "type", "pattern" }, { "pattern", value.pattern_id },
    { "name", value.name }, { "tags", value.tags }, { "language", about.language }, { "license", about.license } } do
    m[pair[1]] = pair[2]
  end
  for _, name in ipairs(config.names(metadata)) do m[name] = metadata[name] end
  return record
end

--- Reads a pattern file.
-- @param item table: { path, file, number }
-- @param ctx table: the stage's context
-- @param emit function: called with each record of the mapping
-- @return boolean: true; or nil, message, code
function M.read(item, ctx, emit)
  ctx.cache.patterns = ctx.cache.patterns or M.open(ctx.options, ctx.root)
  local opened = ctx.cache.patterns
  local value, digest, reason = decoded(item)
  if value == nil then
    if reason == "not_found" or reason == "cancelled" then return nil, digest, reason end
    return M.refuse(item, ctx, reason == "not_json" and reason or "unreadable", digest)
  end
  local problems = problems_of(opened, value, item.number)
  if #problems > 0 then return M.refuse(item, ctx, "not_a_pattern", sentences(problems), problems) end
  local fine, list = pcall(opened.mapping.records, value)
  if not fine then return nil, ("%s: %s"):format(item.path, tostring(list)), "failed" end
  for position, record in ipairs(list) do emit(complete(record, item, digest, value, position)) end
  return true
end

--- Rejects a pattern file, or with the option strict fails.
function M.refuse(item, ctx, reason, detail, problems)
  local message = ("%s: %s"):format(item.path, detail)
  if ctx.options.strict then return nil, message, "misuse" end
  ctx.reject({ path = item.path, problems = problems }, reason, message)
  return true
end

return M
