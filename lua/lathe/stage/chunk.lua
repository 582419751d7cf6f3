-- SPDX-License-Identifier: MIT
-- chunk: cuts texts into overlapping pieces of bounded size. doc/chunking.md tells which way suits what.
--
-- A chunk is a span of its source: metadata.span = [start, end) in bytes of the document's canonical text
-- (of the record's text, where there is no document), and source[start:end] is the chunk, always. Only in
-- LangChain's modes, which put separators back that the text does not have there, a chunk may be no span;
-- then it has none.

local chunk = require "engine.chunk"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local langchain = require "lathe.langchain"
local named_tokenizer = require "lathe.named_tokenizer"
local text = require "engine.text"

local LARGE = 1 << 20 -- texts from here on are collected as soon as they are done with

-- Types of documents whose text is Markdown once it is read: their headings are looked for.
local MARKDOWN = { md = true, markdown = true, html = true, docx = true, odt = true, epub = true, pptx = true,
  ipynb = true, pdf = true }

local METHODS = { characters = "recursive", bytes = "recursive", recursive = "recursive", character = "character",
  tokens = "windows", token = "windows", sentence = "sentence", markdown = "markdown", code = "code", auto = "auto" }

local M = {
  name = "chunk",
  version = 2,
  kind = "map",
  summary = "Cuts texts into overlapping chunks: by separators, tokens, sentences, headings, or code.",
  options = {
    size = { type = "integer", min = 1,
      help = "units a chunk at most: 2000 characters or bytes, 512 tokens; mode js 1000, python 4000" },
    overlap = { type = "integer", min = 0, help = "units shared with the chunk before: 200, tokens 64" },
    by = { type = "string|function", default = "recursive",
      help = "recursive, character, tokens, sentence, markdown, code; auto (code for source code, markdown for "
        .. "documents with headings, else recursive); a function or the path of a Lua file that gives spans" },
    unit = { type = "string", choices = { "characters", "bytes", "tokens" },
      help = "what size and overlap count (characters; tokens for by = \"tokens\")" },
    mode = { type = "string", default = "native", choices = { "native", "js", "python" },
      help = "js, python: exactly as LangChain's packages cut, which may give chunks that are no spans" },
    tokenizer = named_tokenizer.option("for tokens", "tokenizer"),
    separators = { type = "table|string",
      help = "for recursive and character: where to cut, best first; in modes js and python also a language" },
    regex = { type = "boolean", default = false, help = "mode python: separators are regular expressions" },
    keep_separator = { type = "boolean|string", choices = { true, false, "start", "end" },
      help = "begins the next chunk (true, start), ends the one before (end) or is left out; recursive keeps" },
    strip = { type = "boolean", default = true, help = "white space at both ends of a chunk is left out" },
    language = { type = "string", help = "for code: the programming language, for sentence the language (en, de …); else as metadata says" },
    levels = { type = "integer", default = 6, min = 0, max = 6,
      help = "for markdown: headings up to this level begin a chunk" },
    headings = { type = "boolean",
      help = "metadata.headings: the path of headings above a chunk; by default for texts that are Markdown" },
    field = { type = "string", default = "text", help = "the field to cut" },
  },
  positional = { "size", "overlap" },
}

local function is_file(by) return type(by) == "string" and not METHODS[by] and by:find "%.lua$" ~= nil end
local function is_users(by) return type(by) == "function" or is_file(by) end

local function unit_of(options)
  if options.unit then return options.unit end
  local by = options.by
  return (by == "tokens" or by == "token") and "tokens" or by == "bytes" and "bytes" or "characters"
end

local function counts_tokens(options) return unit_of(options) == "tokens" and not is_users(options.by) end

--- Which artifacts the options need.
function M.uses(options)
  return counts_tokens(options) and named_tokenizer.uses(options.tokenizer or "tokenizer") or {}
end

--- What the chunks depend on besides the options: the tokenizer's file, where it is a path; the user's file.
function M.hashes(options, where)
  local hashes = counts_tokens(options) and named_tokenizer.hashes(options.tokenizer) or {}
  if is_file(options.by) then
    local path = options.by
    if path:sub(1, 1) ~= "/" then path = (where and where.root or ".") .. "/" .. path end
    if not file.stat(path) then error({ code = "not_found", message = options.by .. ": no such file" }, 0) end
    hashes.by = assert(file.sha256(path))
  end
  return hashes
end

-- Size and overlap, with their defaults.
local function sizes_of(options)
  local size = options.size or unit_of(options) == "tokens" and 512
    or ({ native = 2000, js = 1000, python = 4000 })[options.mode or "native"]
  local usual = unit_of(options) == "tokens" and 64 or 200
  local overlap = options.overlap or (options.mode or "native") ~= "native" and math.min(usual, size - 1)
    or math.min(usual, size // 10)
  return size, overlap
end

-- What engine.chunk is asked for. LangChain's splitters for Markdown take their list as plain strings.
local function chunker_options(options, method)
  local size, overlap = sizes_of(options)
  local o = { method = method, mode = options.mode, unit = unit_of(options), size = size, overlap = overlap,
    separators = options.separators, regex = options.regex, keep_separator = options.keep_separator,
    strip = options.strip, levels = options.levels, language = options.language }
  if method == "windows" then o.strip = nil end
  if (o.mode or "native") == "native" then
    if type(o.separators) == "string" then
      return nil, "separators: in the native mode a list is expected; for source code say by = \"code\"", "misuse"
    end
    return o
  end
  local language = o.separators
  if method == "markdown" then language = "markdown" end
  if method == "code" then language = options.language or "" end
  if type(language) == "string" then
    local list, regex, code = langchain.separators(o.mode, language)
    if not list then return nil, regex, code end
    o.separators, o.regex, o.method = list, regex and method ~= "markdown", "recursive"
  end
  return o
end

local function new_chunker(options, method, tokenizer)
  local o, message, code = chunker_options(options, method)
  if not o then return nil, message, code end
  if o.unit == "tokens" then
    o.tokenizer = tokenizer
    if not tokenizer and o.mode ~= "native" then o.unit = nil end -- checking the options only
  end
  return chunk.new(o)
end

--- Checks what one option alone cannot say.
-- @param options table: the options
-- @return boolean: true
-- @error misuse
function M.check(options)
  local by = options.by or "recursive"
  if is_users(by) then return true end
  local method = METHODS[by]
  if not method then
    return nil, require("lathe.config").unknown("way to cut", by, require("lathe.config").names(METHODS))
      .. "; the path of a user's file ends in .lua", "misuse"
  end
  if method == "windows" and options.mode and options.mode ~= "native" then
    return nil, "by tokens: the modes js and python are for recursive, character and markdown", "misuse"
  end
  for _, one in ipairs(method == "auto" and { "recursive", "markdown", "code" } or { method }) do
    local fine, result, message, code = pcall(new_chunker, options, one)
    if not fine then return nil, (tostring(result):gsub("^.-%((.*)%)$", "%1")), "misuse" end
    if not result then return nil, message, code end
  end
  return true
end

-- ---- the user's own way ----

local function load_users(options, ctx)
  if type(options.by) == "function" then return options.by end
  local path = options.by
  if path:sub(1, 1) ~= "/" then path = (ctx.root or ".") .. "/" .. path end
  local source, message, code = file.read(path, 1 << 24)
  if not source then return nil, message, code end
  local loaded
  loaded, message = load(source, "@" .. path, "t")
  if not loaded then return nil, message, "misuse" end
  local fine, result = pcall(loaded)
  if not fine then return nil, tostring(result), "misuse" end
  if type(result) == "table" then result = result.chunk end
  if type(result) ~= "function" then
    return nil, options.by .. ": must return a function (text, options, record) that gives spans", "misuse"
  end
  return result
end

local function inside_character(s, at)
  local byte = s:byte(at + 1)
  return byte and byte >= 0x80 and byte < 0xC0
end

-- One span that the user's function gave: what is wrong with it, or nil.
local function wrong_span(s, start, stop, before)
  if math.type(start) ~= "integer" or math.type(stop) ~= "integer" then
    return "two offsets expected, as whole numbers"
  elseif start < 0 or stop > #s then
    return ("outside the text of %d bytes"):format(#s)
  elseif start >= stop then
    return "empty"
  elseif start < before then
    return ("begins before the one before it (%d)"):format(before)
  elseif inside_character(s, start) or inside_character(s, stop) then
    return "a border lies inside a character"
  end
end

-- { { start, end } … } or { start, end, start, end … }, checked, as the latter.
local function checked_spans(s, given)
  if type(given) ~= "table" then return nil, ("a list of spans expected, got %s"):format(type(given)), "misuse" end
  local flat, before = {}, 0
  local pairs_given = type(given[1]) == "table"
  for i = 1, pairs_given and #given or (#given + 1) // 2 do
    local start, stop
    if pairs_given then
      local span = type(given[i]) == "table" and given[i] or {}
      start, stop = span[1] or span.start, span[2] or span.stop
    else
      start, stop = given[2 * i - 1], given[2 * i]
    end
    local wrong = wrong_span(s, start, stop, before)
    if wrong then
      return nil, ("span %d, [%s, %s): %s"):format(i, tostring(start), tostring(stop), wrong), "misuse"
    end
    before = start
    flat[2 * i - 1], flat[2 * i] = start, stop
  end
  return flat, {}
end

local function users_spans(s, record, _, ctx)
  local cache = ctx.cache
  if not cache.chunk then
    local message, code
    cache.chunk, message, code = load_users(ctx.options, ctx)
    if not cache.chunk then return nil, message, code end
  end
  local given, message, code = cache.chunk(s, ctx.options, record)
  if given == nil and message then return nil, message, code or "failed" end
  return checked_spans(s, given)
end

-- ---- ours ----

local function method_for(options, metadata)
  local method = METHODS[options.by]
  if method ~= "auto" then return method end
  if metadata.programming_language or options.language then return "code" end
  return MARKDOWN[metadata.type] and "markdown" or "recursive"
end

local function our_spans(s, _, metadata, ctx)
  local options, cache = ctx.options, ctx.cache
  local method = method_for(options, metadata)
  cache.chunkers = cache.chunkers or {}
  local chunker = cache.chunkers[method]
  if not chunker then
    local tokenizer, message, code
    if counts_tokens(options) then
      tokenizer, message, code = named_tokenizer.load(ctx, options.tokenizer)
      if not tokenizer then return nil, message, code end
    end
    chunker, message, code = new_chunker(options, method, tokenizer)
    if not chunker then return nil, message, code end
    cache.chunkers[method] = chunker
  end
  local language
  if method == "code" then
    language = options.language or metadata.programming_language
  elseif method == "sentence" then
    language = options.language or metadata.language
  end
  return chunker(s, type(language) == "string" and language or nil)
end

-- ---- records ----

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

local function heading_paths(s, cuts, options, metadata)
  local wanted = options.headings
  if wanted == nil then
    wanted = options.by == "markdown" or MARKDOWN[metadata.type] and not metadata.programming_language
  end
  return wanted and chunk.headings(s, cuts) or nil
end

--- Cuts one record into chunks.
-- @param record record: its field `text` (or options.field) is cut; other fields are copied to each chunk
-- @param ctx table: the stage's context
-- @param emit function: called with each chunk
-- @return boolean: true
-- @error misuse (overlap not smaller than size, a user's span), not_found (the tokenizer), cancelled, no_memory
function M.each(record, ctx, emit)
  local options = ctx.options
  local field = options.field
  local s = record[field]
  if type(s) ~= "string" then
    ctx.reject(record, "no_text", ("the field '%s' holds no text"):format(field))
    return true
  end
  ctx.cache = ctx.cache or {}
  local out = json.table(record)
  if json.kind(out.metadata) ~= "object" then out.metadata = {} end
  local metadata = out.metadata
  local find = is_users(options.by) and users_spans or our_spans
  local cuts, texts, code = find(s, record, metadata, ctx)
  if not cuts then return nil, texts, code end
  if #cuts == 0 then
    ctx.reject(record, "empty", "the text holds nothing but white space")
    return true
  end
  local owner = out.id and tostring(out.id)
  local base, pages = metadata.span and metadata.span[1] or 0, metadata.pages
  local headings = heading_paths(s, cuts, options, metadata)
  metadata.pages, metadata.notes = nil, nil
  for i = 1, #cuts, 2 do
    local start, stop, number = base + cuts[i], base + cuts[i + 1], (i + 1) // 2
    out[field] = texts[number] or s:sub(cuts[i] + 1, cuts[i + 1])
    out.id = chunk_id(metadata, owner, start, stop, out[field])
    if pages then metadata.page = page_at(pages, start) end
    if headings then metadata.headings = headings[number] and json.array(headings[number]) or nil end
    metadata.span = not texts[number] and json.array { start, stop } or nil
    metadata.chunk = i // 2
    emit(out)
  end
  if #s > LARGE then text.release() end
  return true
end

return M
