-- 4 the member by which the job was found, 5 the latest time that is expected, 6 the newest format
local member = ARGV[4]
if ARGV[5] ~= '' and now > tonumber(ARGV[5]) then
  return answer('none')
end
local row = load()
exempt()
if failure == 'corrupt' then
  end_unreadable(row, member)
  return answer('unreadable', row.h)
elseif failure then
  return answer(failure)
elseif not job or turn_of(job) ~= member then
  -- Another node was first.
  return answer('none')
elseif give_up() then
  save()
  return answer('ended')
elseif job.qf == 0 or call('HEXISTS', PARTS, 'q') == 0 then
  revoke(FAILED, PROBLEM_REQUEST)
  save()
  return answer('unreadable', job.h)
end
-- What other nodes know of the turns that have passed.
call('HSET', COUNTS, 't', text(job.tu))
job.at, job.sd = job.at + 1, now
hand_over()
save()
return claimed('ck', 'no', 'q')
