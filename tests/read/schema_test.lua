-- SPDX-License-Identifier: MIT
-- JSON Schema: each keyword on both sides of its border; what is said about a value that does not fit; what
-- is said about a schema with a mistake.
local test = require "tests.support.test"
local json = require "engine.json"
local schema = require "lathe.schema"

-- schema | value that fits | … | value that does not => what is said
local CASES = [==[
{"type":"string"} | "a" | "" | 1 => .: expected a string, got the number 1
{"type":["string","null"]} | "a" | null | [] => .: expected a string or null, got an array of 0
{"type":"integer"} | 1 | 1.0 | 1.5 => .: expected an integer, got the number 1.5
{"type":"number"} | 1 | 1.5 | "1" => .: expected a number, got the string "1"
{"type":"object"} | {} | [] => .: expected an object, got an array of 0
{"type":"array"} | [] | {} => .: expected an array, got an object
{"enum":["red","green",3]} | "red" | 3 | "gren" => .: expected one of "red", "green", 3; did you mean "green"?, got the string "gren"
{"const":{"a":[1]}} | {"a":[1]} | {"a":[2]} => .: expected {"a":[1]}, got an object
{"minLength":2} | "äö" | 1 | "ä" => .: expected 2 characters or more, got the string "ä"
{"maxLength":2} | "äö" | "äöü" => .: expected 2 characters at most, got 3: the string "äöü"
{"pattern":"^[a-z]+$"} | "abc" | 5 | "aBc" => .: expected a string that matches ^[a-z]+$, got the string "aBc"
{"pattern":"\\d{2}"} | "a12" | "a1" => .: expected a string that matches \d{2}, got the string "a1"
{"minimum":1} | 1 | "x" | 0.5 => .: expected 1 or more, got the number 0.5
{"maximum":1} | 1 | 1.5 => .: expected 1 or less, got the number 1.5
{"exclusiveMinimum":1} | 2 | 1 => .: expected more than 1, got the number 1
{"exclusiveMaximum":1} | 0 | 1 => .: expected less than 1, got the number 1
{"multipleOf":3} | 6 | 7 => .: expected a multiple of 3, got the number 7
{"minItems":1} | [0] | {} | [] => .: expected 1 item or more, got an array of 0
{"maxItems":1} | [0] | [0,0] => .: expected 1 item at most, got an array of 2
{"uniqueItems":true} | [1,2] | [1,2,1] => .[2]: expected items that differ, got the same as item 0
{"items":{"type":"string"}} | ["a"] | [] | ["a",1] => .[1]: expected a string, got the number 1
{"required":["a","b c"]} | {"a":1,"b c":null} | {"a":1} => .["b c"]: expected a required field, got nothing
{"properties":{"a":{"properties":{"b":{"type":"string"}}}}} | {} | {"a":{"b":"x"}} | {"a":{"b":[]}} => .a.b: expected a string, got an array of 0
{"properties":{"name":true},"additionalProperties":false} | {"name":1} | {"nmae":1} => .nmae: expected a field that the schema names (did you mean 'name'?), got the number 1
{"additionalProperties":{"type":"integer"}} | {"a":1} | {"a":"x"} => .a: expected an integer, got the string "x"
{"patternProperties":{"^x_":{"type":"string"}},"additionalProperties":false} | {"x_a":"1"} | {"x_a":1} => .x_a: expected a string, got the number 1
{"minProperties":1} | {"a":1} | {} => .: expected 1 field or more, got an object
{"maxProperties":1} | {"a":1} | {"a":1,"b":2} => .: expected 1 field at most, got an object
{"allOf":[{"minimum":1},{"maximum":3}]} | 2 | 5 => .: expected 3 or less, got the number 5
{"anyOf":[{"type":"string"},{"type":"null"}]} | "a" | null | 1 => .: expected a string or null, got the number 1
{"oneOf":[{"required":["a"]},{"required":["b","c"]}]} | {"a":1} | {"b":1,"c":1} | {"d":1} => .a: expected a required field, got nothing
{"oneOf":[{"type":"integer","title":"a whole number"},{"title":"a number"}]} | "x" | 1 => .: expected a whole number or a number, and not several of them, got the number 1
{"not":{"type":"null"}} | 1 | null => .: expected what the schema does not forbid, got null
{"$ref":"#/$defs/n","$defs":{"n":{"type":"integer"}}} | 1 | "a" => .: expected an integer, got the string "a"
{"$ref":"#/$defs/a~1b/anyOf/0","$defs":{"a/b":{"anyOf":[{"type":"integer"}]}}} | 1 | "a" => .: expected an integer, got the string "a"
{"properties":{"next":{"$ref":"#"}},"additionalProperties":false} | {"next":{"next":{}}} | {"next":{"x":1}} => .next.x: expected a field that the schema names (next), got the number 1
false | nothing
true | 1
]==]

test.case("every keyword, on both sides", function()
  local cases = 0
  for line in CASES:gmatch "[^\n]+" do
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
