-- SPDX-License-Identifier: MIT
-- What kind of file is this? Its first bytes decide; where they are text, its name, and what the text is.
--
--   document   pdf, docx, odt, pptx, epub, ipynb, html, md, txt: lathe-extract looks again, and closer
--   code       a programming language, by name, extension or "#!" line
--   jsonl      a JSON object on each line          json   an array, one object, or several, over many lines
--   csv tsv parquet                                archive   ZIP, TAR, and what is compressed
--
-- JSON is told from JSONL by what stands in it, whatever the name: a first line that is a whole object makes
-- it JSONL. What is none of these has no kind but a reason: empty, binary, unsupported, unknown_kind.

local file = require "engine.file"
local json = require "engine.json"
local languages = require "lathe.languages"
local text = require "engine.text"
local values = require "engine.values"

local M = {}

local HEAD, LONG_HEAD = 16 << 10, 1 << 20

local DOCUMENT = { txt = "txt", text = "txt", log = "txt", rst = "txt", adoc = "txt", asciidoc = "txt", org = "txt",
  md = "md", markdown = "md", mdown = "md", mkd = "md", html = "html", htm = "html", xhtml = "html", pdf = "pdf",
  docx = "docx", docm = "docx", odt = "odt", ott = "odt", fodt = "odt", pptx = "pptx", pptm = "pptx", ppsx = "pptx",
  epub = "epub", ipynb = "ipynb" }
local DATA = { json = "json", jsonl = "jsonl", ndjson = "jsonl", geojson = "json", csv = "csv", tsv = "tsv", tab = "tsv" }

-- First bytes of what is not text.
local MAGIC = {
  { "%PDF-", "document" }, { "PAR1", "parquet" }, { "\x1f\x8b", "gzip" }, { "\x28\xb5\x2f\xfd", "zstd" },
  { "\xfd7zXZ\0", "archive" }, { "BZh", "archive" }, { "PK\3\4", "zip" }, { "PK\5\6", "zip" },
  { "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", false, "an old Office file (or an encrypted one): save it as DOCX or PPTX" },
  { "{\\rtf", false, "an RTF file: save it as DOCX or ODT" }, { "7z\xbc\xaf\x27\x1c", false, "a 7z archive" },
  { "Rar!", false, "a RAR archive" }, { "SQLite format 3\0", false, "an SQLite database" },
  { "ARROW1", false, "an Arrow file: save it as Parquet" }, { "%!PS", false, "a PostScript file" },
  { "\x89PNG", nil, "a PNG image" }, { "\xff\xd8\xff", nil, "a JPEG image" }, { "GIF8", nil, "a GIF image" },
  { "RIFF", nil, "a picture or sound" }, { "\x7fELF", nil, "a program" }, { "MZ", nil, "a program" },
  { "\xca\xfe\xba\xbe", nil, "a Java class or a program" }, { "OggS", nil, "a sound" }, { "ID3", nil, "a sound" },
  { "\0asm", nil, "a WebAssembly module" }, { "GGUF", nil, "a model (GGUF)" }, { "\x93NUMPY", nil, "a NumPy array" },
}

local function extension_of(name)
  local extension = name:lower():match "[^.]%.([%w+_]+)$"
  return extension and #extension <= 12 and not extension:find "^%d%d" and extension or nil
end

-- A path as it would be called unpacked: "a.jsonl.gz" → "a.jsonl".
local function unpacked_name(path)
  return (path:gsub("%.[gG][zZ]$", ""):gsub("%.[zZ][sS][tT][dD]?$", ""))
end

local function head_of(path, size, limit)
  local bytes, message, code = file.read_range(path, 0, math.min(size, limit))
  if not bytes then return nil, message, code end
  return bytes
end

-- The first bytes inside a gzip or zstd file.
local function unpacked_head(path, limit)
  local s <close> = file.stream(path)
  return s and s:read(limit)
end

local function is_tar(head) return head:sub(258, 262) == "ustar" end

-- A text without byte order mark and blanks at its beginning.
local function begin_of(head)
  local from = head:sub(1, 3) == "\xef\xbb\xbf" and 4 or 1
  local first = head:find("%S", from)
  return first and head:sub(first) or ""
end

-- ---- JSON or JSONL ----

local function is_json(s)
  return json.decode(s) ~= nil
end

local function objects_among_lines(head)
  local seen = 0
  for line in head:gmatch "[^\r\n]+" do
    seen = seen + 1
    if line:match "^%s*{" and is_json(line) then return true end
    if seen >= 50 then break end
  end
  return false
end

--- Tells JSON from JSONL.
-- @param head string: the beginning of a text
-- @param whole boolean: whether that is all of it
-- @param named string|nil: "json" or "jsonl", what the name says: decides only where the text cannot
-- @return string|nil: "json" or "jsonl"; nil when it is neither and nothing is named
-- @example require("lathe.read.kinds").json_form('{"a": 1}\n{"a": 2}\n', true) --> jsonl
function M.json_form(head, whole, named)
  head = begin_of(head)
  local line, behind = head:match "^([^\r\n]*)[\r\n]+%s*(.-)$"
  local line_ends = line ~= nil or whole
  line = line or head
  local first = head:sub(1, 1)
  if first == "[" then
    if named == "jsonl" and line_ends and behind and behind:sub(1, 1) == "[" and is_json(line) then return "jsonl" end
    if named then return "json" end
    local value = values.of(head):next()
    return (value and is_json(value) or head:match "^%[%s*%]%s*$") and "json" or nil
  end
  if first ~= "{" then return named and (objects_among_lines(head) and "jsonl" or named) end
  if line_ends and is_json(line) then return "jsonl" end
  local value = values.of(head):next()
  if value and is_json(value) then return "json" end
  if objects_among_lines(head) then return "jsonl" end
  return named
