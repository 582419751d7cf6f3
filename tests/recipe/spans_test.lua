-- SPDX-License-Identifier: MIT
-- Spans on the demo's own documents: a document's cleaned segments, put end to end, are the source of which
-- every chunk is the bytes [start, end); and the run map leads each back to what was extracted. Once with
-- documents in one segment, once in many, so that chunks and parts meet borders.
local test = require "tests.support.test"
local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "r" { lathe.read { "%s/recipes/demo" }, lathe.clean {}, lathe.chunk { size = 700, overlap = 90 } }
]]

local function each_line(folder, ending, f)
  for _, entry in ipairs(assert(file.list(folder))) do
    if entry.name:find("^part%-%d+" .. ending .. "$") then
      for line in assert(file.lines(folder .. "/" .. entry.name)) do f(json.decode(line)) end
    end
  end
end

-- Documents by path (two files may have the same bytes): their segments in order, end to end.
local function sources(folder)
  local out, segments = {}, 0
  each_line(folder, "%.jsonl", function(r)
    local path, span = r.metadata.path, r.metadata.span
    out[path] = out[path] or ""
    test.equal(span[1], #out[path], path .. ": a segment begins where the one before ends")
    out[path] = out[path] .. r.text
    test.equal(span[2], #out[path], path)
    segments = segments + 1
  end)
  return out, segments
end

local function check(options, least)
  test.with_dir(function(dir)
    cli.put(dir .. "/r.lua", RECIPE:format(cli.top))
    local status, _, err = cli.run("run r.lua -j2 " .. options, { cwd = dir })
    test.equal(status, 0, err)
    local source, segments = sources(dir .. "/runs/r/02-clean")
    test.ok(segments >= least, segments .. " segments")
    local chunks, covered = 0, {}
    each_line(dir .. "/runs/r/03-chunk", "%.jsonl", function(r)
      local path, span = r.metadata.path, r.metadata.span
      test.equal(source[path]:sub(span[1] + 1, span[2]), r.text, path)
      covered[path] = (covered[path] or 0) + 1
      chunks = chunks + 1
    end)
    for path in pairs(source) do test.ok(covered[path], path .. " has no chunk") end
    test.ok(chunks > 100, chunks .. " chunks")
    local extracted = {}
    each_line(dir .. "/runs/r/01-read", "%.jsonl", function(r) extracted[r.id] = r.text end)
    local maps = 0
    each_line(dir .. "/runs/r/02-clean", "%.map%.jsonl", function(m)
      local out = source[m.path]:sub(m.span[1] + 1, m.span[2])
      local raw = extracted[m.id]
      test.equal(m.extracted[2] - m.extracted[1], #raw, m.path)
      for _, run in ipairs(m.runs) do
        test.equal(out:sub(run[1] + 1, run[1] + run[3]), raw:sub(run[2] + 1, run[2] + run[3]), m.path)
      end
      maps = maps + 1
    end)
    test.equal(maps, segments)
  end)
end

test.case("documents in one segment", function() check("", 20) end)
test.case("documents in many segments, over several parts", function() check("--set read.segment=150", 1100) end)

return test.done()
