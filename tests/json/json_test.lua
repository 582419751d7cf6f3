-- SPDX-License-Identifier: MIT
-- engine.json from Lua: values, records (tests/json/record.cases), errors.
local test = require "tests.support.test"
local json = require "engine.json"
local file = require "engine.file"

test.case("values go both ways", function()
  local text = '{"b":1,"a":[1,2.5,"x",true,null,{},[]],"z":-1,"s":"\\u00e9\\u0000"}'
  local v = json.decode(text)
  test.equal(math.type(v.b), "integer")
  test.equal(v.a[2], 2.5)
  test.ok(v.a[5] == json.null)
  test.equal(v.s, "é\0")
  test.equal(json.encode(v), '{"b":1,"a":[1,2.5,"x",true,null,{},[]],"z":-1,"s":"é\\u0000"}')
  test.equal(json.encode(v, { sort = true }), '{"a":[1,2.5,"x",true,null,{},[]],"b":1,"s":"é\\u0000","z":-1}')
  test.equal(json.encode(json.decode '[[],{"a":{"b":1}}]', { indent = 2 }),
    '[\n  [],\n  {\n    "a": {\n      "b": 1\n    }\n  }\n]')
  test.equal(json.decode "9223372036854775808", 2.0 ^ 63)
  test.equal(json.decode "9223372036854775807", math.maxinteger)
end)

