-- SPDX-License-Identifier: MIT
-- Tokenizers against the reference's own answers: every case of the conformance files, each also
-- counted, encoded with offsets, decoded token by token; and every further vocabulary loaded and
-- written again.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local function list(v)
  local out = {}
  for i = 1, #v do out[i] = v[i] end
  return out
end

--- Calls f(case, name of the case) for each line; returns how many.
local function each_case(name, f)
  local n = 0
  for line in file.lines(test.conformance(name)) do
    n = n + 1
    local case = assert(json.decode(line))
    f(case, ("%s line %d"):format(name, n))
  end
  return n
end

--- Decodes token by token; no piece may hold half a character.
local function streamed(tok, ids, skip, what)
  local piece, out = tok:stream { skip_special = skip }, {}
  for i, id in ipairs(ids) do
    out[i] = piece(id)
    test.ok(utf8.len(out[i]), what .. ": half a character")
  end
  out[#out + 1] = piece()
  return table.concat(out)
end

local function decodes(tok, ids, skip, want, what)
  test.equal(tok:decode(ids, { skip_special = skip }), want, what .. ", decoded")
  test.equal(streamed(tok, ids, skip, what), want, what .. ", streamed")
end

--- Spans in order and within the text; where the normalizer composes nothing they lie end to end.
local function check_spans(spans, text, gapless, what)
  local at, reached = 0, 0
  for i, span in ipairs(spans) do
    local start, stop = span[1], span[2]
    test.ok(start <= stop and start >= at and stop <= #text, ("%s: span %d is %d to %d"):format(what, i, start, stop))
    if gapless then test.ok(start <= reached, ("%s: a gap before span %d"):format(what, i)) end
    at, reached = start, math.max(reached, stop)
  end
  if gapless then test.equal(reached, #text, what .. ", last span") end
end

local function check_encode(tok, folder, composes)
  local texts, want = {}, {}
  local n = each_case(folder .. "/encode.jsonl", function(case, what)
    local text, ids = case.text, list(case.ids)
    local got, spans = tok:encode(text, { offsets = true })
    test.equal(got, ids, what)
    test.equal(#spans, #ids, what)
    check_spans(spans, text, not composes or case.decoded == text, what)
    local special = list(case.ids_special)
    test.equal(tok:encode(text, { special = true }), special, what)
    test.equal(tok:count(text), #ids, what)
    test.equal(tok:count(text, { special = true }), #special, what)
    decodes(tok, ids, false, case.decoded, what)
    decodes(tok, special, true, case.decoded_skip or case.decoded, what)
    texts[#texts + 1], want[#want + 1] = text, ids
  end)
  test.equal(tok:encode_batch(texts), want, "in a batch")
  test.equal(tok:encode_batch(texts, { threads = 1 }), want, "in a batch of one thread")
  return n
end

local function check_decode(tok, folder)
  return each_case(folder .. "/decode.jsonl", function(case, what)
    local ids = list(case.ids)
    decodes(tok, ids, false, case.decoded, what)
    decodes(tok, ids, true, case.decoded_skip, what)
  end)
end

local function check(name, encodes)
  test.case(name .. (": %d texts and 60 sequences of ids"):format(encodes), function()
    local folder = "tokenizers/" .. name
    local tok = assert(tokenizer.load(test.conformance(folder)))
    test.equal(check_encode(tok, folder, name == "qwen2.5"), encodes)
    test.equal(check_decode(tok, folder), 60)
  end)
end

check("gpt2", 343)
check("tinyllama", 379)
check("llama-2-metaspace", 379)
check("qwen2.5", 395)
check("llama-3.2", 395)

-- ---- further vocabularies: loaded, written, loaded again ----

local TEXTS = { "", " ", "Hello  world\n\n  12345 it's", "naïve café 東京 👩‍👩‍👧 \u{301}x", "<s>a</s><|endoftext|> b",
  "\tdef f(x):\n\t\treturn x ** 2  # α", "▁a ▁ b" }

local function check_round_trip(folder)
  local tok = assert(tokenizer.load(folder))
  local written = assert(tok:json())
  local again = assert(tokenizer.parse(written))
  test.equal(tostring(again), tostring(tok))
  test.ok(again:json() == written, "written differently the second time")
  for _, text in ipairs(TEXTS) do
    local ids = tok:encode(text, { special = true })
    test.equal(again:encode(text, { special = true }), ids)
    test.equal(again:decode(ids), tok:decode(ids))
    test.equal(streamed(tok, ids, false, text), tok:decode(ids))
    local plain, spans = tok:encode(text, { offsets = true, plain = true })
    check_spans(spans, text, false, text)
    test.equal(tok:encode(text, { plain = true }), plain)
    test.equal(tok:count(text, { plain = true }), #plain)
  end
end

test.case("further vocabularies: written and read again they are the same", function()
  local n = 0
  for _, entry in ipairs(file.list(test.conformance "more_tokenizers")) do
    local folder = test.conformance "more_tokenizers" .. "/" .. (entry.name or entry)
    if file.stat(folder .. "/tokenizer.json") then
      check_round_trip(folder)
      n = n + 1
    end
  end
  test.equal(n, 11)
end)

return test.done()
