load()
if failure then
  return answer(failure)
elseif not (job and is_pending(job) and job.pt == ARGV[4]) then
  return answer('none')
end
exempt()
job.rs = 1
hand_over()
save()
return claimed('ck', 'no')
