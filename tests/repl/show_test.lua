-- SPDX-License-Identifier: MIT
-- How values look at the prompt.
local test = require "tests.support.test"
local show = require("lathe.show").show

local function case(name, value, want, options)
  test.case(name, function() test.equal(show(value, options), want) end)
end

case("numbers", 1.5, "1.5")
case("strings are quoted", 'a "b"\n\tc\\', [["a \"b\"\n\tc\\"]])
case("characters stay whole when a string is cut", ("é"):rep(10), '"éé" … (16 bytes more)', { text = 5 })
case("bytes that are no text", "\xff\xfea", '"\\xff\\xfea"')
case("lists", { 1, 2, "x" }, '{ 1, 2, "x" }')
case("keys are sorted; odd ones bracketed", { b = 1, a = 2, ["end"] = 3, [7] = 4, ["x y"] = 5 },
  '{ [7] = 4, a = 2, b = 1, ["end"] = 3, ["x y"] = 5 }')
case("empty", {}, "{}")
case("nested and deep", { { { { { 1 } } } } }, "{ { { { { … } } } } }", { depth = 4 })
case("long tables take several lines", { name = ("x"):rep(30), text = ("y"):rep(30) },
  '{\n  name = "' .. ("x"):rep(30) .. '",\n  text = "' .. ("y"):rep(30) .. '"\n}', { width = 60 })
case("many items are counted", { 1, 2, 3, 4, 5 }, "{ 1, 2, … 3 more }", { items = 2 })
case("numbers share lines", { 111, 222, 333, 444, 555, 666 }, "{\n  111, 222, 333,\n  444, 555, 666\n}", { width = 20 })
case("an object with a name for itself", setmetatable({}, { __tostring = function() return "a thing" end }), "a thing")
case("an object that fails to say what it is", setmetatable({}, { __tostring = function() error("no", 0) end }), "table (no)")
case("a show hook", setmetatable({}, { __show = function() return "shown" end }), "shown")
case("documented functions have names", require("engine.hash").sha256, "function engine.hash.sha256")
case("a stage's constructor", require("lathe").chunk, "stage chunk: lathe.chunk { … } in a recipe")
case("modules", require "engine.hash", "module engine.hash: rng, sha256, xxh3")

test.case("tables inside themselves", function()
  local t = { name = "t" }
  t.t = t
  test.equal(show(t), '{ name = "t", t = { … itself … } }')
end)

test.case("decoded objects keep their order, records say what they hold", function()
  local json = require "engine.json"
  test.equal(show(json.decode '{"z": 1, "a": [true]}'), "{ z = 1, a = { true } }")
  test.contains(show(json.record '{"z": 1, "a": 2}'), "record of 2 fields")
end)

return test.done()
