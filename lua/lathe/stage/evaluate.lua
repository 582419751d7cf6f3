-- SPDX-License-Identifier: MIT
-- Evaluation: the model before and after tuning, on the same questions.
--
--   unseen phrasings    records of the test split: facts that were trained, asked in words that were not
--   trained phrasings   a sample of the training records
--   unseen documents    text that neither training saw: loss only; a model this small cannot answer from it
--
-- Answers are greedy, so the figures are the same every time. ROUGE-L is the F1 on words against the expected
-- answer; "stopped" is the share of answers that ended by the end token. Written as evaluation.json and, for
-- people, evaluation.md.

local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local artifacts = require "lathe.artifacts"
local data = require "lathe.train.data"
local folder = require "lathe.train.folder"
local metrics = require "lathe.train.metrics"
local outlook = require "lathe.train.outlook"
local packing = require "lathe.train.packing"
local progress = require "lathe.progress"
local template = require "lathe.template"

local M = {
  name = "evaluate",
  version = 1,
  kind = "artifact",
  publishes = "evaluation",
  summary = "Measures a model before and after tuning: loss, answers, and whether they end.",
  options = {
    base = { type = "string", default = "base", help = "the artifact, or a folder, of the model before tuning" },
    adapter = { type = "string", default = "adapter", help = "the artifact, or a folder, of the adapter" },
    documents = { type = "string", help = "the stage whose test records are unseen documents" },
    context = { type = "integer", default = 256, min = 32, help = "tokens of a window of an unseen document" },
    template = { type = "string", default = "chatml", help = "the conversation that windows are wrapped in" },
    max_tokens = { type = "integer", default = 96, min = 1, help = "the longest answer" },
    sample = { type = "integer", default = 40, min = 0, help = "trained phrasings that are asked again" },
    questions = { type = "integer", default = 3, min = 0, help = "questions that are shown with their answers" },
  },
}

--- The artifacts that are used: those that are not given as folders.
function M.uses(options) return artifacts.used { options.base, options.adapter } end

--- What the result depends on besides the options: the folders that are read.
function M.hashes(options) return artifacts.hashes({ options.base, options.adapter }) end

--- The other stage whose records are read.
function M.reads(options) return options.documents and { documents = options.documents } or {} end

-- ---- what is asked ----

local function without_special(text, special)
  for _, token in ipairs(special) do
    local from, to = text:find(token, 1, true)
    while from do
      text = text:sub(1, from - 1) .. text:sub(to + 1)
      from, to = text:find(token, 1, true)
    end
  end
  return text
end

local function question_of(record)
  local messages = record.messages
  if messages then
    for i = #messages, 1, -1 do if messages[i].role == "user" then return messages[i].content end end
  end
  return record.instruction
end

