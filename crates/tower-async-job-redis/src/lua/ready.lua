-- Finds claimable jobs: leases, pending jobs, claimable jobs, and these by route, of each shard.
-- 2 the latest time that is expected, 3 limit, 4 the newest format of requests, 5 routes
if ARGV[2] ~= '' and now > tonumber(ARGV[2]) then
  return { text(now), 1, '', {}, {} }
end
local time, limit, newest = text(now), tonumber(ARGV[3]), tonumber(ARGV[4])
local PAGE, PAGES = max(limit, 32), 32

-- Takes readable members, page by page.
local function take(into, page)
  local taken = 0
  for number = 0, PAGES - 1 do
    local members = page(text(number * PAGE), text(PAGE))
    for _, member in ipairs(members) do
      if tonumber(member:sub(33, 34), 16) <= newest then
        taken = taken + 1
        into[#into + 1] = member
        if taken == limit then
          return
        end
      end
    end
    if #members < PAGE then
      return
    end
  end
end

local next_change, due, found = nil, {}, {}
for place = 1, #KEYS, 4 do
  local leases, pending, ready, routes = KEYS[place], KEYS[place + 1], KEYS[place + 2], KEYS[place + 3]
  for _, key in ipairs({ leases, pending }) do
    due[#due + 1] = call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', '0', '32')
  end
  local later = call('ZRANGEBYSCORE', pending, '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  if later[2] then
    next_change = min(next_change or NEVER, tonumber(later[2]))
  end
  local members = {}
  if limit > 0 and #ARGV == 4 then
    take(members, function(from, size)
      return call('ZRANGE', ready, '0', '+inf', 'BYSCORE', 'LIMIT', from, size)
    end)
  elseif limit > 0 then
    for route = 5, #ARGV do
      take(members, function(from, size)
        return call('ZRANGEBYLEX', routes, '[' .. ARGV[route], '(' .. ARGV[route] .. 'g', 'LIMIT', from, size)
      end)
    end
  end
  found[#found + 1] = members
end
return { time, 0, next_change and text(next_change) or '', due, found }
