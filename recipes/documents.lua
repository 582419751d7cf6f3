-- SPDX-License-Identifier: MIT
-- Documents become an instruction dataset: cleaned, cut, freed from repetitions, asked about, divided.
--
--   lathe run recipes/documents.lua --input docs/
--
-- A passage under a heading answers a question about that heading, made offline. See doc/documents.md.

local lathe = require "lathe"

return lathe.recipe "documents" {
  description = "documents become an instruction dataset",
  options = { input = "documents/", template = "chatml", train_ratio = 0.9, variants = 1, output = "data/documents" },

  lathe.read      { "$input" },
  lathe.clean     {},
  lathe.chunk     { size = 2000, overlap = 0, by = "auto" },
  lathe.dedup     { near = 0.8 },
  lathe.stats     { name = "passages" },
  lathe.generate  { "sections", phrasings = 1 },
  lathe.dedup     { name = "repeats", field = "instruction", near = false },
  lathe.augment   { rules = "instructions", variants = "$variants" },
  lathe.prompt    { template = "$template" },
  lathe.partition { train = "$train_ratio", group = "document", allow_empty = true },   -- one document alone trains
  lathe.stats     {},
  lathe.write     { "$output/{split}.jsonl" },
}
