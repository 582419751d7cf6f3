-- SPDX-License-Identifier: MIT
-- No memory, at many moments of training, saving, loading, encoding and decoding: a clear error each time.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

-- What every script begins with: a result, or the script ends well if memory ran out.
local STEP = [[
local function step(value, message, code)
  if value then return value end
  assert(code == "memory", message)
  print(message)
  os.exit(0)
end
]]

-- Runs a script that prints "fine" with memory running out at every moment of a range: it ends well, or with
-- status 1 and a message.
local function sweep(script, from, to, step)
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", STEP .. script)
    local met = 0
    for n = from, to, step do
      local status, out, err = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_ALLOC=" .. n })
      local said = out .. err
      test.ok(status == 0 or (status == 1 and said:find("out of memory", 1, true)), ("%d: %d %s"):format(n, status, said))
      if not said:find("fine", 1, true) then met = met + 1 end
    end
    test.ok(met > 0, "no fault was met")
  end)
end

local SCRIPT = [[
local tokenizer = require "engine.tokenizer"
local tok = step(tokenizer.train { texts = { ("low lower lowest "):rep(30), "é ß 你好" }, vocab_size = 270, special = { "<s>" } })
local json = step(tok:json()):gsub('"normalizer":%s*null', '"normalizer":{"type":"Sequence","normalizers":[' ..
  '{"type":"NFD"},{"type":"Prepend","prepend":"_"},{"type":"Replace","pattern":{"Regex":"l+"},"content":"L"},{"type":"NFC"}' .. ']}', 1)
tok = step(tokenizer.parse(json))
local ids = step(tok:encode(("low é lowest<s> "):rep(20) .. ("a"):rep(100) .. ("\u{301}\u{323}"):rep(100), { offsets = true }))
step(tok:decode(ids))
print "fine"
]]

test.case("no memory", function() sweep(SCRIPT, 600, 2000, 40) end)

local PIPELINE = [=[
local tokenizer = require "engine.tokenizer"
local JSON = [[{"truncation": {"max_length": 9, "stride": 1}, "padding": {"strategy": {"Fixed": 4}, "pad_token": "a"},
"added_tokens": [{"id": 9, "content": "<S>", "normalized": true, "special": true, "lstrip": true}, {"id": 10, "content": "bb"}],
"normalizer": {"type": "Lowercase"}, "post_processor": {"type": "BertProcessing", "cls": ["a", 0], "sep": ["b", 1]},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "b+"}, "behavior": "Isolated"},
{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}]},
"decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
{"type": "ByteFallback"}, {"type": "Replace", "pattern": {"Regex": "b+"}, "content": "c"}, {"type": "Fuse"},
{"type": "ByteLevel"}, {"type": "Strip", "content": " ", "start": 1, "stop": 1}]},
"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "▁": 2, "ab": 3, "▁a": 4, "<0xC3>": 5, "<0xA9>": 6, "c": 7, "?": 8},
"merges": ["a b", "▁ a"], "byte_fallback": true, "unk_token": "?"}}]]
local tok = step(tokenizer.parse(JSON))
local ids = step(tok:encode(("ab é<s>BBa "):rep(60), { special = true, offsets = true }))
step(tok:decode(ids, { skip_special = true }))
local piece = tok:stream()
for _, id in ipairs(ids) do step(piece(id)) end
step(piece())
step(tok:truncate(("ab é<s>BBa "):rep(60), 100, { special = true }))
step(tok:json())
print "fine"
]=]

test.case("no memory in any part of the pipeline", function() sweep(PIPELINE, 1060, 1500, 6) end)

local CONVERT = [[
local files = require "engine.tokenizer_files"
local digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
local ranks = {}
for b = 0, 255 do
  ranks[b + 1] = ("%s%s== %d"):format(digits:sub((b >> 2) + 1, (b >> 2) + 1), digits:sub((b << 4 & 63) + 1, (b << 4 & 63) + 1), b)
end
ranks[257] = "YWI= 256"
local ok = step(files.tiktoken(table.concat(ranks, "\n"), { encoding = "gpt2", special = { ["<a>"] = 300 } }))
local function field(n, s) return string.char(n << 3 | 2, #s) .. s end
local function piece(s, kind) return field(1, field(1, s) .. string.char(3 << 3, kind)) end
local pieces = { piece("<unk>", 2), piece("<s>", 3), piece("a", 1), piece("b", 1), piece("ab", 1) }
for i = 1, 600 do pieces[#pieces + 1] = piece("x" .. i, 3) end
ok = step(files.sentencepiece(table.concat(pieces) .. field(2, "\24\2")))
print "fine"
]]

test.case("no memory while files of other kinds are converted", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", STEP .. CONVERT)
    local met = 0
    local function run(env)
      local status, out, err = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = env })
      local said = out .. err
      test.ok(status == 0 or (status == 1 and said:find("memory", 1, true)), ("%s: %d %s"):format(env, status, said))
      if said:find "bytes for" then met = met + 1 end
      return said
    end
    for n = 1330, 1530, 8 do run("LATHE_FAULT_ALLOC=" .. n) end
    for _, size in ipairs { 20000, 70000, 100000 } do run("LATHE_FAULT_LARGE=" .. size) end
    test.ok(met > 0, "no fault was met")
    test.equal(run "LATHE_FAULT_ALLOC=0", "fine\n")
  end)
end)

local SPILL = [[
local tokenizer = require "engine.tokenizer"
local i = 0
local tok, message, code = tokenizer.train { memory = 1 << 20, scratch = ".", vocab_size = 270, texts = function()
  i = i + 1
  if i < 40000 then return " w" .. i end
end }
if tok then return print "fine" end
assert(code == "io", message)
print(message)
for _, entry in ipairs(require("engine.file").list ".") do assert(entry.name == "script.lua", entry.name) end
]]

test.case("a full disk while words go there", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", SPILL)
    for _, room in ipairs { 0, 100, 200000, 400000 } do
      local status, out, err = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_DISK=" .. room })
      test.equal(status, 0, out .. err)
      test.contains(out, "No space left on device")
    end
    local status, out = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_DISK=90000000" })
    test.equal({ status, out }, { 0, "fine\n" })
  end)
end)

return test.done()
