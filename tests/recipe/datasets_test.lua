-- SPDX-License-Identifier: MIT
-- The recipes that make datasets, as commands, on small inputs of their own.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local function run(dir, recipe, arguments)
  local status, out, err = cli.run(("run '%s/recipes/%s.lua' %s"):format(cli.top, recipe, arguments), { cwd = dir })
  return status, out, err
end

-- Words that stand for numbers: what differs in digits only is the same to deduplication.
local SYLLABLES = { "ba", "do", "ke", "li", "mu", "ra", "so", "te", "vi", "zu" }
local function word(n) return (("%04d"):format(n):gsub("%d", function(d) return SYLLABLES[d + 1] end)) end
local function words(n, count)
  local out = {}
  for i = 1, count do out[i] = word((n * 37 + i * 101) % 10000) end
  return table.concat(out, " ")
end

local function code(dir)
  local functions = {}
  for i = 1, 30 do
    functions[i] = ('def f%d(x):\n    """Compute the value called %s.\n    """\n    y = [%s]\n    return y\n')
      :format(i, word(i), words(i, 20):gsub(" ", ", "), i)
  end
  for i = 1, 10 do cli.put(("%s/code/m%d.py"):format(dir, i), table.concat(functions, "\n", 3 * i - 2, 3 * i)) end
  cli.put(dir .. "/code/scene.py", 'class Turn(Scene):\n    def construct(self):\n        self.play(Create(Circle()))\n        self.wait()\n')
end

test.case("code_dataset: extractors to train.json and test.json, again and for any -j", function()
  test.with_dir(function(dir)
    code(dir)
    local status, _, err = run(dir, "code_dataset", "--input code -j1")
    test.equal(status, 0, err)
    local train, split = json.decode(file.read(dir .. "/data_formatted/train.json")), {}
    local rest = json.decode(file.read(dir .. "/data_formatted/test.json"))
    test.ok(#train > #rest and #rest > 0, ("%d and %d"):format(#train, #rest))
    local instructions = {}
    for _, list in ipairs { train, rest } do
      for _, r in ipairs(list) do
        test.contains(r.output, "return y")
        test.equal(instructions[r.instruction], nil, "an instruction is there twice")
        instructions[r.instruction] = true
        local place = r.metadata.path
        test.equal(split[place] or r.metadata.split, r.metadata.split, "a file is on both sides")
        split[place] = r.metadata.split
      end
    end
    local rejected = file.read(dir .. "/runs/code_dataset/rejected.jsonl")
    test.contains(rejected, '"class":"Turn"') -- nobody described it
    local before = file.read(dir .. "/data_formatted/train.json")
    local out
    status, out, err = run(dir, "code_dataset", "--input code -j1")
    test.equal(status, 0, err)
    test.contains(out .. err, "Everything was done before.")
    assert(file.remove_tree(dir .. "/runs"))
    status, _, err = run(dir, "code_dataset", "--input code -j3 --no-stream")
    test.equal(status, 0, err)
    test.equal(file.read(dir .. "/data_formatted/train.json"), before)
  end)
end)

test.case("code_dataset: any JSONL will do, with a ratio of one's own", function()
  test.with_dir(function(dir)
    local lines = {}
    for i = 1, 20 do
      lines[i] = json.encode {
        instruction = ("Write function number %d."):format(i),
        output = ("function f%d() return '%s' end"):format(i, words(i, 15)),
      }
    end
    lines[21] = json.encode { description = "Say hello.", code = "print 'hello'" }
    lines[22] = json.encode { description = "", code = "print 'nothing is said about this'" }
    cli.put(dir .. "/all.jsonl", table.concat(lines, "\n") .. "\n")
    local status, _, err = run(dir, "code_dataset", "--input all.jsonl --variants 0 --train-ratio 0.5 --output made")
    test.equal(status, 0, err)
    local train, rest = json.decode(file.read(dir .. "/made/train.json")), json.decode(file.read(dir .. "/made/test.json"))
    test.equal(#train + #rest, 21)
    test.ok(math.abs(#train - #rest) <= 1, #train .. " in train")
    status, _, err = run(dir, "code_dataset", "--input all.jsonl --train-ratio 1.5")
    test.equal(status, 2, err)
    test.contains(err, "1.5")
  end)
end)

test.case("documents: passages under headings become questions and answers", function()
  test.with_dir(function(dir)
    for d = 1, 12 do
      local parts = { ("# Book %d\n"):format(d) }
      for s = 1, 4 do
        parts[#parts + 1] = ("## Part %d of %d\n\nThis part of book %d says %s. It goes on for a while.\n")
          :format(s, d, d, words(d * 10 + s, 30))
      end
      cli.put(("%s/docs/book%d.md"):format(dir, d), table.concat(parts, "\n"))
    end
    local status, _, err = run(dir, "documents", "--input docs --train-ratio 0.75")
    test.equal(status, 0, err)
    local sides, count = {}, 0
    for _, side in ipairs { "train", "test" } do
      for line in assert(file.lines(("%s/data/documents/%s.jsonl"):format(dir, side))) do
        local r = json.decode(line)
        test.contains(r.instruction, "Part ")
        test.contains(r.text, "<|im_start|>assistant\n" .. r.output)
        sides[r.metadata.path] = sides[r.metadata.path] or side
        test.equal(sides[r.metadata.path], side)
        count = count + 1
      end
    end
    test.equal(count, 12 * 4 * 2) -- each with one variant
    test.contains(file.read(dir .. "/data/documents/README.md"), "documents")
    test.contains(file.read(dir .. "/runs/documents/report.html"), "Dataset")
  end)
end)

return test.done()
