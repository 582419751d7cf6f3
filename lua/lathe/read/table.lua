-- SPDX-License-Identifier: MIT
-- CSV, TSV and Parquet: a record a row.

local M = {}

--- Reads a file of rows.
-- @param item table: { path, file, kind }
-- @param ctx table: the stage's context
-- @return boolean: true
function M.read(item, ctx)
  ctx.reject(item, "unsupported", ("%s: %s files are not read by this build"):format(item.path, item.kind))
  return true
end

return M
