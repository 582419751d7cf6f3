-- SPDX-License-Identifier: MIT
-- make bench: each benchmark does the same work with Lathe and with the peers that are installed, in turn,
-- five times; the medians and their ratio are printed (above 1: Lathe is faster). Run by tests/bench/run.
--
--     this process ── requests ──► peers.py (one Python process, prepared once)
--          ▲──────── replies (a named pipe) ──┘
--
-- Inputs are made here from a fixed seed. Where a result can be compared, it is: a line that ends in
-- DIFFERS did not do the same work, and its ratio says nothing. What is timed is what a user would call,
-- strings and tables of results included; reading the inputs and importing libraries are not.

local chunk = require "engine.chunk"
local clock = require "engine.clock"
local dedup = require "engine.dedup"
local file = require "engine.file"
local gguf = require "engine.gguf"
local hash = require "engine.hash"
local jinja = require "lathe.jinja"
local json = require "engine.json"
local model = require "engine.model"
local pass = require "engine.pass"
local safetensors = require "engine.safetensors"
local tensor = require "engine.tensor"
local tokenizer = require "engine.tokenizer"
local worker = require "engine.worker"

local ROUNDS = 5
local dir = assert(arg[1], "usage: tests/bench/run [NAME...]")
local MB = 1e6

-- Inputs ---------------------------------------------------------------------------------------------------------------

local SYLLABLES = { "ta", "re", "lo", "min", "ska", "ver", "on", "pi", "qua", "den", "ist", "al", "fer", "mo", "ru", "che",
  "bor", "an", "ti", "es", "gra", "ul", "no", "ke", "sy", "or" }
local RARE = { "naïve", "Größe", "日本語", "данные", "café", "don't", "we'll", "1,024", "2026-11-21", "x = y + 1;", "(see", "3.14159",
  "https://example.org/a?b=c", "e.g.", "“quoted”", "it's" }

