-- SPDX-License-Identifier: MIT
-- Prompts: a record becomes the text that training reads, with the bytes that carry loss.
--
--   { instruction, output }  →  { …, messages, text, spans = [[start, end], …], metadata.template = { name, hash } }
--
-- `text` is the whole conversation in the template's format; `spans` are byte ranges of it, end exclusive:
-- what the assistant says, and the token that ends it. A record without such a span would teach nothing
-- and is rejected; so is one whose own words contain a special token of the template, because the model
-- would learn to break off there (special = "keep" lets it pass).

local json = require "engine.json"
local template = require "lathe.template"

local M = {
  name = "prompt",
  version = 1,
  kind = "map",
  summary = "Renders records through a template and marks what carries loss.",
  options = {
    template = { type = "string", default = "chatml", help = "a template's name or path" },
    system = { type = "string", help = "the system prompt of records that have none" },
    turns = { type = "string", default = "all", choices = { "all", "last" }, help = "which of the assistant's turns carry loss" },
    special = { type = "string", default = "reject", choices = { "reject", "keep" }, help = "records whose words contain a special token" },
    bos_token = { type = "string", help = "what {{ bos_token }} stands for" },
    eos_token = { type = "string", help = "what {{ eos_token }} stands for (default: the template's)" },
  },
  positional = { "template" },
}

local loaded = setmetatable({}, { __mode = "k" })      -- by part: an edited template counts from the next part on

local function load(ctx)
  local t = loaded[ctx]
  if t then return t end
  local message, code
  t, message, code = template.load(ctx.options.template, { root = ctx.root })
  if not t then return nil, message, code end
  if t.form == "task" then return nil, ("template '%s' is a task for generate, not a prompt template"):format(t.name), "misuse" end
  loaded[ctx] = t
  return t
end

--- What the output depends on besides the options: the template's text. Asked when a run is planned.
-- @error raises { code, message }: a template that is not there or is faulty
function M.hashes(options, where)
  local t, message, code = template.load(options.template, { root = where.root })
  if not t then error({ code = code, message = "prompt: " .. message }, 0) end
  return { template = t.hash }
end

-- The first special token that a text contains.
local function special_in(t, text)
  if type(text) ~= "string" then return nil end
  for _, token in ipairs(t.special) do
    if text:find(token, 1, true) then return token end
  end
end

local OWN_WORDS = { "text", "instruction", "input", "output", "system" }

local function special_token(t, record, messages)
  if messages then
    for i = 1, #messages do
      local token = special_in(t, messages[i].content)
      if token then return token end
    end
    return nil
  end
  for _, name in ipairs(OWN_WORDS) do
    local token = special_in(t, record[name])
    if token then return token end
  end
end

local function supervised(spans)
  local bytes = 0
  for _, span in ipairs(spans) do bytes = bytes + span[2] - span[1] end
  return bytes > 0
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

local function render_chat(t, record, ctx)
  local options = ctx.options
  local messages, why = template.messages(record, { system = options.system, keep_input = t.keep_input })
  if not messages then return nil, why, "no_conversation" end
  local token = options.special == "reject" and special_token(t, record, messages)
  if token then return nil, ("the text contains the special token %s"):format(token), "special_token" end
  local text, spans = t:render_messages(messages, { turns = options.turns, bos_token = options.bos_token, eos_token = options.eos_token })
  if not text then return nil, spans, "template_failed" end
  return text, spans, messages
end

-- text, spans, messages; or nil, why, the reason for a rejection; or nil, message, nil, code for an error
-- of the template itself.
local function render(t, record, ctx)
  if t.form == "messages" then return render_chat(t, record, ctx) end
  local options = ctx.options
  local token = options.special == "reject" and special_token(t, record)
  if token then return nil, ("the text contains the special token %s"):format(token), "special_token" end
  local extra = { bos_token = options.bos_token or "", eos_token = options.eos_token, system = record.system or options.system }
  local text, spans, code = t:render(record, { extra = extra })
  if not text and code == "template" then return nil, spans, nil, code end
  if not text then return nil, spans, "template_failed" end
  return text, spans
end

-- Messages as plain tables: those of a record are parts of it, and are there already.
local function plain(messages)
  local out = json.array {}
  for i, message in ipairs(messages) do out[i] = type(message) == "userdata" and json.table(message) or message end
  return out
end

--- Renders one record.
function M.each(record, ctx, emit)
  local t, message, code = load(ctx)
  if not t then return nil, message, code end
  local text, spans, messages, failure = render(t, record, ctx)
  if not text then
    if failure then return nil, spans, failure end
    ctx.reject(record, messages, spans)
    return true
  end
  if not supervised(spans) then
    ctx.reject(record, "no_supervised_text", ("template '%s' marks no text of this record as carrying loss"):format(t.name))
    return true
  end
  if messages then record.messages = plain(messages) end
  record.text = text
  for i, span in ipairs(spans) do spans[i] = json.array { span[1], span[2] } end
  record.spans = json.array(spans)
  set_metadata(record, t)
  emit(record)
  return true
end

return M
