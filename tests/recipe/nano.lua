-- SPDX-License-Identifier: MIT
-- The whole main job in a second: the same stages as recipes/demo.lua, on a handful of small documents.
local lathe = require "lathe"

return lathe.recipe "nano" {
  options = { input = "docs" },
  lathe.read { "$input/**/*.{md,html,txt}" },
  lathe.clean {},
  lathe.chunk { size = 400, overlap = 40 },
  lathe.dedup { near = 0.8 },
  lathe.partition { name = "documents", train = 0.8, group = "document" },
  lathe.tokenizer { vocab_size = 400 },
  lathe.pretrain { preset = "nano", steps = 6, batch = 2, context = 64, checkpoint_steps = 2 },
  lathe.generate { "qa" },
  lathe.dedup { name = "repeats", field = "instruction", near = false },
  lathe.select { max = 6, group = "metadata.fact" },
  lathe.prompt { template = "chatml" },
  lathe.partition { by = { field = "metadata.phrasing", test = { 3, 4 } } },
  lathe.train { lora = { rank = 4, alpha = 8, targets = "all-linear" }, epochs = 2, batch = 4, lr = 1e-3,
    checkpoint_steps = 2 },
  lathe.evaluate { documents = "documents" },
  lathe.merge {},
  lathe.export { gguf = { "F16", "Q8_0" } },
}
