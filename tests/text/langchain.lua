-- SPDX-License-Identifier: MIT
-- One case of tests/reference/chunk_compare.py: whether the mode python gives the same chunks.

local chunk = require "engine.chunk"
local json = require "engine.json"
local langchain = require "lathe.langchain"

local function list_of(v) return v and v ~= json.null and { table.unpack(v) } or nil end

local function options_of(case)
  local p = case.params
  local o = { mode = "python", unit = case.unit, size = p.chunk_size, overlap = p.chunk_overlap,
    keep_separator = p.keep_separator, strip = p.strip_whitespace, regex = p.is_separator_regex }
  if case.class == "character" then
    o.method, o.separators = "character", { p.separator }
  elseif case.class == "recursive" then
    o.separators = list_of(p.separators) or { "\n\n", "\n", " ", "" }
  else
    local name = case.class == "language" and case.language or case.class
    o.separators = assert(langchain.separators("python", name))
    o.regex = case.class == "language"
  end
  return o
end

--- @return boolean; and what is different
return function(case)
  local chunker, message = chunk.new(options_of(case))
  if not chunker then return false, message end
  local spans, texts = chunker(case.text)
  if not spans then return false, texts end
  if #spans // 2 ~= #case.chunks then return false, ("%d chunks, not %d"):format(#spans // 2, #case.chunks) end
  for i, want in ipairs(case.chunks) do
    local got = texts[i] or case.text:sub(spans[2 * i - 1] + 1, spans[2 * i])
    if got ~= want then return false, ("chunk %d is %q, not %q"):format(i, got, want) end
  end
  return true
end
