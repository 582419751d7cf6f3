-- SPDX-License-Identifier: MIT
-- The prompt: `lathe repl [FILE]`.
--
--   > tok = tokenizer.load "model/"        a statement
--   > tok:encode "hello"                   an expression prints its value, which is then also in _
--   > help(tok)  help "chunk"              explains a value or a name
--   > for i = 1, 3 do                      what is not complete goes on on the next line
--   … print(i) end
--
-- What is typed lives in an environment of its own, behind it the modules below (loaded when first named), and
-- behind those Lua's globals. `local x = 1` at the prompt is taken as `x = 1`: a local would be gone with its line.
--
-- Errors print their message and leave the prompt alive; so does Ctrl-C, which ends a running evaluation or clears
-- the line. Ctrl-D leaves. Without a terminal (lathe repl < file) there is no prompt and no history, and the exit
-- status is 1 when anything failed.

local file = require "engine.file"
local worker = require "engine.worker"

local M = {}

-- Names that are there without require: the first of the modules that exists.
local PRELOADED = {
  lathe = { "lathe" },
  json = { "engine.json" },
  hash = { "engine.hash" },
  file = { "engine.file" },
  text = { "engine.text" },
  clock = { "engine.clock" },
  extract = { "engine.extract" },
  tensor = { "engine.tensor" },
  tokenizer = { "lathe.tokenizers" },
  model = { "lathe.model", "engine.model" },
  dedup = { "engine.dedup" },
  safetensors = { "engine.safetensors", "engine.format" },
  gguf = { "lathe.gguf", "engine.gguf" },
  record = { "lathe.record" },
  template = { "lathe.template" },
  config = { "lathe.config" },
  llm = { "lathe.llm" },
  show = { "lathe.show" },
}

local function exists(name) return package.preload[name] or package.searchpath(name, package.path) end

local function preloaded(name)
  for _, module in ipairs(PRELOADED[name] or {}) do
    if exists(module) then return require(module) end
  end
end

-- ---- the environment ----

local function history_path()
  local state = require("lathe.xdg").folder "STATE"
  return state and state .. "/lathe/history"
end
M.history_path = history_path

-- help(x), help "name", and help alone.
local function new_help()
  local function explain(_, ...)
    local text, message = require("lathe.help").text((...))
    print(text or message)
  end
  return setmetatable({}, {
    __name = "help",
    __call = explain,
    __show = function() return require("lathe.help").overview() end,
  })
end

--- Runs a recipe (made by lathe.recipe, or a path) at the prompt, its stages in this process.
-- @param recipe recipe|string: what to run
-- @param options table: optional { set = {name = value}, from, only, runs = folder, threads }
-- @return run: the finished run: run.dir is its folder
-- @error what the recipe fails with
-- @example run(lathe.recipe "r" { lathe.read { "docs/" }, lathe.clean {} })
function M.run(recipe, options)
  local given = {}
  for k, v in pairs(options or {}) do given[k] = v end
  if type(recipe) == "string" then
    given.path, given.root = recipe, given.root or recipe:match "^(.*)/[^/]*$" or "."
    local message, code
    recipe, message, code = require("lathe.plan").load(recipe)
    if not recipe then return nil, message, code end
  end
  for k, v in pairs(given.set or {}) do given.set[k] = tostring(v) end
  local _, _, terminal = require("engine.clock").terminal()
  given.threads = given.threads or worker.processors()
  given.version = worker.version()
  given.progress = require("lathe.progress").new { terminal = terminal and os.getenv "TERM" ~= "dumb" }
  return require("lathe.recipe").run(recipe, given)
end

--- Reads documents and data at the prompt: read { "docs/" }.
-- @param options table: as for the stage read
-- @return dataset
-- @error raises a message: what reading fails with
-- @example read { "README.md" }
function M.read(options)
  local reference = require("lathe").read(options)
  reference.where = nil -- of a wrong option: a line of ours would tell nobody anything
  return require("lathe.apply").source(reference)
end

--- The environment that typed text runs in.
-- @return table
function M.environment()
  return setmetatable({ help = new_help(), run = M.run, read = M.read }, {
    __index = function(t, name)
      local module = PRELOADED[name] and preloaded(name)
      if module then
        rawset(t, name, module)
        return module
      end
      return _G[name]
    end,
  })
end

-- ---- evaluation ----

local KEYWORDS = { "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local",
  "nil", "not", "or", "repeat", "return", "then", "true", "until", "while" }
local IS_KEYWORD = {}
for _, word in ipairs(KEYWORDS) do IS_KEYWORD[word] = true end

