-- SPDX-License-Identifier: MIT
-- Merge: adds an adapter to its base and publishes a whole model folder.

local artifacts = require "lathe.artifacts"
local hf = require "lathe.hf"
local outlook = require "lathe.train.outlook"
local progress = require "lathe.progress"

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

--- The model that will be made: the base's shape.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table|nil: as engine.model.new takes it
-- @return string: how it is held
function M.shape(options, info) return outlook.shape(info, options.base) end

--- What merging will take.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table: lines
function M.plan(options, info)
  local shape, dtype = M.shape(options, info)
  if not shape then return dtype and { "would fail: " .. dtype } or {} end
  local need, message = outlook.need(shape, { rows = 1 })
  if not need then return { "would fail: " .. message } end
  return { "disk: model " .. progress.bytes(outlook.weights(need.parameters, dtype)) }
end

--- Writes the merged model.
function M.make(_, ctx)
  local base, adapter = artifacts.path(ctx, ctx.options.base), artifacts.path(ctx, ctx.options.adapter)
  return hf.merge(base, adapter, ctx.dir, ctx.progress)
end

return M
