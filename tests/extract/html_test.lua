-- SPDX-License-Identifier: MIT
-- HTML: every case of html.cases, and what a page may not do to us.

local test = require "tests.support.test"
local file = require "engine.file"
local extract = require "engine.extract"

local x = assert(extract.open())

-- The text of a page, its facts and its notes.
local function read(dir, bytes, name)
  local path = dir .. "/" .. (name or "page.html")
  assert(file.write(path, bytes, false))
  local ok, message = x:begin(path)
  if not ok then return nil, message end
  local out, notes = {}, {}
  while true do
    local segment, problem = x:next()
    if segment == nil then return nil, problem end
    if not segment then break end
    out[#out + 1] = segment.text
    for _, note in ipairs(segment.notes or {}) do notes[#notes + 1] = note end
  end
  return table.concat(out), x:facts(), notes
end

test.case("each page of html.cases gives its text", function()
  local source = assert(file.read "tests/extract/html.cases")
  local count = 0
  test.with_dir(function(dir)
    local at = source:find("\n### ", 1, true)
    while at do
      local stop = source:find("\n\n### ", at + 1, true) or #source
      local name, html, want = source:sub(at + 5, stop):match "^([^\n]*)\n(.-)\n%-%-%-%-\n(.*)$"
      count = count + 1
      local text, problem = read(dir, html)
      test.equal({ name, text or problem }, { name, want })
      at = stop < #source and stop + 1 or nil
    end
  end)
  test.ok(count >= 28, count)
end)

test.case("title, language and charset", function()
  test.with_dir(function(dir)
    local _, facts = read(dir, "<html lang=pt-BR><head><title> A  &amp; B </title><body><p>x")
    test.equal({ facts.title, facts.language }, { "A & B", "pt-BR" })
    local text, f = read(dir, "<meta charset=shift_jis><p>\x93\xfa\x96\x7b\x8c\xea")
    test.equal({ text, f.encoding }, { "日本語\n", "shift_jis" })
    test.equal(read(dir, "\xff\xfe<\0p\0>\0h\0i\0"), "hi\n")
    test.equal(read(dir, "<?xml version='1.0' encoding='koi8-r'?><html><body><p>\xf0\xd2\xc9"), "При\n")
    test.equal(read(dir, "<?xml version='1.0' encoding='iso-8859-5'?><html><body><p>\xbf\xe0\xd8"), "При\n")
  end)
end)

test.case("a page of binary data is refused", function()
  test.with_dir(function(dir)
    local text, problem = read(dir, "<html>" .. ("\0\1\2\3abc\255"):rep(100))
    test.equal(text, nil)
    test.contains(problem, "goes on with binary data")
  end)
end)

test.case("what is left out is counted", function()
  test.with_dir(function(dir)
    local text, _, notes = read(dir, "<nav><a href=x>Home page</a></nav><p>" .. ("A sentence here. "):rep(9))
    test.equal(#notes, 1)
    test.contains(notes[1], "left out: 8 characters")
    test.equal(text:find "Home", nil)
  end)
end)

test.case("malformed, deep and huge pages are bounded", function()
  test.with_dir(function(dir)
    local text = read(dir, ("<div>"):rep(5000) .. "deep" .. ("</div>"):rep(5000))
    test.equal(text, "deep\n")
    text = read(dir, ("<ul><li>"):rep(300) .. "deep")
    test.contains(text, "deep\n")
    text = read(dir, "<p title='" .. ("x"):rep(1 << 20) .. "'>short")
    test.equal(text, "short\n")
    text = read(dir, "<p>a<b>b<i>c</b>d</i></p></div></table><td>e<li>f")
    test.contains(text, "a**bc**d")
    text = read(dir, "<table>" .. ("<tr><td>x<td>y"):rep(40000))
    test.equal(select(2, text:gsub("\n", "")), 40001)
    local _, problem = read(dir, ("<b>"):rep(300000) .. "x")
    test.contains(problem, "limit: elements nested more than")
  end)
end)

return test.done()
