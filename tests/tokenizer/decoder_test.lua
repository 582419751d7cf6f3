-- SPDX-License-Identifier: MIT
-- Decoders by themselves. What is expected are the answers of Hugging Face tokenizers 0.23.3; every
-- case is also decoded token by token.
local test = require "tests.support.test"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

--- A tokenizer whose tokens are `tokens`, with ids from 0, and that decoder.
local function with(decoder, tokens)
  local vocab, ids, count = {}, {}, 0
  for i, token in ipairs(tokens) do
    if not vocab[token] then vocab[token], count = count, count + 1 end
    ids[i] = vocab[token]
  end
  local tok, message = tokenizer.parse(json.encode {
    pre_tokenizer = { type = "ByteLevel", add_prefix_space = false },
    decoder = decoder,
    model = { type = "BPE", vocab = next(vocab) and vocab or json.object {}, merges = json.array {} },
  })
  return tok, tok and ids or message
end

local function decodes(decoder, tokens, want)
  local tok, ids = with(decoder, tokens)
  test.ok(tok, ids)
  test.equal(tok:decode(ids), want)
  local piece, out = tok:stream(), {}
  for i, id in ipairs(ids) do
    out[i] = piece(id)
    test.ok(utf8.len(out[i]), "half a character")
  end
  out[#out + 1] = piece()
  test.equal(table.concat(out), want, "streamed")
  local many = tok:stream()
  local begun = many(table.pack(table.unpack(ids, 1, #ids // 2)))
  test.equal(begun .. many(table.pack(table.unpack(ids, #ids // 2 + 1))) .. many(), want, "streamed, several at once")
  return out
end

local function replace(string, content) return { type = "Replace", pattern = { String = string }, content = content } end
local function sequence(...) return { type = "Sequence", decoders = { ... } } end
local fuse, fallback = { type = "Fuse" }, { type = "ByteFallback" }
local bad = "\u{FFFD}"

test.case("no decoder joins with spaces, an empty Sequence with nothing", function()
  decodes(nil, { "a", "b", "a" }, "a b a")
  decodes({ type = "Sequence", decoders = json.array {} }, { "a", "b", "a" }, "aba")
end)

test.case("ByteLevel joins before it repairs", function()
  local byte_level = { type = "ByteLevel" }
  decodes(byte_level, { "Ġa", "Ã", "©", "b c" }, " aéb c")
  decodes(byte_level, { "â", "Ĥ", "x", "â", "Ĥ", "¬", "ÿ", "â" }, bad .. "x€" .. bad .. bad)
  decodes(sequence(fuse, byte_level), { "Ġa", "Ġb" }, " a b")
  decodes(sequence(fuse, byte_level), { "Ġa", "é b" }, "Ġaé b")
  decodes(sequence(byte_level, replace("ab", "X")), { "a", "ba", "a", "b" }, "XaX")
end)

test.case("ByteFallback: a run is valid as a whole or not at all", function()
  decodes(fallback, { "<0x+f>", "<0x41>", "<0xE2>", "<0x82>", "<0xAC>", "<0xe2>", "<0xAC>", "a", "<0xGG>", "<0x4>" },
    bad:rep(7) .. "a<0xGG><0x4>")
  decodes(fallback, { "<0xé>" }, "<0xé>")
  decodes(fallback, { "x", "<0xE2>", "<0x82>", "<0xAC>", "y" }, "x€y")
  local pieces = decodes(sequence(fallback, fuse), { "<0x41>", "<0x42>", "c" }, "ABc")
  test.equal(pieces, { "", "", "ABc", "" })
end)

test.case("Strip: per token, and once for all after Fuse", function()
  local function strip(start, stop) return { type = "Strip", content = " ", start = start, stop = stop } end
  decodes(strip(1, 0), { "  a", " b", " " }, " ab")
  decodes(strip(2, 0), { " b", "  b", "   b", "" }, "bb b")
  decodes(strip(0, 2), { " b ", "b  ", "b   " }, " bbb ")
  decodes(sequence(fuse, strip(1, 0)), { " ", " a", " b" }, " a b")
  decodes(sequence(fuse, strip(0, 2)), { "a ", " ", " b", " ", "  " }, "a   b ")
  decodes(sequence(fuse, strip(0, 1)), { "a", "é", " " }, "aé")
end)

test.case("Replace: inside tokens, and across them after Fuse", function()
  decodes(replace("aa", "X"), { "aaa", "a" }, "Xaa")
  decodes(replace("aa", ""), { "aa", "baa" }, "b")
  decodes(sequence(fuse, replace("aab", "X")), { "a", "aa", "b", "a", "a" }, "aXaa")
  decodes(sequence(replace("▁", " "), fallback, fuse, { type = "Strip", content = " ", start = 1, stop = 0 }),
    { "▁Hello", "▁", "<0xE2>", "<0x82>", "<0xAC>", "▁▁w" }, "Hello €  w")
end)

test.case("Replace by a regular expression; an empty string stands everywhere", function()
  local function regex(pattern, content) return { type = "Replace", pattern = { Regex = pattern }, content = content } end
  decodes(replace("", "X"), { "abc", "d" }, "XaXbXcXXdX")
  decodes(regex("b*", "X"), { "abbc", "d", "é" }, "XaXcXXdXXéX")
  decodes(regex("^a", "X"), { "aac", "a" }, "XacX")
  decodes(regex("(a)(b)", "$2\\1"), { "aab", "a" }, "a$2\\1a")
  decodes(sequence(fuse, regex(" +$", "")), { "a ", " ", "b", " ", "  " }, "a  b")
end)

test.case("Metaspace old and new", function()
  local tokens = { "▁▁a▁b", "▁▁c" }
  local function metaspace(t) t.type, t.replacement = "Metaspace", "▁" return t end
  decodes(metaspace { prepend_scheme = "always" }, tokens, "ab  c")
  decodes(metaspace { prepend_scheme = "first" }, tokens, "ab  c")
  decodes(metaspace { prepend_scheme = "never" }, tokens, "  a b  c")
  decodes(metaspace { add_prefix_space = true }, tokens, "ab  c")
  decodes(metaspace { add_prefix_space = true, prepend_scheme = "never" }, tokens, "  a b  c")
  decodes(metaspace { str_rep = "▁", add_prefix_space = true }, tokens, "ab  c")
  decodes(sequence(fuse, metaspace {}), { "▁a", "▁b" }, "ab")
end)

test.case("suffixes and word pieces", function()
  decodes({ type = "BPEDecoder", suffix = "</w>" }, { "ab</w>", "c", "</w>d</w>e</w>" }, "ab cde")
  decodes({ type = "BPEDecoder", suffix = "" }, { "ab", "b" }, " a b b")
  decodes({ type = "BPEDecoder", suffix = "</w>" }, {}, "")
  local pieces = { type = "WordPiece", prefix = "##", cleanup = true }
  decodes(pieces, { "a", "##b", "c", "'", "s", "!", "##", "####x", "do", "not", "n't" }, "ab c ' s!##x do notn't")
  decodes(pieces, { "a", " ' n't 'm do not 's 've 're . ? ! , . ." }, "a 'n't'm don't's've're.?!,..")
  pieces.cleanup = false
  decodes(pieces, { "a", "b ." }, "a b .")
end)

test.case("what is wrong is named", function()
  local function refuses(decoder, part)
    local tok, message = with(decoder, { "a" })
    test.equal(tok, nil)
    test.contains(message, part)
  end
  refuses({ type = "CTC" }, "decoder CTC is not supported")
  refuses({ type = "Strip", content = "ab", start = 0, stop = 0 }, "one character")
  refuses({ type = "Strip", content = "a", start = -1, stop = 0 }, "numbers of characters")
  refuses({ type = "Strip", content = "a" }, "numbers of characters")
  refuses({ type = "BPEDecoder" }, "\"suffix\" must be a string")
  refuses({ type = "Replace", content = "x" }, "must be a string")
  refuses({ type = "Metaspace", replacement = "ab" }, "one character")
  refuses({ type = "Sequence" }, "needs \"decoders\"")
  refuses({}, "\"type\" is missing")
  local deep = fuse
  for _ = 1, 10 do deep = sequence(deep) end
  refuses(deep, "inside too many others")
end)

return test.done()
