-- Stores jobs that run at once, without keys and notifications. Such creates are the most, and so have
-- few keys and arguments, since the server hashes each byte of those; see `create.lua`, which decides
-- about jobs whose ids are taken. For each: 1 lease, 2 handle and id, 3 request, 4 creation, 5 time of
-- running, 6 deadline, 7 hash of the owner, 8 its name, 9, 10 and 11 fields of the row, before those of
-- the lease, and before and after those of its times
local KEYS_EACH, EACH = 7, 11
local TAKEN, CREATED = text(now) .. ' 0 taken', text(now) .. ' 0 created '
local answers, place = {}, 2
for key = 1, #KEYS, KEYS_EACH do
  local JOB, PARTS, LEASES, COUNTS, LIST, HANDLES, OWNED = unpack(KEYS, key, key + KEYS_EACH - 1)
  local lease, member, request, creation, running, deadline, owner, name, first, fields, more =
    unpack(ARGV, place, place + EACH - 1)
  place = place + EACH
  local created, due = creation ~= '' and tonumber(creation) or now, text(add(now, lease))
  local at = text(created)
  local row = first .. due .. fields .. ' cr=' .. at .. ' dl=' .. text(add(created, deadline)) .. ' sd='
    .. text(now - running) .. more
  -- The first write is one that a full server refuses.
  if call('SET', JOB, row, 'NX') then
    if request ~= '' then
      call('HSET', PARTS, 'q', request)
    end
    local handle, id = member:sub(1, 16), member:sub(17)
    call('ZADD', LIST, at, member)
    call('HSET', HANDLES, handle, id)
    if owner ~= '' then
      call('ZADD', OWNED, '0', owned_of(owner, created, handle, id))
    end
    count_pending(COUNTS, owner, name, 1)
    call('ZADD', LEASES, due, id)
    answers[#answers + 1] = CREATED .. at
  else
    answers[#answers + 1] = TAKEN
  end
end
return answers
