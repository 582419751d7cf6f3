-- SPDX-License-Identifier: MIT
-- engine.hash and engine.file from Lua.
local test = require "tests.support.test"
local hash = require "engine.hash"
local file = require "engine.file"

test.case("known digests", function()
  test.equal(hash.sha256 "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  test.equal(hash.xxh3 "", "2d06800538d394c2")
  test.raises("string expected", hash.sha256)
end)

test.case("a generator depends on all its seeds", function()
  local function draw(...) return hash.rng(...):integer(1, 1 << 40) end
  test.equal(draw(1, "a"), draw(1, "a"))
  test.ok(draw(1, "a") ~= draw(1, "b") and draw(1, "a") ~= draw("a", 1))
  local list = hash.rng(7):shuffle { 1, 2, 3, 4, 5 }
  table.sort(list)
  test.equal(list, { 1, 2, 3, 4, 5 })
end)

test.case("files are replaced in one step", function()
  test.with_dir(function(dir)
    local path = dir .. "/x"
    do
      local w <close> = assert(file.replace(path))
      w:write("half")
    end
    test.equal(file.stat(path), nil)
    local w = assert(file.replace(path))
    test.ok(w:write("one\n", "two\n"))
    test.equal(w:size(), 8)
    test.ok(w:commit())
    test.raises("closed", w.write, w, "x")
    local lines = {}
    for text, number in file.lines(path) do lines[number] = text end
    test.equal(lines, { "one", "two" })
    local none, message, code = file.read(dir .. "/missing")
    test.equal(none, nil)
    test.equal(code, "not_found")
    test.contains(message, "No such file")
  end)
end)

test.case("misspelt options are named", function()
  test.raises("did you mean 'max_line'", file.lines, "x", { max_lin = 3 })
end)

return test.done()
