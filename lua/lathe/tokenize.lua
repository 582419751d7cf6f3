-- SPDX-License-Identifier: MIT
-- The command `lathe tokenize TOKENIZER [FILES]`.
--
--   what a text is      a whole file (or standard input); with --lines each line; with --jsonl FIELD the field of
--                       each record
--   what comes out      on a terminal the tokens in colour with their ids; otherwise the ids of a text on one line;
--                       --json an object per text; --count numbers per file; --decode text, ids being the input
--
-- Files are read as streams. A long one goes through in pieces where tokenizer:cut proves that the ids stay the
-- same; where nothing can be proven it is held as a whole. Files may be gzip or zstd.

local clock = require "engine.clock"
local file = require "engine.file"
local json = require "engine.json"
local packed_ids = require "engine.tokens"
local progress = require "lathe.progress"
local ustring = require "engine.text"
local worker = require "engine.worker"

local M = {}

local PIECE = 8 << 20      -- bytes read at a time
local SHOWN = 64 << 10     -- the same, when tokens are shown
local BATCH, BATCH_BYTES = 4096, 4 << 20 -- texts encoded together
local FLUSH = 1 << 16

local function fail(code, format, ...) error({ message = format:format(...), code = code }, 0) end

-- What other modules say, passed on.
local function sure(value, message, code)
  if value == nil then error({ message = message or "failed", code = code }, 0) end
  return value, message
end

-- ---- output ----

local held, held_bytes = {}, 0

local function flush()
  if held_bytes == 0 then return end
  local fine, message, number = io.stdout:write(table.concat(held))
  if fine then fine, message, number = io.stdout:flush() end
  held, held_bytes = {}, 0
  if fine then return end
  -- Nobody reads on (lathe tokenize … | head): no reason to complain.
  error({ message = number ~= 32 and "standard output: " .. tostring(message) or nil, code = "io", quiet = number == 32 }, 0)
end

