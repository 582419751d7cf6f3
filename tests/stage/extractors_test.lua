-- SPDX-License-Identifier: MIT
-- Extractors: found by name, offered files, their records made whole; and those that ship with us.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local stage = require "tests.support.stage"
local config = require "lathe.config"
local extractors = require "lathe.extractors"
local file = require "engine.file"
local json = require "engine.json"
local python = require "lathe.python_source"
local read = require "lathe.stage.read"

local SCENES = [[
# From the video https://youtu.be/abcdefghijk
from manim import *

RADIUS = 2  # of circles

def helper(x):
    return x * RADIUS

def unused():
    pass

class CircleToSquare(Scene):
    """A circle becomes
    a square.
    """
    def construct(self):
        circle = Circle(radius=helper(1))
        self.play(Create(circle))

class Base(ThreeDScene):
    def axes(self):
        return ThreeDAxes()

# A sphere that turns.
class Sphere1(Base):
    def construct(self):
        s = '''class Fake(Scene):
'''
        self.add(self.axes())
        self.play(FadeIn(s))

class Silent(Scene):
    def construct(self):
        self.wait()
        self.wait()
        "see https://www.youtube.com/watch?v=ABCDEFGHIJK"
]]

-- Runs read's list and each over a folder; returns the records and what was rejected.
local function records(options, root)
  options = assert(config.check(read.options, options))
  local items, ctx = {}, { options = options, root = root or "." }
  local fine, message, code = read.list(ctx, function(item)
    item.sha256 = file.sha256(item.file) -- as a plan does
    items[#items + 1] = item
  end)
  if not fine then return nil, message, code end
  local out, rejected
  out, rejected = stage.run({ name = "read", kind = "map", options = { }, each = function(record, ctx2, emit)
    ctx2.options, ctx2.root = options, root or "."
    return read.each(json.table(record), ctx2, emit)
  end }, {}, items)
  return out, rejected
end

test.case("scenes become records with what they use, their descriptions, videos and features", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a/scenes.py", SCENES)
    cli.put(dir .. "/a/plain.py", "print('no scene')\n")
    local out = assert(records { files = { dir .. "/a" }, sources = "manim" })
    test.equal(#out, 3)
    local first, second, third = out[1], out[2], out[3]
    test.equal(first.description, "A circle becomes\na square.")
    test.equal(first.source, "manim")
    test.contains(first.code, "RADIUS = 2")
    test.contains(first.code, "def helper(x):")
    test.contains(first.code, "from manim import *")
    assert(not first.code:find("unused", 1, true))
    assert(not first.code:find("Sphere1", 1, true))
    test.equal({ first.metadata.class, first.metadata.line, first.metadata.path, first.metadata.needs_description },
      { "CircleToSquare", 12, "scenes.py", false })
    test.equal(first.metadata.youtube_url, "https://www.youtube.com/watch?v=abcdefghijk")
    test.equal(second.description, "A sphere that turns.")
    test.contains(second.code, "class Base(ThreeDScene):")
    test.equal(second.metadata.code_features, { "3d", "fade", "graph" })
    test.equal({ third.description, third.metadata.needs_description }, { "", true })
    test.equal(third.metadata.youtube_url, "https://www.youtube.com/watch?v=ABCDEFGHIJK")
    test.equal(#first.metadata.document, 64)
  end)
end)

test.case("all sources: each finds its own, and those that need options are left out", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a/scenes.py", SCENES)
    local out = assert(records { files = { dir .. "/a" }, sources = "all" })
    local count = {}
    for _, r in ipairs(out) do count[r.source] = (count[r.source] or 0) + 1 end
    test.equal(count, { manim = 3, functions = 1 })
  end)
end)

test.case("a user's extractor goes before ours, and what it gives is made whole or rejected", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/extractors/notes.lua", [[
      return { name = "notes", version = 1, description = "d", files = "*.note",
        options = { mark = { default = "!", type = "string" } },
        extract = function(item, ctx, emit)
          local s = ctx:text(item)
          if s:find "fail" then error "cannot read this" end
          emit { code = s, description = ctx.options.mark, metadata = { n = #s } }
          emit { description = "no code" }
        end }]])
    cli.put(dir .. "/in/a.note", "one")
    cli.put(dir .. "/in/b.note", "fail")
    local out, rejected = records({ files = dir .. "/in", sources = { { "notes", mark = "?" } } }, dir)
    test.equal(#out, 1)
    test.equal({ out[1].description, out[1].code, out[1].source, out[1].metadata.n }, { "?", "one", "notes", 3 })
    test.equal(#rejected, 2)
    test.equal({ rejected[1].reason, rejected[1].detail }, { "extracted_nothing", "there is no code" })
    test.equal(rejected[2].reason, "unreadable")
    test.contains(rejected[2].detail, "cannot read this")
  end)
end)

test.case("mistakes are named: unknown sources and options, files that are no extractors", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in/a.py", "x = 1\n")
    local function message(sources)
      local out, why, code = records({ files = dir .. "/in", sources = sources }, dir)
      test.equal({ out, code }, { nil, "misuse" })
      return why
    end
    test.contains(message "manin", "did you mean 'manim'")
    test.contains(message { { "manim", leest = 3 } }, "did you mean 'least'")
    test.contains(message { "pages" }, "url")
    test.contains(message { "manim", "manim" }, "twice")
    cli.put(dir .. "/extractors/bad.lua", "return { files = '*.x', extracts = 1 }")
    test.contains(message "bad", "did you mean 'extract'")
    cli.put(dir .. "/extractors/empty.lua", "return { files = '*.x' }")
    test.contains(message "empty", "needs its function extract")
    local _, why, code = records({ files = dir .. "/in", sources = "manim" }, dir)
    test.equal({ why, code }, { {}, nil })
    _, why, code = records({ files = dir .. "/gone", sources = "manim" }, dir)
    test.equal(code, "not_found")
    test.contains(why, "gone")
  end)
end)

