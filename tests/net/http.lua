-- SPDX-License-Identifier: MIT
-- Run by net_test.c, which serves on the port given.
local test = require "tests.support.test"
local http = require "lathe.http"

local base = "http://127.0.0.1:" .. arg[1]

test.case("an answer has status, body, headers and URL", function()
  local client <close> = assert(http.open())
  local answer = assert(client:get(base .. "/ok"))
  test.equal({ answer.status, answer.body, answer.headers["x-word"], answer.url },
    { 200, "hello", "one, two", base .. "/ok" })
end)

test.case("a busy server is asked again, as late as it says", function()
  local client <close> = assert(http.open { wait = 0.01 })
  test.equal(assert(client:get(base .. "/twice")).body, "at last")
end)

test.case("what is not worth it is not tried again", function()
  local client <close> = assert(http.open { wait = 0.01 })
  test.equal(assert(client:get(base .. "/never")).status, 500)
  test.equal(assert(client:get(base .. "/absent")).status, 404)
end)

test.case("a server that stays away is an error after so many attempts", function()
  local client <close> = assert(http.open { wait = 0.001, attempts = 3 })
  local answer, message, code = client:get "http://127.0.0.1:1/?key=hidden"
  test.equal({ answer, code }, { nil, "transient" })
  test.contains(message, "tried 3 times")
  assert(not message:find("hidden", 1, true))
end)

test.case("keys come from the environment, and a missing one is named", function()
  local client <close> = assert(http.open())
  local answer = assert(client:post(base .. "/echo", "{}", { headers = { ["X-Home"] = "<$HOME>" } }))
  test.contains(answer.body, "X-Home: <" .. os.getenv "HOME" .. ">")
  local nothing, message, code = client:get(base .. "/ok", { headers = { A = "$LATHE_NO_SUCH_KEY" } })
  test.equal({ nothing, code }, { nil, "misuse" })
  test.contains(message, "LATHE_NO_SUCH_KEY")
end)

return test.done()
