-- SPDX-License-Identifier: MIT
-- Pre-tokenizers by the names that llama.cpp has for them (tokenizer.ggml.pre), as sections of a
-- tokenizer.json: for reading tokenizers out of GGUF files, and for writing them.
--
-- A name stands for the published tokenizer.json that it was made for. llama.cpp's own regular expressions
-- differ from those in how they are written, and in which characters its tables call letters; the names whose
-- exact pattern we cannot state are missing here and refused by name.
--
-- Sources: the published tokenizer.json files; llama.cpp's src/llama-vocab.cpp for which names mean the same,
-- and what else a name implies: whole words that are tokens ("ignore_merges"), a BOS unless the file says no.

local M = {}

-- ---- patterns ----

local GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
local CONTRACTION = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
local WORD = "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
local REST = "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
local LLAMA3 = CONTRACTION .. "|" .. WORD .. "|\\p{N}{1,3}" .. REST
local QWEN2 = CONTRACTION .. "|" .. WORD .. "|\\p{N}" .. REST
local MINICPM5 = CONTRACTION .. "|" .. WORD .. "|\\p{N}+" .. REST
local TURKISH = WORD .. "|\\p{N}" .. REST
local QWEN35 = CONTRACTION .. "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
  .. "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
local SEED = CONTRACTION .. "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}"
  .. "| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
local BAILING = "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*"
  .. "|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"

-- Words by case: capitals then small letters.
local UPPER, LOWER = "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]", "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
local function cased(tail, digits)
  local before = "[^\\r\\n\\p{L}\\p{N}]?"
  return before .. UPPER .. "*" .. LOWER .. "+" .. tail .. "|" .. before .. UPPER .. "+" .. LOWER .. "*" .. tail .. "|"
    .. digits .. "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
end

local CJK = "[\u{4E00}-\u{9FA5}\u{800}-\u{4E00}\u{AC00}-\u{D7FF}]+"
local DEEPSEEK_LETTERS = "\\s?[A-Za-z"
  .. "\u{B5}\u{C0}-\u{D6}\u{D8}-\u{F6}\u{F8}-\u{1BA}\u{1BC}-\u{1BF}\u{1C4}-\u{293}\u{295}-"
  .. "\u{2AF}\u{370}-\u{373}\u{376}\u{377}\u{37B}-\u{37D}\u{37F}\u{386}\u{388}-\u{38A}\u{38C}\u{38E}-"
  .. "\u{3A1}\u{3A3}-\u{3F5}\u{3F7}-\u{481}\u{48A}-\u{52F}\u{531}-\u{556}\u{10A0}-\u{10C5}\u{13A0}-"
  .. "\u{13F5}\u{13F8}-\u{13FD}\u{1C90}-\u{1CBA}\u{1CBD}-\u{1CBF}\u{1D00}-\u{1D2B}\u{1D6B}-\u{1D77}"
  .. "\u{1D79}-\u{1D9A}\u{1E00}-\u{1F15}\u{1F18}-\u{1F1D}\u{1F20}-\u{1F45}\u{1F48}-\u{1F4D}\u{1F50}-"
  .. "\u{1F57}\u{1F59}\u{1F5B}\u{1F5D}\u{1F5F}-\u{1F7D}\u{1F80}-\u{1FB4}\u{1FB6}-\u{1FBC}\u{1FBE}\u{1FC2}-"
  .. "\u{1FC4}\u{1FC6}-\u{1FCC}\u{1FD0}-\u{1FD3}\u{1FD6}-\u{1FDB}\u{1FE0}-\u{1FEC}\u{1FF2}-\u{1FF4}"
  .. "\u{1FF6}-\u{1FFC}\u{2102}\u{2107}\u{210A}-\u{2113}\u{2115}\u{2119}-\u{211D}\u{2124}\u{2126}\u{2128}"
  .. "\u{212A}-\u{212D}\u{212F}-\u{2134}\u{2139}\u{213C}-\u{213F}\u{2145}-\u{2149}\u{214E}\u{2183}\u{2184}"
  .. "\u{2C00}-\u{2C7B}\u{2C7E}-\u{2CE4}\u{2CEB}-\u{2CEE}\u{2CF2}\u{2CF3}\u{A640}-\u{A66D}\u{A680}-"
  .. "\u{A69B}\u{A722}-\u{A76F}\u{A771}-\u{A787}\u{A78B}-\u{A78E}\u{AB70}-\u{ABBF}\u{FB00}-\u{FB06}"
  .. "\u{FB13}-\u{FB17}\u{FF21}-\u{FF3A}\u{FF41}-\u{FF5A}\u{10400}-\u{1044F}\u{104B0}-\u{104D3}\u{104D8}-"
  .. "\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}]+"
local DEEPSEEK_SIGNS = "\\s?[!-/:-~\u{FF01}-\u{FF0F}\u{FF1A}-\u{FF5E}\u{2018}-\u{201F}\u{3000}-\u{3002}]+"
local DEEPSEEK3_CJK = "[\u{4E00}-\u{9FA5}\u{3040}-\u{309F}\u{30A0}-\u{30FF}]+"
local DEEPSEEK3 = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
  .. "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"

-- ---- steps ----

local function bytes(use_regex)
  return { type = "ByteLevel", add_prefix_space = false, trim_offsets = true, use_regex = use_regex }
end
local function split(regex)
  return { type = "Split", pattern = { Regex = regex }, behavior = "Isolated", invert = false }
