-- SPDX-License-Identifier: MIT
-- CSV, TSV and Parquet: a record a row, in bounded memory. The columns are the fields; CSV's values are
-- strings unless the option `typed` says otherwise, Parquet's keep their types.

local json = require "engine.json"
local records = require "lathe.read.json"

local M = {}

local OPEN = {}

function OPEN.parquet(item, o)
  local p, message, code = require("engine.parquet").open(item.file,
    { columns = #o.columns > 0 and o.columns or nil, max_record = o.max_line })
  return p, message, code, p and p:lines()
end

local function csv(item, o)
  local delimiter = o.delimiter ~= "" and o.delimiter or item.kind == "tsv" and "\t" or nil
  local c, message, code = require("engine.csv").open(item.file, { delimiter = delimiter, header = o.header, typed = o.typed,
    max_record = o.max_line })
  return c, message, code, c
end
OPEN.csv, OPEN.tsv = csv, csv

local TEXTUAL = { not_found = true, cancelled = true, misuse = true, no_memory = true }

-- The message about a file, which is named by its path among the inputs.
local function about(item, message)
  if message:sub(1, #item.file + 1) == item.file .. ":" then return item.path .. message:sub(#item.file + 1) end
  return ("%s: %s"):format(item.path, message)
end

--- Reads a file of rows.
-- @param item table: { path, file, kind }
-- @param ctx table: the stage's context; options columns (Parquet), delimiter, header, typed (CSV)
-- @param emit function: called with each record
-- @return boolean: true
-- @error not_found, cancelled
function M.read(item, ctx, emit)
  local opened, message, code, rows = OPEN[item.kind](item, ctx.options)
  if not opened then
    if TEXTUAL[code] then return nil, message, code end
    ctx.reject({ path = item.path }, code == "unsupported" and code or "unreadable", about(item, message))
    return true
  end
  local _ <close> = opened
  local encoding = item.kind ~= "parquet" and opened:facts().encoding
  if encoding and encoding ~= "UTF-8" then
    ctx.log("warn", ("%s: converted from %s"):format(item.path, encoding), { path = item.path, encoding = encoding })
  end
  local seen = 0
  while true do
    local line, number, reason = rows:next()
    if line == nil then
      if reason == "cancelled" then return nil, number, reason end
      if number then -- nil, message, code
        ctx.reject({ path = item.path }, "unreadable", ("%s; the %d rows before it were read"):format(about(item, number), seen))
      end
      return true
    end
    seen = seen + 1
    if not line then
      ctx.reject({ path = item.path, row = number }, reason and "bad_row" or "line_too_long", ("%s:%d: %s"):format(item.path,
        number, reason or ("a row of more than %d bytes"):format(ctx.options.max_line)))
    else
      local record = json.record(line)
      if ctx.options.provenance then records.note(record, item, item.kind, number) end
      emit(record)
    end
  end
end

return M
