-- SPDX-License-Identifier: MIT
-- The stage chunk: spans, ids, pages, tokens, misuse.
local test = require "tests.support.test"
local stage = require "tests.support.stage"

local function words(n)
  local out = {}
  for i = 1, n do out[i] = ("word%d%s"):format(i, i % 40 == 0 and ".\n\n" or "") end
  return table.concat(out, " ")
end

test.case("spans are in the canonical text", function()
  local s = words(600)
  local base = 1000
  local canonical = ("x"):rep(base) .. s
  local out = stage.run("chunk", { size = 300, overlap = 30 }, { { id = "r", text = s, source = "read",
    license = "CC0", metadata = { document = "D", path = "a/b.txt", segment = 1, span = { base, base + #s },
      notes = { "n" } } } })
  test.ok(#out > 10)
  local ids = {}
  for i, c in ipairs(out) do
    local span = c.metadata.span
    test.equal(canonical:sub(span[1] + 1, span[2]), c.text)
    test.equal(c.metadata.chunk, i - 1)
    test.equal({ c.source, c.license, c.metadata.path, c.metadata.document }, { "read", "CC0", "a/b.txt", "D" })
    test.equal(c.metadata.notes, nil)
    test.ok(#c.text <= 300 and not ids[c.id] and #c.id == 32)
    ids[c.id] = true
  end
end)

test.case("ids are stable, and differ by document", function()
  local function ids(document)
    local out = stage.run("chunk", { size = 20, overlap = 0 }, { { text = words(20), metadata = { document = document,
      path = "p" } } })
    return out[1].id .. out[2].id
  end
  test.equal(ids "D", ids "D")
  test.ok(ids "D" ~= ids "E")
end)

test.case("pages", function()
  local out = stage.run("chunk", { size = 13, overlap = 0 }, { { text = "page one a b\n\npage two c d\n\npage 3",
    metadata = { document = "D", span = { 100, 134 }, pages = { { 4, 100 }, { 5, 114 }, { 6, 128 } } } } })
  local pages = {}
  for i, c in ipairs(out) do pages[i] = c.metadata.page end
  test.equal(pages, { 4, 5, 6 })
  test.equal(out[1].metadata.pages, nil)
end)

test.case("separators", function()
  local out = stage.run("chunk", { size = 16, overlap = 0, separators = "python" },
    { { text = "import x\n\nclass A:\n  pass\nclass B:\n  pass" } })
  test.equal({ out[1].text, out[2].text }, { "import x", "class A:\n  pass" })
  out = stage.run("chunk", { size = 3, overlap = 0, separators = { "|" } }, { { text = "ab|cd" } })
  test.equal({ out[1].text, out[2].text }, { "ab", "|cd" })
end)

test.case("by tokens", function()
  local trainer = require "engine.tokenizer"
  if not trainer.train then test.skip "no tokenizer training" end
  test.with_dir(function(dir)
    local tok = assert(trainer.train { texts = { words(500) }, vocab_size = 300 })
    assert(tok:save(dir .. "/tokenizer.json"))
    local s = words(300) .. " Größe 😀"
    local out = stage.run("chunk", { size = 50, overlap = 10, by = "tokens" }, { { text = s } },
      { artifacts = { tokenizer = dir } })
    local reached = 0
    for _, c in ipairs(out) do
      local span = c.metadata.span
      test.equal(s:sub(span[1] + 1, span[2]), c.text)
      test.ok(span[1] <= reached and utf8.len(c.text))
      test.ok(tok:count(c.text) <= 55)
      reached = span[2]
    end
    test.equal(reached, #s)
    local again = stage.run("chunk", { size = 50, overlap = 10, by = "tokens",
      tokenizer = dir .. "/tokenizer.json" }, { { text = s } }, { root = "/" })
    test.equal(#again, #out)
  end)
end)

test.case("what it uses", function()
  local chunk = require "lathe.stage.chunk"
  test.equal(chunk.uses { by = "characters" }, {})
  test.equal(chunk.uses { by = "tokens", tokenizer = "tok" }, { "tok" })
  test.equal(chunk.uses { by = "tokens", tokenizer = "a/tokenizer.json" }, {})
end)

test.case("options are checked before the run", function()
  local check = require("lathe.stage.chunk").check
  test.ok(check { by = "characters" })
  local none, message, code = check { by = "characters", separators = "klingon" }
  test.equal({ none, message, code }, { nil, "no separators are known for the language 'klingon'", "misuse" })
  none, message = check { by = "tokens", size = 5, overlap = 5 }
  test.equal({ none, message }, { nil, "the overlap (5) must be smaller than the size (5)" })
end)

test.case("misuse and rejections", function()
  test.raises("must be smaller", stage.run, "chunk", { size = 10, overlap = 10 }, { { text = "x" } })
  test.raises("klingon", stage.run, "chunk", { separators = "klingon" }, { { text = "x" } })
  local out, rejected = stage.run("chunk", {}, { { text = " \n " }, { id = "a" }, { text = "x" } })
  test.equal({ #out, rejected[1].reason, rejected[2].reason }, { 1, "empty", "no_text" })
end)

return test.done()
