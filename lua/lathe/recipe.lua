-- SPDX-License-Identifier: MIT
-- The recipe runner: carries out a plan so that it can be stopped at any instant.
--
--   runs/NAME/NN-stage/   key                      the key of what is being made here
--                         items.jsonl inputs.json  a source's list of inputs; their remembered hashes
--                         part-00000.rejected.jsonl, part-00000.jsonl, …
--                         ARTIFACT/                an artifact stage's folder
--                         scratch/                 checkpoints; survives a crash
--                         manifest.json            written last: present with the right key means done
--   runs/NAME/rejected.jsonl  events.jsonl  lock
--
-- Groups. The input of a map stage, its predecessor's parts one after the other, is cut into groups of
-- 1,024 records or 8 MiB; group N becomes part N. Cuts depend on the bytes alone, so the parts are the
-- same whether the predecessor is finished first (stream = false) or its parts are taken as they come.
-- Barriers and artifacts run in the main state when all their input is there.
--
-- A part whose file exists is never made again; a folder whose key differs is emptied first.

local clock = require "engine.clock"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local parts = require "lathe.part"
local planner = require "lathe.plan"
local progress = require "lathe.progress"
local worker = require "engine.worker"

local M = {}

local PART_RECORDS, PART_BYTES = 1024, 8 << 20
local WORKER_LEAST = 32 << 20 -- a share of memory in which ordinary records are worked on

local Run = {}
Run.__index = Run

local function raise(code, format, ...)
  error({ code = code, message = format:format(...) }, 0)
end

local function must(value, message, code)
  if not value then error({ code = code or "io", message = message or "failed" }, 0) end
  return value
end

local function interrupted() error({ code = "cancelled", message = "interrupted" }, 0) end

local function decode_file(path)
  local text = file.stat(path) and file.read(path)
  return text and json.decode(text) or nil
end

-- ---- what is there already ----

local function manifest_path(stage) return stage.dir .. "/manifest.json" end

-- A folder made for a stage of this name and key under another number is taken over.
function Run:adopt(stage)
  if file.stat(stage.dir) then return end
  for _, entry in ipairs(file.list(self.dir) or {}) do
    local name = entry.is_dir and entry.name:match "^%d%d%-(.+)$"
    if name == stage.name and not self.folders[entry.name] then
      local old = self.dir .. "/" .. entry.name
      if file.stat(old .. "/key") and file.read(old .. "/key") == stage.key then
        must(file.rename(old, stage.dir))
        return
      end
    end
  end
end

-- What a stage made under another number, for another key, is as much out of date as what it made under this one.
function Run:remove_renumbered(stage)
  for _, entry in ipairs(file.list(self.dir) or {}) do
    local name = entry.is_dir and entry.name:match "^%d%d%-(.+)$"
    if name == stage.name and not self.folders[entry.name] then
      must(file.remove_tree(self.dir .. "/" .. entry.name))
    end
  end
end

