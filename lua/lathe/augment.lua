-- SPDX-License-Identifier: MIT
-- Rules of augmentation: what else a record could have said.
--
--   any    = { "Explain {x}", "Describe {x}", "What is {x}?" }   a text of one of these shapes can take each of the others
--   wrap   = { "Please {lower}", "Could you {body}?" }           the text inside a phrase ({text}; {lower}: with a small first
--                                                                letter; {body}: so, and without its final stop)
--   match  = "(%d+) words", to = { "%1 words at most" }          a Lua pattern and what its matches become
--   case   = { "lower", "upper", "first_lower", "no_stop" }      letters and the final stop
--   space  = { "double", "newline", "leading", "trailing", "collapse" }
--   drop   = { "input" }                                         the record without a field
--   fold   = { "input" }                                         the field's text goes below the first one's
--   apply  = function(text, rng, record)                         a text, a table of changed fields, or a list of these
--
-- A rule has one of these and, if it likes: name, fields (which texts it looks at), only ("question" or
-- "request"), probability. It gives candidates; the stage decides which are made. Rules are plain data and
-- act on one text at a time; nothing is drawn by chance here but by rng, which a function may use.

local config = require "lathe.config"
local conversation = require "lathe.conversation"
local json = require "engine.json"
local template = require "lathe.template"
local ustring = require "lathe.jinja.ustring"

local M = {}

local KINDS = { any = "table", wrap = "table", match = "string", case = "table", space = "table", drop = "table", fold = "table",
  apply = "function" }
local EXTRAS = { name = "string", fields = "table", only = "string", probability = "number", to = "table|string|function" }

-- Texts ------------------------------------------------------------------------------------------------------------------

local QUESTION_WORDS = {}
for word in ("what who whom whose when where which why how is are was were do does did can could would should will has have may"):gmatch "%a+" do
  QUESTION_WORDS[word] = true
end

local function is_question(text)
  if text:find "%?%s*$" then return true end
  local first = text:match "^%s*(%a+)"
  return first ~= nil and QUESTION_WORDS[first:lower()] == true
end

local STOP = { [("."):byte()] = true, [("?"):byte()] = true, [("!"):byte()] = true }

-- "What is it?" → "What is it", "?"
local function split_stop(text)
  local n = #text
  if not STOP[text:byte(n)] or STOP[text:byte(n - 1)] then return text, "" end      -- "...", "?!": left alone
  return text:sub(1, n - 1), text:sub(n)
end

