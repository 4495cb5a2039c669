-- The number of pending jobs of these shards, then the owners with the most, at most as many as
-- argument 2 says: each its hash, number and name.
local total, sums, owners = 0, {}, {}
for place, key in ipairs(KEYS) do
  local fields = call('HGETALL', key)
  for field = 1, #fields, 2 do
    local name, value = fields[field], tonumber(fields[field + 1])
    if name == 'p' then
      total = total + value
    elseif name:sub(1, 2) == 'p:' then
      local owner = name:sub(3)
      local sum = sums[owner]
      if not sum then
        sum = { owner, 0, key }
        sums[owner] = sum
        owners[#owners + 1] = sum
      end
      sum[2] = sum[2] + value
    end
  end
end
table.sort(owners, function(one, other)
  return one[2] > other[2]
end)
local answer = { text(total) }
for place = 1, min(#owners, tonumber(ARGV[2])) do
  local owner, sum, key = unpack(owners[place])
  answer[place + 1] = { owner, text(sum), call('HGET', key, 'o:' .. owner) or '' }
end
return answer
