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

-- All words of three letters, so many that a small bound cannot hold them, and a few long ones.
local function many_words()
  local texts = {}
  for i = 1, 3000 do
    local words = {}
    for k = 1, 12 do
      local n = (i * 12 + k) * 7919 % 17576
      words[k] = string.char(97 + n % 26, 97 + n // 26 % 26, 97 + n // 676)
    end
    texts[i] = table.concat(words, " ") .. " common words of all, größer 你好"
  end
  texts[#texts + 1] = ("x"):rep(10000) .. " " .. ("yz"):rep(7000)
  return texts
end

test.case("words on disk, threads, the order of texts: nothing changes", function()
  local worker = require "engine.worker"
  local texts, options = many_words(), { vocab_size = 600, special = { "<s>" } }
  options.texts = texts
  local expected, plain = tokenizer.train(options)
  test.equal(plain.runs, 0)
  local reversed = {}
  for i, text in ipairs(texts) do reversed[#texts + 1 - i] = text end
  test.with_dir(function(dir)
    options.scratch = dir
    for _, threads in ipairs { 1, 3 } do
      worker.set_threads(threads)
      for _, memory in ipairs { 0, 16 << 20, 1 << 20 } do
        options.memory, options.table_memory = memory, memory == 1 << 20 and 600000 or nil
        options.texts = threads == 1 and texts or reversed
        local tok, facts = assert(tokenizer.train(options))
        test.equal(tok:json(), expected:json())
        test.equal({ facts.words, facts.distinct, facts.forgotten }, { plain.words, plain.distinct, 0 })
        test.ok(memory ~= 1 << 20 or facts.runs > 0)
      end
    end
    worker.set_threads(worker.processors())
    test.equal(require "engine.file".list(dir), {})
  end)
end)

test.case("what does not fit even then is left out by count, and said", function()
  local function texts()
    local i = 0
    return function()
      i = i + 1
      if i <= 40000 then return ("common w%d"):format(i) end
    end
  end
  test.with_dir(function(dir)
    local tok, facts = tokenizer.train { texts = texts(), vocab_size = 270, memory = 1 << 20, scratch = dir }
    test.equal({ facts.distinct, facts.forgotten_words, facts.forgotten, facts.words },
      { 11, 39991, 39991, 120000 })
    test.ok(tok:id "common")
    test.ok(facts.runs > 1)
    test.equal(tok:merges()[1], "c o")
  end)
end)

test.case("patterns by name and by regular expression, NFC", function()
  local texts = { "don't STOP at 1234567 fooBar", "e\u{301}te\u{301} été été" }
  local function words(options)
    options.texts, options.vocab_size = texts, 256 + 300
    local tok = assert(tokenizer.train(options))
    local list = {}
    for _, text in ipairs(texts) do
      for _, id in ipairs(tok:encode(text)) do list[#list + 1] = tok:decode { id } end
    end
    return table.concat(list, "|")
  end
  test.equal(words { pattern = "gpt2" }, "don|'t| STOP| at| 1234567| fooBar|e|\u{301}|te|\u{301}| été| été")
  test.equal(words { pattern = "llama3" }, "don|'t| STOP| at| |123|456|7| fooBar|e|\u{301}te|\u{301}| été| été")
  test.equal(words { pattern = "qwen2", normalizer = "nfc" }, "don|'t| STOP| at| |1|2|3|4|5|6|7| fooBar|été| été| été")
  test.equal(words { pattern = "o200k" }, "don't| STOP| at| |123|456|7| foo|Bar|e\u{301}te\u{301}| été| été")
  test.equal(words { pattern = "[a-z]+", normalizer = "nfc" }, "don|'|t| STOP |at| 1234567 |foo|B|ar|é|t|é é|t|é é|t|é")
end)

test.case("a long word takes time in proportion", function()
  local tok = tokenizer.train { texts = { ("ab"):rep(1 << 18), ("a"):rep(1 << 19) }, vocab_size = 280 }
  test.equal(tok:merges()[1], "a a")
  test.equal(#tok, 280)
end)

test.case("progress, and cancelling", function()
  local told = {}
  tokenizer.train { texts = many_words(), vocab_size = 1000, progress = function(merges, of)
    told[#told + 1] = { merges, of }
    error "is not heard"
  end }
  test.ok(#told >= 1 and told[1][1] >= 256 and told[1][2] == 744)
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
  test.contains(message, "is given twice")
  none, message, code = tokenizer.train { texts = {}, memory = 1 << 20 }
  test.equal({ none, code }, { nil, "misuse" })
  test.contains(message, "scratch")
  none, message, code = tokenizer.train { texts = {}, bos = "<s>" }
  test.equal({ none, code }, { nil, "misuse" })
  test.contains(message, "bos is <s>, which is not one of the special tokens")
  none, message = tokenizer.train { texts = {}, normalizer = "nfd" }
  test.equal(none, nil)
  test.contains(message, "\"nfc\" is known")
  none, message, code = tokenizer.train { texts = { "a" }, special = { "" } }
  test.equal({ none, code }, { nil, "misuse" })
  test.contains(message, "special token 1 is empty")
  none, message = tokenizer.train { texts = { "a b c d e f" }, memory = 1, scratch = "/nonexistent/folder" }
  test.equal(none, nil)
  test.contains(message, "cannot write /nonexistent/folder")
  none, message = tokenizer.train { texts = {}, pattern = "(" }
  test.equal(none, nil)
  test.contains(message, "pattern: ")
  test.raises("holds a zero byte", tokenizer.train, { texts = {}, special = { "a\0b" } })
  test.raises("option 'progress': a function expected", tokenizer.train, { texts = {}, progress = 1 })
  test.raises("stop here", tokenizer.train, { texts = function() error "stop here" end })
end)

return test.done()
