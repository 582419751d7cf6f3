-- SPDX-License-Identifier: MIT
-- Images of large tokenizers, kept between runs: a file of 9 MB is hashed and its image mapped in a few
-- milliseconds, where building it takes far longer.
--
--     $XDG_CACHE_HOME/lathe/tokenizers/HASH.image        LATHE_CACHE names another folder; "off": none
--
-- An image is named by the hash of what it was made from and checked as a whole before it is used, so a changed
-- tokenizer, a damaged image or another version of Lathe only cost the building. At most KEPT images stay.
-- A cache that cannot be read or written is never an error.

local file = require "engine.file"
local tokenizer = require "engine.tokenizer"
local xdg = require "lathe.xdg"

local M = {}

local LEAST = 512 << 10 -- bytes of a file that is worth it
local KEPT = 12

--- The folder of the cache, or nil when there is none.
-- @return string: the folder
function M.folder()
  local named = os.getenv "LATHE_CACHE"
  if named == "off" then return nil end
  if named and named ~= "" then return named .. "/tokenizers" end
  local home = xdg.folder "CACHE"
  return home and home .. "/lathe/tokenizers"
end

-- The oldest images beyond KEPT go.
local function prune(folder)
  local images = {}
  for _, entry in ipairs(file.list(folder) or {}) do
    local info = entry.name:find "%.image$" and file.stat(folder .. "/" .. entry.name)
    if info then images[#images + 1] = { name = entry.name, age = info.mtime_ns } end
  end
  table.sort(images, function(a, b) return a.age > b.age end)
  for i = KEPT + 1, #images do file.remove_tree(folder .. "/" .. images[i].name) end
end

local function keep(tok, folder, image, key)
  if not file.mkdirs(folder) then return end
  if tok:save_image(image, key) then prune(folder) end
end

--- The tokenizer that make() makes from a file, from its image when there is one.
-- @param path string: the file it is made from
-- @param how string: whatever else it is made with, in words
-- @param make function: gives the tokenizer, or nil, message, code
-- @return tokenizer
-- @error what make fails with
function M.load(path, how, make)
  local folder, info = M.folder(), file.stat(path)
  local hash = folder and info and info.size >= LEAST and file.quick_hash(path)
  if not hash then return make() end
  local image, key = ("%s/%s.image"):format(folder, hash), hash .. how
  local tok = tokenizer.image(image, key)
  if tok then return tok end
  local message, code
  tok, message, code = make()
  if not tok then return nil, message, code end
  keep(tok, folder, image, key)
  return tok
end

return M
