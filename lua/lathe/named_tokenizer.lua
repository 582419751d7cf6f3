-- SPDX-License-Identifier: MIT
-- The tokenizer that a stage's option names: an artifact of the recipe, or a path to any tokenizer file.

local M = {}

local function is_path(name) return name:find "[/.]" ~= nil end

--- The option, for a stage's table of options.
-- @param help string: what the stage needs it for
-- @param default string|nil: a name
-- @return table: an option's description
function M.option(help, default)
  return { type = "string", default = default, help = help .. ": the name of a tokenizer that the recipe makes, or "
    .. "a path (a model's folder, tokenizer.json, tokenizer.model, .tiktoken, .gguf)" }
end

--- Which artifacts the name needs, for a stage's `uses`.
-- @param name string|nil: the option's value
-- @return table: names
function M.uses(name)
  if not name or is_path(name) then return {} end
  return { name }
end

--- What the output depends on besides the options, for a stage's `hashes`: the file behind a path.
-- @param name string|nil: the option's value
-- @return table: { tokenizer = hash } or {}
-- @error raises { code, message }: a path that is not there
function M.hashes(name)
  if not name or not is_path(name) then return {} end
  local file = require "engine.file"
  local info = file.stat(name)
  if not info then error({ code = "not_found", message = name .. ": no such tokenizer" }, 0) end
  if info.type == "file" then return { tokenizer = assert(file.sha256(name)) } end
  local parts = {}
  for _, inner in ipairs { "tokenizer.json", "tokenizer.model" } do
    local path = name .. "/" .. inner
    if file.stat(path) then parts[#parts + 1] = inner .. "=" .. assert(file.sha256(path)) end
  end
  return { tokenizer = table.concat(parts, ",") }
end

--- Loads it, once for a worker.
-- @param ctx table: the stage's context
-- @param name string|nil: the option's value
-- @return tokenizer
-- @error not_found, format
function M.load(ctx, name)
  local cache = ctx.cache or {}
  if not cache.tokenizer then
    local path = is_path(name) and name or ctx.artifact(name)
    local tok, message, code = require("lathe.tokenizers").load(path)
    if not tok then return nil, message, code end
    cache.tokenizer = tok
  end
  return cache.tokenizer
end

return M
