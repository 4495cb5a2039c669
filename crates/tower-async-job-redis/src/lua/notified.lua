-- 4 number of the attempt, 5 delay of the next one
load()
if failure then
  return answer(failure)
elseif not (job and job.nd and job.na == tonumber(ARGV[4])) then
  return answer('lost')
end
exempt()
if ARGV[5] ~= '' then
  job.nd = add(now, tonumber(ARGV[5]))
else
  drop_notify()
  drop_unwanted()
end
save()
return answer('ok')
