-- Prolongs leases. The keys are sets of leases, then jobs. 2 lease, 3 newest format of rows, then of
-- each job the number of its set, its id and its epoch
local jobs = (#ARGV - 3) / 3
local sets = #KEYS - jobs
call('ZREM', KEYS[1], '')
local untl = text(add(now, tonumber(ARGV[2])))
local fates = {}
for number = 1, jobs do
  local key, place = KEYS[sets + number], 3 * number + 1
  local row = call('HMGET', key, 'f', 'st', 'hl', 'ep', 'du')
  local fate = 'lost'
  if not row[1] then
    fate = 'missing'
  elseif (tonumber(row[1]) or NEVER) <= tonumber(ARGV[3]) and tonumber(row[5]) then
    local state, held = row[2], row[3]
    if (state == '0' or state == '1') and held == '1' and tonumber(row[4]) == tonumber(ARGV[place + 2]) then
      fate = 'held'
      call('HSET', key, 'du', untl)
      call('ZADD', KEYS[tonumber(ARGV[place])], untl, ARGV[place + 1])
    elseif state == '6' then
      fate = 'cancelled'
    elseif state == '9' and tonumber(row[5]) <= now then
      fate = 'missing'
    end
  end
  fates[number] = fate
end
return fates
