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
--
-- How often each rule did something in the whole run is in the stage's manifest, facts.counts. By default
-- only what nobody misses goes: rules that take out whole lines or words (boilerplate, repeated_lines, pii,
-- case) are off until they are asked for.

local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local text = require "engine.text"

local LARGE = 1 << 20 -- texts from here on are collected as soon as they are done with

local M = {
  name = "clean",
  version = 2,
  kind = "map",
  summary = "Tidies text: encoding, invisible characters, blanks; on request boilerplate and personal data.",
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
    dehyphenate = { type = "string", default = "never", choices = { "pdf", "always", "never" },
      help = "join words cut at a line's end: in PDF documents (read has done it there), always or never" },
    mojibake = { type = "boolean", default = true, help = "repair UTF-8 that was read as Windows-1252 or Latin-1" },
    case = { type = "string", default = "keep", choices = { "keep", "lower" }, help = "make all letters small" },
    boilerplate = { type = "boolean|string|table", default = false,
      help = "remove lines with known phrases: true (ours), a file, or a list in small letters" },
    repeated_lines = { type = "integer", default = 0, min = 0,
      help = "of lines that are there more often, keep the first only (0: keep all)" },
    pii = { type = "boolean|string|table", default = false,
      help = "mask personal data: true (all), or kinds: email, phone, ip, card, iban, key, …" },
    masks = { type = "table", help = "what stands in its place, by kind, such as { email = \"<mail>\" }" },
  },
}

local RULES = { "line_ends", "control", "zero_width", "bidi", "ligatures", "nfc", "spaces", "trailing",
  "trim", "blank_lines", "mojibake", "repeated_lines" }

-- ---- personal data ----

