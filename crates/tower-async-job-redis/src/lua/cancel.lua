load()
if failure then
  return answer(failure)
end
local state = job and state_now()
if not state then
  return answer('none')
elseif not is_pending(job) then
  return answer('ended', state)
end
exempt()
revoke(CANCELLED)
save()
return answer('cancelled', job.en)
