-- SPDX-License-Identifier: MIT
-- What kind of file it is, and JSON told from JSONL by what stands in it.
local test = require "tests.support.test"
local file = require "engine.file"
local kinds = require "lathe.read.kinds"
local languages = require "lathe.languages"

test.case("JSON or JSONL, by content", function()
  local function form(text, want, named, whole)
    test.equal(kinds.json_form(text, whole ~= false, named), want, text)
  end
  form('{"a":1}', "jsonl", "json") -- one object on one line is both
  form('{"a":1}\n{"a":2}\n', "jsonl", "json")
  form('\xef\xbb\xbf{"a":1}\r\n{"a":2}\r\n', "jsonl", "json")
  form('\n\n  {"a":1}\n{"a":2}', "jsonl", "json")
  form('{\n  "a": 1\n}\n', "json", "jsonl")
  form('{\n  "a": 1\n}\n{\n  "a": 2\n}\n', "json", "jsonl")
  form('[{"a":1},{"a":2}]', "json", "jsonl")
  form('[\n{"a":1},\n{"a":2}\n]', "json", "jsonl")
  form('{"a":1}\n{"a":\n{"a":3}\n', "jsonl", "json") -- a damaged line in the middle
  form('{"a":\n{"a":2}\n{"a":3}\n', "jsonl", "json") -- and at the top
  form('{"a": [1, 2, 3', "json", "json", false) -- longer than what was looked at: the name decides
  form('{"a": [1, 2, 3', "jsonl", "jsonl", false)
  form("no JSON at all", "json", "json")
  form("no JSON at all", nil, nil)
  form("[section]\nkey = 1\n", nil, nil)
  form("[link](http://example.org)\n", nil, nil)
  form("{ braces } in a text", nil, nil)
end)

