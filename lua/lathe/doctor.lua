-- SPDX-License-Identifier: MIT
-- `lathe doctor`: what this machine and this build can do, what is missing, and the package that has it.
--
--   ok    there and working
--   --    optional and absent: one feature is off, and which
--   FAIL  needed and absent: the exit status is 1

local clock = require "engine.clock"
local file = require "engine.file"
local progress = require "lathe.progress"
local system = require "engine.system"
local worker = require "engine.worker"

local M = {}

local Report = {}
Report.__index = Report

function Report:section(title) self.lines[#self.lines + 1] = (#self.lines > 0 and "\n" or "") .. title end
function Report:line(mark, name, text)
  self.lines[#self.lines + 1] = ("  %-4s  %-16s %s"):format(mark, name, text or "")
end
function Report:ok(name, text) self:line("ok", name, text) end
function Report:off(name, text) self:line("--", name, text) end
function Report:fail(name, text)
  self.failed = self.failed + 1
  self:line("FAIL", name, text)
end

-- A module that may be missing from this build, or fail to open.
local function optional(name)
  local fine, module = pcall(require, name)
  return fine and module or nil
end

local function processor(report)
  local cpu = system.cpu()
  local features = {}
  for _, name in ipairs { "avx2", "fma", "f16c", "avx512", "avx512_bf16", "avx512_vnni" } do
    if cpu[name] then features[#features + 1] = name end
  end
  report:section "Machine"
  report:ok("system", system.kernel())
  report:ok("processor", ("%s, %d for this process"):format(cpu.name, worker.processors()))
  report:ok("instructions", #features > 0 and table.concat(features, ", ") or "none beyond the common ones: plain kernels")
  local memory = clock.total_memory()
  report:ok("memory", ("%s (a run uses half unless --memory says otherwise)"):format(progress.bytes(memory)))
  local disk = system.disk "."
  if not disk then
    report:off("disk", "the room in this folder is not known")
  elseif disk.free < 1 << 30 then
    report:off("disk", ("%s free here: a run may need more"):format(progress.bytes(disk.free)))
  else
    report:ok("disk", ("%s of %s free here"):format(progress.bytes(disk.free), progress.bytes(disk.total)))
  end
end

local function matrices(report)
  local tensor = optional "engine.tensor"
  local info, message
  if tensor and tensor.blas then info, message = tensor.blas() end
  if info then
    local config = info.config:match "^(%S+ %S+)" or info.config
    local asked = info.asked ~= "" and ", asked for " .. info.asked or ""
    report:ok("OpenBLAS", ("%s, %s kernels%s"):format(config, info.core, asked))
  elseif not message and system.loads "libopenblas.so.0" then
    report:ok("OpenBLAS", "libopenblas.so.0")
  else
    report:fail("OpenBLAS", (message or "not found") .. (message and message:find "package" and ""
      or "; install the package libopenblas0-pthread"))
  end
end

local function libraries(report)
  report:section "Libraries"
  matrices(report)
  if pcall(require, "argparse") then
    report:ok("argparse", "the command line")
  else
    report:fail("argparse", "the command line needs it; install the package lua-argparse")
  end
  local has = system.features()
  local list = {
    { "libedit", "line editing, history and completion at the prompt", "libedit-dev" },
    { "libzstd", ".jsonl.zst is read and written, Parquet is packed with it", "libzstd-dev" },
    { "uchardet", "old encodings are guessed better", "libuchardet-dev" },
    { "exttextcat", "which language a text is in", "libexttextcat-dev libexttextcat-data" },
    { "curl", "HTTP: extractors may read interfaces", "libcurl4-openssl-dev" },
  }
  for _, item in ipairs(list) do
    if has[item[1]] then
      report:ok(item[1], item[2])
    else
      report:off(item[1], ("off: %s; install %s and build again"):format(item[2], item[3]))
    end
  end
  return has
end

local function documents(report)
  report:section "Documents"
  local extract = optional "engine.extract"
  local x, message
  if extract then x, message = extract.open() end
  local info
  if x then info, message = x:info() end
  if not info then
    report:fail("lathe-extract", message or "this build has none")
    return
  end
  report:ok("lathe-extract", info.program)
  if info.poppler then
    report:ok("PDF", "poppler " .. info.poppler)
    if file.stat "/usr/share/poppler/cMap" then
      report:ok("PDF, East Asian", "poppler-data")
    else
      report:off("PDF, East Asian", "off: text with those character maps; install the package poppler-data")
    end
  else
    report:off("PDF", "off: PDF files are rejected; install the package libpoppler-glib-dev and build again")
  end
  if info.seccomp then
    report:ok("seccomp", "system calls of the reader are filtered")
  else
    report:fail("seccomp", "the reader is not confined; install the package libseccomp-dev and build again")
  end
  if info.landlock > 0 then
    report:ok("Landlock", ("ABI %d: the reader sees no files but fonts and poppler's data"):format(info.landlock))
  else
    report:off("Landlock", "this kernel has none: documents are read with seccomp and limits only")
  end
  x:close()
end

local function folder(report, name, path, note)
  local there = file.stat(path)
  report:line(there and "ok" or "--", name, path .. (there and "" or " (not there; " .. note .. ")"))
end

local function places(report)
  report:section "Where things are looked for"
  local root = system.root()
  local planner = require "lathe.plan"
  report:ok("Lathe", root)
  for i, path in ipairs(planner.search_path(".", "stages")) do
    folder(report, i == 1 and "your stages" or "", path, i == 1 and "beside the recipe" or "for all recipes")
  end
  report:ok("", root .. "/lua/lathe/stage")
  for i, path in ipairs(planner.search_path(".", "templates")) do
    folder(report, i == 1 and "your templates" or "", path, i == 1 and "beside the recipe" or "for all recipes")
  end
  report:ok("", root .. "/templates")
  local history = require("lathe.repl").history_path()
  if history then folder(report, "history", history, "lathe repl makes it") end
end

--- Looks at the machine.
-- @return table: lines of text
-- @return integer: how many needed things are missing
function M.report()
  local report = setmetatable({ lines = {}, failed = 0 }, Report)
  report:section("lathe " .. worker.version())
  processor(report)
  libraries(report)
  documents(report)
  places(report)
  return report.lines, report.failed
end

--- The command `lathe doctor`.
-- @return integer: the exit status
function M.main()
  local lines, failed = M.report()
  print(table.concat(lines, "\n"))
  if failed == 0 then
    print "\nEverything that is needed is there."
    return 0
  end
  print(("\n%d needed thing%s missing (make deps installs what the packages hold)."):format(failed, failed == 1 and " is" or "s are"))
  return 1
end

return M
