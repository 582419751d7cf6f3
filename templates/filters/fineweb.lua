-- SPDX-License-Identifier: MIT
-- FineWeb's own rules (Penedo and others 2024, arXiv:2406.17557), used after those of Gopher.
return {
  summary = "Lines without an end, short lines, repeated lines, lists.",
  punctuated_lines = 0.12,         -- lines that end as a sentence does, at least
  short_lines = 0.67,              -- lines of at most short_line_length characters, at most
  short_line_length = 30,
  repeated_line_characters = 0.01, -- characters in lines that were there before, at most
  newlines_per_word = 0.3,         -- line ends for each word or sign, at most
}
