-- SPDX-License-Identifier: MIT
-- Code with descriptions becomes an instruction dataset: extracted, freed from repetitions, varied, divided.
--
--   lathe run recipes/code_dataset.lua --input scenes/
--   lathe run recipes/code_dataset.lua --input https://example.org/team/scenes.git --sources manim
--   lathe run recipes/code_dataset.lua --input collected.jsonl
--
-- The input is a folder, a repository, or JSONL with description and code (or instruction and output). Every
-- stage reads what the one before it wrote, so each can be run alone. See doc/code_dataset.md.

local lathe = require "lathe"

local function either(a, b) return function(record) return record[a] or record[b] end end

return lathe.recipe "code_dataset" {
  description = "code with descriptions becomes an instruction dataset",
  options = { input = "code/", sources = "all", output = "data_formatted", train_ratio = 0.8, variants = 2 },

  lathe.read      { "$input", sources = "$sources" },
  lathe.filter    { name = "described", where = "(description or instruction or '') ~= ''" },
  lathe.prompt    { name = "format", to = "alpaca",
                    fields = { instruction = either("description", "instruction"), output = either("code", "output") } },
  lathe.dedup     { field = "output", near = 0.9 },
  lathe.augment   { rules = "instructions", variants = "$variants" },
  lathe.partition { train = "$train_ratio", group = "document" },
  lathe.stats     {},
  lathe.write     { "$output/{split}.json", fields = { "instruction", "input", "output", "source?", "metadata?" } },
}
