-- SPDX-License-Identifier: MIT
-- The stage clean: text, spans, pages, the map file, rejections.
local test = require "tests.support.test"
local stage = require "tests.support.stage"
local json = require "engine.json"
local text = require "engine.text"

test.case("text is cleaned, everything else is left", function()
  local out = stage.run("clean", {}, { { id = "a", text = "one \r\ntwo", n = 1.0, extra = { 1, 2 } } })
  test.equal(json.encode(out[1].text), [["one\ntwo"]])
  test.equal(out[1].n, 1.0)
  test.equal(out[1].extra[2], 2)
  test.equal(out[1].metadata, nil)
end)

test.case("segments follow each other in the canonical text", function()
  local segments = { "  first  segment\r\n\r\n", "\tsecond\u{AD}part \n", "third\n\n" }
  local records, at = {}, 0
  for k, s in ipairs(segments) do
    records[k] = { id = "d" .. k, text = s, metadata = { document = "D", path = "a.txt", segment = k - 1,
      span = { at, at + #s } } }
    at = at + #s
  end
  records[4] = { id = "e", text = "other", metadata = { document = "E", segment = 0, span = { 0, 5 } } }
  local out, _, ctx = stage.run("clean", {}, records)
  local canonical = out[1].text .. out[2].text .. out[3].text
  for k = 1, 3 do
    local span = out[k].metadata.span
    test.equal(canonical:sub(span[1] + 1, span[2]), out[k].text)
  end
  test.equal({ out[4].metadata.span[1], out[4].metadata.span[2] }, { 0, 5 })
  -- from the canonical text back to the extracted one, by the map file
  local source = table.concat(segments)
  local map = json.decode(ctx.sides.map[2])
  test.equal({ map.id, map.document, map.path }, { "d2", "D", "a.txt" })
  local from = out[2].text:find("secondpart", 1, true) - 1
  local runs = {}
  for i, r in ipairs(map.runs) do runs[i] = { r[1], r[2], r[3] } end
  local a, b = text.run_map(runs, map.span[2] - map.span[1], #segments[2]):origin(from, from + 10)
  test.equal(source:sub(map.extracted[1] + a + 1, map.extracted[1] + b), "second\u{AD}part")
end)

test.case("pages move along", function()
  local s = "page one   \r\n\fpage two"
  local out = stage.run("clean", {}, { { id = "a", text = s, metadata = { document = "D", segment = 0,
    span = { 0, #s }, pages = { { 1, 0 }, { 2, 14 } } } } })
  local pages = out[1].metadata.pages
  test.equal({ pages[1][1], pages[1][2], pages[2][1] }, { 1, 0, 2 })
  test.equal(out[1].text:sub(pages[2][2] + 1), "page two")
end)

test.case("words cut at a line's end are joined on request", function()
  local function run(options, kind)
    return stage.run("clean", options, { { text = "exam-\nple", metadata = { type = kind } } })[1].text
  end
  test.equal(run({}, "pdf"), "exam-\nple") -- where lines are lines: read joins those of paragraphs
  test.equal(run({ dehyphenate = "pdf" }, "pdf"), "example")
  test.equal(run({ dehyphenate = "pdf" }, "txt"), "exam-\nple")
  test.equal(run({ dehyphenate = "always" }, "txt"), "example")
  test.equal(run({ dehyphenate = "never" }, "pdf"), "exam-\nple")
end)

test.case("nothing left, no text", function()
  local out, rejected = stage.run("clean", {}, { { text = " \r\n\u{200B}" }, { id = 1 }, { text = { 1 } },
    { text = "x" } })
  test.equal(#out, 1)
  test.equal({ rejected[1].reason, rejected[2].reason, rejected[3].reason }, { "empty", "no_text", "no_text" })
end)

test.case("another field", function()
  test.equal(stage.run("clean", { field = "output" }, { { output = "a  b", text = "c  d" } })[1].text, "c  d")
end)

test.case("personal data: off by default, by kind, with masks of one's own; counted", function()
  local s = "Mail a@b.de, tel: 030 123456, key ghp_16C7e42F292c6912E7710c838347Ae178B4a."
  local function run(options)
    local out, _, ctx = stage.run("clean", options, { { text = s }, { text = s } })
    return out[1].text, ctx.counts
  end
  test.equal(run {}, s)
  local text_, counts = run { pii = true }
  test.equal(text_, "Mail [EMAIL], tel: [PHONE], key [KEY].")
  test.equal(counts, { email = 2, phone = 2, key_github = 2 })
  test.equal(run { pii = "email, key" }, "Mail [EMAIL], tel: 030 123456, key [KEY].")
  test.equal(run { pii = { "email", "key_github" }, masks = { email = "<mail>", key = "<key>", key_github = "<gh>" } },
    "Mail <mail>, tel: 030 123456, key <gh>.")
end)

test.case("spans lead through masks and removed lines to the original", function()
  local s = "One.\nAll rights reserved.\nMail a@b.de or CafÃ©.\nOne.\nTwo."
  local out, _, ctx = stage.run("clean", { pii = true, boilerplate = true, repeated_lines = 1 },
    { { id = "a", text = s, metadata = { document = "D", path = "a.txt", segment = 0, span = { 0, #s } } } })
  test.equal(out[1].text, "One.\nMail [EMAIL] or Café.\nTwo.")
  local map, runs = json.decode(ctx.sides.map[1]), {}
  for i, r in ipairs(map.runs) do runs[i] = { r[1], r[2], r[3] } end
  local m = text.run_map(runs, #out[1].text, #s)
  local function origin(part)
    local from = out[1].text:find(part, 1, true) - 1
    local a, b = m:origin(from, from + #part)
    return s:sub(a + 1, b)
  end
  test.equal({ origin "Mail", origin "[EMAIL]", origin "Café", origin "Two." }, { "Mail", "a@b.de", "CafÃ©", "Two." })
end)

test.case("misspelt kinds, masks that would be masked, lists that are not there", function()
  local clean = require "lathe.stage.clean"
  local function problem(options) return select(2, clean.check(options)) end
  test.contains(problem { pii = "emial" }, "did you mean 'email'")
  test.contains(problem { pii = true, masks = { email = "x@y.de" } }, "would be masked")
  test.contains(problem { masks = { email = "two words" } }, "without blanks")
  test.contains(problem { boilerplate = { "a" } }, "two characters")
  local fine, message = pcall(clean.hashes, { boilerplate = "nowhere" }, { root = "." })
  test.ok(not fine and message.message:find "no list 'nowhere'")
  test.ok(clean.hashes({ boilerplate = true }, { root = "." }).boilerplate)
end)

test.case("the counts of a run are in the manifest, the same for any number of workers", function()
  local cli = require "tests.support.cli"
  local file = require "engine.file"
  test.with_dir(function(dir)
    local lines = {}
    for i = 1, 2500 do lines[i] = json.encode { id = tostring(i), text = ("mail a%d@b.de  now"):format(i) } end
    cli.put(dir .. "/in.jsonl", table.concat(lines, "\n") .. "\n")
    cli.put(dir .. "/r.lua", [[local lathe = require "lathe"
      return lathe.recipe "r" { lathe.stage "lines" { list = function(ctx, emit) emit { path = "in.jsonl", file = ctx.root .. "/in.jsonl" } end,
        each = function(item, _, emit) for line in require("engine.file").lines(item.file) do emit(require("engine.json").decode(line)) end end },
        lathe.clean { pii = "email" } }]])
    local counts = {}
    for _, jobs in ipairs { 1, 3 } do
      local status, _, err = cli.run(("run r.lua -j%d --runs runs%d"):format(jobs, jobs), { cwd = dir })
      test.equal(status, 0, err)
      local manifest = json.decode(file.read(("%s/runs%d/r/02-clean/manifest.json"):format(dir, jobs)))
      counts[#counts + 1] = { manifest.facts.counts.email, manifest.facts.counts.spaces }
    end
    test.equal(counts, { { 2500, 2500 }, { 2500, 2500 } })
  end)
end)

return test.done()
