-- SPDX-License-Identifier: MIT
-- HTTP for those who want an answer: engine.net with retries, and with keys from the environment.
--
--   local http = require("lathe.http").open()
--   local answer, message, code = http:get("https://example.org/items?page=1",
--     { headers = { Authorization = "Bearer $EXAMPLE_TOKEN" } })
--   answer.body, answer.headers["content-type"], answer.status
--
-- "$NAME" in a header's value is the environment's, put in when the request is sent, so that a recipe, a
-- manifest or a log never holds a key. Tried again: what did not reach the server, 408, 409, 429 and 500 up,
-- unless the server says x-should-retry: false. It waits as long as retry-after-ms or retry-after say, else
-- twice as long each time, a little more or less so that many clients do not come back together.

local clock = require "engine.clock"
local hash = require "engine.hash"
local net = require "engine.net"

local M = {}

local ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 5, 0.5, 60
local RETRIED = { [408] = true, [409] = true, [429] = true }

local Client = { __name = "http" }
Client.__index = Client
Client.__close = function(self) self:close() end

--- Opens a client.
-- @param options table: { attempts = 5, wait = 0.5 (seconds before the second attempt), and defaults for
--   requests: headers, body_max, connect_seconds, idle_seconds, total_seconds, redirects, allow_private }
-- @return http: client:get(url, options), client:post(url, body, options), client:close()
-- @error unsupported: built without libcurl
-- @example require("lathe.http").open { attempts = 2 }
function M.open(options)
  local handle, message, code = net.open { connections = 1 }
  if not handle then return nil, message, code end
  local defaults = {}
  for k, v in pairs(options or {}) do defaults[k] = v end
  local self = { net = handle, attempts = defaults.attempts or ATTEMPTS, first = defaults.wait or FIRST_WAIT,
    defaults = defaults, rng = hash.rng(math.floor(clock.now() * 1e9)) }
  defaults.attempts, defaults.wait = nil, nil
  return setmetatable(self, Client)
end

-- Headers with the environment's values in place of $NAME.
local function filled(headers)
  local out = {}
  for name, value in pairs(headers or {}) do
    local missing
    out[name] = value:gsub("%$([%a_][%w_]*)", function(variable)
      local found = os.getenv(variable)
      if not found or found == "" then missing = missing or variable end
      return found
    end)
    if missing then
      return nil, ("the header %s needs the environment variable %s"):format(name, missing), "misuse"
    end
  end
  return out
end

-- How long the server asks to be left alone, in seconds.
local function asked_wait(headers)
  local ms, seconds = tonumber(headers["retry-after-ms"]), tonumber(headers["retry-after"])
  return ms and ms / 1000 or seconds
end

local function worth_retrying(answer)
  if answer.status == 0 then return answer.code == "transient" end
  if answer.headers["x-should-retry"] == "false" then return false end
  return RETRIED[answer.status] or answer.status >= 500
end

function Client:once(request)
  local id, message, code = self.net:submit(request)
  if not id then return nil, message, code end
  while true do
    local answer
    answer, message, code = self.net:wait(1000)
    if answer == nil then return nil, message, code end
    if answer then return answer end
  end
end

--- Sends one request, and again where that may help.
-- @param request table: as for engine.net's submit
-- @return table: { status, body, headers (names in lower case), url }; any status that is no reason to retry
-- @error transient (it failed at every attempt), limit, misuse, cancelled …
function Client:request(request)
  local sent, message, code = {}
  for k, v in pairs(self.defaults) do sent[k] = v end
  for k, v in pairs(request) do sent[k] = v end
  sent.headers, message, code = filled(sent.headers)
  if not sent.headers then return nil, message, code end
  local wait = self.first
  for attempt = 1, self.attempts do
    local answer
    answer, message, code = self:once(sent)
    if not answer then return nil, message, code end
    if not worth_retrying(answer) then
      if answer.status == 0 then return nil, answer.message, answer.code end
      return answer
    end
    message = answer.message or ("%s: HTTP status %d"):format(sent.url:gsub("[?#].*", ""), answer.status)
    local pause = answer.headers and asked_wait(answer.headers) or wait * (0.75 + 0.5 * self.rng:number())
    if pause > LONGEST_WAIT then return nil, message .. (", and asks for %d s"):format(pause), "transient" end
    if attempt < self.attempts then
      local slept, why, how = clock.sleep(math.max(pause, 0))
      if not slept then return nil, why, how end
    end
    wait = math.min(wait * 2, LONGEST_WAIT)
  end
  return nil, ("%s (tried %d times)"):format(message, self.attempts), "transient"
end

--- Gets a URL.
-- @param url string
-- @param options table: as for request
-- @return table: see request
function Client:get(url, options)
  local request = { url = url }
  for k, v in pairs(options or {}) do request[k] = v end
  return self:request(request)
end

--- Sends a body to a URL.
-- @param url string
-- @param body string
-- @param options table: as for request
-- @return table: see request
function Client:post(url, body, options)
  local request = { url = url, body = body, method = "POST" }
  for k, v in pairs(options or {}) do request[k] = v end
  return self:request(request)
end

function Client:close() self.net:close() end

return M
