-- SPDX-License-Identifier: MIT
-- Write: formats, names, shards, fields; what was there before; the card; being done again.

local cli = require "tests.support.cli"
local file = require "engine.file"
local json = require "engine.json"
local parquet = require "engine.parquet"
local stage = require "tests.support.stage"
local test = require "tests.support.test"

local RECORDS = {
  { id = "1", text = "one, \"quoted\"", n = 1, metadata = { split = "train", source = "a/b", license = "mit" } },
  { id = "2", text = "two\nlines", n = 2, metadata = { split = "validation", source = "c", license = "mit" } },
  { id = "3", text = "=1+1", n = 3, metadata = { split = "train", source = "..", license = "mit" } },
  { id = "4", text = "drei ü", n = 4, metadata = { split = "train", source = "a:b" } },
}

-- Runs the stage in a folder D ("D/" stands before relative targets); f(dir, ctx) looks at what was made.
local function write(options, records, f, given)
  test.with_dir(function(dir)
    local function placed(to) return (to:gsub("^D/", dir .. "/")) end
    if type(options.to) == "table" then
      for i, to in ipairs(options.to) do options.to[i] = placed(to) end
    else
      options.to = options.to and placed(options.to)
    end
    given = given or {}
    given.stage, given.recipe, given.version = "write", given.recipe or "letters", "0.0"
    local _, _, ctx = stage.run("write", options, records, given)
    local made = ctx.dir:match "^(.*)/made$"
    local fine, message = pcall(f, dir, ctx)
    file.remove_tree(made)
    if not fine then error(message, 0) end
  end)
end

