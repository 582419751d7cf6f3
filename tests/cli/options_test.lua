-- SPDX-License-Identifier: MIT
-- Options of recipes and stages as options of the command line; a stage alone on standard input and output,
-- on compressed input, and into a folder with a file for each split.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "tiny" {
  options = { input_file = "in.jsonl", upper = false,
    least = { default = 0.5, type = "number", min = 0, max = 1, help = "The least." } },
  lathe.read { "$input_file" },
  lathe.stage "note" { options = { least = { type = "number" }, upper = { type = "boolean" } },
    each = function(r, ctx, emit)
      r.least, r.upper = ctx.options.least, ctx.options.upper
      emit(r)
    end },
  lathe.clean { name = "second", when = "$upper" },
  lathe.clean { name = "third", unless = "$upper" },
}
]]

local function in_folder(f)
  test.with_dir(function(dir)
    cli.put(dir .. "/in.jsonl", '{"id":"1","text":"one"}\n{"id":"2","text":"two"}\n{"id":"3"}\n')
    cli.put(dir .. "/r.lua", RECIPE)
    f(dir, function(arguments, options)
      options = options or {}
      options.cwd = dir
      return cli.run(arguments, options)
    end)
  end)
end

test.case("a recipe's options are options of run", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/other.jsonl", '{"id":"9","text":"nine"}\n')
    local status, out, err = run "run r.lua --input-file other.jsonl --least=0.75 --upper --plan"
    test.equal(status, 0, err)
    test.contains(out, "option input_file = other.jsonl")
    test.contains(out, "option least = 0.75")
    test.contains(out, "option upper = true")
    test.contains(out, "second")
    test.ok(not out:find("third", 1, true), "a stage with unless")
    status, out, err = run "run r.lua --no-upper --upper false --input_file in.jsonl --set least=0.25 --plan"
    test.equal(status, 0, err)
    test.contains(out, "option least = 0.25")
    test.contains(out, "third")
    test.ok(not out:find("second", 1, true), "a stage with when")
  end)
end)

test.case("a recipe's options are checked and named", function()
  in_folder(function(_, run)
    local function refuses(arguments, ...)
      local status, _, err = run(arguments)
      test.equal(status, 2, arguments)
      for _, part in ipairs { ... } do test.contains(err, part) end
    end
    refuses("run r.lua --leest 0.3", "unknown option '--leest'; did you mean '--least'?", "--input-file")
    refuses("run r.lua --least 1.5", "option 'least': 1.5 given, it must be between 0 and 1")
    refuses("run r.lua --least much", "'much' is not a number")
    refuses("run r.lua --least", "--least needs a value")
    refuses("run r.lua --none.least 1", "unknown option '--none.least'")
    local status, out = run "run r.lua --help"
    test.equal(status, 0)
    test.contains(out, "--input-file")
    test.contains(out, "The least. (number; default 0.5)")
    local _, same = run "help ./r.lua"
    test.contains(same .. out, "recipe")
  end)
end)

test.case("a stage's options are options of stage, and of a recipe by name", function()
  in_folder(function(dir, run)
    local status, out, err = run "stage chunk in.jsonl - --size 2 --overlap=0"
    test.equal(status, 0, err)
    test.equal(select(2, out:gsub("\n", "\n")), 4)
    test.contains(err, "3 in, 4 out, 1 rejected (1 no_text), in chunk.rejected.jsonl")
    test.equal(json.decode((file.read(dir .. "/chunk.rejected.jsonl"))).reason, "no_text")
    local failed, _, message = run "stage chunk in.jsonl - --siez 2"
    test.equal(failed, 2)
    test.contains(message, "did you mean '--size'?")
    status, _, err = run "run r.lua --read.provenance --read.kinds jsonl,md --plan"
    test.equal(status, 0, err)
    status, out, err = run "run r.lua --third.normalise 1 --plan"
    test.equal(status, 2, out)
    test.contains(err, "third.normalise")
    status, out = run "stage chunk --help"
    test.equal(status, 0)
    test.contains(out, "the field to cut")
  end)
end)

test.case("a switch that may have a value needs none, and a tokenizer is asked for by its option", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/mail.jsonl", '{"id":"1","text":"write to someone@somewhere.org"}\n')
    for _, given in ipairs { "--pii", "--pii --trim", "--pii email", "--pii=true" } do
      local status, out, err = run("stage clean mail.jsonl - " .. given)
      test.equal(status, 0, err)
      test.contains(out, "[EMAIL]")
    end
    local status, _, err = run "stage chunk in.jsonl - --by tokens"
    test.equal(status, 2)
    test.contains(err, "stage chunk needs a tokenizer; say which: --tokenizer PATH")
  end)
end)

test.case("a stage that is given a document says how it is read", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/a.md", "# Title\n\nWords.\n")
    local status, _, err = run "stage clean a.md -"
    test.equal(status, 2)
    test.contains(err, "a.md: a document, and the stage takes records; read it first: lathe stage read a.md out.jsonl")
    cli.put(dir .. "/data.txt", '{"id":"1","text":"one"}\n')
    status, _, err = run "stage clean data.txt -"
    test.equal(status, 0, err)
    cli.put(dir .. "/bom.jsonl", '\xef\xbb\xbf{"id":"1","text":"one"}\r\n\r\n{"id":"2","text":"two"}\r\n')
    local out
    status, out, err = run "stage clean bom.jsonl -"
    test.equal(status, 0, err)
    test.equal(out, '{"id":"1","text":"one"}\n{"id":"2","text":"two"}\n')
    cli.put(dir .. "/broken.jsonl", "text\n")
    status, _, err = run "stage clean broken.jsonl -"
    test.equal(status, 1, err)
    test.contains(err, "broken.jsonl:1: ")
  end)