end
local function cut(...) -- by these patterns, then to bytes
  local out = { ... }
  for i, regex in ipairs(out) do out[i] = split(regex) end
  out[#out + 1] = bytes(false)
  return out
end

local DIGIT = { type = "Digits", individual_digits = true }
local GPT4O = cut(cased(CONTRACTION .. "?", "\\p{N}{1,3}"))

-- names that mean the same; the first is the one that is written. whole: "ignore_merges"; bos: unless the file says no
local KNOWN = {
  { names = "gpt-2 phi-2 mpt olmo jais jina-es jina-de jina-v2-es jina-v2-de gigachat a.x-4.0 mellum modern-bert "
      .. "trillion granite-docling exaone4", steps = { bytes(true) } },
  { names = "llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", steps = cut(LLAMA3),
    whole = true, bos = true },
  { names = "smaug-bpe dbrx chatglm-bpe glm4", steps = cut(LLAMA3) },
  { names = "qwen2 stablelm2 deepseek-r1-qwen kormo f2llmv2 megrez hunyuan solar-open grok-2", steps = cut(QWEN2) },
  { names = "qwen35", steps = cut(QWEN35) },
  { names = "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2", steps = { DIGIT, bytes(true) } },
  { names = "falcon", steps = { { type = "Punctuation", behavior = "Contiguous" }, bytes(true),
    { type = "Digits", individual_digits = false }, split "[0-9][0-9][0-9]" } },
  { names = "deepseek-llm", steps = { split "[\r\n]", split(DEEPSEEK_LETTERS), split(DEEPSEEK_SIGNS), split "\\s+$",
    split(CJK), DIGIT, bytes(false) } },
  { names = "deepseek-coder", steps = { split "[\r\n]", split "\\s?\\p{L}+", split "\\s?\\p{P}+", split(CJK), DIGIT,
    bytes(false) } },
  { names = "deepseek-v3 hunyuan-dense joyai-llm hy_v4", steps = cut("\\p{N}{1,3}", DEEPSEEK3_CJK, DEEPSEEK3) },
  { names = "gpt-4o llama4 kanana2 talkie minimax-m2", steps = GPT4O },
  { names = "tekken", steps = cut(cased("", "\\p{N}")), whole = true, bos = true },
  { names = "seed-coder", steps = cut(SEED) },
  { names = "bailingmoe bailingmoe2 llada-moe", steps = cut(BAILING) },
  { names = "minicpm5", steps = cut("\\p{N}{1,3}", MINICPM5), whole = true },
  { names = "ufakzeka", steps = cut(TURKISH) },
  -- What llama.cpp does with files that name none.
  { names = "default", steps = cut("[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]") },
}

local by_name, by_steps = {}, {}

-- One text for pre-tokenizers that cut alike; nil for what no name can mean.
local function signature(steps)
  local out = {}
  for i, s in ipairs(steps) do
    if s.type == "ByteLevel" and s.add_prefix_space ~= true then
      out[i] = s.use_regex ~= false and "ByteLevel regex" or "ByteLevel"
    elseif s.type == "Split" and type(s.pattern) == "table" and type(s.pattern.Regex) == "string"
      and (s.behavior == "Isolated" and s.invert ~= true
        or s.behavior == "Removed" and s.invert == true and #steps == 2) then
      out[i] = "Split " .. s.pattern.Regex
    elseif s.type == "Digits" then
      out[i] = s.individual_digits and "Digits each" or "Digits"
    elseif s.type == "Punctuation" and s.behavior == "Contiguous" then
      out[i] = "Punctuation"
    else
      return nil
    end
  end
  return table.concat(out, "\n")
end

for _, k in ipairs(KNOWN) do
  local text = signature(k.steps)
  k.name = k.names:match "%S+"
  for name in k.names:gmatch "%S+" do by_name[name] = k end
  by_steps[text] = by_steps[text] or {}
  table.insert(by_steps[text], k)
end

--- What a name of llama.cpp stands for.
-- @param name string: tokenizer.ggml.pre
-- @return table|nil: { pre_tokenizer = section of a tokenizer.json, ignore_merges, add_bos = unless the file says
-- otherwise }; nil when the name is not known
-- @example require("lathe.pretokenizers").named("qwen2").pre_tokenizer
function M.named(name)
  local k = by_name[name]
  if not k then return nil end
  local section = #k.steps == 1 and k.steps[1] or { type = "Sequence", pretokenizers = k.steps }
  return { pre_tokenizer = section, ignore_merges = k.whole == true, add_bos = k.bos == true }
end

--- llama.cpp's name for a pre-tokenizer.
-- @param section table: pre_tokenizer of a tokenizer.json, decoded
-- @param ignore_merges boolean: whether the model takes whole words that are tokens
-- @return string|nil: the name, nil when there is none; it may mean the other of ignore_merges
-- @return boolean: whether the name means ignore_merges
-- @example require("lathe.pretokenizers").name({ type = "ByteLevel", add_prefix_space = false }, false)
function M.name(section, ignore_merges)
  if type(section) ~= "table" and type(section) ~= "userdata" then return nil end
  local steps = section.type == "Sequence" and section.pretokenizers or { section }
  local text = signature(steps)
  local list = text and by_steps[text]
  if not list then return nil end
  for _, k in ipairs(list) do
    if (k.whole == true) == ignore_merges then return k.name, ignore_merges end
  end
  return list[1].name, list[1].whole == true
end

--- The names that are known, sorted.
-- @return table: list
function M.names()
  local out = {}
  for name in pairs(by_name) do out[#out + 1] = name end
  table.sort(out)
  return out
end

return M
