-- SPDX-License-Identifier: MIT
-- The nano job for the tests that run it many times: its documents, and one run of it.

local cli = require "tests.support.cli"

local M = {}

local TERMS = {
  { "learning rate", "the size of the step that the optimiser takes", "control how fast weights change" },
  { "batch", "a group of examples that are worked on together", "make good use of the processor" },
  { "epoch", "one pass over all of the training data", "count how often the data was seen" },
  { "tokenizer", "a program that cuts text into numbered pieces", "turn text into numbers" },
  { "adapter", "a small set of weights beside a frozen model", "teach a model cheaply" },
  { "checkpoint", "a file that holds the state of a training run", "go on after a crash" },
  { "loss mask", "a list that says which tokens are learned from", "train on answers only" },
  { "manifest", "a record of what a stage read and wrote", "skip work that is done" },
  { "chunk", "a piece of a document of limited length", "fit text into a context" },
  { "scheduler", "a rule that changes the learning rate over time", "let training settle" },
}

--- Writes the nano documents and recipe into a folder.
function M.setup(dir)
  for d = 1, 5 do
    local text = { ("# Chapter %d\n"):format(d) }
    for k = 0, 1 do
      local t = TERMS[(d - 1) * 2 + k + 1]
      text[#text + 1] = ("A **%s** is %s. It is used to %s.\n"):format(t[1], t[2], t[3])
      text[#text + 1] = ("Chapter %d says more about the %s: it matters on day %d, and again in part %d of the "
        .. "work, when everything else has been tried and measured twice.\n"):format(d, t[1], d * 7 + k, d + k)
    end
    cli.put(("%s/docs/%02d.md"):format(dir, d), table.concat(text, "\n"))
  end
  cli.put(dir .. "/docs/06.html", "<html><body><h1>Parts</h1><p>A <b>part</b> is a file with the output of "
    .. "a stage. It is used to resume a run.</p><script>no()</script></body></html>")
  cli.put(dir .. "/docs/07.txt", "A run is a folder with all that a recipe made. It is used to look things up.\n")
  cli.put(dir .. "/docs/copy.md", "# Chapter 1\n\nA copy of nothing much, with words of its own to be kept.\n")
end

--- Runs the job in `dir`; results go to dir/runs.
function M.run(dir, runs, flags, options)
  options = options or {}
  options.cwd = dir
  return cli.run(("run %s/tests/recipe/nano.lua --runs %s %s"):format(cli.top, runs, flags or ""), options)
end

return M