local function is_incomplete(message)
  return message and (message:match "near <eof>$" or message:match "unfinished long") ~= nil
end

-- `x = f()` when f fails: x is nil, and what f said is told, where a script would drop it.
local function assignment(text, env)
  local name, body = text:gsub("^%s*local%s+", ""):match "^%s*([%a_][%w_]*)%s*=%s*([^=].*)$"
  local expression = name and not IS_KEYWORD[name] and load("return " .. body .. "\n", "=input", "t", env)
  if not expression then return nil end
  return function()
    local values = table.pack(expression())
    env[name] = values[1]
    if values.n > 1 and values[1] == nil and type(values[2]) == "string" then error({ message = values[2] }, 0) end
  end
end

-- A chunk of what was typed: an expression if it can be one, else statements. nil, true: more lines are needed.
local function compile(text, env)
  local body = text:match "^%s*=(.*)$" or text
  local chunk, expression_message = load("return " .. body .. "\n", "=input", "t", env)
  if chunk then return chunk end
  chunk = assignment(text, env)
  if chunk then return chunk end
  local global = text:gsub("^%s*local%s+([%a_][%w_%s,]*=[^=])", "%1"):gsub("^%s*local%s+function%s", "function ")
  local message
  chunk, message = load(global .. "\n", "=input", "t", env)
  if chunk then return chunk end
  if is_incomplete(message) or is_incomplete(expression_message) then return nil, true end
  local first = text:match "^%s*([%a_]%w*)"
  local statement = IS_KEYWORD[first] or text:match "^%s*[%a_][%w_.,%[%]%s]*=[^=]"
  return nil, false, statement and message or expression_message
end

local function message_of(problem)
  if type(problem) == "table" and problem.message then return tostring(problem.message) end
  if type(problem) == "string" then return problem end
  local fine, text = pcall(require("lathe.show").show, problem)
  return fine and "error: " .. text or "an error that cannot be shown"
end

local function handler(problem)
  local message = message_of(problem)
  if os.getenv "LATHE_TRACEBACK" then message = debug.traceback(message, 2) end
  return { message = message }
end

local function print_values(values)
  local show = require("lathe.show").show
  local width = require("engine.line").width()
  local out, several = {}, false
  for i = 1, values.n do
    out[i] = show(values[i], { width = width })
    several = several or out[i]:find("\n", 1, true)
  end
  io.stdout:write(table.concat(out, several and "\n" or ", "), "\n")
  io.stdout:flush()
end

local function complain(message)
  io.stdout:flush()
  io.stderr:write(message, "\n")
end

-- Runs a chunk and prints what it gives; true when nothing failed.
local function evaluate(chunk, env)
  local values = table.pack(xpcall(chunk, handler))
  if values[1] and values.n > 1 then
    local results = table.pack(table.unpack(values, 2, values.n))
    rawset(env, "_", results[1])
    values = table.pack(xpcall(print_values, handler, results))
  end
  io.stdout:flush()
  if values[1] then
    if worker.cancelled() then worker.clear_cancel() end
    return true
  end
  local cancelled = worker.cancelled()
  worker.clear_cancel()
  complain(cancelled and "interrupted" or values[2].message)
  return false
end

-- ---- completion ----

-- Keys of a value into set (name → value); methods too, also those behind a function's upvalues.
local function collect(value, set, depth)
  if depth > 4 then return end
  local function take(t)
    for k, v in next, t do
      if type(k) == "string" and k:match "^[%a_][%w_]*$" and set[k] == nil then set[k] = v end
    end
  end
  local meta = debug.getmetatable(value)
  if type(value) == "table" then take(value) end
  if not meta then return end
  if type(value) == "userdata" and rawget(meta, "__pairs") then
    pcall(function()
      for k, v in pairs(value) do
        if type(k) == "string" and k:match "^[%a_][%w_]*$" then set[k] = v == nil or v end
      end
    end)
  end
  local index = rawget(meta, "__index")
  if type(index) == "table" then
    collect(index, set, depth + 1)
  elseif type(index) == "function" then
    for i = 1, 8 do
      local name, upvalue = debug.getupvalue(index, i)
      if not name then break end
      if type(upvalue) == "table" and name ~= "_ENV" then
        for k, v in next, upvalue do if type(k) == "string" and type(v) == "function" then set[k] = set[k] or v end end
      end
    end
  end
end

local function top_names(env)
  local set = {}
  for name in pairs(PRELOADED) do if preloaded(name) ~= nil then set[name] = true end end
  for _, word in ipairs(KEYWORDS) do set[word] = true end
  for k, v in next, _G do if type(k) == "string" then set[k] = v end end
  for k, v in next, env do if type(k) == "string" then set[k] = v end end
  return set
