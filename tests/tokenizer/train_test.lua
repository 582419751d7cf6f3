-- SPDX-License-Identifier: MIT
-- Training: a vocabulary small enough to check by hand, and our promises for larger ones.
local test = require "tests.support.test"
local tokenizer = require "engine.tokenizer"

test.case("merges are those of the reference", function()
  -- tokenizers 0.23.3, BpeTrainer(vocab_size=266, special_tokens=["<s>"], initial_alphabet=ByteLevel.alphabet())
  local texts = { "low low low low low lower lower", "newest newest newest newest newest newest widest widest widest" }
  local tok, facts = tokenizer.train { texts = texts, vocab_size = 266, special = { "<s>" } }
  test.equal(#tok, 266)
  test.equal(tok:merges(), { "e s", "es t", "l o", "lo w", "e w", "n ew", "Ġ low", "new est", "Ġ newest" })
  test.equal(facts.bytes, #texts[1] + #texts[2])
end)

local TEXTS = {}
for i = 1, 200 do
  TEXTS[i] = ("the %dth step lowers the loss; der Verlust fällt, 损失 %d 下降\n"):format(i, i * 7919 % 1000)
end

test.case("the order of the texts does not matter, nor how they come", function()
  local forward = tokenizer.train { texts = TEXTS, vocab_size = 500 }
  local i = #TEXTS + 1
  local backward, facts = tokenizer.train { vocab_size = 500, texts = function()
    i = i - 1
    return TEXTS[i]
  end }
  test.equal(forward:json(), backward:json())
  test.equal(facts.texts, 200)
  for _, text in ipairs(TEXTS) do test.equal(backward:decode(backward:encode(text)), text) end
end)

test.case("what is saved is what was trained", function()
  test.with_dir(function(dir)
    local tok = tokenizer.train { texts = TEXTS, vocab_size = 400, special = { "<s>", "\"\\é" } }
    test.ok(tok:save(dir .. "/tokenizer.json"))
    local again = assert(tokenizer.load(dir))
    test.equal(again:json(), tok:json())
    test.equal(tostring(again), "tokenizer: BPE, 400 entries, byte-level, 2 special")
    test.equal(again:encode "a<s>\"\\é", { tok:id "a", 0, 1 })
    test.equal(again:added()[2].content, "\"\\é")
  end)
end)

test.case("a text that gives fewer merges gives a smaller vocabulary", function()
  local tok, facts = tokenizer.train { texts = { "ab ab" }, vocab_size = 1000 }
  test.equal({ #tok, facts.merges, facts.distinct }, { 258, 2, 2 })
  tok, facts = tokenizer.train { texts = { "ab ab" }, vocab_size = 1000, min_frequency = 2 }
  test.equal({ #tok, facts.merges }, { 257, 1 })
  tok, facts = tokenizer.train { texts = {}, vocab_size = 256 }
  test.equal({ #tok, facts.words }, { 256, 0 })
end)

test.case("bounded memory forgets the rarest words and says so", function()
  local words = {}
  for i = 1, 20000 do words[i] = ("w%d common"):format(i) end
  local tok, facts = tokenizer.train { texts = words, vocab_size = 300, memory = 1 << 16 }
  test.ok(facts.forgotten > 10000 and facts.distinct < 4000)
  test.ok(tok:id "Ġcommon")
end)

test.case("misuse is named", function()
  test.raises("did you mean 'texts'", tokenizer.train, { text = {} })
  test.raises("option 'texts': a list or an iterator function expected, got nil", tokenizer.train, {})
  test.raises("option 'texts': a string expected, got number", tokenizer.train, { texts = { 1 } })
  test.raises("option 'special': element 1 is not a string", tokenizer.train, { texts = {}, special = { {} } })
  local none, message, code = tokenizer.train { texts = {}, vocab_size = 256, special = { "<s>" } }
  test.equal({ none, code }, { nil, "misuse" })
  test.contains(message, "at least 257")
  none, message = tokenizer.train { texts = {}, special = { "<s>", "<s>" } }
  test.equal(none, nil)
  test.contains(message, "has two ids")
  test.raises("stop here", tokenizer.train, { texts = function() error "stop here" end })
end)

return test.done()
