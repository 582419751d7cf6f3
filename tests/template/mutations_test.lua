-- SPDX-License-Identifier: MIT
-- Thousands of damaged templates: each renders or fails with an error of its own, within its limits; none brings out a fault of ours.
local test = require "tests.support.test"
local file = require "engine.file"
local json = require "engine.json"
local hash = require "engine.hash"
local jinja = require "lathe.jinja"
require "lathe.template"

local ROUNDS = tonumber(os.getenv "LATHE_MUTATIONS" or "") or 3000

local function load_cases()
  local vars, sources, pieces = nil, {}, {}
  for text in file.lines "tests/template/jinja_reference.jsonl" do
    local line = json.decode(text)
    if line.vars then
      vars = line.vars
    else
      sources[#sources + 1] = line.template
      for piece in line.template:gmatch "%s*[%w_]+%s*" do pieces[#pieces + 1] = piece end
      for piece in line.template:gmatch "[^%w%s]+" do pieces[#pieces + 1] = piece end
    end
  end
  return vars, sources, pieces
end

local function mutate(source, rng, pieces, sources)
  for _ = 1, rng:integer(1, 3) do
    local a = rng:integer(1, math.max(1, #source))
    local b = math.min(#source, a + rng:integer(0, 6))
    local kind = rng:integer(1, 4)
    local piece = pieces[rng:integer(1, #pieces)]
    if kind == 1 then
      source = source:sub(1, a - 1) .. piece .. source:sub(b + 1)
    elseif kind == 2 then
      source = source:sub(1, a - 1) .. source:sub(b + 1)
    elseif kind == 3 then
      source = source:sub(1, a) .. piece .. source:sub(a + 1)
    else
      local other = sources[rng:integer(1, #sources)]
      source = source:sub(1, a) .. other:sub(rng:integer(1, #other))
    end
  end
  return source
end

test.case("damaged templates fail cleanly", function()
  local vars, sources, pieces = load_cases()
  local rng = hash.rng(1, "mutations")
  local rendered, failed = 0, 0
  for _ = 1, ROUNDS do
    local source = mutate(sources[rng:integer(1, #sources)], rng, pieces, sources)
    local compiled, message, code = jinja.compile(source, { name = "t" })
    local text
    if compiled then
      text, message, code = compiled:render(vars, { max_steps = 20000, max_output = 1 << 20, strict = rng:integer(0, 1) == 1, now = 0 })
    end
    if text then
      rendered = rendered + 1
    else
      failed = failed + 1
      if type(message) ~= "string" or type(code) ~= "string" or message:find("a fault in", 1, true) then
        error(test.show(source) .. ": " .. tostring(message))
      end
    end
  end
  test.ok(rendered > ROUNDS // 20 and failed > ROUNDS // 20, rendered .. " rendered, " .. failed .. " failed")
end)

return test.done()
