-- 4 epoch, 5 state, 6 whether it has a response, 7 response or problem, 8 length of the body,
-- 9 number of chunks, 10 report
local epoch, state = tonumber(ARGV[4]), tonumber(ARGV[5])
load()
if failure then
  return answer(failure)
elseif not is_held_by(epoch) then
  local is_repeat = job and job.ep == epoch and is_kept_end() and job.st == state
  return answer(is_repeat and 'ok' or 'lost')
end
-- A problem is small, and is stored when a response does not fit.
if ARGV[6] == '' and ARGV[10] == '0000' then
  exempt()
end
call('HSET', PARTS, 'r', ARGV[7])
job.bl, job.ch = tonumber(ARGV[8]), tonumber(ARGV[9])
report(10)
finish(state)
save()
return answer('ok')
