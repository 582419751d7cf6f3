-- SPDX-License-Identifier: MIT
-- Bad input as a user meets it: through the program, with its exit status and its words. What hostile
-- documents do inside the extractor is in tests/attacks; a full disk and no memory in
-- tests/recipe/faults_test.lua.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "bad" {
  options = { input = "docs", template = "chatml" },
  lathe.read { "$input" },
  lathe.clean {},
  lathe.chunk { size = 200, overlap = 20 },
}
]]

local function in_folder(f)
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", RECIPE)
    f(dir, function(arguments, options)
      options = options or {}
      options.cwd = dir
      local status, out, err = cli.run(arguments or "run r.lua", options)
      test.ok(not err:find("stack traceback", 1, true), "a stack trace for a user's mistake: " .. err)
      return status, err, out
    end)
  end)
end

local function rejected(dir)
  local out = {}
  for line in file.lines(dir .. "/runs/bad/rejected.jsonl") do out[#out + 1] = json.decode(line) end
  return out
end

test.case("a missing folder", function()
  in_folder(function(_, run)
    local status, err = run()
    test.equal(status, 1)
    test.contains(err, "docs: no such")
  end)
end)

test.case("an empty folder", function()
  in_folder(function(dir, run)
    file.mkdirs(dir .. "/docs")
    local status, err = run()
    test.equal(status, 1)
    test.contains(err, "docs")
    test.equal(file.stat(dir .. "/runs/bad/01-read"), nil, "nothing was begun")
  end)
end)

test.case("an unreadable PDF and a DOCX that is none cost one rejected record each", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/docs/a.pdf", "%PDF-1.7\nthis is no PDF")
    cli.put(dir .. "/docs/b.docx", "PK\3\4 nothing behind")
    cli.put(dir .. "/docs/c.md", "# Good\n\nThis one is read.\n")
    local status, err = run()
    test.equal(status, 0, err)
    local list = rejected(dir)
    test.equal(#list, 2)
    for _, r in ipairs(list) do
      test.equal(r.stage, "read")
      test.contains(r.detail, r.record.path)
    end
    test.equal(file.cut(dir .. "/runs/bad/01-read/part-00000.jsonl", {}).lines, 1)
  end)
end)

test.case("invalid UTF-8 is read as some encoding, never lost", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/docs/a.txt", "caf\xe9 cr\xe8me br\xfbl\xe9e, d\xe9j\xe0 vu, gar\xe7on\n")
    local status, err = run()
    test.equal(status, 0, err)
    local record = json.decode((file.read(dir .. "/runs/bad/03-chunk/part-00000.jsonl")))
    test.contains(record.text, "café crème")
  end)
end)

test.case("a line of 200 MB of JSON is rejected without being held", function()
  in_folder(function(dir, run)
    local w = assert(file.replace(dir .. "/in.jsonl", false))
    w:write '{"id":"1","text":"before"}\n{"id":"2","text":"'
    local piece = ("x"):rep(1 << 20)
    for _ = 1, 200 do w:write(piece) end
    w:write '"}\n{"id":"3","text":"behind"}\n'
    assert(w:commit())
    local status, err, out = run("exec probe.lua stage clean in.jsonl out.jsonl -j1", {})
    test.equal(status, 1, out) -- no such script yet: the message names it
    test.contains(err, "probe.lua")
    cli.put(dir .. "/probe.lua", [[
      local cli = require "lathe.cli"
      local status = cli.main { table.unpack(arg) }
      print(require("engine.clock").peak_memory())
      return status]])
    status, err, out = run("exec probe.lua stage clean in.jsonl out.jsonl -j1")
    test.equal(status, 0, err)
    test.contains(err, "3 in, 2 out, 1 rejected (1 line_too_long)")
    local list = json.decode((file.read(dir .. "/out.jsonl.rejected.jsonl")))
    test.equal({ list.reason, list.record.line }, { "line_too_long", 2 })
    if not cli.program:find("asan", 1, true) then
      local peak = tonumber(out:match "(%d+)%s*$")
      test.ok(peak < 180 << 20, ("%d bytes held"):format(peak))
    end
  end)
end)

test.case("a typo in an option names the nearest", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/docs/a.md", "text")
    cli.put(dir .. "/r.lua", (RECIPE:gsub("size = 200", "siez = 200")))
    local status, err = run()
    test.equal(status, 2)
    test.contains(err, "r.lua:6: stage chunk: unknown option 'siez'; did you mean 'size'?")
    status, err = run("run r.lua --form chunk")
    test.equal(status, 2)
    test.contains(err, "--form")
    status, err = run("run none.lua")
    test.equal(status, 1)
    test.contains(err, "none.lua: No such file")
    cli.put(dir .. "/r.lua", (RECIPE:gsub("chunk {", "chunk { overlap = 300,"):gsub(", overlap = 20", "")))
    status, err = run()
    test.equal(status, 2)
    test.contains(err, "overlap")
  end)
end)

test.case("a template that names an unknown field", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/templates/mine.lua", [[
return { name = "mine", description = "mine", fields = { "instruction" },
  text = "Q: {{ instrucion }}\nA: {{ output }}" }]])
    cli.put(dir .. "/in.jsonl", '{"id":"1","instruction":"What?","output":"That."}\n')
    cli.put(dir .. "/docs/a.md", "text")
    cli.put(dir .. "/r.lua", (RECIPE:gsub("lathe.clean", "lathe.prompt { template = 'mone' }, lathe.clean")))
    local status, err = run()
    test.equal(status, 2)
    test.contains(err, "r.lua:5")
    test.contains(err, "mone")
    status, err = run "stage prompt in.jsonl out.jsonl --set template=mine"
    test.ok(status == 1 or status == 2, err)
    test.contains(err, "mine")
    test.contains(err, "instrucion")
    test.contains(err, "instruction")
  end)
end)

test.case("a damaged part of our own is named by file and line", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"a"}\n{"id":"2","text":}\n')
    local status, err = run "stage clean in.jsonl out.jsonl"
    test.equal(status, 1)
    test.contains(err, "in.jsonl:2")
    test.equal(file.stat(dir .. "/out.jsonl"), nil, "no half output")
  end)
end)

test.case("misuse of the command line", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"a"}\n')
    local function refuses(arguments, ...)
      local status, err = run(arguments)
      test.equal(status, 2, arguments)
      for _, part in ipairs { ... } do test.contains(err, part) end
    end
    refuses("run r.lua -j two", "-j two: a whole number")
    refuses("run r.lua --memory 1K", "at least 128M")
    refuses("stage chunk in.jsonl", "Usage: lathe stage", "missing argument 'output'")
    refuses("stage chunk in.jsonl out.jsonl --set size=-3", "lathe: stage chunk: option 'size': -3 given, it must be 1 or more")
    refuses("stage train in.jsonl out", "lathe: stage train uses the artifact 'base'", "--artifact base=FOLDER")
    local status, err = run("run r.lua --log-file no/such/folder/log.jsonl")
    test.equal(status, 1)
    test.contains(err, "no/such/folder/log.jsonl")
    refuses("help zzqqxw", "lathe help lists what there is")
  end)
end)

test.case("what one stage rejects does not outlive the next run of it", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/in.jsonl", '{"id":"1"}\n')
    test.equal(run "stage chunk in.jsonl out.jsonl", 0)
    test.ok(file.stat(dir .. "/out.jsonl.rejected.jsonl"))
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"a"}\n')
    test.equal(run "stage chunk in.jsonl out.jsonl", 0)
    test.equal(file.stat(dir .. "/out.jsonl.rejected.jsonl"), nil)
  end)
end)

return test.done()
