-- SPDX-License-Identifier: MIT
-- What a pattern file becomes: a record for each example, and questions about the pattern itself.
--
-- Copy this file to templates/patterns/ beside your recipe and change it. records(pattern) gets the file as
-- a table and returns a list of records; id, source and metadata (path, pattern, name, tags …) are added to
-- each. A field that schema.json does not name is not there.

local M = {
  name = "pattern",
  description = "Examples as they are, and questions about what the pattern is, when it applies and what to do.",
  schema = "schema.json",
}

-- What is asked about a pattern, and the field that answers.
local QUESTIONS = {
  { "What is the %s pattern?", "description" },
  { "When does the %s pattern apply?", "context" },
  { "Which problem does the %s pattern solve?", "problem" },
  { "How is the %s pattern carried out?", "solution" },
}

local function principles(pattern)
  local lines = {}
  for i, principle in ipairs(pattern.principles or {}) do lines[i] = ("%d. %s"):format(i, principle) end
  return #lines > 0 and table.concat(lines, "\n") or nil
end

function M.records(pattern)
  local out = {}
  for i, example in ipairs(pattern.examples) do
    out[#out + 1] = { instruction = example.instruction, input = example.instruction and (example.input or ""),
      output = example.output, messages = example.messages, system = example.instruction and pattern.system,
      metadata = { part = "example", example = i } }
  end
  for _, question in ipairs(QUESTIONS) do
    local answer = pattern[question[2]]
    if answer then
      out[#out + 1] = { instruction = question[1]:format(pattern.name), input = "", output = answer,
        metadata = { part = question[2] } }
    end
  end
  local rules = principles(pattern)
  if rules then
    out[#out + 1] = { instruction = ("List the principles of the %s pattern."):format(pattern.name), input = "",
      output = rules, metadata = { part = "principles" } }
  end
  return out
end

return M
