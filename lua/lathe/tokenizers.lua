-- SPDX-License-Identifier: MIT
-- A tokenizer from whatever people have: a folder, tokenizer.json, tokenizer.model (of SentencePiece or of
-- tiktoken: the bytes tell), ranks.tiktoken, model.gguf. Everything becomes a tokenizer.json on the way, so
-- what was read can be saved as one. Also here, for the prompt: parse and train of engine.tokenizer.

local cache = require "lathe.tokenizer_cache"
local config = require "lathe.config"
local file = require "engine.file"
local files = require "engine.tokenizer_files"
local gguf_tokenizer = require "lathe.gguf_tokenizer"
local hf = require "lathe.hf"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local M = {}

local LIMIT = 1 << 30
local HEAD = 8192 -- bytes that tell the kind

-- What a folder may hold, in order of preference.
local NAMES = { "tokenizer.json", "tokenizer.model", "qwen.tiktoken" }

local OPTIONS = {
  encoding = { type = "string", help = "of a rank file: cl100k_base, llama3 … (default: told by the ranks)" },
  pattern = { type = "string", help = "of a rank file: a regular expression, in place of the encoding's" },
  special = { type = "table", help = "of a rank file: { content = id }, in place of the encoding's" },
}

-- The tokenizer's file in a folder: one of NAMES, else the only .tiktoken or .gguf.
local function file_in(folder)
  for _, name in ipairs(NAMES) do
    if file.stat(folder .. "/" .. name) then return folder .. "/" .. name end
  end
  local entries, message, code = file.list(folder)
  if not entries then return nil, message, code end
  local found
  for _, entry in ipairs(entries) do
    local name = entry.name
    if name:find "%.tiktoken$" or name:find "%.gguf$" then
      if found then
        return nil, ("%s holds several tokenizers (%s, %s): name one"):format(folder, found, name), "misuse"
      end
      found = name
    end
  end
  if found then return folder .. "/" .. found end
  return nil, folder .. ": no tokenizer.json, tokenizer.model, .tiktoken or .gguf", "not_found"
end

-- What a file beside the tokenizer says; an empty table when there is none.
local function read_config(folder, name)
  local value, message, code = hf.read_json(folder .. "/" .. name, LIMIT)
  if value == nil and not message then return {} end
  return value, message, code
end

-- added_tokens.json has what was added to a SentencePiece model later: { content = id }.
local function with_added(text, added)
  local list = {}
  for content, id in pairs(added) do
    if math.type(id) ~= "integer" then return nil, ("added_tokens.json: \"%s\" has no id"):format(content), "format" end
    list[#list + 1] = { id = id, content = content }
  end
  table.sort(list, function(a, b) return a.id < b.id end)
  for i, a in ipairs(list) do
    list[i] = (',\n{"id":%d,"content":%s,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,'
      .. '"special":true}'):format(a.id, json.encode(a.content))
  end
  local at = text:find('],\n"normalizer":', 1, true) -- no string of JSON holds a line end
  return text:sub(1, at - 1) .. table.concat(list) .. text:sub(at)
end

local function sentencepiece(path, _, folder)
  local bytes, message, code = file.read(path, LIMIT)
  if not bytes then return nil, message, code end
  local said, added = {}, {}
  if folder then
    said, message, code = read_config(folder, "tokenizer_config.json")
    if not said then return nil, message, code end
    added, message, code = read_config(folder, "added_tokens.json")
    if not added then return nil, message, code end
  end
  local text
  text, message, code = files.sentencepiece(bytes, { bos = said.add_bos_token ~= false,
    eos = said.add_eos_token == true, space = said.legacy == false and "first" or nil })
  if not text then return nil, message, code end
  return with_added(text, added)
end

-- kind → function(path, options, folder): the JSON; folder is given when a folder was named.
local READ = {
  json = function(path) return file.read(path, LIMIT) end,
  tiktoken = function(path, options)
    local bytes, message, code = file.read(path, LIMIT)
    if not bytes then return nil, message, code end
    return files.tiktoken(bytes, { encoding = options.encoding, pattern = options.pattern, special = options.special })
  end,
  sentencepiece = sentencepiece,
  gguf = gguf_tokenizer.json,
}

local function check(options)
  local checked, message = config.check(OPTIONS, options)
  return checked or error(message, 3)
end

-- Where a tokenizer is and what it is: { path, kind, folder }, folder only when one was named.
local function find(path)
  local info, message, code = file.stat(path)
  if not info then return nil, message or path .. ": no such file", code or "not_found" end
  local folder = info.type == "folder" and path or nil
  if folder then
    path, message, code = file_in(path)
    if not path then return nil, message, code end
    info = file.stat(path)
  end
  local head
  head, message, code = file.read_range(path, 0, math.min(info.size, HEAD))
  if not head then return nil, message, code end
  local kind = files.kind(head)
  if not READ[kind] then return nil, path .. ": is no tokenizer that we know", "format" end
  return { path = path, kind = kind, folder = folder }
end

--- The text of a tokenizer.json for any tokenizer file.
-- @param path string: a folder, tokenizer.json, tokenizer.model, a .tiktoken or a .gguf file
-- @param options table: optional { encoding, pattern, special }, for rank files, which do not say how text
-- is cut: encoding = "cl100k_base" … (needed only where the ranks are not a published encoding's),
-- pattern = a regular expression, special = { content = id }
-- @return string: the JSON
-- @return string: what it was: "json", "tiktoken", "sentencepiece" or "gguf"
-- @return table|nil: of a GGUF file, what it says besides: see lathe.gguf_tokenizer.json
-- @error not_found, format, unsupported, limit, misuse (the encoding must be named)
-- @example require("lathe.tokenizers").json "Llama-3/original/tokenizer.model"
function M.json(path, options)
  options = check(options)
  local found, message, code = find(path)
  if not found then return nil, message, code end
  local text
  text, message, code = READ[found.kind](found.path, options, found.folder)
  if not text then return nil, found.path .. ": " .. message, code end
  return text, found.kind, found.kind == "gguf" and message or nil
end

-- Of the kinds that are one file made with nothing but a name. A GGUF file is too large to be hashed, a
-- SentencePiece model has files beside it.
local function cacheable(found, options)
  return found.kind == "json" or found.kind == "tiktoken" and not options.pattern and not options.special
end

--- A tokenizer from any tokenizer file; see lathe.tokenizers.json for the parameters.
-- @param path string: a folder, tokenizer.json, tokenizer.model, a .tiktoken or a .gguf file
-- @param options table: optional { encoding, pattern, special }
-- @return tokenizer: as engine.tokenizer.load gives it
-- @error not_found, format, unsupported, limit, misuse
-- @example require("lathe.tokenizers").load "models/llama-2/tokenizer.model"
function M.load(path, options)
  options = check(options)
  local found, message, code = find(path)
  if not found then return nil, message, code end
  local function make()
    local text, why, kind = M.json(path, options)
    if not text then return nil, why, kind end
    local t
    t, why, kind = tokenizer.parse(text)
    if not t then return nil, path .. ": " .. why, kind end
    return t
  end
  if not cacheable(found, options) then return make() end
  return cache.load(found.path, found.kind .. " " .. (options.encoding or ""), make)
end

M.parse, M.train = tokenizer.parse, tokenizer.train

return M
