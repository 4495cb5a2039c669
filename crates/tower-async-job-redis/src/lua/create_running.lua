-- Stores a job that runs at once, without a key or a notification. Such creates are the most, and so
-- are not delayed by the functions of all others.
if ARGV[4] == 'plain' and not call('GET', JOB) then
  local created, due, handle = ARGV[7] ~= '' and tonumber(ARGV[7]) or now, text(add(now, lease)), ARGV[16]
  local at = text(created)
  -- The first write is one that a full server refuses.
  if ARGV[13] ~= '' then
    call('HSET', PARTS, 'q', ARGV[13])
  end
  call('SET', JOB, 'f=' .. FORMAT .. ' st=1 hl=1 ep=' .. ARGV[15] .. ' du=' .. due .. ARGV[19] .. ' cr=' .. at
    .. ' dl=' .. text(add(created, ARGV[9])) .. ' sd=' .. text(now - ARGV[8]) .. ARGV[20])
  call('ZADD', LIST, at, handle .. id)
  call('HSET', HANDLES, handle, id)
  count_pending(ARGV[17], ARGV[18], 1)
  call('ZADD', LEASES, due, id)
  return { now, 0, 'created', created, '' }
end
