load()
if failure then
  return answer(failure)
end
exempt()
if not job then
  write(void(1, add(now, lease)))
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
