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
  local out = stage.run("chunk", { size = 3, overlap = 0, separators = { "|" } }, { { text = "ab|cd" } })
  test.equal({ out[1].text, out[2].text }, { "ab", "|cd" })
end)

test.case("LangChain's modes: languages, and spans where chunks are spans", function()
  local out = stage.run("chunk", { size = 16, overlap = 0, mode = "js", separators = "python" },
    { { text = "import x\n\nclass A:\n  pass\nclass B:\n  pass" } })
  test.equal({ out[1].text, out[2].text }, { "import x", "class A:\n  pass" })
  test.equal(out[2].metadata.span, { 10, 25 })
  out = stage.run("chunk", { size = 20, overlap = 0, mode = "python", by = "character", separators = { "\n" } },
    { { text = "a\n\n\nb", metadata = { span = { 5, 11 } } } })
  test.equal({ #out, out[1].text, out[1].metadata.span }, { 1, "a\nb", nil })
  test.ok(#stage.run("chunk", { size = 30, overlap = 0, mode = "python", by = "markdown" }, { { text = words(30) } }) > 1)
end)

test.case("headings: for markdown, and for what was read as Markdown", function()
  local s = "# A\n\none two three\n\n## B\n\nfour five six\n"
  local function headings(options, kind)
    local list = {}
    for i, c in ipairs(stage.run("chunk", options, { { text = s, metadata = { type = kind } } })) do
      list[i] = c.metadata.headings or false
    end
    return list
  end
  test.equal(headings { by = "markdown", size = 30, overlap = 0 }, { { "A" }, { "A", "B" } })
  test.equal(headings({ size = 25, overlap = 0 }, "docx"), { { "A" }, { "A", "B" } })
  test.equal(headings({ by = "auto", size = 30, overlap = 0 }, "html"), { { "A" }, { "A", "B" } })
  test.equal(headings({ size = 25, overlap = 0, headings = false }, "docx"), { false, false })
  test.equal(headings({ size = 25, overlap = 0 }, "txt"), { false, false })
end)

test.case("code by the language of the record", function()
  local out = stage.run("chunk", { by = "code", size = 40, overlap = 0 }, { { text =
    "def f():\n    return 1\n\ndef g():\n    return '''\ndef x'''\n", metadata = { programming_language = "python" } } })
  test.equal({ out[1].text, out[2].text }, { "def f():\n    return 1", "def g():\n    return '''\ndef x'''" })
end)

test.case("by a function, whose spans are checked", function()
  local function run(by, s)
    return stage.run("chunk", { by = by }, { { text = s or "Größe und so", metadata = { span = { 10, 24 } } } })
  end
  local out = run(function(s) return { { 0, 7 }, { 8, #s } } end)
  test.equal({ out[1].text, out[2].text, out[2].metadata.span }, { "Größe", "und so", { 18, 24 } })
  test.equal(run(function() return { 0, 2, 2, 4 } end)[2].text, "ö")
  test.raises("span 2, [0, 2): begins before", run, function() return { { 4, 6 }, { 0, 2 } } end)
  test.raises("span 1, [0, 99): outside the text of 14 bytes", run, function() return { { 0, 99 } } end)
  test.raises("span 1, [0, 3): a border lies inside a character", run, function() return { { 0, 3 } } end)
  test.raises("span 2, [4, 4): empty", run, function() return { { 0, 4 }, { 4, 4 } } end)
  test.raises("span 1, [0.5, 2): two offsets", run, function() return { { 0.5, 2 } } end)
  test.raises("a list of spans expected, got nil", run, function() end)
end)

test.case("by a user's file", function()
  test.with_dir(function(dir)
    local f = assert(io.open(dir .. "/mine.lua", "w"))
    f:write "return function(text, options) return { { 0, options.size }, { options.size, #text } } end"
    f:close()
    local out = stage.run("chunk", { by = "mine.lua", size = 3 }, { { text = "abcdef" } }, { root = dir })
    test.equal({ out[1].text, out[2].text }, { "abc", "def" })
    local chunk = require "lathe.stage.chunk"
    test.equal(#chunk.hashes({ by = "mine.lua" }, { root = dir }).by, 64)
    local fine, problem = pcall(chunk.hashes, { by = "yours.lua" }, { root = dir })
    test.equal({ fine, problem.code }, { false, "not_found" })
  end)
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
  test.equal(chunk.uses { by = "markdown", unit = "tokens" }, { "tokenizer" })
  test.equal(chunk.uses { by = "tokens", tokenizer = "tok" }, { "tok" })
  test.equal(chunk.uses { by = "tokens", tokenizer = "a/tokenizer.json" }, {})
end)

test.case("options are checked before the run", function()
  local check = require("lathe.stage.chunk").check
  test.ok(check { by = "characters" })
  local none, message, code = check { by = "recursive", mode = "js", separators = "pythn" }
  test.contains(message, "did you mean 'python'")
  test.equal({ none, code }, { nil, "misuse" })
  none, message = check { by = "sentnce" }
  test.equal(none, nil)
  test.contains(message, "did you mean 'sentence'")
  none, message = check { by = "sentence", mode = "js" }
  test.equal({ none, message }, { nil, "LangChain's modes cut by recursive or character only" })
  none, message = check { by = "tokens", size = 5, overlap = 5 }
  test.equal({ none, message }, { nil, "the overlap (5) must be smaller than the size (5)" })
end)

test.case("misuse and rejections", function()
  test.raises("must be smaller", stage.run, "chunk", { size = 10, overlap = 10 }, { { text = "x" } })
  test.raises("klingon", stage.run, "chunk", { mode = "js", separators = "klingon" }, { { text = "x" } })
  local out, rejected = stage.run("chunk", {}, { { text = " \n " }, { id = "a" }, { text = "x" } })
  test.equal({ #out, rejected[1].reason, rejected[2].reason }, { 1, "empty", "no_text" })
end)

return test.done()
