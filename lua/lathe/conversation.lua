-- SPDX-License-Identifier: MIT
-- Records as conversations, and back: the forms in which people keep what a model is taught.
--
--   messages     { messages = [{ role, content }] }                       OpenAI, ChatML
--   ShareGPT     { conversations = [{ from, value }], system }            from: human, gpt, system, function_call, observation
--   Alpaca       { instruction, input, output, system, history = [[said, answered]] }
--   completion   { prompt, completion }                                   texts or lists of messages
--   pair         { prompt, chosen, rejected }                             texts or lists of messages; the prompt may also be any of
--                                                                         the forms above, or what both lists begin with
--
-- In between there is one form: a list of messages with the roles system, user, assistant and tool. What a
-- form cannot hold is an error that says why; nothing is left out to make it fit.

local json = require "engine.json"

local M = {}

local function present(value)
  if value == nil or value == "" or value == json.null then return nil end
  return value
end
M.present = present

local function is_list(value) return json.kind(value) == "array" or (type(value) == "table" and value[1] ~= nil) end

local function plain(value)
  if type(value) == "userdata" and value ~= json.null then return json.table(value) end
  return value
end

--- The names of a record's fields, sorted.
-- @param record record|table
-- @return table: list of names
function M.field_names(record)
  local names = {}
  if type(record) == "table" or type(record) == "userdata" then
    for key in pairs(record) do
      if type(key) == "string" then names[#names + 1] = key end
    end
  end
  table.sort(names)
  return names
end

-- Fields by other names --------------------------------------------------------------------------------------------------

--- The value at a dotted path ("metadata.title", "turns.1.text"), or nil.
-- @param record record|table
-- @param path string: names, or positions from 1, between dots
-- @return any
-- @example require("lathe.conversation").at({ a = { b = 1 } }, "a.b")
function M.at(record, path)
  local value = record[path]
  if value ~= nil and value ~= json.null then return value end
  value = record
  for name in path:gmatch "[^.]+" do
    if type(value) ~= "table" and (type(value) ~= "userdata" or value == json.null) then return nil end
    value = value[is_list(value) and math.tointeger(tonumber(name)) or name]
  end
  if value == json.null then return nil end
  return value
end

--- A record seen through a table of field names: fields = { instruction = "description" } gives the field
-- `description` where `instruction` is asked for. The record is not changed.
-- @param record record|table
-- @param fields table|nil: name → dotted path, or function(record) → value
-- @return record|table: reads like a record
-- @example require("lathe.conversation").mapped({ code = "x" }, { output = "code" }).output
function M.mapped(record, fields)
  if not fields or not next(fields) then return record end
  return setmetatable({}, {
    __index = function(_, name)
      local path = fields[name]
      if path == nil then return record[name] end
      local value
      if type(path) == "function" then value = path(record) else value = M.at(record, path) end
      if math.type(value) == "integer" then value = ("%d"):format(value) end
      if type(value) == "number" or type(value) == "boolean" then value = tostring(value) end
      return value
    end,
    __pairs = function()
      local seen = {}
      for name in pairs(fields) do seen[name] = true end
      for _, name in ipairs(M.field_names(record)) do seen[name] = true end
      return next, seen, nil
    end,
  })
end

-- Reading ----------------------------------------------------------------------------------------------------------------

local SHAREGPT = {
  human = "user", user = "user", gpt = "assistant", assistant = "assistant", chatgpt = "assistant", bing = "assistant", bard = "assistant",
  system = "system", tool = "tool", ["function"] = "tool", observation = "tool", function_call = "assistant",
}

-- The calls that a ShareGPT turn from `function_call` holds: JSON of { name, arguments }, or a list of them.
local function tool_calls(text)
  local value = type(text) == "string" and json.decode(text) or nil
  if json.kind(value) == "object" and value.name then value = { value } end
  if not is_list(value) then return nil end
  local out = json.array {}
  for i = 1, #value do
    local call = value[i]
    if type(call) ~= "table" or type(call.name) ~= "string" then return nil end
    out[i] = { type = "function", ["function"] = json.object { name = call.name, arguments = call.arguments } }
  end
  return out
end

local function sharegpt_turn(turn, i)
  local role = turn.from and SHAREGPT[turn.from]
  if not role and not turn.from then role = turn.role end
  if type(role) ~= "string" then return nil, ("turn %d has the unknown speaker '%s'"):format(i, tostring(turn.from)), "record" end
  local value = turn.value
  if value == nil then value = turn.content end
  if turn.from == "function_call" then
    local calls = tool_calls(value)
    if not calls then return nil, ("turn %d, from function_call, is not JSON of a name and arguments"):format(i), "record" end
    return { role = role, content = "", tool_calls = calls }
  end
  return { role = role, content = plain(value) }
end

-- One message, of either form.
local function message_of(turn, i)
  if type(turn) ~= "table" and type(turn) ~= "userdata" or turn == json.null then
    return nil, ("message %d is not an object"):format(i), "record"
  end
  if turn.from ~= nil and turn.role == nil then return sharegpt_turn(turn, i) end
  if type(turn.role) ~= "string" then return nil, ("message %d has no role"):format(i), "record" end
  return turn
end

local function messages_of(list)
  local out = {}
  for i = 1, #list do
    local message, why, code = message_of(list[i], i)
    if not message then return nil, why, code end
    out[i] = message
  end
  return out
end

local function user(content) return { role = "user", content = content } end
local function assistant(content) return { role = "assistant", content = content } end

local function with_system(messages, record, options)
  local system = present(record.system) or present(options.system)
  if system and (not messages[1] or messages[1].role ~= "system") then
    table.insert(messages, 1, { role = "system", content = system })
  end
  return messages
end

local function add_history(out, history)
  if history and not is_list(history) then return nil, "history is not a list", "record" end
  for i = 1, history and #history or 0 do
    local said = history[i]
    if not is_list(said) or type(said[1]) ~= "string" or type(said[2]) ~= "string" then
      return nil, ("entry %d of history is not a pair of texts"):format(i), "record"
    end
    out[#out + 1] = user(said[1])
    out[#out + 1] = assistant(said[2])
  end
  return out
end

local function text_field(record, name)
  local value = present(record[name])
  if value ~= nil and type(value) ~= "string" then
    local kind = json.kind(value) or type(value)
    return nil, ("'%s' is %s %s, not a text"):format(name, kind:find "^[aeio]" and "an" or "a", kind), "record"
  end
  return value
end

local function alpaca_messages(record, options)
  local found = {}
  for _, name in ipairs { "instruction", "input", "output" } do
    local message
    found[name], message = text_field(record, name)
    if message then return nil, message, "record" end
  end
  if not found.instruction then
    return nil, "the record has neither messages nor an instruction (it has: " .. table.concat(M.field_names(record), ", ") .. ")", "record"
  end
  local out, message, code = add_history({}, present(record.history))
  if not out then return nil, message, code end
  if found.input and not options.keep_input then
    out[#out + 1] = user(found.instruction .. "\n\n" .. found.input)
  else
    out[#out + 1] = { role = "user", content = found.instruction, input = found.input }
  end
  if found.output then out[#out + 1] = assistant(found.output) end
  return out
end

-- { prompt, completion }: texts, or lists of messages.
local function completion_messages(record)
  local out = {}
  for _, part in ipairs { { "prompt", user }, { "completion", assistant } } do
    local value = record[part[1]]
    if type(value) == "string" then
      out[#out + 1] = part[2](value)
    else
      if not is_list(value) then return nil, ("'%s' is neither a text nor a list of messages"):format(part[1]), "record" end
      local list, message, code = messages_of(value)
      if not list then return nil, message, code end
      table.move(list, 1, #list, #out + 1, out)
    end
  end
  return out
end

--- The conversation that a record holds, whatever its form (see the head of this file).
-- @param record record|table
-- @param options table|nil: system = used where the record has none; keep_input = leave `input` beside the
-- content
-- @return table: list of messages
-- @error nil, message, code: record (it holds none, or a role that is not known)
-- @example require("lathe.conversation").messages { instruction = "Why?", output = "Because." }
function M.messages(record, options)
  options = options or {}
  local list = present(record.messages) or present(record.conversations)
  local out, message, code
  if list then
    if not is_list(list) then return nil, "messages is not a list", "record" end
    out, message, code = messages_of(list)
  elseif present(record.prompt) and present(record.completion) then
    out, message, code = completion_messages(record)
  else
    out, message, code = alpaca_messages(record, options)
  end
  if not out then return nil, message, code end
  return with_system(out, record, options)
end

--- Whether a record is a preference pair.
-- @param record record|table
-- @return boolean
function M.is_pair(record) return present(record.chosen) ~= nil and present(record.rejected) ~= nil end

local function same_message(a, b) return json.encode(plain(a), { sort = true }) == json.encode(plain(b), { sort = true }) end

local function common_length(a, b)
  local n = 0
  while a[n + 1] and b[n + 1] and same_message(a[n + 1], b[n + 1]) do n = n + 1 end
  return n
end

-- What stands behind the prompt: a text, one message, or a list that may begin with the prompt.
local function answer_of(record, name)
  local value = record[name]
  if type(value) == "string" then return { assistant(value) }, true end
  if json.kind(value) == "object" or (type(value) == "table" and not is_list(value)) then value = { value } end
  if not is_list(value) then return nil, ("'%s' is neither a text nor a list of messages"):format(name), "record" end
  local list, message, code = messages_of(value)
  if not list then return nil, message, code end
  return list
end

local function prompt_of(record, options, chosen, rejected)
  local value = present(record.prompt)
  if type(value) == "string" then return with_system({ user(value) }, record, options) end
  if value and not is_list(value) then return nil, "'prompt' is neither a text nor a list of messages", "record" end
  if value then
    local list, message, code = messages_of(value)
    return list and with_system(list, record, options), message, code
  end
  if present(record.messages) or present(record.conversations) or present(record.instruction) then
    return M.messages(M.mapped(record, { output = function() return nil end }), options)
  end
  local n = common_length(chosen, rejected)
  if n == 0 then return nil, "the pair has no prompt, and its answers do not begin alike", "record" end
  return with_system(table.move(chosen, 1, n, 1, {}), record, options)
end

local function behind(answer, prompt)
  local offset = prompt[1] and prompt[1].role == "system" and not (answer[1] and answer[1].role == "system") and 1 or 0
  local n = #prompt - offset
  if #answer <= n then return answer end
  for i = 1, n do
    if not same_message(answer[i], prompt[i + offset]) then return answer end
  end
  return table.move(answer, n + 1, #answer, 1, {})
end

--- The three parts of a preference pair, as lists of messages.
-- @param record record|table
-- @param options table|nil: as for messages
-- @return table: the prompt
-- @return table: the chosen answer
-- @return table: the rejected answer
-- @error nil, message, code: record (a part is missing or odd, both answers are the same)
-- @example require("lathe.conversation").pair { prompt = "Why?", chosen = "So.", rejected = "No." }
function M.pair(record, options)
  options = options or {}
  local answers = {}
  for i, name in ipairs { "chosen", "rejected" } do
    local list, message, code = answer_of(record, name)
    if not list then return nil, message, code end
    answers[i] = list
  end
  local prompt, message, code = prompt_of(record, options, answers[1], answers[2])
  if not prompt then return nil, message, code end
  local chosen, rejected = behind(answers[1], prompt), behind(answers[2], prompt)
  for i, list in ipairs { chosen, rejected } do
    local name = i == 1 and "chosen" or "rejected"
    if not list[1] or list[#list].role ~= "assistant" then return nil, ("'%s' does not end with the assistant"):format(name), "record" end
  end
  if #chosen == #rejected and common_length(chosen, rejected) == #chosen then
    return nil, "the chosen and the rejected answer are the same", "record"
  end
  return prompt, chosen, rejected
end

-- Writing ----------------------------------------------------------------------------------------------------------------

--- The text of a message: a content that is a list of text parts is joined.
-- @param content any: string, list of parts, or null
-- @return string|nil: nil where it holds something else (an image), or nothing
function M.text_of(content)
  if type(content) == "string" then return content end
  if not is_list(content) then return nil end
  local out = {}
  for i = 1, #content do
    local part = content[i]
    if type(part) == "string" then
      out[i] = part
    elseif type(part) ~= "string" and part.type == "text" and type(part.text) == "string" then
      out[i] = part.text
    else
      return nil
    end
  end
  return table.concat(out)
end

local FROM = { user = "human", assistant = "gpt", system = "system", tool = "observation" }

-- A call as JSON, in the order in which people write it.
local function call_text(call)
  local what = call["function"] or call
  local arguments = what.arguments
  return ('{"name": %s, "arguments": %s}'):format(json.encode(what.name), json.encode(arguments == nil and json.object {} or arguments))
end

local function calls_text(calls)
  local list = {}
  for i = 1, #calls do list[i] = call_text(calls[i]) end
  return #list == 1 and list[1] or "[" .. table.concat(list, ", ") .. "]"
end

local function sharegpt_of(message, i)
  local calls = present(message.tool_calls)
  if calls then
    if present(M.text_of(message.content)) then
      return nil, ("message %d both says something and calls a tool; ShareGPT has no turn for that"):format(i)
    end
    return { from = "function_call", value = calls_text(calls) }
  end
  local from, value = FROM[message.role], M.text_of(message.content)
  if not from then return nil, ("message %d has the role '%s', which ShareGPT does not know"):format(i, message.role) end
  if not value then return nil, ("message %d is not a text"):format(i) end
  if present(message.input) then value = value .. "\n\n" .. message.input end
  return { from = from, value = value }
end

--- A list of messages in ShareGPT's form.
-- @param messages table: list of messages
-- @return table: list of { from, value }
-- @error nil, message: what the form cannot hold
-- @example require("lathe.conversation").to_sharegpt { { role = "user", content = "Hi" } }
function M.to_sharegpt(messages)
  local out = json.array {}
  for i, message in ipairs(messages) do
    local turn, why = sharegpt_of(message, i)
    if not turn then return nil, why end
    out[i] = turn
  end
  return out
end

-- The texts of an alternating conversation: system, then { said, answered } pairs.
local function exchanges(messages)
  local system, from = nil, 1
  if messages[1] and messages[1].role == "system" then
    system, from = M.text_of(messages[1].content), 2
    if not system then return nil, "the system message is not a text" end
  end
  local pairs_of, input = {}, nil
  for i = from, #messages do
    local message = messages[i]
    local wanted = (i - from) % 2 == 0 and "user" or "assistant"
    if message.role ~= wanted then return nil, ("message %d is from '%s' where the form has the %s"):format(i, message.role, wanted) end
    if present(message.tool_calls) then return nil, ("message %d calls a tool"):format(i) end
    local text = M.text_of(message.content)
    if not text then return nil, ("message %d is not a text"):format(i) end
    if wanted == "user" then
      pairs_of[#pairs_of + 1] = { text }
      input = present(message.input)
      if input and i < #messages - 1 then return nil, ("message %d has an input of its own in the middle"):format(i) end
    else
      pairs_of[#pairs_of][2] = text
    end
  end
  if #pairs_of == 0 then return nil, "there is no message of a user" end
  return pairs_of, system, input
end

--- A list of messages in Alpaca's form: the last exchange is instruction and output, those before it are the
-- history.
-- @param messages table: list of messages
-- @return table: { instruction, input, output, system, history }
-- @error nil, message: what the form cannot hold
-- @example require("lathe.conversation").to_alpaca({ { role = "user", content = "Hi" } }).instruction
function M.to_alpaca(messages)
  local list, system, input = exchanges(messages)
  if not list then return nil, system end
  local last = table.remove(list)
  local history
  if list[1] then
    history = json.array {}
    for i, pair in ipairs(list) do history[i] = json.array { pair[1], pair[2] } end
  end
  return { instruction = last[1], input = input or "", output = last[2], system = system, history = history }
end

return M
