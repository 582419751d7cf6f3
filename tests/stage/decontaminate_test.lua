-- SPDX-License-Identifier: MIT
-- The stage decontaminate: what counts as shared, and what is said of it.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local file = require "engine.file"
local json = require "engine.json"

local function words(n, seed)
  local out = {}
  for i = 1, n do
    out[i] = ("w%d"):format((i * 7919 + seed * 104729) % 100003):gsub("%d", function(d) return string.char(97 + d) end)
  end
  return out
end
local function part(list, from, to) return table.concat(list, " ", from, to) end

local asked, answer = words(20, 1), words(30, 2)
local other = words(40, 3)

-- Runs the stage with evaluation rows in a file of that name.
local function run(rows, options, records, name)
  local result
  test.with_dir(function(dir)
    local path = dir .. "/" .. (name or "eval.jsonl")
    if type(rows) == "string" then
      assert(file.write(path, rows))
    else
      local lines = {}
      for i, r in ipairs(rows) do lines[i] = json.encode(r) .. "\n" end
      assert(file.write(path, table.concat(lines)))
    end
    options.evaluation = options.evaluation or path
    result = table.pack(stage.run("decontaminate", options, records))
  end)
  return table.unpack(result)
end

local function ids(list)
  local out = {}
  for i, r in ipairs(list) do out[i] = (r.record or r).id end
  return table.concat(out, " ")
end

local rows = ('{"question":"An easy one?","answer":"Yes."}\n{"question":"%s","answer":"%s"}\n'):format(part(asked), part(answer))

test.case("thirteen words in a row are shared, twelve are not", function()
  local out, rejected, ctx = run(rows, {}, {
    { id = "twelve", text = part(other, 1, 9) .. " " .. part(asked, 1, 12) .. " " .. part(other, 10, 20) },
    { id = "thirteen", text = part(other, 1, 9) .. " " .. part(asked, 1, 13):upper() .. "! " .. part(other, 10, 20) },
    { id = "across", text = part(asked, 14, 20) .. " " .. part(answer, 1, 8) },
    { id = "answer", messages = { { role = "user", content = "?" }, { role = "assistant", content = part(answer, 5, 20) } } },
    { id = "elsewhere", text = "x", metadata = { note = part(asked) }, source = part(asked) },
  })
  test.equal(ids(out), "twelve across elsewhere")
  test.equal(ids(rejected), "thirteen answer")
  test.equal(rejected[1].reason, "contaminated")
  test.equal(rejected[1].detail, { evaluation = "eval.jsonl", row = 2, shared = 1, ngrams = 21,
    words = part(asked, 1, 13):upper() })
  test.equal({ rejected[2].detail.row, rejected[2].detail.shared, rejected[2].detail.ngrams }, { 2, 4, 4 })
  test.equal(rejected[2].detail.words, part(answer, 5, 20))
  test.contains(ctx.logs[1].message, "2 rows of 1 evaluation files, 27 different 13-grams")
end)

test.case("a short row matches what is all of it and nothing else", function()
  local list = {
    { id = "same", text = "An easy one? Yes." }, json.record '{"id":"fields","instruction":"an easy one","output":"YES"}',
    { id = "part", text = "Yes." }, { id = "more", text = "An easy one? Yes. And more." } }
  local out, rejected = run(rows, {}, list)
  test.equal({ ids(out), ids(rejected) }, { "part more", "same fields" })
  test.equal(rejected[1].detail, { evaluation = "eval.jsonl", row = 1, shared = 1, ngrams = 1, whole = true })
  test.equal(#(run(rows, { short = "ignore" }, list)), 4)
  test.equal(ids((run('{"q":"What is 2 + 2?","a":"4"}', {}, { { id = "a", text = "What is 2 + 3? 5" },
    { id = "b", text = "what is 2+2? 4" } }))), "a")
end)

test.case("strings of which none is long enough are joined", function()
  local row = ('{"a":"%s","b":"%s"}'):format(part(asked, 1, 7), part(asked, 8, 14))
  local _, rejected = run(row, {}, { { id = "a", text = "so " .. part(asked, 1, 14) }, { id = "b", text = part(asked, 3, 14) } })
  test.equal(ids(rejected), "a")
end)

test.case("flag, fields, n, and how much must be shared", function()
  local text = part(other, 1, 27) .. " " .. part(asked, 1, 13)
  local out, rejected = run(rows, { mode = "flag" }, { { id = "a", text = text } })
  test.equal({ #out, #rejected, out[1].metadata.contamination.row }, { 1, 0, 2 })
  test.equal(#(run(rows, { min_ngrams = 2 }, { { id = "a", text = text } })), 1)
  test.equal(#(run(rows, { min_ratio = 0.04 }, { { id = "a", text = text } })), 1) -- 1 of 28
  test.equal(#(run(rows, { min_ratio = 0.03 }, { { id = "a", text = text } })), 0)
  test.equal(#(run(rows, { fields = { "output" } }, { { id = "a", text = text, output = "x" } })), 1)
  test.equal(#(run(rows, { evaluation_fields = { "answer" } }, { { id = "a", text = text } })), 1)
  test.equal(#(run(rows, { ngram = 5 }, { { id = "a", text = part(asked, 2, 6) } })), 0)
end)

test.case("evaluation files of another kind", function()
  local _, rejected = run("# A test\n\n" .. part(asked) .. "\n", {}, { { id = "a", text = part(asked, 1, 15) } }, "eval.md")
  test.equal({ ids(rejected), rejected[1].detail.evaluation, rejected[1].detail.row }, { "a", "eval.md", 1 })
end)

test.case("evaluation data that cannot be read stops the run", function()
  local record = { { id = "a", text = "x" } }
  test.raises("evaluation: /no/such", run, rows, { evaluation = "/no/such/x.jsonl" }, record)
  test.raises("evaluation: ", run, '{"a":1}\nno\n', {}, record)
  test.raises("no words in the fields of 1 rows", run, { { a = 1 } }, {}, record)
  test.raises("the file is empty", run, "", {}, record)
  local module = require "lathe.stage.decontaminate"
  local config = require "lathe.config"
  test.contains(select(2, config.check(module.options, {}, module.positional)), "'evaluation' is missing")
end)

test.case("what the output depends on", function()
  local module = require "lathe.stage.decontaminate"
  test.with_dir(function(dir)
    assert(file.write(dir .. "/e.jsonl", '{"a":"b"}\n'))
    local one = module.hashes({ evaluation = dir .. "/e.jsonl" }, { root = "." })
    assert(file.write(dir .. "/e.jsonl", '{"a":"c"}\n'))
    test.ok(module.hashes({ evaluation = dir .. "/e.jsonl" }, { root = "." }).evaluation ~= one.evaluation)
  end)
end)

return test.done()
