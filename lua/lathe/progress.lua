-- SPDX-License-Identifier: MIT
-- Progress of long work: one line that is rewritten on a terminal, plain lines otherwise.
--
--   terminal:  [ 7/14] train  1,200/2,400 steps  50%  31.2 steps/s  ETA 0:38
--   otherwise: a line when a stage ends, and one every ten seconds while it runs

local clock = require "engine.clock"

local M = {}

local Progress = { __name = "progress" }
Progress.__index = Progress

--- Opens a progress display on standard error.
-- @param options table: { terminal = boolean, quiet = boolean }
function M.new(options)
  return setmetatable({ terminal = options.terminal, quiet = options.quiet, last = 0, width = 0 }, Progress)
end

--- 1234567 → "1,234,567"
function M.count(n)
  local text = ("%d"):format(n)
  local out = text:reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (out:gsub("^,", ""))
end

--- 75.3 seconds → "1:15"; 4000 → "1:06:40"
function M.duration(seconds)
  if seconds < 10 then return ("%.1f s"):format(seconds) end
  local s = math.floor(seconds + 0.5)
  if s < 3600 then return ("%d:%02d"):format(s // 60, s % 60) end
  return ("%d:%02d:%02d"):format(s // 3600, s // 60 % 60, s % 60)
end

function M.bytes(n)
  local units, i = { "B", "kB", "MB", "GB", "TB" }, 1
  while n >= 1000 and i < #units do n, i = n / 1000, i + 1 end
  return (i == 1 and "%d %s" or "%.1f %s"):format(n, units[i])
end

local function rate_text(rate)
  if rate >= 1000 then return M.count(math.floor(rate)) end
  return ("%.1f"):format(rate)
end

--- Shows how far a stage is.
-- @param label string: such as "[3/14] chunk"
-- @param done number: units done
-- @param total number|nil: of so many, when known
-- @param unit string: records, steps, tokens …
-- @param note string|nil: more, such as the loss
function Progress:update(label, done, total, unit, note)
  local now = clock.now()
  if self.label ~= label then
    self.label, self.began, self.first, self.last = label, now, done, self.terminal and 0 or now
  end
  local pause = self.terminal and 0.1 or 10
  if self.quiet or now - self.last < pause then return end
  self.last = now
  local text = ("%s  %s%s %s"):format(label, M.count(done), total and "/" .. M.count(total) or "", unit or "")
  local elapsed, made = now - self.began, done - self.first
  if total and total > 0 then text = text .. ("  %d%%"):format(100 * done // total) end
  if elapsed > 0.5 and made > 0 then
    local rate = made / elapsed
    text = text .. ("  %s %s/s"):format(rate_text(rate), unit or "")
    if total then text = text .. "  ETA " .. M.duration((total - done) / rate) end
  end
  if note then text = text .. "  " .. note end
  if self.terminal then
    io.stderr:write("\r\27[K", text)
    self.shown = true
  else
    io.stderr:write(text, "\n")
  end
  io.stderr:flush()
end

--- Removes the line that is being rewritten.
function Progress:clear()
  if self.shown then
    io.stderr:write("\r\27[K")
    self.shown = false
  end
end

--- Writes a line that stays.
function Progress:line(text)
  self:clear()
  if not self.quiet then io.stderr:write(text, "\n") end
end

return M
