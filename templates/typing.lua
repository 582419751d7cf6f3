-- SPDX-License-Identifier: MIT
-- Rules for augment: the same words as people type them. Small letters, no final stop, a space or a line end
-- too many. Texts with code or several lines keep their case and their inner spaces.
return {
  name = "typing",
  description = "The same words with other case and white space.",
  form = "augment",
  fields = { "instruction" },
  rules = {
    { name = "case", case = { "lower", "first_lower", "upper" } },
    { name = "stop", case = { "no_stop" } },
    { name = "space", space = { "trailing", "leading", "newline", "double" } },
  },
}
