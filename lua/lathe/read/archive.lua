-- SPDX-License-Identifier: MIT
-- Archives (ZIP, TAR and their compressions, single compressed files) member by member, in memory: each is
-- read as the file that it is. Its path is "archive.zip/inner/name.md". Archives inside are walked too.

local document = require "lathe.read.document"

local M = {}

--- Reads an archive.
-- @param item table: { path, file }
-- @param ctx table: the stage's context
-- @param each function: called with { path, file, bytes, member = true } for each member; its result is checked
-- @return boolean: true
-- @error cancelled, io, and what `each` gives
function M.read(item, ctx, each)
  local x, message, code = document.extractor_of(ctx)
  if not x then return nil, message, code end
  local o = ctx.options
  local step, state, first, close = x:members(item.file, { name = item.path, unpacked_max = o.archive_max,
    depth = o.depth, cpu_seconds = o.cpu_seconds, idle_seconds = o.idle_seconds })
  if not step then -- state: message, first: code, close: reason
    if first == "cancelled" or first == "not_found" then return nil, state, first end
    ctx.reject(item, close or "unreadable", state)
    return true
  end
  for member in step, state, first, close do
    local path = member.name and item.path .. "/" .. member.name or item.path
    if member.reason == "cancelled" then return nil, member.message, "cancelled" end
    if not member.file then
      ctx.reject({ path = path }, member.reason, member.message)
    else
      local fine
      fine, message, code = each { path = path, file = member.file, bytes = member.bytes, member = true, whole = true,
        license = item.license }
      if not fine then return nil, message, code end
    end
  end
  return true
end

return M
