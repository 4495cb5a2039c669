local FORMAT = 1

-- The member of a job with an owner among the jobs of all owners: the owner, the time of the creation,
-- the handle and the id.
local function owned_of(owner, created, handle, id)
  return owner .. format('%016d', created) .. handle .. id
end

local function count(counts, field, by)
  if call('HINCRBY', counts, field, by) > 0 then
    return false
  end
  call('HDEL', counts, field)
  return true
end

local function count_pending(counts, owner, name, by)
  -- This number stays until a job is deleted, since the next job would create it again.
  call('HINCRBY', counts, 'p', by)
  if owner == '' then
    return
  end
  if count(counts, 'p:' .. owner, by) then
    call('HDEL', counts, 'o:' .. owner)
  elseif by > 0 and name then
    call('HSET', counts, 'o:' .. owner, name)
  end
end
