-- SPDX-License-Identifier: MIT
-- Export: writes a model as GGUF, once for each type asked for: TITLE-TYPE.gguf.

local artifacts = require "lathe.artifacts"
local gguf_file = require "lathe.gguf_file"
local hf = require "lathe.hf"
local outlook = require "lathe.train.outlook"
local progress = require "lathe.progress"

local M = {
  name = "export",
  version = 1,
  kind = "artifact",
  publishes = "gguf",
  summary = "Writes a model folder as GGUF files for llama.cpp and Ollama.",
  options = {
    model = { type = "string", default = "model", help = "the artifact, or a folder, with the model" },
    gguf = { type = "any", default = { "F16" }, help = "F32, F16, BF16 or Q8_0, or a list of them" },
    title = { type = "string", default = "model", help = "general.name, and the beginning of the files' names" },
  },
}

--- The artifacts that are used: the model, unless it is a folder.
function M.uses(options) return artifacts.used { options.model } end

--- What the result depends on besides the options: the folders that are read.
function M.hashes(options) return artifacts.hashes({ options.model }) end

local function types(options)
  local list = options.gguf
  if type(list) ~= "table" then list = { list } end
  return list
end

local KNOWN = { F32 = true, F16 = true, BF16 = true, Q8_0 = true }

--- Refuses types that are not written, and names that are no file names.
function M.check(options)
  for _, name in ipairs(types(options)) do
    if type(name) ~= "string" or not KNOWN[name:upper()] then
      return nil, ("gguf: type '%s' is not written yet; F32, F16, BF16 and Q8_0 are"):format(tostring(name))
    end
  end
  if #types(options) == 0 then return nil, "gguf: name at least one type" end
  if options.title and not options.title:find "^[%w][%w._-]*$" then
    return nil, "title: letters, digits, '.', '_' and '-' only"
  end
  return true
end

--- What exporting will take, and whether it can be done at all.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table: lines
function M.plan(options, info)
  local shape, message = outlook.shape(info, options.model)
  if not shape then return message and { "would fail: " .. message } or {} end
  local lines = outlook.export_lines(shape, outlook.folder(info, options.model), types(options))
  for _, kind in ipairs(types(options)) do
    local size = gguf_file.size(shape, kind)
    if size then
      lines[#lines + 1] = ("disk: %s-%s.gguf %s and the vocabulary"):format(options.title, kind:upper(),
        progress.bytes(size))
    end
  end
  return lines
end

--- Writes the files.
function M.make(_, ctx)
  local o, facts = ctx.options, { files = {} }
  local source = artifacts.path(ctx, o.model)
  for _, kind in ipairs(types(o)) do
    local name = ("%s-%s.gguf"):format(o.title, kind:upper())
    local made, message, code = hf.to_gguf(source, ctx.dir .. "/" .. name, kind,
      { name = o.title, progress = ctx.progress })
    if not made then return nil, message, code end
    if made.fallback > 0 then
      ctx.log("warn", ("%s: %d matrices have rows that are not whole blocks; they are F16"):format(name, made.fallback))
    end
    facts.files[#facts.files + 1] = { name = name, bytes = made.bytes, tensors = made.tensors,
      fallback = made.fallback }
  end
  return facts
end

return M
