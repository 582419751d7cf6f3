-- SPDX-License-Identifier: MIT
-- `lathe templates`: what can be named in a recipe's template, task or rules, and where it comes from.

local template = require "lathe.template"
local ustring = require "lathe.jinja.ustring"

local M = {}

local KIND = { messages = "prompt", record = "prompt", task = "task", augment = "rules" }

local function fields_of(t)
  if t.form == "messages" then return "messages" .. (t.keep_input and ", input" or "") end
  local out = {}
  for _, name in ipairs(t.fields) do out[#out + 1] = name end
  for _, name in ipairs(t.optional) do out[#out + 1] = "[" .. name .. "]" end
  local text = table.concat(out, ", ")
  return #text <= 50 and text or text:sub(1, 48):gsub(",[^,]*$", ", …")
end

-- Where a file is, as a person says it: ours, the user's, or the folder.
local function origin(path, root)
  local folders = template.search_path(root)
  local folder = path:match "^(.*)/[^/]*$"
  if folder == folders[3] then return "lathe" end
  return path
end

--- Every template that can be named.
-- @param root string|nil: the recipe's folder
-- @return table: list of { name, kind, fields, description, path, from, problem }; `problem` where the file
-- is faulty
-- @example require("lathe.template_list").all()[1].name
function M.all(root)
  local out = {}
  for i, name in ipairs(template.names(root)) do
    local fine, t, message = pcall(template.load, name, { root = root })
    if not fine then t, message = nil, t end
    if t then
      out[i] = { name = name, kind = KIND[t.form], fields = fields_of(t), description = t.description, path = t.path, from = origin(t.path, root) }
    else
      out[i] = { name = name, kind = "faulty", fields = "", from = "", problem = tostring(message) }
    end
  end
  return out
end

local function pad(text, width) return text .. (" "):rep(width - ustring.len(text)) end

--- The table that the command prints.
-- @param root string|nil: the recipe's folder
-- @return string
function M.text(root)
  local rows, widths = { { "NAME", "KIND", "FIELDS", "FROM" } }, { 0, 0, 0, 0 }
  for _, t in ipairs(M.all(root)) do rows[#rows + 1] = { t.name, t.kind, t.problem or t.fields, t.from, problem = t.problem } end
  for _, row in ipairs(rows) do
    for i = 1, 4 do
      if not row.problem then widths[i] = math.max(widths[i], ustring.len(row[i])) end
    end
  end
  local lines = {}
  for k, row in ipairs(rows) do
    local cells = {}
    for i = 1, 4 do cells[i] = i < 4 and pad(row[i], math.max(widths[i], ustring.len(row[i]))) or row[i] end
    lines[k] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n") .. "\n\nlathe help NAME tells more. Your own go to templates/ beside the recipe.\n"
end

return M
