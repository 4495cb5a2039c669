local call, min, max, format = redis.call, math.min, math.max, string.format
local NEVER = 9007199254740991

-- The only clock: that of the server, in microseconds, or a test's own.
local now = tonumber(ARGV[1])
if not now then
  local time = call('TIME')
  now = time[1] * 1000000 + time[2]
end

-- Numbers are stored and returned with all their digits.
local function text(value)
  if type(value) == 'number' then
    return format('%d', value)
  end
  return value
end

local function add(time, span)
  return min(time + span, NEVER)
end
