-- SPDX-License-Identifier: MIT
-- Keeps the good records of any JSONL file. Offline.
--
--   lathe run recipes/filter_quality.lua --input data.jsonl --output good.jsonl --min-quality 0.7
--
-- Each record is scored from 0 to 1 by its length, punctuation and variety of words (and, with --keywords, by
-- what it is about); metadata.score and metadata.scores say how. With --field the records' own score is used.
-- What is dropped is in runs/filter_quality/rejected.jsonl, with its score.

local lathe = require "lathe"

return lathe.recipe "filter_quality" {
  description = "keeps the records of a file whose quality is high enough",
  options = {
    input       = { required = true, type = "string", help = "The records: JSONL, or whatever lathe.read reads." },
    output      = { default = "data/filtered.jsonl", help = "The file to be made; its name tells the format." },
    min_quality = { default = 0.8, type = "number", min = 0, max = 1, help = "The least score that is kept." },
    keywords    = { default = "", help = "Words that the records should be about, parted by commas." },
    field       = { default = "", help = "The field that holds a score already, such as metadata.score." },
  },

  lathe.read   { "$input" },
  lathe.score  { min = "$min_quality", keywords = "$keywords", unless = "$field" },
  lathe.filter { field = "$field", min = "$min_quality", when = "$field" },
  lathe.write  { "$output" },
}
