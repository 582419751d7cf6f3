-- SPDX-License-Identifier: MIT
-- From records to what a model is trained on: sequences of tokens with a target for each.
--
--     text    <|im_start|>user⏎ What is …?<|im_end|>⏎<|im_start|>assistant⏎ It is …<|im_end|>⏎
--     spans                                                                └──────── loss ──────┘
--     ids       a   b   c   …                                              x   y   z    e
--     targets  −1  −1  −1   …                                          x   y   z    e  −1
--
-- A token carries loss when it lies wholly inside a span; the target of a row is the token after it, so
-- the loss of a token stands one row earlier. An example is { ids, targets } as packed int32 strings, with
-- `count` tokens of which `supervised` carry loss. Nothing is ever cut to fit: an example that is too long
-- is refused, with the reason, and counted by whoever asked.

local hash = require "engine.hash"

local M = {}

local function pack(list)
  local out = {}
  for i = 1, #list, 100 do
    local n = math.min(100, #list - i + 1)
    out[#out + 1] = string.pack("<" .. ("i4"):rep(n), table.unpack(list, i, i + n - 1))
  end
  return table.concat(out)
end

--- An example from tokens and the list of those that carry loss.
-- @param ids table: token ids
-- @param loss table|nil: loss[i] is true where token i carries loss; nil: all do
-- @return table: { ids, targets, count, supervised }
-- @example require("lathe.train.data").sequence({ 5, 6, 7 }).supervised
function M.sequence(ids, loss)
  local targets, supervised = {}, 0
  for i = 1, #ids do
    local wanted = i < #ids and (not loss or loss[i + 1])
    targets[i] = wanted and ids[i + 1] or -1
    if wanted then supervised = supervised + 1 end
  end
  return { ids = pack(ids), targets = pack(targets), count = #ids, supervised = supervised }
end

-- Which tokens lie wholly inside a span. Both lists are in order; spans do not overlap.
local function inside(tokens, spans)
  local loss, s = {}, 1
  for i, token in ipairs(tokens) do
    while spans[s] and spans[s][2] <= token[1] do s = s + 1 end
    local span = spans[s]
    loss[i] = span ~= nil and token[2] > token[1] and span[1] <= token[1] and token[2] <= span[2]
  end
  return loss
end

local function plain_spans(spans)
  local out = {}
  for i = 1, #spans do out[i] = { spans[i][1], spans[i][2] } end
  return out
end

--- An example from a text and its loss spans.
-- @param text string: the whole text, template included
-- @param spans table: list of { start, end } in bytes, end exclusive: what carries loss
-- @param tokenizer tokenizer: from engine.tokenizer
-- @param max_length integer|nil: the most tokens
-- @return table: the example (see the head of this file), with `last`: the last token that carries loss
-- @error nil, reason ("too_long", "no_loss"), detail
function M.example(text, spans, tokenizer, max_length)
  local ids, tokens = M.encode(tokenizer, text)
  if max_length and #ids > max_length then
    return nil, "too_long", ("%d tokens; at most %d are allowed"):format(#ids, max_length)
  end
  local loss = inside(tokens, plain_spans(spans))
  local example = M.sequence(ids, loss)
  if example.supervised == 0 then return nil, "no_loss", "no token carries loss" end
  for i = #ids, 1, -1 do
    if loss[i] then
      example.last = ids[i]
      break
    end
  end
  example.first, example.second = ids[1], ids[2]
  return example
end

--- Ids of a text and the bytes each stands for. Special tokens in the text are recognised.
-- @param tokenizer tokenizer: from engine.tokenizer
-- @param text string: any text
-- @return table: ids
-- @return table: list of { start, end }
function M.encode(tokenizer, text)
  local ids, spans = tokenizer:encode(text, { offsets = true })
  return ids, spans
end

--- Examples as one batch for the model.
-- @param examples table: list of examples
-- @return table: { tokens, targets, lengths }
function M.batch(examples)
  local tokens, targets, lengths = {}, {}, {}
  for i, e in ipairs(examples) do tokens[i], targets[i], lengths[i] = e.ids, e.targets, e.count end
  return { tokens = table.concat(tokens), targets = table.concat(targets), lengths = lengths }
end

--- Cuts a list of examples into batches of at most so many tokens (an example is never split).
-- @param examples table: list of examples
-- @param tokens integer: the most tokens of a batch, unless one example alone has more
-- @return table: list of batches
function M.batches(examples, tokens)
  local out, part, count = {}, {}, 0
  for _, e in ipairs(examples) do
    if #part > 0 and count + e.count > tokens then
      out[#out + 1] = M.batch(part)
      part, count = {}, 0
    end
    part[#part + 1], count = e, count + e.count
  end
  if #part > 0 then out[#out + 1] = M.batch(part) end
  return out
end

--- The order in which examples are seen: a pure function of the step, so that the step is the cursor.
-- Epoch after epoch, each in an order of its own; an optimiser step takes the next `batch` examples and may
-- reach over the end of an epoch.
-- @param count integer: how many examples there are
-- @param batch integer: examples of a step
-- @param seed integer: of the orders
-- @return function: step (from 1) → list of indices
-- @example require("lathe.train.data").order(10, 4, 42)(1)
function M.order(count, batch, seed)
  local known = {}
  local function epoch(e)
    if not known[e] then
      known = { [e - 1] = known[e - 1] }
      local list = {}
      for i = 1, count do list[i] = i end
      known[e] = hash.rng(seed, "epoch", e):shuffle(list)
    end
    return known[e]
  end
  return function(step)
    local out = {}
    for k = (step - 1) * batch, step * batch - 1 do out[#out + 1] = epoch(k // count)[k % count + 1] end
    return out
  end
end

--- The mean loss of a model on examples; nothing is learned.
-- @param model model: from engine.model
-- @param examples table: list of examples
-- @param tokens integer|nil: the most tokens of a batch (default 4096)
-- @return table: { loss, tokens, accuracy }: mean over tokens that carry loss
-- @error as model:loss
function M.loss(model, examples, tokens)
  local sum, count, right = 0.0, 0, 0
  for _, batch in ipairs(M.batches(examples, tokens or 4096)) do
    local loss, supervised, correct = model:loss(batch)
    if not loss then return nil, supervised, correct end
    sum, count, right = sum + loss, count + supervised, right + correct
  end
  if count == 0 then return { loss = 0.0, tokens = 0, accuracy = 0.0 } end
  return { loss = sum / count, tokens = count, accuracy = right / count }
end

--- How many tokens lie between the shortest and the longest example.
-- @param examples table: list of examples
-- @return table: { examples, tokens, supervised, shortest, longest }
function M.count(examples)
  local out = { examples = #examples, tokens = 0, supervised = 0, shortest = math.maxinteger, longest = 0 }
  for _, e in ipairs(examples) do
    out.tokens, out.supervised = out.tokens + e.count, out.supervised + e.supervised
    out.shortest, out.longest = math.min(out.shortest, e.count), math.max(out.longest, e.count)
  end
  if #examples == 0 then out.shortest = 0 end
  return out
end

return M
