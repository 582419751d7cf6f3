-- SPDX-License-Identifier: MIT
-- tools/deps with a package system made of shell scripts: what is missing is said, then installed; sudo only
-- when not root.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

local ALL = [[gcc libc6-dev make pkg-config liblua5.4-dev lua-argparse libopenblas0-openmp zlib1g-dev libxxhash-dev libssl-dev
libpcre2-dev libutf8proc-dev libxml2-dev libarchive-dev libseccomp-dev libpoppler-glib-dev poppler-data libuchardet-dev libzstd-dev libedit-dev
libexttextcat-dev libexttextcat-data libcurl4-openssl-dev]]

-- installed: names; options: { uid, fails = package whose installation fails }
local function deps(installed, arguments, options)
  options = options or {}
  return test.with_dir(function(dir)
    local function script(name, body)
      cli.put(dir .. "/bin/" .. name, "#!/bin/sh\n" .. body .. "\n")
    end
    local lines = installed:gsub("(%S+)%s*", "ii %1\\n")
    script("dpkg-query", "printf '" .. lines .. "'")
    script("id", "echo " .. (options.uid or 0))
    script("sudo", 'echo "SUDO $*"; exec "$@"')
    script("apt-get", 'echo "APT $*"; case "$*" in *' .. (options.fails or "no-such-thing") .. "*) exit 100;; esac")
    os.execute("chmod +x '" .. dir .. "'/bin/*")
    local pipe = io.popen(("PATH='%s/bin':$PATH tools/deps %s 2>&1; echo status $?"):format(dir, arguments))
    local out = pipe:read "a"
    pipe:close()
    return out
  end)
end

test.case("nothing is missing", function()
  test.equal(deps(ALL, "build"), "deps: everything is there\nstatus 0\n")
  test.equal(deps(ALL, "--check build"), "status 0\n")
end)

test.case("what is missing is said, and only that installed", function()
  local out = deps(ALL:gsub("libxml2%-dev", ""):gsub("libedit%-dev", ""), "build")
  test.contains(out, "libxml2-dev            HTML and DOCX\n")
  test.contains(out, "libedit-dev            line editing, history and completion at the prompt (optional)")
  test.contains(out, "APT update")
  test.contains(out, "APT install -y -q --no-install-recommends libxml2-dev\n")
  test.contains(out, "APT install -y -q --no-install-recommends libedit-dev\n")
  test.ok(not out:find "SUDO")
  test.contains(out, "status 0")
end)

test.case("sudo only when not root, and said", function()
  local out = deps(ALL:gsub("zlib1g%-dev", ""), "build", { uid = 1000 })
  test.contains(out, "you are not root, so apt-get runs under sudo")
  test.contains(out, "SUDO apt-get update")
end)

test.case("a missing optional package is a warning, a missing required one an error", function()
  local out = deps(ALL:gsub("libzstd%-dev", ""), "build", { fails = "libzstd-dev" })
  test.contains(out, "warning: libzstd-dev could not be installed; going on without (.jsonl.zst, Parquet)")
  test.contains(out, "status 0")
  out = deps(ALL:gsub("libssl%-dev", ""), "build", { fails = "libssl-dev" })
  test.contains(out, "apt-get failed")
  test.contains(out, "status 1")
end)

test.case("--check installs nothing", function()
  local out = deps(ALL:gsub("libssl%-dev", ""), "--check build")
  test.equal(out, "deps: missing: libssl-dev SHA-256\nstatus 1\n")
end)

return test.done()
