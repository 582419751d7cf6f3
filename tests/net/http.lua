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

local read = require "lathe.stage.read"

local function extracted(source)
  local out, rejected, items = {}, {}, {}
  local ctx = { options = { files = {}, sources = { source } }, root = ".", cache = {}, log = function() end,
    reject = function(_, reason, detail) rejected[#rejected + 1] = { reason, detail } end }
  assert(read.list(ctx, function(item) items[#items + 1] = item end))
  for _, item in ipairs(items) do assert(read.each(item, ctx, function(r) out[#out + 1] = r end)) end
  return out, rejected
end

test.case("an interface's pages are followed by their links, and empty descriptions are noted", function()
  local out, rejected = extracted { "pages", url = base .. "/pages", items = "items", code = "source_code",
    description = "title", next = "next", keep = { title = "title" } }
  test.equal(#rejected, 0)
  test.equal(#out, 6)
  test.equal({ out[1].description, out[1].code, out[5].code, out[5].metadata.page, out[5].metadata.title },
    { "Item 1", "print(1)", "print(3)", 3, "Item 3" })
  test.equal({ out[1].metadata.needs_description, out[2].metadata.needs_description }, { false, true })
end)

test.case("pages may be counted, up to a number; what is no such interface is rejected with the reason", function()
  local out = extracted { "pages", url = base .. "/pages", items = "items", code = "source_code", page = 1, max_pages = 2 }
  test.equal(#out, 4)
  local none, rejected = extracted { "pages", url = base .. "/ok?key=hidden" }
  test.equal(#none, 0)
  test.contains(rejected[1][2], "not JSON")
  assert(not rejected[1][2]:find("hidden", 1, true))
  none, rejected = extracted { "pages", url = base .. "/absent" }
  test.equal(#none, 0)
  test.contains(rejected[1][2], "404")
end)

return test.done()
