-- SPDX-License-Identifier: MIT
-- JSON Schema, the part of it that files written by hand need: is this value what the schema says, and if
-- not, which field, what was expected, what is there.
--
--   type enum const · properties required additionalProperties patternProperties minProperties maxProperties
--   items minItems maxItems uniqueItems · minLength maxLength pattern · minimum maximum exclusiveMinimum
--   exclusiveMaximum multipleOf · allOf anyOf oneOf not · $ref to "#/$defs/…" and other places of the schema
--
-- Annotations (title, description, default, examples, $schema, $id, $comment, format …) say nothing about
-- values. Any other keyword is a mistake in the schema and is named. A place in a value is written as jq
-- writes it: .examples[0].output

local config = require "lathe.config"
local file = require "engine.file"
local json = require "engine.json"
local regex = require "engine.regex"

local M = {}

local ANNOTATIONS = { title = true, description = true, default = true, examples = true, ["$schema"] = true,
  ["$id"] = true, ["$comment"] = true, ["$defs"] = true, definitions = true, format = true, deprecated = true,
  readOnly = true, writeOnly = true }
local DEPTH = 64

local function kind_of(value)
  local kind = json.kind(value)
  if kind == "number" and value == math.floor(value) and math.abs(value) < 2 ^ 53 then return "integer" end
  return kind
end

local function is_kind(value, wanted)
  local kind = kind_of(value)
  return kind == wanted or wanted == "number" and kind == "integer"
end

local function article(kind)
  if kind == "null" then return "null" end
  return (kind:find "^[aeiou]" and "an " or "a ") .. kind
end

