-- SPDX-License-Identifier: MIT
-- Records and datasets: what recipes, stages and the REPL use around engine.json.
--
-- A dataset is a JSONL file, or a stage's folder of parts, looked at in place: ds[1], #ds, for r in ds:records(). Only the offsets of
-- its lines are held, and only once ds[i] or #ds needs them; records() streams.

local json = require "engine.json"
local hash = require "engine.hash"
local file = require "engine.file"

local M = {}

-- Where a record came from; with the content it makes the id.
local ORIGIN = { "document", "path", "page", "span", "origin_span" }

--- A stable id for a record: a hash of its content and of its origin.
-- Content is every field but `id` and `metadata`; origin is `document`, `path`, `page`, `span` of the
-- metadata. The order of the fields does not matter.
-- @param fields table|record: the record
-- @return string: 24 hexadecimal digits
-- @example require("lathe.record").id { text = "hello" }
function M.id(fields)
  local plain = type(fields) == "userdata" and json.table(fields) or fields
  local content = {}
  for k, v in pairs(plain) do
    if k ~= "id" and k ~= "metadata" then content[k] = v end
  end
  local origin, metadata = {}, plain.metadata
  if json.kind(metadata) == "object" then
    for _, name in ipairs(ORIGIN) do origin[name] = metadata[name] end
  end
  return hash.sha256(json.encode({ json.object(content), json.object(origin) }, { sort = true })):sub(1, 24)
end

-- A line that is not a record, as an error message: every caller says it the same way.
local function parse(self, path, text, number)
  local where = ("%s:%d"):format(path, number)
  if not text then return nil, ("%s: line longer than %d bytes"):format(where, self.max_line), "limit" end
  return json.record(text, where)
end

local Dataset = {}

local function lines_of(self, path, from)
  return assert(file.lines(path, { max_line = self.max_line, from = from, records = true }))
end

-- Offsets of the lines that hold records, file by file; made on the first need, in one pass.
local function index(self)
  if rawget(self, "offsets") then return self.offsets end
  local offsets, numbers, files = {}, {}, {}
  for f, path in ipairs(self.paths) do
    for _, number, offset in lines_of(self, path) do
      local n = #offsets + 1
      offsets[n], numbers[n], files[n] = offset, number, f
    end
  end
  rawset(self, "numbers", numbers)
  rawset(self, "files", files)
  rawset(self, "offsets", offsets)
  return offsets
end

--- Record number i (from 1), or nil behind the end.
-- @param i integer: which
-- @return record
-- @error format (the line is not a JSON object), limit (a line longer than max_line)
function Dataset:get(i)
  local offset = index(self)[i]
  if not offset then return nil end
  local path = self.paths[self.files[i]]
  if self.compressed[path] then
    for text, number in lines_of(self, path) do
      if number == self.numbers[i] then return parse(self, path, text, number) end
    end
    return nil
  end
  local lines <close> = lines_of(self, path, offset)
  return parse(self, path, lines(), self.numbers[i])
end

--- Iterates over all records in order: for r, line_number in ds:records() do … end.
-- A line that is not a record raises an error that names file and line.
-- @return function: the iterator
function Dataset:records()
  local at, next_line = 0, nil
  local function next_record()
    while true do
      local text, number
      if next_line then text, number = next_line() end
      if text == nil then
        at = at + 1
        if not self.paths[at] then return nil end
        next_line = lines_of(self, self.paths[at])
      else
        local r, message = parse(self, self.paths[at], text, number)
        if not r then error(message, 0) end
        return r, number
      end
    end
  end
  local closer = setmetatable({}, { __close = function() if next_line then next_line:close() end end })
  return next_record, nil, nil, closer
end

