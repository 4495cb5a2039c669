-- The number of waiting jobs of these shards, in total, then of each owner.
local sums = { 0 }
for place = 2, #ARGV do
  sums[place] = 0
end
for _, key in ipairs(KEYS) do
  sums[1] = sums[1] + tonumber(call('HGET', key, 'w') or 0)
  for place = 2, #ARGV do
    sums[place] = sums[place] + tonumber(call('HGET', key, 'w:' .. ARGV[place]) or 0)
  end
end
return sums
