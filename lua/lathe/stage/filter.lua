-- SPDX-License-Identifier: MIT
-- filter: keeps the records that fit, and says of each other one which rule it failed, with the measure.
--
--   lathe.filter { "gopher" }                                    a set of rules (templates/filters/)
--   lathe.filter { "fineweb", short_lines = 0.6 }                … with a threshold of one's own
--   lathe.filter { "gopher", "gopher_repetition", "c4", "fineweb" }
--   lathe.filter { min_words = 20, max_characters = 100000 }     single rules
--   lathe.filter { language = { "en", "de" } }                   which language a text is in
--   lathe.filter { field = "metadata.score", min = 0.5 }         a field
--   lathe.filter { where = "#output > 20 and metadata.score ~= nil" }
--   lathe.filter { function(record) return record.lang == "en" end }
--
-- Tried in this order: field, where, function, language, tokens, then the sets one after the other, each
-- seeing what the one before left of the text. metadata.language and metadata.language_confidence (0–1) are
-- written where a language is asked for; "unknown" is one of its values. A record that a rule of C4 shortened has metadata.origin_span in the place
-- of metadata.span: its text is no longer that stretch of the document.

local json = require "engine.json"
local languages = require "lathe.language"
local named_tokenizer = require "lathe.named_tokenizer"
local predicate = require "lathe.predicate"
local quality = require "lathe.quality"
local record_text = require "lathe.record_text"

local M = {
  name = "filter",
  version = 1,
  kind = "map",
  summary = "Keeps records that pass: sets of rules, lengths, fields, any Lua condition.",
  options = {
    rules = { type = "string|table|function",
      help = "a set of rules (gopher, gopher_repetition, c4, fineweb, or a file or table of yours), or a function" },
    rules2 = { type = "string|table", help = "a second set, tried after the first" },
    rules3 = { type = "string|table", help = "a third set" },
    rules4 = { type = "string|table", help = "a fourth set" },
    each = { type = "function", help = "a function (record, ctx) that gives true for what is kept" },
    where = { type = "string", help = "a Lua condition over the record's fields, such as #text > 99" },
    on = { type = "string", help = "the field that rules read (default: text, else all words of the record)" },
    mode = { type = "string", default = "reject", choices = { "reject", "flag" },
      help = "flag: keep every record, and list the rules it fails in metadata.flags" },
    measures = { type = "boolean", default = false, help = "write what was measured to metadata.measures" },
    language = { type = "string|table",
      help = "keep these, such as en or en,de; any only notes metadata.language" },
    min_confidence = { type = "number", min = 0, max = 1, help = "of the language, at least" },
    tokenizer = named_tokenizer.option("for min_tokens and max_tokens", "tokenizer"),
    min_tokens = { type = "integer", min = 0, help = "tokens, at least" },
    max_tokens = { type = "integer", min = 0, help = "tokens, at most" },
    stop_words = { type = "table", help = "other stop words" },
    short_line_length = { type = "integer", min = 0, help = "characters of a short line (30)" },
    line_words = { type = "integer|boolean", help = "C4: words of a line, at least (3)" },
    line_word_length = { type = "integer|boolean", help = "C4: characters of a line's longest word, at most (1000)" },
    line_terminal = { type = "boolean", help = "C4: a line must end in . ? ! \" or '" },
    citations = { type = "boolean", help = "C4: take [1], [edit] out of lines" },
    phrases = { type = "table", help = "C4: phrases for which lines or documents go" },
    remove_lines = { type = "boolean", help = "C4: take lines out of the text (true), or only judge by the rest" },
  },
  positional = { "rules", "rules2", "rules3", "rules4" },
}

for _, rule in ipairs(quality.rules) do
  M.options[rule[1]] = { type = "number|boolean", help = rule[4] }
end
for name, spec in pairs(predicate.options) do M.options[name] = spec end

-- The rules that the options themselves name.
local function overrides(options)
  local out = {}
  for name, value in pairs(options) do
    if quality.is_rule(name) or quality.parameters[name] and name ~= "name" and name ~= "summary" then
      out[name] = value
    end
  end
  return out
end

