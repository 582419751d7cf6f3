-- SPDX-License-Identifier: MIT
-- Documents (pdf, docx, odt, pptx, epub, ipynb, html, md, txt) as records: their text comes out of the
-- isolated program lathe-extract, cut into segments.

local file = require "engine.file"
local hash = require "engine.hash"

local M = {}

--- This Lua state's lathe-extract, started when it is first needed.
-- @param ctx table: the stage's context
-- @return extractor
-- @error not_found
function M.extractor_of(ctx)
  local cache = ctx.cache or M
  if not cache.extractor then
    local x, message, code = require("engine.extract").open()
    if not x then return nil, message, code end
    cache.extractor = x
  end
  return cache.extractor
end

--- Ends this Lua state's lathe-extract (it also ends with the state).
function M.close()
  if M.extractor then M.extractor:close() end
  M.extractor = nil
end

-- An isolation that the kernel cannot give is said once.
local function note_isolation(x, ctx)
  local info = x:info()
  if not info or ctx.cache and ctx.cache.isolation_noted then return end
  if ctx.cache then ctx.cache.isolation_noted = true end
  if info.landlock == 0 then
    ctx.log("warn", "this kernel has no Landlock: documents are read with seccomp and limits only")
  end
end

local function segment_record(item, facts, segment, number)
  local title = facts.title
  return {
    id = hash.sha256(facts.sha256 .. "\0" .. item.path .. "\0" .. number):sub(1, 16),
    text = segment.text,
    source = "read",
    metadata = {
      document = facts.sha256,
      path = item.path,
      type = facts.type,
      title = title,
      encoding = facts.encoding,
      author = facts.author,
      language = facts.language,
      license = item.license,
      segment = number,
      span = { segment.start, segment.stop },
      pages = segment.pages,
      notes = segment.notes,
    },
  }
end

--- Reads a document.
-- One that cannot be read costs one rejected record, whatever happens to the extractor.
-- @param item table: { path, file }; type forces how it is read
-- @param ctx table: the stage's context
-- @param emit function: called with each record
-- @return boolean: true; or nil, "archive", where it turns out to be one
-- @error not_found: the file has gone; cancelled
function M.read(item, ctx, emit)
  local x, problem, kind = M.extractor_of(ctx)
  if not x then return nil, problem, kind end
  local o = ctx.options
  local begun, message, code, reason = x:begin(item.file, { type = item.type, name = item.path,
    segment = o.segment, text_max = o.text_max, unpacked_max = o.unpacked_max,
    cpu_seconds = o.cpu_seconds, page_seconds = o.page_seconds, idle_seconds = o.idle_seconds })
  local number, segment = 0, nil
  while begun do
    segment, message, code, reason = x:next()
    if not segment then break end
    if number == 0 then note_isolation(x, ctx) end
    emit(segment_record(item, x:facts(), segment, number))
    number = number + 1
  end
  if begun and segment == false then return true end
  if code == "cancelled" then return nil, message, code end
  if reason == "archive" then return nil, "archive" end
  if code == "mismatch" or not begun and code == "not_found" and not file.stat(item.file) then
    return nil, message, code
  end
  if number > 0 then message = ("%s; its first %d segments were kept"):format(message, number) end
  ctx.reject(item, reason, message)
  return true
end

return M
