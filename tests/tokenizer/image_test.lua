-- SPDX-License-Identifier: MIT
-- A tokenizer's image: the same tokenizer again, and nothing of a file that is not whole.
local test = require "tests.support.test"
local file = require "engine.file"
local hash = require "engine.hash"
local tokenizer = require "engine.tokenizer"

local TEXTS = { "", "low lower lowest", "naïve 日本語 <|end|> x\n\n  y", "\xff\x80 odd bytes", ("ab"):rep(500) }

local function small()
  return assert(tokenizer.train { texts = { ("low lower lowest new newer naïve 日本語 "):rep(50) }, vocab_size = 300,
    special = { "<|end|>", "<|pad|>" } })
end

local function same(a, b, what)
  test.equal(a:json(), b:json(), what)
  for _, text in ipairs(TEXTS) do
    for _, options in ipairs { {}, { special = true }, { plain = true }, { offsets = true } } do
      local ids, spans = a:encode(text, options)
      local other, others = b:encode(text, options)
      test.equal(ids, other, what)
      test.equal(spans, others, what)
    end
    test.equal(a:decode(a:encode(text)), b:decode(b:encode(text)), what)
  end
  test.equal(a:added(), b:added(), what)
  test.equal(a:merge_count(), b:merge_count(), what)
end

test.case("an image is the tokenizer that it was made of, also after the file was replaced", function()
  test.with_dir(function(dir)
    local tok, path = small(), dir .. "/t.image"
    assert(tok:save_image(path, "key"))
    local again = assert(tokenizer.image(path, "key"))
    assert(again:save_image(path, "another key"))
    same(tok, again, "mapped")
    same(tok, assert(tokenizer.image(path, "another key")), "an image of an image")
    assert(again:save(dir .. "/tokenizer.json"))
    same(tok, assert(tokenizer.load(dir)), "saved from an image")
  end)
end)

test.case("every conformance tokenizer that loads has an image that is the same", function()
  test.with_dir(function(dir)
    for _, name in ipairs { "gpt2", "llama-2-metaspace", "llama-3.2", "qwen2.5", "tinyllama" } do
      local tok = tokenizer.load(test.conformance("tokenizers/" .. name))
      if tok then
        assert(tok:save_image(dir .. "/" .. name, name))
        same(tok, assert(tokenizer.image(dir .. "/" .. name, name)), name)
      end
    end
  end)
end)

test.case("another key, a missing file, a damaged one and a cut one are errors", function()
  test.with_dir(function(dir)
    local path = dir .. "/t.image"
    assert(small():save_image(path, "key"))
    local function refused(code, key)
      local tok, message, got = tokenizer.image(path, key or "key")
      test.equal(tok, nil)
      test.equal(got, code, message)
    end
    refused("format", "no key")
    local bytes = assert(file.read(path))
    local rng = hash.rng "damage"
    for i = 1, 300 do
      local at = i <= 150 and i or rng:integer(1, #bytes)
      local other = string.char(bytes:byte(at) ~ (1 << rng:integer(0, 7)))
      assert(file.write(path, bytes:sub(1, at - 1) .. other .. bytes:sub(at + 1)))
      refused "format"
    end
    for _, size in ipairs { 0, 1, 127, 128, 129, #bytes // 2, #bytes - 1 } do
      assert(file.write(path, bytes:sub(1, size)))
      refused "format"
    end
    assert(file.remove_tree(path))
    refused "not_found"
  end)
end)

return test.done()