--- The first n records as a list.
-- @param n integer: optional, how many (default 5)
-- @return table: list of records
function Dataset:head(n)
  local list = {}
  for r in self:records() do
    list[#list + 1] = r
    if #list >= (n or 5) then break end
  end
  return list
end

--- The names of the fields of the first records, in the order of their first appearance.
-- @param n integer: optional, of how many records (default 100)
-- @return table: list of names
function Dataset:fields(n)
  local names, seen = {}, {}
  for _, r in ipairs(self:head(n or 100)) do
    for name in pairs(r) do
      if not seen[name] then
        seen[name] = true
        names[#names + 1] = name
      end
    end
  end
  return names
end

--- Batches of windows of tokens, where the records are windows (the stage `windows` makes them).
-- @param options table: batch, shuffle, seed, epoch, drop_last; see lathe.windows
-- @return loader: for input, target, batch in loader do … end
-- @error misuse: the records are no windows
function Dataset:loader(options)
  local ds, message = require("lathe.windows").open(self)
  if not ds then error(message, 2) end
  return ds:loader(options)
end

local meta = { __name = "dataset" }

function meta.__index(self, key)
  if math.type(key) == "integer" then
    local r, message = Dataset.get(self, key)
    if message then error(message, 2) end
    return r
  end
  return Dataset[key] or require("lathe.apply").method(key) -- ds:chunk { size = 500 }
end

function meta.__len(self) return #index(self) end

function meta.__newindex() error("a dataset is read only; write a new file instead", 2) end

function meta.__tostring(self)
  local n = #self
  local lines = { ("dataset %s: %d record%s"):format(self.path, n, n == 1 and "" or "s") }
  if n > 0 then
    lines[2] = "  fields: " .. table.concat(self:fields(), ", ")
    lines[3] = "  [1] " .. tostring(self[1]):gsub("\n", "\n    ")
  end
  return table.concat(lines, "\n")
end

-- The files of a dataset: the file itself, or a folder's part-*.jsonl in order.
local function files_of(path)
  local info, message, code = file.stat(path)
  if not info then return nil, message or (path .. ": no such file"), code or "not_found" end
  if info.type == "file" then return { path } end
  local list = {}
  for _, entry in ipairs(file.list(path) or {}) do
    if entry.name:find "^part%-%d+%.jsonl$" then list[#list + 1] = path .. "/" .. entry.name end
  end
  if #list == 0 then return nil, path .. ": neither a JSONL file nor a folder with part-*.jsonl", "misuse" end
  return list
end

--- Opens a JSONL file (plain, gzip or zstd), or a stage's folder of parts, as a dataset: ds[1], #ds,
-- ds:records(), ds:head().
-- @param path string: the file, or a folder such as runs/demo/03-chunk
-- @param options table: optional { max_line = bytes, default 64 MiB }
-- @return dataset
-- @error not_found, io, misuse (a folder without parts)
-- @example for r in require("lathe.record").open("train.jsonl"):records() do print(r.text) end
function M.open(path, options)
  if type(path) ~= "string" then error("a path is needed, got " .. type(path), 2) end
  for k in pairs(options or {}) do
    if k ~= "max_line" then error(("unknown option '%s'; did you mean 'max_line'?"):format(tostring(k)), 2) end
  end
  local paths, message, code = files_of(path)
  if not paths then return nil, message, code end
  local compressed = {}
  for _, one in ipairs(paths) do
    local magic = (file.stat(one) or { size = 0 }).size >= 4 and file.read_range(one, 0, 4) or ""
    compressed[one] = magic:sub(1, 2) == "\x1f\x8b" or magic == "\x28\xb5\x2f\xfd"
  end
  return setmetatable({ path = path, paths = paths, compressed = compressed,
    max_line = options and options.max_line or 64 << 20 }, meta)
end

--- Whether a value is a dataset.
-- @param value any
-- @return boolean
function M.is_dataset(value) return getmetatable(value) == meta end

--- Writes records or tables to a JSONL file in one step.
-- @param path string: the file
-- @param records table|function: a list, or an iterator that gives records
-- @return integer: how many were written
-- @error io
-- @example require("lathe.record").write("out.jsonl", { { text = "a" }, { text = "b" } })
function M.write(path, records)
  local each, state, at = records, nil, nil
  if type(records) == "table" then
    local i = 0
    each = function()
      i = i + 1
      return records[i]
    end
  end
  local w <close>, message, code = file.replace(path)
  if not w then return nil, message, code end
  local count = 0
  for r in each, state, at do
    local fine, why, kind = w:write(json.encode(r), "\n")
    if not fine then return nil, why, kind end
    count = count + 1
  end
  local fine, why, kind = w:commit()
  if not fine then return nil, why, kind end
  return count
end

return M
