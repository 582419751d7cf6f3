-- SPDX-License-Identifier: MIT
-- Beginnings for the fuzzers: one small valid input of each kind, written to FOLDER/TARGET/. The fuzzers
-- change them; without them nothing behind a checksum or a magic number is ever reached.
-- Run by tests/fuzz/run: build/lathe exec tests/fuzz/seeds.lua FOLDER

local checkpoint = require "engine.checkpoint"
local file = require "engine.file"
local gguf = require "engine.gguf"
local json = require "engine.json"
local safetensors = require "engine.safetensors"
local tokenizer = require "engine.tokenizer"

local folder = assert(arg[1], "usage: lathe exec tests/fuzz/seeds.lua FOLDER")

local function put(target, name, bytes)
  assert(file.mkdirs(folder .. "/" .. target))
  assert(file.write(("%s/%s/%s"):format(folder, target, name), bytes, false))
end

local function slurp(path) return assert(file.read(path)) end

-- JSON and records: the text cases of the tests, one file a line.
for _, name in ipairs { "accept", "reject", "record" } do
  local n = 0
  for line in slurp(("tests/json/%s.cases"):format(name)):gmatch "[^\n]+" do
    n = n + 1
    put("json", name .. n, line)
    put("record", name .. n, line .. "\0" .. '{"a":[1,2]}')
  end
end