end

-- ---- text ----

-- Text, or what has zero bytes and is no UTF-16: the encoding's name, or nil.
local function encoding_of(head)
  if not head:find("\0", 1, true) then
    local first = head:sub(1, 1024)
    local controls = select(2, first:gsub("[\1-\8\14-\26\28-\31]", ""))
    if controls > 8 + #first // 20 then return nil end
    return "bytes"
  end
  local found = text.detect(head)
  if found and found.name:find "^UTF%-?16" or found and found.name:find "^UTF%-?32" then return found.name end
end

local function json_kind(item, head, whole, named)
  if not whole and #head < LONG_HEAD and not begin_of(head):find "[\r\n]" then
    head = item.inside and unpacked_head(item.file, LONG_HEAD) or file.read_range(item.file, 0, math.min(item.bytes, LONG_HEAD)) or head
    whole = not item.inside and #head == item.bytes
  end
  return M.json_form(head, whole, named)
end

local function text_kind(item, head, name, whole)
  local extension = extension_of(name)
  local data = DATA[extension or ""]
  if data == "json" or data == "jsonl" then return json_kind(item, head, whole, data) end
  if data then return data end
  if DOCUMENT[extension or ""] then return "document" end
  local start = begin_of(head:sub(1, 1024)):lower()
  if start:find "^<!doctype html" or start:find "^<html" then return "document" end
  local language = languages.find(name, head)
  if language then return "code", language.name end
  local first = head:match "^[\xef\xbb\xbf]*%s*([{%[])"
  local form = first and json_kind(item, head, whole, nil)
  if form then return form end
  if not extension or name == "-" then return "document", "txt" end
  return nil, "unknown_kind", ("'.%s' is no kind of file that is known; name it by a pattern to read it as text"):format(extension)
end

-- A ZIP is a document when its name says so or it holds one.
local function zip_kind(name, head)
  local named = DOCUMENT[extension_of(name) or ""]
  if named then return "document" end
  if head:find("[Content_Types].xml", 1, true) or head:find("_rels/.rels", 1, true) or head:sub(31, 38) == "mimetype" then
    if head:find("xl/", 1, true) or extension_of(name) == "xlsx" then return nil, "unsupported", "an Excel file: save it as CSV" end
    return "document"
  end
  return "archive"
end

local function compressed_kind(item, name)
  local inside = unpacked_head(item.file, HEAD)
  if not inside then return "archive" end -- damaged: the reader says how
  if is_tar(inside) then return "archive" end
  item.inside = true
  if not encoding_of(inside) then return "archive" end
  local kind, detail = text_kind(item, inside, unpacked_name(name), false)
  item.inside = nil
  if kind == "jsonl" or kind == "json" or kind == "csv" or kind == "tsv" then return kind, detail end
  return "archive"
end

local function by_magic(item, head, name)
  for _, row in ipairs(MAGIC) do
    if head:sub(1, #row[1]) == row[1] then
      local kind = row[2]
      if kind == "gzip" or kind == "zstd" then return true, compressed_kind(item, name) end
      if kind == "zip" then return true, zip_kind(name, head) end
      if kind then return true, kind end
      if kind == false then return true, nil, "unsupported", row[3] end
      if head:find("[%z\1-\8]", #row[1] + 1) then return true, nil, "binary", row[3] end
    end
  end
  if is_tar(head) then return true, "archive" end
  if head:sub(1, 1024):find("%PDF-", 1, true) then return true, "document" end
end

--- What kind of file it is.
-- @param item table: { file = path to open, path = what it is called, bytes, whole = found in a folder: then
--   text with an unknown extension is left out }
-- @return string|nil: the kind (see above); and for code the language, for a document how to read it when the
--   name does not tell
-- @return string: without a kind the reason: empty, binary, unsupported, unknown_kind; and a message
-- @error io, not_found: raises { message, code }
function M.sniff(item)
  local info = item.bytes or file.stat(item.file)
  if not info then error({ message = item.file .. ": No such file or directory", code = "not_found" }, 0) end
  item.bytes = item.bytes or info.size
  if item.bytes == 0 then return nil, "empty", "the file is empty" end
  local head, message, code = head_of(item.file, item.bytes, HEAD)
  if not head then error({ message = message, code = code }, 0) end
  local name = item.path == "-" and "-" or item.path:match "[^/]*$"
  local known, kind, reason, detail = by_magic(item, head, name)
  if known then return kind, reason, detail end
  local encoding = encoding_of(head)
  if not encoding then
    local extension = extension_of(name) or ""
    if DOCUMENT[extension] then return "document" end -- which will say what is wrong with it
    if DATA[extension] then return DATA[extension] end
    return nil, "binary", "not text, and no format that is known"
  end
  if encoding ~= "bytes" then
    item.encoding = encoding
    head = text.to_utf8(head) or head
  end
  kind, reason, detail = text_kind(item, head, name, #head >= item.bytes and encoding == "bytes")
  if reason == "unknown_kind" and not item.whole then return "document", "txt" end
  return kind, reason, detail
end

--- What metadata.type will be, as far as the name tells: for choosing kinds.
-- @param kind string|nil: from sniff
-- @param path string: the file's name
-- @return string|nil
function M.named(kind, path)
  if kind ~= "document" then return kind end
  return DOCUMENT[extension_of(path) or ""] or "txt"
end

--- The extension's kind of document when there is one, else "txt": to force what a person asked for.
M.documents = { "txt", "md", "html", "docx", "pdf", "odt", "pptx", "epub", "ipynb" }

return M
