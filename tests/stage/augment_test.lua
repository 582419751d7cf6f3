-- SPDX-License-Identifier: MIT
-- augment: variants by rules, told where they are from, never a duplicate.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local stage = require "tests.support.stage"
local augment = require "lathe.augment"
local hash = require "engine.hash"
local json = require "engine.json"
local ustring = require "lathe.jinja.ustring"

-- Every text that rules make of one instruction, sorted.
local function made(rules, record)
  local sets = assert(augment.load(rules))
  if type(record) == "string" then record = { instruction = record } end
  local out = {}
  for i, c in ipairs(augment.candidates(sets, json.record(json.encode(record)), hash.rng(1))) do
    out[i] = type(c.fields.instruction) == "string" and c.fields.instruction or json.encode(c.fields)
  end
  table.sort(out, ustring.less)
  return out
end

local function content(r)
  local copy = {}
  for k, v in pairs(r) do if k ~= "id" and k ~= "metadata" then copy[k] = v end end
  return json.encode(copy, { sort = true })
end

test.case("shapes that say the same take each other's place", function()
  local rule = { any = { "Explain {x}", "Describe {x}", "What is {x}?" } }
  test.equal(made(rule, "Explain LoRA."), { "Describe LoRA.", "What is LoRA?" })
  test.equal(made(rule, "describe LoRA"), { "Explain LoRA", "What is LoRA?" })
  test.equal(made(rule, "What is a learning rate?"), { "Describe a learning rate.", "Explain a learning rate." })
  test.equal(made(rule, "Explained LoRA."), {})
  test.equal(made(rule, "Explain LoRA\nin two lines"), {})
  test.equal(made({ any = { "Compare {a} and {b}", "How do {a} and {b} differ?" } }, "Compare LoRA and DoRA."), { "How do LoRA and DoRA differ?" })
  test.equal(made({ any = { "{x}: why?", "Why {x}?" } }, "Why überhaupt?"), { "Überhaupt: why?" })
  test.equal(made({ any = { "Explain {x}", "Explain how {x}", "Show how {x}" } }, "Explain how it works."), { "Explain it works.", "Show how it works." })
end)

test.case("phrases around a text, patterns, case and white space", function()
  test.equal(made({ only = "request", wrap = { "Please {lower}", "Could you {body}?" } }, "Add 1 and 2."), { "Could you add 1 and 2?", "Please add 1 and 2." })
  test.equal(made({ only = "request", wrap = { "Please {lower}" } }, "Why?"), {})
  test.equal(made({ only = "question", wrap = { "Tell me: {lower}" } }, "NASA is what?"), { "Tell me: NASA is what?" })
  test.equal(made({ match = "(%d+) words", to = { "%1 words at most", "at most %1 words" } }, "In 20 words."),
    { "In 20 words at most.", "In at most 20 words." })
  test.equal(made({ match = "%d+", to = function(n) return n + 1 end }, "a 1 b 2"), { "a 2 b 3" })
  test.equal(made({ case = { "lower", "upper", "first_lower", "no_stop" } }, "Öl ist gut."), { "ÖL IST GUT.", "Öl ist gut", "öl ist gut.", "öl ist gut." })
  test.equal(made({ case = { "lower", "upper" } }, "Run `ls`."), {})
  test.equal(made({ space = { "leading", "trailing", "newline", "double" } }, "A. B"), { " A. B", "A.  B", "A. B\n", "A. B " })
end)

test.case("inputs dropped and folded; fields of one's own; functions", function()
  local record = { instruction = "Sum up.", input = "Long.", output = "L" }
  test.equal(made({ drop = { "input" } }, record), { '{"input":""}' })
  test.equal(made({ fold = { "input" } }, record), { "Sum up.\n\nLong." })
  test.equal(made({ drop = { "input" } }, "Sum up."), {})
  test.equal(made({ fields = { "title" }, case = { "upper" } }, { title = "t", instruction = "i" }), { '{"title":"T"}' })
  test.equal(made(function(text) return { text .. " 1", { instruction = text .. " 2", level = 2 } } end, "A"), { "A 1", "A 2" })
  test.equal(made({ { case = { "upper" } }, function() return nil end, { name = "mine", rules = { { case = { "no_stop" } } } } }, "A b."), { "A B.", "A b" })
  local chat = { messages = { { role = "system", content = "s" }, { role = "user", content = "Explain x." }, { role = "assistant", content = "y" } } }
  test.contains(made({ any = { "Explain {x}", "Describe {x}" } }, chat)[1], '{"content":"Describe x.","role":"user"}')
  test.equal(made("instructions", { instruction = "Explain x.", metadata = { language = "de" } }), {})
end)