-- The first character and the rest.
local function first_and_rest(text)
  local first = text:match "^[\0-\x7f\xc2-\xfd][\x80-\xbf]*" or ""
  return first, text:sub(#first + 1)
end

-- Whether the first word is written large for a reason of its own: "I", "NASA", "LoRA".
local function keeps_case(text)
  local word = text:match "^[%w'\x80-\xff]+" or ""
  return word == "I" or word:find "^I'" ~= nil or ustring.lower(word:sub(2)) ~= word:sub(2)
end

local function first_lower(text)
  if keeps_case(text) then return text end
  local first, rest = first_and_rest(text)
  return ustring.lower(first) .. rest
end

local function first_upper(text)
  local first, rest = first_and_rest(text)
  return ustring.upper(first) .. rest
end

-- Code and lists do not survive a change of case.
local function is_prose(text) return not text:find "[`\n{}<>=]" end

-- any: shapes with places -------------------------------------------------------------------------------------------------

-- "Explain {x} to {who}" → the pattern of its matches, the names of its places, its final stop.
local function shape(text)
  local body, stop = split_stop(text)
  local names, pattern, at, seen = {}, {}, 1, {}
  for from, name, to in body:gmatch "(){([%a_][%w_]*)}()" do
    if seen[name] then return nil, ("the shape '%s' has the place {%s} twice"):format(text, name) end
    seen[name] = true
    names[#names + 1] = name
    pattern[#pattern + 1] = body:sub(at, from - 1):gsub("%p", "%%%0") .. "([^\n]-[^%s%c])"
    at = to
  end
  pattern[#pattern + 1] = body:sub(at):gsub("%p", "%%%0")
  local joined = table.concat(pattern):gsub("^%a", function(c) return "[" .. c:upper() .. c:lower() .. "]" end)
  return { body = body, stop = stop, first = body:match "^%a" and body:sub(1, 1):lower(),
    names = names, pattern = "^" .. joined .. "$", literal = body:gsub("{[%a_][%w_]*}", "") }
end

local function captures(s, body, stop, first)
  if s.first and s.first ~= first then return nil end
  if (stop == "?") ~= (s.stop == "?") and not (stop == "" and s.stop == "?" and is_question(body)) then return nil end
  local found = table.pack(body:match(s.pattern))
  if found[1] == nil then return nil end
  local values = {}
  for i, name in ipairs(s.names) do
    if found[i]:find "^%s" then return nil end
    values[name] = found[i]
  end
  return values
end

local function fill(s, values, stop)
  local missing = false
  local body = s.body:gsub("{([%a_][%w_]*)}", function(name)
    missing = missing or values[name] == nil
    return values[name]
  end)
  if missing then return nil end
  local own = s.stop
  if own == "" then own = stop == "?" and "." or stop end
  return body .. own
end

local KIND = {}

local LONGEST = 2000                          -- bytes of a text whose shape is looked for

function KIND.any(rule)
  local shapes = {}
  for i, text in ipairs(rule.any) do
    if type(text) ~= "string" then return nil, "any is a list of texts" end
    local s, message = shape(text)
    if not s then return nil, message end
    shapes[i] = s
  end
  return function(text, add)
    if #text > LONGEST then return end
    local body, stop = split_stop(text)
    local first = text:sub(1, 1):lower()
    local best, values
    for _, s in ipairs(shapes) do                            -- the shape with the most words of its own says it best
      local found = captures(s, body, stop, first)
      if found and (not best or #s.literal > #best.literal) then best, values = s, found end
    end
    if not best then return end
    local is_large = text:find "^%u" ~= nil
    for _, s in ipairs(shapes) do
      local new = s ~= best and fill(s, values, stop)
      if new then add(is_large and first_upper(new) or new) end
    end
  end
end

function KIND.wrap(rule)
  for _, text in ipairs(rule.wrap) do
    if type(text) ~= "string" or not (text:find("{text}", 1, true) or text:find("{lower}", 1, true) or text:find("{body}", 1, true)) then
      return nil, "wrap is a list of texts with {text}, {lower} or {body} in them"
    end
  end
  return function(text, add)
    local lower = first_lower(text)
    local parts = { text = text, lower = lower, body = (split_stop(lower)) }
    for _, phrase in ipairs(rule.wrap) do add((phrase:gsub("{(%l+)}", parts))) end
  end
end

function KIND.match(rule)
  local to = rule.to
  if to == nil then return nil, "match needs `to`: what a match becomes" end
  local fine, message = pcall(string.find, "", rule.match)
  if not fine then return nil, ("the pattern '%s' is malformed: %s"):format(rule.match, (tostring(message):gsub("^.-:%d+: ", ""))) end
  local list = type(to) == "table" and to or { to }
  for _, one in ipairs(list) do
    if type(one) ~= "string" and type(one) ~= "function" then return nil, "`to` is a text, a function, or a list of them" end
    fine, message = true, nil
    if type(one) == "string" then fine, message = pcall(string.gsub, "", "", (one:gsub("%%[1-9]", ""))) end
    if not fine then return nil, ("`to`: %s"):format((tostring(message):gsub("^.-:%d+: ", ""))) end
  end
  return function(text, add)
    if not text:find(rule.match) then return end
    for _, one in ipairs(list) do add((text:gsub(rule.match, one))) end
  end
end

local CASE = {
  lower = function(text) return is_prose(text) and ustring.lower(text) or text end,
  upper = function(text) return is_prose(text) and ustring.upper(text) or text end,
  first_lower = first_lower,
  first_upper = first_upper,
  no_stop = function(text) return (split_stop(text)) end,
}

local SPACE = {
  double = function(text) return is_prose(text) and text:gsub("([.!?]) (%S)", "%1  %2") or text end,
  newline = function(text) return text .. "\n" end,
  leading = function(text) return " " .. text end,
  trailing = function(text) return text .. " " end,
  collapse = function(text) return is_prose(text) and text:gsub("%s+", " "):gsub("^ ", ""):gsub(" $", "") or text end,
}

local function named_changes(what, known)
  return function(rule)
    local list = {}
    for i, name in ipairs(rule[what]) do
      if not known[name] then return nil, config.unknown(what .. " change", tostring(name), config.names(known)) end
      list[i] = known[name]
    end
    return function(text, add)
      for _, change in ipairs(list) do add((change(text))) end
    end
  end
end
KIND.case, KIND.space = named_changes("case", CASE), named_changes("space", SPACE)

local function field_list(rule, what)
  for _, name in ipairs(rule[what]) do
    if type(name) ~= "string" then return nil, what .. " is a list of fields" end
  end
  return true
end

function KIND.drop(rule)
  local fine, message = field_list(rule, "drop")
  if not fine then return nil, message end
  return function(_, add, record)
    for _, name in ipairs(rule.drop) do
      if conversation.present(record[name]) then add { [name] = "" } end
    end
  end
end

function KIND.fold(rule)
  local fine, message = field_list(rule, "fold")
  if not fine then return nil, message end
  return function(text, add, record, field)
    for _, name in ipairs(rule.fold) do
      local value = conversation.present(record[name])
      if type(value) == "string" and name ~= field then add { [field] = text .. "\n\n" .. value, [name] = "" } end
    end
  end
end

function KIND.apply(rule)
  return function(text, add, record, _, rng)
    local function each(value)
      if value == nil or value == false then return end
      if type(value) == "table" and value[1] ~= nil then
        for _, one in ipairs(value) do each(one) end
      elseif type(value) == "string" or type(value) == "table" then
        add(value)
      else
        error(("rule '%s' returned a %s; it should be a text, a table of fields, or a list of them"):format(rule.name, type(value)), 0)
      end
    end
    each(rule.apply(text, rng, record))
  end
end

-- Rules ------------------------------------------------------------------------------------------------------------------

local function kind_of(rule)
  local found
  for kind in pairs(KINDS) do
    if rule[kind] ~= nil then
      if found then return nil, ("has both '%s' and '%s'"):format(found < kind and found or kind, found < kind and kind or found) end
      found = kind
    end
  end
  if not found then return nil, "has none of " .. table.concat(config.names(KINDS), ", ") end
  return found
end

local function check_keys(rule)
  for key, value in pairs(rule) do
    local wanted = KINDS[key] or EXTRAS[key]
    if not wanted then
      local known = {}
      for k in pairs(KINDS) do known[k] = true end
      for k in pairs(EXTRAS) do known[k] = true end
      return nil, config.unknown("key", tostring(key), config.names(known))
    end
    if not ("|" .. wanted .. "|"):find("|" .. type(value) .. "|", 1, true) then
      return nil, ("'%s' should be a %s, not a %s"):format(key, wanted:gsub("|", " or "), type(value))
    end
  end
  if rule.only and rule.only ~= "question" and rule.only ~= "request" then
    return nil, ("only: '%s' is not one of question, request"):format(rule.only)
  end
  if rule.probability and not (rule.probability >= 0 and rule.probability <= 1) then return nil, "probability: it is from 0 to 1" end
  return true
end

local function prepare(rule, i, where)
  if type(rule) == "function" then rule = { apply = rule } end
  if type(rule) ~= "table" then return nil, ("%s, rule %d: a %s is no rule"):format(where, i, type(rule)) end
  local copy = {}
  for k, v in pairs(rule) do copy[k] = v end
  local label = ("%s, rule %s"):format(where, copy.name and "'" .. tostring(copy.name) .. "'" or tostring(i))
  local fine, message = check_keys(copy)
  if not fine then return nil, label .. ": " .. message end
  local kind
  kind, message = kind_of(copy)
  if not kind then return nil, label .. " " .. message end
  copy.name = copy.name or kind .. " " .. i
  copy.run, message = KIND[kind](copy)
  if not copy.run then return nil, label .. ": " .. message end
  return copy
end

--- Rules ready for use, from what an option names: a rules file, a table as such a file returns it, a rule,
-- a function(text, rng, record), or a list of any of these.
-- @param option string|table|function
-- @param options table|nil: root = the recipe's folder
-- @return table: list of { name, rules, fields, language, hash }: one for each file
-- @error nil, message, code: not_found, misuse (a rule that is none, by name)
-- @example require("lathe.augment").load "instructions"
function M.load(option, options)
  local list = {}
  local function add_set(t)
    local set = { name = t.name, hash = t.hash, language = t.language, fields = t.fields and t.fields[1] and t.fields or nil, rules = {} }
    for i, rule in ipairs(t.rules) do
      local made, message = prepare(rule, i, t.path or ("rules '%s'"):format(t.name))
      if not made then return nil, message, "misuse" end
      set.rules[i] = made
    end
    list[#list + 1] = set
    return true
  end
  local function add(one)
    if type(one) == "function" then one = { form = "augment", rules = { one } } end
    if type(one) == "table" and one.rules then
      local spec = {}
      for k, v in pairs(one) do spec[k] = v end
      spec.form = "augment"
      one = spec
    elseif type(one) == "table" and one[1] == nil then
      one = { form = "augment", rules = { one } }
    elseif type(one) == "table" then
      for _, item in ipairs(one) do
        local fine, message, code = add(item)
        if not fine then return nil, message, code end
      end
      return true
    end
    local t, message, code = template.of(one, { root = options and options.root, name = "recipe" })
    if not t then return nil, message, code end
    if t.form ~= "augment" then return nil, ("template '%s' holds no rules for augment (its form is '%s')"):format(t.name, t.form), "misuse" end
    return add_set(t)
  end
  local fine, message, code = add(option)
  if not fine then return nil, message, code end
  return list
end

-- Candidates -------------------------------------------------------------------------------------------------------------

-- The place of a conversation's first question, for records that hold messages instead of an instruction.
local function first_user(record)
  for _, form in ipairs { { "messages", "role", "user", "content" }, { "conversations", "from", "human", "value" } } do
    local list = conversation.present(record[form[1]])
    for i = 1, json.kind(list) == "array" and #list or 0 do
      if list[i][form[2]] == form[3] and type(list[i][form[4]]) == "string" then return form[1], i, form[4] end
    end
  end
end

-- A text of the record, and a function that turns a new one into changed fields.
local function text_of(record, field)
  local value = conversation.present(record[field])
  if type(value) == "string" then return value, function(new) return { [field] = new } end end
  if field ~= "instruction" or value then return nil end
  local list, i, key = first_user(record)
  if not list then return nil end
  return record[list][i][key], function(new)
    local copy = json.table(record[list])
    copy[i][key] = new
    return { [list] = copy }
  end
end

local function wants(rule, text)
  if not rule.only then return true end
  return (rule.only == "question") == is_question(text)
end

local function rule_candidates(rule, field, record, rng)
  local out = {}
  local text, change = text_of(record, field)
  if not text or not wants(rule, text) then return out end
  rule.run(text, function(new)
    if type(new) == "table" then
      out[#out + 1] = new
    elseif new ~= text and new:find "%S" then
      out[#out + 1] = change(new)
    end
  end, record, field, rng)
  return out
end

local function applies(set, record)
  local metadata = record.metadata
  local language = json.kind(metadata) == "object" and metadata.language
  return not set.language or not language or language == json.null or language == set.language
end

--- What the rules make of a record: in turn one candidate of every rule, in an order that depends on rng.
-- @param sets table: from M.load
-- @param record record
-- @param rng rng: from engine.hash
-- @param fields table|nil: the fields to look at, instead of those the rules name
-- @return table: list of { rule, set, fields = { name = new value } }
function M.candidates(sets, record, rng, fields)
  local queues = {}
  for _, set in ipairs(sets) do
    for _, rule in ipairs(applies(set, record) and set.rules or {}) do
      local lucky = not rule.probability or rng:number() < rule.probability
      for _, field in ipairs(fields or rule.fields or set.fields or { "instruction" }) do
        local list = lucky and rule_candidates(rule, field, record, rng) or {}
        if list[1] then
          for i, changes in ipairs(list) do list[i] = { rule = rule.name, set = set, fields = changes } end
          queues[#queues + 1] = rng:shuffle(list)
        end
      end
    end
  end
  rng:shuffle(queues)
  local out, turn = {}, 1
  local left = true
  while left do
    left = false
    for _, queue in ipairs(queues) do
      if queue[turn] then
        out[#out + 1], left = queue[turn], true
      end
    end
    turn = turn + 1
  end
  return out
end

return M
