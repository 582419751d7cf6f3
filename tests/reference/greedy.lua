-- SPDX-License-Identifier: MIT
-- Makes the answers that check_models.py compares: greedy continuations of the questions of a run.
--
--   lathe exec tests/reference/greedy.lua runs/demo/15-merge/model runs/demo/12-partition answers.jsonl [60]
local json = require "engine.json"
local model = require "engine.model"
local record = require "lathe.record"
local tokenizer = require "engine.tokenizer"

local m = assert(model.load(arg[1]))
local tok = assert(tokenizer.load(arg[1]))
local answers, most = {}, tonumber(arg[4] or 60)
for r in assert(record.open(arg[2])):records() do
  if r.metadata.split == "test" and #answers < most then
    local input = tok:encode(r.text:sub(1, r.spans[1][1]))
    local ids = assert(m:generate(input, { max_tokens = 32, temperature = 0 }))
    answers[#answers + 1] = { input = json.array(input), ids = json.array(ids) }
  end
end
assert(record.write(arg[3], answers))
