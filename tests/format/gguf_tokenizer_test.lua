-- SPDX-License-Identifier: MIT
-- Tokenizers in GGUF files: what is written comes back with the same ids, and what llama.cpp would do otherwise
-- is refused or noted. (That llama.cpp itself agrees: tests/reference/tokenizer_files.py.)
local test = require "tests.support.test"
local file = require "engine.file"
local gguf = require "engine.gguf"
local gguf_file = require "lathe.gguf_file"
local gguf_tokenizer = require "lathe.gguf_tokenizer"
local json = require "engine.json"
local pretokenizers = require "lathe.pretokenizers"
local tokenizer = require "engine.tokenizer"
local tokenizers = require "lathe.tokenizers"

local SPACE = "▁"
local TEXTS = { "", " ", "a", "ab a", "  two  spaces\n\n x", "<s>ab</s> b", "don't 12345 Ünï 你好 \u{1F600}", "tab\tand\r\nline" }

local function written(dir, t, config)
  assert(file.mkdirs(dir))
  file.write(dir .. "/tokenizer.json", json.encode(t))
  file.write(dir .. "/tokenizer_config.json", json.encode(config or {}))
  return gguf_file.vocabulary(dir, dir .. "/v.gguf")
end

-- The 256 bytes, "ab", and specials before and behind them.
local function byte_level(change)
  local vocab, n = { ["<s>"] = 0 }, 0
  for b = 0, 255 do
    local plain = b >= 33 and b <= 126 or b >= 161 and b ~= 173
    vocab[utf8.char(plain and b or 256 + n)] = b + 1
    if not plain then n = n + 1 end
  end
  vocab.ab, vocab["Ġab"] = 257, 258
  local t = { version = "1.0", added_tokens = json.array {
      { id = 0, content = "<s>", special = true, normalized = false },
      { id = 259, content = "</s>", special = true, normalized = false },
      { id = 260, content = "<x>", special = false, normalized = false } },
    pre_tokenizer = pretokenizers.named("gpt-2").pre_tokenizer, decoder = { type = "ByteLevel" },
    model = { type = "BPE", vocab = vocab, merges = json.array { "a b", { "Ġ", "ab" } } } }
  if change then change(t) end
  return t
end

-- <unk> <s> </s>, the bytes, and pieces in order of rank.
local function sentencepiece(change)
  local vocab = { ["<unk>"] = 0, ["<s>"] = 1, ["</s>"] = 2 }
  for b = 0, 255 do vocab[("<0x%02X>"):format(b)] = 3 + b end
  for i, s in ipairs { "ab", SPACE .. "a", SPACE .. "ab", SPACE, "a", "b" } do vocab[s] = 258 + i end
  local function special(id, content) return { id = id, content = content, special = true, normalized = false } end
  local function token(id, content) return { id = content, ids = { id }, tokens = { content } } end
  local t = { version = "1.0", added_tokens = json.array { special(0, "<unk>"), special(1, "<s>"), special(2, "</s>") },
    normalizer = { type = "Sequence", normalizers = { { type = "Prepend", prepend = SPACE },
      { type = "Replace", pattern = { String = " " }, content = SPACE } } },
    post_processor = { type = "TemplateProcessing", single = { { SpecialToken = { id = "<s>", type_id = 0 } },
      { Sequence = { id = "A", type_id = 0 } } }, pair = json.array {}, special_tokens = { ["<s>"] = token(1, "<s>") } },
    decoder = { type = "Sequence", decoders = { { type = "Replace", pattern = { String = SPACE }, content = " " },
      { type = "ByteFallback" }, { type = "Fuse" }, { type = "Strip", content = " ", start = 1, stop = 0 } } },
    model = { type = "BPE", unk_token = "<unk>", fuse_unk = true, byte_fallback = true, vocab = vocab,
      merges = json.array { "a b", SPACE .. " a", SPACE .. " ab", SPACE .. "a b" } } }
  if change then change(t) end
  return t
end

local function same_ids(path, want, texts)
  local got = assert(tokenizers.load(path))
  for _, text in ipairs(texts or TEXTS) do
    test.equal(got:encode(text), want:encode(text), text)
    test.equal(got:encode(text, { special = true }), want:encode(text, { special = true }), text)
    test.equal(got:decode(got:encode(text)), want:decode(want:encode(text)), text)
  end
