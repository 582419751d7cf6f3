-- SPDX-License-Identifier: MIT
-- Windows: running text cut into pieces that fit a context, each wrapped as a conversation.
--
--     <|im_start|>user⏎Continue: first words …<|im_end|>⏎<|im_start|>assistant⏎ the piece <|im_end|>⏎
--
-- Every piece carries the template's tokens, because embeddings that never occur in pretraining collapse
-- together, and a tuning that leaves them frozen could not tell them apart. Pieces are cut at tokens (never
-- inside a character) and together are the whole text: nothing is dropped.

local data = require "lathe.train.data"

local M = {}

-- At most six words and a quarter of the context in bytes, so that there is room for the piece.
local function request(piece, context)
  local text = "Continue:"
  for word in piece:gmatch "%S+" do
    if #text + #word > context // 4 or select(2, text:gsub(" ", "")) == 6 then break end
    text = text .. " " .. word
  end
  return text
end

-- The offset before which to cut so that no character is split.
local function character_start(text, at)
  while at > 0 and at < #text and text:byte(at + 1) & 0xC0 == 0x80 do at = at - 1 end
  return at
end

local function wrap(piece, template, context)
  local text, message, code = template:render_messages {
    { role = "user", content = request(piece, context) }, { role = "assistant", content = piece } }
  if not text then error({ code = code or "template", message = message }, 0) end
  return text
end

-- The longest piece from byte `from` whose wrapped form fits; returns its end and its tokens.
local function piece_at(text, spans, first, from, context, template, tokenizer)
  local room = context
  while room > 0 do
    local last = math.min(#spans, first + room - 1)
    local stop = last == #spans and #text or character_start(text, spans[last][2])
    if stop <= from then return nil end
    local ids = data.encode(tokenizer, wrap(text:sub(from + 1, stop), template, context))
    if #ids <= context then return stop, ids end
    room = room - math.max(1, #ids - context)
    room = math.min(room, last - first)
  end
  return nil
end

--- Cuts one text into wrapped windows.
-- @param text string: running text
-- @param tokenizer tokenizer: from engine.tokenizer
-- @param template template: from lathe.template
-- @param context integer: the most tokens of a window, wrapping included
-- @return table: list of examples (see lathe.train.data), every token carrying loss
-- @error limit: not even one character fits
function M.windows(text, tokenizer, template, context)
  local _, spans = data.encode(tokenizer, text)
  local out, from, first = {}, 0, 1
  while from < #text do
    while spans[first] and spans[first][2] <= from do first = first + 1 end
    local stop, ids = piece_at(text, spans, first, from, context, template, tokenizer)
    if not stop then
      return nil, ("a context of %d tokens holds nothing beside the template"):format(context), "limit"
    end
    out[#out + 1] = data.sequence(ids)
    from = stop
  end
  return out
end

return M
