-- SPDX-License-Identifier: MIT
-- Help: `lathe help NAME`, help(x) at the prompt, and doc/api.md, all made from the comments above the code.
--
--   lua/lathe/**/*.lua      blocks that begin with ---, above a function of the module
--   engine/bind/*.c         blocks /*** … */ with a line @function NAME; in an installed copy they are in
--                           doc/engine.txt, which `make install` takes out of the sources
--
-- An entry: { name, kind = "function", summary, text, params = {{name, text}}, returns, errors, example, file }.
-- The index is made when it is first asked for (some 20 ms), never at the start of the program.

local file = require "engine.file"

local M = {}

local WIDTH = 100

-- ---- comments to entries ----

local TAGS = { param = "params", ["return"] = "returns", error = "errors", example = "examples", ["function"] = "name" }

local function trim(s) return (s:gsub("^%s+", ""):gsub("%s+$", "")) end

local function first_sentence(text)
  local line = text:match "^[^\n]*"
  return (line:match "^(.-%.)%s" or line):gsub(":$", "")
end

-- A block's lines without their comment marks. A line that begins with @ begins a tag; others go on with what
-- stands above them. Indented lines keep their line breaks, others are joined.
local function parse_block(lines)
  local entry = { params = {}, returns = {}, errors = {}, examples = {}, text = {} }
  local current
  local function finish()
    if current and current.list then current.list[#current.list + 1] = current.text end
  end
  for _, line in ipairs(lines) do
    local tag, rest = line:match "^%s*@(%w+)%s*(.*)$"
    if tag and TAGS[tag] == "name" then
      entry.name = rest:match "^(%S+)"
      finish()
      current = nil
    elseif tag and TAGS[tag] then
      finish()
      current = { list = entry[TAGS[tag]], text = trim(rest) }
    elseif current then
      local joint = current.list == entry.examples and "\n" or " "
      if line:match "%S" then current.text = current.text .. joint .. trim(line) end
    elseif not entry.name or line:match "%S" then
      entry.text[#entry.text + 1] = line
    end
  end
  finish()
  local text, paragraph = {}, nil
  for _, line in ipairs(entry.text) do
    if line:match "^%s%s" or not line:match "%S" then
      text[#text + 1] = line:gsub("%s+$", "")
      paragraph = false
    elseif paragraph then
      text[#text] = text[#text] .. " " .. trim(line)
    else
      text[#text + 1] = trim(line)
      paragraph = true
    end
  end
  entry.text = trim(table.concat(text, "\n"))
  entry.summary = first_sentence(entry.text)
  entry.kind = "function"
  return entry
end

local function lines_of(text)
  local out = {}
  for line in (text .. "\n"):gmatch "(.-)\r?\n" do out[#out + 1] = line end
  return out
end

-- The comment that a file begins with, behind the licence line.
local function head_of_lua(lines)
  local out = {}
  for i = 2, #lines do
    local rest = lines[i]:match "^%-%- ?(.*)$"
    if not rest then break end
    out[#out + 1] = rest
  end
  return out
end

local function add(index, entry)
  if not entry.name then return end
  index.list[#index.list + 1] = entry
  index.by_name[entry.name] = entry
end

local function module_entry(name, head, path)
  local entry = parse_block(head)
  entry.kind, entry.name, entry.file = "module", name, path
  local rest = entry.text:match("^require \"[%w._]+\"[:,]?%s*(.*)$")
  if rest then
    entry.text = rest
    entry.summary = first_sentence(rest)
  end
  return entry
end

-- `function M.name(args)` → the module's; `function Class:name(args)` → class:name.
local function named(line, module)
  local owner, separator, name, args = line:match "^function ([%w_]+)([.:])([%w_]+)%s*(%b())"
  if not owner then
    owner, separator, name, args = line:match "^([%w_]+)([.:])([%w_]+)%s*=%s*function%s*(%b())"
  end
  if not owner or name:match "^__" then return nil end
  if owner == "M" then return module .. "." .. name, args end
  return owner:lower() .. separator .. name, args
end

--- Adds the documentation of a Lua source file to an index.
-- @param index table: { list, by_name }
-- @param text string: the source
-- @param module string: the module's name
-- @param path string: the file's
function M.index_lua(index, text, module, path)
  local lines = lines_of(text)
  add(index, module_entry(module, head_of_lua(lines), path))
  local block
  for _, line in ipairs(lines) do
    local first = line:match "^%-%-%-%s(.*)$"
    local more = block and line:match "^%-%- ?(.*)$"
    if first then
      block = { first }
    elseif more then
      block[#block + 1] = more
    elseif block then
      local name, args = named(line, module)
      if name then
        local entry = parse_block(block)
        entry.name, entry.args, entry.file = name, args, path
        add(index, entry)
      end
      block = nil
    end
  end
end

--- Adds the documentation of a C source file (or of what make install took out of it).
-- @param index table: { list, by_name }
-- @param text string: the source
-- @param module string: the module's name
-- @param path string: the file's
function M.index_c(index, text, module, path)
  local head = text:gsub("^/%*[^\n]*SPDX[^\n]*\n", ""):match "^%s*/%*([^*].-)%*/"
  local lines = {}
  for _, line in ipairs(lines_of(head or "")) do lines[#lines + 1] = line:gsub("^ ?%* ?", "") end
  add(index, module_entry(module, lines, path))
  for comment in text:gmatch "/%*%*%*(.-)%*/" do
    lines = {}
    for i, line in ipairs(lines_of(comment)) do lines[i] = line:gsub("^%-%- ?", "") end
    local entry = parse_block(lines)
    local names = {}
    for i, p in ipairs(entry.params) do names[i] = p:match "^(%S+)" end
    entry.args = "(" .. table.concat(names, ", ") .. ")"
    entry.file = path
    add(index, entry)
  end
end

local function root() return require("engine.system").root() end

local function index_engine(index)
  local folder = root() .. "/engine/bind"
  if file.stat(folder) then
    for _, item in ipairs(file.list(folder) or {}) do
      local name = item.name:match "^([%w_]+)%.c$"
      if name and name ~= "bind" then
        M.index_c(index, file.read(folder .. "/" .. item.name) or "", "engine." .. name, "engine/bind/" .. item.name)
      end
    end
    return
  end
  local all = file.read(root() .. "/doc/engine.txt") or ""
  local path, lines
  local function finish()
    if path then M.index_c(index, table.concat(lines, "\n"), "engine." .. path:match "([%w_]+)%.c$", path) end
  end
  for _, line in ipairs(lines_of(all)) do
    local begun = line:match "^=== (%S+%.c)$"
    if begun then
      finish()
      path, lines = begun, {}
    elseif path then
      lines[#lines + 1] = line
    end
  end
  finish()
end

local function index_folder(index, folder, module)
  for _, item in ipairs(file.list(folder) or {}) do
    local path, name = folder .. "/" .. item.name, item.name:match "^([%w_-]+)%.lua$"
    if item.is_dir then
      index_folder(index, path, module .. "." .. item.name)
    elseif name then
      local full = name == "init" and module or module .. "." .. name
      M.index_lua(index, file.read(path) or "", full, path:sub(#root() + 2))
    end
  end
end

local cached
--- Everything that is documented.
-- @return table: { list = entries in order, by_name = by full name }
function M.index()
  if cached then return cached end
  local index = { list = {}, by_name = {} }
  index_engine(index)
  index_folder(index, root() .. "/lua/lathe", "lathe")
  table.sort(index.list, function(a, b)
    if a.name ~= b.name then return a.name < b.name end
    return a.file < b.file
  end)
  cached = index
  return index
end

-- ---- finding ----

-- Entries that a name means: the whole name; without "engine." or "lathe."; the last part alone.
local function find_entries(name)
  local index = M.index()
  if index.by_name[name] then return { index.by_name[name] } end
  local found = {}
  for _, prefix in ipairs { "lathe.", "engine." } do
    found[#found + 1] = index.by_name[prefix .. name]
  end
  if #found > 0 then return found end
  for _, entry in ipairs(index.list) do
    local start = #entry.name - #name
    if start > 0 and entry.name:sub(start + 1) == name and entry.name:sub(start, start):match "[.:]" then
      found[#found + 1] = entry
    end
  end
  return found
end

local function members(module)
  local out = {}
  for _, entry in ipairs(M.index().list) do
    if entry.kind == "function" and (entry.name:match "^(.*)%.[%w_]+$" == module.name
      or entry.file == module.file and entry.name:find(":", 1, true)) then
      out[#out + 1] = entry
    end
  end
  return out
end

-- ---- writing ----

local function indent(text, by)
  local pad = (" "):rep(by)
  return pad .. text:gsub("\n", "\n" .. pad)
end

local function wrap(text, by, hang)
  local out = {}
  for _, line in ipairs(lines_of(text)) do
    if #line + by <= WIDTH or line:match "^%s" then
      out[#out + 1] = (" "):rep(by) .. line
    else
      local now = (" "):rep(by)
      local used = by
      for word in line:gmatch "%S+" do
        local n = utf8.len(word) or #word
        if used + n + 1 > WIDTH and used > by then
          out[#out + 1] = now
          now, used = (" "):rep(by + (hang or 0)), by + (hang or 0)
        end
        local gap = now:match "%S" and " " or ""
        now, used = now .. gap .. word, used + n + #gap
      end
      out[#out + 1] = now
    end
  end
  return table.concat(out, "\n")
end

local function pad(text, n)
  local width = utf8.len(text) or #text
  return text .. (" "):rep(math.max(0, n - width))
end

local function columns(rows, by)
  local widest = 0
  for _, row in ipairs(rows) do widest = math.max(widest, utf8.len(row[1]) or #row[1]) end
  widest = math.min(widest, 34)
  local out = {}
  for i, row in ipairs(rows) do
    local text = wrap(row[2] or "", by + widest + 2)
    out[i] = (" "):rep(by) .. pad(row[1], widest) .. "  " .. text:gsub("^%s+", "")
  end
  return table.concat(out, "\n")
end

local function function_text(entry)
  local out = { entry.name .. (entry.args or ""), wrap(entry.text, 2) }
  if #entry.params > 0 then
    local rows = {}
    for i, p in ipairs(entry.params) do
      local name, rest = p:match "^(%S+)%s*(.*)$"
      rows[i] = { name or p, rest or "" }
    end
    out[#out + 1] = "\n" .. columns(rows, 2)
  end
  for _, r in ipairs(entry.returns) do out[#out + 1] = wrap("gives " .. r, 2, 6) end
  for _, e in ipairs(entry.errors) do out[#out + 1] = wrap("fails with " .. e, 2, 11) end
  for _, e in ipairs(entry.examples) do out[#out + 1] = "\n  Example:\n" .. indent(e, 4) end
  out[#out + 1] = "\n  (" .. entry.file .. ")"
  return table.concat(out, "\n")
end

local function module_text(entry)
  local out = { ("module %s"):format(entry.name), wrap(entry.text, 2) }
  local rows = {}
  for i, e in ipairs(members(entry)) do
    local short = e.name:sub(1, #entry.name + 1) == entry.name .. "." and e.name:sub(#entry.name + 2) or e.name
    rows[i] = { short .. (e.args or ""), e.summary }
  end
  if #rows > 0 then out[#out + 1] = "\n" .. columns(rows, 2) end
  out[#out + 1] = "\n  (" .. entry.file .. ")"
  return table.concat(out, "\n")
end

local function entry_text(entry)
  return entry.kind == "module" and module_text(entry) or function_text(entry)
end

-- ---- commands, stages, recipes, templates ----

local function commands()
  local out = {}
  local fine, cli = pcall(require, "lathe.cli")
  if not fine or not cli.parser then return out end
  for _, command in ipairs(cli.parser()._commands or {}) do
    out[#out + 1] = { name = command._name, summary = command._description or "", text = command:get_help() }
  end
  return out
end

local function stage_search() return require("lathe.plan").search_path(".", "stages") end

local function stage_names()
  local planner = require "lathe.plan"
  local names, seen = {}, {}
  for _, name in ipairs(planner.our_stages()) do names[#names + 1], seen[name] = name, true end
  for _, folder in ipairs(stage_search()) do
    for _, item in ipairs(file.stat(folder) and file.list(folder) or {}) do
      local name = item.name:match "^([%w_-]+)%.lua$"
      if name and not seen[name] then names[#names + 1], seen[name] = name, true end
    end
  end
  table.sort(names)
  return names
end

local function find_stage(name)
  if not name:match "^[%w_-]+$" then return nil end
  local fine, module, path = pcall(require("lathe.plan").find_stage, name, stage_search())
  if not fine or not module then return nil end
  return module, path or "lua/lathe/stage/" .. name .. ".lua"
end

local function default_text(value)
  if type(value) == "string" then return ("%q"):format(value) end
  return require("lathe.show").show(value, { width = 60, depth = 2 })
end

local function option_rows(options)
  local rows = {}
  for i, name in ipairs(require("lathe.config").names(options or {})) do
    local spec = options[name]
    local facts = { (spec.type or "any"):gsub("|", " or ") .. "" }
    if spec.required then facts[#facts + 1] = "required" end
    if spec.default ~= nil then facts[#facts + 1] = "default " .. default_text(spec.default) end
    if spec.choices then
      local list = {}
      for j, c in ipairs(spec.choices) do list[j] = tostring(c) end
      facts[#facts + 1] = "one of " .. table.concat(list, ", ")
    end
    rows[i] = { name, (spec.help and spec.help .. " " or "") .. "(" .. table.concat(facts, "; ") .. ")" }
  end
  return rows
end

local KIND_TEXT = {
  map = "record by record",
  barrier = "needs all records before it gives one",
  artifact = "passes records through and makes a folder",
}

-- The artifacts that a stage reads when its options are as they come.
local function uses_of(module)
  local uses = module.uses
  if type(uses) == "function" then
    local defaults = {}
    for option, spec in pairs(module.options or {}) do defaults[option] = spec.default end
    local fine, list = pcall(uses, defaults)
    uses = fine and list
  end
  return type(uses) == "table" and uses or type(uses) == "string" and { uses } or {}
end

local function stage_text(name, module, path)
  local kind = module.kind or "map"
  local out = { ("stage %s (%s: %s)"):format(name, kind, KIND_TEXT[kind] or "?") }
  if module.summary then out[2] = wrap(module.summary, 2) end
  local rows = option_rows(module.options)
  if #rows > 0 then out[#out + 1] = "\n  Options:\n" .. columns(rows, 4) end
  if module.positional then
    out[#out + 1] = "\n  Values without a name are: " .. table.concat(module.positional, ", ")
  end
  if module.publishes then out[#out + 1] = "  Makes: " .. module.publishes .. " (another name: as = \"…\")" end
  local uses = uses_of(module)
  if #uses > 0 then out[#out + 1] = "  Uses: " .. table.concat(uses, ", ") end
  local positional, first = module.positional and module.positional[1], nil
  for _, row in ipairs(rows) do
    if row[1] ~= positional and not first then first = row[1] end
  end
  local sample = positional or first
  local identifier = name:match "^[%a_][%w_]*$" and "lathe." .. name or ("lathe[%q]"):format(name)
  out[#out + 1] = ("\n  In a recipe:  %s { %s }"):format(identifier, sample and sample .. " = …" or "")
  local needs = ""
  for _, artifact in ipairs(uses) do needs = needs .. (" --artifact %s=FOLDER"):format(artifact) end
  out[#out + 1] = ("  Alone:        lathe stage %s %s%s%s"):format(name,
    module.list and "INPUT out.jsonl" or kind == "artifact" and "in.jsonl OUT" or "in.jsonl out.jsonl",
    needs, first and " --" .. first:gsub("_", "-") .. " …" or "")
  out[#out + 1] = "\n  (" .. path .. ")"
  return table.concat(out, "\n")
end

local function recipe_paths()
  local out = {}
  for _, folder in ipairs { "recipes", root() .. "/recipes" } do
    for _, item in ipairs(file.stat(folder) and file.list(folder) or {}) do
      local name = item.name:match "^([%w_-]+)%.lua$"
      if name and not out[name] then out[name] = folder .. "/" .. item.name end
    end
  end
  return out
end

local function recipe_text(name, path)
  local recipe, message = require("lathe.plan").load(path)
  if not recipe then return ("recipe %s\n  %s"):format(name, message) end
  local out = { ("recipe %s"):format(name), wrap(recipe.description or "", 2), "\n  Stages:" }
  local rows = {}
  for i, stage in ipairs(recipe.stages) do
    local module = stage.module or find_stage(stage.stage)
    rows[i] = { stage.name or stage.stage, module and module.summary or "" }
  end
  out[#out + 1] = columns(rows, 4)
  rows = option_rows(recipe.specs)
  for _, row in ipairs(rows) do row[1] = "--" .. row[1]:gsub("_", "-") end
  if #rows > 0 then out[#out + 1] = "\n  Options:\n" .. columns(rows, 4) end
  out[#out + 1] = ("\n  Run it:  lathe run %s"):format(path)
  return table.concat(out, "\n")
end

local function template_names()
  local fine, template = pcall(require, "lathe.template")
  return fine and template.names(".") or {}
end

local function template_text(name)
  local fine, template = pcall(require("lathe.template").load, name)
  if not fine or not template then return nil end
  local out = { ("template %s"):format(name), wrap(template.description or "", 2) }
  local rows = {}
  local function row(key, value) if value then rows[#rows + 1] = { key, value } end end
  local function list(t) return t and #t > 0 and table.concat(t, ", ") or nil end
  row("form", template.form)
  row("needs", list(template.fields))
  row("optional", list(template.optional))
  row("loss on", type(template.loss) == "table" and list(template.loss.roles or template.loss.fields) or template.loss)
  row("stops at", list(template.stop))
  row("special tokens", list(template.special))
  if #rows > 0 then out[#out + 1] = "\n" .. columns(rows, 2) end
  if template.path then
    local own = template.path:sub(1, 12) == "./templates/" and root() ~= "." and not file.stat "./lua/lathe/template.lua"
    out[#out + 1] = ("\n  (%s%s)"):format(template.path,
      own and "" or "; copy it to templates/ beside your recipe and edit it")
  end
  return table.concat(out, "\n")
end

local function extractor_text(name)
  local extractor, path = require("lathe.extractors").find(name)
  if not extractor then return nil end
  local out = { ("extractor %s"):format(name), wrap(extractor.description or "", 2) }
  local rows = option_rows(extractor.options or {})
  if #rows > 0 then out[#out + 1] = "\n  Options:\n" .. columns(rows, 4) end
  out[#out + 1] = ('\n  In a recipe:  lathe.read { "FOLDER", sources = { "%s" } }'):format(name)
  out[#out + 1] = ("\n  (%s; copy it to extractors/ beside your recipe and edit it)"):format(path)
  return table.concat(out, "\n")
end

-- ---- a name, a value, everything ----

local function listed(entries)
  local rows = {}
  for i, e in ipairs(entries) do rows[i] = { e.name, e.summary } end
  return columns(rows, 2)
end

local function name_text(name)
  local out = {}
  for _, command in ipairs(commands()) do
    if command.name == name then out[#out + 1] = command.text end
  end
  local module, path = find_stage(name)
  if module then out[#out + 1] = stage_text(name, module, path) end
  local recipe = recipe_paths()[name:match "^recipes/([%w_-]+)%.lua$" or name]
  if recipe then out[#out + 1] = recipe_text(name, recipe) end
  for _, template in ipairs(template_names()) do
    if template == name then out[#out + 1] = template_text(name) end
  end
  out[#out + 1] = extractor_text(name)
  local entries = find_entries(name)
  if #out > 0 then
    local also = {}
    for _, entry in ipairs(entries) do
      if entry.name ~= "lathe.stage." .. name then also[#also + 1] = entry end
    end
    if #also > 0 then out[#out + 1] = "See also:\n" .. listed(also) end
  elseif #entries > 3 then
    out[#out + 1] = ("%s is the end of several names:\n%s"):format(name, listed(entries))
  else
    for _, entry in ipairs(entries) do out[#out + 1] = entry_text(entry) end
  end
  if #out > 0 then return table.concat(out, "\n\n") end
end

--- What stands behind `lathe run RECIPE --help` and `lathe stage NAME --help`.
-- @param command string: "run" or "stage"
-- @param name string: a recipe's file, or a stage's name
-- @return integer: the exit status
function M.target(command, name)
  if command == "run" and file.stat(name) then
    print(recipe_text(name, name))
    print("\n  " .. "lathe run --help lists the options that every recipe has.")
    return 0
  end
  return M.main(name)
end

--- All names that help knows.
-- @return table: sorted list
function M.names()
  local seen, names = {}, {}
  local function put(name)
    if not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, c in ipairs(commands()) do put(c.name) end
  for _, n in ipairs(stage_names()) do put(n) end
  for n in pairs(recipe_paths()) do put(n) end
  for _, n in ipairs(template_names()) do put(n) end
  for _, e in ipairs(M.index().list) do put(e.name) end
  table.sort(names)
  return names
end

-- What an unknown name may have meant, nearest first.
local function suggestions(name)
  local config = require "lathe.config"
  local names, last, of = M.names(), {}, {}
  for _, n in ipairs(names) do
    local short = n:match "([%w_]+)$" or n
    if not of[short] then last[#last + 1], of[short] = short, n end
  end
  local out, seen = {}, {}
  local function put(n)
    if n and not seen[n] and #out < 6 then
      seen[n] = true
      out[#out + 1] = n
    end
  end
  put(config.nearest(name, names))
  if #name > 4 then put(of[config.nearest(name:match "([%w_]+)$" or name, last)]) end
  for _, n in ipairs(names) do if n:find(name, 1, true) then put(n) end end
  return out
end

--- The overview: commands, stages, recipes, templates and modules.
-- @return string
function M.overview()
  local out = { "lathe help NAME explains a command, stage, recipe, template, module or function." }
  local function section(title, rows)
    if #rows > 0 then out[#out + 1] = "\n" .. title .. "\n" .. columns(rows, 2) end
  end
  local rows = {}
  for i, c in ipairs(commands()) do rows[i] = { c.name, c.summary } end
  section("Commands", rows)
  rows = {}
  for i, n in ipairs(stage_names()) do
    local module = find_stage(n)
    rows[i] = { n, module and module.summary or "" }
  end
  section("Stages (in a recipe: lathe.NAME { … })", rows)
  rows = {}
  local paths = recipe_paths()
  for i, n in ipairs(require("lathe.config").names(paths)) do
    local fine, recipe = pcall(require("lathe.plan").load, paths[n])
    rows[i] = { n, fine and recipe and recipe.description or "" }
  end
  section("Recipes", rows)
  rows = {}
  for i, n in ipairs(template_names()) do
    local fine, template = pcall(require("lathe.template").load, n)
    rows[i] = { n, fine and template and template.description or "" }
  end
  section("Templates", rows)
  rows = {}
  for _, e in ipairs(M.index().list) do
    if e.kind == "module" and not e.name:match "^lathe%.stage%." and not e.name:match "^lathe%.jinja%." then
      rows[#rows + 1] = { e.name, e.summary }
    end
  end
  section("Modules (require \"NAME\")", rows)
  return table.concat(out, "\n")
end

-- The documented name of a function or module that is loaded.
local function name_of_value(x)
  for name, module in pairs(package.loaded) do
    if name:match "^lathe" or name:match "^engine%." then
      if module == x then return name end
      if type(module) == "table" then
        for key, value in next, module do
          if value == x and type(key) == "string" then return name .. "." .. key end
        end
      end
    end
  end
  for name, meta in pairs(debug.getregistry()) do
    local class = type(name) == "string" and type(meta) == "table" and name:match "^lathe%.(.+)$"
    local methods = class and rawget(meta, "__index")
    if type(methods) == "table" then
      for key, value in next, methods do if value == x then return class .. ":" .. tostring(key) end end
    end
  end
end
M.name_of_value = name_of_value

--- The stage that a constructor (lathe.NAME) makes.
-- @param f function: any function
-- @return string|nil: the stage's name
function M.stage_of(f)
  local info = debug.getinfo(f, "S")
  if not info.source:match "lua/lathe/init%.lua$" then return nil end
  for i = 1, 4 do
    local name, value = debug.getupvalue(f, i)
    if name == "name" and type(value) == "string" then return value end
  end
end

-- Objects are explained by what documents their methods.
local function object_text(x)
  local meta = debug.getmetatable(x)
  local class = meta and (rawget(meta, "__name") or rawget(meta, "__metatable"))
  if type(class) ~= "string" then return nil end
  class = class:gsub("^lathe%.", ""):lower()
  local rows, seen = {}, nil
  for _, e in ipairs(M.index().list) do
    if e.name:match "^([%w_]+):" == class then
      rows[#rows + 1] = { e.name .. (e.args or ""), e.summary }
      seen = e.file
    end
  end
  if #rows > 0 then return ("a %s\n%s\n\n  (%s)"):format(class, columns(rows, 2), seen) end
  local entries = {}
  for _, e in ipairs(M.index().list) do
    for _, r in ipairs(e.returns) do
      if r:match "^([%w_]+)" == class then entries[#entries + 1] = e end
    end
  end
  if #entries > 0 then return ("a %s; it is made by\n%s"):format(class, listed(entries)) end
  return name_text(class)
end

--- Explains a value or a name.
-- @param x any: a name, a function, a module, or any object
-- @return string|nil: the text; nil when there is nothing to say
-- @example print(require("lathe.help").text(require("engine.hash").sha256))
function M.text(x)
  if x == nil then return M.overview() end
  if type(x) == "string" then
    local text = name_text(x)
    if text then return text end
    local near = suggestions(x)
    return nil, ("no help for '%s'%s"):format(x,
      #near > 0 and "; did you mean " .. table.concat(near, ", ") .. "?" or "; lathe help lists what there is"), "misuse"
  end
  if type(x) == "table" and rawget(x, "is_stage") then return name_text(x.stage) end
  local stage = type(x) == "function" and M.stage_of(x)
  if stage then return M.text(stage) end
  local name = (type(x) == "function" or type(x) == "table") and name_of_value(x)
  local text = name and name_text(name)
  if text then return text end
  if type(x) == "table" or type(x) == "userdata" then
    text = object_text(x)
    if text then return text end
  end
  if type(x) == "function" then return nil, "this function has no documentation", "misuse" end
  return ("a %s: %s"):format(type(x), require("lathe.show").show(x))
end

--- The command `lathe help [NAME]`.
-- @param name string|nil: what to explain
-- @return integer: the exit status
function M.main(name)
  local text, message = M.text(name)
  if not text then
    io.stderr:write("lathe: ", message, "\n")
    return 2
  end
  print(text)
  return 0
end

-- ---- doc/api.md ----

local function markdown_entry(e)
  local out = { ("### `%s%s`\n"):format(e.name, e.args or ""), e.text .. "\n" }
  for _, p in ipairs(e.params) do
    local name, rest = p:match "^(%S+)%s*(.*)$"
    out[#out + 1] = ("- `%s` %s"):format(name or p, rest or "")
  end
  for _, r in ipairs(e.returns) do out[#out + 1] = "- gives " .. r end
  for _, r in ipairs(e.errors) do out[#out + 1] = "- fails with " .. r end
  for _, x in ipairs(e.examples) do out[#out + 1] = "\n```lua\n" .. x .. "\n```" end
  return table.concat(out, "\n") .. "\n"
end

--- The whole reference as Markdown (doc/api.md).
-- @return string
function M.markdown()
  local out = { "# Reference\n\nMade by `make doc` from the comments above the code.\n\n# Stages\n" }
  for _, name in ipairs(require("lathe.plan").our_stages()) do
    local module = find_stage(name)
    out[#out + 1] = ("## `lathe.%s`\n\n%s\n"):format(name, module.summary or "")
    for _, row in ipairs(option_rows(module.options)) do out[#out + 1] = ("- `%s` %s"):format(row[1], row[2]) end
    out[#out + 1] = ""
  end
  out[#out + 1] = "# Modules\n"
  for _, e in ipairs(M.index().list) do
    local list = e.kind == "module" and members(e)
    if list and #list > 0 then
      out[#out + 1] = ("## %s\n\n%s\n"):format(e.name, e.text)
      for _, m in ipairs(list) do out[#out + 1] = markdown_entry(m) end
    end
  end
  return table.concat(out, "\n")
end

return M
