-- SPDX-License-Identifier: MIT
-- The task "sections": a passage under a heading becomes the answer to a question about that heading. It needs
-- headings: chunk by = "markdown" notes those above each chunk.
--
-- A phrasing is a Jinja body over
--   term (the nearest heading), path (those above it, or none), title (the document's, or none), section
return {
  name = "sections",
  description = "Questions about sections, answered with their text.",
  form = "task",
  fields = { "text" },
  facts = {
    {
      name = "section",
      needs = "section",
      answer = "{{ section }}",
      phrasings = {
        "Explain \"{{ term }}\"{% if path %} ({{ path }}){% endif %}{% if title %} in {{ title }}{% endif %}.",
        "What does {{ title or 'the documentation' }} say about \"{{ term }}\"{% if path %} ({{ path }}){% endif %}?",
        "Give the section \"{{ term }}\"{% if path %} of \"{{ path }}\"{% endif %}{% if title %} from {{ title }}{% endif %}.",
      },
    },
  },
}
