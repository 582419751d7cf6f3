-- SPDX-License-Identifier: MIT
-- `lathe templates` and `lathe show`: what there is, and what a template makes of a run's records.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

local DATA = [[
{"id": "a", "instruction": "Add.", "output": "3"}
{"id": "b", "prompt": "Q", "chosen": "good", "rejected": "bad\u001b[31m"}
{"id": "c", "text": "nothing to answer"}
]]

test.case("templates lists names, kinds, fields and where they are from", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/templates/mine.lua", 'return { form = "record", fields = { "q" }, optional = { "hint" }, text = "{{ q }}" }')
    cli.put(dir .. "/templates/zephyr.jinja", "{{ messages }}")
    cli.put(dir .. "/templates/broken.lua", "return {")
    local status, out, err = cli.run("templates", { cwd = dir })
    test.equal({ status, err }, { 0, "" })
    test.ok(out:find "\nmine +prompt +q, %[hint%] +%./templates/mine%.lua\n", out)
    test.ok(out:find "\nzephyr +prompt +messages +%./templates/zephyr%.jinja\n", out)
    test.ok(out:find "\nalpaca +prompt +messages, input +lathe\n", out)
    test.ok(out:find "\nqa +task +text +lathe\n", out)
    test.ok(out:find "\nbroken +faulty +[^\n]*broken%.lua:1", out)
  end)
end)

test.case("show marks what carries loss in a JSONL file", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/x.jsonl", DATA)
    local status, out, err = cli.run("show x.jsonl", { cwd = dir })
    test.equal({ status, err }, { 0, "" })
    test.contains(out, "<|im_start|>assistant\n⟦3<|im_end|>⟧\n")
    test.contains(out, "── chosen\n⟦good<|im_end|>⟧\n── rejected\n⟦bad<U+001B>[31m<|im_end|>⟧\n")
    test.contains(out, "rejected as no_conversation")
    status, out = cli.run("show x.jsonl --sample 1 --template zephyr --set system=Brief.", { cwd = dir })
    test.equal(status, 0)
    test.contains(out, "<|system|>\nBrief.</s>\n<|user|>\nAdd.</s>\n<|assistant|>\n⟦3</s>⟧\n")
    test.ok(not out:find("chosen", 1, true))
  end)
end)

test.case("show reads the run of a recipe, and its template as it is now", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/docs/a.txt", "First text.\n")
    cli.put(dir .. "/templates/own.lua", 'return { text = "<{{ text | trim }}>" }')
    cli.put(dir .. "/r.lua", 'local lathe = require "lathe"\nreturn lathe.recipe "r" { lathe.read { "docs/*.txt" }, '
      .. 'lathe.prompt { template = "own" }, lathe.dedup { near = false } }\n')
    local status, _, err = cli.run("show r.lua", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "no records in runs/r/01-read yet")
    test.equal(cli.run("run r.lua", { cwd = dir }), 0)
    local out
    status, out = cli.run("show r.lua", { cwd = dir })
    test.equal(status, 0)
    test.contains(out, "⟦<First text.>⟧\n13 bytes, 13 of them carry loss\n")
    cli.put(dir .. "/templates/own.lua", 'return { text = "[{{ text | upper | trim }}]" }')
    test.contains(select(2, cli.run("show r.lua --sample 1", { cwd = dir })), "⟦[FIRST TEXT.]⟧")
    cli.put(dir .. "/templates/own.lua", 'return { text = "{{ txt }}" }')
    status, _, err = cli.run("show r.lua", { cwd = dir })
    test.equal(status, 1)
    test.contains(err, "did you mean 'text'")
  end)
end)

test.case("misuse is told", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/x.jsonl", DATA)
    cli.put(dir .. "/r.lua", 'local lathe = require "lathe"\nreturn lathe.recipe "r" { lathe.read { "*.txt" }, lathe.clean {}, lathe.dedup {} }\n')
    for arguments, message in pairs {
      ["show x.jsonl --template zephir"] = "did you mean 'zephyr'", ["show x.jsonl --sample 0"] = "--sample",
      ["show x.jsonl --set tmplate=x"] = "did you mean 'template'", ["show r.lua"] = "no prompt stage",
      ["show r.lua --stage clen"] = "did you mean 'clean'", ["show r.lua --stage dedup"] = "record by record",
      ["show x.jsonl --template qa"] = "a task for generate",
    } do
      local status, _, err = cli.run(arguments, { cwd = dir })
      test.equal(status, 2, arguments)
      test.contains(err, message)
    end
    test.equal(cli.run("show nothing.lua", { cwd = dir }), 1)
  end)
end)

return test.done()
