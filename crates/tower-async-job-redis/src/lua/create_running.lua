-- Stores a job that runs at once, without a key or a notification. Such creates are the most, and so
-- are not delayed by the functions and arguments of all others; see `create.lua`.
local function common(key, place)
  local JOB, PARTS, _, LEASES, _, _, _, _, _, COUNTS, LIST, HANDLES, _, OWNED =
    unpack(KEYS, key, key + 13)
  if ARGV[place + 3] ~= 'plain' or call('GET', JOB) then
    return nil
  end
  local id, lease, _, _, _, creation, running, deadline, _, _, _, request, _, epoch, handle, owner, name, fields, more =
    unpack(ARGV, place + 1, place + 19)
  local created, due = creation ~= '' and tonumber(creation) or now, text(add(now, lease))
  local at = text(created)
  -- The first write is one that a full server refuses.
  if request ~= '' then
    call('HSET', PARTS, 'q', request)
  end
  call('SET', JOB, 'f=' .. FORMAT .. ' st=1 hl=1 ep=' .. epoch .. ' du=' .. due .. fields .. ' cr=' .. at .. ' dl='
    .. text(add(created, deadline)) .. ' sd=' .. text(now - running) .. more)
  call('ZADD', LIST, at, handle .. id)
  call('HSET', HANDLES, handle, id)
  if owner ~= '' then
    call('ZADD', OWNED, '0', owned_of(owner, created, handle, id))
  end
  count_pending(COUNTS, owner, name, 1)
  call('ZADD', LEASES, due, id)
  return { now, 0, 'created', created }
end
