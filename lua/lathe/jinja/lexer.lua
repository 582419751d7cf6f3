-- SPDX-License-Identifier: MIT
-- The lexer of the template language: text outside tags, and Python-like tokens inside them.
--
--   text {% statement %} text {{ expression }} text {# comment #} {% raw %} … {% endraw %}
--
-- White space follows Jinja2 with trim_blocks and lstrip_blocks on, as chat templates expect: the newline
-- after a statement or comment goes, blanks before one at the start of a line go, `-` inside a tag removes
-- all white space on that side and `+` keeps it. One newline at the very end of the template goes. Line
-- ends become "\n".
--
-- A token is { type, value, line }. Types: data, block_begin, block_end, variable_begin, variable_end,
-- name, string, integer, float, op (its value is the operator), eof.

local ustring = require "lathe.jinja.ustring"

local M = {}

local function fail(line, message)
  error({ jinja = true, kind = "syntax", line = line, message = message }, 0)
end

local function newlines(s)
  local _, n = s:gsub("\n", "\n")
  return n
end

-- First byte after the (Unicode) white space that starts at `pos`.
local function skip_space(source, pos)
  while pos <= #source do
    local l = ustring.char_len(source, pos)
    if not ustring.space[source:sub(pos, pos + l - 1)] then break end
    pos = pos + l
  end
  return pos
end

local ESCAPES = {
  n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v",
  ["\\"] = "\\", ["'"] = "'", ['"'] = '"', ["\n"] = "",
}
local HEX_DIGITS = { x = 2, u = 4, U = 8 }

-- Python's escapes in a string literal. Unknown ones stay as they are; two surrogates become the character
-- they mean.
local function unescape(body, line)
  if not body:find("\\", 1, true) then return body end
  local out, i = {}, 1
  local pending                               -- a high surrogate that waits for its other half
  local function add_code_point(cp)
    if pending and cp >= 0xDC00 and cp <= 0xDFFF then
      out[#out] = utf8.char(0x10000 + ((pending - 0xD800) << 10) + (cp - 0xDC00))
      pending = nil
      return
    end
    if cp > 0x10FFFF then fail(line, "a string holds an escape above U+10FFFF") end
    out[#out + 1] = utf8.char(cp)
    pending = cp >= 0xD800 and cp <= 0xDBFF and cp or nil
  end
  while i <= #body do
    local b = body:find("\\", i, true)
    if not b then break end
    if b > i then
      out[#out + 1] = body:sub(i, b - 1)
      pending = nil
    end
    local c = body:sub(b + 1, b + 1)
    if HEX_DIGITS[c] then
      local digits = body:match("^%x+", b + 2) or ""
      digits = digits:sub(1, HEX_DIGITS[c])
      if #digits < HEX_DIGITS[c] then fail(line, "a string holds an incomplete \\" .. c .. " escape") end
      add_code_point(tonumber(digits, 16))
      i = b + 2 + #digits
    elseif c:find("^[0-7]") then
      local digits = body:match("^[0-7]+", b + 1):sub(1, 3)
      add_code_point(tonumber(digits, 8))
      i = b + 1 + #digits
    else
      out[#out + 1] = ESCAPES[c] or ("\\" .. c)
      pending = nil
      i = b + 2
    end
  end
  out[#out + 1] = body:sub(i)
  return table.concat(out)
end

local CLOSERS = { ["("] = ")", ["["] = "]", ["{"] = "}" }
local OPERATORS2 = { ["//"] = true, ["**"] = true, ["=="] = true, ["!="] = true, [">="] = true, ["<="] = true }
local OPERATORS1 = {}
for c in ("+-/*%~[](){}><=.:|,;"):gmatch(".") do OPERATORS1[c] = true end

local Lexer = {}
Lexer.__index = Lexer

function Lexer:push(type, value, line)
  self.n = self.n + 1
  self.tokens[self.n] = { type = type, value = value, line = line or self.line }
end

function Lexer:advance(to)
  self.line = self.line + newlines(self.source:sub(self.pos, to - 1))
  self.pos = to
end

-- A number at the current position, or nothing.
function Lexer:number()
  local source, pos = self.source, self.pos
  local int = source:match("^[0-9][0-9_]*", pos)
  if not int then return false end
  if source:sub(pos - 1, pos - 1) ~= "." then
    local after = pos + #int
    local fraction = source:match("^%.[0-9][0-9_]*", after) or ""
    local exponent = source:match("^[eE][+-]?[0-9][0-9_]*", after + #fraction) or ""
    if fraction ~= "" or exponent ~= "" then
      local text = int .. fraction .. exponent
      self:push("float", tonumber((text:gsub("_", ""))) + 0.0)
      self:advance(pos + #text)
      return true
    end
  end
  local radix_text = source:match("^0[xX][%x_]+", pos) or source:match("^0[oO][0-7_]+", pos) or source:match("^0[bB][01_]+", pos)
  local value
  if radix_text then
    local base = ({ x = 16, o = 8, b = 2 })[radix_text:sub(2, 2):lower()]
    int = radix_text
    value = tonumber((radix_text:sub(3):gsub("_", "")), base)
  else
    if int:find("^0") and int:find("[1-9]") then int = "0" end
    value = math.tointeger(tonumber((int:gsub("_", ""))))
  end
  if not value then fail(self.line, "the number " .. int .. " is too large") end
  self:push("integer", value)
  self:advance(pos + #int)
  return true
end

function Lexer:string()
  local source, pos = self.source, self.pos
  local quote = source:sub(pos, pos)
  if quote ~= "'" and quote ~= '"' then return false end
  local i = pos + 1
  while true do
    local at = source:find("[\\" .. quote .. "]", i)
    if not at then fail(self.line, "a string is not closed") end
    if source:sub(at, at) == quote then
      self:push("string", unescape(source:sub(pos + 1, at - 1), self.line))
      self:advance(at + 1)
      return true
    end
    i = at + 2
  end
end

function Lexer:operator(stack)
  local source, pos = self.source, self.pos
  local op = source:sub(pos, pos + 1)
  if not OPERATORS2[op] then op = op:sub(1, 1) end
  if #op == 1 and not OPERATORS1[op] then
    local c = source:sub(pos, pos + ustring.char_len(source, pos) - 1)
    fail(self.line, "unexpected character '" .. c .. "'")
  end
  if CLOSERS[op] then
    stack[#stack + 1] = CLOSERS[op]
  elseif op == ")" or op == "]" or op == "}" then
    local expected = table.remove(stack)
    if not expected then fail(self.line, "unexpected '" .. op .. "'") end
    if expected ~= op then fail(self.line, "unexpected '" .. op .. "', expected '" .. expected .. "'") end
  end
  self:push("op", op)
  self:advance(pos + #op)
end

-- The end of a tag at `pos`, or nil; white space and newlines that belong to it included.
local function tag_end(source, pos, close, trims_newline)
  if source:sub(pos, pos + 2) == "-" .. close then return skip_space(source, pos + 3) end
  if trims_newline and source:sub(pos, pos + 2) == "+" .. close then return pos + 3 end
  if source:sub(pos, pos + 1) ~= close then return nil end
  if trims_newline and source:sub(pos + 2, pos + 2) == "\n" then return pos + 3 end
  return pos + 2
end

-- The tokens between the tag's start and its end.
function Lexer:inside(close, end_type, opened_at)
  local source = self.source
  local stack = {}
  while true do
    if self.pos > #source then
      fail(opened_at, "the tag that begins here is not closed by '" .. close .. "'")
    end
    local stop = #stack == 0 and tag_end(source, self.pos, close, end_type == "block_end")
    if stop then
      self:push(end_type, close)
      self.line_starting = source:sub(stop - 1, stop - 1) == "\n"
      self:advance(stop)
      return
    end
    local after_space = skip_space(source, self.pos)
    if after_space > self.pos then
      self:advance(after_space)
    else
      local name = source:match("^[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*", self.pos)
      if self:number() then -- luacheck: ignore 542
      elseif name then
        self:push("name", name)
        self:advance(self.pos + #name)
      elseif not self:string() then
        self:operator(stack)
      end
    end
  end
end

-- Text before a tag, stripped as the tag's sign and lstrip_blocks say.
function Lexer:data(text, sign, is_variable)
  local kept = text
  if sign == "-" then
    kept = ustring.rstrip(text)
  elseif sign ~= "+" and not is_variable then
    local last_line = text:match("()[^\n]*$")
    if (last_line > 1 or self.line_starting) and skip_space(text, last_line) > #text then
      kept = text:sub(1, last_line - 1)
    end
  end
  if kept ~= "" then self:push("data", kept) end
end

function Lexer:comment(start, sign)
  local source = self.source
  local body = start + 2 + #sign
  local at = source:find("#}", body, true)
  if not at then fail(self.line, "the comment that begins here is not closed by '#}'") end
  local before = at > body and source:sub(at - 1, at - 1) or ""
  local stop = at + 2
  if before == "-" then
    stop = skip_space(source, stop)
  elseif before ~= "+" and source:sub(stop, stop) == "\n" then
    stop = stop + 1
  end
  self.line_starting = source:sub(stop - 1, stop - 1) == "\n"
  self:advance(stop)
end

-- {% raw %} … {% endraw %}; `body` is the first byte of the text inside.
function Lexer:raw(body)
  local source = self.source
  local opened_at = self.line
  self:advance(body)
  local at = body
  while true do
    at = source:find("{%", at, true)
    if not at then fail(opened_at, "{% raw %} begins here and has no {% endraw %}") end
    local sign, after = source:match("^([%-+]?)[ \t\n\v\f\r]*endraw[ \t\n\v\f\r]*()", at + 2)
    local stop = after and tag_end(source, after, "%}", true)
    if stop then
      self.line_starting = false
      self:data(source:sub(body, at - 1), sign, false)
      self.line_starting = source:sub(stop - 1, stop - 1) == "\n"
      self:advance(stop)
      return
    end
    at = at + 2
  end
end

function Lexer:run()
  local source = self.source
  while self.pos <= #source do
    local start = source:find("{[%%{#]", self.pos)
    if not start then
      self:push("data", source:sub(self.pos))
      break
    end
    local kind = source:sub(start + 1, start + 1)
    local sign = source:match("^[%-+]", start + 2) or ""
    self:data(source:sub(self.pos, start - 1), sign, kind == "{")
    self:advance(start)
    self.line_starting = false
    local raw_body = kind == "%" and source:match("^[%-+]?[ \t\n\v\f\r]*raw[ \t\n\v\f\r]*%-?%%}()", start + 2)
    if raw_body then
      if source:sub(raw_body - 3, raw_body - 3) == "-" then raw_body = skip_space(source, raw_body) end
      self:raw(raw_body)
    elseif kind == "#" then
      self:comment(start, sign)
    else
      local opened_at = self.line
      self:push(kind == "%" and "block_begin" or "variable_begin", sign)
      self:advance(start + 2 + #sign)
      if kind == "%" then
        self:inside("%}", "block_end", opened_at)
      else
        self:inside("}}", "variable_end", opened_at)
      end
    end
  end
  self:push("eof", "")
  return self.tokens
end

--- Splits a template into tokens.
-- @param source string: the template
-- @return table: array of { type, value, line }
-- @error raises { jinja = true, kind = "syntax", line, message }
function M.tokens(source)
  source = source:gsub("\r\n?", "\n")
  if source:sub(-1) == "\n" then source = source:sub(1, -2) end
  local lexer = setmetatable({ source = source, pos = 1, line = 1, tokens = {}, n = 0, line_starting = true }, Lexer)
  return lexer:run()
end

return M
