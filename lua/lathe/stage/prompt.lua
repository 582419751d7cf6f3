-- SPDX-License-Identifier: MIT
-- Prompts: a record becomes the text that training reads, with the bytes that carry loss; or it changes its
-- form.
--
--   { instruction, output }         →  { …, messages, text, spans = [[start, end], …], metadata.template = { name, hash } }
--   { prompt, chosen, rejected }    →  { prompt, chosen, rejected (texts), chosen_spans, rejected_spans, … }
--   to = "messages" | "sharegpt" | "alpaca":  the same conversation in that form, not rendered
--
-- `text` is the whole conversation in the template's format; `spans` are byte ranges of it, end exclusive:
-- what the assistant says, and the token that ends it. Of a pair, prompt .. chosen is the one conversation
-- and prompt .. rejected the other; their spans count from the start of the answer. A record without such a
-- span would teach nothing and is rejected; so is one whose own words contain a special token of the
-- template, because the model would learn to break off there (special = "keep" lets it pass).

local json = require "engine.json"
local conversation = require "lathe.conversation"
local template = require "lathe.template"

local M = {
  name = "prompt",
  version = 2,
  kind = "map",
  summary = "Renders records through a template and marks what carries loss, or changes their form.",
  options = {
    template = { type = "string|table|function", default = "chatml",
      help = "a template's name or path, its table, or a function(record) that returns the text and its loss spans" },
    to = { type = "string", default = "text", choices = { "text", "messages", "sharegpt", "alpaca" },
      help = "text renders; the others only change the form" },
    fields = { type = "table", help = "where the fields are: { instruction = \"description\", output = \"meta.code\" }" },
    system = { type = "string", help = "the system prompt of records that have none" },
    turns = { type = "string", default = "all", choices = { "all", "last" }, help = "which of the assistant's turns carry loss" },
    special = { type = "string", default = "reject", choices = { "reject", "keep" }, help = "records whose words contain a special token" },
    bos_token = { type = "string", help = "what {{ bos_token }} stands for (default: the template's)" },
    eos_token = { type = "string", help = "what {{ eos_token }} stands for (default: the template's)" },
  },
  positional = { "template" },
}

local RENDERED = { messages = true, record = true }

local loaded = setmetatable({}, { __mode = "k" })      -- by part: an edited template counts from the next part on

local function open(option, root)
  local t, message, code = template.of(option, { root = root, name = "recipe" })
  if not t then return nil, message, code end
  if not RENDERED[t.form] then
    local use = t.form == "augment" and "rules for augment" or "a task for generate"
    return nil, ("template '%s' is %s, not a prompt template"):format(t.name, use), "misuse"
  end
  return t
end

local function load(ctx)
  if loaded[ctx] then return loaded[ctx] end
  local t, message, code = open(ctx.options.template, ctx.root)
  loaded[ctx] = t
  return t, message, code
end

local FIELDS = { "text", "instruction", "input", "output", "system", "history", "messages", "conversations", "prompt", "completion",
  "chosen", "rejected", "tools" }

--- Checks the table of fields before anything runs.
function M.check(options)
  for name, path in pairs(options.fields or {}) do
    if type(name) ~= "string" then return nil, "fields: write name = \"path\"", "misuse" end
    if type(path) ~= "function" and (type(path) ~= "string" or path == "") then
      return nil, ("fields: '%s' should be the name of a field, or a function"):format(name), "misuse"
    end
  end
  if options.to ~= "text" then
    for name in pairs(options.fields or {}) do
      local known = false
      for _, field in ipairs(FIELDS) do known = known or field == name end
      if not known then return nil, "fields: " .. require("lathe.config").unknown("field", name, FIELDS), "misuse" end
    end
  end
  return true
end

--- What the output depends on besides the options: the template's text. Asked when a run is planned.
-- @error raises { code, message }: a template that is not there or is faulty
function M.hashes(options, where)
  if options.to ~= "text" then return {} end
  local t, message, code = open(options.template, where.root)
  if not t then error({ code = code, message = "prompt: " .. message }, 0) end
  return { template = t.hash }
