-- SPDX-License-Identifier: MIT
-- Runs the program as a user would: cli.run("run x.lua --plan", { env = "A=1", cwd = dir }).

local file = require "engine.file"

local M = {}

local build = os.getenv "LATHE_BUILD" or "build"

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local p = io.popen "pwd"
  local cwd = p:read "l"
  p:close()
  return cwd .. "/" .. path
end

M.program = absolute(build) .. "/lathe"
M.faulty = absolute "build/fault" .. "/lathe"
M.top = absolute(".")

local made = 0

--- Runs the program; returns its exit status, standard output and standard error.
-- @param arguments string: for the shell
-- @param options table: { env = "A=1 B=2", cwd = folder, program = path, prefix = "timeout -s KILL 1",
--   input = path }
function M.run(arguments, options)
  options = options or {}
  made = made + 1
  local base = ("%s/cli-%s-%d"):format(os.getenv "TMPDIR" or "/tmp", tostring(M):gsub("%W", ""), made)
  local command = ("cd '%s' && %s %s %s %s >'%s.out' 2>'%s.err' <'%s'"):format(options.cwd or ".",
    options.env and "env " .. options.env or "", options.prefix or "", options.program or M.program,
    arguments, base, base, options.input or "/dev/null")
  local _, how, status = os.execute(command)
  if how == "signal" then status = 128 + status end
  local out, err = file.read(base .. ".out"), file.read(base .. ".err")
  file.remove_tree(base .. ".out")
  file.remove_tree(base .. ".err")
  return status, out, err
end

--- Writes a file, making its folder.
function M.put(path, text)
  assert(file.mkdirs(path:match "^(.*)/"))
  assert(file.write(path, text, false))
end

local function walk(root, at, out, skip)
  for _, entry in ipairs(file.list(root .. at) or {}) do
    local path = at .. "/" .. entry.name
    if entry.is_dir then
      walk(root, path, out, skip)
    elseif not skip(path) then
      out[path] = file.sha256(root .. path)
    end
  end
  return out
end

-- Files of a run that tell of time and machine, not of data.
local function not_data(path)
  return path:find "manifest%.json$" or path:find "events%.jsonl$" or path:find "/lock$"
    or path:find "inputs%.json$" or path:find "outputs%.json$" or path:find "log%.jsonl$" or path == "/report.html"
end

--- The hashes of a run folder's data files by path: what must not depend on -j, streaming or kills.
function M.tree(root) return walk(root, "", {}, not_data) end

return M
