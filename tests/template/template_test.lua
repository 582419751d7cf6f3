-- SPDX-License-Identifier: MIT
-- Templates: look-up, unknown fields, conversations and the bytes that carry loss.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local jinja = require "lathe.jinja"
local template = require "lathe.template"

local CHAT = {
  { role = "system", content = "Be brief." }, { role = "user", content = "Naïve?" }, { role = "assistant", content = "Ja, naïv." },
  { role = "user", content = "And?" }, { role = "assistant", content = "Done." },
}

local function spanned(text, spans)
  local out = {}
  for i, span in ipairs(spans) do out[i] = text:sub(span[1] + 1, span[2]) end
  return out
end

local function write(path, text)
  local w <close> = assert(file.replace(path))
  assert(w:write(text))
  assert(w:commit())
end

test.case("chatml renders, and marks the answers and their end", function()
  local t = assert(template.load "chatml")
  local text, spans = t:render_messages(CHAT)
  test.equal(text, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nNaïve?<|im_end|>\n<|im_start|>assistant\nJa, naïv.<|im_end|>\n"
    .. "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nDone.<|im_end|>\n")
  test.equal(spanned(text, spans), { "Ja, naïv.<|im_end|>", "Done.<|im_end|>" })
  local _, last = t:render_messages(CHAT, { turns = "last" })
  test.equal(spanned(text, last), { "Done.<|im_end|>" })
  local prompt = t:render_messages({ CHAT[2] }, { add_generation_prompt = true })
  test.equal(prompt, "<|im_start|>user\nNaïve?<|im_end|>\n<|im_start|>assistant\n")
end)

test.case("the published form of a chat template renders the same text", function()
  for _, name in ipairs { "chatml", "alpaca", "llama3", "mistral", "zephyr" } do
    local t = assert(template.load(name))
    test.ok(not t.chat_template:find("generation %", 1, true) and not t.chat_template:find("endgeneration", 1, true))
    local plain = assert(jinja.compile(t.chat_template))
    for _, generation in ipairs { true, false } do
      local fields = { messages = CHAT, add_generation_prompt = generation, eos_token = t.eos, bos_token = t.bos or "" }
      test.equal(assert(plain:render(fields)), (assert(t:render_messages(CHAT, { add_generation_prompt = generation }))))
    end
  end
end)

test.case("a template without generation tags is measured, with the same spans", function()
  local t = assert(template.load "chatml")
  local bare = assert(template.new({ form = "messages", text = t.chat_template, stop = t.stop }, "bare"))
  local text, spans = t:render_messages(CHAT)
  local text2, spans2 = bare:render_messages(CHAT)
  test.equal(text2, text)
  test.equal(spans2, spans)
end)

test.case("a template that rewrites earlier turns is refused, not guessed", function()
  local source = "{% for m in messages %}{{ m.content if loop.last else m.content|upper }};{% endfor %}"
  local t = assert(template.new({ form = "messages", text = source }, "rewriter"))
  local text, message, code = t:render_messages(CHAT)
  test.equal(text, nil)
  test.equal(code, "template_spans")
  test.contains(message, "turn 3")
end)

test.case("what a template adds after the last turn carries no loss", function()
  local turns = "{% for m in messages %}<|{{ m.role }}|>{{ m.content|trim }}<|e|>\n{% endfor %}"
  for _, tail in ipairs { "<|assistant|>", "{% if add_generation_prompt %}<|assistant|>{% else %}<|endoftext|>{% endif %}" } do
    local t = assert(template.new({ form = "messages", text = turns .. tail }, "tail"))
    local text, spans = t:render_messages(CHAT)
    test.equal(spanned(text, spans), { "Ja, naïv.<|e|>", "Done.<|e|>" })
  end
  local bare = assert(template.new({ form = "messages", text = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    .. "{% if add_generation_prompt %}assistant:{% endif %}" }, "bare"))
  local text, spans = bare:render_messages(CHAT)
  test.equal(spanned(text, spans), { " Ja, naïv.\n", " Done.\n" })
end)

