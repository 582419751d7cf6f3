-- SPDX-License-Identifier: MIT
-- The stage read: which files it finds, what it makes of text, Markdown and HTML.
local test = require "tests.support.test"
local file = require "engine.file"
local hash = require "engine.hash"
local read = require "lathe.stage.read"

local function context(options)
  local ctx = { options = {}, cache = nil, rejected = {}, logs = {} }
  for name, spec in pairs(read.options) do ctx.options[name] = spec.default end
  for name, value in pairs(options or {}) do ctx.options[name] = value end
  function ctx.reject(record, reason, detail)
    ctx.rejected[#ctx.rejected + 1] = { record = record, reason = reason, detail = detail }
  end
  function ctx.log(level, message) ctx.logs[#ctx.logs + 1] = level .. ": " .. message end
  return ctx
end

local function put(dir, files)
  for path, bytes in pairs(files) do
    local folder = path:match "^(.*)/"
    if folder then assert(file.mkdirs(dir .. "/" .. folder)) end
    assert(file.write(dir .. "/" .. path, bytes, false))
  end
end

local function list(files)
  local items = {}
  local ok, message, code = read.list(context { files = files }, function(i) items[#items + 1] = i end)
  if not ok then return nil, message, code end
  return items
end

local function paths(items)
  local out = {}
  for i, item in ipairs(items) do out[i] = item.path end
  return table.concat(out, " ")
end

-- Reads one file; returns the records and the context.
local function records(dir, name, bytes, options)
  put(dir, { [name] = bytes })
  local ctx, out = context(options), {}
  test.ok(read.each({ path = name, file = dir .. "/" .. name }, ctx, function(r) out[#out + 1] = r end))
  return out, ctx
end

local function text_of(dir, name, bytes, options)
  local out, ctx = records(dir, name, bytes, options)
  test.equal(ctx.rejected, {})
  test.equal(#out, 1)
  return out[1].text, out[1].metadata
end

test.case("patterns name each file once, in byte order", function()
  test.with_dir(function(dir)
    put(dir, { ["b.md"] = "b", ["a.txt"] = "a", ["A.md"] = "", ["sub/c.md"] = "c", ["sub/deep/d.pdf"] = "d",
      ["sub/x.odt"] = "", [".hidden.md"] = "", [".git/e.md"] = "", ["é.txt"] = "" })
    test.equal(paths(list(dir)), "A.md a.txt b.md sub/c.md sub/deep/d.pdf sub/x.odt é.txt")
    test.equal(paths(list(dir .. "/")), "A.md a.txt b.md sub/c.md sub/deep/d.pdf sub/x.odt é.txt")
    test.equal(paths(list(dir .. "/*.md")), "A.md b.md")
    test.equal(paths(list(dir .. "/**/*.md")), "A.md b.md sub/c.md")
    test.equal(paths(list(dir .. "/**")), "A.md a.txt b.md sub/c.md sub/deep/d.pdf sub/x.odt é.txt")
    test.equal(paths(list(dir .. "/?.{txt,md}")), "A.md a.txt b.md é.txt")
    test.equal(paths(list(dir .. "/[a-z].*")), "a.txt b.md")
    test.equal(paths(list(dir .. "/s*/*/*")), "sub/deep/d.pdf")
    test.equal(paths(list(dir .. "/.*.md")), ".hidden.md")
    test.equal(paths(list { dir .. "/*.md", dir .. "/b.md", dir .. "/sub/*.md" }), "A.md b.md sub/c.md")
    test.equal(paths(list { dir .. "/sub/*.md", dir .. "/sub/deep/*" }), "c.md deep/d.pdf")
    local items = list(dir .. "/a.txt")
    test.equal(items, { { path = "a.txt", file = dir .. "/a.txt", bytes = 1, kind = "document" } })
  end)
end)

test.case("what is not there is said", function()
  test.with_dir(function(dir)
    local items, message, code = list(dir .. "/none/**/*.md")
    test.equal(items, nil)
    test.equal(code, "not_found")
    test.contains(message, "none/: no such folder")
    items, message, code = list(dir .. "/none.txt")
    test.equal(items, nil)
    test.equal(code, "not_found")
    test.contains(message, "no such file or folder")
    assert(file.mkdirs(dir .. "/empty"))
    items, message = list(dir .. "/empty")
    test.equal(items, nil)
    test.contains(message, "the folder is empty")
    put(dir, { ["x/a.odt"] = "", ["x/b.odt"] = "", ["x/y/c.csv"] = "" })
    items, message = list(dir .. "/x/**/*.{pdf,md}")
    test.equal(items, nil)
    test.contains(message, "there are 2 .odt, 1 .csv")
  end)
end)

test.case("plain text is left as it is", function()
  test.with_dir(function(dir)
    local out = records(dir, "a.txt", "One\r\n\r\ntwo — é\n")
    test.equal(#out, 1)
    local sha = hash.sha256 "One\r\n\r\ntwo — é\n"
    test.equal(out[1], { id = hash.sha256(sha .. "\0a.txt\0" .. 0):sub(1, 16), text = "One\r\n\r\ntwo — é\n",
      source = "read", metadata = { document = sha, path = "a.txt", type = "txt", encoding = "UTF-8",
        segment = 0, span = { 0, 18 } } })
    local text, metadata = text_of(dir, "b.txt", "caf\xE9 cr\xE8me, na\xEFve fa\xE7ade, \xE0 la carte\n")
    test.equal(text, "café crème, naïve façade, à la carte\n")
    test.equal(metadata.encoding, "ISO-8859-1")
    test.equal(metadata.notes, { "encoding ISO-8859-1: a guess from its letters" })
    test.equal(text_of(dir, "c.txt", "\xEF\xBB\xBFmarked"), "marked")
    text, metadata = text_of(dir, "d.txt", "\xFF\xFEh\0i\0")
    test.equal(text, "hi")
    test.equal(metadata.encoding, "UTF-16LE")
    test.equal(text_of(dir, "README", "no extension\n"), "no extension\n")
  end)
end)

test.case("segments are cut at paragraphs, lines, characters, and nothing is lost", function()
  test.with_dir(function(dir)
    local paragraph = ("word "):rep(20) .. "\n"
    local bytes = (paragraph:rep(3) .. "\n"):rep(50) .. ("é"):rep(700)
    local out = records(dir, "a.txt", bytes, { segment = 512 })
    local joined, at = {}, 0
    for i, r in ipairs(out) do
      test.ok(#r.text <= 512)
      test.equal(r.metadata.span, { at, at + #r.text })
      test.equal(r.metadata.segment, i - 1)
      test.ok(utf8.len(r.text))
      at = at + #r.text
      joined[i] = r.text
    end
    test.equal(table.concat(joined), bytes)
    test.equal(out[1].text, paragraph:rep(3) .. "\n")
    out = records(dir, "b.txt", paragraph:rep(20), { segment = 512 })
    test.equal(out[1].text, paragraph:rep(5))
  end)
end)

test.case("front matter gives the title of Markdown", function()
  test.with_dir(function(dir)
    local text, metadata = text_of(dir, "a.md", "---\ntitle: \"A tale\"\nauthor: x\n---\n\n# Head\n\ntext **b**\n")
    test.equal(text, "# Head\n\ntext **b**\n")
    test.equal(metadata.title, "A tale")
    text, metadata = text_of(dir, "b.md", "# Head\n\ntext\n")
    test.equal(text, "# Head\n\ntext\n")
    test.equal(metadata.title, "Head")
    test.equal(text_of(dir, "c.md", "---\n\nrule\n"), "---\n\nrule\n")
    text = text_of(dir, "d.md", "---\nText between: two rules.\nMore of it\n---\nend\n")
    test.equal(text, "---\nText between: two rules.\nMore of it\n---\nend\n")
    text, metadata = text_of(dir, "e.md", "+++\ntitle = 'T'\ntags = [\"a\",\n  \"b\"]\n+++\nx\n")
    test.equal({ text, metadata.title }, { "x\n", "T" })
    text, metadata = text_of(dir, "f.md", "---\ntitle: X\nlang: de-AT\nauthor: A. B\ntags:\n- c\n  - d\n---\nx\n")
    test.equal({ text, metadata.title, metadata.language }, { "x\n", "X", "de-AT" })
    metadata = select(2, text_of(dir, "g.md", "```\n# a comment\n```\n\nThe title\n=========\n"))
    test.equal(metadata.title, "The title")
  end)
end)

local function html(dir, body) return text_of(dir, "a.html", "<!doctype html>" .. body) end

test.case("HTML becomes Markdown-like text", function()
  test.with_dir(function(dir)
    local text, metadata = html(dir, [[<html><head><title> The
      &amp; title</title><style>no</style><script>no</script></head><body><nav>no</nav>
      <h1>Top</h1><p>A <b>bold </b>word,   <em>some</em>&nbsp;<code>code</code>&mdash;end.</p>
      <p hidden>no</p><div style="color:red; display : none">no</div><template><p>no</p></template>
      <h3>Sub</h3><ul><li>one<li>two<ul><li>inner</ul></ul><ol><li><p>first</p></li><li>second</li></ol>
      <table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2 <b>x</b></td></tr></table>
      line<br>break<pre>  kept
   as is</pre>after <dfn>term</dfn>, tail</body></html>]])
    test.equal(text, "# Top\n\nA **bold** word, some `code`—end.\n\n### Sub\n\n- one\n- two\n  - inner\n\n"
      .. "1. first\n2. second\n\n| a | b |\n|---|---|\n| 1 | 2 **x** |\n\nline\nbreak\n\n```\n  kept\n   as is\n```\n\nafter **term**, tail\n")
    test.equal(metadata.title, "The & title")
    test.equal(metadata.type, "html")
  end)
end)

test.case("tables keep a row on a line, whatever is in the cells", function()
  test.with_dir(function(dir)
    test.equal(html(dir, "<p>x<table><caption>C</caption><tr><td>a<br>b<td><p>c</p><p>d</p><td><ul><li>e<li>f</ul>"
      .. "<tr><td><td>g</table>y"), "x\n\nC\n\n| a b | c d | - e - f |\n|---|---|---|\n| | g | |\n\ny\n")
    test.equal(html(dir, "<dl><dt>Term<dd>Meaning<dt>Other<dd>Thing</dl>"),
      "**Term**\nMeaning\n\n**Other**\nThing\n")
    test.equal(html(dir, "<h2>A <b>bold</b> head</h2><p><b>b</b>"), "## A bold head\n\n**b**\n")
  end)
end)

test.case("the declared charset of a page is honoured", function()
  test.with_dir(function(dir)
    test.equal(html(dir, "<meta charset=windows-1251><p>\xCF\xF0\xE8\xE2\xE5\xF2"), "Привет\n")
    test.equal(html(dir, "<meta http-equiv=Content-Type content='text/html; charset=iso-8859-1'><p>\x93caf\xE9\x94"),
      "“café”\n")
    test.equal(html(dir, "<meta charset=iso-8859-1><p>déjà"), "déjà\n")
    test.equal(html(dir, "<meta charset=no-such><p>plain"), "plain\n")
  end)
end)

test.case("content decides, the name only helps", function()
  test.with_dir(function(dir)
    local _, metadata = text_of(dir, "page.txt", "  <!-- c --> <HTML><body>hello")
    test.equal(metadata.type, "html")
    for name, want in pairs { ["c.txt"] = "it is binary data", ["d.txt"] = "it is a PNG image" } do
      local bytes = name == "c.txt" and "ab\0\1\2\3\0\0\0\0\255\254abc\0"
        or name == "d.txt" and "\x89PNG\r\n" or "a,b\n"
      local out, ctx = records(dir, name, bytes)
      test.equal(#out, 0)
      test.equal(ctx.rejected[1].reason, "unsupported")
      test.contains(ctx.rejected[1].detail, want)
    end
    test.equal(text_of(dir, "e.csv", "a,b\n", { type = "txt" }), "a,b\n")
    for name, bytes in pairs { ["f.txt"] = "", ["g.md"] = " \n\n", ["h.html"] = "<p></p>" } do
      local out, ctx = records(dir, name, bytes)
      test.equal(#out, 0)
      test.equal(#ctx.rejected, 1)
      test.ok(ctx.rejected[1].reason == "empty" or ctx.rejected[1].reason == "unreadable")
    end
  end)
end)

test.case("JSONL lines are records as they are", function()
  test.with_dir(function(dir)
    local lines = '{"id":"1","text":"a","n":1.50}\n\n{"id":"2",}\n' .. ('"' .. ("x"):rep(100)) .. '"\n[1]\n{"b":2}'
    local out, ctx = records(dir, "a.jsonl", lines, { max_line = 64 })
    test.equal(#out, 2)
    test.equal(out[1]:encode(), '{"id":"1","text":"a","n":1.50}')
    test.equal(out[2]:encode(), '{"b":2}')
    test.equal(#ctx.rejected, 3)
    test.equal(ctx.rejected[1].reason, "not_json")
    test.equal(ctx.rejected[3].reason, "not_a_record")
    test.contains(ctx.rejected[1].detail, "a.jsonl:3: ")
    test.equal(ctx.rejected[2].reason, "line_too_long")
    test.equal(ctx.rejected[2].record, { path = "a.jsonl", line = 4, bytes = 102 })
    test.contains(ctx.rejected[3].detail, "a.jsonl:5: ")
  end)
end)

test.case("a line of 200 MB is passed over, not held", function()
  test.with_dir(function(dir)
    local path = dir .. "/long.jsonl"
    local f = assert(io.open(path, "wb")) -- sparse
    f:seek("set", 200 << 20)
    f:write '\n{"text":"after"}\n'
    f:close()
    local ctx, out = context(), {}
    test.ok(read.each({ path = "long.jsonl", file = path }, ctx, function(r) out[#out + 1] = r end))
    test.equal(#out, 1)
    test.equal(ctx.rejected[1].reason, "line_too_long")
    test.equal(ctx.rejected[1].record.bytes, 200 << 20)
    local status <close> = assert(io.open "/proc/self/status")
    local kilobytes = tonumber(status:read "a":match "VmHWM:%s*(%d+)")
    if not (os.getenv "LATHE_BUILD" or ""):find "san" then test.ok(kilobytes < 200 << 10, kilobytes) end
  end)
end)

test.case("a damaged gzip file costs one rejection, its good lines are kept", function()
  test.with_dir(function(dir)
    local gzip = "\31\139\8\0\0\0\0\0\0\3" -- a header, one stored block, then the end is missing
      .. "\0\20\0\235\255" .. '{"a":1}\n{"b":2}\n{"c"'
    local out, ctx = records(dir, "a.jsonl.gz", gzip)
    test.ok(#out <= 2)
    test.equal(#ctx.rejected, 1)
    test.equal(ctx.rejected[1].reason, "unreadable")
  end)
end)

test.case("the demo's documents: every type, title and definition", function()
  if not file.stat "recipes/demo" then test.skip "no recipes/demo" end
  local items = list "recipes/demo/**/*.{pdf,docx,html,md,txt}"
  local seen, bold, definitions = {}, 0, 0
  for _, item in ipairs(items) do
    local ctx = context()
    test.ok(read.each(item, ctx, function(r)
      local m = r.metadata
      seen[m.type] = (seen[m.type] or 0) + 1
      seen[m.encoding or "?"] = true
      test.ok(#r.text > 1000 and utf8.len(r.text))
      if m.type ~= "txt" then test.ok(m.title, item.path) end
      test.equal(m.pages ~= nil, m.type == "pdf")
      bold = bold + select(2, r.text:gsub("%*%*[^*\n]+%*%* is ", ""))
      definitions = definitions + select(2, r.text:gsub("It is%s+used%s+to", ""))
    end))
    local missing = ctx.rejected[1] and ctx.rejected[1].detail:find "libpoppler"
    if not missing then test.equal(ctx.rejected, {}) end
    if missing then seen.pdf = 1 end
  end
  for _, kind in ipairs { "pdf", "docx", "html", "md", "txt", "UTF-8", "ISO-8859-1" } do
    test.ok(seen[kind], kind)
  end
  test.ok(bold > 3 and definitions > 60, bold .. " bold, " .. definitions .. " definitions")
end)

read.close()
return test.done()