-- Writes a file and sniffs it: "kind/language" or "-/reason".
local function sniff(dir, path, bytes, whole)
  assert(file.mkdirs(dir))
  assert(file.write(dir .. "/x", bytes, false))
  local kind, more = kinds.sniff { path = path, file = dir .. "/x", bytes = #bytes, whole = whole }
  if not kind then return "-/" .. more end
  return more and kind .. "/" .. more or kind
end

test.case("content first, then the name", function()
  test.with_dir(function(dir)
    local gzip = function(text)
      file.write(dir .. "/plain", text, false)
      os.execute(("gzip -c '%s/plain' > '%s/plain.gz'"):format(dir, dir))
      return (file.read(dir .. "/plain.gz"))
    end
    local cases = {
      { "a.txt", "text\n", "document" }, { "a.txt", "%PDF-1.7\n", "document" }, { "README", "text\n", "document/txt" },
      { "a.md", "# x\n", "document" }, { "a.html", "<p>x", "document" }, { "page", "<!DOCTYPE html><p>", "document" },
      { "a.json", '{"a":1}\n{"a":2}\n', "jsonl" }, { "a.jsonl", '[{"a":1}]', "json" }, { "data", '{"a":1}\n{"a":2}\n', "jsonl" },
      { "a.ndjson", '{"a":1}\n', "jsonl" }, { "a.csv", "a,b\n1,2\n", "csv" }, { "a.tsv", "a\tb\n", "tsv" },
      { "a.ipynb", '{"cells":[]}', "document" }, { "a.parquet", "PAR1\0\0\0", "parquet" }, { "renamed.json", "PAR1\0\0\0", "parquet" },
      { "a.zip", "PK\3\4\20\0\0\0\0\0", "archive" }, { "a.docx", "PK\3\4\20\0\0\0\0\0", "document" },
      { "x", "PK\3\4" .. ("\0"):rep(26) .. "mimetypeapplication/epub+zip", "document" },
      { "a.tar", ("\0"):rep(257) .. "ustar\0", "archive" }, { "a.tar.xz", "\xfd7zXZ\0\0", "archive" },
      { "a.jsonl.gz", gzip '{"a":1}\n', "jsonl" }, { "a.json.gz", gzip '[{"a":1}]', "json" }, { "a.csv.gz", gzip "a,b\n", "csv" },
      { "a.txt.gz", gzip "text", "archive" }, { "a.tar.gz", gzip(("\0"):rep(257) .. "ustar\0"), "archive" },
      { "a.png", "\x89PNG\r\n\26\n\0\0", "-/binary" }, { "a.dat", "\0\1\2\3\4\0\0\0\0\0\1\1", "-/binary" }, { "a.rtf", "{\\rtf1 x}", "-/unsupported" },
      { "a.doc", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "-/unsupported" }, { "a.7z", "7z\xbc\xaf\x27\x1c", "-/unsupported" },
      { "a.txt", "", "-/empty" }, { "a.py", "print(1)\n", "code/python" }, { "run", "#!/usr/bin/env python3\n", "code/python" },
      { "a.xyz", "text\n", "document/txt" }, { "utf16.txt", "\xff\xfeh\0i\0", "document" }, { "a.rst", "text", "document" },
      { "utf16.json", '\xff\xfe[\0{\0}\0]\0', "json" }, { "MZ.txt", "MZ is the mark of a program", "document" },
    }
    for _, c in ipairs(cases) do test.equal(sniff(dir, c[1], c[2]), c[3], c[1] .. ": " .. c[2]:sub(1, 20)) end
    test.equal(sniff(dir, "a.xyz", "text\n", true), "-/unknown_kind", "in a folder that is read whole")
    test.equal(sniff(dir, "libx-2.11-dev", "text\n", true), "document/txt", "a version is no extension")
  end)
end)

test.case("sixty languages and more", function()
  local names = languages.names()
  test.ok(#names >= 60, #names)
  local cases = { ["a.py"] = "python", ["a.C"] = "c", ["a.h"] = "c", ["Makefile"] = "makefile", ["GNUmakefile"] = "makefile",
    ["CMakeLists.txt"] = "cmake", ["Dockerfile"] = "dockerfile", ["Dockerfile.dev"] = "dockerfile", ["x.rs"] = "rust", ["x.go"] = "go",
    ["x.ts"] = "typescript", ["x.tsx"] = "typescript", ["x.jsx"] = "javascript", ["x.kt"] = "kotlin", ["x.f90"] = "fortran",
    ["x.hs"] = "haskell", ["x.ml"] = "ocaml", ["x.jl"] = "julia", ["x.R"] = "r", ["x.lua"] = "lua", ["x.zig"] = "zig", ["x.vhd"] = "vhdl",
    ["x.sv"] = "systemverilog", ["x.cu"] = "cuda", ["x.pas"] = "pascal", ["x.ex"] = "elixir", ["x.erl"] = "erlang", ["x.nim"] = "nim",
    ["x.sol"] = "solidity", ["x.swift"] = "swift", ["x.scala"] = "scala", ["x.clj"] = "clojure", ["x.el"] = "elisp", ["x.scm"] = "scheme",
    ["x.vim"] = "vim script", ["x.ps1"] = "powershell", ["x.bat"] = "batch", ["x.sql"] = "sql", ["x.proto"] = "protobuf",
    ["config.h.in"] = "c", ["Makefile.am"] = "makefile", ["BUILD.bazel"] = "starlark", ["go.mod"] = "go", ["x.unknown"] = "nil" }
  for path, want in pairs(cases) do
    local found = languages.find(path)
    test.equal(found and found.name or "nil", want, path)
  end
  local function by(path, text) local l = languages.find(path, text) return l and l.name end
  test.equal(by("a.h", "#include <vector>\nnamespace x {\n"), "c++")
  test.equal(by("a.m", "@implementation X\n@end\n"), "objective-c")
  test.equal(by("a.m", "function y = f(x)\n  y = x;\nend\n"), "matlab")
  test.equal(by("a.pl", "use strict;\n"), "perl")
  test.equal(by("a.pl", "% x\n:- use_module(library(lists)).\n"), "prolog")
  test.equal(by("a.ts", '<?xml version="1.0"?>\n<TS>'), nil)
  test.equal(by("tool", "#!/usr/bin/env -S python3 -u\n"), "python")
  test.equal(by("tool", "#! /bin/bash\n"), "shell")
  test.equal(by("tool", "#!/usr/bin/perl -w\n"), "perl")
  test.equal(by("tool", "no\n"), nil)
  test.equal(languages.get("python").line, { "#" })
  for _, name in ipairs(names) do
    local l = languages.get(name)
    test.ok(l.line or l.block, name)
  end
end)

return test.done()
