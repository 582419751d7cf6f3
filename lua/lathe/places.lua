-- SPDX-License-Identifier: MIT
-- Where the files lie that a user may replace: beside the recipe, else in the user's folder, else ours.

local file = require "engine.file"

local M = {}

local function our_folder(what)
  local here = package.searchpath("lathe.places", package.path)
  return here and (here:gsub("lua/lathe/places%.lua$", what)) or what
end

--- The folders in which files of one kind are looked for, in order.
-- @param what string: "templates", "templates/filters", "extractors"
-- @param root string|nil: the recipe's folder (default ".")
-- @return table: list of folders
-- @example require("lathe.places").folders("templates")
function M.folders(what, root)
  local home = require("lathe.xdg").folder "CONFIG" or "/.config"
  return { (root or ".") .. "/" .. what, ("%s/lathe/%s"):format(home, what), our_folder(what) }
end

--- The names of the files in these folders, without their extensions, each once.
-- @param folders table: list, as folders gives it
-- @param patterns table: Lua patterns whose first capture is the name, such as "^(.+)%.lua$"
-- @return table: sorted names
function M.names(folders, patterns)
  local seen, names = {}, {}
  for _, folder in ipairs(folders) do
    for _, entry in ipairs(file.stat(folder) and file.list(folder) or {}) do
      for _, pattern in ipairs(patterns) do
        local name = not entry.is_dir and entry.name:match(pattern)
        if name and not seen[name] then
          seen[name] = true
          names[#names + 1] = name
        end
      end
    end
  end
  table.sort(names)
  return names
end

return M
