local function forget_key()
  local digest = job.dg
  local held = digest and call('HGET', KEYS_OF, digest)
  if held and held:sub(1, 32) == id then
    call('HDEL', KEYS_OF, digest)
  end
  job.dg = false
end

local function unlist(row)
  if row.h then
    call('ZREM', LIST, row.h .. id)
    call('HDEL', HANDLES, row.h)
  end
  if row.h and row.cr and row.oh and row.oh ~= '' then
    call('ZREM', OWNED, owned_of(row.oh, row.cr, row.h, id))
  end
end

-- Deletes the job with all that belongs to it, except for chunks, which linger.
local function delete()
  forget_key()
  if before.cw then
    leave_chunks(before.ep)
  end
  unlist(before)
  call('UNLINK', JOB, PARTS)
  index(before, nil)
  if call('HGET', COUNTS, 'p') == '0' then
    call('HDEL', COUNTS, 'p')
  end
  job, before = nil, nil
end
