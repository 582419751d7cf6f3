-- SPDX-License-Identifier: MIT
-- select: a budget of records or of groups, the same whatever the order.
local test = require "tests.support.test"
local stage = require "tests.support.stage"

local function records(n)
  local list = {}
  for i = 1, n do list[i] = { id = tostring(i), metadata = { fact = "f" .. i % 5 } } end
  return list
end

test.case("a number of records, order kept, the rest rejected with its reason", function()
  local out, rejected = stage.run("select", { max = 7 }, records(20))
  test.equal(#out, 7)
  test.equal(#rejected, 13)
  test.equal(rejected[1].reason, "over_budget")
  for i = 2, #out do test.ok(tonumber(out[i].id) > tonumber(out[i - 1].id)) end
  test.equal(#stage.run("select", { max = 7 }, records(3)), 3)
end)

test.case("whole groups, whatever the order of the records", function()
  local function facts(list)
    local seen, n = {}, 0
    for _, r in ipairs((stage.run("select", { max = 2, group = "metadata.fact" }, list))) do
      if not seen[r.metadata.fact] then n = n + 1 end
      seen[r.metadata.fact] = (seen[r.metadata.fact] or 0) + 1
    end
    return seen, n
  end
  local list = records(20)
  local seen, n = facts(list)
  test.equal(n, 2)
  for _, count in pairs(seen) do test.equal(count, 4) end
  local back = {}
  for i = #list, 1, -1 do back[#back + 1] = list[i] end
  test.equal(facts(back), seen)
end)

test.case("records without the field, or without metadata, are one group", function()
  local json = require "engine.json"
  local out = stage.run("select", { max = 1, group = "metadata.fact" },
    { { id = "1" }, { id = "2", metadata = json.null }, { id = "3", metadata = {} } })
  test.equal(#out, 3)
end)

return test.done()
