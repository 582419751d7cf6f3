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
