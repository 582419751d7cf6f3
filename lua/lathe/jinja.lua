-- SPDX-License-Identifier: MIT
-- The template language of chat templates: Jinja2 as transformers sets it up, compiled to Lua.
--
--   local jinja = require "lathe.jinja"
--   local t = assert(jinja.compile("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}\n{% endfor %}", { name = "mine" }))
--   local text = assert(t:render { messages = { { role = "user", content = "Hello" } } })
--
-- That is: trim_blocks and lstrip_blocks on, no automatic escaping, `break` and `continue`, `{% generation
-- %}`, tojson that does not escape HTML, raise_exception, namespace, and Python's values and string
-- methods.
--
-- Not there, and said so by name: include, import, extends, block (a template reaches no other file), the
-- filters random and urlize. Integers have 64 bits. Compared with Jinja2 by tests/reference/jinja_*.py.
--
-- Templates of model folders are untrusted. They reach values that lathe.jinja.value copied or made, and
-- nothing of Lua; and each rendering has limits: steps (a million), output (16 MiB, which also bounds
-- every string made on the way), calls within calls (150). There is no clock: strftime_now exists only
-- when the caller passes `now`.

local parser = require "lathe.jinja.parser"
local compiler = require "lathe.jinja.compile"
local V = require "lathe.jinja.value"
local methods = require "lathe.jinja.methods"

local M = {}

M.MAX_STEPS = 1000000
M.MAX_OUTPUT = 16 << 20
M.MAX_SOURCE = 4 << 20
local MAX_CALLS = 150
local MAX_RANGE = 100000

M.null = V.NONE

local fail = V.fail

-- The state of one rendering -------------------------------------------------------------------------------------------

local State = {}
State.__index = State

function State:tick(n)
  local steps = self.steps + n
  self.steps = steps
  if steps > self.max_steps then
    fail("the template took more than " .. self.max_steps .. " steps and was stopped", "limit")
  end
end

--- Asks for room for a string of so many bytes, before it is made.
function State:need_room(bytes)
  if bytes > self.max_output then
    fail("the template would make a text of more than " .. self.max_output .. " bytes", "limit")
  end
  if bytes >= 256 then self:tick(bytes >> 8) end
end

function State:too_much_output() fail("the template's output is larger than " .. self.max_output .. " bytes", "limit") end

--- Starts to catch the output; State:pop gives it back as a string.
function State:push()
  local mark = { out = self.out, n = self.n, bytes = self.bytes }
  self.out, self.n, self.bytes = {}, 0, 0
  self.nested = self.nested + 1
  return mark
end

