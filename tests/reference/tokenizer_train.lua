-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_train.py: trains what it asks for. Prints [{json, seconds}, …].
local clock = require "engine.clock"
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local asked = assert(json.decode(assert(file.read(arg[1], 4 << 30))))
require("engine.worker").set_threads(asked.threads)
local results = json.array {}
for i = 1, #asked.texts do
  local o = { texts = {} }
  for k, text in ipairs(asked.texts[i]) do o.texts[k] = text end
  for k, v in pairs(asked.options[i]) do
    if k == "special" then
      o.special = {}
      for n, token in ipairs(v) do o.special[n] = token end
    else
      o[k] = v
    end
  end
  local start = clock.now()
  local tok = assert(tokenizer.train(o))
  results[i] = { seconds = clock.now() - start, json = json.decode(tok:json()) }
end
print(json.encode(results))
