-- SPDX-License-Identifier: MIT
-- Compares the template language with what tests/reference/jinja_random.py (or jinja_golden.py folder) wrote.
--
--   lathe exec tests/reference/jinja_random.lua OUT.jsonl [DIR of the templates]
--
-- Where Jinja2 fails, this must fail too; where it renders, the text must be the same. Prints what differs
-- and counts. One thing is known to differ and counted by itself: Jinja2 works out constants when it
-- compiles, and there 42[1:] is undefined (in x[1:] it is an error), and what `true or …` never needs is not
-- even looked at, so that a filter in it may have any name.

local file = require "engine.file"
local jinja = require "lathe.jinja"
local json = require "engine.json"
require "lathe.template"

local sources = {}
local function source_of(line)
  if line.template then return line.template end
  local name = line.template_file
  sources[name] = sources[name] or assert(file.read(arg[2] .. "/" .. name))
  return sources[name]
end

local FOLDED = { "object is not subscriptable", "unhashable type: 'slice'", "no filter named" }

local function is_folded(line, out, message)
  if out or not line.rendered then return false end
  for _, part in ipairs(FOLDED) do
    if message:find(part, 1, true) then return true end
  end
  return false
end

local head, n, differ, failed, folded = {}, 0, 0, 0, 0
for text in file.lines(arg[1]) do
  local line = json.decode(text)
  if line.case == nil then
    head = line
  else
    n = n + 1
    local compiled, message, code = jinja.compile(source_of(line), { name = "t" })
    local out
    if compiled then out, message, code = compiled:render(line.vars or head.vars, { now = line.now or head.now }) end
    if line.error then failed = failed + 1 end
    if is_folded(line, out, message) then
      folded = folded + 1
    elseif (line.error and out) or (line.rendered and out ~= line.rendered) then
      differ = differ + 1
      print(("case %s %s\n  %s\n  got  %s\n  want %s"):format(line.case, line.template_file or "", line.template or "",
        out and json.encode(out) or message .. " [" .. tostring(code) .. "]", line.rendered and json.encode(line.rendered) or "error: " .. line.error))
    end
  end
end
print(("%d compared, %d of them errors in Jinja2, %d constants, %d differ"):format(n, failed, folded, differ))
