-- SPDX-License-Identifier: MIT
-- Windows of tokens as a dataset: what a training loop, or a person at the prompt, takes from texts.
--
--   local ds = lathe.open("train.jsonl", { tokenizer = "models/x", size = 256, stride = 128 })
--   #ds                                    how many windows
--   local input, target = ds[1]()          tensors of 256 token ids; target is input shifted by one
--   for input, target, batch in ds:loader { batch = 8, shuffle = true, seed = 1 } do … end
--
-- Texts are encoded once, into a file of ids that is mapped (a token cache); so a dataset may be larger than
-- memory, and is there at once the next time. Windows are views of that file: another size or stride needs no
-- new cache. A record that is a window already (made by the stage `windows`) is taken as it is.

local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local record_module = require "lathe.record"
local tensor = require "engine.tensor"
local tokens = require "engine.tokens"

local M = {}

local EOS = { "</s>", "<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<eos>", "<|end|>", "[SEP]" }

--- The id of a tokenizer's end-of-text token.
-- @param tok tokenizer
-- @param name string|nil: its string; nil: the first of the usual ones that it has
-- @return integer
-- @error misuse: there is no such token
-- @example require("lathe.windows").eos(tok)
function M.eos(tok, name)
  if name then
    local id = tok:id(name)
    if id then return id end
    return nil, ("the tokenizer has no token '%s'"):format(name), "misuse"
  end
  for _, one in ipairs(EOS) do
    local id = tok:id(one)
    if id then return id, one end
  end
  return nil, "the tokenizer has none of the usual end-of-text tokens; name one: eos = \"…\"", "misuse"
end

-- ---- making the cache ----

local KNOWN = { "tokenizer", "size", "stride", "pack", "eos", "last", "pad", "field", "split", "cache" }

local function check_options(options)
  local known = {}
  for _, name in ipairs(KNOWN) do known[name] = true end
  for name in pairs(options) do
    if not known[name] then error(require("lathe.config").unknown("option", tostring(name), KNOWN), 3) end
  end
end

local function load_tokenizer(given)
  if type(given) ~= "string" then return given, given:json() end
  local tok, message, code = require("lathe.tokenizers").load(given)
  if not tok then return nil, message, code end
  return tok, tok:json()
end

-- 16 bytes that tell what a cache was made from.
local function key_of(paths, tokenizer_json, o)
  local parts = { "1", hash.sha256(tokenizer_json), o.field, o.split or "", tostring(o.eos_id) }
  for _, path in ipairs(paths) do
    local digest, message, code = file.quick_hash(path)
    if not digest then return nil, message, code end
    parts[#parts + 1] = digest
  end
  return (hash.sha256(table.concat(parts, "\0")):sub(1, 32):gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end))
end

local BATCH_BYTES = 8 << 20

