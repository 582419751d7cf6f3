-- SPDX-License-Identifier: MIT
-- JSON and JSONL as records. Records come out as they are; nothing is added to them unless asked for.
--
--   JSONL      line by line: a bad line costs one record
--   JSON       the elements of an array, or objects one after the other, each found in the stream and held
--              alone, so that a file of any size needs no more memory than its longest record
--   at = "data.rows"   the array lies inside an object: that file is read whole
--
-- UTF-16 and UTF-32 files are converted whole; a line that is not UTF-8 is converted alone.

local file = require "engine.file"
local json = require "engine.json"
local text = require "engine.text"
local values = require "engine.values"

local M = {}

local WHOLE = 256 << 20 -- bytes of a file that has to be in memory
local BAD_MOST = 100 -- values in a row that are no records: then the rest of the file is not looked at

local function too_long(item, ctx, number, bytes)
  ctx.reject({ path = item.path, line = number, bytes = bytes }, "line_too_long",
    ("%s:%d: %d bytes, more than max_line (%d)"):format(item.path, number, bytes, ctx.options.max_line))
end

-- The record of a text: as it is, or converted when it is not UTF-8; then also the encoding's name.
local function record_of(line)
  local record, problem = json.record(line)
  if record or text.valid(line) then return record, problem end
  local converted, _, found = text.to_utf8(line)
  if not converted then return nil, problem end
  record, problem = json.record(converted)
  return record, problem, found and found.name
end

-- Says once a file that some of it was not UTF-8.
local function note_encoding(item, ctx, line, encoding)
  ctx.converted = ctx.converted or {}
  if ctx.converted[item.path] then return end
  ctx.converted[item.path] = true
  ctx.log("warn", ("%s:%d: not UTF-8; converted from %s, and so are others like it"):format(item.path, line, encoding),
    { path = item.path, encoding = encoding })
end

-- A record is one line: in JSON that was read, line ends stand only between values.
local function on_one_line(value, record)
  if not record or not value:find "[\r\n]" then return record end
  return record_of((value:gsub("[\r\n]%s*", "")))
end

-- Emits one value, or rejects it; gives whether it was a record.
local function put(item, ctx, emit, value, line, extra)
  local record, problem, encoding = record_of(value)
  if encoding then note_encoding(item, ctx, line, encoding) end
  record = on_one_line(value, record)
  if not record then
    local decoded = json.decode(value)
    local kind = decoded ~= nil and json.kind(decoded)
    local reason = kind and kind ~= "object" and "not_a_record" or "not_json"
    if reason == "not_a_record" then problem = ("an object is expected, got %s"):format(kind) end
    ctx.reject({ path = item.path, line = line }, reason, ("%s:%d: %s"):format(item.path, line, problem))
    return false
  end
  if ctx.options.provenance then M.note(record, item, extra or "json", line) end
  emit(record)
  return true
end

--- Notes where a record came from: metadata.path, type and row.
function M.note(record, item, kind, row)
  if record.metadata == nil or record.metadata == json.null then record.metadata = {} end
  local metadata = record.metadata
  if json.kind(metadata) ~= "object" then return end
  metadata.path = item.path
  metadata.type = kind
  metadata.row = row
end

local function gave_up(item, ctx, line, bad)
  ctx.reject({ path = item.path, line = line }, "not_json",
    ("%s:%d: %d values in a row are no records; the rest of the file was not read"):format(item.path, line, bad))
end

