-- SPDX-License-Identifier: MIT
-- ChatML: the conversation format of many open models.
--
--   <|im_start|>user
--   What is a learning rate?<|im_end|>
--   <|im_start|>assistant
--   The size of the step …<|im_end|>
--
-- Loss is on what the assistant says and on the <|im_end|> that ends it: a model that never learns its end
-- token never stops.
return {
  name = "chatml",
  description = "Conversations between <|im_start|>role and <|im_end|>.",
  form = "messages",
  loss = { roles = { "assistant" } },
  stop = { "<|im_end|>" },
  special = { "<|im_start|>", "<|im_end|>" },
  eos = "<|im_end|>",
  text = "{% for message in messages %}"
    .. "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    .. "{% if message['role'] == 'assistant' %}"
    .. "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{{ '\\n' }}"
    .. "{% else %}"
    .. "{{ message['content'] + '<|im_end|>' + '\\n' }}"
    .. "{% endif %}"
    .. "{% endfor %}"
    .. "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}",
}
