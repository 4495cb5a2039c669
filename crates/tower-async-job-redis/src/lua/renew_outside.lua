-- 4 token, 5 time, 6 report
load()
if failure then
  return answer(failure)
elseif not (job and is_pending(job) and job.pt == ARGV[4]) then
  return answer(not_held())
end
if ARGV[6] == '0000' then
  exempt()
end
report(6)
job.pu = add(now, tonumber(ARGV[5]))
if job.rs ~= 1 then
  hold_outside(job.pu)
end
save()
return answer('held')
