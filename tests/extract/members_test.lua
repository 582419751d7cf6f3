-- SPDX-License-Identifier: MIT
-- Archives: their members one by one, in memory; what is hostile, damaged or too much of it.
local test = require "tests.support.test"
local archive = require "tests.support.archive"
local extract = require "engine.extract"
local file = require "engine.file"

local x = extract.open()

-- Every member as "name=bytes" or "name!reason"; messages and notes beside it.
local function walk(bytes, options, name)
  local out, all = {}, {}
  test.with_dir(function(dir)
    local path = dir .. "/" .. (name or "a.bin")
    assert(file.write(path, bytes, false))
    local it, message, code, reason = x:members(path, options)
    if not it then
      out[1] = reason
      all[1] = { message = message, code = code, reason = reason }
      return
    end
    for m in it do
      all[#all + 1] = m
      out[#out + 1] = (m.name or "") .. (m.file and "=" .. file.read(m.file) or "!" .. m.reason)
    end
  end)
  return table.concat(out, " "), all
end

local two = { { "a.md", "one" }, { "d/b.txt", "two" } }

test.case("ZIP, TAR and their compressions give the same members", function()
  test.equal(walk(archive.zip(two)), "a.md=one d/b.txt=two")
  test.equal(walk(archive.tar(two)), "a.md=one d/b.txt=two")
  test.equal(walk(archive.gzip(archive.tar(two))), "a.md=one d/b.txt=two")
  test.equal(walk(archive.gzip "alone", nil, "x.txt.gz"), "x.txt=alone")
  local hex = { -- printf hello | zstd, xz, bzip2
    zst = "28b52ffd240529000068656c6c6fa36d9f88",
    xz = "fd377a585a000004e6d6b4460200210116000000742fe5a301000468656c6c6f00000000b137b9dbe5da1e9b00011d05b82d80af"
      .. "1fb6f37d010000000004595a",
    bz2 = "425a68393141592653591931653d00000081000244a000219a68334d07338bb9229c28480c98b29e80",
  }
  for kind, digits in pairs(hex) do
    local bytes = digits:gsub("..", function(h) return string.char(tonumber(h, 16)) end)
    test.equal(walk(bytes, nil, "y.txt." .. kind), "y.txt=hello")
  end
end)

test.case("archives inside are walked in their place, to a small depth", function()
  local inner = archive.zip { { "i.md", "in" } }
  test.equal(walk(archive.tar { { "a", "1" }, { "z.zip", inner }, { "t.tgz", archive.gzip(archive.tar(two)) },
    { "n.txt.gz", archive.gzip "note" }, { "b", "2" } }),
    "a=1 z.zip/i.md=in t.tgz/a.md=one t.tgz/d/b.txt=two n.txt=note b=2")
  local deep = "end"
  for _ = 1, 4 do deep = archive.zip { { "z", deep } } end
  local got, all = walk(archive.zip { { "z", deep }, { "after", "x" } })
  test.equal(got, "z/z/z/z!limit after=x")
  test.contains(all[1].message, "more than 3 deep")
  test.equal(walk(deep, { depth = 4 }), "z/z/z/z=end")
end)

test.case("a document that is a ZIP is a member, not an archive", function()
  local docx = archive.zip { { "word/document.xml", "<x/>" } }
  local odt = archive.zip { { "mimetype", "application/vnd.oasis.opendocument.text" }, { "content.xml", "" } }
  local got, all = walk(archive.zip { { "a.docx", docx }, { "b.odt", odt } })
  test.equal(all[1].bytes, #docx)
  test.equal(got, "a.docx=" .. docx .. " b.odt=" .. odt)
  local _, refused = walk(docx)
  test.equal(refused[1].code, "unsupported")
  test.contains(refused[1].message, "a Word document (DOCX)")
  test.equal(walk "just a text, no archive at all", "unsupported")
end)

test.case("a member can be read by the same extractor, by its own name", function()
  test.with_dir(function(dir)
    assert(file.write(dir .. "/a.zip", archive.zip { { "x.md", "# Head\n\ntext\n" }, { "y.html", "<p>para" } }, false))
    local seen = {}
    for m in x:members(dir .. "/a.zip") do
      for _ = 1, 2 do
        test.ok(x:begin(m.file, { name = m.name }))
        local segment = x:next()
        seen[#seen + 1] = x:facts().type .. ":" .. segment.text
        test.equal(x:facts().sha256, require("engine.hash").sha256(file.read(m.file)))
        test.equal(x:next(), false)
      end
    end
    test.equal(seen, { "md:# Head\n\ntext\n", "md:# Head\n\ntext\n", "html:para\n", "html:para\n" })
    test.ok(x:begin(dir .. "/a.zip"))
    local none, _, code, reason = x:next()
    test.equal({ none, code, reason }, { nil, "unsupported", "archive" })
  end)
end)

test.case("a member's file is sealed", function()
  test.with_dir(function(dir)
    assert(file.write(dir .. "/a.tar", archive.tar(two), false))
    for m in x:members(dir .. "/a.tar") do
      local f = io.open(m.file, "r+")
      if f then
        f:write "XXX"
        f:close()
      end
      test.ok(file.read(m.file) ~= "XXX")
    end
  end)
end)

test.case("hostile names are made safe, and it is said", function()
  local got, all = walk(archive.tar { { "../../etc/passwd", "1" }, { "/abs/x", "2" }, { "a/../../b", "3" },
    { "./fine", "4" }, { "C:/win", "5" }, { "new\nline", "6" }, { "..", "7" }, { "a//b", "8" } })
  test.equal(got, "etc/passwd=1 abs/x=2 a/b=3 fine=4 win=5 new line=6 unnamed=7 a/b=8")
  for i, m in ipairs(all) do test.equal(m.note ~= nil, i ~= 4 and i ~= 6 and i ~= 8, m.name) end
end)

test.case("links, devices and encrypted members are left out with a reason", function()
  local got, all = walk(archive.tar { { "l", "", type = "2", link = "/etc/passwd" }, { "h", "", type = "1", link = "a" },
    { "c", "", type = "3" }, { "p", "", type = "6" }, { "d/", "", type = "5" }, { "a", "good" } })
  test.equal(got, "l!link h!link c!special p!special a=good")
  test.contains(all[1].message, "/etc/passwd")
  got, all = walk(archive.zip { { "s", "secret", encrypted = true }, { "l", "/etc", mode = 0xA1FF }, { "a", "good" } })
  test.equal(got, "s!encrypted l!link a=good")
  test.equal(all[1].code, "format")
end)

test.case("what macOS adds is passed over", function()
  test.equal(walk(archive.zip { { "__MACOSX/._a", "x" }, { "._a", "x" }, { ".DS_Store", "x" }, { "a", "y" } }), "a=y")
end)

test.case("names of old ZIP programs are code page 437", function()
  local zip = archive.zip { { "\x81ber.txt", "u" } }
  test.equal(walk((zip:gsub("\20\0\0\8", "\20\0\0\0"))), "über.txt=u")
end)

test.case("a truncated archive keeps what came before", function()
  local big = { { "a.md", "one" }, { "b.txt", ("two "):rep(2000) }, { "c", "three" } }
  for _, bytes in pairs { archive.tar(big), archive.zip(big) } do
    local got, all = walk(bytes:sub(1, 4000))
    test.equal(got, "a.md=one b.txt!unreadable !unreadable")
    test.contains(all[3].message, "unreadable archive")
  end
  local cut, all = walk(archive.gzip(archive.tar(big)):sub(1, 4000))
  test.equal(cut, "unreadable")
  test.contains(all[1].message, "truncated gzip")
end)

test.case("limits: members, bytes of one, bytes of all, overlap", function()
  local got, all = walk(archive.tar(two), { members_max = 1 })
  test.equal(got, "a.md=one !limit")
  test.contains(all[2].message, "more than 1 members")
  got, all = walk(archive.tar { { "large", ("x"):rep(1000) }, { "small", "y" } }, { member_max = 999 })
  test.equal(got, "large!limit small=y")
  test.contains(all[1].message, "member_max (999 bytes)")
  test.equal(walk(archive.tar { { "a", ("x"):rep(600) }, { "b", ("x"):rep(600) } }, { unpacked_max = 1000 })
    :gsub("x+", "x"), "a=x !limit")
  got, all = walk(archive.zip { { "a", "same bytes" }, { "b", "same bytes", at = 0 } })
  test.equal(got, "limit")
  test.contains(all[1].message, "share their packed bytes")
end)

test.case("misuse and missing files", function()
  local it, message, code = x:members "/no/such/file.zip"
  test.equal({ it, code }, { nil, "not_found" })
  test.contains(message, "/no/such/file.zip")
  test.ok(not pcall(x.members, x, "a", { member_maxi = 1 }))
  test.with_dir(function(dir)
    assert(file.write(dir .. "/a.tar", archive.tar(two), false))
    local walk_ = x:members(dir .. "/a.tar")
    test.equal(walk_().name, "a.md")
    walk_:close()
    test.ok(not pcall(walk_))
    local names = {}
    for m in extract.members(dir .. "/a.tar") do names[#names + 1] = m.name end
    test.equal(names, { "a.md", "d/b.txt" })
    local other = extract.open()
    local left = other:members(dir .. "/a.tar")
    other:close()
    test.ok(not pcall(left))
  end)
end)

x:close()
return test.done()
