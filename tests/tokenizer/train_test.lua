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

return test.done()
