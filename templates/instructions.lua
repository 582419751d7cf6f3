-- SPDX-License-Identifier: MIT
-- Rules for augment: instructions and questions in other words, with the same meaning.
--
-- `any` lists shapes that say the same: an instruction of one shape can take each of the others. A place
-- such as {x} stands for any words. `wrap` puts the whole text into a phrase; {lower} is the text with a
-- small first letter, {body} that without its final stop.
return {
  name = "instructions",
  description = "Instructions and questions in other words.",
  form = "augment",
  fields = { "instruction" },
  language = "en",
  rules = {
    { name = "explain", any = { "Explain {x}", "Describe {x}", "Give an explanation of {x}", "Tell me about {x}" } },
    { name = "explain how", any = { "Explain how {x}", "Describe how {x}", "Tell me how {x}", "Show how {x}" } },
    { name = "explain why", any = { "Explain why {x}", "Tell me why {x}", "Say why {x}", "Give the reason why {x}" } },
    { name = "definition", any = { "What is {x}?", "What's {x}?", "Tell me what {x} is", "Explain what {x} is" } },
    { name = "meaning", any = { "What does {x} mean?", "What is meant by {x}?", "What is the meaning of {x}?", "Explain the meaning of {x}" } },
    { name = "purpose", any = { "What is {x} used for?", "What is the purpose of {x}?", "What does one use {x} for?", "Tell me what {x} is used for" } },
    { name = "how to", any = { "How do I {x}?", "How can I {x}?", "How do you {x}?", "Explain how to {x}", "Show me how to {x}" } },
    { name = "difference", any = { "What is the difference between {a} and {b}?", "How do {a} and {b} differ?", "Compare {a} and {b}",
      "Explain the difference between {a} and {b}" } },
    { name = "list", any = { "List {x}", "Name {x}", "Give a list of {x}", "Enumerate {x}" } },
    { name = "write", any = { "Write a {x}", "Create a {x}", "Compose a {x}" } },
    { name = "write an", any = { "Write an {x}", "Create an {x}", "Compose an {x}" } },
    { name = "program", any = { "Write a function {x}", "Implement a function {x}", "Create a function {x}", "Code a function {x}" } },
    { name = "summarise", any = { "Summarize {x}", "Give a summary of {x}", "Write a summary of {x}", "Sum up {x}" } },
    { name = "translate", any = { "Translate {x} into {language}", "Give the {language} translation of {x}", "Put {x} into {language}" } },
    { name = "example", any = { "Give an example of {x}", "Show an example of {x}", "Provide an example of {x}" } },
    { name = "find", any = { "Find {x}", "Determine {x}", "Work out {x}" } },
    { name = "polite", only = "request", wrap = { "Please {lower}", "Could you {body}?", "I need you to {lower}" } },
    { name = "asking", only = "question", wrap = { "I have a question: {lower}", "Can you tell me: {lower}", "Question: {text}" } },
  },
}
