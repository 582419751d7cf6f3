-- SPDX-License-Identifier: MIT
-- The compiler of the template language: a tree in, the source of a Lua function out, which is loaded.
--
--   {% for m in messages %}{{ m.role }}{% endfor %}
--
--   S.line = 1                                    do
--   local t1 = get(S, F, "messages")                …
--   local x2, n2 = items(t1)
--   for i2 = 1, n2 do
--     S.steps = S.steps + 2 if S.steps > S.max_steps then over(S) end
--     local v3 = x2[i2]
--     do local t4 = attr(S, v3, "role") … S.out[n + 1] = t4 … end
--   end
--
--   S  the state of one rendering: output, limits, the line being worked on      (made by lathe.jinja)
--   F  the caller's fields and the functions every template has
--
-- Every value that is computed gets a local of its own, in the order of evaluation; nothing is nested, so
-- the depth of an expression is no depth of Lua's. Names that the template sets are locals too. A loop's
-- body, a macro, a call block and a block that captures have a scope of their own, `if` has not: as in
-- Jinja2, a name set inside a loop is gone after it, and a namespace is the way around that. A name that
-- may not have been set yet is looked for in the scopes around, at run time. Where a function has many
-- locals already (Lua allows 200), values go to a table.
--
-- The source holds no text of the template but quoted: names, texts and numbers pass through %q. It is
-- loaded without any globals.

local V = require "lathe.jinja.value"
local filters = require "lathe.jinja.filters"
local R = require "lathe.jinja.runtime"

local M = {}

local MOST_LOCALS = 120                        -- of a function, before values go to a table

local HELPERS = { "NONE", "type", "truth", "equal", "items", "dict", "dict_set", "list", "tuple", "getattr", "getitem", "slice",
  "run_filter", "add", "sum", "sub", "mul", "div", "floordiv", "mod", "pow", "neg", "pos", "lt", "gt", "le", "ge",
  "contains", "joined", "get", "get_soft", "item", "attr", "no_else", "call", "call_attr", "method0", "method1", "add_star",
  "add_star2", "no_filter", "emit", "put", "text", "over", "set_attr", "unpacked", "generation_start", "generation_end", "new_loop",
  "macro", "not_given", "with_caller" }

local G = {}
G.__index = G

local E, C = {}, {}                            -- expressions and statements by node kind

local function syntax_error(line, message) error({ jinja = true, kind = "syntax", line = line, message = message }, 0) end

-- Writing ----------------------------------------------------------------------------------------------------------------

