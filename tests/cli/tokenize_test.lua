-- SPDX-License-Identifier: MIT
-- `lathe tokenize` as a user types it.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"
local tokenizer = require "engine.tokenizer"

-- A folder with a small tokenizer and what f wants to read.
local function with(files, f)
  test.with_dir(function(dir)
    local tok = tokenizer.train { texts = { "low lower lowest", "the low tide" }, vocab_size = 275, special = { "<s>", "</s>" } }
    cli.put(dir .. "/m/tokenizer.json", tok:json())
    for name, text in pairs(files) do cli.put(dir .. "/" .. name, text) end
    local function run(arguments, input)
      return cli.run("tokenize m " .. arguments, { cwd = dir, input = input })
    end
    f(run, tok, dir)
  end)
end

local function ids(tok, text, options) return table.concat(tok:encode(text, options), " ") end

-- One run: status 0, nothing on standard error, this output.
local function gives(run, arguments, want, input)
  local status, out, err = run(arguments, input)
  test.equal({ err, status, out }, { "", 0, want }, arguments)
end

test.case("ids of files, of standard input, of lines, of fields", function()
  local text = "the lowest\ntide <s> é\n"
  with({ ["a.txt"] = text, ["b.txt"] = "", ["c.jsonl"] = '{"t":"low","m":{"x":"tide"}}\n\n{"t":"the","m":{"x":""}}\n' },
    function(run, tok)
      gives(run, "a.txt", ids(tok, text) .. "\n")
      gives(run, "a.txt b.txt", ids(tok, text) .. "\n\n")
      gives(run, "", ids(tok, text) .. "\n", "a.txt")
      gives(run, "-", ids(tok, text) .. "\n", "a.txt")
      gives(run, "--plain a.txt", ids(tok, text, { plain = true }) .. "\n")
      gives(run, "--lines a.txt", ids(tok, "the lowest") .. "\n" .. ids(tok, "tide <s> é") .. "\n")
      gives(run, "--jsonl t c.jsonl", ids(tok, "low") .. "\n" .. ids(tok, "the") .. "\n")
      gives(run, "--jsonl m.x c.jsonl", ids(tok, "tide") .. "\n\n")
    end)
end)

test.case("ids and text again", function()
  local text = "the lowest\ntide <s> é 日本\n\n"
  with({ ["a.txt"] = text, ["n.txt"] = "low" }, function(run, tok, dir)
    for _, how in ipairs { "", "--lines " } do
      local _, out = run(how .. "a.txt")
      file.write(dir .. "/ids.txt", out)
      gives(run, how .. "--decode ids.txt", text)
    end
    gives(run, "--decode --skip-special ids.txt --lines", (text:gsub("<s>", "")))
    file.write(dir .. "/list.jsonl", json.encode { x = tok:encode "low é" } .. '\n{"x":"1, 0"}\n')
    gives(run, "--decode --jsonl x list.jsonl", "low é\n</s><s>\n")
    gives(run, "--decode --jsonl x --json list.jsonl", '{"file":"list.jsonl","line":1,"text":"low é"}\n' ..
      '{"file":"list.jsonl","line":2,"text":"</s><s>"}\n')
    local status, _, err = run("--decode n.txt")
    test.equal(status, 1)
    test.contains(err, "n.txt: byte 0: 'low' is no token id")
    file.write(dir .. "/big.txt", "1 99999 0")
    status, text, err = run("--decode big.txt")
    test.equal({ status, text }, { 0, "</s><s>" })
    test.contains(err, "1 id is beyond the vocabulary's 271")
  end)
end)

test.case("numbers per file and in total", function()
  local text = "the lowest\ntide\n"
  with({ ["a.txt"] = text, ["b.txt"] = "low" }, function(run, tok)
    local n, m = tok:count(text), tok:count "low"
    local status, out, err = run "--count a.txt b.txt"
    test.equal({ status, err }, { 0, "" })
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line:gsub(" +", " ") end
    test.equal(lines, { " tokens bytes bytes/token file", (" %d 16 %.2f a.txt"):format(n, 16 / n),
      (" %d 3 %.2f b.txt"):format(m, 3 / m), (" %d 19 %.2f total"):format(n + m, 19 / (n + m)) })
    status, out = run "--count --json --lines a.txt"
    test.equal(status, 0)
    local sum = json.decode(out)
    test.equal({ sum.texts, sum.tokens, sum.bytes, sum.longest },
      { 2, tok:count "the lowest" + tok:count "tide", 14, tok:count "the lowest" })
  end)
end)

