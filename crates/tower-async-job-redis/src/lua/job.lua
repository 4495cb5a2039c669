local FORMAT = 1
local JOB, PARTS, KEYS_OF, LEASES, PENDING, DUE, READY, ROUTES, NOTIFY, COUNTS, LIST, HANDLES, SINCE = unpack(KEYS)
local id, lease = ARGV[2], tonumber(ARGV[3])

local function count(field, by)
  if call('HINCRBY', COUNTS, field, by) > 0 then
    return false
  end
  call('HDEL', COUNTS, field)
  return true
end

local function count_pending(owner, name, by)
  count('p', by)
  if owner == '' then
    return
  end
  if count('p:' .. owner, by) then
    call('HDEL', COUNTS, 'o:' .. owner)
  elseif by > 0 and name then
    call('HSET', COUNTS, 'o:' .. owner, name)
  end
end
