-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_folder.py: what Lathe makes of its cases. arg: folder, cases.jsonl.
local file = require "engine.file"
local jinja = require "lathe.jinja"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local folder = arg[1]
local tok = assert(tokenizer.load(folder))
local config = assert(json.decode(assert(file.read(folder .. "/tokenizer_config.json"))))
local chat = assert(jinja.compile(config.chat_template))
for line in file.lines(arg[2]) do
  local case = assert(json.decode(line))
  local out = {}
  if case.messages then
    out.text = assert(chat:render { messages = case.messages, add_generation_prompt = true, bos_token = config.bos_token,
      eos_token = config.eos_token })
    out.ids = json.array(tok:encode(out.text))
  else
    out.ids = json.array(tok:encode(case.text))
    out.special = json.array(tok:encode(case.text, { special = true }))
    out.text = tok:decode(out.ids)
  end
  print(json.encode(out))
end
