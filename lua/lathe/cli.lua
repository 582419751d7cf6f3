-- SPDX-License-Identifier: MIT
-- The command line: lathe COMMAND …; returns the exit status (0 done, 1 failed, 2 misuse, 130 Ctrl-C).

local M = {}

--- Runs a Lua script with the engine's modules at hand; its arguments are in `arg`.
local function exec(arguments)
  local path = arguments[2]
  local chunk, message = loadfile(path)
  if not chunk then
    io.stderr:write("lathe: ", message, "\n")
    return 1
  end
  _G.arg = table.move(arguments, 2, #arguments, 0, {})
  local status = chunk(table.unpack(arguments, 3))
  return math.type(status) == "integer" and status or 0
end

--- The program's entry.
-- @param arguments table: as the shell gave them, [0] is the program's name
-- @return integer: the exit status
function M.main(arguments)
  if arguments[1] == "exec" and arguments[2] then return exec(arguments) end
  io.stderr:write("usage: lathe exec SCRIPT [ARGUMENT …]\n")
  return 2
end

return M