end

-- Follows "a.b[1].c" from the environment; nil when it leads nowhere. Reads fields, calls nothing.
local function follow(path, env)
  local name, rest = path:match "^([%a_][%w_]*)(.*)$"
  if not name then return nil end
  local value = env[name]
  while value ~= nil and rest ~= "" do
    local key, more = rest:match "^[.:]([%a_][%w_]*)(.*)$"
    if not key then
      key, more = rest:match "^%[(%d+)%](.*)$"
      key = key and math.tointeger(key)
    end
    if not key then key, more = rest:match "^%[[\"']([^\"']*)[\"']%](.*)$" end
    if not key then return nil end
    local fine, next_value = pcall(function() return value[key] end)
    if not fine then return nil end
    value, rest = next_value, more
  end
  return value
end

local function names_for(path, separator, env)
  if path == "" then return top_names(env) end
  local value = follow(path, env)
  local set = {}
  if value == nil then return set end
  if type(value) == "string" then value = string end
  collect(value, set, 0)
  local dataset = separator == ":" and require("lathe.record").is_dataset(value)
  if value == package.loaded.lathe or dataset then
    for _, name in ipairs(require("lathe.plan").our_stages()) do
      if value == package.loaded.lathe then
        set[name] = set[name] or true
      else
        set[name] = set[name] or require("lathe.apply").method(name)
      end
    end
  end
  if separator == ":" then
    for k, v in pairs(set) do if type(v) ~= "function" then set[k] = nil end end
  end
  return set
end

local function paths_for(prefix)
  local set = {}
  local folder, start = prefix:match "^(.*/)([^/]*)$"
  for _, item in ipairs(file.list(folder or ".") or {}) do
    if item.name:sub(1, 1) ~= "." or (start or prefix):sub(1, 1) == "." then
      set[(folder or "") .. item.name .. (item.is_dir and "/" or "")] = true
    end
  end
  return set
end

