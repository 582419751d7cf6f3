-- SPDX-License-Identifier: MIT
-- Plain completion, no format at all: a text as it is; a prompt and its completion, one behind the other;
-- or an instruction and its output on lines of their own. Loss is on the text, the completion or the output.
return {
  name = "plain",
  description = "Plain completion: the text itself; prompt and completion; or instruction, input and output, line by line.",
  form = "record",
  optional = { "text", "prompt", "completion", "instruction", "input", "output", "system" },
  stop = { "<|endoftext|>" },
  special = { "<|endoftext|>" },
  eos = "<|endoftext|>",
  text = [[
{%- if instruction %}
{{- system + '\n' if system }}{{ instruction + '\n' }}{{ input + '\n' if input }}
{%- if output %}{% generation %}{{ output + eos_token }}{% endgeneration %}{% endif %}
{%- elif completion %}
{{- prompt }}{% generation %}{{ completion + eos_token }}{% endgeneration %}
{%- elif text %}
{%- generation %}{{ text + eos_token }}{% endgeneration %}
{%- endif %}]],
}
