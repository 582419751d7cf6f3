-- SPDX-License-Identifier: MIT
-- No format at all: a text as it is, or an instruction and its output on lines of their own. Loss is on
-- the text, or on the output.
return {
  name = "plain",
  description = "The text itself; or instruction, input and output on lines of their own.",
  form = "record",
  optional = { "text", "instruction", "input", "output", "system" },
  stop = { "<|endoftext|>" },
  special = { "<|endoftext|>" },
  eos = "<|endoftext|>",
  text = [[
{%- if instruction %}
{{- system + '\n' if system }}{{ instruction + '\n' }}{{ input + '\n' if input }}
{%- if output %}{% generation %}{{ output + eos_token }}{% endgeneration %}{% endif %}
{%- elif text %}
{%- generation %}{{ text + eos_token }}{% endgeneration %}
{%- endif %}]],
}
