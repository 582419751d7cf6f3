-- SPDX-License-Identifier: MIT
-- make doc: the reference of the Lua library and the engine, as Markdown, into the file named.
local text = require("lathe.help").markdown()
assert(require("engine.file").write(arg[1], text, false))
print(("%s: %d lines"):format(arg[1], select(2, text:gsub("\n", ""))))
return 0
