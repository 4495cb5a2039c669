local FORMAT = 1

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
