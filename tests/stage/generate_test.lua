-- SPDX-License-Identifier: MIT
-- generate: definitions found in text, and the questions made of them.
local test = require "tests.support.test"
local offline = require "lathe.llm.offline"
local stage = require "lathe.stage.generate"
local run = require "tests.stage.context"

local function terms(text)
  local out = {}
  for i, d in ipairs(offline.definitions(text)) do out[i] = d.phrase end
  return out
end

test.case("definitions in Markdown", function()
  local d = offline.definitions "# Rates\n\nFirst words.\n\nA **learning rate** is the size of a step, e.g. 0.1 or 3e-3. It is used to set the pace.\n\nMore."
  test.equal(d, { { term = "learning rate", article = "a", phrase = "a learning rate", be = "is", plural = false,
    definition = "A learning rate is the size of a step, e.g. 0.1 or 3e-3.", purpose = "It is used to set the pace." } })
  test.equal(terms "- An **exit status** is a small number. It is used to tell.\n- **BLAS** is a set of routines. It is used to multiply.",
    { "an exit status", "BLAS" })
  test.equal(terms "**Target modules** are the layers to tune. They are used to choose.", { "target modules" })
  test.equal(terms "A **mill** is a machine.", { "a mill" })
  test.equal(terms "**llama.cpp** is a program. It is used to run models.", { "llama.cpp" })
  test.equal(terms "It is a **fine** day. It is used to rain. This is the end. It is used to be.", {})
end)

