-- SPDX-License-Identifier: MIT
-- What training holds, against what it may hold: said before the first step, not met in the middle.
--
-- The weights, gradients and moments are given by the model; what layers keep for the backward pass is a
-- choice, which changes time and memory and no bit of the result.

local progress = require "lathe.progress"

local M = {}

M.WAYS = { "none", "selective", "full" } -- ever less memory, ever more time

--- Says that training does not fit.
-- @param need integer: bytes that it would hold
-- @param rows integer: the most tokens worked on at once
-- @param limit integer: bytes that may be held
-- @return string
function M.too_little(need, rows, limit)
  return ("training needs %s for the model and %d tokens at once, and may hold %s; give more with --memory, "
    .. "or work on fewer tokens"):format(progress.bytes(need), rows, progress.bytes(limit))
end

--- Chooses how much is kept for the backward pass, so that training fits.
-- @param m model: as it will be trained, adapters and all
-- @param rows integer: the most tokens worked on at once
-- @param limit integer: bytes that may be held
-- @param wanted string: "auto", or the one way that is allowed ("none", "selective", "full")
-- @return string: the way chosen; the model is set to it
-- @return integer: the bytes that will be held
-- @error memory: it does not fit
-- @example require("lathe.train.memory").fit(m, 2048, 1 << 30, "auto")
function M.fit(m, rows, limit, wanted)
  local need
  for _, how in ipairs(wanted == "auto" and M.WAYS or { wanted }) do
    m:checkpointing(how)
    need = m:memory { rows = rows }.total
    if need <= limit then return how, need end
  end
  return nil, M.too_little(need, rows, limit), "memory"
end

return M
