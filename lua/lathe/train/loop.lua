-- SPDX-License-Identifier: MIT
-- The training loop: micro-batches, an optimiser step, a line of log, now and then a checkpoint.
--
-- The step number is the only cursor: batches, rates and dropout follow from it, so a run that was killed
-- goes on from its newest checkpoint with the same bits. Nothing here reads a clock but progress and the
-- moment of checkpoints.

local checkpoint = require "lathe.train.checkpoint"
local clock = require "engine.clock"
local file = require "engine.file"
local json = require "engine.json"

local M = {}

local SAVE_SHARE = 20 -- between checkpoints lie at least so many times what the last one took

local function resume(job)
  if not job.scratch then return 0, {} end
  local head, state = checkpoint.newest(job.scratch, job.fingerprint)
  if not head then return 0, {} end
  local fine, message, code = job.model:load_state(state)
  if not fine then return nil, message, code end
  if job.log then job.log("info", "resumed", { step = head.step }) end
  return head.step, head.log
end

-- Forward and backward of every micro-batch, then the update. Returns the line of log.
local function one_step(job, step)
  local model, sum, tokens, rows = job.model, 0.0, 0, 0
  for _, batch in ipairs(job.batches(step)) do
    local loss, supervised, code = model:accumulate(batch)
    if not loss then return nil, supervised, code end
    sum, tokens, rows = sum + loss, tokens + supervised, rows + #batch.tokens // 4
  end
  local o, lr = job.optimiser or {}, job.rate(step)
  local norm, message, code = model:step { lr = lr, beta1 = o.beta1, beta2 = o.beta2, eps = o.eps, decay = o.decay,
    clip = o.clip }
  if not norm then return nil, message, code end
  return { step = step, loss = sum / tokens, lr = lr, grad_norm = norm, tokens = tokens }, rows
end

local function save(job, step, log)
  local state, message, code = job.model:state()
  if not state then return nil, message, code end
  return checkpoint.save(job.scratch, step, job.fingerprint, log, state)
end

-- After Ctrl-C: the step in hand is dropped, the steps before it are kept.
local function leave(job, step, log, message, code)
  if code == "cancelled" and job.scratch and step > 1 then
    job.model:drop()
    save(job, step - 1, log)
  end
  return nil, message, code
end

--- Trains a model, or goes on where it was stopped.
-- @param job table: model; steps integer; batches function (step → list of batches); rate function (step → learning
--   rate); optimiser table (beta1, beta2, eps, decay, clip); scratch folder for checkpoints (or nil);
--   fingerprint string; every integer (steps between checkpoints, 0: none); seconds number (between checkpoints, while they
--   take no more than a twentieth of the time); progress function (done, total, unit, note); log function (level, message, fields)
-- @return table: list of { step, loss, lr, grad_norm, tokens }
-- @error cancelled, mismatch (training diverged), io, nomem
function M.run(job)
  local start, log, code = resume(job)
  if not start then return nil, log, code end
  local saved, began, rows, cost = clock.now(), clock.now(), 0, 0
  for step = start + 1, job.steps do
    local line, count, reason = one_step(job, step)
    if not line then return leave(job, step, log, count, reason) end
    log[#log + 1], rows = line, rows + count
    local now = clock.now()
    if job.progress then job.progress(step, job.steps, "steps", ("loss %.3f"):format(line.loss)) end
    if job.scratch and step < job.steps and ((job.every or 0) > 0 and step % job.every == 0
      or now - saved >= math.max(job.seconds or math.huge, cost * SAVE_SHARE)) then
      local fine, message
      fine, message, reason = save(job, step, log)
      if not fine then return nil, message, reason end
      saved = clock.now()
      cost = saved - now
    end
  end
  if job.log and rows > 0 then
    local seconds = clock.now() - began
    job.log("info", "trained", { steps = job.steps, tokens = rows, seconds = seconds,
      tokens_per_second = rows / seconds })
  end
  return log
end

--- Writes the log as JSON lines. It holds no times: the same run gives the same bytes.
-- @param path string: the file
-- @param log table: from run
-- @return boolean: true
-- @error io
function M.write_log(path, log)
  local lines = {}
  for i, line in ipairs(log) do lines[i] = json.encode(line, { sort = true }) .. "\n" end
  return file.write(path, table.concat(lines), false)
end

--- The mean loss of the first and of the last steps of a log.
-- @param log table: from run
-- @param n integer: over how many steps (default 10)
-- @return number, number: first, last
function M.ends(log, n)
  n = math.min(n or 10, #log)
  if n == 0 then return 0.0, 0.0 end
  local first, last = 0.0, 0.0
  for i = 1, n do first, last = first + log[i].loss, last + log[#log - i + 1].loss end
  return first / n, last / n
end

return M
