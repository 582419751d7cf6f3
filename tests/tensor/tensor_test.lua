-- SPDX-License-Identifier: MIT
-- engine.tensor: views, conversion, products, and how they print.
local test = require "tests.support.test"
local tensor = require "engine.tensor"

test.case("made from lists, bytes or nothing", function()
  local t = tensor.new { shape = { 2, 3 }, data = { 1, 2, 3, 4, 5, 6 } }
  test.equal(t.shape, { 2, 3 })
  test.equal(t.dtype, "f32")
  test.equal(t.rank, 2)
  test.equal(#t, 2)
  test.equal(t:totable(), { { 1.0, 2.0, 3.0 }, { 4.0, 5.0, 6.0 } })
  test.equal(tensor.new { { 1, 2 }, { 3, 4 }, { 5, 6 } }.shape, { 3, 2 })
  test.equal(tensor.new { shape = { 3 }, dtype = "i64" }:totable(), { 0, 0, 0 })
  local bytes = string.pack("<i4i4", 7, -8)
  local i = tensor.new { shape = { 2 }, dtype = "i32", data = bytes }
  test.equal(i:totable(), { 7, -8 })
  test.equal(i:bytes(), bytes)
  test.equal(tensor.new { shape = { 0, 4 } }:totable(), {})
end)

test.case("rows are views of the same storage", function()
  local t = tensor.new { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  local row = t[2]
  test.equal(row:totable(), { 3.0, 4.0 })
  row[1] = 30
  test.equal(t[2][1], 30.0)
  local part = t:slice(2, 3)
  part[2][2] = 60
  test.equal(t[3][2], 60.0)
  t:close()
  test.equal(part:totable(), { { 30.0, 4.0 }, { 5.0, 60.0 } })
  test.raises("closed", function() return t[1] end)
  test.equal(tostring(t), "closed tensor")
  test.equal(#part:slice(1, 0), 0)
  test.equal(part:reshape { 4 }:totable(), { 30.0, 4.0, 5.0, 60.0 })
  local n = 0
  for _, v in ipairs(part) do n = n + #v end
  test.equal(n, 4)
end)

test.case("products", function()
  local a = tensor.new { { 1, 2 }, { 3, 4 } }
  local b = tensor.new { { 5, 6 }, { 7, 8 } }
  test.equal(tensor.matmul(a, b):totable(), { { 19.0, 22.0 }, { 43.0, 50.0 } })
  test.equal(tensor.matmul(a, b, { transpose_b = true }):totable(), { { 17.0, 23.0 }, { 39.0, 53.0 } })
  test.equal(tensor.matmul(a, b, { transpose_a = true }):totable(), { { 26.0, 30.0 }, { 38.0, 44.0 } })
  test.equal(tensor.matmul(a, b:to "bf16"):totable(), { { 19.0, 22.0 }, { 43.0, 50.0 } })
  test.equal((a + b):totable(), { { 6.0, 8.0 }, { 10.0, 12.0 } })
  test.equal(tensor.add(a, b, -1):totable(), { { -4.0, -4.0 }, { -4.0, -4.0 } })
  local x, w = tensor.new { { 1, 2 } }, tensor.new { { 1, 0 }, { 0, 1 } }
  test.equal(tensor.lora(x, w, tensor.new { { 1, 1 } }, tensor.new { { 1 }, { 0 } }, 2):totable(), { { 7.0, 2.0 } })
  test.raises("do not fit: f32[2, 2] and f32[1, 2]", tensor.matmul, a, x)
  test.raises("lora: A and B", tensor.lora, x, w, x, w)
  test.raises("transpose_b", tensor.matmul, a, b, { transpos_b = true })
end)

test.case("printed short and aligned", function()
  test.equal(tostring(tensor.new { { 1, -2.5 }, { 30, 4 } }),
    "f32[2, 2]\n[[ 1.0000, -2.5000],\n [30.0000,  4.0000]]")
  test.equal(tostring(tensor.new { shape = { 20 }, dtype = "u8" }), "u8[20]\n[0, 0, 0, ..., 0, 0, 0]")
  test.equal(tostring(tensor.new { 1e-9, 0 / 0, 1 / 0 }), "f32[3]\n[1.0000e-09,        nan,        inf]")
  test.equal(tostring(tensor.new { shape = {}, data = { 4 } }), "f32[]\n4")
  local deep = tostring(tensor.new { shape = { 2, 1, 2 }, data = { 1, 2, 3, 4 } })
  test.equal(deep, "f32[2, 1, 2]\n[[[1, 2]],\n\n [[3, 4]]]")
end)

test.case("misuse is named", function()
  test.raises("unknown dtype 'f64'", tensor.new, { shape = { 1 }, dtype = "f64" })
  test.raises("shape is missing", tensor.new, { dtype = "f32" })
  test.raises("4 numbers expected, got 3", tensor.new, { shape = { 2, 2 }, data = { 1, 2, 3 } })
  test.raises("more than 1 numbers", tensor.new, { shape = { 1 }, data = { 1, 2, 3 } })
  test.raises("8 bytes expected, got 3", tensor.new, { shape = { 2 }, data = "abc" })
  test.raises("number expected, got string", tensor.new, { 1, "x" })
  test.raises("300 does not fit into u8", tensor.new, { shape = { 1 }, dtype = "u8", data = { 300 } })
  test.raises("at most 4", tensor.new, { shape = { 1, 1, 1, 1, 1 } })
  local t = tensor.new { 1, 2, 3 }
  test.raises("index 5 is outside of 1 to 3", function() return t[5] end)
  test.raises("outside", function() return t:slice(2, 9) end)
  test.raises("another number of elements", function() return t:reshape { 2 } end)
  test.equal(t.nonsense, nil)
  local none, message, code = tensor.new { shape = { 1 << 45 } }
  test.equal(none, nil)
  test.contains(message, "out of memory")
  test.equal(code, "memory")
  test.equal(select(3, tensor.new { shape = { math.maxinteger, math.maxinteger } }), "limit")
end)

test.case("the library behind products says what it is", function()
  test.contains(tensor.blas().config, "OpenBLAS")
end)

return test.done()
