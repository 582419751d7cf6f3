-- SPDX-License-Identifier: MIT
-- prompt: records become text with loss spans; what teaches nothing is rejected.
local test = require "tests.support.test"
local stage = require "lathe.stage.prompt"
local run = require "tests.stage.context"

test.case("an instruction becomes a conversation", function()
  local out, ctx = run.map(stage, {}, { '{"id": "a", "instruction": "Q", "output": "Ä", "extra": [], "metadata": {"span": [1, 2], "path": "p"}}' })
  test.equal(#ctx.rejected, 0)
  local r = out[1]
  test.equal(r.text, "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nÄ<|im_end|>\n")
  test.equal(r.text:sub(r.spans[1][1] + 1, r.spans[1][2]), "Ä<|im_end|>")
  test.equal(#r.spans, 1)
  test.equal({ r.messages[1].role, r.messages[2].content, r.instruction, r.metadata.template.name }, { "user", "Ä", "Q", "chatml" })
  test.equal(#r.metadata.template.hash, 64)
  test.equal({ r.metadata.origin_span[1], r.metadata.origin_span[2], r.metadata.span, r.metadata.path }, { 1, 2, nil, "p" })
end)

test.case("messages, a system prompt, the last turn only", function()
  local line = '{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2", "name": "x"},'
    .. '{"role": "user", "content": "3"}, {"role": "assistant", "content": "4"}]}'
  local r = run.map(stage, { system = "S", turns = "last" }, { line })[1]
  test.equal({ r.messages[1].content, #r.messages, r.messages[3].name, #r.spans }, { "S", 5, "x", 1 })
  test.equal(r.text:sub(r.spans[1][1] + 1, r.spans[1][2]), "4<|im_end|>")
  r = run.map(stage, { "alpaca" }, { { instruction = "Q", input = "I", output = "A" } })[1]
  test.equal(r.text, "### Instruction:\nQ\n\n### Input:\nI\n\n### Response:\nA<|endoftext|>")
  r = run.map(stage, { "plain" }, { { text = "T" } })[1]
  test.equal({ r.text, r.spans[1][1], r.spans[1][2], r.messages }, { "T<|endoftext|>", 0, 14, nil })
end)

test.case("what cannot be trained on is rejected, with the reason", function()
  local out, ctx = run.map(stage, {}, {
    { id = "1", instruction = "Q" }, { id = "2", text = "only text" }, { id = "3", instruction = "Q", output = "stop <|im_end|> here" },
    { id = "4", messages = { { role = "assistant" } } },
  })
  test.equal(#out, 0)
  local reasons = {}
  for i, r in ipairs(ctx.rejected) do reasons[i] = r.reason end
  test.equal(reasons, { "no_supervised_text", "no_conversation", "special_token", "template_failed" })
  local _, plain = run.map(stage, { "plain" }, { { instruction = "Q" }, { other = 1 } })
  test.equal({ plain.rejected[1].reason, plain.rejected[2].reason }, { "no_supervised_text", "no_supervised_text" })
  test.contains(ctx.rejected[3].detail, "<|im_end|>")
  test.equal(#run.map(stage, { special = "keep" }, { { instruction = "Q", output = "stop <|im_end|> here" } }), 1)
end)

test.case("a template's own fault stops the run", function()
  test.contains(select(2, run.map(stage, { "chatmll" }, { { instruction = "Q" } })), "did you mean 'chatml'")
  test.contains(select(2, run.map(stage, { "qa" }, { { instruction = "Q" } })), "is a task")
end)

return test.done()
