-- SPDX-License-Identifier: MIT
-- Pattern files become instruction data, divided into training and validation. Offline, in a second.
--
--   lathe run recipes/patterns.lua --patterns-dir recipes/patterns --output-dir data/processed
--   lathe run recipes/patterns.lua --input-file data.jsonl --train-ratio 0.9       the division alone
--
-- Makes training_data.jsonl (all), train.jsonl and validation.jsonl. See doc/adding_patterns.md.

local lathe = require "lathe"

return lathe.recipe "patterns" {
  description = "pattern files become instruction records, divided exactly by ratio and seed",
  options = {
    patterns_dir = { default = "glimmer/data/patterns/", help = "The folder of NNNN-descriptive_name.json files." },
    output_dir   = { default = "data/processed", help = "Where the files go." },
    input_file   = { default = "", help = "A JSONL file to be divided, in the place of patterns." },
    train_ratio  = { default = 0.8, type = "number", min = 0, max = 1, help = "The share for training." },
    group        = { default = "id", help = "What stays together: id (each record by itself), or document (a pattern)." },
    seed         = { default = 42, type = "integer", help = "Another seed, another division." },
  },

  lathe.read      { "$patterns_dir", type = "pattern", unless = "$input_file" },
  lathe.read      { "$input_file", name = "given", when = "$input_file" },
  lathe.partition { train_ratio = "$train_ratio", seed = "$seed", method = "exact", group = "$group" },
  lathe.write     { { "$output_dir/{split}.jsonl", "$output_dir/training_data.jsonl" }, unless = "$input_file" },
  lathe.write     { "$output_dir/{split}.jsonl", name = "sides", when = "$input_file" },
}
