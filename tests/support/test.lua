-- SPDX-License-Identifier: MIT
-- Tests in Lua, run by `lathe exec FILE`:
--
--   local test = require "tests.support.test"
--   test.case("adds", function() test.equal(1 + 1, 2) end)
--   return test.done()
--
-- Prints `ok`, `not ok`, `skip` lines that tests/run.sh adds up. done() also fails when open files or
-- the working directory changed.

local file = require "engine.file"

local M = {}
local failures, source = 0, arg and arg[0] or "?"

local function open_files()
  local list = file.list("/proc/self/fd")
  return list and #list or 0
end
local files_at_start = open_files()

local function show(v, depth)
  depth = depth or 0
  if type(v) == "string" then return string.format("%q", v) end
  if type(v) ~= "table" or depth > 6 then return tostring(v) end
  local keys, out = {}, {}
  for k in pairs(v) do keys[#keys + 1] = k end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  for _, k in ipairs(keys) do out[#out + 1] = "[" .. show(k) .. "]=" .. show(v[k], depth + 1) end
  return "{" .. table.concat(out, ", ") .. "}"
end
M.show = show

local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for k, v in pairs(a) do if not same(v, b[k]) then return false end end
  for k in pairs(b) do if a[k] == nil then return false end end
  return true
end

--- Fails the case unless both are deeply equal (integers and floats differ).
function M.equal(got, want, what)
  if not same(got, want) then
    error((what and what .. ": " or "") .. "got " .. show(got) .. ", expected " .. show(want), 2)
  end
end

--- Fails the case unless the value is true-ish.
function M.ok(v, what)
  if not v then error(what or "expected a true value, got " .. show(v), 2) end
  return v
end

--- Fails the case unless text contains `part` (plain).
function M.contains(text, part)
  if type(text) ~= "string" or not text:find(part, 1, true) then
    error("expected " .. show(part) .. " in " .. show(text), 2)
  end
end

--- Fails the case unless f(...) raises an error that contains `part`; returns the message.
function M.raises(part, f, ...)
  local fine, message = pcall(f, ...)
  if fine then error("expected an error with " .. show(part), 2) end
  M.contains(tostring(message), part)
  return message
end

--- Fails the case unless |got − want| ≤ tolerance.
function M.close(got, want, tolerance)
  if math.abs(got - want) > tolerance then
    error(("got %.9g, expected %.9g ± %g"):format(got, want, tolerance), 2)
  end
end

local skipped = {}
--- Ends the case as skipped.
function M.skip(why) error(setmetatable({ why = why }, skipped), 0) end

--- The path of a conformance file, or skips the case when the data is absent.
function M.conformance(name)
  local path = (os.getenv "LATHE_CONFORMANCE" or "../shared/conformance") .. "/" .. name
  if not file.stat(path) then M.skip("no conformance data (set LATHE_CONFORMANCE)") end
  return path
end

--- A fresh folder under $TMPDIR that is removed when the case ends; f(path) gets it.
local made = 0
function M.with_dir(f)
  made = made + 1
  local name = source:gsub("[^%w]", "_") .. "-" .. made
  local path = (os.getenv "TMPDIR" or "/tmp") .. "/" .. name
  file.remove_tree(path)
  assert(file.mkdirs(path))
  local results = table.pack(xpcall(f, function(m)
    return type(m) == "string" and debug.traceback(m, 2) or m
  end, path))
  file.remove_tree(path)
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- Runs one case.
function M.case(name, f)
  local fine, message = xpcall(f, function(m)
    if getmetatable(m) == skipped then return m end
    return debug.traceback(tostring(m), 2)
  end)
  if fine then
    print(("ok %s: %s"):format(source, name))
  elseif getmetatable(message) == skipped then
    print(("skip %s: %s: %s"):format(source, name, message.why))
  else
    failures = failures + 1
    print(("not ok %s: %s\n  %s"):format(source, name, tostring(message):gsub("\n", "\n  ")))
  end
  io.stdout:flush()
end

--- Ends the file: checks for leaks, returns the exit status.
function M.done()
  collectgarbage()
  collectgarbage()
  local now = open_files()
  if now > files_at_start then
    failures = failures + 1
    print(("not ok %s: %d files left open"):format(source, now - files_at_start))
  end
  return failures > 0 and 1 or 0
end

return M