test.case("originals first, variants behind them, each with its provenance", function()
  local records = { { id = "a", instruction = "Explain LoRA.", output = "x", metadata = { document = "d" } }, { id = "b", text = "no instruction" } }
  local out, rejected, ctx = stage.run("augment", { variants = 3 }, records)
  test.equal({ #out, #rejected, out[1].id, out[1].instruction, out[5].id }, { 5, 0, "a", "Explain LoRA.", "b" })
  local ids = {}
  for n = 1, 3 do
    local v = out[n + 1]
    test.equal({ v.metadata.variant.of, v.metadata.variant.n, v.metadata.variant.rules.name, v.metadata.document }, { "a", n, "instructions", "d" })
    test.equal({ #v.metadata.variant.rules.hash, v.metadata.cluster, v.output }, { 64, "a", "x" })
    test.ok(v.metadata.variant.rule ~= nil and not ids[v.id] and v.id ~= "a")
    ids[v.id] = true
  end
  test.equal({ out[1].metadata.cluster, out[5].metadata }, { "a", nil })
  test.contains(ctx.logs[1].message, "3 variants of 2 records")
end)

test.case("no variant is what is there already, in any record", function()
  local records, verbs = {}, { "Explain", "Describe", "Tell me about", "Give an explanation of" }
  for i = 1, 40 do records[i] = { id = "r" .. i, instruction = verbs[i % 4 + 1] .. " thing " .. i // 4 .. ".", output = "o" } end
  records[41] = { id = "same", instruction = records[1].instruction, output = "o" }
  local out, _, ctx = stage.run("augment", { variants = 6 }, records)
  local seen, variants = {}, 0
  for _, r in ipairs(out) do
    local is_variant = r.metadata and r.metadata.variant
    if is_variant then
      variants = variants + 1
      test.ok(not seen[content(r)], content(r))
    end
    seen[content(r)] = true
  end
  for _, r in ipairs(records) do seen[content(r)] = nil end
  local distinct = 0
  for _ in pairs(seen) do distinct = distinct + 1 end
  test.equal(distinct, variants)
  test.ok(variants > 100 and #out == 41 + variants)
  test.ok(ctx.logs[1].fields.duplicates > 0 and ctx.logs[1].fields.fewer > 0)
end)

test.case("variants, probability and seed", function()
  local records = {}
  for i = 1, 200 do records[i] = { id = "r" .. i, instruction = "Explain thing " .. i .. ".", output = "o" } end
  test.equal(#stage.run("augment", { variants = 0 }, records), 200)
  test.equal(#stage.run("augment", { variants = 2 }, records), 600)
  local half = #stage.run("augment", { variants = 2, probability = 0.5 }, records)
  test.ok(half > 340 and half < 460, half)
  local function text(options, given) return json.encode(json.array((stage.run("augment", options, records, given)))) end
  local first = text { seed = 7 }
  test.ok(first == text { seed = 7 } and first ~= text { seed = 8 } and first == text({ seed = 7 }, { seed = 1, memory = 1 << 20 }))
end)

test.case("rules that are none are named", function()
  local function refused(rules, part)
    local sets, message, code = augment.load(rules)
    test.equal(sets, nil)
    test.equal(code, "misuse")
    test.contains(message, part)
  end
  refused({ anny = { "a" } }, "did you mean 'any'")
  refused({ name = "r", any = { "a" }, case = { "lower" } }, "rule 'r' has both 'any' and 'case'")
  refused({ only = "request" }, "has none of")
  refused({ case = { "loud" } }, "case change 'loud'")
  refused({ wrap = { "Please" } }, "{text}")
  refused({ match = "(", to = "x" }, "malformed")
  refused({ match = "x" }, "needs `to`")
  refused({ any = { "{x} and {x}" } }, "twice")
  refused("chatml", "holds no rules")
  test.equal(select(3, augment.load "instrctions"), "not_found")
end)

test.case("a rules file in the user's folder, changed by its hash; any -j", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/templates/mine.lua", 'return { form = "augment", rules = { { name = "loud", case = { "upper" } } } }')
    local lines = {}
    for i = 1, 3000 do lines[i] = ('{"id": "%d", "instruction": "Say %d.", "output": "x"}\n'):format(i, i) end
    cli.put(dir .. "/in.jsonl", table.concat(lines))
    local hashes = {}
    for _, j in ipairs { 1, 3 } do
      local status, _, err = cli.run(("stage augment in.jsonl out%d.jsonl --set rules=mine -j %d"):format(j, j), { cwd = dir })
      test.equal({ status, err:match "misuse" }, { 0, nil })
      hashes[j] = require("engine.file").sha256(("%s/out%d.jsonl"):format(dir, j))
    end
    test.equal(hashes[1], hashes[3])
    local first = json.decode((require("engine.file").read(dir .. "/out1.jsonl"):match "\n(.-)\n"))
    test.equal({ first.instruction, first.metadata.variant.rule, first.metadata.variant.of }, { "SAY 1.", "loud", "1" })
    local status, _, err = cli.run("stage augment in.jsonl o.jsonl --set rules=mien", { cwd = dir })
    test.equal(status, 2)
    test.contains(err, "did you mean 'mine'")
  end)
end)

return test.done()
