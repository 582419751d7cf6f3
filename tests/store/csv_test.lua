-- SPDX-License-Identifier: MIT
-- CSV and TSV read into JSON records.

local csv = require "engine.csv"
local file = require "engine.file"
local test = require "tests.support.test"

-- Reads text as a file: lines "N JSON" or "N refused: reason", and the facts.
local function read(text, options)
  return test.with_dir(function(dir)
    assert(file.write(dir .. "/x.csv", text, false))
    local c, message, code = csv.open(dir .. "/x.csv", options)
    if not c then return { message .. " [" .. code .. "]" } end
    local out = {}
    for line, n, reason in c:lines() do out[#out + 1] = ("%d %s"):format(n, line or "refused: " .. reason) end
    local facts = c:facts()
    c:close()
    return out, facts
  end)
end

local function gives(text, want, options)
  local out, facts = read(text, options)
  test.equal(table.concat(out, "\n"), table.concat(want, "\n"))
  return facts
end

test.case("the header names the fields; values stay strings", function()
  gives("a,b\n1,x\n2.50,\n", { '2 {"a":"1","b":"x"}', '3 {"a":"2.50","b":""}' })
  gives("a,b\r\n1,x", { '2 {"a":"1","b":"x"}' })
  gives("a,b\r1,x\r2,y\r", { '2 {"a":"1","b":"x"}', '3 {"a":"2","b":"y"}' })
end)

test.case("quotes hold delimiters, newlines and quotes", function()
  gives('a,b\n"x,1","say ""hi"",\nthen\r\ngo"\nlast,"end"', {
    [[2 {"a":"x,1","b":"say \"hi\",\nthen\r\ngo"}]], '5 {"a":"last","b":"end"}' })
  gives('a,b\nin "the" middle,"" \n"quoted" tail,\n', {
    [[2 {"a":"in \"the\" middle","b":" "}]], '3 {"a":"quoted tail","b":""}' })
end)

test.case("blank lines are passed over, an empty quoted field is a row", function()
  gives('\n\na\n\nx\n""\n', { '5 {"a":"x"}', '6 {"a":""}' })
end)

test.case("the delimiter is told by the contents", function()
  for name, d in pairs { comma = ",", tab = "\t", semicolon = ";", bar = "|" } do
    local text = ("id%stext%smore\n1%splain%s\"a%sb\"\n2%sx%sy\n"):gsub("%%s", d)
    local facts = gives(text, { ('2 {"id":"1","text":"plain","more":"a%sb"}'):format(d == "\t" and "\\t" or d),
      '3 {"id":"2","text":"x","more":"y"}' })
    test.equal(facts.delimiter, d, name)
  end
  local facts = gives("preis;text\n1,50;a, b\n2,75;c, d\n", { '2 {"preis":"1,50","text":"a, b"}', '3 {"preis":"2,75","text":"c, d"}' })
  test.equal(facts.delimiter, ";")
  gives("sep=|\na|b\n1|2\n", { '3 {"a":"1","b":"2"}' })
  gives("one\nx y\n", { '2 {"one":"x y"}' })
  gives("a,b;c\n1,2;3\n", { '2 {"a,b":"1,2","c":"3"}' }, { delimiter = ";" })
end)

test.case("ragged rows are reported with their line, or padded", function()
  gives("a,b,c\n1,2\n1,2,3,4\n1,2,3\n", { "2 refused: 2 fields, the header has 3", "3 refused: 4 fields, the header has 3",
    '4 {"a":"1","b":"2","c":"3"}' })
  gives("a,b\n1\n1,2,3\n", { '2 {"a":"1","b":null}', "3 refused: 3 fields, the header has 2" }, { ragged = "pad" })
end)

test.case("a quote that is never closed is named with its line", function()
  gives('a,b\n1,2\n3,"open\n4,5\n', { '2 {"a":"1","b":"2"}', "3 refused: a quote opened in line 3 is never closed" })
  test.contains(read('a,"b\n1,2\n')[1], "line 1: the header has a quote that is never closed [format]")
end)

test.case("encodings and byte order marks", function()
  local facts = gives("\xef\xbb\xbfa,b\n\xc3\xbc,x\n", { '2 {"a":"ü","b":"x"}' })
  test.equal(facts.encoding, "UTF-8")
  gives("a,b\ncaf\xe9 au lait,na\xefve\n", { '2 {"a":"café au lait","b":"naïve"}' })
  gives("\xff\xfea\0,\0b\0\n\0\xfc\0,\0x\0\n\0", { '2 {"a":"ü","b":"x"}' })
  gives("a\n\x93\xfa\x96\x7b\n", { '2 {"a":"日本"}' }, { encoding = "SHIFT_JIS" })
end)

test.case("names are trimmed, made up when empty, numbered when double", function()
  local facts = gives(" a ,,a,a_2\n1,2,3,4\n", { '2 {"a":"1","column_2":"2","a_2":"3","a_2_2":"4"}' })
  test.equal(facts.columns[3], "a_2")
  gives("1,2\n3,4\n", { '1 {"column_1":"1","column_2":"2"}', '2 {"column_1":"3","column_2":"4"}' }, { header = false })
end)

test.case("typed values", function()
  gives("a,b,c,d,e,f\n1,-2.5e3,true,false,,007\n1.,.5,+1,nan,0x1,1e5\n", {
    '2 {"a":1,"b":-2.5e3,"c":true,"d":false,"e":null,"f":"007"}',
    '3 {"a":"1.","b":".5","c":"+1","d":"nan","e":"0x1","f":1e5}' }, { typed = true })
end)

test.case("a giant line is reported, the next is read", function()
  gives("a,b\n" .. ("x"):rep(5000) .. ",y\n1,2\n", { "2 refused: longer than 1000 bytes", '3 {"a":"1","b":"2"}' }, { max_record = 1000 })
end)

test.case("what is no table is refused", function()
  test.contains(read("")[1], "empty: there is no row [format]")
  test.contains(read("\n\n\n")[1], "empty: there is no row [format]")
  test.contains(read("PK\3\4\0\0\0")[1], "not a text file")
  test.contains(read("a\n", { encoding = "NO-SUCH" })[1], "[unsupported]")
  test.raises("did you mean 'delimiter'", csv.open, "x", { delimitr = ";" })
  test.raises("neither 'reject' nor 'pad'", csv.open, "x", { ragged = "fill" })
  local c, _, code = csv.open "tests/store/none.csv"
  test.equal(c, nil)
  test.equal(code, "not_found")
end)

test.case("blocks end anywhere", function()
  -- 256 KiB is a block: rows of many lengths put its end into every state of the machine
  local random = require("engine.hash").rng(3, "csv")
  local text, want = { "a,b\r\n" }, {}
  local bytes = 5
  while bytes < 700000 do
    local inner = ("é\"\",\r\n"):rep(random:integer(0, 40))
    local row = ('%d,"%s"\r\n'):format(#text, inner)
    text[#text + 1], bytes = row, bytes + #row
    want[#want + 1] = ('{"a":"%d","b":"%s"}'):format(#text - 1, inner:gsub('""', '\\"'):gsub("\r\n", "\\r\\n"))
  end
  local out = read(table.concat(text))
  test.equal(#out, #want)
  for i, line in ipairs(out) do test.equal(line:match "^%d+ (.*)$", want[i]) end
end)

return test.done()
