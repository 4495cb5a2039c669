-- 4 the time since the delivery, 5 the time from the delivery for which the result is kept
load()
local at = now - tonumber(ARGV[4])
if job and is_kept_end() and at < job.du and job.du <= usual_expiry() then
  exempt()
  job.du = min(usual_expiry(), add(at, tonumber(ARGV[5])))
  save()
end
return answer('ok')
