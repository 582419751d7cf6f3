-- SPDX-License-Identifier: MIT
-- The parser of the template language: tokens in, a tree of plain tables out.
--
-- Precedence, from loose to tight, is Jinja2's:
--
--   a if c else b · or · and · not · == != < > in, not in · + - · ~ · * / // % · ** · unary - + · . [] () · | filter, is test
--
-- A node is { t = "Kind", line = N, … }. Statements: Output, If, For, Set, SetBlock, Macro, CallBlock,
-- FilterBlock, With, Generation, Break, Continue, Do. Expressions: Const, Name, Concat, Binary, Unary,
-- Compare, And, Or, Not, Cond, List, Tuple, Dict, Getattr, Getitem, Slice, Call, Filter, Test. Nesting is
-- limited, so that a hostile template cannot exhaust the stack.

local lexer = require "lathe.jinja.lexer"

local M = {}

local MAX_DEPTH = 150

local P = {}
P.__index = P

local DESCRIBE = {
  eof = "the end of the template", block_begin = "the start of a statement", block_end = "the end of the statement ('%}')",
  variable_begin = "'{{'", variable_end = "'}}'", data = "text",
}

local function describe(token)
  if DESCRIBE[token.type] then return DESCRIBE[token.type] end
  if token.type == "string" then return "the string '" .. token.value .. "'" end
  return "'" .. tostring(token.value) .. "'"
end

function P:fail(message, line)
  error({ jinja = true, kind = "syntax", line = line or self.tok.line, message = message }, 0)
end

function P:next()
  local token = self.tok
  if token.type ~= "eof" then
    self.at = self.at + 1
    self.tok = self.tokens[self.at]
  end
  return token
end

function P:look() return self.tokens[self.at + 1] or self.tok end
function P:is_op(op) return self.tok.type == "op" and self.tok.value == op end
function P:is_name(name) return self.tok.type == "name" and self.tok.value == name end

function P:skip_op(op)
  if self:is_op(op) then return self:next() end
end

function P:skip_name(name)
  if self:is_name(name) then return self:next() end
end

function P:expect_op(op)
  if not self:is_op(op) then self:fail("expected '" .. op .. "', found " .. describe(self.tok)) end
  return self:next()
end

function P:expect_name(name)
  if self.tok.type ~= "name" or (name and self.tok.value ~= name) then
    self:fail("expected " .. (name and "'" .. name .. "'" or "a name") .. ", found " .. describe(self.tok))
  end
  return self:next()
end

function P:expect(type)
  if self.tok.type ~= type then self:fail("expected " .. (DESCRIBE[type] or type) .. ", found " .. describe(self.tok)) end
  return self:next()
end

function P:enter()
  self.depth = self.depth + 1
  if self.depth > MAX_DEPTH then self:fail("nested more than " .. MAX_DEPTH .. " levels deep") end
end

function P:leave() self.depth = self.depth - 1 end

-- Expressions ----------------------------------------------------------------------------------------------------

function P:expression(no_condition)
  self:enter()
  local node = no_condition and self:either() or self:condition()
  self:leave()
  return node
end

function P:condition()
  local line = self.tok.line
  local node = self:either()
  while self:skip_name("if") do
    local test = self:either()
    local otherwise
    if self:skip_name("else") then
      self:enter()
      otherwise = self:condition()
      self:leave()
    end
    node = { t = "Cond", line = line, test = test, yes = node, no = otherwise }
    line = self.tok.line
  end
  return node
end

function P:either()
  local line = self.tok.line
  local left = self:both()
  while self:skip_name("or") do left = { t = "Or", line = line, a = left, b = self:both() } end
  return left
end

function P:both()
  local line = self.tok.line
  local left = self:negation()
  while self:skip_name("and") do left = { t = "And", line = line, a = left, b = self:negation() } end
  return left
end

function P:negation()
  if self:is_name("not") then
    local line = self:next().line
    self:enter()
    local node = { t = "Not", line = line, a = self:negation() }
    self:leave()
    return node
  end
  return self:comparison()
end

local COMPARE = { ["=="] = true, ["!="] = true, ["<"] = true, ["<="] = true, [">"] = true, [">="] = true }

