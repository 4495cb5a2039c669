-- Prolongs leases of one shard. 1 leases, then jobs; 2 lease, 3 newest format of rows, then ids and
-- epochs
call('ZREM', KEYS[1], '')
local untl = text(add(now, tonumber(ARGV[2])))
local fates = { text(now) }
for place = 2, #KEYS do
  local key, id, epoch = KEYS[place], ARGV[2 * place], tonumber(ARGV[2 * place + 1])
  local row = call('HMGET', key, 'f', 'st', 'hl', 'ep', 'du')
  local fate = 'lost'
  if not row[1] then
    fate = 'missing'
  elseif (tonumber(row[1]) or NEVER) <= tonumber(ARGV[3]) and tonumber(row[5]) then
    local state, held = row[2], row[3]
    if (state == '0' or state == '1') and held == '1' and tonumber(row[4]) == epoch then
      fate = 'held'
      call('HSET', key, 'du', untl)
      call('ZADD', KEYS[1], untl, id)
    elseif state == '6' then
      fate = 'cancelled'
    elseif state == '9' and tonumber(row[5]) <= now then
      fate = 'missing'
    end
  end
  fates[place] = fate
end
return fates
