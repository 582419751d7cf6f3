-- SPDX-License-Identifier: MIT
-- Instruction, input and response under headings, as Alpaca-style models expect. Needs no special tokens
-- besides the end of text.
return {
  name = "alpaca",
  description = "### Instruction, ### Input and ### Response, each under its heading.",
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
{{- '### Response:\n' }}{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\n\n' if not loop.last }}
{%- else %}
{{- '### Instruction:\n' + message['content'] + '\n\n' }}
{%- if message['input'] %}
{{- '### Input:\n' + message['input'] + '\n\n' }}
{%- endif %}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '### Response:\n' }}
{%- endif %}]],
}
