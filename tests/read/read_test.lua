-- SPDX-License-Identifier: MIT
-- read on what is no document: JSON, code, tables, archives, folders, standard input; and bad input of each.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

-- Reads what is named in dir; returns records, rejections (path → reason and detail), status and messages.
local function read(dir, arguments, options)
  options = options or {}
  options.cwd = dir
  local status, _, err = cli.run("stage read " .. arguments:gsub("^(%S+)", "%1 out.jsonl", 1), options)
  local out, rejected = {}, {}
  for _, one in ipairs { { "/out.jsonl", out }, { "/out.jsonl.rejected.jsonl", rejected } } do
    if file.stat(dir .. one[1]) then
      for line in assert(file.lines(dir .. one[1])) do
        test.ok(not line:find("\n", 1, true))
        table.insert(one[2], json.decode(line))
      end
      file.remove_tree(dir .. one[1])
    end
  end
  file.remove_tree(dir .. "/out.jsonl.stage")
  local why = {}
  for _, r in ipairs(rejected) do why[r.record.path] = r.reason .. " " .. tostring(r.detail) end
  return out, why, status, err
end

local function texts(records, field)
  local out = {}
  for i, r in ipairs(records) do out[i] = tostring(r[field or "text"]) end
  return table.concat(out, " ")
end

test.case("JSON in all its shapes", function()
  test.with_dir(function(dir)
    local function gives(name, bytes, want, arguments)
      cli.put(dir .. "/" .. name, bytes)
      local out, why, status, err = read(dir, name .. " " .. (arguments or ""))
      test.equal(status, 0, err)
      test.equal(texts(out), want, name)
      return out, why
    end
    gives("a.json", '[{"text":"a"},{"text":"b"}]', "a b")
    gives("b.json", '[\n  {\n    "text": "a",\n    "n": 1.50\n  },\n  {"text": "b"}\n]\n', "a b")
    gives("c.json", '{"text":"a"}\n{"text":"b"}\n', "a b")
    gives("d.jsonl", '{\n"text":"a"\n}\n{\n"text":"b"\n}\n', "a b")
    gives("e.json", '\xef\xbb\xbf[{"text":"a"}]', "a")
    gives("f.json", '{"text":"a"}{"text":"b"} {"text":"c"}', "a b c")
    gives("g.json", '\xff\xfe[\0{\0"\0t\0e\0x\0t\0"\0:\0"\0\xe9\0"\0}\0]\0', "é")
    gives("h.jsonl", '{"text":"caf\xe9"}\r\n{"text":"b"}\r\n', "café b")
    gives("i.json", '{"version":1,"data":{"rows":[{"text":"a"},{"text":"b"}]}}', "a b", "--at data.rows")
    local _, why = gives("j.json", '[{"text":"a"}, 5, "x", {"text":"b"}, [1], null]', "a b")
    test.contains(why["j.json"], "not_a_record j.json:1: an object is expected, got null")
    local out = gives("k.json", '[\n{"text":"a"},\n{"text":"b"}]', "a b", "--provenance")
    test.equal(out[2].metadata, { path = "k.json", type = "json", row = 3 })
    local _, why2 = gives("l.json", '[{"text":"a"}, {"text":"b"}, {"text": ', "a b")
    test.contains(why2["l.json"], "not_json l.json: line 1: value 3 begins here and does not end; the 2 values before it were read")
  end)
end)

test.case("numbers and order of a record that stood on several lines are kept", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a.json", '[\n {\n  "z": 1.50,\n  "a": [1,\n   {}],\n  "t": "x\\n y"\n }\n]')
    test.equal((cli.run("stage read a.json out.jsonl", { cwd = dir })), 0)
    test.equal((file.read(dir .. "/out.jsonl")), '{"z": 1.50,"a": [1,{}],"t": "x\\n y"}\n')
  end)
end)

test.case("a long array does not have to fit in memory", function()
  test.with_dir(function(dir)
    local w = assert(file.replace(dir .. "/long.json", false))
    w:write "["
    local text = ("word "):rep(2000)
    for i = 1, 4000 do w:write(i > 1 and "," or "", '{"n":', tostring(i), ',"text":"', text, '"}') end
    w:write "]"
    assert(w:commit())
    cli.put(dir .. "/probe.lua", [[
      local status = require("lathe.cli").main { "stage", "read", "long.json", "out.jsonl", "-j1" }
      print(require("engine.clock").peak_memory())
      return status]])
    local status, out, err = cli.run("exec probe.lua", { cwd = dir })
    test.equal(status, 0, err)
    test.equal(file.cut(dir .. "/out.jsonl", {}).lines, 4000)
    if not cli.program:find("asan", 1, true) then test.ok(tonumber(out) < 36 << 20, out) end
  end)
end)

