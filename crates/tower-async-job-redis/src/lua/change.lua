-- The time until which the key of a row counts.
local function wanted_until(row)
  if is_pending(row) then
    return NEVER
  elseif row.st == DROPPED then
    return row.du
  elseif row.st > DROPPED then
    return 0
  end
  return max(row.du, add(row.en or row.cr, row.kp))
end

-- Keeps the time until which the key counts beside it, for creates of other jobs.
local function keep_key()
  local is_changed = job.dg and wanted_until(before) ~= wanted_until(job)
  local held = is_changed and call('HGET', KEYS_OF, job.dg)
  if held and held:sub(1, 32) == id then
    call('HSET', KEYS_OF, job.dg, held:sub(1, 96) .. text(wanted_until(job)))
  end
end

-- Stores the changes.
local function save()
  if before.cw and not (job.ep == before.ep and (is_pending(job) or job.ch)) then
    job.cw = false
    leave_chunks(before.ep)
  end
  write(job)
  keep_key()
  index(before, job)
end

-- Lets a full server make the changes of this script, since they add next to nothing: it refuses
-- only the first write.
local function exempt()
  call('HDEL', PARTS, '')
end
