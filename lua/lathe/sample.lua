-- SPDX-License-Identifier: MIT
-- `lathe show RECIPE --sample 3`: records as the model will see them, before anything is trained.
--
--   ── 1 · 5f0c… ─────────────────────────────────────────────────
--   <|im_start|>user
--   What is a learning rate?<|im_end|>
--   <|im_start|>assistant
--   ⟦The size of the step …<|im_end|>⟧
--   118 bytes, 41 of them carry loss
--
-- What carries loss is green on a terminal and stands between ⟦ and ⟧ elsewhere. The records are the first
-- ones that the run has made for the prompt stage; the template is read as it is now, so that one can edit
-- it and look again. A JSONL file does as well as a recipe.

local config = require "lathe.config"
local file = require "engine.file"
local json = require "engine.json"
local part = require "lathe.part"
local planner = require "lathe.plan"
local record = require "lathe.record"

local M = {}

local RULE = ("─"):rep(72)

-- Control characters would move the terminal's cursor, or worse.
local function safe(text)
  return (text:gsub("[%c\x7f]", function(c)
    if c == "\n" or c == "\t" then return c end
    return ("<U+%04X>"):format(c:byte())
  end))
end

local function paint(text, colours, loss)
  if text == "" then return "" end
  if colours then return (loss and "\27[1;32m" or "\27[2m") .. safe(text) .. "\27[0m" end
  return loss and "⟦" .. safe(text) .. "⟧" or safe(text)
end

