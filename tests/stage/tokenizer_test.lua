-- SPDX-License-Identifier: MIT
-- The stage that trains a vocabulary and publishes it as a folder.
local test = require "tests.support.test"
local context = require "tests.stage.context"
local file = require "engine.file"
local json = require "engine.json"
local stage = require "lathe.stage.tokenizer"
local tokenizer = require "engine.tokenizer"

local function input_of(list)
  return { records = function()
    local i = 0
    return function()
      i = i + 1
      return list[i] and json.record(list[i])
    end
  end }
end

local TEXTS = {
  { id = "1", text = ("A learning rate is the size of a step. "):rep(8), metadata = { split = "train" } },
  { id = "2", text = ("Ein Schritt ist groß oder klein. "):rep(8) },
  { id = "3", text = ("QQQQ "):rep(99), metadata = { split = "test" } },
  { id = "4", messages = {} },
}

local function make(dir, options, records)
  local ctx = context.new(stage, options)
  ctx.dir, ctx.scratch = dir, dir .. "/scratch"
  return ctx, stage.make(input_of(records or TEXTS), ctx)
end

test.case("the folder says what each token is for", function()
  test.with_dir(function(dir)
    local ctx, facts = make(dir, { vocab_size = 290 })
    test.equal({ facts.vocab_size, facts.texts, facts.other_split, facts.without_text }, { 290, 2, 1, 1 })
    test.ok(facts.tokens_per_byte < 0.6 and facts.tokens > 0)
    test.equal(#ctx.logs, 0)
    local tok = assert(tokenizer.load(dir))
    test.equal(#tok, 290)
    test.equal(tok:encode "<|im_start|>a<|im_end|>", { 1, tok:id "a", 2 })
    test.equal(tok:decode { 1, tok:id "a", 2 }, "<|im_start|>a<|im_end|>")
    local config = assert(json.decode(assert(file.read(dir .. "/tokenizer_config.json"))))
    test.equal({ config.eos_token, config.pad_token, config.bos_token }, { "<|im_end|>", "<|endoftext|>", json.null })
    test.contains(config.chat_template, "<|im_start|>")
    test.equal(config.added_tokens_decoder["2"].content, "<|im_end|>")
  end)
end)

test.case("a token before each text, another pattern, NFC", function()
  test.with_dir(function(dir)
    local _, facts = make(dir, { vocab_size = 300, special = { "<s>", "<|im_start|>", "<|im_end|>" }, bos = "<s>", add_bos = true,
      add_eos = true, max_token_length = 4 })
    test.equal(facts.texts, 2)
    local tok = assert(tokenizer.load(dir))
    test.equal(tok:encode("a", { special = true }), { 0, tok:id "a", 2 })
    test.equal(tok:encode "a", { tok:id "a" })
    for id = 259, #tok - 1 do test.ok(utf8.len(tok:token(id)) <= 3) end
    local config = assert(json.decode(assert(file.read(dir .. "/tokenizer_config.json"))))
    test.equal({ config.bos_token, config.add_bos_token, config.model_max_length }, { "<s>", true, 2048 })
    local map = assert(json.decode(assert(file.read(dir .. "/special_tokens_map.json"))))
    test.equal(map.bos_token, "<s>")
  end)
end)

test.case("any record that says something", function()
  test.with_dir(function(dir)
    local _, facts = make(dir, { field = "any", vocab_size = 300 }, {
      { id = "1", instruction = "Why?", output = "Because." },
      { id = "2", messages = { { role = "user", content = "Hello" }, { role = "assistant", content = "World" } } },
      { id = "3", conversations = { { from = "human", value = "Hi" } }, system = "be brief" },
      { id = "4", prompt = "a", chosen = "b", rejected = "c" }, { id = "5", number = 5 } })
    test.equal({ facts.texts, facts.without_text, facts.bytes }, { 4, 1, 13 + 11 + 11 + 5 })
  end)
end)

test.case("the same records give the same bytes", function()
  local first
  for _ = 1, 2 do
    test.with_dir(function(dir)
      make(dir, { vocab_size = 290 })
      local bytes = assert(file.read(dir .. "/tokenizer.json"))
      test.equal(bytes, first or bytes)
      first = bytes
    end)
  end
end)

test.case("mistakes are named", function()
  test.with_dir(function(dir)
    local _, _, message = make(dir, { special = { "<pad>" } })
    test.contains(message, "template 'chatml' needs the special token <|im_start|>")
    _, _, message = make(dir, { vocab_size = 257 })
    test.contains(message, "at least 259")
    _, _, message = make(dir, { eos = "</s>" })
    test.contains(message, "eos is </s>, which is not one of the special tokens")
    _, _, message = make(dir, { add_bos = true })
    test.contains(message, "add_bos needs bos")
    _, _, message = make(dir, { bos = "<s>" })
    test.contains(message, "bos is <s>, which is not one of the special tokens")
    _, _, message = make(dir, { special = { "<|im_end|>", "<|im_start|>", "<|im_end|>" } })
    test.contains(message, "the special token <|im_end|> is given twice")
    _, _, message = make(dir, { field = "body" })
    test.contains(message, "no text to train on: of 4 records, 1 are of another split than 'train', 3 lack 'body'")
    local ctx = make(dir, { vocab_size = 4096 })
    test.contains(ctx.logs[1].message, "of 4096 vocabulary entries")
  end)
end)

return test.done()