-- The stages whose output this one reads; an artifact's records are those of the stage before it.
function Run:upstream(stage)
  local list = { planner.records_of(self.plan, stage.from) }
  for _, index in pairs(stage.reads) do list[#list + 1] = planner.records_of(self.plan, index) end
  for _, index in pairs(stage.uses) do list[#list + 1] = self.plan.stages[index] end
  table.sort(list, function(a, b) return a.index < b.index end)
  return list
end

-- What a stage was made from, as its makers' manifests tell it: a document that failed for a while and is
-- read by a later run changes what a stage gives though no key changes.
function Run:basis(stage)
  local list = {}
  for i, maker in ipairs(self:upstream(stage)) do
    local m, reasons = maker.manifest, {}
    for reason, count in pairs(m.reasons) do reasons[#reasons + 1] = ("%s=%d"):format(reason, count) end
    table.sort(reasons)
    list[i] = table.concat({ m.key, m.basis or "", m.records_in, m.records_out, table.unpack(reasons) }, "\0")
  end
  return hash.sha256(table.concat(list, "\n"))
end

-- A stage that was finished stays so. A run that was killed between the manifest and the end of finish()
-- left the stage's scratch folder; only a run that may write (it holds the lock) removes it.
function Run:accept(stage, manifest)
  stage.done, stage.manifest = true, manifest
  if self.lock then must(file.remove_tree(stage.dir .. "/scratch")) end
end

-- Decides what is to be done about a stage from what its folder holds:
--   done             made with this key from what its makers still give
--   pending          made with this key, but a maker has work to do: settled by settle_pending
--   retry_transient  parts with transient rejections are made again, the others stay
--   fresh            made again from nothing;  redo  … and so are its readers
-- The first file outside of the run's folder that a finished stage has made and that is not as it was: its
-- path, and what is the matter. What is known by size and time is not read again.
function Run:lost_output(stage, manifest)
  local cache_path = stage.dir .. "/outputs.json"
  local old, seen = decode_file(cache_path) or {}, {}
  for _, output in ipairs(stage.module.outputs(manifest.facts or {})) do
    local info, known = file.stat(output.path), old[output.path]
    if not info then return output.path, "missing" end
    if info.size ~= output.bytes then return output.path, "changed" end
    if not (known and known[1] == info.size and known[2] == info.mtime_ns)
      and file.sha256(output.path) ~= output.sha256 then return output.path, "changed" end
    seen[output.path] = { info.size, info.mtime_ns }
  end
  if self.lock and next(seen) then must(file.write(cache_path, json.encode(seen, { sort = true }), false)) end
end

function Run:look(stage)
  stage.dir = self.dir .. "/" .. stage.folder
  self:adopt(stage)
  local manifest = decode_file(manifest_path(stage))
  local forced = self.from_index and stage.index >= self.from_index
  local redone, waiting = false, false
  for _, maker in ipairs(self:upstream(stage)) do
    redone, waiting = redone or maker.redo, waiting or not maker.done
  end
  local other = self.only_index and stage.index ~= self.only_index
  if other then forced, redone, waiting = false, false, false end
  local same = manifest and manifest.key == stage.key
  if same and stage.module.outputs and not other then
    local path, matter = self:lost_output(stage, manifest)
    if path then
      forced = true
      self.progress:line(("%s is %s: %s is done again."):format(path, matter, stage.name))
    end
  end
  local transient = same and not other and (manifest.transient or 0) > 0
  stage.has_manifest = same
  if same and not (forced or redone or transient) then
    if waiting then
      stage.pending = manifest
    elseif other or manifest.basis == self:basis(stage) then
      self:accept(stage, manifest)
    else
      stage.fresh, stage.redo = true, true
    end
    return
  end
  stage.fresh = forced or redone
  stage.redo = stage.fresh or same == false
  stage.retry_transient = transient and not stage.fresh
end

-- Before a finished stage is changed: readers of it that are half done, in the way of streams, begin anew.
function Run:unsettle(stage)
  for _, reader in ipairs(self.plan.stages) do
    if reader.kind == "map" and not reader.has_manifest and reader.index ~= stage.index then
      for _, maker in ipairs(self:upstream(reader)) do
        if maker == stage then
          must(file.remove_tree(reader.dir .. "/key"))
          self:unsettle(reader)
        end
      end
    end
  end
end

-- A finished stage whose makers had work to do: when they give what they gave before, it stays.
function Run:settle_pending(stage)
  for _, maker in ipairs(self:upstream(stage)) do
    if not maker.done then return false end
  end
  if stage.pending.basis == self:basis(stage) then
    self:accept(stage, stage.pending)
  else
    stage.fresh = true
    self:unsettle(stage)
  end
  stage.pending = nil
  return true
end

-- Removes parts that hold transient rejections, so that they are made again.
local function drop_transient(stage)
  for n = 0, math.huge do
    local main, rejected = parts.paths(stage.dir, n)
    if not file.stat(main) then return end
    local text = file.stat(rejected) and file.read(rejected) or ""
    if text:find('"transient"', 1, true) then file.remove_tree(main) end
  end
end

-- Removes what a writer that was killed left behind.
local function sweep(dir)
  for _, entry in ipairs(file.list(dir) or {}) do
    if entry.name:find "%.tmp%-%d+%-%d+$" then file.remove_tree(dir .. "/" .. entry.name) end
  end
end

-- Makes the stage's folder fit for work: emptied when it was made for another key.
function Run:prepare(stage)
  if stage.prepared then return end
  stage.prepared = true
  local key_path = stage.dir .. "/key"
  local old = file.stat(key_path) and file.read(key_path)
  self:remove_renumbered(stage)
  if old ~= stage.key or stage.fresh then
    must(file.remove_tree(stage.dir))
    must(file.mkdirs(stage.dir))
    must(file.write(key_path, stage.key))
  else
    if stage.retry_transient then drop_transient(stage) end
    must(file.remove_tree(manifest_path(stage)))
    sweep(stage.dir)
  end
  if stage.items then
    local lines = {}
    for i, item in ipairs(stage.items) do lines[i] = json.encode(item) end
    must(file.write(stage.dir .. "/items.jsonl", table.concat(lines, "\n") .. (lines[1] and "\n" or "")))
    must(file.write(stage.dir .. "/inputs.json", json.encode(stage.inputs)))
  end
  stage.began = clock.now()
end

-- ---- inputs and groups ----

-- The part files that a stage's readers read: its own, or for an artifact those it passes through.
-- Gives a list in order, and whether it is complete.
function Run:outputs(index)
  if not index then
    return self.plan.input and { self.plan.input } or {}, true
  end
  local stage = self.plan.stages[index]
  if stage.kind == "artifact" then
    local list, ended = self:outputs(stage.from)
    return list, ended
  end
  -- asked at every step of the loop: the list is kept, and follows the number of parts
  local list = stage.part_list or {}
  stage.part_list = list
  local count = stage.done and stage.manifest.parts or stage.ready or 0
  for n = #list, count - 1 do list[n + 1] = parts.paths(stage.dir, n) end
  for n = #list, count + 1, -1 do list[n] = nil end
  return list, stage.done == true
end

local function close_group(stage, open)
  stage.groups[#stage.groups + 1] = { ranges = open.ranges }
  stage.open = { ranges = {}, records = 0, bytes = 0 }
end

-- A source's items are cut by number and by the size of what they name.
local function cut_items(stage)
  local path, at = stage.dir .. "/items.jsonl", 0
  local from, records, bytes = 0, 0, 0
  stage.groups = {}
  for _, item in ipairs(stage.items) do
    at = at + #json.encode(item) + 1
    records, bytes = records + 1, bytes + (item.bytes or 0)
    if records >= PART_RECORDS or bytes >= PART_BYTES then
      stage.groups[#stage.groups + 1] = { ranges = { { path, from, at } } }
      from, records, bytes = at, 0, 0
    end
  end
  if records > 0 then stage.groups[#stage.groups + 1] = { ranges = { { path, from, at } } } end
  stage.records_in = #stage.items
  stage.cut_done = true
end

local function cut_file(stage, path)
  local open = stage.open
  local cut = must(file.cut(path, { max_records = PART_RECORDS, max_bytes = PART_BYTES,
    records = open.records, bytes = open.bytes }))
  local from, line = 0, 0
  for i = 1, #cut.boundaries, 2 do
    open.ranges[#open.ranges + 1] = { path, from, cut.boundaries[i], line }
    close_group(stage, open)
    open, from, line = stage.open, cut.boundaries[i], cut.boundaries[i + 1]
  end
  if from < cut.size then open.ranges[#open.ranges + 1] = { path, from, cut.size, line } end
  open.records, open.bytes = cut.records, cut.bytes
  stage.records_in = stage.records_in + cut.total
end

-- Takes in the parts of the predecessor that have appeared since the last look.
function Run:cut(stage)
  if stage.cut_done then return end
  if not stage.groups then
    stage.groups, stage.open, stage.taken, stage.records_in = {}, { ranges = {}, records = 0, bytes = 0 }, 0, 0
    stage.sent, stage.ready = 0, 0
  end
  if stage.source then
    cut_items(stage)
    return
  end
  local list, ended = self:outputs(stage.from)
  if not self.stream and not ended then return end
  for i = stage.taken + 1, #list do cut_file(stage, list[i]) end
  stage.taken = #list
  if ended then
    if #stage.open.ranges > 0 then close_group(stage, stage.open) end
    stage.cut_done = true
  end
end

-- ---- finishing a stage ----

-- What a part has, from its files: for parts that an earlier run made, and those of barriers.
local function count_part(stage, n)
  local main, rejected_path = parts.paths(stage.dir, n)
  local counts = { records_out = must(file.cut(main, {})).total, rejected = 0, reasons = {} }
  if file.stat(rejected_path).size > 0 then
    for line in file.lines(rejected_path) do
      local reason = json.record(line).reason
      counts.rejected = counts.rejected + 1
      counts.reasons[reason] = (counts.reasons[reason] or 0) + 1
    end
  end
  return counts
end

local function tally(stage, count)
  local out, rejected, reasons = 0, 0, {}
  for n = 0, count - 1 do
    local group = stage.groups and stage.groups[n + 1]
    local counts = group and group.counts or count_part(stage, n)
    out, rejected = out + counts.records_out, rejected + counts.rejected
    for reason, times in pairs(counts.reasons) do reasons[reason] = (reasons[reason] or 0) + times end
  end
  return out, rejected, reasons, reasons.transient or 0
end

-- The sums of what ctx.count counted: of a map stage from the files beside its parts, else as counted here.
local function summed_counts(stage, parts_done, counted)
  local sums = counted or {}
  for n = 0, stage.kind == "map" and parts_done - 1 or -1 do
    local _, _, base = parts.paths(stage.dir, n)
    for rule, count in pairs(decode_file(base .. ".counts.jsonl") or {}) do sums[rule] = (sums[rule] or 0) + count end
  end
  return next(sums) and sums or nil
end

local function reasons_text(reasons)
  local why = {}
  for _, reason in ipairs(require("lathe.config").names(reasons)) do
    why[#why + 1] = reasons[reason] .. " " .. reason
  end
  return table.concat(why, ", ")
end

-- A source that gave nothing but rejections has failed: stages after it would only say so in other words.
function Run:refuse_nothing(stage, out, rejected, reasons)
  if not stage.source or out > 0 or rejected == 0 then return end
  pcall(self.join_rejected, self)
  self.refused = true
  local first
  for n = 0, #stage.groups - 1 do
    local _, path = parts.paths(stage.dir, n)
    local line = must(file.lines(path))()
    if line then
      first = json.record(line).detail
      break
    end
  end
  raise("failed", "stage %s: nothing could be read: %s rejected (%s)%s; all are in %s", stage.name,
    progress.count(rejected), reasons_text(reasons), first and ", the first: " .. tostring(first) or "",
    self.rejected_path or self.dir .. "/rejected.jsonl")
end

function Run:finish(stage, more)
  local count = stage.kind == "map" and #stage.groups or more.parts or 0
  local out, rejected, reasons, transient = tally(stage, count)
  self:refuse_nothing(stage, out, rejected, reasons)
  local sums = summed_counts(stage, count, more.counts)
  local facts = more.facts or sums and {} or nil
  if sums then facts.counts = sums end
  local manifest = { stage = stage.stage, name = stage.name, key = stage.key,
    version = stage.module.version or 1, lathe = self.version, parts = count,
    records_in = stage.records_in or 0, records_out = out, rejected = rejected, reasons = reasons,
    basis = self:basis(stage), transient = transient, artifact = stage.publishes, facts = facts,
    seconds = math.floor((stage.work_seconds or clock.now() - stage.began) * 1000 + 0.5) / 1000 }
  must(file.write(manifest_path(stage), json.encode(manifest, { indent = 2, sort = true }) .. "\n"))
  stage.manifest, stage.done = manifest, true
  must(file.remove_tree(stage.dir .. "/scratch")) -- only now: until the manifest stands, checkpoints count
  self.log:event("info", "stage", "finished", { stage = stage.name, duration_ms = math.floor(manifest.seconds * 1000),
    records_in = manifest.records_in, records_out = out, rejected = rejected, counts = sums })
  self.progress:line(self:stage_line(stage))
end

function Run:label(stage)
  return ("[%2d/%d] %s"):format(stage.index, #self.plan.stages, stage.name)
end

function Run:stage_line(stage)
  local m = stage.manifest
  local text
  if stage.kind == "artifact" then
    text = ("%s records read, made %s"):format(progress.count(m.records_in), m.artifact)
  else
    text = ("%s in, %s out"):format(progress.count(m.records_in), progress.count(m.records_out))
  end
  if m.rejected > 0 then
    text = text .. (", %s rejected (%s)"):format(progress.count(m.rejected), reasons_text(m.reasons))
    if self.rejected_path then text = ("%s, in %s"):format(text, self.rejected_path) end
  end
  return ("%-24s %s  %s"):format(self:label(stage), text, progress.duration(m.seconds))
end

-- ---- map stages ----

function Run:artifact_paths(stage)
  local paths = {}
  for name, folder in pairs(self.plan.given) do paths[name] = folder end
  for name, maker in pairs(stage.uses) do
    if maker > 0 then paths[name] = self.plan.stages[maker].dir .. "/" .. name end
  end
  return paths
end

function Run:artifacts_ready(stage)
  for _, index in pairs(stage.reads) do
    local records = planner.records_of(self.plan, index)
    if records and not records.done then return false end
  end
  for _, maker in pairs(stage.uses) do
    if maker > 0 and not self.plan.stages[maker].done then return false end
  end
  return true
end

function Run:job(stage, n)
  return { stage = stage.index, part = n, dir = stage.dir, ranges = stage.groups[n + 1].ranges,
    artifacts = self:artifact_paths(stage), seed = self.plan.seed, root = self.plan.root,
    memory = self.worker_memory, recipe = self.plan.name }
end

function Run:open_workers()
  if self.workers or not self.setup then return end
  self.workers = must(worker.open { threads = self.worker_threads, module = "lathe.worker",
    setup = json.encode(self.setup), memory = self.worker_memory })
end

function Run:settle(stage, n, reply, milliseconds)
  local group = stage.groups[n + 1]
  if reply.error then
    self.failures[#self.failures + 1] = { stage = stage.index, part = n, problem = reply.error }
    return
  end
  if reply.retry then
    group.state = "after"
    return
  end
  group.state, group.counts = "done", reply.reasons and reply or nil
  for _, entry in ipairs(reply.logs or {}) do
    self.log:event(entry.level, stage.name, entry.message, entry.fields)
  end
  stage.work_seconds = (stage.work_seconds or 0) + (reply.seconds or 0)
  self.log:event("debug", "part", "finished", { stage = stage.name, part = n,
    duration_ms = milliseconds, records_in = reply.records_in, records_out = reply.records_out,
    rejected = reply.rejected })
  stage.settled = (stage.settled or 0) + reply.records_in
  self.progress:update(self:label(stage), stage.settled, stage.cut_done and stage.records_in or nil, "records")
end

function Run:send(stage, n)
  local job = self:job(stage, n)
  self.next_id = self.next_id + 1
  stage.groups[n + 1].state = "sent"
  if not self.setup then -- stages without a file run here
    local began = clock.now()
    self:settle(stage, n, parts.run(stage, job), math.floor((clock.now() - began) * 1000))
    return
  end
  self:open_workers()
  self.flying[self.next_id] = { stage = stage, part = n, began = clock.now() }
  self.in_flight = self.in_flight + 1
  self.workers:submit(self.next_id, json.encode(job))
end

-- Counts the parts that are done from the front.
local function settle_front(stage)
  while stage.ready < #stage.groups and stage.groups[stage.ready + 1].state == "done" do
    stage.ready = stage.ready + 1
  end
end

-- Finds one more group of this stage to be sent; parts that exist are done.
function Run:next_group(stage)
  for n = stage.ready, #stage.groups - 1 do
    local group = stage.groups[n + 1]
    if not group.state and file.stat((parts.paths(stage.dir, n))) then group.state = "done" end
    local free = not group.state
      or group.state == "after" and (n == 0 or stage.groups[n].state == "done")
    if free then return n end
    if n - stage.ready > 4 * self.threads then return nil end
  end
end

function Run:advance_map(stage)
  if not self:artifacts_ready(stage) then return false end
  if not stage.source then
    local list, ended = self:outputs(stage.from)
    if #list == 0 and not ended then return false end
    if not self.stream and not ended then return false end
  end
  self:prepare(stage)
  if not stage.cut_done then self:cut(stage) end
  stage.ready = stage.ready or 0
  settle_front(stage) -- before: how far ahead a part may be sent is counted from there
  local moved = false
  while self.in_flight < 2 * self.threads and #self.failures == 0 do
    local n = self:next_group(stage)
    if not n then break end
    self:send(stage, n)
    moved = true
  end
  settle_front(stage)
  if stage.cut_done and stage.ready == #stage.groups then
    self:finish(stage, {})
    moved = true
  end
  return moved
end

-- ---- barriers and artifacts ----

local Input = {}
Input.__index = Input

--- The files that hold the input, in order.
function Input:paths() return self.list end

--- Iterates over the records of the input, in order.
function Input:records()
  return coroutine.wrap(function()
    for _, path in ipairs(self.list) do
      for line, number in must(file.lines(path, { records = true })) do
        if line then
          local record, message = json.record(line)
          if not record then raise("format", "%s:%d: %s", path, number, message) end
          coroutine.yield(record)
        end
      end
    end
  end)
end

local PartsWriter = {}
PartsWriter.__index = PartsWriter
PartsWriter.__close = function(self)
  if self.out then self.out:close() end
  if self.reject_out then self.reject_out:close() end
end

function PartsWriter:begin()
  if self.out then return end
  local main, rejected = parts.paths(self.dir, self.count)
  self.out = must(file.replace(main))
  self.reject_out = must(file.replace(rejected))
  self.records = 0
end

function PartsWriter:finish()
  if not self.out then return end
  must(self.reject_out:commit())
  must(self.out:commit())
  self.out, self.reject_out = nil, nil
  self.count = self.count + 1
end

function PartsWriter:put(path, ...)
  self:begin()
  must((path == "rejected" and self.reject_out or self.out):write(...))
end

function PartsWriter:emit(record)
  self:put("main", json.encode(record), "\n")
  self.records = self.records + 1
  if self.records >= PART_RECORDS or self.out:size() >= PART_BYTES then self:finish() end
end

-- What the stages before this one have done: for those who tell it.
function Run:history(stage)
  local list = {}
  for i = 1, stage.index - 1 do
    local s = self.plan.stages[i]
    local m = s.manifest
    if m then
      list[#list + 1] = { name = s.name, stage = s.stage, options = s.options, specs = s.module.options,
        records_in = m.records_in,
        records_out = s.kind == "artifact" and m.records_in or m.records_out, rejected = m.rejected, reasons = m.reasons }
    end
  end
  return list
end

function Run:context(stage, out)
  local counts = { rejected = 0, transient = 0 }
  stage.counted = counts
  local ctx = parts.context(stage, { artifacts = self:artifact_paths(stage), root = self.plan.root,
    seed = self.plan.seed, memory = self.main_memory, threads = self.threads, dir = stage.dir,
    scratch = stage.dir .. "/scratch", recipe = self.plan.name, part = 0 }, counts, out)
  ctx.progress = function(done, total, unit, note)
    self.progress:update(self:label(stage), done, total, unit, note)
  end
  ctx.reads = {}
  for label, index in pairs(stage.reads) do
    ctx.reads[label] = setmetatable({ list = (self:outputs(index)) }, Input)
  end
  ctx.log = function(level, message, fields) self.log:event(level, stage.name, message, fields) end
  ctx.say = function(text) self.progress:line(text) end
  ctx.version, ctx.run_dir = self.version, self.dir
  ctx.history = function() return self:history(stage) end
  return ctx
end

local function checked_call(stage, f, ...)
  local result = table.pack(xpcall(f, function(problem)
    if type(problem) == "table" then return problem end
    if os.getenv "LATHE_TRACEBACK" then return debug.traceback(problem, 2) end
    return problem
  end, ...))
  local fine, value, message, code = table.unpack(result, 1, 4)
  if not fine then
    if type(value) == "table" then
      raise(value.code or "failed", "stage %s: %s", stage.name, value.message or "failed")
    end
    raise("failed", "stage %s: %s", stage.name, tostring(value))
  end
  if value == nil and message then raise(code or "failed", "stage %s: %s", stage.name, message) end
  return value
end

function Run:barrier(stage, input)
  local out <close> = setmetatable({ dir = stage.dir, count = 0, rejected = "rejected" }, PartsWriter)
  local ctx = self:context(stage, out)
  ctx.dir = stage.dir
  local facts = checked_call(stage, stage.module.all, input, ctx, function(record) out:emit(record) end)
  if worker.cancelled() then interrupted() end
  out:finish()
  return { parts = out.count, facts = type(facts) == "table" and facts or nil, counts = stage.counted.counts }
end

function Run:artifact(stage, input)
  local final = stage.dir .. "/" .. stage.publishes
  local temporary = final .. ".tmp"
  must(file.remove_tree(temporary))
  must(file.remove_tree(final))
  must(file.mkdirs(temporary))
  must(file.mkdirs(stage.dir .. "/scratch"))
  local out <close> = setmetatable({ dir = stage.dir, count = 0, rejected = "rejected" }, PartsWriter)
  local ctx = self:context(stage, out)
  ctx.dir = temporary
  local facts = checked_call(stage, stage.module.make, input, ctx)
  out:finish()
  if worker.cancelled() then interrupted() end
  must(file.rename(temporary, final))
  return { parts = out.count, facts = type(facts) == "table" and facts or nil, counts = stage.counted.counts }
end

function Run:advance_whole(stage)
  local list, ended = self:outputs(stage.from)
  if not ended or not self:artifacts_ready(stage) then return false end
  self:prepare(stage)
  self.log:event("info", "stage", "started", { stage = stage.name })
  if stage.kind == "barrier" then -- a barrier begins anew: its parts mean nothing without the last one
    for n = 0, math.huge do
      local main, rejected = parts.paths(stage.dir, n)
      if not file.stat(main) and not file.stat(rejected) then break end
      file.remove_tree(main)
      file.remove_tree(rejected)
    end
  end
  local records, maker = 0, planner.records_of(self.plan, stage.from)
  if maker then
    records = maker.manifest.records_out
  else
    for _, path in ipairs(list) do records = records + must(file.cut(path, {})).total end
  end
  stage.records_in = records
  self.progress:update(self:label(stage), 0, nil, "")
  local input = setmetatable({ list = list, count = records }, Input)
  local more = stage.kind == "barrier" and self:barrier(stage, input) or self:artifact(stage, input)
  self:finish(stage, more)
  return true
end

-- ---- the loop ----

function Run:take_reply(seconds)
  local id, fine, text = self.workers:wait(seconds)
  if not id then return end
  local job = self.flying[id]
  self.flying[id] = nil
  self.in_flight = self.in_flight - 1
  local reply = fine and json.decode(text) or { error = { code = "failed", message = text } }
  self:settle(job.stage, job.part, reply, math.floor((clock.now() - job.began) * 1000))
end

-- The failure at the lowest position of the input is the one that is reported.
function Run:check_failures()
  if #self.failures == 0 or self.in_flight > 0 then return end
  table.sort(self.failures, function(a, b)
    if a.stage ~= b.stage then return a.stage < b.stage end
    return a.part < b.part
  end)
  error(self.failures[1].problem, 0)
end

function Run:selected(stage)
  return not stage.done and not stage.pending and (not self.only_index or stage.index == self.only_index)
end

function Run:step()
  local moved = false
  for _, stage in ipairs(self.plan.stages) do
    if stage.pending then moved = self:settle_pending(stage) or moved end
  end
  for i = #self.plan.stages, 1, -1 do
    local stage = self.plan.stages[i]
    if self:selected(stage) and stage.kind == "map" then
      moved = self:advance_map(stage) or moved
    end
  end
  if #self.failures == 0 then
    for _, stage in ipairs(self.plan.stages) do
      if self:selected(stage) and stage.kind ~= "map" and self:advance_whole(stage) then return true end
    end
  end
  return moved
end

function Run:loop()
  while true do
    if worker.cancelled() then interrupted() end
    local moved = self:step()
    if self.in_flight > 0 then
      self:take_reply(moved and 0 or 1)
    elseif not moved then
      self:check_failures()
      local left
      for _, stage in ipairs(self.plan.stages) do
        left = left or (stage.pending or self:selected(stage)) and stage
      end
      if not left then return end
      raise("failed", "stage %s cannot start: an earlier stage has not been run", left.name)
    end
    self:check_failures()
  end
end

-- ---- the run as a whole ----

-- All rejected records as one file; of a run that failed those of the stages that are done.
function Run:join_rejected(only_done)
  local w <close> = must(file.replace(self.dir .. "/rejected.jsonl", false))
  for _, stage in ipairs(self.plan.stages) do
    local n = 0
    while stage.done or not only_done do
      local _, rejected = parts.paths(stage.dir, n)
      local info = file.stat(rejected)
      if not info then break end
      if info.size > 0 then must(w:append(rejected)) end
      n = n + 1
    end
  end
  must(w:commit())
end

local function index_of(plan, name, option)
  if not name then return nil end
  local stage = plan.by_name[name]
  if not stage then
    local names = {}
    for i, s in ipairs(plan.stages) do names[i] = s.name end
    raise("misuse", "%s: %s", option, require("lathe.config").unknown("stage", name, names))
  end
  return stage.index
end

local function new_run(recipe, options)
  local root = options.root or "."
  local search = options.search or planner.search_path(root, "stages")
  local given = { set = options.set, root = root, path = options.path, search = search,
    input = options.input, artifacts = options.artifacts, single = options.single }
  local plan = planner.resolve(recipe, given)
  local memory = options.memory or clock.total_memory() // 2
  local threads = options.threads or 1
  local workers = math.max(1, math.min(threads, memory // 2 // WORKER_LEAST))
  local self = setmetatable({ plan = plan, dir = options.dir or ("%s/%s"):format(options.runs or "runs", plan.name),
    threads = threads, memory = memory, worker_memory = memory // 2 // workers, main_memory = memory // 2,
    worker_threads = workers, rejected_path = options.rejected,
    stream = options.stream ~= false, version = options.version, flying = {}, in_flight = 0, next_id = 0,
    failures = {}, folders = {}, progress = options.progress or progress.new { quiet = true } }, Run)
  if options.path or options.single then
    self.setup = given
    self.setup.fingerprint = plan.fingerprint
  end
  self.from_index = index_of(plan, options.from, "--from")
  self.only_index = index_of(plan, options.only, "--only")
  for _, stage in ipairs(plan.stages) do self.folders[stage.folder] = true end
  return self
end

function Run:look_at_all()
  planner.keys(self.plan, self.dir)
  for _, stage in ipairs(self.plan.stages) do self:look(stage) end
end

-- Says how much of the run is there already.
function Run:tell_done()
  local done, all = 0, #self.plan.stages
  for _, stage in ipairs(self.plan.stages) do if stage.done then done = done + 1 end end
  if done == all then
    self.progress:line "Everything was done before."
  elseif done > 0 then
    self.progress:line(("%d of %d stages were done before."):format(done, all))
  end
end

--- What a run would do, without doing it.
-- @param recipe recipe: what planner.load gave
-- @param options table: as for run
-- @return run: with run.plan.stages, each with done, key, dir, options
function M.plan(recipe, options)
  local self = new_run(recipe, options)
  self:look_at_all()
  return self
end

--- Runs a recipe to its end, or on from where it was stopped.
-- @param recipe recipe: from lathe.recipe
-- @param options table: { path, root, set, from, only, threads, memory, runs, dir, stream, log_files,
--   log_level, progress, version, input, artifacts }
-- @return run: the finished run, with manifests
-- @error cancelled (Ctrl-C), misuse, and whatever a stage failed with
function M.run(recipe, options)
  local self
  local fine, problem = pcall(function()
    self = new_run(recipe, options)
    must(file.mkdirs(self.dir))
    self.lock = must(file.lock(self.dir .. "/lock"))
    sweep(self.dir)
    local files = { self.dir .. "/events.jsonl" }
    if options.log_file then
      must(file.append(options.log_file, "")) -- now: later on what cannot be written there is not worth stopping for
      files[2] = options.log_file
    end
    self.log = require("lathe.log").new { level = options.log_level, files = files }
    self.log.progress = self.progress
    -- kernels' threads wait by spinning: more of them than processors only take turns
    worker.set_threads(math.min(self.threads, worker.processors()))
    self:look_at_all()
    for _, stage in ipairs(self.plan.stages) do
      if stage.retry_transient then self:unsettle(stage) end
    end
    self:tell_done()
    local began = clock.now()
    self.log:event("info", "run", "started", { recipe = self.plan.name, threads = self.threads,
      memory = self.memory, stages = #self.plan.stages })
    self:loop()
    if not options.single then self:join_rejected() end -- a single stage's are joined at their place
    if not options.single then must(require("lathe.report_page").write(self)) end
    self.log:event("info", "run", "finished", { recipe = self.plan.name,
      duration_ms = math.floor((clock.now() - began) * 1000) })
  end)
  if self and self.workers then self.workers:close() end
  if self then self.progress:clear() end
  if not fine then
    if type(problem) ~= "table" then problem = { code = "failed", message = tostring(problem) } end
    if worker.cancelled() then problem = { code = "cancelled", message = "interrupted" } end
    if self and self.log then
      self.log.level = math.huge -- the caller tells the user
      pcall(self.log.event, self.log, "error", "run", problem.code or "failed", { message = problem.message })
      if not options.single and not self.refused then pcall(self.join_rejected, self, true) end
    end
  end
  if self and self.lock then self.lock:close() end
  if not fine then return nil, problem.message, problem.code or "failed" end
  return self
end

return M
