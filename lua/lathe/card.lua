-- SPDX-License-Identifier: MIT
-- The dataset card: a README.md in the form of the Hugging Face hub. Its front matter tells `datasets` which file
-- is which split; the rest tells a person what the files hold, where it came from and how it was made.
--
-- It says nothing about when and where: the same data give the same card.

local file = require "engine.file"
local json = require "engine.json"

local M = {}

local MARK = "<!-- made by Lathe -->"

--- Whether a file is a card of ours.
function M.is_ours(path)
  local text = file.stat(path) and file.read(path, 1 << 24)
  return text ~= nil and text ~= false and text:find(MARK, 1, true) ~= nil
end

--- The SHA-256 of files that a card of ours names: a set; empty when it is none.
function M.hashes(path)
  local set = {}
  if M.is_ours(path) then
    for digest in file.read(path):gmatch "`(%x+)`" do
      if #digest == 64 then set[digest] = true end
    end
  end
  return set
end

-- ---- tokens ----

local SAID = { "text", "system", "instruction", "input", "prompt", "output", "chosen", "rejected" }

local function said(record)
  local parts = {}
  for _, name in ipairs(SAID) do
    if type(record[name]) == "string" then parts[#parts + 1] = record[name] end
  end
  for _, name in ipairs { "messages", "conversations" } do
    local list = record[name]
    for i = 1, json.kind(list) == "array" and #list or 0 do
      local text = json.kind(list[i]) == "object" and (list[i].content or list[i].value)
      if type(text) == "string" then parts[#parts + 1] = text end
    end
  end
  return table.concat(parts, "\n")
end

--- Counts tokens: all that a person or a model says in a record, for each split.
-- @return table: split → tokens
function M.tokens(input, tok, message, code)
  if not tok then return nil, message, code end
  local counts = {}
  for record in input:records() do
    local metadata = record.metadata
    local split = json.kind(metadata) == "object" and metadata.split
    split = type(split) == "string" and split or "train"
    counts[split] = (counts[split] or 0) + tok:count(said(record), { plain = true })
  end
  return counts
end

-- ---- words ----

local function number(n)
  local text = tostring(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return text
end

local function size(n)
  for _, unit in ipairs { "B", "kB", "MB", "GB" } do
    if n < 1000 or unit == "GB" then return (unit == "B" and "%d %s" or "%.1f %s"):format(n, unit) end
    n = n / 1000
  end
end

local SIZES = { { 1e3, "n<1K" }, { 1e4, "1K<n<10K" }, { 1e5, "10K<n<100K" }, { 1e6, "100K<n<1M" }, { 1e7, "1M<n<10M" },
  { 1e8, "10M<n<100M" }, { 1e9, "100M<n<1B" }, { math.huge, "n>1B" } }

local function size_category(n)
  for _, s in ipairs(SIZES) do if n < s[1] then return s[2] end end
end

-- A scalar in YAML that needs no thought about what must be quoted: JSON is YAML.
local function yaml(text)
  if text:find "^[%a][%w_.+-]*$" and not ({ yes = 1, no = 1, on = 1, off = 1, ["true"] = 1, ["false"] = 1, null = 1 })[text:lower()] then
    return text
  end
  return json.encode(text)
end

local function cell(text) return (tostring(text):gsub("|", "\\|"):gsub("%s+", " ")) end

local function rows(out, head, list)
  out[#out + 1] = "| " .. table.concat(head, " | ") .. " |"
  out[#out + 1] = "|" .. (" --- |"):rep(#head)
  for _, row in ipairs(list) do
    for i = 1, #row do row[i] = cell(row[i]) end
    out[#out + 1] = "| " .. table.concat(row, " | ") .. " |"
  end
  out[#out + 1] = ""
end

-- ---- what the files hold ----

local ORDER = { train = 1, validation = 2, test = 3 }

local function by_split(a, b)
  local x, y = ORDER[a] or 9, ORDER[b] or 9
  if x ~= y then return x < y end
  return a < b
end

-- Paths as the card's folder sees them.
local function relative(path, folder)
  path = path:gsub("^%./", "")
  folder = folder and folder:gsub("^%./", "")
  if folder and folder ~= "." and path:sub(1, #folder + 1) == folder .. "/" then return path:sub(#folder + 2) end
  return path:sub(1, 1) == "/" and path:match "[^/]*$" or path
end

-- "train-*-of-00003.jsonl" for shards.
local function pattern(path) return (path:gsub("%-%d%d%d%d%d%-of%-(%d%d%d%d%d)", "-*-of-%1")) end

local function splits_of(target)
  local names, counts, paths = {}, {}, {}
  for _, f in ipairs(target.files) do
    if not counts[f.split] then names[#names + 1], counts[f.split], paths[f.split] = f.split, 0, {} end
    counts[f.split] = counts[f.split] + f.records
    paths[f.split][#paths[f.split] + 1] = f.path
  end
  table.sort(names, by_split)
  return names, counts, paths
end

local function put_configs(out, targets, folder)
  out[#out + 1] = "configs:"
  local used = {}
  for i, target in ipairs(targets) do
    local name = i == 1 and "default" or target.given.format
    if used[name] then name = ("%s_%d"):format(name, i) end
    used[name] = true
    out[#out + 1] = "- config_name: " .. yaml(name)
    out[#out + 1] = "  data_files:"
    local names, _, paths = splits_of(target)
    for _, split in ipairs(names) do
      local seen, list = {}, {}
      for _, path in ipairs(paths[split]) do
        local p = pattern(relative(path, folder))
        if not seen[p] then list[#list + 1] = p end
        seen[p] = true
      end
      out[#out + 1] = "  - split: " .. yaml((split:gsub("[^%w_.]", "_")))
      if #list == 1 then
        out[#out + 1] = "    path: " .. json.encode(list[1])
      else
        out[#out + 1] = "    path:"
        for _, p in ipairs(list) do out[#out + 1] = "    - " .. json.encode(p) end
      end
    end
  end
end

-- ---- tallies ----

local NAMES = { split = 1, source = 2, metadata_source = 3, license = 4, language = 5, type = 6 }

local function tally(target, name)
  local t = json.decode(target.export:tally(NAMES[name]))
  local list = {}
  for i, pair in ipairs(t.values) do list[i] = { tostring(pair[1]), pair[2] } end
  table.sort(list, function(a, b)
    if a[2] ~= b[2] then return a[2] > b[2] end
    return a[1] < b[1]
  end)
  return list, t.more, t.none
end

local function put_tally(out, target, name, title, head)
  local list, more, none = tally(target, name)
  if #list == 0 then return end
  local shown, rest = {}, more
  for i, pair in ipairs(list) do
    if i <= 30 then shown[#shown + 1] = { pair[1], number(pair[2]) } else rest = rest + pair[2] end
  end
  if rest > 0 then shown[#shown + 1] = { "others", number(rest) } end
  if none > 0 then shown[#shown + 1] = { "not said", number(none) } end
  out[#out + 1] = "## " .. title
  out[#out + 1] = ""
  rows(out, { head, "records" }, shown)
end

local function front_matter(out, given, target, records, folder)
  local options = given.ctx.options
  out[#out + 1] = "---"
  local licenses = options.license and { { options.license } } or tally(target, "license")
  if #licenses == 1 then
    out[#out + 1] = "license: " .. yaml(licenses[1][1]:lower())
  elseif #licenses > 1 then
    out[#out + 1] = "license: other"
  end
  local languages = tally(target, "language")
  if #languages > 0 then out[#out + 1] = "language:" end
  for i = 1, math.min(#languages, 20) do out[#out + 1] = "- " .. yaml(languages[i][1]) end
  if options.title then out[#out + 1] = "pretty_name: " .. json.encode(options.title) end
  out[#out + 1] = "size_categories:"
  out[#out + 1] = "- " .. size_category(records)
  put_configs(out, given.targets, folder)
  out[#out + 1] = "---"
  out[#out + 1] = MARK
  out[#out + 1] = ""
end

-- ---- how it was made ----

-- A value of an option without what is this machine's: of an absolute path the last name stays.
local function without_place(value)
  if type(value) == "string" then
    if value:find "^/" or value:find "^~" then return "…/" .. (value:match "([^/]*)/*$" or "") end
    return value
  end
  if type(value) ~= "table" then return value end
  local out = {}
  for k, v in pairs(value) do out[k] = without_place(v) end
  return out
end

-- Those that are not what they are by default.
local function show_options(options, specs)
  local names, out = {}, {}
  local function usual(name, value)
    local default = specs and specs[name] and specs[name].default
    if default == nil then return false end
    local fine, same = pcall(function() return json.encode(value, { sort = true }) == json.encode(default, { sort = true }) end)
    return fine and same
  end
  for name, value in pairs(options or {}) do
    local kind = type(value)
    if kind ~= "function" and kind ~= "userdata" and not usual(name, value) then names[#names + 1] = name end
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local fine, text = pcall(json.encode, without_place(options[name]), { sort = true })
    if fine then
      if #text > 120 then text = text:sub(1, (utf8.offset(text, 0, 118) or 118) - 1) .. "…" end
      out[#out + 1] = ("%s = %s"):format(name, text)
    end
  end
  return table.concat(out, ", ")
end

local function put_stages(out, ctx)
  local list = {}
  for _, s in ipairs(ctx.history and ctx.history() or {}) do
    local reasons = {}
    for reason, n in pairs(s.reasons or {}) do reasons[#reasons + 1] = ("%s: %s"):format(reason, number(n)) end
    table.sort(reasons)
    list[#list + 1] = { s.name, number(s.records_in), number(s.records_out),
      s.rejected > 0 and ("%s (%s)"):format(number(s.rejected), table.concat(reasons, ", ")) or "0", show_options(s.options, s.specs) }
  end
  if #list == 0 then return end
  out[#out + 1] = "| stage | in | out | rejected | options |"
  out[#out + 1] = "| --- | --- | --- | --- | --- |"
  for _, row in ipairs(list) do
    for i = 1, #row do row[i] = cell(row[i]) end
    if row[5] ~= "" then row[5] = "`" .. row[5]:gsub("`", "'") .. "`" end
    out[#out + 1] = "| " .. table.concat(row, " | ") .. " |"
  end
  out[#out + 1] = ""
end

local function put_files(out, given, folder)
  local list = {}
  for _, target in ipairs(given.targets) do
    for _, f in ipairs(target.files) do
      list[#list + 1] = { "`" .. relative(f.path, folder) .. "`", number(f.records), size(f.bytes), "`" .. f.sha256 .. "`" }
    end
  end
  out[#out + 1] = "## Files"
  out[#out + 1] = ""
  rows(out, { "file", "records", "size", "SHA-256" }, list)
end

local function put_splits(out, given, target)
  local names, counts = splits_of(target)
  local list, head = {}, { "split", "records" }
  if given.tokens then head[3] = "tokens" end
  for i, name in ipairs(names) do
    list[i] = { name, number(counts[name]) }
    if given.tokens then list[i][3] = number(given.tokens[name] or 0) end
  end
  rows(out, head, list)
end

--- The card's text.
-- @param given table: { ctx, targets = list of { given, files, export, schema }, tokens = split → tokens, place }
-- @return string
function M.text(given)
  local ctx, target, out, records = given.ctx, given.targets[1], {}, 0
  for _, f in ipairs(target.files) do records = records + f.records end
  local folder = given.place and (given.place:match "^(.*)/[^/]*$" or ".")
  local recipe = (ctx.recipe or "stage-write"):gsub("^stage%-write$", "Dataset")
  front_matter(out, given, target, records, folder)
  out[#out + 1] = "# " .. (ctx.options.title or recipe)
  out[#out + 1] = ""
  if ctx.options.description then
    out[#out + 1] = ctx.options.description
    out[#out + 1] = ""
  end
  out[#out + 1] = number(records) .. (records == 1 and " record." or " records.")
  out[#out + 1] = ""
  put_splits(out, given, target)
  if given.tokens then
    out[#out + 1] = ("Tokens are counted with %s: all that is said in a record, without a template."):format(
      without_place(ctx.options.tokenizer))
    out[#out + 1] = ""
  end
  put_tally(out, target, "metadata_source", "Sources", "source")
  if #(tally(target, "metadata_source")) == 0 then put_tally(out, target, "source", "Sources", "source") end
  put_tally(out, target, "license", "Licences", "licence")
  put_tally(out, target, "language", "Languages", "language")
  put_tally(out, target, "type", "Kinds of documents", "kind")
  for _, t in ipairs(given.targets) do
    if t.schema then
      out[#out + 1] = "## Columns"
      out[#out + 1] = ""
      out[#out + 1] = "```json"
      out[#out + 1] = t.schema
      out[#out + 1] = "```"
      out[#out + 1] = ""
      break
    end
  end
  put_files(out, given, folder)
  out[#out + 1] = "## How it was made"
  out[#out + 1] = ""
  out[#out + 1] = ("%s, with Lathe %s, seed %d."):format(recipe == "Dataset" and "By the stage `write`"
    or ("By the recipe `%s`"):format(recipe), ctx.version or "", ctx.seed or 0)
  out[#out + 1] = ""
  put_stages(out, ctx)
  return (table.concat(out, "\n"):gsub("\n+$", "\n"))
end

return M
