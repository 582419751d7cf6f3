-- SPDX-License-Identifier: MIT
-- Generation: records with instruction and output, made from the text of others.
--
-- A task (templates/qa.lua) says what is made. With llm = "offline" the questions come from definitions
-- that stand in the text, and the answers are those sentences, word for word. metadata keeps where the
-- text came from and adds
--   chunk, fact (one id for all phrasings of a fact), term, kind, phrasing (from 0), heldout, generator, task { name, hash }
-- and `span` becomes `origin_span`, since the record's own text is a new one.

local json = require "engine.json"
local hash = require "engine.hash"
local template = require "lathe.template"
local offline = require "lathe.llm.offline"
local record_module = require "lathe.record"

local M = {
  name = "generate",
  version = 2,
  kind = "map",
  summary = "Makes questions and answers from text, offline from its definitions.",
  options = {
    task = { type = "string", default = "qa", help = "the task template" },
    pairs = { type = "integer", default = 3, min = 1, max = 100, help = "at most so many facts of one definition (or answers of a model)" },
    llm = { type = "string", default = "offline", help = "who writes: offline" },
    phrasings = { type = "integer", default = 5, min = 1, max = 100, help = "ask each fact in so many ways" },
    heldout_phrasings = { type = "table", default = { 3, 4 }, help = "phrasings (from 0) that metadata.heldout marks" },
  },
  positional = { "task" },
}

local NOT_BUILT = "generate: llm = '%s' is not built yet: only 'offline' is"

-- The task of a part; loaded once for each, so that an edited template counts from the next part on.
local tasks = setmetatable({}, { __mode = "k" })

local function load_task(ctx)
  if tasks[ctx] then return tasks[ctx] end
  local task, message, code = template.load(ctx.options.task, { root = ctx.root })
  if not task then return nil, message, code end
  if task.form ~= "task" or not task.facts then
    return nil, ("template '%s' is no task with facts; generate needs one (see templates/qa.lua)"):format(task.name), "misuse"
  end
  for _, fact in ipairs(task.facts) do
    fact.templates = {}
    for i, text in ipairs(fact.phrasings) do
      local one
      one, message, code = template.new({ text = text }, ("%s, %s %d"):format(task.name, fact.name, i - 1))
      if not one then return nil, message, code end
      fact.templates[i] = one
    end
    fact.answer_template, message, code = template.new({ text = fact.answer }, task.name .. ", answer of " .. fact.name)
    if not fact.answer_template then return nil, message, code end
  end
  tasks[ctx] = task
  return task
end

--- What the answers depend on besides the options: the task's text, and the generator. Asked when a run is
-- planned.
-- @error raises { code, message }: a task that is not there or is faulty, a language model that is not
-- built yet
function M.hashes(options, where)
  if options.llm ~= "offline" then
    error({ code = "misuse", message = NOT_BUILT:format(options.llm) }, 0)
  end
  local task, message, code = template.load(options.task, { root = where.root })
  if not task then error({ code = code, message = "generate: " .. message }, 0) end
  return { task = task.hash, generator = offline.version }
end

local function is_heldout(options, phrasing)
  for _, n in ipairs(options.heldout_phrasings) do
    if n == phrasing then return true end
  end
  return false
end

-- A copy of the source's metadata, with its span moved aside.
local function provenance(record)
  local metadata = record.metadata
  if metadata == nil or metadata == json.null then return {} end
  local copy = {}
  for key, value in pairs(type(metadata) == "userdata" and json.table(metadata) or metadata) do copy[key] = value end
  if copy.span then copy.origin_span, copy.span = copy.span, nil end
  return copy
end

local function emit_fact(record, ctx, emit, task, fact, found)
  local answer, message, code = fact.answer_template:render(found)
  if not answer then return nil, message, code end
  local id = hash.sha256(("%s\0%s\0%s"):format(fact.name, found.term:lower(), answer)):sub(1, 16)
  for i = 1, math.min(ctx.options.phrasings, #fact.templates) do
    local question
    question, message, code = fact.templates[i]:render(found)
    if not question then return nil, message, code end
    local metadata = provenance(record)
    metadata.chunk, metadata.fact, metadata.term, metadata.kind = record.id, id, found.term, fact.name
    metadata.phrasing, metadata.heldout = i - 1, is_heldout(ctx.options, i - 1)
    metadata.generator, metadata.task = "offline", { name = task.name, hash = task.hash }
    local out = { instruction = question, output = answer, source = record.source, metadata = metadata }
    out.id = record_module.id(out)
    emit(out)
  end
  return true
end

-- The sentences that define something in the part of a chunk that it shares with the chunk before it
-- (metadata.overlap bytes, where chunk says so): that chunk was asked about them already.
local function asked_before(record, text)
  local metadata = record.metadata
  local overlap = metadata ~= nil and metadata ~= json.null and metadata.overlap
  local known = {}
  if math.type(overlap) ~= "integer" or overlap <= 0 then return known end
  for _, found in ipairs(offline.definitions(text:sub(1, overlap))) do
    known[found.definition .. "\0" .. (found.purpose or "")] = true
  end
  return known
end

-- What the offline generator finds in a record that the task asks about.
local function findings(record, task, text)
  local wants_section, out = false, {}
  for _, fact in ipairs(task.facts) do wants_section = wants_section or fact.needs == "section" end
  if wants_section then
    local metadata = record.metadata
    if metadata == json.null then metadata = nil end
    local headings = metadata and json.kind(metadata.headings) == "array" and metadata.headings or nil
    -- in source code a line that begins with "#" is a comment
    if headings or not (metadata and type(metadata.programming_language) == "string") then
      out[1] = offline.section(text, headings, metadata and type(metadata.title) == "string" and metadata.title or nil)
    end
  end
  for _, found in ipairs(offline.definitions(text)) do out[#out + 1] = found end
  return out
end

local function key_of(found) return found.definition and found.definition .. "\0" .. (found.purpose or "") end

--- Makes the questions of one record.
function M.each(record, ctx, emit)
  if ctx.options.llm ~= "offline" then
    return nil, NOT_BUILT:format(ctx.options.llm), "misuse"
  end
  local task, message, code = load_task(ctx)
  if not task then return nil, message, code end
  local text = record.text
  if type(text) ~= "string" then
    ctx.reject(record, "no_text", "generate reads the field 'text'")
    return true
  end
  local made, known = 0, asked_before(record, text)
  for _, found in ipairs(findings(record, task, text)) do
    local facts = known[key_of(found) or false] and math.huge or 0
    for _, fact in ipairs(task.facts) do
      if found[fact.needs] and facts < ctx.options.pairs then
        local fine
        fine, message, code = emit_fact(record, ctx, emit, task, fact, found)
        if not fine then return nil, message, code end
        facts, made = facts + 1, made + 1
      end
    end
  end
  if made == 0 then ctx.reject(record, "no_facts", "the text has nothing that the task asks about") end
  return true
end

return M