-- Regular expressions: a pattern, a zero byte, a text.
for n, regex in ipairs {
  [['s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+]],
  [[(?i:'s|'t)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}?|\s*[\r\n]|\s++$|^\b.]],
  [==[[\p{Lu}\p{M}&&[^\p{Han}[:digit:]]]*(?<=a|bc)(?<!\x{41})(?m:.)(?x: a #b)]==],
} do
  put("pattern", "r" .. n, regex .. "\0Hello  world's 123\n\xe4\xbd\xa0\xff!")
end

-- Model files.
local path = folder .. "/seed.tmp"
assert(file.mkdirs(folder))
local w = assert(safetensors.create(path, { { name = "a", dtype = "f32", shape = { 2, 3 } },
  { name = "b", dtype = "bf16", shape = { 4 } } }, { format = "pt" }))
assert(w:write(("<ffffff"):pack(1, 2, 3, 4, 5, 6)))
assert(w:write(("<i2i2i2i2"):pack(1, 2, 3, 4)))
assert(w:commit())
put("safetensors", "two", slurp(path))

local g = assert(gguf.create(path))
g:set("general.architecture", "string", "llama")
g:set("general.alignment", "u32", 32)
g:set("tokenizer.ggml.tokens", "[string]", { "a", "b", "ab" })
g:set("tokenizer.ggml.scores", "[f32]", { 0.0, 1.0, 2.0 })
g:tensor("token_embd.weight", "f16", { 3, 2 })
g:tensor("blk.0.attn_q.weight", "q8_0", { 2, 32 })
assert(g:write(("<ffffff"):pack(1, 2, 3, 4, 5, 6), "f32", 3))
assert(g:write(("<" .. ("f"):rep(64)):pack(table.unpack((function()
  local list = {}
  for i = 1, 64 do list[i] = i / 7 end
  return list
end)())), "f32", 2))
assert(g:commit())
put("gguf", "two", slurp(path))

assert(checkpoint.write(path .. "s", 3, { model = "0123456789", empty = "" }, { meta = { loss = 1.5 } }))
put("checkpoint", "two", slurp(path .. "s/step-00000003.ckpt"))

put("config", "llama", [[{"architectures":["LlamaForCausalLM"],"model_type":"llama","vocab_size":64,"hidden_size":32,
"intermediate_size":64,"num_hidden_layers":1,"num_attention_heads":2,"num_key_value_heads":1,"head_dim":16,
"max_position_embeddings":128,"rope_theta":10000.0,"rope_scaling":null,"rms_norm_eps":1e-05,"hidden_act":"silu",
"attention_bias":false,"mlp_bias":false,"tie_word_embeddings":true,"torch_dtype":"float32"}]])
put("config", "rope", [[{"model_type":"llama","vocab_size":64,"hidden_size":32,"intermediate_size":64,
"num_hidden_layers":1,"num_attention_heads":2,"rope_parameters":{"rope_type":"default","rope_theta":500000.0},
"sliding_window":null,"dtype":"bfloat16"}]])

-- A tokenizer.json, then 0xFF, then a text.
local text = "The quick brown fox jumps over the lazy dog. It's 2026; they'll be über-happy, 日本!\n\n\tEnd  "
local tok = assert(tokenizer.train { texts = { text:rep(3) }, vocab_size = 280, special = { "<|end|>" } })
put("tokenizer", "trained", tok:json() .. "\xff" .. text .. "<|end|>")

-- Every kind of section once, around a vocabulary of a few characters.
local function pattern(regex) return { Regex = regex } end
local SECTIONS = {
  normalizer = {
    { type = "NFC" }, { type = "NFKD" }, { type = "Lowercase" }, { type = "StripAccents" }, { type = "Nmt" },
    { type = "Prepend", prepend = "▁" }, { type = "Strip", strip_left = true, strip_right = true },
    { type = "Replace", pattern = { String = " " }, content = "▁" }, { type = "ByteLevel" },
    { type = "Replace", pattern = pattern " {2,}|a*", content = "b" },
    { type = "BertNormalizer", clean_text = true, handle_chinese_chars = true, lowercase = true },
    { type = "Sequence", normalizers = { { type = "Prepend", prepend = "▁" },
      { type = "Replace", pattern = { String = " " }, content = "▁" } } } },
  pre_tokenizer = {
    { type = "ByteLevel", add_prefix_space = true, use_regex = true }, { type = "Whitespace" },
    { type = "WhitespaceSplit" }, { type = "Digits", individual_digits = true }, { type = "BertPreTokenizer" },
    { type = "Punctuation", behavior = "MergedWithPrevious" },
    { type = "CharDelimiterSplit", delimiter = "e" },
    { type = "Metaspace", replacement = "▁", prepend_scheme = "first", split = true },
    { type = "Split", pattern = pattern [[\p{L}+|\s+(?!\S)|(?i:'s|'t)]], behavior = "Isolated", invert = false },
    { type = "Split", pattern = { String = "o" }, behavior = "Contiguous", invert = true },
    { type = "Sequence", pretokenizers = { { type = "Punctuation", behavior = "Contiguous" },
      { type = "ByteLevel", add_prefix_space = false, use_regex = true }, { type = "Digits" },
      { type = "Split", pattern = pattern "[0-9][0-9][0-9]", behavior = "Isolated", invert = false } } } },
  post_processor = {
    { type = "RobertaProcessing", cls = { "a", 0 }, sep = { "b", 1 } }, { type = "ByteLevel", trim_offsets = true },
    { type = "TemplateProcessing", single = { { SpecialToken = { id = "a", type_id = 0 } },
      { Sequence = { id = "A", type_id = 0 } } }, special_tokens = { a = { id = "a", ids = { 0 } } } } },
  decoder = {
    { type = "ByteLevel" }, { type = "ByteFallback" }, { type = "Fuse" }, { type = "BPEDecoder", suffix = "b" },
    { type = "Strip", content = " ", start = 1, stop = 1 }, { type = "WordPiece", prefix = "##", cleanup = true },
    { type = "Replace", pattern = { String = "▁" }, content = " " },
    { type = "Replace", pattern = pattern "a*", content = "x" }, { type = "Metaspace", replacement = "▁" },
    { type = "Sequence", decoders = { { type = "Replace", pattern = { String = "▁" }, content = " " },
      { type = "ByteFallback" }, { type = "Fuse" }, { type = "Strip", content = " ", start = 1, stop = 0 } } } },
  truncation = { { direction = "Left", max_length = 5, strategy = "OnlyFirst", stride = 1 } },
  padding = { { strategy = { Fixed = 8 }, direction = "Left", pad_to_multiple_of = 8, pad_id = 3, pad_token = "d" } },
}
local vocab, ids = {}, 0
local CHARACTERS = "abcdefghilmnoprstuvwxyz .'ĠÃ¼▁0123"
for c in CHARACTERS:gmatch(utf8.charpattern) do vocab[c], ids = ids, ids + 1 end
for _, token in ipairs { "<unk>", "ab", "<0xC3>", "<0xBC>", "th", "▁th", "Ġth" } do vocab[token], ids = ids, ids + 1 end
local function added(content, id) return { content = content, id = id, special = true, rstrip = true, normalized = true } end
for section, values in pairs(SECTIONS) do
  for i, value in ipairs(values) do
    put("tokenizer", section .. i, json.encode {
      [section] = value, added_tokens = { added("<x>", ids), added("B", ids + 1) },
      model = { type = "BPE", vocab = vocab, merges = { { "a", "b" }, { "t", "h" } }, byte_fallback = true,
        unk_token = "<unk>" } } .. "\xff" .. text .. " <x> B üb 123")
  end
end

-- Models of every kind, merges that no training makes among them.
local MODELS = {
  { merges = { "a b", "ab ab", "a b" }, end_of_word_suffix = "b", fuse_unk = true, unk_token = "<unk>" },
  { merges = { { "a", "bb" }, { "t", "bh" } }, continuing_subword_prefix = "b", byte_fallback = true },
  { merges = { { "a", " " }, { "a ", "b" } }, ignore_merges = true, unk_token = "missing" },
  { merges = json.array {}, byte_fallback = true, fuse_unk = true, unk_token = "<unk>" },
  { merges = { "a a", "aa aa", "aaaa aaaa", "b a", "a b", "aa b" } },
}
for i, model in ipairs(MODELS) do
  local more = { "a ", "a b", "aa", "aaaa", "aaaaaaaa", "ba", "bb", "bh", "abab", "aab", "b" }
  model.vocab, model.type = {}, "BPE"
  for k, v in pairs(vocab) do model.vocab[k] = v end
  for n, token in ipairs(more) do model.vocab[token] = model.vocab[token] or ids + n end
  for kind, pre in ipairs { json.null, { type = "ByteLevel", use_regex = false },
    { type = "Metaspace", replacement = "▁", prepend_scheme = "never", split = false } } do
    put("tokenizer", "model" .. i .. kind, json.encode { model = model, pre_tokenizer = pre } .. "\xff" ..
      ("a"):rep(200) .. "ab ab " .. text .. ("b a"):rep(40))
  end
end

-- Rank files and SentencePiece models. base64 of n bytes whose values are below 256.
local function base64(bytes)
  local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  return (bytes:gsub("..?.?", function(p)
    local a, b, c = p:byte(1, 3)
    local v = a << 16 | (b or 0) << 8 | (c or 0)
    local out = ""
    for i = 0, 3 do
      local d = v >> (18 - 6 * i) & 63
      out = out .. (i > #p and "=" or digits:sub(d + 1, d + 1))
    end
    return out
  end))
end
local ranks = {}
for b = 0, 255 do ranks[b + 1] = base64(string.char(b)) .. " " .. b end
for i, token in ipairs { "th", "the", " t", " the", "  ", "\u{e9}", "in", "ing" } do
  ranks[#ranks + 1] = base64(token) .. " " .. 255 + i
end
for i = 1, 4 do -- each of the lengths that choose an encoding
  put("tiktoken", "ranks" .. i, table.concat(ranks, "\n") .. "\n\xff" .. "the thing, " .. ("x"):rep(i))
end

local function field(number, s) return string.char(number << 3 | 2, #s) .. s end
local function piece(s, score, kind)
  return field(1, field(1, s) .. ("<Bf"):pack(0x15, score) .. string.char(3 << 3, kind))
end
local pieces = { piece("<unk>", 0, 2), piece("<s>", 0, 3), piece("</s>", 0, 3) }
for i, s in ipairs { "ab", "\u{2581}a", "abab", "\u{2581}", "a", "b", "\u{e9}" } do
  pieces[#pieces + 1] = piece(s, -i + 0.0, 1)
end
local plain, user = table.concat(pieces), table.concat(pieces) .. piece("<m>", 0, 4)
for b = 0, 255 do pieces[#pieces + 1] = piece(("<0x%02X>"):format(b), 0, 6) end
local identity = field(3, field(1, "identity") .. "\x20\0")
put("sentencepiece", "plain", plain .. field(2, "\x18\2") .. identity .. "ab a\5")
put("sentencepiece", "spaces", plain .. field(2, "\x18\2") .. "  ab  b \9")
put("sentencepiece", "user", user .. field(2, "\x18\2") .. identity .. "a<m> b<s>\10")
put("sentencepiece", "bytes", table.concat(pieces) .. field(2, "\x18\2\x98\2\1") .. identity .. "a\u{e9}\u{20ac}b\8")

-- Texts: two bytes of options, then bytes of some encoding.
for i, sample in ipairs { text, "\xef\xbb\xbfmarked", "\xff\xfea\0b\0c\0", "\xfe\xff\0a\0b\0c", "caf\xe9 \x80 \x93x\x94",
  "\x93\xfa\x96\x7b\x8c\xea\x82\xcc\x83\x65\x83\x4c\x83\x58\x83\x67", "e\u{301}\u{fb01}\u{200b}\u{2028}word-\nbreak",
  "\x1b$BF|K\\8l\x1b(B", "\xd0\xcf\xd2\xc4\xd1 \xd2\xd5\xd3\xd3\xcb\xc9\xca" } do
  put("text", "sample" .. i, "\x2a\x05" .. sample)
  put("utf8", "sample" .. i, sample)
end

-- Streams and lines: options, then a plain, gzip or zstd file. The gzip is stored, not packed: it can be
-- written down here (RFC 1952), its checksum being that of "hello\n".
put("lines", "plain", "\x04\0one\ntwo\r\n\nthree")
put("lines", "gzip", "\x04\0\x1f\x8b\8\0\0\0\0\0\0\3\1\6\0\xf9\xffhello\n" .. ("<I4I4"):pack(0x363a3020, 6))
put("lines", "zstd", "\x04\0\x28\xb5\x2f\xfd\x20\6\x31\0\0hello\n")

-- Office documents and archives, stored and not packed, so that their XML is what the fuzzer changes.
local archive = require "tests.support.archive"
local TEXT = 'xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0" '
  .. 'xmlns:b="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:s="urn:oasis:names:tc:opendocument:xmlns:style:1.0"'
local odt = archive.zip { { "mimetype", "application/vnd.oasis.opendocument.text" },
  { "content.xml", "<o:d " .. TEXT .. '><t:list-style s:name="N"><t:list-level-style-number t:level="1" s:num-format="a"/></t:list-style>'
    .. '<o:text><t:h t:outline-level="2">H</t:h><t:list t:style-name="N"><t:list-item><t:p>i<t:note><t:note-body><t:p>n</t:p>'
    .. '</t:note-body></t:note></t:p><t:list><t:list-item><t:p>j</t:p></t:list-item></t:list></t:list-item></t:list>'
    .. '<b:table><b:table-row><b:table-cell b:number-columns-repeated="3"><t:p>c</t:p></b:table-cell><b:table-cell/></b:table-row></b:table>'
    .. '<t:p t:style-name="Preformatted_20_Text">x<t:s t:c="4"/>y</t:p></o:text></o:d>' } }
local A = 'xmlns:a="drawingml" xmlns:p="presentationml" xmlns:r="relationships"'
local pptx = archive.zip { { "ppt/presentation.xml", "<p:p " .. A .. '><p:sldId r:id="r1"/></p:p>' },
  { "ppt/_rels/presentation.xml.rels", '<R xmlns="relationships"><Relationship Id="r1" Target="slides/s.xml"/></R>' },
  { "ppt/slides/s.xml", "<p:sld " .. A .. '><p:sp><p:ph type="title"/><p:txBody><a:p><a:pPr lvl="1"><a:buAutoNum type="romanLcP"/></a:pPr>'
    .. "<a:r><a:t>T</a:t></a:r></a:p></p:txBody></p:sp><a:tbl><a:tr><a:tc><a:p><a:r><a:t>c</a:t></a:r></a:p></a:tc></a:tr></a:tbl></p:sld>" } }
local epub = archive.zip { { "mimetype", "application/epub+zip" }, { "META-INF/container.xml", '<c><rootfile full-path="b.opf"/></c>' },
  { "b.opf", '<p><item id="a" href="x%2e/../a.xhtml" media-type="application/xhtml+xml"/><itemref idref="a"/></p>' },
  { "a.xhtml", "<html><head><title>t</title></head><body><h1>H</h1><p>text</p></body></html>" } }
local notebook = '{"cells":[{"cell_type":"markdown","source":["# T\\n","x"]},{"cell_type":"code","source":"a","outputs":[{"text":["1"]},'
  .. '{"data":{"text/plain":"2"}},{"ename":"E","evalue":"v"}]}],"metadata":{"kernelspec":{"language":"R"}},"nbformat":4}'
for kind, bytes in pairs { [5] = odt, [6] = pptx, [7] = epub, [8] = notebook } do
  put("extract", "office" .. kind, string.char(kind) .. bytes)
  put("extract", "office-guess" .. kind, "\4" .. bytes)
end
local members = { { "a.txt", "one" }, { "../b", "two" }, { "l", "", type = "2", link = "a.txt" } }
for name, bytes in pairs { zip = archive.zip(members), tar = archive.tar(members), gz = archive.gzip(archive.tar(members)) } do
  put("extract", name, "\9" .. bytes)
end

-- Documents: the first byte is the type (0 html, 1 docx, 2 markdown, 3 pdf, 4 to be guessed, 5 odt, 6 pptx,
-- 7 epub, 8 notebook, 9 an archive).
for _, entry in ipairs(assert(file.list("recipes/demo"))) do
  local kind = ({ html = 0, docx = 1, md = 2, txt = 2, pdf = 3 })[entry.name:match "%.(%w+)$"]
  if kind and not entry.is_dir then
    local bytes = slurp("recipes/demo/" .. entry.name)
    if #bytes < 60000 then
      put("extract", entry.name, string.char(kind) .. bytes)
      put("extract", "guess-" .. entry.name, "\4" .. bytes:sub(1, 4096))
    end
  end
end

-- CSV: a byte of options, then the file.
put("csv", "quotes", '\0a,b\r\n"x,1","say ""hi"",\nthen"\r\nlast,"end"')
put("csv", "semicolons", "\4sep=;\na;b;a\n1;2\n;;;\n")
put("csv", "typed", "\3\xef\xbb\xbf1\ttrue\t-2.5e3\n\n\"\"\t\"\n")
put("csv", "latin", "\0a|b\ncaf\xe9|\x93x\x94\n")

-- Parquet files of other programs.
for _, entry in ipairs(assert(file.list("tests/store/reference"))) do
  if entry.name:find "%.parquet$" then put("parquet", entry.name, slurp("tests/store/reference/" .. entry.name)) end
end
assert(file.remove_tree(path))
assert(file.remove_tree(path .. "s"))
