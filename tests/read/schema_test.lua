-- SPDX-License-Identifier: MIT
-- JSON Schema: each keyword on both sides of its border; what is said about a value that does not fit; what
-- is said about a schema with a mistake.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local schema = require "lathe.schema"

test.case("every keyword, on both sides", function()
  local cases = 0
  for line in file.lines "tests/read/schema.cases" do
    if line:sub(1, 1) == "#" then goto continue end
    local fields = {}
    for field in (line .. " | "):gmatch "(.-) | " do fields[#fields + 1] = field end
    local s = assert(schema.new(json.decode(fields[1])))
    for i = 2, #fields do
      local text, said = fields[i]:match "^(.-) => (.*)$"
      text = text or fields[i]
      if text ~= "nothing" then
        local problems = s:check(json.decode(text))
        test.equal(#problems, said and 1 or 0, line .. ": " .. text)
        if said then test.equal(schema.sentence(problems[1]), said, line) end
        cases = cases + 1
      end
    end
    ::continue::
  end
  test.equal(cases, 86)
end)

test.case("mistakes in a schema are named with their place", function()
  local function refuses(text, part)
    local s, message, code = schema.new(json.decode(text))
    test.equal({ s, code }, { nil, "misuse" })
    test.contains(message, part)
  end
  refuses('{"minLenght":2}', "did you mean 'minLength'?")
  refuses('{"properties":{"a":{"typ":"string"}}}', "/properties/a: unknown keyword 'typ'")
  refuses('{"type":"strng"}', "did you mean 'string'?")
  refuses('{"items":[{}]}', "/items: an object, true or false expected")
  refuses('{"required":"a"}', "/required: array expected")
  refuses('{"pattern":"["}', "/pattern: regular expression at byte 1")
  refuses('{"$ref":"#/$defs/x"}', "there is nothing at that place")
  refuses('{"$ref":"http://example.org/x.json"}', "only references inside the schema")
  refuses('[1]', "an object, true or false expected")
end)

test.case("a schema that refers to itself ends", function()
  local s = assert(schema.new(json.decode '{"$ref":"#"}'))
  test.contains(schema.sentence(s:check(1)[1]), "at most 64 levels")
end)

test.case("a pattern that backtracks for ever is an error, soon", function()
  local s = assert(schema.new { pattern = "^(a+)+$" })
  local before = os.clock()
  test.equal(#s:check(("a"):rep(60) .. "b"), 1)
  test.ok(os.clock() - before < 2)
end)

test.case("regular expressions", function()
  local regex = require "engine.regex"
  test.equal({ regex.new("[0-9]{3,}"):find "in 1999" }, { 4, 7 })
  test.equal({ regex.new("ä+"):find("xäöä", 4) }, { 6, 7 })
  test.equal(regex.new("x"):find "abc", nil)
  test.equal(regex.new("^$"):find "", 1)
  test.equal(regex.new("a"):find("abc", 9), nil)
  local r, message, code = regex.new "a("
  test.equal({ r, code }, { nil, "format" })
  test.contains(message, "byte 2")
  r, message, code = regex.new("a"):find "\xff"
  test.equal({ r, code }, { nil, "format" }, message)
end)

return test.done()
