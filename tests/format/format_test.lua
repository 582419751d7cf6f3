-- SPDX-License-Identifier: MIT
-- engine.safetensors, engine.gguf and engine.checkpoint from Lua.
local test = require "tests.support.test"
local file = require "engine.file"
local safetensors = require "engine.safetensors"
local gguf = require "engine.gguf"
local checkpoint = require "engine.checkpoint"

test.case("safetensors there and back", function()
  test.with_dir(function(dir)
    local path = dir .. "/m.safetensors"
    local w = assert(safetensors.create(path, {
      { name = "x", dtype = "f32", shape = { 2, 2 } }, { name = "y", dtype = "bf16", shape = { 2 } } }))
    assert(w:write(("<ffff"):pack(1, 2, 3, 4)))
    assert(w:write(("<ff"):pack(1, -2), "f32"))
    test.ok(w:commit())
    test.raises("closed", w.commit, w)
    local f <close> = assert(safetensors.open(path))
    test.equal(f:names(), { "x", "y" })
    test.equal(f:info "y", { name = "y", type = "BF16", dtype = "bf16", shape = { 2 }, bytes = 4 })
    test.equal(f:info "z", nil)
    test.equal({ ("<ff"):unpack((f:read("y", "f32"))) }, { 1.0, -2.0, 9 })
    test.equal(f:metadata "format", "pt")
    test.contains(tostring(f), "2 tensors, 20 bytes")
    test.raises("no tensor 'q'", f.read, f, "q")
    test.equal(select(3, safetensors.open(dir)), "not_found")
  end)
end)

test.case("gguf there and back", function()
  test.with_dir(function(dir)
    local path = dir .. "/m.gguf"
    local w = assert(gguf.create(path))
    assert(w:set("general.architecture", "string", "llama"))
    assert(w:set("n", "u32", 7))
    assert(w:set("eps", "f32", 0.5))
    assert(w:set("flag", "bool", true))
    assert(w:set("tokens", "[string]", { "a", "b\0", "é" }))
    assert(w:set("types", "[i32]", { 1, -3 }))
    assert(w:tensor("t", "q8_0", { 2, 32 }))
    test.equal(select(3, w:set("n", "u32", 8)), "misuse")
    test.raises("not a type", w.set, w, "o", "u33", 1)
    assert(w:write(("<f"):pack(0.25):rep(64), "f32", 2))
    test.ok(w:commit())
    local g <close> = assert(gguf.open(path))
    test.equal(g:keys(), { "general.architecture", "n", "eps", "flag", "tokens", "types" })
    test.equal(g:get "n", 7)
    test.equal(g:get "eps", 0.5)
    test.equal(g:get "flag", true)
    test.equal(g:get "tokens", { "a", "b\0", "é" })
    test.equal(select(2, g:get "types"), "[i32]")
    test.equal(g:tensors(), { { name = "t", type = 8, dtype = "q8_0", shape = { 2, 32 }, bytes = 68 } })
    test.close(("<f"):unpack((g:read("t", "f32"))), 0.25, 1e-3)
    test.equal(select(2, g:read "t"), "q8_0")
  end)
end)

test.case("the newest whole checkpoint wins", function()
  test.with_dir(function(dir)
    local at = dir .. "/ckpt"
    test.equal(checkpoint.newest(at), nil)
    for step = 1, 4 do
      assert(checkpoint.write(at, step, { model = ("m%d"):format(step):rep(1000), rng = "" },
        { meta = { loss = 1.5, step = step }, keep = 3 }))
    end
    test.equal(file.stat(at .. "/step-00000001.ckpt"), nil)
    local c = assert(checkpoint.newest(at))
    test.equal(c:step(), 4)
    test.equal(c:meta(), { loss = 1.5, step = 4 })
    test.equal(c:names(), { "model", "rng" })
    test.equal(c:read "rng", "")
    test.equal(c:read "none", nil)
    -- a flipped bit in 4, a cut 3: then 2
    local text = file.read(at .. "/step-00000004.ckpt")
    assert(file.write(at .. "/step-00000004.ckpt", text:sub(1, -1000) .. "x" .. text:sub(-998)))
    text = file.read(at .. "/step-00000003.ckpt")
    assert(file.write(at .. "/step-00000003.ckpt", text:sub(1, #text // 2)))
    local skipped
    c, skipped = checkpoint.newest(at)
    test.equal(c:step(), 2)
    test.equal(c:read "model", ("m2"):rep(1000))
    test.equal(#skipped, 2)
    test.contains(skipped[1], "checksum of 'model' is wrong")
    test.contains(skipped[2], "cut")
    for n = 0, #text, 97 do
      assert(file.write(dir .. "/cut", text:sub(1, n)))
      test.equal(checkpoint.open(dir .. "/cut"), nil)
    end
  end)
end)

return test.done()