test.case("order of keys", function()
  local v = json.decode '{"z":1,"y":2,"x":3}'
  v.y, v.b, v.a = nil, 1, 2
  test.equal(json.encode(v), '{"z":1,"x":3,"a":2,"b":1}')
  local keys = {}
  for k, x in pairs(v) do keys[#keys + 1] = k .. x end
  test.equal(table.concat(keys, " "), "z1 x3 a2 b1")
  test.equal(json.encode { b = 1, a = 2, [""] = 3 }, '{"":3,"a":2,"b":1}')
end)

test.case("what JSON cannot hold is named", function()
  test.raises("value.a[2]: a function", json.encode, { a = { 1, print } })
  test.raises("value.x: JSON has no infinity", json.encode, { x = 1 / 0 })
  test.raises("value.x: the string is not UTF-8", json.encode, { x = "\xff" })
  test.raises("both a list and an object", json.encode, { 1, x = 2 })
  test.raises("not a string", json.encode, { [true] = 2 })
  local loop = {}
  loop[1] = loop
  test.raises("nested deeper than 512", json.encode, loop)
  test.raises("did you mean 'indent'", json.encode, 1, { indnt = 1 })
end)

test.case("errors say where", function()
  local none, message, code = json.decode '{"a":1,}'
  test.equal({ none, message, code }, { nil, "byte 7: expected a key in quotes, got '}'", "format" })
  none, message = json.record("[1]", 12)
  test.equal(none, nil)
  test.equal(message, "line 12: byte 0: expected a record { … }, got array")
  none, message = json.record("{", "x.jsonl:3")
  test.equal(none, nil)
  test.equal(message, "x.jsonl:3: byte 1: the text ends early")
end)

test.case("records change only what is changed", function()
  local text = assert(file.read "tests/json/record.cases")
  text = text:gsub("^#[^\n]*\n", "")
  local count = 0
  for line, code, want in text:gmatch "([^\n]+)\n([^\n]+)\n([^\n]+)\n" do
    local r = assert(json.record(line))
    assert(load(code, code, "t", setmetatable({ r = r, json = json }, { __index = _G })))()
    test.equal(json.encode(r), want, code)
    -- what was written reads back as the same
    local again = assert(json.record(json.encode(r)))
    test.equal(json.encode(again, { sort = true }), json.encode(r, { sort = true }))
    test.equal(json.encode(r:kind() and json.table(r), { sort = true }), json.encode(r, { sort = true }))
    count = count + 1
  end
  test.ok(count >= 15)
end)

test.case("records read like tables", function()
  local r = assert(json.record '{"text":"x\\ny","n":3,"f":3.0,"none":null,"m":{"p":"q","l":[1,[2,3]]},"t":true}')
  test.equal(r.text, "x\ny")
  test.equal(math.type(r.n), "integer")
  test.equal(math.type(r.f), "float")
  test.ok(r.none == json.null and r.missing == nil and r[1] == nil)
  test.equal(r:get "m.l.2.1", 2)
  test.equal(r:get "m.l.3", nil)
  test.equal(r:get "m.p.q", nil)
  test.equal(#r, 6)
  test.equal(#r.m.l, 2)
  test.ok(r.m == r.m and r.m ~= r.m.l)
  local keys, sum = {}, 0
  for k in pairs(r) do keys[#keys + 1] = k end
  test.equal(table.concat(keys, " "), "text n f none m t")
  for i, v in ipairs(r.m.l) do sum = sum + i * (type(v) == "number" and v or v[2]) end
  test.equal(sum, 1 + 2 * 3)
  test.equal(r:table(), {
    text = "x\ny", n = 3, f = 3.0, none = json.null, m = { p = "q", l = { 1, { 2, 3 } } }, t = true
  })
  test.contains(tostring(r), "record of 6 fields")
  test.contains(tostring(r), "{ p, l }")
  test.raises("only the end can move", function() r.m.l[4] = 1 end)
  test.raises("only the end can move", function() r.m.l[1] = nil end)
  test.raises("no field names", function() r.m.l.x = 1 end)
  test.raises("no positions", function() r[1] = 1 end)
  test.raises("value.x: the string is not UTF-8", function() r.m = { x = "\xff" } end)
  local made = assert(json.record { b = 1, a = "x" })
  test.equal(json.encode(made), '{"a":"x","b":1}')
  test.equal(json.encode { r.m, json.null }, '[{"p":"q","l":[1,[2,3]]},null]')
end)

test.case("parts outlive the handle of the whole", function()
  local part
  do
    local r = assert(json.record '{"a":{"b":{"c":"deep"}}}')
    part = r.a.b
  end
  collectgarbage()
  collectgarbage()
  test.equal(part.c, "deep")
  part.c = "x"
  test.equal(json.encode(part), '{"c":"x"}')
end)

test.case("depth stays bounded through assignments", function()
  local r = assert(json.record "{}")
  local deep = ("["):rep(300) .. ("]"):rep(300)
  r.a = json.decode(deep)
  local at = r.a
  for _ = 1, 298 do at = at[1] end
  test.raises("nested deeper", function() at[1][1] = json.decode(deep) end)
  test.ok(json.decode(json.encode(r)))
end)

test.case("many fields are not quadratic", function()
  local t = {}
  for i = 1, 20000 do t["key" .. i] = i end
  local r = assert(json.record(json.encode(t)))
  local sum = 0
  for i = 1, 20000 do
    r["key" .. i] = r["key" .. i] + 1
    sum = sum + r["key" .. i]
  end
  test.equal(sum, 20000 * 20001 // 2 + 20000)
end)

test.case("a record's parts are one thing, however they are reached, before and after a change", function()
  local parts = {}
  for i = 1, 14 do parts[i] = ('"k%d": {"v": [%d, {"deep": "%d"}]}'):format(i, i, i) end
  local line = "{" .. table.concat(parts, ", ") .. "}"
  local r = json.record(line)
  local held = {}
  for i = 1, 14 do held[i] = r["k" .. i] end
  for i = 1, 14 do
    test.ok(held[i] == r["k" .. i] and held[i].v[2] == r:get("k" .. i .. ".v.2"))
    test.equal(held[i].v[2].deep, tostring(i))
  end
  test.ok(r:encode() == line and json.encode(r.k3) == '{"v": [3, {"deep": "3"}]}')
  held[2].v[2].deep = "new" -- from the depths, where no level above was walked
  held[13].more = 1
  r.k5 = { v = 5 }
  held[5].v = "detached"
  r.k6 = nil
  test.equal(held[6].v[1], 6)
  local want = line:gsub('"deep": "2"', '"deep": "new"'):gsub('("13"}])}', '%1, "more": 1}')
    :gsub('("k5": ).-}]}', '%1{"v":5}'):gsub('"k6": .-}]}, ', "")
  test.equal(r:encode(), want)
  test.equal(json.record(r):encode(), want)
end)

test.case("a first change deep inside marks all that is above it", function()
  local r = json.record ' {"a": {"b": {"c": {"d": [1, 2]}}}, "z": 1} '
  r.a.b.c.d[2] = "x"
  test.equal(r:encode(), '{"a": {"b": {"c": {"d": [1, "x"]}}}, "z": 1}')
end)

test.case("parts outlive the name of their record; collected records leave nothing", function()
  local part
  do
    local r = json.record(('{"a": {"b": "%s"}, "list": [%s1]}'):format(("x"):rep(5000), ("1, "):rep(300)))
    part = r.a
    r.a.c = "\\added\n"
    r.n = 0
    for i, v in ipairs(r.list) do r.n = r.n + v * i end
    test.equal(r.n, 301 * 302 // 2)
  end
  collectgarbage()
  collectgarbage()
  test.equal(#part.b, 5000)
  test.equal(part.c, "\\added\n")
  local late -- a finalizer that looks at a record which dies with it
  do
    local r = json.record '{"a": {"b": 1}}'
    local child = r.a
    setmetatable({}, { __gc = function() late = { pcall(function() return child.b end) } end })
    r.a.b = 2
  end
  collectgarbage()
  collectgarbage()
  test.ok(late and (late[2] == 2 or tostring(late[2]):find "collected"))
end)

test.case("finalizers that use json in between disturb nothing", function()
  local live = true
  local function litter()
    setmetatable({}, { __gc = function()
      local r = json.record('{"other": [' .. ("7,"):rep(40) .. '7], "text": "in between"}')
      r.text = json.encode { r.text }
      if live then litter() end
    end })
  end
  for _ = 1, 20 do litter() end
  for i = 1, 3000 do
    local fields = { id = i, text = ("t"):rep(i % 700), list = { i, i + 1 }, o = { a = { b = "\n" .. i } } }
    local text = json.encode(fields)
    local r = json.record(text)
    if r.id ~= i or #r.text ~= i % 700 or r.o.a.b ~= "\n" .. i or r:encode() ~= text then error("record " .. i) end
    r.list[2] = { i }
    if json.decode(r:encode()).list[2][1] ~= i then error("changed record " .. i) end
  end
  live = false
end)

test.case("memory stays bounded while records are read and changed", function()
  collectgarbage()
  local line = json.encode { text = ("word "):rep(400), meta = { a = 1, b = { 1, 2, 3 } } }
  local before, most = collectgarbage "count", 0
  for i = 1, 20000 do
    local r = json.record(line)
    r.meta.a = i
    if i % 500 == 0 then most = math.max(most, collectgarbage "count") end
  end
  test.ok(most < 2 * before + 16384, most)
end)

return test.done()
