-- SPDX-License-Identifier: MIT
-- engine.text from Lua.
local test = require "tests.support.test"
local text = require "engine.text"

test.case("encodings", function()
  test.equal(text.detect("Caf\xe9").name, "ISO-8859-1")
  test.equal(text.detect("\xef\xbb\xbfx").how, "bom")
  local s, replaced, found = text.to_utf8("Caf\xe9")
  test.equal({ s, replaced, found.name }, { "Café", 0, "ISO-8859-1" })
  test.equal({ text.to_utf8("a\xffb", "utf-8") }, { "a\u{FFFD}b", 1 })
  local none, message, code = text.to_utf8("x", "klingon")
  test.equal({ none, code }, { nil, "unsupported" })
  test.contains(message, "klingon")
end)

test.case("counting", function()
  test.equal(text.count "Größe", 5)
  test.equal(text.words "  to be\u{3000}or\tnot ", 4)
  test.equal({ text.valid "ok" }, { true })
  test.equal({ text.valid "ok\xff" }, { false, 2 })
  test.equal(text.nfc "e\u{301}", "é")
end)

test.case("cleaning leads back to the original", function()
  local original = "one\r\ntwo\u{AD}three   \n\u{FB01}n"
  local s, map = text.clean(original)
  test.equal(s, "one\ntwothree\nfin")
  local from, to = map:origin(4, 12)
  test.equal(original:sub(from + 1, to), "two\u{AD}three")
  test.equal({ map:origin(0, #s) }, { 0, #original })
  test.equal({ map:origin(14, 14) }, { map:origin(14, 14) })
  local again = text.run_map(map:runs(), #s, #original)
  test.equal(again:encode(), map:encode())
  test.equal({ again:origin(4, 12) }, { from, to })
  test.equal(#again, #map)
  test.raises("did you mean 'spaces'", text.clean, "x", { space = true })
  test.raises("not a span", map.origin, map, 3, 1000)
  test.equal(text.clean("a  b", { spaces = false }), "a  b")
end)

return test.done()
