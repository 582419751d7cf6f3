-- SPDX-License-Identifier: MIT
-- Many texts over threads: the same ids, in the same places, for any number of them.
local test = require "tests.support.test"
local tokenizer = require "engine.tokenizer"
local worker = require "engine.worker"

worker.set_threads(4)

local function little()
  return tokenizer.train { texts = { "low lower lowest", "the low tide" }, vocab_size = 270, special = { "<s>" } }
end

local function texts_of(n)
  math.randomseed(5)
  local words, out = { "low", " lower", "tide", "<s>", "\n", "日本", " x", "" }, {}
  for i = 1, n do
    local text = {}
    for k = 1, math.random(0, 30) do text[k] = words[math.random(#words)] end
    out[i] = table.concat(text)
  end
  return out
end

test.case("ids and numbers, for any number of threads", function()
  local tok, texts = little(), texts_of(700)
  for _, options in ipairs { {}, { plain = true }, { special = true } } do
    local want, counts, packed = {}, {}, {}
    for i, text in ipairs(texts) do
      want[i] = tok:encode(text, options)
      counts[i], packed[i] = #want[i], tok:encode_packed(text, options)
    end
    for threads = 1, 5 do
      options.threads = threads
      test.equal(tok:encode_batch(texts, options), want)
      test.equal(tok:count_batch(texts, options), counts)
      options.packed = true
      test.equal(tok:encode_batch(texts, options), packed)
      options.packed = nil
    end
    options.threads = nil
  end
end)

test.case("none, one, a long one", function()
  local tok = little()
  local long = ("the lowest tide\n"):rep(20000)
  test.equal({ tok:encode_batch {}, tok:count_batch {}, tok:encode_batch { "" } }, { {}, {}, { {} } })
  test.equal(tok:count_batch { "low", long, "low" }, { tok:count "low", tok:count(long), tok:count "low" })
end)

test.case("misuse is named, and nothing breaks", function()
  local tok = little()
  test.raises("text 2 is a table", tok.encode_batch, tok, { "low", {} })
  test.raises("did you mean 'threads'", tok.count_batch, tok, {}, { thread = 2 })
  tok:close()
  test.raises("closed", tok.count_batch, tok, { "x" })
end)

return test.done()
