-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_model.py: a line of JSON {"json": tokenizer.json, "texts": [...]} gives
-- a line {"error": message} or {"ids": [[...] or message ...]}.
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

for line in io.lines() do
  local case = json.decode(line)
  local tok, message = tokenizer.parse(case.json)
  local out = {}
  if not tok then
    out.error = message
  else
    out.ids = {}
    for i, text in ipairs(case.texts) do
      local ids, why = tok:encode(text)
      local spanned = ids and tok:encode(text, { offsets = true })
      if not ids then
        out.ids[i] = why
      else
        local list = {}
        for k = 1, #ids do
          list[k] = string.format("%d", ids[k])
          if ids[k] ~= spanned[k] then list[k] = "differs with offsets" end
        end
        out.ids[i] = table.concat(list, " ")
      end
    end
  end
  io.write(json.encode(out), "\n")
  io.stdout:flush()
end
