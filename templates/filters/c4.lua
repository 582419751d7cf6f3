-- SPDX-License-Identifier: MIT
-- The rules of C4 (Raffel and others 2020, JMLR 21:140). Lines that fail are taken out of the text
-- (remove_lines = false only counts without them); the document is judged by what is left.
return {
  summary = "Takes out lines without an end, short ones, notices; wants five sentences.",
  line_words = 3,                  -- words between blanks in a line, at least
  line_word_length = 1000,         -- a line with a longer word goes
  line_terminal = true,            -- a line must end in . ? ! " or ', and not in "..."
  citations = true,                -- [1], [edit] and [citation needed] are taken out of lines
  remove_lines = true,
  phrases = {                      -- looked for in each line that is left, in this order
    { "lorem ipsum", reject = "lorem_ipsum" }, -- the document goes
    { "javascript" },                          -- the line goes
    { "{", reject = "curly_bracket" },
    { "terms of use" },
    { "privacy policy" },
    { "cookie policy" },
    { "uses cookies" },
    { "use of cookies" },
    { "use cookies" },
  },
  min_sentences = 5,               -- in the lines that are left
}
