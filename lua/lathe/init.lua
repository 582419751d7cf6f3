-- SPDX-License-Identifier: MIT
-- require "lathe": the vocabulary of recipes.
--
--   return lathe.recipe "documents" {
--     options = { input = "documents/" },
--     lathe.read { "$input/**/*.md" },
--     lathe.chunk { size = 2000 },
--   }
--
-- lathe.NAME { … } for any name that is no function below is a stage of that name: ours
-- (lua/lathe/stage/NAME.lua), or the user's (stages/NAME.lua beside the recipe or in the XDG folder).
-- Building a recipe reads and writes nothing: names and options are checked when it is planned.

local M = {}

local function caller(level)
  local info = debug.getinfo(level + 1, "Sl")
  return info and info.short_src .. ":" .. info.currentline or "?"
end

local Recipe = { __name = "recipe" }
Recipe.__index = Recipe
Recipe.__tostring = function(self)
  local names = {}
  for i, s in ipairs(self.stages) do names[i] = s.name or s.stage end
  return ("recipe %s: %s"):format(self.name, table.concat(names, " → "))
end

-- An option of a recipe is its default, or a table { default = …, type = …, help = …, min, max, choices }.
local function option_spec(value)
  if type(value) ~= "table" or value.help == nil or value.default == nil and not value.required then
    return { default = value, type = type(value) }
  end
  local spec = {}
  for k, v in pairs(value) do spec[k] = v end
  spec.type = spec.type or value.default ~= nil and type(value.default) or nil
  return spec
end

local function option_specs(options)
  local specs, defaults = {}, {}
  for name, value in pairs(options) do
    specs[name] = option_spec(value)
    defaults[name] = specs[name].default
  end
  return specs, defaults
end

--- Describes a recipe: a list of stages, each reading what the one before it wrote.
-- An option is given as its default, or as { default = 0.8, help = "…", type = "number", min = 0, max = 1,
-- choices = {…} }; it is an option of the command line too. A stage with `when = "$option"` is there only
-- where the option is neither false nor empty, one with `unless = "$option"` only where it is.
-- @param name string: also the name of its folder under runs/
-- @return function: to be called with the table of options and stages
-- @error misuse: an entry that is no stage
-- @example require("lathe").recipe "r" { options = { input = "docs/" }, require("lathe").read { "$input" } }
function M.recipe(name)
  if type(name) ~= "string" or not name:match "^[%w][%w._-]*$" then
    error("a recipe's name is letters, digits, '.', '_' and '-'", 2)
  end
  return function(body)
    if type(body) ~= "table" then error("a recipe is a table of options and stages", 2) end
    local specs, defaults = option_specs(body.options or {})
    local self = setmetatable({ name = name, options = defaults, specs = specs, stages = {},
      seed = body.seed or 42, description = body.description, where = caller(2) }, Recipe)
    for key, value in pairs(body) do
      if math.type(key) == "integer" then
        if type(value) ~= "table" or not value.is_stage then
          error(("entry %d of recipe '%s' is not a stage"):format(key, name), 2)
        end
        self.stages[key] = value
      elseif key ~= "options" and key ~= "seed" and key ~= "description" then
        local names = { "options", "seed", "description" }
        error(require("lathe.config").unknown("recipe field", tostring(key), names), 2)
      end
    end
    if #self.stages == 0 then error(("recipe '%s' has no stages"):format(name), 2) end
    return self
  end
end

local COMMON = { name = true, from = true, when = true, unless = true }

local function stage_reference(name, module, where)
  return function(options)
    if options == nil then options = {} end
    if type(options) == "function" then options = { each = options } end
    if type(options) ~= "table" then error(("lathe.%s takes a table of options"):format(name), 2) end
    local reference = { is_stage = true, stage = name, module = module, options = {},
      where = where or caller(2) }
    for k, v in pairs(options) do
      if COMMON[k] then reference[k] = v else reference.options[k] = v end
    end
    return reference
  end
end

--- A stage written in the recipe itself.
-- @param name string: its name
-- @return function: takes the stage module's table ({ each = function(record, ctx, emit) … end, … })
-- @example require("lathe").stage "long" { each = function(r, _, emit) if #r.text > 99 then emit(r) end end }
function M.stage(name)
  local where = caller(2)
  return function(module)
    if type(module) == "function" then module = { each = module } end
    local copy = { name = name, version = 1, inline = true, options = {},
      kind = module.all and "barrier" or module.make and "artifact" or "map" }
    for k, v in pairs(module) do copy[k] = v end
    return stage_reference(name, copy, where) { name = name }
  end
end

--- Opens a JSONL file as a dataset: ds[1], #ds, ds:records(). With a tokenizer, as windows of tokens:
-- ds[1].input, ds[1].target, ds:loader { batch = 8, shuffle = true }.
-- @param path string: a file or a stage's folder of parts
-- @param options table: optional; with tokenizer = path or tokenizer, those of lathe.windows (size, stride, pack …)
-- @return dataset
-- @error not_found, io, misuse
-- @example local ds = require("lathe").open("train.jsonl", { tokenizer = "models/x", size = 256 })
function M.open(path, options)
  if options and options.tokenizer then return require("lathe.windows").open(path, options) end
  return require("lathe.record").open(path, options)
end

return setmetatable(M, {
  __index = function(_, name)
    if type(name) ~= "string" or not name:match "^[%a][%w_-]*$" then return nil end
    return stage_reference(name)
  end,
})
