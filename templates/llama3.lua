-- SPDX-License-Identifier: MIT
-- Llama 3: every message between a header with its role and <|eot_id|>, the text begun by <|begin_of_text|>.
--
-- Where the tokenizer puts the begin token before every text by itself, say bos_token = "" in the recipe,
-- or it stands there twice.
return {
  name = "llama3",
  description = "Llama 3 instruct: <|start_header_id|>role<|end_header_id|>, the message, <|eot_id|>.",
  form = "messages",
  loss = { roles = { "assistant" } },
  stop = { "<|eot_id|>" },
  special = { "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>" },
  bos = "<|begin_of_text|>",
  eos = "<|eot_id|>",
  text = "{{ bos_token if messages }}"
    .. "{% for message in messages %}"
    .. "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    .. "{% if message['role'] == 'assistant' %}"
    .. "{% generation %}{{ message['content'] | trim + '<|eot_id|>' }}{% endgeneration %}"
    .. "{% else %}"
    .. "{{ message['content'] | trim + '<|eot_id|>' }}"
    .. "{% endif %}"
    .. "{% endfor %}"
    .. "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}",
}
