-- SPDX-License-Identifier: MIT
-- What the Lua code of a compiled template calls: operators, look-ups, calls, loops, macros.
--
-- Every function that can fail gets S, the state of the rendering, whose line the compiled code has set. A
-- value of the template is never nil; nil stands for what is absent.

local V = require "lathe.jinja.value"
local methods = require "lathe.jinja.methods"
local filters = require "lathe.jinja.filters"
local format = require "lathe.jinja.format"

local R = {}

local fail, NONE = V.fail, V.NONE
local type, concat = type, table.concat

R.V, R.NONE, R.type = V, NONE, type
R.truth, R.equal, R.items, R.dict, R.dict_set, R.list, R.tuple = V.truth, V.equal, V.items, V.dict, V.dict_set, V.list, V.tuple
R.getattr, R.getitem, R.slice, R.run_filter = methods.getattr, methods.getitem, methods.slice, filters.run

-- Arithmetic -----------------------------------------------------------------------------------------------------------

local function unsupported(op, a, b)
  V.need(a)
  V.need(b)
  fail("unsupported operand type(s) for " .. op .. ": '" .. V.type_name(a) .. "' and '" .. V.type_name(b) .. "'")
end

local function too_large() fail("an integer result is too large", "OverflowError") end

local function concat_sequences(S, a, b)
  S:tick(a.n + b.n)
  local out = table.move(a, 1, a.n, 1, {})
  table.move(b, 1, b.n, a.n + 1, out)
  out.k, out.n = a.k, a.n + b.n
  return out
end

function R.add(S, a, b)
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
local add = R.add

--- a + b + c …, the n values in a list: texts are joined once, not pair by pair.
function R.sum(S, list, n)
  local total, parts, count, bytes = list[1], nil, 0, 0
  for i = 2, n do
    local x = list[i]
    if type(x) == "string" and type(total) == "string" then
      if count == 0 then parts, count, bytes = { total }, 1, #total end
      count, bytes = count + 1, bytes + #x
      parts[count] = x
      if bytes >= 256 or bytes > S.max_output then S:need_room(bytes) end
    else
      if count > 0 then total, count = concat(parts, "", 1, count), 0 end
      total = add(S, total, x)
    end
  end
  return count > 0 and concat(parts, "", 1, count) or total
end

function R.sub(_, a, b)
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

