-- Whether there may be something to claim. Claimable jobs and notifications of each shard.
for place = 1, #KEYS, 2 do
  local due = call('ZRANGEBYSCORE', KEYS[place + 1], '-inf', text(now), 'LIMIT', '0', '1')
  if due[1] or call('ZCARD', KEYS[place]) > 0 then
    return 1
  end
end
return 0
