-- Finds changes that are due: leases, pending jobs and ended jobs of each shard.
-- 2 lease, 3 the latest time that is expected, 4 limit, 5 how many of each set are skipped
if ARGV[3] ~= '' and now > tonumber(ARGV[3]) then
  return { text(now), 1, '', {} }
end
local time = text(now)
local latest = text(add(now, tonumber(ARGV[2])))
local next_change, found = nil, {}
for place, key in ipairs(KEYS) do
  local due = call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', ARGV[5], ARGV[4])
  if place % 3 == 1 then
    -- Leases that last for too long, since the clock was set back.
    local long = call('ZRANGEBYSCORE', key, '(' .. latest, '+inf', 'LIMIT', ARGV[5], ARGV[4])
    for _, member in ipairs(long) do
      due[#due + 1] = member
    end
  end
  found[place] = due
  local later = call('ZRANGEBYSCORE', key, '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  if later[2] then
    next_change = min(next_change or NEVER, tonumber(later[2]))
  end
end
return { time, 0, next_change and text(next_change) or '', found }
