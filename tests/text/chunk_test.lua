-- SPDX-License-Identifier: MIT
-- engine.chunk from Lua: LangChain's published results, and where each method cuts.
local test = require "tests.support.test"
local chunk = require "engine.chunk"
local json = require "engine.json"
local langchain = require "lathe.langchain"
local same = require "tests.text.langchain"

local function read(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read "a"
  f:close()
  return s
end

local function parts(s, options, ...)
  local spans, texts = assert(assert(chunk.new(options))(s, ...))
  local out = {}
  for i = 1, #spans // 2 do out[i] = texts[i] or s:sub(spans[2 * i - 1] + 1, spans[2 * i]) end
  return out
end

-- ---- LangChain ----

local CONFORMANCE = os.getenv "LATHE_CONFORMANCE" or "../shared/conformance"

local function golden_options(case, mode)
  local p = case.params
  local o = { mode = mode, size = p.chunkSize or 1000, overlap = p.chunkOverlap or 200, keep_separator = p.keepSeparator }
  if case.splitter == "CharacterTextSplitter" then
    o.method, o.separators = "character", p.separator and { p.separator } or nil
  elseif p.separators then
    o.separators = { table.unpack(p.separators) }
  else
    o.separators = { "\n\n", "\n", " ", "" }
  end
  return o
end

local function golden(case, mode)
  local chunker, message, code = chunk.new(golden_options(case, mode))
  if case.error then return chunker == nil and code == "misuse", message end
  local spans, texts = assert(assert(chunker, message)(case.input))
  local got = json.array {}
  for i = 1, #spans // 2 do got[i] = texts[i] or case.input:sub(spans[2 * i - 1] + 1, spans[2 * i]) end
  return json.encode(got) == json.encode(case.chunks), case.splitter .. " " .. case.input_file
end

test.case("every case of the conformance data, in both modes", function()
  local path = CONFORMANCE .. "/splitters/golden.jsonl"
  if not io.open(path) then test.skip "no conformance data" end
  local cases, python = 0, 0
  for line in io.lines(path) do
    local case = json.decode(line)
    case.input = read(CONFORMANCE .. "/splitters/inputs/" .. case.input_file)
    test.ok(golden(case, "js"))
    cases = cases + 1
    if case.python_same then
      test.ok(golden(case, "python"))
      python = python + 1
    end
    local language = case.params.language or case.splitter == "MarkdownTextSplitter" and "markdown"
    if language then
      test.equal(json.encode(json.array { table.unpack((langchain.separators("js", language))) }), json.encode(case.params.separators))
    end
  end
  test.equal({ cases, python }, { 84, 82 })
end)

test.case("what the Python package gives: languages, regular expressions, lengths, kept separators", function()
  local cases = 0
  for line in io.lines "tests/text/langchain.jsonl" do
    local fine, problem = same(json.decode(line))
    if not fine then error(problem .. "\n" .. line) end
    cases = cases + 1
  end
  test.equal(cases, 150)
end)

test.case("js: a character outside the BMP counts two and stays whole", function()
  test.equal(parts("😀😀😀", { mode = "js", size = 4, overlap = 0 }), { "😀😀", "😀" })
end)

test.case("modes that put separators back say what is no span", function()
  local s = "a\n\n\nb c"
  local spans, texts = chunk.new { mode = "python", size = 6, overlap = 0, separators = { "\n" }, keep_separator = false } (s)
  test.equal({ spans, texts }, { { 0, 7 }, { "a\nb c" } })
  spans, texts = chunk.new { mode = "python", size = 6, overlap = 0, separators = { " ", "" }, keep_separator = false } "a b c"
  test.equal({ spans, texts }, { { 0, 5 }, {} })
end)

test.case("regular expressions", function()
  local none, message, code = chunk.new { mode = "python", regex = true, separators = { "(a" } }
  test.equal({ none, code }, { nil, "format" })
  test.contains(message, "(a")
  none, message, code = chunk.new { mode = "python", regex = true, separators = { "(a)" } }
  test.equal({ none, code }, { nil, "unsupported" })
  test.contains(message, "(?:")
  none, message, code = chunk.new { regex = true, separators = { "a" } }
  test.equal({ none, message, code }, { nil, "regular expressions belong to the mode python", "misuse" })
  none, message, code = chunk.new { mode = "python", regex = true, separators = { "(?:a+)+\\d" } } (("a"):rep(5000))
  test.equal({ none, message, code }, { nil, "a separator backtracks without end", "limit" })
end)

-- ---- native ----

test.case("recursive", function()
  local s = "The first sentence. The second, a longer one.\n\nAnother paragraph, here."
  test.equal(parts(s, { size = 30, overlap = 0 }), { "The first sentence. The", "second, a longer one.", "Another paragraph, here." })
  test.equal(parts("one two three four", { size = 10, overlap = 4 }), { "one two", "two three", "four" })
  test.equal(parts("a|b|c", { size = 2, overlap = 0, separators = { "|" }, keep_separator = "end" }), { "a|", "b|", "c" })
  test.equal(parts("a|b|c", { size = 2, overlap = 0, separators = { "|" }, keep_separator = false }), { "a", "b", "c" })
  test.equal(parts("ab\r\ncd", { size = 4, overlap = 0, strip = false }), { "ab", "\r\ncd" })
  test.equal(parts("Größe", { size = 4, overlap = 0, unit = "bytes" }), { "Grö", "ße" })
end)

test.case("character: one separator, and the size holds", function()
  test.equal(parts("aa bb\n\ncc\n\ndd", { method = "character", size = 6, overlap = 0 }), { "aa bb", "cc\n\ndd" })
  test.equal(parts("aa bb cc\n\ndd", { method = "character", size = 5, overlap = 0 }), { "aa bb", "cc", "dd" })
end)

test.case("tokens: windows, and any method by tokens", function()
  local offsets = { 0, 1, 1, 3, 3, 4 }
  test.equal(parts("abcd", { method = "windows", unit = "tokens", size = 2, overlap = 0 }, nil, offsets), { "abc", "d" })
  test.equal(parts("a bc", { unit = "tokens", size = 2, overlap = 0 }, nil, { 0, 1, 1, 3, 3, 4 }), { "a", "bc" })
  local none, _, code = chunk.new { method = "windows", unit = "tokens" } ("abc", nil, { 0, 9 })
  test.equal({ none, code }, { nil, "misuse" })
  test.raises("tokenizer", function() chunk.new { unit = "tokens" } "abc" end)
end)

local function sentences_of(line, language)
  local longest = 1
  for s in line:gmatch "[^|]+" do longest = math.max(longest, utf8.len(s)) end
  local s = line:gsub("|", "")
  local got = {}
  local chunker = chunk.new { method = "sentence", size = longest, overlap = 0, strip = false }
  local spans = chunker(s, language)
  for i = 1, #spans, 2 do got[#got + 1] = s:sub(spans[i] + 1, spans[i + 1]) end
  return got
end

test.case("sentences", function()
  for line in io.lines "tests/text/sentences.cases" do
    local language, text = line:match "^(%a%a):(.*)$"
    if language then
      -- a sentence may be put together with its neighbour where both fit; borders are borders of sentences
      local borders, at = { [0] = true }, 0
      for s in text:gmatch "[^|]+" do at = at + #s; borders[at] = true end
      local stop = 0
      for _, s in ipairs(sentences_of(text, language)) do
        stop = stop + #s
        if not borders[stop] then error(("%s: %q ends inside a sentence"):format(line, s)) end
      end
      test.equal(stop, at)
    end
  end
end)

local GUIDE = [[
---
title: x
---
# Guide

## Start

Read this. It is short.

```sh
# no heading
make

make install
```

## Use

| a | b |
|---|---|
| 1 | 2 |
| 3 | 4 |

Under
-----
Last words.
]]

test.case("markdown: by heading, with fences and tables whole", function()
  local got = parts(GUIDE, { method = "markdown", size = 90, overlap = 0 })
  test.equal(#got, 4)
  test.contains(got[1], "title: x\n---")
  test.contains(got[2], "# Guide\n\n## Start\n\nRead this.")
  test.contains(got[2], "make install\n```")
  test.contains(got[3], "## Use\n\n| a | b |")
  test.equal(got[4], "Under\n-----\nLast words.")
  local spans = chunk.new { method = "markdown", size = 90, overlap = 0 } (GUIDE)
  test.equal(chunk.headings(GUIDE, spans), { false, { "Guide", "Start" }, { "Guide", "Use" }, { "Guide", "Under" } })
  test.equal(#parts(GUIDE, { method = "markdown", size = 200, overlap = 0, levels = 1 }), 2)
  for _, part in ipairs(parts(GUIDE, { method = "markdown", size = 45, overlap = 0 })) do
    test.ok(not part:find "%d |\n| 3" or part:find "| a", "a table is cut last")
  end
end)

local CODE = {
  python = { "import os, sys\n\n# about f\n@deco\ndef f():\n    return 1\n\nclass A:\n  def g(self):\n    return '''\ndef x():\n'''\n",
    { "import os, sys", "# about f\n@deco\ndef f():\n    return 1", "class A:\n  def g(self):\n    return '''\ndef x():\n'''" }, 52 },
  c = { "#include <a.h>\n\n/* f\n * adds */\nint f(int a)\n{\n\treturn a;\n}\nint g(void) {\n  puts(\"}\");\n\n  return 1;\n}\n",
    { "#include <a.h>", "/* f\n * adds */\nint f(int a)\n{\n\treturn a;\n}", "int g(void) {\n  puts(\"}\");\n\n  return 1;\n}" }, 45 },
  lua = { "local a = 1\n\n--[[ a\n\nfunction no() end ]]\nlocal function f()\n  return 1\nend\n\nfunction g() return 2 end\n",
    { "local a = 1", "--[[ a\n\nfunction no() end ]]\nlocal function f()\n  return 1\nend", "function g() return 2 end" }, 64 },
  javascript = { "const a = `\n\nfunction no() {}\n`;\nfunction f() {\n  return 1;\n}\nfunction g() {\n  return 2;\n}\n",
    { "const a = `\n\nfunction no() {}\n`;", "function f() {\n  return 1;\n}", "function g() {\n  return 2;\n}" }, 34 },
  ruby = { "class A\n  def f\n    1\n  end\n\n  def g\n    2\n  end\nend\n=begin\nclass no\n=end\nclass B\nend\n",
    { "class A\n  def f\n    1\n  end\n\n  def g\n    2\n  end\nend", "=begin\nclass no\n=end\nclass B\nend" }, 54 },
}

test.case("code: at functions and classes, comments with them, not inside strings", function()
  for language, case in pairs(CODE) do
    local got = parts(case[1], { method = "code", size = case[3], overlap = 0, language = language })
    test.equal({ language, got }, { language, case[2] })
    test.equal(parts(case[1], { method = "code", size = case[3], overlap = 0 }, language), case[2])
  end
end)

test.case("code: cut where something nested begins, with its indentation", function()
  local s = "class A:\n    def f(self):\n        a = 1\n        b = 2\n\n    def g(self):\n        return 3\n"
  test.equal(parts(s, { method = "code", size = 60, overlap = 0, language = "python" }),
    { "class A:\n    def f(self):\n        a = 1\n        b = 2", "    def g(self):\n        return 3" })
end)

test.case("misuse", function()
  test.raises("did you mean 'overlap'", chunk.new, { overlp = 1 })
  test.raises("'method'", chunk.new, { method = "magic" })
  test.raises("separators", chunk.new, { separators = {} })
  test.raises("must be strings", chunk.new, { separators = { 1 } })
  test.raises("'keep_separator'", chunk.new, { keep_separator = "middle" })
  test.raises("span", chunk.headings, "abc", { 0, 9 })
  local none, message, code = chunk.new { size = 5, overlap = 5 }
  test.equal({ none, message, code }, { nil, "the overlap (5) must be smaller than the size (5)", "misuse" })
  none, message, code = chunk.new { mode = "js", method = "code" }
  test.equal({ none, message, code }, { nil, "LangChain's modes cut by recursive or character only", "misuse" })
  test.equal(tostring(chunk.new { size = 9, overlap = 1 }), "chunker: recursive, 9/1")
end)

return test.done()