test.case("at most so many tokens", function()
  with({ ["a.txt"] = "low tide <s> low", ["b.txt"] = "low" }, function(run, tok)
    local all = tok:encode "low tide <s> low"
    gives(run, "--max 3 a.txt", table.concat(all, " ", 1, 3) .. "\n")
    gives(run, "--max 2 --side left a.txt b.txt", table.concat(all, " ", #all - 1) .. "\n" .. ids(tok, "low") .. "\n")
    local status, out = run "--max 3 --count --json a.txt b.txt"
    local total = {}
    for line in out:gmatch "[^\n]+" do total = json.decode(line) end
    test.equal({ status, total.file, total.tokens, total.cut }, { 0, "total", 3 + tok:count "low", 1 })
  end)
end)

test.case("objects: ids, tokens, offsets", function()
  with({ ["a.txt"] = "low <s>" }, function(run)
    gives(run, "--json a.txt", '{"file":"a.txt","ids":[259,222,0],"offsets":[[0,3],[3,4],[4,7]],"tokens":["low","Ġ","<s>"]}\n')
  end)
end)

test.case("a long file goes through in pieces", function()
  local text = ("the lowest tide\nlow <s> the é "):rep(200000)
  with({ ["long.txt"] = text }, function(run, tok, dir)
    local status, out = run "--count --json long.txt"
    test.equal(status, 0)
    test.equal(json.decode(out).tokens, tok:count(text))
    os.execute(("gzip -k '%s/long.txt'"):format(dir))
    status, out = run "--count --json long.txt.gz"
    test.equal({ status, json.decode(out).tokens }, { 0, tok:count(text) })
  end)
end)

test.case("what goes around a text goes there once, however long it is", function()
  test.with_dir(function(dir)
    local tok = tokenizer.train { texts = { "low lower" }, vocab_size = 260, special = { "<s>" }, bos = "<s>" }
    local text = ("low lower\n"):rep(150000)
    cli.put(dir .. "/m/tokenizer.json", tok:json())
    cli.put(dir .. "/long.txt", text)
    local _, out = cli.run("tokenize m --special long.txt", { cwd = dir })
    test.equal(out == ids(tok, text, { special = true }) .. "\n", true)
    local _, counted = cli.run("tokenize m --special --count --json long.txt", { cwd = dir })
    test.equal(json.decode(counted).tokens, 1 + tok:count(text))
  end)
end)

test.case("failures are named", function()
  with({ ["bad.txt"] = "low\xfflow", ["c.jsonl"] = '{"t":"low"}\n{"u":1}\n', ["d.jsonl"] = '{"t":7}\n', ["e.jsonl"] = "low\n" },
    function(run, tok)
      local function fails(arguments, status, part)
        local got, _, err = run(arguments)
        test.equal(got, status, arguments)
        test.contains(err, part)
      end
      fails("nofile", 1, "lathe: nofile: no such file")
      fails(".", 2, ".: is a folder")
      fails("bad.txt", 1, "bad.txt: not UTF-8 (byte 3)")
      gives(run, "--bytes bad.txt", ids(tok, "low\xfflow") .. "\n")
      fails("--lines bad.txt", 1, "bad.txt: not UTF-8 (byte 3 of line 1)")
      fails("--jsonl t c.jsonl", 1, "c.jsonl: line 2: no field 't' (the record has: u)")
      fails("--jsonl t d.jsonl", 1, "d.jsonl: line 1: field 't' is no text")
      fails("--jsonl t e.jsonl", 1, "e.jsonl: line 1")
      fails("--lines --jsonl t c.jsonl", 2, "do not go together")
      fails("--count --decode c.jsonl", 2, "do not go together")
      fails("--max x c.jsonl", 2, "--max x: a whole number from 0")
      fails("--skip-special c.jsonl", 2, "--plain takes them for text")
      fails("--wrong c.jsonl", 2, "--wrong")
      local status, _, err = cli.run "tokenize no/such/folder README.md"
      test.equal(status, 1)
      test.contains(err, "no/such/folder")
    end)
end)

test.case("the reader may stop early", function()
  with({ ["a.txt"] = ("low tide "):rep(300000) }, function(_, _, dir)
    local _, _, status = os.execute(("cd '%s' && bash -o pipefail -c '%s tokenize m a.txt 2>err.txt | head -c 10 >out.txt'")
      :format(dir, cli.program))
    test.equal({ status, file.read(dir .. "/err.txt"), #file.read(dir .. "/out.txt") }, { 1, "", 10 })
  end)
end)

return test.done()
