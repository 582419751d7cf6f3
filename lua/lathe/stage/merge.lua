-- SPDX-License-Identifier: MIT
-- Merge: adds an adapter to its base and publishes a whole model folder.

local hf = require "lathe.hf"

local M = {
  name = "merge",
  version = 1,
  kind = "artifact",
  publishes = "model",
  summary = "Adds a LoRA adapter to its base: a whole model folder, in the base's types.",
  options = {
    base = { type = "string", default = "base", help = "the artifact, or a folder, with the base model" },
    adapter = { type = "string", default = "adapter", help = "the artifact, or a folder, with the adapter" },
  },
}

local function is_folder(name) return name:find("/", 1, true) ~= nil end

--- The artifacts that are used: those that are not given as folders.
function M.uses(options)
  local used = {}
  for _, name in ipairs { options.base or "base", options.adapter or "adapter" } do
    if not is_folder(name) then used[#used + 1] = name end
  end
  return used
end

local function folder(ctx, name)
  if not is_folder(name) then return ctx.artifact(name) end
  return name
end

--- Writes the merged model.
function M.make(_, ctx)
  local base, adapter = folder(ctx, ctx.options.base), folder(ctx, ctx.options.adapter)
  return hf.merge(base, adapter, ctx.dir, ctx.progress)
end

return M
