-- SPDX-License-Identifier: MIT
-- Python source, cut into its top-level statements: enough to take classes and functions out of a file,
-- with their docstrings and the comments above them. Nothing is executed, and no expression is parsed:
-- strings, comments and brackets are followed so that what stands inside of them is not taken for code.

local M = {}

-- Follows one line; state = { quote = nil or the delimiter of the string that is open, depth = brackets }.
local function follow(line, state)
  local at = 1
  while at <= #line do
    if state.quote then
      local stop = line:find("[\\" .. state.quote:sub(1, 1) .. "]", at)
      if not stop then break end
      if line:sub(stop, stop) == "\\" then
        at = stop + 2
      elseif line:sub(stop, stop + #state.quote - 1) == state.quote then
        at, state.quote = stop + #state.quote, nil
      else
        at = stop + 1
      end
    else
      local stop = line:find("[\"'#()%[%]{}]", at)
      if not stop then break end
      local c = line:sub(stop, stop)
      at = stop + 1
      if c == "#" then break end
      if c == '"' or c == "'" then
        state.quote = line:sub(stop, stop + 2) == c:rep(3) and c:rep(3) or c
        at = stop + #state.quote
      elseif c:find "[%(%[{]" then
        state.depth = state.depth + 1
      else
        state.depth = math.max(0, state.depth - 1)
      end
    end
  end
  -- a string of one line ends with it, unless the line goes on
  if state.quote and #state.quote == 1 and line:sub(-1) ~= "\\" then state.quote = nil end
end

local function lines_of(source)
  local lines = {}
  for line in (source:gsub("\r\n?", "\n") .. "\n"):gmatch "(.-)\n" do lines[#lines + 1] = line end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

-- Whether line i begins a statement at indentation 0.
local function begins(line) return line:find "^[^%s#]" ~= nil and not line:find "^[%)%]}]" end

local CONTINUES = { ["else"] = true, ["elif"] = true, ["except"] = true, ["finally"] = true }

local function statement_of(line)
  local kind, name, rest = line:match "^(class)%s+([%a_][%w_]*)%s*(.*)$"
  if not kind then kind, name, rest = line:match "^(def)%s+([%a_][%w_]*)%s*(.*)$" end
  if not kind then kind, name, rest = line:match "^async%s+(def)%s+([%a_][%w_]*)%s*(.*)$" end
  if kind then return kind, name, rest end
  if line:find "^import%s" or line:find "^from%s+[%w_.]+%s+import" then return "import" end
  local assigned = line:match "^([%a_][%w_]*)%s*[:=]"
  if assigned and not line:find "^[%a_][%w_]*%s*==" then return "assignment", assigned end
  return "other"
end

--- Cuts a source into top-level statements.
-- @param source string: Python
-- @return table: list of { kind = "class", "def", "import", "assignment" or "other", name, first, last (lines,
--   decorators and comments above included in neither), text (with decorators), comment (the lines of #
--   right above, without marks), lines = all of the source's lines (shared) }
function M.statements(source)
  local lines, state, out = lines_of(source), { depth = 0 }, {}
  local starts = {}
  for i, line in ipairs(lines) do
    if not state.quote and state.depth == 0 and not (i > 1 and lines[i - 1]:sub(-1) == "\\") and begins(line)
      and not CONTINUES[line:match "^(%a+)"] then
      starts[#starts + 1] = i
    end
    follow(line, state)
  end
  local decorators
  for k, first in ipairs(starts) do
    local last = (starts[k + 1] or #lines + 1) - 1
    if lines[first]:sub(1, 1) == "@" then
      decorators = decorators or first
    else
      while last > first and (lines[last]:find "^%s*$" or lines[last]:find "^#") do last = last - 1 end
      local from = decorators or first
      local above = {}
      for i = from - 1, 1, -1 do
        local words = lines[i]:match "^#+%s?(.*)$"
        if not words then break end
        table.insert(above, 1, words)
      end
      local kind, name, rest = statement_of(lines[first])
      out[#out + 1] = { kind = kind, name = name, rest = rest, first = first, from = from, last = last,
        text = table.concat(lines, "\n", from, last), comment = table.concat(above, "\n"), lines = lines }
      decorators = nil
    end
  end
  return out
end

-- Removes the indentation that all lines but the first share.
local function dedent(s)
  local least
  for line in s:gmatch "\n([^\n]*)" do
    if line:find "%S" then
      local indent = #line:match "^%s*"
      least = math.min(least or indent, indent)
    end
  end
  if least and least > 0 then s = s:gsub("\n" .. (" "):rep(least), "\n"):gsub("\n" .. ("\t"):rep(least), "\n") end
  return (s:gsub("[ \t]+\n", "\n"):gsub("^%s+", ""):gsub("%s+$", ""))
end

--- The docstring of a class or function.
-- @param statement table: from statements
-- @return string|nil
function M.docstring(statement)
  local state = { depth = 0 }
  for i = statement.first, statement.last do -- to the end of the header
    local line = statement.lines[i]
    follow(line, state)
    if state.depth == 0 and not state.quote and line:gsub("%s*#.*$", ""):find ":%s*$" then
      local from_line = i + 1
      while from_line < statement.last and statement.lines[from_line]:find "^%s*#" do from_line = from_line + 1 end
      local body = table.concat(statement.lines, "\n", from_line, statement.last)
      local prefix, delimiter, at = body:match '^%s*([rRuUbBfF]*)(["\'])()'
      if not delimiter or prefix:find "[bBfF]" then return nil end
      local triple = body:sub(at - 1, at + 1) == delimiter:rep(3)
      local from = triple and at + 2 or at
      local stop = from
      local close = triple and delimiter:rep(3) or delimiter
      while true do
        local found = body:find(close, stop, true)
        if not found then return nil end
        local slashes = #body:sub(from, found - 1):match "\\*$"
        if slashes % 2 == 0 then return dedent(body:sub(from, found - 1)) end
        stop = found + 1
      end
    end
  end
end

--- The names that a class is derived from, as written, without their modules.
-- @param statement table: a class
-- @return table: list of names
function M.bases(statement)
  local header, state = {}, { depth = 0 }
  for i = statement.first, statement.last do
    header[#header + 1] = statement.lines[i]
    follow(statement.lines[i], state)
    if state.depth == 0 then break end
  end
  local inside = table.concat(header, " "):match "^class%s+[%w_]+%s*(%b())"
  local out = {}
  for base in (inside or "()"):sub(2, -2):gmatch "[^,]+" do
    local name = base:match "^%s*([%w_.]+)%s*$"
    if name then out[#out + 1] = name:match "[^.]+$" end
  end
  return out
end

--- The names in a piece of source that are written outside of strings and comments.
-- @param source string
-- @return table: name → true
function M.names(source)
  local out, state = {}, { depth = 0 }
  for _, line in ipairs(lines_of(source)) do
    local at = 1
    while at <= #line do
      if state.quote then
        local before = state.quote
        follow(line:sub(at), state)
        if state.quote == before then break end
        break -- what follows a long string on its last line is rarely a name
      end
      local stop = line:find("[\"'#]", at) or #line + 1
      for name in line:sub(at, stop - 1):gmatch "[%a_][%w_]*" do out[name] = true end
      if stop > #line or line:sub(stop, stop) == "#" then break end
      local c = line:sub(stop, stop)
      if line:sub(stop, stop + 2) == c:rep(3) then
        local close = line:find(c:rep(3), stop + 3, true)
        if not close then
          state.quote = c:rep(3)
          break
        end
        at = close + 3
      else
        local close = stop + 1
        while close <= #line and line:sub(close, close) ~= c do
          close = close + (line:sub(close, close) == "\\" and 2 or 1)
        end
        at = close + 1
      end
    end
  end
  return out
end

return M