test.case("a large JSONL file is read in ranges, by any number of workers alike", function()
  test.with_dir(function(dir)
    local w = assert(file.replace(dir .. "/large.jsonl", false))
    local text = ("x"):rep(1000)
    for i = 1, 17500 do w:write(i == 15000 and "{bad\n" or ('{"n":%d,"text":"%s"}\n'):format(i, text)) end
    assert(w:commit())
    local sums = {}
    for i, flags in ipairs { "-j1", "-j3" } do
      local status, _, err = cli.run(("stage read large.jsonl out%d.jsonl %s"):format(i, flags), { cwd = dir })
      test.equal(status, 0, err)
      test.contains(err, "3 in, 17,499 out, 1 rejected (1 not_json)")
      test.contains((file.read(dir .. "/out" .. i .. ".jsonl.rejected.jsonl")), "large.jsonl:15000: ")
      sums[i] = file.sha256(("%s/out%d.jsonl"):format(dir, i))
    end
    test.equal(sums[1], sums[2])
  end)
end)

test.case("source code: language, licence, and what nobody wrote", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/p/LICENSE", "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining a copy of")
    cli.put(dir .. "/p/a.py", "def f():\n    return 'gr\xf6\xdfe, na\xefve, caf\xe9'\n")
    cli.put(dir .. "/p/src/b.c", "/* SPDX-License-Identifier: GPL-2.0-only */\nint main(void) { return 0; }\n")
    cli.put(dir .. "/p/run", "#!/usr/bin/env ruby\nputs 1\n")
    cli.put(dir .. "/p/gen.go", "// Code generated by protoc. DO NOT EDIT.\npackage x\n")
    cli.put(dir .. "/p/min.js", ("var a=1;"):rep(600))
    cli.put(dir .. "/p/node_modules/x/index.js", "x\n")
    cli.put(dir .. "/p/pic.png", "\x89PNG\r\n\26\n\0\0")
    cli.put(dir .. "/p/odd.xyz", "text\n")
    cli.put(dir .. "/p/blank.py", "\n\n")
    cli.put(dir .. "/p/README.md", "# Read me\n\ntext\n")
    local out, why, status, err = read(dir, "p")
    test.equal(status, 0, err)
    local by = {}
    for _, r in ipairs(out) do by[r.metadata.path] = r end
    test.equal({ by["a.py"].metadata.type, by["a.py"].metadata.programming_language, by["a.py"].metadata.license,
      by["a.py"].metadata.encoding }, { "code", "python", "MIT", "ISO-8859-1" })
    test.contains(by["a.py"].text, "größe")
    test.equal(by["src/b.c"].metadata.license, "GPL-2.0-only")
    test.equal(by.run.metadata.programming_language, "ruby")
    test.equal(by["README.md"].metadata.license, "MIT")
    test.equal(#out, 5, "with the licence itself")
    local expected = { ["gen.go"] = "generated", ["min.js"] = "minified", ["node_modules/x/index.js"] = "vendored",
      ["pic.png"] = "binary pic.png: a PNG image", ["odd.xyz"] = "unknown_kind", ["blank.py"] = "empty" }
    for path, reason in pairs(expected) do test.contains(why[path], reason) end
    local sums = {}
    for i, flags in ipairs { "-j1", "-j3 --no-stream" } do
      test.equal((cli.run(("stage read p s%d.jsonl %s"):format(i, flags), { cwd = dir })), 0)
      sums[i] = file.sha256(("%s/s%d.jsonl"):format(dir, i)) .. file.sha256(("%s/s%d.jsonl.rejected.jsonl"):format(dir, i))
    end
    test.equal(sums[1], sums[2])
    out = read(dir, "p --skip '' --kinds code --exclude 'src/**,*.png'")
    by = {}
    for _, r in ipairs(out) do by[r.metadata.path] = r end
    test.equal(by["gen.go"].metadata.notes, { "generated" })
    test.ok(by["node_modules/x/index.js"] and not by["src/b.c"] and not by["README.md"])
    why = select(2, read(dir, "p --kinds code"))
    test.contains(why["node_modules/x/index.js"], "vendored")
    test.equal({ why["pic.png"], why["odd.xyz"] }, {})
    test.equal(read(dir, "p/odd.xyz")[1].text, "text\n", "what is named is read as text")
  end)
end)

