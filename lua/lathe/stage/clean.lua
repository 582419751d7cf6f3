-- SPDX-License-Identifier: MIT
-- clean: tidies the text of documents, and remembers where each byte came from.
--
-- Where a record names its document, metadata.span becomes the place of this segment in the document's
-- canonical text: its segments after clean, put end to end. metadata.pages is moved along. Beside each
-- part lies part-N.map.jsonl, one line per record:
--
--   { "id", "document", "path", "span": [in the canonical text], "extracted": [in the extracted text],
--     "runs": [[out, in, length], …] }          offsets of the runs count from both spans' beginnings
--
-- so that `lathe explain` can lead a span back to the bytes that were extracted.

local json = require "engine.json"
local text = require "engine.text"

local LARGE = 1 << 20 -- texts from here on are collected as soon as they are done with

local M = {
  name = "clean",
  version = 1,
  kind = "map",
  summary = "Tidies text: line ends, invisible characters, Unicode form, blanks, cut words.",
  options = {
    field = { type = "string", default = "text", help = "the field to clean" },
    line_ends = { type = "boolean", default = true, help = "CR LF and other line ends become LF" },
    control = { type = "boolean", default = true, help = "remove control characters" },
    zero_width = { type = "boolean", default = true, help = "remove zero-width spaces and soft hyphens" },
    bidi = { type = "boolean", default = false, help = "remove direction marks" },
    ligatures = { type = "boolean", default = true, help = "the signs for ff, fi, fl … become letters" },
    nfc = { type = "boolean", default = true, help = "compose letters and accents (Unicode form C)" },
    spaces = { type = "boolean", default = true,
      help = "runs of blanks inside a line, and odd blanks, become one plain space" },
    trailing = { type = "boolean", default = true, help = "remove blanks at the ends of lines" },
    trim = { type = "boolean", default = true, help = "remove blank lines at the start, blanks at the end" },
    blank_lines = { type = "integer", default = 2, min = -1, help = "at most so many in a row (-1: any)" },
    dehyphenate = { type = "string", default = "pdf", choices = { "pdf", "always", "never" },
      help = "join words cut at a line's end: in PDF documents, always or never" },
  },
}

local RULES = { "line_ends", "control", "zero_width", "bidi", "ligatures", "nfc", "spaces", "trailing",
  "trim", "blank_lines" }

local function rules_for(options, metadata)
  local rules = {}
  for _, name in ipairs(RULES) do rules[name] = options[name] end
  rules.dehyphenate = options.dehyphenate == "always"
    or options.dehyphenate == "pdf" and metadata ~= nil and metadata.type == "pdf"
  return rules
end

-- Page numbers with the offsets at which they begin, led through the map: { { page, offset } … }.
local function move_pages(pages, map, extracted, base)
  local out = {}
  for i, entry in ipairs(pages) do
    out[i] = { entry[1], base + map:output(math.max(entry[2] - extracted, 0)) }
  end
  return json.array(out)
end

-- Sets the record's place in the canonical text; returns the line for the map file.
local function place(record, metadata, cleaned, original, map, ctx)
  local base = (metadata.segment or 0) > 0 and ctx.base(record) or 0
  local extracted = metadata.span and metadata.span[1] or 0
  local span = { base, base + #cleaned }
  if metadata.pages then metadata.pages = move_pages(metadata.pages, map, extracted, base) end
  metadata.span = json.array(span)
  return ('{"id":%s,"document":%s,"path":%s,"span":[%d,%d],"extracted":[%d,%d],"runs":%s}'):format(
    json.encode(record.id), json.encode(metadata.document), json.encode(metadata.path), span[1], span[2],
    extracted, extracted + #original, map:encode())
end

--- Cleans one record.
-- @param record record: its field `text` (or options.field) is cleaned
-- @param ctx table: the stage's context
-- @param emit function: called with the record
-- @return boolean: true
-- @error cancelled, no_memory
function M.each(record, ctx, emit)
  local options = ctx.options
  local original, metadata = record[options.field], record.metadata
  if type(original) ~= "string" then
    ctx.reject(record, "no_text", ("the field '%s' holds no text"):format(options.field))
    return true
  end
  if json.kind(metadata) ~= "object" then metadata = nil end
  local cleaned, map, code = text.clean(original, rules_for(options, metadata))
  if not cleaned then return nil, map, code end
  if not cleaned:find "%S" then
    ctx.reject(record, "empty", "nothing is left after cleaning")
    return true
  end
  if metadata and metadata.document then
    ctx.side("map", place(record, metadata, cleaned, original, map, ctx))
  end
  record[options.field] = cleaned
  local large = #original > LARGE
  original, cleaned, map = nil, nil, nil -- luacheck: ignore 311
  if large then text.release() end
  emit(record)
  if large then text.release() end
  return true
end

return M
