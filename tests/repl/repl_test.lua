-- SPDX-License-Identifier: MIT
-- The prompt: evaluation without a terminal, completion, and editing and Ctrl-C on a terminal made by script(1).
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local repl = require "lathe.repl"
local file = require "engine.file"

-- Feeds lines to `lathe repl`; returns what it printed, what it complained, and its status.
local function feed(lines, arguments)
  return test.with_dir(function(dir)
    cli.put(dir .. "/in", lines)
    local command = ("XDG_STATE_HOME='%s/state' '%s' repl %s <'%s/in' >'%s/out' 2>'%s/err'"):format(dir,
      cli.program, arguments or "", dir, dir, dir)
    local _, _, status = os.execute(command)
    return file.read(dir .. "/out"), file.read(dir .. "/err"), status, dir
  end)
end

local function case(name, input, out, err, status)
  test.case(name, function()
    local got, complaint, code = feed(input)
    test.equal(got, out)
    test.equal(complaint, err or "")
    test.equal(code, status or 0)
  end)
end

case("expressions print their values", "1 + 1\n= 2, 'x'\nnil\n", '2\n2, "x"\nnil\n')
case("statements do not", "x = 3\nx\n", "3\n")
case("locals stay, at the prompt", "local a, b = 1, 2\nlocal function f() return a + b end\nf()\n", "3\n")
case("the last value is in _", "6 * 7\n_ + 1\n", "42\n43\n")
case("what is incomplete goes on", "for i = 1, 2 do\nprint(i)\nend\n[[a\nb]]\n{ 1,\n2 }\n", '1\n2\n"a\\nb"\n{ 1, 2 }\n')
case("errors leave the prompt alive, without a stack", "error 'boo'\n1 +* 2\nx.y = 1\n7\n", "7\n",
  "input:1: boo\ninput:1: unexpected symbol near '*'\ninput:1: attempt to index a nil value (global 'x')\n", 1)
case("an error that is a table", "error { message = 'told', code = 'io' }\nerror { 1 }\n", "", "told\nerror: { 1 }\n", 1)
case("failures of the world are values", "file.read '/no/such/file'\n",
  'nil, "/no/such/file: No such file or directory", "not_found"\n')
case("an assignment tells what failed", "x = file.read '/no/such/file'\nx\nlocal y = 1, 2\ny\nz = nil\n", "nil\n1\n",
  "/no/such/file: No such file or directory\n", 1)
case("names are there without require", "hash.sha256 'abc' == require 'engine.hash'.sha256 'abc'\njson.encode { 1 }\n",
  'true\n"[1]"\n')
case("the input ends too early", "f(\n", "", "the input ends in the middle of a statement\n", 1)

test.case("help explains names and values", function()
  local out = feed "help 'engine.hash.sha256'\nhelp(hash.sha256)\nhelp 'no.such.thing'\n"
  local first, second, third = out:match "^(engine%.hash%.sha256%(bytes%).-)(engine%.hash%.sha256.-)(no help for .*)$"
  test.equal(first, second)
  test.contains(third, "no.such.thing")
end)

test.case("a file runs first", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/x.lua", "answer = 42\nreturn { 1 }\n")
    test.equal((feed("answer\n_\n", dir .. "/x.lua")), "{ 1 }\n42\n42\n")
    cli.put(dir .. "/bad.lua", "answer = = 42\n")
    local _, err, status = feed("", dir .. "/bad.lua")
    test.contains(err, "bad.lua:1: unexpected symbol")
    test.equal(status, 1)
  end)
end)

test.case("stages typed in run in this process", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in.jsonl", '{"text":"one"}\n{"text":"three"}\n')
    local out, err = feed(([[
r = run(lathe.recipe "typed" {
  lathe.read { "%s/in.jsonl" },
  lathe.stage "long" { each = function(r, _, emit) if #r.text > 3 then emit(r) end end },
}, { runs = "%s/runs" })
file.read(r.dir .. "/02-long/part-00000.jsonl")
]]):format(dir, dir))
    test.contains(out, [["{\"text\":\"three\"}\n"]])
    test.ok(not err:find "attempt", err)
  end)
end)

test.case("completion", function()
  local env = repl.environment()
  local function complete(before, insert, first)
    local got, list = repl.complete(before, env)
    test.equal(got, insert, before)
    if first then test.equal(list[1], first, before) end
  end
  env.ds = { { alpha = 1, other = { deep = 2 } } }
  env.r = require("engine.json").record '{"alphabet": 1}'
  complete("hash.sh", "a256")
  complete("print(hash.x", "xh3")
  complete("tokeniz", "er")
  complete("ds[1].al", "pha")
  complete("ds[1].other.d", "eep")
  complete("r.al", "phabet")
  complete("r:enc", "ode")
  complete("lathe.partit", "ion")
  complete("('x'):no_such", nil)
  complete("hash.rng(1):x", nil)
  complete("file.stat 'tests/repl/repl_te", "st.lua")
  complete("require 'engine.ha", "sh")
  complete("help 'engine.hash.sh", "a256")
  complete("nothing.there.", nil)
  test.equal(#select(2, repl.complete("json.", env)) > 5, true)
end)

-- Runs the prompt on a pseudo-terminal; steps are typed with a pause between them.
local function on_terminal(steps)
  if not os.execute "command -v script >/dev/null" then test.skip "script(1) is not installed" end
  return test.with_dir(function(dir)
    local typing = { "sleep 0.4" }
    for _, step in ipairs(steps) do typing[#typing + 1] = ("printf '%s'; sleep 0.15"):format(step) end
    cli.put(dir .. "/type", table.concat(typing, "\n") .. "\n")
    os.execute(("sh '%s/type' | XDG_STATE_HOME='%s/state' HOME='%s' TERM=vt100 timeout 20 script -qec \"'%s' repl\" '%s/out' >/dev/null 2>&1")
      :format(dir, dir, dir, cli.program, dir))
    local history = file.stat(dir .. "/state/lathe/history") and file.read(dir .. "/state/lathe/history") or ""
    local mode = io.popen(("stat -c %%a '%s/state/lathe/history' 2>&1"):format(dir))
    local bits = mode:read "l"
    mode:close()
    return file.read(dir .. "/out"), history, bits
  end)
end

test.case("a terminal: editing, completion, Ctrl-C, history", function()
  local out, history, mode = on_terminal { [[hash.sh\t("abc")\r]], [[while true do end\r]], [[\003]], [[6 * 7\r]],
    [[half a line\003]], [["gr\303\274n"\r]], [[\004]] }
  if not out:find("Tab completes", 1, true) then test.skip "no pseudo-terminal here" end
  if not require("engine.system").features().libedit then test.skip "built without libedit" end
  test.contains(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  test.contains(out, "interrupted")
  test.contains(out, "42")
  test.contains(out, '"grün"')
  test.contains(history, 'hash.sha256("abc")\nwhile true do end\n6 * 7\n')
  test.ok(not history:find "half a line", history)
  test.equal(mode, "600")
end)

return test.done()
