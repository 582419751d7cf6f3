-- SPDX-License-Identifier: MIT
-- Templates: small Lua files (or .jinja files as models publish them) that turn a record or a conversation
-- into text, and say which bytes of it carry loss.
--
--   return {
--     name = "chatml", description = "…",
--     form = "messages",                  -- or "record": what the text sees. A task of generation has form "task", rules for
--                                         -- augment have form "augment".
--     fields = { "instruction" },         -- record fields it needs
--     optional = { "input" },             -- fields that are "" when a record lacks them
--     text = [[ … {{ instruction }} … ]], -- a Jinja body, or function(fields) returning text and spans
--     loss = { roles = { "assistant" } }, -- whose turns carry loss; for a record: { fields = { "output" } }, or "all"
--     stop = { "<|im_end|>" },            -- what ends a turn; the first one ends the model's answer
--     special = { "<|im_start|>", … },    -- tokens the tokenizer must know as one token
--     eos = "<|im_end|>", bos = "<s>",    -- what {{ eos_token }} and {{ bos_token }} stand for
--     parts = true,                       -- the text can read contents that are lists of parts
--   }
--
-- What stands between {% generation %} and {% endgeneration %} carries loss. A chat template without these
-- tags is measured: the turn of an assistant begins where the prompt for it ends (the conversation before
-- it, rendered with add_generation_prompt) and ends behind the mark that follows its words. Where that
-- does not add up (a template that rewrites earlier turns), there is an error, never a guess.
--
-- A record template without tags says what carries loss by `loss`: in { fields = { "output" } } every
-- {{ output }} does, and an {{ eos_token }} right behind it; "all", the default, is the whole text.
--
-- Looked for in the recipe's folder (templates/NAME.lua, NAME.jinja), then ~/.config/lathe/templates, then
-- ours.

local file = require "engine.file"
local hash = require "engine.hash"
local jinja = require "lathe.jinja"
local ustring = require "lathe.jinja.ustring"
local config = require "lathe.config"
local places = require "lathe.places"
local conversation = require "lathe.conversation"

local M = {}

-- The JSON library may be absent where only text is rendered; with it, objects keep the order of their keys.
local has_json, json = pcall(require, "engine.json")
if has_json then
  jinja.set_json(function(x)
    local t = type(x)
    if t == "userdata" or (t == "table" and getmetatable(x)) then
      local kind = json.kind(x)
      if kind == "null" or kind == "array" or kind == "object" then return kind end
    end
  end, pairs)
end

local Template = { __name = "template" }
Template.__index = Template

function Template:__tostring()
  local loss = self.loss and self.loss.roles and table.concat(self.loss.roles, ", ") or "-"
  return ("template %s (%s; loss on %s; %s)"):format(self.name, self.form, loss, self.path or "made here")
end

-- Finding --------------------------------------------------------------------------------------------------------------

--- The folders in which templates are looked for, in order.
-- @param root string|nil: the recipe's folder (default ".")
-- @return table: list of folders
function M.search_path(root)
  return places.folders("templates", root)
end

--- The names of the templates that can be loaded.
-- @param root string|nil: the recipe's folder
-- @return table: sorted names
function M.names(root) return places.names(M.search_path(root), { "^(.+)%.lua$", "^(.+)%.jinja$" }) end