--- A text with what carries loss in colour, or between ⟦ and ⟧.
-- @param text string
-- @param spans table: list of { start, end } in bytes, end exclusive
-- @param colours boolean|nil: colours instead of signs
-- @return string
-- @example require("lathe.sample").marked("Q: A", { { 3, 4 } })
function M.marked(text, spans, colours)
  local out, at = {}, 0
  for i = 1, #spans do
    local from, to = spans[i][1], spans[i][2]
    out[#out + 1] = paint(text:sub(at + 1, from), colours, false)
    out[#out + 1] = paint(text:sub(from + 1, to), colours, true)
    at = to
  end
  out[#out + 1] = paint(text:sub(at + 1), colours, false)
  return table.concat(out)
end

local function loss_bytes(spans)
  local n = 0
  for i = 1, #spans do n = n + spans[i][2] - spans[i][1] end
  return n
end

local function ended(text) return text:sub(-1) == "\n" and text or text .. "\n" end

local function shown_text(r, colours)
  return ("%s%d bytes, %d of them carry loss\n"):format(ended(M.marked(r.text, r.spans, colours)), #r.text, loss_bytes(r.spans))
end

local function shown_pair(r, colours)
  return ("%s── chosen\n%s── rejected\n%s"):format(ended(M.marked(r.prompt, {}, colours)),
    ended(M.marked(r.chosen, r.chosen_spans, colours)), ended(M.marked(r.rejected, r.rejected_spans, colours)))
end

local function shown(r, colours)
  if r.chosen_spans then return shown_pair(r, colours) end
  if r.spans and type(r.text) == "string" then return shown_text(r, colours) end
  return safe(json.encode(r)) .. "\n"
end

-- Runs the stage on one record; returns what it emitted and what it rejected.
local function try(stage, ctx, r)
  local out = {}
  ctx.begin(r)
  local fine, message, code = stage.module.each(r, ctx, function(new) out[#out + 1] = new end)
  if fine == nil and message then return nil, message, code end
  return out
end

--- Renders the first records of a dataset through a stage, as text to look at.
-- @param stage table: { name, module, options }
-- @param dataset dataset: what the stage reads
-- @param options table: { sample = how many, root, colours, seed }
-- @return string|nil: nil with a message and a code where the stage fails
-- @return integer: how many records there were
function M.render(stage, dataset, options)
  local rejected, out, n = {}, {}, 0
  local sink = { rejected = "rejected", base = "", put = function(_, _, line) rejected[#rejected + 1] = json.decode(line) end }
  local ctx = part.context(stage, { root = options.root, seed = options.seed or 42, memory = 1 << 28 }, { rejected = 0, transient = 0 }, sink)
  for r in dataset:records() do
    if n == options.sample then break end
    n = n + 1
    local id = r.id
    local made, message, code = try(stage, ctx, r)
    if not made then return nil, message, code end
    out[#out + 1] = ("── %d · %s %s\n"):format(n, tostring(id or "no id"), RULE)
    for _, one in ipairs(made) do out[#out + 1] = shown(one, options.colours) end
    local why = table.remove(rejected)
    if why then out[#out + 1] = ("rejected as %s%s\n"):format(why.reason, why.detail and ": " .. safe(tostring(why.detail)) or "") end
    out[#out + 1] = "\n"
  end
  return table.concat(out), n
end

-- The folder of a stage in a run; a recipe that was edited since may have given it another number.
local function stage_folder(run_dir, stage)
  local own = run_dir .. "/" .. stage.folder
  if file.stat(own) then return own end
  for _, entry in ipairs(file.stat(run_dir) and file.list(run_dir) or {}) do
    if entry.is_dir and entry.name:match "^%d%d%-(.+)$" == stage.name then return run_dir .. "/" .. entry.name end
  end
  return own
end

local function has_parts(folder)
  for _, entry in ipairs(file.stat(folder) and file.list(folder) or {}) do
    if entry.name:match "^part%-%d+%.jsonl$" then return true end
  end
  return false
end

local function find_stage(plan, name)
  if name then
    local stage = plan.by_name[name]
    if stage and stage.kind == "map" and not stage.source then return stage end
    local names = {}
    for _, s in ipairs(plan.stages) do
      if s.kind == "map" and not s.source then names[#names + 1] = s.name end
    end
    if stage then return nil, ("stage '%s' does not go record by record; there are: %s"):format(name, table.concat(names, ", ")), "misuse" end
    return nil, config.unknown("stage", name, names), "misuse"
  end
  for _, stage in ipairs(plan.stages) do
    if stage.stage == "prompt" then return stage end
  end
  return nil, "the recipe has no prompt stage; say which with --stage NAME", "misuse"
end

local function from_recipe(args, set)
  local recipe, message, code = planner.load(args.recipe)
  if not recipe then return nil, message, code end
  local root = args.recipe:match "^(.*)/[^/]*$" or "."
  local fine, plan = pcall(planner.resolve, recipe, { set = set, root = root, path = args.recipe, search = planner.search_path(root, "stages") })
  if not fine then
    if type(plan) ~= "table" then error(plan, 0) end
    return nil, plan.message, plan.code
  end
  local stage
  stage, message, code = find_stage(plan, args.stage)
  if not stage then return nil, message, code end
  local from = planner.records_of(plan, stage.from)
  local folder = stage_folder(("%s/%s"):format(args.runs or "runs", plan.name), from)
  if not has_parts(folder) then
    return nil, ("there are no records in %s yet; make some: lathe run %s"):format(folder, args.recipe), "not_found"
  end
  return { stage = stage, folder = folder, root = root, seed = plan.seed }
end

local function from_file(args, set)
  local module = require "lathe.stage.prompt"
  local given = { template = args.template }
  for name, text in pairs(set) do
    local option = name:gsub("^prompt%.", "")
    local spec = module.options[option]
    if not spec then return nil, config.unknown("option", option, config.names(module.options)), "misuse" end
    local value, message, code = config.parse_for(text, spec)
    if value == nil then return nil, message, code end
    given[option] = value
  end
  local options, message, code = config.check(module.options, given)
  if not options then return nil, message, code end
  local fine
  fine, message, code = module.check(options)
  if not fine then return nil, message, code end
  return { stage = { name = "prompt", module = module, options = options }, folder = args.recipe, root = ".", seed = 42 }
end

local function is_data(path) return path:find "%.jsonl$" or path:find "%.jsonl%.gz$" or path:find "%.jsonl%.zst$" end

--- The command `lathe show`.
-- @param args table: { recipe, sample, stage, template, runs }
-- @param set table: name → text, as --set gave them
-- @return boolean: true
-- @error nil, message, code
function M.run(args, set)
  local count = math.tointeger(tonumber(args.sample or 3))
  if not count or count < 1 then return nil, "--sample: a whole number from 1", "misuse" end
  if not file.stat(args.recipe) then return nil, args.recipe .. ": No such file or directory", "not_found" end
  local what, message, code = (is_data(args.recipe) and from_file or from_recipe)(args, set)
  if not what then return nil, message, code end
  if args.template then what.stage.options.template = args.template end
  local colours = require("lathe.token_view").colours()
  local text, n
  local fine, problem = pcall(function()
    text, n, code = M.render(what.stage, record.open(what.folder), { sample = count, root = what.root, seed = what.seed, colours = colours })
  end)
  if not fine then
    if type(problem) == "table" then return nil, problem.message, problem.code end
    return nil, tostring(problem), "failed"
  end
  if not text then return nil, n, code == "not_found" and "misuse" or code end
  io.stdout:write(text)
  if n == 0 then return nil, what.folder .. " has no records", "not_found" end
  return true
end

return M
