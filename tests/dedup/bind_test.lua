-- SPDX-License-Identifier: MIT
-- engine.dedup from Lua.
local test = require "tests.support.test"
local dedup = require "engine.dedup"
local file = require "engine.file"

test.case("exact and near", function()
  local d <close> = assert(dedup.new { memory = 1 << 20 })
  d:add("the first text of all, which is kept"):add("another"):add("another"):add(nil)
  d:add("The first text of all, which is kept!")
  local facts = assert(d:finish())
  test.equal({ facts.records, facts.kept, facts.exact, facts.near }, { 5, 3, 1, 1 })
  test.equal({ d:verdict(3) }, { "exact", 2, 1.0, (select(4, d:verdict(2))) })
  test.equal({ d:verdict(4) }, { "keep", 4, 1.0 })
  test.equal({ d:verdict(5) }, { "near", 1, 1.0, (select(4, d:verdict(1))) })
  test.raises("no such record", d.verdict, d, 6)
  test.equal(#d, 5)
end)

test.case("exact only", function()
  local d <close> = assert(dedup.new { near = 0 })
  d:add("a b c"):add("a  b c"):add("a b c")
  test.raises("after finish", d.verdict, d, 1)
  test.equal(assert(d:finish()).kept, 2)
end)

test.case("lines of a file", function()
  test.with_dir(function(dir)
    assert(file.write(dir .. "/x.jsonl", '{"t":"a"}\n{"t":"a"}\n{"x":1}\n'))
    local d <close> = assert(dedup.new { scratch = dir })
    test.equal(d:add_lines(dir .. "/x.jsonl", "t"), 3)
    test.equal(assert(d:finish()).exact, 1)
    assert(file.write(dir .. "/y.jsonl", '{"t":"a"}\nno\n'))
    local e <close> = assert(dedup.new())
    local none, message, code = e:add_lines(dir .. "/y.jsonl", "t")
    test.equal({ none, code }, { nil, "format" })
    test.contains(message, "y.jsonl:2")
  end)
end)

test.case("misuse", function()
  test.raises("did you mean 'near'", dedup.new, { nera = 1 })
  local none, _, code = dedup.new { near = 7 }
  test.equal({ none, code }, { nil, "misuse" })
  local d = dedup.new()
  d:close()
  test.raises("closed", d.add, d, "x")
end)

return test.done()
