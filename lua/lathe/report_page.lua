-- SPDX-License-Identifier: MIT
-- report.html: a run, or the statistics of a dataset, as one page that needs nothing else: no script, no font,
-- no picture from elsewhere. Written after every run to runs/NAME/report.html, and by the stage stats.

local file = require "engine.file"
local json = require "engine.json"
local plot = require "lathe.plot"
local progress = require "lathe.progress"
local statistics = require "lathe.statistics"

local M = {}

local escape, number = plot.escape, statistics.number
local SAMPLE_CHARACTERS, REASON_SAMPLES = 1200, 3
local LOG_POINTS = 600

local STYLE = [[
:root { --ink: #1d2329; --dim: #65707b; --line: #d9dee3; --paper: #ffffff; --tint: #f4f6f8;
  --bar: #3b74b8;
  --rest: #a9bfdc; --warn: #b3541e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e2e6ea; --dim: #98a3ae; --line: #373f47; --paper: #171b1f; --tint: #20262b; --bar: #6ea5e6;
    --rest: #3f5a7c; --warn: #e39a6b; }
}
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 2rem 1.2rem 4rem; max-width: 62rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; } h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p, .dim { color: var(--dim); } p { margin: .3rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .28rem .6rem; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--dim); font-weight: 500; } th:first-child, td:first-child, td.left, th.left { text-align: left; }
td.wrap { white-space: normal; } .scroll { overflow-x: auto; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.2rem; }
.plot { width: 100%; height: auto; } .plot text { fill: var(--dim); font-size: 11px; } .plot .label { font-size: 12px; }
.bar { fill: var(--bar); } .bar.rest { fill: var(--rest); } .grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; stroke: var(--bar); } .line.c2 { stroke: var(--warn); } .line.c3 { stroke: var(--dim); }
.meter { display: inline-block; width: 7rem; height: .6rem; background: var(--tint); border-radius: .3rem; overflow: hidden;
  vertical-align: middle; }
.meter i { display: block; height: 100%; background: var(--bar); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .8rem; margin: 1rem 0; }
.tile { background: var(--tint); border-radius: .5rem; padding: .7rem .9rem; } .tile b { display: block; font-size: 1.35rem; font-weight: 600; }
pre { background: var(--tint); border-radius: .5rem; padding: .7rem .9rem; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; font-size: 13px; margin: .4rem 0; }
summary { cursor: pointer; } .warn { color: var(--warn); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .4rem 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
]]

local function page(title, body)
  return ('<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    .. '<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>%s</title>\n<style>\n%s</style>\n</head>\n'
    .. "<body>\n%s\n</body>\n</html>\n"):format(escape(title), STYLE, table.concat(body, "\n"))
end

local function row(cells, tag)
  local out = {}
  for i, cell in ipairs(cells) do out[i] = ("<%s>%s</%s>"):format(tag or "td", cell, (tag or "td"):match "^%w+") end
  return "<tr>" .. table.concat(out) .. "</tr>"
end

