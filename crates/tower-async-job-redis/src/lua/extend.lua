load()
if failure then
  return answer(failure)
elseif not (job and is_kept_end() and now < job.du) then
  return answer('none')
end
exempt()
job.du = max(job.du, add(now, tonumber(ARGV[4])))
save()
return answer('ok')
