-- SPDX-License-Identifier: MIT
-- Rules for augment: what becomes of `input`. Folded into the instruction, below it; or left out, for data
-- whose instructions make sense without it (remove the rule where they do not).
return {
  name = "inputs",
  description = "The input folded into the instruction, or left out.",
  form = "augment",
  fields = { "instruction" },
  rules = {
    { name = "fold", fold = { "input" } },
    { name = "drop", drop = { "input" } },
  },
}
