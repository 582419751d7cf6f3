-- SPDX-License-Identifier: MIT
-- Programming languages: which one a file is in, by its name, its "#!" line, or what stands in it.
--
-- Each line of the table: name, extensions, other keys. `files` are whole names (lower case), `run` the
-- interpreters of a "#!" line, `line` and `block` how comments are written: { "//" }, { "/*", "*/" }.
-- An extension that several languages use goes to the first one that claims it here, unless a rule of
-- `by_content` finds another's marks.

local M = {}

local C_LIKE = { line = { "//" }, block = { "/*", "*/" } }
local HASH = { line = { "#" } }
local DASHES = { line = { "--" } }
local SEMICOLON = { line = { ";" } }
local PERCENT = { line = { "%" } }
local XML = { block = { "<!--", "-->" } }
local PAREN_STAR = { block = { "(*", "*)" } }

local LIST = {
  { "ada", "adb ads ada", DASHES },
  { "agda", "agda", DASHES },
  { "apl", "apl", { line = { "⍝" } } },
  { "applescript", "applescript", DASHES },
  { "arduino", "ino", C_LIKE },
  { "assembly", "asm s nasm", SEMICOLON },
  { "autohotkey", "ahk", SEMICOLON },
  { "awk", "awk gawk", HASH, run = "awk gawk mawk nawk" },
  { "ballerina", "bal", C_LIKE },
  { "basic", "bas vb vbs", { line = { "'" } } },
  { "batch", "bat cmd", { line = { "REM ", "::" } } },
  { "bibtex", "bib", PERCENT },
  { "c", "c h", C_LIKE, run = "tcc" },
  { "c#", "cs csx", C_LIKE },
  { "c++", "cpp cc cxx c++ hpp hh hxx h++ ipp tpp inl", C_LIKE },
  { "clojure", "clj cljs cljc edn", SEMICOLON },
  { "cmake", "cmake", HASH, files = "cmakelists.txt" },
  { "cobol", "cob cbl cpy", { line = { "*" } } },
  { "coffeescript", "coffee litcoffee", HASH, files = "cakefile", run = "coffee" },
  { "common lisp", "lisp lsp cl asd", SEMICOLON, run = "sbcl clisp" },
  { "coq", "", PAREN_STAR },
  { "crystal", "cr", HASH, run = "crystal" },
  { "css", "css", { block = { "/*", "*/" } } },
  { "cuda", "cu cuh", C_LIKE },
  { "cython", "pyx pxd pxi", HASH },
  { "d", "d di", C_LIKE, run = "rdmd" },
  { "dart", "dart", C_LIKE, run = "dart" },
  { "dockerfile", "dockerfile", HASH, files = "dockerfile containerfile" },
  { "elisp", "el", SEMICOLON, files = ".emacs" },
  { "elixir", "ex exs", HASH, files = "mix.lock", run = "elixir" },
  { "elm", "elm", DASHES },
  { "erlang", "erl hrl escript", PERCENT, files = "rebar.config", run = "escript" },
  { "f#", "fs fsi fsx", { line = { "//" }, block = { "(*", "*)" } } },
  { "fish", "fish", HASH, run = "fish" },
  { "forth", "fth 4th forth", { line = { "\\ " } } },
  { "fortran", "f f77 f90 f95 f03 f08 for", { line = { "!" } } },
  { "gdscript", "gd", HASH },
  { "glsl", "glsl vert frag geom comp", C_LIKE },
  { "go", "go", C_LIKE, files = "go.mod" },
  { "graphql", "graphql gql", HASH },
  { "groovy", "groovy gvy gradle", C_LIKE, files = "jenkinsfile", run = "groovy" },
  { "haskell", "hs lhs hsc", { line = { "--" }, block = { "{-", "-}" } }, run = "runhaskell runghc" },
  { "haxe", "hx", C_LIKE },
  { "hcl", "tf tfvars hcl", HASH },
  { "hlsl", "hlsl fx", C_LIKE },
  { "idris", "idr", DASHES },
  { "ini", "ini cfg conf properties desktop service", { line = { "#", ";" } }, files = ".gitconfig .editorconfig" },
  { "java", "java", C_LIKE },
  { "javascript", "js mjs cjs jsx es6", C_LIKE, files = "jakefile", run = "node nodejs deno bun" },
  { "julia", "jl", HASH, run = "julia" },
  { "kotlin", "kt kts", C_LIKE, run = "kotlin" },
  { "latex", "tex sty cls ltx", PERCENT },
  { "lean", "lean", DASHES },
  { "less", "less", C_LIKE },
  { "llvm", "ll", SEMICOLON },
  { "lua", "lua rockspec", DASHES, run = "lua luajit lua5.1 lua5.2 lua5.3 lua5.4" },
  { "makefile", "mk mak make", HASH, files = "makefile gnumakefile makefile.am makefile.in kbuild", run = "make" },
  { "mathematica", "wl wls", PAREN_STAR },
  { "matlab", "", PERCENT, run = "octave" },
  { "meson", "", HASH, files = "meson.build meson_options.txt meson.options" },
  { "mojo", "mojo", HASH },
  { "nim", "nim nims nimble", HASH, run = "nim" },
  { "nix", "nix", HASH },
  { "objective-c", "m mm", C_LIKE },
  { "ocaml", "ml mli mll mly", PAREN_STAR, files = "dune-project", run = "ocaml" },
  { "odin", "odin", C_LIKE },
  { "opencl", "opencl", C_LIKE },
  { "pascal", "pas pp dpr lpr", { line = { "//" }, block = { "{", "}" } } },
  { "perl", "pl pm t perl", HASH, run = "perl" },
  { "php", "php php3 php4 php5 phtml", C_LIKE, run = "php" },
  { "powershell", "ps1 psm1 psd1", HASH, run = "pwsh" },
  { "prolog", "prolog", PERCENT, run = "swipl" },
  { "protobuf", "proto", C_LIKE },
  { "purescript", "purs", DASHES },
  { "python", "py pyw pyi wsgi", HASH, files = "sconstruct sconscript wscript snakefile", run = "python pypy python2 python3" },
  { "qml", "qml", C_LIKE },
  { "r", "r rprofile", HASH, run = "rscript littler" },
  { "racket", "rkt", SEMICOLON, run = "racket" },
  { "raku", "raku rakumod p6 pm6", HASH, run = "raku perl6" },
  { "reason", "re rei", C_LIKE },
  { "ruby", "rb rake gemspec ru", HASH, files = "rakefile gemfile vagrantfile podfile guardfile capfile", run = "ruby jruby" },
  { "rust", "rs", C_LIKE },
  { "sass", "sass", C_LIKE },
  { "scala", "scala sc sbt", C_LIKE, run = "scala" },
  { "scheme", "scm ss sld", SEMICOLON, run = "guile chibi-scheme" },
  { "scss", "scss", C_LIKE },
  { "sed", "sed", HASH, run = "sed" },
  { "shell", "sh bash zsh ksh dash csh tcsh ebuild bats", HASH, files = ".bashrc .profile .zshrc pkgbuild configure.ac configure",
    run = "sh bash zsh ksh dash ash csh tcsh" },
  { "smalltalk", "st", { block = { "\"", "\"" } } },
  { "solidity", "sol", C_LIKE },
  { "sql", "sql psql ddl", DASHES },
  { "standard ml", "sml fun", PAREN_STAR },
  { "starlark", "bzl star", HASH, files = "build build.bazel workspace workspace.bazel" },
  { "stata", "do ado", { line = { "*" } } },
  { "svelte", "svelte", XML },
  { "swift", "swift", C_LIKE, run = "swift" },
  { "systemverilog", "sv svh", C_LIKE },
  { "tcl", "tcl tk exp", HASH, run = "tclsh wish expect" },
  { "thrift", "thrift", C_LIKE },
  { "toml", "toml", HASH, files = "cargo.lock poetry.lock pipfile" },
  { "twig", "twig jinja jinja2 j2", { block = { "{#", "#}" } } },
  { "typescript", "ts tsx mts cts", C_LIKE, run = "ts-node tsx" },
  { "vala", "vala vapi", C_LIKE },
  { "verilog", "v vh", C_LIKE },
  { "vhdl", "vhd vhdl", DASHES },
  { "vim script", "vim", { line = { "\"" } }, files = ".vimrc _vimrc" },
  { "vue", "vue", XML },
  { "webassembly", "wat wast", { line = { ";;" } } },
  { "wgsl", "wgsl", C_LIKE },
  { "xml", "xml xsd xsl xslt rng svgz plist", XML, files = "pom.xml" },
  { "yacc", "y yy l lex", C_LIKE },
  { "yaml", "yaml yml", HASH, files = ".clang-format .clang-tidy" },
  { "zig", "zig zon", C_LIKE },
}