test.case("long code is cut behind lines, and nothing is lost", function()
  test.with_dir(function(dir)
    local source = ("x = 1 -- ä\n"):rep(30) .. ("ö"):rep(100)
    cli.put(dir .. "/a.lua", source)
    local out = read(dir, "a.lua --segment 64")
    local at, joined = 0, {}
    for i, r in ipairs(out) do
      test.ok(#r.text <= 64 and utf8.len(r.text), r.text)
      test.equal(r.metadata.span, { at, at + #r.text })
      at = at + #r.text
      joined[i] = r.text
    end
    test.equal(table.concat(joined), source)
  end)
end)

test.case("rows of CSV and TSV", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a.csv", 'text;n\n"a; b";1\nc;2\nd\n')
    local out, why = read(dir, "a.csv")
    test.equal(texts(out), "a; b c")
    test.contains(why["a.csv"], "bad_row a.csv:4: ")
    cli.put(dir .. "/b.tsv", "text\tn\na, b\t1\n")
    out = read(dir, "b.tsv --typed --provenance")
    test.equal({ out[1].text, out[1].n, out[1].metadata.type }, { "a, b", 1, "tsv" })
  end)
end)

test.case("archives are read like folders, compressed files like files", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in/a.md", "# A\n\ntext a\n")
    cli.put(dir .. "/in/data/b.jsonl", '{"text":"b1"}\n{"text":"b2"}\n')
    cli.put(dir .. "/in/data/c.json", '[{"text":"c"}]')
    cli.put(dir .. "/in/code/d.py", "print('d')\n")
    cli.put(dir .. "/in/e.csv", "text\ne\n")
    cli.put(dir .. "/in/f.png", "\x89PNG\r\n\26\n\0\0")
    cli.put(dir .. "/g.txt", "plain text g\n")
    os.execute(("cd '%s' && tar czf x.tar.gz -C in . && gzip -k g.txt"):format(dir))
    local out, why, status, err = read(dir, "x.tar.gz")
    test.equal(status, 0, err)
    table.sort(out, function(a, b) return a.text < b.text end)
    test.equal(texts(out), "# A\n\ntext a\n b1 b2 c e print('d')\n")
    test.equal(out[1].metadata.path, "x.tar.gz/a.md")
    test.equal(out[6].metadata.programming_language, "python")
    test.contains(why["x.tar.gz/f.png"], "binary")
    test.equal(texts((read(dir, "g.txt.gz"))), "plain text g\n")
    os.execute(("cd '%s' && head -c 150 x.tar.gz > cut.tar.gz"):format(dir))
    out, why, status, err = read(dir, "'*.tar.gz'")
    test.equal(status, 0, err)
    test.contains(why["cut.tar.gz"], "unreadable")
    test.equal(#out, 6)
  end)
end)

test.case("standard input is told by its content", function()
  test.with_dir(function(dir)
    for bytes, want in pairs { ['[{"text":"a"},{"text":"b"}]'] = "a b", ['{"text":"a"}\n{"text":"b"}'] = "a b",
      ["plain text"] = "plain text", ["<html><body><p>page</p></body></html>"] = "page\n" } do
      cli.put(dir .. "/in", bytes)
      local status, out, err = cli.run("stage read - -", { cwd = dir, input = dir .. "/in" })
      test.equal(status, 0, err)
      local list = {}
      for line in out:gmatch "[^\n]+" do list[#list + 1] = json.record(line).text end
      test.equal(table.concat(list, " "), want)
    end
    cli.put(dir .. "/in", "")
    local status, _, err = cli.run("stage read - -", { cwd = dir, input = dir .. "/in" })
    test.equal(status, 1)
    test.contains(err, "empty")
  end)
end)

test.case("bad input of every kind costs a rejection, and the run goes on", function()
  test.with_dir(function(dir)
    local bad = { ["a.json"] = "not JSON", ["b.jsonl"] = "no\nlines\n", ["c.json"] = '[{"a":1} {"a":2}]', ["d.csv"] = "", ["e.parquet"] = "PAR1junk",
      ["f.zip"] = "PK\3\4junk", ["g.jsonl.gz"] = "\x1f\x8b\8\0junk", ["h.py"] = "\0\0\0\0", ["i.pdf"] = "%PDF-1.4 junk", ["j.docx"] = "PK\3\4junk",
      ["k.json"] = ("["):rep(5000), ["l.json"] = "{" .. ('"a":{'):rep(5000), ["m.ipynb"] = "{", ["n.epub"] = "PK\3\4junk", ["o.html"] = "",
      ["p.json"] = '{"a":1,"a":2}', ["q.tar"] = ("\0"):rep(257) .. "ustar\0junk", ["r.json.zst"] = "\x28\xb5\x2f\xfdjunk" }
    local count = 0
    for name, bytes in pairs(bad) do
      cli.put(dir .. "/in/" .. name, bytes)
      count = count + 1
    end
    cli.put(dir .. "/in/z.txt", "good\n")
    local out, why, status, err = read(dir, "in")
    test.equal(status, 0, err)
    test.ok(texts(out):find("good", 1, true))
    for name in pairs(bad) do test.ok(why[name], name .. " was not rejected") end
    test.contains(err, "rejected (")
    test.contains(err, "in out.jsonl.rejected.jsonl")
    file.remove_tree(dir .. "/in/z.txt")
    file.remove_tree(dir .. "/in/c.json") -- its first value is a record
    local _, _, failed, message = read(dir, "in")
    test.equal(failed, 1, message)
    test.contains(message, "nothing could be read")
    test.ok(count == 18)
  end)
end)

test.case("misuse is said before anything is read", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a.md", "x\n")
    for arguments, part in pairs { ["a.md --kinds mdd"] = "did you mean 'md'?", ["a.md --skip generatd"] = "did you mean 'generated'?",
      ["a.md --type words"] = "not one of" } do
      local _, _, status, err = read(dir, arguments)
      test.equal(status, 2, arguments)
      test.contains(err, part)
    end
    local _, _, status, err = read(dir, "a.md --kinds code")
    test.equal(status, 1)
    test.contains(err, "none of them of the kinds wanted (code)")
  end)
end)

return test.done()
