-- SPDX-License-Identifier: MIT
-- Images of large tokenizers: kept, used, made again when they are damaged, and never in the way.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"

local TEXT = "naïve <|endoftext|> 1234 words, and 日本語\n"

-- Tokenizes TEXT with the cache in `cache`; the ids it printed.
local function ids(dir, cache)
  local source = test.conformance "tokenizers/gpt2/tokenizer.json"
  if source:sub(1, 1) ~= "/" then source = cli.top .. "/" .. source end
  assert(file.write(dir .. "/text", TEXT))
  local status, out, err = cli.run(("tokenize '%s' '%s/text'"):format(source, dir), { env = "LATHE_CACHE='" .. cache .. "'" })
  test.equal(status, 0, err)
  return out
end

local function images(cache)
  local names = {}
  for _, entry in ipairs(file.list(cache .. "/tokenizers") or {}) do names[#names + 1] = entry.name end
  return names
end

test.case("the second run maps what the first one built; a damaged image is built again", function()
  test.with_dir(function(dir)
    local cache = dir .. "/cache"
    local built = ids(dir, cache)
    local names = images(cache)
    test.equal(#names, 1)
    local image = cache .. "/tokenizers/" .. names[1]
    local bytes = assert(file.read(image))
    test.equal(ids(dir, cache), built, "mapped")
    test.equal(file.read(image), bytes, "an image that is good stays")
    assert(file.write(image, bytes:sub(1, 5000) .. "damage" .. bytes:sub(5007)))
    test.equal(ids(dir, cache), built, "damaged")
    assert(file.write(image, bytes:sub(1, #bytes // 2)))
    test.equal(ids(dir, cache), built, "cut")
    test.equal(#assert(file.read(image)), #bytes, "made again")
  end)
end)

test.case("no cache, or one that cannot be made, changes nothing", function()
  test.with_dir(function(dir)
    local without = ids(dir, "off")
    assert(file.write(dir .. "/in-the-way", "a file"))
    test.equal(ids(dir, dir .. "/in-the-way"), without)
    test.equal(file.read(dir .. "/in-the-way"), "a file")
  end)
end)

test.case("only the newest images stay", function()
  test.with_dir(function(dir)
    local folder = dir .. "/cache/tokenizers"
    assert(file.mkdirs(folder))
    for i = 1, 20 do assert(file.write(("%s/%02d.image"):format(folder, i), "old")) end
    assert(file.write(folder .. "/another file", "ours?"))
    ids(dir, dir .. "/cache")
    local names = images(dir .. "/cache")
    test.equal(#names, 13)
    test.ok(file.stat(folder .. "/another file"), "what is no image is left alone")
    test.equal(file.stat(folder .. "/01.image"), nil)
  end)
end)

return test.done()
