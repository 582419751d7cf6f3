-- SPDX-License-Identifier: MIT
-- Selection to a budget: keeps so many records, groups of records or tokens, and their order.
--
--   lathe.select { 1000 }                        chosen by seed
--   lathe.select { tokens = 5000000 }            best first, by metadata.score, until no more fits
--   lathe.select { 1000, by = "metadata.score", group = "metadata.document" }
--
-- Best first means by the field `by`, highest first (a group counts as the mean of its records); a record
-- without a number there comes last. Among equals, and where no field is named, a draw decides that depends
-- on the seed and the record's id (its group) alone, so that the order of the input does not matter. What no
-- longer fits the tokens is passed over; a later, smaller one may still be kept. Two passes over the
-- input; memory: about 60 bytes a group, 4 a record.

local json = require "engine.json"
local named_tokenizer = require "lathe.named_tokenizer"
local record_text = require "lathe.record_text"
local selection = require "engine.select"

local M = {
  name = "select",
  version = 2,
  kind = "barrier",
  summary = "Keeps at most so many records, groups or tokens, best first or by seed; order is kept.",
  options = {
    max = { type = "integer", min = 1, help = "how many records (or groups) to keep" },
    tokens = { type = "integer", min = 1, help = "how many tokens to keep, best records first" },
    by = { type = "string", help = "a field, highest first (with tokens: metadata.score; else chosen by seed)" },
    group = { type = "string", help = "a field such as metadata.fact: whole groups are kept or left" },
    seed = { type = "integer", help = "another choice (default: the recipe's seed)" },
    tokenizer = named_tokenizer.option("for tokens", "tokenizer"),
    tokens_field = { type = "string", help = "a field that holds each record's tokens; they are not counted then" },
    on = { type = "string", help = "the field whose tokens count (default: text, else all words of the record)" },
  },
  positional = { "max" },
}

--- Checks what one option alone cannot say.
-- @error misuse: neither max nor tokens
function M.check(options)
  if not options.max and not options.tokens then
    return nil, "say how much to keep: max = 1000 (records, or groups), or tokens = 1000000", "misuse"
  end
  return true
end

local function counts_tokens(options) return options.tokens and not options.tokens_field end

--- The artifacts that the options need: a tokenizer, where tokens are counted.
function M.uses(options)
  return counts_tokens(options) and named_tokenizer.uses(options.tokenizer) or {}
end

--- What the output depends on besides the options: the tokenizer's file, where it is a path.
function M.hashes(options)
  return counts_tokens(options) and named_tokenizer.hashes(options.tokenizer) or {}
end

local function group_of(record, field)
  if not field then return nil end
  local value = json.get(record, field)
  if value == nil then return "" end
  return type(value) == "userdata" and json.encode(value) or tostring(value)
end

-- How many tokens a record has; raises for a field that holds no number.
local function tokens_of(record, options, tok)
  if not options.tokens then return 0 end
  if options.tokens_field then
    local n = math.tointeger(json.get(record, options.tokens_field))
    if n and n >= 0 then return n end
    error({ code = "format", message = ("record %s: the field '%s' holds no number of tokens"):format(tostring(record.id),
      options.tokens_field) }, 0)
  end
  local text = record_text.of(record, options.on)
  return text and assert(tok:count(text)) or 0
end

local function add_all(input, ctx, made, tok)
  local options = ctx.options
  local seed = options.seed or ctx.seed
  local by = options.by or options.tokens and "metadata.score"
  for record in input:records() do
    local group = group_of(record, options.group)
    local score = by and json.get(record, by)
    if type(score) ~= "number" then score = -math.huge end
    local name = group or (record.id ~= nil and tostring(record.id)) or json.encode(record)
    local fine, message, code = made:add(group, by and score or 0, ("%d\0%s"):format(seed, name),
      tokens_of(record, options, tok))
    if not fine then return nil, message, code end
  end
  return true
end

--- Keeps what fits of a whole stage's output.
-- @param input table: input:records()
-- @param ctx table: the stage's context
-- @param emit function: called with each record that is kept
-- @return table: { records, groups, tokens and those that are kept }
-- @error not_found (the tokenizer), format (no number of tokens), limit (memory), cancelled
function M.all(input, ctx, emit)
  local options = ctx.options
  local tok, message, code
  if counts_tokens(options) then
    tok, message, code = named_tokenizer.load(ctx, options.tokenizer)
    if not tok then return nil, message, code end
  end
  local made <close> = assert(selection.new(ctx.memory))
  local fine
  fine, message, code = add_all(input, ctx, made, tok)
  if not fine then return nil, message, code end
  local facts
  facts, message, code = made:choose(options.max, options.tokens)
  if not facts then return nil, message, code end
  if not options.tokens then facts.tokens, facts.kept_tokens = nil, nil end
  local number = 0
  for record in input:records() do
    number = number + 1
    if made:kept(number) then emit(record) else ctx.reject(record, "over_budget") end
  end
  return facts
end

return M
