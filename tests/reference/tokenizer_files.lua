-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_files.py.
--   json PATH OPTIONS        our tokenizer.json for that file
--   encode FILE plain|special   JSON lines { "text": … } → the ids of each, as JSON lines
--   vocabulary FOLDER PATH   the folder's tokenizer as a GGUF file; prints what to know about it
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"
local tokenizers = require "lathe.tokenizers"

local function need(value, message)
  if value then return value end
  io.write(message, "\n")
  os.exit(1, true)
end

local DO = {}

function DO.json(path) io.write((need(tokenizers.json(path)))) end

function DO.encode(path, kind)
  local tok = need(tokenizer.load(path))
  local options = { plain = kind == "plain" }
  for line in io.lines() do
    local ids = need(tok:encode(json.decode(line).text, options))
    io.write("[", table.concat(ids, ","), "]\n")
  end
end

function DO.vocabulary(folder, path)
  local facts = need(require("lathe.gguf_file").vocabulary(folder, path))
  io.write(table.concat(facts.notes, "; "), "\n")
end

DO[arg[1]](table.unpack(arg, 2))