function State:pop(mark)
  local text = table.concat(self.out, "", 1, self.n)
  self.out, self.n, self.bytes = mark.out, mark.n, mark.bytes
  self.nested = self.nested - 1
  self:tick(#text >> 8)
  return text
end

function State:enter()
  self.calls = self.calls + 1
  if self.calls > MAX_CALLS then fail("calls within calls, more than " .. MAX_CALLS .. " deep", "limit") end
end

function State:leave() self.calls = self.calls - 1 end

-- Functions every template has -----------------------------------------------------------------------------------------

local GLOBALS = {}

local function global(name, params, fn)
  GLOBALS[name] = { k = "func", name = name, call = function(S, args, kwargs)
    if not params then return fn(S, args, kwargs) end
    local bound = methods.bind(name, params, args, kwargs)
    return fn(S, bound[1], bound[2], bound[3])
  end }
end

global("range", nil, function(S, args, kwargs)
  if kwargs then fail("range() takes no keyword arguments") end
  if args.n < 1 or args.n > 3 then fail("range expected 1 to 3 arguments, got " .. args.n) end
  for i = 1, args.n do
    V.need(args[i])
    if type(args[i]) == "boolean" then args[i] = args[i] and 1 or 0 end
    if math.type(args[i]) ~= "integer" then fail("'" .. V.type_name(args[i]) .. "' object cannot be interpreted as an integer") end
  end
  local start, stop, step = args[1], args[2], args[3] or 1
  if args.n == 1 then start, stop = 0, args[1] end
  if step == 0 then fail("range() arg 3 must not be zero", "ValueError") end
  local count = 0
  if step > 0 and stop > start then count = (stop - start - 1) // step + 1 end
  if step < 0 and stop < start then count = (start - stop - 1) // -step + 1 end
  if count > MAX_RANGE or count < 0 then
    fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE (" .. MAX_RANGE .. ").", "OverflowError")
  end
  S:tick(count >> 3)
  local out = { k = "range", n = count, start = start, stop = stop, step = step }
  for i = 1, count do out[i] = start + (i - 1) * step end
  return out
end)

-- The dict that dict(…) and namespace(…) make of their arguments.
local function make_dict(name, args, kwargs)
  local d = V.dict()
  if args.n > 1 then fail(name .. " expected at most 1 argument, got " .. args.n) end
  if args.n == 1 then
    local source = V.need(args[1])
    if V.kind(source) == "dict" then
      for i = 1, source.n do V.dict_set(d, source.keys[i], source.vals[i]) end
    else
      local items, n = V.items(source)
      for i = 1, n do
        local pair, m = V.items(items[i])
        if m ~= 2 then fail(name .. ": each element must be a pair", "ValueError") end
        V.dict_set(d, pair[1], pair[2])
      end
    end
  end
  for _, pair in ipairs(kwargs or {}) do V.dict_set(d, pair.key, pair.value) end
  return d
end

global("dict", nil, function(S, args, kwargs)
  local d = make_dict("dict", args, kwargs)
  S:tick(d.n)
  return d
end)

global("namespace", nil, function(S, args, kwargs)
  local d = make_dict("namespace", args, kwargs)
  S:tick(d.n)
  for i = 1, d.n do
    if type(d.keys[i]) == "string" and d.keys[i]:sub(1, 1) == "_" then
      fail("templates cannot store underscore-prefixed attributes on a namespace ('" .. d.keys[i] .. "')", "SecurityError")
    end
  end
  return { k = "ns", dict = d }
end)

global("raise_exception", { "message" }, function(_, message)
  fail(V.str(message == nil and "" or message), "raised")
end)

local function func(name, call) return { k = "func", name = name, call = call } end

global("cycler", nil, function(_, items)
  if items.n == 0 then fail("at least one item has to be provided", "RuntimeError") end
  local at = 0
  return { k = "object", name = "cycler", attr = function(_, _, name)
    if name == "current" then return items[at + 1] end
    if name == "reset" then return func("reset", function() at = 0 return V.NONE end) end
    if name == "next" then
      return func("next", function()
        local item = items[at + 1]
        at = (at + 1) % items.n
        return item
      end)
    end
  end }
end)

global("joiner", { "sep" }, function(_, separator)
  local used = false
  return { k = "object", name = "joiner", attr = function() end, call = function()
    if not used then
      used = true
      return ""
    end
    return separator == nil and ", " or separator
  end }
end)

-- Dates ----------------------------------------------------------------------------------------------------------------

local MONTHS = { "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December" }
local DAYS = { "Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday" }

local function two(n) return string.format("%02d", n) end

local DATE = {
  Y = function(d) return string.format("%04d", d.year) end,
  y = function(d) return two(d.year % 100) end,
  m = function(d) return two(d.month) end,
  d = function(d) return two(d.day) end,
  e = function(d) return string.format("%2d", d.day) end,
  H = function(d) return two(d.hour) end,
  I = function(d) return two((d.hour + 11) % 12 + 1) end,
  M = function(d) return two(d.min) end,
  S = function(d) return two(d.sec) end,
  p = function(d) return d.hour < 12 and "AM" or "PM" end,
  j = function(d) return string.format("%03d", d.yday) end,
  B = function(d) return MONTHS[d.month] end,
  b = function(d) return MONTHS[d.month]:sub(1, 3) end,
  h = function(d) return MONTHS[d.month]:sub(1, 3) end,
  A = function(d) return DAYS[d.wday] end,
  a = function(d) return DAYS[d.wday]:sub(1, 3) end,
  w = function(d) return tostring(d.wday - 1) end,
  u = function(d) return tostring((d.wday + 5) % 7 + 1) end,
  f = function() return "000000" end,
  n = function() return "\n" end,
  t = function() return "\t" end,
  ["%"] = function() return "%" end,
  F = function(d) return string.format("%04d-%02d-%02d", d.year, d.month, d.day) end,
  D = function(d) return string.format("%02d/%02d/%02d", d.month, d.day, d.year % 100) end,
  T = function(d) return string.format("%02d:%02d:%02d", d.hour, d.min, d.sec) end,
  R = function(d) return string.format("%02d:%02d", d.hour, d.min) end,
}

-- strftime in English; `%-d` drops leading zeros.
local function strftime(format, date)
  return (format:gsub("%%(%-?)(.)", function(bare, code)
    local make = DATE[code]
    if not make then return "%" .. bare .. code end
    local text = make(date)
    return bare == "-" and (text:gsub("^[0 ]+(.)", "%1")) or text
  end))
end

local function strftime_now(now)
  if now == nil then return nil end
  local date
  if type(now) == "table" then
    date = os.date("*t", os.time { year = now.year, month = now.month, day = now.day, hour = 12 })
    date.hour, date.min, date.sec = now.hour or 0, now.min or 0, now.sec or 0
  else
    date = os.date("!*t", now)
  end
  return func("strftime_now", function(_, args)
    return strftime(V.str(args[1] or ""), date)
  end)
end

-- Compiled templates ---------------------------------------------------------------------------------------------------

local Template = {}
Template.__index = Template
Template.__name = "jinja.template"

function Template:__tostring() return "jinja template '" .. self.name .. "'" end

-- An error of Lua itself that came out of a template: the stack was exhausted, or memory; or a fault in
-- our own code, which must not end a run when a template of somebody else provokes it. What else passes
-- through (a cancelled run) is not ours to catch.
local function foreign_error(message)
  message = tostring(message)
  if message:find("stack overflow", 1, true) then return { kind = "limit", message = "nested too deeply" } end
  if message:find("not enough memory", 1, true) then return { kind = "memory", message = "not enough memory" } end
  local fault = message:match("lathe/jinja[%w/]*%.lua:%d+: .*")
  if fault and not fault:find("interrupted$") then return { kind = "internal", message = "a fault in " .. fault } end
  return nil
end

-- "template NAME, line N: message"
local function describe(name, problem, line)
  line = problem.line or line
  problem.name, problem.line = name, line
  return "template '" .. name .. "', line " .. (line or 1) .. ": " .. problem.message
end

local CODES = { raised = "template_raised", limit = "template_limit", memory = "memory", syntax = "template_syntax" }

local function failure(name, problem, line)
  if type(problem) ~= "table" or not problem.jinja then
    local known = foreign_error(problem)
    if not known then error(problem, 0) end
    problem = known
  end
  return nil, describe(name, problem, line), CODES[problem.kind] or "template", problem
end

-- The outermost scope: asks the fields, then the functions every template has. What it asks lies under
-- keys that no name can be.
local FIELDS, EXTRA = {}, {}
local ROOT = { __index = function(F, name)
  local x = F[FIELDS][name]
  local v
  if x ~= nil then v = V.from_lua(x) else v = F[EXTRA][name] or GLOBALS[name] end
  rawset(F, name, v)
  return v
end }
local NOTHING = {}

local function root_scope(fields, now)
  return setmetatable({ [FIELDS] = fields, [EXTRA] = now and { strftime_now = strftime_now(now) } or NOTHING }, ROOT)
end

--- Renders the template.
-- @param fields table|record: the values of its names; each is copied when it is first used
-- @param options table|nil: now (seconds since 1970, or a table as of os.date) makes strftime_now
-- available; strict = true makes an unknown name an error instead of nothing; spans = true gives the
-- positions of {% generation %}; max_steps, max_output
-- @return string: the text
-- @return table|nil: with spans, an array of { start, end }, bytes, end exclusive
-- @error nil, message, code, problem: template_raised (raise_exception; problem.message is its text),
-- template_limit, template
-- @example require("lathe.jinja").compile("Hello {{ name }}"):render { name = "you" }
function Template:render(fields, options)
  options = options or NOTHING
  local S = setmetatable({
    out = {}, n = 0, bytes = 0, nested = 0, steps = 0, calls = 0, line = 1,
    max_steps = options.max_steps or M.MAX_STEPS, max_output = options.max_output or M.MAX_OUTPUT,
    strict = options.strict or false, spans = options.spans and {} or nil, add = compiler.add,
  }, State)
  local F = root_scope(fields, options.now)
  local before = V.enter(S)
  local ok, problem = pcall(self.run, S, F)
  V.enter(before)
  if not ok then
    if type(problem) == "table" and problem.jinja and problem.undefined and problem.undefined.name == "strftime_now" then
      problem.message = "strftime_now is not available: pass `now` to give templates a date (left out so that runs are repeatable)"
    end
    return failure(self.name, problem, S.line)
  end
  return table.concat(S.out, "", 1, S.n), S.spans
end

local cache, cached = {}, 0
local CACHE_SIZE = 128

--- Compiles a template. The same text is compiled once.
-- @param source string: the template
-- @param options table|nil: name = what error messages call it
-- @return jinja.template
-- @error nil, message, code: template_syntax, template_limit
-- @example assert(require("lathe.jinja").compile("{{ 1 + 1 }}")):render {}
function M.compile(source, options)
  if type(source) ~= "string" then error("a template must be a string, not " .. type(source), 2) end
  local name = options and options.name or "template"
  if #source > M.MAX_SOURCE then
    return nil, "template '" .. name .. "' has more than " .. M.MAX_SOURCE .. " bytes", "template_limit"
  end
  local run = cache[source]
  if not run then
    local ok, result = pcall(function() return compiler.compile(parser.parse(source)) end)
    if not ok then return failure(name, result) end
    run = result
    if cached >= CACHE_SIZE then cache, cached = {}, 0 end
    cache[source], cached = run, cached + 1
  end
  return setmetatable({ name = name, source = source, run = run }, Template)
end

--- Tells templates how to read the values of a JSON library (engine.json calls this through lathe.template).
-- @param kind_of function: value -> "null", "array", "object" or nil
-- @param walk function: object -> iterator of (key, value), in the object's order
M.set_json = V.set_json

return M
