-- SPDX-License-Identifier: MIT
-- Tokenizers: the reference's own answers, then our own promises.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local gpt2
local function load_gpt2()
  gpt2 = gpt2 or assert(tokenizer.load(test.conformance "tokenizers/gpt2"))
  return gpt2
end

local function list(v)
  local out = {}
  for i = 1, #v do out[i] = v[i] end
  return out
end

--- Calls f(case, number) for each case of a conformance file; returns how many.
local function each_case(name, f)
  local n = 0
  for line in file.lines(test.conformance(name)) do
    n = n + 1
    f(assert(json.decode(line)), n)
  end
  return n
end

test.case("gpt2: 343 texts, with and without special tokens", function()
  local tok = load_gpt2()
  test.equal(tostring(tok), "tokenizer: BPE, 50257 entries, byte-level, 1 special")
  local n = each_case("tokenizers/gpt2/encode.jsonl", function(case, number)
    local ids, spans = tok:encode(case.text, { offsets = true })
    test.equal(ids, list(case.ids), "case " .. number)
    test.equal(tok:encode(case.text, { special = true }), list(case.ids_special), "case " .. number)
    test.equal(tok:count(case.text), #ids)
    test.equal(tok:decode(ids), case.decoded, "case " .. number)
    test.equal(tok:decode(list(case.ids_special), { skip_special = true }),
      case.decoded_skip or case.decoded, "case " .. number)
    local at = 0
    for _, span in ipairs(spans) do
      test.equal(span[1], at)
      at = span[2]
    end
    test.equal(at, #case.text)
  end)
  test.equal(n, 343)
end)

test.case("gpt2: 60 sequences of ids, whole and token by token", function()
  local tok = load_gpt2()
  local n = each_case("tokenizers/gpt2/decode.jsonl", function(case, number)
    local ids = list(case.ids)
    for _, skip in ipairs { false, true } do
      local want = skip and case.decoded_skip or case.decoded
      test.equal(tok:decode(ids, { skip_special = skip }), want, "case " .. number)
      local piece, out = tok:stream { skip_special = skip }, {}
      for i, id in ipairs(ids) do
        out[i] = piece(id)
        test.ok(utf8.len(out[i]), "half a character in case " .. number)
      end
      out[#out + 1] = piece()
      test.equal(table.concat(out), want, "streamed case " .. number)
    end
  end)
  test.equal(n, 60)
end)

return test.done()
