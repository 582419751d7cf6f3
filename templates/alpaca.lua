-- SPDX-License-Identifier: MIT
-- Alpaca, as its authors published it: a line that says what is to come, then the instruction, its input
-- where there is one, and the response, each under a heading. The answer follows "### Response:" directly.
--
-- A system prompt takes the place of the first line. Later turns have headings only. Needs no special
-- tokens besides the end of text.
return {
  name = "alpaca",
  description = "Stanford Alpaca: ### Instruction, ### Input and ### Response, each under its heading.",
  form = "messages",
  keep_input = true,
  loss = { roles = { "assistant" } },
  stop = { "<|endoftext|>" },
  special = { "<|endoftext|>" },
  eos = "<|endoftext|>",
  text = [[
{%- for message in messages %}
{%- if message['role'] == 'system' %}
{{- message['content'] + '\n\n' }}
{%- elif message['role'] == 'assistant' %}
{%- generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\n\n' if not loop.last }}
{%- else %}
{%- if loop.first and message['input'] %}
{{- 'Below is an instruction that describes a task, paired with an input that provides further context. ' }}
{{- 'Write a response that appropriately completes the request.\n\n' }}
{%- elif loop.first %}
{{- 'Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n' }}
{%- endif %}
{{- '### Instruction:\n' + message['content'] + '\n\n' }}
{%- if message['input'] %}
{{- '### Input:\n' + message['input'] + '\n\n' }}
{%- endif %}
{%- if not loop.last or add_generation_prompt %}
{{- '### Response:' }}
{%- endif %}
{%- endif %}
{%- endfor %}]],
}