local function encode_all(ds, tok, w, o)
  local eos = o.eos_id and string.pack("<I4", o.eos_id) or ""
  local texts, bytes = {}, 0
  local function flush()
    if #texts == 0 then return true end
    local all, message, code = tok:encode_batch(texts, { packed = true })
    if not all then return nil, message, code end
    for _, ids in ipairs(all) do
      local fine
      fine, message, code = w:add(ids .. eos)
      if not fine then return nil, message, code end
    end
    texts, bytes = {}, 0
    return true
  end
  for r in ds:records() do
    local text = json.get(r, o.field)
    local split = o.split and json.get(r, "metadata.split")
    if type(text) == "string" and text ~= "" and (not o.split or split == o.split) then
      texts[#texts + 1], bytes = text, bytes + #text
    end
    if bytes >= BATCH_BYTES then
      local fine, message, code = flush()
      if not fine then return nil, message, code end
    end
  end
  return flush()
end

local function make_cache(ds, tok, path, key, o)
  local w, message, code = tokens.writer(path, #tok, key)
  if not w then return nil, message, code end
  local writer <close> = w
  local fine
  fine, message, code = encode_all(ds, tok, writer, o)
  if fine then fine, message, code = writer:commit() end
  if not fine then return nil, message, code end
  return true
end

local function open_cache(path, key)
  if not file.stat(path) then return nil end
  local f = tokens.open(path)
  if f and f:key() == key then return f end
  if f then f:close() end
end

-- ---- windows that are records ----

local Records = {}
Records.__index = Records
Records.__len = function(self) return #self.ds end

local function ids_of(record, name)
  local packed, message = tokens.parse(json.encode(record[name]))
  if not packed then error(("%s: %s"):format(name, message), 0) end
  return packed
end

function Records:get(i)
  local record = self.ds[i]
  local targets = ids_of(record, "target_ids"):gsub("....", { [string.pack("<i4", -100)] = string.pack("<i4", -1) })
  local ids = ids_of(record, "input_ids")
  return ids, targets, record.metadata and record.metadata.tokens or #ids // 4, i
end

function Records:batch(list, pad)
  local inputs, targets, counts, size = {}, {}, {}, self.size
  for r, i in ipairs(list) do
    local ids, target, n = self:get(i)
    inputs[r] = ids .. string.pack("<I4", pad or 0):rep(size - #ids // 4)
    targets[r] = target .. string.pack("<i4", -1):rep(size - #target // 4)
    counts[r] = n
  end
  local function matrix(rows) return tensor.new { shape = { #list, size }, dtype = "i32", data = table.concat(rows) } end
  return matrix(inputs), matrix(targets), counts
end

local function record_windows(ds)
  local size = 0
  for r in ds:records() do size = math.max(size, #r.input_ids) end
  return setmetatable({ ds = ds, size = size }, Records), size
end

-- ---- the dataset ----

local Windows = {}

local Pair = { __name = "window" }
function Pair.__index(self, key) -- pair[1] and pair[2], so that table.unpack(ds[i]) gives both
  if key == 1 then return self.input elseif key == 2 then return self.target end
  return nil
end
function Pair.__len() return 2 end
function Pair:__call() return self.input, self.target end
function Pair:__tostring() return ("window %d\n  input  %s\n  target %s"):format(self.index, tostring(self.input), tostring(self.target)) end

local function vector(packed) return tensor.new { shape = { #packed // 4 }, dtype = "i32", data = packed } end

--- Window i (from 1): its input and its target, the input shifted by one.
-- @param i integer
-- @return tensor: token ids, 32-bit integers
-- @return tensor: the tokens that come next; -1 for none
-- @return integer: how many of them are real (the others are padding)
function Windows:get(i)
  local input, target, n = self.windows:get(i, self.pad)
  return vector(input), vector(target), n
end

local Loader = { __name = "loader" }
Loader.__index = Loader
function Loader:__len()
  local n = #self.dataset
  return self.drop_last and n // self.batch or (n + self.batch - 1) // self.batch
end
function Loader:__tostring()
  return ("loader: %d batches of %d windows%s"):format(#self, self.batch, self.shuffle and ", shuffled" or "")
end

-- The real tokens of each row, one after the other, as engine.model takes them.
local function for_model(input, target, counts, size)
  local ids, wanted, bytes = {}, {}, { input:bytes(), target:bytes() }
  for r, n in ipairs(counts) do
    local from = (r - 1) * size * 4
    ids[r], wanted[r] = bytes[1]:sub(from + 1, from + n * 4), bytes[2]:sub(from + 1, from + n * 4)
  end
  return { tokens = table.concat(ids), targets = table.concat(wanted), lengths = counts }
end

--- Batch k (from 1) of an epoch: the same whenever it is asked for, so that k is all a checkpoint keeps.
-- @param k integer
-- @return tensor: inputs, a row a window
-- @return tensor: targets; -1 for none
-- @return table: { tokens, targets, lengths } without padding, for model:accumulate
-- @return table: the numbers of the windows
function Loader:get(k)
  local ds, list = self.dataset, {}
  local n = #ds
  for place = (k - 1) * self.batch + 1, math.min(k * self.batch, n) do
    list[#list + 1] = self.shuffle and tokens.shuffled(place, n, self.seed * 1000003 + self.epoch) or place
  end
  local input, target, counts = ds.windows:batch(list, ds.pad)
  return input, target, for_model(input, target, counts, ds.size), list
end

-- A loop begins with no input in its hand.
function Loader:__call(_, input)
  if input == nil then
    if self.at then self.epoch = self.epoch + 1 end -- each round has an order of its own
    self.at = 0
  end
  if self.at >= #self then return nil end
  self.at = self.at + 1
  return self:get(self.at)
end

--- Batches of windows: for input, target, batch in ds:loader { batch = 8 } do … end. Each loop over the same
-- loader is the next epoch.
-- @param options table: batch = windows of a batch (1), shuffle = boolean (false), seed = of the orders (42),
-- epoch = the first (1), drop_last = leave out a last batch that is smaller (false)
-- @return loader: #loader is the number of batches; loader:get(k) is one of them
-- @error misuse: an unknown option
-- @example for input, target in ds:loader { batch = 8, shuffle = true, seed = 1 } do print(input, target) end
function Windows:loader(options)
  local checked, message = require("lathe.config").check({
    batch = { type = "integer", default = 1, min = 1 }, shuffle = { type = "boolean", default = false },
    seed = { type = "integer", default = 42 }, epoch = { type = "integer", default = 1, min = 1 },
    drop_last = { type = "boolean", default = false } }, options or {}, { "batch" })
  if not checked then error(message, 2) end
  checked.dataset = self
  return setmetatable(checked, Loader)
end

--- Gives up the mapped file.
function Windows:close()
  if self.file then self.file:close() end
end

local meta = { __name = "windows", __close = Windows.close, __gc = Windows.close }
function meta.__index(self, key)
  if math.type(key) == "integer" then
    if key < 1 or key > #self then return nil end
    local input, target, n = Windows.get(self, key)
    return setmetatable({ index = key, input = input, target = target, tokens = n }, Pair)
  end
  return Windows[key]
end
function meta.__len(self) return #self.windows end
function meta.__newindex() error("a dataset is read only", 2) end
function meta.__tostring(self)
  return ("%d windows of %d tokens%s"):format(#self, self.size,
    self.file and (", one every %d, from %d tokens of %d documents"):format(self.stride, #self.file, self.file:documents()) or "")
end

local function over(f, o)
  local stride = o.stride or o.size
  if stride > o.size then return nil, ("a stride (%d) larger than the size (%d) leaves tokens out"):format(stride, o.size), "misuse" end
  local w, message, code = f:windows { size = o.size, stride = stride, packed = o.pack or false, rest = o.last or "keep" }
  if not w then return nil, message, code end
  return setmetatable({ file = f, windows = w, size = o.size, stride = stride, pad = o.pad_id or 0 }, meta)
end

local function is_token_file(path)
  local info = type(path) == "string" and file.stat(path)
  return info and info.type == "file" and info.size >= 64 and file.read_range(path, 0, 8) == "lathe-tk"
end

local function token_ids(tok, o)
  local eos, message, code
  local wanted = o.eos
  if wanted == nil then wanted = o.pack end
  if wanted then
    eos, message, code = M.eos(tok, wanted ~= true and wanted or nil)
    if not eos then return nil, message, code end
    o.eos_id = eos
  end
  o.pad_id = eos or 0
  if o.pad then o.pad_id = tok:id(o.pad) end
  if not o.pad_id then return nil, ("pad: the tokenizer has no token '%s'"):format(o.pad), "misuse" end
  return true
end

--- Opens texts, or windows, as a dataset of (input, target) pairs.
-- @param source string|dataset: a JSONL file, a stage's folder of parts, what lathe.open gave, or a token cache
-- @param options table: { tokenizer = path or tokenizer, size = tokens (512), stride (size), pack = windows over the
-- borders of documents, with eos between them (false), eos = token or true, last = "keep", "pad" or "drop", pad =
-- token, field ("text"), split = only records whose metadata.split is this, cache = a file to keep the ids in }
-- @return windows: #ds, ds[i] (with .input and .target; ds[i]() and table.unpack(ds[i]) give both), ds:get(i), ds:loader { … }, ds:close()
-- @error misuse, not_found, format
-- @example local ds = require("lathe.windows").open("train.jsonl", { tokenizer = "models/x", size = 256 })
function M.open(source, options)
  local o = {}
  check_options(options or {})
  for k, v in pairs(options or {}) do o[k] = v end
  o.size, o.field = o.size or 512, o.field or "text"
  if is_token_file(source) then
    local f, message, code = tokens.open(source)
    if not f then return nil, message, code end
    return over(f, o)
  end
  local ds = source
  if type(source) == "string" then
    local opened, message, code = record_module.open(source)
    if not opened then return nil, message, code end
    ds = opened
  end
  if not o.tokenizer then
    local first = ds:head(1)[1]
    if first and first.input_ids and first.target_ids then
      local w, size = record_windows(ds)
      return setmetatable({ windows = w, size = size, pad = 0 }, meta)
    end
    return nil, "windows: name a tokenizer: tokenizer = \"a model's folder or tokenizer.json\"", "misuse"
  end
  local tok, tokenizer_json, kind = load_tokenizer(o.tokenizer)
  if not tok then return nil, tokenizer_json, kind end
  local fine, message, code = token_ids(tok, o)
  if not fine then return nil, message, code end
  local key
  key, message, code = key_of(ds.paths, tokenizer_json, o)
  if not key then return nil, message, code end
  local path = o.cache or ("%s/lathe-%s-%d.tokens"):format(os.getenv "TMPDIR" or "/tmp",
    hash.sha256(key):sub(1, 16), math.random(1 << 40))
  local f = o.cache and open_cache(path, key)
  if not f then
    fine, message, code = make_cache(ds, tok, path, key, o)
    if not fine then return nil, message, code end
    f, message, code = tokens.open(path)
    if not f then return nil, message, code end
  end
  if not o.cache then file.remove_tree(path) end -- the mapping stays; nothing is left behind
  return over(f, o)
end

return M
