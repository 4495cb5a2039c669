-- The latest members of the lists of these shards. 2 the time and 3 the member from which they are
-- listed, 4 limit
local limit = tonumber(ARGV[4])
local found = {}
for shard, key in ipairs(KEYS) do
  local taken, from, is_whole = {}, 0, false
  while #taken < 2 * limit and not is_whole do
    local page = call('ZREVRANGEBYSCORE', key, ARGV[2], '-inf', 'WITHSCORES', 'LIMIT', text(from), text(limit))
    for place = 1, #page, 2 do
      if #taken < 2 * limit and (tonumber(page[place + 1]) ~= tonumber(ARGV[2]) or page[place] < ARGV[3]) then
        taken[#taken + 1] = page[place]
        taken[#taken + 1] = page[place + 1]
      end
    end
    from = from + limit
    is_whole = #page < 2 * limit
  end
  found[shard] = taken
end
return found
