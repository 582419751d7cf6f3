-- SPDX-License-Identifier: MIT
-- Tokenizer: trains a byte-level BPE vocabulary on the records' text and publishes it as a folder that
-- Hugging Face's AutoTokenizer loads:
--
--   tokenizer.json            vocabulary, merges, special tokens
--   tokenizer_config.json     which class, which special token is what, the chat template
--   special_tokens_map.json   the same roles again, for older readers
--
-- Special tokens get the first ids, so that they do not move when the vocabulary's size changes. Neither the
-- order of the records nor -j changes a byte. The merges are those of Hugging Face's BpeTrainer.

local file = require "engine.file"
local json = require "engine.json"
local template = require "lathe.template"
local tokenizer = require "engine.tokenizer"

local M = {
  name = "tokenizer",
  version = 2,
  kind = "artifact",
  publishes = "tokenizer",
  summary = "Trains a byte-level BPE vocabulary on the records' text.",
  options = {
    vocab_size = { type = "integer", default = 4096, min = 256, help = "entries in all, special tokens included" },
    special = { type = "table", default = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" },
      help = "special tokens; they get the first ids" },
    pad = { type = "string", help = "the token that pads (default: the first special token)" },
    bos = { type = "string", help = "the token that begins a text (default: none)" },
    eos = { type = "string", help = "the token that ends an answer (default: the template's, or the padding token)" },
    field = { type = "string", default = "text", help = "the field that is trained on; \"any\": the text, the messages and the answers that a record has" },
    split = { type = "string", default = "train", help = "records whose metadata.split is another are left out" },
    template = { type = "string", default = "chatml", help = "the chat template written into tokenizer_config.json" },
    add_bos = { type = "boolean", default = false, help = "encoding puts bos before a text" },
    add_eos = { type = "boolean", default = false, help = "encoding puts eos behind a text" },
    pattern = { type = "string", default = "gpt2",
      help = "what a word is: gpt2, cl100k, llama3, qwen2, o200k, or a regular expression that matches words" },
    normalizer = { type = "string", default = "none", choices = { "none", "nfc" }, help = "applied to text before all else" },
    min_frequency = { type = "integer", default = 0, min = 0, help = "pairs that occur less often are not merged" },
    max_token_length = { type = "integer", default = 0, min = 0,
      help = "tokens have fewer bytes than this, as with BpeTrainer; 0: no limit" },
    words_memory = { type = "integer", default = 1 << 30, min = 1 << 20,
      help = "bytes for distinct words; those beyond it go to disk. If even their merging needs more, the words that "
        .. "occur least are left out, and counted" },
    max_length = { type = "integer", default = 2048, min = 1, help = "model_max_length in tokenizer_config.json" },
  },
  positional = { "vocab_size" },
}

local function fail(message) return nil, "tokenizer: " .. message, "misuse" end

local function contains(list, value)
  for _, one in ipairs(list) do
    if one == value then return true end
  end
  return false
end

local function listed(list)
  return #list > 0 and table.concat(list, ", ") or "none"
end

-- The special tokens and their roles, checked against the template; or nil, message, code.
local function roles(options, t)
  local special, seen = options.special, {}
  for i, token in ipairs(special) do
    if type(token) ~= "string" or token == "" then return fail(("special[%d] is not a token"):format(i)) end
    if seen[token] then return fail(("the special token %s is given twice"):format(token)) end
    seen[token] = true
  end
  for _, token in ipairs(t.special or {}) do
    if not seen[token] then
      return fail(("template '%s' needs the special token %s (given: %s)"):format(options.template, token,
        listed(special)))
    end
  end
  local pad = options.pad or special[1]
  local eos = options.eos or t.eos or pad
  if options.add_bos and not options.bos then return fail "add_bos needs bos, the token to add" end
  for _, pair in ipairs { { "pad", pad }, { "eos", eos }, { "bos", options.bos } } do
    local name, token = pair[1], pair[2]
    if (token or name ~= "bos") and not contains(special, token) then
      return fail(("%s is %s, which is not one of the special tokens (%s)"):format(name, token, listed(special)))
    end
  end
  return { pad = pad, eos = eos, bos = options.bos }
end

local ANY = { "text", "system", "instruction", "input", "prompt", "output", "chosen", "rejected" }

