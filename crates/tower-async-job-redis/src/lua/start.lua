load()
if failure then
  return answer(failure)
elseif not is_held_by(tonumber(ARGV[4])) then
  return answer('lost')
end
if job.st == QUEUED then
  exempt()
  job.st, job.sd, job.at = RUNNING, now, job.at + 1
  save()
end
return answer('ok')
