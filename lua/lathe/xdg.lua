-- SPDX-License-Identifier: MIT
-- The user's folders, as the XDG base directory specification names them.

local M = {}

local BESIDE = { CONFIG = "/.config", CACHE = "/.cache", STATE = "/.local/state" }

--- The folder for files of one kind: $XDG_CONFIG_HOME and so on, else the usual place under $HOME.
-- @param kind string: CONFIG, CACHE or STATE
-- @return string: the folder; nil when neither variable says
function M.folder(kind)
  local named = os.getenv("XDG_" .. kind .. "_HOME")
  if named and named ~= "" then return named end
  local home = os.getenv "HOME"
  if home and home ~= "" then return home .. BESIDE[kind] end
  return nil
end

return M
