-- SPDX-License-Identifier: MIT
-- CSV, TSV and Parquet: a record a row, in bounded memory. The columns are the fields; CSV's values are
-- strings unless the option `typed` says otherwise, Parquet's keep their types.

local json = require "engine.json"
local records = require "lathe.read.json"

local M = {}

local OPEN = {}

function OPEN.parquet(item, o)
  return require("engine.parquet").open(item.file, { columns = #o.columns > 0 and o.columns or nil, max_record = o.max_line })
end

local function csv(item, o)
  local delimiter = o.delimiter ~= "" and o.delimiter or item.kind == "tsv" and "\t" or nil
  return require("engine.csv").open(item.file, { delimiter = delimiter, header = o.header, typed = o.typed,
    max_record = o.max_line })
end
OPEN.csv, OPEN.tsv = csv, csv

local TEXTUAL = { not_found = true, cancelled = true, misuse = true, no_memory = true }

--- Reads a file of rows.
-- @param item table: { path, file, kind }
-- @param ctx table: the stage's context; options columns (Parquet), delimiter, header, typed (CSV)
-- @param emit function: called with each record
-- @return boolean: true
-- @error not_found, cancelled
function M.read(item, ctx, emit)
  local opened, message, code = OPEN[item.kind](item, ctx.options)
  if not opened then
    if TEXTUAL[code] then return nil, message, code end
    ctx.reject({ path = item.path }, code == "unsupported" and code or "unreadable", ("%s: %s"):format(item.path, message))
    return true
  end
  local rows <close> = opened
  local seen = 0
  while true do
    local line, number, reason = rows:next()
    if line == nil then
      if reason == "cancelled" then return nil, number, reason end
      if number then -- nil, message, code
        ctx.reject({ path = item.path }, "unreadable", ("%s: %s; the %d rows before it were read"):format(item.path, number, seen))
      end
      return true
    end
    seen = seen + 1
    if not line then
      ctx.reject({ path = item.path, row = number }, "bad_row", ("%s:%d: %s"):format(item.path, number, tostring(reason)))
    else
      local record = json.record(line)
      if ctx.options.provenance then records.note(record, item, item.kind, number) end
      emit(record)
    end
  end
end

return M