-- What is there, in a few words.
local function shown(value)
  local kind = json.kind(value)
  if kind == "string" then
    local text = json.encode(value)
    if #text > 60 then text = json.encode(value:sub(1, utf8.offset(value, -1, math.min(#value, 50) + 1) - 1) .. "…") end
    return "the string " .. text
  elseif kind == "array" then
    return ("an array of %d"):format(#value)
  elseif kind == "object" or kind == "null" or not kind then
    return kind == "object" and "an object" or "null"
  end
  return ("the %s %s"):format(kind == "boolean" and "value" or kind == "integer" and "number" or kind, json.encode(value))
end

local function at_member(path, key)
  if key:find "^[%a_][%w_]*$" then return path .. "." .. key end
  return ("%s[%s]"):format(path == "" and "." or path, json.encode(key))
end

local function at_item(path, i) return ("%s[%d]"):format(path == "" and "." or path, i - 1) end

local function count(n, one, many) return ("%d %s"):format(n, n == 1 and one or many or one .. "s") end

local function same(a, b) return json.encode(a, { sort = true }) == json.encode(b, { sort = true }) end

-- ---- one function for each keyword: (self, argument, value, path, schema, depth); self:problem(path, expected, value) ----

local K = {}
local Check = {}
Check.__index = Check

function Check:problem(path, expected, value, got)
  self.list[#self.list + 1] = { path = path == "" and "." or path, expected = expected, got = got or shown(value) }
end

-- What is wrong with a value by another schema, kept apart.
function Check:apart(schema, value, path, depth)
  local quiet = setmetatable({ list = {}, root = self.root, cache = self.cache }, Check)
  quiet:value(schema, value, path, depth + 1)
  return quiet.list
end

function K.type(self, wanted, value, path)
  local list = type(wanted) == "table" and wanted or { wanted }
  local names = {}
  for i, one in ipairs(list) do
    if is_kind(value, one) then return end
    names[i] = article(one)
  end
  self:problem(path, table.concat(names, " or "), value)
end

function K.enum(self, list, value, path)
  local names = {}
  for i, one in ipairs(list) do
    if same(one, value) then return end
    names[i] = json.encode(one)
  end
  local nearest
  if type(value) == "string" then
    local words = {}
    for _, one in ipairs(list) do if type(one) == "string" then words[#words + 1] = one end end
    nearest = config.nearest(value, words)
  end
  self:problem(path, "one of " .. table.concat(names, ", ") .. (nearest and ("; did you mean %q?"):format(nearest) or ""), value)
end

function K.const(self, wanted, value, path)
  if not same(wanted, value) then self:problem(path, json.encode(wanted), value) end
end

-- strings

function K.minLength(self, n, value, path)
  local length = type(value) == "string" and utf8.len(value)
  if length and length < n then self:problem(path, count(n, "character") .. " or more", value) end
end

function K.maxLength(self, n, value, path)
  local length = type(value) == "string" and utf8.len(value)
  if length and length > n then
    self:problem(path, count(n, "character") .. " at most", value, ("%d: %s"):format(length, shown(value)))
  end
end

function K.pattern(self, pattern, value, path)
  if type(value) ~= "string" then return end
  local found, message = self.cache[pattern]:find(value)
  if found then return end
  self:problem(path, ("a string that matches %s"):format(pattern), value, message) -- a message: it took too long
end

-- numbers

local function number_rule(text, holds)
  return function(self, bound, value, path)
    if type(value) == "number" and not holds(value, bound) then self:problem(path, text:format(json.encode(bound)), value) end
  end
end
K.minimum = number_rule("%s or more", function(v, b) return v >= b end)
K.maximum = number_rule("%s or less", function(v, b) return v <= b end)
K.exclusiveMinimum = number_rule("more than %s", function(v, b) return v > b end)
K.exclusiveMaximum = number_rule("less than %s", function(v, b) return v < b end)
K.multipleOf = number_rule("a multiple of %s", function(v, b) return v / b == math.floor(v / b) end)

-- arrays

local function is_array(value) return json.kind(value) == "array" end

function K.minItems(self, n, value, path)
  if is_array(value) and #value < n then self:problem(path, count(n, "item") .. " or more", value) end
end

function K.maxItems(self, n, value, path)
  if is_array(value) and #value > n then self:problem(path, count(n, "item") .. " at most", value) end
end

function K.uniqueItems(self, wanted, value, path)
  if not wanted or not is_array(value) then return end
  local seen = {}
  for i, item in ipairs(value) do
    local text = json.encode(item, { sort = true })
    if seen[text] then
      self:problem(at_item(path, i), "items that differ", item, ("the same as item %d"):format(seen[text] - 1))
    end
    seen[text] = seen[text] or i
  end
end

function K.items(self, schema, value, path, _, depth)
  if not is_array(value) then return end
  for i, item in ipairs(value) do self:value(schema, item, at_item(path, i), depth + 1) end
end

-- objects

local function is_object(value) return json.kind(value) == "object" end

function K.required(self, names, value, path)
  if not is_object(value) then return end
  for _, name in ipairs(names) do
    if value[name] == nil then self:problem(at_member(path, name), "a required field", nil, "nothing") end
  end
end

function K.properties(self, properties, value, path, _, depth)
  if not is_object(value) then return end
  for name, schema in pairs(properties) do
    if value[name] ~= nil then self:value(schema, value[name], at_member(path, name), depth + 1) end
  end
end

function K.patternProperties(self, patterns, value, path, _, depth)
  if not is_object(value) then return end
  for name, member in pairs(value) do
    for pattern, schema in pairs(patterns) do
      if self.cache[pattern]:find(name) then self:value(schema, member, at_member(path, name), depth + 1) end
    end
  end
end

local function is_named(self, schema, name)
  if schema.properties and schema.properties[name] ~= nil then return true end
  for pattern in pairs(schema.patternProperties or {}) do
    if self.cache[pattern]:find(name) then return true end
  end
  return false
end

function K.additionalProperties(self, allowed, value, path, schema, depth)
  if allowed == true or not is_object(value) then return end
  for name, member in pairs(value) do
    if not is_named(self, schema, name) then
      if allowed == false then
        local known = config.names(schema.properties or {})
        local nearest = config.nearest(name, known)
        self:problem(at_member(path, name), "a field that the schema names "
          .. (nearest and ("(did you mean '%s'?)"):format(nearest) or "(" .. table.concat(known, ", ") .. ")"), member)
      else
        self:value(allowed, member, at_member(path, name), depth + 1)
      end
    end
  end
end

local function members(value)
  local n = 0
  for _ in pairs(value) do n = n + 1 end
  return n
end

function K.minProperties(self, n, value, path)
  if is_object(value) and members(value) < n then self:problem(path, count(n, "field") .. " or more", value) end
end

function K.maxProperties(self, n, value, path)
  if is_object(value) and members(value) > n then self:problem(path, count(n, "field") .. " at most", value) end
end

-- several schemas

function K.allOf(self, list, value, path, _, depth)
  for _, schema in ipairs(list) do self:value(schema, value, path, depth + 1) end
end

-- How many of the schemas a value fits; and where it fits none, what is wrong by the one that it nearly fits.
local function fitting(self, list, value, path, depth)
  local n, nearest, tied = 0, nil, false
  for _, schema in ipairs(list) do
    local problems = self:apart(schema, value, path, depth)
    if #problems == 0 then n = n + 1 end
    tied = nearest ~= nil and #problems == #nearest
    if not nearest or #problems < #nearest then nearest = problems end
  end
  return n, not tied and nearest or nil
end

-- Of a value that fits none: by the nearest, or what the schemas are.
local function fits_none(self, list, value, path, nearest, alternatives)
  for _, problem in ipairs(nearest or {}) do self.list[#self.list + 1] = problem end
  if not nearest then self:problem(path, alternatives(list), value) end
end

-- What the alternatives are, when each says so by its title or type.
local function alternatives(list)
  local names = {}
  for i, schema in ipairs(list) do
    local name = type(schema) == "table" and (schema.title or type(schema.type) == "string" and article(schema.type))
    if not name then return "one of the forms that the schema gives" end
    names[i] = name
  end
  return table.concat(names, " or ")
end

function K.anyOf(self, list, value, path, _, depth)
  local n, nearest = fitting(self, list, value, path, depth)
  if n == 0 then fits_none(self, list, value, path, nearest, alternatives) end
end

function K.oneOf(self, list, value, path, _, depth)
  local n, nearest = fitting(self, list, value, path, depth)
  if n == 0 then
    fits_none(self, list, value, path, nearest, alternatives)
  elseif n > 1 then
    self:problem(path, alternatives(list) .. ", and not several of them", value)
  end
end

K["not"] = function(self, schema, value, path, _, depth)
  if #self:apart(schema, value, path, depth) == 0 then self:problem(path, "what the schema does not forbid", value) end
end

-- ---- references ----

local function resolve(root, reference)
  local pointer = reference:match "^#(.*)$"
  if not pointer then return nil, "only references inside the schema (#/…) are followed" end
  local at = root
  for step in pointer:gmatch "/([^/]*)" do
    step = step:gsub("~1", "/"):gsub("~0", "~")
    if type(at) ~= "table" then return nil, "there is nothing at that place" end
    local index = is_array(at) and step:match "^%d+$" and tonumber(step) + 1
    at = at[index or step]
    if at == nil then return nil, "there is nothing at that place" end
  end
  return at
end

K["$ref"] = function(self, reference, value, path, _, depth)
  self:value(resolve(self.root, reference), value, path, depth + 1)
end

-- What is of another type is not looked at any further: one problem, not one of every keyword.
local ORDER = { "$ref", "type", "enum", "const", "required", "properties", "patternProperties", "additionalProperties",
  "minProperties", "maxProperties", "items", "minItems", "maxItems", "uniqueItems", "minLength", "maxLength", "pattern",
  "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "allOf", "anyOf", "oneOf", "not" }

function Check:value(schema, value, path, depth)
  depth = depth or 0
  if schema == true then return end
  if schema == false then return self:problem(path, "nothing", value) end
  if depth > DEPTH then return self:problem(path, ("at most %d levels"):format(DEPTH), value) end
  for _, keyword in ipairs(ORDER) do
    local argument = schema[keyword]
    if argument ~= nil then
      local before = #self.list
      K[keyword](self, argument, value, path, schema, depth)
      if keyword == "type" and #self.list > before then return end
    end
  end
end

-- ---- the schema itself ----

local FORMS = { type = "string|array", enum = "array", const = "any", required = "array", properties = "map", patternProperties = "map",
  additionalProperties = "schema", minProperties = "integer", maxProperties = "integer", items = "schema", minItems = "integer",
  maxItems = "integer", uniqueItems = "boolean", minLength = "integer", maxLength = "integer", pattern = "string",
  minimum = "number", maximum = "number", exclusiveMinimum = "number", exclusiveMaximum = "number", multipleOf = "number",
  allOf = "list", anyOf = "list", oneOf = "list", ["not"] = "schema", ["$ref"] = "string" }
local KINDS = { string = true, integer = true, number = true, boolean = true, null = true, array = true, object = true }

local verify

local function fault(where, format, ...) error({ fault = ("%s: %s"):format(where == "" and "the schema" or where, format:format(...)) }, 0) end

local function verify_pattern(pattern, where, cache)
  local compiled, message = regex.new(pattern)
  if not compiled then fault(where, "%s", message) end
  cache[pattern] = compiled
end

local function verify_form(form, argument, where, root, cache, depth)
  local kind = json.kind(argument)
  if form == "schema" then return verify(argument, where, root, cache, depth) end
  if form == "map" then
    if kind ~= "object" then fault(where, "an object expected") end
    for name, schema in pairs(argument) do verify(schema, where .. "/" .. name, root, cache, depth) end
  elseif form == "list" then
    if kind ~= "array" or #argument == 0 then fault(where, "a list of schemas expected") end
    for i, schema in ipairs(argument) do verify(schema, ("%s/%d"):format(where, i - 1), root, cache, depth) end
  elseif form ~= "any" and not ("|" .. form .. "|"):find("|" .. kind .. "|", 1, true) and not (form == "number" and kind == "integer") then
    fault(where, "%s expected, got %s", form:gsub("|", " or "), shown(argument))
  end
end

function verify(schema, where, root, cache, depth)
  if schema == true or schema == false then return end
  if json.kind(schema) ~= "object" then fault(where, "an object, true or false expected, got %s", shown(schema)) end
  if depth > DEPTH then fault(where, "nested more than %d deep", DEPTH) end
  for keyword, argument in pairs(schema) do
    local form = FORMS[keyword]
    local here = where .. "/" .. keyword
    if not form and not ANNOTATIONS[keyword] then fault(where, "%s", config.unknown("keyword", keyword, config.names(FORMS))) end
    if form then verify_form(form, argument, here, root, cache, depth + 1) end
    if keyword == "$defs" or keyword == "definitions" then verify_form("map", argument, here, root, cache, depth + 1) end
    if keyword == "pattern" then verify_pattern(argument, here, cache) end
    if keyword == "patternProperties" then
      for pattern in pairs(argument) do verify_pattern(pattern, here, cache) end
    end
    if keyword == "type" then
      for _, kind in ipairs(type(argument) == "table" and argument or { argument }) do
        if not KINDS[kind] then fault(here, "%s", config.unknown("type", tostring(kind), config.names(KINDS))) end
      end
    end
    if keyword == "$ref" then
      local target, message = resolve(root, argument)
      if target == nil then fault(here, "%s: %s", argument, message) end
    end
  end
end

local Schema = { __name = "schema" }
Schema.__index = Schema

--- Checks a value.
-- @param value any: as engine.json decodes it (tables, json.null …)
-- @return table: list of { path = ".examples[0].output", expected, got }; empty when all is well
function Schema:check(value)
  local check = setmetatable({ list = {}, root = self.root, cache = self.patterns }, Check)
  check:value(self.root, value, "")
  return check.list
end

--- Makes a schema of a decoded JSON Schema.
-- @param root table|boolean: the schema
-- @return schema: schema:check(value) gives the list of what is wrong
-- @error misuse: an unknown keyword, a keyword's wrong argument, a $ref to nothing, each with its place
-- @example #require("lathe.schema").new({ type = "string", minLength = 2 }):check("a") --> 1
function M.new(root)
  local patterns = {}
  local fine, problem = pcall(verify, root, "", root, patterns, 0)
  if not fine then
    if type(problem) ~= "table" then error(problem, 0) end
    return nil, problem.fault, "misuse"
  end
  return setmetatable({ root = root, patterns = patterns }, Schema)
end

--- Loads a schema from its file.
-- @param path string: a JSON file
-- @return schema
-- @error not_found, misuse (no JSON, or a mistake in the schema)
function M.load(path)
  local bytes, message, code = file.read(path, 1 << 24)
  if not bytes then return nil, message, code end
  local root
  root, message = json.decode((bytes:gsub("^\xef\xbb\xbf", "")))
  if root == nil then return nil, ("%s: %s"):format(path, message), "misuse" end
  local schema
  schema, message, code = M.new(root)
  if not schema then return nil, ("%s: %s"):format(path, message), code end
  return schema
end

--- A problem as a sentence.
-- @param problem table: from schema:check
-- @return string
function M.sentence(problem)
  return ("%s: expected %s, got %s"):format(problem.path, problem.expected, problem.got)
end

return M
