-- SPDX-License-Identifier: MIT
-- From text to ids and back, part by part: added tokens, normalizer, post-processor, spans, saving. What is
-- expected are the answers of Hugging Face tokenizers 0.23.3, with spans in bytes.
local test = require "tests.support.test"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local ALPHABET = "abcdefghijklmnopqrstuvwxyz <>_.ABC"

--- A tokenizer whose tokens are single characters (and ▁), with the sections given.
local function make(sections, added)
  local vocab, count = {}, 0
  for c in (ALPHABET .. "▁é"):gmatch(utf8.charpattern) do vocab[c], count = count, count + 1 end
  for i, a in ipairs(added or {}) do
    a.id = a.id or count + i - 1
    if a.special == nil then a.special = true end
    if a.normalized == nil then a.normalized = false end
  end
  sections.model = sections.model or { type = "BPE", vocab = vocab, merges = json.array {} }
  sections.added_tokens = json.array(added or {})
  return assert(tokenizer.parse(json.encode(sections)))
end

--- "text@start:stop" of each token.
local function shown(tok, text, options)
  local out = {}
  for i, row in ipairs(tok:explain(text, options)) do out[i] = ("%s@%d:%d"):format(row[2], row[3], row[4]) end
  return table.concat(out, " ")
end

local lower = { type = "Lowercase" }
local llama = { type = "Sequence", normalizers = {
  { type = "Prepend", prepend = "▁" }, { type = "Replace", pattern = { String = " " }, content = "▁" } } }
local strip = { type = "Strip", strip_left = true, strip_right = true }
local first = { type = "Metaspace", replacement = "▁", prepend_scheme = "first", split = false }

test.case("normalized tokens are looked for in the normalized text, themselves normalized", function()
  local tok = make({ normalizer = lower }, { { content = "<S>", normalized = true } })
  test.equal(shown(tok, "a<S>b<s>"), "a@0:1 <S>@1:4 b@4:5 <S>@5:8")
  tok = make({ normalizer = llama }, { { content = "<s>", normalized = true } })
  test.equal(shown(tok, "a<s>b <s>c"), "▁@0:1 a@0:1 <@1:2 s@2:3 >@3:4 b@4:5 <s>@5:9 c@9:10")
  test.equal(shown(tok, "<s>c"), "<s>@0:3 c@3:4")
  tok = make({ normalizer = strip }, { { content = "  ", normalized = true } }) -- nothing is left of it
  test.equal(shown(tok, "a  b"), "a@0:1  @1:2  @2:3 b@3:4")
end)

-- The reference takes any of them, not always the same.
test.case("of tokens that become equal the special one is found, else the first", function()
  local tok = make({ normalizer = lower }, {
    { content = "<S>", normalized = true, special = false }, { content = "<s>", normalized = true, special = false },
    { content = "<B>", normalized = true, special = false }, { content = "<b>", normalized = true } })
  test.equal(shown(tok, "a<S>b<s> <b>"), "a@0:1 <S>@1:4 b@4:5 <S>@5:8  @8:9 <b>@9:12")
end)

test.case("a normalized token decodes to its normalized content", function()
  local tok = make({ normalizer = lower, decoder = { type = "Sequence", decoders = json.array {} } }, {
    { content = "<S>", normalized = true }, { content = "<x>", normalized = true },
    { content = "<Q>", normalized = true, special = false }, { content = "<q>" }, { content = "<W>" } })
  local b = tok:id "b"
  local function both(content)
    local ids = { 0, tok:id(content), b }
    return tok:decode(ids) .. " " .. tok:decode(ids, { skip_special = true })
  end
  test.equal({ both "<S>", both "<x>", both "<Q>", both "<q>", both "<W>" },
    { "a<s>b a<s>b", "a<x>b ab", "a<q>b ab", "a<q>b ab", "a<W>b ab" })
  tok = make({ normalizer = llama, decoder = { type = "ByteLevel" } }, { { content = "ab", normalized = true } })
  test.equal(tok:decode { b, tok:id "ab" }, "b▁ab")
end)

