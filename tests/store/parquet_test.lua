-- SPDX-License-Identifier: MIT
-- Parquet read: small files of other programs (tests/reference/parquet.py made them and the rows that are
-- expected), and files that lie.

local file = require "engine.file"
local json = require "engine.json"
local parquet = require "engine.parquet"
local test = require "tests.support.test"

local FOLDER = "tests/store/reference/"

local function rows(path, options)
  local p <close> = assert(parquet.open(path, options))
  local out = {}
  for line, n in p:lines() do
    out[#out + 1] = line
    assert(n == #out)
  end
  assert(#out == #p)
  return out
end

local expected = {}
for line in file.lines(FOLDER .. "expected.jsonl") do expected[#expected + 1] = line end

for _, name in ipairs { "plain_v1", "snappy_v2_groups", "gzip_pages", "zstd_v2", "lz4", "encodings_v2" } do
  test.case("every type and encoding: " .. name, function()
    local p, message, code = parquet.open(FOLDER .. name .. ".parquet")
    if not p then error(message) end
    local first, why = p:lines():next()
    p:close()
    if not first and why:find "built? has no libzstd" then test.skip(why) end
    local got = rows(FOLDER .. name .. ".parquet")
    test.equal(#got, #expected)
    for i, line in ipairs(got) do test.equal(line, expected[i]) end
    test.equal(code, nil)
  end)
end

test.case("a file of DuckDB's: uuid, interval, wide decimals", function()
  local got = rows(FOLDER .. "duckdb.parquet")
  test.equal(got[3], [[{"id":2,"text":"row 2","list":[2,null],"struct":{"a":2,"b":"x"},"map":{"k":2},]]
    .. [["uuid":"00112233-4455-6677-8899-aabbccddeeff","wait":"P0M2DT0S","big":"2000000000000"}]])
end)

test.case("columns are chosen by name and by path", function()
  local got = rows(FOLDER .. "plain_v1.parquet", { columns = { "text", "struct.a" } })
  test.equal(got[1], '{"text":"plain","struct":{"a":1}}')
  test.equal(got[2], '{"text":null,"struct":null}')
  got = rows(FOLDER .. "plain_v1.parquet", { columns = { "messages.list.element.role", "id" } })
  test.equal(got[1], '{"id":0,"messages":[{"role":"user"},{"role":"assistant"}]}')
  got = rows(FOLDER .. "plain_v1.parquet", { columns = { "map.key_value.value" } })
  test.equal(got[1], '{"map":[{"value":1},{"value":null}]}')
  local p, message, code = parquet.open(FOLDER .. "plain_v1.parquet", { columns = { "txt" } })
  test.equal(p, nil)
  test.equal(code, "misuse")
  test.contains(message, "there is no column 'txt' (there are: id, text, rising")
end)

test.case("nulls can be left out, bytes can be text", function()
  local got = rows(FOLDER .. "plain_v1.parquet", { columns = { "text", "blob", "list" }, nulls = "drop", binary = "text" })
  test.equal(got[2], '{"list":[]}')
  test.equal(got[4], '{"text":"日本 ü","blob":"abc","list":[7]}')
  test.raises("unknown option 'colums'; did you mean 'columns'", parquet.open, "x", { colums = {} })
  test.raises("neither 'drop' nor 'keep'", parquet.open, "x", { nulls = "dorp" })
end)

test.case("the schema and the facts say what is there", function()
  local p <close> = assert(parquet.open(FOLDER .. "duckdb.parquet"))
  local schema = p:schema()
  local types = {}
  for i, column in ipairs(schema) do types[i] = column.name .. " " .. column.type end
  test.equal(table.concat(types, ", "), "id int32, text string, list list, struct struct, map map, uuid uuid, "
    .. "wait interval, big decimal(38, 0)")
  test.equal(p:facts().rows, 4)
  test.contains(p:facts().created_by, "DuckDB")
  test.equal(#p, 4)
  test.equal(tostring(p), "Parquet file of 4 rows")
end)

test.case("a record that is too long is named, and the rows behind it are read", function()
  local p <close> = assert(parquet.open(FOLDER .. "plain_v1.parquet", { columns = { "text", "list" }, max_record = 40 }))
  local got = {}
  for line in p:lines() do got[#got + 1] = line and #line <= 40 end
  test.equal(#got, 12)
  test.equal(got[6], false)
  test.equal(got[7], true)
end)

test.case("lines begins again each time; a closed file says so", function()
  local p = assert(parquet.open(FOLDER .. "plain_v1.parquet", { columns = { "id" } }))
  test.equal(p:lines()(), '{"id":0}')
  test.equal(p:lines()(), '{"id":0}')
  p:close()
  test.raises("closed", p.lines, p)
end)

local function refused(bytes, part, want)
  test.with_dir(function(dir)
    assert(file.write(dir .. "/x.parquet", bytes, false))
    local p, message, code = parquet.open(dir .. "/x.parquet")
    if p then
      local rows_ = p:lines()
      repeat
        local line
        line, message, code = rows_:next()
      until line == nil
      p:close()
    end
    test.contains(message, part)
    test.equal(code, want or "format")
  end)
end

test.case("what is no Parquet file is refused by name", function()
  local whole = assert(file.read(FOLDER .. "plain_v1.parquet"))
  refused("", "not a Parquet file")
  refused('{"a": 1}\n{"a": 2}\n', "not a Parquet file")
  refused(whole:sub(1, -100), "cut short")
  refused(whole:sub(1, -5) .. "PARE", "encrypted", "unsupported")
  refused("PAR1" .. ("<I4"):pack(1000) .. "PAR1", "a footer of 1000 bytes in a file of 12")
  refused("PAR1" .. "\xff\xff" .. ("<I4"):pack(2) .. "PAR1", "")
  local p, message, code = parquet.open "tests/store"
  test.equal(p, nil)
  test.contains(message, "tests/store: ")
  test.equal(code, "unsupported")
  local _
  p, _, code = parquet.open "tests/store/none.parquet"
  test.equal(p, nil)
  test.equal(code, "not_found")
end)

test.case("a damaged page is found by its checksum", function()
  local whole = assert(file.read(FOLDER .. "gzip_pages.parquet"))
  refused(whole:sub(1, 60) .. string.char(whole:byte(61) ~ 4) .. whole:sub(62), "")
end)

-- Thrift by hand, to lie with. Fields are { id, type, value }.
local function varint(n)
  local out = ""
  while n > 127 do
    out, n = out .. string.char(n & 127 | 128), n >> 7
  end
  return out .. string.char(n)
end
local function zigzag(n) return varint(n < 0 and ~(n << 1) or n << 1) end
local function struct(...)
  local out, last = "", 0
  for _, f in ipairs { ... } do
    local id, kind, value = f[1], f[2], f[3]
    local code = ({ int = 6, text = 8, list = 9, struct = 12 })[kind]
    out, last = out .. string.char(id - last << 4 | code), id
    if kind == "int" then out = out .. zigzag(value)
    elseif kind == "text" then out = out .. varint(#value) .. value
    elseif kind == "list" then out = out .. string.char(0xF0 | (f[4] or 12)) .. varint(#value) .. table.concat(value)
    else out = out .. value end
  end
  return out .. "\0"
end
local function whole(pages, schema, groups)
  local footer = struct({ 1, "int", 1 }, { 2, "list", schema }, { 3, "int", 1 }, { 4, "list", groups })
  return "PAR1" .. pages .. footer .. ("<I4"):pack(#footer) .. "PAR1"
end
local root = struct({ 4, "text", "root" }, { 5, "int", 1 })
local function leaf(kind, repetition) return struct({ 1, "int", kind }, { 3, "int", repetition or 0 }, { 4, "text", "x" }) end
local function group(rows_, values, bytes, at, more)
  local meta = struct({ 1, "int", 2 }, { 4, "int", 0 }, { 5, "int", values }, { 7, "int", bytes }, { 9, "int", at or 4 })
  return struct({ 1, "list", { struct({ 2, "int", 4 }, { 3, "struct", meta }, more) } }, { 3, "int", rows_ })
end
local function page(values, size, bytes, encoding)
  return struct({ 1, "int", 0 }, { 2, "int", size }, { 3, "int", #bytes },
    { 5, "struct", struct({ 1, "int", values }, { 2, "int", encoding or 0 }, { 3, "int", 3 }, { 4, "int", 3 }) }) .. bytes
end

test.case("the files below are well made where they do not lie", function()
  local pages = page(2, 16, ("<i8i8"):pack(7, -1))
  test.with_dir(function(dir)
    assert(file.write(dir .. "/x.parquet", whole(pages, { root, leaf(2) }, { group(2, 2, #pages) }), false))
    test.equal(table.concat(rows(dir .. "/x.parquet")), '{"x":7}{"x":-1}')
  end)
end)

test.case("lying sizes, counts and shapes are named", function()
  local pages = page(2, 16, ("<i8i8"):pack(7, -1))
  local schema = { root, leaf(2) }
  refused(whole(pages, schema, { group(2, 2, 1 << 40) }), "lies outside the file")
  refused(whole(pages, schema, { group(2, 2, #pages, -1) }), "lies outside the file")
  refused(whole(pages, schema, { group(-1, 2, #pages) }), "has -1 rows")
  refused(whole(pages, schema, { group(3, 3, #pages) }), "1 values are missing")
  refused(whole(pages, schema, { group(3, 2, #pages) }), "disagrees")
  refused(whole(pages, schema, { group(2, 1, #pages) }), "more values than the column has")
  refused(whole(pages, schema, { group(1 << 40, 1 << 40, #pages) }), "a bomb", "limit")
  refused(whole(pages, { root }, { group(2, 2, #pages) }), "lacks elements")
  refused(whole(pages, { root, leaf(2), leaf(2) }, { group(2, 2, #pages) }), "nobody's")
  refused(whole(pages, { root, leaf(4) }, { group(2, 2, #pages) }), "another type")
  refused(whole(pages, schema, { struct { 3, "int", 2 } }), "has 0 columns, the schema 1")
  refused(whole(pages, schema, { group(2, 2, #pages, 4, { 8, "struct", "\0" }) }), "encrypted", "unsupported")
  local deep = {}
  for i = 1, 200 do deep[i] = root end
  deep[201] = leaf(2)
  refused(whole(pages, deep, { group(2, 2, #pages) }), "deeper than 100", "limit")
  pages = page(2, 1 << 30, ("<i8i8"):pack(7, -1))
  refused(whole(pages, schema, { group(2, 2, #pages) }), "at most 268435456 are read", "limit")
  pages = page(2, 17, ("<i8i8"):pack(7, -1))
  refused(whole(pages, schema, { group(2, 2, #pages) }), "damaged uncompressed data")
  pages = page(2, 8, ("<i8"):pack(7))
  refused(whole(pages, schema, { group(2, 2, #pages) }), "fewer values than it promises")
  pages = page(2, 16, ("<i8i8"):pack(7, -1), 8)
  refused(whole(pages, schema, { group(2, 2, #pages) }), "without a dictionary")
  pages = page(2, 16, ("<i8i8"):pack(7, -1), 77)
  refused(whole(pages, schema, { group(2, 2, #pages) }), "encoding 77", "unsupported")
end)

test.case("files cut anywhere and bytes changed anywhere never do harm", function()
  local random = require("engine.hash").rng(7, "parquet")
  for _, name in ipairs { "plain_v1", "snappy_v2_groups", "gzip_pages", "zstd_v2", "lz4", "encodings_v2", "duckdb" } do
    local bytes = assert(file.read(FOLDER .. name .. ".parquet"))
    test.with_dir(function(dir)
      for _ = 1, 60 do
        local at = random:integer(5, #bytes)
        local changed = bytes:sub(1, at - 1) .. string.char(random:integer(0, 255)) .. bytes:sub(at + 1)
        assert(file.write(dir .. "/x", changed, false))
        local p = parquet.open(dir .. "/x")
        if p then
          local all = p:lines()
          repeat
            local line = all:next()
            if line then assert(json.decode(line) or true) end
          until not line
          p:close()
        end
      end
    end)
  end
end)

return test.done()
