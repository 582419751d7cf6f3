-- SPDX-License-Identifier: MIT
-- The compiler of the template language: a tree in, Lua closures out.
--
-- Every expression becomes a function (S, F) -> value and every statement a function (S, F) -> nothing,
-- "break" or "continue".
--
--   S  the state of one rendering: output, limits, the line being worked on      (made by lathe.jinja)
--   F  the scope: a table of names whose metatable leads to the scope around it; the outermost one asks the caller's fields
--
-- A loop's body, a macro, a call block and a block that captures get a scope of their own on each run,
-- `if` does not: as in Jinja2, a name set inside a loop is gone after it, and a namespace is the way
-- around that.
--
-- S.line is set right before whatever can fail, so that an error names the line it is on.

local V = require "lathe.jinja.value"
local methods = require "lathe.jinja.methods"
local filters = require "lathe.jinja.filters"
local format = require "lathe.jinja.format"

local M = {}

local fail, NONE = V.fail, V.NONE

-- Arithmetic -----------------------------------------------------------------------------------------------------------

local function unsupported(op, a, b)
  V.need(a)
  V.need(b)
  fail("unsupported operand type(s) for " .. op .. ": '" .. V.type_name(a) .. "' and '" .. V.type_name(b) .. "'")
end

local function too_large() fail("an integer result is too large", "OverflowError") end

local ARITHMETIC = {}

local function concat_sequences(S, a, b)
  S:tick(a.n + b.n)
  local out = table.move(a, 1, a.n, 1, {})
  table.move(b, 1, b.n, a.n + 1, out)
  out.k, out.n = a.k, a.n + b.n
  return out
end

