-- SPDX-License-Identifier: MIT
-- Small archives for tests: ZIP and TAR with members stored as they are, gzip in stored blocks.

local M = {}

local function crc32(s)
  local crc = 0xFFFFFFFF
  for i = 1, #s do
    crc = crc ~ s:byte(i)
    for _ = 1, 8 do crc = crc >> 1 ~ (0xEDB88320 & -(crc & 1)) end
  end
  return ~crc & 0xFFFFFFFF
end

--- A ZIP of { name, bytes, encrypted = true, mode = 0xA1FF } in their order.
function M.zip(members)
  local out, directory, at = {}, {}, 0
  for _, m in ipairs(members) do
    local name, bytes = m[1], m[2]
    local flags, crc = (m.encrypted and 1 or 0) | 0x800, crc32(bytes)
    local common = ("<I2I2I2I4I4I4I4I2I2"):pack(20, flags, 0, 0, crc, #bytes, #bytes, #name, 0)
    local here = m.at or at
    directory[#directory + 1] = "PK\1\2" .. ("<I2"):pack(3 << 8 | 20) .. common
      .. ("<I2I2I2I4I4"):pack(0, 0, 0, (m.mode or 0x81A4) << 16, here) .. name
    if not m.at then
      out[#out + 1] = "PK\3\4" .. common .. name .. bytes
      at = at + #out[#out]
    end
  end
  local central = table.concat(directory)
  return table.concat(out) .. central
    .. "PK\5\6" .. ("<I2I2I2I2I4I4I2"):pack(0, 0, #members, #members, #central, at, 0)
end

--- A TAR of { name, bytes, type = "0", link = "target" }.
function M.tar(members)
  local out = {}
  for i, m in ipairs(members) do
    local name, bytes = m[1], m[2] or ""
    local header = ("c100c8c8c8c12c12c8c1c100c8c32c32c8c8c155c12"):pack(name, "0000644", "0000000", "0000000",
      ("%011o"):format(#bytes), "00000000000", "        ", m.type or "0", m.link or "", "ustar\00000", "", "",
      "0000000", "0000000", "", "")
    local sum = 0
    for k = 1, 512 do sum = sum + header:byte(k) end
    out[i] = header:sub(1, 148) .. ("%06o\0 "):format(sum) .. header:sub(157) .. bytes .. ("\0"):rep(-#bytes % 512)
  end
  return table.concat(out) .. ("\0"):rep(1024)
end

--- A gzip file.
function M.gzip(bytes)
  local out = { "\31\139\8\0\0\0\0\0\0\3" }
  for i = 1, #bytes, 65535 do
    local block = bytes:sub(i, i + 65534)
    out[#out + 1] = ("<BI2I2"):pack(i + 65535 > #bytes and 1 or 0, #block, ~#block & 0xFFFF) .. block
  end
  if bytes == "" then out[2] = ("<BI2I2"):pack(1, 0, 0xFFFF) end
  return table.concat(out) .. ("<I4I4"):pack(crc32(bytes), #bytes)
end

return M
