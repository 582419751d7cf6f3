-- SPDX-License-Identifier: MIT
-- The stage clean: text, spans, pages, the map file, rejections.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local json = require "engine.json"
local text = require "engine.text"

test.case("text is cleaned, everything else is left", function()
  local out = stage.run("clean", {}, { { id = "a", text = "one \r\ntwo", n = 1.0, extra = { 1, 2 } } })
  test.equal(json.encode(out[1].text), [["one\ntwo"]])
  test.equal(out[1].n, 1.0)
  test.equal(out[1].extra[2], 2)
  test.equal(out[1].metadata, nil)
end)

test.case("segments follow each other in the canonical text", function()
  local segments = { "  first  segment\r\n\r\n", "\tsecond\u{AD}part \n", "third\n\n" }
  local records, at = {}, 0
  for k, s in ipairs(segments) do
    records[k] = { id = "d" .. k, text = s, metadata = { document = "D", path = "a.txt", segment = k - 1,
      span = { at, at + #s } } }
    at = at + #s
  end
  records[4] = { id = "e", text = "other", metadata = { document = "E", segment = 0, span = { 0, 5 } } }
  local out, _, ctx = stage.run("clean", {}, records)
  local canonical = out[1].text .. out[2].text .. out[3].text
  for k = 1, 3 do
    local span = out[k].metadata.span
    test.equal(canonical:sub(span[1] + 1, span[2]), out[k].text)
  end
  test.equal({ out[4].metadata.span[1], out[4].metadata.span[2] }, { 0, 5 })
  -- from the canonical text back to the extracted one, by the map file
  local source = table.concat(segments)
  local map = json.decode(ctx.sides.map[2])
  test.equal({ map.id, map.document, map.path }, { "d2", "D", "a.txt" })
  local from = out[2].text:find("secondpart", 1, true) - 1
  local runs = {}
  for i, r in ipairs(map.runs) do runs[i] = { r[1], r[2], r[3] } end
  local a, b = text.run_map(runs, map.span[2] - map.span[1], #segments[2]):origin(from, from + 10)
  test.equal(source:sub(map.extracted[1] + a + 1, map.extracted[1] + b), "second\u{AD}part")
end)

test.case("pages move along", function()
  local s = "page one   \r\n\fpage two"
  local out = stage.run("clean", {}, { { id = "a", text = s, metadata = { document = "D", segment = 0,
    span = { 0, #s }, pages = { { 1, 0 }, { 2, 14 } } } } })
  local pages = out[1].metadata.pages
  test.equal({ pages[1][1], pages[1][2], pages[2][1] }, { 1, 0, 2 })
  test.equal(out[1].text:sub(pages[2][2] + 1), "page two")
end)

test.case("words are joined in PDF documents", function()
  local function run(options, kind)
    return stage.run("clean", options, { { text = "exam-\nple", metadata = { type = kind } } })[1].text
  end
  test.equal(run({}, "pdf"), "example")
  test.equal(run({}, "txt"), "exam-\nple")
  test.equal(run({ dehyphenate = "always" }, "txt"), "example")
  test.equal(run({ dehyphenate = "never" }, "pdf"), "exam-\nple")
end)

test.case("nothing left, no text", function()
  local out, rejected = stage.run("clean", {}, { { text = " \r\n\u{200B}" }, { id = 1 }, { text = { 1 } },
    { text = "x" } })
  test.equal(#out, 1)
  test.equal({ rejected[1].reason, rejected[2].reason, rejected[3].reason }, { "empty", "no_text", "no_text" })
end)

test.case("another field", function()
  test.equal(stage.run("clean", { field = "output" }, { { output = "a  b", text = "c  d" } })[1].text, "c  d")
end)

return test.done()