function R.mul(S, a, b)
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
  return function(S, a, b)
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
R.div = division("/", function(x, y) return x / y end)
R.floordiv = division("//", function(x, y) return x // y end)
R.mod = division("%", function(x, y) return x % y end)

function R.pow(S, a, b)
  local x, y = V.number(a), V.number(b)
  if not x or not y then unsupported("**", a, b) end
  if math.type(x) == "float" or math.type(y) == "float" or y < 0 then
    if x == 0 and y < 0 then fail("0.0 cannot be raised to a negative power", "ZeroDivisionError") end
    return (x + 0.0) ^ y
  end
  if x == 0 or x == 1 then return y == 0 and 1 or x end
  if x == -1 then return y % 2 == 0 and 1 or -1 end
  local result = 1
  for _ = 1, y do result = R.mul(S, result, x) end
  return result
end

local function sign_of(op)
  return function(v)
    local x = V.number(V.need(v))
    if not x then fail("bad operand type for unary " .. op .. ": '" .. V.type_name(v) .. "'") end
    if op == "+" then return x end
    if x == math.mininteger and math.type(x) == "integer" then too_large() end
    return -x
  end
end
R.neg, R.pos = sign_of "-", sign_of "+"

function R.lt(a, b) return V.compare(a, b, "<") == -1 end
function R.gt(a, b) return V.compare(a, b, ">") == 1 end
function R.le(a, b) return (V.compare(a, b, "<=") or 2) <= 0 end
function R.ge(a, b) return (V.compare(a, b, ">=") or -2) >= 0 end
function R.contains(a, b) return V.contains(b, a) end

--- The texts of the n values in a list, joined: `a ~ b ~ c`.
function R.joined(S, list, n)
  local size, strict = 0, S.strict
  for i = 1, n do
    local v = list[i]
    if type(v) ~= "string" then
      v = V.str(v, strict)
      list[i] = v
    end
    size = size + #v
  end
  S:need_room(size)
  return concat(list, "", 1, n)
end

-- Names and items ------------------------------------------------------------------------------------------------------

--- The value of a name that the template does not set: a field, a function, or undefined.
function R.get(S, F, name)
  local v = F[name]
  if v ~= nil then return v end
  v = V.undefined(name)
  if S.strict then V.fail_undefined(v) end
  return v
end

--- The same where it may be missing: `name is defined`, `name|default(…)`.
function R.get_soft(_, F, name)
  local v = F[name]
  if v ~= nil then return v end
  return V.undefined(name)
end

local getitem, getattr = methods.getitem, methods.getattr

--- `v[key]` with a key that is a text.
function R.item(S, v, key)
  if type(v) == "table" and v.k == "dict" then
    local source = v.source                   -- of a value that was not copied yet, a plain member is read where it is
    if source then
      local x = source[key]
      local t = type(x)
      if t == "string" or t == "number" or t == "boolean" then return x end
    end
    local i = v.at[key]
    if i then return v.vals[i] end
  end
  return getitem(S, v, key)
end

local dict_methods = methods.dict

--- `v.name`
function R.attr(S, v, name)
  if type(v) == "table" and v.k == "dict" and not dict_methods[name] then
    local source = v.source
    if source then
      local x = source[name]
      local t = type(x)
      if t == "string" or t == "number" or t == "boolean" then return x end
    end
    local i = v.at[name]
    if i then return v.vals[i] end
  end
  return getattr(S, v, name)
end

--- An inline if without else whose condition is false.
function R.no_else(line)
  local v = V.undefined(nil, nil, "the inline if-expression on line " .. line .. " evaluated to false and no else section was defined.")
  v.soft = true
  return v
end

-- Calls ----------------------------------------------------------------------------------------------------------------

--- Calls a value of the template.
function R.call(S, callee, args, kwargs)
  S:tick(1)
  local k = V.kind(callee)
  if k == "method" then return methods.call_method(S, callee.self, callee.name, callee.def, args, kwargs) end
  if k == "undefined" then V.fail_undefined(callee) end
  if type(callee) == "table" and callee.call then return callee.call(S, args, kwargs) end
  fail("'" .. V.type_name(callee) .. "' object is not callable")
end
local call = R.call

--- `v.name(…)`; of a method, no bound one is made.
function R.call_attr(S, v, name, args, kwargs)
  local method = methods.find_method(v, name)
  if not method then return call(S, getattr(S, v, name), args, kwargs) end
  S:tick(1)
  return methods.call_method(S, v, name, method, args, kwargs)
end
local call_attr = R.call_attr

--- The same with no or one argument, by position.
function R.method0(S, v, name)
  if type(v) == "string" then
    local def = methods.str[name]
    if def and not def.rest and not def.required then
      S:tick(1)
      return (def.fn(S, v))
    end
  end
  return call_attr(S, v, name, { n = 0 })
end

function R.method1(S, v, name, a)
  if type(v) == "string" then
    local def = methods.str[name]
    if def and not def.rest and (def.required or 0) <= 1 and def.params[1] then
      S:tick(1)
      return (def.fn(S, v, a))
    end
  end
  return call_attr(S, v, name, { n = 1, a })
end

--- Puts the items of `*star` behind the arguments.
function R.add_star(S, args, star)
  local items, m = V.items(star)
  S:tick(m)
  table.move(items, 1, m, args.n + 1, args)
  args.n = args.n + m
end

--- Puts the items of `**star` behind the keyword arguments.
function R.add_star2(kwargs, d)
  if V.kind(d) ~= "dict" then fail("argument after ** must be a mapping, not " .. V.type_name(d)) end
  for i = 1, d.n do
    if type(d.keys[i]) ~= "string" then fail("keywords must be strings") end
    kwargs[#kwargs + 1] = { key = d.keys[i], value = d.vals[i] }
  end
end

--- A filter or test that does not exist, where a condition keeps it from being a mistake until it is used.
function R.no_filter(why) fail(why, "TemplateRuntimeError") end

-- Statements -----------------------------------------------------------------------------------------------------------

--- Writes a text.
function R.emit(S, s)
  local bytes, n = S.bytes + #s, S.n + 1
  if bytes > S.max_output then S:too_much_output() end
  S.bytes, S.n, S.out[n] = bytes, n, s
end
local emit = R.emit

--- Writes a value.
function R.put(S, v)
  if type(v) ~= "string" then v = V.str(v, S.strict) end
  emit(S, v)
end

--- A value as it is written.
function R.text(S, v) return V.str(v, S.strict) end

--- Too many steps were taken.
function R.over(S) S:tick(0) end

--- `{% set ns.attr = v %}`
function R.set_attr(ns, attr, v)
  if V.kind(ns) ~= "ns" then fail("cannot assign attribute on non-namespace object", "TemplateRuntimeError") end
  if attr:sub(1, 1) == "_" then
    fail("templates cannot store underscore-prefixed attributes on a namespace ('" .. attr .. "')", "SecurityError")
  end
  V.dict_set(ns.dict, attr, v)
end

--- The n items of a value that is assigned to n names.
function R.unpacked(v, wanted)
  local items, n = V.items(v)
  if n ~= wanted then
    fail(n < wanted and "not enough values to unpack (expected " .. wanted .. ", got " .. n .. ")"
      or "too many values to unpack (expected " .. wanted .. ")", "ValueError")
  end
  return items
end

--- Where what carries loss begins.
function R.generation_start(S)
  if not S.spans then return 0 end
  if S.nested > 0 then
    fail("{% generation %} inside a macro or a captured block: where its text ends up cannot be told", "TemplateRuntimeError")
  end
  return S.bytes
end

function R.generation_end(S, start)
  if S.spans then S.spans[#S.spans + 1] = { start, S.bytes } end
end

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

local function not_recursive() fail("The loop must have the 'recursive' marker to be called recursively.") end

--- The `loop` of a loop. walk: of a recursive one, function(iterable, depth0).
function R.new_loop(items, n, depth0, walk)
  local loop = { k = "loop", attr = loop_attribute, items = items, length = n, index0 = 0, depth0 = depth0, call = not_recursive }
  if walk then
    loop.call = function(S, args)
      if args.n ~= 1 then fail("a recursive loop takes one iterable") end
      S:enter()
      local mark = S:push()
      walk(args[1], depth0 + 1)
      local text = S:pop(mark)
      S:leave()
      return text
    end
  end
  return loop
end

-- Macros ---------------------------------------------------------------------------------------------------------------

-- The arguments of a call by the macro's parameters; `varargs`, `kwargs` and `caller` where it reads them.
local function bind(def, args, kwargs)
  local params, count = def.params, #def.params
  local given = {}
  for i = 1, math.min(args.n, count) do given[i] = args[i] end
  local extra = def.wants_kwargs and V.dict() or nil
  for _, pair in ipairs(kwargs or {}) do
    local place
    for i = 1, count do
      if params[i] == pair.key then place = i end
    end
    if place and given[place] ~= nil then fail(def.who .. " got two values for '" .. pair.key .. "'") end
    if place then
      given[place] = pair.value
    elseif pair.key == "caller" and def.wants_caller then
      given.caller = pair.value
    elseif extra then
      V.dict_set(extra, pair.key, pair.value)
    elseif pair.key == "caller" then
      fail(def.who .. " was called with a body and does not use caller()")
    else
      fail(def.who .. " takes no keyword argument '" .. pair.key .. "'")
    end
  end
  if def.wants_varargs then
    given.varargs = V.tuple(table.move(args, count + 1, args.n, 1, {}), math.max(0, args.n - count))
  elseif args.n > count then
    fail(def.who .. " takes not more than " .. count .. " argument(s)")
  end
  given.kwargs = extra
  if def.wants_caller and given.caller == nil then given.caller = V.undefined("caller", nil, "No caller defined") end
  return given
end

--- A macro. def: { name, who, params, wants_varargs, wants_kwargs, wants_caller }; run: function(given)
function R.macro(def, run)
  return { k = "macro", name = def.name, call = function(S, args, kwargs)
    S:enter()
    local given = bind(def, args, kwargs)
    local mark = S:push()
    run(given)
    local text = S:pop(mark)
    S:leave()
    return text
  end }
end

--- The value of a parameter that was not given and has no default.
function R.not_given(name) return V.undefined(name, nil, "parameter '" .. name .. "' was not provided") end

--- The keyword arguments with the body of a call block as `caller`.
function R.with_caller(kwargs, caller)
  kwargs = kwargs or {}
  kwargs[#kwargs + 1] = { key = "caller", value = caller }
  return kwargs
end

return R