test.case("leftmost, then longest; nothing inside a token", function()
  local tok = make({}, { { content = "ab" }, { content = "abc" }, { content = "bcde" }, { content = "abcdefg" } })
  test.equal(shown(tok, "abcdef"), "abc@0:3 d@3:4 e@4:5 f@5:6")
  test.equal(shown(tok, "abcdefg"), "abcdefg@0:7")
  test.equal(shown(tok, "abab"), "ab@0:2 ab@2:4")
  tok = make({}, { { content = "<s>" }, { content = "<s><s>", special = false } })
  test.equal(shown(tok, "a<s><s>b<s>", { plain = true }), "a@0:1 <s><s>@1:7 b@7:8 <@8:9 s@9:10 >@10:11")
end)

test.case("rstrip may reach into the next token", function()
  local tok = make({}, { { content = "<s>", rstrip = true }, { content = "  " } })
  test.equal(shown(tok, "a<s>   b"), "a@0:1 <s>@1:7   @4:6  @6:7 b@7:8")
  test.equal(shown(tok, "a<s>  b"), "a@0:1 <s>@1:6   @4:6 b@6:7")
  tok = make({}, { { content = "  ", rstrip = true, lstrip = true } })
  test.equal(shown(tok, "a      "), "a@0:1   @1:7")
end)

test.case("single words", function()
  local tok = make({}, { { content = "ab", single_word = true } })
  test.equal(shown(tok, "ab abc _ab ab. éab"),
    "ab@0:2  @2:3 a@3:4 b@4:5 c@5:6  @6:7 _@7:8 a@8:9 b@9:10  @10:11 ab@11:13 .@13:14  @14:15 é@15:17 a@17:18 b@18:19")
  test.equal(shown(tok, "ab\u{301} ab\u{200D}"), "a@0:1 b@1:2  @4:5 a@5:6 b@6:7")
end)

