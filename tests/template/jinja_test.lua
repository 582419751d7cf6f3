-- SPDX-License-Identifier: MIT
-- The template language against Jinja2: our own cases (values made by tests/reference/jinja_golden.py), and the published templates.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local jinja = require "lathe.jinja"
require "lathe.template"

local function byte_offset(text, code_points)
  return (utf8.offset(text, code_points + 1) or #text + 1) - 1
end

-- Compares one line of a reference file; returns what differs, or nothing.
local function difference(line, source, vars, now)
  local compiled, message = jinja.compile(source, { name = line.case })
  local text, spans, problem
  if compiled then
    local second, third, fourth
    text, second, third, fourth = compiled:render(vars, { now = now, spans = line.spans ~= nil })
    spans, message, problem = second, second, fourth
    if not text and type(third) ~= "string" then return "an error without a code" end
  end
  if line.error then
    if text then return "rendered " .. text .. ", expected the error " .. line.error end
    if line.raised and problem.message ~= line.error then return "raised " .. problem.message .. ", not " .. line.error end
    return nil
  end
  if text ~= line.rendered then
    return "got " .. test.show(text or message) .. "\n  expected " .. test.show(line.rendered)
  end
  for i, span in ipairs(line.spans or {}) do
    if spans[i][1] ~= byte_offset(text, span[1]) or spans[i][2] ~= byte_offset(text, span[2]) then return "span " .. i .. " differs" end
  end
end

test.case("our cases render as Jinja2 renders them", function()
  local head, wrong, n = nil, {}, 0
  for text in file.lines("tests/template/jinja_reference.jsonl") do
    local line = json.decode(text)
    if not line.case then
      head = line
    else
      n = n + 1
      local why = difference(line, line.template, head.vars, head.now)
      if why then wrong[#wrong + 1] = line.case .. " " .. line.template .. ": " .. why end
    end
  end
  test.ok(n > 150, "too few cases")
  test.equal(table.concat(wrong, "\n"), "")
end)

test.case("the published chat templates", function()
  local path = test.conformance "chat_templates/golden.jsonl"
  local wrong, n = {}, 0
  for text in file.lines(path) do
    local line = json.decode(text)
    local source = assert(file.read((path:gsub("golden%.jsonl$", "templates/" .. line.template_file))))
    local vars = { messages = line.messages, tools = line.tools, documents = json.null, add_generation_prompt = line.add_generation_prompt,
      bos_token = line.bos_token ~= json.null and line.bos_token or nil, eos_token = line.eos_token }
    n = n + 1
    line.raised = line.error ~= nil
    local why = difference(line, source, vars)
    if why then wrong[#wrong + 1] = line.template_file .. " " .. line.case .. ": " .. why end
  end
  test.equal(n, 56)
  test.equal(table.concat(wrong, "\n"), "")
end)

test.case("the further chat templates compile and render a conversation", function()
  local folder = test.conformance "more_templates"
  local messages = json.decode '[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "Bye"}]'
  local n = 0
  for _, entry in ipairs(file.list(folder)) do
    if entry.name:find "%.jinja$" then
      local compiled = assert(jinja.compile(assert(file.read(folder .. "/" .. entry.name)), { name = entry.name }))
      local text, message, code = compiled:render { messages = messages, tools = json.array {}, documents = json.null, add_generation_prompt = true,
        bos_token = "<s>", eos_token = "</s>", functions = "[]", datetime = "now" }
      if not text and code ~= "template_raised" then error(message) end      -- one wants its functions as a first message
      test.contains(text or message, text and "Bye" or "functions")
      n = n + 1
    end
  end
  test.ok(n >= 40, "only " .. n .. " templates")
end)

local function fails(source, vars, part, code, options)
  local compiled, message, got = jinja.compile(source, { name = "t" })
  local text
  if compiled then text, message, got = compiled:render(vars or {}, options) end
  test.equal(text, nil, source:sub(1, 60))
  test.contains(message, part)
  test.contains(message, "template 't', line ")
  test.equal(got, code, source:sub(1, 60))
end

test.case("limits end hostile templates", function()
  local long, few = ("é"):rep(30000), { max_steps = 50000 }
  fails("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", nil, "steps", "template_limit", few)
  fails("{{ 'a' * 1000000000 }}", nil, "16777216 bytes", "template_limit")
  fails("{{ [1] * 1000000000 }}", nil, "steps", "template_limit", few)
  fails("{% set n = namespace(s='ab') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}", nil, "bytes", "template_limit")
  fails("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", nil, "deep", "template_limit")
  fails("{{ " .. ("("):rep(9999) .. "1" .. (")"):rep(9999) .. " }}", nil, "150 levels", "template_syntax")
  fails(("{% if 1 %}"):rep(999) .. ("{% endif %}"):rep(999), nil, "150 levels", "template_syntax")
  fails(("{% for i in [1] %}"):rep(99) .. ("{% endfor %}"):rep(99), nil, "nested too deeply", "template_limit")
  fails("{{ 1" .. ("|abs"):rep(150000) .. " }}", nil, "nested too deeply", "template_limit")
  fails("{{ '%999999999d' % 1 }}", nil, "too large", "template_limit")
  fails("{{ 'a'.center(999999999) }}{{ 'a'|center(999999999) }}", nil, "bytes", "template_limit")
  fails("{{ [1]|tojson(indent=99999999) }}", nil, "indent", "template_limit")
  fails("{% set n = namespace() %}{% set n.x = n %}{{ n }}", nil, "deeply", "template_limit")
  for _, use in ipairs { "{{ n.l }}", "{{ n.l|tojson }}", "{{ n.l == n.m }}" } do
    fails("{% set n = namespace(l=[1], m=[1]) %}{% for i in range(60) %}{% set n.l = [n.l, n.l] %}{% set n.m = [n.m, n.m] %}{% endfor %}"
      .. use, nil, "steps", "template_limit", few)
  end
  for _, use in ipairs { "s|list", "s|length", "s.upper()", "s.split('a')", "s[3]", "s|tojson", "s|wordcount", "s < s ~ 'a'" } do
    fails("{% for i in range(99999) %}{% set x = " .. use .. " %}{% endfor %}", { s = long }, "steps", "template_limit", few)
  end
  fails("{{ range(1000001) }}", nil, "MAX_RANGE", "template")
  fails("{{ 9223372036854775807 + 1 }}", nil, "too large", "template")
  fails("{% for i in range(100) %}{{ i }}{% endfor %}", nil, "100 steps", "template_limit", { max_steps = 100 })
  fails("{{ s }}", { s = "12345" }, "4 bytes", "template_limit", { max_output = 4 })
end)

test.case("nothing of Lua or Python can be reached", function()
  fails("{{ f }}", { f = print }, "cannot be given a function", "template")
  fails("{{ x.y.f }}", { x = { y = { f = function() end } } }, "cannot be given a function", "template")
  fails("{{ f }}", { f = io.stdout }, "cannot be given a userdata", "template")
  fails("{{ ''.__class__.__mro__ }}", nil, "unsafe", "template")
  fails("{{ ''['__class__']['__base__'] }}", nil, "unsafe", "template")
  fails("{{ '{0.__class__}'.format(1) }}", nil, "unsafe", "template")
  fails("{{ cycler.__init__.__globals__ }}", nil, "unsafe", "template")
  fails("{{ [].append(1) }}", nil, "unsafe", "template")
  fails("{{ {}.update({}) }}", nil, "unsafe", "template")
  fails("{{ string.rep }}", nil, "'string' is undefined", "template")
  fails("{% include 'x' %}", nil, "cannot reach other templates", "template_syntax")
  fails("{{ [1]|random }}", nil, "runs differ", "template_syntax")
end)

test.case("errors name the line", function()
  fails("a\nb {{ 1 +\n }}", nil, "line 3", "template_syntax")
  fails("a\n{% if x %}\n", nil, "line 2: 'if' begins here", "template_syntax")
  fails("a\n\n{{ x.y.z }}", { x = {} }, "line 3: 'dict object' has no attribute 'y'", "template")
  fails("{% macro m() %}\n{{ 1 / 0 }}\n{% endmacro %}\n\n{{ m() }}", nil, "line 2: division by zero", "template")
  fails("\n{{ 'x'|nosuch }}", nil, "line 2: no filter named 'nosuch'", "template_syntax")
  fails("{{ [1].index() }}{{ 'a'.replace('b') }}", {}, "index() misses the argument 'value'", "template")
  fails("{{ 1 is divisibleby }}", {}, "misses the argument 'num'", "template")
  fails("{{ name }}", {}, "'name' is undefined", "template", { strict = true })
  fails("{{ strftime_now('%Y') }}", {}, "pass `now`", "template")
  fails("\n{% for a in [1, 2] %}{% set loop = 5 %}{% endfor %}", {}, "line 2: a loop cannot assign", "template_syntax")
end)

test.case("values from Lua, JSON and records", function()
  local function render(source, vars) return assert(assert(jinja.compile(source)):render(vars)) end
  test.equal(render("{{ x|tojson }}", { x = { b = 1, a = { 1, 2.5, "é" }, c = {}, d = json.array {} } }), '{"a": [1, 2.5, "é"], "b": 1, "c": {}, "d": []}')
  local text = '{"z": 1, "a": {"y": null, "b": [], "c": {}}, "f": 1.0}'
  test.equal(render("{{ x|tojson }}", { x = json.decode(text) }), text)
  test.equal(render("{{ x|tojson }}", { x = json.record(text) }), text)
  test.equal(render("{{ z }} {{ a.y }} {{ a|items|list }}", json.record(text)), "1 None [('y', None), ('b', []), ('c', {})]")
  test.equal(render("{% if date is defined %}{{ date }}{% endif %}x", {}), "x")
end)

test.case("large templates: many names, terms, branches and values", function()
  local function render(source, vars)
    local text, message = assert(jinja.compile(source)):render(vars or {})
    return text or error(message)
  end
  local sets, macros, list = {}, {}, {}
  for i = 1, 400 do
    sets[i] = ("{% set v" .. i .. " = " .. i .. " %}")
    macros[i] = ("{% macro m" .. i .. "() %}{{ m" .. i % 7 + 1 .. " is defined }}{% endmacro %}")
    list[i] = "x|default(" .. i .. ")"
  end
  test.equal(render(table.concat(sets) .. "{% if 1 %}{% set v3 = 'x' %}{% endif %}{{ v1 }}{{ v3 }}{{ v400 }}"), "1x400")
  test.equal(render(table.concat(macros) .. "{{ m1() }}{{ m400() }}"), "TrueTrue")
  test.equal(render("{{ [" .. table.concat(list, ",") .. "]|sum }}"), "80200")
  test.equal(#render("{{ " .. table.concat(list, "~") .. " }}"), 9 + 180 + 903)
  test.equal(render("{{ " .. ("'a' + x + "):rep(900) .. "'b' }}", { x = "q" }), ("aq"):rep(900) .. "b")
  test.equal(render("{% if x %}" .. ("{% elif x %}a"):rep(2000) .. "{% else %}z{% endif %}", { x = false }), "z")
  test.equal(render("{{ " .. ("x and "):rep(2000) .. "1 }}{{ " .. ("not 1 or "):rep(2000) .. "2 }}{{ " .. ("1 < "):rep(200) .. "1 }}", { x = 1 }), "12False")
  test.equal(render(("{{ x }}"):rep(5000), { x = "q" }), ("q"):rep(5000))
  test.equal(render("{% set a = 1 %}" .. ("{% if a %}"):rep(60) .. "{{ a }}" .. ("{% endif %}"):rep(60)), "1")
end)

test.case("names are looked for where they may have been set", function()
  local function render(source, vars) return (assert(assert(jinja.compile(source)):render(vars or {}))) end
  local body = "{% for i in [0, 1, 2] %}{% if i == 1 %}{% set x = 'in' %}{% endif %}{{ x }} {% endfor %}"
  test.equal(render(body, { x = "field" }), "field in field ")
  test.equal(render("{% set x = 'out' %}" .. body, { x = "field" }), "out in out ")
  test.equal(render("{% if no %}{% set x = 1 %}{% endif %}{{ x }}|{{ y }}{% set y = false %}{{ y }}", { x = "field" }), "field|False")
  test.equal(render("{% macro m(a=x) %}{{ a }}{% set x = 2 %}{{ x }}{% endmacro %}{{ m() }}{% set x = 1 %}{{ m() }}{{ m(x) }}"), "21212")
  test.equal(render("{% for a in [1] %}{% macro m() %}{{ a }}{{ loop.index }}{% endmacro %}{{ m() }}{% endfor %}{{ a }}{{ m }}"), "11")
  test.equal(render("{% for a in 'ab' %}{% set s %}x{% if a == 'a' %}{% continue %}{% endif %}y{% endset %}{{ s }}{% else %}!{% endfor %}"), "xy")
end)

test.case("chains of + are joined at once and fail as pair by pair", function()
  local function render(source, options) return assert(jinja.compile(source)):render({ x = 1 }, options) end
  test.equal(render "{{ 'a' + 'b' + ('c'|safe) + '<' + 'd' }}{{ [1] + [2] + [3] }}{{ 1 + 2 + 3.5 }}", "abc&lt;d[1, 2, 3]6.5")
  test.equal(render "{{ 'a' + ('b' + 'c') + 'd' + 'e' * 2 }}", "abcdee")
  test.contains(select(2, render "{{ 'a' + 'b' + x + 'c' }}"), 'can only concatenate str (not "int") to str')
  test.contains(select(2, render "{{ 1 + 2 + 'x' }}"), "unsupported operand")
  test.equal(select(3, render("{{ 'aaaaaaaaaa' + 'bbbbbbbbbb' + 'c' }}", { max_output = 20 })), "template_limit")
end)

return test.done()