end

test.case("byte-level BPE comes back as it was", function()
  test.with_dir(function(dir)
    local t = byte_level()
    local facts = assert(written(dir, t, { bos_token = "<s>", eos_token = "</s>", add_bos_token = true, chat_template = "T" }))
    test.equal(facts.notes, {})
    local text, kind, said = tokenizers.json(dir .. "/v.gguf")
    test.equal(kind, "gguf")
    test.equal(said, { model = "gpt2", pre = "gpt-2", bos = 0, eos = 259, add_bos = true, add_eos = false, chat_template = "T" })
    local got = json.decode(text)
    test.equal(got.model.vocab["<s>"], 0) -- others stand behind it
    test.equal(got.model.vocab["<x>"], nil)
    test.equal(got.added_tokens[3].special, false)
    t.post_processor = got.post_processor
    same_ids(dir .. "/v.gguf", assert(tokenizer.parse(json.encode(t))))
  end)
end)

test.case("SentencePiece: merges become scores, and merges again", function()
  test.with_dir(function(dir)
    local t = sentencepiece()
    test.equal(assert(written(dir, t, { bos_token = "<s>", eos_token = "</s>", unk_token = "<unk>" })).notes, {})
    local g <close> = assert(gguf.open(dir .. "/v.gguf"))
    test.equal(g:get "tokenizer.ggml.model", "llama")
    test.equal(g:get "tokenizer.ggml.add_space_prefix", true)
    test.equal(g:get "tokenizer.ggml.add_bos_token", true)
    local kinds, scores = g:get "tokenizer.ggml.token_type", g:get "tokenizer.ggml.scores"
    test.equal({ kinds[1], kinds[2], kinds[4], kinds[260] }, { 2, 3, 6, 1 })
    test.ok(scores[260] > scores[261] and scores[261] > scores[262] and scores[262] > scores[263])
    same_ids(dir .. "/v.gguf", assert(tokenizer.parse(json.encode(t))))
  end)
end)

test.case("what llama.cpp would do otherwise is refused", function()
  test.with_dir(function(dir)
    local function refused(t, part)
      local facts, message, code = written(dir, t)
      test.equal(facts, nil, part)
      test.contains(message, part)
      test.equal(code, "unsupported")
    end
    local function bytes(part, change) refused(byte_level(change), part) end
    local function pieces(part, change) refused(sentencepiece(change), part) end
    bytes("normalises text (Lowercase)", function(t) t.normalizer = { type = "Lowercase" } end)
    bytes("no pre-tokenizer", function(t) t.pre_tokenizer = nil end)
    bytes("no name for this pre-tokenizer (ByteLevel)", function(t) t.pre_tokenizer = { type = "ByteLevel", add_prefix_space = true } end)
    bytes("of the kind Unigram", function(t) t.model.type = "Unigram" end)
    bytes("other tokens than one BOS", function(t)
      t.post_processor = { type = "TemplateProcessing", single = { { SpecialToken = { id = "<s>" } },
        { SpecialToken = { id = "<s>" } }, { Sequence = { id = "A" } } }, special_tokens = { ["<s>"] = { ids = { 0 } } } }
    end)
    bytes("takes ignore_merges for false", function(t)
      t.model.ignore_merges = true
      t.model.vocab.xyz = 261
    end)
    pieces("does more than spaces", function(t) t.pre_tokenizer = { type = "Whitespace" } end)
    pieces("does more than spaces", function(t) t.normalizer = { type = "NFKC" } end)
    pieces("no token for byte 0x41", function(t) t.model.vocab["<0x41>"] = nil end)
    pieces("1 of the 4 ways to make a token of two are no merges", function(t) t.model.merges[4] = nil end)
    pieces("stand among others", function(t) t.model.merges = json.array { SPACE .. " ab", "a b", SPACE .. " a", SPACE .. "a b" } end)
    pieces("is not of normal tokens", function(t) t.model.merges[5] = "<s> a" end)
  end)
end)

