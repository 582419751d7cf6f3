-- SPDX-License-Identifier: MIT
-- Repositories: a shallow copy of one in the user's cache, made by the program git.
--
--   https://example.org/team/project.git          the default branch
--   https://example.org/team/project.git@v1.2     a branch or tag
--
-- A copy is kept and used again; its commit goes into the records. git is started with nothing of our
-- environment but where programs and the home folder are, asks for no password, and speaks https and ssh only.

local file = require "engine.file"
local hash = require "engine.hash"

local M = {}

--- Whether a name is a repository's and not a file's: a URL that ends in .git, or in .git@BRANCH.
-- @param name string
-- @return boolean
-- @example require("lathe.git").is_url "https://example.org/a.git@main"
function M.is_url(name) return name:match "^%a[%w+]*://.+%.git@?[^@]*$" ~= nil end

local function quoted(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

local function git(arguments)
  local words = { "env", "-i", "PATH=" .. (os.getenv "PATH" or "/usr/bin:/bin"), "HOME=" .. (os.getenv "HOME" or "/"),
    "SSH_AUTH_SOCK=" .. (os.getenv "SSH_AUTH_SOCK" or ""), "GIT_TERMINAL_PROMPT=0",
    "GIT_ALLOW_PROTOCOL=" .. (os.getenv "LATHE_GIT_PROTOCOLS" or "https:ssh"), "git" }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  for i, word in ipairs(words) do words[i] = quoted(word) end
  local pipe = io.popen(table.concat(words, " ") .. " 2>&1 </dev/null")
  local said = pipe:read "a"
  local fine = pipe:close()
  if not fine then return nil, (said:gsub("%s+$", ""):match "[^\n]*$") end
  return (said:gsub("%s+$", ""))
end

local function split(url)
  local address, reference = url:match "^(.+%.git)@([^@]+)$"
  return address or url, reference
end

local function cache_folder()
  local named = os.getenv "LATHE_CACHE"
  if named and named ~= "" and named ~= "off" then return named .. "/repositories" end
  local base = require("lathe.xdg").folder "CACHE"
  return base and base .. "/lathe/repositories"
end

--- The folder of a repository, fetched when it is not there.
-- @param url string: see above
-- @return string: the folder
-- @error misuse (an odd name), not_found (git is not installed), transient (git failed)
function M.checkout(url)
  local address, reference = split(url)
  if address:find "[%c ]" or reference and not reference:match "^[%w][%w._/-]*$" then
    return nil, ("'%s' is no repository's URL"):format(url), "misuse"
  end
  if address:match "://[^/]*@" and not address:match "^ssh://" then
    return nil, "a name or password in a repository's URL would be logged: use ssh, or git's own credential store",
      "misuse"
  end
  local base = cache_folder()
  if not base then return nil, "no folder for repositories: set HOME or LATHE_CACHE", "misuse" end
  local folder = base .. "/" .. hash.sha256(url):sub(1, 16)
  if file.stat(folder .. "/.git") then return folder end
  local made, message, code = file.mkdirs(base)
  if not made then return nil, message, code end
  local temporary = ("%s.tmp-%s"):format(folder, hash.sha256(tostring({})):sub(1, 8))
  local arguments = { "clone", "--quiet", "--depth", "1", "--single-branch", "--config", "core.symlinks=false" }
  if reference then
    arguments[#arguments + 1] = "--branch"
    arguments[#arguments + 1] = reference
  end
  for _, word in ipairs { "--", address, temporary } do arguments[#arguments + 1] = word end
  if not git { "--version" } then return nil, "the program git is not installed, which fetches " .. url, "not_found" end
  local said
  said, message = git(arguments)
  if not said then
    file.remove_tree(temporary)
    return nil, ("%s: git could not fetch it: %s"):format(url, message), "transient"
  end
  local renamed
  renamed, message, code = file.rename(temporary, folder)
  if not renamed then
    file.remove_tree(temporary)
    if file.stat(folder .. "/.git") then return folder end -- another run was quicker
    return nil, message, code
  end
  return folder
end

--- The commit that a folder is at.
-- @param folder string
-- @return string|nil: nil where it is no repository
function M.commit(folder)
  if not file.stat(folder .. "/.git") then return nil end
  local id = git { "-C", folder, "rev-parse", "HEAD" }
  return id and id:match "^%x+$"
end

return M
