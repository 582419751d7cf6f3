-- SPDX-License-Identifier: MIT
-- Tokenizers inside GGUF files: read as a tokenizer.json, and written from one.
--
--   tokenizer.ggml.model   "gpt2": byte-level BPE with merges; how text is cut is named by tokenizer.ggml.pre
--                          "llama": SentencePiece of type BPE, with scores
--   tokenizer.ggml.tokens, token_type, scores, merges, bos_token_id …, add_bos_token, add_space_prefix
--
-- What a file does not say is as llama.cpp has it, since that is what runs the file: no Unicode normalization
-- (Qwen's own tokenizer.json has NFC), a space before every stretch between special tokens where add_space_prefix.
-- Written is only what llama.cpp reads the same way again: merges become scores only where that is exact.
--
-- Sources: ggml's docs/gguf.md; llama.cpp's src/llama-vocab.cpp for what is implied.

local files = require "engine.tokenizer_files"
local gguf = require "engine.gguf"
local json = require "engine.json"
local pretokenizers = require "lathe.pretokenizers"
local tokenizer = require "engine.tokenizer"

local M = {}

local NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
local SPACE = "\u{2581}" -- ▁

local function unsupported(message) return nil, message, "unsupported" end
local function wrong(message) return nil, message, "format" end

-- nil for null and for what is not there.
local function given(value)
  if value == json.null then return nil end
  return value
end

-- ---- reading ----

-- A string as JSON.
local function quoted(s)
  if s:find '[%c"\\]' then return json.encode(s) end
  return '"' .. s .. '"'
end

-- Many strings as JSON, one a line, with commas between; with `ids` each followed by a colon and its number, from 0.
-- Where none holds a control character that is done to all at once.
local function quoted_lines(strings, ids)
  local text, at = table.concat(strings, "\n"), -1
  local function numbered()
    at = at + 1
    return '":' .. at .. ',\n"'
  end
  local lines, ends = text:gsub('[\\"]', "\\%0"):gsub("\n", ids and numbered or '",\n"')
  if ends == #strings - 1 and not text:find "[%z\1-\9\11-\31\127]" then
    return '"' .. lines .. '"' .. (ids and ":" .. ends or "")
  end
  local out = {}
  for i, s in ipairs(strings) do out[i] = quoted(s) .. (ids and ":" .. i - 1 or "") end
  return table.concat(out, ",\n")
end

local function flag(g, name, fallback)
  local v = g:get("tokenizer.ggml." .. name)
  if type(v) == "boolean" then return v end
  return fallback
end

local function list(g, name, kind)
  local key = "tokenizer.ggml." .. name
  local v, type_name = g:get(key)
  if v == nil then return nil, key .. " is missing", "format" end
  if not kind[type_name] then return wrong(("%s is of type %s"):format(key, tostring(type_name))) end
  return v
end

-- What a file says besides the vocabulary.
local function facts_of(g, tokens, add_bos)
  local out = { model = g:get "tokenizer.ggml.model", pre = g:get "tokenizer.ggml.pre",
    chat_template = g:get "tokenizer.chat_template", add_bos = flag(g, "add_bos_token", add_bos),
    add_eos = flag(g, "add_eos_token", false) }
  for name, key in pairs { bos = "bos", eos = "eos", unk = "unknown", pad = "padding" } do
    local id = g:get("tokenizer.ggml." .. key .. "_token_id")
    if math.type(id) == "integer" and id >= 0 and tokens[id + 1] then out[name] = id end
  end
  return out
end

local function read_tokens(g)
  local tokens, message, code = list(g, "tokens", { ["[string]"] = true })
  if not tokens then return nil, message, code end
  local kinds = g:get "tokenizer.ggml.token_type"
  if type(kinds) ~= "table" then kinds = {} end
  local seen = {}
  for i, token in ipairs(tokens) do
    if seen[token] then return wrong(("tokens %d and %d are both '%s'"):format(seen[token], i - 1, token)) end
    seen[token] = i - 1
    if kinds[i] == nil then kinds[i] = NORMAL end
    if math.type(kinds[i]) ~= "integer" then return wrong "tokenizer.ggml.token_type holds no integers" end
  end
  return tokens, kinds
end

-- The post-processor that adds BOS and EOS.
local function template(tokens, bos, eos)
  local used = {}
  local function token(id, type_id)
    used[tokens[id + 1]] = { id = tokens[id + 1], ids = { id }, tokens = { tokens[id + 1] } }
    return { SpecialToken = { id = tokens[id + 1], type_id = type_id } }
  end
  local function side(out, name, type_id)
    if bos then out[#out + 1] = token(bos, type_id) end
    out[#out + 1] = { Sequence = { id = name, type_id = type_id } }
    if eos then out[#out + 1] = token(eos, type_id) end
    return out
  end
  return { type = "TemplateProcessing", single = side({}, "A", 0), pair = side(side({}, "A", 0), "B", 1),
    special_tokens = used }
end

local function added_token(id, content, special)
  return ('{"id":%d,"content":%s,"single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":%s}')
    :format(id, quoted(content), tostring(special))
end

-- Added tokens with others behind them are in the vocabulary too: the reference gives an added token that it does
-- not find there the next free id, whatever the file says.
local function split_tokens(tokens, kinds)
  local added, last = {}, #tokens
  local function is_added(i) return kinds[i] == CONTROL or kinds[i] == USER_DEFINED or kinds[i] == UNKNOWN end
  while last > 0 and is_added(last) do last = last - 1 end
  for i, token in ipairs(tokens) do
    if is_added(i) then added[#added + 1] = added_token(i - 1, token, kinds[i] ~= USER_DEFINED) end
  end
  return quoted_lines(table.move(tokens, 1, last, 1, {}), true), added
end

local BYTE_LEVEL = '{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}'

local function read_gpt2(g)
  local name = g:get "tokenizer.ggml.pre" or "default"
  local pre = pretokenizers.named(name)
  if not pre then
    return unsupported(("the pre-tokenizer '%s' is not known; known are %s"):format(name,
      table.concat(pretokenizers.names(), ", ")))
  end
  if flag(g, "add_space_prefix", false) then return unsupported "byte-level BPE with add_space_prefix" end
  local tokens, kinds, code = read_tokens(g)
  if not tokens then return nil, kinds, code end
  local merges, message
  merges, message, code = list(g, "merges", { ["[string]"] = true })
  if not merges then return nil, message, code end
  local facts = facts_of(g, tokens, pre.add_bos)
  local bos, eos = facts.add_bos and facts.bos, facts.add_eos and facts.eos
  local vocab, added = split_tokens(tokens, kinds)
  return table.concat { '{"version":"1.0","truncation":null,"padding":null,"added_tokens":[\n',
    table.concat(added, ",\n"), '],\n"normalizer":null,\n"pre_tokenizer":', json.encode(pre.pre_tokenizer), ',\n"post_processor":',
    (bos or eos) and json.encode(template(tokens, bos or nil, eos or nil)) or BYTE_LEVEL, ',\n"decoder":', BYTE_LEVEL,
    ',\n"model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,',
    '"end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":', tostring(pre.ignore_merges),
    ',"vocab":{\n', vocab, '\n},"merges":[\n', quoted_lines(merges), "\n]}}\n" }, facts
end

-- Fields of a protocol buffer, see engine/tokenizer/sentencepiece.c.
local function varint(v)
  local out = {}
  while v > 127 do
    out[#out + 1] = string.char(v & 127 | 128)
    v = v >> 7
  end
  return table.concat(out) .. string.char(v)
end
local function bytes_field(number, s) return string.char(number << 3 | 2) .. varint(#s) .. s end
local function int_field(number, v) return varint(number << 3) .. varint(v) end

-- The same pieces as a SentencePiece model, which engine.tokenizer_files turns into a tokenizer.json.
local function read_llama(g)
  local tokens, kinds, code = read_tokens(g)
  if not tokens then return nil, kinds, code end
  local scores, message
  scores, message, code = list(g, "scores", { ["[f32]"] = true, ["[i32]"] = true })
  if not scores then return nil, message, code end
  if #scores < #tokens then return wrong "tokenizer.ggml.scores has fewer values than there are tokens" end
  local facts = facts_of(g, tokens, true)
  local bos, eos = facts.add_bos and facts.bos, facts.add_eos and facts.eos
  local out, unknown, fallback = {}, facts.unk, false
  for i, kind in ipairs(kinds) do
    if kind < NORMAL or kind > BYTE or kind == UNUSED then kind = NORMAL end -- llama.cpp uses unused ones too
    if i - 1 == bos or i - 1 == eos then kind = CONTROL end
    if kind == UNKNOWN then
      unknown = unknown or i - 1
      if unknown ~= i - 1 then kind = CONTROL end
    end
    fallback = fallback or kind == BYTE
    kinds[i] = kind
  end
  if not unknown and (tokens[1] == "<unk>" or kinds[1] == CONTROL) then unknown = 0 end -- llama.cpp's own guess
  if not unknown or unknown == bos or unknown == eos then return wrong "the file names no unknown token" end
  kinds[unknown + 1] = UNKNOWN
  for i, token in ipairs(tokens) do
    out[i] = bytes_field(1, bytes_field(1, token) .. string.pack("<Bf", 0x15, scores[i]) .. int_field(3, kinds[i]))
  end
  out[#out + 1] = bytes_field(2, int_field(3, 2) .. int_field(35, fallback and 1 or 0)
    .. int_field(41, bos or #tokens) .. int_field(42, eos or #tokens))
  local prefix = flag(g, "add_space_prefix", true)
  out[#out + 1] = bytes_field(3, bytes_field(1, "identity") .. int_field(3, prefix and 1 or 0) .. int_field(4, 0))
  local text
  text, message, code = files.sentencepiece(table.concat(out), { bos = math.type(bos) == "integer",
    eos = math.type(eos) == "integer", space = "always" })
  if not text then return nil, message, code end
  return text, facts
end

local READ = { gpt2 = read_gpt2, llama = read_llama }

--- The tokenizer of a GGUF file as the text of a tokenizer.json.
-- @param path string: the file
-- @return string: the JSON
-- @return table: { model, pre, bos, eos, unk, pad = ids or nil, add_bos, add_eos, chat_template = text or nil }
-- @error not_found, io, format, unsupported (another model or pre-tokenizer)
-- @example require("lathe.gguf_tokenizer").json "model.gguf"
function M.json(path)
  local g <close>, message, code = gguf.open(path)
  if not g then return nil, message, code end
  local model = g:get "tokenizer.ggml.model"
  if model == nil then return nil, "the file holds no tokenizer", "not_found" end
  if not READ[model] then
    return unsupported(("tokenizers of the kind '%s' are not read; gpt2 and llama are"):format(tostring(model)))
  end
  return READ[model](g)
end

-- ---- writing ----

-- token → type, as GGUF has them; the types of ids without a token are UNUSED.
local function token_lists(tok, size)
  local tokens, kinds, added = {}, {}, {}
  local fallback = given(tok.json.model.byte_fallback) == true
  local unk = given(tok.json.model.unk_token)
  for _, a in ipairs(given(tok.json.added_tokens) or {}) do added[a.id] = a.special and CONTROL or USER_DEFINED end
  for id = 0, size - 1 do
    local token = tok.tokens[id]
    tokens[id + 1] = token or ("[PAD%d]"):format(id)
    kinds[id + 1] = not token and UNUSED or token == unk and UNKNOWN or added[id]
      or fallback and token:find "^<0x%x%x>$" and BYTE or NORMAL
  end
  return tokens, kinds
end

local function merge_parts(m)
  if type(m) == "table" then return m[1], m[2] end
  return m:match "^(.-) (.*)$"
end

-- Whether the model gives the same ids with and without ignore_merges: each token's own text tells.
local function merges_reach_all(tok)
  local copy = {}
  for k, v in next, tok.json do copy[k] = v end
  local model = {}
  for k, v in next, tok.json.model do model[k] = v end
  copy.model = model
  local both = {}
  for i, whole in ipairs { true, false } do
    model.ignore_merges = whole
    local t, message, code = tokenizer.parse(json.encode(copy))
    if not t then return nil, message, code end
    both[i] = t
  end
  for id in next, tok.tokens do
    local text = both[1]:decode { id }
    local a, b = both[1]:encode(text, { plain = true }), both[2]:encode(text, { plain = true })
    if #a ~= #b then return false end
  end
  return true
end

-- Nothing, or NFC, which llama.cpp leaves out; returns whether it is there.
local function only_nfc(normalizer)
  normalizer = given(normalizer)
  if not normalizer then return true, false end
  if normalizer.type == "NFC" then return true, true end
  if normalizer.type == "Sequence" then
    local found = false
    for _, n in ipairs(normalizer.normalizers or {}) do
      if n.type ~= "NFC" then return false end
      found = true
    end
    return true, found
  end
  return false
end

-- Bytes of UTF-8 that a byte-level vocabulary has no token for are dropped before merging; llama.cpp drops them after.
local function note_missing(tok, notes)
  local others, missing = 0, {}
  for b = 0, 244 do
    local plain = b >= 33 and b <= 126 or b >= 161 and b ~= 173
    local char = utf8.char(plain and b or 256 + others)
    if not plain then others = others + 1 end
    if not tok.ids[char] and b ~= 0xC0 and b ~= 0xC1 then missing[#missing + 1] = ("0x%02X"):format(b) end
  end
  if #missing > 0 then
    notes[#notes + 1] = ("the vocabulary lacks %d of the bytes (%s%s): llama.cpp merges otherwise around them"):format(#missing,
      table.concat(missing, ", ", 1, math.min(#missing, 4)), #missing > 4 and " …" or "")
  end
end

local function write_gpt2(tok, size, notes)
  local t = tok.json
  local fine, nfc = only_nfc(t.normalizer)
  if not fine then
    return unsupported(("the tokenizer normalises text (%s), which llama.cpp would not"):format(
      tostring(t.normalizer.type)))
  end
  if nfc then
    notes[#notes + 1] = "llama.cpp leaves out the tokenizer's NFC: text that is not in that form has other ids"
  end
  local section = given(t.pre_tokenizer)
  if not section then return unsupported "tokenizer.json has no pre-tokenizer" end
  local whole = given(t.model.ignore_merges) == true
  local pre, means_whole = pretokenizers.name(section, whole)
  if not pre then
    return unsupported(("llama.cpp has no name for this pre-tokenizer (%s): it would cut text otherwise"):format(
      tostring(section.type)))
  end
  if means_whole ~= whole then
    local same, message, code = merges_reach_all(tok)
    if same == nil then return nil, message, code end
    if not same then
      return unsupported(("llama.cpp's '%s' takes ignore_merges for %s, and that would change ids"):format(pre,
        tostring(means_whole)))
    end
  end
  note_missing(tok, notes)
  local tokens, kinds = token_lists(tok, size)
  local merges = {}
  for i, m in ipairs(given(t.model.merges) or {}) do
    local left, right = merge_parts(m)
    merges[i] = left .. " " .. right
  end
  return {
    { "ggml.model", "string", "gpt2" }, { "ggml.pre", "string", pre }, { "ggml.tokens", "[string]", tokens },
    { "ggml.token_type", "[i32]", kinds }, { "ggml.merges", "[string]", merges },
    { "ggml.add_space_prefix", "bool", false } }
end

-- Whether a space goes before the text, from the sections that do it; nil when they do something else.
local function space_prefix(t)
  local normalizer, pre = given(t.normalizer), given(t.pre_tokenizer)
  local steps = {}
  if normalizer then
    for _, n in ipairs(normalizer.type == "Sequence" and normalizer.normalizers or { normalizer }) do
      local what = n.type == "Prepend" and n.prepend == SPACE and "prepend"
        or n.type == "Replace" and type(n.pattern) == "table" and n.pattern.String == " " and n.content == SPACE
          and "replace"
      steps[#steps + 1] = what or "?" .. tostring(n.type)
    end
  end
  local text = table.concat(steps, " ")
  if not pre and (text == "prepend replace" or text == "replace") then return text ~= "replace" end
  if pre and pre.type == "Metaspace" and (pre.replacement == nil or pre.replacement == SPACE) and pre.split == false
    and (text == "" or text == "replace") then
    local scheme = given(pre.prepend_scheme) or (pre.add_prefix_space == false and "never" or "always")
    return scheme ~= "never", scheme ~= "never"
  end
  return nil
end

-- Scores in the order of the merges. Exact when every split of every token is a merge, and when the merges of one
-- result stand together; results whose merges are mixed get one score (llama.cpp then takes the leftmost), which is
-- the same only for runs of one character.
local function scores_of(tok, tokens, kinds)
  local id_of, first, last, count, order = {}, {}, {}, 0, {}
  for i, token in ipairs(tokens) do if kinds[i] == NORMAL then id_of[token] = i end end
  local seen = {}
  for rank, m in ipairs(given(tok.json.model.merges) or {}) do
    local left, right = merge_parts(m)
    local id = left and id_of[left] and id_of[right] and id_of[left .. right]
    if not id then return unsupported(("merge %d is not of normal tokens"):format(rank - 1)) end
    local key = id_of[left] << 32 | id_of[right]
    if not seen[key] then count = count + 1 end
    seen[key] = true
    if not first[id] then
      first[id] = rank
      order[#order + 1] = id
    end
    last[id] = rank
  end
  local splits = 0
  for token in pairs(id_of) do
    for at in utf8.codes(token) do
      if at > 1 and id_of[token:sub(1, at - 1)] and id_of[token:sub(at)] then splits = splits + 1 end
    end
  end
  if splits ~= count then
    return unsupported(("%d of the %d ways to make a token of two are no merges: llama.cpp would use them"):format(
      splits - count, splits))
  end
  local scores, group, reach = {}, 0, 0
  for n, id in ipairs(order) do
    if first[id] > reach then group = n end
    local mixed = first[id] < reach or order[n + 1] and first[order[n + 1]] < last[id]
    if mixed and tokens[id]:gsub(utf8.char(utf8.codepoint(tokens[id])), "") ~= "" then
      return unsupported(("the merges that make '%s' stand among others: scores cannot say that"):format(tokens[id]))
    end
    reach = math.max(reach, last[id])
    scores[id] = -group + 0.0
  end
  for i, kind in ipairs(kinds) do
    scores[i] = scores[i] or (kind == NORMAL or kind == UNUSED) and -1e9 or 0.0
  end
  return scores
end

local function write_llama(tok, size, notes)
  local prefix, metaspace = space_prefix(tok.json)
  if prefix == nil then
    return unsupported "the tokenizer's normalizer or pre-tokenizer does more than spaces: llama.cpp would not do it"
  end
  if metaspace then
    notes[#notes + 1] = "llama.cpp puts a space before every stretch of text between special tokens, "
      .. "this tokenizer only at the beginning and where there is none"
  end
  local tokens, kinds = token_lists(tok, size)
  for b = 0, 255 do
    if not tok.ids[("<0x%02X>"):format(b)] then return unsupported(("there is no token for byte 0x%02X"):format(b)) end
  end
  local scores, message, code = scores_of(tok, tokens, kinds)
  if not scores then return nil, message, code end
  return {
    { "ggml.model", "string", "llama" }, { "ggml.pre", "string", "default" }, { "ggml.tokens", "[string]", tokens },
    { "ggml.scores", "[f32]", scores }, { "ggml.token_type", "[i32]", kinds },
    { "ggml.add_space_prefix", "bool", prefix } }
end

-- The ids that the post-processor puts before and after a text, as two lists.
local function template_ids(tok)
  local before, after = {}, {}
  local function walk(p)
    if p.type == "Sequence" then
      for _, inner in ipairs(given(p.processors) or {}) do walk(inner) end
    elseif p.type == "TemplateProcessing" then
      local out = before
      for _, piece in ipairs(p.single) do
        local special = given(piece.SpecialToken)
        local known = special and p.special_tokens[special.id]
        for _, id in ipairs(known and known.ids or {}) do out[#out + 1] = id end
        if given(piece.Sequence) then out = after end
      end
    end
  end
  if given(tok.json.post_processor) then walk(tok.json.post_processor) end
  return before, after
end

-- BOS and EOS, and whether encoding adds them. A token that encoding adds and no file names is meant.
local function added_ids(tok, options)
  local before, after = template_ids(tok)
  local bos, eos = tok.bos or options.bos or before[1], tok.eos or options.eos or after[1]
  if #before > 1 or #after > 1 or before[1] and before[1] ~= bos or after[1] and after[1] ~= eos then
    return unsupported "the post-processor adds other tokens than one BOS and one EOS, which llama.cpp would not"
  end
  return { bos = bos, eos = eos, add_bos = bos ~= nil and (before[1] ~= nil or tok.add_bos), add_eos = after[1] ~= nil }
end

-- Flags of added tokens that GGUF cannot carry.
local function note_flags(tok, notes)
  local strips, normalized
  local prepends = given(tok.json.model.byte_fallback) == true and given(tok.json.normalizer)
  for _, a in ipairs(given(tok.json.added_tokens) or {}) do
    if a.lstrip == true or a.rstrip == true or a.single_word == true then strips = strips or a.content end
    if a.normalized == true and prepends then normalized = normalized or a.content end
  end
  if strips then
    notes[#notes + 1] = ("some added tokens take the spaces around them, or stand alone only ('%s'): llama.cpp does "
      .. "neither"):format(strips)
  end
  if normalized then
    notes[#notes + 1] = ("some added tokens are looked for in normalised text ('%s'): llama.cpp finds them in the "
      .. "text as it is"):format(normalized)
  end
end

--- The keys of a GGUF file for a tokenizer.
-- @param tok table: from lathe.hf.tokenizer
-- @param options table: { size = ids the model has (default: the tokenizer's), bos, eos, pad, unk = ids where the
-- tokenizer's files name none }
-- @return table: list of { key, type, value }
-- @return table: list of notes: where llama.cpp will differ
-- @error unsupported (llama.cpp could not do the same), mismatch
-- @example require("lathe.gguf_tokenizer").keys(require("lathe.hf").tokenizer "models/small", {})
function M.keys(tok, options)
  local size, notes = options.size or tok.size, {}
  local model = tok.json.model
  if model.type ~= nil and model.type ~= "BPE" then
    return unsupported(("tokenizers of the kind %s are not exported; BPE is"):format(tostring(model.type)))
  end
  if tok.size > size then
    return nil, ("the tokenizer has ids up to %d, the model only %d"):format(tok.size - 1, size), "mismatch"
  end
  local write = given(model.byte_fallback) == true and write_llama or write_gpt2
  local keys, message, code = write(tok, size, notes)
  if not keys then return nil, message, code end
  local ids
  ids, message, code = added_ids(tok, options)
  if not ids then return nil, message, code end
  note_flags(tok, notes)
  local pad = tok.pad or options.pad
  local function add(key, kind, value)
    if value ~= nil then keys[#keys + 1] = { key, kind, value } end
  end
  -- llama.cpp's own guess for a missing BOS is id 11 of GPT-2 (1 with scores), so one is always named;
  -- add_bos_token says whether it is used.
  add("ggml.bos_token_id", "u32", ids.bos or pad or ids.eos)
  add("ggml.eos_token_id", "u32", ids.eos)
  add("ggml.padding_token_id", "u32", pad)
  add("ggml.unknown_token_id", "u32", tok.unk or options.unk)
  add("ggml.add_bos_token", "bool", ids.add_bos)
  add("ggml.add_eos_token", "bool", ids.add_eos)
  add("chat_template", "string", tok.chat_template)
  for _, k in ipairs(keys) do k[1] = "tokenizer." .. k[1] end
  return keys, notes
end

return M
