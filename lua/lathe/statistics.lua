-- SPDX-License-Identifier: MIT
-- What a dataset is like: lengths and how they are spread, vocabulary, openings, repetitions, and the same by
-- source. Records are added one by one; the loops over characters are C (engine.census).
--
--   local s = require("lathe.statistics").new { tokenizer = tok }
--   for record in ds:records() do s:add(record) end
--   print(require("lathe.statistics").text(s:result()))

local census = require "engine.census"
local json = require "engine.json"

local M = {}

local PERCENTILES = { 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99 }
local GROUPS = { "source", "metadata.split", "metadata.type", "metadata.language", "metadata.programming_language" }
local GROUP_VALUES = 200 -- distinct values that a table shows; what comes after them is "others"
local TOP, BINS = 20, 24

-- Fields that may hold a record's words, in the order in which they are read.
local FIELDS = { "system", "instruction", "input", "description", "prompt", "text", "output", "code", "chosen", "rejected" }

local Statistics = { __name = "statistics" }
Statistics.__index = Statistics

--- Opens statistics.
-- @param options table: { field = the field to look at (default: all that hold a record's words),
--   tokenizer = tokenizer (tokens are counted), groups = list of fields to tell apart by, memory = bytes }
-- @return statistics: s:add(record), s:result()
-- @example require("lathe.statistics").new()
function M.new(options)
  options = options or {}
  local self = { field = options.field, tokenizer = options.tokenizer, records = 0, empty = 0, fields = {}, order = {},
    groups = {}, names = options.groups or GROUPS,
    census = assert(census.open { memory = math.max(options.memory or 64 << 20, 1 << 20) }) }
  self.all = { characters = census.spread(), words = census.spread(), tokens = options.tokenizer and census.spread() }
  for _, name in ipairs(self.names) do self.groups[name] = { list = {}, by = {} } end
  return setmetatable(self, Statistics)
end

-- The words of a conversation: what its messages say.
local function spoken(messages)
  local parts = {}
  for i = 1, #messages do
    local content = messages[i].content or messages[i].value
    if type(content) == "string" then parts[#parts + 1] = content end
  end
  return table.concat(parts, "\n")
end

-- A record's texts by field, in order: { { "instruction", "…" }, … }
function Statistics:texts_of(record)
  if self.field then
    local value = json.get(record, self.field)
    return type(value) == "string" and { { self.field, value } } or {}
  end
  local out = {}
  for _, name in ipairs(FIELDS) do
    local value = record[name]
    if type(value) == "string" then out[#out + 1] = { name, value } end
  end
  for _, name in ipairs { "messages", "conversations" } do
    local value = #out == 0 and record[name]
    if value and json.kind(value) == "array" then out[#out + 1] = { name, spoken(value) } end
  end
  return out
end

function Statistics:field_of(name)
  local f = self.fields[name]
  if not f then
    f = { name = name, records = 0, empty = 0, characters = census.spread(), words = census.spread(),
      tokens = self.tokenizer and census.spread() }
    self.fields[name] = f
    self.order[#self.order + 1] = f
  end
  return f
end

-- The value that a record has for a group, as a word; nil when it has none.
local function value_of(record, name)
  local value = json.get(record, name)
  if value == nil or value == json.null or type(value) == "userdata" or type(value) == "table" then return nil end
  return tostring(value)
end

local function row_of(group, value)
  local row = group.by[value]
  if row then return row end
  if #group.list >= GROUP_VALUES then
    group.others = group.others or { name = "(others)", records = 0, characters = 0, words = 0, tokens = 0 }
    return group.others
  end
  row = { name = value, records = 0, characters = 0, words = 0, tokens = 0 }
  group.by[value] = row
  group.list[#group.list + 1] = row
  return row
end

--- Adds a record.
-- @param record record|table
-- @error raises: the tokenizer cannot encode it; cancelled
function Statistics:add(record)
  local texts = self:texts_of(record)
  local whole, characters, words, tokens = {}, 0, 0, 0
  self.records = self.records + 1
  -- what prompt has rendered says everything that the other fields say
  local rendered = #texts > 1 and not self.field and type(record.text) == "string" and record.spans ~= nil and record.text
  for i, entry in ipairs(texts) do whole[i] = entry[2] end
  local joined = rendered or table.concat(whole, "\n")
  for _, entry in ipairs(texts) do
    local f = self:field_of(entry[1])
    f.records = f.records + 1
    if not entry[2]:find "%S" then f.empty = f.empty + 1 end
    local c, w, t
    if #texts == 1 then
      c, w = assert(self.census:add(joined))
    else
      c, w = utf8.len(entry[2], 1, -1, true) or #entry[2], nil
    end
    f.characters:add(c)
    if w then f.words:add(w) end
    if self.tokenizer then
      t = assert(self.tokenizer:count(entry[2]))
      f.tokens:add(t)
    end
    if not rendered or entry[1] == "text" then
      characters, words, tokens = characters + c, words + (w or 0), tokens + (t or 0)
    end
  end
  if #texts ~= 1 then
    local _, w = assert(self.census:add(joined))
    words = w
  end
  if not joined:find "%S" then self.empty = self.empty + 1 end
  self.all.characters:add(characters)
  self.all.words:add(words)
  if self.tokenizer then self.all.tokens:add(tokens) end
  for _, name in ipairs(self.names) do
    local value = value_of(record, name)
    if value then
      local row = row_of(self.groups[name], value)
      row.records, row.characters = row.records + 1, row.characters + characters
      row.words, row.tokens = row.words + words, row.tokens + tokens
    end
  end
end

-- ---- results ----

-- A step of 1, 2 or 5 times a power of ten, so that about BINS of them reach `most`.
local function nice_step(most)
  local rough = math.max(1, most / BINS)
  local power = 10 ^ math.floor(math.log(rough, 10))
  for _, times in ipairs { 1, 2, 5, 10 } do
    if times * power >= rough - 1e-9 then return math.max(1, math.tointeger(math.floor(times * power + 0.5))) end
  end
end

-- The ends of bins: of equal width up to the 99th percentile; where a few values are far above the others,
-- 1, 2, 5, 10 … times something.
local function bin_ends(spread)
  local top, ends = math.max(spread:percentile(0.99), 1), {}
  if top > 20 * math.max(spread:percentile(0.5), 1) or top > 100 * math.max(spread:percentile(0.05), 1) then
    local power = 10 ^ math.floor(math.log(math.max(spread:facts().least, 1), 10))
    while true do
      for _, times in ipairs { 1, 2, 5 } do
        ends[#ends + 1] = math.tointeger(math.floor(times * power + 0.5))
        if ends[#ends] > top then return ends, "log" end
      end
      power = power * 10
    end
  end
  local step = nice_step(top)
  for to = step, top + step, step do ends[#ends + 1] = to end
  return ends, "linear"
end

-- { { from, to (exclusive), count } … }, the last one with everything above; and how it is scaled.
local function histogram(spread)
  local facts = spread:facts()
  if facts.count == 0 then return json.array {}, "linear" end
  local ends, scale = bin_ends(spread)
  local out, from = {}, 0
  for _, to in ipairs(ends) do
    local count = spread:between(from, to)
    if count > 0 or #out > 0 or scale == "linear" then out[#out + 1] = { from = from, to = to, count = count } end
    from = to
  end
  local above = spread:between(from, math.maxinteger)
  if above > 0 then out[#out + 1] = { from = from, to = facts.greatest + 1, count = above, rest = true } end
  return json.array(out), scale
end

local function rounded(x) return math.floor(x * 100 + 0.5) / 100 end

local function lengths(spread)
  local facts = spread:facts()
  local out = { mean = rounded(facts.mean), total = math.tointeger(facts.sum) or facts.sum, least = facts.least,
    greatest = facts.greatest, percentiles = {} }
  out.histogram, out.scale = histogram(spread)
  for _, share in ipairs(PERCENTILES) do out.percentiles[("p%d"):format(math.floor(share * 100 + 0.5))] = spread:percentile(share) end
  return out
end

local function counted(c, kind, top)
  local distinct, total, complete = c:count(kind)
  return { distinct = distinct, total = total, complete = complete, top = top and json.array(c:top(kind, top)) or nil }
end

local function table_of(group)
  if #group.list == 0 then return nil end
  table.sort(group.list, function(a, b)
    if a.records ~= b.records then return a.records > b.records end
    return a.name < b.name
  end)
  local rows = {}
  for i, row in ipairs(group.list) do rows[i] = row end
  rows[#rows + 1] = group.others
  return json.array(rows)
end

--- The statistics so far, as plain values (what stats.json holds).
-- @return table
function Statistics:result()
  local out = { records = self.records, empty = self.empty, characters = lengths(self.all.characters),
    words = lengths(self.all.words), tokens = self.tokenizer and lengths(self.all.tokens) or nil, fields = json.array {},
    vocabulary = counted(self.census, "words", TOP), openings = counted(self.census, "openings", TOP), groups = {} }
  local texts = counted(self.census, "texts")
  out.duplicates = { records = texts.complete and texts.total - texts.distinct or nil, distinct = texts.distinct,
    complete = texts.complete }
  for i, f in ipairs(self.order) do
    out.fields[i] = { name = f.name, records = f.records, empty = f.empty, characters = lengths(f.characters),
      tokens = f.tokens and lengths(f.tokens) or nil }
  end
  for _, name in ipairs(self.names) do out.groups[name] = table_of(self.groups[name]) end
  return out
end

-- ---- on the terminal ----

local function number(n)
  if n == nil then return "" end
  local whole = math.tointeger(n)
  if not whole then return ("%.1f"):format(n) end
  local text = ("%d"):format(whole):reverse():gsub("(%d%d%d)", "%1,"):reverse()
  return (text:gsub("^,", ""))
end

local function columns(rows)
  local width, text = {}, require "engine.text"
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do width[i] = math.max(width[i] or 0, text.width(cell)) end
  end
  local out = {}
  for _, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local pad = (" "):rep(width[i] - text.width(cell))
      cells[i] = i == 1 and cell .. pad or pad .. cell
    end
    out[#out + 1] = "  " .. table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(out, "\n")
end

local function spread_row(name, l)
  local p = l.percentiles
  return { name, number(l.mean), number(l.least), number(p.p5), number(p.p25), number(p.p50), number(p.p75), number(p.p95),
    number(l.greatest), number(l.total) }
end

local BARS = { "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" }

-- A histogram on one line.
local function sparkline(bins)
  local most, out = 1, {}
  for _, bin in ipairs(bins) do most = math.max(most, bin.count) end
  for i, bin in ipairs(bins) do
    out[i] = bin.count == 0 and " " or BARS[math.max(1, math.ceil(bin.count / most * #BARS))]
  end
  return table.concat(out)
end

local function shown(s, most)
  local line = s:gsub("%c", " ")
  if utf8.len(line) and utf8.len(line) > most then line = line:sub(1, utf8.offset(line, most) - 1) .. "…" end
  return line
end

local function top_line(entries, most)
  local out = {}
  for i = 1, math.min(most, #entries) do
    out[i] = ("%s (%s)"):format(shown(entries[i].text, 24), number(entries[i].count))
  end
  return table.concat(out, ", ")
end

local function at_least(c) return (c.complete and "" or "at least ") .. number(c.distinct) end

--- Statistics as text for a terminal.
-- @param result table: from result()
-- @return string: some lines
function M.text(result)
  local out = { ("%s records%s"):format(number(result.records),
    result.empty > 0 and (", %s of them empty"):format(number(result.empty)) or "") }
  local rows = { { "", "mean", "least", "5 %", "25 %", "median", "75 %", "95 %", "greatest", "total" } }
  rows[#rows + 1] = spread_row("characters", result.characters)
  rows[#rows + 1] = spread_row("words", result.words)
  if result.tokens then rows[#rows + 1] = spread_row("tokens", result.tokens) end
  if #result.fields > 1 then
    for _, f in ipairs(result.fields) do rows[#rows + 1] = spread_row(f.name .. " (characters)", f.characters) end
  end
  out[#out + 1] = columns(rows)
  local bins = result.characters.histogram
  if #bins > 0 then
    out[#out + 1] = ("  characters  %s %s %s"):format(number(bins[1].from), sparkline(bins), number(result.characters.greatest))
  end
  out[#out + 1] = ("  vocabulary  %s words; most often %s"):format(at_least(result.vocabulary), top_line(result.vocabulary.top, 8))
  out[#out + 1] = ("  openings    %s distinct (first 10 characters); most often %s"):format(at_least(result.openings),
    top_line(result.openings.top, 4))
  local d = result.duplicates
  out[#out + 1] = d.complete and ("  duplicates  %s records repeat another's text"):format(number(d.records))
    or "  duplicates  not known: the memory was too small"
  for _, name in ipairs(require("lathe.config").names(result.groups)) do
    local rows2 = { { "by " .. name, "records", "share", "characters", "words", result.tokens and "tokens" or nil } }
    for i, row in ipairs(result.groups[name]) do
      if i > 12 then
        rows2[#rows2 + 1] = { ("(%d more)"):format(#result.groups[name] - 12), "", "", "", "" }
        break
      end
      rows2[#rows2 + 1] = { shown(row.name, 40), number(row.records), ("%.1f %%"):format(100 * row.records / result.records),
        number(row.characters), number(row.words), result.tokens and number(row.tokens) or nil }
    end
    out[#out + 1] = columns(rows2)
  end
  return table.concat(out, "\n")
end

M.number, M.shown = number, shown

return M