test.case("a token given twice has the last flags; an empty one is never found", function()
  local tok = make({}, { { content = "ab", id = 50 }, { content = "ab", id = 50, lstrip = true }, { content = "" } })
  test.equal(shown(tok, "c ab"), "c@0:1 ab@1:4")
  test.equal(#tok:added(), 2)
end)

test.case("Metaspace at the beginning of the input only, however it was normalized", function()
  local tok = make({ pre_tokenizer = first }, { { content = "<s>" } })
  test.equal(shown(tok, "<s>a b<s>c"), "<s>@0:3 a@3:4 ▁@4:5 b@5:6 <s>@6:9 c@9:10")
  test.equal(shown(tok, "a <s>b"), "▁@0:1 a@0:1 ▁@1:2 <s>@2:5 b@5:6")
  tok = make({ normalizer = strip, pre_tokenizer = first })
  test.equal(shown(tok, "  a b"), "a@2:3 ▁@3:4 b@4:5")
  test.equal(shown(tok, "a b"), "▁@0:1 a@0:1 ▁@1:2 b@2:3")
end)

test.case("a composed character stands for its first one, as the reference has it", function()
  local tok = make { normalizer = { type = "Sequence", normalizers = { { type = "NFC" }, strip } } }
  test.equal(shown(tok, " ae\u{301}b "), "a@1:2 é@2:3 b@5:6")
end)

local function template(...)
  return { type = "TemplateProcessing", single = { ... }, pair = json.array {},
    special_tokens = { ["<s>"] = { id = "<s>", ids = { 0 }, tokens = { "<s>" } },
      ["</s>"] = { id = "</s>", ids = { 1, 2 }, tokens = { "</s>", "." } } } }
end
local sequence = { Sequence = { id = "A", type_id = 0 } }
local function token(name) return { SpecialToken = { id = name, type_id = 0 } } end

test.case("post-processors put ids around, one around the other", function()
  local function around(post_processor) return make({ post_processor = post_processor }):encode("d", { special = true }) end
  test.equal(around(template(token "<s>", sequence, token "</s>", token "<s>")), { 0, 3, 1, 2, 0 })
  test.equal(around { type = "RobertaProcessing", cls = { "a", 7 }, sep = { "b", 8 } }, { 7, 3, 8 })
  test.equal(around { type = "BertProcessing", cls = { "a", 7 }, sep = { "b", 8 } }, { 7, 3, 8 })
  test.equal(around { type = "Sequence", processors = { { type = "ByteLevel", trim_offsets = true },
    template(token "<s>", sequence), template(token "</s>", sequence, token "</s>") } }, { 1, 2, 0, 3, 1, 2 })
  test.equal(around(nil), { 3 })
end)

local function refuses(sections, part)
  sections.model = { type = "BPE", vocab = { a = 0 }, merges = json.array {} }
  local tok, message = tokenizer.parse(json.encode(sections))
  test.equal(tok, nil)
  test.contains(message, part)
end

test.case("cut at a number of tokens", function()
  local tok = make({ normalizer = llama, post_processor = template(token "<s>", sequence, token "</s>") }, { { content = "<x>" } })
  local function cut(text, max, options)
    local ids, at = tok:truncate(text, max, options)
    return { #ids, at }
  end
  test.equal(cut("a b<x>c", 99), { 7, 7 }) -- the second piece gets a ▁ as well
  test.equal(cut("a b<x>c", 5), { 5, 6 })
  test.equal(cut("a b<x>c", 6), { 5, 6 }) -- that ▁ stands for c, which does not fit
  test.equal(cut("a b<x>c", 1), { 0, 0 })
  test.equal(cut("a b<x>c", 4, { special = true }), { 3, 0 })
  test.equal(cut("a b<x>c", 7, { special = true, side = "left" }), { 7, 2 })
  local none, message, code = tok:truncate("a", 2, { special = true })
  test.equal({ none, code }, { nil, "misuse" })
  test.contains(message, "at most 2 tokens, but 3 are added")
  test.raises("not negative", tok.truncate, tok, "a", -1)
end)

test.case("sections that make no sense are refused by name", function()
  refuses({ post_processor = template(token "<s>") }, "TemplateProcessing without a sequence")
  refuses({ post_processor = template(sequence, sequence) }, "TemplateProcessing with this template")
  refuses({ post_processor = template(token "<x>", sequence) }, "a token without ids")
  refuses({ post_processor = { type = "RobertaProcessing", cls = { "a", 7 } } }, "[token, id]")
  refuses({ post_processor = { type = "Else" } }, "post_processor Else")
  refuses({ truncation = { max_length = -1 } }, "max_length")
  refuses({ truncation = { max_length = 4, strategy = "Half" } }, "strategy is not known")
  refuses({ truncation = { max_length = 4, stride = 4 } }, "stride")
  refuses({ truncation = { max_length = 4, direction = "Up" } }, "direction")
  refuses({ padding = { strategy = "Longest" } }, "Fixed")
  refuses({ padding = { strategy = "BatchLongest", pad_id = -1, pad_token = "a" } }, "not negative")
  refuses({ padding = { strategy = { Fixed = 4 } } }, "pad_token")
end)

test.case("everything is written as it was read, and reads the same", function()
  local sections = {
    truncation = { direction = "Left", max_length = 5, strategy = "OnlyFirst", stride = 1 },
    padding = { strategy = { Fixed = 8 }, direction = "Left", pad_to_multiple_of = 8, pad_id = 3, pad_type_id = 1,
      pad_token = "d" },
    normalizer = llama, post_processor = template(token "<s>", sequence),
    decoder = { type = "Sequence", decoders = { { type = "ByteFallback" }, { type = "Fuse" } } },
  }
  local tok = make(sections, { { content = "<x>", lstrip = true, single_word = true } })
  local text = tok:json()
  local read = assert(json.decode(text))
  for name, value in pairs(sections) do
    if name ~= "model" and name ~= "added_tokens" then test.equal(read[name], value, name) end
  end
  local again = assert(tokenizer.parse(text))
  test.equal(again:json(), text)
  test.equal(again:encode("a <x>", { special = true }), tok:encode("a <x>", { special = true }))
end)

return test.done()
