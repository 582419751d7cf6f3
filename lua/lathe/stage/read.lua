-- SPDX-License-Identifier: MIT
-- read: documents become records.
--
-- A source stage. list() runs once, when the recipe is planned, and names the files; each() runs in the
-- workers, one file at a time. Documents (pdf, docx, html, md, txt) go through the isolated program
-- lathe-extract and come out as segments of UTF-8 text; JSONL files give their lines as they are.
--
--   "docs/**/*.{pdf,md}"  ─►  { path = "a/b.pdf", file = "docs/a/b.pdf", bytes = 1234 } …
--                         ─►  { id, text, source = "read", metadata = { document, path, type, title,
--                               encoding, segment, span, pages, notes } } …

local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local M = {}

local KNOWN = { "pdf", "docx", "html", "md", "txt" }
local DEPTH, NAMES = 64, 4096 -- folders below each other; patterns that braces may make

-- ---- patterns ----

-- "a{b,c{d,e}}" → "ab", "acd", "ace"
local function expand(pattern, out)
  local open = pattern:find("{", 1, true)
  local depth, from, parts = 0, nil, {}
  for at = open or #pattern + 1, #pattern do
    local c = pattern:sub(at, at)
    if c == "{" then
      depth = depth + 1
      if depth == 1 then from = at + 1 end
    elseif depth == 1 and (c == "," or c == "}") then
      parts[#parts + 1] = pattern:sub(from, at - 1)
      from = at + 1
    end
    if c == "}" then
      depth = depth - 1
      if depth == 0 then
        for _, part in ipairs(parts) do
          if #out >= NAMES then return out end
          expand(pattern:sub(1, open - 1) .. part .. pattern:sub(at + 1), out)
        end
        return out
      end
    end
  end
  out[#out + 1] = pattern
  return out
end

local ONE = "[%z\1-\127\194-\244][\128-\191]*" -- a character, not a byte

-- Does a name match a pattern of *, ? and [a-z]? Tried from the left; only the last * is returned to.
local function matches(name, pattern)
  local n, p, star, resume = 1, 1, nil, nil
  while n <= #name do
    local c = pattern:sub(p, p)
    local class, class_end
    if c == "[" then class, class_end = pattern:match("^%[([^%]]+)%]()", p) end
    local char = name:match("^" .. ONE, n) or name:sub(n, n)
    local fits = c ~= "" and c == name:sub(n, n)
    local step, next_p = 1, p + 1
    if c == "?" then
      fits, step = true, #char
    elseif class then
      local negated = class:match "^[!^]"
      local inside = class:gsub("^[!^]", ""):gsub("[%%%]%^]", "%%%0")
      fits = (char:match("^[" .. inside .. "]$") ~= nil) ~= (negated ~= nil)
      step, next_p = #char, class_end
    end
    if c == "*" then
      star, resume = p, n
      p = p + 1
    elseif fits then
      n, p = n + step, next_p
    elseif star then
      resume = resume + #(name:match("^" .. ONE, resume) or " ")
      n, p = resume, star + 1
    else
      return false
    end
  end
  return pattern:match("^%**$", p) ~= nil
end

local function is_pattern(s) return s:find "[*?%[]" ~= nil end

local function join(folder, name)
  if folder == "" then return name end
  return folder:sub(-1) == "/" and folder .. name or folder .. "/" .. name
end

-- "docs/a*/**/x" → "docs", { "a*", "**", "x" }
local function split(pattern)
  local parts, base = {}, pattern:sub(1, 1) == "/" and "/" or ""
  for part in pattern:gmatch "[^/]+" do parts[#parts + 1] = part end
  if parts[#parts] == "**" then parts[#parts + 1] = "*" end
  local first = #parts
  for i = #parts, 1, -1 do if is_pattern(parts[i]) then first = i end end
  for i = 1, first - 1 do base = join(base, parts[i]) end
  return base, table.move(parts, first, #parts, 1, {})
end

-- ---- walking ----

local function raise(message, code) error({ message = message, code = code }, 0) end

local function entries(folder)
  local list, message, code = file.list(folder == "" and "." or folder)
  if not list then raise(message, code) end
  return list
end

-- Calls found(path) for the files below a folder that match the parts from `at` on. A wildcard does
-- not match a leading dot, nor go through links to folders (they may lead back up).
local function walk(folder, parts, at, depth, found)
  local part = parts[at]
  if depth > DEPTH then raise(("%s: folders nested more than %d deep"):format(folder, DEPTH), "limit") end
  if not part then return end
  if part == "**" then walk(folder, parts, at + 1, depth, found) end
  for _, entry in ipairs(entries(folder)) do
    local name, path = entry.name, join(folder, entry.name)
    local hidden = name:sub(1, 1) == "." and part:sub(1, 1) ~= "."
    if part == "**" then
      if not hidden and entry.is_dir and not file.stat(path).link then
        walk(path, parts, at, depth + 1, found)
      end
    elseif not hidden and matches(name, part) then
      local info = file.stat(path)
      if at < #parts then
        if info and info.type == "folder" then walk(path, parts, at + 1, depth + 1, found) end
      elseif info and info.type == "file" then
        found(path, info)
      end
    end
  end
end

-- What lies below a folder, in a few words: "3 .odt, 1 .csv", or "it is empty".
local function inventory(folder)
  local counts, names = {}, {}
  pcall(walk, folder, { "**", "*" }, 1, 0, function(path)
    local extension = path:match "%.([%w]+)$"
    local kind = extension and "." .. extension or "without an extension"
    counts[kind] = (counts[kind] or 0) + 1
  end)
  for kind in pairs(counts) do names[#names + 1] = kind end
  table.sort(names, function(a, b)
    if counts[a] ~= counts[b] then return counts[a] > counts[b] end
    return a < b
  end)
  if #names == 0 then return "the folder is empty" end
  local out = {}
  for i = 1, math.min(#names, 8) do out[i] = counts[names[i]] .. " " .. names[i] end
  return "there are " .. table.concat(out, ", ") .. (#names > 8 and " and others" or "")
end

-- Standard input is kept in a file: it is hashed, and read by another thread.
local function keep_input(dir)
  local path = dir .. ".input"
  local made, message, code = file.mkdirs(dir:match "^(.*)/[^/]*$" or ".")
  local w <close> = made and file.replace(path, false)
  if not w then raise(message or path .. ": cannot be written", code or "io") end
  for bytes in function() return io.stdin:read(1 << 20) end do
    made, message, code = w:write(bytes)
    if not made then raise(message, code) end
  end
  made, message, code = w:commit()
  if not made then raise(message, code) end
  return path
end

-- Adds the files of one pattern; returns its folder, and how many matched.
local function collect(pattern, found, dir)
  if pattern == "-" then
    local path = keep_input(dir or "runs/read")
    found(path, file.stat(path), "-")
    return nil, 1
  end
  local stat = file.stat(pattern)
  if stat and stat.type == "file" then
    found(pattern, stat)
    return pattern:match "^(.*)/[^/]*$" or "", 1
  end
  if stat and stat.type == "folder" then
    pattern = join(pattern:gsub("(.)/+$", "%1"), "**/*.{" .. table.concat(KNOWN, ",") .. "}")
  elseif not is_pattern(pattern) and not pattern:find "[{}]" then
    raise(pattern .. ": no such file or folder", "not_found")
  end
  local base, count
  for _, one in ipairs(expand(pattern, {})) do
    local folder, parts = split(one)
    local info = file.stat(folder == "" and "." or folder)
    if not info then raise(folder .. "/: no such folder (looking for " .. pattern .. ")", "not_found") end
    if info.type ~= "folder" then raise(folder .. ": not a folder (looking for " .. pattern .. ")", "not_found") end
    base = base or folder
    while base ~= folder and folder:sub(1, #base + 1) ~= base .. "/" and base ~= "" do
      base = base:match "^(.*)/" or ""
    end
    walk(folder, parts, 1, 0, function(path, details)
      count = (count or 0) + 1
      found(path, details)
    end)
  end
  return base, count or 0
end

-- The deepest folder that holds all of these.
local function common(roots)
  local root = roots[1]
  for _, other in ipairs(roots) do
    while root ~= "" and other ~= root and other:sub(1, #root + 1) ~= root .. "/" and root ~= "/" do
      root = root:match "^(.*)/[^/]*$" or ""
    end
  end
  return root
end

local function list_items(patterns, dir)
  local roots, files, seen = {}, {}, {}
  for _, pattern in ipairs(patterns) do
    local root, count = collect(pattern, function(path, info, name)
      if not seen[path] then files[#files + 1] = { file = path, bytes = info.size, path = name } end
      seen[path] = true
    end, dir)
    roots[#roots + 1] = root
    if count == 0 then
      raise(("%s: no file matches; in %s/ %s"):format(pattern, root == "" and "." or root,
        inventory(root)), "not_found")
    end
  end
  local root = common(roots) or ""
  local skip = root == "" and 0 or root == "/" and 1 or #root + 1
  for _, item in ipairs(files) do item.path = item.path or item.file:sub(skip + 1) end
  table.sort(files, function(a, b) return a.path < b.path end)
  return files
end

--- Names the files to read: each once, in byte order of their paths.
-- @param ctx table: the stage's context; ctx.options.files is a pattern, file or folder, or a list
-- @param emit function: called with { path, file, bytes } for each
-- @return boolean: true
-- @error not_found: a folder that is not there, or nothing that matches
function M.list(ctx, emit)
  if ctx.options.sources then return require("lathe.extractors").list(ctx, emit, M.list) end
  local patterns = ctx.options.files
  if type(patterns) == "string" then patterns = { patterns } end
  if #patterns == 0 then return nil, "read: no files are named", "misuse" end
  local fine, result = pcall(list_items, patterns, ctx.dir)
  if not fine then
    if type(result) ~= "table" then error(result, 0) end
    return nil, result.message, result.code
  end
  for _, item in ipairs(result) do emit(item) end
  return true
end

-- ---- JSONL ----

local function is_jsonl(path)
  path = path:lower():gsub("%.gz$", ""):gsub("%.zst$", "")
  return path == "-" or path:match "%.jsonl$" or path:match "%.ndjson$"
end

local function read_jsonl(item, ctx, emit)
  local lines, message, code = file.lines(item.file, { max_line = ctx.options.max_line })
  if not lines then return nil, message, code end
  local reader <close> = lines
  while true do
    local fine, text, number, _, bytes = pcall(reader)
    if not fine then -- damaged gzip or zstd: what came before it is good
      ctx.reject(item, "unreadable", tostring(text))
      return true
    end
    if text == nil then return true end
    if text == false then
      ctx.reject({ path = item.path, line = number, bytes = bytes }, "line_too_long",
        ("%s:%d: %d bytes, more than max_line (%d)"):format(item.path, number, bytes,
          ctx.options.max_line))
    elseif text:find "%S" then
      local record, problem = json.record(text)
      if record then
        emit(record)
      else
        ctx.reject({ path = item.path, line = number }, "not_json",
          ("%s:%d: %s"):format(item.path, number, problem))
      end
    end
  end
end

-- ---- documents ----

local function extractor(ctx)
  local cache = ctx.cache or M
  if not cache.extractor then
    local x, message, code = require("engine.extract").open()
    if not x then return nil, message, code end
    cache.extractor = x
  end
  return cache.extractor
end

--- Ends this Lua state's lathe-extract (it also ends with the state).
function M.close()
  if M.extractor then M.extractor:close() end
  M.extractor = nil
end

-- An isolation that the kernel cannot give is said once.
local function note_isolation(x, ctx)
  local info = x:info()
  if not info or ctx.cache and ctx.cache.isolation_noted then return end
  if ctx.cache then ctx.cache.isolation_noted = true end
  if info.landlock == 0 then
    ctx.log("warn", "this kernel has no Landlock: documents are read with seccomp and limits only")
  end
end

local function segment_record(item, facts, segment, number)
  local title = facts.title
  return {
    id = hash.sha256(facts.sha256 .. "\0" .. item.path .. "\0" .. number):sub(1, 16),
    text = segment.text,
    source = "read",
    metadata = {
      document = facts.sha256,
      path = item.path,
      type = facts.type,
      title = title,
      encoding = facts.encoding,
      language = facts.language,
      segment = number,
      span = { segment.start, segment.stop },
      pages = segment.pages,
      notes = segment.notes,
    },
  }
end

local function read_document(item, ctx, emit)
  local x, problem, kind = extractor(ctx)
  if not x then return nil, problem, kind end
  local o = ctx.options
  local begun, message, code, reason = x:begin(item.file, { type = o.type ~= "auto" and o.type or nil,
    segment = o.segment, text_max = o.text_max, unpacked_max = o.unpacked_max,
    cpu_seconds = o.cpu_seconds, page_seconds = o.page_seconds, idle_seconds = o.idle_seconds })
  local number, segment = 0, nil
  while begun do
    segment, message, code, reason = x:next()
    if not segment then break end
    if number == 0 then note_isolation(x, ctx) end
    emit(segment_record(item, x:facts(), segment, number))
    number = number + 1
  end
  if begun and segment == false then return true end
  if code == "cancelled" then return nil, message, code end
  if code == "mismatch" or not begun and code == "not_found" and not file.stat(item.file) then
    return nil, message, code
  end
  if number > 0 then message = ("%s; its first %d segments were kept"):format(message, number) end
  ctx.reject(item, reason, message)
  return true
end

--- Reads one file and emits its text as records.
-- A document that cannot be read costs one rejected record, whatever happens to the extractor.
-- @param item table: { path, file } from list
-- @param ctx table: the stage's context
-- @param emit function: called with each record
-- @return boolean: true
-- @error not_found: the file has gone; cancelled
function M.each(item, ctx, emit)
  if item.extractor then return require("lathe.extractors").each(item, ctx, emit) end
  if ctx.options.type == "auto" and is_jsonl(item.path) then return read_jsonl(item, ctx, emit) end
  return read_document(item, ctx, emit)
end

--- What the records depend on besides the options: the extractors' files.
function M.hashes(options, where)
  return options.sources and require("lathe.extractors").hashes(options.sources, where.root) or {}
end

M.name, M.version, M.kind = "read", 2, "map"
M.summary = "Reads documents (pdf, docx, html, md, txt) and JSONL files."
M.positional = { "files" }
M.options = {
  files = { type = "string|table", default = {},
    help = "a file, a folder, or a pattern with *, **, ? and {a,b}; or a list of these" },
  sources = { type = "string|table",
    help = "extractors that make records of code from the files: \"all\", names, or { name, option = value }" },
  type = { type = "string", default = "auto", choices = { "auto", "txt", "md", "html", "docx", "pdf" },
    help = "how to read the files; auto decides by content, then by name" },
  segment = { type = "integer", default = 1 << 20, min = 64, max = 1 << 30,
    help = "bytes of text per record at most" },
  text_max = { type = "integer", default = 0, min = 0,
    help = "bytes of text per document (0: 1 GiB, or three times the file)" },
  unpacked_max = { type = "integer", default = 256 << 20, min = 1,
    help = "bytes that a DOCX may unpack to" },
  cpu_seconds = { type = "integer", default = 0, min = 0,
    help = "CPU time per document (0: 300, more for very large ones)" },
  page_seconds = { type = "integer", default = 10, min = 1, help = "CPU time per PDF page" },
  idle_seconds = { type = "integer", default = 120, min = 1,
    help = "wall clock without progress before a document is left for the next run" },
  max_line = { type = "integer", default = 64 << 20, min = 1, help = "bytes of a JSONL line" },
}

return M
