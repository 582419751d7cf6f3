-- SPDX-License-Identifier: MIT
-- Plots as SVG, for reports: text only, no script, colours by CSS classes so that light and dark both work.

local M = {}

local WIDTH, HEIGHT = 560, 180
local LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 34

--- Text made safe inside HTML and SVG.
-- @param s any
-- @return string
-- @example require("lathe.plot").escape "a < b"
function M.escape(s)
  s = tostring(s):gsub("[%z\1-\8\11\12\14-\31\127]", "\u{FFFD}")
  return (s:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" }))
end

local function short(n)
  for _, unit in ipairs { { 1e9, "G" }, { 1e6, "M" }, { 1e3, "k" } } do
    if math.abs(n) >= unit[1] then
      local v = n / unit[1]
      return (v >= 100 and "%.0f" or v == math.floor(v) and "%.0f" or "%.1f"):format(v) .. unit[2]
    end
  end
  if n == math.floor(n) then return ("%d"):format(n) end
  return (math.abs(n) >= 1 and "%.2f" or "%.3g"):format(n)
end

M.short = short

-- About four round numbers from 0 or `least` to `most`.
local function ticks(least, most)
  local rough = (most - least) / 4
  if rough <= 0 then return { least } end
  local power = 10 ^ math.floor(math.log(rough, 10))
  local step = power
  for _, times in ipairs { 1, 2, 5, 10 } do
    step = times * power
    if step >= rough then break end
  end
  local out = {}
  for v = math.ceil(least / step - 1e-9) * step, most + step * 1e-6, step do out[#out + 1] = v end
  return out
end

local function frame(title, body)
  return ('<svg viewBox="0 0 %d %d" role="img" aria-label="%s" class="plot">%s</svg>'):format(WIDTH, HEIGHT, M.escape(title),
    table.concat(body, "\n"))
end

local function y_axis(out, least, most, y_of)
  for _, v in ipairs(ticks(least, most)) do
    local y = y_of(v)
    out[#out + 1] = ('<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>'):format(LEFT, WIDTH - RIGHT, y, y)
    out[#out + 1] = ('<text class="tick" x="%d" y="%.1f" text-anchor="end">%s</text>'):format(LEFT - 6, y + 4, short(v))
  end
end

--- A histogram.
-- @param bins table: list of { from, to, count, rest = true for an open last bin }
-- @param label string: what the values are
-- @return string: SVG
-- @example require("lathe.plot").histogram({ { from = 0, to = 10, count = 3 } }, "words")
function M.histogram(bins, label)
  if #bins == 0 then return "" end
  local most = 1
  for _, bin in ipairs(bins) do most = math.max(most, bin.count) end
  local width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
  local function y_of(v) return TOP + height * (1 - v / most) end
  local out, step = {}, width / #bins
  y_axis(out, 0, most, y_of)
  local every = math.max(1, math.ceil(#bins / 9))
  for i, bin in ipairs(bins) do
    local x = LEFT + (i - 1) * step
    local name = bin.rest and ("%s and more"):format(short(bin.from)) or ("%s to %s"):format(short(bin.from), short(bin.to - 1))
    out[#out + 1] = ('<rect class="bar%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s: %d</title></rect>'):format(
      bin.rest and " rest" or "", x + 0.5, y_of(bin.count), math.max(step - 1, 0.5), TOP + height - y_of(bin.count), name, bin.count)
    if (i - 1) % every == 0 then
      out[#out + 1] = ('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(x, HEIGHT - BOTTOM + 14,
        short(bin.from))
    end
  end
  out[#out + 1] = ('<text class="label" x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(LEFT + width / 2, HEIGHT - 4,
    M.escape(label))
  return frame("histogram of " .. label, out)
end

--- Lines over a common x.
-- @param series table: list of { name, points = list of { x, y } }
-- @param x_label string
-- @return string: SVG, or "" without points
function M.lines(series, x_label)
  local x_least, x_most, y_least, y_most = math.huge, -math.huge, math.huge, -math.huge
  for _, s in ipairs(series) do
    for _, p in ipairs(s.points) do
      x_least, x_most = math.min(x_least, p[1]), math.max(x_most, p[1])
      y_least, y_most = math.min(y_least, p[2]), math.max(y_most, p[2])
    end
  end
  if x_least == math.huge then return "" end
  if y_least > 0 and y_least < y_most * 0.6 then y_least = 0 end
  if y_most == y_least then y_most = y_least + 1 end
  if x_most == x_least then x_most = x_least + 1 end
  local width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
  local function x_of(v) return LEFT + width * (v - x_least) / (x_most - x_least) end
  local function y_of(v) return TOP + height * (1 - (v - y_least) / (y_most - y_least)) end
  local out = {}
  y_axis(out, y_least, y_most, y_of)
  for _, v in ipairs(ticks(x_least, x_most)) do
    out[#out + 1] = ('<text class="tick" x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(x_of(v), HEIGHT - BOTTOM + 14, short(v))
  end
  for i, s in ipairs(series) do
    local path = {}
    for _, p in ipairs(s.points) do path[#path + 1] = ("%.1f,%.1f"):format(x_of(p[1]), y_of(p[2])) end
    out[#out + 1] = ('<polyline class="line c%d" points="%s"><title>%s</title></polyline>'):format(i, table.concat(path, " "),
      M.escape(s.name))
  end
  out[#out + 1] = ('<text class="label" x="%.1f" y="%d" text-anchor="middle">%s</text>'):format(LEFT + width / 2, HEIGHT - 4,
    M.escape(x_label))
  return frame("lines over " .. x_label, out)
end

return M
