-- SPDX-License-Identifier: MIT
-- tokenizer:cut: a text that is cut where it says has the ids of the whole text.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local WORDS = { "the", "of", " ", "  ", "\n", "\n\n", "\r\n", "\t", "don't", "I'LL", "naïve", "Привет", "мир", "你好", "世界。",
  "日本", "42", "1234567", "foo(bar)", "x+=1;", "==", "👍", "e\u{301}", "한국", "…", "<|endoftext|>", "</s>", "\u{2581}", "\u{a0}",
  "\u{85}", "a", "Z", "\n\t", ".\n", "!\n", "end.\nNext", "word word", "word word", "x y", "\xff" }

local function text_of(random, n)
  local out = {}
  for i = 1, n do
    out[i] = WORDS[random(#WORDS)]
    if random(3) == 1 then out[i] = out[i] .. " " end
  end
  return table.concat(out)
end

-- As a reader of a long file does it: what has come is cut, the rest waits for more.
local function in_pieces(tok, text, size, options)
  local kept, ids, pieces = "", {}, 0
  for at = 1, #text, size do
    kept = kept .. text:sub(at, at + size - 1)
    local stop, following = tok:cut(kept)
    if stop then
      test.ok(stop > 0 and following > stop and following <= #kept, "a cut inside the text")
      table.move(tok:encode(kept:sub(1, stop), options), 1, 0xffff, #ids + 1, ids)
      kept, pieces = kept:sub(following), pieces + 1
    end
  end
  table.move(tok:encode(kept, options), 1, 0xffff, #ids + 1, ids)
  return ids, pieces
end

local function holds(tok, name, rounds)
  math.randomseed(7)
  local pieces = 0
  for round = 1, rounds do
    local text = text_of(math.random, 60)
    for _, options in ipairs { {}, { plain = true } } do
      local ids, n = in_pieces(tok, text, math.random(3, 40), options)
      test.equal(ids, tok:encode(text, options), ("%s, round %d"):format(name, round))
      pieces = pieces + n
    end
  end
  return pieces
end

local function little(change)
  local j = json.decode(tokenizer.train { texts = { "the word of the word word", "x y" }, vocab_size = 280,
    special = { "<|endoftext|>" } }:json())
  if change then change(j) end
  return assert(tokenizer.parse(json.encode(j)))
end

local function added(content, flags)
  return function(j)
    local token = { id = 300, content = content, special = false, single_word = false, lstrip = false, rstrip = false,
      normalized = false }
    for k, v in pairs(flags or {}) do token[k] = v end
    j.added_tokens[#j.added_tokens + 1] = token
  end
end

test.case("a text in pieces has the ids of the whole", function()
  test.ok(holds(little(), "little", 100) > 500)
  for _, content in ipairs { "word", "  ", "\n", "word." } do holds(little(added(content)), content, 20) end
  holds(little(added("word", { single_word = true })), "single word", 20)
  holds(little(added("word", { lstrip = true })), "lstrip", 20)
  holds(little(added("word", { rstrip = true })), "rstrip", 20)
  holds(little(function(j) j.pre_tokenizer.add_prefix_space = true end), "prefix", 50)
end)

test.case("where nothing can be proven there is no cut", function()
  local text = "some words in a row.\nMore of them"
  test.equal({ little():cut(text) }, { 28, 29 })
  test.equal({ little():cut "" }, { nil })
  test.equal({ little():cut "x" }, { nil })
  test.equal({ little():cut "more.\n" }, { nil })
  test.equal({ little():cut "a\n\nb" }, { nil })
  test.equal({ little():cut "a\r\nb" }, { nil })
  test.equal({ little():cut "终。\n日" }, { 7, 8 })
  test.equal({ little(added "word word"):cut(text) }, { nil })
  test.equal({ little(added("words", { rstrip = true })):cut(text) }, { nil })
  test.equal({ little(added("More", { lstrip = true })):cut(text) }, { nil })
  test.equal({ little(function(j) j.pre_tokenizer.use_regex = false end):cut(text) }, { nil })
end)

test.case("every vocabulary of the conformance data", function()
  for _, room in ipairs { "tokenizers", "more_tokenizers" } do
    local folder = test.conformance(room)
    for _, entry in ipairs(file.list(folder)) do
      local path = folder .. "/" .. entry.name .. "/tokenizer.json"
      if entry.is_dir and file.stat(path).size < 3000000 then
        local tok = tokenizer.load(path)
        if tok then holds(tok, entry.name, 10) end
      end
    end
  end
end)

return test.done()
