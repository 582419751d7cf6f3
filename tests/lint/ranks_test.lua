-- SPDX-License-Identifier: MIT
-- The script that holds the ranks of the rooms (tools/ranks), on trees made for it.
local test = require "tests.support.test"
local cli = require "tests.support.cli"

local function ranks(files)
  return test.with_dir(function(dir)
    for path, text in pairs(files) do cli.put(dir .. "/" .. path, text) end
    local pipe = io.popen(("'%s/tools/ranks' '%s' 2>&1; echo status $?"):format(cli.top, dir))
    local out = pipe:read "a"
    pipe:close()
    return out
  end)
end

local function case(name, path, line, complaint)
  test.case(name, function()
    local out = ranks { [path] = "/* x */\n" .. line .. "\n" }
    if complaint then
      test.contains(out, path .. ":2: ")
      test.contains(out, complaint)
      test.contains(out, "status 1")
    else
      test.equal(out, "status 0\n")
    end
  end)
end

case("down is fine", "engine/json/a.c", '#include "base/buf.h"')
case("within the room is fine", "engine/tensor/cpu/a.c", '#include "tensor/tensor.h"')
case("bindings may include all", "engine/bind/a.c", '#include "model/model.h"\n#include <lua.h>')
case("the client is the way to extract", "engine/bind/a.c", '#include "extract/client.h"')
case("up is not", "engine/base/a.c", '#include "file/file.h"', "never up")
case("sideways is not", "engine/file/a.c", '  #  include "json/json.h"', "never sideways")
case("Lua stays in bind", "engine/json/a.h", "#include <lauxlib.h>", "only bind/ and main.c know Lua")
case("the rest of extract is another program", "engine/bind/a.c", '#include "extract/out.h"', "only client.h")
case("includes name the room", "engine/base/a.c", '#include "buf.h"', "write the room too")

test.case("the tree as it is", function()
  local pipe = io.popen("tools/ranks; echo status $?")
  test.equal(pipe:read "a", "status 0\n")
  pipe:close()
end)

return test.done()
