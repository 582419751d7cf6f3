-- SPDX-License-Identifier: MIT
-- The demo: a folder of documents becomes a model that answers. Offline, a few minutes on two cores.
--
-- It trains a small model from nothing on the handbook in recipes/demo/, then teaches it, with LoRA, to
-- answer questions about the handbook's definitions. See doc/tour.md for what each line does.

local lathe = require "lathe"

return lathe.recipe "demo" {
  description = "a handbook becomes a small model that answers questions about its definitions",
  options = { input = "$root/demo", facts = 60, steps = 300, epochs = 40 },

  lathe.read      { "$input/**/*.{md,html,txt,docx,pdf}" },
  lathe.clean     {},
  lathe.chunk     { size = 2000, overlap = 200 },
  lathe.dedup     { near = 0.8 },
  lathe.partition { name = "documents", train = 0.9, group = "document" },    -- some are never trained on
  lathe.tokenizer { vocab_size = 4096 },
  lathe.pretrain  { preset = "small", steps = "$steps" },                     -- makes "base"

  lathe.generate  { "qa" },                                                   -- offline, from definitions
  lathe.dedup     { name = "repeats", field = "instruction", near = false },  -- asked twice where chunks overlap
  lathe.select    { max = "$facts", group = "metadata.fact" },
  lathe.prompt    { template = "chatml" },
  lathe.partition { by = { field = "metadata.phrasing", test = { 3, 4 } }, leakage = "none" },    -- held-out phrasings
  lathe.train     { lora = { rank = 64, alpha = 64, targets = "all-linear" }, lr = 3e-3, epochs = "$epochs" },
  lathe.evaluate  { documents = "documents" },
  lathe.merge     {},
  lathe.export    { gguf = { "F16", "Q8_0" } },
}
