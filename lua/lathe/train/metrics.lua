-- SPDX-License-Identifier: MIT
-- How good an answer is: ROUGE-L on words, exact match, and the perplexity of a mean loss.
--
-- Words are runs of letters and digits (any byte of a non-ASCII character counts as a letter), in lower
-- case for ASCII. ROUGE-L is the F1 of the longest common subsequence of words (Lin, 2004).

local M = {}

--- The words of a text.
-- @param text string: any UTF-8
-- @return table: list of words in lower case
-- @example require("lathe.train.metrics").words "A LoRA, please."
function M.words(text)
  local words = {}
  for word in text:lower():gmatch("[%w\128-\255]+") do words[#words + 1] = word end
  return words
end

-- Length of the longest common subsequence of two lists.
local function common(a, b)
  local row = {}
  for j = 0, #b do row[j] = 0 end
  for i = 1, #a do
    local diagonal = 0
    for j = 1, #b do
      local above = row[j]
      if a[i] == b[j] then
        row[j] = diagonal + 1
      elseif row[j - 1] > above then
        row[j] = row[j - 1]
      end
      diagonal = above
    end
  end
  return row[#b]
end

--- ROUGE-L: F1 of the longest common subsequence of words, 0 to 1.
-- @param answer string: what the model said
-- @param reference string: what was expected
-- @return number: 1 when the words are equal and in order; two empty texts are equal
-- @example require("lathe.train.metrics").rouge_l("the cat sat", "the cat sat down")
function M.rouge_l(answer, reference)
  local a, b = M.words(answer), M.words(reference)
  if #a == 0 and #b == 0 then return 1.0 end
  if #a == 0 or #b == 0 then return 0.0 end
  local same = common(a, b)
  if same == 0 then return 0.0 end
  local precision, recall = same / #a, same / #b
  return 2 * precision * recall / (precision + recall)
end

local function plain(text) return (text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "")) end

--- Whether two answers are the same but for white space.
-- @param answer string: what the model said
-- @param reference string: what was expected
-- @return boolean: equal or not
-- @example require("lathe.train.metrics").exact("yes ", "yes")
function M.exact(answer, reference) return plain(answer) == plain(reference) end

--- The perplexity of a mean loss in nats.
-- @param loss number: mean negative log-likelihood of a token
-- @return number: e^loss
-- @example require("lathe.train.metrics").perplexity(2.0)
function M.perplexity(loss) return math.exp(loss) end

return M
