-- SPDX-License-Identifier: MIT
-- Mistral 7B Instruct v0.2: [INST] what the user says [/INST] the answer, ended by </s>.
--
-- The published form knows no system prompt and wants user and assistant in turn; here a system prompt
-- goes before the first thing the user says, as later versions do it. Where the tokenizer puts <s> before
-- every text by itself, say bos_token = "" in the recipe, or it stands there twice.
return {
  name = "mistral",
  description = "Mistral 7B Instruct v0.2: [INST] … [/INST] answer </s>.",
  form = "messages",
  loss = { roles = { "assistant" } },
  stop = { "</s>" },
  special = { "<s>", "</s>", "[INST]", "[/INST]" },
  bos = "<s>",
  eos = "</s>",
  text = [[
{{- bos_token }}
{%- set ns = namespace(system='', turn=0) %}
{%- for message in messages %}
{%- if message['role'] == 'system' and loop.first %}
{%- set ns.system = message['content'] + '\n\n' %}
{%- else %}
{%- if message['role'] not in ['user', 'assistant'] %}
{{- raise_exception('Only user and assistant roles are supported!') }}
{%- endif %}
{%- if (message['role'] == 'user') != (ns.turn % 2 == 0) %}
{{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
{%- endif %}
{%- if message['role'] == 'user' %}
{{- '[INST] ' + (ns.system if ns.turn == 0 else '') + message['content'] + ' [/INST]' }}
{%- else %}
{%- generation %}{{ message['content'] + eos_token }}{% endgeneration %}
{%- endif %}
{%- set ns.turn = ns.turn + 1 %}
{%- endif %}
{%- endfor %}]],
}
