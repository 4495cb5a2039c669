-- Stores a job that runs at once, without a key or a notification. Such creates are the most, and so
-- are not delayed by the functions of all others.
if ARGV[4] == 'running' and ARGV[5] == '' and ARGV[#ARGV - 1] ~= 'nl' and not call('HGETALL', JOB)[1] then
  local created, due = ARGV[7] ~= '' and tonumber(ARGV[7]) or now, text(add(now, lease))
  local handle, owner, name = ARGV[17], ARGV[19], ARGV[20] == 'ow' and ARGV[21]
  if ARGV[14] ~= '' then
    call('HSET', PARTS, 'q', ARGV[14])
  end
  call('HSET', JOB, 'f', text(FORMAT), 'rp', ARGV[10], 'hl', '1', 'st', '1', 'du', due, 'cr', text(created),
    'dl', text(add(created, tonumber(ARGV[9]))), 'sd', text(now - tonumber(ARGV[8])), unpack(ARGV, 16))
  call('ZADD', LIST, text(created), handle .. id)
  call('HSET', HANDLES, handle, id)
  count_pending(owner, name, 1)
  call('ZADD', LEASES, due, id)
  return { now, 0, 'created', created, '' }
end
