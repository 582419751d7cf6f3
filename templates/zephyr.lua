-- SPDX-License-Identifier: MIT
-- Zephyr: the role as <|user|> on a line of its own, the message, </s>.
return {
  name = "zephyr",
  description = "Zephyr 7B: <|role|> on a line of its own, the message, </s>.",
  form = "messages",
  loss = { roles = { "assistant" } },
  stop = { "</s>" },
  special = { "<|system|>", "<|user|>", "<|assistant|>", "</s>" },
  eos = "</s>",
  text = [[
{%- for message in messages %}
{%- if message['role'] == 'assistant' %}
{{- '<|assistant|>\n' }}{% generation %}{{ message['content'] + eos_token }}{% endgeneration %}{{ '\n' }}
{%- elif message['role'] in ['user', 'system'] %}
{{- '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}
{%- else %}
{{- raise_exception('Zephyr knows the roles system, user and assistant') }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|assistant|>\n' }}
{%- endif %}]],
}
