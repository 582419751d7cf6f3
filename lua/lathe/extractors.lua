-- SPDX-License-Identifier: MIT
-- Extractors: readers that users write. Each is a small Lua file, found by its name, that turns files of a
-- folder, a repository or an HTTP interface into records of code with descriptions.
--
--   return {
--     name = "manim", version = 1, description = "Scenes of animations in Python.",
--     files = { "**/*.py" },                        -- offered: every file below the input that matches
--     list = function(ctx, emit) … end,             -- or: items of its own, such as { path = "api", url = "…" }
--     options = { … },                              -- like a stage's
--     extract = function(item, ctx, emit)           -- item: { path, file, url, repository, commit … }
--       emit { description = "…", code = "…", metadata = { … } }
--     end,
--   }
--
--   lathe.read { "$input", sources = "all" }
--   lathe.read { "https://example.org/a.git", sources = { "manim", { "pages", url = "https://…" } } }
--
-- What comes out:  { id, description, code, source = the extractor's name,
--                    metadata = { path, document, needs_description, repository, commit, … } }
-- needs_description says that the description is empty. ctx has what an extractor may use: options, text(item),
-- http(), pages{…}, json, log, reject.
--
-- Looked for in the recipe's folder (extractors/NAME.lua), then ~/.config/lathe/extractors, then ours.

local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"
local places = require "lathe.places"
local text = require "engine.text"

local M = {}

local TEXT_MAX = 16 << 20 -- bytes of a source file
local PAGES_MAX = 10000

-- ---- finding ----

--- The folders in which extractors are looked for, in order.
-- @param root string|nil: the recipe's folder
-- @return table: list of folders
function M.search_path(root)
  return places.folders("extractors", root)
end

--- The names of the extractors there are.
-- @param root string|nil: the recipe's folder
-- @return table: sorted names
-- @example require("lathe.extractors").names()
function M.names(root) return places.names(M.search_path(root), { "^([%w_-]+)%.lua$" }) end

local FIELDS = { name = "string", version = "number", description = "string", files = "table|string", list = "function",
  options = "table", positional = "table", extract = "function" }

local function checked(extractor, path)
  if type(extractor) ~= "table" then return nil, path .. ": an extractor's file returns a table", "misuse" end
  for key, value in pairs(extractor) do
    local wanted = FIELDS[key]
    if not wanted then
      return nil, ("%s: %s"):format(path, config.unknown("field", tostring(key), config.names(FIELDS))), "misuse"
    end
    if not ("|" .. wanted .. "|"):find("|" .. type(value) .. "|", 1, true) then
      return nil, ("%s: '%s' must be a %s"):format(path, key, (wanted:gsub("|", " or "))), "misuse"
    end
  end
  if not extractor.extract then return nil, path .. ": an extractor needs its function extract(item, ctx, emit)", "misuse" end
  if not extractor.files and not extractor.list then
    return nil, path .. ": an extractor says which files it reads (files = { \"**/*.py\" }) or lists items of its own (list)",
      "misuse"
  end
  return extractor
end

--- Loads an extractor by its name.
-- @param name string
-- @param root string|nil: the recipe's folder
-- @return table: the extractor; string: its file
-- @error misuse: no such extractor, with the nearest name, or a faulty file
function M.find(name, root)
  for _, folder in ipairs(M.search_path(root)) do
    local path = folder .. "/" .. name .. ".lua"
    if file.stat(path) then
      local chunk, message = loadfile(path)
      if not chunk then return nil, message, "misuse" end
      local fine, extractor = pcall(chunk)
      if not fine then return nil, tostring(extractor), "misuse" end
      local code
      extractor, message, code = checked(extractor, path)
      if not extractor then return nil, message, code end
      return extractor, path
    end
  end
  return nil, config.unknown("extractor", tostring(name), M.names(root)), "misuse"
end

local function raise(message, code) error({ message = message, code = code or "misuse" }, 0) end

