-- SPDX-License-Identifier: MIT
-- Windows of tokens: the stage, the dataset, and what must be the same in both.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local lathe = require "lathe"
local tokenizer = require "engine.tokenizer"
local tokens = require "engine.tokens"
local windows = require "lathe.windows"

local WORDS = { "sun", "moon", "the", "a", "größer", "river", "日本", "runs", "is", "never" }
local function text(seed, n)
  local out, rng = {}, hash.rng("text", seed)
  for i = 1, n do out[i] = WORDS[rng:integer(1, #WORDS)] end
  return table.concat(out, " ")
end

local tok = assert(tokenizer.train { texts = { text(0, 2000) }, vocab_size = 290, special = { "<|endoftext|>" } })
local EOS = tok:id "<|endoftext|>"

local function with_tokenizer(f)
  test.with_dir(function(dir)
    assert(tok:save(dir .. "/tokenizer.json"))
    f(dir)
  end)
end

local function records(n, length)
  local list = {}
  for i = 1, n do
    local s = text(i, (length or 20) + i % 7)
    list[i] = { id = "r" .. i, text = s, metadata = { document = "d" .. i, path = "p" .. i, span = { 100 * i, 100 * i + #s },
      split = i % 3 == 0 and "test" or "train" } }
  end
  return list
end

local function run(dir, options, list)
  return stage.run("windows", options, list, { artifacts = { tokenizer = dir } })
end

local function slice(list, from, to) return table.move(list, from, to, 1, {}) end

-- ---- one document a window ----

test.case("inputs, and targets that are one further", function()
  with_tokenizer(function(dir)
    local list = records(1, 60)
    local ids = tok:encode(list[1].text)
    local out, rejected, ctx = run(dir, { size = 16, stride = 10 }, list)
    test.equal(#out, 1 + math.ceil((#ids - 1 - 16) / 10))
    for w, r in ipairs(out) do
      local from = (w - 1) * 10 + 1
      local n = math.min(16, #ids - from)
      test.equal(r.input_ids, slice(ids, from, from + n - 1))
      test.equal(r.target_ids, slice(ids, from + 1, from + n))
      test.equal({ r.metadata.window, r.metadata.tokens }, { w, n })
      -- the window's text is what its span says of the source, and what its tokens are
      local span = r.metadata.span
      test.equal(list[1].text:sub(span[1] - 100 + 1, span[2] - 100), r.text)
      test.equal(tok:decode(r.input_ids), r.text)
      test.equal(r.metadata.pieces, { { id = "r1", document = "d1", path = "p1", span = span, tokens = { 0, n } } })
      test.equal({ r.metadata.document, r.metadata.path, r.metadata.split }, { "d1", "p1", "train" })
    end
    test.equal({ #rejected, ctx.logs[1].message }, { 0, #out .. " windows of 16 tokens" })
    test.equal(out[#out].target_ids[#out[#out].target_ids], ids[#ids])
  end)
end)

test.case("every token but a document's first is a target once when windows do not overlap", function()
  with_tokenizer(function(dir)
    for _, size in ipairs { 1, 2, 7, 64, 1000 } do
      local list = records(12, 5)
      local out = run(dir, { size = size }, list)
      local got = {}
      for _, r in ipairs(out) do
        local id = r.metadata.document
        got[id] = got[id] or {}
        table.move(r.target_ids, 1, #r.target_ids, #got[id] + 1, got[id])
      end
      for _, r in ipairs(list) do
        local ids = tok:encode(r.text)
        test.equal(got[r.metadata.document], slice(ids, 2, #ids))
      end
    end
  end)
end)

test.case("the last window: kept, padded, or rejected with its text", function()
  with_tokenizer(function(dir)
    local list = { { id = "a", text = text(1, 30), more = { x = 1 } } }
    local ids = tok:encode(list[1].text)
    local size = #ids // 2 + 3
    local kept = run(dir, { size = size }, list)
    test.equal({ #kept, #kept[2].input_ids, kept[2].more, kept[2].source }, { 2, #ids - 1 - size, { x = 1 }, "windows" })
    local filled = run(dir, { size = size, last = "pad" }, list)
    test.equal({ #filled[2].input_ids, #filled[2].target_ids }, { size, size })
    test.equal({ filled[2].input_ids[size], filled[2].target_ids[size], filled[2].metadata.tokens }, { EOS, -100, #ids - 1 - size })
    local dropped, rejected = run(dir, { size = size, last = "drop" }, list)
    test.equal({ #dropped, #rejected, rejected[1].reason }, { 1, 1, "partial_window" })
    test.equal(dropped[1].text .. rejected[1].record.text, list[1].text)
  end)
end)

test.case("what has no text, or too little, is said", function()
  with_tokenizer(function(dir)
    local out, rejected = run(dir, {}, { { id = "a" }, { id = "b", text = "" }, { id = "c", text = "\n" } })
    test.equal(#out, 0)
    test.equal({ rejected[1].reason, rejected[2].reason, rejected[3].reason }, { "no_text", "no_text", "too_short" })
    test.equal(#run(dir, { eos = true }, { { id = "c", text = "\n" } }), 1)
    out, rejected = run(dir, { size = 10, budget = 25 }, { { id = "a", text = text(1, 60) } })
    test.equal({ #out, rejected[1].reason }, { 2, "over_budget" })
  end)
end)

test.case("texts of windows are whole characters and lie end to end, where tokens are parts of them", function()
  with_tokenizer(function(dir)
    local list = { { id = "a", text = "дом 日本 " .. ("\u{1F600}é"):rep(30) .. " end" } }
    for _, pack in ipairs { false, true } do
      for size = 1, 5 do
        local out = run(dir, { size = size, pack = pack, last = "keep" }, list)
        local all, at = {}, 0
        for _, r in ipairs(out) do
          local span = r.metadata.pieces[1].span
          test.equal(span[1], at)
          at = span[2]
          test.ok(utf8.len(r.text), r.text)
          all[#all + 1] = r.text
        end
        local whole = table.concat(all)
        test.equal(list[1].text:sub(1, #whole), whole)
        test.ok(#whole >= #list[1].text - 4)
      end
    end
  end)
end)

-- ---- packed ----

test.case("packed: one stream a split, the end-of-text token between documents", function()
  with_tokenizer(function(dir)
    local list = records(12, 6)
    local out, rejected = run(dir, { size = 32, stride = 20, pack = true }, list)
    test.equal(#rejected, 0)
    local streams = { train = {}, test = {} }
    for _, r in ipairs(list) do
      local all = streams[r.metadata.split]
      local ids = tok:encode(r.text)
      table.move(ids, 1, #ids, #all + 1, all)
      all[#all + 1] = EOS
    end
    local at = { train = 1, test = 1 }
    for _, r in ipairs(out) do
      local split = r.metadata.split
      local all, from = streams[split], at[split]
      test.equal(r.input_ids, slice(all, from, math.min(from + 31, #all - 1)))
      test.equal(r.target_ids, slice(all, from + 1, math.min(from + 32, #all)))
      test.equal(r.text, tok:decode(r.input_ids))
      local sum = 0
      for _, piece in ipairs(r.metadata.pieces) do
        local source = list[tonumber(piece.id:sub(2))]
        local inside = source.text:sub(piece.span[1] - source.metadata.span[1] + 1, piece.span[2] - source.metadata.span[1])
        test.contains(r.text, inside)
        test.equal(piece.tokens[1], sum)
        sum = piece.tokens[2]
      end
      test.equal(sum, #r.input_ids)
      at[split] = from + 20
    end
    for split, all in pairs(streams) do test.ok(at[split] + 12 >= #all, split .. " is all there") end
  end)
end)

test.case("parts of any size give the same windows", function()
  with_tokenizer(function(dir)
    local list = records(12, 6)
    local one = run(dir, { size = 16, pack = true }, list)
    local module, ctx_out = require "lathe.stage.windows", {}
    local options = assert(require("lathe.config").check(module.options, { size = 16, pack = true, tokenizer = dir .. "/tokenizer.json" }))
    local ctx = { options = options, reject = function() end, log = function() end, progress = function() end }
    local input = { count = #list }
    function input:records() -- luacheck: ignore 212
      local i = 0
      return function()
        i = i + 1
        return list[i] and json.record(json.encode(list[i]))
      end
    end
    assert(module.all(input, ctx, function(r) ctx_out[#ctx_out + 1] = json.decode(json.encode(r)) end))
    for i, r in ipairs(ctx_out) do
      r.metadata.tokenizer = one[i].metadata.tokenizer
      test.equal(r, one[i])
    end
    test.equal(#ctx_out, #one)
  end)
end)

-- ---- the dataset ----

local function write(dir, list, name)
  local lines = {}
  for i, r in ipairs(list) do lines[i] = json.encode(r) .. "\n" end
  local path = dir .. "/" .. (name or "in.jsonl")
  assert(file.write(path, table.concat(lines)))
  return path
end

test.case("a dataset answers #ds, ds[i], and is the stage's windows", function()
  with_tokenizer(function(dir)
    local list = records(9, 15)
    local path = write(dir, list)
    for _, o in ipairs { { size = 12, stride = 5 }, { size = 12, stride = 5, pack = true }, { size = 8, last = "pad" },
      { size = 30, last = "drop" } } do
      for _, r in ipairs(list) do r.metadata.split = nil end
      local want = run(dir, o, list)
      local ds <close> = assert(lathe.open(path, { tokenizer = dir, size = o.size, stride = o.stride, pack = o.pack, last = o.last }))
      test.equal(#ds, #want)
      for i, r in ipairs(want) do
        local input, target = ds[i]()
        for k, v in ipairs(r.target_ids) do if v == -100 then r.target_ids[k] = -1 end end
        if o.last == "pad" then for k = r.metadata.tokens + 1, o.size do r.input_ids[k] = ds.pad end end
        test.equal(input:totable(), r.input_ids)
        test.equal(target:totable(), r.target_ids)
        local first, second = table.unpack(ds[i])
        test.equal({ first:totable(), second:totable() }, { r.input_ids, r.target_ids })
        test.equal({ ds[i].tokens, (select(3, ds:get(i))) }, { r.metadata.tokens, r.metadata.tokens })
      end
      test.equal(ds[#ds + 1], nil)
    end
  end)
end)

test.case("a loader gives every window once, in an order of the seed and the epoch", function()
  with_tokenizer(function(dir)
    local ds <close> = assert(windows.open(write(dir, records(30, 12)), { tokenizer = tok, size = 8 }))
    local function order(options)
      local list, sizes = {}, {}
      local loader = ds:loader(options)
      for k = 1, #loader do
        local input, target, batch, numbers = loader:get(k)
        test.equal({ input.shape[1], target.shape[1], #batch.lengths }, { #numbers, #numbers, #numbers })
        table.move(numbers, 1, #numbers, #list + 1, list)
        sizes[#sizes + 1] = #numbers
      end
      return list, sizes
    end
    local plain, sizes = order { batch = 7 }
    for i = 1, #ds do test.equal(plain[i], i) end
    test.equal({ #sizes, sizes[1], sizes[#sizes] }, { math.ceil(#ds / 7), 7, (#ds - 1) % 7 + 1 })
    local shuffled = order { batch = 7, shuffle = true, seed = 5 }
    test.equal(order { batch = 4, shuffle = true, seed = 5 }, shuffled)
    test.ok(order { batch = 7, shuffle = true, seed = 6 }[1] ~= shuffled[1] or order { batch = 7, shuffle = true, seed = 6 }[2] ~= shuffled[2])
    test.ok(not pcall(test.equal, shuffled, plain))
    table.sort(shuffled)
    test.equal(shuffled, plain)
    test.equal(#ds:loader { batch = 7, drop_last = true }, #ds // 7)
    -- loops are epochs
    local loader, firsts = ds:loader { batch = 5, shuffle = true }, {}
    for round = 1, 3 do
      local n = 0
      for input, target in loader do
        firsts[round] = firsts[round] or table.concat(input[1]:totable(), " ")
        test.equal(#input, #target)
        n = n + 1
      end
      test.equal(n, #loader)
    end
    test.ok(firsts[1] ~= firsts[2] or firsts[2] ~= firsts[3])
    test.equal(table.concat(ds:loader { batch = 5, shuffle = true, epoch = 3 }:get(1)[1]:totable(), " "), firsts[3])
  end)
end)

test.case("batches go into a model", function()
  local model = require "engine.model"
  with_tokenizer(function(dir)
    local ds <close> = assert(windows.open(write(dir, records(6, 12)), { tokenizer = tok, size = 16 }))
    local m <close> = assert(model.new { vocab_size = 320, hidden_size = 64, intermediate_size = 128, num_hidden_layers = 1,
      num_attention_heads = 2, num_key_value_heads = 1, max_position_embeddings = 64 })
    local supervised = 0
    for _, _, batch in ds:loader { batch = 4, shuffle = true } do
      local loss, count = m:loss(batch)
      test.ok(loss > 0)
      supervised = supervised + count
    end
    local want = 0
    for _, r in ipairs(records(6, 12)) do want = want + #tok:encode(r.text) - 1 end
    test.equal(supervised, want)
  end)
end)

test.case("a token cache is kept, and made again when what it was made from changes", function()
  with_tokenizer(function(dir)
    local path, cache = write(dir, records(5)), dir .. "/x.tokens"
    local o = { tokenizer = dir, size = 8, cache = cache }
    local ds <close> = assert(windows.open(path, o))
    local made = file.stat(cache).mtime_ns
    local again <close> = assert(windows.open(path, { tokenizer = dir, size = 4, stride = 2, cache = cache }))
    test.equal(file.stat(cache).mtime_ns, made)
    test.ok(#again > #ds)
    local direct <close> = assert(windows.open(cache, { size = 8 }))
    test.equal({ #direct, direct[2].input:totable() }, { #ds, ds[2].input:totable() })
    write(dir, records(6))
    local other <close> = assert(windows.open(path, o))
    test.ok(#other > #ds)
    assert(file.write(cache, (file.read(cache):gsub("..$", "zz"))))
    local damaged, _, code = windows.open(cache, { size = 8 })
    test.equal({ damaged, code }, { nil, "format" })
    local mended <close> = assert(windows.open(path, o))
    test.equal(#mended, #other)
  end)
end)

test.case("one split of a file; windows that are records", function()
  with_tokenizer(function(dir)
    local list = records(9, 15)
    local ds <close> = assert(windows.open(write(dir, list), { tokenizer = tok, size = 12, split = "test" }))
    local want = run(dir, { size = 12 }, { list[3], list[6], list[9] })
    test.equal(#ds, #want)
    local as_records = lathe.open(write(dir, want, "w.jsonl"))
    local n = 0
    for input, target, batch in as_records:loader { batch = 2 } do
      n = n + #batch.lengths
      test.equal({ input.shape[2], target.shape[2] }, { 12, 12 })
    end
    test.equal(n, #want)
    local pair = windows.open(dir .. "/w.jsonl")[1]
    test.equal(pair.target:totable(), want[1].target_ids)
    test.raises("name a tokenizer", function() return lathe.open(dir .. "/in.jsonl"):loader() end)
  end)
end)

test.case("misuse", function()
  with_tokenizer(function(dir)
    test.raises("would leave tokens out", run, dir, { size = 4, stride = 5 }, {})
    test.raises("no token '<x>'", run, dir, { eos = "<x>" }, { { text = "a b c" } })
    test.raises("no token '<x>'", run, dir, { pad = "<x>" }, { { text = "a b c" } })
    test.raises("did you mean 'stride'", windows.open, "x", { strid = 1 })
    local none, _, code = windows.open(dir .. "/no.jsonl", { tokenizer = tok })
    test.equal({ none, code }, { nil, "not_found" })
    local ds <close> = assert(windows.open(write(dir, records(2)), { tokenizer = tok, size = 8 }))
    test.raises("did you mean 'shuffle'", ds.loader, ds, { shufle = true })
    test.contains(tostring(ds), "windows of 8 tokens")
    test.contains(tostring(ds[1]), "input")
    test.contains(tostring(ds:loader { batch = 3 }), "batches of 3 windows")
  end)
end)

test.case("shuffling is a permutation, for any number and seed", function()
  for _, n in ipairs { 1, 2, 3, 7, 64, 65, 1000 } do
    local seen = {}
    for i = 1, n do seen[tokens.shuffled(i, n, n + 3)] = true end
    for i = 1, n do test.ok(seen[i], n .. ": " .. i .. " is missing") end
  end
  test.equal({ tokens.windows_of(1, 8, 8), tokens.windows_of(2, 8, 8), tokens.windows_of(9, 8, 8), tokens.windows_of(10, 8, 8),
    tokens.windows_of(10, 8, 8, "drop") }, { 0, 1, 1, 2, 1 })
  test.equal(tokens.json(tokens.parse "[1,-1,70000]"), "[1,-1,70000]")
  test.equal(tokens.text(tokens.parse "[1,-1,70000]"), "1 -1 70000")
  test.equal(tokens.text "", "")
  test.equal({ tokens.numbers("[1, 02,\n4194303]\t7 ", 7) }, { ("<I4I4I4I4"):pack(1, 2, 4194303, 7), 2 })
  test.equal({ tokens.numbers "" }, { "", 0 })
  for written, wrong in pairs { ["1 -5 6"] = "-5", ["12ab c"] = "ab", ["4194304"] = "4194304",
    ["1 18446744073709551617"] = "18446744073709551617", ["1\0 2"] = "\0" } do
    test.equal({ tokens.numbers(written) }, { nil, wrong, "format" }, written)
  end
  test.equal(select(3, tokens.parse '[1,"a"]'), "format")
end)

return test.done()
