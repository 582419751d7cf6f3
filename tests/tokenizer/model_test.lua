-- SPDX-License-Identifier: MIT
-- The model of a tokenizer.json, setting by setting. What is expected are the answers of Hugging Face
-- tokenizers 0.23.3 (tests/reference/tokenizer_model.py compares many more).
local test = require "tests.support.test"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

--- A tokenizer.json; tokens have the ids 0, 1, 2 …, settings go to the model.
local function document(tokens, merges, settings)
  local vocab = {}
  for i, token in ipairs(tokens) do vocab[token] = i - 1 end
  local model = { type = "BPE", vocab = vocab, merges = json.array(merges) }
  for k, v in pairs(settings or {}) do model[k] = v end
  return json.encode { model = model, added_tokens = json.array {} }
end

local function ids(text, tokens, merges, settings)
  local tok = assert(tokenizer.parse(document(tokens, merges, settings)))
  local list, message = tok:encode(text)
  if not list then return message end
  local saved = assert(tokenizer.parse(tok:json()))
  test.equal(tok:count(text), #list)
  test.equal(saved:encode(text), list)
  return table.concat(list, " ")
end

local function refuses(part, ...)
  local tok, message = tokenizer.parse(document(...))
  test.equal(tok, nil)
  test.contains(message, part)
end

test.case("a character without a token: its bytes, the unknown token, or nothing", function()
  test.equal(ids("xax", { "a" }, {}), "0")
  test.equal(ids("xax", { "a", "u" }, {}, { unk_token = "u" }), "1 0 1")
  test.equal(ids("éa", { "a", "<0xC3>", "<0xA9>" }, {}, { byte_fallback = true }), "1 2 0")
  test.equal(ids("éa", { "a", "<0xC3>", "u" }, {}, { byte_fallback = true, unk_token = "u" }), "2 0")
  test.equal(ids("éa", { "a", "<0xc3>", "<0xa9>" }, {}, { byte_fallback = true }), "0")
  test.equal(ids("é", { "<0xC3>", "<0xA9>", "<0xC3><0xA9>" }, { "<0xC3> <0xA9>" }, { byte_fallback = true }), "2")
end)

test.case("unknown tokens are fused, and wait behind byte tokens", function()
  local tokens = { "a", "<0xC3>", "<0xA9>", "u" }
  test.equal(ids("xya", tokens, {}, { unk_token = "u" }), "3 3 0")
  test.equal(ids("xya", tokens, {}, { unk_token = "u", fuse_unk = true }), "3 0")
  test.equal(ids("xéa", tokens, {}, { unk_token = "u", byte_fallback = true }), "1 2 3 0")
  test.equal(ids("xéyéa", tokens, {}, { unk_token = "u", byte_fallback = true, fuse_unk = true }), "1 2 1 2 3 0")
end)

test.case("an unknown token that is missing fails when it is needed", function()
  test.equal(ids("a", { "a" }, {}, { unk_token = "u" }), "0")
  test.contains(ids("xa", { "a" }, {}, { unk_token = "u" }), "unknown token")
end)

test.case("prefix and suffix are part of characters, and of what merges make", function()
  local prefix = { continuing_subword_prefix = "##" }
  test.equal(ids("abab", { "a", "##b", "##a", "ab", "aba" }, { "a ##b", "ab ##a" }, prefix), "4 1")
  local suffix = { end_of_word_suffix = "</w>" }
  test.equal(ids("abab", { "a", "b", "b</w>", "ab</w>", "ab", "abab</w>" }, { "a b", "a b</w>", "ab ab</w>" }, suffix), "5")
  local bytes = { "<0x61>", "<0x62>", "<0x3C>", "<0x2F>", "<0x77>", "<0x3E>", "<0x23>" }
  test.equal(ids("ab", bytes, {}, { end_of_word_suffix = "</w>", byte_fallback = true }), "0 1 2 3 4 5")
  test.equal(ids("ab", bytes, {}, { continuing_subword_prefix = "##", byte_fallback = true }), "0 6 6 1")
  refuses("shorter than the prefix", { "a", "b", "ab" }, { "a b" }, prefix)
  refuses("of 65 bytes; at most 64", { "a" }, {}, { end_of_word_suffix = ("x"):rep(65) })
end)

test.case("merges: their order, pairs given twice, tokens with spaces", function()
  test.equal(ids("abc", { "a", "b", "c", "ab", "bc" }, { "a b", "b c" }), "3 2")
  test.equal(ids("abc", { "a", "b", "c", "ab", "bc" }, { "a b", "b c", "a b" }), "0 4")
  test.equal(ids("a b", { "a", " ", "b", "a ", "a b" }, { { "a", " " }, { "a ", "b" } }), "4")
  test.equal(ids("aaaaa", { "a", "aa" }, { "a a" }), "1 1 0")
  test.equal(ids("ab", { "a", "b", "ab", "" }, { { "a", "" }, { "", "b" } }), "0 1")
end)

test.case("ignore_merges: a word that is a token is that token", function()
  local tokens = { "a", "b", "c", "abc", "ab" }
  test.equal(ids("abc", tokens, { "a b" }), "4 2")
  test.equal(ids("abc", tokens, { "a b" }, { ignore_merges = true }), "3")
  test.equal(ids("abcc", tokens, { "a b" }, { ignore_merges = true }), "4 2 2")
end)

test.case("hostile models are refused by name, or read as they are", function()
  refuses('"ab" is not in the vocabulary', { "a", "b" }, { "a b" })
  refuses('"x" is not in the vocabulary', { "a", "b", "ab" }, { "a x" })
  refuses("one space", { "a", "b", "ab" }, { "a b c" })
  refuses("one space", { "a", "b", "ab" }, { "" })
  refuses("array of two", { "a", "b", "ab" }, { { "a" } })
  refuses("dropout", { "a" }, {}, { dropout = 0.1 })
  refuses("dropout", { "a" }, {}, { dropout = "x" })
  refuses("fuse_unk", { "a" }, {}, { fuse_unk = "x" })
  refuses("string", { "a" }, {}, { unk_token = 3 })
  local long = ("a"):rep(1 << 20)
  test.equal(ids(("a"):rep(3), { "a", long, "aa" }, { "a a" }), "2 0")
  test.equal(ids(long, { "a", long }, {}, { ignore_merges = true }), "1")
end)

test.case("one token with a large id costs what its id costs", function()
  local tok = assert(tokenizer.parse '{"model": {"type": "BPE", "vocab": {"a": 0, "b": 7, "ab": 4194303}, "merges": ["a b"]}}')
  test.equal(tok:encode "abb", { 4194303, 7 })
  local none, message = tokenizer.parse '{"model": {"type": "BPE", "vocab": {"a": 4194304}, "merges": []}}'
  test.equal(none, nil)
  test.contains(message, "above 4194303")
end)

test.case("an added token that the model lacks is not one of its tokens", function()
  local tok = assert(tokenizer.parse [[{"model": {"type": "BPE", "ignore_merges": true, "vocab": {"a": 0, "b": 1},
    "merges": []}, "added_tokens": [{"id": 2, "content": "ab", "single_word": true, "special": false}]}]])
  test.equal(tok:encode "ab", { 2 })
  test.equal(tok:encode "abb", { 0, 1, 1 })
end)

return test.done()
