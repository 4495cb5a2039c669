-- 4 the member by which the job was found, 5 the latest time that is expected
if ARGV[5] ~= '' and now > tonumber(ARGV[5]) then
  return answer('none')
end
local row = load()
exempt()
local message = call('HGET', PARTS, 'no')
if failure == 'corrupt' or job and job.nd and not message then
  row.nd = nil
  write(row)
  call('ZREM', NOTIFY, ARGV[4])
  call('ZREM', SINCE, id)
  return answer('unreadable', row.h)
elseif failure then
  return answer(failure)
elseif not (job and job.nd and job.nd <= now) then
  if not (job and job.nd) then
    call('ZREM', NOTIFY, ARGV[4])
  end
  return answer('none')
end
job.nd, job.na = add(now, lease), (job.na or 0) + 1
save()
return claimed('ck', 'no')
