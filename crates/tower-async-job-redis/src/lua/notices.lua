-- Finds notifications that are due. 2 the latest time that is expected, 3 limit, 4 routes
if ARGV[2] ~= '' and now > tonumber(ARGV[2]) then
  return { text(now), 1, '', {}, {} }
end
local time, limit = text(now), tonumber(ARGV[3])
local PAGE, PAGES = max(limit, 32), 32
local wanted = #ARGV > 3 and {}
for place = 4, #ARGV do
  wanted[ARGV[place]] = true
end
local next_change, found = nil, {}
for _, key in ipairs(KEYS) do
  local taken = {}
  for number = 0, PAGES - 1 do
    local page = limit > 0 and call('ZRANGEBYSCORE', key, '-inf', time, 'LIMIT', text(number * PAGE), text(PAGE)) or {}
    for _, member in ipairs(page) do
      if #taken < limit and (not wanted or wanted[member:sub(1, 16)]) then
        taken[#taken + 1] = member
      end
    end
    if #page < PAGE or #taken == limit then
      break
    end
  end
  found[#found + 1] = taken
  local later = call('ZRANGEBYSCORE', key, '(' .. time, '+inf', 'WITHSCORES', 'LIMIT', '0', '1')
  if later[2] then
    next_change = min(next_change or NEVER, tonumber(later[2]))
  end
end
return { time, 0, next_change and text(next_change) or '', {}, found }