-- One source with its options, or nil and why it is left out.
local function source_of(name, given, root, all)
  local extractor, path, code = M.find(name, root)
  if not extractor then raise(path, code) end
  local options, message = config.check(extractor.options or {}, given, extractor.positional)
  if not options then
    if all then return nil, ("%s: %s"):format(name, message) end
    raise(("source %s: %s"):format(name, message))
  end
  return { name = name, extractor = extractor, path = path, options = options }
end

-- The sources that an option names: "all", a name, or a list of names and { name, option = … }.
local function sources_of(option, root)
  local out, left = {}, {}
  local all = option == "all"
  if all then option = M.names(root) end
  if type(option) == "string" then option = { option } end
  for _, entry in ipairs(option) do
    local name, given = entry, {}
    if type(entry) == "table" then
      for k, v in pairs(entry) do if k ~= 1 then given[math.type(k) and k - 1 or k] = v end end
      name = entry[1]
    end
    if type(name) ~= "string" then raise "sources: a name, or { name, option = value }" end
    local source, why = source_of(name, given, root, all)
    if source then
      if out[name] then raise(("sources: '%s' is there twice"):format(name)) end
      out[#out + 1], out[name] = source, source
    else
      left[#left + 1] = why
    end
  end
  if #out == 0 then raise "sources: no extractor is named" end
  return out, left
end

--- What the records depend on besides the options: the extractors' files. For read's hashes.
-- @param option string|table: read's option `sources`
-- @param root string: the recipe's folder
-- @return table: name → hash
-- @error raises { message, code }
function M.hashes(option, root)
  local out = {}
  for _, source in ipairs((sources_of(option, root))) do out[source.name] = file.sha256(source.path) end
  return out
end

-- ---- naming the work ----

-- Files of one input that match an extractor's patterns, through read's own search.
local function matching(extractor, folder, list)
  local found, seen = {}, {}
  local patterns = extractor.files
  if type(patterns) == "string" then patterns = { patterns } end
  for _, pattern in ipairs(patterns) do
    local items = {}
    local fine, message, code = list({ options = { files = { folder .. "/" .. pattern } } },
      function(item) items[#items + 1] = item end)
    if fine == nil and code ~= "not_found" then raise(message, code) end
    for _, item in ipairs(items) do
      if not seen[item.file] then
        seen[item.file] = true
        local path = item.file:sub(#folder + 2)
        found[#found + 1] = { path = path, file = item.file, bytes = item.bytes }
      end
    end
  end
  table.sort(found, function(a, b) return a.path < b.path end)
  return found
end

local function single_file(path)
  local info = file.stat(path)
  if info and info.type == "file" then return { path = path:match "[^/]*$", file = path, bytes = info.size } end
end

-- One input of read: a repository's URL, a folder, or a file, with where its records come from.
local function resolve(input)
  local git = require "lathe.git"
  if git.is_url(input) then
    local folder, message, code = git.checkout(input)
    if not folder then raise(message, code) end
    return { folder = folder, repository = input, commit = git.commit(folder) }
  end
  local info = file.stat(input)
  if not info then raise(input .. ": no such file or folder", "not_found") end
  if info.type == "file" then return { file = input } end
  local folder = input:gsub("(.)/+$", "%1")
  return { folder = folder, commit = git.commit(folder) }
end

local function is_jsonl(path) return path:lower():gsub("%.gz$", ""):gsub("%.zst$", ""):find "%.jsonl$" ~= nil end

local function items_of(source, place, list)
  if not source.extractor.files then return {} end
  if place.folder then return matching(source.extractor, place.folder, list) end
  local one = single_file(place.file)
  return one and { one } or {}
end

--- Names the items of all sources, in order. For read's list.
-- @param ctx table: read's context
-- @param emit function: called with each item
-- @param list function: read's own list, for searching folders
-- @return boolean: true
-- @error not_found, misuse, transient (a repository that cannot be fetched)
function M.list(ctx, emit, list)
  local inputs = ctx.options.files or {}
  if type(inputs) == "string" then inputs = { inputs } end
  local count = 0
  local fine, problem = pcall(function()
    local sources = sources_of(ctx.options.sources, ctx.root)
    local resolved = {}
    for i, input in ipairs(inputs) do resolved[i] = resolve(input) end
    for _, place in ipairs(resolved) do
      if place.file and is_jsonl(place.file) then -- records already: nothing to be extracted
        count = count + 1
        emit(single_file(place.file))
        place.taken = true
      end
    end
    for _, source in ipairs(sources) do
      local function give(item)
        item.extractor = source.name
        item.id = item.id or item.url
        count = count + 1
        emit(item)
      end
      for _, place in ipairs(resolved) do
        if not place.taken then
          for _, item in ipairs(items_of(source, place, list)) do
            item.repository, item.commit = place.repository, place.commit
            give(item)
          end
        end
      end
      if source.extractor.list then
        local done, message, code = source.extractor.list({ options = source.options, root = ctx.root }, give)
        if done == nil and message then raise(("source %s: %s"):format(source.name, message), code) end
      end
    end
  end)
  if not fine then
    if type(problem) ~= "table" then error(problem, 0) end
    return nil, problem.message, problem.code
  end
  if count == 0 then
    return nil, ("no source finds anything in %s"):format(table.concat(inputs, ", ")), "not_found"
  end
  return true
end

-- ---- extracting ----

-- The member of a decoded value that a path such as "data.items" names.
local function member(value, path)
  for key in path:gmatch "[^.]+" do
    if type(value) ~= "table" then return nil end
    value = value[tonumber(key) or key]
    if value == json.null then value = nil end
  end
  return value
end

local function resolve_url(base, url)
  if url:match "^%a[%w+.-]*://" then return url end
  local origin, path = base:match "^(%a[%w+.-]*://[^/?#]+)([^?#]*)"
  if url:sub(1, 1) == "/" then return origin .. url end
  if url:sub(1, 1) == "?" then return origin .. path .. url end
  return origin .. (path:match "^(.*/)" or "/") .. url
end

local function with_parameter(url, name, value)
  return url .. (url:find("?", 1, true) and "&" or "?") .. name .. "="
    .. tostring(value):gsub("[^%w._~-]", function(c) return ("%%%02X"):format(c:byte()) end)
end

local Tools = {}
Tools.__index = Tools

-- The text of an item's file, as UTF-8.
function Tools:text(item)
  local bytes, message, code = file.read(item.file, TEXT_MAX)
  if not bytes then return nil, message, code end
  if bytes:find("\0", 1, true) then return nil, item.path .. ": not a text", "format" end
  if text.valid(bytes) then return (bytes:gsub("^\xEF\xBB\xBF", "")) end
  return text.to_utf8(bytes)
end

-- An HTTP client (see lathe.http), kept for the item at hand.
function Tools:http()
  if not self.client then
    local client, message, code = require("lathe.http").open(self.http_options)
    if not client then return nil, message, code end
    self.client = client
  end
  return self.client
end

-- Walks over the pages of an HTTP interface that answers with JSON.
-- `next` is the path of the next page's URL in an answer; or `cursor` that of a value which goes into the
-- parameter `parameter`; or `page` is the number of the first page, counted up in `parameter` until a page
-- has no items.
-- @param spec table: { url, items = "path of the list", next | cursor | page, parameter, headers, max_pages }
-- @return function: iterator of item, page's number; raises { message, code } when a page cannot be had
function Tools:pages(spec)
  local client, message, code = self:http()
  if not client then raise(message, code) end
  return coroutine.wrap(function()
    local page = spec.page
    local url = page and with_parameter(spec.url, spec.parameter or "page", page) or spec.url
    local seen = {}
    for number = 1, spec.max_pages or PAGES_MAX do
      if seen[url] then raise(("%s: the pages lead in a circle"):format(spec.url:gsub("[?#].*", "")), "format") end
      seen[url] = true
      local answer
      answer, message, code = client:get(url, { headers = spec.headers })
      if not answer then raise(message, code) end
      local where = ("%s (page %d)"):format(spec.url:gsub("[?#].*", ""), number)
      if answer.status ~= 200 then raise(("%s: HTTP status %d"):format(where, answer.status), "io") end
      local value
      value, message = json.decode(answer.body)
      if value == nil then raise(("%s: not JSON: %s"):format(where, message), "format") end
      local items = spec.items and member(value, spec.items) or not spec.items and value or {}
      if type(items) ~= "table" then raise(("%s: '%s' is no list"):format(where, spec.items or "the answer"), "format") end
      for _, item in ipairs(items) do coroutine.yield(item, number) end
      local follows
      if page then
        page = page + 1
        follows = #items > 0 and with_parameter(spec.url, spec.parameter or "page", page)
      elseif spec.cursor then
        local cursor = member(value, spec.cursor)
        follows = cursor and cursor ~= "" and with_parameter(spec.url, spec.parameter or "cursor", cursor)
      elseif spec.next then
        local link = member(value, spec.next)
        follows = type(link) == "string" and link ~= "" and resolve_url(url, link)
      end
      if not follows then return end
      url = follows
    end
    self.log("warn", ("%s has more than %d pages: the rest was left"):format(spec.url:gsub("[?#].*", ""),
      spec.max_pages or PAGES_MAX))
  end)
end

Tools.member = function(_, value, path) return member(value, path) end

-- What an extractor gave, made a record; or nil and what is wrong with it.
local function record_of(given, item, name)
  if type(given) ~= "table" then return nil, "emit needs a table" end
  local description, code = given.description, given.code
  if description == nil or description == json.null then description = "" end
  if type(description) ~= "string" then return nil, "the description is no string" end
  if type(code) ~= "string" or not code:find "%S" then return nil, "there is no code" end
  local record = { id = "", description = description, code = code, source = given.source or name, metadata = {} }
  for key, value in pairs(given) do if record[key] == nil then record[key] = value end end
  for key, value in pairs(given.metadata or {}) do record.metadata[key] = value end
  local metadata = record.metadata
  metadata.path = metadata.path or item.path
  metadata.document = metadata.document or item.sha256
  metadata.repository = metadata.repository or item.repository
  metadata.commit = metadata.commit or item.commit
  metadata.needs_description = not description:find "%S"
  record.id = given.id or hash.sha256(table.concat({ record.source, metadata.repository or "", metadata.path or "", code },
    "\0")):sub(1, 16)
  return record
end

--- Extracts the records of one item. For read's each.
-- What the extractor fails with costs this item (a rejected record with the reason), not the run; a mistake
-- in how it is called does stop the run.
-- @param item table: from list
-- @param ctx table: read's context
-- @param emit function: called with each record
-- @return boolean: true
-- @error misuse, cancelled
function M.each(item, ctx, emit)
  local cache = ctx.cache or {}
  cache.sources = cache.sources or sources_of(ctx.options.sources, ctx.root)
  local source = cache.sources[item.extractor]
  local tools <close> = setmetatable({ options = source.options, root = ctx.root, json = json, log = ctx.log,
    http_options = source.options.http }, {
    __index = Tools,
    __close = function(self) if self.client then self.client:close() end end,
  })
  tools.reject = function(what, reason, detail) ctx.reject(what or item, reason, detail) end
  local function give(given)
    local record, why = record_of(given, item, source.name)
    if record then
      emit(record)
    else
      ctx.reject({ path = item.path, url = item.url, extractor = source.name }, "extracted_nothing", why)
    end
  end
  local fine, result, message, code = pcall(source.extractor.extract, item, tools, give)
  if fine and (result ~= nil or not message) then return true end
  local problem = not fine and result or message
  if type(problem) == "table" then problem, code = problem.message, problem.code end
  if code == "cancelled" or code == "misuse" then return nil, ("source %s: %s"):format(source.name, problem), code end
  if tostring(problem):find("not enough memory", 1, true) then error(problem, 0) end
  ctx.reject({ path = item.path, url = item.url, extractor = source.name }, code == "transient" and "transient" or "unreadable",
    tostring(problem))
  return true
end

return M