local function find(name, root)
  local candidates = {}
  local has_suffix = name:find "%.lua$" or name:find "%.jinja$"
  local function add(base)
    if has_suffix then
      candidates[#candidates + 1] = base
    else
      candidates[#candidates + 1] = base .. ".lua"
      candidates[#candidates + 1] = base .. ".jinja"
    end
  end
  if name:find("/", 1, true) then
    add(name:sub(1, 1) == "/" and name or (root or ".") .. "/" .. name)
  else
    for _, folder in ipairs(M.search_path(root)) do add(folder .. "/" .. name) end
  end
  for _, path in ipairs(candidates) do
    local info = file.stat(path)
    if info then return path end
  end
end

-- Making ---------------------------------------------------------------------------------------------------------------

local KNOWN = {
  name = "string", description = "string", form = "string", fields = "table", optional = "table", text = "string|function",
  loss = "table|string", stop = "table", special = "table", eos = "string", bos = "string", schema = "table", map = "table",
  facts = "table", keep_input = "boolean", prompt = "string", parts = "boolean", rules = "table", language = "string",
}
local FORMS = { messages = true, record = true, task = true, augment = true }

local function check_table(spec, where)
  for key, value in pairs(spec) do
    local wanted = KNOWN[key]
    if not wanted then return nil, where .. ": " .. config.unknown("template field", tostring(key), config.names(KNOWN)) end
    if not ("|" .. wanted .. "|"):find("|" .. type(value) .. "|", 1, true) then
      return nil, ("%s: the template field '%s' should be a %s, not a %s"):format(where, key, wanted:gsub("|", " or "), type(value))
    end
  end
  if spec.form and not FORMS[spec.form] then
    return nil, ("%s: the form '%s' is not one of messages, record, task, augment"):format(where, spec.form)
  end
  if spec.form == "augment" then
    if not spec.rules then return nil, where .. ": there are no rules" end
  elseif spec.form ~= "task" and not spec.text then
    return nil, where .. ": the template has no text"
  end
  if type(spec.loss) == "string" and spec.loss ~= "all" then
    return nil, ("%s: loss is a table or \"all\", not '%s'"):format(where, spec.loss)
  end
  return true
end

-- The Jinja source without the tags only transformers knows, for tokenizer_config.json and GGUF.
local function without_generation(source)
  return (source:gsub("{%%[-+]?%s*generation%s*[-+]?%%}", ""):gsub("{%%[-+]?%s*endgeneration%s*[-+]?%%}", ""))
end

local TAG = "{%%[-+]?%s*generation%s*[-+]?%%}"

-- Puts {% generation %} around every {{ name }} of the fields that carry loss, with an {{ eos_token }} that
-- follows directly. The tags keep the white space that an expression keeps.
local function tag_field(source, field)
  local out, at = {}, 1
  local pattern = "{{(%-?)%s*" .. field:gsub("%p", "%%%0") .. "%f[^%w_]([^{}]-)(%-?)}}"
  while true do
    local a, b, before, rest, after = source:find(pattern, at)
    if not a then break end
    local eos, after_eos = source:match("^({{%s*eos_token%s*(%-?)}})", b + 1)
    if eos then after = after_eos end
    out[#out + 1] = ("%s{%%%s generation %%}{{ %s%s }}%s{%% endgeneration %s%%}"):format(source:sub(at, a - 1),
      before == "" and "+" or before, field, rest, eos and "{{ eos_token }}" or "", after == "" and "+" or after)
    at = b + 1 + #(eos or "")
  end
  return table.concat(out) .. source:sub(at)
end

local function tag_fields(source, fields)
  for _, field in ipairs(fields) do source = tag_field(source, field) end
  return source
end

-- The text of a record template with its loss spelled out by tags.
local function tagged_text(spec)
  local text, loss = spec.text, spec.loss
  if (spec.form or "record") ~= "record" or type(text) ~= "string" or text:find(TAG) then return text end
  if type(loss) == "table" and loss.fields then return tag_fields(text, loss.fields) end
  return text
end

-- Whether a published template looks at the kind of a content, and so takes lists of parts.
local function reads_parts(text)
  return text:find "content[%]'\"]*%s+is%s" ~= nil or text:find("['type']", 1, true) ~= nil or text:find("[\"type\"]", 1, true) ~= nil
    or text:find("%.type%f[^%w_]") ~= nil
end

-- Compiled and checked, from what a template's file says.
local function make(spec, name, path, source)
  local self = setmetatable({}, Template)
  for key in pairs(KNOWN) do self[key] = spec[key] end
  self.name = spec.name or name
  self.form = spec.form or "record"
  self.path = path
  self.hash = hash.sha256(source)
  self.fields, self.optional = spec.fields or {}, spec.optional or {}
  self.stop, self.special = spec.stop or {}, spec.special or {}
  self.loss = spec.loss or (self.form == "record" and "all") or (self.form == "messages" and { roles = { "assistant" } }) or nil
  if type(spec.text) == "string" then
    local text = tagged_text(spec)
    local compiled, message, code = jinja.compile(text, { name = self.name })
    if not compiled then return nil, message, code end
    self.compiled = compiled
    self.has_generation = text:find(TAG) ~= nil
    if self.has_generation and self.form == "record" then self.loss = spec.loss end
    if self.parts == nil then self.parts = reads_parts(text) end
    if self.form == "messages" then self.chat_template = without_generation(spec.text) end
  end
  return self
end

-- What stands for a template that has no file: its text, or the code of its functions.
local function source_of(value, name)
  if type(value) == "function" then
    local fine, code = pcall(string.dump, value, true)
    return fine and code or name
  end
  if type(value) ~= "table" then return type(value) .. ":" .. tostring(value) end
  local keys, out = {}, {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for i, key in ipairs(keys) do out[i] = tostring(key) .. "=" .. source_of(value[key], name) end
  return "{" .. table.concat(out, "\n") .. "}"
end

--- A template made from a table, as a template's file returns it.
-- @param spec table: see the head of this file
-- @param name string: used where spec.name is absent
-- @return template
-- @error nil, message, code: misuse (an unknown field), template_syntax
-- @example require("lathe.template").new({ text = "Q: {{ q }}" }, "mine"):render { q = "Why?" }
function M.new(spec, name)
  if type(spec) ~= "table" then error("a template is a table", 2) end
  local fine, message = check_table(spec, "template '" .. name .. "'")
  if not fine then return nil, message, "misuse" end
  return make(spec, name, nil, source_of(spec, name))
end

--- The template that an option names: a name or path, a table as a template's file returns it, or a
-- function(record) that returns a text and its loss spans (without spans all of it carries loss).
-- @param option string|table|function
-- @param options table|nil: root = the recipe's folder; name = what a template written in a recipe is called
-- @return template
-- @error nil, message, code: as M.load
-- @example require("lathe.template").of(function(record) return record.text end)
function M.of(option, options)
  if type(option) == "string" then return M.load(option, options) end
  local name = options and options.name or "recipe"
  if type(option) == "function" then option = { text = option } end
  if getmetatable(option) == Template then return option end
  return M.new(option, option.name or name)
end

local function read_lua(source, path)
  local chunk, message = load(source, "@" .. path, "t")
  if not chunk then return nil, message end
  local fine, spec = pcall(chunk)
  if not fine then return nil, tostring(spec) end
  if type(spec) ~= "table" then return nil, path .. ": a template's file must return a table, not a " .. type(spec) end
  return spec
end

--- Loads a template by name or path.
-- @param name string: "chatml", "mine.jinja", or a path (relative to the recipe's folder)
-- @param options table|nil: root = the recipe's folder
-- @return template
-- @error nil, message, code: not_found (with the nearest name), misuse, template_syntax
-- @example require("lathe.template").load("chatml")
function M.load(name, options)
  if type(name) ~= "string" then error("a template's name must be a string, not " .. type(name), 2) end
  local root = options and options.root
  local path = find(name, root)
  if not path then return nil, config.unknown("template", name, M.names(root)), "not_found" end
  local source, message, code = file.read(path)
  if not source then return nil, message, code end
  local short = path:match "([^/]+)%.%w+$"
  if path:find "%.jinja$" then
    local form = source:find "%f[%w_]messages%f[^%w_]" and "messages" or "record"
    return make({ name = short, form = form, text = source }, short, path, source)
  end
  local spec
  spec, message = read_lua(source, path)
  if not spec then return nil, message, "template_syntax" end
  local fine
  fine, message = check_table(spec, path)
  if not fine then return nil, message, "misuse" end
  return make(spec, short, path, source)
end

-- Rendering ------------------------------------------------------------------------------------------------------------

local field_names = conversation.field_names

-- A name the record lacks: says so with the names it has and the nearest.
local function explain(problem, record)
  local u = problem.undefined
  if not u or u.obj or not u.name then return nil end
  local names = field_names(record)
  local nearest = config.nearest(tostring(u.name), names)
  return ("template '%s', line %d: the record has no field '%s'%s (it has: %s)"):format(problem.name, problem.line, u.name,
    nearest and (", did you mean '%s'?"):format(nearest) or "", table.concat(names, ", "))
end

-- The record's fields with "" for optional ones that are absent; fields of `extra` come first.
local function view(self, record, extra)
  local blank = {}
  for _, name in ipairs(self.optional) do blank[name] = true end
  return setmetatable({}, { __index = function(_, name)
    local value = extra and extra[name]
    if value == nil then value = record[name] end
    if blank[name] and (value == nil or (has_json and value == json.null)) then return "" end
    return value
  end })
end

local function check_spans(self, text, spans)
  local at = 0
  for _, span in ipairs(spans) do
    local a, b = span[1], span[2]
    if math.type(a) ~= "integer" or math.type(b) ~= "integer" or a < at or b < a or b > #text then
      return nil, ("template '%s': the span [%s,%s) is not within its text of %d bytes, in order"):format(self.name, tostring(a), tostring(b), #text)
    end
    at = b
  end
  return true
end

local function render_function(self, fields)
  local fine, text, spans = pcall(self.text, fields)
  if not fine then return nil, ("template '%s': %s"):format(self.name, tostring(text)), "template" end
  if type(text) ~= "string" then return nil, ("template '%s' returned a %s instead of text"):format(self.name, type(text)), "template" end
  if not spans then return text, (self.form == "messages" and {} or { { 0, #text } }) end
  local ok, message = check_spans(self, text, spans)
  if not ok then return nil, message, "template" end
  return text, spans
end

--- Renders a record. A name that the record lacks is an error that names it, the fields there are and the
-- nearest; fields listed as optional are "" when absent.
-- @param record record|table: the fields
-- @param options table|nil: extra = more names (bos_token, eos_token …); now; max_steps
-- @return string: the text
-- @return table: the spans that carry loss, { { start, end }, … }, bytes, end exclusive
-- @error nil, message, code: template (an unknown field …), template_limit, template_raised
-- @example require("lathe.template").load("plain"):render { text = "Some text." }
function Template:render(record, options)
  options = options or {}
  for _, name in ipairs(self.fields) do
    local value = record[name]
    if value == nil or (has_json and value == json.null) then
      return nil, explain({ name = self.name, line = 1, undefined = { name = name } }, record), "template"
    end
  end
  local extra = { eos_token = self.eos, bos_token = self.bos or "" }
  for k, v in pairs(options.extra or {}) do extra[k] = v end
  local fields = view(self, record, extra)
  if not self.compiled then return render_function(self, fields) end
  local text, spans, code, problem = self.compiled:render(fields,
    { strict = true, spans = true, now = options.now, max_steps = options.max_steps })
  if not text then return nil, problem and explain(problem, record) or spans, code end
  if not self.has_generation and self.loss == "all" and text ~= "" then spans = { { 0, #text } } end
  return text, spans
end

-- Conversations --------------------------------------------------------------------------------------------------------

local function context(self, messages, options, generation)
  local fields = {
    messages = messages, add_generation_prompt = generation or false, tools = options.tools, documents = options.documents,
    bos_token = options.bos_token or self.bos or "", eos_token = options.eos_token or self.eos or "",
  }
  for key, value in pairs(options.extra or {}) do fields[key] = value end
  return fields
end

local function null() return has_json and json.null or jinja.null end

local function render_chat(self, messages, options, generation, spans)
  local fields = context(self, messages, options, generation)
  if fields.tools == nil then fields.tools = null() end
  if fields.documents == nil then fields.documents = null() end
  if not self.compiled then return render_function(self, fields) end
  return self.compiled:render(fields, { spans = spans, now = options.now, max_steps = options.max_steps, max_output = options.max_output })
end

local function first_of(messages, n)
  local out = {}
  for i = 1, n do out[i] = messages[i] end
  return out
end

-- The marks that may end a turn, the template's own first.
local function end_marks(self, options)
  local marks = { table.unpack(self.stop) }
  if options.eos_token and options.eos_token ~= "" then marks[#marks + 1] = options.eos_token end
  return marks
end

-- Where a turn with this content ends, searched from byte `from`: behind the mark that follows the content directly (one of `marks`, or
-- any token in angle brackets). nil when the content is not found so, because the template rewrites it or has no such marks.
local function marked_end(text, from, content, marks)
  content = type(content) == "string" and ustring.strip(content) or ""
  local at = from + 1
  while content ~= "" do
    local a, b = text:find(content, at, true)
    if not a then return nil end
    local behind = text:match("^%s*()", b + 1)
    for _, mark in ipairs(marks) do
      if text:sub(behind, behind + #mark - 1) == mark then return behind + #mark - 1 end
    end
    local past = text:match("^<[^<>%s]+>()", behind)
    if past then return past - 1 end
    at = a + 1
  end
end

-- Where the turn that `after` adds to `before` ends, when no mark tells: with the text of a template that has none.
local function added_end(text, before, after, content)
  if after:sub(1, #before) ~= before or text:sub(1, #after) ~= after then return nil end
  content = type(content) == "string" and ustring.strip(content) or ""
  local _, b = text:find(content, #before + 1, true)
  -- What follows the content and is not blank may be the opening of a next turn, which is nobody's to learn.
  if content == "" or not b or after:find("%S", b + 1) then return nil end
  return #after
end

-- The spans of the turns whose role carries loss: each begins where the prompt for it ends.
local function measured_spans(self, messages, text, options)
  local roles = {}
  for _, role in ipairs(self.loss.roles or {}) do roles[role] = true end
  local spans, marks = {}, end_marks(self, options)
  for i = 1, #messages do
    local content = messages[i].content
    if roles[messages[i].role] then
      local before, message, code = render_chat(self, first_of(messages, i - 1), options, true)
      if not before then return nil, message, code end
      local stop = text:sub(1, #before) == before and marked_end(text, #before, content, marks)
      if not stop then
        local after
        after, message, code = render_chat(self, first_of(messages, i), options, false)
        if not after then return nil, message, code end
        stop = added_end(text, before, after, content)
      end
      if not stop then
        return nil, ("template '%s': where turn %d begins and ends cannot be told, because the template renders a conversation "
          .. "differently when it goes on; put {%% generation %%} tags around what carries loss"):format(self.name, i), "template_spans"
      end
      spans[#spans + 1] = { #before, stop }
    end
  end
  return spans
end

--- Renders a conversation.
-- @param messages table|record: list of { role, content }
-- @param options table|nil: add_generation_prompt, bos_token, eos_token, tools, documents, extra, now;
-- spans = false leaves them out; turns = "last" keeps only the last span
-- @return string: the text
-- @return table|nil: the spans that carry loss, { { start, end }, … }, bytes, end exclusive; nil with
-- spans = false
-- @error nil, message, code: template, template_raised, template_limit, template_spans
-- @example require("lathe.template").load("chatml"):render_messages { { role = "user", content = "Hi" } }
function Template:render_messages(messages, options)
  options = options or {}
  if self.form ~= "messages" then
    return nil, ("template '%s' is of the form '%s', it does not render conversations"):format(self.name, self.form), "misuse"
  end
  local wants_spans = options.spans ~= false
  local tagged = self.has_generation or not self.compiled
  local text, spans, code = render_chat(self, messages, options, options.add_generation_prompt, wants_spans and tagged)
  if not text then return nil, spans, code end
  if not wants_spans then return text end
  if not tagged then
    local message
    spans, message, code = measured_spans(self, messages, text, options)
    if not spans then return nil, message, code end
  end
  if options.turns == "last" and #spans > 1 then spans = { spans[#spans] } end
  return text, spans
end

--- The conversation that a record holds (see lathe.conversation).
-- @param record record|table
-- @param options table|nil: system = used where the record has none; keep_input = leave `input` beside the
-- content
-- @return table: list of messages
-- @error nil, message, code: record (it holds none, or a role that is not known)
-- @example require("lathe.template").messages { instruction = "Why?", output = "Because." }
M.messages = conversation.messages

return M
