-- SPDX-License-Identifier: MIT
-- Compares the mode python with cases of chunk_compare.py: build/lathe exec tests/reference/chunk_compare.lua FILE

local json = require "engine.json"
local same = require "tests.text.langchain"

local cases, different = 0, 0
for line in io.lines((assert(arg[1], "which file?"))) do
  local case = json.decode(line)
  local fine, problem = same(case)
  cases = cases + 1
  if not fine then
    different = different + 1
    if different <= 10 then print(problem, line:sub(1, 600)) end
  end
end
print(("%d cases, %d differ"):format(cases, different))
os.exit(different == 0)
