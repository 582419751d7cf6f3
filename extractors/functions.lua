-- SPDX-License-Identifier: MIT
-- Functions and classes of Python files that have a docstring: the docstring describes, the source is the
-- code. Private names (_x) and tests are left out.

local python = require "lathe.python_source"

return {
  name = "functions",
  version = 1,
  description = "Functions and classes of Python files, with their docstrings.",
  files = { "**/*.py" },
  options = {
    least = { type = "integer", default = 4, min = 1, help = "lines that a function must have" },
    most = { type = "integer", default = 200, min = 1, help = "… and may have" },
    described = { type = "boolean", default = true, help = "only those that have a docstring" },
  },
  extract = function(item, ctx, emit)
    local source, message, code = ctx:text(item)
    if not source then return nil, message, code end
    local o = ctx.options
    for _, s in ipairs(python.statements(source)) do
      local size = s.last - s.first + 1
      local wanted = (s.kind == "def" or s.kind == "class") and not s.name:find "^_" and not s.name:find "^[Tt]est"
      local text = wanted and size >= o.least and size <= o.most and (python.docstring(s) or "")
      if text and (text ~= "" or not o.described) then
        emit { description = text, code = s.text .. "\n",
          metadata = { name = s.name, kind = s.kind == "def" and "function" or "class", line = s.first,
            programming_language = "python" } }
      end
    end
    return true
  end,
}
