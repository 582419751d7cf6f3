-- SPDX-License-Identifier: MIT
-- One part of a map stage: some input records in, part-N.jsonl and part-N.rejected.jsonl out.
--
-- Runs in a worker thread's state, or in the main state for stages typed into the REPL. Order of
-- writing: side files, then the rejected, then the part itself; the part's presence means done.

local clock = require "engine.clock"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local pass = require "engine.pass"
local worker = require "engine.worker"

local M = {}

local LONG_LINE = 256 << 10

--- The files of a part.
-- @param dir string: the stage's folder
-- @param n integer: the part's number, from 0
-- @return string, string: part-N.jsonl, part-N.rejected.jsonl
function M.paths(dir, n)
  local base = ("%s/part-%05d"):format(dir, n)
  return base .. ".jsonl", base .. ".rejected.jsonl", base
end

local RETRY = setmetatable({}, { __tostring = function() return "needs the part before it" end })

local function document_end(record, document)
  local metadata = record and record.metadata
  if metadata and metadata.document == document and metadata.span then return metadata.span[2] end
end

-- The end offset of a document's text in the parts before this one; raises RETRY when the part before
-- is not there yet.
local function end_before(dir, part, document)
  for n = part - 1, 0, -1 do
    local path = M.paths(dir, n)
    if not file.stat(path) then error(RETRY, 0) end
    local last
    for text in file.lines(path) do last = text end
    if last then
      local stop = document_end(json.record(last), document)
      if stop then return stop end
    end
  end
  return 0
end

local Writer = {}
Writer.__index = Writer
Writer.__close = function(self)
  for _, w in pairs(self.open) do w:close() end
end

local function checked(value, message, code)
  if not value then error({ code = code or "io", message = message }, 0) end
  return value
end

function Writer:at(path)
  local w = self.open[path]
  if not w then
    w = checked(file.replace(path, path == self.main or "before")) -- the part itself is committed last
    self.open[path] = w
  end
  return w
end

function Writer:put(path, ...) checked(self:at(path):write(...)) end

local function writer(dir, n)
  local main, rejected, base = M.paths(dir, n)
  return setmetatable({ open = {}, main = main, rejected = rejected, base = base, sides = {} }, Writer)
end

