-- SPDX-License-Identifier: MIT
-- ODT, PPTX, EPUB and notebooks: what their parts become, and what is refused. Documents are made here.
local test = require "tests.support.test"
local archive = require "tests.support.archive"
local extract = require "engine.extract"
local file = require "engine.file"
local json = require "engine.json"

local x = extract.open()

-- Text, facts and notes; or nil, message, reason.
local function read(bytes, name, options)
  return test.with_dir(function(dir)
    local path, out, notes = dir .. "/" .. name, {}, {}
    assert(file.write(path, bytes, false))
    local ok, message, _, reason = x:begin(path, options)
    local pages = {}
    while ok do
      local segment
      segment, message, _, reason = x:next()
      if not segment then break end
      out[#out + 1] = segment.text
      for _, n in ipairs(segment.notes or {}) do notes[#notes + 1] = n end
      for _, p in ipairs(segment.pages or {}) do pages[#pages + 1] = p end
    end
    if message then return nil, message, reason end
    local facts = x:facts()
    facts.pages = pages
    return table.concat(out), facts, notes
  end)
end

local function gives(bytes, name, want)
  local text, facts, notes = read(bytes, name)
  test.equal(text or facts, want)
  return facts, notes
end

local function refused(bytes, name, reason, part)
  local text, message, why = read(bytes, name)
  test.equal(text, nil)
  test.equal(why, reason, message)
  test.contains(message, part)
end

-- ---- ODT ----

local ODF = 'xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
  .. 'xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
  .. 'xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
  .. 'xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" '
  .. 'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
  .. 'xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" '
  .. 'xmlns:meta="urn:oasis:names:tc:opendocument:xmlns:meta:1.0" xmlns:dc="http://purl.org/dc/elements/1.1/" '
  .. 'xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"'

local function odt(body, styles, more)
  local members = { { "mimetype", "application/vnd.oasis.opendocument.text" },
    { "content.xml", "<office:document-content " .. ODF .. "><office:automatic-styles>" .. (styles or "")
      .. "</office:automatic-styles><office:body><office:text>" .. body .. "</office:text></office:body>"
      .. "</office:document-content>" } }
  for _, m in ipairs(more or {}) do members[#members + 1] = m end
  return archive.zip(members)
end

local function p(text, style)
  return ("<text:p%s>%s</text:p>"):format(style and (' text:style-name="%s"'):format(style) or "", text)
end
local function h(level, text) return ('<text:h text:outline-level="%d">%s</text:h>'):format(level, text) end
local function item(...) return "<text:list-item>" .. table.concat { ... } .. "</text:list-item>" end
local function list(style, ...)
  return ("<text:list%s>"):format(style and (' text:style-name="%s"'):format(style) or "")
    .. table.concat { ... } .. "</text:list>"
end

local NUMBERS = '<text:list-style style:name="N"><text:list-level-style-number text:level="1" style:num-format="1"/>'
  .. '<text:list-level-style-number text:level="2" style:num-format="a"/>'
  .. '<text:list-level-style-bullet text:level="3"/></text:list-style>'

test.case("ODT: headings, bold, white space, title", function()
  local facts = gives(odt(p("The Whole", "Title") .. h(1, "One") .. p 'a <text:span text:style-name="B">bo</text:span>'
    .. p "x<text:s text:c=\"3\"/>y<text:tab/>z<text:line-break/>next   line" .. h(2, "Two") .. p "",
    '<style:style style:name="B" style:family="text"><style:text-properties fo:font-weight="bold"/></style:style>'),
    "a.odt", "# The Whole\n\n# One\n\na **bo**\n\nx y z\nnext line\n\n## Two\n")
  test.equal(facts.type, "odt")
  test.equal(facts.title, "The Whole")
  facts = gives(odt(p "t", "", { { "meta.xml", "<office:document-meta " .. ODF .. "><office:meta><dc:title>T &amp; U</dc:title>"
    .. "<meta:initial-creator>Ann</meta:initial-creator><dc:creator>Bob</dc:creator><dc:language>de</dc:language>"
    .. "</office:meta></office:document-meta>" } }), "b.bin", "t\n")
  test.equal({ facts.title, facts.author, facts.language }, { "T & U", "Ann", "de" })
end)

test.case("ODT: lists count, nest and continue", function()
  gives(odt(list("N", item(p "one"), item(p "two", list(nil, item(p "in"), item(p "out")), p "more"), item(p "three"))
    .. list(nil, item(p "dot", list(nil, item(p "deep")))) .. p "end", NUMBERS), "a.odt",
    "1. one\n2. two\n   a. in\n   b. out\n\n   more\n3. three\n\n- dot\n  - deep\n\nend\n")
  -- LibreOffice numbers chapters by lists around headings, and deep items by empty ones around them
  gives(odt(list("N", item(h(1, "Chapter"))) .. list("N", item(list(nil, item(p "a only")))), NUMBERS), "a.odt",
    "# Chapter\n\n  a. a only\n")
end)

test.case("ODT: tables are Markdown, repeated and covered cells and inner tables too", function()
  local function cell(text, more) return ("<table:table-cell%s>%s</table:table-cell>"):format(more or "", p(text)) end
  local function row(...) return "<table:table-row>" .. table.concat { ... } .. "</table:table-row>" end
  gives(odt(p "x" .. "<table:table>" .. row(cell "A", cell "B", cell "C")
    .. row(cell("1|2", ' table:number-columns-spanned="2"'), "<table:covered-table-cell/>", cell "c")
    .. row(cell("r", ' table:number-columns-repeated="2"'), "<table:table-cell>" .. p "in" .. "<table:table>"
      .. row(cell "i", cell "j") .. "</table:table>" .. "</table:table-cell>") .. "</table:table>" .. p "y"), "a.odt",
    "x\n\n| A | B | C |\n|---|---|---|\n| 1\\|2 | | c |\n| r | r | in i j |\n\ny\n")
end)

test.case("ODT: a table of one column only places its paragraphs; a font tells code; bold ends", function()
  gives(odt('<table:table><table:table-column/><table:table-row><table:table-cell>' .. p "one" .. p "two"
    .. "</table:table-cell></table:table-row></table:table>" .. p("x = 1", "M") .. p('a <text:span text:style-name="n">b</text:span>', "b"),
    '<style:style style:name="M"><style:text-properties style:font-name="Courier New"/></style:style>'
    .. '<style:style style:name="b"><style:text-properties fo:font-weight="bold"/></style:style>'
    .. '<style:style style:name="n"><style:text-properties fo:font-weight="normal"/></style:style>'), "a.odt",
    "one\n\ntwo\n\n```\nx = 1\n```\n\n**a** b\n")
  gives(odt(p 'Run <text:span text:style-name="Source_20_Text">ls -l</text:span>, <text:span text:style-name="M">x</text:span>.',
    '<style:style style:name="M"><style:text-properties style:font-name="Mono"/></style:style>'), "a.odt", "Run `ls -l`, `x`.\n")
end)

test.case("ODT: notes, code, text boxes; contents, comments and deletions are left out", function()
  gives(odt([[<text:tracked-changes><text:p>gone</text:p></text:tracked-changes>
    <text:table-of-content><text:index-body><text:p>One 1</text:p></text:index-body></text:table-of-content>]]
    .. p('See<text:note><text:note-citation>1</text:note-citation><text:note-body>'
      .. '<text:p>A note.</text:p></text:note-body></text:note> it<office:annotation><text:p>no</text:p></office:annotation>.')
    .. p("if x:", "Preformatted_20_Text") .. p('<text:s text:c="4"/>y', "Code")
    .. p "<draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame>around",
    '<style:style style:name="Code" style:parent-style-name="Preformatted_20_Text"/>'), "a.odt",
    "See[^1] it.\n\n```\nif x:\n    y\n```\n\nboxed\n\naround\n\n[^1]: A note.\n")
end)

test.case("ODT: flat, in one XML file", function()
  local facts = gives('<?xml version="1.0"?><office:document ' .. ODF .. ' office:mimetype="application/vnd.oasis.opendocument.text">'
    .. "<office:meta><dc:title>Flat</dc:title></office:meta><office:automatic-styles>" .. NUMBERS .. "</office:automatic-styles>"
    .. "<office:body><office:text>" .. h(1, "One") .. list("N", item(p "a")) .. "</office:text></office:body></office:document>",
    "a.xml", "# One\n\n1. a\n")
  test.equal({ facts.type, facts.title }, { "odt", "Flat" })
  refused('<?xml version="1.0"?><office:document ' .. ODF .. "><office:body>", "a.fodt", "unreadable", "ODT")
end)

test.case("ODT: encrypted, without content, truncated, with a DTD", function()
  local entry = "<manifest:manifest " .. ODF .. "><manifest:file-entry><manifest:encryption-data/></manifest:file-entry></manifest:manifest>"
  refused(odt("", "", { { "META-INF/manifest.xml", entry } }), "a.odt", "unreadable", "it is encrypted")
  refused(archive.zip { { "mimetype", "application/vnd.oasis.opendocument.text" } }, "a.odt", "unreadable", "no content.xml")
  local whole = odt(p(("long text "):rep(5000)))
  refused(whole:sub(1, 30000), "a.odt", "unreadable", "ODT")
  refused(archive.zip { { "content.xml", '<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>' } }, "a.odt", "unreadable", "DTD")
  refused(archive.zip { { "mimetype", "application/vnd.oasis.opendocument.spreadsheet" } }, "a.ods", "unsupported", "spreadsheet")
  refused("plain", "a.odt", "unreadable", "not a ZIP archive")
  refused("", "a.odt", "unreadable", "empty")
  refused(odt "", "a.odt", "empty", "no text")
end)

-- ---- PPTX ----

local OOXML = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
  .. 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
  .. 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
local RELATIONS = 'xmlns="http://schemas.openxmlformats.org/package/2006/relationships"'
local TYPE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"

local function shape(kind, ...)
  local ph = kind and ("<p:nvPr><p:ph%s/></p:nvPr>"):format(kind == "" and "" or (' type="%s"'):format(kind)) or ""
  return "<p:sp><p:nvSpPr>" .. ph .. "</p:nvSpPr><p:txBody>" .. table.concat { ... } .. "</p:txBody></p:sp>"
end
local function ap(text, properties)
  return "<a:p>" .. (properties or "") .. "<a:r><a:t>" .. text .. "</a:t></a:r></a:p>"
end
local function slide(body, attributes)
  return "<p:sld " .. OOXML .. " " .. (attributes or "") .. "><p:cSld><p:spTree>" .. body .. "</p:spTree></p:cSld></p:sld>"
end

-- slides: list of { part name, xml, notes }, in the order of the presentation
local function pptx(slides, more)
  local ids, relations, members = {}, {}, {}
  for i, s in ipairs(slides) do
    ids[i] = ('<p:sldId id="%d" r:id="r%d"/>'):format(255 + i, i)
    relations[i] = ('<Relationship Id="r%d" Type="%sslide" Target="slides/%s"/>'):format(i, TYPE, s[1])
    table.insert(members, 1, { "ppt/slides/" .. s[1], s[2] }) -- not in their order
    if s[3] then
      members[#members + 1] = { "ppt/notesSlides/n.xml", s[3] }
      members[#members + 1] = { "ppt/slides/_rels/" .. s[1] .. ".rels",
        ('<Relationships %s><Relationship Id="x" Type="%snotesSlide" Target="../notesSlides/n.xml"/></Relationships>'):format(RELATIONS, TYPE) }
    end
  end
  members[#members + 1] = { "ppt/presentation.xml", "<p:presentation " .. OOXML .. "><p:sldIdLst>" .. table.concat(ids) .. "</p:sldIdLst></p:presentation>" }
  members[#members + 1] = { "ppt/_rels/presentation.xml.rels", "<Relationships " .. RELATIONS .. ">" .. table.concat(relations) .. "</Relationships>" }
  for _, m in ipairs(more or {}) do members[#members + 1] = m end
  return archive.zip(members)
end

test.case("PPTX: slides in the presentation's order, titles first, lists, tables, notes", function()
  local cell = "<a:tc><a:txBody>%s</a:txBody></a:tc>"
  local facts, notes = gives(pptx {
    { "slide7.xml", slide(shape("ctrTitle", ap "Main") .. shape("subTitle", ap "Sub")) },
    { "slide1.xml", slide(shape("", ap "one") .. shape("title", ap "Late title")
      .. shape("ftr", ap "footer") .. shape(nil, ap "free")), slide(shape("sldImg") .. shape("body", ap "Say it.")) },
    { "slide3.xml", slide(shape("body", ap "a"), 'show="0"') },
    { "slide2.xml", slide(shape("body", ap "top", ap("deep", '<a:pPr lvl="1"/>'), ap("plain", "<a:pPr><a:buNone/></a:pPr>"),
      ap("first", '<a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr>'), ap("second", '<a:pPr><a:buAutoNum type="arabicPeriod"/></a:pPr>'))
      .. "<p:graphicFrame><a:tbl><a:tr>" .. cell:format(ap "H") .. cell:format(ap "I") .. "</a:tr><a:tr>"
      .. cell:format(ap "1") .. cell:format(ap "2") .. "</a:tr></a:tbl></p:graphicFrame>") },
  }, "a.pptx", "# Main\n\nSub\n\n## Late title\n\n- one\n\nfree\n\nNotes: Say it.\n\n- top\n  - deep\n\nplain\n\n1. first\n2. second\n\n"
    .. "| H | I |\n|---|---|\n| 1 | 2 |\n")
  test.equal(facts.type, "pptx")
  test.equal(facts.title, "Main")
  test.equal(#facts.pages, 3)
  test.equal(facts.pages[3][1], 4)
  test.equal(notes, { "hidden slides left out: 1" })
end)

test.case("PPTX: facts, and what is refused", function()
  local core = '<c:coreProperties xmlns:c="x" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>'
    .. 'PowerPoint Presentation</dc:title><dc:creator>Cy</dc:creator></c:coreProperties>'
  local facts = gives(pptx({ { "s.xml", slide(shape("title", ap "T")) } }, { { "docProps/core.xml", core } }), "a.pptx", "## T\n")
  test.equal({ facts.title, facts.author }, { "T", "Cy" })
  refused(archive.zip { { "[Content_Types].xml", "presentationml.presentation.main+xml" } }, "a.pptx", "unreadable", "no ppt/presentation.xml")
  refused(pptx { { "s.xml", "<!DOCTYPE x><p/>" } }, "a.pptx", "unreadable", "DTD")
  refused(pptx { { "s.xml", slide(shape("title", ap "T")):sub(1, -20) } }, "a.pptx", "unreadable", "s.xml")
  refused(archive.zip { { "xl/workbook.xml", "x" } }, "a.pptx", "unsupported", "XLSX")
  refused(archive.zip { { "ppt/presentation.xml", "secret", encrypted = true } }, "a.pptx", "unreadable", "encrypted")
end)

-- ---- EPUB ----

local CONTAINER = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>'

local function epub(manifest, spine, files, more)
  local members = { { "mimetype", "application/epub+zip" }, { "META-INF/container.xml", CONTAINER },
    { "OEBPS/b.opf", '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
      .. "<dc:title>The Book</dc:title><dc:creator>A. Writer</dc:creator><dc:creator>B. Other</dc:creator><dc:language>fr</dc:language></metadata>"
      .. "<manifest>" .. manifest .. "</manifest><spine>" .. spine .. "</spine>" .. (more or "") .. "</package>" } }
  for _, f in ipairs(files) do members[#members + 1] = f end
  return archive.zip(members)
end
local function entry(id, href, properties)
  return ('<item id="%s" href="%s" media-type="application/xhtml+xml"%s/>'):format(id, href,
    properties and (' properties="%s"'):format(properties) or "")
end
local function page(body, title)
  return '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml"><head><title>'
    .. (title or "t") .. "</title></head><body>" .. body .. "</body></html>"
end

test.case("EPUB: chapters in the spine's order, navigation left out", function()
  local facts, notes = gives(epub(entry("b", "text/two%20b.xhtml") .. entry("nav", "nav.xhtml", "nav") .. entry("a", "one.xhtml")
    .. entry("toc", "toc.xhtml") .. entry("gone", "gone.xhtml"),
    '<itemref idref="nav"/><itemref idref="toc"/><itemref idref="a"/><itemref idref="b" linear="no"/><itemref idref="gone"/>',
    { { "OEBPS/text/two b.xhtml", page "<h2>Two</h2><table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>" },
      { "OEBPS/one.xhtml", page("<h1>One</h1><p>é text<a id='x'/> more</p>", "Chapter title") },
      { "OEBPS/nav.xhtml", page "<nav><ol><li>One</li></ol></nav>" }, { "OEBPS/toc.xhtml", page "<p>One … 1</p>" } },
    '<guide><reference type="toc" href="toc.xhtml"/></guide>'), "a.epub",
    "# One\n\né text more\n\n## Two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
  test.equal({ facts.type, facts.title, facts.author, facts.language }, { "epub", "The Book", "A. Writer", "fr" })
  test.equal(notes, { "chapters missing from the book: 1" })
end)

test.case("EPUB: copy protection, scrambled fonts, damage", function()
  local files = { { "OEBPS/one.xhtml", page "<p>text</p>" } }
  local function protected(algorithm, uri)
    return { "META-INF/encryption.xml", ('<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod Algorithm="%s"/>'
      .. '<enc:CipherData><enc:CipherReference URI="%s"/></enc:CipherData></enc:EncryptedData></encryption>'):format(algorithm, uri) }
  end
  local function book(extra) return epub(entry("a", "one.xhtml"), '<itemref idref="a"/>', { files[1], extra }) end
  refused(book(protected("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/one.xhtml")), "a.epub", "unreadable", "encrypted")
  gives(book(protected("http://www.idpf.org/2008/embedding", "OEBPS/f.otf")), "a.epub", "text\n")
  refused(archive.zip { { "mimetype", "application/epub+zip" } }, "a.epub", "unreadable", "container.xml")
  gives(epub(entry("a", "one.xhtml", "nav"), '<itemref idref="a"/>', { files[1] }), "a.epub", "text\n") -- mislabelled
  refused(epub("", "", {}), "a.epub", "unreadable", "names no chapter")
  refused(epub(entry("a", "../../../etc/passwd"), '<itemref idref="a"/>', {}), "a.epub", "unreadable", "names no chapter")
end)

-- ---- notebooks ----

local function notebook(cells, metadata)
  return json.encode { cells = json.array(cells), metadata = metadata or {}, nbformat = 4, nbformat_minor = 5 }
end

test.case("IPYNB: Markdown as it is, code fenced in the kernel's language, outputs short", function()
  local long = {}
  for i = 1, 30 do long[i] = "line " .. i .. "\n" end
  local facts, notes = gives(notebook({
    { cell_type = "markdown", source = json.array { "# Title\r\n", "\n", "*text* ![p](data:image/png;base64," .. ("A"):rep(99) .. ")" } },
    { cell_type = "code", source = "a <- 1\n", outputs = json.array { { output_type = "stream", text = json.array { "\27[31mred\27[0m\n" } },
      { output_type = "display_data", data = { ["image/png"] = "AA", ["text/plain"] = "<Figure size 1x1>" } },
      { output_type = "error", ename = "E", evalue = "bad", traceback = json.array { "x" } } } },
    { cell_type = "code", source = "b = '```'", outputs = json.array {} },
    { cell_type = "code", source = "", outputs = json.array { { output_type = "stream", text = json.array(long) } } },
    { cell_type = "raw", source = "raw" },
  }, { kernelspec = { language = "R" }, authors = json.array { { name = "Dee" } } }), "a.ipynb",
    "# Title\n\n*text* ![p](data:image/png)\n\n```R\na <- 1\n```\n\n```output\nred\nE: bad\n```\n\n````R\nb = '```'\n````\n\n```output\n"
    .. table.concat(long, "", 1, 20) .. "…\n```\n\nraw\n")
  test.equal({ facts.type, facts.title, facts.author }, { "ipynb", "Title", "Dee" })
  test.equal(#notes, 1)
end)

test.case("IPYNB: told by content; version 3; what is refused", function()
  gives('{"cells": [{"cell_type": "code", "source": ["x"], "outputs": []}], "nbformat": 4}', "a.json", "```python\nx\n```\n")
  gives('{"worksheets": [{"cells": [{"cell_type": "heading", "level": 2, "source": ["H"]}, {"cell_type": "code", "input": ["x"],'
    .. '"language": "python", "outputs": [{"text": ["1"]}]}]}], "nbformat": 3, "metadata": {}}', "a.ipynb",
    "## H\n\n```python\nx\n```\n\n```output\n1\n```\n")
  refused('{"cells": [{"cell_type": "code"', "a.ipynb", "unreadable", "not JSON")
  refused('{"a": 1}', "a.ipynb", "unreadable", "no list of cells")
  refused("\0\1\2binary\255", "a.ipynb", "unreadable", "IPYNB")
  refused("", "a.ipynb", "unreadable", "empty")
end)

-- ---- DOCX: what docx_test.c does not have ----

local W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
local function docx(body, members)
  local all = { { "[Content_Types].xml", "wordprocessingml.document.main+xml" },
    { "word/document.xml", "<w:document " .. W .. "><w:body>" .. body .. "</w:body></w:document>" } }
  for _, m in ipairs(members or {}) do all[#all + 1] = m end
  return archive.zip(all)
end
local function wp(text, properties)
  return "<w:p>" .. (properties and "<w:pPr>" .. properties .. "</w:pPr>" or "") .. "<w:r><w:t>" .. text .. "</w:t></w:r></w:p>"
end
local function numbered(level, number) return ('<w:numPr><w:ilvl w:val="%d"/><w:numId w:val="%d"/></w:numPr>'):format(level, number) end

test.case("DOCX: lists count as numbering.xml says", function()
  local numbering = "<w:numbering " .. W .. '><w:abstractNum w:abstractNumId="4"><w:lvl w:ilvl="0"><w:start w:val="3"/><w:numFmt w:val="decimal"/></w:lvl>'
    .. '<w:lvl w:ilvl="1"><w:start w:val="1"/><w:numFmt w:val="lowerRoman"/></w:lvl></w:abstractNum>'
    .. '<w:abstractNum w:abstractNumId="5"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
    .. '<w:num w:numId="1"><w:abstractNumId w:val="4"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="5"/></w:num>'
    .. '<w:num w:numId="3"><w:abstractNumId w:val="4"/><w:lvlOverride w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num></w:numbering>'
  gives(docx(wp("a", numbered(0, 1)) .. wp("b", numbered(1, 1)) .. wp("c", numbered(1, 1)) .. wp("d", numbered(0, 1)) .. wp("e", numbered(1, 1))
    .. wp("f", numbered(0, 2)) .. wp "text" .. wp("g", numbered(0, 3)) .. wp("h", numbered(0, 3)) .. wp("i", numbered(0, 0)),
    { { "word/numbering.xml", numbering } }), "a.docx",
    "3. a\n   i. b\n   ii. c\n4. d\n   i. e\n\n- f\n\ntext\n\n1. g\n2. h\n\ni\n")
end)

test.case("DOCX: notes; code; a table of contents is left out; old properties do not count", function()
  local notes = "<w:footnotes " .. W .. '><w:footnote w:type="separator" w:id="0"><w:p/></w:footnote>'
    .. '<w:footnote w:id="2">' .. wp "The note." .. "</w:footnote></w:footnotes>"
  gives(docx('<w:sdt><w:sdtPr><w:docPartObj><w:docPartGallery w:val="Table of Contents"/></w:docPartObj></w:sdtPr><w:sdtContent>' .. wp "One 1"
    .. "</w:sdtContent></w:sdt>" .. wp("Two 2", '<w:pStyle w:val="TOC1"/>')
    .. '<w:p><w:r><w:t>See</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r><w:r><w:t xml:space="preserve"> it.</w:t></w:r></w:p>'
    .. wp("if x:", '<w:pStyle w:val="SourceCode"/>') .. wp("  y", '<w:pStyle w:val="SourceCode"/>')
    .. wp("was a heading", '<w:pPrChange><w:pPr><w:pStyle w:val="Heading1"/></w:pPr></w:pPrChange>'),
    { { "word/footnotes.xml", notes } }), "a.docx", "See[^1] it.\n\n```\nif x:\n  y\n```\n\nwas a heading\n\n[^1]: The note.\n")
end)

test.case("DOCX: a large first letter joins its word; rows may begin later", function()
  gives(docx(wp("O", '<w:framePr w:dropCap="drop"/>') .. wp "nce upon"), "a.docx", "Once upon\n")
  local function row(before, ...)
    local cells = {}
    for i, t in ipairs { ... } do cells[i] = "<w:tc>" .. wp(t) .. "</w:tc>" end
    return "<w:tr>" .. (before and '<w:trPr><w:gridBefore w:val="1"/></w:trPr>' or "") .. table.concat(cells) .. "</w:tr>"
  end
  gives(docx('<w:p><w:r><w:t xml:space="preserve">Run </w:t></w:r><w:r><w:rPr><w:rStyle w:val="VerbatimChar"/><w:b/></w:rPr>'
    .. "<w:t>ls -l</w:t></w:r><w:r><w:t>.</w:t></w:r></w:p>"), "a.docx", "Run `ls -l`.\n")
  gives(docx("<w:tbl>" .. row(false, "a", "b") .. row(true, "c") .. "</w:tbl>"), "a.docx", "| a | b |\n|---|---|\n| | c |\n")
end)

test.case("DOCX: merged cells, and the part that _rels names", function()
  gives(docx("<w:tbl><w:tr><w:tc><w:tcPr><w:gridSpan w:val=\"2\"/></w:tcPr>" .. wp "AB" .. "</w:tc><w:tc>" .. wp "C" .. "</w:tc></w:tr><w:tr><w:tc>"
    .. wp "1" .. "</w:tc><w:tc>" .. wp "2" .. "</w:tc><w:tc>" .. wp "3" .. "</w:tc></w:tr></w:tbl>"), "a.docx",
    "| AB | | C |\n|---|---|---|\n| 1 | 2 | 3 |\n")
  gives(archive.zip { { "_rels/.rels",
    ('<Relationships %s><Relationship Id="1" Type="%sofficeDocument" Target="/doc/main.xml"/></Relationships>'):format(RELATIONS, TYPE) },
    { "[Content_Types].xml", "wordprocessingml.document.main+xml" },
    { "doc/main.xml", "<w:document " .. W .. "><w:body>" .. wp "elsewhere" .. "</w:body></w:document>" } }, "a.docx", "elsewhere\n")
end)

-- ---- all of them ----

test.case("the content decides: a wrong name does not matter, a wrong promise is said", function()
  local text, facts = read(odt(p "t"), "a.docx")
  test.equal({ text, facts.type }, { "t\n", "odt" })
  text, facts = read(docx(wp "t"), "a.txt")
  test.equal({ text, facts.type }, { "t\n", "docx" })
  refused(archive.zip { { "a.txt", "x" } }, "a.epub", "unreadable", "EPUB")
  refused("\208\207\17\224\161\177\26\225" .. ("\0"):rep(1000) .. ("EncryptedPackage"):gsub(".", "%0\0") .. ("\0"):rep(1000), "a.docx",
    "unreadable", "it is encrypted")
  refused("\208\207\17\224\161\177\26\225" .. ("\0"):rep(1000), "a.doc", "unsupported", "an old Word")
  for _, name in ipairs { "a.docx", "a.odt", "a.pptx", "a.epub" } do
    refused("PK\3\4" .. ("x"):rep(100), name, "unreadable", name:match "%w+$":upper())
  end
end)

test.case("every cut of a document ends in text or in one clear reason", function()
  local whole = { odt(h(1, "One") .. p "two"), docx(wp "t"), epub(entry("a", "one.xhtml"), '<itemref idref="a"/>', { { "OEBPS/one.xhtml", page "<p>x</p>" } }),
    pptx { { "s.xml", slide(shape("title", ap "T")) } } }
  for i, bytes in ipairs(whole) do
    for cut = 40, #bytes - 1, #bytes // 7 do
      local text, message, reason = read(bytes:sub(1, cut), ({ "a.odt", "a.docx", "a.epub", "a.pptx" })[i])
      test.ok(text or reason == "unreadable" or reason == "empty", message)
    end
  end
end)

x:close()
return test.done()