test.case("spans of the published templates hold the answers", function()
  local folder = test.conformance "chat_templates/templates"
  for name, stop in pairs { ["Qwen-Qwen2.5-7B-Instruct"] = "<|im_end|>", ["HuggingFaceH4-zephyr-7b-beta"] = "</s>",
    ["meta-llama-Llama-3.1-8B-Instruct"] = "<|eot_id|>", ["mistralai-Mistral-7B-Instruct-v0.1"] = "</s>" } do
    local t = assert(template.load(folder .. "/" .. name .. ".jinja"))
    local messages = { CHAT[2], CHAT[3], CHAT[4], CHAT[5] }
    local text, spans, code = t:render_messages(messages, { bos_token = "<s>", eos_token = stop })
    if not text then error(spans .. " " .. code) end
    local parts = spanned(text, spans)
    test.equal(#parts, 2)
    test.ok(parts[1]:find("^ ?Ja, naïv%." .. stop:gsub("%p", "%%%0") .. "$"), parts[1])
    test.ok(parts[2]:find("^ ?Done%." .. stop:gsub("%p", "%%%0") .. "$"), parts[2])
  end
end)

test.case("alpaca and plain", function()
  local alpaca = assert(template.load "alpaca")
  local record = { instruction = "Add.", input = "1, 2", output = "3" }
  local text, spans = alpaca:render_messages(assert(template.messages(record, { keep_input = true })))
  test.equal(text, "Below is an instruction that describes a task, paired with an input that provides further context. Write a response that "
    .. "appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### Input:\n1, 2\n\n### Response:3<|endoftext|>")
  test.equal(spanned(text, spans), { "3<|endoftext|>" })
  local plain = assert(template.load "plain")
  text, spans = plain:render(record)
  test.equal(text, "Add.\n1, 2\n3<|endoftext|>")
  test.equal(spanned(text, spans), { "3<|endoftext|>" })
  text, spans = plain:render(json.record '{"text": "Some text.", "metadata": {}}')
  test.equal(text, "Some text.<|endoftext|>")
  test.equal(spans, { { 0, #text } })
end)

local PUBLISHED = {
  chatml = "chat_templates/templates/chatml-OpenHermes-2.5.jinja", llama3 = "more_templates/meta-llama-Meta-Llama-3-8B-Instruct.jinja",
  mistral = "more_templates/mistralai-Mistral-7B-Instruct-v0.2.jinja", zephyr = "chat_templates/templates/HuggingFaceH4-zephyr-7b-beta.jinja",
}

test.case("our templates render what the published ones render", function()
  local roles, n = { u = "user", a = "assistant", s = "system" }, 0
  for name, path in pairs(PUBLISHED) do
    local published = assert(jinja.compile(assert(file.read(test.conformance(path)))))
    local t = assert(template.load(name))
    for _, turns in ipairs { "u", "ua", "uau", "uaua", "uauau", "suau", "sua", "su" } do
      for _, generation in ipairs { true, false } do
        local messages = {}
        for role in turns:gmatch "." do messages[#messages + 1] = { role = roles[role], content = ("Text %d: é\n x"):format(#messages) } end
        local want = published:render { messages = messages, add_generation_prompt = generation, bos_token = t.bos or "", eos_token = t.eos }
        -- The first Llama 3 template always asked for an answer; Mistral's refuses a system prompt, which ours takes.
        if want and (generation or name ~= "llama3") then
          local text, spans = t:render_messages(messages, { add_generation_prompt = generation })
          test.equal(text, want, name .. " " .. turns)
          local answers = {}
          for i, m in ipairs(messages) do
            if m.role == "assistant" then answers[#answers + 1] = messages[i].content .. t.stop[1] end
          end
          test.equal(spanned(text, spans), answers, name .. " " .. turns)
          n = n + 1
        end
      end
    end
  end
  test.equal(n, 16 + 8 + 10 + 16)
end)

test.case("loss by field, by tags, on everything", function()
  local function spans_of(spec, record)
    local text, spans = assert(template.new(spec, "t")):render(record)
    return text, spanned(text, spans)
  end
  local r = { q = "Why?", a = "So." }
  local text, parts = spans_of({ text = "Q: {{ q }}\nA: {{ a }}\nend" }, r)
  test.equal({ text, parts }, { "Q: Why?\nA: So.\nend", { text } })
  text, parts = spans_of({ text = "Q: {{ q }}\nA:\n  {{ a | upper }}\n{{ q -}} \n {{- a -}} \n !", loss = { fields = { "a" } } }, r)
  test.equal({ text, parts }, { "Q: Why?\nA:\n  SO.\nWhy?So.!", { "SO.", "So." } })
  text, parts = spans_of({ text = "{{ a }}{{ eos_token }} {{ ab }}", eos = "<e>", optional = { "ab" }, loss = { fields = { "a" } } }, r)
  test.equal({ text, parts }, { "So.<e> ", { "So.<e>" } })
  text, parts = spans_of({ text = "{{ q }}{% generation %}{{ a }}{% endgeneration %}", loss = { fields = { "q" } } }, r)
  test.equal({ text, parts }, { "Why?So.", { "So." } })
  test.equal(select(2, spans_of({ text = function(f) return f.q .. f.a end }, r)), { "Why?So." })
  test.contains(select(2, template.new({ text = "x", loss = "some" }, "t")), "not 'some'")
  test.contains(select(2, template.new({ form = "augment" }, "t")), "no rules")
end)

test.case("a field that the record lacks is named, with the nearest", function()
  local t = assert(template.new({ text = "a\nb {{ instrction }}" }, "mine"))
  local text, message, code = t:render(json.record '{"instruction": "x", "output": "y"}')
  test.equal(text, nil)
  test.equal(code, "template")
  test.equal(message, "template 'mine', line 2: the record has no field 'instrction', did you mean 'instruction'? (it has: instruction, output)")
  t = assert(template.new({ text = "{{ a }}", fields = { "a", "b" } }, "mine"))
  test.contains(select(2, t:render { a = 1 }), "no field 'b'")
  t = assert(template.new({ text = "{% if x is defined %}{{ x }}{% endif %}{{ y|default('-') }}{{ z }}", optional = { "z" } }, "mine"))
  test.equal((assert(t:render {})), "-")
  t = assert(template.new({ text = "{% if nope %}x{% endif %}" }, "mine"))
  test.contains(select(2, t:render {}), "no field 'nope'")
end)

test.case("templates are found: the user's folder, a path, ours", function()
  test.with_dir(function(dir)
    assert(file.mkdirs(dir .. "/templates"))
    write(dir .. "/templates/mine.lua", 'return { description = "mine", text = "Hi {{ name }}" }')
    write(dir .. "/templates/chatml.jinja", "{{ messages|length }}")
    write(dir .. "/other.jinja", "{{ messages[0].content }}")
    write(dir .. "/templates/broken.lua", "return { text = ")
    write(dir .. "/templates/typo.lua", 'return { text = "x", lose = {} }')
    write(dir .. "/templates/syntax.lua", 'return { text = "a\\n{% if %}" }')
    local at = { root = dir }
    test.equal((assert(assert(template.load("mine", at)):render { name = "you" })), "Hi you")
    test.equal((assert(template.load("chatml", at)):render_messages(CHAT, { spans = false })), "5")
    test.equal((assert(template.load("./other", at)):render_messages(CHAT, { spans = false })), "Be brief.")
    test.ok(assert(template.load("alpaca", at)).path:find "templates/alpaca%.lua$")
    local t, message, code = template.load("mien", at)
    test.equal(t, nil)
    test.equal(code, "not_found")
    test.contains(message, "did you mean 'mine'?")
    test.contains(select(2, template.load("broken", at)), "broken.lua:1")
    test.contains(select(2, template.load("typo", at)), "did you mean 'loss'")
    test.contains(select(2, template.load("syntax", at)), "line 2")
  end)
end)

test.case("templates that are functions", function()
  local t = assert(template.new({ text = function(r) return "Q: " .. r.q .. " A: " .. r.a, { { 3 + #r.q + 4, 3 + #r.q + 4 + #r.a } } end }, "f"))
  local text, spans = t:render { q = "Why?", a = "So." }
  test.equal(spanned(text, spans), { "So." })
  t = assert(template.new({ text = function() return "abc", { { 2, 9 } } end }, "f"))
  test.contains(select(2, t:render {}), "not within its text")
  t = assert(template.new({ text = function(r) return r.x.y end }, "f"))
  test.equal(select(3, t:render {}), "template")
end)

test.case("records as conversations", function()
  test.equal(template.messages { instruction = "a", input = "b", output = "c", system = "s" },
    { { role = "system", content = "s" }, { role = "user", content = "a\n\nb" }, { role = "assistant", content = "c" } })
  test.equal(template.messages(json.record '{"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}'),
    { { role = "user", content = "a" }, { role = "assistant", content = "b" } })
  test.contains(select(2, template.messages { conversations = { { from = "zed", value = "a" } } }), "zed")
  test.contains(select(2, template.messages { text = "x" }), "neither messages nor an instruction (it has: text)")
end)

return test.done()
