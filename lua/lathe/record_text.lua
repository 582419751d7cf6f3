-- SPDX-License-Identifier: MIT
-- The words of a record of any form, as one text: for stages that measure it.

local json = require "engine.json"

local M = {}

local PARTS = { "instruction", "input", "output", "prompt", "chosen" }

local function of_messages(messages)
  local list = {}
  for i = 1, #messages do
    local message = messages[i]
    local content = json.kind(message) == "object" and (message.content or message.value)
    if type(content) == "string" and content ~= "" then list[#list + 1] = content end
  end
  return list
end

--- The text of a record: its field `text`; else its instruction, input and output (or prompt and chosen
-- answer), or the contents of its messages, each on lines of its own.
-- @param record record|table
-- @param field string|nil: only this field (a path such as metadata.title is allowed)
-- @return string|nil: the text
-- @return string|nil: the field that it is the whole of; where there is no text, why
-- @example require("lathe.record_text").of({ instruction = "Add.", output = "4" }) --> Add.\n4
function M.of(record, field)
  if field then
    local value = json.kind(record) == "object" and type(record) == "userdata" and json.get(record, field) or record[field]
    if type(value) == "string" then return value, field end
    return nil, ("the field '%s' holds no text"):format(field)
  end
  if type(record.text) == "string" then return record.text, "text" end
  local list = {}
  for _, name in ipairs(PARTS) do
    local value = record[name]
    if type(value) == "string" and value ~= "" then list[#list + 1] = value end
  end
  for _, name in ipairs { "messages", "conversations" } do
    if #list == 0 and json.kind(record[name]) == "array" then list = of_messages(record[name]) end
  end
  if #list == 0 then return nil, "the record has no text, instruction or messages" end
  return table.concat(list, "\n"), nil
end

return M
