-- SPDX-License-Identifier: MIT
-- Events and progress.
--
-- An event is one JSON line: { time, level, category, event, duration_ms, … }. Events go to the run's
-- events.jsonl and, with --log-file, there too; those at or above --log-level go to standard error as
-- text. Keys of APIs never come here: values of fields named like a key print as ***.

local file = require "engine.file"
local json = require "engine.json"

local M = {}

local LEVELS = { debug = 1, info = 2, warn = 3, error = 4 }
M.levels = { "debug", "info", "warn", "error" }

local Log = { __name = "log" }
Log.__index = Log

--- Opens a log.
-- @param options table: { level = "warn", files = list of paths, terminal = boolean }
-- @return log
function M.new(options)
  return setmetatable({ level = LEVELS[options.level or "warn"] or 3, files = options.files or {},
    started = os.clock(), progress = nil }, Log)
end

local function hide(fields)
  local out = {}
  for k, v in pairs(fields or {}) do
    local secret = type(k) == "string" and k:lower():match "key$" or type(k) == "string" and k:lower():match "token$"
    if secret and type(v) == "string" then v = "***" end
    out[k] = v
  end
  return out
end

--- Writes one event.
-- @param level string: debug, info, warn or error
-- @param category string: run, stage, part, train, extract …
-- @param event string: what happened
-- @param fields table: optional; duration_ms is 0 when not given
function Log:event(level, category, event, fields)
  local e = hide(fields)
  e.time = os.date "!%Y-%m-%dT%H:%M:%SZ"
  e.level, e.category, e.event = level, category, event
  e.duration_ms = e.duration_ms or 0
  local line = json.encode(e) .. "\n"
  for _, path in ipairs(self.files) do file.append(path, line) end
  if LEVELS[level] >= self.level then
    if self.progress then self.progress:clear() end
    io.stderr:write(("%s: %s: %s%s\n"):format(level, category, event,
      e.message and ": " .. tostring(e.message) or ""))
  end
end

return M
