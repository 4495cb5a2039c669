-- Finds changes that are due: leases, pending jobs, ended jobs, and jobs that wait, of each shard.
-- 2 lease, 3 the latest time that is expected, 4 limit, 5 how many of each set are skipped
if ARGV[3] ~= '' and now > tonumber(ARGV[3]) then
  return { text(now), 1, '', {} }
end
local time = text(now)
local latest = text(add(now, tonumber(ARGV[2])))
local next_change, found = nil, {}

local function find(key, from, to)
  found[#found + 1] = call('ZRANGEBYSCORE', key, from, to, 'LIMIT', ARGV[5], ARGV[4])
end

for place, key in ipairs(KEYS) do
  if place % 4 == 0 then
    -- Jobs that wait since a later time, for the clock was set back.
    find(key, '(' .. time, '+inf')
  else
    find(key, '-inf', time)
    if place % 4 == 1 then
      -- Leases that last for too long, for the same reason.
      find(key, '(' .. latest, '+inf')
    end
    local later = call('ZRANGEBYSCORE', key, '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
    if later[2] then
      next_change = min(next_change or NEVER, tonumber(later[2]))
    end
  end
end
return { time, 0, next_change and text(next_change) or '', found }