local function slurp(path) return assert(file.read(path)) end
local function lines(path)
  local out = {}
  for line in file.lines(path) do out[#out + 1] = line end
  return out
end

test.case("JSONL fans out by split; the bytes of a record stay", function()
  write({ to = "D/{split}.jsonl" }, RECORDS, function(dir, ctx)
    test.equal(#lines(dir .. "/train.jsonl"), 3)
    test.equal(lines(dir .. "/validation.jsonl"), { json.encode(RECORDS[2]) })
    test.equal(ctx.facts.records, 4)
    test.equal(ctx.facts.files[1].sha256, file.sha256(dir .. "/train.jsonl"))
    test.equal(ctx.facts.files[1].records, 3)
    test.contains(ctx.facts.report, "train.jsonl, 1 in ")
  end)
end)

test.case("a folder gets a file for each split; records without one are data", function()
  write({ to = "D/out/", format = "csv" }, { { a = 1 }, { a = 2, metadata = { split = "test" } } }, function(dir)
    test.equal(slurp(dir .. "/out/data.csv"), "a,metadata\r\n1,\r\n")
    test.equal(slurp(dir .. "/out/test.csv"), 'a,metadata\r\n2,"{""split"":""test""}"\r\n')
  end)
end)

test.case("no value of a field leads out of the folder, and no two meet", function()
  write({ to = "D/x/{source}.jsonl" }, RECORDS, function(dir)
    local names = {}
    for i, entry in ipairs(file.list(dir .. "/x")) do names[i] = entry.name end
    test.equal(#names, 5)
    for _, name in ipairs(names) do test.ok(name == "README.md" or name == "c.jsonl" or name:find "^a?_b?%-%x+%.jsonl$", name) end
    test.equal(#file.list(dir), 1)
  end)
  local evil = {}
  for i, s in ipairs { "../../etc/passwd", "/abs", "", ".", "..", "-rf", "a\0b", "a\nb", ("x"):rep(300), "日本", "{split}" } do
    evil[i] = { id = tostring(i), metadata = { source = s } }
  end
  write({ to = "D/x/{source}.jsonl", card = false }, evil, function(dir)
    test.equal(#file.list(dir .. "/x"), #evil)
    test.equal(#file.list(dir), 1)
    test.ok(file.stat(dir .. "/x/日本.jsonl"))
  end)
end)

test.case("CSV follows RFC 4180; formulas are made safe on request; the reader gives the values back", function()
  write({ to = { "D/a.csv", "D/b.csv.gz" }, fields = { "id", "text" }, formula_safe = true }, RECORDS, function(dir)
    test.equal(slurp(dir .. "/a.csv"),
      'id,text\r\n1,"one, ""quoted"""\r\n2,"two\nlines"\r\n3,"\'=1+1"\r\n4,drei ü\r\n')
    local out = {}
    for line in assert(require("engine.csv").open(dir .. "/b.csv.gz")):lines() do out[#out + 1] = line end
    test.equal(out[2], [[{"id":"2","text":"two\nlines"}]])
  end)
  write({ to = "D/a.tsv", fields = { "text", "n" }, header = false }, RECORDS, function(dir)
    test.equal(slurp(dir .. "/a.tsv"), '"one, ""quoted"""\t1\r\n"two\nlines"\t2\r\n=1+1\t3\r\ndrei ü\t4\r\n')
  end)
end)

test.case("text, JSON arrays, gzip without a time in it", function()
  write({ to = { "D/a.txt", "D/a.json", "D/a.jsonl.gz" }, separator = "\n\n" }, RECORDS, function(dir)
    test.equal(slurp(dir .. "/a.txt"), "one, \"quoted\"\n\ntwo\nlines\n\n=1+1\n\ndrei ü\n\n")
    test.equal(#json.decode(slurp(dir .. "/a.json")), 4)
    test.equal(slurp(dir .. "/a.jsonl.gz"):sub(5, 8), "\0\0\0\0")
    test.equal(#lines(dir .. "/a.jsonl.gz"), 4)
  end)
end)

test.case("fields are chosen, named and ordered; metadata can go", function()
  write({ to = "D/a.jsonl", fields = { "n", "source=metadata.source" } }, RECORDS, function(dir)
    test.equal(lines(dir .. "/a.jsonl")[1], '{"n":1,"source":"a/b"}')
  end)
  write({ to = "D/a.jsonl", drop_metadata = true }, RECORDS, function(dir)
    test.equal(json.decode(lines(dir .. "/a.jsonl")[1]), { id = "1", n = 1, text = 'one, "quoted"' })
  end)
  test.raises("no record has 'txt'", write, { to = "D/a.jsonl", fields = { "txt" } }, RECORDS, function() end)
end)

test.case("shards are cut by size and named when their number is known", function()
  local records = {}
  for i = 1, 40 do records[i] = { id = tostring(i), text = ("x"):rep(90) } end
  write({ to = "D/t.jsonl", shard = 1000 }, records, function(dir, ctx)
    test.equal(#ctx.facts.files, 5)
    test.ok(file.stat(dir .. "/t-00000-of-00005.jsonl"))
    local all = 0
    for i = 0, 4 do all = all + #lines(("%s/t-%05d-of-00005.jsonl"):format(dir, i)) end
    test.equal(all, 40)
    test.contains(slurp(dir .. "/README.md"), 'path: "t-*-of-00005.jsonl"')
  end)
end)

test.case("Parquet: kinds that differ, nothing everywhere, nested values; read back as they were", function()
  local records = {
    { id = "a", mixed = 1, number = 1, list = { 1, json.null }, deep = { { role = "user", content = "hi" } }, big = 1 << 60 },
    { id = "b", mixed = "x", number = 2.5, nothing = json.null, empty = json.object {}, list = json.array {}, big = 0.5 },
    { id = "c", mixed = { 1, { k = json.null } }, flag = true, deep = json.array {}, empty = json.object {} },
    { id = "d" },
  }
  for _, compression in ipairs { "none", "gzip", "zstd" } do
    local fine, why = pcall(write, { to = "D/x.parquet", compression = compression }, records, function(dir)
      local types = {}
      local p <close> = assert(parquet.open(dir .. "/x.parquet"))
      for _, column in ipairs(p:schema()) do types[column.name] = column.type end
      test.equal(types, { id = "string", mixed = "json", number = "double", list = "list", deep = "list", big = "json",
        nothing = "string", empty = "json", flag = "bool" })
      local got = {}
      for line in p:lines() do got[#got + 1] = json.decode(line) end
      test.equal(#got, 4)
      for i, record in ipairs(records) do
        for name, value in pairs(record) do test.equal(json.encode(got[i][name], { sort = true }),
          json.encode(name == "number" and value + 0.0 or value, { sort = true }), name) end
        for name, value in pairs(got[i]) do
          if value ~= json.null then test.ok(record[name] ~= nil, name) end
        end
      end
    end)
    if not fine and not (compression == "zstd" and why:find "no libzstd") then error(why, 0) end
  end
end)

test.case("Parquet: many rows, a dictionary that is given up, pages and nulls", function()
  local random = require("engine.hash").rng(5, "parquet write")
  local records = {}
  for i = 1, 5000 do
    records[i] = { n = random:integer(-1 << 62, 1 << 62), few = ("value %d"):format(random:integer(1, 9)),
      late = i < 900 and "same" or ("row %d "):format(i):rep(random:integer(1, 60)),
      sparse = i % 97 == 0 and { a = i } or json.null, flag = random:integer(0, 1) == 1, one = "constant" }
    if i % 7 == 0 then records[i].few = nil end
  end
  write({ to = "D/x.parquet", compression = "none" }, records, function(dir)
    local p <close> = assert(parquet.open(dir .. "/x.parquet"))
    local i = 0
    for line in p:lines() do
      i = i + 1
      local got = json.decode(line)
      for name, value in pairs(records[i]) do test.equal(got[name], value, name) end
      test.ok(records[i].few or got.few == json.null)
    end
    test.equal(i, 5000)
  end)
end)

test.case("columns guessed from the first records: the bytes are those of a whole first pass", function()
  local random = require("engine.hash").rng(11, "guess")
  local function value(depth)
    local kind = random:integer(1, depth > 2 and 8 or 12)
    if kind <= 2 then return random:integer(-9, 9) end
    if kind == 3 then return random:number() end
    if kind == 4 then return ({ 1 << 60, (1 << 53) + 1, 1e300, -0.0 })[random:integer(1, 4)] end
    if kind == 5 then return random:integer(0, 1) == 1 end
    if kind <= 7 then return "s" .. random:integer(1, 9) end
    if kind == 8 then return json.null end
    local out = {}
    for i = 1, random:integer(0, 2) do
      if kind <= 10 then out[i] = value(depth + 1) else out["k" .. random:integer(1, 3)] = value(depth + 1) end
    end
    return kind <= 10 and json.array(out) or json.object(out)
  end
  for round = 1, 60 do
    -- mostly of one shape, with a surprise somewhere
    local records, names = {}, { "a", "b", "c" }
    local shape = { a = value(0), b = value(0), c = value(0) }
    for i = 1, 12 do
      records[i] = { id = i, metadata = { split = random:integer(1, 9) == 1 and "test" or "train" } }
      for _, name in ipairs(names) do records[i][name] = random:integer(1, 12) == 1 and value(0) or shape[name] end
    end
    local to = ({ "D/{split}.parquet", "D/x.parquet", "D/{split}.csv" })[round % 3 + 1]
    local function digests(bytes)
      local out = {}
      write({ to = to, compression = "none" }, records, function(_, ctx)
        for i, f in ipairs(ctx.facts.files) do out[i] = f.sha256 end
      end, { guess_bytes = bytes })
      return out
    end
    test.equal(digests(1), digests(1 << 40), "round " .. round)
  end
end)

test.case("a type that is given holds, or the value that does not fit is named", function()
  write({ to = "D/x.parquet", types = { n = "double", metadata = "json" } }, RECORDS, function(dir)
    local p <close> = assert(parquet.open(dir .. "/x.parquet", { columns = { "n" } }))
    test.equal(p:lines()(), '{"n":1.0}')
  end)
  test.raises("text is of kind string, its column's type is int64", write,
    { to = "D/x.parquet", types = { text = "int64" } }, RECORDS, function() end)
end)

test.case("mistakes in the options are named before anything runs", function()
  local module = require "lathe.stage.write"
  local function wrong(options, part)
    local fine, message = module.check(assert(require("lathe.config").check(module.options, options, module.positional)))
    test.equal(fine, nil)
    test.contains(message, part)
  end
  wrong({ "a.xyz" }, "the name does not tell the format")
  wrong({ "a.parquet.gz" }, "Parquet compresses its pages itself")
  wrong({ "{spl it}.jsonl" }, "'{spl it}' is not the name of a field")
  wrong({ "a.jsonl", shard = "many" }, "shard: 'many' is not a size")
  wrong({ "a.jsonl", fields = { "a", "b=c", "a=d" } }, "'a' is there twice")
  wrong({ "a.parquet", types = { id = "number" } }, "none of string, int64")
  test.raises("D/a.jsonl: two of the targets", function()
    local fine, message = pcall(write, { to = { "D/a.jsonl", "D/a.jsonl" } }, RECORDS, function() end)
    error(fine or message:gsub("[^ ]*/a.jsonl", "D/a.jsonl"), 0)
  end)
  test.raises("the record has no metadata.lang, which the path", write, { to = "D/{lang}.jsonl" }, RECORDS, function() end)
  write({ to = "D/{lang}.jsonl", missing = "all" }, RECORDS, function(dir) test.ok(file.stat(dir .. "/all.jsonl")) end)
end)

test.case("a failure leaves nothing behind", function()
  test.with_dir(function(dir)
    test.raises("has no 'text' to write", stage.run, "write", { to = dir .. "/x/a.txt" },
      { { text = "fine" }, { txt = "not" } }, { stage = "write", recipe = "letters" })
    test.equal(#file.list(dir .. "/x"), 0)
  end)
end)

test.case("the card: splits, tokens, sources, licences, hashes, and no place of this machine", function()
  write({ to = "D/{split}.jsonl", title = "Letters", description = "Some letters." }, RECORDS, function(dir, ctx)
    local text = slurp(dir .. "/README.md")
    test.equal(text, slurp(ctx.dir .. "/README.md"))
    for _, part in ipairs { "license: mit\n", 'pretty_name: "Letters"', "- n<1K", "- split: train\n    path: \"train.jsonl\"",
      "| train | 3 |", "| a/b | 1 |", "| mit | 3 |", "| not said | 1 |", "`" .. file.sha256(dir .. "/train.jsonl") .. "`",
      "# Letters\n\nSome letters.", "By the recipe `letters`, with Lathe 0.0, seed 42." } do test.contains(text, part) end
    test.ok(not text:find(dir, 1, true))
  end)
end)

-- ---- with the runner ----

local RECIPE = [[
local lathe = require "lathe"
return lathe.recipe "letters" {
  lathe.stage "letters" { options = { last = { default = 9 } }, list = function(ctx, emit) emit { path = "x", id = "x" } end,
    each = function(item, ctx, emit)
      for i = 1, ctx.options.last do emit { id = tostring(i), text = "t" .. i, metadata = { split = i % 3 == 0 and "test" or "train" } } end
    end },
  lathe.write { "data/{split}.jsonl" },
}
]]

local function recipe(f)
  test.with_dir(function(dir)
    cli.put(dir .. "/letters.lua", RECIPE)
    local function run(more)
      local status, out, err = cli.run("run letters.lua -j2 " .. (more or ""), { cwd = dir })
      return status, out .. err
    end
    f(dir, run)
  end)
end

test.case("a run writes; again nothing is done; a file that is missing is written again", function()
  recipe(function(dir, run)
    local status, out = run()
    test.equal(status, 0, out)
    test.contains(out, "6 in data/train.jsonl, 3 in data/test.jsonl")
    local digest = file.sha256(dir .. "/data/train.jsonl")
    status, out = run()
    test.equal(status, 0, out)
    test.contains(out, "Everything was done before.")
    file.remove_tree(dir .. "/data/train.jsonl")
    status, out = run()
    test.equal(status, 0, out)
    test.contains(out, "data/train.jsonl is missing: write is done again.")
    test.equal(file.sha256(dir .. "/data/train.jsonl"), digest)
    test.contains(slurp(dir .. "/data/README.md"), "| letters | 1 | 9 | 0 |")
  end)
end)

test.case("other options write over our own files, with or without the run's folder", function()
  recipe(function(dir, run)
    test.equal(run(), 0)
    local status, out = run "--set letters.last=12"
    test.equal(status, 0, out)
    test.equal(#lines(dir .. "/data/train.jsonl"), 8)
    file.remove_tree(dir .. "/runs")
    status, out = run "--set letters.last=15"
    test.equal(status, 0, out)
    test.equal(#lines(dir .. "/data/train.jsonl"), 10)
  end)
end)

test.case("a file of the user's is not written over, unless it is asked for", function()
  recipe(function(dir, run)
    cli.put(dir .. "/data/train.jsonl", "mine\n")
    local status, out = run()
    test.equal(status, 2, out)
    test.contains(out, "data/train.jsonl: is there already and is not what this recipe has written")
    test.equal(slurp(dir .. "/data/train.jsonl"), "mine\n")
    test.ok(not file.stat(dir .. "/data/test.jsonl"))
    status, out = run "--set write.overwrite=true"
    test.equal(status, 0, out)
    test.equal(#lines(dir .. "/data/train.jsonl"), 6)
    -- changed by hand: again not written over
    cli.put(dir .. "/data/train.jsonl", "edited\n")
    status, out = run()
    test.equal(status, 2, out)
    test.equal(slurp(dir .. "/data/train.jsonl"), "edited\n")
  end)
end)

test.case("a README.md of the user's stays", function()
  recipe(function(dir, run)
    cli.put(dir .. "/data/README.md", "# Mine\n")
    local status, out = run()
    test.equal(status, 0, out)
    test.contains(out, "README.md is not ours and stays as it is")
    test.equal(slurp(dir .. "/data/README.md"), "# Mine\n")
    test.contains(slurp(dir .. "/runs/letters/02-write/dataset/README.md"), "# letters")
  end)
end)

test.case("the stage alone: a file by its name, a folder by splits, and back again", function()
  test.with_dir(function(dir)
    local text = {}
    for i, r in ipairs(RECORDS) do text[i] = json.encode(r) .. "\n" end
    cli.put(dir .. "/in.jsonl", table.concat(text))
    local status, _, err = cli.run("stage write in.jsonl x.parquet", { cwd = dir })
    test.equal(status, 0, err)
    status, _, err = cli.run("stage write in.jsonl out/ --set format=csv", { cwd = dir })
    test.equal(status, 0, err)
    test.ok(file.stat(dir .. "/out/train.csv") and file.stat(dir .. "/out/README.md"))
    status, _, err = cli.run("stage write in.jsonl out/ --set format=csv", { cwd = dir })
    test.equal(status, 0, err)
    local p <close> = assert(parquet.open(dir .. "/x.parquet"))
    test.equal(#p, 4)
    local n = 0
    for line in p:lines() do
      n = n + 1
      test.equal(json.decode(line).text, RECORDS[n].text)
    end
    status, _, err = cli.run("stage write in.jsonl y.xyz", { cwd = dir })
    test.equal(status, 2)
    test.contains(err, "the name does not tell the format")
    cli.put(dir .. "/bad.jsonl", '{"a":1}\n[2]\n')
    status, _, err = cli.run("stage write bad.jsonl z.jsonl", { cwd = dir })
    test.equal(status, 1, err)
    test.contains(err, "bad.jsonl:2: not a record: an object was expected, this is of kind array")
  end)
end)

test.case("a field with ? behind it may be in no record", function()
  write({ to = "D/out.jsonl", fields = { "text", "x=a.b?", "none?" }, card = false }, { { text = "t", a = { b = 1 } } }, function(dir)
    test.equal(file.read(dir .. "/out.jsonl"), '{"text":"t","x":1}\n')
  end)
  test.raises("no record has 'none'", function()
    write({ to = "D/out.jsonl", fields = { "text", "none" }, card = false }, { { text = "t" } }, function() end)
  end)
end)

test.case("what a killed writer left is removed, and what a running one has is not", function()
  test.with_dir(function(dir)
    -- the shell's child becomes a zombie of sleep, which nobody waits for
    local pipe = io.popen "sh -c 'sleep 0 & echo $!; exec sleep 2' 2>/dev/null"
    local zombie = pipe:read "l"
    local self = file.read "/proc/self/stat":match "^%d+"
    require("engine.clock").sleep(0.2)
    test.contains(file.read("/proc/" .. zombie .. "/stat"), ") Z")
    for _, pid in ipairs { zombie, self, "999999999" } do cli.put(("%s/out/a.jsonl.tmp-%s-1"):format(dir, pid), "x") end
    cli.put(dir .. "/in.jsonl", '{"text":"t"}\n')
    local status, _, err = cli.run("stage write in.jsonl out/a.jsonl", { cwd = dir })
    test.equal(status, 0, err)
    local left = {}
    for _, entry in ipairs(file.list(dir .. "/out")) do left[#left + 1] = entry.name end
    test.equal(left, { "README.md", "a.jsonl", "a.jsonl.tmp-" .. self .. "-1" })
    os.execute("kill " .. math.tointeger(tonumber(zombie)) .. " 2>/dev/null")
    pipe:close()
  end)
end)

return test.done()
