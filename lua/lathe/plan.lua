-- SPDX-License-Identifier: MIT
-- From a recipe to a plan: stages found, options checked, names and artifacts bound, keys computed.
--
-- resolve() is pure but for reading stage modules: workers call it too and must come to the same
-- fingerprint. keys() reads the inputs (files to be read, templates) and gives each stage the hash that
-- its manifest is compared with:
--
--   key(stage) = SHA-256 of { name, version, options, seed, key(whose parts are read), keys(artifacts used),
--                             files listed by a source, templates, the recipe file if it has functions }

local config = require "lathe.config"
local file = require "engine.file"
local hash = require "engine.hash"
local json = require "engine.json"

local M = {}

local KINDS = { map = "each", barrier = "all", artifact = "make" }

local function fail(where, format, ...)
  error({ code = "misuse", message = (where and where .. ": " or "") .. format:format(...) }, 0)
end

--- The folders in which stages (or templates) of the user are looked for.
-- @param root string: the recipe's folder
-- @param what string: "stages" or "templates"
-- @return table: list of folders
function M.search_path(root, what)
  local home = require("lathe.xdg").folder "CONFIG" or "/.config"
  return { root .. "/" .. what, home .. "/lathe/" .. what }
end

--- The names of our own stages.
function M.our_stages()
  local names = {}
  local folder = package.searchpath("lathe.plan", package.path):gsub("plan%.lua$", "stage")
  for _, entry in ipairs(file.list(folder) or {}) do
    local name = entry.name:match "^([%w_-]+)%.lua$"
    if name then names[#names + 1] = name end
  end
  return names
end

local function known_stages(search)
  local names = M.our_stages()
  for _, folder in ipairs(search) do
    for _, entry in ipairs(file.list(folder) or {}) do
      local name = entry.name:match "^([%w_-]+)%.lua$"
      if name then names[#names + 1] = name end
    end
  end
  table.sort(names)
  return names
end

-- What a file of the user's failed with is its mistake, unless memory ran out meanwhile.
local function code_of(message) return message == "not enough memory" and "memory" or "misuse" end

--- Loads a stage module by name: the user's folders first, then ours.
-- @param name string: the stage's name
-- @param search table: folders (see search_path)
-- @return table: the module; and the path of a user's file
-- @error misuse: no such stage (with the nearest name), or the file does not return one
function M.find_stage(name, search)
  for _, folder in ipairs(search) do
    local path = folder .. "/" .. name .. ".lua"
    if file.stat(path) then
      local chunk, message = loadfile(path)
      if not chunk then return nil, message, code_of(message) end
      local fine, module = pcall(chunk)
      if not fine then return nil, tostring(module), code_of(module) end
      if type(module) ~= "table" then return nil, path .. ": must return a table", "misuse" end
      return module, path
    end
  end
  local path = package.searchpath("lathe.stage." .. name, package.path)
  if path then return require("lathe.stage." .. name), nil end
  return nil, config.unknown("stage", name, known_stages(search)), "misuse"
end

local COMMON = { as = { type = "string", help = "the name to publish an artifact under" } }

local function checked_module(reference, search)
  local module, path = reference.module, nil
  if not module then
    local message
    module, message = M.find_stage(reference.stage, search)
    if not module then fail(reference.where, "%s", message) end
    path = message
  end
  local kind = module.kind or "map"
  if not KINDS[kind] then fail(path, "kind is '%s'; it must be map, barrier or artifact", kind) end
  if type(module[KINDS[kind]]) ~= "function" then
    fail(path or reference.where, "stage '%s' of kind %s has no function '%s'", reference.stage, kind,
      KINDS[kind])
  end
  return module, path, kind
end

local function recipe_options(recipe, set, root)
  local options = {}
  for k, v in pairs(recipe.options) do
    -- "$root" in a default is the recipe's folder, so that a recipe finds what lies beside it
    options[k] = type(v) == "string" and v:gsub("%$root%f[^%w_]", (root:gsub("%%", "%%%%"))) or v
  end
  local per_stage = {}
  for _, name in ipairs(config.names(set or {})) do
    local text = set[name]
    local stage, option = name:match "^([^.]+)%.(.+)$"
    if stage then
      per_stage[stage] = per_stage[stage] or {}
      per_stage[stage][option] = text
    elseif recipe.specs[name] == nil then
      fail(nil, "--set %s=%s: %s", name, text, config.unknown("recipe option", name, config.names(recipe.specs)))
    else
      local value, message = config.parse_for(text, recipe.specs[name])
      if value == nil then fail(nil, "--set %s=%s: %s", name, text, message) end
      value, message = config.check_value(name, value, recipe.specs[name])
      if value == nil then fail(nil, "%s", message) end
      options[name] = value
    end
  end
  for name, spec in pairs(recipe.specs) do
    if spec.required and options[name] == nil then
      fail(nil, "option '%s' is missing: --%s …%s", name, name:gsub("_", "-"), spec.help and " (" .. spec.help .. ")" or "")
    end
  end
  return options, per_stage
end

local function stage_options(reference, module, options, overrides, stage_name, root)
  local specs = {}
  for k, v in pairs(module.options or {}) do specs[k] = v end
  if (module.kind or "map") == "artifact" then
    for k, v in pairs(COMMON) do specs[k] = specs[k] or v end
  end
  local known = { root = root }
  for k, v in pairs(options) do known[k] = v end
  local given, message = config.substitute(reference.options, known)
  if not given then fail(reference.where, "stage %s: %s", stage_name, message) end
  for name, text in pairs(overrides or {}) do
    local spec = specs[name]
    if not spec then
      fail(nil, "--set %s.%s: %s", stage_name, name, config.unknown("option", name, config.names(specs)))
    end
    local value
    value, message = config.parse_for(text, spec)
    if value == nil then fail(nil, "--set %s.%s: %s", stage_name, name, message) end
    given[name] = value
  end
  local checked
  checked, message = config.check(specs, given, module.positional)
  if not checked then fail(reference.where, "stage %s: %s", stage_name, message) end
  if module.check then
    local fine
    fine, message = module.check(checked)
    if not fine then fail(reference.where, "stage %s: %s", stage_name, message) end
  end
  return checked
end

-- Whether a stage is there: `when` and `unless` name an option of the recipe.
local function is_there(reference, options)
  local function truth(key)
    local value, message = config.substitute(reference[key], options)
    if message then fail(reference.where, "stage %s, %s: %s", reference.stage, key, message) end
    return value ~= nil and value ~= false and value ~= ""
  end
  return (reference.when == nil or truth "when") and (reference.unless == nil or not truth "unless")
end

local function list_of(v, options)
  if type(v) == "function" then v = v(options) end
  if type(v) == "string" then v = { v } end
  return v or {}
end

-- Values as they go into a key or a fingerprint: functions and other things by kind only.
local function plain(v)
  if type(v) == "table" then
    local out, count = {}, 0
    for _ in pairs(v) do count = count + 1 end
    local is_list = #v > 0 and #v == count -- { "pages", url = "…" } is none
    for k, x in pairs(v) do out[is_list and k or tostring(k)] = plain(x) end
    return out
  end
  if type(v) == "function" or type(v) == "userdata" then return "(" .. type(v) .. ")" end
  return v
end

local function has_functions(v)
  if type(v) == "function" then return true end
  if type(v) ~= "table" then return false end
  for _, x in pairs(v) do if has_functions(x) then return true end end
  return false
end

local function bind_stage(plan, reference, index, search, overrides, published)
  local module, path, kind = checked_module(reference, search)
  local name = reference.name or reference.stage
  if plan.by_name[name] then
    fail(reference.where, "two stages are named '%s'; give one of them name = \"…\"", name)
  end
  local stage = { index = index, name = name, stage = reference.stage, module = module, kind = kind,
    path = path, where = reference.where, inline = module.inline,
    folder = ("%02d-%s"):format(index, name) }
  stage.options = stage_options(reference, module, plan.options, overrides[name], name, plan.root or ".")
  stage.source = module.list ~= nil
  if reference.from then
    local from = plan.by_name[reference.from]
    if not from then
      local names = {}
      for i, s in ipairs(plan.stages) do names[i] = s.name end
      fail(reference.where, "stage %s: from: %s", name, config.unknown("earlier stage", reference.from, names))
    end
    stage.from = from.index
  elseif index > 1 and not stage.source then
    stage.from = index - 1
  end
  if not stage.from and not stage.source and not plan.input then
    fail(reference.where, "stage %s has nothing to read: begin the recipe with lathe.read { … }", name)
  end
  stage.uses = {}
  for _, artifact in ipairs(list_of(module.uses, stage.options)) do
    local maker = published[artifact]
    if not maker and not (plan.given and plan.given[artifact]) then
      if plan.input then
        if artifact == "tokenizer" and module.options and module.options.tokenizer then
          fail(nil, "stage %s needs a tokenizer; say which: --tokenizer PATH (at the prompt tokenizer = \"PATH\")", name)
        end
        fail(nil, "stage %s uses the artifact '%s'; say where it is: --artifact %s=FOLDER", name, artifact, artifact)
      end
      fail(reference.where, "stage %s uses the artifact '%s', which no earlier stage makes (%s)%s", name,
        artifact, next(published) and "there are: " .. table.concat(config.names(published), ", ")
        or "there are none", file.stat(artifact) and ("; for the folder write './%s'"):format(artifact) or "")
    end
    stage.uses[artifact] = maker or 0
  end
  stage.reads = {}
  local reads = module.reads
  if type(reads) == "function" then reads = reads(stage.options) end
  for label, other in pairs(reads or {}) do
    local from = plan.by_name[other]
    if not from then
      local names = {}
      for i, s in ipairs(plan.stages) do names[i] = s.name end
      fail(reference.where, "stage %s, %s: %s", name, label, config.unknown("earlier stage", other, names))
    end
    stage.reads[label] = from.index
  end
  if kind == "artifact" then
    stage.publishes = stage.options.as or module.publishes or name
    published[stage.publishes] = index
  end
  return stage
end

--- Resolves a recipe: finds its stages, checks every option, binds predecessors and artifacts.
-- @param recipe recipe: what the recipe file returned
-- @param given table: { set = name → text, root = folder, path = recipe file, search = folders,
--   input = JSONL file read by the first stage, artifacts = name → folder }
-- @return table: the plan { name, options, seed, stages, by_name, root, path, fingerprint }
-- @error raises { code = "misuse", message }
function M.resolve(recipe, given)
  local options, overrides = recipe_options(recipe, given.set, given.root or ".")
  local plan = { name = recipe.name, root = given.root, path = given.path, options = options,
    seed = recipe.seed, stages = {}, by_name = {}, input = given.input, given = given.artifacts or {} }
  local published = {}
  local left_out = {}
  for _, reference in ipairs(recipe.stages) do
    if is_there(reference, options) then
      local i = #plan.stages + 1
      local stage = bind_stage(plan, reference, i, given.search or {}, overrides, published)
      plan.stages[i] = stage
      plan.by_name[stage.name] = stage
    else
      left_out[reference.name or reference.stage] = true
    end
  end
  for name in pairs(overrides) do
    if not plan.by_name[name] and not left_out[name] then
      local names = {}
      for i, s in ipairs(plan.stages) do names[i] = s.name end
      fail(nil, "--set %s.…: %s", name, config.unknown("stage", name, names))
    end
  end
  local list = {}
  for i, s in ipairs(plan.stages) do
    list[i] = { s.name, s.stage, s.kind, s.module.version or 1, plain(s.options), s.from or 0 }
  end
  plan.fingerprint = hash.sha256(json.encode(list, { sort = true }))
  return plan
end

--- Loads a recipe file; pure but for require.
-- @param path string: the file
-- @return recipe
-- @error misuse (a mistake in the file, by line), not_found
function M.load(path)
  local text, message, code = file.read(path, 1 << 24)
  if not text then return nil, message, code end
  local chunk
  chunk, message = load(text, "@" .. path, "t")
  if not chunk then return nil, message, code_of(message) end
  local fine, recipe = pcall(chunk)
  if not fine then return nil, tostring(recipe), code_of(recipe) end
  if type(recipe) ~= "table" or not recipe.stages then
    return nil, path .. ": must return lathe.recipe \"name\" { … }", "misuse"
  end
  return recipe
end

-- ---- keys ----

-- SHA-256 of each listed file, remembered by size and time in the stage's inputs.json.
local function hash_items(items, cache_path)
  local old = file.stat(cache_path) and json.decode(file.read(cache_path) or "") or {}
  local cache = {}
  for _, item in ipairs(items) do
    local info = item.file and file.stat(item.file)
    if info then
      local seen = cache[item.file] or old[item.file] -- several items may be ranges of one file
      if not (seen and seen[1] == info.size and seen[2] == info.mtime_ns) then
        local digest, message, code = file.sha256(item.file)
        if not digest then error({ code = code, message = message }, 0) end
        seen = { info.size, info.mtime_ns, digest }
      end
      cache[item.file] = seen
      item.sha256, item.bytes = seen[3], item.from and item.bytes or info.size
    end
  end
  return cache
end

-- Runs a source's list function; returns its items with hashes.
local function list_items(plan, stage, run_dir)
  local items = {}
  local ctx = { options = stage.options, root = plan.root, seed = plan.seed, dir = run_dir .. "/" .. stage.folder }
  local fine, message, code = stage.module.list(ctx, function(item) items[#items + 1] = item end)
  if fine == nil and message then error({ code = code or "io", message = message }, 0) end
  return items, hash_items(items, ("%s/%s/inputs.json"):format(run_dir, stage.folder))
end

--- The stage whose parts are read by whoever reads this one: an artifact passes its input through.
-- @param plan table
-- @param index integer|nil
-- @return stage|nil: nil where the records come from outside the recipe
function M.records_of(plan, index)
  local stage = index and plan.stages[index]
  while stage and stage.kind == "artifact" do stage = plan.stages[stage.from] end
  return stage
end

-- The options that the output depends on: all but those marked neutral (how often to save, say).
local function telling(stage)
  local specs, out = stage.module.options or {}, {}
  for name, value in pairs(stage.options) do
    if not (specs[name] and specs[name].neutral) then out[name] = plain(value) end
  end
  return out
end

-- What the stage's module adds to the key. A template or folder named there that does not exist is the
-- recipe's mistake.
local function hashes_of(stage, root)
  local fine, result = pcall(stage.module.hashes, stage.options, { root = root })
  if fine then return result end
  if type(result) ~= "table" then result = { code = "failed", message = tostring(result) } end
  local code = result.code == "not_found" and "misuse" or result.code
  error({ code = code, message = (stage.where and stage.where .. ": " or "") .. result.message }, 0)
end

--- Gives every stage its key, and every source its list of items.
-- @param plan table: from resolve
-- @param run_dir string: the run's folder (for remembered hashes)
-- @error raises { code, message }: an input that is not there
function M.keys(plan, run_dir)
  local recipe_hash = plan.path and file.stat(plan.path) and file.sha256(plan.path) or ""
  for _, stage in ipairs(plan.stages) do
    local parts = { format = 1, stage = stage.stage, name = stage.name, kind = stage.kind,
      version = stage.module.version or 1, options = telling(stage), seed = plan.seed }
    if stage.source then
      stage.items, stage.inputs = list_items(plan, stage, run_dir)
      parts.inputs = {}
      for i, item in ipairs(stage.items) do
        parts.inputs[i] = { item.path, item.sha256 or item.id or "", item.key }
      end
    end
    local records = M.records_of(plan, stage.from)
    if records then
      parts.from = records.key
    elseif plan.input then
      parts.from = file.sha256(plan.input)
    end
    parts.uses = {}
    for artifact, maker in pairs(stage.uses) do
      parts.uses[artifact] = maker > 0 and plan.stages[maker].key or plan.given[artifact]
    end
    parts.reads = {}
    for label, index in pairs(stage.reads) do
      local read = M.records_of(plan, index)
      parts.reads[label] = read and read.key or ""
    end
    if stage.path then parts.code = file.sha256(stage.path) end
    if stage.inline or has_functions(stage.options) then parts.recipe = recipe_hash end
    if stage.module.hashes then
      parts.hashes = hashes_of(stage, plan.root)
    end
    stage.key = hash.sha256(json.encode(parts, { sort = true }))
  end
end

return M