local function put(text)
  held[#held + 1], held_bytes = text, held_bytes + #text
  if held_bytes >= FLUSH then flush() end
end

-- ---- input ----

local Source = {}
Source.__index = Source

-- One input: its path for opening, its name for people, its length when known.
local function source_of(path)
  local from_stdin = path == "-"
  local info = not from_stdin and file.stat(path)
  if not from_stdin and not info then fail("not_found", "%s: no such file", path) end
  if info and info.type == "folder" then fail("misuse", "%s: is a folder; name files, such as %s/*", path, path) end
  return setmetatable({ path = from_stdin and "/dev/stdin" or path, name = from_stdin and "standard input" or path,
    size = info and info.size }, Source)
end

function Source:check(text, before, where, options)
  if options.bytes then return end
  local fine, at = ustring.valid(text)
  if fine then return end
  fail("format", "%s: not UTF-8 (byte %d%s); --bytes takes such bytes as they are", self.name, before + at,
    where and " of line " .. where or "")
end

-- Calls each(text, last) for the pieces of the whole input; with `whole` there is one.
function Source:pieces(tok, options, step, each)
  local stream = sure(file.stream(self.path))
  local _ <close> = setmetatable({}, { __close = function() stream:close() end })
  local kept, wanted, before, whole = "", step, 0, options.whole
  local parts, length = {}, 0
  while true do
    local got, message, code = stream:read(wanted)
    if not got and message then sure(nil, message, code) end
    parts[#parts + 1] = got
    length = length + (got and #got or 0)
    local ended = not got or #got < wanted
    if ended or not whole then
      kept = #parts == 1 and kept == "" and parts[1] or kept .. table.concat(parts)
      parts = {}
    end
    local stop, following
    if not ended and not whole then stop, following = tok:cut(kept) end
    if ended then stop, following = #kept, #kept + 1 end
    if stop then
      local text = stop == #kept and kept or kept:sub(1, stop)
      self:check(text, before, nil, options)
      before = before + following - 1
      options.tick(self, before)
      each(text, ended)
      kept, wanted = kept:sub(following), step
    elseif not whole then
      wanted = math.max(step, #kept) -- no place to cut: look again when there is twice as much
    end
    if ended then return length end
  end
end

local function field_names(record)
  local names = {}
  for k in pairs(record) do names[#names + 1] = tostring(k) end
  return #names > 0 and table.concat(names, ", ") or "none"
end

local function field_of(record, field, name, number)
  local value = record[field]
  if value == nil then value = json.get(record, field) end
  if value == nil or value == json.null then
    fail("format", "%s: line %d: no field '%s' (the record has: %s)", name, number, field, field_names(record))
  end
  return value
end

-- Calls each(text or ids, line number) for each line or record.
function Source:items(options, each)
  local lines, message, code = file.lines(self.path)
  sure(lines, message, code)
  for text, number, offset, length in lines do
    if not text then fail("limit", "%s: line %d: %d bytes; at most 64 MiB", self.name, number, length) end
    if options.jsonl then
      if text:find "%S" then
        local record = sure(json.record(text, ("%s: line %d"):format(self.name, number)))
        local value = field_of(record, options.jsonl, self.name, number)
        if not options.decode and type(value) ~= "string" then
          fail("format", "%s: line %d: field '%s' is no text", self.name, number, options.jsonl)
        end
        each(value, number)
      end
    else
      if not options.decode then self:check(text, 0, number, options) end
      each(text, number)
    end
    if number % 256 == 0 then options.tick(self, offset) end
  end
end

-- ---- encoding: to ids ----

local function encode_options(options, offsets)
  return { special = options.special, plain = options.plain, offsets = offsets or nil }
end

-- The ids of one text, cut to --max.
local function ids_of(tok, text, options, offsets)
  local given = encode_options(options, offsets)
  if not options.max then return sure(tok:encode(text, given)) end
  given.side = options.side
  local ids, cut, spans = tok:truncate(text, options.max, given)
  sure(ids, cut, spans)
  return ids, spans
end

-- The ids of several texts, as numbers with spaces between them.
local function lines_of_ids(tok, texts, options)
  local out = {}
  if options.max then
    for i, text in ipairs(texts) do out[i] = table.concat(ids_of(tok, text, options), " ") end
    return out
  end
  local given = encode_options(options)
  given.threads, given.packed = options.threads, true
  for i, ids in ipairs(sure(tok:encode_batch(texts, given))) do out[i] = packed_ids.text(ids) end
  return out
end

-- Calls each(list of texts, list of line numbers) for the items of a source, many at a time.
local function in_batches(source, options, each)
  local texts, numbers, bytes = {}, {}, 0
  source:items(options, function(text, number)
    texts[#texts + 1], numbers[#numbers + 1], bytes = text, number, bytes + #text
    if #texts >= BATCH or bytes >= BATCH_BYTES then
      each(texts, numbers)
      texts, numbers, bytes = {}, {}, 0
    end
  end)
  if #texts > 0 then each(texts, numbers) end
end

local function print_ids(tok, source, options)
  if options.each_line then
    return in_batches(source, options, function(texts)
      for _, ids in ipairs(lines_of_ids(tok, texts, options)) do put(ids .. "\n") end
    end)
  end
  local first, pending = true, {}
  source:pieces(tok, options, 1 << 20, function(text, last)
    pending[#pending + 1] = text
    if not last and #pending < options.threads then return end
    for _, ids in ipairs(lines_of_ids(tok, pending, options)) do
      if ids ~= "" then put((first and "" or " ") .. ids) end
      first = first and ids == ""
    end
    pending = {}
  end)
  put "\n"
end

local function object(tok, source, number, text, options)
  local ids, spans = ids_of(tok, text, options, true)
  local names = {}
  for i, id in ipairs(ids) do names[i] = tok:token(id) or json.null end
  local out = json.object()
  out.file = source.name
  if number then out.line = number end
  out.ids, out.tokens, out.offsets = json.array(ids), json.array(names), json.array(spans)
  put(json.encode(out) .. "\n")
end

local function print_json(tok, source, options)
  if options.each_line then
    return source:items(options, function(text, number) object(tok, source, number, text, options) end)
  end
  source:pieces(tok, options, PIECE, function(text) object(tok, source, nil, text, options) end)
end

local function print_tokens(tok, source, options)
  local view = require "lathe.token_view"
  local given = encode_options(options)
  given.max, given.side, given.colours = options.max, options.side, options.colours
  local function draw(text)
    put((view.render(tok, text, given)))
    flush()
  end
  if options.each_line then return source:items(options, draw) end
  source:pieces(tok, options, SHOWN, draw)
end

-- ---- counting ----

local function new_sum(name) return { name = name, tokens = 0, uncut = 0, bytes = 0, texts = 0, longest = 0, cut = 0 } end

local function add_text(sum, tokens, bytes, max)
  sum.uncut = sum.uncut + tokens
  if max and tokens > max then tokens, sum.cut = max, sum.cut + 1 end
  sum.tokens, sum.bytes, sum.texts = sum.tokens + tokens, sum.bytes + bytes, sum.texts + 1
  sum.longest = math.max(sum.longest, tokens)
end

local function count_source(tok, source, options)
  local sum = new_sum(source.name)
  local given = { special = options.special, plain = options.plain }
  if options.each_line then
    in_batches(source, options, function(texts)
      local counts = sure(tok:count_batch(texts, { special = options.special, plain = options.plain,
        threads = options.threads }))
      for i, text in ipairs(texts) do add_text(sum, counts[i], #text, options.max) end
    end)
    return sum
  end
  local tokens, pending = 0, {}
  local around = options.special and tok:count("", { special = true }) or 0
  local function work()
    for _, n in ipairs(sure(tok:count_batch(pending, { plain = given.plain, threads = options.threads }))) do
      tokens = tokens + n
    end
    pending = {}
  end
  -- As many pieces at once as there are threads, each of a fair share.
  local share = math.max(256 << 10, PIECE // options.threads)
  local bytes = source:pieces(tok, options, share, function(text, last)
    pending[#pending + 1] = text
    if last or #pending >= options.threads then work() end
  end)
  add_text(sum, tokens + around, bytes, options.max)
  return sum
end

local COLUMNS = { { "tokens", 12, "%d" }, { "bytes", 13, "%d" }, { "bytes/token", 12, "%.2f" }, { "texts", 10, "%d" },
  { "longest", 9, "%d" }, { "cut", 8, "%d" } }

local function shown_columns(options)
  local out = {}
  for i, c in ipairs(COLUMNS) do
    if i <= 3 or options.each_line and i <= 5 or i == 6 and options.max then out[#out + 1] = c end
  end
  return out
end

local function row_of(sum, columns)
  local out = {}
  local values = { tokens = sum.tokens, bytes = sum.bytes, ["bytes/token"] = sum.uncut > 0 and sum.bytes / sum.uncut or 0.0,
    texts = sum.texts, longest = sum.longest, cut = sum.cut }
  for i, c in ipairs(columns) do out[i] = ("%" .. c[2] .. "s"):format(c[3]:format(values[c[1]])) end
  return table.concat(out) .. "  " .. sum.name .. "\n"
end

local function head_of(columns)
  local out = {}
  for i, c in ipairs(columns) do out[i] = ("%" .. c[2] .. "s"):format(c[1]) end
  return table.concat(out) .. "  file\n"
end

local function rate_line(total, seconds)
  return ("%s and %s tokens in %s: %s/s, %.2f million tokens/s\n"):format(progress.bytes(total.bytes),
    progress.count(total.tokens), progress.duration(seconds), progress.bytes(math.floor(total.bytes / seconds)),
    total.tokens / seconds / 1e6)
end

local function sum_object(sum)
  local out = json.object()
  out.file, out.tokens, out.bytes, out.texts, out.longest, out.cut = sum.name, sum.tokens, sum.bytes, sum.texts,
    sum.longest, sum.cut
  return json.encode(out) .. "\n"
end

-- Adds up what count_source gives for each file, and prints it as it comes.
local function counter(options)
  local total, columns, files, seconds = new_sum "total", shown_columns(options), 0, 0
  local function one(tok, source)
    local began = clock.now()
    local sum = count_source(tok, source, options)
    seconds = seconds + clock.now() - began
    options.clear()
    if files == 0 and not options.json then put(head_of(columns)) end
    put(options.json and sum_object(sum) or row_of(sum, columns))
    flush()
    files = files + 1
    for _, key in ipairs { "tokens", "uncut", "bytes", "texts", "cut" } do total[key] = total[key] + sum[key] end
    total.longest = math.max(total.longest, sum.longest)
  end
  local function finish()
    if files > 1 then put(options.json and sum_object(total) or row_of(total, columns)) end
    flush()
    local _, _, terminal = clock.terminal()
    if files > 0 and terminal then io.stderr:write(rate_line(total, math.max(seconds, 1e-9))) end
  end
  return one, finish
end

-- ---- decoding: to text ----

local function bad_id(source, where, text)
  fail("format", "%s: %s: '%s' is no token id", source.name, where, text:sub(1, 20))
end

-- "1, 2 3" or "[1,2]" as packed ids; counts those that have no token.
local function ids_in(text, tok, source, where, options)
  local ids, beyond, code = packed_ids.numbers(text, #tok)
  if code == "format" then bad_id(source, where, beyond) end
  sure(ids, beyond, code)
  options.unknown = options.unknown + beyond
  return ids
end

local function ids_of_field(value, tok, source, where, options)
  if type(value) == "string" then return ids_in(value, tok, source, where, options) end
  if json.kind(value) ~= "array" then fail("format", "%s: %s: field '%s' holds no ids", source.name, where, options.jsonl) end
  local out = {}
  for i = 1, #value do
    local id = value[i]
    if math.type(id) ~= "integer" or id < 0 or id >= 1 << 22 then bad_id(source, where, tostring(id)) end
    if id >= #tok then options.unknown = options.unknown + 1 end
    out[i] = id
  end
  return out
end

local function put_text(text, source, number, options)
  if not options.json then return put(text .. "\n") end
  local out = json.object()
  out.file, out.line, out.text = source.name, number, text
  put(json.encode(out) .. "\n")
end

local function print_decoded(tok, source, options)
  local skip = { skip_special = options.skip_special }
  if options.each_line then
    return source:items(options, function(value, number)
      local where = "line " .. number
      local ids = options.jsonl and ids_of_field(value, tok, source, where, options)
        or ids_in(value, tok, source, where, options)
      put_text(tok:decode(ids, skip), source, number, options)
    end)
  end
  local stream = sure(file.stream(source.path))
  local _ <close> = setmetatable({}, { __close = function() stream:close() end })
  local piece, tail, before = tok:stream(skip), "", 0
  local all_text = {}
  while true do
    local got, message, code = stream:read(FLUSH, true) -- a model may be writing these ids
    if not got and message then sure(nil, message, code) end
    local text = tail .. (got or "")
    local stop = #text -- a number may go on in the next block
    while got and stop > 0 and text:find("^%d", stop) do stop = stop - 1 end
    tail = text:sub(stop + 1)
    local decoded = piece(ids_in(text:sub(1, #text - #tail), tok, source, "byte " .. before, options))
    if options.json then
      all_text[#all_text + 1] = decoded
    else
      put(decoded)
    end
    before = before + #text - #tail
    options.tick(source, before)
    if not got then break end
    flush()
  end
  if not options.json then return put(piece() .. (options.live and "\n" or "")) end
  put_text(table.concat(all_text) .. piece(), source, nil, options)
end

-- ---- the command ----

local function check(args)
  local function both(a, b)
    if args[a] and args[b] then fail("misuse", "--%s and --%s do not go together", a:gsub("_", "-"), b:gsub("_", "-")) end
  end
  both("count", "decode")
  both("lines", "jsonl")
  both("decode", "special")
  both("decode", "plain")
  both("decode", "max")
  if args.skip_special and not args.decode then fail("misuse", "--skip-special is for --decode; --plain takes them for text") end
  if args.side and not args.max then fail("misuse", "--side says where --max cuts: give --max too") end
  local function whole(name, least, most)
    if not args[name] then return nil end
    local n = math.tointeger(tonumber(args[name]))
    if not n or n < least or n > most then fail("misuse", "--%s %s: a whole number from %d to %d", name, args[name], least, most) end
    return n
  end
  return whole("max", 0, 1 << 40), whole("jobs", 1, 1024)
end

local function options_of(args)
  local max, jobs = check(args)
  local _, stdout, stderr = clock.terminal()
  local view = require "lathe.token_view"
  local display = progress.new { terminal = true, quiet = not stderr or os.getenv "TERM" == "dumb"
    or stdout and not args.count }
  local done, sizes = 0, 0
  local options = { special = args.special, plain = args.plain, skip_special = args.skip_special, max = max,
    side = args.side, jsonl = args.jsonl, each_line = (args.lines or args.jsonl) and true, json = args.json, decode = args.decode,
    bytes = args.bytes, threads = jobs or worker.processors(), unknown = 0, live = stdout,
    show = stdout and not (args.json or args.count or args.decode), colours = view.colours() }
  options.whole = args.max or args.json or args.special and not args.count -- what goes around a text goes there once
  function options.tick(_, at)
    local total = sizes >= done + at and sizes // 1000000 or nil -- less: a compressed file
    display:update("tokenize", (done + at) // 1000000, total, "MB")
  end
  function options.clear() display:clear() end
  function options.file_done(source) done = done + (source.size or 0) end
  function options.total(n) sizes = n end
  return options
end

local function action_of(options, args)
  if args.count then return counter(options) end
  local print = args.decode and print_decoded or args.json and print_json or options.show and print_tokens or print_ids
  return function(tok, source) print(tok, source, options) end
end

local function all(args)
  local options = options_of(args)
  local sources, size = {}, 0
  for i, path in ipairs(#args.files > 0 and args.files or { "-" }) do
    sources[i] = source_of(path)
    size = size and sources[i].size and size + sources[i].size
  end
  options.total(size or 0)
  local stdin, _, stderr = clock.terminal()
  if stdin and stderr and sources[1].path == "/dev/stdin" then
    io.stderr:write "lathe: reading what is typed; Ctrl-D ends it\n"
  end
  local tok = sure(require("lathe.tokenizers").load(args.tokenizer, { encoding = args.encoding }))
  local one, finish = action_of(options, args)
  for _, source in ipairs(sources) do
    one(tok, source)
    options.file_done(source)
  end
  options.clear()
  if finish then finish() end
  flush()
  if options.unknown > 0 then
    io.stderr:write(("lathe: %d %s beyond the vocabulary's %d and left out\n"):format(options.unknown,
      options.unknown == 1 and "id is" or "ids are", #tok))
  end
end

--- Adds the command to the program's parser.
-- @param p parser: of argparse
function M.add(p)
  local c = p:command("tokenize", "Turn text into token ids, or ids into text; count tokens.")
  c:argument("tokenizer", "A tokenizer: a model's folder, tokenizer.json, tokenizer.model, .tiktoken or .gguf.")
  c:argument("files", "Text files, gzip and zstd too; - or none: standard input."):args "*"
  c:flag("--count", "Numbers of tokens per file and in total, nothing else.")
  c:flag("--lines", "Each line is a text, not each file.")
  c:option("--jsonl", "Each record of a JSONL file is a text: its FIELD (a.b for a field in a field)."):argname "FIELD"
  c:flag("--json", "A JSON object per text: ids, tokens, offsets in bytes.")
  c:flag("--decode", "The input is ids; print their text.")
  c:flag("--special", "Add what the model expects around a text (BOS, EOS …).")
  c:flag("--plain", "Special tokens inside the text are text.")
  c:flag("--skip-special", "With --decode: leave special tokens out.")
  c:option("--max", "Keep at most so many tokens of each text."):argname "N"
  c:option("--side", "The side that --max cuts off (default: right)."):choices { "left", "right" }
  c:flag("--bytes", "Take bytes that are not UTF-8 as they are.")
  c:option("--encoding", "Of a rank file (.tiktoken): cl100k_base, o200k_base …"):argname "NAME"
  c:option("-j --jobs", "Threads (default: one a processor)."):argname "N"
end

--- The command.
-- @param args table: as parsed
-- @return boolean: true; else nil, message, code
function M.run(args)
  held, held_bytes = {}, 0
  local fine, problem = pcall(all, args)
  if fine then return true end
  if type(problem) ~= "table" then
    if worker.cancelled() then return nil, "stopped", "cancelled" end
    return nil, tostring(problem)
  end
  if not problem.quiet then pcall(flush) end -- what was done before the failure
  return nil, problem.message, problem.quiet and "quiet" or problem.code
end

return M
