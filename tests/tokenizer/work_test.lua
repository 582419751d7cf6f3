-- SPDX-License-Identifier: MIT
-- What a tokenizer remembers of earlier texts never shows in later ones.
local test = require "tests.support.test"
local file = require "engine.file"
local tokenizer = require "engine.tokenizer"

local TEXTS = { "    GETl\u{2581}\u{2581}INKiNFO/1</s></s>", "<s>return true\n\t}\n  <unk> // TODO(gri) provide", "  本語の文書 x<s>y  ",
  "don't  STOP\n\n\nnaïve\u{2581}word 1234567", "Россия!!!   привет, мир…" }

-- More different words than it takes until whatever is prepared late is prepared.
local function read_much(tok)
  math.randomseed(11)
  for _ = 1, 100 do
    local words = {}
    for i = 1, 100 do
      local word = {}
      for k = 1, math.random(2, 12) do word[k] = string.char(math.random(97, 122)) end
      words[i] = table.concat(word)
    end
    tok:encode(table.concat(words, " ", 1, 50))
    tok:encode("<s>" .. table.concat(words, " ", 51) .. "\u{2581}x")
  end
end

local function case(path)
  local tok = tokenizer.load(path)
  if not tok then return end
  local want = {}
  for i, text in ipairs(TEXTS) do want[i] = { tok:encode(text, { offsets = true }) } end
  read_much(tok)
  for i, text in ipairs(TEXTS) do test.equal({ tok:encode(text, { offsets = true }) }, want[i], path) end
  for i, text in ipairs(TEXTS) do test.equal(tok:encode(text), want[i][1], path) end
end

for _, room in ipairs { "tokenizers", "more_tokenizers" } do
  test.case("texts before change nothing: " .. room, function()
    local folder = test.conformance(room)
    for _, entry in ipairs(file.list(folder)) do
      local path = folder .. "/" .. entry.name .. "/tokenizer.json"
      if entry.is_dir and file.stat(path).size < 3000000 then case(path) end
    end
  end)
end

return test.done()