-- What the options list as sets: names, paths, tables.
local function listed(options)
  local out = {}
  for _, key in ipairs(M.positional) do
    local value = options[key]
    if type(value) == "table" and value[1] ~= nil then
      for _, one in ipairs(value) do out[#out + 1] = one end
    elseif type(value) == "string" then
      for one in value:gmatch "[^,%s]+" do out[#out + 1] = one end
    elseif type(value) == "table" then
      out[#out + 1] = value
    end
  end
  return out
end

-- The sets with the options' thresholds in them: each option changes the sets that have the rule; what no
-- set has is a rule by itself.
local function sets_of(options, root)
  local given, sets, hashes, used = overrides(options), {}, {}, {}
  for i, spec in ipairs(listed(options)) do
    if type(spec) ~= "string" and type(spec) ~= "table" then
      return nil, ("set %d of the rules is a %s; a name, a path or a table expected"):format(i, type(spec)), "misuse"
    end
    local set, digest, code = quality.load(spec, root)
    if not set then return nil, digest, code end
    for name, value in pairs(given) do
      if set[name] ~= nil then set[name], used[name] = value, true end
    end
    sets[i], hashes[i] = set, digest
  end
  local own, any = {}, false
  for name, value in pairs(given) do
    if not used[name] then own[name], any = value, true end
  end
  if any then table.insert(sets, 1, own) end
  return sets, hashes
end

local function check_rule_values(options)
  for name in pairs(overrides(options)) do
    if options[name] == true and quality.is_rule(name) then
      return nil, ("option '%s': a number, or false to turn it off"):format(name), "misuse"
    end
  end
  return true
end

local function has_rules(options)
  return next(overrides(options)) ~= nil or #listed(options) > 0
end

--- Checks what one option alone cannot say.
-- @param options table: the options
-- @return boolean: true
-- @error misuse: nothing to filter by, a condition that is no Lua, an unknown rule in a table
function M.check(options)
  local fine, message, code = check_rule_values(options)
  if not fine then return nil, message, code end
  fine, message, code = predicate.check(options)
  if not fine then return nil, message, code end
  for _, spec in ipairs(listed(options)) do
    if type(spec) == "table" then
      fine, message, code = quality.check(spec, "the filter's table")
      if not fine then return nil, message, code end
    end
  end
  local any = has_rules(options) or predicate.given(options) or options.where or options.each
    or type(options.rules) == "function" or options.min_tokens or options.max_tokens or options.language
  if not any then
    return nil, "nothing to filter by: name a set of rules (" .. table.concat(quality.names(), ", ")
      .. "), a rule, a field or a condition", "misuse"
  end
  return true
end

--- The artifacts that the options need: a tokenizer, where tokens are counted.
function M.uses(options)
  if not options.min_tokens and not options.max_tokens then return {} end
  return named_tokenizer.uses(options.tokenizer)
end

--- What the output depends on besides the options: the files of the sets, and of the tokenizer.
function M.hashes(options, where)
  local sets, hashes, code = sets_of(options, where.root)
  if not sets then error({ code = code, message = "filter: " .. hashes }, 0) end
  local out = options.min_tokens or options.max_tokens
  out = out and named_tokenizer.hashes(options.tokenizer) or {}
  out.rules = table.concat(hashes, ",")
  if options.language then
    local digest, message, why = languages.hash()
    if not digest then error({ code = why, message = "filter: " .. message }, 0) end
    out.language = digest
  end
  return out
end

--- The condition on a field, when that is all that the options hold: the runner tries it line by line and
-- gives each() only the records that do not meet it, or that it is not sure of.
-- @param options table: checked
-- @return table|nil: { field, tests } as engine.pass takes them
function M.passes(options)
  if has_rules(options) or options.where or options.each or type(options.rules) == "function" or options.language
    or options.min_tokens or options.max_tokens or options.measures then return nil end
  return predicate.tests(options)
end

local prepared = setmetatable({}, { __mode = "k" }) -- by part: an edited set counts from the next part on

local function prepare(ctx)
  local job = prepared[ctx]
  if job then return job end
  local options = ctx.options
  local sets, message, code = sets_of(options, ctx.root)
  if not sets then return nil, message, code end
  job = { sets = {}, test = predicate.compile(options), where = options.where and predicate.where(options.where),
    call = options.each or type(options.rules) == "function" and options.rules or nil }
  for i, set in ipairs(sets) do job.sets[i] = quality.compile(set) end
  prepared[ctx] = job
  return job
end

-- What field, where and function say; report as in quality.judge. False: report ended it.
local function conditions(job, record, ctx, report)
  if job.test then
    local reason, detail = job.test(record)
    if reason and not report(reason, detail) then return false end
  end
  for _, name in ipairs { "where", "call" } do
    local test = job[name]
    if test then
      local fine, result = pcall(test, record, ctx)
      if not fine and type(result) == "table" then error(result, 0) end -- interrupted
      local reason = name == "where" and name or "function"
      local detail = name == "where" and { where = ctx.options.where } or nil
      if not fine then reason, detail = reason .. "_failed", tostring(result) end
      if not (fine and result) and not report(reason, detail) then return false end
    end
  end
  return true
end

local function metadata_of(record)
  if json.kind(record.metadata) ~= "object" then record.metadata = {} end
  return record.metadata
end

local function language(record, text, ctx, report)
  local options, cache = ctx.options, ctx.cache
  if not options.language then return true end
  if not cache.language then
    local models, message, code = languages.open()
    if not models then error({ code = code, message = message }, 0) end
    cache.language = { models = models, wanted = languages.wanted(options.language) }
  end
  local code, confidence = cache.language.models:identify(text)
  confidence = math.floor(confidence * 100 + 0.5) / 100
  local metadata = metadata_of(record)
  metadata.language, metadata.language_confidence = code, confidence
  local detail = { rule = "language", value = code, confidence = confidence }
  local wanted = cache.language.wanted
  if wanted and not wanted[code] and not report("language", detail) then return false end
  if (not wanted or wanted[code]) and confidence < (options.min_confidence or 0) then
    detail.min = options.min_confidence
    return report("language_confidence", detail)
  end
  return true
end

local function tokens(text, ctx, report)
  local options = ctx.options
  local least, most = options.min_tokens, options.max_tokens
  if not least and not most then return true end
  local tok, message, code = named_tokenizer.load(ctx, options.tokenizer)
  if not tok then error({ code = code, message = message }, 0) end
  local count = assert(tok:count(text))
  if least and count < least and not report("min_tokens", { rule = "min_tokens", value = count, min = least }) then return false end
  if most and count > most and not report("max_tokens", { rule = "max_tokens", value = count, max = most }) then return false end
  return true, count
end

-- The text is another one now: what pointed into the document no longer says so.
local function shorten(record, field, text)
  record[field] = text
  local metadata = record.metadata
  if json.kind(metadata) ~= "object" or metadata.span == nil then return end
  metadata.origin_span = json.kind(metadata.span) == "array" and json.table(metadata.span) or metadata.span
  metadata.span = nil
end

local function add_flags(record, flags)
  if #flags == 0 then return end
  local metadata = metadata_of(record)
  local list = json.array {}
  if json.kind(metadata.flags) == "array" then
    for i = 1, #metadata.flags do list[i] = metadata.flags[i] end
  end
  for _, flag in ipairs(flags) do list[#list + 1] = flag end
  metadata.flags = list
end

-- The sets one after the other; the text that is left, and all that was measured.
local function judge(job, text, ctx, report)
  local measures = {}
  for _, set in ipairs(job.sets) do
    local kept, values, code = quality.judge(set, text, report)
    if not kept then
      if values then error({ code = code, message = values }, 0) end
      return nil
    end
    for name, value in pairs(values) do measures[name] = value end
    if ctx.options.mode == "reject" then text = kept end
  end
  return text, measures
end

--- Tries one record.
-- @param record record: its text and fields
-- @param ctx table: the stage's context
-- @param emit function: called with the record when it passes
-- @return boolean: true
-- @error misuse (a set that is not there), not_found (the tokenizer), no_memory, cancelled
function M.each(record, ctx, emit)
  local job, message, code = prepare(ctx)
  if not job then return nil, message, code end
  local flag, flags = ctx.options.mode == "flag", {}
  local function report(reason, detail)
    flags[#flags + 1] = reason
    if not flag then ctx.reject(record, reason, detail) end
    return flag
  end
  if not conditions(job, record, ctx, report) then return true end
  local options = ctx.options
  if #job.sets > 0 or options.language or options.min_tokens or options.max_tokens then
    local text, field = record_text.of(record, options.on)
    if not text then
      ctx.reject(record, "no_text", field)
      return true
    end
    if not language(record, text, ctx, report) then return true end
    local fine, count = tokens(text, ctx, report)
    if not fine then return true end
    local kept, measures = judge(job, text, ctx, report)
    if not kept then return true end
    if kept ~= text and field then -- words from several fields are only judged
      if not kept:find "%S" then
        ctx.reject(record, "empty", "no line is left")
        return true
      end
      shorten(record, field, kept)
    end
    if options.measures then
      measures.tokens = count
      metadata_of(record).measures = measures
    end
  end
  add_flags(record, flags)
  emit(record)
  return true
end

return M
