-- SPDX-License-Identifier: MIT
-- chunk: cuts texts into overlapping pieces of bounded size.
--
-- A chunk is a span of its source: metadata.span = [start, end) in bytes of the document's canonical text
-- (of the record's text, where there is no document), and source[start:end] is the chunk, always. By
-- characters as LangChain's RecursiveCharacterTextSplitter cuts; by tokens in windows of a tokenizer.

local hash = require "engine.hash"
local json = require "engine.json"
local named_tokenizer = require "lathe.named_tokenizer"
local text = require "engine.text"

local LARGE = 1 << 20 -- texts from here on are collected as soon as they are done with

local M = {
  name = "chunk",
  version = 1,
  kind = "map",
  summary = "Cuts texts into overlapping chunks, by characters or by tokens.",
  options = {
    size = { type = "integer", min = 1, help = "characters (2000) or tokens (512) a chunk at most" },
    overlap = { type = "integer", min = 0,
      help = "characters (200) or tokens (64) shared with the chunk before" },
    by = { type = "string", default = "characters", choices = { "characters", "tokens" },
      help = "what size and overlap count" },
    tokenizer = named_tokenizer.option("for tokens", "tokenizer"),
    separators = { type = "table|string",
      help = "for characters: where to cut, best first; or a language: markdown, python, lua …" },
    field = { type = "string", default = "text", help = "the field to cut" },
  },
  positional = { "size", "overlap" },
}

--- Which artifacts the options need.
function M.uses(options)
  if options.by ~= "tokens" then return {} end
  return named_tokenizer.uses(options.tokenizer or "tokenizer")
end

-- Size and overlap, with their defaults.
local function sizes_of(options)
  local tokens = options.by == "tokens"
  local size = options.size or (tokens and 512 or 2000)
  local overlap = options.overlap or math.min(tokens and 64 or 200, size // 10)
  if overlap >= size then
    return nil, ("the overlap (%d) must be smaller than the size (%d)"):format(overlap, size), "misuse"
  end
  return { size = size, overlap = overlap }
end

--- What the chunks depend on besides the options: the tokenizer's file, where it is a path.
function M.hashes(options)
  return options.by == "tokens" and named_tokenizer.hashes(options.tokenizer) or {}
end

--- Checks what one option alone cannot say.
-- @param options table: the options
-- @return boolean: true
-- @error misuse
function M.check(options)
  local fine, message, code = sizes_of(options)
  if not fine then return nil, message, code end
  if options.by == "characters" then
    fine, message = pcall(text.chunk_characters, "", { separators = options.separators })
    if not fine then return nil, (message:gsub("^.-%((.*)%)$", "%1")), "misuse" end
  end
  return true
end

local function spans(s, ctx)
  local sizes, message, code = sizes_of(ctx.options)
  if not sizes then return nil, message, code end
  if ctx.options.by == "tokens" then
    local tok
    tok, message, code = named_tokenizer.load(ctx, ctx.options.tokenizer)
    if not tok then return nil, message, code end
    return text.chunk_tokens(s, tok, sizes)
  end
  sizes.separators = ctx.options.separators
  return text.chunk_characters(s, sizes)
end

-- The page on which byte `at` of the canonical text lies; pages is { { page, offset } … }.
local function page_at(pages, at)
  local page
  for _, entry in ipairs(pages) do
    if entry[2] > at then break end
    page = entry[1]
  end
  return page
end

local function chunk_id(metadata, owner, start, stop, content)
  local origin = ("%s\0%s\0%d\0%d\0"):format(metadata.document or owner or "", metadata.path or "", start, stop)
  return hash.sha256(origin .. content):sub(1, 32)
end

--- Cuts one record into chunks.
-- @param record record: its field `text` (or options.field) is cut; other fields are copied to each chunk
-- @param ctx table: the stage's context
-- @param emit function: called with each chunk
-- @return boolean: true
-- @error misuse (overlap not smaller than size), not_found (the tokenizer), cancelled, no_memory
function M.each(record, ctx, emit)
  local field = ctx.options.field
  local s = record[field]
  if type(s) ~= "string" then
    ctx.reject(record, "no_text", ("the field '%s' holds no text"):format(field))
    return true
  end
  local cuts, message, code = spans(s, ctx)
  if not cuts then return nil, message, code end
  if #cuts == 0 then
    ctx.reject(record, "empty", "the text holds nothing but white space")
    return true
  end
  local chunk = json.table(record)
  local owner = chunk.id and tostring(chunk.id)
  if json.kind(chunk.metadata) ~= "object" then chunk.metadata = {} end
  local metadata = chunk.metadata
  local base, pages = metadata.span and metadata.span[1] or 0, metadata.pages
  metadata.pages, metadata.notes = nil, nil
  for i = 1, #cuts, 2 do
    local start, stop = base + cuts[i], base + cuts[i + 1]
    chunk[field] = s:sub(cuts[i] + 1, cuts[i + 1])
    chunk.id = chunk_id(metadata, owner, start, stop, chunk[field])
    if pages then metadata.page = page_at(pages, start) end
    metadata.span = json.array { start, stop }
    metadata.chunk = i // 2
    emit(chunk)
  end
  if #s > LARGE then text.release() end
  return true
end

return M