test.case("what llama.cpp does a little otherwise is noted", function()
  test.with_dir(function(dir)
    local function noted(t, part)
      local notes = assert(written(dir, t)).notes
      test.equal(#notes, 1, part)
      test.contains(notes[1], part)
    end
    noted(byte_level(function(t) t.normalizer = { type = "NFC" } end), "NFC")
    noted(byte_level(function(t) t.added_tokens[3].lstrip = true end), "'<x>'")
    noted(byte_level(function(t) t.model.vocab["\u{116}"] = nil end), "lacks 1 of the bytes (0x16)")
    noted(sentencepiece(function(t) t.added_tokens[1].normalized = true end), "'<unk>'")
    noted(sentencepiece(function(t)
      t.normalizer = nil
      t.pre_tokenizer = { type = "Metaspace", replacement = SPACE, prepend_scheme = "first", split = false }
    end), "before every stretch")
    -- ignore_merges that changes nothing: every token is reached by merges
    test.equal(assert(written(dir, byte_level(function(t) t.model.ignore_merges = true end))).notes, {})
  end)
end)

test.case("files that hold no tokenizer we know", function()
  test.with_dir(function(dir)
    local path = dir .. "/x.gguf"
    local function refused(code, part, keys)
      local w = assert(gguf.create(path))
      for _, k in ipairs(keys) do w:set("tokenizer.ggml." .. k[1], k[2], k[3]) end
      assert(w:commit())
      local text, message, kind = gguf_tokenizer.json(path)
      test.equal(text, nil, part)
      test.contains(message, part)
      test.equal(kind, code)
    end
    local model, llama = { "model", "string", "gpt2" }, { "model", "string", "llama" }
    local tokens, scores = { "tokens", "[string]", { "<unk>", "b" } }, { "scores", "[f32]", { 0.0, 0.0 } }
    refused("not_found", "no tokenizer", {})
    refused("unsupported", "the kind 'bert'", { { "model", "string", "bert" } })
    refused("unsupported", "the pre-tokenizer 'kimi-k2' is not known", { model, { "pre", "string", "kimi-k2" } })
    refused("format", "tokens is missing", { model })
    refused("format", "tokens is of type [u32]", { model, { "tokens", "[u32]", { 1 } } })
    refused("format", "merges is missing", { model, tokens })
    refused("format", "tokens 0 and 1 are both 'a'", { model, { "tokens", "[string]", { "a", "a" } } })
    refused("format", "scores is missing", { llama, tokens })
    refused("format", "fewer values", { llama, tokens, { "scores", "[f32]", { 0.0 } } })
    refused("format", "no unknown token", { llama, { "tokens", "[string]", { "a", "b" } }, scores })
    refused("format", "the piece is not UTF-8", { llama, { "tokens", "[string]", { "<unk>", "\xff" } }, scores })
    test.equal(select(3, gguf_tokenizer.json(dir .. "/missing.gguf")), "not_found")
  end)
end)

test.case("published tokenizers come back: SmolLM2, Mixtral, Falcon, DeepSeek", function()
  for name, pre in pairs { smollm2 = "smollm", mixtral = "default", falcon = "falcon", ["deepseek-coder"] = "deepseek-coder" } do
    local folder = test.conformance("more_tokenizers/" .. name)
    test.with_dir(function(dir)
      assert(gguf_file.vocabulary(folder, dir .. "/v.gguf"))
      local g <close> = assert(gguf.open(dir .. "/v.gguf"))
      test.equal(g:get "tokenizer.ggml.pre", pre)
      local want, got = assert(tokenizer.load(folder)), assert(tokenizers.load(dir .. "/v.gguf"))
      for _, text in ipairs(TEXTS) do test.equal(got:encode(text), want:encode(text), text) end
    end)
  end
end)

test.case("every name of a pre-tokenizer makes one that loads", function()
  for _, name in ipairs(pretokenizers.names()) do
    local t = byte_level(function(t) t.pre_tokenizer = pretokenizers.named(name).pre_tokenizer end)
    local tok = assert(tokenizer.parse(json.encode(t)), name)
    for _, text in ipairs(TEXTS) do test.equal(tok:decode(tok:encode(text)), text, name) end
  end
end)

return test.done()
