-- SPDX-License-Identifier: MIT
-- Tokenizers from other files than tokenizer.json: each made here, byte by byte.
local test = require "tests.support.test"
local file = require "engine.file"
local files = require "engine.tokenizer_files"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"
local tokenizers = require "lathe.tokenizers"

-- ---- tiktoken ----

local DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(s)
  return (s:gsub("..?.?", function(part)
    local v = 0
    for i = 1, 3 do v = v << 8 | (part:byte(i) or 0) end
    local out = ""
    for i = 0, 3 do
      local d = v >> (18 - 6 * i) & 63
      out = out .. (i > #part and "=" or DIGITS:sub(d + 1, d + 1))
    end
    return out
  end))
end

--- The 256 bytes, then `tokens`, as a rank file.
local function ranks(tokens, ending)
  local lines = {}
  for b = 0, 255 do lines[#lines + 1] = ("%s %d"):format(base64(string.char(b)), b) end
  for i, t in ipairs(tokens or {}) do lines[#lines + 1] = ("%s %d"):format(base64(t), 255 + i) end
  return table.concat(lines, ending or "\n") .. (ending or "\n")
end

local GPT2 = { encoding = "r50k_base" }

test.case("tiktoken: ranks become merges: every split, lowest result first", function()
  local bytes = ranks { "ab", "bc", "abc", "  " }
  local t = json.decode(assert(files.tiktoken(bytes, GPT2)))
  local merges = {}
  for i = 1, #t.model.merges do merges[i] = t.model.merges[i] end
  test.equal(merges, { "a b", "b c", "a bc", "ab c", "Ġ Ġ" })
  test.equal(t.model.vocab["Ġ"], 32)
  test.equal(t.model.ignore_merges, true)
  local tok = assert(tokenizer.parse(files.tiktoken(bytes, GPT2)))
  test.equal(tok:encode "abc", { 258 })
  test.equal(tok:encode "xbc", { 120, 257 })
  test.equal(tok:encode "a\r\n\xff", { 97, 13, 10, 255 })
end)

test.case("tiktoken: a word that is a token is that token, merges or not", function()
  local tok = assert(tokenizer.parse(files.tiktoken(ranks { "xyz" }, GPT2)))
  test.equal(tok:encode "xyz", { 256 })
  test.equal(tok:encode "xyza", { 120, 121, 122, 97 })
end)

test.case("tiktoken: special tokens are the encoding's or the caller's", function()
  local tok = assert(tokenizer.parse(files.tiktoken(ranks(), GPT2)))
  test.equal(tok:encode "a<|endoftext|>", { 97, 50256 })
  tok = assert(tokenizer.parse(files.tiktoken(ranks(), { encoding = "gpt2", special = { ["<b>"] = 301, ["<a>"] = 300 } })))
  test.equal(tok:encode "<a>a<b>", { 300, 97, 301 })
  local t = json.decode(assert(files.tiktoken(ranks(), { encoding = "llama3" })))
  test.equal(#t.added_tokens, 256)
  test.equal(t.added_tokens[12].content, "<|reserved_special_token_3|>")
  test.equal(t.post_processor.processors[2].special_tokens["<|begin_of_text|>"].ids[1], 128000)
  t = json.decode(assert(files.tiktoken(ranks(), { pattern = "\\w+|\\W", special = {} })))
  test.equal(t.pre_tokenizer.pretokenizers[1].pattern.Regex, "\\w+|\\W")
  test.equal(#t.added_tokens, 0)
end)

test.case("tiktoken: what is wrong is named with its line", function()
  local good = ranks()
  local function refused(bytes, code, part, options)
    local text, message, kind = files.tiktoken(bytes, options or GPT2)
    test.equal(text, nil)
    test.equal(kind, code)
    test.contains(message, part)
  end
  refused(good .. "!!!! 256\n", "format", "line 257: the token is not base64")
  refused(good .. "YWI 256\n", "format", "line 257: the token is not base64")
  refused(good .. "YWJ= 256\n", "format", "line 257: the token is not base64") -- stray bits
  refused(good .. "=YWI 256\n", "format", "line 257: the token is not base64")
  refused(good .. " 256\n", "format", "line 257: the token is not base64")
  refused(good .. "YWI=\n", "format", "line 257: no rank")
  refused(good .. "YWI= \n", "format", "line 257: the rank")
  refused(good .. "YWI= -1\n", "format", "line 257: the rank")
  refused(good .. "YWI= 1e3\n", "format", "line 257: the rank")
  refused(good .. "YWI= 99999999999999\n", "format", "line 257: the rank")
  refused(good .. "YWI= 4294967295\n", "limit", "line 257: rank 4294967295 is above")
  refused(good .. "YWI= 65\n", "format", "line 257: rank 65 is already")
  refused(good .. "QQ== 256\n", "format", "line 257: this token already has rank 65")
  refused(good .. ("A"):rep(8192) .. " 256\n", "limit", "line 257: a token of 8192 digits")
  refused(good:sub(1, #"AA== 0\n" * 10), "format", "byte 0x0A has no rank")
  refused("", "format", "byte 0x00 has no rank")
  refused(good, "misuse", "name the encoding (r50k_base", {})
  refused(good, "misuse", "there is no encoding 'cl100k'", { encoding = "cl100k" })
  refused(good, "format", "id 65 is a rank", { encoding = "gpt2", special = { ["<a>"] = 65 } })
  test.raises("special", files.tiktoken, good, { special = { "a" } })
  test.raises("patern", files.tiktoken, good, { patern = "a" })
end)

test.case("tiktoken: line ends and order do not matter", function()
  local lf = assert(files.tiktoken(ranks { "ab" }, GPT2))
  test.equal(files.tiktoken(ranks({ "ab" }, "\r\n"), GPT2), lf)
  test.equal(files.tiktoken(ranks { "ab" }:sub(1, -2), GPT2), lf)
  test.equal(files.tiktoken("YWI= 256\n" .. ranks(), GPT2), lf)
end)

test.case("tiktoken: Llama 3's own ranks are recognised and give its tokenizer.json", function()
  local path = test.conformance "tokenizers/llama-3.2/tokenizer.json"
  local want = assert(json.decode(file.read(path)))
  local alphabet, lines = {}, {}
  local extra = 0
  for b = 0, 255 do
    local plain = b >= 33 and b <= 126 or b >= 161 and b ~= 173
    alphabet[utf8.char(plain and b or 256 + extra)] = string.char(b)
    if not plain then extra = extra + 1 end
  end
  for token, id in pairs(want.model.vocab) do
    lines[id + 1] = base64(token:gsub(utf8.charpattern, alphabet)) .. " " .. id
  end
  test.with_dir(function(dir)
    local name = dir .. "/tokenizer.model"
    file.write(name, table.concat(lines, "\n") .. "\n")
    local text, kind = assert(tokenizers.json(dir))
    local got = json.decode(text)
    test.equal(kind, "tiktoken")
    test.equal(#got.model.merges, 280147)
    for _, key in ipairs { "model", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder" } do
      test.ok(json.encode(got[key]) == json.encode(want[key]), key)
    end
  end)
end)

-- ---- SentencePiece ----

local function varint(v)
  local out = ""
  repeat
    local low = v & 127
    v = v >> 7
    out = out .. string.char(v ~= 0 and low | 128 or low)
  until v == 0
  return out
end
local function int(field, v) return varint(field << 3) .. varint(v) end
local function bytes_(field, s) return varint(field << 3 | 2) .. varint(#s) .. s end
local function float(field, v) return varint(field << 3 | 5) .. string.pack("<f", v) end

local UNKNOWN, CONTROL, USER, UNUSED, BYTE = 2, 3, 4, 5, 6
local function piece(s, score, type)
  return bytes_(1, bytes_(1, s) .. float(2, score or 0) .. (type and int(3, type) or ""))
end
local START = piece("<unk>", 0, UNKNOWN) .. piece("<s>", 0, CONTROL) .. piece("</s>", 0, CONTROL)
local BPE = bytes_(2, int(3, 2))
local PLAIN = bytes_(3, bytes_(1, "identity") .. int(4, 0))

--- <unk> <s> </s>, then pieces { s, score, type }.
local function model(pieces, trainer, normalizer)
  local out = { START }
  for _, p in ipairs(pieces) do out[#out + 1] = piece(p[1], p[2], p[3]) end
  return table.concat(out) .. (trainer or BPE) .. (normalizer or PLAIN)
end

local SPACE = "▁"
local SMALL = { { "ab", -1 }, { SPACE .. "a", -2 }, { "bab", -3 }, { SPACE, -4 }, { "a", -5 }, { "b", -6 } }

local function parse(text)
  local t, message, code = tokenizer.parse(text)
  if code == "unsupported" and message:find "not supported yet" then test.skip(message) end
  return t, message, code
end

local function sp(bytes, options)
  local text, message, code = files.sentencepiece(bytes, options)
  if not text then return nil, message, code end
  return parse(text)
end

test.case("SentencePiece: scores become merges, spaces ▁", function()
  local t = json.decode(assert(files.sentencepiece(model(SMALL))))
  local merges = {}
  for i = 1, #t.model.merges do merges[i] = t.model.merges[i][1] .. "|" .. t.model.merges[i][2] end
  test.equal(merges, { "a|b", SPACE .. "|a", "b|ab" })
  test.equal(t.model.unk_token, "<unk>")
  test.equal(t.model.byte_fallback, false)
  local tok = assert(sp(model(SMALL)))
  test.equal(tok:encode "ab a", { 6, 3, 4 })
  test.equal(tok:encode("bab", { special = true }), { 1, 6, 5 })
  test.equal(tok:encode "axxb", { 4, 0, 8 }) -- unknown characters in a row are one
  test.equal(tok:encode "", {})
  test.equal(tok:decode { 6, 3, 4 }, "ab a")
  test.equal(assert(sp(model(SMALL), { bos = false, eos = true })):encode("a", { special = true }), { 4, 2 })
end)

test.case("SentencePiece: bytes", function()
  local pieces = {}
  for b = 0, 255 do pieces[#pieces + 1] = { ("<0x%02X>"):format(b), 0, BYTE } end
  for _, p in ipairs(SMALL) do pieces[#pieces + 1] = p end
  local fallback = bytes_(2, int(3, 2) .. int(35, 1))
  local tok = assert(sp(model(pieces, fallback)))
  test.equal(tok:encode "aé", { 260, 3 + 0xC3, 3 + 0xA9 })
  test.equal(tok:decode { 260, 3 + 0xC3, 3 + 0xA9 }, "aé")
  pieces[66] = { "x", 0 }
  local t, message, code = sp(model(pieces, fallback))
  test.equal(t, nil)
  test.equal(code, "format")
  test.contains(message, 'no byte piece "<0x41>"')
end)

test.case("SentencePiece: spaces and prefixes as the model says", function()
  local function spaced(...) return bytes_(3, bytes_(1, "identity") .. table.concat { ... }) end
  local tok = assert(sp(model(SMALL, BPE, spaced()))) -- extra spaces are removed by default
  test.equal(tok:encode "  a   b  ", { 4, 6, 8 })
  test.equal(tok:encode "   ", {})
  tok = assert(sp(model(SMALL, BPE, spaced(int(3, 0), int(4, 0)))))
  test.equal(tok:encode "a b ", { 7, 6, 8, 6 })
  test.equal(tok:decode { 4, 8 }, " ab")
end)

test.case("SentencePiece: pieces of the user's are found in the text", function()
  local pieces = { { "<mask>", 0, USER }, { SPACE .. SPACE, 0, USER } }
  for _, p in ipairs(SMALL) do pieces[#pieces + 1] = p end
  local tok = assert(sp(model(pieces)))
  test.equal(tok:encode "a<mask>ab", { 6, 3, 5 })
  test.equal(tok:encode "a  b", { 6, 4, 10 })
  local t = json.decode(assert(files.sentencepiece(model(pieces))))
  test.equal(t.added_tokens[4].special, false)
  test.equal(t.pre_tokenizer.prepend_scheme, "first")
end)

test.case("SentencePiece: what is wrong, and what is not done, is named", function()
  local function refused(bytes, code, part)
    local text, message, kind = files.sentencepiece(bytes)
    test.equal(text, nil, part)
    test.contains(message, part)
    test.equal(kind, code)
  end
  local function trainer(...) return model(SMALL, bytes_(2, table.concat { ... })) end
  refused(model(SMALL, ""), "unsupported", "type Unigram")
  refused(trainer(int(3, 1)), "unsupported", "type Unigram")
  refused(trainer(int(3, 3)), "unsupported", "type Word")
  refused(trainer(int(3, 4)), "unsupported", "type Char")
  refused(trainer(int(3, 2), int(24, 1)), "unsupported", "treat_whitespace_as_suffix")
  refused(model(SMALL, BPE, bytes_(3, bytes_(1, "nmt_nfkc") .. bytes_(2, "xxxx"))), "unsupported", "(nmt_nfkc)")
  refused(model { { "a", 0, UNUSED } }, "unsupported", "piece 3: unused")
  refused(model { { "a", 0, 7 } }, "format", "piece 3: pieces of type 7")
  refused(model { { "a", 0, 1 << 40 } }, "format", "piece 3: pieces of type 255")
  refused(model { { "a" }, { "a" } }, "format", 'piece 4: token "a" has two ids')
  refused(model { { "" } }, "format", "piece 3: an empty piece")
  refused(model { { "a\0" } }, "unsupported", "piece 3: a piece with a zero byte")
  refused(model { { "\xff" } }, "format", "piece 3: the piece is not UTF-8")
  refused(model { { "a", 0 / 0 } }, "format", "piece 3: the score")
  refused(model { { ("x"):rep(1025) } }, "limit", "piece 3: a piece of 1025 bytes")
  refused(model { { "<2>", 0, UNKNOWN } }, "format", "piece 3: a second unknown piece")
  refused(piece "a" .. BPE, "format", "no unknown piece")
  refused(BPE, "format", "no pieces")
  refused("", "format", "no pieces")
  refused(model { { "ab" }, { "b" } }, "unsupported", 'piece 3, "ab", is made of a character')
  refused(START .. "\11\0", "format", "the model: byte ")
  refused(START .. "\7", "format", "wire type 7")
  refused(START .. "\0\0", "format", "field number 0")
  refused(START .. "\8\1", "format", "piece: wire type 0 where 2 is expected")
  refused("\10\255\255\255\255\255\255\255\255\255\1", "format", "ends early")
  refused("\10" .. ("\255"):rep(20), "format", "ends early")
  refused("\10\5\10\100abc", "format", "piece 0: piece: ends early")
  refused(bytes_(1, int(1, 5)), "format", "piece 0: piece: wire type 0")
  local good = model(SMALL)
  for n = 1, #good - 1 do test.equal(pcall(files.sentencepiece, good:sub(1, n)), true) end
end)

test.case("SentencePiece: a folder's tokenizer_config.json and added_tokens.json count", function()
  test.with_dir(function(dir)
    file.write(dir .. "/tokenizer.model", model(SMALL))
    file.write(dir .. "/tokenizer_config.json", '{"add_bos_token": false, "add_eos_token": true}')
    file.write(dir .. "/added_tokens.json", '{"<pad>": 9, "<mask>": 10}')
    local text, kind = assert(tokenizers.json(dir))
    test.equal(kind, "sentencepiece")
    local tok = assert(parse(text))
    test.equal(tok:encode("a<pad><mask>", { special = true }), { 4, 9, 10, 2 })
    test.equal(assert(tokenizers.load(dir .. "/tokenizer.model")):encode("a", { special = true }), { 1, 4 })
  end)
end)

test.case("small files that name very many merges end", function()
  local tokens, pieces = {}, {}
  for c = 97, 98 do
    for n = 2, 700 do tokens[#tokens + 1] = string.char(c):rep(n) end
    for n = 1, 700 do pieces[#pieces + 1] = { string.char(c):rep(n), -n } end
  end
  local function refused(text, message, code)
    test.equal(text, nil)
    test.equal(code, "limit")
    test.contains(message, "MiB of merges")
  end
  refused(files.tiktoken(ranks(tokens), GPT2))
  refused(files.sentencepiece(model(pieces)))
end)

-- ---- any file ----

test.case("kinds are told by bytes", function()
  test.equal(files.kind '{"version": 1}', "json")
  test.equal(files.kind " \n{ }", "json")
  test.equal(files.kind "IQ== 0\nIg== 1\n", "tiktoken")
  test.equal(files.kind "IQ== 0", "tiktoken")
  test.equal(files.kind "GGUF\3\0\0\0", "gguf")
  test.equal(files.kind "\10\14\10\5<unk>\21\0\0\0\0\24\2", "sentencepiece")
  for _, s in ipairs { "", "{", "hello world", "GGU", "IQ= 0", "\10", "\10\255\255\255\255\255\255\10", "a b" } do
    test.equal(files.kind(s), nil, s)
  end
end)

test.case("lathe.tokenizers: a folder, a file, nothing", function()
  test.with_dir(function(dir)
    test.equal(select(3, tokenizers.load(dir .. "/missing")), "not_found")
    local t, message, code = tokenizers.load(dir)
    test.equal(t, nil)
    test.contains(message, "no tokenizer.json")
    test.equal(code, "not_found")
    file.write(dir .. "/x.tiktoken", ranks { "ab" })
    test.equal(assert(tokenizers.load(dir, GPT2)):encode "ab", { 256 })
    test.equal(assert(tokenizers.load(dir .. "/x.tiktoken", GPT2)):encode "ab", { 256 })
    t, message, code = tokenizers.load(dir)
    test.equal(t, nil)
    test.contains(message, "x.tiktoken: ")
    test.equal(code, "misuse")
    file.write(dir .. "/y.tiktoken", ranks {})
    t, message = tokenizers.load(dir)
    test.equal(t, nil)
    test.contains(message, "several")
    assert(tokenizers.load(dir .. "/x.tiktoken", GPT2)):save(dir .. "/tokenizer.json")
    test.equal(assert(tokenizers.load(dir)):encode "ab", { 256 })
    test.raises("encodig", tokenizers.load, dir, { encodig = "gpt2" })
    file.write(dir .. "/z", "hello")
    t, message, code = tokenizers.load(dir .. "/z")
    test.equal(t, nil)
    test.contains(message, "no tokenizer that we know")
    test.equal(code, "format")
  end)
end)

return test.done()
