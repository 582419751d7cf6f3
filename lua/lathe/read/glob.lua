-- SPDX-License-Identifier: MIT
-- Which files a pattern names: *, **, ?, [a-z] and {a,b}; a folder stands for all that is in it.
--
-- Names are compared by character, not by byte. A wildcard does not match a leading dot, nor does a walk go
-- through links to folders (they may lead back up). The list is the same on every machine: each file once,
-- in byte order of the paths.

local file = require "engine.file"

local M = {}

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
  local whole = stat and stat.type == "folder"
  if whole then
    pattern = join(pattern:gsub("(.)/+$", "%1"), "**/*")
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
      found(path, details, nil, whole)
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

--- Does a path match a pattern? One without a slash is compared with the file's name, one with slashes with
-- the whole path.
-- @param path string: such as "src/a.c"
-- @param pattern string: such as "*.c", "src/**" or "**/test_*.py"
-- @return boolean
-- @example require("lathe.read.glob").fits("a/b/c.md", "**/*.{md,txt}") --> true
function M.fits(path, pattern)
  local parts = {}
  for part in path:gmatch "[^/]+" do parts[#parts + 1] = part end
  for _, one in ipairs(expand(pattern, {})) do
    if not one:find("/", 1, true) then
      if matches(parts[#parts] or "", one) then return true end
    else
      local wanted = {}
      for part in one:gmatch "[^/]+" do wanted[#wanted + 1] = part end
      local function from(i, k)
        if not wanted[k] then return parts[i] == nil end
        if wanted[k] == "**" then
          for j = i, #parts + 1 do if from(j, k + 1) then return true end end
          return false
        end
        return parts[i] ~= nil and matches(parts[i], wanted[k]) and from(i + 1, k + 1)
      end
      if from(1, 1) then return true end
    end
  end
  return false
end

--- The files that patterns name.
-- @param patterns table: list of patterns, files and folders; "-" is standard input
-- @param dir string: a path beside which standard input is kept
-- @return table: list of { file, path (relative to the deepest folder of all), bytes, whole = found because its
--   folder was named }; and that folder
-- @error raises { code = "not_found", message }: a folder that is not there, or nothing that matches
function M.list(patterns, dir)
  local roots, files, seen = {}, {}, {}
  for _, pattern in ipairs(patterns) do
    local root, count = collect(pattern, function(path, info, name, whole)
      if not seen[path] then files[#files + 1] = { file = path, bytes = info.size, path = name, whole = whole } end
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
  return files, root
end

return M
