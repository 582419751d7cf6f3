-- SPDX-License-Identifier: MIT
-- The other half of tokenizer_compare.py: says which of its cases Lathe does differently.
--
-- Standard input:  a 4-byte length and so many bytes of cases, again and again. A case is strings, each behind its
--   length (string.pack's s4):
--     text, ids, ids with special tokens, ids with special tokens taken for text or "", offsets or "",
--     ids to decode, their text, their text without special tokens
--   Ids are packed (4 bytes each), offsets too (start, stop of each token, in bytes, of whole characters).
-- Standard output: 2 bytes a case, in the order of the cases: the sum of the numbers in WRONG.
-- With "show" behind the tokenizer: what Lathe makes of each case, as JSON lines, instead.

local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

local WRONG = { ids = 1, offsets_ids = 2, count = 4, special = 8, plain = 16, offsets = 32, decode = 64,
  stream = 128, skip = 256, stream_skip = 512, failed = 1024 }

local tok, message = tokenizer.load(arg[1])
if not tok then
  io.write("refused: ", message, "\n")
  os.exit(0, true)
end
io.write "loaded\n"
io.stdout:flush()

local unpack = string.unpack

local function streamed(ids, options)
  local piece, out, n = tok:stream(options), {}, 0
  for at = 1, #ids, 4 do
    n = n + 1
    out[n] = piece((unpack("<I4", ids, at)))
    if out[n] ~= "" and not utf8.len(out[n]) then return nil end -- half a character
  end
  out[n + 1] = piece()
  return table.concat(out)
end

-- A token that holds a part of a character has the whole character's offsets in the reference.
local function whole_characters(text, packed)
  local out = {}
  local function inside(at) -- 0-based; is the byte there not the first of a character?
    local b = text:byte(at + 1)
    return b and b >= 0x80 and b < 0xc0
  end
  for at = 1, #packed, 8 do
    local from, to = unpack("<I4I4", packed, at)
    if from > to or to > #text then return nil end
    if from < to then
      while inside(from) do from = from - 1 end
      while inside(to) do to = to + 1 end
    end
    out[#out + 1] = string.pack("<I4I4", from, to)
  end
  return table.concat(out)
end

local PLAIN, SPECIAL, OFFSETS, SKIP = { plain = true }, { special = true }, { offsets = true }, { skip_special = true }

local number = 0

local function compare(text, ids, special, plain, offsets, given, decoded, skipped)
  local wrong = 0
  number = number + 1
  local function expect(name, fine) if not fine then wrong = wrong | WRONG[name] end end
  expect("ids", tok:encode_packed(text) == ids)
  local again, spans = tok:encode_packed(text, OFFSETS)
  expect("offsets_ids", again == ids)
  expect("count", tok:count(text) == #ids // 4)
  expect("special", tok:encode_packed(text, SPECIAL) == special)
  if plain ~= "-" then expect("plain", tok:encode_packed(text, PLAIN) == plain) end
  if offsets ~= "-" then
    expect("offsets", spans == offsets or again == ids and whole_characters(text, spans) == offsets)
  end
  expect("decode", tok:decode(given) == decoded)
  expect("skip", tok:decode(given, SKIP) == skipped)
  if number % 4 == 1 then -- calls from Lua, one a token, are what takes longest here
    expect("stream", streamed(given) == decoded)
    expect("stream_skip", streamed(given, SKIP) == skipped)
  end
  return wrong
end

local function list(packed)
  local out = json.array {}
  for at = 1, #packed or 0, 4 do out[#out + 1] = unpack("<I4", packed, at) end
  return out
end

local function show(text, _, _, _, _, given)
  local ids, spans = tok:encode_packed(text, OFFSETS)
  return json.encode { ids = list(ids), offsets = list(spans), special = list(tok:encode_packed(text, SPECIAL)),
    plain = list(tok:encode_packed(text, PLAIN)), decoded = tok:decode(given), count = tok:count(text),
    streamed = streamed(given) or "half a character", skipped = tok:decode(given, SKIP) } .. "\n"
end

local asked = arg[2] == "show" and show or function(...)
  local fine, wrong = pcall(compare, ...)
  return string.pack("<I2", fine and wrong or WRONG.failed)
end

while true do
  local head = io.read(4)
  if not head then break end
  local bytes = io.read((unpack("<I4", head)))
  local out, at = {}, 1
  while at <= #bytes do
    local case = table.pack(unpack("<s4s4s4s4s4s4s4s4", bytes, at))
    at = case[9]
    out[#out + 1] = asked(table.unpack(case, 1, 8))
  end
  io.write(table.concat(out))
  io.stdout:flush()
end
