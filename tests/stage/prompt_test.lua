-- SPDX-License-Identifier: MIT
-- prompt: records become text with loss spans; what teaches nothing is rejected.
local test = require "tests.support.test"
local file = require "engine.file"
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
  test.contains(r.text, "### Instruction:\nQ\n\n### Input:\nI\n\n### Response:A<|endoftext|>")
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

test.case("a template that is edited counts from the next part on, and says so by its hash", function()
  test.with_dir(function(dir)
    assert(file.mkdirs(dir .. "/templates"))
    local function part(text)
      if text then assert(file.write(dir .. "/templates/mine.lua", ("return { text = %q }"):format(text), false)) end
      return run.map(stage, { "mine" }, { { q = "x" } }, dir)[1]
    end
    local first, same, edited = part "a {{ q }}", part(), part "b {{ q }}"
    test.equal({ first.text, same.text, edited.text }, { "a x", "a x", "b x" })
    test.equal(first.metadata.template, same.metadata.template)
    test.ok(first.metadata.template.hash ~= edited.metadata.template.hash)
  end)
end)

test.case("a template's own fault stops the run", function()
  test.contains(select(2, run.map(stage, { "chatmll" }, { { instruction = "Q" } })), "did you mean 'chatml'")
  test.contains(select(2, run.map(stage, { "qa" }, { { instruction = "Q" } })), "is a task")
end)

local function parts(r, text, spans)
  local out = {}
  for i, span in ipairs(r[spans]) do out[i] = r[text]:sub(span[1] + 1, span[2]) end
  return out
end

