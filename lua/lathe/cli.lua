-- SPDX-License-Identifier: MIT
-- The command line. Returns the exit status: 0 done, 1 the work failed, 2 misuse, 130 Ctrl-C.

local M = {}

local function say(format, ...) io.stderr:write("lathe: ", format:format(...), "\n") end

local STATUS = { misuse = 2, cancelled = 130 }

local function failed(message, code)
  if code == "cancelled" then
    say "stopped; run the same command again to go on from here"
  else
    say("%s", message)
  end
  return STATUS[code] or 1
end

-- Says how a command is written, and what is wrong with how it was.
local function usage(name, message)
  local p = M.parser()
  local command = p
  for _, c in ipairs(p._commands) do if c._name == name then command = c end end
  io.stderr:write(command:get_usage(), "\n")
  say("%s", message)
  return 2
end

-- ---- options shared by run and stage ----

local function split_pairs(list, what)
  local out = {}
  for _, text in ipairs(list or {}) do
    local name, value = text:match "^([^=]+)=(.*)$"
    if not name then return nil, ("%s %s: write name=value"):format(what, text), "misuse" end
    out[name] = value
  end
  return out
end

local function run_options(args)
  local config = require "lathe.config"
  local clock = require "engine.clock"
  local set, message, code = split_pairs(args.set, "--set")
  if not set then return nil, message, code end
  local memory
  if args.memory then
    memory, message, code = config.size(args.memory)
    if not memory then return nil, "--memory: " .. message, code end
    if memory < 128 << 20 then return nil, "--memory: at least 128M", "misuse" end
  end
  local threads = require("engine.worker").processors()
  if args.jobs then threads = tonumber(args.jobs) end
  if math.type(threads) ~= "integer" or threads < 1 or threads > 1024 then
    return nil, ("-j %s: a whole number from 1 to 1024"):format(args.jobs), "misuse"
  end
  local _, _, terminal = clock.terminal()
  return { set = set, memory = memory, threads = threads, from = args.from, only = args.only,
    runs = args.runs, stream = not args.no_stream, log_level = args.log_level,
    log_file = args.log_file, version = M.version,
    progress = require("lathe.progress").new { terminal = terminal and os.getenv "TERM" ~= "dumb" } }
end

local function folder_of(path) return path:match "^(.*)/[^/]*$" or "." end

-- ---- commands ----

local function run(args)
  local planner = require "lathe.plan"
  local options, message, code = run_options(args)
  if not options then return failed(message, code) end
  local recipe
  recipe, message, code = planner.load(args.recipe)
  if not recipe then return failed(message, code) end
  options.path, options.root = args.recipe, folder_of(args.recipe)
  if args.plan then return require("lathe.report").plan(recipe, options) end
  local finished
  finished, message, code = require("lathe.recipe").run(recipe, options)
  if not finished then return failed(message, code) end
  require("lathe.report").summary(finished)
  return 0
end

-- Where a stage reads and writes: two arguments, or --input-file and --output-dir.
local function stage_places(args)
  local input, output = args.input, args.output
  if args.input_file then input, output = args.input_file, args.output or args.input end
  if args.input_file and args.output then
    return nil, "the input is named twice: as an argument and by --input-file", "misuse"
  end
  if args.output_dir then
    if output then return nil, "the output is named twice: as an argument and by --output-dir", "misuse" end
    output = args.output_dir
  end
  local missing = not input and "input" or not output and "output"
  if missing then return nil, ("missing argument '%s'"):format(missing), "usage" end
  return input, output
end

-- One stage alone: the same runner over a recipe of one stage, in a private folder beside the output.
local function stage(args)
  local options, message, code = run_options(args)
  if not options then return failed(message, code) end
  local given
  given, message, code = split_pairs(args.artifact, "--artifact")
  if not given then return failed(message, code) end
  local input, output, kind = stage_places(args)
  if kind == "usage" then return usage("stage", output) end
  if not input then return failed(output, kind) end
  options.fan_out, options.rejected = args.output_dir ~= nil, args.rejected
  local fine
  fine, message, code = require("lathe.single").run(args.name, input, output, given, options)
  if not fine then return failed(message, code) end
  return 0
end

local function templates(args)
  io.stdout:write(require("lathe.template_list").text(args.folder))
  return 0
end

local function show(args)
  local set, message, code = split_pairs(args.set, "--set")
  if not set then return failed(message, code) end
  local fine
  fine, message, code = require("lathe.sample").run(args, set)
  if not fine then return failed(message, code) end
  return 0
end

local function tokenize(args)
  local done, message, code = require("lathe.tokenize").run(args)
  if done then return 0 end
  if code == "quiet" then return 1 end
  if code == "cancelled" then
    say "stopped"
    return STATUS.cancelled
  end
  return failed(message, code)
end

local function exec(args)
  local chunk, message = loadfile(args.script)
  if not chunk then
    say("%s", message)
    return 1
  end
  local list = { [0] = args.script, table.unpack(args.arguments or {}) }
  _G.arg = list
  local status = chunk(table.unpack(list))
  return math.type(status) == "integer" and status or 0
end

