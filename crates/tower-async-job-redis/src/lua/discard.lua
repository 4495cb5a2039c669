load()
if failure then
  return answer(failure)
end
exempt()
if not job then
  call('HSET', JOB, 'f', text(FORMAT), 'st', text(VOID), 'hl', '0', 'ep', '1', 'at', '0', 'ma', '1', 'rp', '0',
    'du', text(add(now, lease)), 'dl', '0', 'cr', '0', 'kp', '0', 'tm', '0')
  call('ZADD', DUE, text(add(now, lease)), id)
elseif job.st == VOID then
  job.du = max(job.du, add(now, lease))
  save()
elseif is_pending(job) and job.ep == tonumber(ARGV[4]) then
  become_void(add(now, void_span()))
  save()
else
  return answer('lost')
end
return answer('ok')