local function html_table(head, rows)
  local out = { '<div class="scroll"><table>', "<thead>" .. row(head, "th") .. "</thead><tbody>" }
  for _, cells in ipairs(rows) do out[#out + 1] = row(cells) end
  out[#out + 1] = "</tbody></table></div>"
  return table.concat(out, "\n")
end

local function meter(share)
  return ('<span class="meter"><i style="width:%.1f%%"></i></span>'):format(100 * math.max(0, math.min(1, share)))
end

local function tiles(list)
  local out = { '<div class="tiles">' }
  for _, t in ipairs(list) do out[#out + 1] = ('<div class="tile"><b>%s</b>%s</div>'):format(escape(t[2]), escape(t[1])) end
  out[#out + 1] = "</div>"
  return table.concat(out, "\n")
end

-- ---- statistics ----

local function length_rows(result)
  local rows = {}
  local function add(name, l)
    local p = l.percentiles
    rows[#rows + 1] = { escape(name), number(l.mean), number(l.least), number(p.p5), number(p.p25), number(p.p50), number(p.p75),
      number(p.p95), number(p.p99), number(l.greatest), number(l.total) }
  end
  add("characters", result.characters)
  add("words", result.words)
  if result.tokens then add("tokens", result.tokens) end
  if #result.fields > 1 then
    for _, f in ipairs(result.fields) do
      add(f.name .. ", characters", f.characters)
      if f.tokens then add(f.name .. ", tokens", f.tokens) end
    end
  end
  return rows
end

local function top_rows(entries, total)
  local rows = {}
  for i, e in ipairs(entries) do
    if i > 15 then break end
    rows[i] = { "<code>" .. escape(statistics.shown(e.text, 60)) .. "</code>", number(e.count),
      meter(e.count / math.max(1, entries[1].count)), ("%.2f %%"):format(100 * e.count / math.max(1, total)) }
  end
  return rows
end

local function at_least(c) return (c.complete and "" or "at least ") .. number(c.distinct) end

local function statistics_body(result)
  local d = result.duplicates
  local list = { { "records", number(result.records) }, { "characters", plot.short(result.characters.total) },
    { "words", plot.short(result.words.total) } }
  if result.tokens then list[#list + 1] = { "tokens", plot.short(result.tokens.total) } end
  list[#list + 1] = { "distinct words", at_least(result.vocabulary) }
  list[#list + 1] = { "distinct openings", at_least(result.openings) }
  list[#list + 1] = { "repeated records", d.complete and number(d.records) or "not known" }
  if result.empty > 0 then list[#list + 1] = { "empty records", number(result.empty) } end
  local out = { tiles(list), "<h3>Lengths</h3>",
    html_table({ "", "mean", "least", "5 %", "25 %", "median", "75 %", "95 %", "99 %", "greatest", "total" }, length_rows(result)),
    '<div class="plots">', plot.histogram(result.characters.histogram, "characters a record"),
    plot.histogram(result.words.histogram, "words a record") }
  if result.tokens then out[#out + 1] = plot.histogram(result.tokens.histogram, "tokens a record") end
  if #result.fields > 1 then
    for _, f in ipairs(result.fields) do
      out[#out + 1] = plot.histogram(f.characters.histogram, f.name .. ", characters")
    end
  end
  out[#out + 1] = "</div>"
  for _, name in ipairs(require("lathe.config").names(result.groups)) do
    local rows = {}
    for i, g in ipairs(result.groups[name]) do
      rows[i] = { escape(statistics.shown(g.name, 80)), number(g.records), meter(g.records / math.max(1, result.records)),
        ("%.1f %%"):format(100 * g.records / math.max(1, result.records)), number(g.characters), number(g.words),
        result.tokens and number(g.tokens) or nil }
    end
    out[#out + 1] = ("<h3>By %s</h3>"):format(escape(name))
    out[#out + 1] = html_table({ escape(name), "records", "", "share", "characters", "words", result.tokens and "tokens" or nil }, rows)
  end
  out[#out + 1] = '<div class="plots"><div><h3>Most frequent words</h3>'
    .. html_table({ "word", "times", "", "share" }, top_rows(result.vocabulary.top, result.vocabulary.total))
    .. "</div><div><h3>Most frequent openings</h3>"
    .. html_table({ "first 10 characters", "times", "", "share" }, top_rows(result.openings.top, result.openings.total)) .. "</div></div>"
  return table.concat(out, "\n")
end

-- ---- records ----

local function cut(s, most)
  if #s <= most then return s end
  local stop = most
  while stop > 0 and (s:byte(stop + 1) or 0) & 0xC0 == 0x80 do stop = stop - 1 end
  return s:sub(1, stop) .. " …"
end

-- A record as a list of its fields.
local function record_html(text)
  local record = json.decode(text)
  if type(record) ~= "table" then return "<pre>" .. escape(cut(text, SAMPLE_CHARACTERS)) .. "</pre>" end
  local out = {}
  for _, name in ipairs(require("lathe.config").names(record)) do
    local value = record[name]
    local shown = type(value) == "string" and value or json.encode(value)
    if #shown > 80 or shown:find "\n" then
      out[#out + 1] = ("<dt>%s</dt><dd><pre>%s</pre></dd>"):format(escape(name), escape(cut(shown, SAMPLE_CHARACTERS)))
    else
      out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(escape(name), escape(shown))
    end
  end
  return "<dl>" .. table.concat(out, "\n") .. "</dl>"
end

local function samples_body(samples)
  local out = {}
  for i, sample in ipairs(samples) do
    out[i] = ("<details%s><summary>record %s</summary>%s</details>"):format(i == 1 and " open" or "", number(sample.number),
      record_html(sample.text))
  end
  return table.concat(out, "\n")
end

--- A page about a dataset.
-- @param result table: from lathe.statistics
-- @param samples table: list of { number, text = a record as JSON }
-- @param name string|nil: the recipe's name
-- @return string: HTML
function M.statistics(result, samples, name)
  local body = { ("<h1>%s</h1>"):format(escape(name and name:gsub("^stage%-", "") or "statistics")), statistics_body(result) }
  if #samples > 0 then
    body[#body + 1] = "<h2>Records</h2><p>Chosen at random, by the recipe's seed.</p>"
    body[#body + 1] = samples_body(samples)
  end
  return page(name or "statistics", body)
end

-- ---- a run ----

local function flow_body(run)
  local most, rows = 1, {}
  for _, stage in ipairs(run.plan.stages) do
    if stage.manifest then most = math.max(most, stage.manifest.records_in or 0, stage.manifest.records_out or 0) end
  end
  for i, stage in ipairs(run.plan.stages) do
    local m = stage.manifest
    if m then
      local passes = stage.kind == "artifact"
      local out = passes and m.records_in or m.records_out
      local left = m.rejected > 0 and ('<span class="warn">%s</span>'):format(number(m.rejected)) or "0"
      rows[#rows + 1] = { ("%d. %s"):format(i, escape(stage.name)), number(m.records_in), number(out), meter((out or 0) / most), left,
        passes and escape(stage.publishes) or "", escape(progress.duration(m.seconds or 0)) }
    else
      rows[#rows + 1] = { ("%d. %s"):format(i, escape(stage.name)), "", "", "", "", "not run", "" }
    end
  end
  return html_table({ "stage", "records in", "out", "", "rejected", "makes", "time" }, rows)
end

-- The first rejected records of a stage for each reason.
local function rejected_samples(stage)
  local parts, found = require "lathe.part", {}
  for n = 0, math.huge do
    local _, path = parts.paths(stage.dir, n)
    if not file.stat(path) then break end
    for line in file.lines(path) do
      local record = line and json.record(line)
      local list = record and (found[record.reason] or {})
      if list and #list < REASON_SAMPLES then
        found[record.reason] = list
        local detail = record.detail
        list[#list + 1] = { detail = detail ~= nil and (type(detail) == "string" and detail or json.encode(detail)) or "",
          text = record.record and json.encode(record.record) or "" }
      end
    end
  end
  return found
end

local function rejected_body(run)
  local out = {}
  for _, stage in ipairs(run.plan.stages) do
    local m = stage.manifest
    if m and m.rejected > 0 then
      local samples = rejected_samples(stage)
      out[#out + 1] = ("<h3>%s</h3>"):format(escape(stage.name))
      for _, reason in ipairs(require("lathe.config").names(m.reasons)) do
        local inner = {}
        for i, sample in ipairs(samples[reason] or {}) do
          inner[i] = ("<p>%s</p>%s"):format(escape(cut(sample.detail, SAMPLE_CHARACTERS)),
            sample.text ~= "" and record_html(sample.text) or "")
        end
        out[#out + 1] = ("<details><summary>%s: %s</summary>%s</details>"):format(escape(reason), number(m.reasons[reason]),
          table.concat(inner, "\n"))
      end
    end
  end
  return #out > 0 and table.concat(out, "\n") or nil
end

local function published(stage, name)
  local path = stage.publishes and ("%s/%s/%s"):format(stage.dir, stage.publishes, name)
  return path and file.stat(path) and path or nil
end

-- Loss over steps, where a stage has trained.
local function loss_body(stage)
  local path = published(stage, "log.jsonl")
  if not path then return nil end
  local points = {}
  for line in file.lines(path) do
    local record = line and json.record(line)
    if record and record.step and record.loss then points[#points + 1] = { record.step, record.loss } end
  end
  if #points == 0 then return nil end
  local every, thin = math.max(1, #points // LOG_POINTS), {}
  for i = 1, #points, every do thin[#thin + 1] = points[i] end
  return ("<h3>%s</h3><p>loss a token, %s steps</p><div class=\"plots\">%s</div>"):format(escape(stage.name), number(#points),
    plot.lines({ { name = "loss", points = thin } }, "step"))
end

local function options_body(run)
  local out = {}
  for _, name in ipairs(require("lathe.config").names(run.plan.options)) do
    out[#out + 1] = ("<dt>%s</dt><dd>%s</dd>"):format(escape(name), escape(run.plan.options[name]))
  end
  return #out > 0 and "<dl>" .. table.concat(out) .. "</dl>" or nil
end

--- Writes a run's page to its folder.
-- @param run run: finished
-- @return boolean: true
-- @error io
function M.write(run)
  local body = { ("<h1>%s</h1>"):format(escape(run.plan.name)),
    ("<p>lathe %s, %s stages, %d threads</p>"):format(escape(run.version or ""), number(#run.plan.stages), run.threads) }
  body[#body + 1] = options_body(run)
  body[#body + 1] = "<h2>Stages</h2>"
  body[#body + 1] = flow_body(run)
  for _, stage in ipairs(run.plan.stages) do
    local path = published(stage, "stats.json")
    local result = path and json.decode(file.read(path) or "")
    if result then
      body[#body + 1] = ("<h2>%s</h2>"):format(escape(stage.name == "stats" and "Dataset" or stage.name))
      body[#body + 1] = statistics_body(result)
    end
  end
  local trained = {}
  for _, stage in ipairs(run.plan.stages) do trained[#trained + 1] = loss_body(stage) end
  if #trained > 0 then
    body[#body + 1] = "<h2>Training</h2>"
    body[#body + 1] = table.concat(trained, "\n")
  end
  for _, stage in ipairs(run.plan.stages) do
    local facts = stage.manifest and stage.manifest.facts
    if facts and facts.report and not published(stage, "stats.json") then
      body[#body + 1] = ("<h2>%s</h2><pre>%s</pre>"):format(escape(stage.name), escape(facts.report))
    end
  end
  local rejected = rejected_body(run)
  if rejected then
    body[#body + 1] = "<h2>Rejected</h2><p>All are in rejected.jsonl; here are the first of each reason.</p>"
    body[#body + 1] = rejected
  end
  return file.write(run.dir .. "/report.html", page(run.plan.name, body))
end

return M
