-- SPDX-License-Identifier: MIT
-- Gopher's rules of quality (Rae and others 2021, arXiv:2112.11446, appendix A1.1). They are made for English:
-- give other languages their own stop words, or min_stop_words = false.
return {
  summary = "Length, word length, signs, bullets, ellipses, letters, stop words.",
  min_words = 50,              -- words (pieces with a letter, mark or number)
  max_words = 100000,
  min_word_length = 3,         -- mean, in characters
  max_word_length = 10,
  hashes = 0.1,                -- '#' for each word or sign, at most
  ellipses = 0.1,              -- '…' and '...' for each word or sign, at most
  bullet_lines = 0.9,          -- lines that begin with '•' or '-', at most
  ellipsis_lines = 0.3,        -- lines that end in an ellipsis, at most
  alphabetic_words = 0.8,      -- words and signs with a letter, at least
  min_stop_words = 2,          -- different ones of the list below, at least
  stop_words = { "the", "be", "to", "of", "and", "that", "have", "with" },
}
