-- SPDX-License-Identifier: MIT
-- Checkpoints of a training run, in the engine's checksummed files (engine.checkpoint): the model's state,
-- and as meta the log so far and the run's fingerprint (options, data, model).
--
-- The newest whole file wins; the two newest are kept, so that a torn one costs one interval. A checkpoint
-- of another run (another fingerprint) counts as none.

local engine = require "engine.checkpoint"
local json = require "engine.json"

local M = {}

--- Writes a checkpoint and removes those that are older than the one before it.
-- @param dir string: a folder that survives a crash
-- @param step integer: optimiser steps done
-- @param fingerprint string: of the run
-- @param log table: what was logged so far
-- @param state string: from model:state()
-- @return boolean: true
-- @error io
function M.save(dir, step, fingerprint, log, state)
  return engine.write(dir, step, { state = state }, { meta = { fingerprint = fingerprint, log = json.encode(json.array(log)) } })
end

--- The newest whole checkpoint of a run.
-- @param dir string: the folder
-- @param fingerprint string: of the run
-- @return table|nil: { step, log }, or nil when there is none
-- @return string: the model's state
function M.newest(dir, fingerprint)
  local found <close> = engine.newest(dir)
  if not found then return nil end
  local meta = found:meta()
  if meta.fingerprint ~= fingerprint then return nil end
  return { step = found:step(), log = json.decode(meta.log) }, found:read "state"
end

return M