function P:comparison()
  local line = self.tok.line
  local left = self:sum()
  local ops
  while true do
    local op
    if self.tok.type == "op" and COMPARE[self.tok.value] then
      op = self:next().value
    elseif self:skip_name("in") then
      op = "in"
    elseif self:is_name("not") and self:look().type == "name" and self:look().value == "in" then
      self:next()
      self:next()
      op = "not in"
    else
      break
    end
    ops = ops or {}
    ops[#ops + 1] = { op = op, b = self:sum() }
  end
  if not ops then return left end
  return { t = "Compare", line = line, a = left, ops = ops }
end

-- Left-associative binary operators of one level.
local function binary_level(operators, below)
  return function(self)
    local line = self.tok.line
    local left = self[below](self)
    while self.tok.type == "op" and operators[self.tok.value] do
      local op = self:next().value
      left = { t = "Binary", op = op, line = line, a = left, b = self[below](self) }
    end
    return left
  end
end

P.sum = binary_level({ ["+"] = true, ["-"] = true }, "concatenation")

function P:concatenation()
  local line = self.tok.line
  local first = self:product()
  if not self:is_op("~") then return first end
  local parts = { first }
  while self:skip_op("~") do parts[#parts + 1] = self:product() end
  return { t = "Concat", line = line, parts = parts }
end

P.product = binary_level({ ["*"] = true, ["/"] = true, ["//"] = true, ["%"] = true }, "power")
P.power = binary_level({ ["**"] = true }, "unary")

function P:unary(without_filter)
  self:enter()
  local line = self.tok.line
  local node
  if self:skip_op("-") then
    node = { t = "Unary", op = "-", line = line, a = self:unary(true) }
  elseif self:skip_op("+") then
    node = { t = "Unary", op = "+", line = line, a = self:unary(true) }
  else
    node = self:primary()
  end
  node = self:postfix(node)
  if not without_filter then node = self:filters_and_tests(node) end
  self:leave()
  return node
end

local CONSTANTS = { ["true"] = true, ["True"] = true, ["false"] = false, ["False"] = false }

function P:primary()
  local token = self.tok
  local line = token.line
  if token.type == "name" then
    self:next()
    if CONSTANTS[token.value] ~= nil then return { t = "Const", line = line, value = CONSTANTS[token.value] } end
    if token.value == "none" or token.value == "None" then return { t = "Const", line = line, value = nil, none = true } end
    return { t = "Name", line = line, name = token.value }
  elseif token.type == "string" then
    local parts = {}
    while self.tok.type == "string" do parts[#parts + 1] = self:next().value end
    return { t = "Const", line = line, value = table.concat(parts) }
  elseif token.type == "integer" or token.type == "float" then
    self:next()
    return { t = "Const", line = line, value = token.value }
  elseif self:skip_op("(") then
    local node = self:tuple { explicit = true }
    self:expect_op(")")
    return node
  elseif self:is_op("[") then
    return self:list()
  elseif self:is_op("{") then
    return self:dict()
  end
  self:fail("unexpected " .. describe(token))
end

-- Whether the tuple that is being read ends here.
function P:tuple_ends(stop_name)
  local type = self.tok.type
  if type == "variable_end" or type == "block_end" or type == "eof" or self:is_op(")") then return true end
  return stop_name ~= nil and self:is_name(stop_name)
end

-- One expression, or several joined by commas. how: explicit (in parentheses), no_condition, stop (a
-- name), targets (only names, for assignment).
function P:tuple(how)
  how = how or {}
  local line = self.tok.line
  local items, is_tuple = {}, false
  while true do
    if #items > 0 then self:expect_op(",") end
    if self:tuple_ends(how.stop) then break end
    items[#items + 1] = how.targets and self:target_primary(how.namespace) or self:expression(how.no_condition)
    if not self:is_op(",") then break end
    is_tuple = true
  end
  if not is_tuple then
    if items[1] then return items[1] end
    if not how.explicit then self:fail("expected an expression, found " .. describe(self.tok)) end
  end
  return { t = "Tuple", line = line, items = items }
end

function P:list()
  local line = self:expect_op("[").line
  local items = {}
  while not self:is_op("]") do
    if #items > 0 then self:expect_op(",") end
    if self:is_op("]") then break end
    items[#items + 1] = self:expression()
  end
  self:expect_op("]")
  return { t = "List", line = line, items = items }
end

function P:dict()
  local line = self:expect_op("{").line
  local keys, values = {}, {}
  while not self:is_op("}") do
    if #keys > 0 then self:expect_op(",") end
    if self:is_op("}") then break end
    keys[#keys + 1] = self:expression()
    self:expect_op(":")
    values[#keys] = self:expression()
  end
  self:expect_op("}")
  return { t = "Dict", line = line, keys = keys, values = values }
end

function P:postfix(node)
  while true do
    if self:is_op(".") or self:is_op("[") then
      node = self:subscript(node)
    elseif self:is_op("(") then
      node = self:call(node)
    else
      return node
    end
  end
end

function P:filters_and_tests(node)
  while true do
    if self:is_op("|") then
      node = self:filter(node)
    elseif self:is_name("is") then
      node = self:test(node)
    elseif self:is_op("(") then
      node = self:call(node)
    else
      return node
    end
  end
end

function P:subscript(node)
  local line = self.tok.line
  if self:skip_op(".") then
    local token = self:next()
    if token.type == "name" then return { t = "Getattr", line = line, a = node, name = token.value } end
    if token.type ~= "integer" then self:fail("expected a name or a number after '.', found " .. describe(token), token.line) end
    return { t = "Getitem", line = line, a = node, key = { t = "Const", line = line, value = token.value } }
  end
  self:expect_op("[")
  local keys = {}
  while not self:is_op("]") do
    if #keys > 0 then self:expect_op(",") end
    keys[#keys + 1] = self:subscribed()
  end
  self:expect_op("]")
  if #keys == 0 then self:fail("expected a key between '[' and ']'", line) end
  local key = #keys == 1 and keys[1] or { t = "Tuple", line = line, items = keys }
  return { t = "Getitem", line = line, a = node, key = key }
end

-- An index, or a slice start:stop:step.
function P:subscribed()
  local line = self.tok.line
  local start
  if not self:is_op(":") then
    start = self:expression()
    if not self:is_op(":") then return start end
  end
  self:expect_op(":")
  local function bound()
    if self:is_op(":") or self:is_op("]") or self:is_op(",") then return nil end
    return self:expression()
  end
  local stop = bound()
  local step
  if self:skip_op(":") then step = bound() end
  return { t = "Slice", line = line, start = start, stop = stop, step = step }
end

function P:arguments()
  local open = self:expect_op("(")
  local args, kwargs, star, star2 = {}, {}, nil, nil
  local first = true
  local function ensure(ok)
    if not ok then self:fail("the arguments of a call are out of order", open.line) end
  end
  while not self:is_op(")") do
    if not first then
      self:expect_op(",")
      if self:is_op(")") then break end
    end
    first = false
    if self:skip_op("*") then
      ensure(not star and not star2)
      star = self:expression()
    elseif self:skip_op("**") then
      ensure(not star2)
      star2 = self:expression()
    elseif self.tok.type == "name" and self:look().type == "op" and self:look().value == "=" then
      ensure(not star2)
      local key = self:next().value
      self:next()
      kwargs[#kwargs + 1] = { key = key, value = self:expression() }
    else
      ensure(not star and not star2 and #kwargs == 0)
      args[#args + 1] = self:expression()
    end
  end
  self:expect_op(")")
  return { args = args, kwargs = kwargs, star = star, star2 = star2 }
end

function P:call(node)
  local line = self.tok.line
  return { t = "Call", line = line, a = node, call = self:arguments() }
end

local NO_ARGUMENTS = { args = {}, kwargs = {} }

function P:dotted_name()
  local name = self:expect_name().value
  while self:skip_op(".") do name = name .. "." .. self:expect_name().value end
  return name
end

-- One filter, or a chain of them; node is nil in a filter block. `inline`: the first name has no '|'
-- before it.
function P:filter(node, inline)
  while inline or self:is_op("|") do
    if not inline then self:next() end
    inline = false
    local line = self.tok.line
    local name = self:dotted_name()
    local call = self:is_op("(") and self:arguments() or NO_ARGUMENTS
    node = { t = "Filter", line = line, a = node, name = name, call = call }
  end
  return node
end

local PRIMARY_START = { name = true, string = true, integer = true, float = true }

function P:test(node)
  local line = self:next().line
  local negated = self:skip_name("not") ~= nil
  local name = self:dotted_name()
  local call = NO_ARGUMENTS
  if self:is_op("(") then
    call = self:arguments()
  elseif (PRIMARY_START[self.tok.type] or self:is_op("[") or self:is_op("{"))
    and not (self:is_name("else") or self:is_name("or") or self:is_name("and")) then
    if self:is_name("is") then self:fail("tests cannot be chained with 'is'") end
    -- `x is defined and …` ends the test; `x is divisibleby 3` gives it one argument. `if` and `in` are
    -- read as Jinja2 does.
    call = { args = { self:postfix(self:primary()) }, kwargs = {} }
  end
  local test = { t = "Test", line = line, a = node, name = name, call = call }
  if negated then return { t = "Not", line = line, a = test } end
  return test
end

-- Statements -----------------------------------------------------------------------------------------------------

local RESERVED = { ["true"] = 1, ["True"] = 1, ["false"] = 1, ["False"] = 1, none = 1, None = 1 }

function P:target_name()
  local token = self:expect_name()
  if RESERVED[token.value] then self:fail("cannot assign to '" .. token.value .. "'", token.line) end
  return { t = "Name", line = token.line, name = token.value }
end

function P:target_primary(namespace)
  if self:skip_op("(") then
    local node = self:tuple { targets = true, explicit = true, namespace = namespace }
    self:expect_op(")")
    return node
  end
  local node = self:target_name()
  if namespace and self:skip_op(".") then
    return { t = "NsRef", line = node.line, name = node.name, attr = self:expect_name().value }
  end
  return node
end

-- Everything up to one of the closing statements; returns the body and the name that closed it.
function P:body(opened, ...)
  local enders = {}
  for _, name in ipairs { ... } do enders[name] = true end
  self:skip_op(":")
  self:expect("block_end")
  self:enter()
  local nodes = self:statements(enders)
  self:leave()
  if self.tok.type == "eof" then
    self:fail("'" .. opened.value .. "' begins here and is not closed (expected {% " .. (...) .. " %})", opened.line)
  end
  return nodes, self:next().value
end

local STATEMENT = {}

function STATEMENT.set(self, token)
  local target = self:tuple { targets = true, namespace = true }
  if self:skip_op("=") then return { t = "Set", line = token.line, target = target, value = self:tuple() } end
  if target.t == "Tuple" then self:fail("a {% set %} block needs one name", token.line) end
  local filter = self:is_op("|") and self:filter(nil) or nil
  local nodes = self:body(token, "endset")
  return { t = "SetBlock", line = token.line, target = target, filter = filter, body = nodes }
end

STATEMENT["for"] = function(self, token)
  local target = self:tuple { targets = true, stop = "in" }
  self:expect_name("in")
  local iter = self:tuple { no_condition = true, stop = "recursive" }
  local test
  if self:skip_name("if") then test = self:expression() end
  local recursive = self:skip_name("recursive") ~= nil
  self.loops = self.loops + 1
  local nodes, ender = self:body(token, "endfor", "else")
  self.loops = self.loops - 1
  local otherwise
  if ender == "else" then otherwise = self:body(token, "endfor") end
  return { t = "For", line = token.line, target = target, iter = iter, test = test, body = nodes, otherwise = otherwise,
    recursive = recursive }
end

STATEMENT["if"] = function(self, token)
  local branches, otherwise = {}, nil
  while true do
    local line = self.tok.line
    local test = self:tuple { no_condition = true }
    local nodes, ender = self:body(token, "endif", "elif", "else")
    branches[#branches + 1] = { line = line, test = test, body = nodes }
    if ender == "else" then
      otherwise = self:body(token, "endif")
      break
    elseif ender == "endif" then
      break
    end
  end
  return { t = "If", line = token.line, branches = branches, otherwise = otherwise }
end

function P:signature()
  local args, defaults = {}, {}
  self:expect_op("(")
  while not self:is_op(")") do
    if #args > 0 then self:expect_op(",") end
    args[#args + 1] = self:target_name().name
    if self:skip_op("=") then
      defaults[#args] = self:expression()
    elseif next(defaults) then
      self:fail("a parameter without a default follows one with a default")
    end
  end
  self:expect_op(")")
  return args, defaults
end

-- A body that runs in a function of its own: break and continue do not reach the loop around it.
function P:function_body(token, ender)
  local loops = self.loops
  self.loops = 0
  local nodes = self:body(token, ender)
  self.loops = loops
  return nodes
end

function STATEMENT.macro(self, token)
  local name = self:target_name().name
  local args, defaults = self:signature()
  local nodes = self:function_body(token, "endmacro")
  return { t = "Macro", line = token.line, name = name, args = args, defaults = defaults, body = nodes }
end

function STATEMENT.call(self, token)
  local args, defaults = {}, {}
  if self:is_op("(") then args, defaults = self:signature() end
  local call = self:expression()
  if call.t ~= "Call" then self:fail("{% call %} needs a call", token.line) end
  local nodes = self:function_body(token, "endcall")
  return { t = "CallBlock", line = token.line, args = args, defaults = defaults, call = call, body = nodes }
end

function STATEMENT.filter(self, token)
  local filter = self:filter(nil, true)
  return { t = "FilterBlock", line = token.line, filter = filter, body = self:body(token, "endfilter") }
end

STATEMENT["with"] = function(self, token)
  local targets, values = {}, {}
  while self.tok.type ~= "block_end" do
    if #targets > 0 then self:expect_op(",") end
    targets[#targets + 1] = self:tuple { targets = true }
    self:expect_op("=")
    values[#targets] = self:expression()
  end
  return { t = "With", line = token.line, targets = targets, values = values, body = self:body(token, "endwith") }
end

function STATEMENT.generation(self, token)
  return { t = "Generation", line = token.line, body = self:function_body(token, "endgeneration") }
end

function STATEMENT.print(self, token)
  local items = {}
  while self.tok.type ~= "block_end" do
    if #items > 0 then self:expect_op(",") end
    items[#items + 1] = self:expression()
  end
  return { t = "Output", line = token.line, items = items }
end

STATEMENT["break"] = function(self, token)
  if self.loops == 0 then self:fail("'break' outside a loop", token.line) end
  return { t = "Break", line = token.line }
end

STATEMENT["continue"] = function(self, token)
  if self.loops == 0 then self:fail("'continue' outside a loop", token.line) end
  return { t = "Continue", line = token.line }
end

local NEEDS_FILES = { include = true, import = true, from = true, extends = true, block = true }

function P:statement()
  local token = self.tok
  if token.type ~= "name" then self:fail("expected the name of a statement, found " .. describe(token)) end
  local parse = STATEMENT[token.value]
  if parse then
    self:next()
    return parse(self, token)
  end
  if NEEDS_FILES[token.value] then
    self:fail("'" .. token.value .. "' is not available: a template cannot reach other templates")
  end
  if token.value:find("^end") or token.value == "else" or token.value == "elif" then
    self:fail("'" .. token.value .. "' has nothing to close")
  end
  self:fail("unknown statement '" .. token.value .. "'")
end

function P:statements(enders)
  local nodes, run = {}, nil
  local function output(item, line)
    if not run then
      run = { t = "Output", line = line, items = {} }
      nodes[#nodes + 1] = run
    end
    run.items[#run.items + 1] = item
  end
  while self.tok.type ~= "eof" do
    local token = self:next()
    if token.type == "data" then
      output({ t = "Const", line = token.line, value = token.value }, token.line)
    elseif token.type == "variable_begin" then
      output(self:tuple(), token.line)
      self:expect("variable_end")
    else -- block_begin
      run = nil
      if enders and self.tok.type == "name" and enders[self.tok.value] then return nodes end
      nodes[#nodes + 1] = self:statement()
      self:expect("block_end")
    end
  end
  return nodes
end

--- Parses a template.
-- @param source string: the template
-- @return table: array of statement nodes
-- @error raises { jinja = true, kind = "syntax", line, message }
function M.parse(source)
  local tokens = lexer.tokens(source)
  local parser = setmetatable({ tokens = tokens, at = 1, tok = tokens[1], depth = 0, loops = 0 }, P)
  return parser:statements(nil)
end

return M
