-- SPDX-License-Identifier: MIT
-- Learning-rate schedules: a function from the step (from 1) to the rate.
--
--     lr ┤   ╭──╮                       warm-up rises linearly over `warmup` steps to `lr`;
--        │  ╱    ╲___                   then "cosine" or "linear" falls to lr × floor at `steps`,
--        │ ╱         ╲____              and "constant" stays.
--        └┴───────────────── step
--
-- A schedule depends on its numbers only, so a resumed run takes the same rates.

local M = {}

local shapes = {
  constant = function() return 1 end,
  linear = function(x) return 1 - x end,
  cosine = function(x) return 0.5 * (1 + math.cos(math.pi * x)) end,
}

--- The names that `kind` may have.
M.kinds = { "cosine", "linear", "constant" }

--- Makes a schedule.
-- @param options table: kind ("cosine", "linear" or "constant"; default "cosine"), lr number, steps integer,
--   warmup number (a count of steps, or a fraction of them when below 1; default 0),
--   floor number (the last rate as a part of lr; default 0)
-- @return function: step (from 1) → learning rate
-- @error misuse: a kind or number that makes no sense
-- @example require("lathe.train.schedule").new { lr = 1e-3, steps = 100, warmup = 0.1 }(1)
function M.new(options)
  local kind, lr, steps = options.kind or "cosine", options.lr, options.steps
  local shape = shapes[kind]
  if not shape then error(("schedule '%s' is not one of cosine, linear, constant"):format(kind), 2) end
  if type(lr) ~= "number" or lr < 0 then error("the learning rate must be a number of at least 0", 2) end
  if math.type(steps) ~= "integer" or steps < 1 then error("a schedule needs at least one step", 2) end
  local warmup, floor = options.warmup or 0, options.floor or 0
  if warmup < 1 then warmup = math.floor(warmup * steps + 0.5) end
  if warmup > steps then
    error(("%d steps of warm-up are more than the %d steps there are"):format(warmup, steps), 2)
  end
  return function(step)
    if step <= warmup then return lr * step / warmup end
    local x = steps > warmup and math.min(1, (step - warmup) / (steps - warmup)) or 1
    return lr * (floor + (1 - floor) * shape(x))
  end
end

return M
