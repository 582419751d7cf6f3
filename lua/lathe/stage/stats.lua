-- SPDX-License-Identifier: MIT
-- stats: what the records are like. They pass through; the statistics go to a folder:
--
--   stats/stats.json      every number, and the bins of the histograms
--   stats/report.html     the same with plots, in one file that needs nothing else
--
-- and a summary is printed when the run ends.

local file = require "engine.file"
local json = require "engine.json"
local named_tokenizer = require "lathe.named_tokenizer"
local statistics = require "lathe.statistics"

local M = {
  name = "stats",
  version = 1,
  kind = "artifact",
  publishes = "stats",
  summary = "Counts records, lengths, vocabulary, openings and duplicates; writes stats.json and report.html.",
  options = {
    field = { type = "string", help = "the field to look at (default: every field that holds a record's words)" },
    tokenizer = named_tokenizer.option("to count tokens"),
    by = { type = "table|string", help = "fields to tell records apart by (default: source, metadata.split, metadata.type, "
      .. "metadata.language, metadata.programming_language)" },
    samples = { type = "integer", default = 5, min = 0, max = 100, help = "records that report.html shows" },
  },
  positional = { "field" },
}

--- Which artifacts the options need.
function M.uses(options) return named_tokenizer.uses(options.tokenizer) end

--- What the numbers depend on besides the options: the tokenizer's file, where it is a path.
function M.hashes(options) return named_tokenizer.hashes(options.tokenizer) end

-- Keeps n records of all, each with the same chance, chosen by the seed (algorithm R of Vitter, 1985).
local function sampler(n, rng)
  local kept, seen = {}, 0
  return kept, function(record)
    seen = seen + 1
    if n == 0 then return end
    local at = seen <= n and seen or rng:integer(1, seen)
    if at <= n then kept[at] = { number = seen, text = json.encode(record) } end
  end
end

local function open_tokenizer(ctx)
  if not ctx.options.tokenizer then return nil end
  local tok, message, code = named_tokenizer.load(ctx, ctx.options.tokenizer)
  if not tok then error({ message = message, code = code }, 0) end
  return tok
end

--- Looks at all records.
-- @param input table: input:records()
-- @param ctx table: the stage's context
-- @return table: facts, with the summary as `report`
-- @error not_found (the tokenizer), io, cancelled
function M.make(input, ctx)
  local by = ctx.options.by
  if type(by) == "string" then by = { by } end
  local s = statistics.new { field = ctx.options.field, tokenizer = open_tokenizer(ctx), groups = by,
    memory = ctx.memory and ctx.memory // 2 }
  local kept, offer = sampler(ctx.options.samples, require("engine.hash").rng(ctx.seed or 0, "stats"))
  for record in input:records() do
    s:add(record)
    offer(record)
    if s.records % 1000 == 0 then ctx.progress(s.records, input.count, "records") end
  end
  table.sort(kept, function(a, b) return a.number < b.number end)
  local result = s:result()
  local done, message, code = file.write(ctx.dir .. "/stats.json", json.encode(result, { indent = 2, sort = true }) .. "\n")
  if done then
    local page = require("lathe.report_page").statistics(result, kept, ctx.recipe)
    done, message, code = file.write(ctx.dir .. "/report.html", page)
  end
  if not done then return nil, message, code end
  return { report = statistics.text(result), records = result.records, characters = result.characters.total,
    words = result.words.total, tokens = result.tokens and result.tokens.total or nil }
end

return M
