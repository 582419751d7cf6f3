-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_compare.py: counts differences between its cases and Lathe.
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local tok = assert(tokenizer.load(arg[1]))
local cases, tokens, wrong, shown = 0, 0, 0, 0

local function list(v)
  local out = {}
  for i = 1, #v do out[i] = v[i] end
  return out
end

local function streamed(ids, options)
  local piece, out = tok:stream(options), {}
  for i, id in ipairs(ids) do out[i] = piece(id) end
  out[#out + 1] = piece()
  return table.concat(out)
end

for line, number in file.lines(arg[2]) do
  local case = assert(json.decode(line))
  local ids, cut = list(case.ids), list(case.cut)
  local got = tok:encode(case.text)
  local same = table.concat(got, " ") == table.concat(ids, " ")
      and table.concat(tok:encode(case.text, { offsets = true }), " ") == table.concat(ids, " ")
      and tok:count(case.text) == #ids
      and tok:decode(cut) == case.decoded and streamed(cut) == case.decoded
      and tok:decode(cut, { skip_special = true }) == case.skipped
  cases, tokens = cases + 1, tokens + #ids
  if not same then
    wrong = wrong + 1
    if shown < 3 then
      shown = shown + 1
      print(("  line %d: %s\n    got      %s\n    expected %s"):format(number, json.encode(case.text),
        table.concat(got, " "), table.concat(ids, " ")))
    end
  end
end
print(("%s: %d texts, %d tokens, %d differences"):format(arg[1]:match "[^/]*$", cases, tokens, wrong))
