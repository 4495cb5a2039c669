-- The latest members of an owner in these shards. 2 that before which they are listed, 3 the first that
-- may be of the owner, 4 limit
local found = {}
for shard, key in ipairs(KEYS) do
  found[shard] = call('ZRANGE', key, ARGV[2], ARGV[3], 'BYLEX', 'REV', 'LIMIT', '0', ARGV[4])
end
return found