local function make_words(rng, n)
  local words = {}
  for i = 1, n do
    local parts = {}
    for k = 1, rng:integer(1, i < 300 and 2 or 4) do parts[k] = SYLLABLES[rng:integer(1, #SYLLABLES)] end
    words[i] = table.concat(parts)
  end
  return words
end

-- Word frequencies fall as 1/rank, about as in a language.
local function sentence(rng, words)
  local out, log_n = {}, math.log(#words)
  for i = 1, rng:integer(5, 24) do
    out[i] = rng:number() < 0.03 and RARE[rng:integer(1, #RARE)] or words[math.floor(math.exp(rng:number() * log_n))]
  end
  out[1] = out[1]:sub(1, 1):upper() .. out[1]:sub(2)
  return table.concat(out, " ") .. (rng:number() < 0.1 and "?" or ".")
end

local function document(rng, words, bytes)
  local out, size = {}, 0
  while size < bytes do
    local s = sentence(rng, words)
    out[#out + 1] = s
    out[#out + 1] = rng:number() < 0.15 and "\n\n" or rng:number() < 0.1 and "\n" or " "
    size = size + #s + 1
  end
  return table.concat(out, "", 1, #out - 1)
end

local function make_documents(seed, count, bytes)
  local rng, list = hash.rng(seed), {}
  local words = make_words(rng, 30000)
  for i = 1, count do list[i] = document(rng, words, bytes) end
  return list
end

local function put(name, bytes)
  local path = dir .. "/" .. name
  assert(file.write(path, bytes, false))
  return path
end

local function total_bytes(list)
  local n = 0
  for _, s in ipairs(list) do n = n + #s end
  return n
end

local shared = {} -- inputs that several benchmarks use, made when first asked for

local function corpus()
  if not shared.corpus then
    local docs = make_documents("corpus", 2000, 4200)
    shared.corpus = { docs = docs, bytes = total_bytes(docs), path = put("corpus.txt", table.concat(docs, "\x1e")) }
  end
  return shared.corpus
end

local function random_floats(count)
  local rng, list = hash.rng "floats", {}
  for i = 1, 65536 do list[i] = rng:normal() * 0.02 end
  local parts = {}
  for i = 1, #list, 128 do parts[#parts + 1] = ("<" .. ("f"):rep(128)):pack(table.unpack(list, i, i + 127)) end
  local block = table.concat(parts)
  return block:rep(count // 65536)
end

local ROWS, COLUMNS = 4096, 4096
local function floats()
  if not shared.floats then
    local bytes = random_floats(ROWS * COLUMNS)
    shared.floats = { bytes = bytes, path = put("floats.bin", bytes) }
  end
  return shared.floats
end

-- Benchmarks -----------------------------------------------------------------------------------------------------------
-- Each: name, title, unit, and prepare() -> { amount (per run, in that unit × seconds), run() -> a function that
-- gives the check (called after the clock has stopped), ask = what peers are told }. same: how checks compare.

local function close(a, b) return math.abs(a - b) <= 0.02 * math.abs(b) end
local function equal(a, b) return json.encode(a) == json.encode(b) end

local BENCHES = {}
local function bench(b) BENCHES[#BENCHES + 1] = b end

-- Real text where LATHE_BENCH_TEXT names some (lines of JSON with "text", or anything, cut at line ends), else
-- the corpus. Peers that take a microsecond for what takes us ten nanoseconds get every so many documents.
-- LATHE_BENCH_WHOLE=1 gives them all, once, between our runs: minutes, and the fair thing, since a cache that is cold for 3 MB of
-- the same vocabulary is not what it is for 60.
local WHOLE = os.getenv "LATHE_BENCH_WHOLE" == "1"
local PEER_BYTES = WHOLE and math.huge or 3e6

local function read_documents(path)
  local docs, part, size = {}, {}, 0
  for line in io.lines(path, "L") do
    if path:find "%.jsonl$" then
      docs[#docs + 1] = json.decode(line).text
    else
      part[#part + 1], size = line, size + #line
      if size > 8000 then docs[#docs + 1], part, size = table.concat(part), {}, 0 end
    end
  end
  if size > 0 then docs[#docs + 1] = table.concat(part) end
  return docs
end

local function real_text()
  if not shared.text then
    local path = os.getenv "LATHE_BENCH_TEXT"
    local docs = path and read_documents(path) or corpus().docs
    local bytes = total_bytes(docs)
    local step, sample = math.max(1, math.floor(bytes / PEER_BYTES)), {}
    for i = 1, #docs, step do sample[#sample + 1] = docs[i] end
    shared.text = { docs = docs, bytes = bytes, step = step, sample_bytes = total_bytes(sample),
      path = put("sample.txt", table.concat(sample, "\x1e")) }
  end
  return shared.text
end

local function conformance(name)
  for _, folder in ipairs { "tokenizers/", "more_tokenizers/" } do
    local path = ("%s/%s%s/tokenizer.json"):format(os.getenv "LATHE_CONFORMANCE", folder, name)
    if file.stat(path) then return path end
  end
end

-- Without the conformance data a vocabulary is trained, and there is no other one.
local function vocabulary(name)
  local path = conformance(name)
  if path or name ~= "gpt2" then return path end
  path = dir .. "/tokenizer.json"
  if not file.stat(path) then
    assert(assert(tokenizer.train { texts = { table.unpack(corpus().docs, 1, 250) }, vocab_size = 8192,
      special = { "<|endoftext|>" } }):save(path))
  end
  return path, "a vocabulary of 8,192 trained here"
end

-- Each run has a tokenizer of its own, so that its caches are cold.
local function encode_rows(name, vocab, title, peers, remark)
  bench { name = name, title = title, unit = "MB/s", peers = peers, rounds = WHOLE and 5 or 3, peers_once = WHOLE,
    same = function(a, b) return a == b end,
    prepare = function()
      local path, note = vocabulary(vocab)
      if not path then return nil, "LATHE_CONFORMANCE has no " .. vocab end
      local input, tok = real_text(), nil
      local function before() tok = assert(tokenizer.load(path)) end
      local function run()
        local sample = 0
        for i, doc in ipairs(input.docs) do
          local ids = tok:encode_packed(doc)
          if (i - 1) % input.step == 0 then sample = sample + #ids // 4 end
        end
        return function() return sample end
      end
      return { amount = input.bytes / MB, peer_amount = input.sample_bytes / MB, before = before, run = run,
        ask = { tokenizer = path, text = input.path },
        note = ("%s %.0f MB of %s, caches cold; peers get %.1f MB of it"):format(note and note .. ";" or "", input.bytes / MB,
          os.getenv "LATHE_BENCH_TEXT" or "made-up text", input.sample_bytes / MB) .. (remark or "") }
    end }
end

encode_rows("bpe", "gpt2", "BPE encode, GPT-2, 1 thread", { "tokenizers", "tiktoken" })
encode_rows("bpe-llama3", "llama-3.2", "BPE encode, Llama 3, 1 thread", { "tokenizers", "tiktoken" })
encode_rows("bpe-qwen", "qwen2.5", "BPE encode, Qwen2.5, 1 thread", { "tokenizers", "tiktoken" },
  "; tiktoken does no NFC, so it may differ by a few tokens")
encode_rows("bpe-llama2", "llama-2", "BPE encode, Llama 2, 1 thread", { "sentencepiece", "tokenizers" })

-- Two that know nothing of each other, each with a thread, a tokenizer and all the texts: what the machine has to give a second
-- thread at the time. Processors are often halves of one core, or lent to others.
local function two_apart(path, docs, method)
  local packed = {}
  for i, doc in ipairs(docs) do packed[i] = ("<s4"):pack(doc) end
  local setup = json.encode { tokenizer = path, texts = put("texts.bin", table.concat(packed)), method = method }
  local pair = {}
  for i = 1, 2 do pair[i] = assert(worker.open { threads = 1, module = "tests.bench.apart", setup = setup }) end
  local function both(job)
    for i = 1, 2 do pair[i]:submit(i, job) end
    for i = 1, 2 do
      local _, fine, message = pair[i]:wait()
      assert(fine, message)
    end
  end
  return { before = function() both "load" end, run = function() both "run" end, after = function()
    for i = 1, 2 do pair[i]:close() end
  end }
end

local function threads_row(name, title, method)
  bench { name = name, title = title, unit = "MB/s", rounds = 7,
    note = "'two apart': two of one thread at once, each with everything its own; together as fast as this machine lets two be",
    prepare = function()
      local path, input = vocabulary "gpt2", real_text()
      local amount = input.bytes / MB
      local function with(threads)
        local tok
        return function() tok = assert(tokenizer.load(path)) end,
          function() return #tok[method](tok, input.docs, { threads = threads, packed = true }) end
      end
      local before, run = with(2)
      local before1, run1 = with(1)
      local apart = two_apart(path, input.docs, method)
      return { amount = amount, before = before, run = run, baselines = {
        { name = "Lathe, 1 thread", amount = amount, before = before1, run = run1 },
        { name = "Lathe, two apart", amount = 2 * amount, before = apart.before, run = apart.run, after = apart.after } } }
    end }
end

threads_row("bpe-threads", "BPE count, GPT-2, 2 threads", "count_batch")
-- The strings that Lua gets are made by one thread.
threads_row("bpe-threads", "BPE encode, GPT-2, 2 threads", "encode_batch")

-- Ten times as much should take at most twelve times as long: a ratio of 0.83.
local function scaling(name, title, vocab, make)
  bench { name = name, title = title, unit = "MB/s", rounds = 3,
    prepare = function()
      local path = vocabulary(vocab)
      if not path then return nil, "LATHE_CONFORMANCE has no " .. vocab end
      local tok
      local function before() tok = assert(tokenizer.load(path)) end -- cold caches
      local large = make(10)
      local small = large:sub(1, #large // 10)
      return { amount = #large / MB, before = before, run = function() return #tok:encode_packed(large) end,
        baselines = { { name = "Lathe, a tenth of it", amount = #small / MB, before = before,
          run = function() return #tok:encode_packed(small) end } } }
    end }
end

local function random_bytes(count)
  local rng, parts = hash.rng "bytes", {}
  for i = 1, count // 8 do parts[i] = ("<i8"):pack(rng:integer(math.mininteger, math.maxinteger)) end
  return table.concat(parts)
end

local function random_letters(count)
  local rng, parts = hash.rng "letters", {}
  for i = 1, count do parts[i] = string.char(rng:integer(97, 122)) end
  return table.concat(parts)
end

for _, vocab in ipairs { "gpt2", "llama-2" } do
  scaling("bpe-same", "a million 'a', " .. vocab, vocab, function(k) return ("a"):rep(100000 * k) end)
  scaling("bpe-word", "a million letters, " .. vocab, vocab, function(k) return random_letters(100000 * k) end)
  scaling("bpe-bytes", "10 MB of random bytes, " .. vocab, vocab, function(k) return random_bytes(1000000 * k) end)
end

bench { name = "bpe-train", title = "BPE training, 8,192 entries, 1 thread", unit = "MB/s", peers = { "tokenizers" }, same = equal,
  prepare = function()
    local docs = { table.unpack(corpus().docs, 1, 1000) }
    local path = put("train.txt", table.concat(docs, "\x1e"))
    local function run()
      worker.set_threads(1)
      local tok = assert(tokenizer.train { texts = docs, vocab_size = 8192, special = { "<|endoftext|>" } })
      worker.set_threads(worker.processors())
      return function() return hash.sha256(table.concat(tok:merges(), "\n")) end
    end
    return { amount = total_bytes(docs) / MB, run = run, ask = { text = path, vocab_size = 8192 } }
  end }

-- Text to spans; the peers have no spans and make strings.
bench { name = "chunk", title = "recursive chunking 1000/200", unit = "MB/s", peers = { "langchain-text-splitters" }, same = equal,
  prepare = function()
    local c = corpus()
    local cut = assert(chunk.new { size = 1000, overlap = 200 })
    local function run()
      local chunks = {}
      for i, doc in ipairs(c.docs) do chunks[i] = cut(doc) end
      return function()
        local count, bytes = 0, 0
        for _, at in ipairs(chunks) do
          count = count + #at // 2
          for i = 1, #at, 2 do bytes = bytes + at[i + 1] - at[i] end
        end
        return { count, bytes }
      end
    end
    return { amount = c.bytes / MB, run = run, ask = { text = c.path, size = 1000, overlap = 200 } }
  end }

-- The peer: LangChain's split_text_on_tokens over tiktoken, which is its TokenTextSplitter without the download.
bench { name = "chunk-tokens", title = "chunking by tokens 512/64", unit = "MB/s", peers = { "langchain-text-splitters" },
  prepare = function()
    local path, note = vocabulary "gpt2"
    local c, cut = corpus(), nil
    local function before()
      cut = assert(chunk.new { method = "windows", unit = "tokens", size = 512, overlap = 64, tokenizer = assert(tokenizer.load(path)) })
    end
    local function run()
      local count = 0
      for _, doc in ipairs(c.docs) do count = count + #cut(doc) // 2 end
      return function() return count end
    end
    return { amount = c.bytes / MB, before = before, run = run, note = (note and note .. "; " or "") .. "encoding included, caches cold",
      ask = { text = c.path, tokenizer = path, size = 512, overlap = 64 } }
  end }

-- One in eleven is a copy with a word more.
local function with_copies()
  if not shared.copies then
    local docs, rng, lines = make_documents("dedup", 2000, 1500), hash.rng "copies", {}
    for i = 1, 200 do docs[#docs + 1] = docs[rng:integer(1, 2000)] .. " copy" .. i end
    for i, doc in ipairs(docs) do
      lines[i] = json.encode { id = ("d%05d"):format(i), text = doc, metadata = { path = ("p%03d"):format(i % 97), span = { i, i + 1 } } } .. "\n"
    end
    shared.copies = { docs = docs, path = put("dedup.txt", table.concat(docs, "\x1e")), lines = put("dedup.jsonl", table.concat(lines)) }
  end
  return shared.copies
end

bench { name = "minhash", title = "MinHash near duplicates", unit = "MB/s", peers = { "rensa" },
  note = "in memory, from texts to verdicts; Lathe compares candidates by their sets",
  prepare = function()
    local c = with_copies()
    local function run()
      local d = assert(dedup.new { near = 0.8, scratch = dir })
      for _, doc in ipairs(c.docs) do assert(d:add(doc)) end
      local facts = assert(d:finish())
      d:close()
      return function() return facts.kept end
    end
    return { amount = total_bytes(c.docs) / MB, before = function() worker.set_threads(1) end, run = run, ask = { text = c.path } }
  end }

bench { name = "dedup", title = "dedup, JSONL → JSONL, 1T", unit = "MB/s", peers = { "datatrove" }, same = close,
  note = "end to end on one core: datatrove reads, signs, sorts bands, clusters, reads again, filters and writes, its words "
    .. "by split (its own tokenizer of words is slower); Lathe also compares the candidates",
  prepare = function()
    local c = with_copies()
    local stage, config = require "lathe.stage.dedup", require "lathe.config"
    local record = require "lathe.record"
    local function run()
      local input = record.open(c.lines)
      local source = { paths = function() return { c.lines } end, records = function() return input:records() end }
      local w, kept = assert(file.replace(dir .. "/kept.jsonl", false)), 0
      local rejected = assert(file.replace(dir .. "/gone.jsonl", false))
      local ctx = { options = assert(config.check(stage.options, {})), memory = 64 << 20, scratch = dir .. "/scratch",
        progress = function() end, log = function() end,
        reject = function(r, reason, detail) rejected:write(json.encode { reason = reason, detail = detail, record = r }, "\n") end }
      assert(stage.all(source, ctx, function(r)
        w:write(json.encode(r), "\n")
        kept = kept + 1
      end))
      assert(w:commit())
      assert(rejected:commit())
      return function() return kept end
    end
    return { amount = total_bytes(c.docs) / MB, before = function() worker.set_threads(1) end, run = run,
      ask = { jsonl = c.lines, out = dir .. "/datatrove" } }
  end }

bench { name = "signature", title = "MinHash signature, 128 perm., 1T", unit = "M shingles/s", peers = { "scalar", "datasketch" },
  note = "of 32-bit hashes that are there; scalar: datasketch's arithmetic in C, one permutation after the other (cc -O2 "
    .. "-fno-tree-vectorize); datasketch: NumPy, update_batch",
  prepare = function()
    local rng, sets, count = hash.rng "signature", {}, 0
    for i = 1, 100 do
      local n = rng:integer(500, 2500)
      local list = {}
      for k = 1, n do list[k] = rng:integer(0, 0xffffffff) end
      sets[i], count = string.pack("<" .. ("I4"):rep(100), table.unpack(list, 1, 100)), count + n
      for k = 101, n, 100 do
        local m = math.min(100, n - k + 1)
        sets[i] = sets[i] .. string.pack("<" .. ("I4"):rep(m), table.unpack(list, k, k + m - 1))
      end
    end
    local sizes = {}
    for i, s in ipairs(sets) do sizes[i] = #s // 4 end
    local path = put("sets.bin", table.concat(sets))
    local ROUND = 50
    local function run()
      local last
      for _ = 1, ROUND do
        for _, s in ipairs(sets) do last = dedup.minhash(s, 128) end
      end
      return function() return #last end
    end
    return { amount = ROUND * count / 1e6, peer_amount = count / 1e6, run = run, ask = { sets = path, sizes = sizes, dir = dir } }
  end }

local function records()
  if not shared.records then
    local c, out = corpus(), {}
    for i, doc in ipairs(c.docs) do
      for k = 0, 3 do
        out[#out + 1] = json.encode { id = ("%016x"):format(i * 4 + k), text = doc:sub(k * 1000 + 1, k * 1000 + 1000):gsub("[\x80-\xff]", ""),
          n = i, source = "bench", tags = { "a", "b", "c" }, score = i / 7,
          metadata = { path = "folder/file-" .. i .. ".md", span = { k * 1000, k * 1000 + 1000 }, page = k } } .. "\n"
      end
    end
    local lines = table.concat(out)
    shared.records = { path = put("records.jsonl", lines), amount = #lines / MB }
  end
  return shared.records
end

bench { name = "jsonl", title = "JSONL, 3 fields of each record", unit = "MB/s", peers = { "orjson" }, same = equal,
  prepare = function()
    local path = records().path
    local function run()
      local total = 0
      for line in file.lines(path) do
        local r = json.record(line)
        total = total + r.n + #r.id + #r.metadata.path
      end
      return function() return total end
    end
    return { amount = records().amount, run = run, ask = { jsonl = path } }
  end }

-- read | filter { field = "metadata.page", min = 1 } | write: three of four records pass.
local function pass_row(name, title, peers, pass_on)
  bench { name = name, title = title, unit = "MB/s", peers = peers, same = equal,
    prepare = function()
      local path, target = records().path, dir .. "/passed.jsonl"
      local function run()
        local w <close> = assert(file.replace(target, false))
        local lines <close> = assert(file.lines(path))
        local kept = pass_on(lines, w)
        assert(w:commit())
        return function() return { kept, file.stat(target).size } end
      end
      return { amount = records().amount, run = run, ask = { jsonl = path, out = target .. ".peer" } }
    end }
end

pass_row("jsonl-pass-lua", "JSONL: read, filter in Lua, write", { "orjson" }, function(lines, w)
  local kept = 0
  for line in lines do
    local r = json.record(line)
    if r.metadata.page >= 1 then
      w:write(json.encode(r), "\n")
      kept = kept + 1
    end
  end
  return kept
end)

pass_row("jsonl-pass-builtin", "JSONL: read, filter built in, write", { "orjson", "duckdb" }, function(lines, w)
  local passer = pass.new("metadata.page", { { "min", 1 } })
  repeat local failed = passer(lines, w) until failed == nil
  return #passer
end)

-- 64 MB of records as a data set has them: chunks of text with their provenance.
local function dataset_lines()
  if not shared.dataset then
    local docs, out, bytes, i = corpus().docs, {}, 0, 0
    while bytes < 64e6 do
      local doc = docs[i % #docs + 1]:sub(1 + i // #docs * 5600):gsub("[\x80-\xff]", "")
      for k = 0, math.min(7, #doc // 700) do
        out[#out + 1] = json.encode { id = hash.sha256(i .. "/" .. k):sub(1, 24), text = doc:sub(k * 700 + 1, k * 700 + 700),
          metadata = { document = hash.sha256(doc), path = "folder/file-" .. i .. ".md", page = k > 2 and k or json.null,
            span = { k * 700, k * 700 + 700 }, headings = { "A", "Chapter " .. i % 50 }, score = (i * 7 + k) % 1000 / 1000,
            split = i % 5 == 0 and "validation" or "train" } } .. "\n"
        bytes = bytes + #out[#out]
      end
      i = i + 1
      if i > 100000 then break end
    end
    shared.dataset = { path = put("dataset.jsonl", table.concat(out)), bytes = bytes, records = #out }
  end
  return shared.dataset
end

local function parquet_bench(name, compression)
  bench { name = name, title = ("JSONL to Parquet, %s, 1T"):format(compression == "none" and "plain" or compression),
    unit = "MB/s of JSONL", peers = { "duckdb", "pyarrow" }, same = equal, rounds = 5,
    note = "columns learnt from the records; DuckDB: COPY (SELECT * FROM read_json); pyarrow: read_json and write_table. "
      .. "Lathe checks the JSON strictly and hashes the file besides",
    prepare = function()
      local d, path = dataset_lines(), dir .. "/ours.parquet"
      local function run()
        local e = assert(require("engine.export").new {})
        local function one_pass(kind, piece)
          while true do
            local state, why = e:feed(d.path, kind, piece)
            if state == "route" then assert(e:target(path, { format = "parquet", compression = compression, sync = false }))
            elseif state == "done" or state == "more" and piece then return
            else assert(state == "more", why or state) end
          end
        end
        one_pass("observe", 4 << 20)
        e:settle(true)
        one_pass "put"
        local made = assert(e:finish())
        assert(e:commit())
        e:close()
        return function() return made[1].records end
      end
      return { amount = d.bytes / MB, run = run, ask = { jsonl = d.path, out = dir .. "/peer.parquet", compression = compression } }
    end }
end
parquet_bench("parquet", "none")
parquet_bench("parquet-zstd", "zstd")

local function hash_bench(name, title, peer, compute)
  bench { name = name, title = title, unit = "MB/s", peers = { peer }, same = equal,
    prepare = function()
      local f = floats()
      local function run()
        local digest = compute(f.bytes)
        return function() return digest end
      end
      return { amount = #f.bytes / MB, run = run, ask = { bytes = f.path } }
    end }
end
hash_bench("sha256", "SHA-256 of 67 MB", "hashlib", hash.sha256)
hash_bench("xxh3", "xxh3 of 67 MB", "xxhash", hash.xxh3)

local CHATML = [[
{% for message in messages %}
{% if loop.first and message['role'] != 'system' %}
{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}
{% endif %}
{{ '<|im_start|>' + message['role'] + '\n' + message['content'] | trim + '<|im_end|>' + '\n' }}
{% endfor %}
{% if add_generation_prompt %}
{{ '<|im_start|>assistant\n' }}
{% endif %}
]]
bench { name = "jinja", title = "chat template, 6 turns", unit = "renders/s", peers = { "Jinja2" }, same = equal,
  prepare = function()
    local messages, times = json.array {}, 3000
    for i = 1, 6 do
      messages[i] = { role = i % 2 == 1 and "user" or "assistant", content = corpus().docs[i]:sub(1, 400):gsub("[\x80-\xff]", "") .. " " }
    end
    local template = assert(jinja.compile(CHATML))
    local function run()
      local out
      for _ = 1, times do out = template:render { messages = messages, add_generation_prompt = true } end
      return function() return out end
    end
    return { amount = times, run = run, ask = { template = CHATML, messages = messages, times = times } }
  end }

-- Four sequences of 256 tokens a step; both begin with the same weights, and adapters that add nothing yet.
local SMALL = { vocab_size = 4096, hidden_size = 256, intermediate_size = 768, num_hidden_layers = 4, num_attention_heads = 4,
  num_key_value_heads = 4, max_position_embeddings = 512, tie_word_embeddings = true, rms_norm_eps = 1e-5,
  rope_theta = 10000.0 }
local STEPS, BATCH, CONTEXT = 4, 4, 256

local function sft_batch()
  local rng, lists, tokens, targets, lengths = hash.rng "tokens", json.array {}, {}, {}, {}
  for b = 1, BATCH do
    lists[b], lengths[b] = json.array {}, CONTEXT
    for i = 1, CONTEXT do lists[b][i] = math.floor(math.exp(rng:number() * math.log(4095))) end
    table.move(lists[b], 1, CONTEXT, #tokens + 1, tokens)
    table.move(lists[b], 2, CONTEXT, #targets + 1, targets)
    targets[#targets + 1] = -1
  end
  return lists, { tokens = tokens, targets = targets, lengths = lengths }
end

bench { name = "sft", title = "LoRA step, fp32, 4.5 M weights", unit = "tokens/s", peers = { "peft" }, same = close,
  prepare = function()
    local m = assert(model.new(SMALL, { seed = 1 }))
    local folder = dir .. "/model"
    assert(file.mkdirs(folder))
    local config = { architectures = json.array { "LlamaForCausalLM" }, model_type = "llama", hidden_act = "silu",
      torch_dtype = "float32", bos_token_id = 1, eos_token_id = 2 }
    for k, v in pairs(SMALL) do config[k] = v end
    assert(file.write(folder .. "/config.json", json.encode(config)))
    assert(m:save_weights(folder .. "/model.safetensors"))
    assert(m:lora { rank = 16, alpha = 32, targets = "all-linear", seed = 1 })
    local ids, batch = sft_batch()
    local function run()
      local loss
      for _ = 1, STEPS do
        local sum, count = m:accumulate(batch)
        loss = assert(sum, count) / count
        assert(m:step { lr = 1e-3, clip = 1.0 })
      end
      return function() return loss end
    end
    return { amount = STEPS * BATCH * CONTEXT, run = run,
      ask = { model = folder, ids = ids, steps = STEPS, threads = worker.processors() } }
  end }

bench { name = "matmul", title = "fp32 product 1024³, all threads", unit = "GFLOP/s", peers = { "torch" },
  prepare = function()
    local n, times = 1024, 8
    local bytes = random_floats(n * n)
    local a = assert(tensor.new { shape = { n, n }, data = bytes })
    local b = assert(tensor.new { shape = { n, n }, data = bytes })
    local function run()
      for _ = 1, times do assert(tensor.matmul(a, b)) end
      return function() end
    end
    return { amount = times * 2 * n ^ 3 / 1e9, run = run, ask = { n = n, times = times, threads = worker.processors() } }
  end }

bench { name = "safetensors", title = "safetensors write, f32", unit = "MB/s", peers = { "safetensors" },
  note = "both sides flush to the disk",
  prepare = function()
    local f = floats()
    local function run()
      local w = assert(safetensors.create(dir .. "/ours.safetensors",
        { { name = "a", dtype = "f32", shape = { ROWS, COLUMNS } } }))
      assert(w:write(f.bytes))
      assert(w:commit())
      return function() end
    end
    return { amount = #f.bytes / MB, run = run,
      ask = { floats = f.path, rows = ROWS, columns = COLUMNS, out = dir .. "/peer.safetensors" } }
  end }

bench { name = "gguf", title = "GGUF write, f32 to Q8_0", unit = "MB/s of f32", peers = { "gguf" }, same = equal,
  note = "both sides flush to the disk",
  prepare = function()
    local f, path = floats(), dir .. "/ours.gguf"
    local function run()
      local w = assert(gguf.create(path))
      w:set("general.architecture", "string", "llama")
      w:tensor("a", "q8_0", { ROWS, COLUMNS })
      assert(w:write(f.bytes, "f32", ROWS))
      assert(w:commit())
      return function() return hash.sha256((assert(gguf.open(path):read "a"))) end
    end
    return { amount = #f.bytes / MB, run = run,
      ask = { floats = f.path, rows = ROWS, columns = COLUMNS, out = dir .. "/peer.gguf" } }
  end }

-- Peers ----------------------------------------------------------------------------------------------------------------

local Peers = {}
Peers.__index = Peers

local function open_peers()
  local python = os.getenv "LATHE_PEERS"
  if not python or python == "" then return nil end
  -- The shell opens the pipe before Python starts, so that a Python that fails ends our reading.
  local command = ("exec '%s' tests/bench/peers.py >'%s/replies' 2>'%s/peers.log'"):format(python:gsub("'", [['\'']]), dir, dir)
  local requests = assert(io.popen(command, "w"))
  return setmetatable({ requests = requests, replies = assert(io.open(dir .. "/replies")) }, Peers)
end

function Peers:ask(question)
  self.requests:write(json.encode(question), "\n")
  self.requests:flush()
  local line = self.replies:read "l"
  if line then return json.decode(line) end
  local log = file.read(dir .. "/peers.log") or ""
  return { skip = "the Python process has ended: " .. (log:match "([^\n]+)\n*$" or "it said nothing") }
end

function Peers:close()
  self.requests:close()
  self.replies:close()
end

-- Running --------------------------------------------------------------------------------------------------------------

local function median(list)
  table.sort(list)
  return list[(#list + 1) // 2]
end

local function setup(peers, b, work)
  local ready = {}
  for _, package in ipairs(peers and b.peers or {}) do
    local question = { op = "setup", bench = b.name, peer = package }
    for k, v in pairs(work.ask) do question[k] = v end
    local reply = peers:ask(question)
    ready[#ready + 1] = { package = package, name = reply.name, version = reply.version, skip = reply.skip, seconds = {} }
  end
  return ready
end

local function run_peer(peers, b, p, last)
  if p.skip then return end
  local reply = peers:ask { op = "run", bench = b.name, peer = p.package, last = last }
  p.skip = reply.skip
  p.seconds[#p.seconds + 1] = reply.seconds
  return reply.check
end

-- work: what prepare gave, or one of its baselines.
local function run_ours(work, seconds)
  if work.before then work.before() end
  collectgarbage()
  local start = clock.now()
  local check = work.run()
  seconds[#seconds + 1] = clock.now() - start
  return type(check) == "function" and check() or check
end

-- Three figures, whatever the size.
local function figure(v)
  if v >= 1000 then return (("%.0f"):format(v):reverse():gsub("(%d%d%d)(%d)", "%1,%2"):gsub("(,%d%d%d)(%d)", "%1,%2"):reverse()) end
  return (v >= 100 and "%.0f" or v >= 10 and "%.1f" or "%.2f"):format(v)
end

local function row(...) print(("%-32s %11s %11s %8s  %s"):format(...)) end

local function report(b, work, seconds, ready)
  local ours, told = work.amount / median(seconds), false
  for _, p in ipairs(ready) do
    if p.skip then
      print(("%-32s %11s %11s %8s  %s: skipped (%s)"):format(told and "" or b.title, told and "" or figure(ours), "-", "-", p.package, p.skip))
    else
      local peer = (p.amount or work.peer_amount or work.amount) / median(p.seconds)
      row(told and "" or b.title, told and "" or figure(ours), figure(peer), figure(ours / peer) .. "×",
        ("%s %s, %s%s"):format(p.name, p.version, b.unit, p.differs and "  DIFFERS" or ""))
    end
    told = true
  end
  if not told then row(b.title, figure(ours), "-", "-", b.unit) end
  io.stdout:flush()
end

local function one(peers, b)
  local work, why = b.prepare()
  if not work then
    print(("%-32s skipped (%s)"):format(b.title, why))
    return
  end
  local ready, seconds, ours = setup(peers, b, work), {}, {}
  for i, baseline in ipairs(work.baselines or {}) do
    ours[i] = { name = baseline.name, version = worker.version(), amount = baseline.amount, seconds = {} }
  end
  local rounds = b.rounds or ROUNDS
  local first, last = 1, rounds -- of the rounds in which peers run
  if b.peers_once then first = rounds // 2 + 1; last = first end
  for round = 1, rounds do
    local check = run_ours(work, seconds)
    for i, other in ipairs(ours) do run_ours(work.baselines[i], other.seconds) end
    for _, p in ipairs(round >= first and round <= last and ready or {}) do
      local other = run_peer(peers, b, p, round == last)
      if b.same and not p.skip and round == first then p.differs = not b.same(check, other) end
    end
  end
  for _, baseline in ipairs(work.baselines or {}) do
    if baseline.after then baseline.after() end
  end
  table.move(ready, 1, #ready, #ours + 1)
  table.move(ours, 1, #ours, 1, ready)
  report(b, work, seconds, ready)
  return work.note or b.note
end

local function wanted(name)
  if #arg < 2 then return true end
  for i = 2, #arg do
    if arg[i] == name then return true end
  end
  return false
end

local function header(peers)
  local blas = tensor.blas()
  print(("Lathe %s, %d threads, %s; medians of %d interleaved runs; ratio above 1: Lathe is faster"):format(worker.version(),
    worker.processors(), blas and "OpenBLAS core " .. tostring(blas.core) or "no OpenBLAS", ROUNDS))
  local load = tonumber((file.read("/proc/loadavg") or ""):match "^%S+")
  if load and load > worker.processors() / 2 then
    print(("Others use this machine (load %.1f): these figures are rough, and unfair to who waits for threads."):format(load))
  end
  if not peers then print "No peers: LATHE_PEERS names no Python (see tests/bench/run), so there are no ratios." end
  row("", "Lathe", "peer", "ratio", "peer, unit")
end

local function main()
  local peers, notes, done, began = open_peers(), {}, 0, clock.now()
  header(peers)
  for _, b in ipairs(BENCHES) do
    if wanted(b.name) then
      local note = one(peers, b)
      if note then notes[#notes + 1] = ("  %s: %s"):format(b.title, note) end
      done = done + 1
      collectgarbage()
    end
  end
  if peers then peers:close() end
  if done == 0 then
    io.stderr:write(("bench: there is no benchmark '%s'\n"):format(table.concat(arg, "', '", 2)))
    return 2
  end
  print(table.concat(notes, "\n"))
  print(("%d benchmark(s) in %.0f s"):format(done, clock.now() - began))
  return 0
end

return main()
