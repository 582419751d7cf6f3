-- SPDX-License-Identifier: MIT
-- stats: numbers against those worked out by hand, the folder it makes, and the page.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"
local plot = require "lathe.plot"
local statistics = require "lathe.statistics"

local function of(records, options)
  local s = statistics.new(options)
  for _, record in ipairs(records) do s:add(assert(json.record(json.encode(record)))) end
  return s:result()
end

test.case("lengths, words and repetitions of a few texts", function()
  local r = of { { text = "one two three" }, { text = "one two three" }, { text = "Ünïcode two" }, { text = " \n" } }
  test.equal({ r.records, r.empty }, { 4, 1 })
  test.equal({ r.characters.least, r.characters.greatest, r.characters.total, r.characters.mean }, { 2, 13, 39, 9.75 })
  test.equal({ r.characters.percentiles.p5, r.characters.percentiles.p50, r.characters.percentiles.p99 }, { 2, 11, 13 })
  test.equal({ r.words.total, r.vocabulary.distinct, r.vocabulary.total, r.vocabulary.complete }, { 8, 4, 8, true })
  test.equal(r.vocabulary.top[1], { text = "two", count = 3 })
  test.equal({ r.openings.distinct, r.openings.top[1].text, r.openings.top[1].count }, { 3, "one two th", 2 })
  test.equal({ r.duplicates.records, r.duplicates.distinct }, { 1, 3 })
end)

test.case("a record's fields are told apart, and counted together", function()
  local r = of { { instruction = "What?", output = "This one." }, { instruction = "Why", input = "", output = "So." } }
  local names = {}
  for i, f in ipairs(r.fields) do names[i] = ("%s %d %d"):format(f.name, f.records, f.empty) end
  test.equal(names, { "instruction 2 0", "output 2 0", "input 1 1" })
  test.equal({ r.characters.total, r.words.total }, { 20, 5 })
  r = of { { messages = { { role = "user", content = "Hello there" }, { role = "assistant", content = "Hi" } } } }
  test.equal({ r.words.total, r.fields[1].name }, { 3, "messages" })
  r = of({ { a = { b = "one two" }, text = "not this" } }, { field = "a.b" })
  test.equal({ r.words.total, r.fields[1].name }, { 2, "a.b" })
end)

test.case("a rendered record is counted by its text alone", function()
  local r = of { { instruction = "What?", output = "This.", text = "Q: What? A: This.", spans = { { 12, 17 } } } }
  test.equal({ r.words.total, r.characters.total, #r.fields }, { 4, 17, 3 })
end)

test.case("tables by source, the largest first, and what is beyond them", function()
  local records = {}
  for i = 1, 230 do records[i] = { text = "x y", source = i <= 20 and "wiki" or "s" .. i, metadata = { split = i % 2 == 0 and "train" or "test" } } end
  local r = of(records)
  local source, split = r.groups.source, r.groups["metadata.split"]
  test.equal({ source[1].name, source[1].records, source[1].words }, { "wiki", 20, 40 })
  test.equal({ #source, source[#source].name, source[#source].records }, { 201, "(others)", 11 })
  test.equal({ split[1].name, split[1].records, split[2].name, split[2].records }, { "test", 115, "train", 115 })
end)

test.case("a histogram holds every value once", function()
  for _, most in ipairs { 1, 7, 100, 5000, 1000000 } do
    local records = {}
    for i = 1, 300 do records[i] = { text = ("a"):rep(math.floor(most * (i / 300) ^ 3)) } end
    local r, sum = of(records), 0
    local before = r.characters.histogram[1].from
    for _, bin in ipairs(r.characters.histogram) do
      test.equal(bin.from, before)
      before, sum = bin.to, sum + bin.count
    end
    test.equal(sum, 300)
  end
end)

test.case("lathe stage stats makes a folder with the numbers and the page, and prints a summary", function()
  test.with_dir(function(dir)
    local lines = {}
    for i = 1, 40 do lines[i] = json.encode { text = ("<b>word%d</b> & more"):format(i), source = i % 4 == 0 and "a<b" or "c" } end
    cli.put(dir .. "/in.jsonl", table.concat(lines, "\n") .. "\n")
    local status, out, err = cli.run("stage stats in.jsonl out", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(out, "40 records")
    local result = json.decode(file.read(dir .. "/out/stats.json"))
    test.equal({ result.records, result.groups.source[1].name, result.groups.source[1].records }, { 40, "c", 30 })
    local page = file.read(dir .. "/out/report.html")
    test.contains(page, "a&lt;b")
    assert(not page:find("<b>word", 1, true), "text of a record is markup")
    assert(not page:find("https?://"), "the page refers to something outside")
    local again = dir .. "/again"
    status = cli.run("stage stats in.jsonl again -j1", { cwd = dir })
    test.equal(status, 0)
    test.equal(file.read(again .. "/report.html"), page)
  end)
end)

test.case("a run has a page with its stages, what was rejected and why", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in.jsonl", '{"text":"keep this"}\n{"text":"drop <this>"}\n')
    cli.put(dir .. "/r.lua", [[local lathe = require "lathe"
      return lathe.recipe "r" { options = { word = "a \"<i>\"" }, lathe.read { "in.jsonl" },
        lathe.stage "short" { each = function(r, ctx, emit)
          if r.text:find "drop" then ctx.reject(r, "dropped", "it says <so>") else emit(r) end end },
        lathe.stats {} }]])
    local status, out, err = cli.run("run r.lua", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(out, "report.html")
    local page = file.read(dir .. "/runs/r/report.html")
    for _, part in ipairs { "2. short", "dropped: 1", "it says &lt;so&gt;", "drop &lt;this&gt;", "a &quot;&lt;i&gt;&quot;", "Dataset" } do
      test.contains(page, part)
    end
  end)
end)

test.case("plots are drawn for odd values", function()
  test.contains(plot.lines({ { name = "a & b", points = { { 1, 5 } } } }, "x"), "a &amp; b")
  test.equal(plot.lines({ { name = "none", points = {} } }, "x"), "")
  test.equal(plot.histogram({}, "x"), "")
  assert(not plot.lines({ { name = "n", points = { { 0, 1e-9 }, { 10, 2e-9 } } } }, "x"):find "nan")
end)

return test.done()
