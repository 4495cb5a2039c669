-- Makes the change of one job that is due. 4 the latest time that is expected, 5 the pauses after
-- lost leases, by the number of runs from 1
if ARGV[4] ~= '' and now > tonumber(ARGV[4]) then
  return answer('none')
end
local row = load()
if failure == 'newer' then
  return answer(failure)
end
exempt()
if failure then
  end_unreadable(row)
  return answer('ok')
elseif not job then
  call('ZREM', LEASES, id)
  call('ZREM', PENDING, id)
  call('ZREM', DUE, id)
  call('ZREM', SINCE, id)
  return answer('ok')
end
local since = wait_of(job) and tonumber(call('ZSCORE', SINCE, id) or 0)
if since and since > now then
  -- The clock was set back.
  shorten_wait(since - now)
  save()
elseif is_pending(job) and job.hl == WORKER and job.du > add(now, lease) then
  -- The clock was set back.
  job.du = add(now, lease)
  save()
elseif job.du > now then
  return answer('none')
elseif job.st == EXPIRED and job.en and now < add(job.en, lease) then
  -- Its run may still be alive, and must not store it again.
  become_void(add(now, lease))
  save()
elseif job.st >= EXPIRED then
  delete()
elseif job.st == QUEUED and job.hl == 0 and not job.tu and now < job.dl then
  free(now)
  save()
elseif is_pending(job) then
  local pause = tonumber(ARGV[4 + min(max(job.at, 1), #ARGV - 4)])
  local _, state = lapse(max(job.du + pause - now, 0), true, '', 0)
  save()
  return answer('ok', state or 0)
else
  expire()
  save()
end
return answer('ok')