test.case("definitions in text without mark-up, wrapped at a width", function()
  local text = "Attention\nOf all the parts of a model this one is\nthe best known, and it is easily told what\nit does.\n"
    .. "Queries and keys\nAttention is a mechanism by which each\nposition gathers information from earlier\nones. It is used to understand words by\n"
    .. "their context.\nA key is a row of numbers that describes\nwhat a position has to offer. It is used\nto be compared.\n"
  local d = offline.definitions(text)
  test.equal(#d, 2)
  test.equal(d[1].definition, "Attention is a mechanism by which each position gathers information from earlier ones.")
  test.equal(d[1].purpose, "It is used to understand words by their context.")
  test.equal(d[2].phrase, "a key")
  test.equal(terms "The pump is a red one. Nobody knows why.", {})
  test.equal(terms "The rank is the inner size. It is used to set it. The rank is a number. It is used to count.", { "the rank" })
end)

test.case("names keep their capital, common nouns do not", function()
  test.equal(terms "LoRA is a method. It is used to tune.\n\nDropout is a trick. It is used to help.", { "LoRA", "dropout" })
  test.equal(terms "Ollama is a program. It is used to serve. People like Ollama.", { "Ollama" })
end)

local SOURCE = { id = "c1", source = "read", text = "A **mill** is a machine that grinds. It is used to make flour.",
  metadata = { document = "d1", path = "a.md", span = { 10, 70 } } }

test.case("every fact is asked in every phrasing, and says where it came from", function()
  local out, ctx = run.map(stage, {}, { SOURCE })
  test.equal(#out, 10)
  test.equal(#ctx.rejected, 0)
  local questions, answers, ids, facts = {}, {}, {}, {}
  for i, r in ipairs(out) do
    questions[i], answers[r.output] = r.instruction, true
    test.ok(not ids[r.id], "an id twice")
    ids[r.id] = true
    facts[r.metadata.fact] = (facts[r.metadata.fact] or 0) + 1
    test.equal(r.metadata.heldout, r.metadata.phrasing >= 3)
    test.equal({ r.metadata.document, r.metadata.path, r.metadata.chunk, r.source }, { "d1", "a.md", "c1", "read" })
    test.equal({ r.metadata.origin_span[1], r.metadata.origin_span[2] }, { 10, 70 })
    test.equal(r.metadata.span, nil)
    test.equal(#r.metadata.task.hash, 64)
  end
  test.equal(questions, { "What is a mill?", "Define mill.", "Explain the term mill.", "What does mill mean?", "Tell me what a mill is.",
    "What is a mill used for?", "What is the purpose of a mill?", "Why do people use a mill?", "What does one use a mill for?",
    "Tell me what a mill is used for." })
  test.equal(answers, { ["A mill is a machine that grinds."] = true, ["It is used to make flour."] = true })
  for _, n in pairs(facts) do test.equal(n, 5) end
end)

test.case("options: pairs, phrasings, plural, another task of the user", function()
  test.equal(#run.map(stage, { pairs = 1, phrasings = 2 }, { SOURCE }), 2)
  local out = run.map(stage, {}, { { text = "**Rails** are the bars. They are used to guide." } })
  test.equal({ out[1].instruction, out[4].instruction, out[5].instruction, out[6].instruction },
    { "What are rails?", "What does the term rails mean?", "Tell me what rails are.", "What are rails used for?" })
  local _, message, code = run.map(stage, { llm = "ollama:x" }, { SOURCE })
  test.contains(message, "only 'offline'")
  test.equal(code, "misuse")
  test.contains(select(2, run.map(stage, { "qq" }, { SOURCE })), "did you mean 'qa'?")
  test.contains(select(2, run.map(stage, { "chatml" }, { SOURCE })), "no task")
end)

test.case("sections are asked for by their headings, with what is above them", function()
  local body = ("A mill grinds corn, and much else besides. "):rep(4):sub(1, -2)
  local out = run.map(stage, { "sections", phrasings = 1 }, {
    { text = "## 2.1 *Mills* ##\n\n" .. body, metadata = { headings = { "Machines", "2.1 *Mills* ##" }, title = "Handbook" } },
    { text = body, metadata = { headings = { "Handbook", "Mills" }, title = "Handbook" } },
    { text = body, metadata = { headings = { "Mills" } } },
    { text = "# Mills\n" .. body }, { text = body }, { text = "# Mills\nShort." } })
  local asked = {}
  for i, r in ipairs(out) do
    asked[i] = r.instruction
    test.equal(r.output, body)
  end
  test.equal(asked, { 'Explain "Mills" (Machines) in Handbook.', 'Explain "Mills" in Handbook.', 'Explain "Mills".', 'Explain "Mills".' })
end)

test.case("a heading is said once", function()
  local body = ("A mill grinds corn, and much else besides. "):rep(4):sub(1, -2)
  local out = run.map(stage, { "sections", phrasings = 1 }, {
    { text = body, metadata = { headings = { "Guide", "Mills", "Guide", "Wind", "Mills" }, title = "Handbook" } },
    { text = body, metadata = { headings = { "Mills", "Mills", "Handbook" }, title = "Handbook" } } })
  test.equal({ out[1].instruction, out[2].instruction },
    { 'Explain "Mills" (Guide, Wind) in Handbook.', 'Explain "Handbook" (Mills).' })
end)

test.case("a comment in source code is no heading", function()
  local text = "# Frees what is left of the list, from the last node on.\ndef free(list):\n"
    .. ("    list.pop()  # the last; then the one before.\n"):rep(4)
  local out, ctx = run.map(stage, { "sections", phrasings = 1 }, {
    { text = text, metadata = { programming_language = "python" } }, { text = text, metadata = { type = "txt" } } })
  test.equal(#out, 1)
  test.equal(out[1].metadata.type, "txt")
  test.equal(ctx.rejected[1].reason, "no_facts")
end)

test.case("what a chunk shares with the one before is not asked twice", function()
  local first = "A **mill** is a machine. It is used to grind."
  local out = run.map(stage, { phrasings = 1 }, { { text = first .. "\n\nA **pump** is a device. It is used to lift.",
    metadata = { overlap = #first + 2 } } })
  test.equal({ #out, out[1].instruction }, { 2, "What is a pump?" })
end)

test.case("what defines nothing is counted", function()
  local out, ctx = run.map(stage, {}, { { id = "x", text = "Nothing here." }, { id = "y" } })
  test.equal(#out, 0)
  test.equal({ ctx.rejected[1].reason, ctx.rejected[2].reason }, { "no_facts", "no_text" })
end)

test.case("the demo's library holds enough definitions", function()
  local file = require "engine.file"
  local n = 0
  for _, entry in ipairs(file.list "recipes/demo") do
    if entry.name:find "%.md$" then n = n + #offline.definitions(assert(file.read("recipes/demo/" .. entry.name))) end
  end
  test.ok(n >= 120, n .. " definitions")
end)

return test.done()