--- Reads a file with a JSON object on each line.
-- @param item table: { path, file }, or with { from, to, line } a part of it
-- @param ctx table: the stage's context
-- @param emit function: called with each record
-- @return boolean: true; or nil, message, code
function M.lines(item, ctx, emit)
  if item.encoding then return M.values(item, ctx, emit) end
  local lines, message, code = file.lines(item.file, { max_line = ctx.options.max_line, from = item.from, to = item.to })
  if not lines then return nil, message, code end
  local reader <close> = lines
  local before, bad = item.line or 0, 0
  local next_line = reader
  if ctx.passing and not ctx.options.provenance then
    next_line = ctx.passing(reader, function(passed) if passed > 0 then bad = 0 end end)
  end
  while true do
    local fine, line, number, offset, bytes = pcall(next_line)
    if not fine then -- damaged gzip or zstd: what came before it is good
      if type(line) == "table" and line.code == "cancelled" then error(line, 0) end
      ctx.reject({ path = item.path }, "unreadable", type(line) == "table" and line.message or tostring(line))
      return true
    end
    if line == nil then return true end
    number = number + before
    if line == false then
      too_long(item, ctx, number, bytes)
    elseif line:find "%S" then
      if offset == 0 then line = line:gsub("^\xef\xbb\xbf", "") end
      bad = put(item, ctx, emit, line, number, "jsonl") and 0 or bad + 1
      if bad >= BAD_MOST then
        gave_up(item, ctx, number, bad)
        return true
      end
    end
  end
end

local function open(item, ctx)
  local options = { max_value = ctx.options.max_line }
  if not item.encoding then return values.open(item.file, options) end
  note_encoding(item, ctx, 1, item.encoding)
  local bytes, message, code = file.read(item.file, WHOLE)
  if not bytes then return nil, message, code end
  bytes, message, code = text.to_utf8(bytes)
  if not bytes then return nil, message, code end
  return values.of(bytes, options)
end

--- Reads the elements of an array, or objects one after the other.
-- @param item table: { path, file }
-- @param ctx table: the stage's context
-- @param emit function: called with each record
-- @return boolean: true; or nil, message, code
function M.values(item, ctx, emit)
  local opened, message, code = open(item, ctx)
  if not opened then
    if code == "limit" then ctx.reject({ path = item.path }, "limit", message) return true end
    return nil, message, code
  end
  local reader <close> = opened
  local bad, seen = 0, 0
  while true do
    local value, number, line, bytes = reader:next()
    if value == nil then
      if number and line == "cancelled" then return nil, number, line end
      if number then -- nil, message, code
        ctx.reject({ path = item.path }, line == "format" and "not_json" or "unreadable", ("%s: %s%s"):format(item.path, number,
          seen > 0 and ("; the %d values before it were read"):format(seen) or ""))
      end
      return true
    end
    seen = seen + 1
    if value == false then
      too_long(item, ctx, line, bytes)
    elseif put(item, ctx, emit, value, line) then
      bad = 0
    else
      bad = bad + 1
      if bad >= BAD_MOST then
        gave_up(item, ctx, line, bad)
        return true
      end
    end
  end
end

--- Reads the array at a path inside a JSON file.
-- @param item table: { path, file }
-- @param ctx table: the stage's context; ctx.options.at is the path, such as "data.rows"
-- @param emit function: called with each record
-- @return boolean: true; or nil, message, code
function M.at(item, ctx, emit)
  local s, message, code = file.stream(item.file)
  if not s then return nil, message, code end
  local stream <close> = s
  local bytes
  bytes, message = stream:read(WHOLE)
  if not bytes then
    ctx.reject({ path = item.path }, "unreadable", message or item.path .. ": empty")
    return true
  end
  if item.encoding then bytes = text.to_utf8(bytes) end
  local value, problem = json.decode((bytes:gsub("^\xef\xbb\xbf", "")))
  if value == nil then
    ctx.reject({ path = item.path }, #bytes >= WHOLE and "limit" or "not_json", ("%s: %s"):format(item.path, problem))
    return true
  end
  for step in ctx.options.at:gmatch "[^.]+" do
    value = type(value) == "table" and (value[step] ~= nil and value[step] or value[tonumber(step)]) or nil
  end
  if json.kind(value) ~= "array" then
    ctx.reject({ path = item.path }, "not_a_record", ("%s: there is no array at '%s'"):format(item.path, ctx.options.at))
    return true
  end
  for i, element in ipairs(value) do
    if json.kind(element) == "object" then
      local record = json.record(element)
      if ctx.options.provenance then M.note(record, item, "json", i) end
      emit(record)
    else
      ctx.reject({ path = item.path, row = i }, "not_a_record", ("%s: element %d of '%s' is no object"):format(item.path, i,
        ctx.options.at))
    end
  end
  return true
end

return M
