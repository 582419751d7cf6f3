-- luacheck: no global is set, no library table is patched.
std = "lua54"
max_line_length = 160
ignore = {
  "581", -- not (x <= y) is how a NaN is caught
  "212/self", -- a method need not use its object
  "212/_.*",
}