function G:put(format, ...) self.buffer[#self.buffer + 1] = select("#", ...) > 0 and format:format(...) or format end

function G:unique()
  self.count = self.count + 1
  return self.count
end

local function quoted(text) return (("%q"):format(text):gsub("\\\n", "\\n")) end

-- A place for a value: a local, or an element of the function's table T. Returns how it is written.
function G:place(code)
  local id = self:unique()
  if self.active < MOST_LOCALS then
    self.active = self.active + 1
    self:put("local t%d%s", id, code and " = " .. code or "")
    return "t" .. id
  end
  self.spilled = true
  self:put("T[%d] = %s", id, code or "nil")
  return ("T[%d]"):format(id)
end

function G:set_line(line)
  if self.line ~= line then
    self.line = line
    self:put("S.line = %d", line)
  end
end

-- Runs `make` inside do … end: its locals are gone behind it.
function G:inside(open, make, close)
  local active = self.active
  self:put(open)
  make()
  self:put(close or "end")
  self.active = active
  return self
end

-- The same for code that may not run: what it sets is not sure to be set behind it.
function G:perhaps(open, make, close)
  local mark = #self.trail
  self:inside(open, make, close)
  for i = #self.trail, mark + 1, -1 do
    self.trail[i].definite = false
    self.trail[i] = nil
  end
  self.line = nil
end

-- A Lua function; returns nothing, writes `open … end`.
function G:in_function(open, make, close)
  local before = { self.buffer, self.active, self.spilled, self.line, self.breaks, self.trail }
  self.buffer, self.active, self.spilled, self.line, self.breaks, self.trail = {}, 4, false, nil, {}, {}
  make()
  local body, spilled = self.buffer, self.spilled
  self.buffer, self.active, self.spilled, self.line, self.breaks, self.trail = table.unpack(before)
  self:put(open)
  if spilled then self:put "local T = {}" end
  table.move(body, 1, #body, #self.buffer + 1, self.buffer)
  self:put(close or "end")
end

function G:steps(n) self:put("S.steps = S.steps + %d if S.steps > S.max_steps then over(S) end", n) end

-- Names ------------------------------------------------------------------------------------------------------------------

-- The names that statements set in their own scope.
local function names_set(nodes, out)
  local function target(t)
    if t.t == "Name" then out[t.name] = true end
    for _, item in ipairs(t.items or {}) do target(item) end
  end
  for _, node in ipairs(nodes) do
    if node.t == "Set" or node.t == "SetBlock" then target(node.target) end
    if node.t == "Macro" then out[node.name] = true end
    if node.t == "If" then
      for _, branch in ipairs(node.branches) do names_set(branch.body, out) end
      if node.otherwise then names_set(node.otherwise, out) end
    end
  end
  return out
end

local function target_names(t, out)
  if t.t == "Name" then out[t.name] = true end
  for _, item in ipairs(t.items or {}) do target_names(item, out) end
  return out
end

-- Opens a scope with places for the names.
function G:open_scope(names)
  local list = {}
  for name in pairs(names) do list[#list + 1] = name end
  table.sort(list)
  local scope = { parent = self.scope, names = {} }
  local in_table = self.active + #list > MOST_LOCALS and self:unique()
  if in_table then
    self.active = self.active + 1
    self:put("local N%d = {}", in_table)
  end
  for _, name in ipairs(list) do
    local code
    if in_table then
      code = ("N%d[%s]"):format(in_table, quoted(name))
    else
      code = "v" .. self:unique()
      self.active = self.active + 1
      self:put("local " .. code)
    end
    scope.names[name] = { code = code, definite = false }
  end
  self.scope = scope
  return scope
end

function G:close_scope() self.scope = self.scope.parent end

-- The places in which a name may be, from the inside out, up to the first in which it is.
function G:places_of(name)
  local out, scope = {}, self.scope
  while scope do
    local place = scope.names[name]
    if place then
      out[#out + 1] = place
      if place.definite then break end
    end
    scope = scope.parent
  end
  return out
end

-- The code of a name that has to be there, or a local with what is found at run time.
function G:name(name, soft, line)
  local places = self:places_of(name)
  if places[1] and places[1].definite then return places[1].code end
  if line then self:set_line(line) end
  local outermost = ("%s(S, F, %s)"):format(soft and "get_soft" or "get", quoted(name))
  if not places[1] then return self:place(outermost) end
  local t = self:place(places[1].code)
  for i = 2, #places do self:put("if %s == nil then %s = %s end", t, t, places[i].code) end
  if not places[#places].definite then self:put("if %s == nil then %s = %s end", t, t, outermost) end
  return t
end

function G:assign(target, code)
  if target.t == "Name" then
    local place = self.scope.names[target.name]
    self:put("%s = %s", place.code, code)
    if not place.definite then
      place.definite = true
      self.trail[#self.trail + 1] = place
    end
  elseif target.t == "NsRef" then
    local ns = self:name(target.name, true)
    self:set_line(target.line)
    self:put("set_attr(%s, %s, %s)", ns, quoted(target.attr), code)
  else
    self:set_line(target.line)
    local items = self:place(("unpacked(%s, %d)"):format(code, #target.items))
    for i, item in ipairs(target.items) do self:assign(item, ("%s[%d]"):format(items, i)) end
  end
end

-- Expressions ------------------------------------------------------------------------------------------------------------

-- The value of an expression, as the code of a local or a constant.
function G:value(node)
  local make = E[node.t]
  if not make then syntax_error(node.line, "a slice stands where a value is expected") end
  return make(self, node)
end

function G:values(nodes)
  local out = {}
  for i, node in ipairs(nodes) do out[i] = self:value(node) end
  return out
end

local BOOLEAN = { Compare = true, Not = true, Test = true }

-- Whether an expression is true, as the code of a Lua boolean.
function G:truth(node)
  if node.t == "And" or node.t == "Or" then
    local t = self:place(self:truth(node.a))
    self:perhaps(("if %s%s then"):format(node.t == "Or" and "not " or "", t), function()
      self:put("%s = %s", t, self:truth(node.b))
    end)
    return t
  end
  if node.t == "Not" then return self:place("not " .. self:truth(node.a)) end
  local v = self:value(node)
  if BOOLEAN[node.t] then return v end
  return self:place(("%s == true or %s ~= false and truth(%s)"):format(v, v, v))
end

function E.Const(_, node)
  if node.none then return "NONE" end
  local value = node.value
  if type(value) == "string" then return quoted(value) end
  if type(value) == "boolean" then return tostring(value) end
  return ("(%q)"):format(value)
end

function E.Name(self, node)
  local soft = self.lenient
  return self:name(node.name, soft, node.line)
end

-- The value of a node whose own name may be missing: `x is defined`, `x|default(…)`.
function G:lenient_value(node)
  local before = self.lenient
  self.lenient = node.t == "Name"
  local v = self:value(node)
  self.lenient = before
  return v
end

function G:strict_value(node)
  local before = self.lenient
  self.lenient = false
  local v = self:value(node)
  self.lenient = before
  return v
end

local function is_text(node) return node.t == "Const" and type(node.value) == "string" end

local BINARY = { ["-"] = "sub", ["*"] = "mul", ["/"] = "div", ["//"] = "floordiv", ["%"] = "mod", ["**"] = "pow" }

-- The terms of a + b + c …, which the parser nests to the left; their values, and the code that tells
-- whether all are texts and how long they are together (nil where one cannot be).
function G:terms(node)
  local nodes, first = {}, node
  while first.t == "Binary" and first.op == "+" do
    nodes[#nodes + 1] = first.b
    first = first.a
  end
  nodes[#nodes + 1] = first
  for i = 1, #nodes // 2 do nodes[i], nodes[#nodes + 1 - i] = nodes[#nodes + 1 - i], nodes[i] end
  local values, tests, known, lengths = self:values(nodes), {}, 0, {}
  for i, one in ipairs(nodes) do
    if is_text(one) then
      known = known + #one.value
    elseif one.t == "Const" then
      return values, nil
    else
      tests[#tests + 1] = ('type(%s) == "string"'):format(values[i])
      lengths[#lengths + 1] = " + #" .. values[i]
    end
  end
  return values, tests[1] and table.concat(tests, " and ") or "true", known .. table.concat(lengths)
end

local MOST_TERMS = 24                          -- of a sum that is written out

local function plain_sum(values)
  if #values <= 2 then return ("add(S, %s)"):format(table.concat(values, ", ")) end
  return ("sum(S, {%s}, %d)"):format(table.concat(values, ", "), #values)
end

local function sum(self, node)
  local values, are_texts, length = self:terms(node)
  self:set_line(node.line)
  if not are_texts or #values == 2 or #values > MOST_TERMS then return self:place(plain_sum(values)) end
  local t = self:place()
  self:put("if %s then local b = %s if b >= 256 or b > S.max_output then S:need_room(b) end %s = %s", are_texts, length, t,
    table.concat(values, " .. "))
  self:put("else %s = %s end", t, plain_sum(values))
  return t
end

function E.Binary(self, node)
  if node.op == "+" then return sum(self, node) end
  local a, b = self:value(node.a), self:value(node.b)
  self:set_line(node.line)
  return self:place(("%s(S, %s, %s)"):format(BINARY[node.op], a, b))
end

function E.Unary(self, node)
  local a = self:value(node.a)
  self:set_line(node.line)
  return self:place(("%s(%s)"):format(node.op == "-" and "neg" or "pos", a))
end

function E.Not(self, node) return self:place("not " .. self:truth(node.a)) end

local function short_cut(open)
  return function(self, node)
    local t = self:place(self:value(node.a))
    self:perhaps(open:format(t), function() self:put("%s = %s", t, self:value(node.b)) end)
    return t
  end
end
E.And, E.Or = short_cut "if truth(%s) then", short_cut "if not truth(%s) then"

local COMPARE = { ["<"] = "lt", [">"] = "gt", ["<="] = "le", [">="] = "ge", ["in"] = "contains" }

local function comparison(op, a, b, with_text)
  if op == "==" or op == "!=" then
    local same = with_text and ('(%s == %s or type(%s) ~= "string" and equal(%s, %s))'):format(a, b, a, a, b) or ("equal(%s, %s)"):format(a, b)
    return op == "==" and same or "not " .. same
  end
  if op == "not in" then return ("not contains(%s, %s)"):format(a, b) end
  return ("%s(%s, %s)"):format(COMPARE[op], a, b)
end

function E.Compare(self, node)
  local a = self:value(node.a)
  local first = node.ops[1]
  local b = self:value(first.b)
  self:set_line(node.line)
  local t = self:place(comparison(first.op, a, b, is_text(first.b)))
  if #node.ops == 1 then return t end
  local left = self:place(b)
  for i = 2, #node.ops do
    self:perhaps(("if %s then"):format(t), function()
      local right = self:value(node.ops[i].b)
      self:set_line(node.line)
      self:put("%s = %s", t, comparison(node.ops[i].op, left, right, false))
      self:put("%s = %s", left, right)
    end)
  end
  return t
end

function E.Concat(self, node)
  local parts = self:values(node.parts)
  self:set_line(node.line)
  return self:place(("joined(S, {%s}, %d)"):format(table.concat(parts, ", "), #parts))
end

function E.Cond(self, node)
  local t = self:place()
  local soft = self.soft
  self.soft = true
  local c
  self:inside("do", function()
    c = self:truth(node.test)
    self:put("%s = %s", t, c)
  end)
  local active = self.active
  self:perhaps(("if %s then"):format(t), function() self:put("%s = %s", t, self:value(node.yes)) end, "else")
  self:perhaps("", function()
    self:put("%s = %s", t, node.no and self:value(node.no) or ("no_else(%d)"):format(node.line))
  end)
  self.active = active
  self.soft = soft
  return t
end

local function literal(make)
  return function(self, node)
    local items = self:values(node.items)
    return self:place(("%s({%s}, %d)"):format(make, table.concat(items, ", "), #items))
  end
end
E.List, E.Tuple = literal "list", literal "tuple"

function E.Dict(self, node)
  local d = self:place "dict()"
  for i = 1, #node.keys do
    local key, value = self:value(node.keys[i]), self:value(node.values[i])
    self:set_line(node.line)
    self:put("dict_set(%s, %s, %s)", d, key, value)
  end
  return d
end

local LOOP = { index = "i%d", index0 = "i%d - 1", first = "i%d == 1", last = "i%d == n%d", length = "n%d", revindex = "n%d - i%d + 1",
  revindex0 = "n%d - i%d" }

-- loop.index and the like, of the loop that `loop` stands for here.
local function loop_attribute(self, node)
  if node.a.t ~= "Name" or node.a.name ~= "loop" or not LOOP[node.name] then return nil end
  local place = self:places_of("loop")[1]
  if place and place.definite and place.loop then return self:place((LOOP[node.name]:gsub("%%d", place.loop))) end
end

function E.Getattr(self, node)
  local simple = loop_attribute(self, node)
  if simple then return simple end
  local a = self:strict_value(node.a)
  self:set_line(node.line)
  return self:place(("attr(S, %s, %s)"):format(a, quoted(node.name)))
end

function E.Getitem(self, node)
  local a, key = self:strict_value(node.a), node.key
  if key.t == "Slice" then
    local bounds = {}
    for i, name in ipairs { "start", "stop", "step" } do bounds[i] = key[name] and self:strict_value(key[name]) or "nil" end
    self:set_line(node.line)
    return self:place(("slice(S, %s, %s)"):format(a, table.concat(bounds, ", ")))
  end
  local k = self:strict_value(key)
  self:set_line(node.line)
  return self:place(("%s(S, %s, %s)"):format(is_text(key) and "item" or "getitem", a, k))
end

-- Calls ------------------------------------------------------------------------------------------------------------------

local function is_plain(arguments) return not arguments.star and not arguments.star2 and #arguments.kwargs == 0 end

-- The arguments of a call as the codes of a list { n = …, … } and of the keyword arguments, or "nil".
function G:arguments(arguments)
  local args = self:values(arguments.args)
  local list = ("{n = %d%s}"):format(#args, #args > 0 and ", " .. table.concat(args, ", ") or "")
  if is_plain(arguments) then return list, "nil" end
  if arguments.star then
    list = self:place(list)
    self:put("add_star(S, %s, %s)", list, self:value(arguments.star))
  end
  local kwargs = {}
  for i, pair in ipairs(arguments.kwargs) do kwargs[i] = ("{key = %s, value = %s}"):format(quoted(pair.key), self:value(pair.value)) end
  local code = ("{%s}"):format(table.concat(kwargs, ", "))
  if arguments.star2 then
    code = self:place(code)
    self:put("add_star2(%s, %s)", code, self:value(arguments.star2))
    code = self:place(("%s[1] and %s or nil"):format(code, code))
  end
  return list, code
end

-- caller: the code of what a call block passes.
function G:call(node, caller)
  local callee, name, object = nil, nil, nil
  if node.a.t == "Getattr" then
    object, name = self:strict_value(node.a.a), node.a.name
  else
    callee = self:strict_value(node.a)
  end
  local t
  if object and not caller and is_plain(node.call) and #node.call.args <= 1 then
    local args = self:values(node.call.args)
    self:set_line(node.line)
    t = self:place(("method%d(S, %s, %s%s)"):format(#args, object, quoted(name), args[1] and ", " .. args[1] or ""))
  else
    local list, kwargs = self:arguments(node.call)
    if caller then kwargs = ("with_caller(%s, %s)"):format(kwargs, caller) end
    self:set_line(node.line)
    if object then
      t = self:place(("call_attr(S, %s, %s, %s, %s)"):format(object, quoted(name), list, kwargs))
    else
      t = self:place(("call(S, %s, %s, %s)"):format(callee, list, kwargs))
    end
  end
  self.line = nil
  return t
end

function E.Call(self, node)
  local before = self.lenient
  self.lenient = false
  local t = self:call(node)
  self.lenient = before
  return t
end

-- A filter or test by name; unknown names fail when compiling, unless a condition may keep them from
-- running (as in Jinja2).
function G:find(node, lookup)
  local def, why = lookup(node.name)
  if not def and not self.soft then syntax_error(node.line, why) end
  return def, why
end

-- A constant of the compiled template.
function G:constant(value)
  self.constants[#self.constants + 1] = value
  return ("K[%d]"):format(#self.constants)
end

local LENIENT = { default = true, d = true, defined = true, undefined = true }

local function filter_or_test(lookup)
  return function(self, node)
    local def, why = self:find(node, lookup)
    local v = LENIENT[node.name] and self:lenient_value(node.a) or self:strict_value(node.a)
    local before = self.lenient
    self.lenient = false
    local t
    if not def then
      self:arguments(node.call)
      self:set_line(node.line)
      t = self:place(("no_filter(%s)"):format(quoted(why)))
    elseif not def.rest and is_plain(node.call) and #node.call.args <= #def.params and #node.call.args >= (def.required or 0) then
      local args = self:values(node.call.args)
      table.insert(args, 1, v)
      self:set_line(node.line)
      t = self:place(("%s(S, %s)"):format(self:constant(def.fn), table.concat(args, ", ")))
    else
      local list, kwargs = self:arguments(node.call)
      self:set_line(node.line)
      t = self:place(("run_filter(S, %s, %s, %s, %s, %s)"):format(quoted(node.name), self:constant(def), v, list, kwargs))
    end
    self.lenient = before
    return t
  end
end
E.Filter = filter_or_test(filters.find_filter)
E.Test = filter_or_test(filters.find_test)

-- Statements -------------------------------------------------------------------------------------------------------------

function G:block(nodes)
  for _, node in ipairs(nodes) do C[node.t](self, node) end
end

-- A block with a scope of its own, for the names it sets and those of `more`; `begin` runs first.
function G:scoped(nodes, more, begin)
  local names = names_set(nodes, more or {})
  local soft = self.soft
  self.soft = false
  self:open_scope(names)
  if begin then begin() end
  self:block(nodes)
  self:close_scope()
  self.soft = soft
end

-- Writes pieces of text, whose codes are given, at once.
function G:write(pieces, length)
  if #pieces == 0 then return end
  self:put("local o, n, b = S.out, S.n, S.bytes + %s", length)
  for i, piece in ipairs(pieces) do self:put("o[n + %d] = %s", i, piece) end
  self:put("S.n, S.bytes = n + %d, b if b > S.max_output then S:too_much_output() end", #pieces)
end

-- Pieces of output that were not written yet.
local function new_pieces() return { known = 0, lengths = {} } end

local function add_piece(pieces, code, text)
  pieces[#pieces + 1] = code
  if text then pieces.known = pieces.known + #text else pieces.lengths[#pieces.lengths + 1] = " + #" .. code end
end

local function flush(self, pieces)
  if #pieces > 0 then
    self:inside("do", function() self:write(pieces, pieces.known .. table.concat(pieces.lengths)) end)
  end
  return new_pieces()
end

-- {{ a + b + c }}: of texts, each is written by itself.
local function write_sum(self, item, pieces)
  self:set_line(item.line)
  local values, are_texts, length = self:terms(item)
  self:set_line(item.line)
  pieces = flush(self, pieces)
  if not are_texts or #values > MOST_TERMS then
    self:put("put(S, %s)", plain_sum(values))
  else
    self:inside(("if %s then"):format(are_texts), function() self:write(values, length) end, "else")
    self:put("put(S, %s) end", plain_sum(values))
  end
  return pieces
end

-- The value of an item as a text: a piece.
local function item_text(self, item, pieces)
  self:set_line(item.line)
  local v = self:value(item)
  self:set_line(item.line)
  if not v:find "^t%d+$" then v = self:place(v) end
  self:put('if type(%s) ~= "string" then %s = text(S, %s) end', v, v, v)
  add_piece(pieces, v)
end

local MOST_PIECES = 40

function C.Output(self, node)
  self:inside("do", function()
    local pieces = new_pieces()
    for _, item in ipairs(node.items) do
      if is_text(item) then
        if item.value ~= "" then add_piece(pieces, quoted(item.value), item.value) end
      elseif item.t == "Binary" and item.op == "+" then
        pieces = write_sum(self, item, pieces)
      elseif item.t == "Concat" then
        for _, part in ipairs(item.parts) do
          if is_text(part) then add_piece(pieces, quoted(part.value), part.value) else item_text(self, part, pieces) end
        end
      else
        item_text(self, item, pieces)
      end
      if #pieces >= MOST_PIECES then pieces = flush(self, pieces) end
    end
    flush(self, pieces)
  end)
end

C.If = function(self, node)
  local id = self:unique()
  local soft = self.soft
  self.soft = true
  self:inside("do", function()
    local c = self:place()
    for _, branch in ipairs(node.branches) do
      self:perhaps("do", function()
        self:set_line(branch.line)
        self:put("%s = %s", c, self:truth(branch.test))
      end)
      self:perhaps(("if %s then"):format(c), function()
        self:steps(#branch.body + 1)
        self:block(branch.body)
        self:put("goto e%d", id)
      end)
    end
    if node.otherwise then
      self:perhaps("do", function()
        self:steps(#node.otherwise + 1)
        self:block(node.otherwise)
      end)
    end
  end)
  self:put("::e%d::", id)
  self.soft = soft
end

function C.Set(self, node)
  self:inside("do", function()
    self:set_line(node.line)
    local v = self:value(node.value)
    self:assign(node.target, v)
  end)
end

-- Runs a scoped block with its output caught; returns the local that holds the text.
function G:captured(nodes)
  local text = self:place()
  self:inside("do", function()
    local mark = self:place "S:push()"
    self.breaks[#self.breaks + 1] = mark
    self:scoped(nodes)
    self.breaks[#self.breaks] = nil
    self:put("%s = S:pop(%s)", text, mark)
  end)
  self.line = nil
  return text
end

-- A filter that is the first of a chain without a value (filter blocks, {% set x | f %}) takes the
-- captured text.
function E.Piped(_, node) return node.code end

local function feed(node, code)
  while node.a do node = node.a end
  node.a = { t = "Piped", line = node.line, code = code }
end

function C.SetBlock(self, node)
  self:inside("do", function()
    local v = self:captured(node.body)
    if node.filter then
      feed(node.filter, v)
      v = self:value(node.filter)
    end
    self:assign(node.target, v)
  end)
end

function C.FilterBlock(self, node)
  self:inside("do", function()
    local v = self:captured(node.body)
    feed(node.filter, v)
    local soft = self.soft
    self.soft = false
    v = self:value(node.filter)
    self.soft = soft
    self:put("put(S, %s)", v)
  end)
end

C["With"] = function(self, node)
  self:inside("do", function()
    self:set_line(node.line)
    local values, names = self:values(node.values), {}
    for _, target in ipairs(node.targets) do target_names(target, names) end
    self:scoped(node.body, names, function()
      for i, target in ipairs(node.targets) do self:assign(target, values[i]) end
    end)
  end)
end

-- What was caught between the loop and the place where it is left is given up.
local function leave(self, how)
  for i = #self.breaks, 1, -1 do
    if type(self.breaks[i]) == "table" then
      self:put(how == "break" and "break" or ("goto c%d"):format(self.breaks[i].id))
      return
    end
    self:put("S:pop(%s)", self.breaks[i])
  end
end

C["Break"] = function(self) leave(self, "break") end
C["Continue"] = function(self) leave(self, "continue") end

-- Whether a tree reads the name anywhere.
local function reads(node, name)
  if type(node) ~= "table" then return false end
  if node.t == "Name" and node.name == name then return true end
  for _, child in pairs(node) do
    if type(child) == "table" and reads(child, name) then return true end
  end
  return false
end

-- Whether a loop's body needs `loop` as a value, for more than its index and length.
local function needs_loop(node)
  if type(node) ~= "table" then return false end
  if node.t == "Getattr" and node.a.t == "Name" and node.a.name == "loop" and LOOP[node.name] then return false end
  if node.t == "Name" and node.name == "loop" then return true end
  if node.t == "For" then return needs_loop(node.iter) or needs_loop(node.test) or needs_loop(node.otherwise) end
  for _, child in pairs(node) do
    if type(child) == "table" and needs_loop(child) then return true end
  end
  return false
end

local function has_continue(nodes)
  for _, node in ipairs(nodes) do
    if node.t == "Continue" then return true end
    if node.t == "If" then
      for _, branch in ipairs(node.branches) do
        if has_continue(branch.body) then return true end
      end
      if node.otherwise and has_continue(node.otherwise) then return true end
    elseif (node.t == "With" or node.t == "SetBlock" or node.t == "FilterBlock") and has_continue(node.body) then
      return true
    end
  end
  return false
end

-- Keeps the items for which the loop's condition holds: x, n become those.
local function select_items(self, node, id)
  self:put("local y%d, m%d = {}, 0", id, id)
  self.active = self.active + 2
  self:perhaps(("for j%d = 1, n%d do"):format(id, id), function()
    self.active = self.active + 4
    self:steps(1)
    local soft = self.soft
    self.soft = false
    self:open_scope(target_names(node.target, {}))
    self:assign(node.target, ("x%d[j%d]"):format(id, id))
    local c = self:truth(node.test)
    self:close_scope()
    self.soft = soft
    self:put("if %s then m%d = m%d + 1 y%d[m%d] = x%d[j%d] end", c, id, id, id, id, id, id)
  end)
  self:put("x%d, n%d = y%d, m%d", id, id, id, id)
end

-- The loop over the value `code`; a recursive one is the body of a function w(code, depth0).
local function loop(self, node, id, code)
  self:set_line(node.line)
  self:put("local x%d, n%d = items(%s)", id, id, code)
  self.active = self.active + 2
  if node.test then select_items(self, node, id) end
  local names = names_set(node.body, target_names(node.target, {}))
  if names.loop then syntax_error(node.line, "a loop cannot assign to its own name 'loop'") end
  local wants_loop = needs_loop(node.body)
  if wants_loop then
    self:put("local l%d = new_loop(x%d, n%d, %s)", id, id, id, node.recursive and ("d%d, w%d"):format(id, id) or "0")
    self.active = self.active + 1
  end
  if node.otherwise then
    self:put("local r%d = false", id)
    self.active = self.active + 1
  end
  local continues = has_continue(node.body)
  self:perhaps(("for i%d = 1, n%d do"):format(id, id), function()
    self.active = self.active + 4
    self:steps(#node.body + 1)
    if wants_loop then self:put("l%d.index0 = i%d - 1", id, id) end
    self.line = nil
    self.breaks[#self.breaks + 1] = { id = id }
    local soft = self.soft
    self.soft = false
    local scope = self:open_scope(names)
    scope.names.loop = { code = "l" .. id, definite = true, loop = tostring(id) }
    self:assign(node.target, ("x%d[i%d]"):format(id, id))
    if continues then
      self:inside("do", function() self:block(node.body) end)
    else
      self:block(node.body)
    end
    self:close_scope()
    self.soft = soft
    self.breaks[#self.breaks] = nil
    if node.otherwise then self:put("r%d = true", id) end
    if continues then self:put("::c%d::", id) end
  end)
  if node.otherwise then              -- as Jinja2 has it: also when no round came to its end
    self:perhaps(("if not r%d then"):format(id), function() self:scoped(node.otherwise) end)
  end
end

C["For"] = function(self, node)
  local id = self:unique()
  self:inside("do", function()
    self:set_line(node.line)
    local code = self:value(node.iter)
    if not node.recursive then return loop(self, node, id, code) end
    self:put("local w%d", id)
    self.active = self.active + 1
    self:in_function(("function w%d(a%d, d%d)"):format(id, id, id), function() loop(self, node, id, "a" .. id) end)
    self:put("w%d(%s, 0)", id, code)
  end)
  self.line = nil
end

-- Macros -----------------------------------------------------------------------------------------------------------------

-- The code of a macro value, for a macro or the body of a call block.
local function macro(self, node, name)
  local def = { name = name, who = "macro '" .. (name or "caller") .. "'", params = node.args }
  def.wants_varargs, def.wants_kwargs = reads(node.body, "varargs"), reads(node.body, "kwargs")
  def.wants_caller = reads(node.body, "caller") or reads(node.defaults, "caller")
  local names = {}
  for _, param in ipairs(node.args) do names[param] = true end
  for _, special in ipairs { "varargs", "kwargs", "caller" } do
    if def["wants_" .. special] then names[special] = true end
  end
  local t = self:place()
  self:in_function(("%s = macro(%s, function(g)"):format(t, self:constant(def)), function()
    self:steps(#node.body + 1)
    self:scoped(node.body, names, function()
      local places = self.scope.names
      for _, special in ipairs { "varargs", "kwargs", "caller" } do
        if def["wants_" .. special] then
          self:put("%s = g.%s", places[special].code, special)
          places[special].definite = true
        end
      end
      for i, param in ipairs(node.args) do
        local code = places[param].code
        self:put("%s = g[%d]", code, i)
        self:perhaps(("if %s == nil then"):format(code), function()
          self:put("%s = %s", code, node.defaults[i] and self:value(node.defaults[i]) or ("not_given(%s)"):format(quoted(param)))
        end)
        places[param].definite = true
      end
    end)
  end, "end)")
  return t
end

function C.Macro(self, node)
  self:inside("do", function()
    self:assign({ t = "Name", name = node.name, line = node.line }, macro(self, node, node.name))
  end)
end

function C.CallBlock(self, node)
  self:inside("do", function()
    local caller = macro(self, node, nil)
    self:put("put(S, %s)", self:call(node.call, caller))
  end)
end

-- {% generation %} … {% endgeneration %}: what stands inside carries loss. Where it lies is known only in
-- the main output.
function C.Generation(self, node)
  self:inside("do", function()
    self:set_line(node.line)
    local start = self:place "generation_start(S)"
    self:scoped(node.body)
    self:put("generation_end(S, %s)", start)
  end)
end

--- The Lua source of a parsed template, and the constants that it needs.
-- @param nodes table: statements from lathe.jinja.parser
-- @return string: source of a chunk that takes the helpers and the constants and returns function(S, F)
-- @return table: constants
function M.source(nodes)
  local self = setmetatable({ buffer = {}, count = 0, active = 0, trail = {}, breaks = {}, constants = {}, soft = false,
    lenient = false }, G)
  self:put "local R, K = ..."
  for _, name in ipairs(HELPERS) do self:put("local %s = R.%s", name, name) end
  self:in_function("return function(S, F)", function() self:scoped(nodes) end)
  return table.concat(self.buffer, "\n"), self.constants
end

--- Compiles a parsed template.
-- @param nodes table: statements from lathe.jinja.parser
-- @return function: (S, F), writes to S
function M.compile(nodes)
  local source, constants = M.source(nodes)
  local chunk, message = load(source, "=(template)", "t", {})
  if not chunk then
    V.fail("the template is nested too deeply or has too many names (" .. tostring(message):gsub("^%b():%d+: ", "") .. ")", "limit")
  end
  return chunk(R, constants)
end

M.add = R.add

return M