-- One record as a question: the text before its last span is the prompt, the span is the answer.
local function item(record, tok, special, longest)
  local spans = record.spans
  if type(record.text) ~= "string" or not spans or #spans == 0 then return nil, "no_loss", "no text with spans" end
  local example, reason, detail = data.example(record.text, spans, tok, longest)
  if not example then return nil, reason, detail end
  local span = spans[#spans]
  return { example = example, prompt = (data.encode(tok, record.text:sub(1, span[1]))), stop = example.last,
    expected = without_special(record.text:sub(span[1] + 1, span[2]), special), question = question_of(record),
    id = record.id, fact = record.metadata and record.metadata.fact }
end

local function read_items(input, ctx, tok, longest)
  local test, trained, special = {}, {}, {}
  for _, token in ipairs(tok:added()) do if token.special then special[#special + 1] = token.content end end
  for record in input:records() do
    local split = record.metadata and record.metadata.split
    local one, reason, detail = item(record, tok, special, longest)
    if not one then
      ctx.reject(record, reason, detail)
    elseif split == "test" then
      test[#test + 1] = one
    elseif split == nil or split == "train" then
      trained[#trained + 1] = one
    end
  end
  return test, trained
end

-- A fixed choice that does not depend on the order of the records' ids.
local function sample(list, n, seed)
  local order = {}
  for i = 1, #list do order[i] = i end
  hash.rng(seed, "sample"):shuffle(order)
  order = table.move(order, 1, math.min(n, #order), 1, {})
  table.sort(order)
  local out = {}
  for i, k in ipairs(order) do out[i] = list[k] end
  return out
end

-- ---- measuring ----

local function answers(m, tok, items, max_tokens)
  local batch, stops, seen = { tokens = {}, lengths = {} }, {}, {}
  for _, one in ipairs(items) do
    table.move(one.prompt, 1, #one.prompt, #batch.tokens + 1, batch.tokens)
    batch.lengths[#batch.lengths + 1] = #one.prompt
    if not seen[one.stop] then seen[one.stop], stops[#stops + 1] = true, one.stop end
  end
  local out, message, code = m:generate_all(batch, { max_tokens = max_tokens, stop = stops })
  if not out then return nil, message, code end
  for _, answer in ipairs(out) do answer.text = tok:decode(answer.ids, { skip_special = true }) end
  return out
end

local function examples_of(items)
  local out = {}
  for i, one in ipairs(items) do out[i] = one.example end
  return out
end

-- Loss and answers on one set of questions.
local function measure(m, tok, items, max_tokens)
  if #items == 0 then return { questions = 0 }, {} end
  local loss, message, code = data.loss(m, examples_of(items))
  if not loss then return nil, message, code end
  local given
  given, message, code = answers(m, tok, items, max_tokens)
  if not given then return nil, message, code end
  local rouge, exact, stopped = 0.0, 0, 0
  for i, answer in ipairs(given) do
    rouge = rouge + metrics.rouge_l(answer.text, items[i].expected)
    exact = exact + (metrics.exact(answer.text, items[i].expected) and 1 or 0)
    stopped = stopped + (answer.stopped and 1 or 0)
  end
  return { questions = #items, loss = loss.loss, tokens = loss.tokens, rouge_l = rouge / #items, exact = exact / #items,
    stopped = stopped / #items }, given
end

local function document_windows(ctx, tok)
  local out = {}
  if not ctx.options.documents then return out end
  local form, message, code = template.load(ctx.options.template, { root = ctx.root })
  if not form then return nil, message, code end
  for record in ctx.reads.documents:records() do
    if record.metadata and record.metadata.split == "test" and type(record.text) == "string" then
      local list
      list, message, code = packing.windows(record.text, tok, form, ctx.options.context)
      if not list then return nil, message, code end
      table.move(list, 1, #list, #out + 1, out)
    end
  end
  return out
end

local function measure_all(m, tok, sets, max_tokens)
  local out, shown, message, code = {}
  out.unseen_phrasings, shown, code = measure(m, tok, sets.test, max_tokens)
  if not out.unseen_phrasings then return nil, shown, code end
  out.trained_phrasings, message, code = measure(m, tok, sets.trained, max_tokens)
  if not out.trained_phrasings then return nil, message, code end
  out.unseen_documents, message, code = data.loss(m, sets.documents)
  if not out.unseen_documents then return nil, message, code end
  out.unseen_documents.windows = #sets.documents
  if out.unseen_documents.tokens > 0 then
    out.unseen_documents.perplexity = metrics.perplexity(out.unseen_documents.loss)
  end
  return out, shown
end

-- Questions to show: the first of a fixed sample, each about a fact of its own.
local function shown_questions(items, before, after, n, seed)
  local index, out, facts = {}, {}, {}
  for i, one in ipairs(items) do index[one] = i end
  for _, one in ipairs(sample(items, #items, seed)) do
    local fact = one.fact or one
    if #out < n and not facts[fact] then
      facts[fact] = true
      local i = index[one]
      out[#out + 1] = { id = one.id, question = one.question, expected = one.expected, before = before[i].text,
        after = after[i].text, stopped = after[i].stopped }
    end
  end
  return out
end

-- ---- telling ----

local SMALL = 100e6 -- parameters; below, the report says what not to expect

local function percent(v) return v and ("%.0f %%"):format(v * 100) or "–" end
local function figure(v) return v and ("%.3f"):format(v) or "–" end

-- An untrained model may say anything: white space and length are tamed for the page.
local function one_line(text)
  text = text:gsub("%s+", " "):gsub("^ ", "")
  return #text > 400 and text:sub(1, utf8.offset(text, 0, 400) - 1) .. " …" or text
end

-- The rows of the table: what was measured, before, after.
local function rows(result)
  local b, a = result.before, result.after
  local out = {}
  local function add(name, before, after, show) out[#out + 1] = { name, show(before), show(after) } end
  for _, set in ipairs { { "unseen phrasings", "unseen_phrasings" }, { "trained phrasings", "trained_phrasings" } } do
    local name, key = set[1], set[2]
    add(name .. ": loss", b[key].loss, a[key].loss, figure)
    add(name .. ": ROUGE-L", b[key].rouge_l, a[key].rouge_l, figure)
    add(name .. ": exactly right", b[key].exact, a[key].exact, percent)
    add(name .. ": stops by itself", b[key].stopped, a[key].stopped, percent)
  end
  if a.unseen_documents.tokens > 0 then
    add("unseen documents: loss", b.unseen_documents.loss, a.unseen_documents.loss, figure)
  end
  return out
end

local function opening(result)
  local a = result.after
  return ("%d questions in phrasings that were never trained, about facts that were; %d in trained phrasings."):format(
    a.unseen_phrasings.questions, a.trained_phrasings.questions)
end

-- What the figures mean, said for the size of model that made them.
local function meaning(result)
  local text = "Unseen phrasings ask for facts of the training set in other words."
  if result.after.unseen_documents.tokens > 0 then
    text = text .. " Unseen documents were kept out of all training; their loss says how much carries over to new text."
  end
  if result.parameters >= SMALL then return text end
  return text .. (" A model of %.1f million parameters learns the facts it is shown; it cannot reason over text it "
    .. "has not seen, and its loss there usually rises as it learns to answer. A real base model (0.5 billion "
    .. "parameters and more) brings its language with it: there the same recipe teaches style, format and the "
    .. "words of a field."):format(result.parameters / 1e6)
end

local function asked(q) return q.question or q.id or "question" end

local function markdown(result)
  local lines = { "# Evaluation", "", opening(result), "", "| | before | after |", "|---|---:|---:|" }
  for _, r in ipairs(rows(result)) do lines[#lines + 1] = ("| %s | %s | %s |"):format(r[1], r[2], r[3]) end
  lines[#lines + 1] = "\n" .. meaning(result)
  for _, q in ipairs(result.questions) do
    lines[#lines + 1] = ("\n## %s\n\n- expected: %s\n- before: %s\n- after: %s"):format(asked(q), q.expected,
      one_line(q.before), one_line(q.after))
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Breaks a paragraph into lines of at most 78 characters.
local function wrapped(text)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if #line > 0 and #line + #word + 1 > 78 then
      lines[#lines + 1] = line
      line = word
    else
      line = #line > 0 and line .. " " .. word or word
    end
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

-- The same for a terminal, printed when the run ends.
local function terminal(result)
  local lines = { ("%-36s %10s %10s"):format("", "before", "after") }
  for _, r in ipairs(rows(result)) do
    lines[#lines + 1] = ("%-36s %10s %10s"):format(r[1], (r[2]:gsub("–", "-")), (r[3]:gsub("–", "-")))
  end
  lines[#lines + 1] = "\n" .. wrapped(opening(result) .. " " .. meaning(result)) .. "\n"
  for _, q in ipairs(result.questions) do
    lines[#lines + 1] = ("Q: %s\n   before: %s\n   after:  %s\n   the text says: %s\n"):format(asked(q),
      one_line(q.before), one_line(q.after), q.expected)
  end
  return table.concat(lines, "\n")
end

-- ---- the plan ----

--- What measuring will take.
-- @param options table: this stage's
-- @param info table: see lathe.train.outlook
-- @return table: lines
function M.plan(options, info)
  local o = options
  local lines = { ("asks every record of the test split and %d of the train split, twice; answers of up to %d tokens"):format(
    o.sample, o.max_tokens) }
  local form, why = template.load(o.template, { root = info.root })
  if o.documents and not form then lines[#lines + 1] = "would fail: " .. why end
  local shape, dtype = outlook.shape(info, o.base)
  if not shape then
    if dtype then lines[#lines + 1] = "would fail: " .. dtype end
    return lines
  end
  local need, message = outlook.need(shape, { rows = 1, dtype = "f32" })
  if not need then return { lines[1], "would fail: " .. message } end
  lines[#lines + 1] = ("memory: %s for the weights, and the answers' keys and values"):format(
    progress.bytes(outlook.weights(need.parameters, dtype)))
  if o.max_tokens >= shape.max_position_embeddings then
    lines[#lines + 1] = ("note: answers end where the model's %s positions do"):format(
      progress.count(shape.max_position_embeddings))
  end
  return lines
end

function M.make(input, ctx)
  local o = ctx.options
  local m <close>, tok, code = folder.open(artifacts.path(ctx, o.base), artifacts.path(ctx, o.adapter))
  if not m then return nil, tok, code end
  local longest = m:config().max_position_embeddings
  local test, trained = read_items(input, ctx, tok, longest)
  local documents, message
  documents, message, code = document_windows(ctx, tok)
  if not documents then return nil, message, code end
  if #test == 0 and #trained == 0 then return nil, "there is no question to ask", "misuse" end
  local sets = { test = test, trained = sample(trained, o.sample, ctx.seed), documents = documents }
  local room = longest
  for _, list in ipairs { sets.test, sets.trained } do
    for _, one in ipairs(list) do room = math.min(room, longest - #one.prompt) end
  end
  local limit = math.max(1, math.min(o.max_tokens, room))
  ctx.progress(0, 2, "models")
  m:adapters(false)
  local before, given_before, after, given_after
  before, given_before, code = measure_all(m, tok, sets, limit)
  if not before then return nil, given_before, code end
  ctx.progress(1, 2, "models")
  m:adapters(true)
  after, given_after, code = measure_all(m, tok, sets, limit)
  if not after then return nil, given_after, code end
  ctx.progress(2, 2, "models")
  local result = { before = before, after = after, parameters = m:parameters(),
    questions = json.array(shown_questions(test, given_before, given_after, o.questions, ctx.seed)) }
  local fine
  fine, message, code = file.write(ctx.dir .. "/evaluation.json",
    json.encode(result, { indent = 2, sort = true }) .. "\n")
  if fine then fine, message, code = file.write(ctx.dir .. "/evaluation.md", markdown(result)) end
  if not fine then return nil, message, code end
  result.report, result.arithmetic = terminal(result), folder.arithmetic()
  return result
end

return M
