-- SPDX-License-Identifier: MIT
-- The task "questions and answers": what is asked about a text, in which words, and where the answers go.
--
-- `facts` is for the offline generator: each fact that it finds is asked in every phrasing. A phrasing is
-- a Jinja body over
--   term ("learning rate"), phrase ("a learning rate"), be ("is" or "are"), plural, definition, purpose
-- and its position, counted from 0, is recorded in metadata.phrasing, so that some can be held out for
-- testing.
--
-- `prompt`, `schema` and `map` are for language models: what they are told, the shape of their answer, and
-- which of its fields become which fields of a record.
return {
  name = "qa",
  description = "Questions about a text, answered from it.",
  form = "task",
  fields = { "text" },
  facts = {
    {
      name = "definition",
      needs = "definition",
      answer = "{{ definition }}",
      phrasings = {
        "What {{ be }} {{ phrase }}?",
        "Define {{ term }}.",
        "Explain the term {{ term }}.",
        "What does {{ term if not plural else 'the term ' + term }} mean?",
        "Tell me what {{ phrase }} {{ be }}.",
        "How would you define {{ phrase }}?",
      },
    },
    {
      name = "purpose",
      needs = "purpose",
      answer = "{{ purpose }}",
      phrasings = {
        "What {{ be }} {{ phrase }} used for?",
        "What is the purpose of {{ phrase }}?",
        "Why do people use {{ phrase }}?",
        "What does one use {{ phrase }} for?",
        "Tell me what {{ phrase }} {{ be }} used for.",
        "For what purpose {{ be }} {{ phrase }} used?",
      },
    },
  },
  prompt = [[
Read the text and write {{ pairs }} questions that it answers, each with its answer.
A question must make sense to somebody who has not seen the text. An answer must be complete, and take nothing from elsewhere.

Text:
{{ text }}
]],
  schema = {
    type = "object",
    properties = {
      pairs = {
        type = "array",
        items = {
          type = "object",
          properties = { question = { type = "string" }, answer = { type = "string" } },
          required = { "question", "answer" },
          additionalProperties = false,
        },
      },
    },
    required = { "pairs" },
    additionalProperties = false,
  },
  map = { instruction = "question", output = "answer" },
}