local function common_prefix(list)
  local prefix = list[1]
  for i = 2, #list do
    while list[i]:sub(1, #prefix) ~= prefix do prefix = prefix:sub(1, -2) end
  end
  return prefix
end

local function in_columns(names, width)
  local widest = 0
  for _, n in ipairs(names) do widest = math.max(widest, #n + 2) end
  local per_row = math.max(1, width // widest)
  local rows = math.ceil(#names / per_row)
  local out = {}
  for r = 1, rows do
    local row = {}
    for c = 0, per_row - 1 do
      local name = names[c * rows + r]
      if name then row[#row + 1] = name .. (" "):rep(widest - #name) end
    end
    out[r] = table.concat(row):gsub("%s+$", "")
  end
  return table.concat(out, "\n")
end

--- Completes what stands before the cursor.
-- @param before string: the text of the line up to the cursor
-- @param env table: the environment of the prompt
-- @return string|nil: what to insert
-- @return table: the candidates
function M.complete(before, env)
  local set, word
  local quoted = before:match "[\"']([^\"']*)$"
  local _, quotes = before:gsub("[\"']", "")
  if quoted and quotes % 2 == 1 then
    word = quoted
    if before:match "help%s*%(?%s*[\"'][^\"']*$" then
      set = {}
      for _, name in ipairs(require("lathe.help").names()) do set[name] = true end
    elseif before:match "require%s*%(?%s*[\"'][^\"']*$" then
      set = {}
      for _, entry in ipairs(require("lathe.help").index().list) do
        if entry.kind == "module" then set[entry.name] = true end
      end
    else
      set = paths_for(word)
    end
  else
    local chain = before:match "[%a_][%w_.:%[%]\"']*$" or ""
    local joint = before:sub(-#chain - 1, -#chain - 1) -- f(x).name: what f gives is not known
    if chain == "" then joint = before:sub(-1) end
    if joint == "." or joint == ":" then return nil, {} end
    local path, separator, start = chain:match "^(.*)([.:])([%w_]*)$"
    if not path then path, separator, start = "", "", chain:match "[%w_]*$" end
    set, word = names_for(path, separator, env), start
  end
  local list = {}
  for name in pairs(set) do
    if name:sub(1, #word) == word and (word ~= "" or name:sub(1, 1) ~= "_") then list[#list + 1] = name end
  end
  table.sort(list)
  if #list == 0 then return nil, list end
  return common_prefix(list):sub(#word + 1), list
end

local function completer(env)
  return function(before)
    local fine, insert, list = pcall(M.complete, before, env)
    if not fine then return nil end
    if #list > 1 and insert == "" then
      local shown = table.move(list, 1, math.min(#list, 200), 1, {})
      local text = in_columns(shown, require("engine.line").width())
      if #list > #shown then text = text .. ("\n… %d more"):format(#list - #shown) end
      return nil, text
    end
    return insert
  end
end

-- ---- history ----

local HISTORY_KEPT = 2000

-- Puts earlier lines into the editor; returns a function that remembers a new one.
local function open_history(editor)
  local path = history_path()
  local lines = {}
  if not path then return function(text) editor:add(text) end end
  local old = file.stat(path) and file.read(path, 16 << 20) or ""
  for line in old:gmatch "[^\n]+" do lines[#lines + 1] = line end
  local from = math.max(1, #lines - HISTORY_KEPT + 1)
  for i = from, #lines do editor:add(lines[i]) end
  local ready = file.mkdirs(path:match "^(.*)/")
  if ready and (from > 1 or not file.stat(path)) then
    local kept = table.concat(lines, "\n", from) .. (#lines > 0 and "\n" or "")
    ready = file.write(path, kept, false, true)
  end
  local last = lines[#lines]
  return function(text)
    editor:add(text)
    if ready and text ~= last then file.append(path, text .. "\n") end
    last = text
  end
end

-- ---- reading ----

-- Returns read(prompt) → text; nil at the end; nil, message, "cancelled" at Ctrl-C.
local function terminal_reader(env)
  local line = require "engine.line"
  local editor, message, code = line.open(completer(env))
  if not editor then return nil, message, code end
  local remember = open_history(editor)
  return function(prompt)
    local text, problem, kind = editor:read(prompt)
    if text and text:match "%S" then remember(text) end
    return text, problem, kind
  end, editor
end

local function plain_reader(interactive)
  return function(prompt)
    if interactive then
      io.stdout:write(prompt)
      io.stdout:flush()
    end
    local text = io.read "L"
    if not text and worker.cancelled() then
      if interactive then io.stdout:write "\n" end
      return nil, "interrupted", "cancelled"
    end
    return text and text:gsub("\n$", "") or nil
  end
end

-- One thing to evaluate: lines until they are complete. nil at the end of input; false when nothing is to be done.
local function read_chunk(read, env)
  local text, problem, code = read "> "
  if not text then
    if code == "cancelled" then return false, nil, true end
    if problem then complain(problem) end
    return nil
  end
  if not text:match "%S" then return false end
  while true do
    local chunk, more, message = compile(text, env)
    if chunk then return chunk end
    if not more then return false, message end
    local next_line, _, why = read "… "
    if not next_line then
      if why == "cancelled" then return false, nil, true end
      return false, message or "the input ends in the middle of a statement"
    end
    text = text .. "\n" .. next_line
  end
end

local function loop(read, env, interactive)
  local failed = false
  while true do
    if worker.cancelled() then worker.clear_cancel() end
    local chunk, message, cancelled = read_chunk(read, env)
    if chunk == nil then break end
    if cancelled and not interactive then return 130 end
    if message then
      complain(message)
      failed = true
    elseif chunk and not evaluate(chunk, env) then
      failed = true
    end
  end
  if interactive then
    io.stdout:write "\n"
    return 0
  end
  return failed and 1 or 0
end

-- Runs the file named on the command line in the prompt's environment; what it returns is then in _.
local function run_script(path, env)
  local chunk, message = loadfile(path, "t", env)
  if not chunk then
    complain("lathe: " .. message)
    return false
  end
  local values = table.pack(xpcall(chunk, handler))
  if not values[1] then
    complain("lathe: " .. (worker.cancelled() and "interrupted" or values[2].message))
    worker.clear_cancel()
    return true -- the prompt is where one looks into it
  end
  rawset(env, "_", values[2])
  if values[2] ~= nil then pcall(print_values, table.pack(values[2])) end
  return true
end

--- The command `lathe repl [FILE]`.
-- @param options table: { script = a Lua file to run first }
-- @return integer: the exit status
function M.main(options)
  local env = M.environment()
  local stdin, stdout = require("engine.clock").terminal()
  local interactive = stdin and stdout
  if interactive then
    print(("lathe %s. help lists what there is, help \"NAME\" explains it, Tab completes, Ctrl-D leaves."):format(
      worker.version()))
  end
  if options and options.script and not run_script(options.script, env) then return 1 end
  local read, editor
  if interactive then
    local message
    read, editor = terminal_reader(env)
    if not read then
      message, editor = editor, nil
      print("(" .. tostring(message) .. ")")
    end
  end
  local _ <close> = editor
  return loop(read or plain_reader(interactive), env, interactive)
end

return M