local function run_flags(command)
  command:option("--set", "Set a recipe option, or a stage's as stage.option."):argname "NAME=VALUE":count "*"
  command:option("-j --jobs", "Worker threads (default: one a processor)."):argname "N"
  command:option("--memory", "Memory to use, such as 2G (default: half of what there is)."):argname "SIZE"
  command:option("--log-level", "What to print: debug, info, warn or error."):choices { "debug", "info", "warn", "error" }
  command:option("--log-file", "Also write events there, as JSON lines."):argname "FILE"
  command:flag("--no-stream", "Finish each stage before the next begins; the bytes are the same.")
end

--- The parser of the command line: its commands and options, for help.
function M.parser()
  local argparse = require "argparse"
  local p = argparse("lathe", "From documents to a fine-tuned language model, on your own machine.")
  p:command_target "command"
  p:flag("--version", "Print the version."):action(function()
    print("lathe " .. M.version)
    os.exit(0, true)
  end)
  local c = p:command("run", "Run a recipe, or go on with one that was stopped. The recipe's options are options here: "
    .. "--name value; `lathe run RECIPE --help` lists them.")
  c:argument("recipe", "The recipe: a Lua file.")
  run_flags(c)
  c:option("--from", "Run this stage and those after it again."):argname "STAGE"
  c:option("--only", "Run only this stage."):argname "STAGE"
  c:option("--runs", "The folder for runs (default: runs)."):argname "FOLDER"
  c:flag("--plan", "Say what would be done, and do nothing.")
  c = p:command("stage", "Run one stage on a JSONL file. The stage's options are options here: --name value; "
    .. "`lathe stage NAME --help` lists them.")
  c:argument("name", "The stage.")
  c:argument("input", "What it reads: a JSONL file, - for standard input; for read, a folder, file or pattern."):args "?"
  c:argument("output", "The JSONL file to be made, - for standard output; for an artifact, the folder."):args "?"
  run_flags(c)
  c:option("--input-file", "What it reads, by name."):argname "FILE"
  c:option("--output-dir", "A folder to write to: a file for each split."):argname "FOLDER"
  c:option("--rejected", "Where rejected records go (default: OUTPUT.rejected.jsonl)."):argname "FILE"
  c:option("--artifact", "An artifact that the stage uses."):argname "NAME=FOLDER":count "*"
  c = p:command("templates", "List the prompt templates, tasks and augmentation rules.")
  c:argument("folder", "The recipe's folder (default: this one)."):args "?"
  c = p:command("show", "Show records as a template renders them; what carries loss is marked.")
  c:argument("recipe", "The recipe, whose run has made some records; or a JSONL file.")
  c:option("--sample", "How many records (default: 3)."):argname "N"
  c:option("--stage", "The stage (default: the first prompt stage)."):argname "NAME"
  c:option("--template", "Another template than the recipe's."):argname "NAME"
  c:option("--set", "Set a recipe option, or a stage's as stage.option."):argname "NAME=VALUE":count "*"
  c:option("--runs", "The folder for runs (default: runs)."):argname "FOLDER"
  require("lathe.tokenize").add(p)
  c = p:command("repl", "Explore: a Lua prompt with the engine at hand.")
  c:argument("script", "A Lua file to run first."):args "?"
  p:command("doctor", "Check this machine: libraries, processor, sandbox.")
  c = p:command("help", "Explain a command, stage, function, recipe or template.")
  c:argument("name", "What to explain."):args "?"
  c = p:command("exec", "Run a Lua script with the engine at hand.")
  c:argument("script", "The script.")
  c:argument("arguments", "Its arguments."):args "*"
  return p
end

-- Scripts take their arguments as they are, options too: no parser between.
local function exec_arguments(arguments)
  return { command = "exec", script = arguments[2], arguments = table.move(arguments, 3, #arguments, 1, {}) }
end

local COMMANDS = {
  run = run,
  stage = stage,
  templates = templates,
  show = show,
  tokenize = tokenize,
  exec = exec,
  repl = function(args) return require("lathe.repl").main(args) end,
  doctor = function() return require("lathe.doctor").main() end,
  help = function(args) return require("lathe.help").main(args.name) end,
}

-- What a recipe or stage calls its options becomes --set: see lathe.arguments.
local function expanded(p, arguments)
  for _, c in ipairs(p._commands) do
    if c._name == arguments[1] and (c._name == "run" or c._name == "stage") then
      return require("lathe.arguments").expand(arguments, c)
    end
  end
  return arguments
end

--- The program's entry.
-- @param arguments table: as the shell gave them; [0] is the program's name
-- @return integer: the exit status
function M.main(arguments)
  M.version = require("engine.worker").version()
  if arguments[1] == "--version" then
    print("lathe " .. M.version)
    return 0
  end
  local args
  if arguments[1] == "exec" and arguments[2] then
    args = exec_arguments(arguments)
  elseif #arguments == 0 then
    io.stderr:write(M.parser():get_help(), "\n")
    return 2
  else
    local p = M.parser()
    local given, message, code = expanded(p, arguments)
    if given == "help" then return require("lathe.help").target(arguments[1], message) end
    if not given then return failed(message, code) end
    local fine, result = p:pparse(given)
    if not fine then return usage(arguments[1], result) end
    args = result
  end
  return COMMANDS[args.command](args)
end

return M
