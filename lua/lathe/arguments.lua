-- SPDX-License-Identifier: MIT
-- The command line of `run` and `stage`: a recipe's options, and a stage's, are options of the command.
--
--   lathe run recipes/patterns.lua --patterns-dir mine --train-ratio=0.7
--     ─►  run recipes/patterns.lua --set patterns_dir=mine --set train_ratio=0.7
--   lathe run recipe.lua --chunk.size 500          ─►  … --set chunk.size=500
--   lathe stage dedup in.jsonl out.jsonl --near 0.9
--     ─►  stage dedup in.jsonl out.jsonl --set near=0.9
--
-- Dashes and underscores are the same. What the command itself knows (--set, -j, --memory …) stays as it is;
-- an option of the same name is reached through --set. The recipe is loaded (which does nothing) to know
-- what its options are, so that a misspelt one is named here, with the nearest.

local config = require "lathe.config"
local planner = require "lathe.plan"

local M = {}

-- The command's own options: how many values each takes.
local function own_options(command)
  local out = {}
  for _, option in ipairs(command._options) do
    for _, alias in ipairs(option._aliases) do out[alias] = option._maxargs end
  end
  return out
end

local function underscored(name) return (name:gsub("%-", "_")) end

-- Where the command's target (the recipe, the stage) stands; nil when there is none, or help is asked for first.
local function find_target(arguments, own)
  local at = 2
  while at <= #arguments do
    local a = arguments[at]
    if a == "-" or a:sub(1, 1) ~= "-" then return at end
    local name = a:match "^(%-%-[^=]+)=" or a
    if own[name] == nil and not (a:match "^%-%a." and own[a:sub(1, 2)]) then return nil end
    at = at + 1 + (a == name and own[name] or 0)
  end
end

local function is_switch(spec)
  return spec.type == "boolean" or spec.type == nil and type(spec.default) == "boolean"
end

local TRUTH = { ["true"] = true, ["false"] = true, yes = true, no = true, ["0"] = true, ["1"] = true }

-- The value of an option that stands at `at`: its text and how many arguments it took.
local function value_of(arguments, at, spec, given)
  local behind = arguments[at + 1]
  if given then return given, 0 end
  if is_switch(spec) then
    if behind and TRUTH[behind] then return behind, 1 end
    return "true", 0
  end
  if behind and not behind:match "^%-%-%a" then return behind, 1 end
  if spec.default == false and tostring(spec.type):find("boolean", 1, true) then return "true", 0 end -- --pii, as --pii true
  return nil
end

local function dashed(names)
  local out = {}
  for i, name in ipairs(names) do out[i] = name:gsub("_", "-") end
  return out
end

local function unknown(name, specs)
  local names = dashed(config.names(specs))
  local nearest = config.nearest(name:gsub("_", "-"), names)
  for i, n in ipairs(names) do names[i] = "--" .. n end
  return ("unknown option '--%s'%s (there are: %s; and those of --help)"):format(name,
    nearest and ("; did you mean '--%s'?"):format(nearest) or "", table.concat(names, ", "))
end

-- One --name of the recipe or stage: appends --set and its value; returns how many more arguments it took.
local function translate(arguments, at, find, specs, out)
  local whole, given = arguments[at]:match "^%-%-([^=]+)=(.*)$"
  whole = whole or arguments[at]:sub(3)
  local key, spec = find(whole)
  local text, took
  if spec then
    text, took = value_of(arguments, at, spec, given)
    if not text then return nil, ("--%s needs a value"):format(whole) end
  else
    local negated
    negated, spec = find(whole:match "^no%-(.+)$" or "")
    if not spec or not is_switch(spec) or given then return nil, unknown(whole, specs) end
    key, text, took = negated, "false", 0
  end
  out[#out + 1] = "--set"
  out[#out + 1] = key .. "=" .. text
  return took
end

-- Recipe options by name; stage.option by a point, whose value's type is the stage's affair.
local function recipe_finder(recipe, root)
  return recipe.specs, function(name)
    local key = underscored(name)
    if recipe.specs[key] then return key, recipe.specs[key] end
    local stage, option = name:match "^([%w_-]+)%.([%w_.-]+)$"
    for _, reference in ipairs(stage and recipe.stages or {}) do
      if (reference.name or reference.stage) == stage then
        local module = reference.module or planner.find_stage(reference.stage, planner.search_path(root, "stages"))
        option = underscored(option)
        return stage .. "." .. option, module and module.options and module.options[option] or {}
      end
    end
  end
end

local function stage_finder(module)
  local specs = module.options or {}
  return specs, function(name)
    local key = underscored(name)
    if specs[key] then return key, specs[key] end
  end
end

local function finder(command, target)
  if command == "run" then
    local recipe, message, code = planner.load(target)
    if not recipe then return nil, message, code end
    return recipe_finder(recipe, target:match "^(.*)/[^/]*$" or ".")
  end
  local module, message, code = planner.find_stage(target, planner.search_path(".", "stages"))
  if not module then return nil, message, code end
  return stage_finder(module)
end

--- Turns the options of a recipe or stage into --set.
-- @param arguments table: as the shell gave them; [1] is "run" or "stage"
-- @param command table: that command's parser, for the options that are its own
-- @return table: arguments that the parser understands; or the string "help" and the target's name
-- @error misuse: an option that neither knows, or one without a value; what loading the recipe gives
function M.expand(arguments, command)
  local own = own_options(command)
  local target = find_target(arguments, own)
  if not target then return arguments end
  local out = table.move(arguments, 1, target, 1, {})
  local specs, find
  local at = target + 1
  while at <= #arguments do
    local a = arguments[at]
    local name = a:match "^(%-%-[^=]+)=" or a
    if a == "--" then return table.move(arguments, at, #arguments, #out + 1, out) end
    if a == "--help" or a == "-h" then return "help", arguments[target] end
    out[#out + 1] = a
    if own[name] then
      local took = a == name and own[name] or 0
      table.move(arguments, at + 1, math.min(at + took, #arguments), #out + 1, out)
      at = at + took
    elseif a:match "^%-%-." then
      if not specs then
        local code
        specs, find, code = finder(arguments[1], arguments[target])
        if not specs then return nil, find, code end
      end
      out[#out] = nil
      local took, message = translate(arguments, at, find, specs, out)
      if not took then return nil, message, "misuse" end
      at = at + took
    end
    at = at + 1
  end
  return out
end

return M
