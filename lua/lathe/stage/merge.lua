-- SPDX-License-Identifier: MIT
-- Merge: adds an adapter to its base and publishes a whole model folder.

local artifacts = require "lathe.artifacts"
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

--- The artifacts that are used: those that are not given as folders.
function M.uses(options) return artifacts.used { options.base, options.adapter } end

--- What the result depends on besides the options: the folders that are read.
function M.hashes(options) return artifacts.hashes({ options.base, options.adapter }) end

--- Writes the merged model.
function M.make(_, ctx)
  local base, adapter = artifacts.path(ctx, ctx.options.base), artifacts.path(ctx, ctx.options.adapter)
  return hf.merge(base, adapter, ctx.dir, ctx.progress)
end

return M
