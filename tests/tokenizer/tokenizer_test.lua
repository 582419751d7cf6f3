-- SPDX-License-Identifier: MIT
-- Tokenizers: our own promises. The reference's answers are in conformance_test.lua.
local test = require "tests.support.test"
local tokenizer = require "engine.tokenizer"

local gpt2
local function load_gpt2()
  gpt2 = gpt2 or assert(tokenizer.load(test.conformance "tokenizers/gpt2"))
  return gpt2
end

test.case("gpt2: saved and loaded again it is the same", function()
  local tok = load_gpt2()
  local again = assert(tokenizer.parse(tok:json()))
  test.equal(again:json(), tok:json())
  test.equal({ #again, again:merge_count() }, { 50257, 50000 })
  test.equal(again:encode "Hello world", { 15496, 995 })
end)

local function little()
  return tokenizer.train { texts = { "low lower lowest" }, vocab_size = 262, special = { "<s>", "</s>" } }
end

test.case("what the REPL shows", function()
  local tok = little()
  test.equal(tostring(tok), "tokenizer: BPE, 262 entries, byte-level, 2 special")
  test.equal({ #tok, tok:id "<s>", tok:token(1), tok:id "nothing", tok:token(262), tok:token(-1) },
    { 262, 0, "</s>", nil, nil, nil })
  test.equal(tok:explain "<s> lowé", { { 0, "<s>", 0, 3 }, { 260, "Ġlow", 3, 7 }, { tok:id "Ã", "Ã", 7, 8 },
    { tok:id "©", "©", 8, 9 } })
  test.equal(tok:merges(), { "l o", "lo w", "Ġ low", "Ġlow e" })
  tok:close()
  test.equal(tostring(tok), "tokenizer: closed")
  test.raises("closed", tok.encode, tok, "x")
end)

test.case("packed ids, counts and plain text", function()
  local tok = little()
  test.equal(tok:encode_packed "<s></s>", "\0\0\0\0\1\0\0\0")
  test.equal(tok:decode(tok:encode_packed "low <s>"), "low <s>")
  test.equal({ tok:encode_packed("<s> low", { offsets = true }) },
    { "\0\0\0\0\4\1\0\0", ("<I4I4I4I4"):pack(0, 3, 3, 7) })
  test.equal(tok:decode(tok:encode "low <s>", { skip_special = true }), "low ")
  test.equal(tok:decode(1), "</s>")
  test.equal(tok:decode { 999999, 1 }, "</s>")
  test.equal({ tok:count "<s>", tok:count("<s>", { plain = true }) }, { 1, 3 })
  test.equal(tok:decode(tok:encode("<s>", { plain = true })), "<s>")
  test.equal({ tok:encode "", tok:encode_packed "", tok:decode {} }, { {}, "", "" })
  test.equal(tok:decode(tok:encode "\xff\xe4\xbd"), "\u{FFFD}\u{FFFD}")
end)

test.case("misuse and missing files are named", function()
  local tok = little()
  test.raises("did you mean 'offsets'", tok.encode, tok, "x", { offset = true })
  test.raises("not a token id", tok.decode, tok, { -1 })
  test.raises("4 bytes each", tok.decode, tok, "abc")
  test.raises("element 1 is not a whole number", tok.decode, tok, { "x" })
  local none, _, code = tokenizer.load "no/such/folder"
  test.equal({ none, code }, { nil, "not_found" })
end)

return test.done()