end

-- The words of a record ---------------------------------------------------------------------------------------------------

-- The first special token that a text contains.
local function special_in(t, text)
  if type(text) ~= "string" then return nil end
  for _, token in ipairs(t.special) do
    if text:find(token, 1, true) then return token end
  end
end

local function special_in_messages(t, messages)
  for i = 1, #messages do
    local token = special_in(t, conversation.text_of(messages[i].content))
    if token then return token end
  end
end

local OWN_WORDS = { "text", "instruction", "input", "output", "system", "prompt", "completion", "chosen", "rejected" }

local function special_in_record(t, record)
  for _, name in ipairs(OWN_WORDS) do
    local token = special_in(t, record[name])
    if token then return token end
  end
end

-- What a stage that renders does with a token: nil, or why the record is rejected.
local function refused(ctx, token)
  if not token or ctx.options.special ~= "reject" then return nil end
  return ("the text contains the special token %s"):format(token)
end

local function supervised(spans)
  for _, span in ipairs(spans) do
    if span[2] > span[1] then return true end
  end
  return false
end

-- Messages whose contents are texts, for a template that reads no lists of parts.
local function flat(t, messages)
  if t.parts then return messages end
  local out
  for i = 1, #messages do
    local content = messages[i].content
    if content ~= nil and content ~= json.null and type(content) ~= "string" then
      local text = conversation.text_of(content)
      if not text then return nil, ("the content of message %d is more than text, which template '%s' cannot show"):format(i, t.name) end
      out = out or table.move(messages, 1, #messages, 1, {})
      local copy = {}
      for key, value in pairs(messages[i]) do copy[key] = value end
      copy.content = text
      out[i] = copy
    end
  end
  return out or messages
end

-- Tools in OpenAI's form: a list, or a text that holds one as JSON.
local function tools_of(record)
  local tools = conversation.present(record.tools)
  if type(tools) == "string" then tools = json.decode(tools) end
  return json.kind(tools) == "array" and tools or nil
end

-- Rendering ---------------------------------------------------------------------------------------------------------------

local function chat_options(record, options, more)
  local out = { turns = options.turns, bos_token = options.bos_token, eos_token = options.eos_token, tools = tools_of(record) }
  for key, value in pairs(more or {}) do out[key] = value end
  return out
end

-- A conversation: text, spans; or nil, why, the reason.
local function render_conversation(t, record, messages, ctx)
  local why = refused(ctx, special_in_messages(t, messages))
  if why then return nil, why, "special_token" end
  local shown
  shown, why = flat(t, messages)
  if not shown then return nil, why, "does_not_fit" end
  local text, spans = t:render_messages(shown, chat_options(record, ctx.options))
  if not text then return nil, spans, "template_failed" end
  return text, spans, shown
end

local function record_extra(record, options)
  return { bos_token = options.bos_token, eos_token = options.eos_token, system = conversation.present(record.system) or options.system }
end

-- A record template. An error of the template itself (a field that is not there) ends the run; what one
-- record provokes rejects that record.
local function render_record(t, record, ctx)
  local why = refused(ctx, special_in_record(t, record))
  if why then return nil, why, "special_token" end
  local text, spans, code = t:render(record, { extra = record_extra(record, ctx.options) })
  if not text and code == "template" then return nil, spans, nil, code end
  if not text then return nil, spans, "template_failed" end
  return text, spans
end

local function set_metadata(record, t)
  if record.metadata == nil or record.metadata == json.null then record.metadata = {} end
  local metadata = record.metadata
  if metadata.span ~= nil then
    metadata.origin_span = type(metadata.span) == "userdata" and json.table(metadata.span) or metadata.span
    metadata.span = nil
  end
  metadata.template = { name = t.name, hash = t.hash }
end

-- Messages as plain tables: those of a record are parts of it, and are there already.
local function plain(messages)
  local out = json.array {}
  for i, message in ipairs(messages) do out[i] = type(message) == "userdata" and json.table(message) or message end
  return out
end

local function span_list(spans)
  local out = json.array {}
  for i, span in ipairs(spans) do out[i] = json.array { span[1], span[2] } end
  return out
end

local function rejected(record, ctx, reason, why)
  ctx.reject(record, reason, why)
  return true
end

local NO_LOSS = "template '%s' marks no text of this record as carrying loss"

local function render_one(t, record, view, ctx, emit)
  local text, spans, messages, failure
  if t.form == "messages" then
    local why
    messages, why = conversation.messages(view, { system = ctx.options.system, keep_input = t.keep_input })
    if not messages then return rejected(record, ctx, "no_conversation", why) end
    text, spans, messages = render_conversation(t, view, messages, ctx)
  else
    text, spans, messages, failure = render_record(t, view, ctx)
  end
  if failure then return nil, spans, failure end
  if not text then return rejected(record, ctx, messages, spans) end
  if not supervised(spans) then return rejected(record, ctx, "no_supervised_text", NO_LOSS:format(t.name)) end
  if messages then record.messages = plain(messages) end
  record.text, record.spans = text, span_list(spans)
  set_metadata(record, t)
  emit(record)
  return true
end

-- Preference pairs --------------------------------------------------------------------------------------------------------

-- The answer's text and spans, both behind the prompt.
local function behind(prompt, text, spans)
  if text:sub(1, #prompt) ~= prompt then return nil end
  local own = {}
  for _, span in ipairs(spans) do
    if span[1] >= #prompt then own[#own + 1] = { span[1] - #prompt, span[2] - #prompt } end
  end
  return text:sub(#prompt + 1), own
end

local function joined(a, b)
  local out = table.move(a, 1, #a, 1, {})
  return table.move(b, 1, #b, #out + 1, out)
end

local APART = "template '%s' renders the prompt differently when the %s answer follows"

-- Both answers of a pair in a chat template: prompt, { text, spans } of each; or nil, why, reason.
local function chat_pair(t, view, ctx)
  local prompt, chosen, rejected_answer = conversation.pair(view, { system = ctx.options.system, keep_input = t.keep_input })
  if not prompt then return nil, chosen, "no_pair" end
  local shown, why = flat(t, prompt)
  if not shown then return nil, why, "does_not_fit" end
  local text, message = t:render_messages(shown, chat_options(view, ctx.options, { add_generation_prompt = true, spans = false }))
  if not text then return nil, message, "template_failed" end
  local sides = {}
  for i, answer in ipairs { chosen, rejected_answer } do
    local whole, spans, reason = render_conversation(t, view, joined(prompt, answer), ctx)
    if not whole then return nil, spans, reason end
    local tail, own = behind(text, whole, spans)
    if not tail then return nil, APART:format(t.name, i == 1 and "chosen" or "rejected"), "template_failed" end
    sides[i] = { tail, own }
  end
  return text, sides
end

-- The same with a record template: it is rendered with each answer as `output`; the prompt is what comes
-- before the first span.
local function record_pair(t, view, ctx)
  local sides, texts = {}, {}
  for i, name in ipairs { "chosen", "rejected" } do
    local answer = view[name]
    if type(answer) ~= "string" then return nil, ("'%s' is not a text, which template '%s' needs"):format(name, t.name), "no_pair" end
    local one = conversation.mapped(view, { output = function() return answer end,
      instruction = function(r) return conversation.present(r.instruction) or r.prompt end })
    local text, spans, reason, failure = render_record(t, one, ctx)
    if not text then return nil, spans, reason, failure end
    if not supervised(spans) then return nil, NO_LOSS:format(t.name), "no_supervised_text" end
    texts[i], sides[i] = text, spans
  end
  if view.chosen == view.rejected then return nil, "the chosen and the rejected answer are the same", "no_pair" end
  local prompt = texts[1]:sub(1, sides[1][1][1])
  for i = 1, 2 do
    local tail, own = behind(prompt, texts[i], sides[i])
    if not tail then return nil, APART:format(t.name, "rejected"), "template_failed" end
    sides[i] = { tail, own }
  end
  return prompt, sides
end

local function render_pair(t, record, view, ctx, emit)
  local prompt, sides, reason, failure = (t.form == "messages" and chat_pair or record_pair)(t, view, ctx)
  if failure then return nil, sides, failure end
  if not prompt then return rejected(record, ctx, reason, sides) end
  for _, side in ipairs(sides) do
    if not supervised(side[2]) then return rejected(record, ctx, "no_supervised_text", NO_LOSS:format(t.name)) end
  end
  record.prompt, record.chosen, record.rejected = prompt, sides[1][1], sides[2][1]
  record.chosen_spans, record.rejected_spans = span_list(sides[1][2]), span_list(sides[2][2])
  set_metadata(record, t)
  emit(record)
  return true
end

-- Other forms -------------------------------------------------------------------------------------------------------------

local FORM_FIELDS = { "instruction", "input", "output", "history", "system", "messages", "conversations", "prompt", "completion",
  "chosen", "rejected" }

-- Puts the fields of the new form in the place of those of all forms.
local function reform(record, new)
  for _, name in ipairs(FORM_FIELDS) do
    if new[name] ~= nil then record[name] = new[name] elseif record[name] ~= nil then record[name] = nil end
  end
end

local WRITE = {}

function WRITE.messages(messages) return { messages = plain(messages) } end

function WRITE.sharegpt(messages)
  local list, why = conversation.to_sharegpt(messages)
  return list and { conversations = list }, why
end

function WRITE.alpaca(messages)
  local fields, why = conversation.to_alpaca(messages)
  if fields and not fields.output then return nil, "the conversation does not end with an answer" end
  return fields, why
end

local WRITE_PAIR = {}

function WRITE_PAIR.messages(prompt, chosen, worse)
  return { prompt = plain(prompt), chosen = plain(chosen), rejected = plain(worse) }
end

local function only(list, name)
  if #list == 1 then return list[1] end
  return nil, ("the %s answer has %d messages; the form has room for one"):format(name, #list)
end

function WRITE_PAIR.sharegpt(prompt, chosen, worse)
  local one, why = only(chosen, "chosen")
  local other = one and only(worse, "rejected")
  if not other then return nil, why or select(2, only(worse, "rejected")) end
  local list, message = conversation.to_sharegpt(prompt)
  local answers
  if list then answers, message = conversation.to_sharegpt { one, other } end
  if not answers then return nil, message end
  return { conversations = list, chosen = answers[1], rejected = answers[2] }
end

function WRITE_PAIR.alpaca(prompt, chosen, worse)
  local one, why = only(chosen, "chosen")
  local other = one and only(worse, "rejected")
  if not other then return nil, why or select(2, only(worse, "rejected")) end
  local fields, message = conversation.to_alpaca(prompt)
  if not fields then return nil, message end
  fields.chosen, fields.rejected = conversation.text_of(one.content), conversation.text_of(other.content)
  if not fields.chosen or not fields.rejected then return nil, "an answer is not a text" end
  return fields
end

local function convert(record, view, ctx, emit)
  local options = ctx.options
  local how = { system = options.system, keep_input = options.to == "alpaca" }
  local new, why
  if conversation.is_pair(view) then
    local prompt, chosen, worse = conversation.pair(view, how)
    if not prompt then return rejected(record, ctx, "no_pair", chosen) end
    new, why = WRITE_PAIR[options.to](prompt, chosen, worse)
  else
    local messages
    messages, why = conversation.messages(view, how)
    if not messages then return rejected(record, ctx, "no_conversation", why) end
    new, why = WRITE[options.to](messages)
  end
  if not new then return rejected(record, ctx, "does_not_fit", why) end
  reform(record, new)
  emit(record)
  return true
end

--- Renders one record, or changes its form.
function M.each(record, ctx, emit)
  local view = conversation.mapped(record, ctx.options.fields)
  if ctx.options.to ~= "text" then return convert(record, view, ctx, emit) end
  local t, message, code = load(ctx)
  if not t then return nil, message, code end
  if conversation.is_pair(view) then return render_pair(t, record, view, ctx, emit) end
  return render_one(t, record, view, ctx, emit)
end

return M