-- The part's counters, beside it, so that a run that is taken up again knows them.
function Writer:keep_counts(counts)
  local path = self.base .. ".counts.jsonl"
  if not counts then return checked(file.remove_tree(path)) end
  self.sides[#self.sides + 1] = path
  self:put(path, json.encode(counts, { sort = true }), "\n")
end

function Writer:commit()
  for _, path in ipairs(self.sides) do checked(self.open[path]:commit()) end
  for _, path in ipairs { self.rejected, self.main } do
    self:put(path)
    checked(self.open[path]:commit())
  end
end

--- What a rejected record looks like in rejected.jsonl.
-- @param stage string: the stage's name
-- @param record record|table|nil: what was rejected
-- @param reason string: a short fixed word
-- @param detail any: more, for a person
-- @return string: one line
function M.rejection(stage, record, reason, detail)
  return json.encode { stage = stage, reason = reason, detail = detail, record = record } .. "\n"
end

-- The lines that are not written as they are, without becoming records of Lua: all that do not surely meet
-- the condition. `each` is called with how many did.
local function passing(lines, passer, main, each)
  return function()
    local before = #passer
    local line, number, offset, length = passer(lines, main)
    each(#passer - before)
    return line, number, offset, length
  end
end

--- The table that a stage's functions get as ctx, for one part.
-- @param stage table: the resolved stage
-- @param job table: { artifacts, root, memory, dir, part }
-- @param counts table: { rejected, transient } to be counted in
-- @param out table: a writer with put(path, …)
-- @return table: ctx
function M.context(stage, job, counts, out)
  local ctx = { options = stage.options, seed = job.seed, root = job.root, memory = job.memory,
    threads = job.threads or 1, cache = stage.cache, stage = stage.name, dir = job.artifact_dir,
    scratch = job.scratch, logs = {}, recipe = job.recipe }
  local record_now

  function ctx.reject(record, reason, detail)
    -- a stage that protects itself against failing templates also catches this
    if type(detail) == "string" and detail:find("not enough memory", 1, true) then reason = "memory" end
    counts.rejected = counts.rejected + 1
    local reasons = counts.reasons
    if reasons then reasons[reason or "rejected"] = (reasons[reason or "rejected"] or 0) + 1 end
    if reason == "transient" then counts.transient = counts.transient + 1 end
    out:put(out.rejected, M.rejection(stage.name, record, reason or "rejected", detail))
  end

  function ctx.artifact(name)
    local path = job.artifacts and job.artifacts[name]
    if not path then error(("stage %s did not say that it uses '%s'"):format(stage.name, name), 2) end
    return path
  end

  function ctx.log(level, message, fields)
    ctx.logs[#ctx.logs + 1] = { level = level, message = message, fields = fields }
  end

  function ctx.side(name, text)
    if not out.sides then error("ctx.side is there in map stages only", 2) end
    local path = ("%s.%s.jsonl"):format(out.base, name)
    if not out.open[path] then out.sides[#out.sides + 1] = path end
    out:put(path, text, text:sub(-1) == "\n" and "" or "\n")
  end

  function ctx.base(record)
    local document = record.metadata and record.metadata.document
    return document_end(ctx.last, document) or end_before(job.dir, job.part, document)
  end

  --- Adds n (1) to a counter of this stage; the sums of all parts are in its manifest, facts.counts.
  function ctx.count(rule, n)
    counts.counts = counts.counts or {}
    counts.counts[rule] = (counts.counts[rule] or 0) + (n or 1)
  end

  -- For a source: an iterator over lines which writes the good records by itself and gives the others;
  -- each is called with how many were written.
  function ctx.passing(lines, each)
    stage.cache.pass_all = stage.cache.pass_all or pass.new("", {})
    return passing(lines, stage.cache.pass_all, out:at(out.main), function(passed)
      counts.records_out = counts.records_out + passed
      each(passed)
    end)
  end

  function ctx.progress() end

  function ctx.begin(record)
    record_now = record
    rawset(ctx, "rng", nil)
  end

  return setmetatable(ctx, {
    __index = function(self, key)
      if key ~= "rng" then return nil end
      local id = record_now and record_now.id
      local rng = hash.rng(job.seed, stage.name, tostring(id or ""))
      rawset(self, "rng", rng)
      return rng
    end,
  })
end

local function where_is(record, path, number)
  local metadata = type(record) ~= "string" and record and record.metadata
  local from = metadata and metadata.path
  return ("%s:%d%s"):format(path, number, from and " (from " .. tostring(from) .. ")" or "")
end

local function parse(line, path, number)
  local record, message = json.record(line)
  if not record then
    error({ code = "format", message = ("%s:%d: %s"):format(path, number, message) }, 0)
  end
  return record
end

-- Turns what each() raised or returned into an error of the run, or into a rejected record.
local function failed(stage, ctx, record, path, number, problem, code)
  if problem == RETRY then error(RETRY, 0) end
  if type(problem) == "string" and problem:find("not enough memory", 1, true) then
    collectgarbage()
    ctx.reject({ id = record.id }, "memory", "the record needs more memory than a worker's share")
    return
  end
  local message = type(problem) == "table" and problem.message or tostring(problem)
  error({ code = code or type(problem) == "table" and problem.code or "failed", record = record.id,
    where = where_is(record, path, number),
    message = ("stage %s, record %s: %s"):format(stage.name, where_is(record, path, number), message) }, 0)
end

local function run_record(stage, ctx, line, path, number, emit)
  local record = parse(line, path, number)
  ctx.begin(record)
  local fine, result, message, code = pcall(stage.module.each, record, ctx, emit)
  if not fine then
    failed(stage, ctx, record, path, number, result)
  elseif result == nil and message then
    failed(stage, ctx, record, path, number, message, code)
  end
end

-- The lines that each() has to see: a stage whose `passes` says that a condition on one field is all it does
-- sees those only that do not meet it.
local function lines_for(stage, lines, counts, out)
  local cache = stage.cache
  if cache.pass == nil then
    local condition = stage.module.passes and stage.module.passes(stage.options)
    cache.pass = condition and pass.new(condition.field, condition.tests) or false
  end
  if not cache.pass then return lines end
  return passing(lines, cache.pass, out:at(out.main), function(passed)
    counts.records_in, counts.records_out = counts.records_in + passed, counts.records_out + passed
  end)
end

local function run_records(stage, job, ctx, counts, emit, out)
  for _, range in ipairs(job.ranges) do
    local path = range[1]
    local lines <close> = checked(file.lines(path, { from = range[2], to = range[3], records = true }))
    for line, number, _, length in lines_for(stage, lines, counts, out) do
      counts.records_in = counts.records_in + 1
      number = number + (range[4] or 0)
      if line then
        run_record(stage, ctx, line, path, number, emit)
      else
        ctx.reject({ path = path, line = number, bytes = length }, "line_too_long",
          "lines over 64 MiB are not read")
      end
      -- a long record leaves copies of its text behind: they go before the next one comes
      if length >= LONG_LINE then collectgarbage() end
    end
  end
end

--- Runs one part of a map stage.
-- @param stage table: the resolved stage
-- @param job table: { part, dir, ranges = {{path, from, to, lines before} …}, artifacts, seed, root, memory }
-- @return table: { records_in, records_out, rejected, transient, reasons = reason → how many, logs, seconds } or { retry = true } or { error = … }
function M.run(stage, job)
  local counts = { records_in = 0, records_out = 0, rejected = 0, transient = 0, reasons = json.object {} }
  local began = clock.now()
  stage.cache = stage.cache or {}
  local out <close> = writer(job.dir, job.part)
  local ctx = M.context(stage, job, counts, out)
  local main = out.main
  local function emit(record)
    if record == nil then error("emit needs a record", 2) end
    counts.records_out = counts.records_out + 1
    ctx.last = record
    out:put(main, json.encode(record), "\n")
  end
  local fine, problem = pcall(run_records, stage, job, ctx, counts, emit, out)
  -- a stage may have caught the error that Ctrl-C raises in it: the part in hand is dropped all the same
  if fine and worker.cancelled() then fine, problem = false, { code = "cancelled", message = "interrupted" } end
  if fine then fine, problem = pcall(out.keep_counts, out, counts.counts) end
  if fine then fine, problem = pcall(out.commit, out) end
  if fine then
    counts.counts = nil
    counts.logs = #ctx.logs > 0 and ctx.logs or nil
    counts.seconds = clock.now() - began
    return counts
  end
  if problem == RETRY then return { retry = true } end
  if type(problem) ~= "table" then problem = { code = "failed", message = tostring(problem) } end
  return { error = problem }
end

return M