local by_extension, by_file, by_runner, by_name = {}, {}, {}, {}
for _, row in ipairs(LIST) do
  local language = { name = row[1], extensions = {}, files = {}, run = {}, line = row[3].line, block = row[3].block }
  by_name[row[1]] = language
  for extension in row[2]:gmatch "%S+" do
    language.extensions[#language.extensions + 1] = extension
    by_extension[extension] = by_extension[extension] or language
  end
  for name in (row.files or ""):gmatch "%S+" do
    language.files[#language.files + 1] = name
    by_file[name] = language
  end
  for name in (row.run or ""):gmatch "%S+" do
    language.run[#language.run + 1] = name
    by_runner[name] = language
  end
end

-- Where the same extension serves several: the first pattern found in the text decides.
local by_content = {
  h = {
    { "c++", "\n%s*namespace%s", "\n%s*template%s*<", "\n%s*class%s+[%w_]+[^;\n]*[{:]", "\n%s*public:", "std::", "#include <[%a]+>\n" },
    { "objective-c", "\n@interface%s", "\n@protocol%s", "\n#import%s" },
  },
  m = {
    { "objective-c", "@interface", "@implementation", "#import", "@end" },
    { "matlab", "^%s*function[%s%[]", "\n%s*function[%s%[]", "\n%s*%%", "^%s*%%", "\n%s*end%s*\n" },
  },
  pl = { { "prolog", "\n:%-%s", "^:%-%s", "\n[%l][%w_]*%b()%s*:%-" } },
  v = { { "coq", "\nProof%.", "\nQed%.", "Require Import", "\nTheorem%s" } },
  fs = { { "forth", "^: ", "\n: %S+ " }, { "glsl", "gl_FragColor", "#version" } },
  cls = { { "basic", "^VERSION", "Attribute VB_" } },
  t = { { "perl", "use strict", "use Test", "#!.*perl" } },
  d = { { "makefile", "^[^\n]*%.o:", "\n[^\n]*%.o:" } },
  cl = { { "opencl", "__kernel", "__global" } },
}

local function content_of(extension, text)
  for _, rule in ipairs(text and by_content[extension] or {}) do
    for i = 2, #rule do
      if text:find(rule[i]) then return by_name[rule[1]] end
    end
  end
end

--- The language that a first line "#!…" names.
-- @param text string: the beginning of a file
-- @return table|nil: the language
-- @example require("lathe.languages").by_shebang("#!/usr/bin/env python3\n").name --> python
function M.by_shebang(text)
  local line = text:match "^#!%s*([^\r\n]*)"
  if not line then return nil end
  for word in line:gmatch "%S+" do
    local name = word:match "([^/]+)$"
    if name ~= "env" and not name:find "^%-" and not name:find "=" then
      name = name:lower()
      return by_runner[name] or by_runner[name:gsub("[%d.]+$", "")]
    end
  end
end

--- The language of a file.
-- @param path string: its name, with or without folders
-- @param text string: optional, its beginning: decides between languages of one extension, and knows "#!" lines
-- @return table|nil: { name, extensions, files, run, line = { "#" }, block = { "/*", "*/" } }
-- @example require("lathe.languages").find("src/main.rs").name --> rust
function M.find(path, text)
  local name = path:match "[^/]*$"
  local lower = name:lower()
  local language = by_file[lower]
  if language then return language end
  local extension = lower:match "%.([%w+]+)$"
  if extension == "in" or extension == "am" then extension = lower:match "%.([%w+]+)%.%w+$" end
  if extension then
    if name:match "%.[RCHS]$" and not text then return by_extension[extension] end
    if extension == "ts" and text and text:find "^%s*<[?!]" then return nil end -- translations of Qt
    local found = content_of(extension, text)
    if found then return found end
    if extension == "t" and text then return M.by_shebang(text) end -- tests of Perl, and much else
    if by_extension[extension] then return by_extension[extension] end
    if lower:match "^dockerfile%." then return by_name.dockerfile end
    if lower:match "^makefile%." then return by_name.makefile end
  end
  return text and M.by_shebang(text) or nil
end

--- A language by its name.
-- @param name string: such as "python"
-- @return table|nil
function M.get(name) return by_name[name] end

--- The names of all languages, sorted.
-- @return table
function M.names()
  local out = {}
  for i, row in ipairs(LIST) do out[i] = row[1] end
  return out
end

return M
