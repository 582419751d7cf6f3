-- SPDX-License-Identifier: MIT
-- Pattern files: those we ship, names and numbers, what the schema says of a mistake, a mapping and a schema
-- of one's own.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local function pattern(number, more)
  local p = { pattern_id = number, name = "Name " .. number, description = "What this pattern is about, at length.",
    examples = { { instruction = "Do it.", output = "Done." } } }
  for k, v in pairs(more or {}) do p[k] = v end
  return json.encode(p)
end

local function lines(path)
  local out = {}
  for line in assert(file.lines(path)) do out[#out + 1] = json.decode(line) end
  return out
end

local function read(dir, more)
  local status, _, err = cli.run("stage read patterns out.jsonl --type pattern " .. (more or ""), { cwd = dir })
  local rejected = file.stat(dir .. "/out.jsonl.rejected.jsonl") and lines(dir .. "/out.jsonl.rejected.jsonl") or {}
  local out = file.stat(dir .. "/out.jsonl") and lines(dir .. "/out.jsonl") or {}
  file.remove_tree(dir .. "/out.jsonl")
  file.remove_tree(dir .. "/out.jsonl.stage")
  return out, rejected, status, err
end

test.case("the patterns we ship are good, and the first is GLIMMER", function()
  local status, out, err = cli.run "stage read recipes/patterns - --type pattern --strict"
  test.equal(status, 0, err)
  local first = json.record(out:match "^[^\n]*")
  test.equal(first.metadata.pattern, "0001")
  test.equal(first.metadata.name, "GLIMMER")
  test.equal(first.metadata.path, "0001-GLIMMER.json")
  local names, parts = {}, {}
  for line in out:gmatch "[^\n]+" do
    local r = json.record(line)
    names[r.metadata.path] = true
    parts[r.metadata.part] = true
    test.ok(r.messages or #r.instruction > 5 and #r.output > 5, line)
    test.equal(#r.id, 16)
  end
  for _, part in ipairs { "example", "description", "context", "problem", "solution", "principles" } do test.ok(parts[part], part) end
  for _, entry in ipairs(file.list "recipes/patterns") do test.ok(names[entry.name], entry.name) end
end)

test.case("names and numbers", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/patterns/0001-one.json", pattern "0001")
    cli.put(dir .. "/patterns/0001-two.json", pattern "0001")
    cli.put(dir .. "/patterns/3 three.json", pattern "0003")
    cli.put(dir .. "/patterns/four.json", pattern "0004")
    cli.put(dir .. "/patterns/0005-five.JSON", pattern "0005")
    cli.put(dir .. "/patterns/0006-six.txt", pattern "0006")
    cli.put(dir .. "/patterns/0007-seven.json", pattern "0008")
    cli.put(dir .. "/patterns/README.md", "not a pattern")
    cli.put(dir .. "/patterns/schema.json", "{}")
    local out, rejected, status = read(dir)
    test.equal({ #out, status }, { 2, 0 })
    local said = {}
    for _, r in ipairs(rejected) do said[r.record.path] = r.reason .. " " .. r.detail end
    test.contains(said["0001-two.json"], "repeated_number 0001-two.json: the number 0001 is that of 0001-one.json already")
    test.contains(said["3 three.json"], "misnamed 3 three.json: a pattern file is called 0003-three.json")
    test.contains(said["four.json"], "NNNN-descriptive_name.json")
    test.contains(said["0005-five.JSON"], "0005-five.json")
    test.contains(said["0006-six.txt"], "misnamed")
    test.contains(said["0007-seven.json"], [[.pattern_id: expected "0007", the number in the file's name, got "0008"]])
    test.equal(#rejected, 6, "a README and the schema are nobody's mistake")
  end)
end)

test.case("mistakes are named by field, or by line and column", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/patterns/0001-good.json", "\xef\xbb\xbf" .. pattern "0001")
    cli.put(dir .. "/patterns/0002-fields.json", pattern("0002", { name = 5, descripton = "x",
      examples = { { instruction = "only" }, { instruction = "a", output = "b" } } }))
    cli.put(dir .. "/patterns/0003-syntax.json", '{\n  "pattern_id": "0003",\n  "name" "x"\n}')
    cli.put(dir .. "/patterns/0004-twice.json", '{"pattern_id": "0004", "name": "a", "name": "b"}')
    cli.put(dir .. "/patterns/0005-bytes.json", '{"pattern_id": "0005", "name": "\xff\xfe\xfd"}')
    cli.put(dir .. "/patterns/0006-list.json", "[]")
    cli.put(dir .. "/patterns/0007-empty.json", "")
    local out, rejected, status, err = read(dir)
    test.equal({ #out, status }, { 2, 0 }, err)
    local said = {}
    for _, r in ipairs(rejected) do said[r.record.path:sub(1, 4)] = r end
    test.equal(said["0002"].record.problems, {
      { path = ".name", expected = "a string", got = "the number 5" },
      { path = ".examples[0].output", expected = "a required field", got = "nothing" },
      { path = ".descripton", expected = "a field that the schema names (did you mean 'description'?)", got = 'the string "x"' } })
    test.contains(said["0003"].detail, "0003-syntax.json: line 3, column 10: expected ':'")
    test.contains(said["0004"].detail, 'the key "name" occurs twice')
    test.ok(said["0005"], "no UTF-8")
    test.contains(said["0006"].detail, "expected an object, got an array of 0")
    test.contains(said["0007"].detail, "empty")
    local _, _, strict, why = read(dir, "--strict")
    test.equal(strict, 2)
    test.contains(why, "0002-fields.json: .name: expected a string, got the number 5")
  end)
end)

test.case("a schema and a mapping of one's own", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/patterns/0001-one.json", '{"question": "Why?", "answer": "Because."}')
    cli.put(dir .. "/templates/patterns/schema.json", '{"required": ["question"], "properties": {"answer": {"minLength": 3}}}')
    cli.put(dir .. "/templates/patterns/pattern.lua", [[
return { records = function(p) return { { prompt = p.question, chosen = p.answer, extra = 1, metadata = { tone = "dry" } } } end }]])
    local out, rejected, status, err = read(dir)
    test.equal(status, 0, err)
    test.equal(#rejected, 0)
    test.equal({ out[1].prompt, out[1].chosen, out[1].extra, out[1].metadata.tone, out[1].metadata.path },
      { "Why?", "Because.", 1, "dry", "0001-one.json" })
    cli.put(dir .. "/mine.json", '{"required": ["questoin"]}')
    local _, refused = read(dir, "--schema ./mine.json")
    test.contains(refused[1].detail, ".questoin: expected a required field")
    local _, _, failed, message = read(dir, "--pattern mone")
    test.equal(failed, 2)
    test.contains(message, "unknown mapping of patterns 'mone'")
    cli.put(dir .. "/mine.json", '{"requird": ["question"]}')
    _, _, failed, message = read(dir, "--schema ./mine.json")
    test.equal(failed, 2)
    test.contains(message, "./mine.json: the schema: unknown keyword 'requird'; did you mean 'required'?")
    cli.put(dir .. "/templates/patterns/broken.lua", "return { records = function(p) return p.x.y end }")
    _, _, failed, message = read(dir, "--pattern broken")
    test.equal(failed, 1)
    test.contains(message, "0001-one.json")
  end)
end)

return test.done()