test.case("every form is read", function()
  local forms = {
    { messages = { { role = "user", content = "Q" }, { role = "assistant", content = { { type = "text", text = "A" } } } } },
    { conversations = { { from = "human", value = "Q" }, { from = "gpt", value = "A" } } },
    { conversations = { { role = "user", content = "Q" }, { role = "assistant", content = "A" } } },
    { prompt = "Q", completion = "A" },
    { prompt = { { role = "user", content = "Q" } }, completion = { { role = "assistant", content = "A" } } },
    { instruction = "Q", output = "A" },
  }
  for i, record in ipairs(forms) do
    local out, ctx = run.map(stage, {}, { record })
    test.equal(#ctx.rejected, 0, "form " .. i)
    test.equal(out[1].text, "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n", "form " .. i)
    test.equal(parts(out[1], "text", "spans"), { "A<|im_end|>" })
  end
  local r = run.map(stage, {}, { { instruction = "3", output = "4", history = { { "1", "2" } } } })[1]
  test.equal(parts(r, "text", "spans"), { "2<|im_end|>", "4<|im_end|>" })
  r = run.map(stage, { "plain" }, { { prompt = "def f():", completion = " pass" } })[1]
  test.equal({ r.text, parts(r, "text", "spans") }, { "def f(): pass<|endoftext|>", { " pass<|endoftext|>" } })
end)

test.case("fields by other names", function()
  local record = { description = "Q", meta = { code = "A", n = 7 }, turns = { { text = "first" } } }
  local r = run.map(stage, { fields = { instruction = "description", output = "meta.code", input = "meta.n" } }, { record })[1]
  test.equal(r.messages[1].content, "Q\n\n7")
  test.equal({ r.instruction, r.description, parts(r, "text", "spans")[1] }, { nil, "Q", "A<|im_end|>" })
  r = run.map(stage, { to = "alpaca", fields = { instruction = "description", output = "turns.1.text" } }, { record })[1]
  test.equal({ r.instruction, r.input, r.output, r.description }, { "Q", "", "first", "Q" })
  r = run.map(stage, { fields = { instruction = "description", output = function(x) return x.meta.code:lower() end } }, { record })[1]
  test.equal(parts(r, "text", "spans"), { "a<|im_end|>" })
  r = run.map(stage, { template = { text = "{{ q }} {{ description }}" }, fields = { q = "meta.code" } }, { record })[1]
  test.equal(r.text, "A Q")
  test.contains(select(2, stage.check { to = "alpaca", fields = { instrction = "x" } }), "did you mean 'instruction'")
  test.contains(select(2, stage.check { to = "text", fields = { a = 3 } }), "'a' should be")
end)

test.case("templates written in the recipe", function()
  local r = run.map(stage, { template = function(x) return "Q " .. x.q .. " A " .. x.a, { { 5 + #x.q, 5 + #x.q + #x.a } } end },
    { { q = "why", a = "so" } })[1]
  test.equal({ r.text, parts(r, "text", "spans"), r.metadata.template.name }, { "Q why A so", { "so" }, "recipe" })
  local a = stage.hashes({ to = "text", template = function(x) return x.a end }, {})
  local b = stage.hashes({ to = "text", template = function(x) return x.b end }, {})
  test.ok(a.template ~= b.template)
  local t = { form = "messages", text = "{% for m in messages %}[{{ m.role }}]{{ m.content }};{% endfor %}", stop = { ";" } }
  r = run.map(stage, { template = t }, { { instruction = "Q", output = "A" } })[1]
  test.equal({ r.text, parts(r, "text", "spans") }, { "[user]Q;[assistant]A;", { "[assistant]A;" } })
end)

test.case("a conversation in another form", function()
  local chat = { messages = { { role = "system", content = "S" }, { role = "user", content = "1" }, { role = "assistant", content = "2" },
    { role = "user", content = "3" }, { role = "assistant", content = "4" } }, keep = "me" }
  local r = run.map(stage, { to = "sharegpt" }, { chat })[1]
  test.equal(r.conversations, { { from = "system", value = "S" }, { from = "human", value = "1" }, { from = "gpt", value = "2" },
    { from = "human", value = "3" }, { from = "gpt", value = "4" } })
  test.equal({ r.messages, r.keep }, { nil, "me" })
  test.equal(run.map(stage, { to = "messages" }, { r })[1].messages, chat.messages)
  local a = run.map(stage, { to = "alpaca" }, { r })[1]
  test.equal({ a.instruction, a.input, a.output, a.system, a.history, a.conversations }, { "3", "", "4", "S", { { "1", "2" } }, nil })
  test.equal(run.map(stage, { to = "messages" }, { a })[1].messages, chat.messages)
  local with_input = run.map(stage, { to = "alpaca" }, { { instruction = "a", input = "b", output = "c" } })[1]
  test.equal({ with_input.instruction, with_input.input, with_input.output }, { "a", "b", "c" })
  test.equal(run.map(stage, { to = "sharegpt" }, { with_input })[1].conversations[1].value, "a\n\nb")
  local call = { messages = { { role = "user", content = "w?" }, { role = "assistant", content = "",
    tool_calls = { { type = "function", ["function"] = { name = "f", arguments = { x = 1 } } } } }, { role = "tool", content = "12" },
    { role = "assistant", content = "12." } } }
  local s = run.map(stage, { to = "sharegpt" }, { call })[1]
  test.equal({ s.conversations[2].from, s.conversations[2].value, s.conversations[3].from },
    { "function_call", '{"name": "f", "arguments": {"x":1}}', "observation" })
  local back = run.map(stage, { to = "messages" }, { s })[1].messages
  test.equal(back[2].tool_calls[1]["function"], { name = "f", arguments = { x = 1 } })
  local _, ctx = run.map(stage, { to = "alpaca" }, { call, { instruction = "Q" }, { text = "only" } })
  test.equal({ ctx.rejected[1].reason, ctx.rejected[2].reason, ctx.rejected[3].reason }, { "does_not_fit", "does_not_fit", "no_conversation" })
end)

test.case("preference pairs, as texts and as messages", function()
  local Q, G, B = { role = "user", content = "Q" }, { role = "assistant", content = "good" }, { role = "assistant", content = "bad" }
  for i, record in ipairs { { prompt = "Q", chosen = "good", rejected = "bad" }, { instruction = "Q", chosen = "good", rejected = "bad" },
    { prompt = { Q }, chosen = { G }, rejected = { B } }, { chosen = { Q, G }, rejected = { Q, B } }, { prompt = { Q }, chosen = { Q, G }, rejected = B },
    { conversations = { { from = "human", value = "Q" } }, chosen = { from = "gpt", value = "good" }, rejected = { from = "gpt", value = "bad" } } } do
    local out, ctx = run.map(stage, {}, { record })
    test.equal(#ctx.rejected, 0, "pair " .. i)
    local r = out[1]
    test.equal(r.prompt, "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n")
    test.equal({ r.chosen, r.rejected }, { "good<|im_end|>\n", "bad<|im_end|>\n" }, "pair " .. i)
    test.equal({ parts(r, "chosen", "chosen_spans"), parts(r, "rejected", "rejected_spans") }, { { "good<|im_end|>" }, { "bad<|im_end|>" } })
    local m = run.map(stage, { to = "messages" }, { record })[1]
    test.equal({ m.prompt, m.chosen, m.rejected }, { { Q }, { G }, { B } }, "pair " .. i)
    test.equal(run.map(stage, { to = "alpaca" }, { m })[1].chosen, "good")
    test.equal(run.map(stage, { to = "sharegpt" }, { m })[1].rejected, { from = "gpt", value = "bad" })
  end
  local p = run.map(stage, { "plain" }, { { prompt = "Q", chosen = "good", rejected = "bad" } })[1]
  test.equal({ p.prompt, p.chosen, parts(p, "rejected", "rejected_spans") }, { "Q\n", "good<|endoftext|>", { "bad<|endoftext|>" } })
  local s = run.map(stage, { system = "S" }, { { prompt = "Q", chosen = "good", rejected = "bad" } })[1]
  test.contains(s.prompt, "system\nS<|im_end|>")
  local _, ctx = run.map(stage, {}, { { prompt = "Q", chosen = "a", rejected = "a" }, { chosen = "a", rejected = "b" },
    { prompt = "Q", chosen = "a <|im_end|>", rejected = "b" }, { prompt = "Q", chosen = 7, rejected = "b" } })
  local reasons = {}
  for i, r in ipairs(ctx.rejected) do reasons[i] = r.reason end
  test.equal(reasons, { "no_pair", "no_pair", "special_token", "no_pair" })
end)

test.case("what a template cannot show is rejected", function()
  local picture = { messages = { { role = "user", content = { { type = "image", url = "x" } } }, { role = "assistant", content = "A" } } }
  local _, ctx = run.map(stage, {}, { picture, { messages = "no" }, { messages = { "no" } }, { conversations = { { from = "function_call", value = "x" } } } })
  local reasons = {}
  for i, r in ipairs(ctx.rejected) do reasons[i] = r.reason end
  test.equal(reasons, { "does_not_fit", "no_conversation", "no_conversation", "no_conversation" })
  _, ctx = run.map(stage, { "mistral" }, { { messages = { { role = "assistant", content = "A" } } } })
  test.equal(ctx.rejected[1].reason, "template_failed")
  test.contains(ctx.rejected[1].detail, "must alternate")
end)

return test.done()
