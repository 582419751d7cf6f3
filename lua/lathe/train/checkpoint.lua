-- SPDX-License-Identifier: MIT
-- Checkpoints of a training run: a folder with the two newest, each written in one step and checksummed.
--
--     step-00000120.checkpoint     one line of JSON { step, fingerprint, log, bytes, sha256 }, then the
--                                  model's state
--
-- The newest one that is whole and belongs to the same run (its fingerprint: options, data, model) wins;
-- others are passed over. Two are kept, so that a torn disk costs one interval.

local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local M = {}

local KEEP = 2

local function list(dir)
  local steps = {}
  for _, entry in ipairs(file.list(dir) or {}) do
    local step = entry.name:match "^step%-(%d+)%.checkpoint$"
    if step then steps[#steps + 1] = tonumber(step) end
  end
  table.sort(steps, function(a, b) return a > b end)
  return steps
end

local function path_of(dir, step) return ("%s/step-%08d.checkpoint"):format(dir, step) end

--- Writes a checkpoint and removes those that are older than the one before it.
-- @param dir string: a folder that survives a crash
-- @param step integer: optimiser steps done
-- @param fingerprint string: of the run
-- @param log table: what was logged so far
-- @param state string: from model:state()
-- @return boolean: true
-- @error io
function M.save(dir, step, fingerprint, log, state)
  local head = json.encode { step = step, fingerprint = fingerprint, log = json.array(log), bytes = #state,
    sha256 = hash.sha256(state) }
  local w <close>, message, code = file.replace(path_of(dir, step))
  if not w then return nil, message, code end
  local fine
  fine, message, code = w:write(head, "\n", state)
  if fine then fine, message, code = w:commit() end
  if not fine then return nil, message, code end
  for i, old in ipairs(list(dir)) do if i > KEEP then file.remove_tree(path_of(dir, old)) end end
  return true
end

local function read(path, fingerprint)
  local text = file.read(path, 1 << 40)
  local line = text and text:match "^[^\n]*"
  local head = line and json.decode(line)
  if type(head) ~= "table" or head.fingerprint ~= fingerprint then return nil end
  local state = text:sub(#line + 2)
  if #state ~= head.bytes or hash.sha256(state) ~= head.sha256 then return nil end
  return head, state
end

--- The newest whole checkpoint of a run.
-- @param dir string: the folder
-- @param fingerprint string: of the run
-- @return table|nil: { step, log, … }, or nil when there is none
-- @return string: the model's state
function M.newest(dir, fingerprint)
  for _, step in ipairs(list(dir)) do
    local head, state = read(path_of(dir, step), fingerprint)
    if head then return head, state end
  end
  return nil
end

return M