end)

test.case("standard input and output, for a stage and for read", function()
  in_folder(function(dir, run)
    local status, out, err = run("stage clean - - --rejected why.jsonl", { input = dir .. "/in.jsonl" })
    test.equal(status, 0, err)
    test.equal(out, '{"id":"1","text":"one"}\n{"id":"2","text":"two"}\n')
    test.contains(err, "in why.jsonl")
    status, out, err = run("stage read - -", { input = dir .. "/in.jsonl" })
    test.equal(status, 0, err)
    test.equal(out, (file.read(dir .. "/in.jsonl")))
    for _, entry in ipairs(file.list(os.getenv "TMPDIR" or "/tmp")) do
      test.ok(not entry.name:find "^lathe%-stage%-" or not entry.is_dir, "a folder is left: " .. entry.name)
    end
  end)
end)

test.case("compressed input", function()
  in_folder(function(dir, run)
    os.execute(("gzip -k '%s/in.jsonl'"):format(dir))
    local _, plain = run "stage chunk in.jsonl -"
    local status, out, err = run "stage chunk in.jsonl.gz -"
    test.equal(status, 0, err)
    test.equal(out, plain)
  end)
end)

test.case("input that is JSON or CSV is read first", function()
  in_folder(function(dir, run)
    local _, plain = run "stage clean in.jsonl -"
    cli.put(dir .. "/in.json", '[\n{"id":"1","text":"one"},\n{"id":"2",\n"text":"two"},\n7]')
    local status, out, err = run "stage clean in.json -"
    test.equal(status, 0, err)
    test.equal(out, plain)
    test.contains(err, "1 rejected (1 not_a_record), in clean.input.rejected.jsonl")
    cli.put(dir .. "/in.csv", "id,text\n1,one\n2,two\n")
    status, out, err = run("stage clean - out.jsonl", { input = dir .. "/in.json" })
    test.equal({ status, out }, { 0, "" }, err)
    test.equal((file.read(dir .. "/out.jsonl")), plain)
    status, out, err = run "stage clean in.csv -"
    test.equal(status, 0, err)
    test.equal(out, plain)
  end)
end)

test.case("a folder gets a file for each split", function()
  in_folder(function(dir, run)
    local status, _, err = run "stage partition --input-file in.jsonl --output-dir out --train 0.67 --seed 4"
    test.equal(status, 0, err)
    test.contains(err, "2 in out/train.jsonl, 1 in out/test.jsonl")
    local ids = {}
    for _, split in ipairs { "train", "test" } do
      for line in file.lines(("%s/out/%s.jsonl"):format(dir, split)) do
        local record = json.record(line)
        test.equal(record.metadata.split, split)
        ids[#ids + 1] = record.id
      end
    end
    table.sort(ids)
    test.equal(ids, { "1", "2", "3" })
    test.equal(#file.list(dir .. "/out"), 2, "nothing else is left there")
    status, _, err = run "stage clean --input-file in.jsonl --output-dir out"
    test.equal(status, 0, err)
    test.contains(err, "2 in out/clean.jsonl")
    test.ok(file.stat(dir .. "/out/rejected.jsonl"))
    test.equal(run "stage clean in.jsonl --input-file in.jsonl out.jsonl", 2)
    test.equal(run "stage clean in.jsonl out.jsonl --output-dir out", 2)
  end)
end)

-- Files that were edited by hand have them; lines keep their numbers.
test.case("blank lines among records are passed over by stages of every kind", function()
  in_folder(function(dir, run)
    local record = '{"id":"%d","text":"%s"}\n'
    cli.put(dir .. "/blank.jsonl", "\n" .. record:format(1, "one thing") .. " \t\r\n" .. record:format(2, "another thing")
      .. record:format(3, "one thing") .. "\n\n")
    for name, kept in pairs { ["clean"] = 3, ["chunk"] = 3, ["dedup"] = 2, ["filter --min-words 1"] = 3,
      ["partition --group id --allow-empty"] = 3 } do
      file.remove_tree(dir .. "/out.jsonl")
      local status, _, err = run(("stage %s blank.jsonl out.jsonl"):format(name))
      test.equal(status, 0, name .. ": " .. err)
      test.contains(err, "3 in", name)
      test.equal(file.cut(dir .. "/out.jsonl", {}).total, kept, name)
    end
    cli.put(dir .. "/blank.jsonl", "\n\n{no\n")
    local status, _, err = run "stage clean blank.jsonl out.jsonl"
    test.equal(status, 1)
    test.contains(err, "blank.jsonl:3: ")
  end)
end)

test.case("a run whose every input was rejected fails, and says where the reasons are", function()
  in_folder(function(dir, run)
    cli.put(dir .. "/bad.jsonl", "{no\n{neither\n")
    local status, _, err = run "stage read bad.jsonl out.jsonl"
    test.equal(status, 1, err)
    test.contains(err, "nothing could be read: 2 rejected (2 not_json)")
    test.contains(err, "out.jsonl.rejected.jsonl")
    test.equal(file.cut(dir .. "/out.jsonl.rejected.jsonl", {}).lines, 2)
    test.equal(file.stat(dir .. "/out.jsonl"), nil)
    status, _, err = run "run r.lua --input-file bad.jsonl"
    test.equal(status, 1, err)
    test.contains(err, "runs/tiny/rejected.jsonl")
    test.equal(file.cut(dir .. "/runs/tiny/rejected.jsonl", {}).lines, 2)
  end)
end)

return test.done()
