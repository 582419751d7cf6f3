-- SPDX-License-Identifier: MIT
-- `lathe doctor`: what it looks at, and its status when something needed is missing.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

test.case("names what it found", function()
  local status, out, err = cli.run("doctor", { env = "XDG_CONFIG_HOME=/nowhere" })
  test.equal(err, "")
  for _, part in ipairs { "lathe 0.", "processor", "memory", "OpenBLAS", "libedit", "lathe-extract", "Landlock",
    "your stages", "/nowhere/lathe/templates", "history" } do
    test.contains(out, part)
  end
  test.equal(status, out:find "FAIL" and 1 or 0)
end)

test.case("a missing extractor is a failure that names it", function()
  local status, out = cli.run("doctor", { env = "LATHE_EXTRACT=/no/such/lathe-extract" })
  test.contains(out, "FAIL  lathe-extract")
  test.contains(out, "/no/such/lathe-extract")
  test.contains(out, "1 needed thing is missing")
  test.equal(status, 1)
end)

return test.done()
