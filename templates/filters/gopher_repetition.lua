-- SPDX-License-Identifier: MIT
-- Gopher's rules against repetition (Rae and others 2021, arXiv:2112.11446, table A1). Each is a share of the
-- text, at most: of its lines and paragraphs, or of its characters.
return {
  summary = "Repeated lines, paragraphs and n-grams of words.",
  duplicate_paragraphs = 0.30,
  duplicate_paragraph_characters = 0.20,
  duplicate_lines = 0.30,
  duplicate_line_characters = 0.20,
  top_2_gram = 0.20,           -- characters of the most frequent pair of words, all its places
  top_3_gram = 0.18,
  top_4_gram = 0.16,
  duplicate_5_gram = 0.15,     -- characters in five words that were there before
  duplicate_6_gram = 0.14,
  duplicate_7_gram = 0.13,
  duplicate_8_gram = 0.12,
  duplicate_9_gram = 0.11,
  duplicate_10_gram = 0.10,
}