-- The names of all kinds; those of a group: "key" is any key, token or private key.
local function kinds()
  local all, groups, on = {}, {}, false
  for _, name in ipairs(text.clean_rules()) do
    on = on or name == "email"
    if on then
      all[#all + 1] = name
      groups[name] = { name }
    end
  end
  groups.key = {}
  for _, name in ipairs(all) do
    if name:find "^key_" or name == "private_key" or name == "jwt" then table.insert(groups.key, name) end
  end
  return all, groups
end

-- The kinds that the option names: a list; nil, message when there is no such kind.
local function pii_kinds(wanted)
  local all, groups = kinds()
  if wanted == true then return all end
  local out, list = {}, wanted or {}
  if type(wanted) == "string" then
    list = {}
    for name in wanted:gmatch "[^,%s]+" do list[#list + 1] = name end
  end
  for _, name in ipairs(list) do
    if not groups[name] then
      return nil, "pii: " .. config.unknown("kind of personal data", tostring(name), config.names(groups))
    end
    for _, one in ipairs(groups[name]) do out[#out + 1] = one end
  end
  return out
end

local function mask_table(masks)
  local _, groups = kinds()
  local out = {}
  for _, name in ipairs(config.names(masks or {})) do -- "key" before "key_aws": the narrower one wins
    local mask = masks[name]
    if not groups[name] then
      return nil, "masks: " .. config.unknown("kind of personal data", name, config.names(groups))
    end
    if type(mask) ~= "string" or mask == "" or mask:find "[%s%c]" or #mask > 64 then
      return nil, ("masks: %s: a word of 1 to 64 bytes without blanks expected"):format(name)
    end
    for _, one in ipairs(groups[name]) do out[one] = mask end
  end
  for name, mask in pairs(out) do
    local cleaned, _, counts = text.clean(mask, { pii = (kinds()), masks = out })
    if cleaned ~= mask or next(counts) then
      return nil, ("masks: %s: '%s' would be masked or cleaned itself"):format(name, mask)
    end
  end
  return out
end

-- ---- boilerplate ----

-- The phrases of the option: a list, and what they are made from.
local function phrases_of(wanted, root)
  if type(wanted) == "table" then return wanted, "" end
  local name = wanted == true and "boilerplate" or wanted
  local candidates = {}
  if name:find("/", 1, true) or name:find "%.lua$" then
    candidates[1] = name:sub(1, 1) == "/" and name or (root or ".") .. "/" .. name
  else
    for _, folder in ipairs(require("lathe.template").search_path(root)) do
      candidates[#candidates + 1] = ("%s/clean/%s.lua"):format(folder, name)
    end
  end
  for _, path in ipairs(candidates) do
    if file.stat(path) then
      local source, message, code = file.read(path, 1 << 20)
      if not source then return nil, message, code end
      local chunk
      chunk, message = load(source, "@" .. path, "t", {})
      local fine, list = pcall(chunk or error, message)
      if not fine then return nil, tostring(list), "misuse" end
      if type(list) ~= "table" then return nil, path .. ": must return a list of phrases", "misuse" end
      return list, hash.sha256(source)
    end
  end
  return nil, ("boilerplate: there is no list '%s'"):format(name), "misuse"
end

local function compiled_phrases(wanted, root)
  local list, message, code = phrases_of(wanted, root)
  if not list then return nil, message, code end
  local fine, phrases, why, how = pcall(text.phrases, list, list.max_characters)
  if not fine then return nil, "boilerplate: " .. tostring(phrases):gsub("^.-%((.*)%)$", "%1"), "misuse" end
  return phrases, why, how
end

--- Checks what one option alone cannot say.
-- @param options table: the options
-- @return boolean: true
-- @error misuse: an unknown kind of personal data, a mask that would be masked itself
function M.check(options)
  local fine, message = pii_kinds(options.pii)
  if fine then fine, message = mask_table(options.masks) end
  if fine and type(options.boilerplate) == "table" then fine, message = compiled_phrases(options.boilerplate) end
  if not fine then return nil, message, "misuse" end
  return true
end

--- What the output depends on besides the options: the file of phrases.
function M.hashes(options, where)
  if not options.boilerplate then return {} end
  local list, digest, code = phrases_of(options.boilerplate, where.root)
  if not list then error({ code = code, message = "clean: " .. digest }, 0) end
  return { boilerplate = digest }
end

local prepared = setmetatable({}, { __mode = "k" }) -- by part: an edited list counts from the next part on

local function prepare(ctx)
  local options, rules = ctx.options, {}
  for _, name in ipairs(RULES) do rules[name] = options[name] end
  rules.lower = options.case == "lower"
  if options.pii then
    rules.pii = assert(pii_kinds(options.pii))
    rules.masks = assert(mask_table(options.masks))
  end
  if options.boilerplate then
    local message, code
    rules.boilerplate, message, code = compiled_phrases(options.boilerplate, ctx.root)
    if not rules.boilerplate then return nil, message, code end
  end
  prepared[ctx] = rules
  return rules
end

local function rules_for(ctx, metadata)
  local rules = prepared[ctx]
  if not rules then
    local message, code
    rules, message, code = prepare(ctx)
    if not rules then return nil, message, code end
  end
  local how = ctx.options.dehyphenate
  rules.dehyphenate = how == "always" or how == "pdf" and metadata ~= nil and metadata.type == "pdf"
  return rules
end

-- ---- records ----

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
-- @error cancelled, no_memory, misuse (a list of phrases that is not there)
function M.each(record, ctx, emit)
  local options = ctx.options
  local original, metadata = record[options.field], record.metadata
  if type(original) ~= "string" then
    ctx.reject(record, "no_text", ("the field '%s' holds no text"):format(options.field))
    return true
  end
  if json.kind(metadata) ~= "object" then metadata = nil end
  local rules, message, code = rules_for(ctx, metadata)
  if not rules then return nil, message, code end
  local cleaned, map, counts = text.clean(original, rules)
  if not cleaned then return nil, map, counts end
  for rule, n in pairs(counts) do ctx.count(rule, n) end
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
