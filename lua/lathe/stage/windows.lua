-- SPDX-License-Identifier: MIT
-- windows: texts become windows of a fixed budget of tokens, for causal language models.
--
--   input_ids    a b c d        a window's tokens
--   target_ids   b c d e        the same, shifted by one: what the model is to say next (-100: nothing)
--
-- Windows begin every `stride` tokens. By default a window is of one document; with pack = true documents
-- stand one behind the other with the end-of-text token between them, and windows go on over their borders
-- (but never from one metadata.split into another). metadata.pieces says which bytes of which record the
-- inputs are, so nothing is lost. The last, shorter window is kept, padded, or rejected.

local hash = require "engine.hash"
local json = require "engine.json"
local named_tokenizer = require "lathe.named_tokenizer"
local tokens = require "engine.tokens"
local windows = require "lathe.windows"

local M = {
  name = "windows",
  version = 1,
  kind = "barrier",
  summary = "Cuts texts into windows of so many tokens, with shifted targets, for causal language models.",
  options = {
    size = { type = "integer", default = 512, min = 1, help = "tokens of a window" },
    stride = { type = "integer", min = 1, help = "tokens from one window to the next (default: size)" },
    tokenizer = named_tokenizer.option("for the tokens", "tokenizer"),
    pack = { type = "boolean", default = false, help = "put documents behind each other, end-of-text tokens between them" },
    eos = { type = "string|boolean", help = "the token behind each document (default: with pack the tokenizer's own; else none; true: its own)" },
    last = { type = "string", default = "keep", choices = { "keep", "pad", "drop" },
      help = "a window that is shorter than size: kept, padded, or rejected" },
    pad = { type = "string", help = "the token to pad with (default: eos)" },
    ignore = { type = "integer", default = -100, help = "the target of padding" },
    budget = { type = "integer", min = 1, help = "tokens of all windows together; further windows are left out" },
    text = { type = "boolean", default = true, help = "windows have their text, too" },
    field = { type = "string", default = "text", help = "the field that is cut" },
  },
  positional = { "size", "stride" },
}

function M.uses(options) return named_tokenizer.uses(options.tokenizer) end
function M.hashes(options) return named_tokenizer.hashes(options.tokenizer) end

--- What the plan says: sizes, and what is in memory.
function M.plan(options)
  return { ("windows of %d tokens, one every %d%s; one text at a time in memory"):format(options.size,
    options.stride or options.size, options.pack and ", over the borders of documents" or "") }
end

function M.check(options)
  if options.stride and options.stride > options.size then
    return nil, ("a stride (%d) larger than the size (%d) would leave tokens out"):format(options.stride,
      options.size), "misuse"
  end
  return true
end

-- One stream of tokens of which windows are cut: a document, or with pack all of a split. Tokens are packed,
-- 4 bytes each; `from` is the number of the first one that is still here.
local Stream = {}
Stream.__index = Stream

local function stream(job) return setmetatable({ job = job, ids = "", from = 0, count = 0, next = 0, covered = 0, pieces = {} }, Stream) end