test.case("a file of records is read as it is", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/in.jsonl", '{"description":"d","code":"c"}\n')
    local out = assert(records { files = dir .. "/in.jsonl", sources = "all" })
    test.equal(out, { { description = "d", code = "c" } })
  end)
end)

test.case("a recipe's sources may have options", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/a/x.py", 'def f():\n    "Says f."\n    return 1\n')
    cli.put(dir .. "/r.lua", [[local lathe = require "lathe"
      return lathe.recipe "r" { lathe.read { "$root/a", sources = { "manim", { "functions", least = 3 } } } }]])
    local status, _, err = cli.run("run r.lua -j2", { cwd = dir })
    test.equal(status, 0, err)
    test.contains(file.read(dir .. "/runs/r/01-read/part-00000.jsonl"), '"Says f."')
  end)
end)

test.case("a repository is fetched once, and its commit goes into the records", function()
  if os.execute "git --version >/dev/null 2>&1" ~= true then test.skip "git is not installed" end
  test.with_dir(function(dir)
    cli.put(dir .. "/made/scenes.py", SCENES)
    local set_up = "cd '%s/made' && git init -q && git add . && git -c user.name=a -c user.email=a@b commit -qm one "
      .. "&& git clone -q --bare . ../bare.git"
    assert(os.execute(set_up:format(dir)))
    cli.put(dir .. "/r.lua", ([[local lathe = require "lathe"
      return lathe.recipe "r" { lathe.read { "file://%s/bare.git", sources = "manim" } }]]):format(dir))
    local env = ("LATHE_CACHE='%s/cache' LATHE_GIT_PROTOCOLS=file"):format(dir)
    local status, _, err = cli.run("run r.lua", { cwd = dir, env = env })
    test.equal(status, 0, err)
    local record = json.decode(file.read(dir .. "/runs/r/01-read/part-00000.jsonl"):match "[^\n]+")
    test.equal(record.metadata.repository, ("file://%s/bare.git"):format(dir))
    test.equal(#record.metadata.commit, 40)
    assert(file.remove_tree(dir .. "/bare.git")) -- it is here already
    status, _, err = cli.run("run r.lua --from read", { cwd = dir, env = env })
    test.equal(status, 0, err)
    status, _, err = cli.run("run r.lua --from read", { cwd = dir, env = ("LATHE_CACHE='%s/other'"):format(dir) })
    test.equal(status, 1)
    test.contains(err, "git could not fetch it")
  end)
end)

test.case("Python is cut into statements, whatever its strings and brackets hold", function()
  local source = 'import a\nx = """\nclass No:\n"""\ny = [\n1,\n]\n@deco(\n  1)\nclass A(b.C, metaclass=M):\n'
    .. "    '''One\\'s doc.'''\n    pass\n\n# far\n\n# near\nasync def f(a,\n      b):\n    r\"\"\"Raw.\"\"\"\n    return 1\nif x:\n    pass\nelse:\n    pass\n"
  local kinds = {}
  local list = python.statements(source)
  for i, s in ipairs(list) do kinds[i] = s.kind .. (s.name and " " .. s.name or "") end
  test.equal(kinds, { "import", "assignment x", "assignment y", "class A", "def f", "other" })
  test.equal(list[4].text:sub(1, 6), "@deco(")
  test.equal(python.bases(list[4]), { "C" })
  test.equal(python.docstring(list[4]), "One\\'s doc.")
  test.equal({ python.docstring(list[5]), list[5].comment }, { "Raw.", "near" })
  test.equal(list[6].text, "if x:\n    pass\nelse:\n    pass")
  test.equal(python.docstring(list[6]), nil)
end)

test.case("every extractor of ours loads and says what it does", function()
  for _, name in ipairs(extractors.names()) do
    local extractor = assert(extractors.find(name))
    test.equal(extractor.name, name)
    assert(#extractor.description > 10)
  end
end)

return test.done()
