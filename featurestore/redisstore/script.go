package redisstore

import (
	"crypto/sha1"
	"encoding/hex"
)

// writeScript stores one row if its event time is later than the stored one. KEYS[1] is the hash. ARGV has the fields and values to set,
// the event time's first, and at its end: the seconds and the nanoseconds of the event time, how many milliseconds the key is to live (0:
// for ever), a flag for whether that holds for all views, and one for whether a stale row must be written as well.
//
// The stored time is a google.protobuf.Timestamp. Lua has doubles only, which hold any seconds that can be compared here exactly, but not
// the 64 bits of a negative varint: its groups are put together as 28 + 28 + 8 bits, and complemented if the sign is set. One that cannot
// be parsed counts as older than any.
//
// A stale row is written again, as it is, for those who wait for replicas: WAIT counts from the last write of the connection.
const writeScript = `
local key, n = KEYS[1], #ARGV
local seconds, nanos, ttl = tonumber(ARGV[n-4]), tonumber(ARGV[n-3]), tonumber(ARGV[n-2])

local function varint(s, i)
  local parts, scale = {0, 0, 0}, 1
  for j = 0, 9 do
    local b = string.byte(s, i + j)
    if not b then return nil end
    if j == 4 or j == 8 then scale = 1 end
    local part = math.floor(j / 4) + 1
    parts[part] = parts[part] + b % 128 * scale
    scale = scale * 128
    if b < 128 then
      local low, mid, high = parts[1], parts[2], parts[3] % 256
      if high < 128 then return (high * 268435456 + mid) * 268435456 + low, i + j + 1 end
      return -(((255 - high) * 268435456 + 268435455 - mid) * 268435456 + 268435455 - low) - 1, i + j + 1
    end
  end
end

local function later(s)
  local old, oldNanos, i = 0, 0, 1
  while i <= #s do
    local tag, v
    tag, i = varint(s, i)
    if not tag then return true end
    if tag == 8 or tag == 16 then
      v, i = varint(s, i)
      if not v then return true end
      if tag == 8 then old = v else oldNanos = v end
    else
      return true
    end
  end
  return seconds > old or seconds == old and nanos > oldNanos
end

local stored = redis.call('HGET', key, ARGV[1])
local left = redis.call('PTTL', key)
local newer = not stored or later(stored)
if newer then
  for i = 1, n - 5, 1000 do
    redis.call('HSET', key, unpack(ARGV, i, math.min(i + 999, n - 5)))
  end
elseif ARGV[n] == '1' then
  redis.call('HSET', key, ARGV[1], stored)
end
if ttl == 0 then
  if left >= 0 then redis.call('PERSIST', key) end
elseif left == -2 or left >= 0 and left < ttl or left == -1 and ARGV[n-1] == '1' then
  redis.call('PEXPIRE', key, ARGV[n-2])
end
return newer and 1 or 0
`

var writeSHA = func() string {
	sum := sha1.Sum([]byte(writeScript))
	return hex.EncodeToString(sum[:])
}()