function Stream:add(record, text, ids, offsets)
  local metadata = json.kind(record.metadata) == "object" and record.metadata or nil
  local span = metadata and json.kind(metadata.span) == "array" and metadata.span or nil
  local base = span and span[2] and span[2] - span[1] == #text and span[1] or nil
  self.ids = self.ids:sub((self.next - self.from) * 4 + 1) .. ids
  self.from = self.next
  self.pieces[#self.pieces + 1] = { id = record.id, document = metadata and metadata.document, path = metadata and metadata.path,
    base = base, text = text, offsets = offsets, first = self.count, count = #ids // 4, record = record }
  self.count = self.count + #ids // 4
end

-- Where the text of token k (from 0) begins: a character that several tokens make is the later window's, so
-- that texts of windows are whole characters and lie end to end.
local function byte_at(piece, k)
  if k == 0 then return 0 end
  if k >= #piece.offsets // 8 then return #piece.text end
  local at = string.unpack("<I4", piece.offsets, k * 8 + 1)
  for back = 0, math.min(at, 3) do
    local byte = piece.text:byte(at - back + 1)
    if not byte or byte < 0x80 or byte >= 0xc0 then return at - back end
  end
  return at
end

-- What the inputs [start, stop) are: pieces, and their text.
local function describe(self, start, stop)
  local list, text = {}, {}
  for _, piece in ipairs(self.pieces) do
    local a, b = math.max(start, piece.first), math.min(stop, piece.first + piece.count)
    if a < b then
      local from, to = byte_at(piece, a - piece.first), byte_at(piece, b - piece.first)
      local shift = piece.base or 0
      list[#list + 1] = { id = piece.id, document = piece.document, path = piece.path, span = { from + shift, to + shift },
        tokens = { a - start, b - start } }
      text[#text + 1] = piece.text:sub(from + 1, to)
      if b > piece.first + #piece.offsets // 8 then text[#text + 1] = self.job.eos_text end
    end
  end
  return list, table.concat(text)
end

local function drop_pieces(self)
  local first = 1
  while self.pieces[first] and self.pieces[first].first + self.pieces[first].count <= self.next do first = first + 1 end
  if first > 1 then self.pieces = table.move(self.pieces, first, #self.pieces, 1, {}) end
end

local function padded(ids, size, value) return ids .. string.pack("<i4", value):rep(size - #ids // 4) end

-- The record of a window, as a line: of a document all its fields stay.
local function window_record(self, start, count, whole)
  local job = self.job
  local o, at = job.options, (start - self.from) * 4
  local ids, targets = self.ids:sub(at + 1, at + count * 4), self.ids:sub(at + 5, at + count * 4 + 4)
  local pieces, text = describe(self, start, start + count)
  if whole and count < o.size then
    ids, targets = padded(ids, o.size, job.pad or 0), padded(targets, o.size, o.ignore)
  end
  self.number = (self.number or 0) + 1
  local names = { o.size, self.number }
  for _, piece in ipairs(pieces) do names[#names + 1] = tostring(piece.id) .. "@" .. piece.span[1] end
  local record, metadata
  if o.pack then
    record, metadata = json.record "{}", { split = self.split }
  else
    record = json.record(json.encode(self.pieces[1].record))
    metadata = json.kind(record.metadata) == "object" and record.metadata or {}
    record.input_ids, record.target_ids = nil, nil
  end
  record.id = hash.sha256(table.concat(names, "\0")):sub(1, 24)
  record[o.field] = o.text and text or nil
  record.source = record.source or "windows"
  if not o.pack then metadata.span = pieces[1].span end
  metadata.window, metadata.tokens, metadata.tokenizer = self.number, count, job.tokenizer_name
  metadata.pieces = json.array(pieces)
  record.metadata = metadata
  local line = json.encode(record)
  return json.record(('%s,"input_ids":%s,"target_ids":%s}'):format(line:sub(1, -2), tokens.json(ids), tokens.json(targets)))
end

function Stream:emit(start, count, whole)
  local job = self.job
  if job.options.budget and (job.over > 0 or job.used + count > job.options.budget) then
    job.over, job.over_tokens = job.over + 1, job.over_tokens + count
    return
  end
  job.used, job.windows = job.used + count, job.windows + 1
  job.emit(window_record(self, start, count, whole))
end

-- All windows that are full; at the end of the stream the rest, too.
function Stream:cut(ended)
  local o = self.job.options
  local size, stride = o.size, o.stride or o.size
  while self.count - self.next > size do
    self:emit(self.next, size, true)
    self.covered = self.next + size
    self.next = self.next + stride
    drop_pieces(self)
  end
  local rest = self.count - 1 - self.next
  if not ended or self.count - 1 <= self.covered or rest <= 0 then return end
  if o.last ~= "drop" then
    self:emit(self.next, rest, o.last == "pad")
  else
    local pieces, text = describe(self, self.next, self.count)
    self.job.ctx.reject({ pieces = pieces, text = text, tokens = rest }, "partial_window",
      ("%d tokens at the end; a window has %d"):format(rest, size))
  end
end

local function new_job(ctx, emit)
  local o = ctx.options
  local tok, message, code = named_tokenizer.load(ctx, o.tokenizer)
  if not tok then return nil, message, code end
  local wanted = o.eos
  if wanted == nil then wanted = o.pack end
  local eos, pad
  if wanted then
    eos, message, code = windows.eos(tok, wanted ~= true and wanted or nil)
    if not eos then return nil, message, code end
  end
  pad = eos
  if o.pad then
    pad = tok:id(o.pad)
    if not pad then return nil, ("pad: the tokenizer has no token '%s'"):format(o.pad), "misuse" end
  elseif o.last == "pad" and not pad then
    pad, message, code = windows.eos(tok)
    if not pad then return nil, message, code end
  end
  return { options = o, ctx = ctx, emit = emit, tok = tok, eos = eos and string.pack("<I4", eos) or "",
    eos_text = eos and tok:token(eos) or "", pad = pad, used = 0, windows = 0, over = 0, over_tokens = 0,
    tokenizer_name = o.tokenizer }
end

local function add_record(job, streams, record)
  local o, ctx = job.options, job.ctx
  local text = json.get(record, o.field)
  if type(text) ~= "string" or text == "" then
    ctx.reject(record, "no_text", ("no text in '%s'"):format(o.field))
    return true
  end
  local ids, offsets, code = job.tok:encode_packed(text, { offsets = true })
  if not ids then return nil, offsets, code end
  ids = ids .. job.eos
  local split = json.get(record, "metadata.split")
  split = type(split) == "string" and split or ""
  local s = o.pack and streams[split] or stream(job)
  if o.pack and not streams[split] then
    s.split = split ~= "" and split or nil
    streams[split], streams[#streams + 1] = s, s
  end
  if not o.pack and #ids < 8 then
    ctx.reject(record, "too_short", "a window needs two tokens, one to go in and one to come out")
    return true
  end
  s:add(record, text, ids, offsets)
  s:cut(not o.pack)
  return true
end

--- Cuts all records into windows.
-- @param input table: input:records()
-- @param ctx table: the stage's context
-- @param emit function: called with each window
-- @return table: facts { windows, tokens, left_out }
-- @error misuse (no such token), not_found (the tokenizer), cancelled
function M.all(input, ctx, emit)
  local fine, message, code = M.check(ctx.options)
  if not fine then return nil, message, code end
  local job
  job, message, code = new_job(ctx, emit)
  if not job then return nil, message, code end
  local streams, seen = {}, 0
  for record in input:records() do
    fine, message, code = add_record(job, streams, record)
    if not fine then return nil, message, code end
    seen = seen + 1
    if seen % 256 == 0 then ctx.progress(seen, input.count, "records") end
  end
  for _, s in ipairs(streams) do s:cut(true) end
  if job.over > 0 then
    ctx.reject({ windows = job.over, tokens = job.over_tokens }, "over_budget",
      ("%d windows more than the budget of %d tokens"):format(job.over, ctx.options.budget))
  end
  ctx.log("info", ("%d windows of %d tokens"):format(job.windows, ctx.options.size), { tokens = job.used })
  return { windows = job.windows, tokens = job.used, left_out = job.over_tokens }
end

return M
