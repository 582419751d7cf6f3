-- SPDX-License-Identifier: MIT
-- tools/audit with a debsecan made of a shell script: only the packages that the programs load count.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

local function audit(debsecan)
  if not io.open "build/lathe" then test.skip "build/lathe is not built" end
  if not os.execute "command -v dpkg >/dev/null" then test.skip "no dpkg here" end
  return test.with_dir(function(dir)
    cli.put(dir .. "/debsecan", "#!/bin/sh\n" .. debsecan .. "\n")
    os.execute("chmod +x '" .. dir .. "/debsecan'")
    local pipe = io.popen(("PATH='%s':$PATH tools/audit 2>&1; echo status $?"):format(dir))
    local out = pipe:read "a"
    pipe:close()
    return out
  end)
end

test.case("what a newer package fixes is a failure; others' packages do not count", function()
  local out = audit [[case "$*" in
*only-fixed*) echo "CVE-1 zlib1g"; echo "CVE-9 not-linked" ;;
*simple*) echo "CVE-1 zlib1g"; echo "CVE-2 zlib1g"; echo "CVE-9 not-linked" ;;
esac]]
  test.contains(out, "packages are loaded by lathe")
  test.contains(out, "known, without a fixed package yet: 1\n  zlib1g: CVE-2\n")
  test.contains(out, "fixed in a newer package (apt-get upgrade): 1\n  CVE-1 zlib1g\n")
  test.contains(out, "status 1")
  test.ok(not out:find "not-linked")
end)

test.case("nothing known", function() test.contains(audit ":", "none that a newer package would fix\nstatus 0") end)

test.case("no network is said, and is not success", function()
  local out = audit "echo 'error: while downloading' >&2"
  test.contains(out, "could not be fetched, so nothing is known")
  test.contains(out, "status 2")
end)

return test.done()