ARITHMETIC["+"] = function(S, a, b)
  if type(a) == "string" and type(b) == "string" then
    local bytes = #a + #b
    if bytes >= 256 or bytes > S.max_output then S:need_room(bytes) end
    return a .. b
  end
  local x, y = V.number(a), V.number(b)
  if x and y then
    local sum = x + y
    if math.type(sum) == "integer" and ((x ~ sum) & (y ~ sum)) < 0 then too_large() end
    return sum
  end
  local s, t = V.text(a), V.text(b)
  if s and t then                             -- at least one is Markup: the other is escaped
    S:need_room(#s + #t)
    return V.markup(V.escape(a).s .. V.escape(b).s)
  end
  local ka, kb = V.kind(a), V.kind(b)
  if ka == kb and (ka == "list" or ka == "tuple") then return concat_sequences(S, a, b) end
  V.need(a)
  V.need(b)
  if s then fail('can only concatenate str (not "' .. V.type_name(b) .. '") to str') end
  if ka == "list" or ka == "tuple" then
    fail("can only concatenate " .. ka .. ' (not "' .. V.type_name(b) .. '") to ' .. ka)
  end
  unsupported("+", a, b)
end

ARITHMETIC["-"] = function(_, a, b)
  local x, y = V.number(a), V.number(b)
  if not x or not y then unsupported("-", a, b) end
  local difference = x - y
  if math.type(difference) == "integer" and ((x ~ y) & (x ~ difference)) < 0 then too_large() end
  return difference
end

local function repeated(S, v, times)
  times = math.max(times, 0)
  local s = V.text(v)
  if s then
    if #s > 0 and times > S.max_output // #s then S:need_room(math.huge) end
    S:need_room(#s * times)
    s = s:rep(times)
    return V.kind(v) == "markup" and V.markup(s) or s
  end
  if v.n > 0 and times > S.max_steps // v.n then S:tick(S.max_steps + 1) end
  S:tick(v.n * times)
  local out = {}
  for i = 0, times - 1 do table.move(v, 1, v.n, i * v.n + 1, out) end
  out.k, out.n = v.k, v.n * times
  return out
end

local function repeatable(v)
  local k = V.kind(v)
  return k == "str" or k == "markup" or k == "list" or k == "tuple"
end

ARITHMETIC["*"] = function(S, a, b)
  local x, y = V.number(a), V.number(b)
  if x and y then
    local product = x * y
    if math.type(product) == "integer" and math.abs((x + 0.0) * y) >= 2.0 ^ 63 then too_large() end
    return product
  end
  if repeatable(a) and math.type(y) == "integer" then return repeated(S, a, y) end
  if repeatable(b) and math.type(x) == "integer" then return repeated(S, b, x) end
  unsupported("*", a, b)
end

local function division(op, compute)
  ARITHMETIC[op] = function(S, a, b)
    if op == "%" and V.text(a) then
      local text = format.percent(S, V.text(a), b)
      S:need_room(#text)
      return V.kind(a) == "markup" and V.markup(text) or text
    end
    local x, y = V.number(a), V.number(b)
    if not x or not y then unsupported(op, a, b) end
    if y == 0 then fail("division by zero", "ZeroDivisionError") end
    return compute(x, y)
  end
end
division("/", function(x, y) return x / y end)
division("//", function(x, y) return x // y end)
division("%", function(x, y) return x % y end)

ARITHMETIC["**"] = function(S, a, b)
  local x, y = V.number(a), V.number(b)
  if not x or not y then unsupported("**", a, b) end
  if math.type(x) == "float" or math.type(y) == "float" or y < 0 then
    if x == 0 and y < 0 then fail("0.0 cannot be raised to a negative power", "ZeroDivisionError") end
    return (x + 0.0) ^ y
  end
  local result = 1
  if x == 0 or x == 1 then return y == 0 and 1 or x end
  if x == -1 then return y % 2 == 0 and 1 or -1 end
  for _ = 1, y do result = ARITHMETIC["*"](S, result, x) end
  return result
end

M.add = ARITHMETIC["+"]

local COMPARE = {
  ["=="] = function(a, b) return V.equal(a, b) end,
  ["!="] = function(a, b) return not V.equal(a, b) end,
  ["<"] = function(a, b) return V.compare(a, b, "<") == -1 end,
  [">"] = function(a, b) return V.compare(a, b, ">") == 1 end,
  ["<="] = function(a, b) return (V.compare(a, b, "<=") or 2) <= 0 end,
  [">="] = function(a, b) return (V.compare(a, b, ">=") or -2) >= 0 end,
  ["in"] = function(a, b) return V.contains(b, a) end,
  ["not in"] = function(a, b) return not V.contains(b, a) end,
}

-- Calls ----------------------------------------------------------------------------------------------------------------

--- Calls a value of the template.
function M.call_value(S, callee, args, kwargs)
  S:tick(1)
  local k = V.kind(callee)
  if k == "method" then return methods.call_method(S, callee.self, callee.name, callee.def, args, kwargs) end
  if k == "undefined" then V.fail_undefined(callee) end
  if type(callee) == "table" and callee.call then return callee.call(S, args, kwargs) end
  fail("'" .. V.type_name(callee) .. "' object is not callable")
end

local E, C = {}, {}                           -- expressions and statements by node kind

local function expression(node, cx)
  local make = E[node.t]
  if not make then error({ jinja = true, kind = "syntax", line = node.line, message = "a slice stands where a value is expected" }, 0) end
  return make(node, cx)
end

local function expressions(nodes, cx)
  local out = {}
  for i, node in ipairs(nodes) do out[i] = expression(node, cx) end
  return out
end

-- The arguments of a call: a function (S, F) -> args, kwargs.
local function arguments(call, cx)
  local args = expressions(call.args, cx)
  local n = #args
  if not call.star and not call.star2 and #call.kwargs == 0 then
    if n == 0 then return function() return { n = 0 } end end
    if n == 1 then
      local only = args[1]
      return function(S, F) return { n = 1, only(S, F) } end
    end
    return function(S, F)
      local out = { n = n }
      for i = 1, n do out[i] = args[i](S, F) end
      return out
    end
  end
  local keys, values = {}, {}
  for i, pair in ipairs(call.kwargs) do keys[i], values[i] = pair.key, expression(pair.value, cx) end
  local star = call.star and expression(call.star, cx)
  local star2 = call.star2 and expression(call.star2, cx)
  return function(S, F)
    local out = { n = n }
    for i = 1, n do out[i] = args[i](S, F) end
    if star then
      local items, m = V.items(star(S, F))
      S:tick(m)
      table.move(items, 1, m, n + 1, out)
      out.n = n + m
    end
    local kwargs = {}
    for i = 1, #keys do kwargs[i] = { key = keys[i], value = values[i](S, F) } end
    if star2 then
      local d = star2(S, F)
      if V.kind(d) ~= "dict" then fail("argument after ** must be a mapping, not " .. V.type_name(d)) end
      for i = 1, d.n do
        if type(d.keys[i]) ~= "string" then fail("keywords must be strings") end
        kwargs[#kwargs + 1] = { key = d.keys[i], value = d.vals[i] }
      end
    end
    return out, #kwargs > 0 and kwargs or nil
  end
end

-- Expressions ----------------------------------------------------------------------------------------------------------

function E.Const(node)
  local value = node.value
  if node.none then value = NONE end
  return function() return value end
end

function E.Name(node, cx)
  local name, line = node.name, node.line
  local may_be_missing = cx.lenient
  return function(S, F)
    local v = F[name]
    if v ~= nil then return v end
    v = V.undefined(name)
    if S.strict and not may_be_missing then
      S.line = line
      V.fail_undefined(v)
    end
    return v
  end
end

-- Compiles a node whose own name may be missing: `x is defined`, `x|default(…)`.
local function lenient(node, cx)
  local before = cx.lenient
  cx.lenient = node.t == "Name"
  local made = expression(node, cx)
  cx.lenient = before
  return made
end

-- a + b + c …, as the parser nests it to the left: strings are joined once, not pair by pair.
local function sum(node, cx)
  local terms, count = {}, 0
  while node.t == "Binary" and node.op == "+" do
    count = count + 1
    terms[count] = node
    node = node.a
  end
  local first, operands, lines = expression(node, cx), {}, {}
  for i = 1, count do
    local term = terms[count + 1 - i]
    operands[i], lines[i] = expression(term.b, cx), term.line
  end
  local add, concat = M.add, table.concat
  return function(S, F)
    local total = first(S, F)
    local parts, n, bytes = nil, 0, 0
    for i = 1, count do
      local x = operands[i](S, F)
      S.line = lines[i]
      if type(x) == "string" and type(total) == "string" then
        if n == 0 then parts, n, bytes = { total }, 1, #total end
        n, bytes = n + 1, bytes + #x
        parts[n] = x
        if bytes >= 256 or bytes > S.max_output then S:need_room(bytes) end
      else
        if n > 0 then total, n = concat(parts, "", 1, n), 0 end
        total = add(S, total, x)
      end
    end
    return n > 0 and concat(parts, "", 1, n) or total
  end
end

function E.Binary(node, cx)
  if node.op == "+" and node.a.t == "Binary" and node.a.op == "+" then return sum(node, cx) end
  local a, b = expression(node.a, cx), expression(node.b, cx)
  local op, line = ARITHMETIC[node.op], node.line
  return function(S, F)
    local x, y = a(S, F), b(S, F)
    S.line = line
    return op(S, x, y)
  end
end

function E.Unary(node, cx)
  local a, line, negate = expression(node.a, cx), node.line, node.op == "-"
  return function(S, F)
    local v = V.need(a(S, F))
    local x = V.number(v)
    S.line = line
    if not x then fail("bad operand type for unary " .. node.op .. ": '" .. V.type_name(v) .. "'") end
    if negate and x == math.mininteger and math.type(x) == "integer" then too_large() end
    return negate and -x or x
  end
end

function E.Not(node, cx)
  local a = expression(node.a, cx)
  return function(S, F) return not V.truth(a(S, F)) end
end

function E.And(node, cx)
  local a, b = expression(node.a, cx), expression(node.b, cx)
  return function(S, F)
    local v = a(S, F)
    if not V.truth(v) then return v end
    return b(S, F)
  end
end

function E.Or(node, cx)
  local a, b = expression(node.a, cx), expression(node.b, cx)
  return function(S, F)
    local v = a(S, F)
    if V.truth(v) then return v end
    return b(S, F)
  end
end

function E.Compare(node, cx)
  local first, line = expression(node.a, cx), node.line
  if #node.ops == 1 then
    local op, b = COMPARE[node.ops[1].op], expression(node.ops[1].b, cx)
    return function(S, F)
      local x, y = first(S, F), b(S, F)
      S.line = line
      return op(x, y)
    end
  end
  local ops, operands = {}, {}
  for i, part in ipairs(node.ops) do ops[i], operands[i] = COMPARE[part.op], expression(part.b, cx) end
  return function(S, F)
    local left = first(S, F)
    for i = 1, #ops do
      local right = operands[i](S, F)
      S.line = line
      if not ops[i](left, right) then return false end
      left = right
    end
    return true
  end
end

function E.Concat(node, cx)
  local parts, line = expressions(node.parts, cx), node.line
  local n = #parts
  return function(S, F)
    local out, size = {}, 0
    for i = 1, n do
      local v = parts[i](S, F)
      S.line = line
      out[i] = V.str(v, S.strict)
      size = size + #out[i]
    end
    S:need_room(size)
    return table.concat(out)
  end
end

function E.Cond(node, cx)
  cx.conditional = cx.conditional + 1
  local test, yes = expression(node.test, cx), expression(node.yes, cx)
  local no = node.no and expression(node.no, cx)
  cx.conditional = cx.conditional - 1
  local line = node.line
  return function(S, F)
    if V.truth(test(S, F)) then return yes(S, F) end
    if no then return no(S, F) end
    local v = V.undefined(nil, nil, "the inline if-expression on line " .. line .. " evaluated to false and no else section was defined.")
    v.soft = true
    return v
  end
end

local function literal(make)
  return function(node, cx)
    local items = expressions(node.items, cx)
    local n = #items
    return function(S, F)
      local out = {}
      for i = 1, n do out[i] = items[i](S, F) end
      S:tick(n)
      return make(out, n)
    end
  end
end
E.List, E.Tuple = literal(V.list), literal(V.tuple)

function E.Dict(node, cx)
  local keys, values, line = expressions(node.keys, cx), expressions(node.values, cx), node.line
  return function(S, F)
    local d = V.dict()
    for i = 1, #keys do
      local key, value = keys[i](S, F), values[i](S, F)
      S.line = line
      V.dict_set(d, key, value)
    end
    S:tick(#keys)
    return d
  end
end

function E.Getattr(node, cx)
  local a, name, line = expression(node.a, cx), node.name, node.line
  return function(S, F)
    local v = a(S, F)
    S.line = line
    return methods.getattr(S, v, name)
  end
end

function E.Getitem(node, cx)
  local a, line = expression(node.a, cx), node.line
  local key = node.key
  if key.t == "Slice" then
    local start = key.start and expression(key.start, cx)
    local stop = key.stop and expression(key.stop, cx)
    local step = key.step and expression(key.step, cx)
    return function(S, F)
      local v = a(S, F)
      local from, to = start and start(S, F), stop and stop(S, F)
      local by = step and step(S, F)
      S.line = line
      return methods.slice(S, v, from or nil, to or nil, by or nil)
    end
  end
  local k = expression(key, cx)
  return function(S, F)
    local v, index = a(S, F), k(S, F)
    S.line = line
    return methods.getitem(S, v, index)
  end
end

local function call(node, cx)
  local args, line = arguments(node.call, cx), node.line
  if node.a.t == "Getattr" then               -- a method: no bound method is made
    local object, name = expression(node.a.a, cx), node.a.name
    return function(S, F, caller)
      local v = object(S, F)
      S.line = line
      local method = methods.find_method(v, name)
      local callee = not method and methods.getattr(S, v, name)
      local list, kwargs = args(S, F)
      S.line = line
      if method then
        S:tick(1)
        return methods.call_method(S, v, name, method, list, kwargs)
      end
      if caller then
        kwargs = kwargs or {}
        kwargs[#kwargs + 1] = { key = "caller", value = caller }
      end
      return M.call_value(S, callee, list, kwargs)
    end
  end
  local callee = expression(node.a, cx)
  return function(S, F, caller)
    local f = callee(S, F)
    local list, kwargs = args(S, F)
    S.line = line
    if caller then
      kwargs = kwargs or {}
      kwargs[#kwargs + 1] = { key = "caller", value = caller }
    end
    return M.call_value(S, f, list, kwargs)
  end
end
E.Call = call

-- A filter or test by name; unknown names fail when compiling, unless a condition may keep them from
-- running (as in Jinja2).
local function find(node, cx, lookup)
  local def, why = lookup(node.name)
  if def then return def end
  if cx.conditional == 0 then error({ jinja = true, kind = "syntax", line = node.line, message = why }, 0) end
  return nil, why
end

local LENIENT = { default = true, d = true, defined = true, undefined = true }

local function filter_or_test(lookup)
  return function(node, cx)
    local line, name = node.line, node.name
    local def, why = find(node, cx, lookup)
    local a = (LENIENT[name] and lenient or expression)(node.a, cx)
    local args = arguments(node.call, cx)
    if not def then
      return function(S)
        S.line = line
        fail(why, "TemplateRuntimeError")
      end
    end
    return function(S, F)
      local v = a(S, F)
      local list, kwargs = args(S, F)
      S.line = line
      return filters.run(S, name, def, v, list, kwargs)
    end
  end
end
E.Filter = filter_or_test(filters.find_filter)
E.Test = filter_or_test(filters.find_test)

-- Statements -----------------------------------------------------------------------------------------------------------

local function body(nodes, cx)
  local list = {}
  for i, node in ipairs(nodes) do list[i] = C[node.t](node, cx) end
  local n = #list
  if n == 1 then return list[1] end
  return function(S, F)
    for i = 1, n do
      local signal = list[i](S, F)
      if signal then return signal end
    end
  end
end

local function scope(F) return setmetatable({}, { __index = F }) end

-- Runs `run` with its output caught in a string.
local function capture(S, run, F)
  local mark = S:push()
  run(S, F)
  return S:pop(mark)
end

function C.Output(node, cx)
  local items = {}
  for i, item in ipairs(node.items) do
    if item.t == "Const" and type(item.value) == "string" then items[i] = item.value else items[i] = expression(item, cx) end
  end
  local n, line = #items, node.line
  local lines = {}
  for i, item in ipairs(node.items) do lines[i] = item.line end
  return function(S, F)
    S.line = line
    S:tick(1)
    for i = 1, n do
      local item = items[i]
      if type(item) == "string" then
        S:emit(item)
      else
        local v = item(S, F)
        S.line = lines[i]
        S:emit(V.str(v, S.strict))
      end
    end
  end
end

C.If = function(node, cx)
  cx.conditional = cx.conditional + 1
  local tests, bodies = {}, {}
  for i, branch in ipairs(node.branches) do
    tests[i], bodies[i] = expression(branch.test, cx), body(branch.body, cx)
  end
  local otherwise = node.otherwise and body(node.otherwise, cx)
  cx.conditional = cx.conditional - 1
  local n = #tests
  return function(S, F)
    S:tick(1)
    for i = 1, n do
      if V.truth(tests[i](S, F)) then return bodies[i](S, F) end
    end
    if otherwise then return otherwise(S, F) end
  end
end

-- A function (S, F, value) that assigns to a target.
local function assignment(target)
  local line = target.line
  if target.t == "Name" then
    local name = target.name
    return function(_, F, v) F[name] = v end
  elseif target.t == "NsRef" then
    local name, attr = target.name, target.attr
    return function(S, F, v)
      local ns = F[name]
      S.line = line
      if V.kind(ns) ~= "ns" then fail("cannot assign attribute on non-namespace object", "TemplateRuntimeError") end
      if attr:sub(1, 1) == "_" then
        fail("templates cannot store underscore-prefixed attributes on a namespace ('" .. attr .. "')", "SecurityError")
      end
      V.dict_set(ns.dict, attr, v)
    end
  end
  local parts = {}
  for i, item in ipairs(target.items) do parts[i] = assignment(item) end
  return function(S, F, v)
    S.line = line
    local items, n = V.items(v)
    if n ~= #parts then
      local what = n < #parts and "not enough values to unpack (expected " .. #parts .. ", got " .. n .. ")"
        or "too many values to unpack (expected " .. #parts .. ")"
      fail(what, "ValueError")
    end
    for i = 1, n do parts[i](S, F, items[i]) end
  end
end

function C.Set(node, cx)
  local value, assign = expression(node.value, cx), assignment(node.target)
  return function(S, F)
    S.line = node.line
    S:tick(1)
    assign(S, F, value(S, F))
  end
end

-- A filter that is the first of a chain without a value (filter blocks, {% set x | f %}) takes the
-- captured text.
function E.Piped()
  return function(S) return S.piped[#S.piped] end
end

local function feed(node)
  while node.a do node = node.a end
  node.a = { t = "Piped", line = node.line }
end

local function piped(S, F, filter, text)
  S.piped[#S.piped + 1] = text
  local v = filter(S, F)
  S.piped[#S.piped] = nil
  return v
end

function C.SetBlock(node, cx)
  if node.filter then feed(node.filter) end
  local run, assign = body(node.body, cx), assignment(node.target)
  local filter = node.filter and expression(node.filter, cx)
  return function(S, F)
    local v = capture(S, run, scope(F))
    if filter then v = piped(S, F, filter, v) end
    assign(S, F, v)
  end
end

function C.FilterBlock(node, cx)
  feed(node.filter)
  local run, filter = body(node.body, cx), expression(node.filter, cx)
  return function(S, F)
    local text = capture(S, run, scope(F))
    S:emit(V.str(piped(S, F, filter, text), S.strict))
  end
end

C["With"] = function(node, cx)
  local values, targets = expressions(node.values, cx), {}
  for i, target in ipairs(node.targets) do targets[i] = assignment(target) end
  local run = body(node.body, cx)
  return function(S, F)
    local inner = scope(F)
    for i = 1, #targets do targets[i](S, inner, values[i](S, F)) end
    return run(S, inner)
  end
end

C["Break"] = function() return function() return "break" end end
C["Continue"] = function() return function() return "continue" end end

-- Loops ----------------------------------------------------------------------------------------------------------------

local LOOP = {
  index = function(l) return l.index0 + 1 end,
  index0 = function(l) return l.index0 end,
  revindex = function(l) return l.length - l.index0 end,
  revindex0 = function(l) return l.length - l.index0 - 1 end,
  first = function(l) return l.index0 == 0 end,
  last = function(l) return l.index0 == l.length - 1 end,
  length = function(l) return l.length end,
  depth = function(l) return l.depth0 + 1 end,
  depth0 = function(l) return l.depth0 end,
  previtem = function(l)
    if l.index0 == 0 then return V.undefined(nil, nil, "there is no previous item") end
    return l.items[l.index0]
  end,
  nextitem = function(l)
    if l.index0 == l.length - 1 then return V.undefined(nil, nil, "there is no next item") end
    return l.items[l.index0 + 2]
  end,
  cycle = function(l)
    return { k = "func", name = "cycle", call = function(_, args)
      if args.n == 0 then fail("no items for cycling given") end
      return args[l.index0 % args.n + 1]
    end }
  end,
  changed = function(l)
    return { k = "func", name = "changed", call = function(_, args)
      local now = V.tuple(table.move(args, 1, args.n, 1, {}), args.n)
      if l.changed_last and V.equal(l.changed_last, now) then return false end
      l.changed_last = now
      return true
    end }
  end,
}

local function loop_attribute(_, loop, name)
  local get = LOOP[name]
  if get then return get(loop) end
end

C["For"] = function(node, cx)
  local iter, assign = expression(node.iter, cx), assignment(node.target)
  local test = node.test and expression(node.test, cx)
  local run = body(node.body, cx)
  local otherwise = node.otherwise and body(node.otherwise, cx)
  local line, recursive = node.line, node.recursive

  local function selected(S, F, items, n)
    local out, m = {}, 0
    for i = 1, n do
      S:tick(1)
      local inner = scope(F)
      assign(S, inner, items[i])
      if V.truth(test(S, inner)) then
        m = m + 1
        out[m] = items[i]
      end
    end
    return out, m
  end

  local function walk(S, F, iterable, depth0)
    S.line = line
    local items, n = V.items(iterable)
    if test then items, n = selected(S, F, items, n) end
    if n == 0 then
      if otherwise then return otherwise(S, scope(F)) end
      return
    end
    local loop = { k = "loop", attr = loop_attribute, items = items, length = n, index0 = 0, depth0 = depth0 }
    if recursive then
      loop.call = function(S2, args)
        if args.n ~= 1 then fail("a recursive loop takes one iterable") end
        S2:enter()
        local mark = S2:push()
        walk(S2, F, args[1], depth0 + 1)
        local text = S2:pop(mark)
        S2:leave()
        return text
      end
    else
      loop.call = function() fail("The loop must have the 'recursive' marker to be called recursively.") end
    end
    local meta = { __index = F }
    for i = 1, n do
      S:tick(1)
      loop.index0 = i - 1
      local inner = setmetatable({ loop = loop }, meta)
      assign(S, inner, items[i])
      if run(S, inner) == "break" then break end
    end
  end

  return function(S, F) return walk(S, F, iter(S, F), 0) end
end

-- Macros ---------------------------------------------------------------------------------------------------------------

-- Whether a tree reads the name anywhere.
local function reads(node, name)
  if type(node) ~= "table" then return false end
  if node.t == "Name" and node.name == name then return true end
  for _, child in pairs(node) do
    if type(child) == "table" and reads(child, name) then return true end
  end
  return false
end

-- A function (F) -> macro value, for a macro or the body of a call block.
local function macro(node, cx, name)
  local defaults = {}
  for i = 1, #node.args do defaults[i] = node.defaults[i] and expression(node.defaults[i], cx) or false end
  local run, params = body(node.body, cx), node.args
  local wants_varargs, wants_kwargs = reads(node.body, "varargs"), reads(node.body, "kwargs")
  local wants_caller = reads(node.body, "caller") or reads(node.defaults, "caller")
  local who = "macro '" .. (name or "caller") .. "'"

  local function bind(S, L, args, kwargs)
    local given = {}
    for i = 1, math.min(args.n, #params) do given[i] = args[i] end
    local extra = V.dict()
    for _, pair in ipairs(kwargs or {}) do
      local place
      for i = 1, #params do
        if params[i] == pair.key then place = i end
      end
      if place and given[place] ~= nil then fail(who .. " got two values for '" .. pair.key .. "'") end
      if place then
        given[place] = pair.value
      elseif pair.key == "caller" and wants_caller then
        L.caller = pair.value
      elseif wants_kwargs then
        V.dict_set(extra, pair.key, pair.value)
      elseif pair.key == "caller" then
        fail(who .. " was called with a body and does not use caller()")
      else
        fail(who .. " takes no keyword argument '" .. pair.key .. "'")
      end
    end
    if wants_varargs then
      L.varargs = V.tuple(table.move(args, #params + 1, args.n, 1, {}), math.max(0, args.n - #params))
    elseif args.n > #params then
      fail(who .. " takes not more than " .. #params .. " argument(s)")
    end
    if wants_kwargs then L.kwargs = extra end
    if wants_caller and rawget(L, "caller") == nil then L.caller = V.undefined("caller", nil, "No caller defined") end
    for i = 1, #params do
      local v = given[i]
      if v == nil then
        v = defaults[i] and defaults[i](S, L) or nil
        if v == nil and defaults[i] then v = false end
        if v == nil then v = V.undefined(params[i], nil, "parameter '" .. params[i] .. "' was not provided") end
      end
      L[params[i]] = v
    end
  end

  return function(F)
    local meta = { __index = F }
    return { k = "macro", name = name, call = function(S, args, kwargs)
      S:enter()
      local L = setmetatable({}, meta)
      bind(S, L, args, kwargs)
      local mark = S:push()
      run(S, L)
      local text = S:pop(mark)
      S:leave()
      return text
    end }
  end
end

function C.Macro(node, cx)
  local make = macro(node, cx, node.name)
  return function(_, F) F[node.name] = make(F) end
end

function C.CallBlock(node, cx)
  local make, invoke = macro(node, cx, nil), call(node.call, cx)
  return function(S, F)
    S.line = node.line
    S:emit(V.str(invoke(S, F, make(F)), S.strict))
  end
end

-- {% generation %} … {% endgeneration %}: what stands inside carries loss. Where it lies is known only in
-- the main output.
function C.Generation(node, cx)
  local run = body(node.body, cx)
  return function(S, F)
    S.line = node.line
    if not S.spans then
      run(S, scope(F))
      return
    end
    if S.nested > 0 then
      fail("{% generation %} inside a macro or a captured block: where its text ends up cannot be told", "TemplateRuntimeError")
    end
    local start = S.bytes
    run(S, scope(F))
    S.spans[#S.spans + 1] = { start, S.bytes }
  end
end

--- Compiles a parsed template.
-- @param nodes table: statements from lathe.jinja.parser
-- @return function: (S, F), writes to S
function M.compile(nodes)
  return body(nodes, { conditional = 0, lenient = false })
end

return M
