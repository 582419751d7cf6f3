-- SPDX-License-Identifier: MIT
-- What a stage reads besides records: an artifact that the recipe makes, by its name, or a folder of the
-- user's, by a path with a slash in it.

local file = require "engine.file"
local hash = require "engine.hash"

local M = {}

--- Whether a name is a folder's path.
-- @param name string: an artifact's name, or a path
-- @return boolean
-- @example require("lathe.artifacts").is_folder "models/small"
function M.is_folder(name) return name:find("/", 1, true) ~= nil end

--- Those of some names that a recipe has to make.
-- @param names table: list of names and paths
-- @return table: list of names
function M.used(names)
  local out = {}
  for _, name in ipairs(names) do
    if not M.is_folder(name) then out[#out + 1] = name end
  end
  return out
end

--- Where an artifact or folder lies.
-- @param ctx table: the stage's context
-- @param name string: an artifact's name, or a path
-- @return string: the folder
function M.path(ctx, name) return M.is_folder(name) and name or ctx.artifact(name) end

--- What stands for the contents of folders in a stage's key: names, sizes and times of their files, since
-- models are too large to be read whenever a run is planned.
-- @param names table: list of names and paths
-- @return table: path → hash
function M.hashes(names)
  local out = {}
  for _, name in ipairs(names) do
    if M.is_folder(name) then
      local list = {}
      for _, entry in ipairs(file.list(name) or {}) do
        local info = not entry.is_dir and file.stat(name .. "/" .. entry.name)
        if info then list[#list + 1] = ("%s\0%d\0%d"):format(entry.name, info.size, info.mtime_ns) end
      end
      out[name] = hash.sha256(table.concat(list, "\n"))
    end
  end
  return out
end

return M