-- All that a person or a model says in a record, or nil.
local function all_text(record)
  local parts = {}
  for _, name in ipairs(ANY) do
    if type(record[name]) == "string" then parts[#parts + 1] = record[name] end
  end
  for _, name in ipairs { "messages", "conversations" } do
    local list = record[name]
    for i = 1, list ~= nil and list ~= json.null and #list or 0 do
      local said = list[i].content or list[i].value
      if type(said) == "string" then parts[#parts + 1] = said end
    end
  end
  return #parts > 0 and table.concat(parts, "\n") or nil
end

-- An iterator over the texts to train on; `seen` counts what it passes over.
local function texts(input, ctx, seen)
  local options = ctx.options
  local next_record, state, control = input:records()
  return function()
    while true do
      local record = next_record(state, control)
      if record == nil then return nil end
      control = record
      local metadata = record.metadata
      local text = options.field == "any" and all_text(record) or record[options.field]
      local split = metadata ~= nil and metadata ~= json.null and metadata.split or nil
      seen.records = seen.records + 1
      if split and split ~= json.null and split ~= options.split then
        seen.other_split = seen.other_split + 1
      elseif type(text) ~= "string" then
        seen.without_text = seen.without_text + 1
      else
        if seen.records % 100 == 0 then ctx.progress(seen.records, nil, "records") end
        return text
      end
    end
  end
end

-- How many tokens the training text has: a second pass.
local function count(tok, input, ctx)
  local bytes, tokens, ignored = 0, 0, { records = 0, other_split = 0, without_text = 0 }
  for text in texts(input, ctx, ignored) do
    bytes, tokens = bytes + #text, tokens + tok:count(text, { plain = true })
  end
  return bytes, tokens
end

local function configuration(tok, options, t, role)
  local decoder, others = {}, {}
  for _, a in ipairs(tok:added()) do
    decoder[tostring(a.id)] = { content = a.content, lstrip = a.lstrip, normalized = a.normalized,
      rstrip = a.rstrip, single_word = a.single_word, special = a.special }
    if a.content ~= role.eos and a.content ~= role.pad and a.content ~= role.bos then others[#others + 1] = a.content end
  end
  return {
    tokenizer_class = "PreTrainedTokenizerFast",
    added_tokens_decoder = json.object(decoder),
    additional_special_tokens = json.array(others),
    bos_token = role.bos or json.null, eos_token = role.eos, pad_token = role.pad, unk_token = json.null,
    model_max_length = options.max_length,
    clean_up_tokenization_spaces = false,
    model_input_names = json.array { "input_ids", "attention_mask" }, -- no token_type_ids, which our models do not take
    chat_template = t.chat_template,
    add_bos_token = options.add_bos, add_eos_token = options.add_eos,
  }, { bos_token = role.bos, eos_token = role.eos, pad_token = role.pad, additional_special_tokens = json.array(others) }
end

local function write(path, value)
  return file.write(path, json.encode(value, { indent = 2, sort = true }) .. "\n")
end

--- How many entries the tokenizer will have, for stages that plan with it.
-- @param options table: this stage's
-- @return integer: at most
function M.size(options) return options.vocab_size end

-- The words are counted in files of the scratch folder when they are many.
local function train(input, ctx, role, seen)
  local options, scratch = ctx.options, ctx.scratch
  local fine, message, code = file.remove_tree(scratch) -- what a run that was killed has left
  if fine then fine, message, code = file.mkdirs(scratch) end
  if not fine then return nil, message, code end
  local tok, facts
  tok, facts, code = tokenizer.train { texts = texts(input, ctx, seen), vocab_size = options.vocab_size,
    special = options.special, pattern = options.pattern,
    normalizer = options.normalizer ~= "none" and options.normalizer or nil,
    bos = options.add_bos and role.bos or nil, eos = options.add_eos and role.eos or nil,
    min_frequency = options.min_frequency, max_token_length = options.max_token_length,
    memory = options.words_memory, table_memory = ctx.memory, scratch = scratch,
    progress = function(merges, of) ctx.progress(merges, of, "merges") end }
  file.remove_tree(scratch)
  if not tok then return nil, "tokenizer: " .. facts, code end
  return tok, facts
end

local function tell(tok, facts, ctx)
  local options = ctx.options
  if #tok < options.vocab_size then
    ctx.log("warn", ("the text gives only %d of %d vocabulary entries"):format(#tok, options.vocab_size))
  end
  if facts.forgotten > 0 then
    ctx.log("warn", ("%d rare words (%d occurrences) were left out to stay within words_memory = %d"):format(
      facts.forgotten_words, facts.forgotten, options.words_memory))
  end
end

--- Trains and writes the folder.
function M.make(input, ctx)
  local options = ctx.options
  local t, message, code = template.load(options.template, { root = ctx.root })
  if not t then return nil, message, code end
  local role
  role, message, code = roles(options, t)
  if not role then return nil, message, code end
  local seen = { records = 0, other_split = 0, without_text = 0 }
  local tok, facts, why = train(input, ctx, role, seen)
  if not tok then return nil, facts, why end
  if facts.texts == 0 then
    return fail(("no text to train on: of %d records, %d are of another split than '%s', %d lack '%s'"):format(
      seen.records, seen.other_split, options.split, seen.without_text, options.field))
  end
  tell(tok, facts, ctx)
  local config, map = configuration(tok, options, t, role)
  local fine
  fine, message, code = tok:save(ctx.dir .. "/tokenizer.json")
  if fine then fine, message, code = write(ctx.dir .. "/tokenizer_config.json", config) end
  if fine then fine, message, code = write(ctx.dir .. "/special_tokens_map.json", map) end
  if not fine then return nil, message, code end
  local bytes, tokens = count(tok, input, ctx)
  return { vocab_size = #tok, merges = facts.merges, texts = facts.texts, other_split = seen.other_split,
    without_text = seen.without_text, bytes = bytes, words = facts.words, distinct_words = facts.distinct,
    forgotten_words = facts.forgotten_words, forgotten_occurrences = facts.forgotten, tokens = tokens, tokens_per_byte = bytes > 0 and tokens / bytes or 0 }
end

return M
