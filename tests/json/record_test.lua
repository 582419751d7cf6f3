-- SPDX-License-Identifier: MIT
-- lathe.record: ids and datasets.
local test = require "tests.support.test"
local record = require "lathe.record"
local json = require "engine.json"
local file = require "engine.file"

test.case("ids depend on content and origin only", function()
  local a = record.id { text = "x", metadata = { path = "p", note = 1 } }
  test.equal(#a, 24)
  test.equal(record.id(json.record '{"metadata":{"note":2,"path":"p"},"id":"old","text":"x"}'), a)
  test.ok(record.id { text = "y", metadata = { path = "p" } } ~= a)
  test.ok(record.id { text = "x", metadata = { path = "q" } } ~= a)
  test.ok(record.id { text = "x" } ~= a)
end)

test.case("datasets", function()
  test.with_dir(function(dir)
    local path = dir .. "/d.jsonl"
    test.equal(record.write(path, { { text = "one", n = 1 }, json.record '{"text": "two"}', { text = "three" } }), 3)
    test.equal(file.read(path), '{"n":1,"text":"one"}\n{"text": "two"}\n{"text":"three"}\n')
    local ds = assert(record.open(path))
    test.equal(#ds, 3)
    test.equal(ds[2].text, "two")
    test.equal(ds[3].text, "three")
    test.equal(ds[4], nil)
    local texts = {}
    for r, line in ds:records() do texts[line] = r.text end
    test.equal(texts, { "one", "two", "three" })
    for r in ds:records() do if r.n then break end end -- closes its file
    test.contains(tostring(ds), "3 records")
    test.contains(tostring(ds), "fields: n, text")
    test.raises("read only", function() ds[1] = {} end)
    assert(file.write(path, '{"a":1}\n\n{"a":2'))
    ds = assert(record.open(path))
    test.equal(#ds, 2)
    test.raises(path .. ":3: byte 6", function() return ds[2] end)
    test.raises(path .. ":3: byte 6", function() for _ in ds:records() do end end)
    local short = assert(record.open(path, { max_line = 6 }))
    test.raises(":1: line longer than 6 bytes", function() return short[1] end)
    test.equal(select(3, record.open(dir .. "/none")), "not_found")
    test.raises("did you mean 'max_line'", record.open, path, { max = 1 })
  end)
end)

test.case("a stage's folder of parts is one dataset", function()
  test.with_dir(function(dir)
    assert(file.write(dir .. "/part-00000.jsonl", '{"n":1}\n{"n":2}\n'))
    assert(file.write(dir .. "/part-00001.jsonl", '{"n":3}\n'))
    assert(file.write(dir .. "/part-00001.rejected.jsonl", '{"n":9}\n'))
    local ds = assert(record.open(dir))
    test.equal({ #ds, ds[1].n, ds[3].n }, { 3, 1, 3 })
    local sum = 0
    for r in ds:records() do sum = sum + r.n end
    test.equal(sum, 6)
    test.equal(select(3, record.open(dir .. "/..")), "misuse")
  end)
end)

return test.done()
