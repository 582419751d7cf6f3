-- SPDX-License-Identifier: MIT
-- make bench without peers: it still runs, says so, and names what it does not know. No figure is asserted.
local test = require "tests.support.test"

local function bench(environment, name)
  local pipe = io.popen(("env -u LATHE_PEERS %s tests/bench/run %s 2>&1; echo status $?"):format(environment, name))
  local out = pipe:read "a"
  pipe:close()
  return out
end

test.case("a benchmark runs without peers and says that there are none", function()
  local out = bench("", "matmul")
  test.contains(out, "LATHE_PEERS names no Python")
  test.contains(out, "GFLOP/s")
  test.contains(out, "1 benchmark(s) in")
  test.contains(out, "status 0")
end)

test.case("an unknown benchmark and a Python that is none are misuse", function()
  local out = bench("", "matmull")
  test.contains(out, "bench: there is no benchmark 'matmull'")
  test.contains(out, "status 2")
  out = bench("LATHE_PEERS=/nowhere/python", "matmul")
  test.contains(out, "LATHE_PEERS is '/nowhere/python', which is not a Python that runs")
  test.contains(out, "status 2")
end)

return test.done()
