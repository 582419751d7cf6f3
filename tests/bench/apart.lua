-- SPDX-License-Identifier: MIT
-- One of two that encode side by side and share nothing: bench.lua opens a worker for each.

local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local M = {}

local function texts_of(packed)
  local docs, at = {}, 1
  while at <= #packed do docs[#docs + 1], at = ("<s4"):unpack(packed, at) end
  return docs
end

--- @param setup string: JSON of { tokenizer = path, texts = path of length-prefixed strings, method = name of the batch call }
--- @return function: "load" makes a tokenizer whose caches are cold, "run" has it do all texts
function M.open(setup)
  local given = json.decode(setup)
  local docs, tok = texts_of(assert(file.read(given.texts))), nil
  return function(job)
    if job == "load" then
      tok = assert(tokenizer.load(given.tokenizer))
      collectgarbage()
    else
      assert(tok[given.method](tok, docs, { threads = 1, packed = true }))
    end
    return ""
  end
end

return M
