-- SPDX-License-Identifier: MIT
-- Finds the language models of libexttextcat and says which language a text is in.

local file = require "engine.file"
local language = require "engine.language"

local M = {}

-- Names that people use for several of the models' codes.
local GROUPS = { no = { "nb", "nn" }, sh = { "bs", "hr", "sr", "sh" }, fil = { "tl" } }

local function folders()
  local list = {}
  for folder in (os.getenv "XDG_DATA_DIRS" or ""):gmatch "[^:]+" do list[#list + 1] = folder .. "/libexttextcat" end
  for _, prefix in ipairs { "/usr/local", "/usr", "/opt/homebrew", "/opt/local" } do
    list[#list + 1] = prefix .. "/share/libexttextcat"
  end
  return list
end

--- The folder of the models.
-- @return string
-- @error not_found: the package is not installed
function M.folder()
  for _, folder in ipairs(folders()) do
    if file.stat(folder .. "/fpdb.conf") then return folder end
  end
  return nil, "no language models found; install the package libexttextcat-data", "not_found"
end

--- What an identification depends on: the hash of the models' list.
-- @return string
-- @error not_found
function M.hash()
  local folder, message, code = M.folder()
  if not folder then return nil, message, code end
  return file.sha256(folder .. "/fpdb.conf")
end

--- Opens the models; 50 ms and some megabytes, so once for a worker.
-- @return models: with models:identify(text) → code, confidence
-- @error not_found, unsupported
function M.open()
  local folder, message, code = M.folder()
  if not folder then return nil, message, code end
  return language.open(folder)
end

--- Makes a set of codes from what a user writes.
-- @param wanted string|table: "en", "en,de", { "en", "de" }; "any" gives nil
-- @return table|nil: code → true
function M.wanted(wanted)
  local set, any = {}, false
  local function add(code)
    code = code:lower():match "^%s*([%a]+)" or ""
    if code == "any" then any = true end
    for _, one in ipairs(GROUPS[code] or { code }) do set[one] = true end
  end
  if type(wanted) == "string" then
    for code in wanted:gmatch "[^,%s]+" do add(code) end
  else
    for _, code in ipairs(wanted) do add(tostring(code)) end
  end
  if any then return nil end
  return set
end

return M
