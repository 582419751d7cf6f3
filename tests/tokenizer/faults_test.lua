-- SPDX-License-Identifier: MIT
-- No memory, at many moments of training, saving, loading, encoding and decoding: a clear error each time.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

local SCRIPT = [[
local tokenizer = require "engine.tokenizer"
local function step(value, message, code)
  if value then return value end
  assert(code == "memory", message)
  print(message)
  os.exit(0)
end
local tok = step(tokenizer.train { texts = { ("low lower lowest "):rep(30), "é ß 你好" }, vocab_size = 270, special = { "<s>" } })
tok = step(tokenizer.parse(step(tok:json())))
local ids = step(tok:encode(("low lowest<s> "):rep(20) .. ("a"):rep(100), { offsets = true }))
step(tok:decode(ids))
print "fine"
]]

test.case("no memory", function()
  test.with_dir(function(dir)
    cli.put(dir .. "/script.lua", SCRIPT)
    local met = 0
    for n = 600, 1800, 40 do
      local status, out, err = cli.run("exec script.lua", { cwd = dir, program = cli.faulty, env = "LATHE_FAULT_ALLOC=" .. n })
      local said = out .. err
      test.ok(status == 0 or (status == 1 and said:find("out of memory", 1, true)), ("%d: %d %s"):format(n, status, said))
      if not said:find("fine", 1, true) then met = met + 1 end
    end
    test.ok(met > 0, "no fault was met")
  end)
end)

return test.done()
